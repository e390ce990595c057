//! The training pairs of the generator: for every edge, a node and its neighbor.

use firebrick_ops::sparse::Features;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::AugmentationError;

/// The entries `(i, j)` of a graph without its self loops: `i` is the condition, `j` the target.
///
/// An undirected edge stands in both directions and gives two pairs. Only indices are kept; the
/// features of a pair are gathered batch by batch, so memory is `O(E)` and not `O(E F)`.
///
/// # Example
/// ```
/// use firebrick_models::graph::local_augmentation::NeighborPairs;
///
/// let pairs = NeighborPairs::new(&[0, 1, 1, 2], &[1, 0, 1, 0], 3)?;
/// assert_eq!(pairs.len(), 3);
/// let batches = pairs.batches(2, 7, 0);
/// assert_eq!(batches.iter().map(|batch| batch.len()).collect::<Vec<_>>(), [2, 1]);
/// # Ok::<(), firebrick_models::graph::local_augmentation::AugmentationError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NeighborPairs {
    pairs: Vec<[u32; 2]>,
}

impl NeighborPairs {
    /// Takes the entries of a graph of `num_nodes` nodes, entry by entry.
    ///
    /// # Errors
    /// [`AugmentationError`] if the slices differ in length, an index is no node, or no edge
    /// between two different nodes is left.
    pub fn new(
        nodes: &[usize],
        neighbors: &[usize],
        num_nodes: usize,
    ) -> Result<Self, AugmentationError> {
        if nodes.len() != neighbors.len() {
            let expected = format!("a neighbor for each of {} nodes", nodes.len());
            return Err(AugmentationError::new("edges", expected, neighbors.len()));
        }
        let bound = num_nodes.min(u32::MAX as usize);
        if let Some(found) = nodes.iter().chain(neighbors).find(|&&node| node >= bound) {
            return Err(AugmentationError::new("edges", format!("nodes below {bound}"), found));
        }
        let entries = nodes.iter().zip(neighbors).filter(|(node, neighbor)| node != neighbor);
        let pairs: Vec<_> = entries.map(|(&i, &j)| [i as u32, j as u32]).collect();
        if pairs.is_empty() {
            let found = if nodes.is_empty() { "no edges" } else { "only self loops" };
            let expected = "at least one between two different nodes";
            return Err(AugmentationError::new("edges", expected, found));
        }
        Ok(Self { pairs })
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Always false: a set without pairs cannot be made.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// All pairs in the order of an epoch, which depends on seed and epoch alone, in batches; the
    /// last one may be smaller.
    ///
    /// # Panics
    /// If `batch_size` is zero.
    pub fn batches(&self, batch_size: usize, seed: u64, epoch: u64) -> Vec<PairBatch> {
        assert!(batch_size > 0, "NeighborPairs: batch_size must be at least 1, got 0");
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(b"nbrpairs");
        key[16..24].copy_from_slice(&epoch.to_le_bytes());
        let mut pairs = self.pairs.clone();
        pairs.shuffle(&mut ChaCha8Rng::from_seed(key));
        pairs.chunks(batch_size).map(|pairs| PairBatch { pairs: pairs.to_vec() }).collect()
    }
}

/// Some pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct PairBatch {
    pairs: Vec<[u32; 2]>,
}

impl PairBatch {
    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The centers, which are the conditions.
    pub fn nodes(&self) -> impl Iterator<Item = usize> {
        self.pairs.iter().map(|pair| pair[0] as usize)
    }

    /// The neighbors, which are the targets.
    pub fn neighbors(&self) -> impl Iterator<Item = usize> {
        self.pairs.iter().map(|pair| pair[1] as usize)
    }

    /// The features of targets and conditions.
    ///
    /// # Shapes
    /// - features: `[nodes, features]`
    /// - output: two times `[batch, features]`: neighbors, then centers; sparse if the features are
    pub fn gather(&self, features: &Features) -> (Features, Features) {
        let rows = |nodes: Vec<usize>| features.select(&nodes);
        (rows(self.neighbors().collect()), rows(self.nodes().collect()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};
    use firebrick_ops::sparse::SparseFeatures;

    fn pairs() -> NeighborPairs {
        let nodes: Vec<usize> = (0..20).collect();
        let neighbors: Vec<usize> = nodes.iter().map(|node| (node + 1) % 20).collect();
        NeighborPairs::new(&nodes, &neighbors, 20).unwrap()
    }

    #[test]
    fn an_epoch_has_every_pair_once_in_an_order_of_its_own() {
        let epoch = |epoch| -> Vec<[u32; 2]> {
            pairs().batches(7, 3, epoch).into_iter().flat_map(|batch| batch.pairs).collect()
        };
        let mut sorted = epoch(0);
        sorted.sort_unstable();
        assert_eq!(sorted, pairs().pairs);
        assert_eq!(epoch(0), epoch(0));
        assert_ne!(epoch(0), epoch(1));
        assert_ne!(epoch(0), pairs().pairs);
    }

    #[test]
    fn gathers_neighbors_as_targets_and_centers_as_conditions() {
        let pairs = NeighborPairs::new(&[0], &[2], 3).unwrap();
        let dense = Tensor::<2>::from_data([[3.0], [1.0], [2.0]], &Device::flex());
        let sparse = SparseFeatures::from_dense(dense.clone()).unwrap();
        for features in [Features::Dense(dense), sparse.into()] {
            let (targets, conditions) = pairs.batches(4, 0, 0)[0].gather(&features);
            assert_eq!(targets.into_dense().into_scalar::<f32>(), 2.0);
            assert_eq!(conditions.into_dense().into_scalar::<f32>(), 3.0);
        }
    }

    #[test]
    fn edges_that_are_no_edges_are_errors() {
        let error = |nodes: &[usize], neighbors: &[usize]| {
            NeighborPairs::new(nodes, neighbors, 3).unwrap_err().to_string()
        };
        assert!(error(&[], &[]).ends_with("found no edges"));
        assert!(error(&[1, 2], &[1, 2]).ends_with("found only self loops"));
        assert_eq!(error(&[0], &[3]), "edges: expected nodes below 3, found 3");
        assert_eq!(error(&[0, 1], &[1]), "edges: expected a neighbor for each of 2 nodes, found 1");
    }
}
