//! Time-and-graph networks, on a window of three steps, one of them without entries.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use firebrick::models::temporal::{
    Connectivity, Dcrnn, DcrnnConfig, Dysat, DysatConfig, EvolveGcnH, EvolveGcnHConfig, EvolveGcnO,
    EvolveGcnOConfig, GcnGru, GcnGruConfig, Gcrn, GcrnConfig, GraphGru, GraphGruConfig,
    TemporalGraph, TemporalGraphConfig, TemporalWindow,
};

use crate::subjects::{Subject, device_of, host, wave};

fn graph(seed: usize, device: &Device) -> TemporalGraph {
    let window = TemporalWindow {
        shape: [5, 3, 2],
        features: &[0.0f32; 30],
        connectivity: Connectivity::Dynamic {
            sources: &[0u32, 1, 3, 1, 2, 4],
            targets: &[1, 2, 1, 0, 1, 4],
            ranges: &[0..3, 3..3, 3..6],
            weights: &[0.5, 1.0, 1.5, 2.0, 0.25, 1.0],
        },
        present: None,
    };
    let graph = TemporalGraphConfig::new().build(&[window], device).expect("a valid window");
    graph.with_features(wave([5, 3, 2], seed, device))
}

macro_rules! temporal_subject {
    ($module:ty, $config:expr) => {
        impl Subject for $module {
            fn init(device: &Device) -> Self {
                $config.with_d_hidden(4).init(device)
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
    };
}

temporal_subject!(Dcrnn, DcrnnConfig::new(2));
temporal_subject!(Dysat, DysatConfig::new(2).with_max_steps(Some(3)));
temporal_subject!(EvolveGcnH, EvolveGcnHConfig::new(2));
temporal_subject!(EvolveGcnO, EvolveGcnOConfig::new(2));
temporal_subject!(GcnGru, GcnGruConfig::new(2));
temporal_subject!(Gcrn, GcrnConfig::new(2).with_skip(true).with_peepholes(true));
temporal_subject!(GraphGru, GraphGruConfig::new(2).with_skip(true));
