//! Changes to the entries of a graph, and what they say about its nodes.

use crate::graph::GraphData;

/// What becomes of entries with the same source and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Their weights are added. A graph without weights gets their number as weight.
    Sum,
    /// Their weights are averaged. A graph without weights stays without.
    Mean,
}

impl GraphData {
    /// The same graph with every entry once, sorted by source, then target.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::{GraphData, Merge};
    ///
    /// let graph = GraphData::new("graph", 2, vec![1, 0, 1], vec![0, 1, 0])?
    ///     .with_weights(vec![1.0, 2.0, 3.0])?;
    /// assert_eq!(graph.coalesce(Merge::Sum).weights(), Some(&[2.0, 4.0][..]));
    /// assert_eq!(graph.coalesce(Merge::Mean).weights(), Some(&[2.0, 2.0][..]));
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn coalesce(&self, merge: Merge) -> Self {
        let entries = self.entries().enumerate();
        let weight = |entry: usize| self.weights().map_or(1.0, |weights| weights[entry]);
        merged(self, entries.map(|(entry, pair)| (pair, weight(entry))).collect(), merge)
    }

    /// The same graph with the reverse of every entry, then [`coalesce`](Self::coalesce)d. A graph
    /// that has both directions already keeps its weights with [`Merge::Mean`] and doubles them with
    /// [`Merge::Sum`].
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::{GraphData, Merge};
    ///
    /// let arrows = GraphData::new("arrows", 3, vec![0, 0], vec![1, 2])?;
    /// assert_eq!(arrows.to_undirected(Merge::Mean).sources(), [0, 0, 1, 2]);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn to_undirected(&self, merge: Merge) -> Self {
        let weight = |entry: usize| self.weights().map_or(1.0, |weights| weights[entry]);
        let both = self.entries().enumerate().flat_map(|(entry, (a, b))| {
            let back = (a != b || merge == Merge::Sum).then_some(((b, a), weight(entry)));
            std::iter::once(((a, b), weight(entry))).chain(back)
        });
        merged(self, both.collect(), merge)
    }

    /// Whether every entry has its reverse, as often and with the same weights.
    pub fn is_undirected(&self) -> bool {
        let weight = |entry: usize| self.weights().map_or(0, |weights| weights[entry].to_bits());
        let sorted = |turn: bool| {
            let turned = |(a, b)| if turn { (b, a) } else { (a, b) };
            let mut all: Vec<((usize, usize), u32)> =
                self.entries().enumerate().map(|(e, pair)| (turned(pair), weight(e))).collect();
            all.sort_unstable();
            all
        };
        sorted(false) == sorted(true)
    }

    /// The same graph without entries from a node to itself.
    pub fn remove_self_loops(&self) -> Self {
        self.keep_entries(|_, source, target| source != target)
    }

    /// The same graph where every node without a self loop gets one of the given weight, at the end.
    /// The weight counts only in a graph with weights, or where it is not 1.
    ///
    /// # Panics
    /// If the weight is not finite.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::GraphData;
    ///
    /// let graph = GraphData::new("graph", 2, vec![0, 0], vec![0, 1])?.add_self_loops(1.0);
    /// assert_eq!(graph.entries().collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 1)]);
    /// assert!(graph.weights().is_none());
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn add_self_loops(&self, weight: f32) -> Self {
        assert!(weight.is_finite(), "add_self_loops: expected a finite weight, got {weight}");
        let mut has_loop = vec![false; self.num_nodes()];
        self.entries().filter(|(a, b)| a == b).for_each(|(node, _)| has_loop[node] = true);
        let new: Vec<usize> = (0..self.num_nodes()).filter(|&node| !has_loop[node]).collect();
        let weights = (self.weights().is_some() || weight != 1.0).then(|| {
            let old = self.weights().map_or(vec![1.0; self.num_entries()], <[f32]>::to_vec);
            [old, vec![weight; new.len()]].concat()
        });
        let (sources, targets) = ([self.sources(), &new].concat(), [self.targets(), &new].concat());
        self.clone().replace_entries(sources, targets, weights)
    }

    /// Number of entries that enter each node.
    pub fn in_degrees(&self) -> Vec<usize> {
        counts(self.targets(), self.num_nodes())
    }

    /// Number of entries that leave each node.
    pub fn out_degrees(&self) -> Vec<usize> {
        counts(self.sources(), self.num_nodes())
    }

    /// Nodes that no entry enters or leaves; a self loop does not count.
    pub fn isolated_nodes(&self) -> Vec<usize> {
        let mut isolated = vec![true; self.num_nodes()];
        for (a, b) in self.entries().filter(|(a, b)| a != b) {
            (isolated[a], isolated[b]) = (false, false);
        }
        (0..self.num_nodes()).filter(|&node| isolated[node]).collect()
    }

    /// Share of the entries that join nodes of one class, among those whose nodes both have labels;
    /// `None` without such entries.
    ///
    /// # References
    /// J. Zhu et al., *Beyond Homophily in Graph Neural Networks*, NeurIPS 2020.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::karate_club;
    ///
    /// let share = karate_club().edge_homophily().unwrap_or_default();
    /// assert!((share - 67.0 / 78.0).abs() < 1e-12); // 11 friendships cross the clubs
    /// ```
    pub fn edge_homophily(&self) -> Option<f64> {
        let labels = |(a, b)| self.label(a).zip(self.label(b));
        let (mut same, mut all) = (0_usize, 0_usize);
        for (a, b) in self.entries().filter_map(labels) {
            all += 1;
            same += usize::from(a == b);
        }
        (all > 0).then(|| same as f64 / all as f64)
    }

    /// Mean over the nodes of the share of their in-neighbors that have the node's class; nodes and
    /// neighbors without a label do not count. `None` without such nodes.
    ///
    /// # References
    /// H. Pei et al., *Geom-GCN*, ICLR 2020.
    pub fn node_homophily(&self) -> Option<f64> {
        let (mut same, mut all) = (vec![0.0; self.num_nodes()], vec![0.0; self.num_nodes()]);
        for (source, target) in self.entries() {
            let Some((a, b)) = self.label(source).zip(self.label(target)) else { continue };
            all[target] += 1.0;
            same[target] += f64::from(a == b);
        }
        let shares: Vec<f64> =
            same.iter().zip(&all).filter(|&(_, &all)| all > 0.0).map(|(s, all)| s / all).collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }

    /// The entries for which `keep` holds, which sees position, source and target.
    pub(crate) fn keep_entries(&self, keep: impl Fn(usize, usize, usize) -> bool) -> Self {
        let kept: Vec<usize> = self
            .entries()
            .enumerate()
            .filter(|&(entry, (source, target))| keep(entry, source, target))
            .map(|(entry, _)| entry)
            .collect();
        let pick = |list: &[usize]| kept.iter().map(|&entry| list[entry]).collect();
        let weights =
            self.weights().map(|weights| kept.iter().map(|&entry| weights[entry]).collect());
        let (sources, targets) = (pick(self.sources()), pick(self.targets()));
        self.clone().replace_entries(sources, targets, weights)
    }
}

fn counts(nodes: &[usize], num_nodes: usize) -> Vec<usize> {
    let mut counts = vec![0; num_nodes];
    nodes.iter().for_each(|&node| counts[node] += 1);
    counts
}

/// Sorts entries and merges equal ones.
fn merged(graph: &GraphData, mut all: Vec<((usize, usize), f32)>, merge: Merge) -> GraphData {
    // Stable, so that weights are added in the order of the entries.
    all.sort_by_key(|&(pair, _)| pair);
    let (mut sources, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for group in all.chunk_by(|(a, _), (b, _)| a == b) {
        let ((source, target), _) = group[0];
        let sum: f64 = group.iter().map(|&(_, weight)| f64::from(weight)).sum();
        sources.push(source);
        targets.push(target);
        weights.push(match merge {
            Merge::Sum => sum as f32,
            Merge::Mean => (sum / group.len() as f64) as f32,
        });
    }
    let weighted = graph.weights().is_some() || merge == Merge::Sum;
    graph.clone().replace_entries(sources, targets, weighted.then_some(weights))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::karate_club;

    fn graph(entries: &[(usize, usize)]) -> GraphData {
        let (sources, targets) = entries.iter().copied().unzip();
        GraphData::new("graph", 4, sources, targets).unwrap()
    }

    fn pairs(graph: &GraphData) -> Vec<(usize, usize)> {
        graph.entries().collect()
    }

    #[test]
    fn merging_keeps_the_total_weight_with_sum_and_drops_duplicates_with_mean() {
        let twice = graph(&[(2, 1), (0, 3), (2, 1)]);
        let summed = twice.coalesce(Merge::Sum);
        assert_eq!(pairs(&summed), [(0, 3), (2, 1)]);
        assert_eq!(summed.weights(), Some(&[1.0, 2.0][..]));
        assert_eq!(twice.coalesce(Merge::Mean).weights(), None);
        assert_eq!(summed.coalesce(Merge::Sum), summed);
    }

    #[test]
    fn both_directions_are_there_afterwards_and_self_loops_once() {
        let arrows = graph(&[(0, 1), (1, 1), (3, 0), (1, 0)]);
        assert!(!arrows.is_undirected());
        let both = arrows.to_undirected(Merge::Mean);
        assert!(both.is_undirected());
        assert_eq!(pairs(&both), [(0, 1), (0, 3), (1, 0), (1, 1), (3, 0)]);
        let summed = arrows.to_undirected(Merge::Sum);
        assert_eq!(summed.weights(), Some(&[2.0, 1.0, 2.0, 2.0, 1.0][..]));
        let club = karate_club();
        assert!(club.is_undirected());
        assert_eq!(club.to_undirected(Merge::Mean), club.coalesce(Merge::Mean));
    }

    #[test]
    fn weights_decide_whether_a_graph_is_undirected() {
        let edge = graph(&[(0, 1), (1, 0)]);
        assert!(edge.clone().with_weights(vec![2.0, 2.0]).unwrap().is_undirected());
        assert!(!edge.with_weights(vec![2.0, 3.0]).unwrap().is_undirected());
    }

    #[test]
    fn self_loops_come_and_go() {
        let start = graph(&[(1, 1), (0, 1), (1, 1)]).with_weights(vec![5.0, 2.0, 6.0]).unwrap();
        let with = start.add_self_loops(3.0);
        assert_eq!(pairs(&with), [(1, 1), (0, 1), (1, 1), (0, 0), (2, 2), (3, 3)]);
        assert_eq!(with.weights(), Some(&[5.0, 2.0, 6.0, 3.0, 3.0, 3.0][..]));
        let without = with.remove_self_loops();
        assert_eq!((pairs(&without), without.weights()), (vec![(0, 1)], Some(&[2.0][..])));
        assert_eq!(graph(&[(0, 1)]).add_self_loops(2.0).weights().unwrap()[..2], [1.0, 2.0]);
    }

    #[test]
    fn degrees_and_isolated_nodes_follow_from_the_entries() {
        let graph = graph(&[(0, 1), (2, 1), (1, 2), (3, 3)]);
        assert_eq!(graph.in_degrees(), [0, 2, 1, 1]);
        assert_eq!(graph.out_degrees(), [1, 1, 1, 1]);
        assert_eq!(graph.isolated_nodes(), [3]);
    }

    #[test]
    fn homophily_ignores_nodes_without_label() {
        let graph = graph(&[(0, 1), (2, 1), (3, 1), (1, 0)]);
        assert_eq!((graph.edge_homophily(), graph.node_homophily()), (None, None));
        let graph = graph.with_labels(vec![0, 0, 1, -1], 2).unwrap();
        assert_eq!(graph.edge_homophily(), Some(2.0 / 3.0));
        assert_eq!(graph.node_homophily(), Some((0.5 + 1.0) / 2.0));
    }
}
