//! LA-GCN, graph convolutions with a branch for each feature matrix.

use burn::config::Config;
use burn::module::{Module, ParamId};
use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Features, Operator};

use super::dropout::check_rate;
use super::init::Start;
use super::network::{check_inputs, ids};
use super::{AugmentedNetwork, DropoutMasks, PreparedGraph};

/// How weights of graph convolutions start.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum ConvolutionStart {
    /// Glorot: uniform in `+-sqrt(6 / (in + out))`; biases 0.
    Glorot,
    /// As in the authors' code: normal with mean `-1 / sqrt(out)` and standard deviation
    /// `1 / sqrt(out)`, weights and biases.
    Published,
}

/// Settings of [`AugmentedGcn`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `num_features`, `num_classes` | | |
/// | `generated` | 1 | number `K` of generated matrices; 0 is the plain network |
/// | `hidden` | 8 | width of each branch |
/// | `dropout` | 0.5 | before both layers |
/// | `start` | `Glorot` | of the weights |
/// | `seed` | 0 | of the start, drawn on the host |
#[derive(Config, Debug)]
pub struct AugmentedGcnConfig {
    /// Number of features of a node.
    pub num_features: usize,
    /// Number of classes.
    pub num_classes: usize,
    /// Number of generated matrices beside the real one.
    #[config(default = 1)]
    pub generated: usize,
    /// Width of each branch.
    #[config(default = 8)]
    pub hidden: usize,
    /// Dropout before both layers.
    #[config(default = 0.5)]
    pub dropout: f64,
    /// How weights start.
    #[config(default = "ConvolutionStart::Glorot")]
    pub start: ConvolutionStart,
    /// Seed of the starting weights.
    #[config(default = 0)]
    pub seed: u64,
}

impl AugmentedGcnConfig {
    /// The network of Kipf and Welling: one branch of width 16 on the real features.
    pub fn plain(num_features: usize, num_classes: usize) -> Self {
        Self::new(num_features, num_classes).with_generated(0).with_hidden(16)
    }

    /// Creates the network on `device`.
    ///
    /// # Panics
    /// If a size is zero or the dropout rate is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> AugmentedGcn {
        let Self { num_features, num_classes, generated, hidden, dropout, .. } = *self;
        assert!(
            num_features > 0 && num_classes > 0 && hidden > 0,
            "AugmentedGcnConfig: num_features, num_classes and hidden must be at least 1, \
             got {num_features}, {num_classes} and {hidden}"
        );
        check_rate("AugmentedGcnConfig", dropout);
        let mut start = Start::new(self.seed, *b"la-gcn  ", device);
        let mut layer = |inputs, outputs| start.convolution(inputs, outputs, self.start);
        let branches = (0..=generated).map(|_| layer(num_features, hidden)).collect();
        AugmentedGcn { branches, output: layer((generated + 1) * hidden, num_classes), dropout }
    }
}

/// LA-GCN: a graph convolution per feature matrix, their outputs side by side, and one more.
///
/// ```text
/// H_k    = relu(A (dropout(X_k) W_k) + b_k)            k = 1..K+1, the real matrix last
/// H      = [H_1 | ... | H_K+1]
/// output = log_softmax(A (dropout(H) W) + b)           A = D^-1/2 (A_0 + I) D^-1/2
/// ```
///
/// with the adjacency matrix `A_0`. Without generated matrices, `K = 0`, it is the graph
/// convolutional network of Kipf and Welling.
///
/// # Shapes
/// - inputs: `K + 1` matrices `[nodes, features]`, the real one last
/// - output: `[nodes, classes]`, log-probabilities
///
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::{
///     AugmentedGcnConfig, AugmentedNetwork, PreparedGraph,
/// };
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let path = Graph::from_entries(3, &[0, 1, 1, 2], &[1, 0, 2, 1])?;
/// let graph = PreparedGraph::new(path, &device);
/// let network = AugmentedGcnConfig::new(4, 2).init(&device);
/// let features = |value: f64| Tensor::<2>::full([3, 4], value, &device).into();
/// let inputs = [features(0.5), features(1.0)]; // generated, real
/// assert_eq!(network.log_probabilities(&graph, &inputs, None).dims(), [3, 2]);
/// # Ok::<(), firebrick_ops::sparse::GraphError>(())
/// ```
///
/// # References
/// S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022; T. Kipf, M. Welling,
/// *Semi-Supervised Classification with Graph Convolutional Networks*, ICLR 2017.
#[derive(Module, Debug)]
pub struct AugmentedGcn {
    /// One layer per feature matrix, that of the real one last.
    pub branches: Vec<Linear>,
    /// From all branches to the classes.
    pub output: Linear,
    dropout: f64,
}

impl AugmentedNetwork for AugmentedGcn {
    fn log_probabilities(
        &self,
        graph: &PreparedGraph,
        inputs: &[Features],
        masks: Option<&DropoutMasks>,
    ) -> Tensor<2> {
        check_inputs("AugmentedGcn", self.branches.len(), inputs);
        let branches = self.branches.iter().zip(inputs).enumerate();
        let outputs = branches.map(|(place, (layer, features))| {
            relu(convolution(
                &graph.operator,
                layer,
                &dropped(features, masks, self.dropout, place),
            ))
        });
        let hidden = Features::Dense(side_by_side(outputs.collect()));
        let hidden = dropped(&hidden, masks, self.dropout, self.branches.len());
        log_softmax(convolution(&graph.operator, &self.output, &hidden), 1)
    }

    fn first_group(&self) -> Vec<ParamId> {
        self.branches.iter().flat_map(ids).collect()
    }
}

/// `A (X W) + b`.
pub(super) fn convolution(operator: &Operator, layer: &Linear, features: &Features) -> Tensor<2> {
    let output = operator.apply(features.matmul(layer.weight.val()));
    match &layer.bias {
        Some(bias) => output + bias.val().unsqueeze(),
        None => output,
    }
}

pub(super) fn dropped(
    features: &Features,
    masks: Option<&DropoutMasks>,
    rate: f64,
    place: usize,
) -> Features {
    match masks {
        Some(masks) => masks.apply_to_features(features, rate, place as u64),
        None => features.clone(),
    }
}

pub(super) fn side_by_side(mut outputs: Vec<Tensor<2>>) -> Tensor<2> {
    match outputs.len() {
        1 => outputs.remove(0),
        _ => Tensor::cat(outputs, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use firebrick_ops::sparse::Graph;

    fn graph(device: &Device) -> PreparedGraph {
        let graph = Graph::from_entries(4, &[0, 1, 1, 2], &[1, 0, 2, 1]).expect("nodes below 4");
        PreparedGraph::new(graph, device)
    }

    fn features(seed: f64, device: &Device) -> Features {
        let values = Tensor::<1>::from_data([0.1, 0.7, 0.3, 0.9, 0.2, 0.8], device) * seed;
        let values = Tensor::cat(vec![values.clone(), values.sin()], 0);
        values.reshape([4, 3]).into()
    }

    #[test]
    fn equal_matrices_with_equal_branches_are_one_wider_network() {
        let device = Device::flex();
        let mut double = AugmentedGcnConfig::new(3, 2).with_hidden(2).init(&device);
        double.branches[1] = double.branches[0].clone();
        let mut wide = AugmentedGcnConfig::plain(3, 2).with_hidden(4).init(&device);
        let weight = double.branches[0].weight.val();
        wide.branches[0].weight = Param::from_tensor(Tensor::cat(vec![weight.clone(), weight], 1));
        wide.output = double.output.clone();
        let x = || features(1.0, &device);
        let found = double.log_probabilities(&graph(&device), &[x(), x()], None);
        let expected = wide.log_probabilities(&graph(&device), &[x()], None);
        let difference = (found - expected).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-6, "{difference}");
    }

    #[test]
    fn each_matrix_has_its_branch() {
        let device = Device::flex();
        let network = AugmentedGcnConfig::new(3, 2).init(&device);
        let run = |first: f64, second: f64| {
            let inputs = [features(first, &device), features(second, &device)];
            network.log_probabilities(&graph(&device), &inputs, None).into_data()
        };
        assert_ne!(run(1.0, 2.0), run(2.0, 1.0));
    }

    #[test]
    fn the_published_start_is_centered_below_zero() {
        let config = AugmentedGcnConfig::new(400, 2).with_start(ConvolutionStart::Published);
        let network = config.with_hidden(16).init(&Device::flex());
        let weight = network.branches[0].weight.val();
        let mean = weight.clone().mean().into_scalar::<f32>();
        let deviation = (weight - f64::from(mean)).square().mean().sqrt().into_scalar::<f32>();
        assert!((mean + 0.25).abs() < 0.02 && (deviation - 0.25).abs() < 0.02);
    }

    #[test]
    #[should_panic(expected = "expected 2 feature matrices with the real one last, got 1")]
    fn names_the_number_of_matrices() {
        let device = Device::flex();
        let network = AugmentedGcnConfig::new(3, 2).init(&device);
        network.log_probabilities(&graph(&device), &[features(1.0, &device)], None);
    }
}
