//! Several graphs as one, and from nodes back to graphs.

use burn::config::Config;
use burn::tensor::Tensor;
use firebrick_ops::sparse::{
    EntryIndex, Graph, GraphError, max_neighbors, mean_neighbors, sum_neighbors,
};

/// How the rows of a graph's nodes become one.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest value, feature by feature.
    Max,
}

/// Graphs side by side: their disjoint union, with the graph of each node.
///
/// A layer applied to [`graph`](Self::graph) gives each graph what it gives it alone. Graphs without nodes
/// keep their number, and their row after pooling is 0.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::{GraphBatch, Pooling};
/// use firebrick_ops::sparse::{Graph, GraphError};
///
/// let pair = Graph::from_entries(2, &[0, 1], &[1, 0])?;
/// let empty = Graph::from_entries::<u32>(0, &[], &[])?;
/// let batch = GraphBatch::new([&pair, &empty, &pair])?;
/// assert_eq!(batch.graph().nodes(), 4);
/// let x = Tensor::<2>::from_data([[1.0], [2.0], [3.0], [5.0]], &Device::flex());
/// let pooled = batch.pool(x, Pooling::Sum).into_data();
/// assert_eq!(pooled.try_to_vec::<f32>().unwrap(), [3.0, 0.0, 8.0]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphBatch {
    graph: Graph,
    /// From nodes to their graphs.
    membership: Graph,
}

impl GraphBatch {
    /// The disjoint union of graphs.
    ///
    /// # Errors
    /// If there are 2^31 nodes or entries or more, or a graph is bipartite with sides of different size.
    pub fn new<'a>(graphs: impl IntoIterator<Item = &'a Graph>) -> Result<Self, GraphError> {
        let graphs: Vec<&Graph> = graphs.into_iter().collect();
        let mut graph_of_node = Vec::new();
        for (number, graph) in graphs.iter().enumerate() {
            if !graph.is_square() {
                let (sources, targets) = (graph.source_nodes(), graph.target_nodes());
                return Err(GraphError::Rectangular { sources, targets });
            }
            graph_of_node.resize(graph_of_node.len() + graph.nodes(), number);
        }
        let union = Graph::disjoint_union(graphs.iter().copied())?;
        Self::from_parts(union, &graph_of_node, graphs.len())
    }

    /// A graph whose nodes belong to several, by the number of each node's graph.
    ///
    /// # Errors
    /// If there is not one number per node or a number is not below `graphs`.
    pub fn from_parts<I: EntryIndex>(
        graph: Graph,
        graph_of_node: &[I],
        graphs: usize,
    ) -> Result<Self, GraphError> {
        let nodes: Vec<usize> = (0..graph.target_nodes()).collect();
        let membership = Graph::bipartite(nodes.len(), graphs, &nodes, graph_of_node)?;
        Ok(Self { graph, membership })
    }

    /// The union.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Number of graphs.
    pub fn graphs(&self) -> usize {
        self.membership.target_nodes()
    }

    /// The graph of each node.
    pub fn graph_of_node(&self) -> &[u32] {
        self.membership.targets()
    }

    /// One row per graph from one per node.
    ///
    /// # Shapes
    /// - x: `[nodes, columns]`
    /// - output: `[graphs, columns]`
    ///
    /// # Panics
    /// If there is not one row per node.
    pub fn pool(&self, x: Tensor<2>, pooling: Pooling) -> Tensor<2> {
        match pooling {
            Pooling::Sum => sum_neighbors(&self.membership, x),
            Pooling::Mean => mean_neighbors(&self.membership, x),
            Pooling::Max => max_neighbors(&self.membership, x),
        }
    }
}
