//! Graph isomorphism network with features of the edges.
//!
//! ```text
//! y[i] = MLP((1 + eps) x[i] + sum over e with d[e] = i of ReLU(x[s[e]] + f[e] W_e + b_e))
//! ```
//!
//! # References
//! W. Hu et al., *Strategies for Pre-training Graph Neural Networks*, ICLR 2020, section 3 and appendix A.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{EdgeTerm, Graph, edge_messages};

use super::common::{biased, check_positive};
use super::gin::Epsilon;
use crate::mlp::{Mlp, MlpConfig};

/// Settings of [`GineConv`].
#[derive(Config, Debug)]
pub struct GineConvConfig {
    /// Widths of the perceptron from the input to the output, at least two.
    pub widths: Vec<usize>,
    /// Number of features of an edge.
    pub d_edge: usize,
    /// What the node's own row counts beside 1, or its start.
    #[config(default = 0.0)]
    pub epsilon: f64,
    /// Whether epsilon is trained.
    #[config(default = false)]
    pub train_epsilon: bool,
}

impl GineConvConfig {
    /// Creates the layer.
    ///
    /// # Panics
    /// If there are fewer than two widths or a size is zero.
    pub fn init(&self, device: &Device) -> GineConv {
        check_positive("GineConvConfig", &[("d_edge", self.d_edge)]);
        let network = MlpConfig::new(self.widths.clone()).init(device);
        GineConv {
            network,
            edge: LinearConfig::new(self.d_edge, self.widths[0]).init(device),
            epsilon: Epsilon::new(self.epsilon, self.train_epsilon, device),
        }
    }
}

/// Graph isomorphism layer whose messages are rectified sums of a node's row and its edge's features.
///
/// ```text
/// y[i] = MLP((1 + eps) x[i] + sum over e with d[e] = i of ReLU(x[s[e]] + f[e] W_e + b_e))
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::GineConvConfig;
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let layer = GineConvConfig::new(vec![3, 8, 5], 2).init(&device);
/// let (x, edges) = (Tensor::ones([2, 3], &device), Tensor::ones([2, 2], &device));
/// assert_eq!(layer.forward(&graph, x, edges).dims(), [2, 5]);
/// ```
///
/// # References
/// W. Hu et al., *Strategies for Pre-training Graph Neural Networks*, ICLR 2020.
#[derive(Module, Debug)]
pub struct GineConv {
    /// The perceptron.
    pub network: Mlp,
    /// From features of an edge to the first width.
    pub edge: Linear,
    /// Beside 1, what the node's own row counts.
    pub epsilon: Epsilon,
}

impl GineConv {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[nodes, first width]`
    /// - edge_features: `[entries, d_edge]`
    /// - output: `[nodes, last width]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, graph: &Graph, x: Tensor<2>, edge_features: Tensor<2>) -> Tensor<2> {
        self.forward_pair(graph, x.clone(), x, edge_features)
    }

    /// Applies the layer to a bipartite graph.
    ///
    /// # Shapes
    /// - source: `[source_nodes, first width]`
    /// - target: `[target_nodes, first width]`
    /// - edge_features: `[entries, d_edge]`
    /// - output: `[target_nodes, last width]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward_pair(
        &self,
        graph: &Graph,
        source: Tensor<2>,
        target: Tensor<2>,
        edge_features: Tensor<2>,
    ) -> Tensor<2> {
        // The bias is the same for all edges, so it can stand with the nodes.
        let source = biased(source, &self.edge.bias);
        let term = EdgeTerm { features: edge_features, weight: self.edge.weight.val() };
        self.network.forward(self.epsilon.scale(target) + edge_messages(graph, source, term))
    }
}
