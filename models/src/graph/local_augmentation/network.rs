//! What a network that takes generated features offers, and what it needs of the graph.

use burn::module::{Module, ParamId};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorCreationOptions};
use firebrick_ops::sparse::{Features, Graph, Normalization, Operator};

use super::DropoutMasks;

/// A graph with the operator of graph convolutions, computed once.
#[derive(Clone, Debug)]
pub struct PreparedGraph {
    /// The entries as they came.
    pub graph: Graph,
    /// `D^-1/2 (A + I) D^-1/2`.
    pub operator: Operator,
}

impl PreparedGraph {
    /// Prepares a graph without weights, on a device or with a device and a float type.
    ///
    /// # Panics
    /// If the graph is bipartite.
    pub fn new(graph: Graph, options: impl Into<TensorCreationOptions>) -> Self {
        let operator = Normalization::GCN.unweighted(&graph, options);
        Self { graph, operator }
    }

    /// The same on another device.
    pub fn to_device(&self, device: &Device) -> Self {
        Self { graph: self.graph.clone(), operator: self.operator.to_device(device) }
    }
}

/// A network that classifies nodes from several feature matrices at once.
pub trait AugmentedNetwork: Module {
    /// Log-probabilities of the classes.
    ///
    /// The generated matrices come first and the real one is last. `masks` is `None` in evaluation.
    ///
    /// # Shapes
    /// - inputs: each `[nodes, features]`
    /// - output: `[nodes, classes]`
    ///
    /// # Panics
    /// If the number of matrices is not the network's, or a shape disagrees.
    fn log_probabilities(
        &self,
        graph: &PreparedGraph,
        inputs: &[Features],
        masks: Option<&DropoutMasks>,
    ) -> Tensor<2>;

    /// The parameters that may have a weight decay of their own: those of the first layer, or of
    /// the graph convolutions of a deep network.
    fn first_group(&self) -> Vec<ParamId>;
}

/// The parameters of a linear layer.
pub(super) fn ids(layer: &Linear) -> Vec<ParamId> {
    let bias = layer.bias.as_ref().map(|bias| bias.id);
    [layer.weight.id].into_iter().chain(bias).collect()
}

pub(super) fn check_inputs(name: &str, expected: usize, inputs: &[Features]) {
    assert!(
        inputs.len() == expected,
        "{name}: expected {expected} feature matrices with the real one last, got {}",
        inputs.len()
    );
}
