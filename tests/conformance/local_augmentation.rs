//! Networks that take generated features, and their generator.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;

use firebrick::models::graph::local_augmentation::{
    AugmentedGat, AugmentedGatConfig, AugmentedGcn, AugmentedGcnConfig, AugmentedGcnii,
    AugmentedGcniiConfig, AugmentedNetwork, AugmentedSage, AugmentedSageConfig,
    ConsistencyLossConfig, DropoutMasks, Grand, GrandConfig, NeighborCvae, NeighborCvaeConfig,
    PreparedGraph,
};
use firebrick::ops::sparse::{Features, Graph};

use crate::subjects::{LABELS, Subject, device_of, host, integers, wave};

/// A path of six nodes.
fn graph(device: &Device) -> PreparedGraph {
    let (from, to): (Vec<usize>, Vec<usize>) =
        (0..5).flat_map(|node| [(node, node + 1), (node + 1, node)]).unzip();
    let graph = Graph::from_entries(6, &from, &to).expect("nodes below 6");
    PreparedGraph::new(graph, &device.clone().without_autodiff())
}

/// A network that reads so many matrices, trained with the consistency loss.
macro_rules! augmented_network {
    ($network:ty, $matrices:expr, $config:expr) => {
        impl Subject for $network {
            fn init(device: &Device) -> Self {
                $config.init(device)
            }

            fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
                let device = device_of(&self).without_autodiff();
                let matrix =
                    |index: usize| Features::Dense(wave([6, 5], 7 * step + index, &device));
                let inputs: Vec<_> = (0..$matrices).map(matrix).collect();
                let outputs = (0..2).map(|sample| {
                    let masks = DropoutMasks::new(1, (2 * step + sample) as u64);
                    self.log_probabilities(&graph(&device), &inputs, Some(&masks))
                });
                let logs = burn::tensor::Tensor::stack(outputs.collect(), 0);
                let (nodes, labels) = (integers(&[0, 1, 2, 4], &device), &LABELS[..4]);
                let loss = ConsistencyLossConfig::new().init();
                let loss = loss.forward(logs, nodes, integers(labels, &device)).total();
                let gradients = GradientsParams::from_grads(loss.backward(), &self);
                optimizer.step(0.05, self, gradients)
            }

            fn output(&self) -> Vec<f32> {
                let device = device_of(self).without_autodiff();
                let matrix = |index: usize| Features::Dense(wave([6, 5], 99 + index, &device));
                let inputs: Vec<_> = (0..$matrices).map(matrix).collect();
                host(self.log_probabilities(&graph(&device), &inputs, None))
            }
        }
    };
}

// Without dropout: that of attention comes from the device's generator, which all trainings share.
augmented_network!(
    AugmentedGat,
    2,
    AugmentedGatConfig::new(5, 3).with_hidden(4).with_heads(2).with_dropout(0.0)
);
augmented_network!(AugmentedGcn, 2, AugmentedGcnConfig::new(5, 3).with_hidden(4));
augmented_network!(
    AugmentedGcnii,
    2,
    AugmentedGcniiConfig::new(5, 3).with_hidden(2).with_layers(3)
);
augmented_network!(
    AugmentedSage,
    2,
    AugmentedSageConfig::new(5, 3).with_hidden(3).with_batch_norm(false)
);
augmented_network!(Grand, 1, GrandConfig::new(5, 3).with_hidden(4).with_order(2));

impl Subject for NeighborCvae {
    fn init(device: &Device) -> Self {
        NeighborCvaeConfig::large_graph(5).with_hidden(4).with_latent(2).init(device)
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let device = device_of(&self).without_autodiff();
        let batch = |seed| wave([6, 5], seed, &device);
        let noise = wave([6, 2], step + 2, &device);
        let loss = self.forward(batch(step), batch(step + 1), noise).loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        optimizer.step(0.05, self, gradients)
    }

    fn output(&self) -> Vec<f32> {
        let device = self.devices().into_iter().next().expect("a module with parameters");
        let device = device.without_autodiff();
        host(self.generate(wave([4, 2], 98, &device), wave([4, 5], 99, &device)))
    }
}
