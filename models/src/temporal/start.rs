//! The start that the networks of this module share: uniform over `+-sqrt(6 / (in + out))`.

use burn::module::Param;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// Uniform by the sizes of a map.
pub(super) fn uniform<const D: usize>(
    shape: [usize; D],
    fan_in: usize,
    fan_out: usize,
    device: &Device,
) -> Param<Tensor<D>> {
    let limit = (6.0 / (fan_in + fan_out) as f64).sqrt();
    Initializer::Uniform { min: -limit, max: limit }.init(shape, device)
}

/// A linear layer whose bias starts in the same range as its weight.
pub(super) fn linear(d_input: usize, d_output: usize, bias: bool, device: &Device) -> Linear {
    let mut layer = LinearConfig::new(d_input, d_output).with_bias(bias).init(device);
    layer.weight = uniform([d_input, d_output], d_input, d_output, device);
    layer.bias = bias.then(|| uniform([d_output], d_input, d_output, device));
    layer
}

pub(super) fn check_positive(name: &str, sizes: &[(&str, usize)]) {
    for (what, size) in sizes {
        assert!(*size > 0, "{name}: {what} must be positive, got {size}");
    }
}
