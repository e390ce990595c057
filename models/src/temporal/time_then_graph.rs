//! Time-then-graph: sequences of nodes and entries first, then one static graph network.
//!
//! ```text
//! N = act(encoder of each node's sequence)                 q = encoder of each entry's sequence
//! G = conv_2(act(conv_1(N, q)), q)   on the union          output [G | N], or G + skip(N)
//! ```
//!
//! With layers that see no more than the Weisfeiler-Lehman test, this tells more temporal graphs apart than a
//! graph network on every snapshot inside a recurrence, and needs one pass over a graph in place of `T`. The
//! gain needs a convolution that sees degrees: on a regular graph with equal nodes the weights of a row of Kipf
//! and Welling's operator add up to 1 whatever the codes are, and sum or GINE must be taken.
//!
//! # References
//! J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph Representations*, ICML
//! 2022.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::activation::Activation;
use super::convolution::{Convolution, Entries, GraphLayers, scalar};
use super::encoder::{Encoding, SequenceEncoder, SequenceEncoderConfig, SequenceState};
use super::graph::{EdgeFeatures, EdgeSequences, TemporalGraph};
use super::start::{check_positive, linear};

/// How the codes before and after the graph network are put together.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// Side by side, `[G | N]`.
    Concatenate,
    /// `G + N`, with a linear map of `N` where the widths differ.
    Residual,
}

/// Settings of [`TimeThenGraph`]; the defaults are those of the paper's GRU-GCN.
#[derive(Config, Debug)]
pub struct TimeThenGraphConfig {
    /// Number of features of a node.
    pub d_input: usize,
    /// Width of all codes.
    pub d_hidden: usize,
    /// Number of channels of an entry, the presence channel included.
    #[config(default = 1)]
    pub d_edge: usize,
    /// How the sequences of nodes are encoded.
    #[config(default = "Encoding::Gru")]
    pub node_encoding: Encoding,
    /// How the sequences of entries are encoded; [`Encoding::Static`] exactly for static connectivity.
    #[config(default = "Encoding::Gru")]
    pub edge_encoding: Encoding,
    /// The graph network.
    #[config(default = "Convolution::Gcn")]
    pub convolution: Convolution,
    /// Number of its layers, at least one.
    #[config(default = 2)]
    pub layers: usize,
    /// The function behind the node encoder and between layers.
    #[config(default = "Activation::Softplus")]
    pub activation: Activation,
    /// What the output is made of.
    #[config(default = "Joining::Concatenate")]
    pub joining: Joining,
    /// Sequences that the backward of a GRU takes at once on backends without a kernel; all if there is none.
    pub chunk: Option<usize>,
}

impl TimeThenGraphConfig {
    /// Creates the network; weights and biases are uniform over `+-sqrt(6 / (in + out))`, for gates and heads
    /// each on its own.
    ///
    /// # Panics
    /// If a size or the number of layers is zero.
    pub fn init(&self, device: &Device) -> TimeThenGraph {
        let Self { d_input, d_hidden, d_edge, layers, convolution, joining, .. } = *self;
        let sizes =
            [("d_input", d_input), ("d_hidden", d_hidden), ("d_edge", d_edge), ("layers", layers)];
        check_positive("TimeThenGraphConfig", &sizes);
        assert!(self.chunk != Some(0), "TimeThenGraphConfig: chunk must be positive, got 0");
        let nodes = SequenceEncoderConfig::new(d_input, d_hidden).with_encoding(self.node_encoding);
        let edges = SequenceEncoderConfig::new(d_edge, d_hidden).with_encoding(self.edge_encoding);
        let (width, code) = (nodes.d_output(), edges.d_output());
        TimeThenGraph {
            nodes: nodes.init(device),
            edges: (self.edge_encoding != Encoding::Static).then(|| edges.init(device)),
            edge_weight: (convolution.is_scalar() && code > 1)
                .then(|| linear(code, 1, true, device)),
            graph: GraphLayers::new(convolution, [width, d_hidden, code], layers, device),
            skip: (joining == Joining::Residual && width != d_hidden)
                .then(|| linear(width, d_hidden, true, device)),
            sizes: [d_input, d_edge, width, d_hidden],
            activation: self.activation,
            joining,
            chunk: self.chunk,
        }
    }
}

/// States of the encoders, to go on with the next steps of the same nodes and entries.
#[derive(Clone, Debug)]
pub struct TimeThenGraphState {
    /// Of the nodes.
    pub nodes: SequenceState,
    /// Of the entries of the union; `None` for static connectivity.
    pub edges: Option<SequenceState>,
}

/// Time-then-graph network; see the formulas in the source of its module and the book.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::temporal::{
///     Connectivity, Convolution, TemporalGraphConfig, TemporalWindow, TimeThenGraphConfig,
/// };
///
/// let device = Device::flex();
/// let window = TemporalWindow {
///     shape: [2, 3, 1],
///     features: &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0],
///     connectivity: Connectivity::Dynamic {
///         sources: &[0u32, 0, 1],
///         targets: &[1, 1, 0],
///         ranges: &[0..1, 1..2, 2..3],
///         weights: &[],
///     },
///     present: None,
/// };
/// let graph = TemporalGraphConfig::new().build(&[window, window], &device)?;
/// let network = TimeThenGraphConfig::new(1, 16).with_convolution(Convolution::Sum).init(&device);
/// assert_eq!(network.forward(&graph).dims(), [4, 32]);
/// # Ok::<(), firebrick_models::temporal::TemporalGraphError>(())
/// ```
///
/// # Notes
/// A GCN needs degrees of at least 0: codes of width 1 and static weights are taken as weights as they are.
/// Entries with equal sequences are encoded once. Masked steps leave a recurrent state as it is.
///
/// # References
/// J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph Representations*, ICML
/// 2022.
#[derive(Module, Debug)]
pub struct TimeThenGraph {
    /// Encoder of the nodes' sequences.
    pub nodes: SequenceEncoder,
    /// Encoder of the entries' sequences; none for static connectivity.
    pub edges: Option<SequenceEncoder>,
    /// From codes of entries to their weight, where the convolution takes one number.
    pub edge_weight: Option<Linear>,
    /// The graph network.
    pub graph: GraphLayers,
    /// From codes before the graph network to the output of [`Joining::Residual`].
    pub skip: Option<Linear>,
    /// Inputs, channels of entries, width before the graph, width behind it.
    #[module(skip)]
    sizes: [usize; 4],
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    joining: Joining,
    #[module(skip)]
    chunk: Option<usize>,
}

impl TimeThenGraph {
    /// Columns of the output.
    pub fn d_output(&self) -> usize {
        let [_, _, before, behind] = self.sizes;
        match self.joining {
            Joining::Concatenate => before + behind,
            Joining::Residual => behind,
        }
    }

    /// One row per node of all windows.
    ///
    /// # Shapes
    /// - output: `[nodes, d_output]`: twice the width for [`Joining::Concatenate`], else the width
    ///
    /// # Panics
    /// If the number of features or of channels disagrees, or the connectivity is static for an encoder of
    /// entries or dynamic without one.
    pub fn forward(&self, graph: &TemporalGraph) -> Tensor<2> {
        self.check(graph);
        let nodes = self.nodes.forward(graph.features(), graph.mask(), self.chunk);
        let entries = match (graph.edges(), &self.edges) {
            (EdgeFeatures::Dynamic(sequences), Some(encoder)) => {
                let mask = sequences.mask.clone();
                let codes = encoder.forward(sequences.values.clone(), mask, self.chunk);
                self.entries(graph, codes, Some(sequences))
            }
            (EdgeFeatures::Static(features), _) => self.constants(graph, features),
            _ => unreachable!("checked before"),
        };
        self.behind(graph, nodes, &entries)
    }

    /// As [`forward`](Self::forward) for further steps of the same nodes and entries: from the states behind the
    /// steps before, or from zeros; gives the new states back.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    ///
    /// # Panics
    /// As [`forward`](Self::forward), if an encoder is not recurrent, or a state has another number of rows than
    /// the graph has nodes or entries.
    pub fn forward_from(
        &self,
        graph: &TemporalGraph,
        state: Option<TimeThenGraphState>,
    ) -> (Tensor<2>, TimeThenGraphState) {
        self.check(graph);
        let (of_nodes, of_edges) = match state {
            None => (None, None),
            Some(state) => (Some(state.nodes), state.edges),
        };
        let nodes = self.nodes.advance(graph.features(), of_nodes, graph.mask());
        let (entries, edges) = match (graph.edges(), &self.edges) {
            (EdgeFeatures::Dynamic(sequences), Some(encoder)) => {
                let mask = sequences.mask.clone().map(|mask| sequences.to_entries(mask));
                // Entries with equal steps may come with different states.
                let state = encoder.advance(sequences.expanded(), of_edges, mask);
                (self.entries(graph, state.hidden.clone(), None), Some(state))
            }
            (EdgeFeatures::Static(features), _) => (self.constants(graph, features), None),
            _ => unreachable!("checked before"),
        };
        let output = self.behind(graph, nodes.hidden.clone(), &entries);
        (output, TimeThenGraphState { nodes, edges })
    }

    fn behind(&self, graph: &TemporalGraph, nodes: Tensor<2>, entries: &Entries) -> Tensor<2> {
        let nodes = self.activation.forward(nodes);
        let output = self.graph.forward(graph.union(), nodes.clone(), entries, self.activation);
        match self.joining {
            Joining::Concatenate => Tensor::cat(vec![output, nodes], 1),
            Joining::Residual => {
                output + self.skip.iter().fold(nodes, |nodes, skip| skip.forward(nodes))
            }
        }
    }

    /// What the convolution reads of codes; whatever can be is computed once per distinct sequence.
    fn entries(
        &self,
        graph: &TemporalGraph,
        codes: Tensor<2>,
        sequences: Option<&EdgeSequences>,
    ) -> Entries {
        let spread = |rows: Tensor<2>| match sequences {
            Some(sequences) => sequences.to_entries(rows),
            None => rows,
        };
        match &self.graph {
            GraphLayers::Sum(_) => Entries::Weights(flat(spread(mean(codes)))),
            GraphLayers::Gcn(_) | GraphLayers::Chebyshev(_) => {
                let weights = flat(spread(scalar(&self.edge_weight, codes)));
                let normalization = self.graph.normalization();
                Entries::Operator(normalization.differentiable(graph.union(), weights))
            }
            GraphLayers::Gat(_) | GraphLayers::Perceptron(_) => Entries::Codes(spread(codes)),
        }
    }

    fn constants(&self, graph: &TemporalGraph, features: &Tensor<2>) -> Entries {
        let scalar = matches!(self.graph, GraphLayers::Gcn(_) | GraphLayers::Chebyshev(_));
        if !scalar || self.edge_weight.is_some() {
            return self.entries(graph, features.clone(), None);
        }
        match graph.snapshots()[0].operator(self.graph.normalization()) {
            Ok(operator) => Entries::Operator(operator),
            Err(error) => panic!("TimeThenGraph: {error}"),
        }
    }

    fn check(&self, graph: &TemporalGraph) {
        let [d_input, d_edge, ..] = self.sizes;
        let found = graph.features().dims()[2];
        assert!(found == d_input, "TimeThenGraph: nodes must have {d_input} features, got {found}");
        let found = graph.edges().channels();
        assert!(found == d_edge, "TimeThenGraph: entries must have {d_edge} channels, got {found}");
        assert!(
            graph.is_static() == self.edges.is_none(),
            "TimeThenGraph: edge_encoding must be Static exactly for static connectivity; static graph: {}, \
             encoder of entries: {}",
            graph.is_static(),
            self.edges.is_some()
        );
    }
}

/// The mean of each row, `[rows, 1]`.
fn mean(codes: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = codes.dims();
    match rows {
        0 => Tensor::zeros([0, 1], (&codes.device(), codes.dtype())),
        _ => codes.sum_dim(1) * (1.0 / columns as f64),
    }
}

fn flat(column: Tensor<2>) -> Tensor<1> {
    let rows = column.dims()[0];
    column.reshape([rows])
}
