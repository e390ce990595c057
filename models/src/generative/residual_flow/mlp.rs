//! Residual functions of vectors.

use burn::config::Config;
use burn::tensor::TensorCreationOptions;

use super::contraction::{Contraction, activations, check_coefficient};
use super::step::Seeds;
use crate::orthogonal::{OrthogonalLinear, OrthogonalLinearConfig};

/// Settings of a [`Contraction`] of orthogonal linear layers: `dim -> hidden -> ... -> dim`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::{ContractiveMlpConfig, ResidualFunction};
///
/// let device = Device::flex();
/// let function = ContractiveMlpConfig::new(2, vec![16, 16]).init(&device);
/// let distance = |x: Tensor<2>| x.powi_scalar(2).sum().sqrt().into_scalar::<f32>();
/// let (a, b) = (Tensor::from_data([[1.0, -2.0]], &device), Tensor::from_data([[0.0, 3.0]], &device));
/// let outputs = distance(function.forward(a.clone()) - function.forward(b.clone()));
/// assert!(outputs <= 0.942 * distance(a - b)); // 0.98^3
/// ```
#[derive(Config, Debug)]
pub struct ContractiveMlpConfig {
    /// Length of the vectors.
    pub dim: usize,
    /// Widths of the hidden layers; none for a single layer.
    pub hidden: Vec<usize>,
    /// Factor behind every layer; below 1 for a block that is to be inverted.
    #[config(default = 0.98)]
    pub coefficient: f64,
    /// Whether an activation comes before the first layer; not in the first block of a flow.
    #[config(default = true)]
    pub leading_activation: bool,
    /// Seed of the start; by default it is drawn from the device, as Burn's layers do.
    pub seed: Option<u64>,
}

impl ContractiveMlpConfig {
    /// Creates the function on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a width is zero, or the coefficient is not positive and finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> Contraction<OrthogonalLinear> {
        check_coefficient(self.coefficient);
        let options = options.into();
        let mut seeds = Seeds::new(self.seed);
        let widths = [&[self.dim], &self.hidden[..], &[self.dim]].concat();
        let layer = |pair: &[usize]| {
            OrthogonalLinearConfig::new(pair[0], pair[1])
                .with_bias(true)
                .with_seed(seeds.next())
                .init(options.clone())
        };
        let layers: Vec<OrthogonalLinear> = widths.windows(2).map(layer).collect();
        let activations = activations(layers.len(), self.leading_activation, &options);
        Contraction::new(layers, activations, self.coefficient)
    }
}
