//! Training with local augmentation: the generator, its choice, and the network.
//!
//! [`AugmentationData`] puts a graph on a device, [`GeneratorTrainingConfig`] trains the generator of
//! neighbor features and may choose among its states by a score, and [`NodeTrainingConfig`] trains a
//! network whose inputs come from [`Source`]: the real features alone, copies of them, or generated
//! ones.
//!
//! # Example
//! ```
//! use firebrick::datasets::graph::CitationNetworkConfig;
//! use firebrick::graph::local_augmentation::{
//!     AugmentationData, GeneratorTrainingConfig, NodeTrainingConfig, Source,
//! };
//! use firebrick::models::graph::local_augmentation::{
//!     AugmentedGcnConfig, LocalAugmenterConfig, NeighborCvaeConfig,
//! };
//!
//! let device = firebrick::device::parse("flex")?;
//! let network = CitationNetworkConfig::small().generate(0);
//! let data = AugmentationData::new(&network, &device)?;
//!
//! let cvae = NeighborCvaeConfig::new(data.num_features()).with_hidden(16);
//! let training = GeneratorTrainingConfig::new().with_epochs(1);
//! let generator = training.train(cvae.init(&device.clone().autodiff()), &data, |_| {})?;
//! let augmenter = LocalAugmenterConfig::new().init(&generator.cvae, data.raw());
//!
//! let gcn = AugmentedGcnConfig::new(data.num_features(), data.num_classes());
//! let training = NodeTrainingConfig::augmented().with_epochs(2);
//! let source = Source::Generated { augmenter: &augmenter, count: 1 };
//! let trained = training.train(gcn.init(&device.autodiff()), &data, source, |_| {})?;
//! println!("test accuracy {}", trained.report.test_accuracy);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # References
//! S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022.

mod data;
mod evaluation;
mod generator;
mod nodes;
mod scorer;

pub use crate::models::graph::local_augmentation::AugmentationError;
pub use data::AugmentationData;
pub use generator::{GeneratorEpoch, GeneratorTrainingConfig, TrainedGenerator};
pub use nodes::{Fusion, NodeEpoch, NodeReport, NodeTrainingConfig, Source, TrainedNetwork, adam};
pub use scorer::{ScoreRule, ScoringConfig};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
