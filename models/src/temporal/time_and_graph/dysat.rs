//! Graph attention on every snapshot, then self-attention over time (DySAT).
//!
//! ```text
//! z_t = act(GAT_2(act(GAT_1(x_t, A_t)), A_t)),     y = attention of z_T to z_1, .., z_T
//! ```
//!
//! # References
//! A. Sankar, Y. Wu, L. Gou, W. Zhang, H. Yang, *DySAT: Deep Neural Representation Learning on Dynamic Graphs
//! via Self-Attention Networks*, WSDM 2020.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use super::steps::{check_columns, without_entries};
use crate::graph::{GatConv, GatConvConfig};
use crate::temporal::start::{check_positive, uniform};
use crate::temporal::{
    Activation, AttentionEncoder, AttentionEncoderConfig, TemporalGraph, heads_of,
};

const NAME: &str = "Dysat";

/// Settings of [`Dysat`].
#[derive(Config, Debug)]
pub struct DysatConfig {
    /// Number of features of a node.
    pub d_input: usize,
    /// Width of the layers and of the output.
    #[config(default = 16)]
    pub d_hidden: usize,
    /// Number of weights of an entry.
    #[config(default = 1)]
    pub d_edge: usize,
    /// Number of graph attention layers, at least one.
    #[config(default = 2)]
    pub layers: usize,
    /// Heads of both attentions; by default [`heads_of`] the width.
    pub heads: Option<usize>,
    /// After every graph attention layer.
    #[config(default = "Activation::Softplus")]
    pub activation: Activation,
    /// Whether the entries are ignored, so that each node attends to itself alone.
    #[config(default = false)]
    pub no_edges: bool,
    /// Longest window whose steps are told apart: each has a trained code that is added to its rows. Without,
    /// the order of the steps before the last does not matter.
    pub max_steps: Option<usize>,
}

impl DysatConfig {
    /// Creates the network; everything starts in Glorot's uniform range, codes of steps at zero.
    ///
    /// # Panics
    /// If a size or the number of layers is zero, or the heads do not divide the width.
    pub fn init(&self, device: &Device) -> Dysat {
        let Self { d_input, d_hidden, d_edge, layers, .. } = *self;
        let sizes =
            [("d_input", d_input), ("d_hidden", d_hidden), ("d_edge", d_edge), ("layers", layers)];
        check_positive("DysatConfig", &sizes);
        let heads = self.heads.unwrap_or_else(|| heads_of(d_hidden));
        assert!(
            heads > 0 && d_hidden.is_multiple_of(heads),
            "DysatConfig: heads must divide d_hidden, got {heads} and {d_hidden}"
        );
        let layer = |index| {
            let inputs = if index == 0 { d_input } else { d_hidden };
            let mut layer = GatConvConfig::new(inputs, d_hidden / heads)
                .with_heads(heads)
                .with_d_edge(Some(d_edge))
                .init(device);
            layer.bias = Some(uniform([d_hidden], inputs, d_hidden, device));
            layer
        };
        Dysat {
            layers: (0..layers).map(layer).collect(),
            time: AttentionEncoderConfig::new(d_hidden, d_hidden)
                .with_heads(Some(heads))
                .init(device),
            steps: self.max_steps.map(|steps| Initializer::Zeros.init([steps, d_hidden], device)),
            activation: self.activation,
            no_edges: self.no_edges,
        }
    }
}

/// Graph, then time, both by attention: graph attention on every snapshot with the weights as features of the
/// entries, and attention of a node's last step to all its steps.
///
/// ```text
/// z_t = act(GAT_2(act(GAT_1(x_t, A_t)), A_t)),     y = attention of z_T to z_1, .., z_T
/// ```
///
/// Steps at which a node is absent are not attended to.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::temporal::{Connectivity, DysatConfig, TemporalGraphConfig, TemporalWindow};
///
/// let window = TemporalWindow {
///     shape: [2, 3, 1],
///     features: &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0],
///     connectivity: Connectivity::Static { sources: &[0u32, 1], targets: &[1, 0], features: &[] },
///     present: None,
/// };
/// let device = Device::flex();
/// let graph = TemporalGraphConfig::new().build(&[window], &device)?;
/// let network = DysatConfig::new(1).with_d_hidden(8).init(&device);
/// assert_eq!(network.forward(&graph).dims(), [2, 8]);
/// # Ok::<(), firebrick_models::temporal::TemporalGraphError>(())
/// ```
///
/// # Notes
/// This is the form of Gao and Ribeiro (2022): one block of attention over time and no codes of positions;
/// [`max_steps`](DysatConfig::max_steps) adds those of the original. Their published results come from code that
/// hands every snapshot an empty list of entries; [`no_edges`](DysatConfig::no_edges) does the same on purpose.
///
/// # References
/// A. Sankar et al., *DySAT: Deep Neural Representation Learning on Dynamic Graphs via Self-Attention Networks*,
/// WSDM 2020.
#[derive(Module, Debug)]
pub struct Dysat {
    /// The graph attention layers.
    pub layers: Vec<GatConv>,
    /// The attention over time.
    pub time: AttentionEncoder,
    /// `[max_steps, d_hidden]`: codes of the steps; the last row is that of the last step of any window.
    pub steps: Option<Param<Tensor<2>>>,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    no_edges: bool,
}

impl Dysat {
    /// Columns of the output.
    pub fn d_output(&self) -> usize {
        self.time.query.weight.val().dims()[1]
    }

    /// What the last step of each node attends to.
    ///
    /// # Shapes
    /// - output: `[nodes, d_hidden]`
    ///
    /// # Panics
    /// If the number of features or of weights of an entry disagrees, or there are more steps than codes.
    pub fn forward(&self, graph: &TemporalGraph) -> Tensor<2> {
        check_columns(NAME, graph, self.layers[0].weight.val().dims()[0]);
        let (nodes, x) = (without_entries(graph), graph.features());
        let none = Tensor::zeros([0, self.channels(graph)], (&x.device(), x.dtype()));
        let rows = (0..graph.steps()).map(|step| {
            let snapshot = &graph.snapshots()[step];
            let (entries, features) = match self.no_edges {
                true => (&nodes, none.clone()),
                false => (snapshot.graph(), snapshot.weights()),
            };
            self.layers.iter().fold(graph.features_at(step), |x, layer| {
                self.activation.forward(layer.attend(entries, x, Some(features.clone())).output)
            })
        });
        let sequence: Tensor<3> = Tensor::stack(rows.collect(), 1);
        self.time.forward(self.with_steps(sequence), graph.mask())
    }

    fn channels(&self, graph: &TemporalGraph) -> usize {
        let edge = self.layers[0].edge.as_ref().expect("made with features of the entries");
        let expected = edge.weight.val().dims()[0];
        let found = graph.snapshots()[0].weights().dims()[1];
        assert!(found == expected, "{NAME}: entries must have {expected} weights, got {found}");
        expected
    }

    fn with_steps(&self, sequence: Tensor<3>) -> Tensor<3> {
        let Some(codes) = &self.steps else { return sequence };
        let (codes, [_, steps, _]) = (codes.val(), sequence.dims());
        let known = codes.dims()[0];
        assert!(steps <= known, "{NAME}: there are codes of {known} steps, got {steps} steps");
        sequence + codes.narrow(0, known - steps, steps).unsqueeze_dim::<3>(0)
    }
}
