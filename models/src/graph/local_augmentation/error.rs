//! What can be wrong with the input of local augmentation.

/// The reason why local augmentation refuses its input.
///
/// # Example
/// ```
/// use firebrick_models::graph::local_augmentation::NeighborPairs;
///
/// let error = NeighborPairs::new(&[1], &[1], 3).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "edges: expected at least one between two different nodes, found only self loops"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found}")]
pub struct AugmentationError {
    /// The setting, or the part of the input.
    pub what: &'static str,
    /// The rule.
    pub expected: String,
    /// What was given.
    pub found: String,
}

impl AugmentationError {
    /// An error about `what`.
    pub fn new(what: &'static str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self { what, expected: expected.into(), found: found.to_string() }
    }
}
