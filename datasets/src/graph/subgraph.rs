//! Parts of a graph: chosen nodes, components, neighborhoods.

use crate::DatasetError;
use crate::graph::{GraphData, NodeSplit};

/// Some nodes of a graph with all entries between them, numbered anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Subgraph {
    /// The part, with features, labels and split of its nodes.
    pub graph: GraphData,
    /// The node of the whole graph that each node of the part is.
    pub nodes: Vec<usize>,
    /// The entry of the whole graph that each entry of the part is.
    pub entries: Vec<usize>,
}

impl GraphData {
    /// The given nodes in their order, with all entries between them.
    ///
    /// # Errors
    /// If a node does not exist or comes twice.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::karate_club;
    ///
    /// let three = karate_club().subgraph(&[33, 32, 0])?;
    /// assert_eq!(three.graph.entries().collect::<Vec<_>>(), [(1, 0), (0, 1)]);
    /// assert_eq!(three.graph.labels(), [1, 1, 0]);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn subgraph(&self, nodes: &[usize]) -> Result<Subgraph, DatasetError> {
        let mut local = vec![None; self.num_nodes()];
        for (index, &node) in nodes.iter().enumerate() {
            let (place, list, num_nodes) = (self.name().to_string(), "node", self.num_nodes());
            if node >= num_nodes {
                return Err(DatasetError::NodeOutOfRange { place, list, index, node, num_nodes });
            }
            if local[node].replace(index).is_some() {
                let expected = "a node that has not come yet".to_string();
                let found = format!("node {node} again");
                return Err(DatasetError::GraphValue { place, list, index, expected, found });
            }
        }
        let (mut sources, mut targets, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, (source, target)) in self.entries().enumerate() {
            if let (Some(source), Some(target)) = (local[source], local[target]) {
                sources.push(source);
                targets.push(target);
                entries.push(entry);
            }
        }
        let part = |part: &[usize]| part.iter().filter_map(|&node| local[node]).collect();
        let split = NodeSplit {
            train: part(&self.split().train),
            validation: part(&self.split().validation),
            test: part(&self.split().test),
        };
        let labels = nodes.iter().map(|&node| self.labels()[node]).collect();
        let mut graph = Self::new(self.name(), nodes.len(), sources, targets)?
            .with_features(self.features().select(nodes))?
            .with_labels(labels, self.num_classes())?
            .with_split(split)?;
        if let Some(weights) = self.weights() {
            graph = graph.with_weights(entries.iter().map(|&entry| weights[entry]).collect())?;
        }
        Ok(Subgraph { graph, nodes: nodes.to_vec(), entries })
    }

    /// The component of each node, if directions are ignored. Components are numbered by their
    /// smallest node.
    pub fn components(&self) -> Vec<usize> {
        let mut parents: Vec<usize> = (0..self.num_nodes()).collect();
        for (a, b) in self.entries() {
            let (a, b) = (root(&mut parents, a), root(&mut parents, b));
            // The smaller node stays the root.
            parents[a.max(b)] = a.min(b);
        }
        let (mut numbers, mut next) = (vec![0; self.num_nodes()], 0);
        for node in 0..self.num_nodes() {
            let root = root(&mut parents, node);
            if root == node {
                numbers[node] = next;
                next += 1;
            } else {
                numbers[node] = numbers[root];
            }
        }
        numbers
    }

    /// The largest component, directions ignored; of several, the one with the smallest node.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::GraphData;
    ///
    /// let graph = GraphData::from_edges("two paths", 5, &[(0, 1), (2, 3), (3, 4)])?;
    /// assert_eq!(graph.largest_component().nodes, [2, 3, 4]);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn largest_component(&self) -> Subgraph {
        let components = self.components();
        let mut sizes = vec![0_usize; components.iter().max().map_or(0, |&last| last + 1)];
        components.iter().for_each(|&component| sizes[component] += 1);
        let largest = (0..sizes.len()).rev().max_by_key(|&component| sizes[component]);
        let nodes: Vec<usize> =
            (0..self.num_nodes()).filter(|&node| Some(components[node]) == largest).collect();
        self.subgraph(&nodes).expect("nodes of the graph, each once")
    }

    /// The nodes from which a seed can be reached over at most `hops` entries, seeds first, then by
    /// distance, then by number; with all entries between them. With the weights of entries it holds
    /// all that a network of `hops` layers needs for the seeds.
    ///
    /// # Errors
    /// If a seed does not exist or comes twice.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::GraphData;
    ///
    /// let path = GraphData::new("path", 4, vec![0, 1, 2], vec![1, 2, 3])?;
    /// assert_eq!(path.k_hop_subgraph(&[3], 2)?.nodes, [3, 2, 1]);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn k_hop_subgraph(&self, seeds: &[usize], hops: usize) -> Result<Subgraph, DatasetError> {
        let mut nodes = self.subgraph(seeds)?.nodes;
        let mut inside = NodeSplit::mask(seeds, self.num_nodes());
        for _ in 0..hops {
            let mut new: Vec<usize> = self
                .entries()
                .filter(|&(source, target)| inside[target] && !inside[source])
                .map(|(source, _)| source)
                .collect();
            if new.is_empty() {
                break;
            }
            new.sort_unstable();
            new.dedup();
            new.iter().for_each(|&node| inside[node] = true);
            nodes.extend(new);
        }
        self.subgraph(&nodes)
    }
}

/// The root of a node's tree; halves the path to it.
fn root(parents: &mut [usize], mut node: usize) -> usize {
    while parents[node] != node {
        parents[node] = parents[parents[node]];
        node = parents[node];
    }
    node
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::{NeighborSampler, StochasticBlockModelConfig, karate_club};

    #[test]
    fn a_part_keeps_weights_features_labels_and_split() {
        let club = karate_club();
        let weights = (0..club.num_entries()).map(|entry| entry as f32).collect();
        let club = club.with_weights(weights).unwrap();
        let part = club.subgraph(&[33, 0, 2, 1]).unwrap();
        for (index, &entry) in part.entries.iter().enumerate() {
            assert_eq!(part.graph.weights().unwrap()[index], entry as f32);
            let (a, b) = (part.graph.sources()[index], part.graph.targets()[index]);
            assert_eq!((part.nodes[a], part.nodes[b]), club.entries().nth(entry).unwrap());
        }
        assert_eq!(part.graph.features().to_dense().row(1)[0], 1.0);
        assert_eq!(part.graph.split().train, [1, 0]);
        assert_eq!(
            (&part.graph.split().validation[..], &part.graph.split().test[..]),
            (&[3][..], &[2][..])
        );
        let all: Vec<usize> = (0..34).collect();
        assert_eq!(club.subgraph(&all).unwrap().graph, club);
        assert!(club.subgraph(&[1, 1]).unwrap_err().to_string().contains("node 1: expected a"));
        assert!(club.subgraph(&[34]).is_err());
    }

    #[test]
    fn components_are_numbered_by_their_smallest_node() {
        let graph = GraphData::new("graph", 6, vec![5, 3, 4], vec![1, 0, 3]).unwrap();
        assert_eq!(graph.components(), [0, 1, 2, 0, 0, 1]);
        assert_eq!(graph.largest_component().nodes, [0, 3, 4]);
        let empty = GraphData::new("empty", 0, vec![], vec![]).unwrap();
        assert!(empty.components().is_empty());
        assert_eq!(empty.largest_component().nodes.len(), 0);
    }

    #[test]
    fn neighborhoods_are_those_that_the_sampler_reaches() {
        let graph =
            StochasticBlockModelConfig::planted(4, 25, 0.05, 0.01).with_directed(true).generate(5);
        for hops in 1..4 {
            let sampler = NeighborSampler::new(&graph, &vec![-1; hops]).unwrap();
            let mut sampled = sampler.sample(&[3, 60], 0).unwrap().nodes().to_vec();
            let part = graph.k_hop_subgraph(&[3, 60], hops).unwrap();
            assert_eq!(part.nodes[..2], [3, 60]);
            let mut nodes = part.nodes;
            sampled.sort_unstable();
            nodes.sort_unstable();
            assert_eq!(nodes, sampled);
        }
        assert_eq!(graph.k_hop_subgraph(&[3], 0).unwrap().nodes, [3]);
    }
}
