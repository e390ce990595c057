//! Graph layers and networks, on a small graph with a self loop, a duplicate and an isolated node.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use firebrick::models::graph::{
    ChebConv, ChebConvConfig, Gat, GatConfig, GatConv, GatConvConfig, Gatv2Conv, Gatv2ConvConfig,
    Gcn, GcnConfig, Gcnii, GcniiConfig, GinConv, GinConvConfig, GineConv, GineConvConfig,
    GraphSage, GraphSageConfig, SgcConv, SgcConvConfig,
};
use firebrick::ops::sparse::{Graph, Normalization, Operator, SparseFeatures};

use crate::subjects::{Subject, device_of, host, wave};

const SOURCES: [usize; 8] = [0, 1, 2, 1, 3, 3, 4, 1];
const TARGETS: [usize; 8] = [1, 0, 1, 2, 3, 4, 3, 0];

fn graph() -> Graph {
    Graph::from_entries(6, &SOURCES, &TARGETS).expect("a valid graph")
}

fn operator(device: &Device) -> Operator {
    Normalization::GCN.unweighted(&graph(), device)
}

fn nodes(seed: usize, device: &Device) -> Tensor<2> {
    wave([6, 4], seed, device)
}

fn edges(seed: usize, device: &Device) -> Tensor<2> {
    wave([8, 2], seed + 7, device)
}

/// A subject from its start and its output for features that depend on a seed.
macro_rules! graph_subject {
    ($module:ty, $config:expr, |$layer:ident, $seed:ident, $device:ident| $forward:expr) => {
        impl Subject for $module {
            fn init(device: &Device) -> Self {
                $config.init(device)
            }

            fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
                let output = {
                    let ($layer, $seed, $device) = (&self, step, &device_of(&self));
                    $forward
                };
                let target = wave(output.dims(), step + 1, &output.device());
                let loss = (output - target).powi_scalar(2).mean();
                let gradients = GradientsParams::from_grads(loss.backward(), &self);
                optimizer.step(0.1, self, gradients)
            }

            fn output(&self) -> Vec<f32> {
                let ($layer, $seed, $device) = (self, 99, &device_of(self));
                host($forward)
            }
        }
    };
}

graph_subject!(ChebConv, ChebConvConfig::new(4, 3, 3), |layer, seed, device| {
    let operator = Normalization::CHEBYSHEV.unweighted(&graph(), device);
    layer.forward(&operator, nodes(seed, device))
});
graph_subject!(Gat, GatConfig::new(4, 3).with_dropout(0.0), |network, seed, device| {
    network.forward(&graph(), nodes(seed, device))
});
graph_subject!(
    GatConv,
    GatConvConfig::new(4, 3).with_heads(2).with_d_edge(Some(2)),
    |layer, seed, device| {
        layer.attend(&graph(), nodes(seed, device), Some(edges(seed, device))).output
    }
);
graph_subject!(
    Gatv2Conv,
    Gatv2ConvConfig::new(4, 3).with_heads(2).with_d_edge(Some(2)),
    |layer, seed, device| {
        layer.attend(&graph(), nodes(seed, device), Some(edges(seed, device))).output
    }
);
graph_subject!(Gcn, GcnConfig::new(4, 5, 3).with_dropout(0.0), |network, seed, device| {
    let sparse = SparseFeatures::from_dense(nodes(seed, device)).expect("finite");
    network.forward(&operator(device), sparse)
});
graph_subject!(
    Gcnii,
    GcniiConfig::new(4, 3).with_d_hidden(5).with_layers(3).with_dropout(0.0),
    |network, seed, device| network.forward(&operator(device), nodes(seed, device))
);
graph_subject!(
    GinConv,
    GinConvConfig::new(vec![4, 5, 3]).with_train_epsilon(true),
    |layer, seed, device| layer.forward(&graph(), nodes(seed, device))
);
graph_subject!(GineConv, GineConvConfig::new(vec![4, 5, 3], 2), |layer, seed, device| {
    layer.forward(&graph(), nodes(seed, device), edges(seed, device))
});
graph_subject!(
    GraphSage,
    GraphSageConfig::new(vec![4, 5, 3]).with_dropout(0.0),
    |network, seed, device| network.forward(&graph(), nodes(seed, device))
);
graph_subject!(SgcConv, SgcConvConfig::new(4, 3), |layer, seed, device| {
    layer.forward(&operator(device), nodes(seed, device))
});
