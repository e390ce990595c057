//! What the models that go through the snapshots step by step share.

use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Graph, Normalization, Operator};

use crate::graph::{GcnConv, GcnConvConfig};
use crate::temporal::TemporalGraph;
use crate::temporal::start::uniform;

/// The operator of every step.
///
/// # Panics
/// If a degree is negative under symmetric scaling.
pub(super) fn operators(
    name: &str,
    graph: &TemporalGraph,
    normalization: Normalization,
) -> Vec<Operator> {
    let operator = |(step, snapshot): (usize, &crate::temporal::Snapshot)| match snapshot
        .operator(normalization)
    {
        Ok(operator) => operator,
        Err(error) => panic!("{name}: step {step}: {error}"),
    };
    graph.snapshots().iter().enumerate().map(operator).collect()
}

/// Rows that are linear functions of the features through the graph, `[nodes, columns]` per step: `spread`
/// gives the terms side by side. One call does for all steps where the graph does not change.
pub(super) fn spread_features(
    graph: &TemporalGraph,
    spread: impl Fn(usize, Tensor<2>) -> Vec<Tensor<2>>,
) -> Vec<Tensor<2>> {
    let [nodes, steps, columns] = graph.features().dims();
    if !graph.is_static() || steps == 0 {
        let of_step = |step| Tensor::cat(spread(step, graph.features_at(step)), 1);
        return (0..steps).map(of_step).collect();
    }
    let terms = spread(0, graph.features().reshape([nodes, steps * columns]));
    let terms = terms.into_iter().map(|term| term.reshape([nodes, steps, columns]));
    let terms: Tensor<3> = Tensor::cat(terms.collect(), 2);
    (0..steps).map(|step| terms.clone().narrow(1, step, 1).squeeze_dim(1)).collect()
}

/// Keeps the state of nodes that are absent at a step or whose window has not begun.
pub(super) struct Presence(Option<Tensor<2>>);

impl Presence {
    pub fn of(graph: &TemporalGraph) -> Self {
        Self(graph.mask())
    }

    /// `[nodes, 1]`: 1 where a node is there at the step.
    pub fn at(&self, step: usize) -> Option<Tensor<2>> {
        self.0.as_ref().map(|mask| mask.clone().narrow(1, step, 1))
    }

    /// The new rows of nodes that are there, the old ones of others.
    pub fn carry(&self, step: usize, old: &Tensor<2>, new: Tensor<2>) -> Tensor<2> {
        match self.at(step) {
            None => new,
            Some(there) => {
                let absent = there.equal_elem(0.0).expand(new.dims());
                new.mask_where(absent, old.clone())
            }
        }
    }
}

/// The state given, or zeros.
///
/// # Panics
/// If its shape is not `[nodes, d_hidden]`.
pub(super) fn start(
    name: &str,
    what: &str,
    graph: &TemporalGraph,
    d_hidden: usize,
    state: Option<Tensor<2>>,
) -> Tensor<2> {
    let expected = [graph.nodes(), d_hidden];
    match state {
        None => {
            let features = graph.features();
            Tensor::zeros(expected, (&features.device(), features.dtype()))
        }
        Some(state) => {
            assert!(
                state.dims() == expected,
                "{name}: {what} must be [nodes, d_hidden] = {expected:?}, got {:?}",
                state.dims()
            );
            state
        }
    }
}

/// # Panics
/// If the nodes have another number of features.
pub(super) fn check_columns(name: &str, graph: &TemporalGraph, d_input: usize) {
    let [_, _, found] = graph.features().dims();
    assert!(found == d_input, "{name}: nodes must have {d_input} features, got {found}");
}

/// One gate of a stack, `[nodes, width]`.
pub(super) fn gate(stack: &Tensor<3>, index: usize) -> Tensor<2> {
    stack.clone().narrow(0, index, 1).squeeze_dim(0)
}

/// A graph convolution whose bias starts in the range of its weight.
pub(super) fn convolution(d_input: usize, d_output: usize, device: &Device) -> GcnConv {
    let mut layer = GcnConvConfig::new(d_input, d_output).init(device);
    layer.bias = Some(uniform([d_output], d_input, d_output, device));
    layer
}

/// The nodes alone.
pub(super) fn without_entries(graph: &TemporalGraph) -> Graph {
    let empty = Graph::from_entries::<u32>(graph.nodes(), &[], &[]);
    empty.expect("the nodes were counted before")
}

/// The operator of the last step.
///
/// # Panics
/// If a degree is negative under symmetric scaling.
pub(super) fn last_operator(
    name: &str,
    graph: &TemporalGraph,
    normalization: Normalization,
) -> Operator {
    let last = graph.snapshots().last().expect("a temporal graph has at least one step");
    match last.operator(normalization) {
        Ok(operator) => operator,
        Err(error) => panic!("{name}: step {}: {error}", graph.steps() - 1),
    }
}
