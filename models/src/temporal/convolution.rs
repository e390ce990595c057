//! The static graph network behind time: two convolutions on the union with the codes of its entries.
//!
//! ```text
//! sum                 P = x W + b,    y[i] = sum over e with d[e] = i of w[e] P[s[e]],    w[e] = mean of q[e]
//! GCN, Chebyshev      scalar weights w[e] = softplus(q[e] W_e + b_e), or q[e] itself if it is one number
//! GAT, GINE           q[e] as features of the entry
//! ```

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{
    EdgeTerm, Graph, Normalization, Operator, edge_messages, spmm, sum_neighbors,
};

use super::activation::{Activation, softplus};
use super::attention::heads_of;
use super::start::{linear, uniform};
use crate::graph::{ChebConv, ChebConvConfig, GatConv, GatConvConfig, GcnConv, GcnConvConfig};

/// How nodes gather from their neighbors in the union.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Convolution {
    /// Weighted sum, without normalization, self loops or activation between the layers.
    Sum,
    /// Kipf and Welling's.
    Gcn,
    /// The same without biases.
    GcnWithoutBias,
    /// Attention, with as many heads as [`heads_of`] the width.
    Gat,
    /// Sum and perceptron; the codes of entries are not read.
    Gin,
    /// Sum of rectified messages and perceptron.
    Gine,
    /// Chebyshev polynomials of two orders.
    Chebyshev,
}

impl Convolution {
    /// Whether entries count by one number each.
    pub(super) fn is_scalar(self) -> bool {
        matches!(self, Self::Gcn | Self::GcnWithoutBias | Self::Chebyshev)
    }
}

/// Weighted sum over the neighbors of a linear map: `y[i] = sum over e with d[e] = i of w[e] (x[s[e]] W + b)`.
///
/// The bias is added before the sum, so a node's degree shows even where all features are equal.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::temporal::GraphSumConfig;
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let layer = GraphSumConfig::new(3, 5).init(&device);
/// let weights = Tensor::<1>::ones([2], &device);
/// assert_eq!(layer.forward(&graph, Tensor::ones([2, 3], &device), weights).dims(), [2, 5]);
/// ```
#[derive(Module, Debug)]
pub struct GraphSum {
    /// The map before the sum.
    pub linear: Linear,
}

/// Settings of [`GraphSum`].
#[derive(Config, Debug)]
pub struct GraphSumConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
}

impl GraphSumConfig {
    /// Creates the layer.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, device: &Device) -> GraphSum {
        let Self { d_input, d_output } = *self;
        let sizes = [("d_input", d_input), ("d_output", d_output)];
        super::start::check_positive("GraphSumConfig", &sizes);
        GraphSum { linear: linear(d_input, d_output, true, device) }
    }
}

impl GraphSum {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[source_nodes, d_input]`
    /// - weights: `[entries]`
    /// - output: `[target_nodes, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, graph: &Graph, x: Tensor<2>, weights: Tensor<1>) -> Tensor<2> {
        spmm(graph, weights, self.linear.forward(x))
    }
}

/// Sum and perceptron with a free activation: `MLP(x[i] + sum of ReLU(x[s] + q W_e + b_e))`, or of `x[s]`
/// without codes of the entries.
#[derive(Module, Debug)]
pub struct GraphPerceptron {
    /// From the codes of entries.
    pub edge: Option<Linear>,
    /// First layer of the perceptron.
    pub hidden: Linear,
    /// Last layer of the perceptron.
    pub output: Linear,
}

impl GraphPerceptron {
    fn new(d_input: usize, d_output: usize, d_edge: Option<usize>, device: &Device) -> Self {
        Self {
            edge: d_edge.map(|d_edge| linear(d_edge, d_input, true, device)),
            hidden: linear(d_input, d_output, true, device),
            output: linear(d_output, d_output, true, device),
        }
    }

    fn forward(&self, graph: &Graph, x: Tensor<2>, codes: Tensor<2>, act: Activation) -> Tensor<2> {
        let gathered = match &self.edge {
            None => sum_neighbors(graph, x.clone()),
            Some(edge) => {
                // The bias is the same for all entries, so it can stand with the nodes.
                let source = match &edge.bias {
                    Some(bias) => x.clone() + bias.val().unsqueeze(),
                    None => x.clone(),
                };
                let term = EdgeTerm { features: codes, weight: edge.weight.val() };
                edge_messages(graph, source, term)
            }
        };
        self.output.forward(act.forward(self.hidden.forward(x + gathered)))
    }
}

/// Layers of one kind.
#[derive(Module, Debug)]
pub enum GraphLayers {
    /// [`Convolution::Sum`]
    Sum(Vec<GraphSum>),
    /// [`Convolution::Gcn`] and [`Convolution::GcnWithoutBias`]
    Gcn(Vec<GcnConv>),
    /// [`Convolution::Gat`]
    Gat(Vec<GatConv>),
    /// [`Convolution::Gin`] and [`Convolution::Gine`]
    Perceptron(Vec<GraphPerceptron>),
    /// [`Convolution::Chebyshev`]
    Chebyshev(Vec<ChebConv>),
}

impl GraphLayers {
    /// Layers from `d_input` to the hidden width, with the start of the module.
    pub(super) fn new(
        convolution: Convolution,
        [d_input, d_hidden, d_edge]: [usize; 3],
        layers: usize,
        device: &Device,
    ) -> Self {
        let input = |layer: usize| if layer == 0 { d_input } else { d_hidden };
        let inputs = (0..layers).map(input);
        let bias = |d_input| Some(uniform([d_hidden], d_input, d_hidden, device));
        match convolution {
            Convolution::Sum => Self::Sum(
                inputs.map(|input| GraphSumConfig::new(input, d_hidden).init(device)).collect(),
            ),
            Convolution::Gcn => Self::Gcn(
                inputs
                    .map(|input| GcnConv {
                        bias: bias(input),
                        ..GcnConvConfig::new(input, d_hidden).init(device)
                    })
                    .collect(),
            ),
            Convolution::GcnWithoutBias => {
                let config = |input| GcnConvConfig::new(input, d_hidden).with_bias(false);
                Self::Gcn(inputs.map(|input| config(input).init(device)).collect())
            }
            Convolution::Gat => Self::Gat(
                inputs
                    .map(|input| {
                        let heads = heads_of(d_hidden);
                        let mut layer = GatConvConfig::new(input, d_hidden / heads)
                            .with_heads(heads)
                            .with_d_edge(Some(d_edge))
                            .init(device);
                        layer.bias = bias(input);
                        layer
                    })
                    .collect(),
            ),
            Convolution::Gin | Convolution::Gine => {
                let edge = (convolution == Convolution::Gine).then_some(d_edge);
                let layer = |input| GraphPerceptron::new(input, d_hidden, edge, device);
                Self::Perceptron(inputs.map(layer).collect())
            }
            Convolution::Chebyshev => Self::Chebyshev(
                inputs
                    .map(|input| ChebConv {
                        bias: bias(input),
                        ..ChebConvConfig::new(input, d_hidden, 2).init(device)
                    })
                    .collect(),
            ),
        }
    }

    /// How scalar weights become an operator.
    pub(super) fn normalization(&self) -> Normalization {
        match self {
            Self::Chebyshev(_) => Normalization::CHEBYSHEV,
            _ => Normalization::GCN,
        }
    }

    /// Applies the layers to the nodes.
    pub(super) fn forward(
        &self,
        graph: &Graph,
        x: Tensor<2>,
        entries: &Entries,
        act: Activation,
    ) -> Tensor<2> {
        match (self, entries) {
            (Self::Sum(layers), Entries::Weights(weights)) => {
                layers.iter().fold(x, |x, layer| layer.forward(graph, x, weights.clone()))
            }
            (Self::Gcn(layers), Entries::Operator(operator)) => {
                chain(layers, x, act, |layer, x| layer.forward(operator, x))
            }
            (Self::Chebyshev(layers), Entries::Operator(operator)) => {
                chain(layers, x, act, |layer, x| layer.forward(operator, x))
            }
            (Self::Gat(layers), Entries::Codes(codes)) => {
                chain(layers, x, act, |layer, x| layer.attend(graph, x, Some(codes.clone())).output)
            }
            (Self::Perceptron(layers), Entries::Codes(codes)) => {
                chain(layers, x, act, |layer, x| layer.forward(graph, x, codes.clone(), act))
            }
            _ => unreachable!("entries are prepared for the layers"),
        }
    }
}

/// What the layers read of the entries.
// There is one per pass, so its size does not matter.
#[allow(clippy::large_enum_variant)]
pub(super) enum Entries {
    /// `[entries]`
    Weights(Tensor<1>),
    /// The normalized matrix.
    Operator(Operator),
    /// `[entries, d_edge]`
    Codes(Tensor<2>),
}

/// Layers with the activation between them.
fn chain<L>(
    layers: &[L],
    x: Tensor<2>,
    act: Activation,
    apply: impl Fn(&L, Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    layers
        .iter()
        .enumerate()
        .fold(x, |x, (index, layer)| apply(layer, if index == 0 { x } else { act.forward(x) }))
}

/// Scalar weights of codes, `[rows, 1]`.
pub(super) fn scalar(transform: &Option<Linear>, codes: Tensor<2>) -> Tensor<2> {
    match transform {
        Some(transform) if codes.dims()[0] > 0 => softplus(transform.forward(codes)),
        Some(_) => Tensor::zeros([0, 1], (&codes.device(), codes.dtype())),
        None => codes,
    }
}
