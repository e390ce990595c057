//! Equilibrium layers.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use firebrick::models::deq::{
    Deq, DeqConfig, DeqLayer, DeqLayerConfig, SpectralNorm, SpectralNormConfig, WeightNorm,
    WeightNormConfig,
};

use crate::subjects::{Subject, device_of, host, wave};

/// Tight, so that a solve is the same to rounding on every backend.
fn block() -> Deq {
    let config = DeqConfig::new();
    let forward = config.forward.clone().with_tolerance(1e-6);
    config.with_forward(forward).init()
}

impl Subject for DeqLayer {
    fn init(device: &Device) -> Self {
        DeqLayerConfig::new(3, 5).with_gain(0.3).init(device)
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let output = self.forward(&block(), wave([4, 3], step, &device_of(&self))).state;
        let target = wave(output.dims(), step + 1, &output.device());
        let loss = (output - target).powi_scalar(2).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        optimizer.step(0.02, self, gradients)
    }

    fn output(&self) -> Vec<f32> {
        host(self.forward(&block(), wave([4, 3], 99, &device_of(self))).state)
    }
}

/// A layer with a normalized weight.
fn layer(weight: Tensor<2>, seed: usize) -> Tensor<2> {
    let input = wave([4, 3], seed, &weight.device());
    input.matmul(weight.transpose()).tanh()
}

fn pulled<M: Module>(
    module: M,
    output: Tensor<2>,
    optimizer: &mut ModuleOptimizer,
    step: usize,
) -> M {
    let target = wave(output.dims(), step + 1, &output.device());
    let loss = (output - target).powi_scalar(2).mean();
    let gradients = GradientsParams::from_grads(loss.backward(), &module);
    optimizer.step(0.1, module, gradients)
}

impl Subject for SpectralNorm {
    fn init(device: &Device) -> Self {
        SpectralNormConfig::new().with_learnable(true).init(wave([5, 3], 1, device))
    }

    fn train_step(mut self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        self.advance();
        let output = layer(self.weight(), step);
        pulled(self, output, optimizer, step)
    }

    fn output(&self) -> Vec<f32> {
        host(layer(self.weight(), 99))
    }
}

impl Subject for WeightNorm<2> {
    fn init(device: &Device) -> Self {
        WeightNormConfig::new().init(wave([5, 3], 1, device))
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let output = layer(self.weight(), step);
        pulled(self, output, optimizer, step)
    }

    fn output(&self) -> Vec<f32> {
        host(layer(self.weight(), 99))
    }
}
