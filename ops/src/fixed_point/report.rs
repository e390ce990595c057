//! What a solver says about its run.

use serde::{Deserialize, Serialize};

use crate::iteration::Status;

/// A fixed point with how it was found.
#[derive(Clone, Debug)]
pub struct Solution<S> {
    /// The state of least residual, or the last one if
    /// [`return_last`](super::Stopping::return_last) is set.
    pub state: S,
    /// The best states at the steps that [`sample_steps`](super::Stopping::sample_steps) names, in
    /// their order.
    pub samples: Vec<S>,
    /// How far the solver got.
    pub report: SolveReport,
}

/// How far a solver got.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SolveReport {
    /// `Converged` if every sample has, `Diverged` if a sample's residual stopped being finite.
    pub status: Status,
    /// Steps that were made.
    pub steps: usize,
    /// Evaluations of the map.
    pub evaluations: usize,
    /// Whether each sample has converged.
    pub converged: Vec<bool>,
    /// Least `||f(z) - z||` of each sample under the chosen measure; infinite if there is none.
    pub absolute: Vec<f64>,
    /// The same residual relative to `||f(z)||`.
    pub relative: Vec<f64>,
    /// The step, counted from 1, at which each sample had its least residual; 0 is the start.
    pub best_steps: Vec<usize>,
    /// Largest residual, in the chosen measure, among the samples that were still moving, at each look.
    pub history: Vec<f64>,
    /// All residuals, if they were asked for.
    pub trace: Option<ResidualTrace>,
}

impl SolveReport {
    /// Whether every sample has converged.
    pub fn all_converged(&self) -> bool {
        self.converged.iter().all(|&converged| converged)
    }

    /// The largest of the samples' relative residuals.
    pub fn worst_relative(&self) -> f64 {
        self.relative.iter().fold(0.0, |worst, &residual| worst.max(residual))
    }
}

/// The residuals of all samples at each look: one list of samples per look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResidualTrace {
    /// Steps at which the solver looked.
    pub steps: Vec<usize>,
    /// `||f(z) - z||`
    pub absolute: Vec<Vec<f64>>,
    /// `||f(z) - z|| / (||f(z)|| + 1e-9)`
    pub relative: Vec<Vec<f64>>,
}
