//! Pairs of nodes for link prediction: those without an entry, and a split of those with one.

use std::collections::HashSet;

use rand::RngExt;

use crate::DatasetError;
use crate::graph::GraphData;
use crate::random::{Use, generator};
use crate::split::shuffle;

/// One part of a link prediction task.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkPart {
    /// The graph along whose entries messages may go.
    pub graph: GraphData,
    /// Pairs `(source, target)` that are to be predicted as linked.
    pub positives: Vec<(usize, usize)>,
    /// As many pairs that are not linked in the whole graph.
    pub negatives: Vec<(usize, usize)>,
}

/// Training, validation and test links.
///
/// Training predicts its own entries; validation sends messages along the training entries, and test
/// along those of training and validation, so that nothing that is predicted is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSplit {
    /// Links to train on.
    pub train: LinkPart,
    /// Links that choose among models.
    pub validation: LinkPart,
    /// Links that are reported once.
    pub test: LinkPart,
}

impl GraphData {
    /// Draws `count` different pairs of different nodes without an entry from the first to the
    /// second, sorted; every such set is equally likely. Of an undirected graph, with
    /// `undirected`, each pair comes once, the smaller node first, and neither direction is an entry.
    ///
    /// # Errors
    /// If there are fewer such pairs.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::karate_club;
    ///
    /// let club = karate_club();
    /// let strangers = club.negative_samples(100, true, 0)?;
    /// assert!(strangers.iter().all(|&(a, b)| a < b && !club.entries().any(|e| e == (a, b))));
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn negative_samples(
        &self,
        count: usize,
        undirected: bool,
        seed: u64,
    ) -> Result<Vec<(usize, usize)>, DatasetError> {
        self.draw_negatives(count, undirected, seed, 0)
    }

    fn draw_negatives(
        &self,
        count: usize,
        undirected: bool,
        seed: u64,
        stream: u64,
    ) -> Result<Vec<(usize, usize)>, DatasetError> {
        let n = self.num_nodes();
        let turned = |(a, b): (usize, usize)| if undirected && a > b { (b, a) } else { (a, b) };
        let linked: HashSet<(usize, usize)> =
            self.entries().filter(|(a, b)| a != b).map(turned).collect();
        let pairs = n as u128 * n.saturating_sub(1) as u128 / if undirected { 2 } else { 1 };
        let free = pairs - linked.len() as u128;
        if count as u128 > free {
            return Err(DatasetError::Unsuitable {
                place: "negative sampling",
                what: "count".to_string(),
                expected: format!("at most {free}, the pairs without an entry"),
                found: count.to_string(),
            });
        }
        let mut generator = generator(Use::NonEdges, seed, stream);
        // Where most free pairs are wanted or few pairs are free, drawing would hit the same or
        // linked ones over and over; then all are listed.
        if 2 * (linked.len() as u128 + count as u128) > pairs {
            let start = |a: usize| if undirected { a + 1 } else { 0 };
            let mut all: Vec<(usize, usize)> = (0..n)
                .flat_map(|a| (start(a)..n).map(move |b| (a, b)))
                .filter(|pair| pair.0 != pair.1 && !linked.contains(pair))
                .collect();
            let chosen = rand::seq::index::sample(&mut generator, all.len(), count);
            let mut chosen = chosen.into_vec();
            chosen.sort_unstable();
            all = chosen.into_iter().map(|index| all[index]).collect();
            return Ok(all);
        }
        let mut drawn = HashSet::with_capacity(count);
        while drawn.len() < count {
            let pair = turned((generator.random_range(0..n), generator.random_range(0..n)));
            if pair.0 != pair.1 && !linked.contains(&pair) {
                drawn.insert(pair);
            }
        }
        let mut drawn: Vec<(usize, usize)> = drawn.into_iter().collect();
        drawn.sort_unstable();
        Ok(drawn)
    }

    /// Divides the entries at random into links to train, validate and test on, with as many
    /// negative samples each. Of an undirected graph, with `undirected`, both directions of an edge
    /// go to the same part, and pairs stand with the smaller node first. Self loops are messages in
    /// every part and predicted in none. A function of the arguments alone.
    ///
    /// # Errors
    /// If a share is not from 0 to 1 or both exceed 1, a graph that is to be undirected is not, or
    /// there are not enough pairs without an entry.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::karate_club;
    ///
    /// let links = karate_club().random_link_split(0.1, 0.2, true, 0)?;
    /// assert_eq!((links.validation.positives.len(), links.test.positives.len()), (8, 16));
    /// assert_eq!(links.train.graph.num_entries(), 2 * (78 - 8 - 16));
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn random_link_split(
        &self,
        validation: f64,
        test: f64,
        undirected: bool,
        seed: u64,
    ) -> Result<LinkSplit, DatasetError> {
        self.check_link_split(validation, test, undirected)?;
        let is_link = |(a, b): (usize, usize)| if undirected { a < b } else { a != b };
        let mut links: Vec<(usize, usize)> = self.entries().filter(|&pair| is_link(pair)).collect();
        links.sort_unstable();
        links.dedup();
        let share = |share: f64| (share * links.len() as f64).round() as usize;
        let num_test = share(test);
        let num_validation = share(validation).min(links.len() - num_test);
        let mut order: Vec<usize> = (0..links.len()).collect();
        shuffle(&mut order, &mut generator(Use::LinkSplit, seed, 0));
        let pick = |chosen: &[usize]| {
            let mut picked: Vec<(usize, usize)> = chosen.iter().map(|&link| links[link]).collect();
            picked.sort_unstable();
            picked
        };
        let (held, train) = order.split_at(num_test + num_validation);
        let (test, validation) = held.split_at(num_test);
        let (train, validation, test) = (pick(train), pick(validation), pick(test));
        // One draw for all parts, so that no pair is in two.
        let all = links.len();
        let mut negatives = self.draw_negatives(all, undirected, seed, 1)?;
        let mut mixed: Vec<usize> = (0..all).collect();
        shuffle(&mut mixed, &mut generator(Use::LinkSplit, seed, 1));
        negatives = mixed.into_iter().map(|index| negatives[index]).collect();
        let mut part = |graph: GraphData, positives: Vec<(usize, usize)>| {
            let mut negatives: Vec<(usize, usize)> = negatives.drain(..positives.len()).collect();
            negatives.sort_unstable();
            LinkPart { graph, positives, negatives }
        };
        let without = |hidden: &[&[(usize, usize)]]| {
            let hidden: HashSet<(usize, usize)> =
                hidden.iter().flat_map(|part| part.iter().copied()).collect();
            self.keep_entries(|_, a, b| {
                let pair = if undirected && a > b { (b, a) } else { (a, b) };
                !hidden.contains(&pair)
            })
        };
        let seen = without(&[&validation, &test]);
        let train = part(seen.clone(), train);
        let later = without(&[&test]);
        Ok(LinkSplit { train, validation: part(seen, validation), test: part(later, test) })
    }

    fn check_link_split(
        &self,
        validation: f64,
        test: f64,
        undirected: bool,
    ) -> Result<(), DatasetError> {
        let refuse = |what: &str, expected: &str, found: String| {
            let (what, expected) = (what.to_string(), expected.to_string());
            Err(DatasetError::Unsuitable { place: "link split", what, expected, found })
        };
        for (what, share) in [("validation", validation), ("test", test)] {
            if !(0.0..=1.0).contains(&share) {
                return refuse(what, "a share from 0 to 1", share.to_string());
            }
        }
        if validation + test > 1.0 + 1e-12 {
            let found = (validation + test).to_string();
            return refuse("validation and test", "at most 1 together", found);
        }
        if undirected && !self.is_undirected() {
            let found = "an entry without its reverse, or with another weight";
            return refuse("graph", "both directions of every edge", found.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::{StochasticBlockModelConfig, karate_club};

    #[test]
    fn negatives_are_different_pairs_without_an_entry() {
        for (p, undirected) in [(0.1, true), (0.9, true), (0.1, false), (0.9, false)] {
            let graph = StochasticBlockModelConfig::planted(2, 15, p, p)
                .with_directed(!undirected)
                .generate(3);
            let entries: HashSet<(usize, usize)> = graph.entries().collect();
            let free = if undirected { 435 - entries.len() / 2 } else { 870 - entries.len() };
            for count in [0, 1, free / 2, free] {
                let drawn = graph.negative_samples(count, undirected, 1).unwrap();
                assert!(drawn.is_sorted_by(|a, b| a < b));
                assert_eq!(drawn.len(), count);
                for (a, b) in drawn {
                    assert!(a != b && !entries.contains(&(a, b)) && (!undirected || a < b));
                }
            }
            let error = graph.negative_samples(free + 1, undirected, 1).unwrap_err().to_string();
            assert!(error.contains(&format!("expected at most {free}")), "{error}");
        }
        let club = karate_club();
        assert_ne!(
            club.negative_samples(50, true, 1).unwrap(),
            club.negative_samples(50, true, 2).unwrap()
        );
    }

    #[test]
    fn links_are_divided_and_what_is_predicted_is_not_seen() {
        for undirected in [true, false] {
            let graph = StochasticBlockModelConfig::planted(2, 20, 0.2, 0.1)
                .with_directed(!undirected)
                .with_self_loops(true)
                .generate(1);
            let split = graph.random_link_split(0.1, 0.2, undirected, 5).unwrap();
            let parts = [&split.train, &split.validation, &split.test];
            let mut all: Vec<(usize, usize)> =
                parts.iter().flat_map(|part| part.positives.clone()).collect();
            all.sort_unstable();
            let is_link = |&(a, b): &(usize, usize)| if undirected { a < b } else { a != b };
            let mut links: Vec<(usize, usize)> = graph.entries().filter(is_link).collect();
            links.sort_unstable();
            assert_eq!(all, links);
            let mut negatives: Vec<(usize, usize)> =
                parts.iter().flat_map(|part| part.negatives.clone()).collect();
            negatives.sort_unstable();
            negatives.dedup();
            assert_eq!(negatives.len(), links.len());
            let seen = |part: &LinkPart| part.graph.entries().collect::<HashSet<_>>();
            let (first, later) = (seen(&split.train), seen(&split.test));
            assert!(split.train.positives.iter().all(|pair| first.contains(pair)));
            assert!(split.validation.positives.iter().all(|pair| !first.contains(pair)));
            assert!(split.validation.positives.iter().all(|pair| later.contains(pair)));
            assert!(split.test.positives.iter().all(|pair| !later.contains(pair)));
            assert_eq!(split.train.graph.is_undirected(), undirected);
            let loops = |graph: &GraphData| graph.entries().filter(|(a, b)| a == b).count();
            assert_eq!(loops(&split.train.graph), loops(&graph));
            assert_eq!(split, graph.random_link_split(0.1, 0.2, undirected, 5).unwrap());
        }
    }

    #[test]
    fn refuses_shares_and_graphs_that_cannot_be_split() {
        let club = karate_club();
        let text = |result: Result<LinkSplit, DatasetError>| result.unwrap_err().to_string();
        assert!(text(club.random_link_split(-0.1, 0.2, true, 0)).contains("validation: expected"));
        assert!(text(club.random_link_split(0.5, 0.6, true, 0)).contains("at most 1 together"));
        let arrow = GraphData::new("arrow", 2, vec![0], vec![1]).unwrap();
        assert!(text(arrow.random_link_split(0.0, 0.0, true, 0)).contains("both directions"));
    }
}
