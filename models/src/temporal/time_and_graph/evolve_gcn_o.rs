//! EvolveGCN-O: graph convolutions whose weights are the states of an LSTM.
//!
//! ```text
//! (W_l, C_l) <- LSTM(W_l, (W_l, C_l))     at every step, for each layer, rows of W_l as a batch
//! y = A act(A x_T W_1^T) W_2^T            with the weights of the last step
//! ```
//!
//! # References
//! A. Pareja et al., *EvolveGCN: Evolving Graph Convolutional Networks for Dynamic Graphs*, AAAI 2020,
//! section 3.3.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::Normalization;

use super::evolution::{Windows, check_matrices};
use super::steps::{check_columns, last_operator};
use crate::temporal::start::{check_positive, uniform};
use crate::temporal::{Activation, LstmCell, LstmCellConfig, LstmState, TemporalGraph};

const NAME: &str = "EvolveGcnO";

/// Settings of [`EvolveGcnO`].
#[derive(Config, Debug)]
pub struct EvolveGcnOConfig {
    /// Number of features of a node.
    pub d_input: usize,
    /// Width of the layers and of the output.
    #[config(default = 16)]
    pub d_hidden: usize,
    /// Number of graph convolutions, at least one.
    #[config(default = 2)]
    pub layers: usize,
    /// Between the convolutions.
    #[config(default = "Activation::Softplus")]
    pub activation: Activation,
}

impl EvolveGcnOConfig {
    /// Creates the network; everything starts in Glorot's uniform range.
    ///
    /// # Panics
    /// If a size or the number of layers is zero.
    pub fn init(&self, device: &Device) -> EvolveGcnO {
        let Self { d_input, d_hidden, layers, .. } = *self;
        let sizes = [("d_input", d_input), ("d_hidden", d_hidden), ("layers", layers)];
        check_positive("EvolveGcnOConfig", &sizes);
        let inputs = |layer| if layer == 0 { d_input } else { d_hidden };
        let weight = |layer| uniform([d_hidden, inputs(layer)], inputs(layer), d_hidden, device);
        let cell = |layer| LstmCellConfig::new(inputs(layer), inputs(layer)).init(device);
        EvolveGcnO {
            weights: (0..layers).map(weight).collect(),
            cells: (0..layers).map(cell).collect(),
            activation: self.activation,
        }
    }
}

/// Graph convolutional network whose weights go through an LSTM from step to step, whatever the data.
///
/// ```text
/// (W_l, C_l) <- LSTM(W_l, (W_l, C_l)),     y = A act(A x_T W_1^T) W_2^T
/// ```
///
/// Every window starts from the trained weights and from `C_l = 0`. The weights of later steps are tensors that
/// carry gradients back to the start, and are never stored. They do not depend on the data, so that the graph
/// convolutions of the last step are all there is to compute, and all windows that begin at the same step
/// share them. A window that is shorter than others begins at the first step at which one of its nodes is there.
///
/// Entries count with the first channel of their weights.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::temporal::{Connectivity, EvolveGcnOConfig, TemporalGraphConfig, TemporalWindow};
///
/// let window = TemporalWindow {
///     shape: [2, 3, 1],
///     features: &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0],
///     connectivity: Connectivity::Static { sources: &[0u32, 1], targets: &[1, 0], features: &[] },
///     present: None,
/// };
/// let device = Device::flex();
/// let graph = TemporalGraphConfig::new().build(&[window], &device)?;
/// let network = EvolveGcnOConfig::new(1).with_d_hidden(8).init(&device);
/// assert_eq!(network.forward(&graph).dims(), [2, 8]);
/// # Ok::<(), firebrick_models::temporal::TemporalGraphError>(())
/// ```
///
/// # Notes
/// Gao and Ribeiro (2022) start the weights at 0, where all rows of a matrix are equal at every step until
/// training tells them apart; the start here is random.
///
/// # References
/// A. Pareja et al., *EvolveGCN: Evolving Graph Convolutional Networks for Dynamic Graphs*, AAAI 2020.
#[derive(Module, Debug)]
pub struct EvolveGcnO {
    /// `[d_hidden, inputs]` of each layer, before the first step.
    pub weights: Vec<Param<Tensor<2>>>,
    /// The LSTM of each layer, for rows of its weights.
    pub cells: Vec<LstmCell>,
    #[module(skip)]
    activation: Activation,
}

/// Weights that [`EvolveGcnO`] has come to.
#[derive(Clone, Debug)]
pub struct EvolveGcnOState {
    /// `[windows, d_hidden, inputs]` of each layer, or `[1, d_hidden, inputs]` for all windows.
    pub weights: Vec<Tensor<3>>,
    /// The cells, of the same shapes.
    pub cells: Vec<Tensor<3>>,
}

impl EvolveGcnO {
    /// Columns of the output.
    pub fn d_output(&self) -> usize {
        self.weights[0].val().dims()[0]
    }

    /// The output of the last step.
    ///
    /// # Shapes
    /// - output: `[nodes, d_hidden]`
    ///
    /// # Panics
    /// If the number of features disagrees or a node's degree is negative.
    pub fn forward(&self, graph: &TemporalGraph) -> Tensor<2> {
        self.forward_from(graph, None).0
    }

    /// The output of the last step, with weights that go on from where the steps before left them.
    ///
    /// # Panics
    /// As [`forward`](Self::forward), and if the state has other shapes.
    pub fn forward_from(
        &self,
        graph: &TemporalGraph,
        state: Option<EvolveGcnOState>,
    ) -> (Tensor<2>, EvolveGcnOState) {
        check_columns(NAME, graph, self.weights[0].val().dims()[1]);
        let windows = Windows::of(graph);
        let state = state.unwrap_or_else(|| self.start());
        let expected: Vec<[usize; 2]> = self.weights.iter().map(|w| w.val().dims()).collect();
        check_matrices(NAME, &state.weights, &expected, windows.count());
        check_matrices(NAME, &state.cells, &expected, windows.count());
        let evolved = self.cells.iter().zip(state.weights.into_iter().zip(state.cells));
        let (weights, cells) = evolved
            .map(|(cell, (weights, cells))| {
                evolve(cell, weights, cells, &windows.starts, graph.steps())
            })
            .unzip();
        let state = EvolveGcnOState { weights, cells };
        (self.convolve(graph, &windows, &state.weights), state)
    }

    fn start(&self) -> EvolveGcnOState {
        let weights = self.weights.iter().map(|weight| weight.val().unsqueeze_dim(0));
        let cells = self.weights.iter().map(|weight| weight.val().zeros_like().unsqueeze_dim(0));
        EvolveGcnOState { weights: weights.collect(), cells: cells.collect() }
    }

    fn convolve(
        &self,
        graph: &TemporalGraph,
        windows: &Windows,
        weights: &[Tensor<3>],
    ) -> Tensor<2> {
        let operator = last_operator(NAME, graph, Normalization::GCN);
        let x = graph.features_at(graph.steps() - 1);
        weights.iter().enumerate().fold(x, |x, (layer, weights)| {
            let x = if layer == 0 { x } else { self.activation.forward(x) };
            let [_, outputs, inputs] = weights.dims();
            match inputs <= outputs {
                true => windows.product(operator.apply(x), weights),
                false => operator.apply(windows.product(x, weights)),
            }
        })
    }
}

/// The weights and cells of a layer after the steps of each window.
fn evolve(
    lstm: &LstmCell,
    weights: Tensor<3>,
    cells: Tensor<3>,
    starts: &[usize],
    steps: usize,
) -> (Tensor<3>, Tensor<3>) {
    let shape @ [matrices, rows, columns] = weights.dims();
    let flat = |x: Tensor<3>| x.reshape([matrices * rows, columns]);
    let first = starts.iter().copied().min().unwrap_or(0);
    let mut state = LstmState { hidden: flat(weights), cell: flat(cells) };
    let mut after = vec![state.clone()];
    for _ in first..steps {
        state = lstm.step(state.hidden.clone(), state);
        after.push(state.clone());
    }
    let together = |x: &Tensor<2>| x.clone().reshape(shape);
    if starts.iter().all(|&start| start == first) {
        return (together(&state.hidden), together(&state.cell));
    }
    let of_windows = |part: fn(&LstmState) -> &Tensor<2>| {
        let of_window = |(window, &start): (usize, &usize)| {
            let found = together(part(&after[steps - start]));
            if matrices == 1 { found } else { found.narrow(0, window, 1) }
        };
        Tensor::cat(starts.iter().enumerate().map(of_window).collect(), 0)
    };
    (of_windows(|state| &state.hidden), of_windows(|state| &state.cell))
}
