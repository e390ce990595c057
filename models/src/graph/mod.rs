//! Graph neural networks: layers, networks that are ready to train, batches of graphs and pooling.
//!
//! | layer | aggregation | takes |
//! |---|---|---|
//! | [`GcnConv`] | `A X W + b` | [`Operator`], usually [`Normalization::GCN`]; with [`Normalization::NONE`] the plain sum |
//! | [`GatConv`], [`Gatv2Conv`] | attention over the neighbors | [`Graph`], features of the edges |
//! | [`SageConv`] | mean, maximum or sum, and the node's own row | [`Graph`], bipartite too |
//! | [`GinConv`], [`GineConv`] | sum, then a perceptron | [`Graph`], features of the edges |
//! | [`GcniiConv`] | `A X` with initial residual and identity mapping | [`Operator`] |
//! | [`ChebConv`] | Chebyshev polynomials of the Laplacian | [`Operator`] of [`Normalization::CHEBYSHEV`] |
//! | [`Appnp`], [`SgcConv`] | many steps of `A` | [`Operator`] |
//!
//! [`Gcn`], [`Gat`], [`GraphSage`] and [`Gcnii`] are networks of these layers. An operator is made once per
//! graph and shared by all layers and steps:
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firebrick_models::graph::GcnConfig;
//! use firebrick_ops::sparse::{Graph, Normalization};
//!
//! let device = Device::flex();
//! let graph = Graph::from_entries(3, &[0, 1, 1, 2], &[1, 0, 2, 1]).unwrap();
//! let operator = Normalization::GCN.unweighted(&graph, &device);
//! let network = GcnConfig::new(4, 16, 2).init(&device);
//! let logits = network.forward(&operator, Tensor::<2>::ones([3, 4], &device));
//! assert_eq!(logits.dims(), [3, 2]);
//! ```
//!
//! Node features are a tensor or [`SparseFeatures`]; layers that multiply them by a matrix first never make
//! them dense, and dropout then drops stored values only.
//!
//! [`Operator`]: firebrick_ops::sparse::Operator
//! [`Graph`]: firebrick_ops::sparse::Graph
//! [`SparseFeatures`]: firebrick_ops::sparse::SparseFeatures
//! [`Normalization::GCN`]: firebrick_ops::sparse::Normalization::GCN
//! [`Normalization::NONE`]: firebrick_ops::sparse::Normalization::NONE
//! [`Normalization::CHEBYSHEV`]: firebrick_ops::sparse::Normalization::CHEBYSHEV

mod appnp;
mod attention;
mod batch;
mod chebyshev;
mod common;
mod gat;
mod gatv2;
mod gcn;
mod gcnii;
mod gin;
mod gine;
mod knowledge;
pub mod local_augmentation;
mod sage;
mod sgc;

pub use appnp::{Appnp, AppnpConfig};
pub use attention::Attended;
pub use batch::{GraphBatch, Pooling};
pub(crate) use chebyshev::polynomials;
pub use chebyshev::{ChebConv, ChebConvConfig};
pub use gat::{EdgeAttention, Gat, GatConfig, GatConv, GatConvConfig};
pub use gatv2::{Gatv2Conv, Gatv2ConvConfig, NodeMap};
pub use gcn::{Gcn, GcnConfig, GcnConv, GcnConvConfig};
pub use gcnii::{Dense, Gcnii, GcniiConfig, GcniiConv, GcniiConvConfig};
pub use gin::{Epsilon, GinConv, GinConvConfig};
pub use gine::{GineConv, GineConvConfig};
pub use knowledge::JumpingKnowledge;
pub use sage::{Aggregation, GraphSage, GraphSageConfig, SageConv, SageConvConfig};
pub use sgc::{SgcConv, SgcConvConfig};

#[cfg(test)]
mod tests;
