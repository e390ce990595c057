//! LA-SAGE, mean aggregations with a branch for each feature matrix.

use burn::config::Config;
use burn::module::{Module, ParamId};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Features, Graph, mean_neighbors};

use super::dropout::check_rate;
use super::gcn::side_by_side;
use super::init::Start;
use super::network::{check_inputs, ids};
use super::{AugmentedNetwork, DropoutMasks, PreparedGraph};

/// Settings of [`AugmentedSage`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `num_features`, `num_classes` | | |
/// | `generated` | 1 | number `K` of generated matrices |
/// | `hidden` | 128 | width of each branch |
/// | `layers` | 3 | in all, at least 2 |
/// | `dropout` | 0.5 | after every layer but the last |
/// | `batch_norm` | true | before every activation |
/// | `seed` | 0 | of the start, drawn on the host |
#[derive(Config, Debug)]
pub struct AugmentedSageConfig {
    /// Number of features of a node.
    pub num_features: usize,
    /// Number of classes.
    pub num_classes: usize,
    /// Number of generated matrices beside the real one.
    #[config(default = 1)]
    pub generated: usize,
    /// Width of each branch.
    #[config(default = 128)]
    pub hidden: usize,
    /// Number of layers: the branches, those between, and the last one.
    #[config(default = 3)]
    pub layers: usize,
    /// Dropout after every layer but the last.
    #[config(default = 0.5)]
    pub dropout: f64,
    /// Batch normalization before every activation.
    #[config(default = true)]
    pub batch_norm: bool,
    /// Seed of the starting weights: uniform in `+-1 / sqrt(inputs)`, drawn on the host.
    #[config(default = 0)]
    pub seed: u64,
}

impl AugmentedSageConfig {
    /// Creates the network on `device`.
    ///
    /// # Panics
    /// If a size is zero, there are fewer than two layers, or the dropout rate is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> AugmentedSage {
        let Self { num_features, num_classes, generated, hidden, layers, .. } = *self;
        assert!(
            num_features > 0 && num_classes > 0 && hidden > 0 && layers >= 2,
            "AugmentedSageConfig: num_features, num_classes and hidden must be at least 1 and layers \
             at least 2, got {num_features}, {num_classes}, {hidden} and {layers}"
        );
        check_rate("AugmentedSageConfig", self.dropout);
        let mut start = Start::new(self.seed, *b"la-sage ", device);
        let width = (generated + 1) * hidden;
        let mut layer = |inputs, outputs, norm: bool| SageLayer {
            neighbors: start.linear(inputs, outputs),
            root: Linear { bias: None, ..start.linear(inputs, outputs) },
            norm: (norm && self.batch_norm).then(|| BatchNormConfig::new(outputs).init(device)),
        };
        AugmentedSage {
            branches: (0..=generated).map(|_| layer(num_features, hidden, true)).collect(),
            middle: (2..layers).map(|_| layer(width, width, true)).collect(),
            output: layer(width, num_classes, false),
            dropout: self.dropout,
        }
    }
}

/// A mean aggregation with its normalization.
#[derive(Module, Debug)]
pub struct SageLayer {
    /// Applied to the mean of the neighbors.
    pub neighbors: Linear,
    /// Applied to the node itself, without bias.
    pub root: Linear,
    /// Before the activation.
    pub norm: Option<BatchNorm>,
}

impl SageLayer {
    /// Multiplying first or averaging first is the same, and the product is the narrower one.
    fn forward(&self, graph: &Graph, features: &Features) -> Tensor<2> {
        let mean = mean_neighbors(graph, features.matmul(self.neighbors.weight.val()));
        let sum = mean + features.matmul(self.root.weight.val());
        let sum = match &self.neighbors.bias {
            Some(bias) => sum + bias.val().unsqueeze(),
            None => sum,
        };
        match &self.norm {
            Some(norm) => norm.forward(sum),
            None => sum,
        }
    }
}

/// LA-SAGE: a mean aggregation per feature matrix, their outputs side by side, and further ones.
///
/// ```text
/// S(x)   = mean over in-neighbors of (x W) + x V + b
/// H_k    = dropout(relu(norm(S_k(X_k))))               k = 1..K+1, the real matrix last
/// H      = [H_1 | ... | H_K+1],  then layers of that width with norm, relu and dropout
/// output = log_softmax(S(H))
/// ```
///
/// # Shapes
/// - inputs: `K + 1` matrices `[nodes, features]`, the real one last
/// - output: `[nodes, classes]`, log-probabilities
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::{
///     AugmentedNetwork, AugmentedSageConfig, PreparedGraph,
/// };
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let path = Graph::from_entries(3, &[0, 1, 1, 2], &[1, 0, 2, 1])?;
/// let graph = PreparedGraph::new(path, &device);
/// let network = AugmentedSageConfig::new(4, 2).with_hidden(8).init(&device);
/// let features = |value: f64| Tensor::<2>::full([3, 4], value, &device).into();
/// let inputs = [features(0.5), features(1.0)]; // generated, real
/// assert_eq!(network.log_probabilities(&graph, &inputs, None).dims(), [3, 2]);
/// # Ok::<(), firebrick_ops::sparse::GraphError>(())
/// ```
///
/// # References
/// S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022; W. Hamilton et al.,
/// *Inductive Representation Learning on Large Graphs*, NeurIPS 2017.
#[derive(Module, Debug)]
pub struct AugmentedSage {
    /// One layer per feature matrix, that of the real one last.
    pub branches: Vec<SageLayer>,
    /// The layers between.
    pub middle: Vec<SageLayer>,
    /// The last layer.
    pub output: SageLayer,
    dropout: f64,
}

impl AugmentedNetwork for AugmentedSage {
    fn log_probabilities(
        &self,
        graph: &PreparedGraph,
        inputs: &[Features],
        masks: Option<&DropoutMasks>,
    ) -> Tensor<2> {
        check_inputs("AugmentedSage", self.branches.len(), inputs);
        let activate = |x: Tensor<2>, place: usize| match masks {
            Some(masks) => masks.apply(relu(x), self.dropout, place as u64),
            None => relu(x),
        };
        let branches = self.branches.iter().zip(inputs).enumerate();
        let outputs = branches.map(|(place, (layer, features))| {
            activate(layer.forward(&graph.graph, features), place)
        });
        let mut hidden = side_by_side(outputs.collect());
        for (index, layer) in self.middle.iter().enumerate() {
            let output = layer.forward(&graph.graph, &hidden.into());
            hidden = activate(output, self.branches.len() + index);
        }
        log_softmax(self.output.forward(&graph.graph, &hidden.into()), 1)
    }

    fn first_group(&self) -> Vec<ParamId> {
        let of_layer = |layer: &SageLayer| [ids(&layer.neighbors), ids(&layer.root)].concat();
        self.branches.iter().flat_map(of_layer).collect()
    }
}
