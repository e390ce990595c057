//! What can be wrong with a graph from outside.

use std::fmt;

/// What can be wrong with the entries, weights or features of a graph.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GraphError {
    /// Sources and targets differ in number.
    Lengths {
        /// Number of sources.
        sources: usize,
        /// Number of targets.
        targets: usize,
    },
    /// An index is negative or not below the number of nodes.
    Index {
        /// `"source"` or `"target"`, or what else is indexed.
        what: &'static str,
        /// Place in the list.
        entry: usize,
        /// The index, as it came.
        found: String,
        /// Number of nodes on that side.
        nodes: usize,
    },
    /// More nodes or entries than 32-bit indices can name.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        found: usize,
    },
    /// A list of values has another length than there are entries.
    Values {
        /// What the values are.
        what: &'static str,
        /// Number of entries.
        expected: usize,
        /// Number of values.
        found: usize,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// What the value is.
        what: &'static str,
        /// Place in the list.
        entry: usize,
        /// The value.
        found: f64,
    },
    /// A degree is negative, so it has no square root.
    NegativeDegree {
        /// The node.
        node: usize,
        /// Its degree.
        found: f64,
    },
    /// Self loops need one set of nodes.
    Rectangular {
        /// Number of source nodes.
        sources: usize,
        /// Number of target nodes.
        targets: usize,
    },
    /// Offsets of compressed rows do not rise from 0 to the number of columns' indices.
    Offsets {
        /// Place in the list of offsets.
        place: usize,
        /// What stands there.
        found: usize,
        /// What it must be at least, or exactly for the first and the last.
        expected: usize,
    },
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lengths { sources, targets } => {
                write!(f, "a graph needs as many sources as targets, found {sources} and {targets}")
            }
            Self::Index { what, entry, found, nodes } => {
                write!(f, "entry {entry}: {what} must be in 0..{nodes}, found {found}")
            }
            Self::TooLarge { what, found } => {
                write!(f, "the number of {what} must be below 2^31, found {found}")
            }
            Self::Values { what, expected, found } => {
                write!(f, "{what}: expected one per entry, {expected}, found {found}")
            }
            Self::NotFinite { what, entry, found } => {
                write!(f, "{what}: entry {entry} must be finite, found {found}")
            }
            Self::NegativeDegree { node, found } => write!(
                f,
                "node {node}: symmetric normalization needs degrees of at least 0, found {found}"
            ),
            Self::Rectangular { sources, targets } => write!(
                f,
                "self loops need as many source as target nodes, found {sources} and {targets}"
            ),
            Self::Offsets { place, found, expected } => {
                write!(f, "row offset {place}: expected {expected}, found {found}")
            }
        }
    }
}

impl std::error::Error for GraphError {}
