//! What can be wrong with a temporal graph from outside.

use firebrick_ops::sparse::GraphError;

/// What can be wrong with the windows of a temporal graph.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TemporalGraphError {
    /// There is no window.
    #[error("a temporal graph needs at least one window")]
    NoWindows,
    /// A window has no step.
    #[error("window {window}: a window needs at least one step")]
    NoSteps {
        /// Number of the window.
        window: usize,
    },
    /// A list has another length than its sizes say.
    #[error("window {window}: expected {expected} {what}, found {found}")]
    Length {
        /// Number of the window.
        window: usize,
        /// What the list holds.
        what: &'static str,
        /// How many values there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The ranges of the steps do not follow each other from 0 to the number of entries.
    #[error("window {window}, step {step}: the range of entries must be {expected}, found {found}")]
    Range {
        /// Number of the window.
        window: usize,
        /// Number of the step.
        step: usize,
        /// The rule, with its numbers.
        expected: String,
        /// The range.
        found: String,
    },
    /// A node does not exist, or there are too many.
    #[error("window {window}: {error}")]
    Graph {
        /// Number of the window.
        window: usize,
        /// What is wrong.
        error: GraphError,
    },
    /// A weight is negative, which -1 for absent entries does not allow.
    #[error(
        "window {window}, entry {entry}: weights must be at least 0 where -1 stands for absent entries, found \
         {found}; use a presence channel"
    )]
    NegativeWeight {
        /// Number of the window.
        window: usize,
        /// Place in the list of entries.
        entry: usize,
        /// The weight.
        found: f64,
    },
    /// Two entries of one step join the same nodes.
    #[error(
        "window {window}, entry {entry}: {from} -> {to} is already in this step; sum duplicates or merge them"
    )]
    Duplicate {
        /// Number of the window.
        window: usize,
        /// Place of the second one in the list of entries.
        entry: usize,
        /// Its source.
        from: u32,
        /// Its target.
        to: u32,
    },
    /// An entry touches a node that is absent at this step.
    #[error("window {window}, entry {entry}: node {node} is absent at step {step}")]
    AbsentNode {
        /// Number of the window.
        window: usize,
        /// Number of the step.
        step: usize,
        /// Place in the list of entries.
        entry: usize,
        /// The node.
        node: u32,
    },
    /// A value is NaN or infinite.
    #[error("window {window}: {what} {place} must be finite, found {found}")]
    NotFinite {
        /// Number of the window.
        window: usize,
        /// What the value is.
        what: &'static str,
        /// Place in the list.
        place: usize,
        /// The value.
        found: f64,
    },
    /// Windows of one batch differ in what they must share.
    #[error("window {window}: {what} must be as in the first window, {expected}, found {found}")]
    Differ {
        /// Number of the window.
        window: usize,
        /// What is to be shared.
        what: &'static str,
        /// What the first window has.
        expected: String,
        /// What this one has.
        found: String,
    },
}
