//! LA-GCNII, a deep network that starts from a branch for each feature matrix.

use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::Features;

use super::dropout::check_rate;
use super::gcn::{dropped, side_by_side};
use super::init::Start;
use super::network::check_inputs;
use super::{AugmentedNetwork, DropoutMasks, PreparedGraph};

/// Settings of [`AugmentedGcnii`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `num_features`, `num_classes` | | |
/// | `generated` | 1 | number `K` of generated matrices |
/// | `hidden` | 32 | width of each branch |
/// | `layers` | 64 | number `L` of graph convolutions |
/// | `alpha` | 0.1 | share of the start in every layer |
/// | `lambda` | 0.5 | how slowly the share of the identity grows |
/// | `dropout` | 0.6 | before every layer |
/// | `seed` | 0 | of the start, drawn on the host |
#[derive(Config, Debug)]
pub struct AugmentedGcniiConfig {
    /// Number of features of a node.
    pub num_features: usize,
    /// Number of classes.
    pub num_classes: usize,
    /// Number of generated matrices beside the real one.
    #[config(default = 1)]
    pub generated: usize,
    /// Width of each branch.
    #[config(default = 32)]
    pub hidden: usize,
    /// Number of graph convolutions.
    #[config(default = 64)]
    pub layers: usize,
    /// Share of the start in every layer.
    #[config(default = 0.1)]
    pub alpha: f64,
    /// Sets the share of the trained matrix in layer `l`, `ln(lambda / l + 1)`.
    #[config(default = 0.5)]
    pub lambda: f64,
    /// Dropout before every layer.
    #[config(default = 0.6)]
    pub dropout: f64,
    /// Seed of the starting weights: uniform in `+-1 / sqrt(in)` for linear layers, `+-1 / sqrt(out)`
    /// for convolutions, drawn on the host.
    #[config(default = 0)]
    pub seed: u64,
}

impl AugmentedGcniiConfig {
    /// Creates the network on `device`.
    ///
    /// # Panics
    /// If a size is zero, the dropout rate is not in `[0, 1)`, `alpha` is not in `[0, 1]` or
    /// `lambda` is negative.
    pub fn init(&self, device: &Device) -> AugmentedGcnii {
        let Self { num_features, num_classes, generated, hidden, alpha, lambda, .. } = *self;
        assert!(
            num_features > 0 && num_classes > 0 && hidden > 0 && self.layers > 0,
            "AugmentedGcniiConfig: num_features, num_classes, hidden and layers must be at least 1, \
             got {num_features}, {num_classes}, {hidden} and {}",
            self.layers
        );
        assert!(
            (0.0..=1.0).contains(&alpha) && lambda >= 0.0,
            "AugmentedGcniiConfig: alpha must be in [0, 1] and lambda at least 0, \
             got {alpha} and {lambda}"
        );
        check_rate("AugmentedGcniiConfig", self.dropout);
        let mut start = Start::new(self.seed, *b"la-gcnii", device);
        let width = (generated + 1) * hidden;
        let bound = 1.0 / (width as f64).sqrt();
        AugmentedGcnii {
            branches: (0..=generated).map(|_| start.linear(num_features, hidden)).collect(),
            convolutions: (0..self.layers)
                .map(|_| Param::from_tensor(start.uniform([width, width], bound)))
                .collect(),
            output: start.linear(width, num_classes),
            alpha,
            lambda,
            dropout: self.dropout,
        }
    }
}

/// LA-GCNII: a linear layer per feature matrix, their outputs side by side, and a deep network whose
/// layers keep a share of the start and a share of the identity.
///
/// ```text
/// X_0    = [relu(dropout(X_1) V_1 + c_1) | ... ]              the real matrix last
/// P      = A dropout(H_l-1),  R = (1 - alpha) P + alpha X_0,  beta_l = ln(lambda / l + 1)
/// H_l    = relu((1 - beta_l) R + beta_l R W_l)                l = 1..L, H_0 = X_0
/// output = log_softmax(dropout(H_L) V + c)
/// ```
///
/// where `A` is the symmetrically normalized adjacency matrix with self loops.
///
/// # Shapes
/// - inputs: `K + 1` matrices `[nodes, features]`, the real one last
/// - output: `[nodes, classes]`, log-probabilities
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::{
///     AugmentedGcniiConfig, AugmentedNetwork, PreparedGraph,
/// };
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let path = Graph::from_entries(3, &[0, 1, 1, 2], &[1, 0, 2, 1])?;
/// let graph = PreparedGraph::new(path, &device);
/// let network = AugmentedGcniiConfig::new(4, 2).with_layers(8).init(&device);
/// let features = |value: f64| Tensor::<2>::full([3, 4], value, &device).into();
/// let inputs = [features(0.5), features(1.0)]; // generated, real
/// assert_eq!(network.log_probabilities(&graph, &inputs, None).dims(), [3, 2]);
/// # Ok::<(), firebrick_ops::sparse::GraphError>(())
/// ```
///
/// # References
/// S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022; M. Chen et al., *Simple
/// and Deep Graph Convolutional Networks*, ICML 2020.
#[derive(Module, Debug)]
pub struct AugmentedGcnii {
    /// One linear layer per feature matrix, that of the real one last.
    pub branches: Vec<Linear>,
    /// `W_l`, each `[width, width]`.
    pub convolutions: Vec<Param<Tensor<2>>>,
    /// From the last layer to the classes.
    pub output: Linear,
    alpha: f64,
    lambda: f64,
    dropout: f64,
}

impl AugmentedNetwork for AugmentedGcnii {
    fn log_probabilities(
        &self,
        graph: &PreparedGraph,
        inputs: &[Features],
        masks: Option<&DropoutMasks>,
    ) -> Tensor<2> {
        check_inputs("AugmentedGcnii", self.branches.len(), inputs);
        let drop = |x: Tensor<2>, place: usize| match masks {
            Some(masks) => masks.apply(x, self.dropout, place as u64),
            None => x,
        };
        let branches = self.branches.iter().zip(inputs).enumerate();
        let outputs = branches.map(|(place, (layer, features))| {
            let product = dropped(features, masks, self.dropout, place).matmul(layer.weight.val());
            relu(with_bias(product, layer))
        });
        let first = side_by_side(outputs.collect());
        let mut hidden = first.clone();
        let start = first * self.alpha;
        for (index, weight) in self.convolutions.iter().enumerate() {
            let propagated = graph.operator.apply(drop(hidden, self.branches.len() + index));
            let mixed = propagated * (1.0 - self.alpha) + start.clone();
            let beta = (self.lambda / (index + 1) as f64 + 1.0).ln();
            hidden = relu(mixed.clone() * (1.0 - beta) + mixed.matmul(weight.val()) * beta);
        }
        let last = self.branches.len() + self.convolutions.len();
        log_softmax(self.output.forward(drop(hidden, last)), 1)
    }

    /// The graph convolutions.
    fn first_group(&self) -> Vec<ParamId> {
        self.convolutions.iter().map(|weight| weight.id).collect()
    }
}

fn with_bias(product: Tensor<2>, layer: &Linear) -> Tensor<2> {
    match &layer.bias {
        Some(bias) => product + bias.val().unsqueeze(),
        None => product,
    }
}
