//! Local augmentation: neighbors that a node could have, generated for the network to learn from.
//!
//! A conditional variational autoencoder learns, over all edges `(i, j)`, the distribution of a
//! neighbor's features given the center's, `p(x_j | x_i)`. Each latent draw then gives one matrix of
//! generated features, which a graph network reads beside the real one; fresh matrices are drawn at
//! every training step, and the predictions from several draws are pulled together. It helps most
//! where nodes have few neighbors.
//!
//! | step | type |
//! |---|---|
//! | pairs of neighbors, batch by batch | [`NeighborPairs`] |
//! | the generator | [`NeighborCvae`] |
//! | which generator to keep | [`agreement_score`] |
//! | matrices for each step | [`LocalAugmenter`] |
//! | networks that take them | [`AugmentedGcn`], [`AugmentedGat`], [`AugmentedGcnii`], [`AugmentedSage`], [`Grand`] |
//! | the loss | [`ConsistencyLoss`] |
//!
//! # References
//! S. Liu, R. Ying, H. Dong, L. Li, T. Xu, Y. Rong, P. Zhao, J. Huang, D. Wu, *Local Augmentation for
//! Graph Neural Networks*, ICML 2022.

mod agreement;
mod augmenter;
mod batch_statistics;
mod consistency;
mod cvae;
mod dropout;
mod error;
mod gat;
mod gcn;
mod gcnii;
mod grand;
mod init;
mod network;
mod pairs;
mod sage;

pub use agreement::{agreement_score, mutual_information};
pub use augmenter::{LocalAugmenter, LocalAugmenterConfig};
pub use batch_statistics::BatchStatistics;
pub use consistency::{
    ConsistencyLoss, ConsistencyLossConfig, ConsistencyOutput, sharpen, supervised_loss,
};
pub use cvae::{
    CvaeOutput, NeighborCvae, NeighborCvaeConfig, NeighborDecoder, NeighborEncoder, Reconstruction,
    normalize_rows,
};
pub use dropout::DropoutMasks;
pub use error::AugmentationError;
pub use gat::{AugmentedGat, AugmentedGatConfig};
pub use gcn::{AugmentedGcn, AugmentedGcnConfig, ConvolutionStart};
pub use gcnii::{AugmentedGcnii, AugmentedGcniiConfig};
pub use grand::{Grand, GrandConfig, drop_nodes, mixed_order_propagation};
pub use network::{AugmentedNetwork, PreparedGraph};
pub use pairs::{NeighborPairs, PairBatch};
pub use sage::{AugmentedSage, AugmentedSageConfig, SageLayer};
