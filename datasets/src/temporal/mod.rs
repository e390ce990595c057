//! Graphs that change over time, on the host: snapshots, windows of them, splits and scaling.
//!
//! | To get | use |
//! |---|---|
//! | your own snapshots, checked | [`TemporalGraphData::from_graphs`], [`from_ranges`](TemporalGraphData::from_ranges), [`from_entries`](TemporalGraphData::from_entries) |
//! | one graph for all steps, as of road sensors | [`TemporalGraphData::unchanging`] |
//! | all entries of a window once, each with its sequence of weights | [`TemporalGraphData::aggregate`] |
//! | circular skip links that change from step to step | [`DynCslConfig`], [`circular_skip_links`] |
//! | mobility and cases of England's regions in spring 2020 | [`england_covid::load`] |
//! | PeMS04, PeMS08 and others in their form | [`pems::load`] |
//! | synthetic traffic in the form of PeMS | [`TrafficConfig`] |
//! | pairs of a history and what follows it | [`Windows`], [`Window`] |
//! | training, validation and test | [`chronological`], [`interleaved`], [`nodes_by_in_degree`] |
//! | values from 0 to 1 | [`MinMaxScaler`] |
//!
//! Every snapshot is a set of directed entries `source -> target` on the same nodes; each entry may
//! have weights in several channels, each node features at every step, and nodes may be absent at
//! some steps.
//!
//! # Example
//! ```
//! use firebrick_datasets::temporal::{Absent, TemporalGraphData};
//!
//! // 0 -> 1 at both steps, 1 -> 2 at the second only.
//! let data = TemporalGraphData::from_ranges("pair", 3, vec![0, 0, 1], vec![1, 1, 2], &[0..1, 1..3])?
//!     .with_weights(1, vec![0.5, 0.25, 4.0])?;
//! let union = data.aggregate(0..2, Absent::MinusOne)?;
//! assert_eq!((union.sources(), union.targets()), (&[0, 1][..], &[1, 2][..]));
//! assert_eq!(union.sequences(), [0.5, -1.0, 0.25, 4.0]);
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```

mod aggregate;
mod batch;
mod data;
mod dyncsl;
pub mod england_covid;
pub mod pems;
mod scaling;
mod split;
#[cfg(test)]
mod tests;
mod traffic;
mod windows;

pub use aggregate::{Absent, UnionGraph};
pub use data::{Duplicates, Entry, TemporalGraphData};
pub use dyncsl::{DynCsl, DynCslConfig, circular_skip_links};
pub use scaling::MinMaxScaler;
pub use split::{Parts, chronological, interleaved, nodes_by_in_degree};
pub use traffic::TrafficConfig;
pub use windows::{Window, Windows};
