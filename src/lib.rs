//! **Firebrick - bricks for Burn.**
//!
//! Methods from ICML 2022 for the [Burn](burn) deep-learning framework, written once and run on
//! every device that Burn knows.
//!
//! | method | where | paper |
//! |---|---|---|
//! | SOP, SOP+: robust training under label noise | [`optimizers::sop`] | Liu, Zhu, Qu, You |
//! | Confident learning: label errors from predicted probabilities | [`label_noise`] | Northcutt, Jiang, Chuang |
//! | Linear theory of SOP: gradient descent and its convex limit | [`label_noise`] | Liu, Zhu, Qu, You |
//! | GCE, SCE, ELR, co-teaching: losses under label noise to compare with | [`models::losses`] | Zhang, Sabuncu; Wang et al.; Liu et al.; Han et al. |
//! | Adai, AdaiW, AdaiV2: inertia per coordinate at one learning rate | [`optimizers::adai`] | Xie, Wang, Zhang, Sato, Sugiyama |
//! | EFLD: SGLD, noisy sign-SGD, noisy quantized SGD | [`optimizers::efld`] | Banerjee, Chen, Li, Zhou |
//! | Generalization bounds measured along such a run | [`generalization`] | Banerjee, Chen, Li, Zhou |
//! | Gradient descent with and without momentum on one network | [`momentum`], [`optimizers::averaged_momentum`] | Jelassi, Li |
//! | LA-GCN and others: local augmentation of graph networks | [`models::graph::local_augmentation`], [`graph::local_augmentation`] | Liu, Ying, Dong, Li, Xu, Rong, Zhao, Huang, Wu |
//! | SC-Fac: exactly orthogonal convolutions and linear layers | [`models::orthogonal`] | Su, Byeon, Huang |
//! | Cayley, BCOP, AOC, SOC, RKO, SVCM, Björck, Householder: orthogonal layers to compare with | [`models::orthogonal::alternatives`] | Trockman, Kolter; Li et al.; Boissin et al.; Singla, Feizi; Sedghi et al. |
//! | Deep equilibrium blocks with exact implicit gradients | [`models::deq`] | Bai, Kolter, Koltun; Agarwala, Schoenholz |
//! | GCN, GAT, GATv2, GraphSAGE, GIN, GINE, GCNII, Chebyshev, APPNP, SGC: graph networks | [`models::graph`], [`ops::sparse`] | Kipf, Welling; Veličković et al.; Hamilton et al.; Chen et al.; others |
//! | Time-then-graph and time-and-graph networks for temporal graphs, with data and metrics | [`models::temporal`], [`datasets::temporal`], [`forecasting`] | Gao, Ribeiro |
//! | Residual flows from orthogonal layers: densities, samples, unbiased log-determinants | [`models::generative::residual_flow`] | Chen, Behrmann, Duvenaud, Jacobsen; Su, Byeon, Huang |
//! | Deep 1-Lipschitz networks: families, activations, pooling, skips | [`models::vision::orthogonal`], [`models::lipschitz`] | Su, Byeon, Huang; Anil, Lucas, Grosse |
//! | Certified radii and accuracy, attacks, Lipschitz reports | [`certificates`] | Tsuzuku, Sato, Sugiyama |
//! | Matrix families of equilibrium layers and their theory | [`models::deq::matrix_family`] | Agarwala, Schoenholz |
//!
//! Around them: [`device`] turns names into devices, [`data`] feeds Burn's training loops,
//! [`datasets`] holds loaders, generators and label noise, [`models`] networks, [`ops`] the tensor
//! operations below.
//!
//! # Example
//! ```
//! use firebrick::prelude::*;
//!
//! let device = firebrick::device::parse("flex")?.autodiff();
//! let noisy = LabelNoise::Symmetric { rate: 0.4 }.apply(digits().labels(), 10, 0)?;
//! let data = LabeledDataset::new(digits()).with_labels(noisy.given);
//! let sop = SopConfig::preset(LabelFingerprint::of(data.labels(), 10), SopPreset::SmallData)
//!     .init(&device);
//! assert_eq!(sop.scores().len(), 1797);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Cargo features
//! `flex` (default), `ndarray`, `wgpu`, `vulkan`, `metal`, `webgpu`, `cpu`, `cuda`, `rocm` and
//! `remote` compile Burn's backends in; see [`device`]. `train` adds adapters for Burn's `Learner`.
#![recursion_limit = "256"]

pub mod certificates;
pub mod data;
pub mod device;
pub mod forecasting;
pub mod generalization;
pub mod graph;
pub mod label_noise;
pub mod momentum;
#[cfg(feature = "train")]
pub mod train;

pub use burn;
pub use firebrick_datasets as datasets;
pub use firebrick_models as models;
pub use firebrick_ops as ops;
pub use firebrick_optimizers as optimizers;

/// What most programs need.
pub mod prelude {
    pub use crate::data::{EpochLoader, GraphTensors, LabeledBatch, LabeledDataset};
    pub use crate::datasets::{
        FeatureSet, ImageSet, LabelNoise, LabeledSamples, NoisyLabels, digits, stratified_split,
    };
    pub use crate::models::classifier::Classifier;
    pub use crate::optimizers::adai::{Adai, AdaiConfig, AdaiHandle};
    pub use crate::optimizers::sop::{LabelFingerprint, Sop, SopConfig, SopPreset, SopRouting};
}
