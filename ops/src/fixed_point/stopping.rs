//! When a solver stops.

use burn::config::Config;
use serde::{Deserialize, Serialize};

/// How a residual `r = f(z) - z` of one sample is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResidualMode {
    /// `||r||`
    Absolute,
    /// `||r|| / (||f(z)|| + 1e-9)`
    #[default]
    Relative,
}

/// When a solver stops and what it returns; shared by all of them.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `max_steps` | 50 | steps at most |
/// | `tolerance` | 1e-4 | a sample below it has converged; 0 runs all steps |
/// | `mode` | relative | measure of the residual |
/// | `freeze_converged` | true | samples stay as they are once they have converged |
/// | `return_last` | false | the last state instead of the best one, and no early stop |
/// | `check_every` | 1 | steps between two looks at the residual |
/// | `sample_steps` | none | steps whose best states are returned as well |
/// | `trace` | false | keeps every residual of every sample |
#[derive(Config, Debug, PartialEq)]
pub struct Stopping {
    /// Steps at most: evaluations of the map for fixed-point iteration and Anderson, iterations (one
    /// evaluation less than are made) for Broyden, products for GMRES.
    #[config(default = 50)]
    pub max_steps: usize,
    /// A sample whose residual is below it has converged. At 0 all steps are made.
    #[config(default = 1e-4)]
    pub tolerance: f64,
    /// Measure of the residual.
    #[config(default = "ResidualMode::Relative")]
    pub mode: ResidualMode,
    /// Whether a converged sample is left alone while the others go on. Then the result of a sample
    /// does not depend on the others of its batch. Without it the solver stops when the largest
    /// residual of the batch is below the tolerance.
    #[config(default = true)]
    pub freeze_converged: bool,
    /// Whether to return the last state instead of the one with the least residual; all steps are made.
    #[config(default = false)]
    pub return_last: bool,
    /// Steps between two looks at the residual, each of which waits for the device. States in between
    /// are no candidates for the best one. 1 on CPUs, about 4 on GPUs. Anderson and GMRES need a look
    /// in every step.
    #[config(default = 1)]
    pub check_every: usize,
    /// Steps, counted from 1, whose best states so far are returned in [`Solution::samples`].
    ///
    /// [`Solution::samples`]: super::Solution::samples
    #[config(default = "Vec::new()")]
    pub sample_steps: Vec<usize>,
    /// Whether to keep the residuals of all samples in every step.
    #[config(default = false)]
    pub trace: bool,
}

impl Stopping {
    pub(super) fn check(&self, name: &str) {
        assert!(self.max_steps > 0, "{name}: max_steps must be at least 1, got 0");
        assert!(
            self.tolerance >= 0.0,
            "{name}: tolerance must not be negative or NaN, got {}",
            self.tolerance
        );
        assert!(self.check_every > 0, "{name}: check_every must be at least 1, got 0");
        for &step in &self.sample_steps {
            assert!(
                (1..=self.max_steps).contains(&step),
                "{name}: sample_steps must lie in 1..={}, got {step}",
                self.max_steps
            );
        }
    }
}

/// `states` steps spread over `max_steps`, the last of which is `max_steps`: the points at which a
/// correction loss looks at a solver.
///
/// ```text
/// k_j = (j + 1) T / n                          if n divides T
/// k_j = T - (n - j - 1) floor(T / n)           otherwise, j = 0..n-1
/// ```
///
/// # Panics
/// If `states` is 0 or above `max_steps`.
///
/// # Example
/// ```
/// use firebrick_ops::fixed_point::correction_steps;
///
/// assert_eq!(correction_steps(12, 3), [4, 8, 12]);
/// assert_eq!(correction_steps(11, 3), [5, 8, 11]);
/// ```
pub fn correction_steps(max_steps: usize, states: usize) -> Vec<usize> {
    assert!(
        (1..=max_steps).contains(&states),
        "correction_steps: states must lie in 1..={max_steps}, got {states}"
    );
    let stride = max_steps / states;
    (0..states).map(|j| max_steps - (states - j - 1) * stride).collect()
}
