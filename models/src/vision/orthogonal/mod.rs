//! Deep 1-Lipschitz networks of orthogonal layers.
//!
//! | configuration | what |
//! |---|---|
//! | [`OrthogonalCnnConfig`] | three convolutions, for images of 8x8 |
//! | [`OrthogonalResNetConfig`] | residual blocks with additive skips, `6m + 2` layers |
//! | [`OrthogonalWideResNetConfig`] | wider ones, `6m + 4` layers; [`cayley`](OrthogonalWideResNetConfig::cayley) has activations first |
//! | [`OrthogonalShuffleNetConfig`] | concatenative skips, `6m + 2` layers |
//! | [`LipConvNetConfig`] | a chain without skips, any multiple of 5 layers |
//! | [`KwLargeConfig`] | four convolutions, three linear layers |
//! | [`OrthogonalResNet9Config`] | the short residual network of fast training runs |
//!
//! All make an [`OrthogonalNetwork`], with the layers that [`Layers`] supplies: SC-Fac by default, or
//! Cayley, BCOP, AOC, SOC, RKO, plain ones, or your own. [`NetworkBuilder`] puts other networks together.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firebrick_models::vision::orthogonal::{Layers, LipConvNetConfig};
//!
//! let device = Device::flex();
//! let config = LipConvNetConfig::new(10).with_image_shape([1, 8, 8]).with_base_channels(4);
//! let network = config.init(&device);
//! let plain = config.init_with(&mut Layers::plain(&device));
//! assert_eq!(network.forward(Tensor::ones([2, 1, 8, 8], &device)).dims(), [2, 10]);
//! assert_eq!(plain.forward(Tensor::ones([2, 1, 8, 8], &device)).dims(), [2, 10]);
//! ```
//!
//! # References
//! - J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//!   Framework*, ICML 2022, section 4 and appendix E.
//! - A. Trockman, J. Z. Kolter, *Orthogonalizing Convolutional Layers with the Cayley Transform*, ICLR
//!   2021 (KWLarge, ResNet9, WideResNet10-10).
//! - S. Singla, S. Feizi, *Skew Orthogonal Convolutions*, ICML 2021 (LipConvNet).

mod branch;
mod builder;
mod cnn;
mod concatenative;
mod kw_large;
mod layers;
mod lip_convnet;
mod network;
mod residual;
mod resnet;
mod resnet9;
mod shufflenet;
#[cfg(test)]
mod tests;
mod wide_resnet;

pub use branch::{Branch, Step};
pub use builder::NetworkBuilder;
pub use cnn::OrthogonalCnnConfig;
pub use concatenative::{ShuffleBlock, ShuffleBlockConfig};
pub use kw_large::KwLargeConfig;
pub use layers::{ConvolutionPlace, Layers, ScFacOptions};
pub use lip_convnet::LipConvNetConfig;
pub use network::{LastLayer, LayerRef, OrthogonalNetwork, Part};
pub use residual::{Downsampling, ResidualBlock, ResidualBlockConfig};
pub use resnet::OrthogonalResNetConfig;
pub use resnet9::OrthogonalResNet9Config;
pub use shufflenet::OrthogonalShuffleNetConfig;
pub use wide_resnet::OrthogonalWideResNetConfig;
