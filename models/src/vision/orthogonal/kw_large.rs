//! KWLarge: four convolutions and three linear layers.
//!
//! # References
//! - E. Wong, Z. Kolter, *Provable Defenses against Adversarial Examples via the Convex Outer Adversarial
//!   Polytope*, ICML 2018 (the architecture).
//! - A. Trockman, J. Z. Kolter, *Orthogonalizing Convolutional Layers with the Cayley Transform*, ICLR 2021.

use burn::config::Config;
use burn::module::ModuleDisplay;
use burn::tensor::TensorCreationOptions;

use super::builder::NetworkBuilder;
use super::layers::Layers;
use super::network::{LastLayer, OrthogonalNetwork};
use crate::lipschitz::ActivationKind;
use crate::orthogonal::{OrthogonalConv2d, OrthogonalLayer, OrthogonalLinear, OrthogonalMatrix};

/// Settings of KWLarge.
///
/// ```text
/// conv 3x3 (C), conv 2x2 stride 2 (C), conv 3x3 (2C), conv 2x2 stride 2 (2C), linear H, linear H, classes
/// ```
///
/// with the activation between all layers.
#[derive(Config, Debug)]
pub struct KwLargeConfig {
    /// Number of classes.
    pub num_classes: usize,
    /// Channels, height and width of the images; height and width multiples of 4.
    #[config(default = "[3, 32, 32]")]
    pub image_shape: [usize; 3],
    /// Channels `C` of the first convolutions.
    #[config(default = 32)]
    pub base_channels: usize,
    /// Width `H` of the hidden linear layers.
    #[config(default = 512)]
    pub hidden: usize,
    /// The activation.
    #[config(default = "ActivationKind::MaxMin")]
    pub activation: ActivationKind,
    /// The last layer.
    #[config(default = "LastLayer::Matrix")]
    pub last_layer: LastLayer,
}

const NAME: &str = "KwLargeConfig";

impl KwLargeConfig {
    /// Creates the network of SC-Fac layers on a device, or with a device and a float type,
    /// `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a number is zero, the image's sides are no multiples of 4, or the activation does not fit
    /// the channels.
    pub fn init(
        &self,
        options: impl Into<TensorCreationOptions>,
    ) -> OrthogonalNetwork<OrthogonalConv2d, OrthogonalLinear> {
        self.init_with(&mut Layers::sc_fac(options))
    }

    /// Creates the network of other layers.
    ///
    /// # Panics
    /// As [`init`](Self::init).
    pub fn init_with<C, M>(&self, layers: &mut Layers<C, M>) -> OrthogonalNetwork<C, M>
    where
        C: OrthogonalLayer + ModuleDisplay,
        M: OrthogonalMatrix,
    {
        let base = self.base_channels;
        NetworkBuilder::new(NAME, layers, self.image_shape, self.activation)
            .convolution(base, 3, 1)
            .activation()
            .convolution(base, 2, 2)
            .activation()
            .convolution(2 * base, 3, 1)
            .activation()
            .convolution(2 * base, 2, 2)
            .activation()
            .linear(self.hidden)
            .activation()
            .linear(self.hidden)
            .activation()
            .classes(self.num_classes, self.last_layer)
    }
}
