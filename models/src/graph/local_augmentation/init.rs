//! Starting weights that depend on a seed alone.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use firebrick_ops::noise::NoiseKey;

/// Draws layer after layer from one seed, on the host, so that every device gets the same.
pub(super) struct Start<'a> {
    seed: u64,
    purpose: [u8; 8],
    drawn: u64,
    device: &'a Device,
}

impl<'a> Start<'a> {
    pub fn new(seed: u64, purpose: [u8; 8], device: &'a Device) -> Self {
        Self { seed, purpose, drawn: 0, device }
    }

    /// A linear layer, weights and bias uniform in `+-1 / sqrt(inputs)`.
    pub fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let bound = 1.0 / (inputs as f64).sqrt();
        let mut layer = LinearConfig::new(inputs, outputs).init(self.device);
        layer.weight = Param::from_tensor(self.uniform([inputs, outputs], bound));
        layer.bias = Some(Param::from_tensor(self.uniform([outputs], bound)));
        layer
    }

    /// Values uniform in `+-bound`.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f64) -> Tensor<D> {
        let Self { seed, purpose, drawn, device } = *self;
        self.drawn += 1;
        let key = NoiseKey { seed, purpose, stream: drawn, step: 0 };
        let unit = key.uniform(shape, device, float_type(device));
        (unit * 2.0 - 1.0) * bound
    }
}

/// The float type of new tensors on a device.
pub(super) fn float_type(device: &Device) -> burn::tensor::DType {
    Tensor::<1>::empty([0], device).dtype()
}
