//! Graph attention.
//!
//! ```text
//! h = X W, heads of C columns
//! l[e, k] = LeakyReLU(<h[s, k], a_src[k]> + <h[d, k], a_dst[k]> + <(f[e] W_e)[k], a_edge[k]>)
//! alpha[., k] = softmax of l[., k] over the entries of a target
//! y[i, k] = sum over e with d[e] = i of alpha[e, k] h[s, k],     concatenated or averaged over k, + b
//! ```
//!
//! # References
//! P. Velickovic et al., *Graph Attention Networks*, ICLR 2018, Eqs. (1) to (6).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Features, Graph, gather_sources, gather_targets};

use super::attention::{Attended, Heads};
use super::common::{check_features, check_positive, drop_features, elu, glorot, zeros};

/// Settings of [`GatConv`].
#[derive(Config, Debug)]
pub struct GatConvConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features of a head.
    pub d_output: usize,
    /// Number of heads.
    #[config(default = 1)]
    pub heads: usize,
    /// Whether heads are concatenated; otherwise they are averaged.
    #[config(default = true)]
    pub concatenate: bool,
    /// Slope of LeakyReLU below 0.
    #[config(default = 0.2)]
    pub negative_slope: f64,
    /// Probability of dropout of attention weights.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Whether every node attends to itself: its self loops are replaced by one.
    #[config(default = true)]
    pub self_loops: bool,
    /// Number of features of an edge.
    pub d_edge: Option<usize>,
    /// Whether to add a bias, which starts at zero.
    #[config(default = true)]
    pub bias: bool,
}

const NAME: &str = "GatConv";

impl GatConvConfig {
    /// Creates the layer with Glorot's uniform start.
    ///
    /// # Panics
    /// If a size is zero or the dropout is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> GatConv {
        let Self { d_input, d_output, heads, .. } = *self;
        let sizes = [("d_input", d_input), ("d_output", d_output), ("heads", heads)];
        check_positive("GatConvConfig", &sizes);
        let edge = self.d_edge.map(|d_edge| {
            check_positive("GatConvConfig", &[("d_edge", d_edge)]);
            EdgeAttention {
                weight: glorot(d_edge, heads * d_output, device),
                attention: glorot(heads, d_output, device),
            }
        });
        let outputs = Heads::outputs(heads, d_output, self.concatenate);
        GatConv {
            weight: glorot(d_input, heads * d_output, device),
            source_attention: glorot(heads, d_output, device),
            target_attention: glorot(heads, d_output, device),
            edge,
            bias: self.bias.then(|| zeros(outputs, device)),
            heads: Heads {
                dropout: DropoutConfig::new(self.dropout).init(),
                heads,
                channels: d_output,
                concatenate: self.concatenate,
                negative_slope: self.negative_slope,
                self_loops: self.self_loops,
            },
        }
    }
}

/// The part of attention that reads features of the edges.
#[derive(Module, Debug)]
pub struct EdgeAttention {
    /// `[d_edge, heads * d_output]`
    pub weight: Param<Tensor<2>>,
    /// `[heads, d_output]`
    pub attention: Param<Tensor<2>>,
}

/// Graph attention with several heads; see the formulas in the source of the layer's module and the book.
///
/// ```text
/// l[e, k] = LeakyReLU(<h[s, k], a_src[k]> + <h[d, k], a_dst[k]> + <(f[e] W_e)[k], a_edge[k]>)
/// y[i, k] = sum over e with d[e] = i of softmax(l)[e, k] h[s, k],     h = X W
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::GatConvConfig;
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let layer = GatConvConfig::new(3, 8).with_heads(4).init(&device);
/// let found = layer.attend(&graph, Tensor::<2>::ones([2, 3], &device), None);
/// assert_eq!(found.output.dims(), [2, 32]);
/// // Both neighbors and the nodes themselves: four entries.
/// assert_eq!(found.weights.dims(), [4, 4]);
/// ```
///
/// # References
/// P. Velickovic et al., *Graph Attention Networks*, ICLR 2018.
#[derive(Module, Debug)]
pub struct GatConv {
    /// `[d_input, heads * d_output]`
    pub weight: Param<Tensor<2>>,
    /// `[heads, d_output]`
    pub source_attention: Param<Tensor<2>>,
    /// `[heads, d_output]`
    pub target_attention: Param<Tensor<2>>,
    /// Present if edges have features.
    pub edge: Option<EdgeAttention>,
    /// `[heads * d_output]`, or `[d_output]` where heads are averaged.
    pub bias: Option<Param<Tensor<1>>>,
    heads: Heads,
}

impl GatConv {
    /// Applies the layer without features of the edges.
    ///
    /// # Shapes
    /// - x: `[nodes, d_input]`, dense or sparse
    /// - output: `[nodes, heads * d_output]`, or `[nodes, d_output]` where heads are averaged
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, graph: &Graph, x: impl Into<Features>) -> Tensor<2> {
        self.attend(graph, x, None).output
    }

    /// As [`forward`](Self::forward) with features of the edges, and with the attention weights.
    ///
    /// # Shapes
    /// - edge_features: `[entries, d_edge]`
    ///
    /// # Panics
    /// If a shape disagrees, or features are given to a layer without `d_edge` or are missing in one with it.
    pub fn attend(
        &self,
        graph: &Graph,
        x: impl Into<Features>,
        edge_features: Option<Tensor<2>>,
    ) -> Attended {
        let (graph, features) = self.heads.looped(NAME, graph, edge_features);
        let values = self.values(x.into());
        self.attend_pair(graph, values.clone(), values, features)
    }

    /// Applies the layer to a bipartite graph, such as the block of a sampled neighborhood; no self loops are
    /// added.
    ///
    /// # Shapes
    /// - source: `[source_nodes, d_input]`
    /// - target: `[target_nodes, d_input]`
    /// - edge_features: `[entries, d_edge]`
    /// - output: `[target_nodes, heads * d_output]`, or `[target_nodes, d_output]` where heads are averaged
    ///
    /// # Panics
    /// As [`attend`](Self::attend).
    pub fn forward_pair(
        &self,
        graph: &Graph,
        source: impl Into<Features>,
        target: impl Into<Features>,
        edge_features: Option<Tensor<2>>,
    ) -> Tensor<2> {
        let (source, target) = (self.values(source.into()), self.values(target.into()));
        self.attend_pair(graph.clone(), source, target, edge_features).output
    }

    fn values(&self, x: Features) -> Tensor<2> {
        check_features(NAME, &x, self.weight.val().dims()[0]);
        x.matmul(self.weight.val())
    }

    fn attend_pair(
        &self,
        graph: Graph,
        source: Tensor<2>,
        target: Tensor<2>,
        features: Option<Tensor<2>>,
    ) -> Attended {
        let heads = &self.heads;
        let of_source = source.clone().matmul(heads.inner_products(self.source_attention.val()));
        let of_target = target.matmul(heads.inner_products(self.target_attention.val()));
        let logits = gather_sources(&graph, of_source) + gather_targets(&graph, of_target);
        let logits = match (&self.edge, features) {
            (None, None) => logits,
            (Some(edge), Some(features)) => {
                // <f W_e, a> = f (W_e a): no row per edge of the width of the heads.
                let weight = edge.weight.val().matmul(heads.inner_products(edge.attention.val()));
                logits + features.matmul(weight)
            }
            (edge, features) => panic!(
                "{NAME}: edge features must be given exactly to a layer with d_edge; given: {}, d_edge: {}",
                features.is_some(),
                edge.is_some()
            ),
        };
        let logits = leaky_relu(logits, heads.negative_slope);
        heads.attend(graph, logits, source, &self.bias)
    }
}

/// Settings of [`Gat`].
#[derive(Config, Debug)]
pub struct GatConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of outputs, one per class.
    pub d_output: usize,
    /// Features of a hidden head.
    #[config(default = 8)]
    pub d_hidden: usize,
    /// Hidden heads.
    #[config(default = 8)]
    pub heads: usize,
    /// Heads of the last layer, which are averaged.
    #[config(default = 1)]
    pub output_heads: usize,
    /// Probability of dropout of features and of attention weights.
    #[config(default = 0.6)]
    pub dropout: f64,
    /// Slope of LeakyReLU below 0.
    #[config(default = 0.2)]
    pub negative_slope: f64,
}

impl GatConfig {
    /// Creates the network.
    ///
    /// # Panics
    /// If a size is zero or the dropout is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> Gat {
        let layer = |d_input, d_output, heads, concatenate| {
            GatConvConfig::new(d_input, d_output)
                .with_heads(heads)
                .with_concatenate(concatenate)
                .with_negative_slope(self.negative_slope)
                .with_dropout(self.dropout)
                .init(device)
        };
        Gat {
            hidden: layer(self.d_input, self.d_hidden, self.heads, true),
            output: layer(self.heads * self.d_hidden, self.d_output, self.output_heads, false),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

/// Graph attention network of two layers, with ELU between them and dropout before each.
///
/// # References
/// P. Velickovic et al., *Graph Attention Networks*, ICLR 2018, section 3.3.
#[derive(Module, Debug)]
pub struct Gat {
    /// The hidden layer, whose heads are concatenated.
    pub hidden: GatConv,
    /// The last layer, whose heads are averaged.
    pub output: GatConv,
    /// Dropout of features.
    pub dropout: Dropout,
}

impl Gat {
    /// One row of logits per node. Dropout is on while the weights carry autodiff.
    ///
    /// # Shapes
    /// - x: `[nodes, d_input]`, dense or sparse
    /// - output: `[nodes, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, graph: &Graph, x: impl Into<Features>) -> Tensor<2> {
        let x = drop_features(&self.dropout, x.into(), &self.hidden.weight);
        let hidden = Features::Dense(elu(self.hidden.forward(graph, x)));
        let hidden = drop_features(&self.dropout, hidden, &self.output.weight);
        self.output.forward(graph, hidden)
    }
}
