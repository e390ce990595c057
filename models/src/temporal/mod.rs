//! Temporal graphs: sequences of snapshots over shared nodes, and networks that read them.
//!
//! | module or type | what |
//! |---|---|
//! | [`TemporalGraph`] | windows on a device: snapshots, their union, sequences of nodes and entries |
//! | [`TemporalGraphConfig`], [`TemporalWindow`] | how it is made from slices on the host |

mod build;
mod error;
mod graph;
mod window;

pub use build::TemporalGraphConfig;
pub use error::TemporalGraphError;
pub use graph::{EdgeFeatures, EdgeSequences, Snapshot, TemporalGraph};
pub use window::{Connectivity, TemporalWindow};
