//! Graph-convolutional GRU with Chebyshev networks as gates.
//!
//! ```text
//! r, u = sigmoid(N([x_t | h]) + b)
//! c = tanh(N([x_t | r * h]) + b)
//! h' = u * h + (1 - u) * c
//! ```
//!
//! # References
//! J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph Representations*,
//! ICML 2022, where this is the baseline called DCRNN.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Normalization, Operator};

use super::gate::{ChebyshevGate, ChebyshevGateConfig, GateStack, Rows, stacked_polynomials};
use super::steps::{Presence, check_columns, gate, operators, spread_features, start};
use crate::graph::polynomials;
use crate::temporal::start::check_positive;
use crate::temporal::{Activation, TemporalGraph, gru_update};

const NAME: &str = "GraphGru";

/// Settings of [`GraphGru`].
#[derive(Config, Debug)]
pub struct GraphGruConfig {
    /// Number of features of a node.
    pub d_input: usize,
    /// Width of the state and of the output.
    #[config(default = 16)]
    pub d_hidden: usize,
    /// Number of Chebyshev polynomials.
    #[config(default = 2)]
    pub order: usize,
    /// Number of convolutions of a gate, 1 or 2.
    #[config(default = 2)]
    pub layers: usize,
    /// Between the two convolutions.
    #[config(default = "Activation::Softplus")]
    pub activation: Activation,
    /// Whether each gate adds its input to its output, before the sigmoid.
    #[config(default = false)]
    pub skip: bool,
}

impl GraphGruConfig {
    /// Creates the network; the networks start in Glorot's uniform range, the biases beside them at zero.
    ///
    /// # Panics
    /// If a size or the order is zero, or there are not 1 or 2 layers.
    pub fn init(&self, device: &Device) -> GraphGru {
        let Self { d_input, d_hidden, .. } = *self;
        check_positive("GraphGruConfig", &[("d_input", d_input), ("d_hidden", d_hidden)]);
        let gate = ChebyshevGateConfig::new(d_input + d_hidden, d_hidden)
            .with_order(self.order)
            .with_layers(self.layers)
            .with_skip(self.skip);
        GraphGru {
            gates: (0..3).map(|_| gate.init(device)).collect(),
            bias: Initializer::Zeros.init([3, d_hidden], device),
            activation: self.activation,
            d_input,
        }
    }
}

/// Graph-convolutional GRU: a recurrence whose gates are Chebyshev networks on the snapshot of each step.
///
/// ```text
/// r, u = sigmoid(N([x_t | h]) + b),     c = tanh(N([x_t | r * h]) + b),     h' = u * h + (1 - u) * c
/// ```
///
/// Nodes that are absent at a step keep their state. Entries count with the first channel of their weights.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::temporal::{Connectivity, GraphGruConfig, TemporalGraphConfig, TemporalWindow};
///
/// let window = TemporalWindow {
///     shape: [2, 3, 1],
///     features: &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0],
///     connectivity: Connectivity::Static { sources: &[0u32, 1], targets: &[1, 0], features: &[] },
///     present: None,
/// };
/// let device = Device::flex();
/// let graph = TemporalGraphConfig::new().build(&[window], &device)?;
/// let network = GraphGruConfig::new(1).with_d_hidden(8).init(&device);
/// assert_eq!(network.forward(&graph).dims(), [2, 8]);
/// # Ok::<(), firebrick_models::temporal::TemporalGraphError>(())
/// ```
///
/// # Notes
/// Gao and Ribeiro call this DCRNN. The network of that name by Li et al. has diffusion convolutions in both
/// directions: [`Dcrnn`](super::Dcrnn).
///
/// # References
/// J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph Representations*,
/// ICML 2022.
#[derive(Module, Debug)]
pub struct GraphGru {
    /// The networks of `r`, `u` and `c`.
    pub gates: Vec<ChebyshevGate>,
    /// `[3, d_hidden]`
    pub bias: Param<Tensor<2>>,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    d_input: usize,
}

/// The networks with what they share, for one call.
struct Stacks {
    gates: GateStack,
    candidate: GateStack,
    order: usize,
}

impl GraphGru {
    /// Columns of the output.
    pub fn d_output(&self) -> usize {
        self.bias.val().dims()[1]
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
        check_columns(NAME, graph, self.d_input);
        let width = self.d_output();
        let parts = [self.d_input, width];
        let stacks = Stacks {
            gates: GateStack::new(&[(&self.gates[..2], &parts)]),
            candidate: GateStack::new(&[(&self.gates[2..], &parts)]),
            order: self.gates[0].first.weights.len(),
        };
        let operators = operators(NAME, graph, Normalization::CHEBYSHEV);
        let inputs =
            spread_features(graph, |step, x| polynomials(&operators[step], x, stacks.order));
        let presence = Presence::of(graph);
        let mut hidden = start(NAME, "the state", graph, width, state);
        for (step, (operator, polynomials)) in operators.iter().zip(inputs).enumerate() {
            let input = Rows { plain: graph.features_at(step), polynomials };
            let next = self.step(&stacks, operator, &input, &hidden);
            hidden = presence.carry(step, &hidden, next);
        }
        hidden
    }

    fn step(
        &self,
        stacks: &Stacks,
        operator: &Operator,
        input: &Rows,
        hidden: &Tensor<2>,
    ) -> Tensor<2> {
        let beside = |state: Tensor<2>| {
            let spread = stacked_polynomials(operator, state.clone(), stacks.order);
            Rows {
                polynomials: Tensor::cat(vec![input.polynomials.clone(), spread], 1),
                plain: Tensor::cat(vec![input.plain.clone(), state], 1),
            }
        };
        let bias = self.bias.val().unsqueeze_dim::<3>(1);
        let rows = vec![beside(hidden.clone())];
        let gates = stacks.gates.forward(operator, rows, self.activation);
        let gates = sigmoid(gates + bias.clone().narrow(0, 0, 2));
        let (reset, update) = (gate(&gates, 0), gate(&gates, 1));
        let rows = vec![beside(reset * hidden.clone())];
        let candidate = stacks.candidate.forward(operator, rows, self.activation);
        let candidate = gate(&(candidate + bias.narrow(0, 2, 1)).tanh(), 0);
        gru_update(update, candidate, hidden.clone())
    }
}
