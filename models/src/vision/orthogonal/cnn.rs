//! A small network for small images.
//!
//! ```text
//! conv 3x3, act, conv 4x4 stride 2, act, conv 3x3, act, pool 2, linear, act, linear
//! ```
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022, section 4 and appendix E.

use burn::config::Config;
use burn::module::ModuleDisplay;
use burn::tensor::TensorCreationOptions;

use super::builder::NetworkBuilder;
use super::layers::Layers;
use super::network::{LastLayer, OrthogonalNetwork};
use crate::lipschitz::ActivationKind;
use crate::orthogonal::{OrthogonalConv2d, OrthogonalLayer, OrthogonalLinear, OrthogonalMatrix};

/// Settings of a small network for small images.
///
/// ```text
/// conv 3x3, act, conv 4x4 stride 2, act, conv 3x3, act, pool 2, linear, act, linear
/// ```
///
/// With the defaults: 16 channels, 32 behind the stride, 128 features, 64, classes.
#[derive(Config, Debug)]
pub struct OrthogonalCnnConfig {
    /// Number of classes.
    pub num_classes: usize,
    /// Channels, height and width of the images; height and width multiples of 4.
    #[config(default = "[1, 8, 8]")]
    pub image_shape: [usize; 3],
    /// Channels before and behind the stride.
    #[config(default = "[16, 32]")]
    pub channels: [usize; 2],
    /// Width of the hidden linear layer.
    #[config(default = 64)]
    pub hidden: usize,
    /// The activation.
    #[config(default = "ActivationKind::MaxMin")]
    pub activation: ActivationKind,
    /// The last layer.
    #[config(default = "LastLayer::Matrix")]
    pub last_layer: LastLayer,
}

const NAME: &str = "OrthogonalCnnConfig";

impl OrthogonalCnnConfig {
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
        let [first, second] = self.channels;
        NetworkBuilder::new(NAME, layers, self.image_shape, self.activation)
            .convolution(first, 3, 1)
            .activation()
            .convolution(second, 4, 2)
            .activation()
            .convolution(second, 3, 1)
            .activation()
            .pool(2)
            .linear(self.hidden)
            .activation()
            .classes(self.num_classes, self.last_layer)
    }
}
