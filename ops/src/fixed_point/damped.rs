//! Fixed-point iteration with damping.

use burn::config::Config;
use burn::tensor::Tensor;

use super::rows::Map;
use super::stopping::Stopping;
use super::tracker::{Outcome, Problem, Tracker};

/// Fixed-point iteration.
///
/// ```text
/// z <- tau f(z) + (1 - tau) z
/// ```
///
/// Converges where `f` contracts, with its factor. The residual is that of the damped map, `tau` times
/// the one of `f`, and the candidate state is the new `z`.
///
/// With `tolerance` 0 and `check_every` equal to `max_steps` it makes exactly `max_steps` evaluations
/// and looks at the residual once: the fastest form.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::fixed_point::{FixedPointConfig, Solver};
///
/// let solver: Solver = FixedPointConfig::new().with_damping(0.5).into();
/// // 2 - z jumps between two points without damping.
/// let start = Tensor::<1>::zeros([1], &Device::flex());
/// let solution = solver.solve(|z: Tensor<1>| -z + 2.0, start);
/// assert_eq!(solution.state.into_scalar::<f32>(), 1.0);
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct FixedPointConfig {
    /// When to stop.
    #[config(default = "Stopping::new()")]
    pub stopping: Stopping,
    /// `tau`, in `(0, 2)`; 1 is the plain iteration.
    #[config(default = 1.0)]
    pub damping: f64,
}

impl FixedPointConfig {
    pub(super) fn check(&self) {
        self.stopping.check("FixedPointConfig");
        assert!(
            self.damping > 0.0 && self.damping < 2.0,
            "FixedPointConfig: damping must lie in (0, 2), got {}",
            self.damping
        );
    }

    pub(super) fn run(&self, map: &mut Map<'_>, start: Tensor<2>, problem: Problem) -> Outcome {
        let mut tracker = Tracker::new(&self.stopping, problem, &start);
        let mut state = start;
        for step in 1..=self.stopping.max_steps {
            let image = map(state.clone());
            tracker.evaluated();
            let next = match self.damping {
                1.0 => image,
                damping => image * damping + state.clone() * (1.0 - damping),
            };
            let stop = if tracker.looks(step) {
                tracker.look(step, &next, &(next.clone() - state), &next)
            } else {
                false
            };
            if stop {
                break;
            }
            state = tracker.hold(next);
        }
        tracker.finish()
    }
}
