//! The vocabulary that iterative methods share.

use serde::{Deserialize, Serialize};

/// Why an iteration stopped. Divergence is a result, not a panic.
///
/// # Example
/// ```
/// use firebrick_ops::iteration::Status;
///
/// let residual: f64 = 1e-9;
/// let status = if residual < 1e-6 { Status::Converged } else { Status::MaxSteps };
/// assert_eq!(status, Status::Converged);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The residual fell to the tolerance.
    Converged,
    /// All steps were used.
    #[default]
    MaxSteps,
    /// A number became infinite or undefined; smaller steps may help.
    Diverged,
}
