//! Graph attention whose ranking of the neighbors depends on the node that attends.
//!
//! ```text
//! g_s = X W_l + b_l,   g_d = X W_r + b_r
//! l[e, k] = <LeakyReLU(g_s[s, k] + g_d[d, k] + (f[e] W_e)[k]), a[k]>
//! y[i, k] = sum over e with d[e] = i of softmax(l)[e, k] g_s[s, k]
//! ```
//!
//! # References
//! S. Brody, U. Alon, E. Yahav, *How Attentive are Graph Attention Networks?*, ICLR 2022, Eq. (7).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::DropoutConfig;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{EdgeTerm, Features, Graph, edge_scores};

use super::attention::{Attended, Heads};
use super::common::{biased, check_features, check_positive, glorot, zeros};

/// Settings of [`Gatv2Conv`].
#[derive(Config, Debug)]
pub struct Gatv2ConvConfig {
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
    /// Whether sources and targets share their matrix and bias.
    #[config(default = false)]
    pub share_weights: bool,
    /// Number of features of an edge.
    pub d_edge: Option<usize>,
    /// Whether the maps of sources and targets and the output have biases, which start at zero.
    #[config(default = true)]
    pub bias: bool,
}

const NAME: &str = "Gatv2Conv";

impl Gatv2ConvConfig {
    /// Creates the layer with Glorot's uniform start.
    ///
    /// # Panics
    /// If a size is zero or the dropout is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> Gatv2Conv {
        let Self { d_input, d_output, heads, .. } = *self;
        let sizes = [("d_input", d_input), ("d_output", d_output), ("heads", heads)];
        check_positive("Gatv2ConvConfig", &sizes);
        let columns = heads * d_output;
        let map = || NodeMap {
            weight: glorot(d_input, columns, device),
            bias: self.bias.then(|| zeros(columns, device)),
        };
        let outputs = Heads::outputs(heads, d_output, self.concatenate);
        Gatv2Conv {
            source: map(),
            target: (!self.share_weights).then(map),
            attention: glorot(heads, d_output, device),
            edge_weight: self.d_edge.map(|d_edge| {
                check_positive("Gatv2ConvConfig", &[("d_edge", d_edge)]);
                glorot(d_edge, columns, device)
            }),
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

/// A linear map of the nodes on one side.
#[derive(Module, Debug)]
pub struct NodeMap {
    /// `[d_input, heads * d_output]`
    pub weight: Param<Tensor<2>>,
    /// `[heads * d_output]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl NodeMap {
    fn forward(&self, x: &Features) -> Tensor<2> {
        check_features(NAME, x, self.weight.val().dims()[0]);
        biased(x.matmul(self.weight.val()), &self.bias)
    }
}

/// Graph attention in which LeakyReLU comes before the inner product with `a`.
///
/// ```text
/// l[e, k] = <LeakyReLU(g_s[s, k] + g_d[d, k] + (f[e] W_e)[k]), a[k]>
/// y[i, k] = sum over e with d[e] = i of softmax(l)[e, k] g_s[s, k]
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::Gatv2ConvConfig;
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let layer = Gatv2ConvConfig::new(3, 8).with_heads(2).init(&device);
/// assert_eq!(layer.forward(&graph, Tensor::<2>::ones([2, 3], &device)).dims(), [2, 16]);
/// ```
///
/// # References
/// S. Brody, U. Alon, E. Yahav, *How Attentive are Graph Attention Networks?*, ICLR 2022, Eq. (7).
#[derive(Module, Debug)]
pub struct Gatv2Conv {
    /// The map of sources, whose rows are also the values.
    pub source: NodeMap,
    /// The map of targets; without it that of the sources.
    pub target: Option<NodeMap>,
    /// `[heads, d_output]`
    pub attention: Param<Tensor<2>>,
    /// `[d_edge, heads * d_output]`, present if edges have features.
    pub edge_weight: Option<Param<Tensor<2>>>,
    /// `[heads * d_output]`, or `[d_output]` where heads are averaged.
    pub bias: Option<Param<Tensor<1>>>,
    heads: Heads,
}

impl Gatv2Conv {
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
        let x = x.into();
        let source = self.source.forward(&x);
        let target = match &self.target {
            Some(target) => target.forward(&x),
            None => source.clone(),
        };
        self.attend_pair(graph, source, target, features)
    }

    /// Applies the layer to a bipartite graph; no self loops are added.
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
        let source = self.source.forward(&source.into());
        let target = self.target.as_ref().unwrap_or(&self.source).forward(&target.into());
        self.attend_pair(graph.clone(), source, target, edge_features).output
    }

    fn attend_pair(
        &self,
        graph: Graph,
        source: Tensor<2>,
        target: Tensor<2>,
        features: Option<Tensor<2>>,
    ) -> Attended {
        let term = match (&self.edge_weight, features) {
            (None, None) => None,
            (Some(weight), Some(features)) => Some(EdgeTerm { features, weight: weight.val() }),
            (edge, features) => panic!(
                "{NAME}: edge features must be given exactly to a layer with d_edge; given: {}, d_edge: {}",
                features.is_some(),
                edge.is_some()
            ),
        };
        let attention = self.attention.val();
        let slope = self.heads.negative_slope;
        let logits = edge_scores(&graph, source.clone(), target, attention, term, slope);
        self.heads.attend(graph, logits, source, &self.bias)
    }
}
