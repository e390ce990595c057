//! EvolveGCN-H: graph convolutions whose weights are the states of a GRU that reads the most telling nodes.
//!
//! ```text
//! y[i] = <x[i], p> / |p|                               scores of the nodes, x before the activation
//! S = rows x[i] tanh(y[i]) of the k largest scores     k = rows of W_l; too few rows: the last again
//! W_l <- GRU(S, W_l)                                   rows as a batch
//! x <- A x W_1^T,     x <- A act(x) W_2^T
//! ```
//!
//! # References
//! A. Pareja et al., *EvolveGCN: Evolving Graph Convolutional Networks for Dynamic Graphs*, AAAI 2020,
//! section 3.3.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use firebrick_ops::sparse::Normalization;

use super::evolution::{Windows, check_matrices, integers};
use super::steps::{check_columns, operators};
use crate::temporal::start::{check_positive, uniform};
use crate::temporal::{Activation, GruCell, GruCellConfig, TemporalGraph};

const NAME: &str = "EvolveGcnH";

/// Settings of [`EvolveGcnH`].
#[derive(Config, Debug)]
pub struct EvolveGcnHConfig {
    /// Number of features of a node.
    pub d_input: usize,
    /// Width of the layers and of the output, and number of nodes that the weights are told of.
    #[config(default = 16)]
    pub d_hidden: usize,
    /// Number of graph convolutions, at least one.
    #[config(default = 2)]
    pub layers: usize,
    /// Between the convolutions.
    #[config(default = "Activation::Softplus")]
    pub activation: Activation,
}

impl EvolveGcnHConfig {
    /// Creates the network; everything starts in Glorot's uniform range.
    ///
    /// # Panics
    /// If a size or the number of layers is zero.
    pub fn init(&self, device: &Device) -> EvolveGcnH {
        let Self { d_input, d_hidden, layers, .. } = *self;
        let sizes = [("d_input", d_input), ("d_hidden", d_hidden), ("layers", layers)];
        check_positive("EvolveGcnHConfig", &sizes);
        let inputs = |layer| if layer == 0 { d_input } else { d_hidden };
        let weight = |layer| uniform([d_hidden, inputs(layer)], inputs(layer), d_hidden, device);
        let cell = |layer| GruCellConfig::new(inputs(layer), inputs(layer)).init(device);
        let summary = |layer| uniform([inputs(layer), 1], inputs(layer), 1, device);
        EvolveGcnH {
            weights: (0..layers).map(weight).collect(),
            cells: (0..layers).map(cell).collect(),
            summaries: (0..layers).map(summary).collect(),
            activation: self.activation,
        }
    }
}

/// Graph convolutional network whose weights go through a GRU from step to step that reads a summary of the
/// nodes.
///
/// ```text
/// W_l <- GRU(S_l, W_l),     S_l = rows x[i] tanh(y[i]) of the k largest scores y[i] = <x[i], p_l> / |p_l|
/// ```
///
/// Every window has weights of its own, which start from the trained ones; the weights of later steps are
/// tensors that carry gradients back to the start, and are never stored. A window that is shorter than others
/// begins at the first step at which one of its nodes is there. Nodes that are absent have no score; where
/// fewer than `k` have one the last of them is repeated, and where none has one the summary is 0. Of equal scores
/// the node with the lower number comes first.
///
/// Entries count with the first channel of their weights.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::temporal::{Connectivity, EvolveGcnHConfig, TemporalGraphConfig, TemporalWindow};
///
/// let window = TemporalWindow {
///     shape: [2, 3, 1],
///     features: &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0],
///     connectivity: Connectivity::Static { sources: &[0u32, 1], targets: &[1, 0], features: &[] },
///     present: None,
/// };
/// let device = Device::flex();
/// let graph = TemporalGraphConfig::new().build(&[window], &device)?;
/// let network = EvolveGcnHConfig::new(1).with_d_hidden(8).init(&device);
/// assert_eq!(network.forward(&graph).dims(), [2, 8]);
/// # Ok::<(), firebrick_models::temporal::TemporalGraphError>(())
/// ```
///
/// # Notes
/// The nodes are chosen on the host, so that ties are broken alike on every backend: one read of the scores per
/// layer and step.
///
/// # References
/// A. Pareja et al., *EvolveGCN: Evolving Graph Convolutional Networks for Dynamic Graphs*, AAAI 2020.
#[derive(Module, Debug)]
pub struct EvolveGcnH {
    /// `[d_hidden, inputs]` of each layer, before the first step.
    pub weights: Vec<Param<Tensor<2>>>,
    /// The GRU of each layer, for rows of its weights.
    pub cells: Vec<GruCell>,
    /// `[inputs, 1]` of each layer: the direction of the scores.
    pub summaries: Vec<Param<Tensor<2>>>,
    #[module(skip)]
    activation: Activation,
}

/// Weights that [`EvolveGcnH`] has come to.
#[derive(Clone, Debug)]
pub struct EvolveGcnHState {
    /// `[windows, d_hidden, inputs]` of each layer.
    pub weights: Vec<Tensor<3>>,
}

impl EvolveGcnH {
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
        state: Option<EvolveGcnHState>,
    ) -> (Tensor<2>, EvolveGcnHState) {
        check_columns(NAME, graph, self.weights[0].val().dims()[1]);
        let windows = Windows::of(graph);
        let mut weights = match state {
            Some(state) => self.checked(state, windows.count()),
            None => self.start(windows.count()),
        };
        let operators = operators(NAME, graph, Normalization::GCN);
        let mut output = graph.features_at(0);
        for (step, operator) in operators.iter().enumerate() {
            output = graph.features_at(step);
            for (layer, weights) in weights.iter_mut().enumerate() {
                *weights = self.evolve(layer, &windows, step, &output, weights.clone());
                // What the last layer gives is read at the last step only.
                if layer + 1 == self.weights.len() && step + 1 < operators.len() {
                    break;
                }
                let x = if layer == 0 { output } else { self.activation.forward(output) };
                let [_, outputs, inputs] = weights.dims();
                output = match inputs <= outputs {
                    true => windows.product(operator.apply(x), weights),
                    false => operator.apply(windows.product(x, weights)),
                };
            }
        }
        (output, EvolveGcnHState { weights })
    }

    fn start(&self, windows: usize) -> Vec<Tensor<3>> {
        let start = |weight: &Param<Tensor<2>>| {
            let [rows, columns] = weight.val().dims();
            weight.val().unsqueeze_dim::<3>(0).expand([windows, rows, columns])
        };
        self.weights.iter().map(start).collect()
    }

    fn checked(&self, state: EvolveGcnHState, windows: usize) -> Vec<Tensor<3>> {
        let expected: Vec<[usize; 2]> = self.weights.iter().map(|w| w.val().dims()).collect();
        check_matrices(NAME, &state.weights, &expected, windows);
        let spread = |weights: Tensor<3>| {
            let [_, rows, columns] = weights.dims();
            weights.expand([windows, rows, columns])
        };
        state.weights.into_iter().map(spread).collect()
    }

    /// The weights of a layer at a step from those at the step before.
    fn evolve(
        &self,
        layer: usize,
        windows: &Windows,
        step: usize,
        x: &Tensor<2>,
        weights: Tensor<3>,
    ) -> Tensor<3> {
        let shape @ [count, rows, columns] = weights.dims();
        if count == 0 {
            return weights;
        }
        let summary = self.summary(layer, windows, step, x, rows);
        let before = weights.reshape([count * rows, columns]);
        let after = self.cells[layer].step(summary, before.clone());
        if windows.starts.iter().all(|&start| start <= step) {
            return after.reshape(shape);
        }
        let waits = windows.starts.iter().map(|&start| start > step);
        let waits = TensorData::new(waits.collect::<Vec<bool>>(), [count, 1, 1]);
        let waits = Tensor::<3, burn::tensor::Bool>::from_data(waits, &after.device());
        let before: Tensor<3> = before.reshape(shape);
        after.reshape(shape).mask_where(waits.expand(shape), before)
    }

    /// `[windows * k, inputs]`: the rows with the largest scores, each times the tanh of its score.
    fn summary(
        &self,
        layer: usize,
        windows: &Windows,
        step: usize,
        x: &Tensor<2>,
        k: usize,
    ) -> Tensor<2> {
        let direction = self.summaries[layer].val();
        let count = windows.count() * k;
        if windows.nodes() == 0 {
            let [_, columns] = x.dims();
            return Tensor::zeros([count, columns], (&x.device(), x.dtype()));
        }
        let norm = direction.clone().powi_scalar(2).sum_dim(0).sqrt();
        let scores = x.clone().matmul(direction) / norm;
        let values: Vec<f64> = scores.clone().detach().into_data().iter::<f64>().collect();
        let chosen: Vec<Option<usize>> = (0..windows.count())
            .flat_map(|window| largest(&values, windows.present(window, step), k))
            .collect();
        let places = chosen.iter().map(|node| node.unwrap_or(0) as i64).collect();
        let places = integers(places, x);
        let rows = x.clone().select(0, places.clone()) * scores.select(0, places).tanh();
        if chosen.iter().all(Option::is_some) {
            return rows;
        }
        let found = chosen.iter().map(|node| f32::from(u8::from(node.is_some())));
        let found = TensorData::new(found.collect::<Vec<f32>>(), [count, 1]);
        rows * Tensor::<2>::from_data(found, (&x.device(), x.dtype()))
    }
}

/// The nodes with the `k` largest scores from the largest down, the lower number first among equals; the last
/// one again where there are fewer, and nothing where there is none. NaN counts as the largest.
fn largest(scores: &[f64], nodes: impl Iterator<Item = usize>, k: usize) -> Vec<Option<usize>> {
    let mut nodes: Vec<usize> = nodes.collect();
    let order = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then_with(|| a.cmp(b));
    if nodes.len() > k {
        nodes.select_nth_unstable_by(k, order);
        nodes.truncate(k);
    }
    nodes.sort_unstable_by(order);
    let last = nodes.last().copied();
    let mut chosen: Vec<Option<usize>> = nodes.into_iter().map(Some).collect();
    chosen.resize(k, last);
    chosen
}
