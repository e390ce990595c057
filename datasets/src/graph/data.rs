//! One graph with everything that a data set of nodes has.

use crate::DatasetError;
use crate::graph::{NodeFeatures, NodeSplit};

/// The label of a node that has none.
pub const UNLABELED: i64 = -1;

/// A graph on the host: `n` nodes, `E` directed entries `source -> target`, perhaps with weights,
/// features, labels and a split of the nodes.
///
/// Everything is checked when it is put in, so that whoever reads it need not check again. Entries
/// may come in any order and several times; an undirected edge is two entries.
///
/// # Example
/// ```
/// use firebrick_datasets::graph::{DenseRows, GraphData, NodeFeatures, NodeSplit};
///
/// let path = GraphData::new("path", 3, vec![0, 1, 1, 2], vec![1, 0, 2, 1])?
///     .with_features(NodeFeatures::Dense(DenseRows::new(3, 1, vec![1.0, 2.0, 3.0])?))?
///     .with_labels(vec![0, -1, 1], 2)?
///     .with_split(NodeSplit { train: vec![0], validation: vec![], test: vec![2] })?;
/// assert_eq!((path.num_nodes(), path.num_entries(), path.num_classes()), (3, 4, 2));
/// assert_eq!(path.label(1), None);
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GraphData {
    name: String,
    sources: Vec<usize>,
    targets: Vec<usize>,
    weights: Option<Vec<f32>>,
    features: NodeFeatures,
    /// One per node; their number is the number of nodes.
    labels: Vec<i64>,
    num_classes: usize,
    split: NodeSplit,
}

impl GraphData {
    /// A graph of `num_nodes` nodes with entries from `sources[e]` to `targets[e]`; without weights,
    /// features, labels and split.
    ///
    /// # Errors
    /// If the lists differ in length or name a node that is not below `num_nodes`.
    pub fn new(
        name: impl Into<String>,
        num_nodes: usize,
        sources: Vec<usize>,
        targets: Vec<usize>,
    ) -> Result<Self, DatasetError> {
        let place = name.into();
        check_length(&place, "targets of entries", sources.len(), targets.len())?;
        for (list, nodes) in [("source", &sources), ("target", &targets)] {
            if let Some(index) = nodes.iter().position(|&node| node >= num_nodes) {
                let node = nodes[index];
                return Err(DatasetError::NodeOutOfRange { place, list, index, node, num_nodes });
            }
        }
        Ok(Self {
            name: place,
            sources,
            targets,
            weights: None,
            features: NodeFeatures::none(num_nodes),
            labels: vec![UNLABELED; num_nodes],
            num_classes: 0,
            split: NodeSplit::default(),
        })
    }

    /// An undirected graph: each pair becomes an entry in both directions, a pair of equal nodes one
    /// entry. Pairs are kept as they come, also when they come twice.
    ///
    /// # Errors
    /// If a pair names a node that is not below `num_nodes`.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::GraphData;
    ///
    /// let graph = GraphData::from_edges("triangle", 3, &[(0, 1), (1, 2), (2, 0)])?;
    /// assert_eq!(graph.num_entries(), 6);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn from_edges(
        name: impl Into<String>,
        num_nodes: usize,
        edges: &[(usize, usize)],
    ) -> Result<Self, DatasetError> {
        let both = |&(a, b): &(usize, usize)| {
            let back = (a != b).then_some((b, a));
            std::iter::once((a, b)).chain(back)
        };
        let (sources, targets) = edges.iter().flat_map(both).unzip();
        Self::new(name, num_nodes, sources, targets)
    }

    /// Gives every entry a weight.
    ///
    /// # Errors
    /// If there is not one weight per entry, or one is not finite.
    pub fn with_weights(mut self, weights: Vec<f32>) -> Result<Self, DatasetError> {
        check_length(&self.name, "weights", self.sources.len(), weights.len())?;
        if let Some(index) = weights.iter().position(|weight| !weight.is_finite()) {
            return Err(DatasetError::GraphValue {
                place: self.name,
                list: "weight",
                index,
                expected: "a finite number".to_string(),
                found: weights[index].to_string(),
            });
        }
        self.weights = Some(weights);
        Ok(self)
    }

    /// Gives every node features.
    ///
    /// # Errors
    /// If there is not one row per node.
    pub fn with_features(mut self, features: NodeFeatures) -> Result<Self, DatasetError> {
        check_length(&self.name, "rows of features", self.num_nodes(), features.num_rows())?;
        self.features = features;
        Ok(self)
    }

    /// Gives every node a label from `0..num_classes`, or [`UNLABELED`]. Drops the split.
    ///
    /// # Errors
    /// If there is not one label per node, or one is neither.
    pub fn with_labels(
        mut self,
        labels: Vec<i64>,
        num_classes: usize,
    ) -> Result<Self, DatasetError> {
        check_length(&self.name, "labels", self.num_nodes(), labels.len())?;
        let allowed = |label: i64| {
            label == UNLABELED || usize::try_from(label).is_ok_and(|label| label < num_classes)
        };
        if let Some(index) = labels.iter().position(|&label| !allowed(label)) {
            return Err(DatasetError::GraphValue {
                place: self.name,
                list: "label",
                index,
                expected: format!("a class below {num_classes}, or {UNLABELED} for none"),
                found: labels[index].to_string(),
            });
        }
        (self.labels, self.num_classes) = (labels, num_classes);
        self.split = NodeSplit::default();
        Ok(self)
    }

    /// Says which nodes are for what.
    ///
    /// # Errors
    /// If a node does not exist, has no label, or comes twice.
    pub fn with_split(mut self, split: NodeSplit) -> Result<Self, DatasetError> {
        split.check(&self.name, &self.labels)?;
        self.split = split;
        Ok(self)
    }

    /// The same graph under another name.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Replaces the entries, keeping what belongs to the nodes. Nodes and lengths are the caller's
    /// care, which is why this is not public.
    pub(crate) fn replace_entries(
        mut self,
        sources: Vec<usize>,
        targets: Vec<usize>,
        weights: Option<Vec<f32>>,
    ) -> Self {
        debug_assert!(sources.len() == targets.len());
        debug_assert!(weights.as_ref().is_none_or(|weights| weights.len() == sources.len()));
        (self.sources, self.targets, self.weights) = (sources, targets, weights);
        self
    }

    /// The name, for messages and reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of nodes.
    pub fn num_nodes(&self) -> usize {
        self.labels.len()
    }

    /// Number of directed entries; an undirected edge counts twice.
    pub fn num_entries(&self) -> usize {
        self.sources.len()
    }

    /// Where each entry comes from.
    pub fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// Where each entry goes to.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// Entries as pairs of source and target.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        self.sources.iter().copied().zip(self.targets.iter().copied())
    }

    /// The weight of each entry; `None`: all are 1.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// The features of all nodes.
    pub fn features(&self) -> &NodeFeatures {
        &self.features
    }

    /// The label of each node; [`UNLABELED`] where there is none.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The class of one node, if it has one.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn label(&self, node: usize) -> Option<usize> {
        usize::try_from(self.labels[node]).ok()
    }

    /// Number of classes; zero without labels.
    pub fn num_classes(&self) -> usize {
        self.num_classes
    }

    /// Number of nodes of each class among `nodes`.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn class_counts(&self, nodes: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut counts = vec![0; self.num_classes];
        nodes.into_iter().filter_map(|node| self.label(node)).for_each(|class| counts[class] += 1);
        counts
    }

    /// Nodes to train, validate and test on.
    pub fn split(&self) -> &NodeSplit {
        &self.split
    }
}

pub(crate) fn check_length(
    place: &str,
    list: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), DatasetError> {
    if expected == found {
        return Ok(());
    }
    Err(DatasetError::GraphLength { place: place.to_string(), list, expected, found })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path() -> GraphData {
        GraphData::new("path", 3, vec![0, 1], vec![1, 2]).unwrap()
    }

    #[test]
    fn says_which_part_does_not_fit() {
        let text = |result: Result<GraphData, DatasetError>| result.unwrap_err().to_string();
        assert_eq!(
            text(GraphData::new("path", 3, vec![0, 1], vec![1])),
            "path: targets of entries: expected 2, found 1"
        );
        assert_eq!(
            text(GraphData::new("path", 3, vec![0, 1], vec![1, 3])),
            "path: target 1: expected a node below 3, found 3"
        );
        assert!(text(path().with_weights(vec![1.0])).ends_with("weights: expected 2, found 1"));
        assert!(
            text(path().with_weights(vec![1.0, f32::NAN]))
                .ends_with("weight 1: expected a finite number, found NaN")
        );
        assert!(text(path().with_features(NodeFeatures::none(2))).contains("rows of features"));
        assert!(text(path().with_labels(vec![0; 2], 1)).ends_with("labels: expected 3, found 2"));
        for label in [2, -2] {
            assert!(text(path().with_labels(vec![0, 1, label], 2)).ends_with(&format!(
                "label 2: expected a class below 2, or -1 for none, found {label}"
            )));
        }
        let split = NodeSplit { train: vec![0], ..Default::default() };
        assert!(text(path().with_split(split)).contains("training node 0"));
    }

    #[test]
    fn a_graph_may_be_empty() {
        let empty = GraphData::new("empty", 0, vec![], vec![]).unwrap();
        assert_eq!((empty.num_nodes(), empty.num_entries(), empty.features().width()), (0, 0, 0));
        let empty = empty.with_labels(vec![], 3).unwrap();
        assert_eq!(empty.class_counts([]), [0; 3]);
    }

    #[test]
    fn edges_become_entries_in_both_directions_and_self_loops_one() {
        let graph = GraphData::from_edges("graph", 3, &[(0, 2), (1, 1), (2, 0)]).unwrap();
        let entries: Vec<(usize, usize)> = graph.entries().collect();
        assert_eq!(entries, [(0, 2), (2, 0), (1, 1), (2, 0), (0, 2)]);
    }

    #[test]
    fn new_labels_drop_the_split() {
        let graph = path().with_labels(vec![0, 1, -1], 2).unwrap();
        let split = NodeSplit { train: vec![0], validation: vec![1], test: vec![] };
        let graph = graph.with_split(split).unwrap();
        assert_eq!(graph.class_counts(0..3), [1, 1]);
        assert_eq!(graph.with_labels(vec![-1; 3], 0).unwrap().split(), &NodeSplit::default());
    }
}
