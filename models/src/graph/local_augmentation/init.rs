//! Starting weights that depend on a seed alone.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use firebrick_ops::noise::NoiseKey;

use super::gcn::ConvolutionStart;

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

    /// A graph convolution.
    pub fn convolution(
        &mut self,
        inputs: usize,
        outputs: usize,
        start: ConvolutionStart,
    ) -> Linear {
        let mut layer = LinearConfig::new(inputs, outputs).init(self.device);
        let (weight, bias) = match start {
            ConvolutionStart::Glorot => {
                let bound = (6.0 / (inputs + outputs) as f64).sqrt();
                let bias = Tensor::zeros([outputs], self.device);
                (self.uniform([inputs, outputs], bound), bias)
            }
            ConvolutionStart::Published => {
                let size = 1.0 / (outputs as f64).sqrt();
                (self.normal([inputs, outputs], size), self.normal([outputs], size))
            }
        };
        layer.weight = Param::from_tensor(weight);
        layer.bias = Some(Param::from_tensor(bias));
        layer
    }

    /// Normal values with standard deviation `size` around `-size`.
    fn normal<const D: usize>(&mut self, shape: [usize; D], size: f64) -> Tensor<D> {
        let key = self.key();
        (key.normal(shape, self.device, float_type(self.device)) - 1.0) * size
    }

    /// Values uniform in `+-bound`.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f64) -> Tensor<D> {
        let unit = self.key().uniform(shape, self.device, float_type(self.device));
        (unit * 2.0 - 1.0) * bound
    }

    /// The key of the next tensor.
    fn key(&mut self) -> NoiseKey {
        self.drawn += 1;
        let Self { seed, purpose, drawn, .. } = *self;
        NoiseKey { seed, purpose, stream: drawn, step: 0 }
    }
}

/// The float type of new tensors on a device.
pub(super) fn float_type(device: &Device) -> DType {
    Tensor::<1>::empty([0], device).dtype()
}
