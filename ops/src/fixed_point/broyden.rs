//! Broyden's method with limited memory.

use std::collections::VecDeque;

use burn::config::Config;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::line_search::{self, Trial};
use super::rows::{Map, choose, dots, tiny};
use super::stopping::Stopping;
use super::tracker::{Outcome, Problem, Tracker};

/// How far Broyden's method goes along its direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineSearch {
    /// The full step.
    #[default]
    None,
    /// A step length for each sample, by backtracking with cubic interpolation.
    PerSample,
    /// One step length for the whole batch, which then is one problem.
    Batch,
    /// As `Batch`, with TorchDEQ's quirk: where an interpolated step is replaced by half the one before,
    /// the value at the rejected step is kept.
    BatchCompat,
}

/// Broyden's method for `g(z) = f(z) - z = 0`.
///
/// ```text
/// z' = z + s p,   p = -H g(z)
/// H' = H + (dz - H dg) (dz^T H) / (dz^T H dg)            starting from H = -I
/// ```
///
/// `H` is `-I` plus at most `memory` rank-one terms for each sample; the oldest is dropped. A step makes
/// one evaluation (more with a line search) after that of the start. The candidate state is `z'` itself.
/// The update is skipped for a sample whose denominator vanishes.
///
/// It also stops when the largest residual is below three tolerances and has changed by less than a
/// factor 1.3 in thirty looks: nothing more is to be gained.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::fixed_point::{BroydenConfig, Solver};
///
/// // The slope at the solution is -2.1: plain iteration would run away.
/// let solver: Solver = BroydenConfig::new().into();
/// let start = Tensor::<1>::ones([1], &Device::flex());
/// let solution = solver.solve(|z: Tensor<1>| (z * -3.0).tanh() + 1.0, start);
/// assert!(solution.report.all_converged());
/// ```
///
/// # References
/// C. G. Broyden, 1965; J. Sherman, W. J. Morrison, 1950 (the inverse of the update).
#[derive(Config, Debug, PartialEq)]
pub struct BroydenConfig {
    /// When to stop.
    #[config(default = "Stopping::new()")]
    pub stopping: Stopping,
    /// Rank-one terms at most; two states of memory each. By default 20, or `max_steps` if that is less.
    pub memory: Option<usize>,
    /// How far to go along the direction.
    #[config(default = "LineSearch::None")]
    pub line_search: LineSearch,
}

/// Looks over which a stagnation is judged.
const STAGNATION_LOOKS: usize = 30;

impl BroydenConfig {
    pub(super) fn check(&self) {
        self.stopping.check("BroydenConfig");
        assert!(self.memory != Some(0), "BroydenConfig: memory must be at least 1, got 0");
    }

    fn limit(&self) -> usize {
        self.memory.unwrap_or(20).min(self.stopping.max_steps)
    }

    pub(super) fn run(&self, map: &mut Map<'_>, start: Tensor<2>, problem: Problem) -> Outcome {
        let mut tracker = Tracker::new(&self.stopping, problem, &start);
        let mut inverse = InverseJacobian::new(self.limit());
        let mut point = start;
        let mut image = map(point.clone());
        tracker.evaluated();
        let mut value = image.clone() - point.clone();
        if tracker.look(0, &point, &value, &image) {
            return tracker.finish();
        }
        let mut direction = value.clone();
        for step in 1..=self.stopping.max_steps {
            let trial = Trial { point: &point, direction: &direction, value: &value };
            let length = line_search::length(self.line_search, map, &mut tracker, &trial);
            let next = tracker.hold(length.step(&trial));
            let value_next = match length.value {
                Some(value) => value,
                None => {
                    image = map(next.clone());
                    tracker.evaluated();
                    image.clone() - next.clone()
                }
            };
            if tracker.looks(step) {
                let image = match self.line_search {
                    LineSearch::None => image.clone(),
                    _ => value_next.clone() + next.clone(),
                };
                if tracker.look(step, &next, &value_next, &image) {
                    break;
                }
            }
            if step == self.stopping.max_steps || self.stagnates(&tracker) {
                break;
            }
            let change = next.clone() - point;
            let change_of_value = value_next.clone() - value;
            inverse.update(change, change_of_value, &tracker.resting());
            (point, value) = (next, value_next);
            direction = inverse.direction(&value);
        }
        tracker.finish()
    }

    fn stagnates(&self, tracker: &Tracker<'_>) -> bool {
        let history = tracker.history();
        if self.stopping.return_last || history.len() <= STAGNATION_LOOKS {
            return false;
        }
        let recent = &history[history.len() - STAGNATION_LOOKS..];
        let largest = recent.iter().copied().fold(0.0, f64::max);
        let smallest = recent.iter().copied().fold(f64::INFINITY, f64::min);
        recent[recent.len() - 1] < 3.0 * self.stopping.tolerance && largest < 1.3 * smallest
    }
}

/// `-I + sum u v^T` for each sample.
struct InverseJacobian {
    limit: usize,
    terms: VecDeque<[Tensor<2>; 2]>,
}

impl InverseJacobian {
    fn new(limit: usize) -> Self {
        Self { limit, terms: VecDeque::new() }
    }

    /// `-vector + sum a (b . vector)` with `(a, b)` the terms or, for the transpose, the other way round.
    fn apply(&self, vector: &Tensor<2>, transposed: bool) -> Tensor<2> {
        let start = vector.clone().neg();
        self.terms.iter().fold(start, |sum, [u, v]| {
            let (a, b) = if transposed { (v, u) } else { (u, v) };
            sum + a.clone() * dots(b, vector)
        })
    }

    fn direction(&self, value: &Tensor<2>) -> Tensor<2> {
        self.apply(value, false).neg()
    }

    /// Adds the term that maps the change of the value to the change of the point.
    fn update(&mut self, change: Tensor<2>, change_of_value: Tensor<2>, resting: &[bool]) {
        let v = self.apply(&change, true);
        let denominator = dots(&v, &change_of_value);
        let size = denominator.clone().abs();
        let usable = size
            .clone()
            .greater_equal_elem(tiny(change.dtype()))
            .bool_and(size.lower_elem(f64::from(f32::MAX)));
        // A skipped sample divides by one instead.
        let u = (change - self.apply(&change_of_value, false))
            / denominator.ones_like().mask_where(usable.clone(), denominator);
        let usable = usable.expand(v.dims());
        let zeros = v.zeros_like();
        let u = zeros.clone().mask_where(usable.clone(), u);
        let v = zeros.clone().mask_where(usable, v);
        if self.terms.len() == self.limit {
            self.terms.pop_front();
        }
        self.terms.push_back([choose(resting, &zeros, u), choose(resting, &zeros, v)]);
    }
}
