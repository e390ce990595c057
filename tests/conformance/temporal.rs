//! Time-then-graph, on a small temporal graph whose entries come and go.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use firebrick::models::temporal::{
    Connectivity, Convolution, TemporalGraph, TemporalGraphConfig, TemporalWindow, TimeThenGraph,
    TimeThenGraphConfig,
};

use crate::subjects::{Subject, device_of, host, wave};

fn graph(seed: usize, device: &Device) -> TemporalGraph {
    let window = TemporalWindow {
        shape: [4, 3, 2],
        features: &[0.0f32; 24],
        connectivity: Connectivity::Dynamic {
            sources: &[0u32, 1, 2, 1, 0, 2],
            targets: &[1, 2, 0, 0, 1, 1],
            ranges: &[0..3, 3..4, 4..6],
            weights: &[0.5, 1.0, 2.0, 0.3, 0.7, 1.5],
        },
        present: None,
    };
    let graph = TemporalGraphConfig::new().build(&[window], device).expect("a valid window");
    graph.with_features(wave([4, 3, 2], seed, device))
}

impl Subject for TimeThenGraph {
    fn init(device: &Device) -> Self {
        TimeThenGraphConfig::new(2, 5).with_convolution(Convolution::Gine).init(device)
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let output = self.forward(&graph(step, &device_of(&self)));
        let target = wave(output.dims(), step + 1, &output.device());
        let loss = (output - target).powi_scalar(2).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        optimizer.step(0.1, self, gradients)
    }

    fn output(&self) -> Vec<f32> {
        host(self.forward(&graph(99, &device_of(self))))
    }
}
