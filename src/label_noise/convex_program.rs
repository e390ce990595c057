//! The convex program that SOP on a linear model tends to, see
//! [`GradientDescent`](super::GradientDescent).
//!
//! # Example
//! ```
//! use firebrick::label_noise::{ConvexProgram, LinearSop};
//!
//! let (problem, truth) = LinearSop::random(20, 30, 2, 1, 0)?;
//! let solution = ConvexProgram::new(9.0)?.solve(&problem);
//! assert!(solution.s.iter().zip(&truth.corruption).all(|(s, exact)| (s - exact).abs() < 1e-6));
//! # Ok::<(), firebrick::label_noise::LabelNoiseError>(())
//! ```
//!
//! # References
//! S. Liu, Z. Zhu, Q. Qu, C. You, *Robust Training under Label Noise by Over-parameterization*,
//! ICML 2022, section 3.

use firebrick_ops::iteration::Status;
use serde::Serialize;

use super::algebra::{add_scaled, dot, symmetric_product};
use super::error::LabelNoiseError;
use super::linear_theory::{LinearSop, check_positive};

/// The convex program `min 1/2 ||theta||^2 + lambda ||s||_1` subject to `y = J theta + s`.
///
/// Solved through its dual, `min 1/2 ||J^T nu||^2 - y . nu` over `-lambda <= nu_i <= lambda`, with
/// `theta = J^T nu` and `s = y - J theta`: cyclic coordinate descent, in which every step minimizes
/// over one `nu_i` exactly and a sweep costs `N^2` operations. The iteration stops by the duality
/// gap, `sum_i (lambda |s_i| - nu_i s_i)`: each term is nonnegative, so the gap is known without
/// cancellation, and `theta` is within `sqrt(2 gap)` of the solution.
///
/// # Notes
/// The descent converges linearly, but slowly where the rows of the Jacobian are nearly dependent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ConvexProgram {
    lambda: f64,
    tolerance: f64,
    max_sweeps: usize,
}

/// What [`ConvexProgram::solve`] arrives at.
#[derive(Debug, Clone, Serialize)]
pub struct ConvexReport {
    /// Why the iteration stopped.
    pub status: Status,
    /// The number of sweeps over all samples.
    pub sweeps: usize,
    /// The duality gap relative to `lambda ||y||_1`, the objective of `theta = 0`.
    pub residual: f64,
    /// The parameters, `[parameters]`.
    pub theta: Vec<f64>,
    /// The corruption, `[samples]`; entries that belong at zero are as small as the gap.
    pub s: Vec<f64>,
    /// The signal `J theta`, `[samples]`.
    pub j_theta: Vec<f64>,
    /// The dual variables, `[samples]`; at `+-lambda` where a label counts as wrong.
    pub nu: Vec<f64>,
    /// The objective `1/2 ||theta||^2 + lambda ||s||_1`.
    pub objective: f64,
}

impl ConvexProgram {
    /// The program with weight `lambda`, solved to a relative gap of `1e-12` in at most 100 000
    /// sweeps.
    ///
    /// # Errors
    /// [`LabelNoiseError::InvalidSetting`] unless `lambda` is positive and finite.
    pub fn new(lambda: f64) -> Result<Self, LabelNoiseError> {
        check_positive("lambda", lambda)?;
        Ok(Self { lambda, tolerance: 1e-12, max_sweeps: 100_000 })
    }

    /// Sets the relative duality gap to stop at (default `1e-12`); at zero all sweeps are done.
    pub fn with_tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets the largest number of sweeps (default 100 000).
    pub fn with_max_sweeps(mut self, max_sweeps: usize) -> Self {
        self.max_sweeps = max_sweeps;
        self
    }

    /// Solves the program for `problem`.
    ///
    /// # Example
    /// ```
    /// use firebrick::label_noise::{ConvexProgram, LinearSop};
    /// use firebrick::ops::iteration::Status;
    ///
    /// // One label against three that agree: theta = 1 and s = (0, 0, 0, 5).
    /// let problem = LinearSop::new(4, 1, vec![1.0; 4], vec![1.0, 1.0, 1.0, 6.0])?;
    /// let solution = ConvexProgram::new(2.0)?.solve(&problem);
    /// assert_eq!(solution.status, Status::Converged);
    /// assert!((solution.theta[0] - 1.0).abs() < 1e-9 && (solution.s[3] - 5.0).abs() < 1e-9);
    /// # Ok::<(), firebrick::label_noise::LabelNoiseError>(())
    /// ```
    pub fn solve(&self, problem: &LinearSop) -> ConvexReport {
        let gram = problem.gram();
        let scale = self.lambda * problem.labels().iter().map(|y| y.abs()).sum::<f64>();
        let mut nu = vec![0.0; problem.samples()];
        // `s = y - J J^T nu` is kept up to date within a sweep and computed anew after it.
        let mut s = problem.labels().to_vec();
        let mut sweeps = 0;
        let (status, residual) = loop {
            let gap: f64 = s.iter().zip(&nu).map(|(s, nu)| self.lambda * s.abs() - nu * s).sum();
            let residual = if scale > 0.0 { gap / scale } else { 0.0 };
            if !residual.is_finite() {
                break (Status::Diverged, residual);
            } else if residual <= self.tolerance {
                break (Status::Converged, residual);
            } else if sweeps == self.max_sweeps {
                break (Status::MaxSteps, residual);
            }
            self.sweep(&gram, &mut nu, &mut s);
            symmetric_product(&gram, &nu, &mut s);
            s.iter_mut().zip(problem.labels()).for_each(|(s, y)| *s = y - *s);
            sweeps += 1;
        };
        let theta = problem.transposed_product(&nu);
        let j_theta = problem.labels().iter().zip(&s).map(|(y, s)| y - s).collect();
        let size: f64 = s.iter().map(|s| s.abs()).sum();
        let objective = dot(&theta, &theta) / 2.0 + self.lambda * size;
        ConvexReport { status, sweeps, residual, theta, s, j_theta, nu, objective }
    }

    /// Minimizes over each dual variable in turn.
    fn sweep(&self, gram: &[f64], nu: &mut [f64], s: &mut [f64]) {
        let samples = nu.len();
        for (sample, row) in gram.chunks(samples).enumerate() {
            let best = match row[sample] {
                curvature if curvature > 0.0 => nu[sample] + s[sample] / curvature,
                _ if s[sample] == 0.0 => nu[sample],
                _ => f64::INFINITY.copysign(s[sample]),
            };
            let change = best.clamp(-self.lambda, self.lambda) - nu[sample];
            nu[sample] += change;
            add_scaled(s, -change, row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::algebra::relative_distance as distance;
    use super::super::linear_theory::GradientDescent;
    use super::*;

    #[test]
    fn descent_and_convex_program_agree_whether_they_recover_the_truth_or_not() {
        for (alpha, tau, steps, recovers) in
            [(1.0, 0.1, 10_000, true), (400.0, 5e-4, 60_000, false)]
        {
            let (problem, truth) = LinearSop::random(30, 40, 2, 2, 1).expect("sizes fit");
            let descent = GradientDescent::new(1e-8, alpha, tau, steps).expect("valid");
            let found = descent.run(&problem, &[]);
            let limit = ConvexProgram::new(descent.lambda()).expect("positive").solve(&problem);
            assert_eq!(limit.status, Status::Converged);
            assert!(distance(&found.s, &limit.s) < 5e-3);
            assert_eq!(distance(&limit.s, &truth.corruption) < 1e-6, recovers);
        }
    }

    #[test]
    fn the_dual_of_the_solution_satisfies_the_optimality_conditions() {
        for seed in 0..20 {
            let (problem, _) = LinearSop::random(24, 10, 5, 4, seed).expect("sizes fit");
            let lambda = 0.1 + 0.05 * seed as f64;
            let found = ConvexProgram::new(lambda).expect("positive").solve(&problem);
            assert_eq!(found.status, Status::Converged, "seed {seed}: {:e}", found.residual);
            for (s, nu) in found.s.iter().zip(&found.nu) {
                assert!(nu.abs() <= lambda);
                assert!(s.abs() < 1e-6 || (nu - lambda * s.signum()).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn zero_rows_and_zero_labels_are_solved() {
        let zero = LinearSop::new(2, 1, vec![0.0, 1.0], vec![3.0, 0.5]).expect("fits");
        let found = ConvexProgram::new(1.0).expect("positive").solve(&zero);
        assert_eq!((found.status, found.s[0], found.theta[0]), (Status::Converged, 3.0, 0.5));
        let silent = LinearSop::new(1, 1, vec![1.0], vec![0.0]).expect("fits");
        let found = ConvexProgram::new(1.0).expect("positive").solve(&silent);
        assert_eq!((found.status, found.sweeps), (Status::Converged, 0));
        assert!(ConvexProgram::new(0.0).is_err());
    }
}
