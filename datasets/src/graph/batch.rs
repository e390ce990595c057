//! Several graphs as one: their disjoint union.
//!
//! No entry joins nodes of different graphs, so that a layer computes for every graph what it would
//! compute alone.

use crate::DatasetError;
use crate::graph::{DenseRows, GraphData, NodeFeatures, NodeSplit, SparseRows};

/// The disjoint union of some graphs.
///
/// # Example
/// ```
/// use firebrick_datasets::graph::{GraphDataBatch, GraphData};
///
/// let path = GraphData::from_edges("path", 3, &[(0, 1), (1, 2)])?;
/// let none = GraphData::new("none", 0, vec![], vec![])?;
/// let batch = GraphDataBatch::new(&[&path, &none, &path])?;
/// assert_eq!(batch.graph().targets(), [1, 0, 2, 1, 4, 3, 5, 4]);
/// assert_eq!(batch.graph_of_node(), [0, 0, 0, 2, 2, 2]);
/// assert_eq!(batch.num_graphs(), 3); // also where the last ones are empty
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GraphDataBatch {
    graph: GraphData,
    graph_of_node: Vec<usize>,
    first_nodes: Vec<usize>,
    first_entries: Vec<usize>,
}

impl GraphDataBatch {
    /// Joins graphs, in their order. Where only some have weights, those of the others are 1; where
    /// only some have sparse features, all become dense.
    ///
    /// # Errors
    /// If the graphs differ in the width of their features or in the number of classes.
    pub fn new(graphs: &[&GraphData]) -> Result<Self, DatasetError> {
        check(graphs)?;
        let (mut first_nodes, mut first_entries) = (vec![0], vec![0]);
        let (mut nodes, mut entries) = (0, 0);
        let (mut sources, mut targets, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let (mut graph_of_node, mut split) = (Vec::new(), NodeSplit::default());
        for (index, graph) in graphs.iter().enumerate() {
            let shifted =
                |list: &[usize]| list.iter().map(|&node| node + nodes).collect::<Vec<_>>();
            sources.extend(shifted(graph.sources()));
            targets.extend(shifted(graph.targets()));
            labels.extend_from_slice(graph.labels());
            split.train.extend(shifted(&graph.split().train));
            split.validation.extend(shifted(&graph.split().validation));
            split.test.extend(shifted(&graph.split().test));
            graph_of_node.resize(nodes + graph.num_nodes(), index);
            nodes += graph.num_nodes();
            entries += graph.num_entries();
            first_nodes.push(nodes);
            first_entries.push(entries);
        }
        let classes = graphs.first().map_or(0, |graph| graph.num_classes());
        let mut graph = GraphData::new("batch", nodes, sources, targets)?
            .with_features(features(graphs, nodes)?)?
            .with_labels(labels, classes)?
            .with_split(split)?;
        if graphs.iter().any(|graph| graph.weights().is_some()) {
            let weights = |graph: &&GraphData| {
                graph.weights().map_or(vec![1.0; graph.num_entries()], <[f32]>::to_vec)
            };
            graph = graph.with_weights(graphs.iter().flat_map(weights).collect())?;
        }
        Ok(Self { graph, graph_of_node, first_nodes, first_entries })
    }

    /// All graphs as one.
    pub fn graph(&self) -> &GraphData {
        &self.graph
    }

    /// Number of graphs, empty ones too.
    pub fn num_graphs(&self) -> usize {
        self.first_nodes.len() - 1
    }

    /// The graph that each node belongs to; ascending.
    pub fn graph_of_node(&self) -> &[usize] {
        &self.graph_of_node
    }

    /// The nodes of one graph.
    ///
    /// # Panics
    /// If there is no such graph.
    pub fn nodes(&self, graph: usize) -> std::ops::Range<usize> {
        self.first_nodes[graph]..self.first_nodes[graph + 1]
    }

    /// The entries of one graph.
    ///
    /// # Panics
    /// If there is no such graph.
    pub fn entries(&self, graph: usize) -> std::ops::Range<usize> {
        self.first_entries[graph]..self.first_entries[graph + 1]
    }
}

fn check(graphs: &[&GraphData]) -> Result<(), DatasetError> {
    let Some(first) = graphs.first() else { return Ok(()) };
    for (index, graph) in graphs.iter().enumerate() {
        for (what, expected, found) in [
            ("columns of features", first.features().width(), graph.features().width()),
            ("classes", first.num_classes(), graph.num_classes()),
        ] {
            if expected != found {
                return Err(DatasetError::Unsuitable {
                    place: "batch of graphs",
                    what: format!("graph {index}"),
                    expected: format!("{expected} {what}, as in graph 0"),
                    found: found.to_string(),
                });
            }
        }
    }
    Ok(())
}

/// The rows of all graphs.
fn features(graphs: &[&GraphData], num_nodes: usize) -> Result<NodeFeatures, DatasetError> {
    let width = graphs.first().map_or(0, |graph| graph.features().width());
    let sparse: Option<Vec<&SparseRows>> = graphs
        .iter()
        .map(|graph| match graph.features() {
            NodeFeatures::Sparse(rows) => Some(rows),
            NodeFeatures::Dense(_) => None,
        })
        .collect();
    let Some(sparse) = sparse.filter(|sparse| !sparse.is_empty()) else {
        let values = graphs.iter().flat_map(|graph| graph.features().to_dense().values().to_vec());
        return DenseRows::new(num_nodes, width, values.collect()).map(NodeFeatures::Dense);
    };
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for rows in sparse {
        let stored = columns.len();
        starts.extend(rows.starts()[1..].iter().map(|start| start + stored));
        columns.extend_from_slice(rows.columns());
        values.extend_from_slice(rows.values());
    }
    SparseRows::new(width, starts, columns, values).map(NodeFeatures::Sparse)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::{CitationNetworkConfig, karate_club};

    #[test]
    fn a_batch_falls_apart_into_its_graphs() {
        let config = CitationNetworkConfig::small();
        let graphs: Vec<GraphData> = (0..3).map(|seed| config.generate(seed)).collect();
        let weights = vec![0.5; graphs[1].num_entries()];
        let second = graphs[1].clone().with_weights(weights).unwrap();
        let batch = GraphDataBatch::new(&[&graphs[0], &second, &graphs[2]]).unwrap();
        assert_eq!(batch.graph().num_nodes(), 1800);
        for (index, graph) in graphs.iter().enumerate() {
            let nodes: Vec<usize> = batch.nodes(index).collect();
            assert!(nodes.iter().all(|&node| batch.graph_of_node()[node] == index));
            let part = batch.graph().subgraph(&nodes).unwrap();
            assert!(part.entries.iter().copied().eq(batch.entries(index)));
            let expected = if index == 1 { 0.5 } else { 1.0 };
            assert!(part.graph.weights().unwrap().iter().all(|&weight| weight == expected));
            let weights = vec![expected; graph.num_entries()];
            let graph = graph.clone().with_name("batch").with_weights(weights).unwrap();
            assert_eq!(part.graph, graph);
        }
    }

    #[test]
    fn dense_and_sparse_features_join_to_dense_ones() {
        let sparse = GraphData::new("sparse", 2, vec![], vec![]).unwrap();
        let sparse = sparse.with_features(NodeFeatures::one_hot(2)).unwrap();
        let rows = NodeFeatures::Dense(DenseRows::new(1, 2, vec![3.0, 4.0]).unwrap());
        let dense =
            GraphData::new("dense", 1, vec![], vec![]).unwrap().with_features(rows).unwrap();
        let batch = GraphDataBatch::new(&[&sparse, &dense]).unwrap();
        assert_eq!(batch.graph().features().to_dense().values(), [1.0, 0.0, 0.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    fn a_batch_may_be_empty_but_not_mixed() {
        let none = GraphDataBatch::new(&[]).unwrap();
        assert_eq!((none.num_graphs(), none.graph().num_nodes()), (0, 0));
        let other = GraphData::new("other", 1, vec![], vec![]).unwrap();
        let error = GraphDataBatch::new(&[&karate_club(), &other]).unwrap_err().to_string();
        assert!(error.contains("graph 1: expected 34 columns of features, as in graph 0, found 0"));
    }
}
