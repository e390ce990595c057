//! Residual functions of images.

use burn::config::Config;
use burn::tensor::TensorCreationOptions;

use super::contraction::{Contraction, activations, check_coefficient};
use super::step::Seeds;
use crate::orthogonal::{OrthogonalConv2d, OrthogonalConv2dConfig};

/// Sides of the kernels of the three layers.
const KERNELS: [usize; 3] = [3, 1, 3];

/// Settings of a [`Contraction`] of three orthogonal convolutions with kernels of 3x3, 1x1 and 3x3:
/// `channels -> hidden -> hidden -> channels`, on periodic images.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::{ContractiveConvConfig, ResidualFunction};
///
/// let device = Device::flex();
/// let function = ContractiveConvConfig::new(4).with_hidden(8).init(&device);
/// assert_eq!(function.forward(Tensor::ones([2, 4, 6, 5], &device)).dims(), [2, 4, 6, 5]);
/// ```
#[derive(Config, Debug)]
pub struct ContractiveConvConfig {
    /// Channels of the images.
    pub channels: usize,
    /// Channels between the layers.
    #[config(default = 512)]
    pub hidden: usize,
    /// Factor behind every layer; below 1 for a block that is to be inverted.
    #[config(default = 0.98)]
    pub coefficient: f64,
    /// Whether an activation comes before the first layer; not in the first block of a flow.
    #[config(default = true)]
    pub leading_activation: bool,
    /// Seed of the start; by default it is drawn from the device, as Burn's layers do.
    pub seed: Option<u64>,
}

impl ContractiveConvConfig {
    /// Creates the function on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a number of channels is zero, or the coefficient is not positive and finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> Contraction<OrthogonalConv2d> {
        check_coefficient(self.coefficient);
        let options = options.into();
        let mut seeds = Seeds::new(self.seed);
        let widths = [self.channels, self.hidden, self.hidden, self.channels];
        let layer = |(pair, kernel): (&[usize], usize)| {
            OrthogonalConv2dConfig::new([pair[0], pair[1]], [kernel; 2])
                .with_bias(true)
                .with_seed(seeds.next())
                .init(options.clone())
        };
        let layers: Vec<OrthogonalConv2d> = widths.windows(2).zip(KERNELS).map(layer).collect();
        let activations = activations(layers.len(), self.leading_activation, &options);
        Contraction::new(layers, activations, self.coefficient)
    }
}
