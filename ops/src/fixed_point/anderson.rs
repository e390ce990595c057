//! Anderson acceleration.

use burn::config::Config;
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::rows::{Map, column, dots, read, scaled};
use super::stopping::Stopping;
use super::tracker::{Outcome, Problem, Tracker};

/// What is added to the diagonal of Anderson's Gram matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum AndersonRidge {
    /// [`Relative`](Self::Relative) with 1e-8 in 64 bits and 1e-6 in 32.
    #[default]
    Auto,
    /// This number times the mean of the diagonal: the same steps for `c f(z / c)` at any scale `c`.
    Relative(f64),
    /// This number itself. Once squared residuals are below it, the method takes averages.
    Absolute(f64),
}

impl AndersonRidge {
    /// Factor of the Gram matrix's mean diagonal, and the constant part.
    fn parts(self, dtype: DType) -> [f64; 2] {
        match self {
            Self::Auto if dtype == DType::F64 => [1e-8, 0.0],
            Self::Auto => [1e-6, 0.0],
            Self::Relative(ridge) => [ridge, 0.0],
            Self::Absolute(ridge) => [0.0, ridge],
        }
    }
}

/// Anderson acceleration.
///
/// ```text
/// a = argmin || sum_i a_i (f(z_i) - z_i) ||^2 + lambda ||a||^2   with sum_i a_i = 1
/// z = beta sum_i a_i f(z_i) + (1 - beta) sum_i a_i z_i
/// ```
///
/// over the last `memory` points of each sample. The first two points are the start and its image. The
/// candidate state is the image `f(z)`.
///
/// One new row of the Gram matrix is computed per step on the device and read with the residual; its
/// small systems are solved on the host in 64 bits. Residuals are divided by their largest entries before
/// they are multiplied, so that states of any size have products within the range of 32 bits. Where a
/// system has no finite solution, the step is a plain one from the newest point.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::fixed_point::{AndersonConfig, AndersonRidge, Solver};
///
/// let solver: Solver = AndersonConfig::new().with_memory(3).into();
/// let start = Tensor::<1>::ones([4], &Device::flex());
/// let solution = solver.solve(|z: Tensor<1>| (z * 0.9).sin() + 0.2, start);
/// assert!(solution.report.all_converged() && solution.report.evaluations < 10);
/// ```
///
/// # References
/// D. G. Anderson, 1965; H. F. Walker, P. Ni, *Anderson Acceleration for Fixed-Point Iterations*, 2011.
#[derive(Config, Debug, PartialEq)]
pub struct AndersonConfig {
    /// When to stop.
    #[config(default = "Stopping::new()")]
    pub stopping: Stopping,
    /// Number of points that are combined; 1 is the damped iteration.
    #[config(default = 6)]
    pub memory: usize,
    /// Regularization of the weights.
    #[config(default = "AndersonRidge::Auto")]
    pub ridge: AndersonRidge,
    /// `beta`, in `(0, 2)`: how much of the images and how much of the points is combined.
    #[config(default = 1.0)]
    pub mixing: f64,
}

impl AndersonConfig {
    pub(super) fn check(&self) {
        self.stopping.check("AndersonConfig");
        assert!(self.memory > 0, "AndersonConfig: memory must be at least 1, got 0");
        assert!(
            self.mixing > 0.0 && self.mixing < 2.0,
            "AndersonConfig: mixing must lie in (0, 2), got {}",
            self.mixing
        );
        if let AndersonRidge::Relative(ridge) | AndersonRidge::Absolute(ridge) = self.ridge {
            assert!(
                ridge >= 0.0 && ridge.is_finite(),
                "AndersonConfig: ridge must be finite and not negative, got {ridge}"
            );
        }
    }

    pub(super) fn run(&self, map: &mut Map<'_>, start: Tensor<2>, problem: Problem) -> Outcome {
        let ridge = self.ridge.parts(start.dtype());
        let mut tracker = Tracker::new(&self.stopping, problem, &start);
        let mut window = Window::new(self.memory, start.dims()[0]);
        let mut state = start;
        for step in 1..=self.stopping.max_steps {
            let image = map(state.clone());
            tracker.evaluated();
            let norms = window.push(state, image);
            if tracker.observe(step, &window.newest().image, &norms) {
                break;
            }
            if step < self.stopping.max_steps {
                let next = window.combine(ridge, self.mixing, step == 1);
                state = tracker.hold(next);
            } else {
                break;
            }
        }
        tracker.finish()
    }
}

struct Point {
    image: Tensor<2>,
    /// The residual over `peak`.
    unit: Tensor<2>,
    /// Its largest absolute entry, `[batch, 1]`.
    peak: Tensor<2>,
}

/// The last points with the Gram matrices of their residuals.
struct Window {
    memory: usize,
    points: Vec<Point>,
    /// Slot of the newest point.
    slot: usize,
    /// Products of the residuals over their peaks, `memory x memory` numbers per sample.
    grams: Vec<f64>,
    /// `memory` numbers per sample.
    peaks: Vec<f64>,
    batch: usize,
}

impl Window {
    fn new(memory: usize, batch: usize) -> Self {
        let (grams, peaks) = (vec![0.0; memory * memory * batch], vec![0.0; memory * batch]);
        Self { memory, points: Vec::new(), slot: 0, grams, peaks, batch }
    }

    fn newest(&self) -> &Point {
        &self.points[self.slot]
    }

    /// Adds a point and returns the norms of its residual and image.
    fn push(&mut self, state: Tensor<2>, image: Tensor<2>) -> Vec<[f64; 2]> {
        let (unit, peak) = scaled(&(image.clone() - state));
        let (image_unit, image_peak) = scaled(&image);
        let others = vec![dots(&image_unit, &image_unit), image_peak, peak.clone()];
        let point = Point { image, unit, peak };
        if self.points.len() < self.memory {
            self.slot = self.points.len();
            self.points.push(point);
        } else {
            self.slot = (self.slot + 1) % self.memory;
            self.points[self.slot] = point;
        }
        let newest = &self.points[self.slot].unit;
        let products = self.points.iter().map(|point| dots(newest, &point.unit));
        let rows = read(products.chain(others).collect());
        rows.iter().enumerate().map(|(sample, row)| self.note(sample, row)).collect()
    }

    /// Takes the newest row of products, and after it the square of the image over its peak and the
    /// peaks of image and residual; returns the norms of residual and image.
    fn note(&mut self, sample: usize, row: &[f64]) -> [f64; 2] {
        let (m, slot, n) = (self.memory, self.slot, self.points.len());
        let gram = &mut self.grams[sample * m * m..(sample + 1) * m * m];
        for (other, &product) in row[..n].iter().enumerate() {
            gram[slot * m + other] = product;
            gram[other * m + slot] = product;
        }
        let [image_peak, peak] = [row[n + 1], row[n + 2]];
        self.peaks[sample * m + slot] = peak;
        [peak * row[slot].sqrt(), image_peak * row[n].sqrt()]
    }

    fn combine(&self, ridge: [f64; 2], mixing: f64, first: bool) -> Tensor<2> {
        let newest = self.newest();
        if first {
            return newest.image.clone();
        }
        let n = self.points.len();
        let weights: Vec<Vec<f64>> = (0..self.batch).map(|b| self.weights(b, n, ridge)).collect();
        let mut next: Option<Tensor<2>> = None;
        for (slot, point) in self.points.iter().enumerate() {
            let column = column(weights.iter().map(|w| w[slot]).collect(), &newest.image);
            // beta f(z) + (1 - beta) z
            let mixed = match mixing {
                1.0 => point.image.clone(),
                _ => {
                    let back = point.peak.clone() * (1.0 - mixing);
                    point.image.clone() - point.unit.clone() * back
                }
            };
            let term = mixed * column;
            next = Some(match next {
                Some(sum) => sum + term,
                None => term,
            });
        }
        next.unwrap_or_else(|| newest.image.clone())
    }

    /// `K^-1 1 / (1^T K^-1 1)` for one sample, or the newest point alone.
    fn weights(&self, sample: usize, n: usize, [relative, absolute]: [f64; 2]) -> Vec<f64> {
        let m = self.memory;
        let gram = &self.grams[sample * m * m..(sample + 1) * m * m];
        let peaks = &self.peaks[sample * m..][..n];
        let lengths = (0..n).map(|i| peaks[i] * gram[i * m + i].sqrt());
        let longest = lengths.fold(0.0, f64::max);
        if longest == 0.0 {
            return vec![1.0 / n as f64; n];
        }
        // A relative ridge sees ratios only, whose squares are in range.
        let scale_free = relative > 0.0 || absolute == 0.0;
        let unit = if scale_free { longest } else { 1.0 };
        let entry = |i: usize, j: usize| gram[i * m + j] * (peaks[i] / unit) * (peaks[j] / unit);
        let mean = (0..n).map(|i| entry(i, i)).sum::<f64>() / n as f64;
        let scale = if scale_free { mean } else { 1.0 };
        let mut system = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                system[i * n + j] = entry(i, j) / scale;
            }
            system[i * n + i] += relative + absolute;
        }
        solve_ones(system, n).unwrap_or_else(|| {
            let mut weights = vec![0.0; n];
            weights[self.slot] = 1.0;
            weights
        })
    }
}

/// The normalized solution of `K a = 1` by Cholesky; none if `K` is not positive definite.
fn solve_ones(mut k: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    for i in 0..n {
        for j in 0..=i {
            let inner: f64 = (0..j).map(|l| k[i * n + l] * k[j * n + l]).sum();
            let value = k[i * n + j] - inner;
            k[i * n + j] = if i == j { value.sqrt() } else { value / k[j * n + j] };
        }
        if !(k[i * n + i] > 0.0 && k[i * n + i].is_finite()) {
            return None;
        }
    }
    let mut a = vec![1.0; n];
    for i in 0..n {
        let inner: f64 = (0..i).map(|l| k[i * n + l] * a[l]).sum();
        a[i] = (a[i] - inner) / k[i * n + i];
    }
    for i in (0..n).rev() {
        let inner: f64 = (i + 1..n).map(|l| k[l * n + i] * a[l]).sum();
        a[i] = (a[i] - inner) / k[i * n + i];
    }
    let sum: f64 = a.iter().sum();
    a.iter_mut().for_each(|weight| *weight /= sum);
    a.iter().all(|weight| weight.is_finite()).then_some(a)
}
