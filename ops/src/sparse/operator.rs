//! A graph with its edge values: a sparse matrix.

use burn::tensor::{Device, Tensor};

use super::graph::Graph;
use super::product::{spmm, sum_neighbors};

/// A sparse matrix `[target_nodes, source_nodes]` on a device: a graph with one value per entry.
///
/// Made by [`Normalization`](super::Normalization) or from any graph and values. Clones share everything.
#[derive(Clone, Debug)]
pub struct Operator {
    graph: Graph,
    values: Option<Tensor<1>>,
}

impl Operator {
    /// The matrix with these values; 1 for every entry without.
    ///
    /// # Shapes
    /// - values: `[entries]`
    ///
    /// # Panics
    /// If the number of values is not that of the entries.
    pub fn new(graph: Graph, values: Option<Tensor<1>>) -> Self {
        if let Some(values) = &values {
            assert!(
                values.dims()[0] == graph.entries(),
                "Operator: there must be one value per entry, {}, got {}",
                graph.entries(),
                values.dims()[0]
            );
        }
        Self { graph, values }
    }

    /// `A x`.
    ///
    /// # Shapes
    /// - x: `[source_nodes, columns]`
    /// - output: `[target_nodes, columns]`
    ///
    /// # Panics
    /// If the number of rows disagrees.
    pub fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.values {
            Some(values) => spmm(&self.graph, values.clone(), x),
            None => sum_neighbors(&self.graph, x),
        }
    }

    /// `A^k x`.
    ///
    /// # Shapes
    /// - x, output: `[nodes, columns]`
    ///
    /// # Panics
    /// If the number of rows disagrees.
    pub fn power(&self, x: Tensor<2>, steps: usize) -> Tensor<2> {
        (0..steps).fold(x, |x, _| self.apply(x))
    }

    /// The transposed matrix.
    pub fn transposed(&self) -> Self {
        Self { graph: self.graph.transposed(), values: self.values.clone() }
    }

    /// The entries.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The value of each entry, `[entries]`; none if all are 1.
    pub fn values(&self) -> Option<&Tensor<1>> {
        self.values.as_ref()
    }

    /// The matrix on another device.
    pub fn to_device(&self, device: &Device) -> Self {
        let values = self.values.clone().map(|values| values.to_device(device));
        Self { graph: self.graph.clone(), values }
    }
}
