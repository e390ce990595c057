//! A graph with features, labels and split, on a device.

use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick_datasets::graph::{GraphData, NodeFeatures, NodeSplit};
use firebrick_models::graph::local_augmentation::{
    AugmentationError, NeighborPairs, PreparedGraph,
};
use firebrick_ops::sparse::{Features, Graph, SparseFeatures};

/// A graph on a device without autodiff: entries, raw and row-normalized features, labels, split.
#[derive(Clone, Debug)]
pub struct AugmentationData {
    graph: PreparedGraph,
    pairs: Result<NeighborPairs, AugmentationError>,
    raw: Features,
    features: Features,
    labels: Vec<i64>,
    num_classes: usize,
    split: NodeSplit,
}

impl AugmentationData {
    /// Puts a graph on a device.
    ///
    /// Sparse features stay sparse.
    ///
    /// # Errors
    /// [`AugmentationError`] if there are no features, or no labeled node to train on.
    pub fn new(data: &GraphData, device: &Device) -> Result<Self, AugmentationError> {
        let device = device.clone().without_autodiff();
        let fail = |what, expected: &str, found| Err(AugmentationError::new(what, expected, found));
        if data.features().width() == 0 {
            return fail("features", "at least one per node", 0);
        }
        for (what, nodes) in [
            ("training nodes", &data.split().train),
            ("validation nodes", &data.split().validation),
        ] {
            if nodes.is_empty() {
                return fail(what, "at least one", 0);
            }
        }
        let of_split = [&data.split().train, &data.split().validation, &data.split().test];
        if let Some(node) = of_split.into_iter().flatten().find(|&&node| data.label(node).is_none())
        {
            let expected = "a label for every node of the split";
            return Err(AugmentationError::new("labels", expected, format!("none at node {node}")));
        }
        let (sources, targets) = (data.sources(), data.targets());
        let wrong = |error: firebrick_ops::sparse::GraphError| {
            AugmentationError::new("graph", "valid entries and features", error.to_string())
        };
        let graph = Graph::from_entries(data.num_nodes(), sources, targets).map_err(wrong)?;
        Ok(Self {
            graph: PreparedGraph::new(graph, &device),
            pairs: NeighborPairs::new(targets, sources, data.num_nodes()),
            raw: on_device(data.features(), &device).map_err(wrong)?,
            features: on_device(&data.features().normalize_rows(), &device).map_err(wrong)?,
            labels: data.labels().to_vec(),
            num_classes: data.num_classes(),
            split: data.split().clone(),
        })
    }

    /// The graph and its operator.
    pub fn graph(&self) -> &PreparedGraph {
        &self.graph
    }

    /// The pairs of neighbors.
    ///
    /// # Errors
    /// [`AugmentationError`] if the graph has no edge between two different nodes.
    pub fn pairs(&self) -> Result<&NeighborPairs, AugmentationError> {
        self.pairs.as_ref().map_err(Clone::clone)
    }

    /// The features as they came, which the generator reads.
    pub fn raw(&self) -> &Features {
        &self.raw
    }

    /// The features with rows divided by their sums.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// One label per node, -1 for none.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// Training, validation and test nodes.
    pub fn split(&self) -> &NodeSplit {
        &self.split
    }

    /// The number of nodes.
    pub fn num_nodes(&self) -> usize {
        self.labels.len()
    }

    /// The number of features of a node.
    pub fn num_features(&self) -> usize {
        self.raw.dims()[1]
    }

    /// The number of classes.
    pub fn num_classes(&self) -> usize {
        self.num_classes
    }

    /// Indices and labels of the training nodes.
    pub(super) fn training_labels(&self) -> (Tensor<1, Int>, Tensor<1, Int>) {
        let nodes = &self.split.train;
        let labels: Vec<i64> = nodes.iter().map(|&node| self.labels[node]).collect();
        let nodes = nodes.iter().map(|&node| node as i64).collect();
        (integers(nodes, &self.raw.device()), integers(labels, &self.raw.device()))
    }
}

fn integers(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

fn dense(features: &NodeFeatures, device: &Device) -> Tensor<2> {
    let shape = [features.num_rows(), features.width()];
    Tensor::from_data(TensorData::new(features.to_dense().values().to_vec(), shape), device)
}

fn on_device(
    features: &NodeFeatures,
    device: &Device,
) -> Result<Features, firebrick_ops::sparse::GraphError> {
    match features {
        NodeFeatures::Dense(_) => Ok(dense(features, device).into()),
        NodeFeatures::Sparse(rows) => {
            let values: Vec<f64> = rows.values().iter().map(|&value| value.into()).collect();
            let (starts, columns) = (rows.starts(), rows.columns());
            let rows = SparseFeatures::from_rows(rows.width(), starts, columns, &values, device)?;
            Ok(rows.into())
        }
    }
}
