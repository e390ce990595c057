//! Graph convolutions on every snapshot, then a GRU over time.
//!
//! ```text
//! z_t = act(GCN_2(act(GCN_1(x_t, A_t)), A_t)),     h_t = GRU(z_t, h_{t-1})
//! ```
//!
//! # References
//! J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph Representations*,
//! ICML 2022.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Normalization, Operator};

use super::steps::{check_columns, convolution, operators, start, without_entries};
use crate::graph::GcnConv;
use crate::temporal::start::check_positive;
use crate::temporal::{Activation, GruCell, GruCellConfig, TemporalGraph};

const NAME: &str = "GcnGru";

/// Settings of [`GcnGru`].
#[derive(Config, Debug)]
pub struct GcnGruConfig {
    /// Number of features of a node.
    pub d_input: usize,
    /// Width of the layers, of the state and of the output.
    #[config(default = 16)]
    pub d_hidden: usize,
    /// Number of graph convolutions, at least one.
    #[config(default = 2)]
    pub layers: usize,
    /// After every convolution.
    #[config(default = "Activation::Softplus")]
    pub activation: Activation,
    /// Whether the entries are ignored, so that each node sees itself alone.
    #[config(default = false)]
    pub no_edges: bool,
}

impl GcnGruConfig {
    /// Creates the network; everything starts in Glorot's uniform range.
    ///
    /// # Panics
    /// If a size or the number of layers is zero.
    pub fn init(&self, device: &Device) -> GcnGru {
        let Self { d_input, d_hidden, layers, .. } = *self;
        let sizes = [("d_input", d_input), ("d_hidden", d_hidden), ("layers", layers)];
        check_positive("GcnGruConfig", &sizes);
        let layer = |index| {
            let inputs = if index == 0 { d_input } else { d_hidden };
            convolution(inputs, d_hidden, device)
        };
        GcnGru {
            layers: (0..layers).map(layer).collect(),
            cell: GruCellConfig::new(d_hidden, d_hidden).init(device),
            activation: self.activation,
            no_edges: self.no_edges,
        }
    }
}

/// Graph, then time: graph convolutions on every snapshot, and a GRU over the sequence of each node.
///
/// ```text
/// z_t = act(GCN_2(act(GCN_1(x_t, A_t)), A_t)),     h_t = GRU(z_t, h_{t-1})
/// ```
///
/// Nodes that are absent at a step keep their state. Entries count with the first channel of their weights.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::temporal::{Connectivity, GcnGruConfig, TemporalGraphConfig, TemporalWindow};
///
/// let window = TemporalWindow {
///     shape: [2, 3, 1],
///     features: &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0],
///     connectivity: Connectivity::Static { sources: &[0u32, 1], targets: &[1, 0], features: &[] },
///     present: None,
/// };
/// let device = Device::flex();
/// let graph = TemporalGraphConfig::new().build(&[window], &device)?;
/// let network = GcnGruConfig::new(1).with_d_hidden(8).init(&device);
/// assert_eq!(network.forward(&graph).dims(), [2, 8]);
/// # Ok::<(), firebrick_models::temporal::TemporalGraphError>(())
/// ```
///
/// # Notes
/// The published results of this baseline come from code that hands every snapshot an empty list of entries;
/// [`no_edges`](GcnGruConfig::no_edges) does the same on purpose.
///
/// # References
/// J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph Representations*,
/// ICML 2022.
#[derive(Module, Debug)]
pub struct GcnGru {
    /// The graph convolutions.
    pub layers: Vec<GcnConv>,
    /// The recurrence.
    pub cell: GruCell,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    no_edges: bool,
}

impl GcnGru {
    /// Columns of the output.
    pub fn d_output(&self) -> usize {
        self.cell.d_hidden()
    }

    /// The state after the last step, from zeros.
    ///
    /// # Shapes
    /// - output: `[nodes, d_hidden]`
    ///
    /// # Panics
    /// If the number of features disagrees or a node's degree is negative.
    pub fn forward(&self, graph: &TemporalGraph) -> Tensor<2> {
        self.forward_from(graph, None)
    }

    /// The state after the last step from one that was left by the steps before: a long window may come in
    /// pieces.
    ///
    /// # Shapes
    /// - state, output: `[nodes, d_hidden]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward), and if the state has another shape.
    pub fn forward_from(&self, graph: &TemporalGraph, state: Option<Tensor<2>>) -> Tensor<2> {
        check_columns(NAME, graph, self.layers[0].weight.val().dims()[0]);
        let state = start(NAME, "the state", graph, self.d_output(), state);
        let operators = match self.no_edges {
            true => vec![self.alone(graph); graph.steps()],
            false => operators(NAME, graph, Normalization::GCN),
        };
        let convolved = operators.iter().enumerate().map(|(step, operator)| {
            self.layers.iter().fold(graph.features_at(step), |x, layer| {
                self.activation.forward(layer.forward(operator, x))
            })
        });
        let sequence: Tensor<3> = Tensor::stack(convolved.collect(), 1);
        self.cell.last(sequence, Some(state), graph.mask(), None)
    }

    fn alone(&self, graph: &TemporalGraph) -> Operator {
        let features = graph.features();
        let options = (&features.device(), features.dtype());
        Normalization::GCN.unweighted(&without_entries(graph), options)
    }
}
