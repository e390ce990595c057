//! Which nodes are trained on, which choose hyperparameters, and which are reported.

use crate::DatasetError;
use crate::graph::UNLABELED;
use crate::random::{Use, generator};
use crate::split::shuffle;

/// Disjoint sets of nodes; what is in none of them is seen but not used.
///
/// [`GraphData::with_split`](crate::graph::GraphData::with_split) checks the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSplit {
    /// Nodes whose labels train the model.
    pub train: Vec<usize>,
    /// Nodes that choose among models.
    pub validation: Vec<usize>,
    /// Nodes that are reported once.
    pub test: Vec<usize>,
}

impl NodeSplit {
    /// Draws as the public splits of citation networks are made: `train_per_class` nodes of every
    /// class, then `validation` and `test` nodes of the others. Nodes without a label are not drawn.
    ///
    /// Training nodes stand class by class; within a part of a class, and in the other parts, nodes
    /// are sorted. The result is a function of the arguments alone.
    ///
    /// # Errors
    /// If a class has fewer than `train_per_class` nodes, or too few nodes are left.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::NodeSplit;
    ///
    /// let labels = [0, 0, 0, 1, 1, 1, -1, 0];
    /// let split = NodeSplit::per_class(&labels, 2, 2, 1, 2, 0)?;
    /// assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (4, 1, 2));
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn per_class(
        labels: &[i64],
        num_classes: usize,
        train_per_class: usize,
        validation: usize,
        test: usize,
        seed: u64,
    ) -> Result<Self, DatasetError> {
        let (mut train, mut left) = (Vec::new(), Vec::new());
        for class in 0..num_classes {
            let mut nodes: Vec<usize> =
                (0..labels.len()).filter(|&node| labels[node] == class as i64).collect();
            if nodes.len() < train_per_class {
                return Err(DatasetError::Unsuitable {
                    place: "node split",
                    what: format!("class {class}"),
                    expected: format!("at least {train_per_class} nodes"),
                    found: nodes.len().to_string(),
                });
            }
            shuffle(&mut nodes, &mut generator(Use::NodeSplit, seed, class as u64));
            left.extend(nodes.split_off(train_per_class));
            nodes.sort_unstable();
            train.extend(nodes);
        }
        let requested = validation.saturating_add(test);
        if requested > left.len() {
            return Err(DatasetError::SplitTooLarge { available: left.len(), requested });
        }
        left.sort_unstable();
        shuffle(&mut left, &mut generator(Use::NodeSplit, seed, u64::MAX));
        let mut validation = left.drain(..validation).collect::<Vec<_>>();
        let mut test = left.drain(..test).collect::<Vec<_>>();
        validation.sort_unstable();
        test.sort_unstable();
        Ok(Self { train, validation, test })
    }

    /// One truth value per node: whether it is in `part`, as in `NodeSplit::mask(&split.train, n)`.
    ///
    /// # Panics
    /// If a node is not below `num_nodes`.
    pub fn mask(part: &[usize], num_nodes: usize) -> Vec<bool> {
        let mut mask = vec![false; num_nodes];
        for &node in part {
            assert!(node < num_nodes, "mask: expected nodes below {num_nodes}, got {node}");
            mask[node] = true;
        }
        mask
    }

    /// The three parts from masks, as other libraries give them; nodes are sorted.
    pub fn from_masks(train: &[bool], validation: &[bool], test: &[bool]) -> Self {
        let nodes = |mask: &[bool]| (0..mask.len()).filter(|&node| mask[node]).collect();
        Self { train: nodes(train), validation: nodes(validation), test: nodes(test) }
    }

    /// Checks that the parts are disjoint, free of duplicates, below `num_nodes` and labeled.
    pub(crate) fn check(&self, place: &str, labels: &[i64]) -> Result<(), DatasetError> {
        let mut part_of = vec![None; labels.len()];
        let parts = [
            ("training node", &self.train),
            ("validation node", &self.validation),
            ("test node", &self.test),
        ];
        for (list, nodes) in parts {
            for (index, &node) in nodes.iter().enumerate() {
                let place = || place.to_string();
                if node >= labels.len() {
                    let num_nodes = labels.len();
                    let place = place();
                    return Err(DatasetError::NodeOutOfRange {
                        place,
                        list,
                        index,
                        node,
                        num_nodes,
                    });
                }
                let refuse = |expected: &str, found: String| {
                    let expected = expected.to_string();
                    Err(DatasetError::GraphValue { place: place(), list, index, expected, found })
                };
                if labels[node] == UNLABELED {
                    return refuse("a node with a label", format!("node {node} without one"));
                }
                if let Some(other) = part_of[node].replace(list) {
                    let found = format!("node {node}, which is a {other} already");
                    return refuse("a node that is in no part yet", found);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_disjoint_and_a_function_of_the_seed() {
        let labels: Vec<i64> = (0..90).map(|node| node % 4 - 1).collect();
        let split = NodeSplit::per_class(&labels, 3, 5, 20, 30, 7).unwrap();
        split.check("graph", &labels).unwrap();
        for class in 0..3_usize {
            let of_class = &split.train[5 * class..][..5];
            assert!(of_class.iter().all(|&node| labels[node] == class as i64));
        }
        assert_eq!(split, NodeSplit::per_class(&labels, 3, 5, 20, 30, 7).unwrap());
        assert_ne!(split, NodeSplit::per_class(&labels, 3, 5, 20, 30, 8).unwrap());
        let masks = [&split.train, &split.validation, &split.test].map(|p| NodeSplit::mask(p, 90));
        let mut sorted = split.clone();
        sorted.train.sort_unstable();
        assert_eq!(NodeSplit::from_masks(&masks[0], &masks[1], &masks[2]), sorted);
    }

    #[test]
    fn refuses_more_nodes_than_there_are() {
        let labels = [0, 0, 1, -1];
        let message = |per_class, validation, test| {
            NodeSplit::per_class(&labels, 2, per_class, validation, test, 0)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(message(2, 0, 0), "node split: class 1: expected at least 2 nodes, found 1");
        assert!(message(1, 1, 1).contains("at most 1 samples together, found 2"));
    }

    #[test]
    fn refuses_nodes_that_are_missing_unlabeled_or_in_two_parts() {
        let labels = [0, 0, -1];
        let message = |train: &[usize], test: &[usize]| {
            let split = NodeSplit { train: train.into(), validation: vec![], test: test.into() };
            split.check("graph", &labels).unwrap_err().to_string()
        };
        assert_eq!(
            message(&[0, 3], &[]),
            "graph: training node 1: expected a node below 3, found 3"
        );
        assert!(message(&[2], &[]).ends_with("a node with a label, found node 2 without one"));
        assert!(message(&[0], &[0]).contains("test node 0: expected a node that is in no part"));
        assert!(message(&[1, 1], &[]).contains("which is a training node already"));
    }
}
