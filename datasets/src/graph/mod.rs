//! Graphs on the host: nodes, entries, features, labels and a split, all checked.
//!
//! | To get | use |
//! |---|---|
//! | your own graph, checked | [`GraphData::new`] |
//! | a small real graph without any file | [`karate_club()`] |
//! | Cora, Citeseer, Pubmed and data sets in their form | [`planetoid::load`] |
//! | random graphs with planted communities | [`StochasticBlockModelConfig`] |
//! | a random citation network with words as features and the usual split | [`CitationNetworkConfig`] |
//!
//! An entry `source -> target` carries messages from its source to its target. An undirected edge is
//! two entries; a self loop is one.

mod block_model;
mod citation;
mod data;
mod karate;
pub mod planetoid;
mod rows;
mod split;

pub use block_model::StochasticBlockModelConfig;
pub use citation::CitationNetworkConfig;
pub use data::{GraphData, UNLABELED};
pub use karate::karate_club;
pub use rows::{DenseRows, NodeFeatures, SparseRows};
pub use split::NodeSplit;
