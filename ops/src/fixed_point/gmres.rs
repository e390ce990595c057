//! GMRES for affine maps.

use burn::config::Config;
use burn::tensor::Tensor;

use super::rows::{Map, choose, column, dots, read, tiny};
use super::stopping::Stopping;
use super::tracker::{Outcome, Problem, Tracker};

/// Generalized minimal residuals, for affine maps `f(z) = A z + v`.
///
/// ```text
/// z = argmin || v + A z - z ||   over   z in span(v, A v, A^2 v, ..)
/// ```
///
/// With `n` products it does at least as well as `n` steps of every other solver here. It is meant for the
/// adjoint equation `g = v + J^T g` of an implicit gradient. After `memory` products it restarts from what
/// it has. Residuals are relative to `||v||`; a sample that is done does not change any more.
///
/// For a map that is not affine the result means nothing: [`solve`](super::Solver::solve) takes the
/// linear part from differences to `f(0)`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::fixed_point::{GmresConfig, Solver};
///
/// let device = Device::flex();
/// let a = Tensor::<2>::from_data([[0.5, 3.0], [0.0, -2.0]], &device);
/// let v = Tensor::<2>::from_data([[1.0, 1.0]], &device);
/// let solver = Solver::from(GmresConfig::new()).with_tolerance(1e-6);
/// let solution = solver.solve_linear(|z: Tensor<2>| z.matmul(a.clone()), v.clone());
/// assert_eq!(solution.report.evaluations, 2);
/// let z = solution.state;
/// let residual = v + z.clone().matmul(a) - z;
/// assert!(residual.abs().max().into_scalar::<f32>() < 1e-5);
/// ```
///
/// # References
/// Y. Saad, M. H. Schultz, *GMRES: A Generalized Minimal Residual Algorithm*, 1986.
#[derive(Config, Debug, PartialEq)]
pub struct GmresConfig {
    /// When to stop.
    #[config(default = "Stopping::new()")]
    pub stopping: Stopping,
    /// Products before a restart; a state of memory each.
    #[config(default = 20)]
    pub memory: usize,
}

impl GmresConfig {
    pub(super) fn check(&self) {
        self.stopping.check("GmresConfig");
        assert!(self.memory > 0, "GmresConfig: memory must be at least 1, got 0");
    }

    /// Solves `z = v + apply(z)`.
    pub(super) fn run(&self, apply: &mut Map<'_>, v: Tensor<2>) -> Outcome {
        let zeros = v.zeros_like();
        let sizes: Vec<f64> =
            read(vec![dots(&v, &v)]).into_iter().map(|row| row[0].sqrt()).collect();
        let mut tracker = Tracker::new(&self.stopping, Problem::Linear, &zeros);
        // Without a product the residual of 0 is v; a vanishing v is solved by it.
        let norms: Vec<[f64; 2]> = sizes.iter().map(|&size| [size, size]).collect();
        let (mut state, mut residual, mut step) = (zeros, v, 0);
        let mut stop = tracker.note(0, &norms).stop;
        while !stop && step < self.stopping.max_steps {
            let mut cycle = Cycle::new(&residual);
            for _ in 0..self.memory.min(self.stopping.max_steps - step) {
                step += 1;
                cycle.extend(apply, &tracker.resting());
                tracker.evaluated();
                let left = cycle.residuals();
                let norms: Vec<[f64; 2]> =
                    left.iter().zip(&sizes).map(|(&left, &size)| [left, size]).collect();
                stop = tracker.note(step, &norms).stop;
                if self.stopping.sample_steps.contains(&step) {
                    tracker.push_sample(state.clone() + cycle.combination());
                }
                if stop {
                    break;
                }
            }
            let change = cycle.combination();
            state = state + change.clone();
            if !stop && step < self.stopping.max_steps {
                let image = apply(change.clone());
                tracker.evaluated();
                residual = residual - change + image;
            }
        }
        tracker.finish_with(state)
    }
}

/// One cycle between restarts: an orthonormal basis for each sample on the device, and its small least
/// squares problem, kept triangular by rotations, on the host.
struct Cycle {
    basis: Vec<Tensor<2>>,
    small: Vec<Small>,
}

/// The least squares problem of one sample.
#[derive(Default)]
struct Small {
    /// Columns of the triangle.
    triangle: Vec<Vec<f64>>,
    rotations: Vec<[f64; 2]>,
    /// Rotated right-hand side; the last entry is the residual, up to its sign.
    right: Vec<f64>,
}

impl Small {
    fn residual(&self) -> f64 {
        self.right.last().map_or(0.0, |last| last.abs())
    }

    /// Takes the next column, `entries` above the subdiagonal entry `below`. A column without a pivot is
    /// left out.
    fn push(&mut self, mut entries: Vec<f64>, below: f64, tiny: f64) {
        for (at, [cosine, sine]) in self.rotations.iter().enumerate() {
            let (a, b) = (entries[at], entries[at + 1]);
            entries[at] = cosine * a + sine * b;
            entries[at + 1] = cosine * b - sine * a;
        }
        let Some(pivot) = entries.pop() else { return };
        let length = pivot.hypot(below);
        if length <= tiny {
            return;
        }
        let (cosine, sine) = (pivot / length, below / length);
        entries.push(length);
        self.triangle.push(entries);
        self.rotations.push([cosine, sine]);
        let last = self.right.pop().unwrap_or(0.0);
        self.right.push(cosine * last);
        self.right.push(-sine * last);
    }

    /// Coefficients of the basis, by back substitution.
    fn solution(&self) -> Vec<f64> {
        let n = self.triangle.len();
        let mut y = self.right[..n].to_vec();
        for i in (0..n).rev() {
            let inner: f64 = (i + 1..n).map(|j| self.triangle[j][i] * y[j]).sum();
            y[i] = (y[i] - inner) / self.triangle[i][i];
        }
        y
    }
}

impl Cycle {
    fn new(residual: &Tensor<2>) -> Self {
        let sizes: Vec<f64> =
            read(vec![dots(residual, residual)]).into_iter().map(|row| row[0].sqrt()).collect();
        let small =
            sizes.iter().map(|&size| Small { right: vec![size], ..Small::default() }).collect();
        Self { basis: vec![normalized(residual.clone(), &sizes)], small }
    }

    /// One product, made orthogonal to the basis by modified Gram-Schmidt.
    fn extend(&mut self, apply: &mut Map<'_>, resting: &[bool]) {
        let newest = self.basis[self.basis.len() - 1].clone();
        let tiny = tiny(newest.dtype());
        let mut next = newest.clone() - apply(newest);
        let mut columns = Vec::with_capacity(self.basis.len() + 1);
        for vector in &self.basis {
            let along = dots(vector, &next);
            next = next - vector.clone() * along.clone();
            columns.push(along);
        }
        columns.push(dots(&next, &next));
        let mut sizes = Vec::with_capacity(self.small.len());
        for ((small, mut entries), &rests) in self.small.iter_mut().zip(read(columns)).zip(resting)
        {
            let size = entries.pop().map_or(0.0, f64::sqrt);
            let finite = size.is_finite() && entries.iter().all(|entry| entry.is_finite());
            sizes.push(if finite { size } else { 0.0 });
            if rests {
                continue;
            }
            if finite {
                small.push(entries, size, tiny);
            } else {
                small.right.push(f64::NAN);
            }
        }
        self.basis.push(normalized(next, &sizes));
    }

    fn residuals(&self) -> Vec<f64> {
        self.small.iter().map(Small::residual).collect()
    }

    /// What the cycle adds to the state.
    fn combination(&self) -> Tensor<2> {
        let solutions: Vec<Vec<f64>> = self.small.iter().map(Small::solution).collect();
        let mut sum = self.basis[0].zeros_like();
        for (index, vector) in self.basis.iter().enumerate() {
            let weights: Vec<f64> =
                solutions.iter().map(|y| y.get(index).copied().unwrap_or(0.0)).collect();
            if weights.iter().any(|&weight| weight != 0.0) {
                sum = sum + vector.clone() * column(weights, vector);
            }
        }
        sum
    }
}

/// Rows of length one; zero where the size is zero or not finite.
fn normalized(vector: Tensor<2>, sizes: &[f64]) -> Tensor<2> {
    let usable = |size: f64| size > 0.0 && size.is_finite();
    let vanishing: Vec<bool> = sizes.iter().map(|&size| !usable(size)).collect();
    let factors = sizes.iter().map(|&size| if usable(size) { size.recip() } else { 0.0 }).collect();
    let rows = vector.clone() * column(factors, &vector);
    choose(&vanishing, &vector.zeros_like(), rows)
}
