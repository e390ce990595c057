//! Graph-convolutional LSTM (GCRN, model 2).
//!
//! ```text
//! i, f, o = sigmoid(N_x(x_t) + N_h(h) [+ w * c] + b)     each gate with its own networks
//! g = tanh(N_x(x_t) + N_h(h) + b)
//! c' = f * c + i * g,     h' = o * tanh(c')
//! ```
//!
//! where the networks `N` are Chebyshev convolutions on the snapshot of the step.
//!
//! # References
//! Y. Seo, M. Defferrard, P. Vandergheynst, X. Bresson, *Structured Sequence Modeling with Graph
//! Convolutional Recurrent Networks*, ICONIP 2018, model 2.

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
use crate::temporal::{Activation, TemporalGraph};

const NAME: &str = "Gcrn";

/// Settings of [`Gcrn`].
#[derive(Config, Debug)]
pub struct GcrnConfig {
    /// Number of features of a node.
    pub d_input: usize,
    /// Width of the state and of the output.
    #[config(default = 16)]
    pub d_hidden: usize,
    /// Number of Chebyshev polynomials.
    #[config(default = 2)]
    pub order: usize,
    /// Number of convolutions of a gate's networks, 1 or 2.
    #[config(default = 2)]
    pub layers: usize,
    /// Between the two convolutions.
    #[config(default = "Activation::Softplus")]
    pub activation: Activation,
    /// Whether each network adds its input to its output.
    #[config(default = false)]
    pub skip: bool,
    /// Whether the gates read the cell too.
    #[config(default = false)]
    pub peepholes: bool,
}

impl GcrnConfig {
    /// The network as it was published: one convolution per gate, and peepholes.
    pub fn published(d_input: usize) -> Self {
        Self::new(d_input).with_layers(1).with_order(3).with_peepholes(true)
    }

    /// Creates the network; the networks start in Glorot's uniform range, the biases beside them and
    /// the peepholes at zero.
    ///
    /// # Panics
    /// If a size or the order is zero, or there are not 1 or 2 layers.
    pub fn init(&self, device: &Device) -> Gcrn {
        let Self { d_input, d_hidden, .. } = *self;
        check_positive("GcrnConfig", &[("d_input", d_input), ("d_hidden", d_hidden)]);
        let gates = |d_input| {
            let config = ChebyshevGateConfig::new(d_input, d_hidden)
                .with_order(self.order)
                .with_layers(self.layers)
                .with_skip(self.skip);
            (0..4).map(|_| config.init(device)).collect()
        };
        let zeros = |rows| Initializer::Zeros.init([rows, d_hidden], device);
        Gcrn {
            input: gates(d_input),
            hidden: gates(d_hidden),
            bias: zeros(4),
            peepholes: self.peepholes.then(|| zeros(3)),
            activation: self.activation,
            d_input,
        }
    }
}

/// Graph-convolutional LSTM: a recurrence whose gates are Chebyshev networks on the snapshot of each step.
///
/// ```text
/// i, f, o = sigmoid(N_x(x_t) + N_h(h) [+ w * c] + b),     g = tanh(N_x(x_t) + N_h(h) + b)
/// c' = f * c + i * g,     h' = o * tanh(c')
/// ```
///
/// Nodes that are absent at a step keep their state. Entries count with the first channel of their weights.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::temporal::{Connectivity, GcrnConfig, TemporalGraphConfig, TemporalWindow};
///
/// let window = TemporalWindow {
///     shape: [3, 2, 1],
///     features: &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0],
///     connectivity: Connectivity::Dynamic {
///         sources: &[0u32, 1, 2],
///         targets: &[1, 2, 0],
///         ranges: &[0..1, 1..3],
///         weights: &[],
///     },
///     present: None,
/// };
/// let device = Device::flex();
/// let graph = TemporalGraphConfig::new().build(&[window], &device)?;
/// let network = GcrnConfig::new(1).with_d_hidden(8).init(&device);
/// assert_eq!(network.forward(&graph).dims(), [3, 8]);
/// # Ok::<(), firebrick_models::temporal::TemporalGraphError>(())
/// ```
///
/// # Notes
/// The default, two convolutions per network and no peepholes, is the baseline of Gao and Ribeiro (2022);
/// [`GcrnConfig::published`] is the original.
///
/// # References
/// Y. Seo et al., *Structured Sequence Modeling with Graph Convolutional Recurrent Networks*, ICONIP 2018.
/// J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph Representations*,
/// ICML 2022.
#[derive(Module, Debug)]
pub struct Gcrn {
    /// The networks of the input for `i`, `f`, `g` and `o`.
    pub input: Vec<ChebyshevGate>,
    /// The networks of the state for `i`, `f`, `g` and `o`.
    pub hidden: Vec<ChebyshevGate>,
    /// `[4, d_hidden]`
    pub bias: Param<Tensor<2>>,
    /// `[3, d_hidden]`: what the cell counts in `i`, `f` and `o`.
    pub peepholes: Option<Param<Tensor<2>>>,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    d_input: usize,
}

/// What [`Gcrn`] carries from step to step.
#[derive(Clone, Debug)]
pub struct GcrnState {
    /// `[nodes, d_hidden]`: the output.
    pub hidden: Tensor<2>,
    /// `[nodes, d_hidden]`
    pub cell: Tensor<2>,
}

impl Gcrn {
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
        self.forward_from(graph, None).hidden
    }

    /// The state after the last step from one that was left by the steps before: a long window may come in
    /// pieces.
    ///
    /// # Panics
    /// As [`forward`](Self::forward), and if the state has another shape.
    pub fn forward_from(&self, graph: &TemporalGraph, state: Option<GcrnState>) -> GcrnState {
        check_columns(NAME, graph, self.d_input);
        let width = self.d_output();
        let (hidden, cell) = state.map(|state| (state.hidden, state.cell)).unzip();
        let mut state = GcrnState {
            hidden: start(NAME, "the hidden state", graph, width, hidden),
            cell: start(NAME, "the cell", graph, width, cell),
        };
        let order = self.input[0].first.weights.len();
        let operators = operators(NAME, graph, Normalization::CHEBYSHEV);
        let inputs = spread_features(graph, |step, x| polynomials(&operators[step], x, order));
        let stack =
            GateStack::new(&[(&self.input[..], &[self.d_input]), (&self.hidden[..], &[width])]);
        let presence = Presence::of(graph);
        for (step, (operator, input)) in operators.iter().zip(inputs).enumerate() {
            let input = Rows { plain: graph.features_at(step), polynomials: input };
            let next = self.step(&stack, operator, input, &state);
            state = GcrnState {
                hidden: presence.carry(step, &state.hidden, next.hidden),
                cell: presence.carry(step, &state.cell, next.cell),
            };
        }
        state
    }

    fn step(
        &self,
        stack: &GateStack,
        operator: &Operator,
        input: Rows,
        state: &GcrnState,
    ) -> GcrnState {
        let hidden = state.hidden.clone();
        let order = self.hidden[0].first.weights.len();
        let polynomials = stacked_polynomials(operator, hidden.clone(), order);
        let rows = vec![input, Rows { polynomials, plain: hidden }];
        let gates =
            stack.forward(operator, rows, self.activation) + self.bias.val().unsqueeze_dim::<3>(1);
        let peephole = |index: usize, cell: &Tensor<2>| {
            let weights = self.peepholes.as_ref()?;
            Some(weights.val().narrow(0, index, 1) * cell.clone())
        };
        let seen = |gate: Tensor<2>, peephole: Option<Tensor<2>>| match peephole {
            Some(peephole) => gate + peephole,
            None => gate,
        };
        let enter = sigmoid(seen(gate(&gates, 0), peephole(0, &state.cell)));
        let forget = sigmoid(seen(gate(&gates, 1), peephole(1, &state.cell)));
        let cell = forget * state.cell.clone() + enter * gate(&gates, 2).tanh();
        let output = sigmoid(seen(gate(&gates, 3), peephole(2, &cell)));
        GcrnState { hidden: output * cell.clone().tanh(), cell }
    }
}
