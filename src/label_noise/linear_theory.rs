//! Why over-parameterization finds wrong labels: SOP on a linear model, next to its convex limit.
//!
//! Labels `y = J theta* + s*` hold a signal of rank `r` and a sparse corruption of `k` entries.
//! [`GradientDescent`] fits both with too many parameters; its limit is [`ConvexProgram`](super::ConvexProgram):
//!
//! ```text
//! gradient descent on  1/2 ||J theta + u*u - v*v - y||^2,  theta = 0, u = v = gamma at the start,
//!                      step tau for theta, alpha tau for u and v
//! as gamma -> 0        min 1/2 ||theta||^2 + lambda ||s||_1  subject to  y = J theta + s
//! with                 lambda = -ln gamma / (2 alpha)
//! ```
//!
//! `s = u*u - v*v` is exactly `s*` if `k^2 r < N / (4 mu)` and `lambda` is large enough, with the
//! [incoherence](LinearSop::incoherence) `mu`; in practice well beyond that bound.
//! Everything runs in f64 on the host; matrices are row-major.
//!
//! # Example
//! ```
//! use firebrick::label_noise::{ConvexProgram, GradientDescent, LinearSop};
//!
//! let (problem, truth) = LinearSop::random(20, 30, 2, 1, 0)?;
//! let descent = GradientDescent::new(1e-8, 1.0, 0.1, 5_000)?;
//! let found = descent.run(&problem, &[]);
//! let limit = ConvexProgram::new(descent.lambda())?.solve(&problem);
//! for (sample, exact) in truth.corruption.iter().enumerate() {
//!     assert!((found.s[sample] - exact).abs() < 1e-5);
//!     assert!((limit.s[sample] - exact).abs() < 1e-5);
//! }
//! # Ok::<(), firebrick::label_noise::LabelNoiseError>(())
//! ```
//!
//! # References
//! S. Liu, Z. Zhu, Q. Qu, C. You, *Robust Training under Label Noise by Over-parameterization*,
//! ICML 2022, section 3.

use firebrick_ops::iteration::Status;
use rand::RngExt;
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::Serialize;

use super::algebra::{add_scaled, dot, orthonormal_basis, random_frame, symmetric_product};
use super::error::LabelNoiseError;

/// A linear model with labels: the problem `y = J theta + s`.
#[derive(Debug, Clone, Serialize)]
pub struct LinearSop {
    samples: usize,
    parameters: usize,
    jacobian: Vec<f64>,
    labels: Vec<f64>,
}

/// What [`LinearSop::random`] built its labels from.
#[derive(Debug, Clone, Serialize)]
pub struct LinearTruth {
    /// The parameters `theta*`, `[parameters]`.
    pub theta: Vec<f64>,
    /// The sparse corruption `s*`, `[samples]`.
    pub corruption: Vec<f64>,
}

/// How evenly the column space of a Jacobian is spread over the samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Incoherence {
    /// The number of samples `N`.
    pub samples: usize,
    /// The numerical rank `r` of the Jacobian.
    pub rank: usize,
    /// `mu = (N / r) max_i ||U_i||^2` for an orthonormal basis `U` of the column space: from 1
    /// (every sample weighs the same) to `N / r` (one sample carries a direction alone). Zero for
    /// rank zero.
    pub mu: f64,
}

impl Incoherence {
    /// The bound `N / (4 mu)`; exact recovery is guaranteed while `k^2 r` is below it.
    /// Infinite for rank zero.
    pub fn bound(&self) -> f64 {
        self.samples as f64 / (4.0 * self.mu)
    }

    /// Whether `sparsity` wrong labels are few enough for the guarantee `k^2 r < N / (4 mu)`.
    pub fn guarantees_recovery(&self, sparsity: usize) -> bool {
        (sparsity as f64).powi(2) * (self.rank as f64) < self.bound()
    }
}

impl LinearSop {
    /// Takes a Jacobian and labels.
    ///
    /// # Shapes
    /// - jacobian: `[samples, parameters]`, row-major
    /// - labels: `[samples]`
    ///
    /// # Errors
    /// [`LabelNoiseError`] if a size is zero, a length does not fit, or an entry is not finite.
    ///
    /// # Example
    /// ```
    /// use firebrick::label_noise::LinearSop;
    ///
    /// let problem = LinearSop::new(2, 1, vec![1.0, 1.0], vec![3.0, 3.0])?;
    /// assert!((problem.incoherence().mu - 1.0).abs() < 1e-12);
    /// # Ok::<(), firebrick::label_noise::LabelNoiseError>(())
    /// ```
    pub fn new(
        samples: usize,
        parameters: usize,
        jacobian: Vec<f64>,
        labels: Vec<f64>,
    ) -> Result<Self, LabelNoiseError> {
        for (what, size) in [("samples", samples), ("parameters", parameters)] {
            if size == 0 {
                return Err(LabelNoiseError::Empty { what });
            }
        }
        let sizes = [
            ("jacobian", samples.saturating_mul(parameters), &jacobian),
            ("labels", samples, &labels),
        ];
        for (what, expected, values) in sizes {
            if values.len() != expected {
                let found = values.len();
                return Err(LabelNoiseError::WrongLength { what, expected, found });
            }
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                return Err(LabelNoiseError::NotFinite { what, index, value: values[index] });
            }
        }
        Ok(Self { samples, parameters, jacobian, labels })
    }

    /// Draws a problem with known answer: a Jacobian of the given rank whose nonzero singular
    /// values are 1, standard normal `theta*`, and `sparsity` corruptions of random sign and of a
    /// size uniform in `[1, 2)`. The numbers come from a ChaCha8 stream keyed by `seed`.
    ///
    /// # Errors
    /// [`LabelNoiseError`] if a size or the rank is zero, or if the rank is above either size or
    /// the sparsity above the number of samples.
    pub fn random(
        samples: usize,
        parameters: usize,
        rank: usize,
        sparsity: usize,
        seed: u64,
    ) -> Result<(Self, LinearTruth), LabelNoiseError> {
        if rank == 0 {
            return Err(LabelNoiseError::Empty { what: "rank" });
        }
        let limits = [("rank", samples.min(parameters), rank), ("sparsity", samples, sparsity)];
        for (what, limit, found) in limits {
            if found > limit {
                return Err(LabelNoiseError::TooLarge { what, limit, found });
            }
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let left = random_frame(samples, rank, &mut rng);
        let right = random_frame(parameters, rank, &mut rng);
        let jacobian: Vec<f64> = (0..samples * parameters)
            .map(|at| (at / parameters, at % parameters))
            .map(|(row, column)| (0..rank).map(|r| left[r][row] * right[r][column]).sum())
            .collect();
        let theta: Vec<f64> = (0..parameters).map(|_| rng.sample(StandardNormal)).collect();
        let mut corruption = vec![0.0; samples];
        for sample in index::sample(&mut rng, samples, sparsity) {
            let size = rng.random_range(1.0..2.0);
            corruption[sample] = if rng.random() { size } else { -size };
        }
        let mut labels: Vec<f64> =
            jacobian.chunks(parameters).map(|row| dot(row, &theta)).collect();
        labels.iter_mut().zip(&corruption).for_each(|(label, s)| *label += s);
        let problem = Self::new(samples, parameters, jacobian, labels)?;
        Ok((problem, LinearTruth { theta, corruption }))
    }

    /// The number of labels, `N`.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The number of parameters, `P`.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// The Jacobian `J`, `[samples, parameters]`, row-major.
    pub fn jacobian(&self) -> &[f64] {
        &self.jacobian
    }

    /// The labels `y`, `[samples]`.
    pub fn labels(&self) -> &[f64] {
        &self.labels
    }

    /// The rank and the incoherence of the Jacobian, from a pivoted Gram-Schmidt basis.
    pub fn incoherence(&self) -> Incoherence {
        let column = |at: usize| self.jacobian.iter().skip(at).step_by(self.parameters).copied();
        let columns = (0..self.parameters).map(|at| column(at).collect()).collect();
        let basis = orthonormal_basis(columns);
        let leverage = |sample: usize| basis.iter().map(|axis| axis[sample].powi(2)).sum::<f64>();
        let largest = (0..self.samples).map(leverage).fold(0.0, f64::max);
        let rank = basis.len();
        let mu = self.samples as f64 / rank.max(1) as f64 * largest;
        Incoherence { samples: self.samples, rank, mu }
    }

    /// `J J^T`, `[samples, samples]`.
    pub(super) fn gram(&self) -> Vec<f64> {
        let rows = || self.jacobian.chunks(self.parameters);
        rows().flat_map(|left| rows().map(move |right| dot(left, right))).collect()
    }

    /// `J^T x`.
    pub(super) fn transposed_product(&self, x: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; self.parameters];
        for (row, &factor) in self.jacobian.chunks(self.parameters).zip(x) {
            add_scaled(&mut product, factor, row);
        }
        product
    }
}

/// Gradient descent on the over-parameterized model.
///
/// ```text
/// e     = J theta + u*u - v*v - y
/// theta = theta - tau J^T e
/// u     = u - 2 alpha tau e*u
/// v     = v + 2 alpha tau e*v          (all from the same e)
/// ```
///
/// # Notes
/// `theta` stays in the row space of `J`, so the iteration runs on `w = J theta` with
/// `w = w - tau (J J^T) e` and sums `-tau e` on the way, of which `J^T` makes `theta` at the end.
/// A step costs `N^2` operations, independent of the number of parameters.
///
/// The distance to [`ConvexProgram`](super::ConvexProgram) shrinks with `gamma` and with `tau`, not with more steps:
/// at `2 alpha tau` near one the products no longer follow the flow behind the limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GradientDescent {
    gamma: f64,
    alpha: f64,
    tau: f64,
    steps: usize,
}

/// What [`GradientDescent::run`] arrives at.
#[derive(Debug, Clone, Serialize)]
pub struct DescentReport {
    /// [`Status::MaxSteps`] after all steps, [`Status::Diverged`] if the loss left the finite
    /// numbers before; the fields then hold the state at that point, infinite entries included.
    pub status: Status,
    /// The number of steps done.
    pub steps: usize,
    /// The parameters of the model, `[parameters]`.
    pub theta: Vec<f64>,
    /// The positive parts of the corruption, before squaring, `[samples]`.
    pub u: Vec<f64>,
    /// The negative parts of the corruption, before squaring, `[samples]`.
    pub v: Vec<f64>,
    /// The corruption found, `u*u - v*v`, `[samples]`.
    pub s: Vec<f64>,
    /// The signal found, `J theta`, `[samples]`.
    pub j_theta: Vec<f64>,
    /// The loss `1/2 ||J theta + s - y||^2`.
    pub loss: f64,
    /// The states asked for, by step.
    pub recorded: Vec<DescentRecord>,
}

/// The state of [`GradientDescent`] after a number of steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DescentRecord {
    /// The number of steps done; zero is the start.
    pub step: usize,
    /// The corruption `u*u - v*v`, `[samples]`.
    pub s: Vec<f64>,
    /// The loss `1/2 ||J theta + s - y||^2`.
    pub loss: f64,
}

impl GradientDescent {
    /// Gradient descent from `u = v = gamma` with step `tau` for `theta` and `alpha tau` for `u`
    /// and `v`.
    ///
    /// # Errors
    /// [`LabelNoiseError::InvalidSetting`] unless `0 < gamma < 1`, `alpha > 0` and `tau > 0`, all
    /// finite.
    ///
    /// # Example
    /// ```
    /// use firebrick::label_noise::GradientDescent;
    ///
    /// let descent = GradientDescent::new(1e-8, 1.0, 0.1, 60_000)?;
    /// assert!((descent.lambda() - 9.21).abs() < 1e-3);
    /// # Ok::<(), firebrick::label_noise::LabelNoiseError>(())
    /// ```
    pub fn new(gamma: f64, alpha: f64, tau: f64, steps: usize) -> Result<Self, LabelNoiseError> {
        if !(gamma > 0.0 && gamma < 1.0) {
            let expected = "a number above 0 and below 1";
            return Err(LabelNoiseError::InvalidSetting { what: "gamma", expected, found: gamma });
        }
        check_positive("alpha", alpha)?;
        check_positive("tau", tau)?;
        Ok(Self { gamma, alpha, tau, steps })
    }

    /// The weight of the convex program that the descent tends to, `-ln gamma / (2 alpha)`.
    pub fn lambda(&self) -> f64 {
        -self.gamma.ln() / (2.0 * self.alpha)
    }

    /// Runs all steps and records the states after the step numbers in `record`, in rising order;
    /// numbers above the number of steps done are left out.
    pub fn run(&self, problem: &LinearSop, record: &[usize]) -> DescentReport {
        let samples = problem.samples;
        let gram = problem.gram();
        let (mut u, mut v) = (vec![self.gamma; samples], vec![self.gamma; samples]);
        let (mut w, mut dual) = (vec![0.0; samples], vec![0.0; samples]);
        let mut pull = vec![0.0; samples];
        let mut recorded = Vec::new();
        let mut step = 0;
        let (status, loss) = loop {
            let residual = residual(&w, &u, &v, &problem.labels);
            let loss = dot(&residual, &residual) / 2.0;
            if record.contains(&step) {
                recorded.push(DescentRecord { step, s: corruption(&u, &v), loss });
            }
            if !loss.is_finite() {
                break (Status::Diverged, loss);
            }
            if step == self.steps {
                break (Status::MaxSteps, loss);
            }
            symmetric_product(&gram, &residual, &mut pull);
            add_scaled(&mut w, -self.tau, &pull);
            add_scaled(&mut dual, -self.tau, &residual);
            let growth = 2.0 * self.alpha * self.tau;
            for ((u, v), e) in u.iter_mut().zip(&mut v).zip(&residual) {
                *u -= growth * e * *u;
                *v += growth * e * *v;
            }
            step += 1;
        };
        let theta = problem.transposed_product(&dual);
        let s = corruption(&u, &v);
        DescentReport { status, steps: step, theta, u, v, s, j_theta: w, loss, recorded }
    }
}

pub(super) fn check_positive(what: &'static str, found: f64) -> Result<(), LabelNoiseError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    let expected = "a finite number above 0";
    Err(LabelNoiseError::InvalidSetting { what, expected, found })
}

fn residual(w: &[f64], u: &[f64], v: &[f64], labels: &[f64]) -> Vec<f64> {
    (0..w.len()).map(|at| w[at] + u[at] * u[at] - v[at] * v[at] - labels[at]).collect()
}

fn corruption(u: &[f64], v: &[f64]) -> Vec<f64> {
    u.iter().zip(v).map(|(u, v)| u * u - v * v).collect()
}

#[cfg(test)]
mod tests {
    use super::super::algebra::relative_distance as distance;
    use super::*;

    #[test]
    fn descent_on_the_gram_matrix_equals_descent_on_the_parameters() {
        let (problem, _) = LinearSop::random(7, 5, 2, 1, 3).expect("sizes fit");
        let descent = GradientDescent::new(1e-3, 1.5, 0.1, 60).expect("valid");
        let found = descent.run(&problem, &[0, 59, 60, 61]);
        let (mut theta, mut u, mut v) = (vec![0.0; 5], vec![1e-3; 7], vec![1e-3; 7]);
        let product = |theta: &[f64]| -> Vec<f64> {
            problem.jacobian.chunks(5).map(|row| dot(row, theta)).collect()
        };
        for _ in 0..60 {
            let e = residual(&product(&theta), &u, &v, &problem.labels);
            add_scaled(&mut theta, -0.1, &problem.transposed_product(&e));
            for at in 0..7 {
                u[at] -= 0.3 * e[at] * u[at];
                v[at] += 0.3 * e[at] * v[at];
            }
        }
        let pairs = [(&found.theta, &theta), (&found.u, &u), (&found.v, &v)];
        assert!(pairs.iter().all(|(found, exact)| distance(found, exact) < 1e-12));
        let steps: Vec<_> = found.recorded.iter().map(|record| record.step).collect();
        assert_eq!(steps, [0, 59, 60]);
        assert_eq!(found.recorded[2].s, found.s);
    }

    #[test]
    fn random_problems_have_the_rank_the_sparsity_and_unit_singular_values() {
        let (problem, truth) = LinearSop::random(12, 9, 4, 3, 5).expect("sizes fit");
        assert_eq!(problem.incoherence().rank, 4);
        assert_eq!(truth.corruption.iter().filter(|s| **s != 0.0).count(), 3);
        let signal = problem.transposed_product(&problem.labels);
        let again: Vec<f64> = problem.jacobian.chunks(9).map(|row| dot(row, &signal)).collect();
        // `J J^T` is a projection.
        assert!(distance(&problem.transposed_product(&again), &signal) < 1e-12);
        let (other, _) = LinearSop::random(12, 9, 4, 3, 6).expect("sizes fit");
        assert_ne!(problem.labels, other.labels);
    }

    #[test]
    fn incoherence_runs_from_one_to_samples_over_rank() {
        let spike = LinearSop::new(4, 1, vec![0.0, 2.0, 0.0, 0.0], vec![0.0; 4]).expect("fits");
        assert_eq!(spike.incoherence(), Incoherence { samples: 4, rank: 1, mu: 4.0 });
        let even = LinearSop::new(4, 1, vec![-3.0; 4], vec![0.0; 4]).expect("fits").incoherence();
        assert!((even.mu - 1.0).abs() < 1e-12 && (even.bound() - 1.0).abs() < 1e-12);
        assert!(!even.guarantees_recovery(1) && even.guarantees_recovery(0));
        let none = LinearSop::new(2, 1, vec![0.0; 2], vec![1.0; 2]).expect("fits").incoherence();
        assert_eq!((none.rank, none.bound()), (0, f64::INFINITY));
    }

    #[test]
    fn divergence_is_a_status() {
        let (problem, _) = LinearSop::random(10, 10, 3, 2, 0).expect("sizes fit");
        let wild = GradientDescent::new(0.5, 50.0, 5.0, 1_000).expect("valid").run(&problem, &[]);
        assert!(wild.status == Status::Diverged && wild.steps < 1_000);
    }

    #[test]
    fn input_that_does_not_fit_is_named() {
        let message =
            |found: Result<_, LabelNoiseError>| found.map(|_: LinearSop| ()).expect_err("bad");
        let short = message(LinearSop::new(2, 2, vec![1.0; 3], vec![1.0; 2])).to_string();
        assert_eq!(short, "jacobian: expected 4 numbers, found 3");
        let bad = message(LinearSop::new(1, 1, vec![1.0], vec![f64::NAN])).to_string();
        assert_eq!(bad, "labels, entry 0: expected a finite number, found NaN");
        assert!(LinearSop::new(0, 1, vec![], vec![]).is_err());
        assert!(LinearSop::random(4, 3, 4, 0, 0).is_err());
        assert!(LinearSop::random(4, 4, 2, 5, 0).is_err());
        assert!(GradientDescent::new(1.0, 1.0, 0.1, 1).is_err());
        assert!(GradientDescent::new(0.1, 1.0, f64::NAN, 1).is_err());
    }
}
