//! Orthogonal ResNet: residual blocks with additive skips, no normalization.
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022, section 4 and appendix E.

use burn::config::Config;
use burn::module::ModuleDisplay;
use burn::tensor::TensorCreationOptions;

use super::builder::NetworkBuilder;
use super::builder::blocks_of;
use super::layers::Layers;
use super::network::{LastLayer, OrthogonalNetwork};
use super::residual::{Downsampling, ResidualBlockConfig};
use crate::lipschitz::ActivationKind;
use crate::orthogonal::{OrthogonalConv2d, OrthogonalLayer, OrthogonalLinear, OrthogonalMatrix};

/// Settings of an orthogonal ResNet of `6m + 2` layers.
///
/// ```text
/// conv C, act; three stages of m residual blocks with 2C, 4C, 8C channels, each halving the image first;
/// pool 2; linear F -> F/4, act, classes
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::vision::orthogonal::OrthogonalResNetConfig;
///
/// let device = Device::flex();
/// let config = OrthogonalResNetConfig::new(10).with_depth(8).with_base_channels(2);
/// let network = config.with_image_shape([1, 16, 16]).init(&device);
/// assert_eq!(network.forward(Tensor::ones([2, 1, 16, 16], &device)).dims(), [2, 10]);
/// ```
#[derive(Config, Debug)]
pub struct OrthogonalResNetConfig {
    /// Number of classes.
    pub num_classes: usize,
    /// Channels, height and width of the images; height and width multiples of 16.
    #[config(default = "[3, 32, 32]")]
    pub image_shape: [usize; 3],
    /// Layers, `6m + 2`.
    #[config(default = 20)]
    pub depth: usize,
    /// Channels `C` of the first convolution.
    #[config(default = 64)]
    pub base_channels: usize,
    /// Height and width of the kernels.
    #[config(default = 3)]
    pub kernel_size: usize,
    /// How blocks halve the image.
    #[config(default = "Downsampling::Pool")]
    pub downsampling: Downsampling,
    /// The activation.
    #[config(default = "ActivationKind::MaxMin")]
    pub activation: ActivationKind,
    /// The last layer.
    #[config(default = "LastLayer::Matrix")]
    pub last_layer: LastLayer,
}

const NAME: &str = "OrthogonalResNetConfig";

impl OrthogonalResNetConfig {
    /// Creates the network of SC-Fac layers on a device, or with a device and a float type,
    /// `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If the depth is not `6m + 2`, a number is zero, the image's sides are no multiples of 16, or the
    /// activation does not fit the channels.
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
        let blocks = blocks_of(NAME, self.depth, 2);
        let mut network = NetworkBuilder::new(NAME, layers, self.image_shape, self.activation)
            .convolution(self.base_channels, self.kernel_size, 1)
            .activation();
        for stage in 1..4 {
            for block in 0..blocks {
                let channels = [network.channels(), self.base_channels << stage];
                let block = ResidualBlockConfig::new(channels)
                    .with_kernel_size(self.kernel_size)
                    .with_stride(if block == 0 { 2 } else { 1 })
                    .with_downsampling(self.downsampling)
                    .with_activation(self.activation);
                network = network.residual(&block);
            }
        }
        let network = network.pool(2);
        let hidden = network.features() / 4;
        network.linear(hidden).activation().classes(self.num_classes, self.last_layer)
    }
}
