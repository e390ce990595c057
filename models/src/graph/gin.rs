//! Graph isomorphism network.
//!
//! ```text
//! y[i] = MLP((1 + eps) x[i] + sum over e with d[e] = i of x[s[e]])
//! ```
//!
//! # References
//! K. Xu, W. Hu, J. Leskovec, S. Jegelka, *How Powerful are Graph Neural Networks?*, ICLR 2019, Eq. (4.1).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use firebrick_ops::sparse::{Graph, sum_neighbors};

use crate::mlp::{Mlp, MlpConfig};

/// Settings of [`GinConv`].
#[derive(Config, Debug)]
pub struct GinConvConfig {
    /// Widths of the perceptron from the input to the output, at least two.
    pub widths: Vec<usize>,
    /// What the node's own row counts beside 1, or its start.
    #[config(default = 0.0)]
    pub epsilon: f64,
    /// Whether epsilon is trained.
    #[config(default = false)]
    pub train_epsilon: bool,
}

impl GinConvConfig {
    /// Creates the layer.
    ///
    /// # Panics
    /// If there are fewer than two widths or one is zero.
    pub fn init(&self, device: &Device) -> GinConv {
        GinConv {
            network: MlpConfig::new(self.widths.clone()).init(device),
            epsilon: Epsilon::new(self.epsilon, self.train_epsilon, device),
        }
    }
}

/// `eps`, trained or not.
#[derive(Module, Debug)]
pub struct Epsilon {
    /// `[1]`, if it is trained.
    pub trained: Option<Param<Tensor<1>>>,
    #[module(skip)]
    fixed: f64,
}

impl Epsilon {
    pub(super) fn new(value: f64, trained: bool, device: &Device) -> Self {
        let parameter =
            || Param::from_tensor(Tensor::from_data(TensorData::new(vec![value], [1]), device));
        Self { trained: trained.then(parameter), fixed: value }
    }

    /// `(1 + eps) x`
    pub(super) fn scale(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.trained {
            Some(epsilon) => x * (epsilon.val() + 1.0).unsqueeze(),
            None if self.fixed == 0.0 => x,
            None => x * (1.0 + self.fixed),
        }
    }
}

/// Graph isomorphism layer with a perceptron, ReLU between its linear layers.
///
/// ```text
/// y[i] = MLP((1 + eps) x[i] + sum over e with d[e] = i of x[s[e]])
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::GinConvConfig;
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let layer = GinConvConfig::new(vec![3, 8, 5]).init(&device);
/// assert_eq!(layer.forward(&graph, Tensor::ones([2, 3], &device)).dims(), [2, 5]);
/// ```
///
/// # References
/// K. Xu, W. Hu, J. Leskovec, S. Jegelka, *How Powerful are Graph Neural Networks?*, ICLR 2019, Eq. (4.1).
#[derive(Module, Debug)]
pub struct GinConv {
    /// The perceptron.
    pub network: Mlp,
    /// Beside 1, what the node's own row counts.
    pub epsilon: Epsilon,
}

impl GinConv {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[nodes, first width]`
    /// - output: `[nodes, last width]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, graph: &Graph, x: Tensor<2>) -> Tensor<2> {
        self.forward_pair(graph, x.clone(), x)
    }

    /// Applies the layer to a bipartite graph.
    ///
    /// # Shapes
    /// - source: `[source_nodes, first width]`
    /// - target: `[target_nodes, first width]`
    /// - output: `[target_nodes, last width]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward_pair(&self, graph: &Graph, source: Tensor<2>, target: Tensor<2>) -> Tensor<2> {
        self.network.forward(self.epsilon.scale(target) + sum_neighbors(graph, source))
    }
}
