//! Random graphs with planted communities.
//!
//! ```text
//! P(edge between i and j) = p[b_i][b_j]      independently for every pair of nodes
//! ```
//!
//! with `b_i` the block of node `i`. Pairs without an edge are skipped in geometric strides, so that
//! drawing takes time in proportion to nodes and edges, not to pairs.
//!
//! # References
//! P. Holland, K. Laskey, S. Leinhardt, *Stochastic Blockmodels: First Steps*, Social Networks 5,
//! 1983; V. Batagelj, U. Brandes, *Efficient Generation of Large Random Networks*, Physical Review E
//! 71, 2005 (skipping).

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::graph::GraphData;
use crate::random::{Use, generator};

/// Settings of a stochastic block model.
///
/// The labels of the graph are the blocks; nodes of a block stand next to each other.
///
/// # Example
/// ```
/// use firebrick_datasets::graph::StochasticBlockModelConfig;
///
/// let graph = StochasticBlockModelConfig::planted(4, 50, 0.2, 0.01).generate(0);
/// assert_eq!((graph.num_nodes(), graph.num_classes()), (200, 4));
/// let within = graph.entries().filter(|&(a, b)| graph.label(a) == graph.label(b)).count();
/// assert!(within > graph.num_entries() / 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StochasticBlockModelConfig {
    /// Number of nodes in each block.
    pub block_sizes: Vec<usize>,
    /// Probability of an entry from a node of the first block to one of the second; for undirected
    /// graphs symmetric.
    pub probabilities: Vec<Vec<f64>>,
    /// Whether `i -> j` and `j -> i` are drawn separately. Default: no.
    pub directed: bool,
    /// Whether self loops are drawn too. Default: no.
    pub self_loops: bool,
}

impl StochasticBlockModelConfig {
    /// Any block sizes and probabilities.
    pub fn new(block_sizes: Vec<usize>, probabilities: Vec<Vec<f64>>) -> Self {
        Self { block_sizes, probabilities, directed: false, self_loops: false }
    }

    /// Blocks of equal size, with one probability within a block and one between blocks.
    pub fn planted(num_blocks: usize, block_size: usize, within: f64, between: f64) -> Self {
        let probability = |a, b| if a == b { within } else { between };
        let row = |a| (0..num_blocks).map(|b| probability(a, b)).collect();
        Self::new(vec![block_size; num_blocks], (0..num_blocks).map(row).collect())
    }

    /// Chooses whether both directions of a pair are drawn separately.
    pub fn with_directed(mut self, directed: bool) -> Self {
        self.directed = directed;
        self
    }

    /// Chooses whether self loops are drawn too.
    pub fn with_self_loops(mut self, self_loops: bool) -> Self {
        self.self_loops = self_loops;
        self
    }

    /// Draws the graph; a function of settings and seed alone. Every pair of blocks has a stream of
    /// its own.
    ///
    /// # Panics
    /// If the probabilities are no square table with a row per block, one of them is not from 0 to
    /// 1, or the table of an undirected graph is not symmetric.
    pub fn generate(&self, seed: u64) -> GraphData {
        self.check();
        let blocks = self.block_sizes.len();
        let mut first = 0;
        let starts: Vec<usize> = self
            .block_sizes
            .iter()
            .map(|&size| {
                first += size;
                first - size
            })
            .collect();
        let (mut sources, mut targets) = (Vec::new(), Vec::new());
        for a in 0..blocks {
            for b in if self.directed { 0..blocks } else { a..blocks } {
                let mut generator = generator(Use::Graph, seed, (a * blocks + b) as u64);
                self.draw([a, b], &mut generator, |row, column| {
                    let (row, column) = (starts[a] + row, starts[b] + column);
                    sources.push(row);
                    targets.push(column);
                    if !self.directed && row != column {
                        sources.push(column);
                        targets.push(row);
                    }
                });
            }
        }
        let label = |(block, &size): (usize, &usize)| std::iter::repeat_n(block as i64, size);
        let labels: Vec<i64> = self.block_sizes.iter().enumerate().flat_map(label).collect();
        GraphData::new("stochastic-block-model", first, sources, targets)
            .and_then(|graph| graph.with_labels(labels, blocks))
            .expect("nodes and labels were drawn in range")
    }

    /// Draws among the pairs of two blocks; of the pairs within one block of an undirected graph,
    /// those with `row <= column`.
    fn draw(
        &self,
        [a, b]: [usize; 2],
        generator: &mut impl Rng,
        mut add: impl FnMut(usize, usize),
    ) {
        let (rows, columns) = (self.block_sizes[a], self.block_sizes[b]);
        let triangle = a == b && !self.directed;
        let pairs = rows as u64 * columns as u64;
        let mut pair = 0;
        while let Some(next) = skip(pair, pairs, self.probabilities[a][b], generator) {
            let (row, column) =
                ((next / columns as u64) as usize, (next % columns as u64) as usize);
            let wanted = if triangle { row <= column } else { true };
            if wanted && (self.self_loops || a != b || row != column) {
                add(row, column);
            }
            pair = next + 1;
        }
    }

    fn check(&self) {
        let blocks = self.block_sizes.len();
        let place = "stochastic block model";
        assert!(
            self.probabilities.len() == blocks
                && self.probabilities.iter().all(|row| row.len() == blocks),
            "{place}: expected `probabilities` of shape [{blocks}, {blocks}], one row per block"
        );
        for (a, row) in self.probabilities.iter().enumerate() {
            for (b, &p) in row.iter().enumerate() {
                assert!(
                    (0.0..=1.0).contains(&p),
                    "{place}: expected `probabilities` from 0 to 1, found {p} at [{a}, {b}]"
                );
                assert!(
                    self.directed || p == self.probabilities[b][a],
                    "{place}: expected symmetric `probabilities` for an undirected graph, found \
                     {p} at [{a}, {b}] and {} at [{b}, {a}]",
                    self.probabilities[b][a]
                );
            }
        }
    }
}

/// The next pair from `pair` on that has an edge, if there is one below `pairs`: the number of pairs
/// skipped is geometric, `floor(ln(1 - u) / ln(1 - p))`.
fn skip(pair: u64, pairs: u64, probability: f64, generator: &mut impl Rng) -> Option<u64> {
    if probability == 0.0 || pair >= pairs {
        return None;
    }
    if probability == 1.0 {
        return Some(pair);
    }
    let uniform: f64 = generator.random();
    let skipped = ((-uniform).ln_1p() / (-probability).ln_1p()).floor();
    // Compared as floats: a stride may exceed every integer.
    (skipped < (pairs - pair) as f64).then(|| pair + skipped as u64).filter(|&next| next < pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_as_frequent_as_their_probabilities() {
        let sizes = vec![120, 80];
        let p = vec![vec![0.3, 0.05], vec![0.05, 0.6]];
        let graph = StochasticBlockModelConfig::new(sizes, p).generate(1);
        let mut counts = [[0.0; 2]; 2];
        for (a, b) in graph.entries() {
            assert_ne!(a, b);
            counts[usize::from(a >= 120)][usize::from(b >= 120)] += 1.0;
        }
        // Entries are twice the edges; five standard deviations.
        for (found, pairs, p) in [
            (counts[0][0] / 2.0, 120.0 * 119.0 / 2.0, 0.3),
            (counts[1][1] / 2.0, 80.0 * 79.0 / 2.0, 0.6),
            (counts[0][1], 120.0 * 80.0, 0.05),
            (counts[1][0], 120.0 * 80.0, 0.05),
        ] {
            let deviation = f64::sqrt(pairs * p * (1.0 - p));
            assert!((found - pairs * p).abs() < 5.0 * deviation, "{found} of {pairs} at {p}");
        }
    }

    #[test]
    fn undirected_graphs_are_symmetric_and_without_duplicates() {
        let graph = StochasticBlockModelConfig::planted(3, 20, 0.4, 0.1).generate(2);
        let mut entries: Vec<(usize, usize)> = graph.entries().collect();
        let mut reversed: Vec<(usize, usize)> = entries.iter().map(|&(a, b)| (b, a)).collect();
        entries.sort_unstable();
        reversed.sort_unstable();
        assert_eq!(entries, reversed);
        entries.dedup();
        assert_eq!(entries.len(), graph.num_entries());
    }

    #[test]
    fn certain_edges_make_the_complete_graph() {
        let planted = StochasticBlockModelConfig::planted(2, 3, 1.0, 1.0);
        assert_eq!(planted.generate(0).num_entries(), 30);
        assert_eq!(planted.clone().with_self_loops(true).generate(0).num_entries(), 36);
        let directed = planted.with_directed(true).with_self_loops(true);
        assert_eq!(directed.generate(0).num_entries(), 36);
        let none = StochasticBlockModelConfig::planted(2, 3, 0.0, 0.0).generate(0);
        assert_eq!((none.num_nodes(), none.num_entries()), (6, 0));
        assert_eq!(StochasticBlockModelConfig::planted(0, 3, 0.5, 0.5).generate(0).num_nodes(), 0);
    }

    #[test]
    fn seeds_fix_the_graph() {
        let config = StochasticBlockModelConfig::planted(2, 30, 0.2, 0.1).with_directed(true);
        assert_eq!(config.generate(4), config.generate(4));
        assert_ne!(config.generate(4), config.generate(5));
    }

    #[test]
    #[should_panic(expected = "expected symmetric `probabilities` for an undirected graph")]
    fn refuses_a_table_that_is_not_symmetric() {
        let p = vec![vec![0.3, 0.1], vec![0.2, 0.3]];
        StochasticBlockModelConfig::new(vec![2, 2], p).generate(0);
    }
}
