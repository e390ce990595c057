//! A window of a temporal graph on the host.

use std::ops::Range;

/// How the nodes of a window are connected.
#[derive(Clone, Copy, Debug)]
pub enum Connectivity<'a, V = f32, I = u32> {
    /// Entries of their own at every step.
    Dynamic {
        /// Sources of all entries, step after step.
        sources: &'a [I],
        /// Targets of all entries.
        targets: &'a [I],
        /// The entries of each step: ranges that follow each other from 0 to the number of entries.
        ranges: &'a [Range<usize>],
        /// `[entries, channels]`, row-major; empty for weights of 1.
        weights: &'a [V],
    },
    /// The union of all steps with the sequence of each entry.
    Aggregated {
        /// Source of each entry.
        sources: &'a [I],
        /// Target of each entry.
        targets: &'a [I],
        /// `[entries, steps, channels]`, row-major: -1 where an entry is absent, or with the presence channel
        /// last.
        sequences: &'a [V],
    },
    /// The same entries at all steps.
    Static {
        /// Source of each entry.
        sources: &'a [I],
        /// Target of each entry.
        targets: &'a [I],
        /// `[entries, channels]`, row-major; empty for weights of 1.
        features: &'a [V],
    },
}

/// A window of a temporal graph: nodes with features at every step, and entries between them.
///
/// # Example
/// ```
/// use firebrick_models::temporal::{Connectivity, TemporalGraphConfig, TemporalWindow};
/// use burn::tensor::Device;
///
/// // Two nodes, three steps, one feature; 0 -> 1 at steps 0 and 1, 1 -> 0 at step 2.
/// let window = TemporalWindow {
///     shape: [2, 3, 1],
///     features: &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0],
///     connectivity: Connectivity::Dynamic {
///         sources: &[0u32, 0, 1],
///         targets: &[1, 1, 0],
///         ranges: &[0..1, 1..2, 2..3],
///         weights: &[],
///     },
///     present: None,
/// };
/// let graph = TemporalGraphConfig::new().build(&[window], &Device::flex())?;
/// assert_eq!((graph.nodes(), graph.steps(), graph.union().entries()), (2, 3, 2));
/// # Ok::<(), firebrick_models::temporal::TemporalGraphError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TemporalWindow<'a, V = f32, I = u32> {
    /// Nodes, steps and features of a node.
    pub shape: [usize; 3],
    /// `[nodes, steps, features]`, row-major.
    pub features: &'a [V],
    /// The entries.
    pub connectivity: Connectivity<'a, V, I>,
    /// `[nodes, steps]`, row-major: whether a node is there; all are where nothing is given.
    pub present: Option<&'a [bool]>,
}
