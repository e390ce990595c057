//! Equilibrium layers.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use firebrick::models::deq::{Deq, DeqConfig, DeqLayer, DeqLayerConfig};

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
