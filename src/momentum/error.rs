//! What can be wrong with the input of a momentum study.

/// The reason why a study refuses its input.
///
/// # Example
/// ```
/// use firebrick::momentum::PatchFilters;
///
/// let error = PatchFilters::new([2, 3], 3, vec![0.5; 5]).unwrap_err();
/// assert_eq!(error.to_string(), "filters: expected 2 x 3 finite numbers, found 5 numbers");
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found}")]
pub struct MomentumError {
    /// The setting, or the part of the input.
    pub what: &'static str,
    /// The rule.
    pub expected: String,
    /// What was given.
    pub found: String,
}

impl MomentumError {
    pub(super) fn new(
        what: &'static str,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        Self { what, expected: expected.into(), found: found.to_string() }
    }
}
