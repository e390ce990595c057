//! GRAND: a small perceptron on features that were propagated after random nodes were dropped.
//!
//! ```text
//! training:    X' = m X,             m = 0 for a whole row with probability delta, not rescaled
//! evaluation:  X' = (1 - delta) X
//! P = 1/(order + 1) sum_{k=0..order} A^k X'
//! output = log_softmax(dropout(relu(dropout([norm] P) W_1 + b_1)) W_2 + b_2)
//! ```
//!
//! where `A` is the symmetrically normalized adjacency matrix with self loops. With local
//! augmentation, a step predicts from `S` propagated draws of the real matrix and `S` of one
//! generated matrix, all under one consistency loss; evaluation takes the real matrix alone.
//!
//! # References
//! W. Feng et al., *Graph Random Neural Networks for Semi-Supervised Learning on Graphs*, NeurIPS
//! 2020; S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor, TensorData, assert_shape};

use super::StepDropout;
use super::init::Start;

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
        assert!(
            rates.iter().all(|rate| (0.0..1.0).contains(rate)),
            "GrandConfig: dropout rates must be in [0, 1), got {rates:?}"
        );
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

/// The network; see the [module](self).
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
    /// Drops nodes and propagates; `step` applies `A` once, and `dropout` is `None` in evaluation.
    ///
    /// `place` tells apart the draws of one training step.
    ///
    /// # Shapes
    /// - features: `[nodes, features]`
    /// - output: `[nodes, features]`
    pub fn propagate(
        &self,
        features: Tensor<2>,
        dropout: Option<&StepDropout>,
        place: u64,
        step: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let rate = self.rates[0];
        let features = match dropout {
            Some(dropout) => {
                let kept = dropout.with_rate(rate).rows(features.dims()[0], 3 * place);
                let kept = TensorData::new(kept, [features.dims()[0], 1]);
                let device = features.device().without_autodiff();
                drop_nodes(features.clone(), Tensor::from_data(kept, (&device, features.dtype())))
            }
            None => features * (1.0 - rate),
        };
        mixed_order_propagation(features, self.order, step)
    }

    /// Log-probabilities of the classes, from propagated features.
    ///
    /// # Shapes
    /// - propagated: `[nodes, features]`
    /// - output: `[nodes, classes]`
    ///
    /// # Panics
    /// If the number of features is another.
    pub fn forward(
        &self,
        propagated: Tensor<2>,
        dropout: Option<&StepDropout>,
        place: u64,
    ) -> Tensor<2> {
        let features = self.input.weight.dims()[0];
        assert_shape!(propagated, [_, features]);
        let dropped = |x: Tensor<2>, layer: usize| match dropout {
            Some(dropout) => {
                dropout.with_rate(self.rates[layer]).apply(x, 3 * place + layer as u64)
            }
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

/// The mean of the powers 0 to `order` of a propagation `step`, applied to `features`.
///
/// # Shapes
/// - features: `[nodes, features]`
/// - output: `[nodes, features]`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::mixed_order_propagation;
///
/// let features = Tensor::<2>::ones([3, 2], &Device::flex());
/// // 1/3 (1 + 2 + 4)
/// let mean = mixed_order_propagation(features, 2, |x| x * 2.0).into_data();
/// assert!(mean.iter::<f32>().all(|value| (value - 7.0 / 3.0).abs() < 1e-6));
/// ```
pub fn mixed_order_propagation(
    features: Tensor<2>,
    order: usize,
    step: impl Fn(Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let mut power = features.clone();
    let mut sum = features;
    for _ in 0..order {
        power = step(power);
        sum = sum + power.clone();
    }
    sum * (1.0 / (order + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(batch_norm: bool) -> Grand {
        GrandConfig::new(3, 2)
            .with_hidden(4)
            .with_order(2)
            .with_batch_norm(batch_norm)
            .init(&Device::flex().autodiff())
    }

    #[test]
    fn evaluation_scales_rows_and_training_drops_them_whole() {
        let grand = network(false);
        let ones = || Tensor::<2>::ones([50, 3], &Device::flex());
        let evaluated = grand.propagate(ones(), None, 0, |x| x).into_data();
        assert!(evaluated.iter::<f32>().all(|value| (value - 0.5).abs() < 1e-6));
        let dropout = StepDropout::new(0.5, 0, 0);
        let trained = grand.propagate(ones(), Some(&dropout), 0, |x| x).into_data();
        let trained: Vec<f32> = trained.iter().collect();
        assert!(trained.chunks(3).all(|row| row == [0.0; 3] || row == [1.0; 3]));
        assert!(trained.contains(&0.0) && trained.contains(&1.0));
        let other = grand.propagate(ones(), Some(&dropout), 1, |x| x).into_data();
        assert_ne!(trained, other.iter::<f32>().collect::<Vec<_>>());
    }

    #[test]
    fn rows_of_the_output_are_log_probabilities_with_and_without_normalization() {
        for batch_norm in [false, true] {
            let output = network(batch_norm).forward(
                Tensor::ones([5, 3], &Device::flex().autodiff()),
                Some(&StepDropout::new(0.5, 0, 0)),
                0,
            );
            let sums = output.exp().sum_dim(1).into_data();
            assert!(sums.iter::<f32>().all(|sum| (sum - 1.0).abs() < 1e-5));
        }
    }

    #[test]
    #[should_panic(expected = "dropout rates must be in [0, 1)")]
    fn refuses_to_drop_all_nodes() {
        GrandConfig::new(3, 2).with_node_dropout(1.0).init(&Device::flex());
    }
}
