//! LA-GAT, attention with a branch for each feature matrix.

use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::tensor::activation::{elu, log_softmax};
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::Features;

use super::dropout::check_rate;
use super::gcn::{dropped, side_by_side};
use super::init::Start;
use super::network::check_inputs;
use super::{AugmentedNetwork, DropoutMasks, PreparedGraph};
use crate::graph::{GatConv, GatConvConfig};

/// Settings of [`AugmentedGat`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `num_features`, `num_classes` | | |
/// | `generated` | 1 | number `K` of generated matrices |
/// | `hidden` | 8 | width of each head of a branch |
/// | `heads` | 4 | of each branch |
/// | `output_heads` | 1 | of the last layer |
/// | `dropout` | 0.6 | of inputs and of attention |
/// | `seed` | 0 | of the start, drawn on the host |
#[derive(Config, Debug)]
pub struct AugmentedGatConfig {
    /// Number of features of a node.
    pub num_features: usize,
    /// Number of classes.
    pub num_classes: usize,
    /// Number of generated matrices beside the real one.
    #[config(default = 1)]
    pub generated: usize,
    /// Width of each head of a branch.
    #[config(default = 8)]
    pub hidden: usize,
    /// Heads of each branch.
    #[config(default = 4)]
    pub heads: usize,
    /// Heads of the last layer.
    #[config(default = 1)]
    pub output_heads: usize,
    /// Dropout of inputs and of attention.
    #[config(default = 0.6)]
    pub dropout: f64,
    /// Seed of the starting weights, Glorot's uniform.
    #[config(default = 0)]
    pub seed: u64,
}

impl AugmentedGatConfig {
    /// Creates the network on `device`.
    ///
    /// # Panics
    /// If a size is zero or the dropout rate is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> AugmentedGat {
        let Self { num_features, num_classes, generated, hidden, heads, output_heads, .. } = *self;
        let sizes = [num_features, num_classes, hidden, heads, output_heads];
        assert!(
            !sizes.contains(&0),
            "AugmentedGatConfig: num_features, num_classes, hidden, heads and output_heads must be \
             at least 1, got {sizes:?}"
        );
        check_rate("AugmentedGatConfig", self.dropout);
        let mut start = Start::new(self.seed, *b"la-gat  ", device);
        let mut layer = |inputs, outputs, heads, concatenate| {
            let mut layer = GatConvConfig::new(inputs, outputs)
                .with_heads(heads)
                .with_concatenate(concatenate)
                .with_dropout(self.dropout)
                .init(device);
            let width = heads * outputs;
            let mut glorot = |shape: [usize; 2], fans: usize| {
                Param::from_tensor(start.uniform(shape, (6.0 / fans as f64).sqrt()))
            };
            layer.weight = glorot([inputs, width], inputs + width);
            layer.source_attention = glorot([heads, outputs], heads + outputs);
            layer.target_attention = glorot([heads, outputs], heads + outputs);
            layer
        };
        AugmentedGat {
            branches: (0..=generated).map(|_| layer(num_features, hidden, heads, true)).collect(),
            output: layer((generated + 1) * hidden * heads, num_classes, output_heads, false),
            dropout: self.dropout,
        }
    }
}

/// LA-GAT: an attention layer per feature matrix, their outputs side by side, and one more.
///
/// ```text
/// H_k    = elu(GAT_k(dropout(X_k)))           k = 1..K+1, heads side by side, the real matrix last
/// output = log_softmax(GAT(dropout([H_1 | ... | H_K+1])))      heads averaged
/// ```
///
/// `GAT` is a [`GatConv`] with self loops. Without generated matrices, `K = 0`, it is a graph
/// attention network of two layers.
///
/// # Shapes
/// - inputs: `K + 1` matrices `[nodes, features]`, the real one last
/// - output: `[nodes, classes]`, log-probabilities
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::{
///     AugmentedGatConfig, AugmentedNetwork, PreparedGraph,
/// };
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let path = Graph::from_entries(3, &[0, 1, 1, 2], &[1, 0, 2, 1])?;
/// let graph = PreparedGraph::new(path, &device);
/// let network = AugmentedGatConfig::new(4, 2).init(&device);
/// let features = |value: f64| Tensor::<2>::full([3, 4], value, &device).into();
/// let inputs = [features(0.5), features(1.0)]; // generated, real
/// assert_eq!(network.log_probabilities(&graph, &inputs, None).dims(), [3, 2]);
/// # Ok::<(), firebrick_ops::sparse::GraphError>(())
/// ```
///
/// # Notes
/// Dropout of attention is that of [`GatConv`], from the device's generator; all else depends on
/// seeds alone. The slope of the attention's LeakyReLU is 0.2, and that of ELU 1.
///
/// # References
/// S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022; P. Veličković et al.,
/// *Graph Attention Networks*, ICLR 2018.
#[derive(Module, Debug)]
pub struct AugmentedGat {
    /// One layer per feature matrix, that of the real one last.
    pub branches: Vec<GatConv>,
    /// From all branches to the classes.
    pub output: GatConv,
    dropout: f64,
}

impl AugmentedNetwork for AugmentedGat {
    fn log_probabilities(
        &self,
        graph: &PreparedGraph,
        inputs: &[Features],
        masks: Option<&DropoutMasks>,
    ) -> Tensor<2> {
        check_inputs("AugmentedGat", self.branches.len(), inputs);
        let branches = self.branches.iter().zip(inputs).enumerate();
        let outputs = branches.map(|(place, (layer, features))| {
            let features = dropped(features, masks, self.dropout, place);
            elu(layer.forward(&graph.graph, features), 1.0)
        });
        let hidden = Features::Dense(side_by_side(outputs.collect()));
        let hidden = dropped(&hidden, masks, self.dropout, self.branches.len());
        log_softmax(self.output.forward(&graph.graph, hidden), 1)
    }

    fn first_group(&self) -> Vec<ParamId> {
        let of_layer = |layer: &GatConv| {
            let bias = layer.bias.as_ref().map(|bias| bias.id);
            let attention = [layer.source_attention.id, layer.target_attention.id];
            [layer.weight.id].into_iter().chain(attention).chain(bias).collect::<Vec<_>>()
        };
        self.branches.iter().flat_map(of_layer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firebrick_ops::sparse::Graph;

    #[test]
    fn one_seed_gives_one_network_and_every_node_log_probabilities() {
        let device = Device::flex();
        let graph = Graph::from_entries(3, &[0, 1], &[1, 0]).expect("nodes below 3");
        let graph = PreparedGraph::new(graph, &device);
        let inputs = [0.5, 1.0].map(|value| Tensor::<2>::full([3, 4], value, &device).into());
        let run = |seed| {
            let network = AugmentedGatConfig::new(4, 2).with_seed(seed).init(&device);
            network.log_probabilities(&graph, &inputs, None)
        };
        assert_eq!(run(1).into_data(), run(1).into_data());
        assert_ne!(run(1).into_data(), run(2).into_data());
        let sums = run(1).exp().sum_dim(1).into_data();
        assert!(sums.iter::<f32>().all(|sum| (sum - 1.0).abs() < 1e-5));
    }
}
