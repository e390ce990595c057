//! What the operations compute and how their gradients follow.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::composed::{Kernels, MessageTensors, ScoreTensors};
use super::graph::Graph;

/// An operation with its graph; the symbols are those of the [module](super).
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// Sum of the sources' rows.
    Sum(Graph),
    /// `A x`: values `[entries, heads]`, then `x`.
    Product(Graph),
    /// `<y[d], x[s]>`: `y`, then `x`.
    Dot { graph: Graph, heads: usize },
    /// Maximum of the sources' rows, 0 for none.
    Max(Graph),
    /// Rows of the targets of a graph whose sources are entries, one per entry.
    Gather(Graph),
    /// Rows over the number of entries of their target.
    OverDegree(Graph),
    /// Softmax of the rows of entries over those of the same target.
    Softmax(Graph),
    /// Scores of pairs: source rows, target rows, attention `[heads, columns / heads]` and, if there are
    /// five tensors, entries' features and their matrix.
    Scores { graph: Graph, slope: f64 },
    /// Sum of rectified messages: source rows, entries' features, their matrix.
    Messages(Graph),
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub(crate) struct Saved<B: Backend> {
    inputs: Vec<FloatTensor<B>>,
    output: Option<FloatTensor<B>>,
}

impl Operation {
    pub fn forward<B: Kernels>(&self, inputs: &[FloatTensor<B>]) -> FloatTensor<B> {
        let input = |index: usize| inputs[index].clone();
        match self {
            Self::Sum(graph) => B::sum(input(0), graph),
            Self::Product(graph) => B::product(input(0), input(1), graph),
            Self::Dot { graph, heads } => B::dot(input(0), input(1), *heads, graph),
            Self::Max(graph) => B::max(input(0), graph),
            Self::Gather(graph) => B::gather(input(0), graph),
            Self::OverDegree(graph) => B::over_degree(input(0), graph),
            Self::Softmax(graph) => B::segment_softmax(input(0), graph),
            Self::Scores { graph, slope } => B::scores(ScoreTensors::new(inputs), *slope, graph),
            Self::Messages(graph) => B::messages(MessageTensors::new(inputs), graph),
        }
    }

    pub fn save<B: Backend>(
        &self,
        inputs: Vec<FloatTensor<B>>,
        output: &FloatTensor<B>,
    ) -> Saved<B> {
        let inputs = match self {
            Self::Sum(_) | Self::Gather(_) | Self::OverDegree(_) | Self::Softmax(_) => Vec::new(),
            _ => inputs,
        };
        let keeps_output = matches!(self, Self::Max(_) | Self::Softmax(_));
        Saved { inputs, output: keeps_output.then(|| output.clone()) }
    }

    /// The gradients of the inputs; those that are not wanted may be missing.
    pub fn backward<B: Kernels>(
        &self,
        saved: Saved<B>,
        gradient: FloatTensor<B>,
        wanted: &[bool],
    ) -> Vec<Option<FloatTensor<B>>> {
        let input = |index: usize| saved.inputs[index].clone();
        let output = || saved.output.clone().expect("saved by this operation");
        match self {
            Self::Sum(graph) => vec![Some(B::sum(gradient, &graph.transposed()))],
            Self::Product(graph) => {
                let heads = saved.inputs[0].shape()[1];
                let values = wanted[0].then(|| B::dot(gradient.clone(), input(1), heads, graph));
                let x = wanted[1].then(|| B::product(input(0), gradient, &graph.transposed()));
                vec![values, x]
            }
            Self::Dot { graph, .. } => {
                let y = wanted[0].then(|| B::product(gradient.clone(), input(1), graph));
                let x = wanted[1].then(|| B::product(gradient, input(0), &graph.transposed()));
                vec![y, x]
            }
            Self::Max(graph) => vec![Some(B::max_backward(input(0), output(), gradient, graph))],
            Self::Gather(graph) => vec![Some(B::sum(gradient, graph))],
            Self::OverDegree(graph) => vec![Some(B::over_degree(gradient, graph))],
            Self::Softmax(graph) => {
                vec![Some(B::segment_softmax_backward(output(), gradient, graph))]
            }
            Self::Scores { graph, slope } => {
                let tensors = ScoreTensors::new(&saved.inputs);
                B::scores_backward(tensors, gradient, *slope, graph)
            }
            Self::Messages(graph) => {
                B::messages_backward(MessageTensors::new(&saved.inputs), gradient, graph)
            }
        }
    }
}
