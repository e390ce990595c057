//! GRAND, which propagates features of randomly dropped nodes and reads one matrix at a time.

use burn::config::Config;
use burn::module::{Module, ParamId};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor, assert_shape};
use firebrick_ops::sparse::{Features, Operator};

use super::dropout::check_rate;
use super::init::Start;
use super::network::{check_inputs, ids};
use super::{AugmentedNetwork, DropoutMasks, PreparedGraph};

/// Settings of [`Grand`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `num_features`, `num_classes` | | |
/// | `hidden` | 32 | width of the hidden layer |
/// | `order` | 8 | largest power of the adjacency matrix |
/// | `node_dropout` | 0.5 | `delta`, share of the rows dropped before propagation |
/// | `input_dropout`, `hidden_dropout` | 0.5 | before the two linear layers |
/// | `batch_norm` | false | normalization before both |
/// | `seed` | 0 | of the starting weights |
#[derive(Config, Debug)]
pub struct GrandConfig {
    /// Number of features of a node.
    pub num_features: usize,
    /// Number of classes.
    pub num_classes: usize,
    /// Width of the hidden layer.
    #[config(default = 32)]
    pub hidden: usize,
    /// Largest power of the adjacency matrix.
    #[config(default = 8)]
    pub order: usize,
    /// Probability that the row of a node is dropped before propagation.
    #[config(default = 0.5)]
    pub node_dropout: f64,
    /// Dropout before the first layer.
    #[config(default = 0.5)]
    pub input_dropout: f64,
    /// Dropout before the second layer.
    #[config(default = 0.5)]
    pub hidden_dropout: f64,
    /// Batch normalization before both layers.
    #[config(default = false)]
    pub batch_norm: bool,
    /// Seed of the starting weights: uniform in `+-1 / sqrt(inputs)`, drawn on the host.
    #[config(default = 0)]
    pub seed: u64,
}

impl GrandConfig {
    /// Creates the network on `device`.
    ///
    /// # Panics
    /// If a size is zero or a dropout rate is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> Grand {
        let Self { num_features, num_classes, hidden, order, .. } = *self;
        assert!(
            num_features > 0 && num_classes > 0 && hidden > 0,
            "GrandConfig: num_features, num_classes and hidden must be at least 1, \
             got {num_features}, {num_classes} and {hidden}"
        );
        let rates = [self.node_dropout, self.input_dropout, self.hidden_dropout];
        rates.iter().for_each(|&rate| check_rate("GrandConfig", rate));
        let norm = |columns| self.batch_norm.then(|| BatchNormConfig::new(columns).init(device));
        let mut start = Start::new(self.seed, *b"la-grand", device);
        Grand {
            input: start.linear(num_features, hidden),
            output: start.linear(hidden, num_classes),
            input_norm: norm(num_features),
            hidden_norm: norm(hidden),
            order,
            rates: rates.to_vec(),
        }
    }
}

/// GRAND: a small perceptron on features that were propagated after random nodes were dropped.
///
/// ```text
/// training:    X' = m X,             m = 0 for a whole row with probability delta, not rescaled
/// evaluation:  X' = (1 - delta) X
/// P = 1/(order + 1) sum_{k=0..order} A^k X'
/// output = log_softmax(dropout([norm] relu(dropout([norm] P) W_1 + b_1)) W_2 + b_2)
/// ```
///
/// where `A` is the symmetrically normalized adjacency matrix with self loops. With local
/// augmentation, a step predicts from `S` propagated draws of the real matrix and `S` of one
/// generated matrix, all under one consistency loss; evaluation takes the real matrix alone.
///
/// # Shapes
/// - inputs: one matrix `[nodes, features]`, real or generated
/// - output: `[nodes, classes]`, log-probabilities
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::{
///     AugmentedNetwork, DropoutMasks, GrandConfig, PreparedGraph,
/// };
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let path = Graph::from_entries(3, &[0, 1, 1, 2], &[1, 0, 2, 1])?;
/// let graph = PreparedGraph::new(path, &device);
/// let network = GrandConfig::new(4, 2).init(&device);
/// let real = [Tensor::<2>::ones([3, 4], &device).into()];
/// let masks = DropoutMasks::new(0, 0);
/// assert_eq!(network.log_probabilities(&graph, &real, Some(&masks)).dims(), [3, 2]);
/// # Ok::<(), firebrick_ops::sparse::GraphError>(())
/// ```
///
/// # References
/// W. Feng et al., *Graph Random Neural Networks for Semi-Supervised Learning on Graphs*, NeurIPS
/// 2020; S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022.
#[derive(Module, Debug)]
pub struct Grand {
    /// Features to the hidden layer.
    pub input: Linear,
    /// Hidden layer to classes.
    pub output: Linear,
    /// Normalization of the features.
    pub input_norm: Option<BatchNorm>,
    /// Normalization of the hidden layer.
    pub hidden_norm: Option<BatchNorm>,
    order: usize,
    #[module(skip)]
    rates: Vec<f64>,
}

impl Grand {
    /// Drops nodes and propagates; `masks` is `None` in evaluation.
    ///
    /// # Shapes
    /// - features: `[nodes, features]`
    /// - output: `[nodes, features]`
    ///
    /// # Panics
    /// If the number of nodes is not that of the operator.
    pub fn propagate(
        &self,
        operator: &Operator,
        features: Tensor<2>,
        masks: Option<&DropoutMasks>,
    ) -> Tensor<2> {
        let rate = self.rates[0];
        let features = match masks {
            Some(masks) => {
                let ([nodes, _], device) = (features.dims(), features.device().without_autodiff());
                let kept = masks.rows(nodes, rate, 0, &device, features.dtype());
                drop_nodes(features, kept)
            }
            None => features * (1.0 - rate),
        };
        mixed_order_propagation(operator, features, self.order)
    }

    /// Log-probabilities of the classes, from propagated features.
    ///
    /// # Shapes
    /// - propagated: `[nodes, features]`
    /// - output: `[nodes, classes]`
    ///
    /// # Panics
    /// If the number of features is another.
    pub fn forward(&self, propagated: Tensor<2>, masks: Option<&DropoutMasks>) -> Tensor<2> {
        let features = self.input.weight.dims()[0];
        assert_shape!(propagated, [_, features]);
        let dropped = |x: Tensor<2>, layer: usize| match masks {
            Some(masks) => masks.apply(x, self.rates[layer], layer as u64),
            None => x,
        };
        let normed = |x: Tensor<2>, norm: &Option<BatchNorm>| match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let input = dropped(normed(propagated, &self.input_norm), 1);
        let hidden = normed(relu(self.input.forward(input)), &self.hidden_norm);
        log_softmax(self.output.forward(dropped(hidden, 2)), 1)
    }
}

impl AugmentedNetwork for Grand {
    /// One matrix at a time: the real one or a generated one.
    fn log_probabilities(
        &self,
        graph: &PreparedGraph,
        inputs: &[Features],
        masks: Option<&DropoutMasks>,
    ) -> Tensor<2> {
        check_inputs("Grand", 1, inputs);
        let features = inputs[0].clone().into_dense();
        self.forward(self.propagate(&graph.operator, features, masks), masks)
    }

    fn first_group(&self) -> Vec<ParamId> {
        ids(&self.input)
    }
}

/// Multiplies every row by its entry of `kept`; rows are not rescaled.
///
/// # Shapes
/// - features: `[nodes, features]`
/// - kept: `[nodes, 1]`, zeros and ones
/// - output: `[nodes, features]`
///
/// # Panics
/// If there is not one entry per node.
pub fn drop_nodes(features: Tensor<2>, kept: Tensor<2>) -> Tensor<2> {
    let [nodes, _] = features.dims();
    assert_shape!(kept, [nodes, 1]);
    features * kept
}

/// The mean of the powers 0 to `order` of the operator, applied to `features`.
///
/// # Shapes
/// - features: `[nodes, features]`
/// - output: `[nodes, features]`
///
/// # Panics
/// If the number of nodes is not that of the operator.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::mixed_order_propagation;
/// use firebrick_ops::sparse::{Graph, Normalization};
///
/// let device = Device::flex();
/// let pair = Graph::from_entries(2, &[0, 1], &[1, 0])?;
/// let operator = Normalization::GCN.unweighted(&pair, &device);
/// let features = Tensor::<2>::from_data([[1.0], [0.0]], &device);
/// // 1/2 ([1, 0] + [1/2, 1/2])
/// let mean = mixed_order_propagation(&operator, features, 1).into_data();
/// assert_eq!(mean.iter::<f32>().map(|x| (4.0 * x).round()).collect::<Vec<_>>(), [3.0, 1.0]);
/// # Ok::<(), firebrick_ops::sparse::GraphError>(())
/// ```
pub fn mixed_order_propagation(
    operator: &Operator,
    features: Tensor<2>,
    order: usize,
) -> Tensor<2> {
    let mut power = features.clone();
    let mut sum = features;
    for _ in 0..order {
        power = operator.apply(power);
        sum = sum + power.clone();
    }
    sum * (1.0 / (order + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use firebrick_ops::sparse::{Graph, Normalization};

    fn network(batch_norm: bool) -> Grand {
        GrandConfig::new(3, 2)
            .with_hidden(4)
            .with_order(2)
            .with_batch_norm(batch_norm)
            .init(&Device::flex().autodiff())
    }

    #[test]
    fn evaluation_scales_rows_and_training_drops_them_whole() {
        let (grand, device) = (network(false), Device::flex());
        // Without edges every node keeps to itself.
        let graph = Graph::from_entries::<usize>(50, &[], &[]).expect("no entries");
        let operator = Normalization::GCN.unweighted(&graph, &device);
        let run = |masks: Option<&DropoutMasks>| -> Vec<f32> {
            let ones = Tensor::ones([50, 3], &device);
            grand.propagate(&operator, ones, masks).into_data().iter().collect()
        };
        assert!(run(None).iter().all(|value| (value - 0.5).abs() < 1e-6));
        let trained = run(Some(&DropoutMasks::new(0, 0)));
        let dropped = trained.chunks(3).filter(|row| *row == [0.0; 3]).count();
        let whole = |row: &[f32]| row.iter().all(|value| (value - 1.0).abs() < 1e-6);
        assert_eq!(dropped + trained.chunks(3).filter(|row| whole(row)).count(), 50);
        assert!((5..45).contains(&dropped), "{dropped}");
        assert_ne!(trained, run(Some(&DropoutMasks::new(0, 1))));
    }

    #[test]
    fn rows_of_the_output_are_log_probabilities_with_and_without_normalization() {
        for batch_norm in [false, true] {
            let ones = Tensor::ones([5, 3], &Device::flex().autodiff());
            let output = network(batch_norm).forward(ones, Some(&DropoutMasks::new(0, 0)));
            let sums = output.exp().sum_dim(1).into_data();
            assert!(sums.iter::<f32>().all(|sum| (sum - 1.0).abs() < 1e-5));
        }
    }

    #[test]
    #[should_panic(expected = "dropout must be in [0, 1), got 1")]
    fn refuses_to_drop_all_nodes() {
        GrandConfig::new(3, 2).with_node_dropout(1.0).init(&Device::flex());
    }
}
