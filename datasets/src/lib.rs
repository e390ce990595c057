//! Data sets, generators and label noise of Firebrick, as plain host data.
//!
//! Nothing here knows a tensor or a device: a data set is a validated `Vec` with its labels, and the
//! crate that trains turns rows into tensors.
//!
//! | To get | use |
//! |---|---|
//! | 1,797 embedded images of handwritten digits | [`digits()`] |
//! | MNIST, Fashion-MNIST, EMNIST, KMNIST and others in their format | [`idx::load`] |
//! | a Gaussian mixture of known difficulty | [`GaussianMixtureConfig`] |
//! | CIFAR-10 and CIFAR-100 | [`cifar::load_cifar10`], [`cifar::load_cifar100`] |
//! | checkerboard and eight Gaussians in the plane, with their densities | [`PlanarDensity`] |
//! | one signal patch among noise patches, with large and small margins | [`SignalPatchesConfig`] |
//! | graphs: your own, embedded, random | [`graph`] |
//! | graphs that change over time: your own, epidemics, traffic, circular skip links | [`temporal`] |
//! | your own images or vectors, checked | [`ImageSet::new`], [`FeatureSet::new`] |
//! | labels with a known share of errors | [`LabelNoise`], [`NoisyLabels`] |
//! | labels from a text or CSV file | [`label_file::read`] |
//! | weakly and strongly augmented views of images | [`augment`] |
//! | disjoint parts with the same class proportions | [`stratified_split`] |
//! | the order of the samples in an epoch | [`permutation`] |
//!
//! [`ImageSet`] and [`FeatureSet`] share the trait [`LabeledSamples`], so that a training loop takes
//! either.
//!
//! # Randomness
//!
//! Whatever samples takes a seed. The numbers come from ChaCha8 streams keyed by the seed and by
//! what they are used for; a seed gives the same result on every machine, and the same seed may be
//! used for noise, split and order without tying them to each other.
//!
//! # Errors
//!
//! Files and labels from outside never cause a panic: [`DatasetError`] names the file or the data
//! set, the place, what was expected and what was found. Sizes that a file claims are checked before
//! memory is taken for them.
//!
//! # Example
//!
//! ```
//! use firebrick_datasets::{LabelNoise, LabeledSamples, digits, stratified_split};
//!
//! let all = digits();
//! let parts = stratified_split(all.labels(), all.num_classes(), &[1300, 497], 0)?;
//! let train = all.subset(&parts[0]);
//!
//! let noise: LabelNoise = "symmetric:0.4".parse()?;
//! let noisy = noise.apply(train.labels(), train.num_classes(), 0)?;
//! println!("{noise}: {:.1} % of the labels are wrong", 100.0 * noisy.realized_rate);
//! assert!((noisy.realized_rate - 0.4).abs() < 0.06);
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```

pub mod augment;
pub mod cifar;
pub mod digits;
pub mod error;
pub mod features;
mod files;
pub mod graph;
pub mod idx;
pub mod images;
pub mod label_file;
pub mod mixture;
pub mod noise;
pub mod patches;
pub mod planar;
mod random;
pub mod samples;
pub mod split;
pub mod temporal;

pub use digits::digits;
pub use error::DatasetError;
pub use features::FeatureSet;
pub use graph::GraphData;
pub use images::ImageSet;
pub use mixture::GaussianMixtureConfig;
pub use noise::{LabelNoise, NoisyLabels};
pub use patches::{Margin, SignalPatches, SignalPatchesConfig};
pub use planar::PlanarDensity;
pub use samples::LabeledSamples;
pub use split::{permutation, stratified_split};
pub use temporal::TemporalGraphData;
