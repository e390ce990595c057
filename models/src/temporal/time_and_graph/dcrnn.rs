//! Diffusion-convolutional recurrent network.
//!
//! ```text
//! D(x) = sum over k = 0..=K of (D_O^-1 W)^k x F_k + (D_I^-1 W^T)^k x B_k
//! r, u = sigmoid(D([x_t | h]) + b),     c = tanh(D([x_t | r * h]) + b),     h' = u * h + (1 - u) * c
//! ```
//!
//! with `W[i, j]` the weight of the entry `i -> j`, `D_O` the weights that leave a node and `D_I` those that
//! enter it.
//!
//! # References
//! Y. Li, R. Yu, C. Shahabi, Y. Liu, *Diffusion Convolutional Recurrent Neural Network: Data-Driven Traffic
//! Forecasting*, ICLR 2018, Eqs. (2) and (3) and section 2.3.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Normalization, Operator};

use super::steps::{Presence, check_columns, operators, spread_features, start};
use crate::temporal::start::check_positive;
use crate::temporal::{TemporalGraph, gru_update};

const NAME: &str = "Dcrnn";

/// Settings of [`Dcrnn`].
#[derive(Config, Debug)]
pub struct DcrnnConfig {
    /// Number of features of a node.
    pub d_input: usize,
    /// Width of the state and of the output.
    #[config(default = 16)]
    pub d_hidden: usize,
    /// Number of diffusion steps, `K`.
    #[config(default = 2)]
    pub diffusion_steps: usize,
    /// Whether diffusion also runs against the entries.
    #[config(default = true)]
    pub bidirectional: bool,
}

impl DcrnnConfig {
    /// Creates the network; matrices start in Glorot's uniform range, biases at zero.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, device: &Device) -> Dcrnn {
        let Self { d_input, d_hidden, diffusion_steps, bidirectional } = *self;
        check_positive("DcrnnConfig", &[("d_input", d_input), ("d_hidden", d_hidden)]);
        let terms = 1 + diffusion_steps * if bidirectional { 2 } else { 1 };
        let max = (6.0 / (terms * (d_input + d_hidden) + d_hidden) as f64).sqrt();
        let matrix = |inputs: usize, gates: usize| {
            let shape = [terms * inputs, gates * d_hidden];
            Initializer::Uniform { min: -max, max }.init(shape, device)
        };
        Dcrnn {
            input: matrix(d_input, 3),
            hidden_gates: matrix(d_hidden, 2),
            hidden_candidate: matrix(d_hidden, 1),
            bias: Initializer::Zeros.init([3 * d_hidden], device),
            d_input,
            diffusion_steps,
            bidirectional,
        }
    }
}

/// Diffusion-convolutional GRU: its gates are random walks of `K` steps along the entries of each snapshot and
/// against them.
///
/// ```text
/// r, u = sigmoid(D([x_t | h]) + b),     c = tanh(D([x_t | r * h]) + b),     h' = u * h + (1 - u) * c
/// D(x) = sum over k of (D_O^-1 W)^k x F_k + (D_I^-1 W^T)^k x B_k
/// ```
///
/// A node without entries in a direction gets 0 from it. Nodes that are absent at a step keep their state.
/// Entries count with the first channel of their weights.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::temporal::{Connectivity, DcrnnConfig, TemporalGraphConfig, TemporalWindow};
///
/// let window = TemporalWindow {
///     shape: [2, 3, 1],
///     features: &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0],
///     connectivity: Connectivity::Static { sources: &[0u32, 1], targets: &[1, 0], features: &[] },
///     present: None,
/// };
/// let device = Device::flex();
/// let graph = TemporalGraphConfig::new().build(&[window], &device)?;
/// let network = DcrnnConfig::new(1).with_d_hidden(8).init(&device);
/// assert_eq!(network.forward(&graph).dims(), [2, 8]);
/// # Ok::<(), firebrick_models::temporal::TemporalGraphError>(())
/// ```
///
/// # Notes
/// This is the encoder: one layer of the published network, without the decoder and its scheduled sampling.
///
/// # References
/// Y. Li et al., *Diffusion Convolutional Recurrent Neural Network: Data-Driven Traffic Forecasting*,
/// ICLR 2018.
#[derive(Module, Debug)]
pub struct Dcrnn {
    /// `[terms * d_input, 3 * d_hidden]`: rows by term, columns for `r`, `u` and `c`. The terms are the rows
    /// themselves, the steps along the entries and the steps against them.
    pub input: Param<Tensor<2>>,
    /// `[terms * d_hidden, 2 * d_hidden]`, for `r` and `u`.
    pub hidden_gates: Param<Tensor<2>>,
    /// `[terms * d_hidden, d_hidden]`, for `c`.
    pub hidden_candidate: Param<Tensor<2>>,
    /// `[3 * d_hidden]`
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    d_input: usize,
    #[module(skip)]
    diffusion_steps: usize,
    #[module(skip)]
    bidirectional: bool,
}

/// The random walks of a step's snapshot.
struct Walks {
    along: Operator,
    against: Option<Operator>,
}

impl Dcrnn {
    /// Columns of the output.
    pub fn d_output(&self) -> usize {
        self.hidden_candidate.val().dims()[1]
    }

    /// The state after the last step, from zeros.
    ///
    /// # Shapes
    /// - output: `[nodes, d_hidden]`
    ///
    /// # Panics
    /// If the number of features disagrees.
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
        let walks = self.walks(graph);
        let inputs = spread_features(graph, |step, x| self.diffuse(&walks[step], x));
        let presence = Presence::of(graph);
        let mut hidden = start(NAME, "the state", graph, self.d_output(), state);
        for (step, (walks, input)) in walks.iter().zip(inputs).enumerate() {
            let next = self.step(walks, input, &hidden);
            hidden = presence.carry(step, &hidden, next);
        }
        hidden
    }

    fn walks(&self, graph: &TemporalGraph) -> Vec<Walks> {
        // An operator sends rows along its entries; a walk along the entries looks where they lead.
        let along = operators(NAME, graph, Normalization::RANDOM_WALK);
        let along = along.iter().map(Operator::transposed);
        if !self.bidirectional {
            return along.map(|along| Walks { along, against: None }).collect();
        }
        let against = operators(NAME, graph, Normalization::MEAN);
        let pair = |(along, against)| Walks { along, against: Some(against) };
        along.zip(against).map(pair).collect()
    }

    /// The rows, their steps along the entries, their steps against them.
    fn diffuse(&self, walks: &Walks, x: Tensor<2>) -> Vec<Tensor<2>> {
        let mut terms = vec![x.clone()];
        for walk in std::iter::once(&walks.along).chain(&walks.against) {
            let mut reached = x.clone();
            for _ in 0..self.diffusion_steps {
                reached = walk.apply(reached);
                terms.push(reached.clone());
            }
        }
        terms
    }

    fn step(&self, walks: &Walks, input: Tensor<2>, hidden: &Tensor<2>) -> Tensor<2> {
        let width = self.d_output();
        let diffused = |state: Tensor<2>| Tensor::cat(self.diffuse(walks, state), 1);
        let input = input.matmul(self.input.val()) + self.bias.val().unsqueeze();
        let gates = diffused(hidden.clone()).matmul(self.hidden_gates.val());
        let gates = sigmoid(input.clone().narrow(1, 0, 2 * width) + gates);
        let (reset, update) = (gates.clone().narrow(1, 0, width), gates.narrow(1, width, width));
        let candidate = diffused(reset * hidden.clone()).matmul(self.hidden_candidate.val());
        let candidate = (input.narrow(1, 2 * width, width) + candidate).tanh();
        gru_update(update, candidate, hidden.clone())
    }
}
