//! Graphs on the host: nodes, entries, features, labels and a split, all checked.
//!
//! | To get | use |
//! |---|---|
//! | your own graph, checked | [`GraphData::new`], [`GraphData::from_edges`] |
//! | a small real graph without any file | [`karate_club()`] |
//! | Cora, Citeseer, Pubmed and data sets in their form | [`planetoid::load`] |
//! | random graphs with planted communities | [`StochasticBlockModelConfig`] |
//! | a random citation network with words as features and the usual split | [`CitationNetworkConfig`] |
//! | training, validation and test nodes | [`NodeSplit`] |
//! | several graphs as one | [`GraphDataBatch`] |
//! | the part of a large graph that a batch of nodes needs | [`NeighborSampler`] |
//! | both directions, no duplicates, self loops | [`GraphData::to_undirected`], [`coalesce`](GraphData::coalesce), [`add_self_loops`](GraphData::add_self_loops), [`remove_self_loops`](GraphData::remove_self_loops) |
//! | parts of a graph | [`GraphData::subgraph`], [`largest_component`](GraphData::largest_component), [`k_hop_subgraph`](GraphData::k_hop_subgraph) |
//! | link prediction | [`GraphData::random_link_split`], [`negative_samples`](GraphData::negative_samples) |
//! | degrees, isolated nodes, homophily | [`GraphData::in_degrees`], [`isolated_nodes`](GraphData::isolated_nodes), [`edge_homophily`](GraphData::edge_homophily) |
//!
//! An entry `source -> target` carries messages from its source to its target. An undirected edge is
//! two entries; a self loop is one.

mod batch;
mod block_model;
mod citation;
pub(crate) mod data;
mod entries;
mod karate;
mod links;
pub mod planetoid;
mod rows;
mod sampling;
mod split;
mod subgraph;

pub use batch::GraphDataBatch;
pub use block_model::StochasticBlockModelConfig;
pub use citation::CitationNetworkConfig;
pub use data::{GraphData, UNLABELED};
pub use entries::Merge;
pub use karate::karate_club;
pub use links::{LinkPart, LinkSplit};
pub use rows::{DenseRows, NodeFeatures, SparseRows};
pub use sampling::{LayerExtent, NeighborSampler, SampledGraph};
pub use split::NodeSplit;
pub use subgraph::Subgraph;
