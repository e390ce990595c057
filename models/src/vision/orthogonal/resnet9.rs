//! ResNet9: the short residual network of fast training runs.
//!
//! # References
//! A. Trockman, J. Z. Kolter, *Orthogonalizing Convolutional Layers with the Cayley Transform*, ICLR 2021.

use burn::config::Config;
use burn::module::ModuleDisplay;
use burn::tensor::TensorCreationOptions;

use super::branch::{Branch, BranchBuilder};
use super::builder::NetworkBuilder;
use super::layers::Layers;
use super::network::Part;
use super::network::{LastLayer, OrthogonalNetwork};
use super::residual::ResidualBlock;
use crate::lipschitz::ActivationKind;
use crate::lipschitz::AdditiveSkipConfig;
use crate::orthogonal::{OrthogonalConv2d, OrthogonalLayer, OrthogonalLinear, OrthogonalMatrix};

/// Settings of ResNet9.
///
/// ```text
/// conv C, conv 2C, pool 2, residual pair, conv 4C, pool 2, conv 8C, pool 2, residual pair, pool 2,
/// linear H, act, classes
/// ```
///
/// All kernels are 3x3 and every convolution is followed by the activation; a residual pair is two
/// convolutions, joined with their input by a learned convex combination.
#[derive(Config, Debug)]
pub struct OrthogonalResNet9Config {
    /// Number of classes.
    pub num_classes: usize,
    /// Channels, height and width of the images; height and width multiples of 16.
    #[config(default = "[3, 32, 32]")]
    pub image_shape: [usize; 3],
    /// Channels `C` of the first convolution.
    #[config(default = 64)]
    pub base_channels: usize,
    /// Width `H` of the hidden linear layer.
    #[config(default = 512)]
    pub hidden: usize,
    /// The activation.
    #[config(default = "ActivationKind::MaxMin")]
    pub activation: ActivationKind,
    /// The last layer.
    #[config(default = "LastLayer::Matrix")]
    pub last_layer: LastLayer,
}

const NAME: &str = "OrthogonalResNet9Config";

impl OrthogonalResNet9Config {
    /// Creates the network of SC-Fac layers on a device, or with a device and a float type,
    /// `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a number is zero, the image's sides are no multiples of 16, or the activation does not fit
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
        let network = NetworkBuilder::new(NAME, layers, self.image_shape, self.activation)
            .convolution(base, 3, 1)
            .activation()
            .convolution(2 * base, 3, 1)
            .activation()
            .pool(2);
        let network = self
            .pair(network)
            .convolution(4 * base, 3, 1)
            .activation()
            .pool(2)
            .convolution(8 * base, 3, 1)
            .activation()
            .pool(2);
        self.pair(network)
            .pool(2)
            .linear(self.hidden)
            .activation()
            .classes(self.num_classes, self.last_layer)
    }

    fn pair<'a, C, M>(&self, network: NetworkBuilder<'a, C, M>) -> NetworkBuilder<'a, C, M>
    where
        C: OrthogonalLayer + ModuleDisplay,
        M: OrthogonalMatrix,
    {
        let (channels, image) = (network.channels(), network.image());
        network.with_layers(|layers| {
            let residual = BranchBuilder::new(NAME, layers, channels, image)
                .convolution(channels, 3, 1)
                .activation(self.activation)
                .convolution(channels, 3, 1)
                .activation(self.activation)
                .finish();
            let skip = AdditiveSkipConfig::new().init(layers.options().clone());
            let shortcut = Branch { steps: Vec::new() };
            let block = ResidualBlock { shortcut, residual, skip, output: None };
            (Part::Residual(block), [channels, image[0], image[1]])
        })
    }
}
