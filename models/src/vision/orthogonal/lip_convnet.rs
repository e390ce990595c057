//! LipConvNet: a chain of convolutions without skips.
//!
//! # References
//! S. Singla, S. Feizi, *Skew Orthogonal Convolutions*, ICML 2021.

use burn::config::Config;
use burn::module::ModuleDisplay;
use burn::tensor::TensorCreationOptions;

use super::builder::NetworkBuilder;
use super::layers::Layers;
use super::network::{LastLayer, OrthogonalNetwork};
use crate::lipschitz::ActivationKind;
use crate::orthogonal::{OrthogonalConv2d, OrthogonalLayer, OrthogonalLinear, OrthogonalMatrix};

/// Stages of the chain.
const STAGES: usize = 5;

/// Settings of LipConvNet.
///
/// ```text
/// five stages of depth/5 times [conv, act]; the last convolution of a stage has stride 2, twice the kernel
/// and twice the channels; linear to the classes
/// ```
///
/// Where 2 does not divide the image the stride is 1, and kernels are not larger than the image.
#[derive(Config, Debug)]
pub struct LipConvNetConfig {
    /// Number of classes.
    pub num_classes: usize,
    /// Channels, height and width of the images.
    #[config(default = "[3, 32, 32]")]
    pub image_shape: [usize; 3],
    /// Convolutions, a multiple of 5.
    #[config(default = 5)]
    pub depth: usize,
    /// Channels of the first stage.
    #[config(default = 32)]
    pub base_channels: usize,
    /// Height and width of the kernels.
    #[config(default = 3)]
    pub kernel_size: usize,
    /// The activation.
    #[config(default = "ActivationKind::MinMax")]
    pub activation: ActivationKind,
    /// The last layer.
    #[config(default = "LastLayer::Matrix")]
    pub last_layer: LastLayer,
}

const NAME: &str = "LipConvNetConfig";

impl LipConvNetConfig {
    /// Creates the network of SC-Fac layers on a device, or with a device and a float type,
    /// `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If the depth is no positive multiple of 5, a number is zero, or the activation does not fit the
    /// channels.
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
        let depth = self.depth;
        assert!(
            depth > 0 && depth.is_multiple_of(STAGES),
            "{NAME}: depth must be a positive multiple of {STAGES}, got {depth}"
        );
        let mut network = NetworkBuilder::new(NAME, layers, self.image_shape, self.activation);
        for stage in 0..STAGES {
            let channels = self.base_channels << stage;
            for position in 1..=depth / STAGES {
                let [height, width] = network.image();
                let halves = height.is_multiple_of(2) && width.is_multiple_of(2);
                let (outputs, stride) = match position == depth / STAGES {
                    true => (2 * channels, if halves { 2 } else { 1 }),
                    false => (channels, 1),
                };
                // Where there is a stride the image is a multiple of it, and so is the kernel.
                let kernel = (self.kernel_size * stride).min(height.min(width));
                network = network.convolution(outputs, kernel, stride).activation();
            }
        }
        network.classes(self.num_classes, self.last_layer)
    }
}
