//! Neighbor sampling: the part of a large graph that a few nodes need.
//!
//! From the seeds outward, hop by hop, every node that the hop before added draws some of its
//! in-neighbors; nodes that were not there yet are appended in the order in which they appear. A
//! network of `L` layers, run on the sampled graph of `L` hops, then has the seeds' outputs in its
//! first rows. With all neighbors (`-1`) they are those of the full graph.
//!
//! A sample is a function of graph, fanouts, seed, the number of the batch and its seeds. Nothing else
//! has a part in it, in particular not the number of threads.
//!
//! # References
//! W. Hamilton, R. Ying, J. Leskovec, *Inductive Representation Learning on Large Graphs*, NeurIPS
//! 2017, section 3.1 (algorithm 2 of the appendix).

use std::collections::HashMap;
use std::sync::Arc;

use rand::{Rng, RngExt};

use crate::DatasetError;
use crate::graph::GraphData;
use crate::random::{Use, generator};

/// The in-neighbors of every node: the entries of a graph, grouped by target.
#[derive(Debug)]
struct Incoming {
    /// Where each target starts in `sources` and `entries`, and where the last one ends.
    starts: Vec<usize>,
    sources: Vec<usize>,
    /// Positions in the graph.
    entries: Vec<usize>,
}

impl Incoming {
    /// By counting, in the order of the graph's entries.
    fn new(graph: &GraphData) -> Self {
        let mut starts = vec![0; graph.num_nodes() + 1];
        graph.targets().iter().for_each(|&target| starts[target + 1] += 1);
        for node in 0..graph.num_nodes() {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let (mut sources, mut entries) =
            (vec![0; graph.num_entries()], vec![0; graph.num_entries()]);
        for (entry, (source, target)) in graph.entries().enumerate() {
            sources[next[target]] = source;
            entries[next[target]] = entry;
            next[target] += 1;
        }
        Self { starts, sources, entries }
    }

    fn num_nodes(&self) -> usize {
        self.starts.len() - 1
    }
}

/// Draws neighborhoods from a graph. Clones share the graph.
///
/// # Example
/// ```
/// use firebrick_datasets::graph::{NeighborSampler, karate_club};
///
/// let sampler = NeighborSampler::new(&karate_club(), &[5, 2])?.with_seed(7);
/// let sample = sampler.sample(&[0, 33], 0)?;
/// assert_eq!(sample.nodes()[..2], [0, 33]);
/// assert_eq!(sample.entries_per_hop()[0], 10);
/// assert_eq!(sample, sampler.sample(&[0, 33], 0)?);
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NeighborSampler {
    incoming: Arc<Incoming>,
    fanouts: Vec<Option<usize>>,
    replace: bool,
    seed: u64,
}

impl NeighborSampler {
    /// A sampler that draws up to `fanouts[h]` in-neighbors of every node in hop `h`, counted from
    /// the seeds; `-1` takes all of them. Without replacement, with seed 0.
    ///
    /// # Errors
    /// If `fanouts` is empty or a fanout is below -1.
    pub fn new(graph: &GraphData, fanouts: &[i64]) -> Result<Self, DatasetError> {
        let refuse = |what: String, expected: &str, found: String| {
            let expected = expected.to_string();
            DatasetError::Unsuitable { place: "neighbor sampling", what, expected, found }
        };
        if fanouts.is_empty() {
            let found = "an empty list".to_string();
            return Err(refuse("fanouts".to_string(), "one fanout per layer", found));
        }
        let fanout = |(hop, &fanout): (usize, &i64)| match fanout {
            -1 => Ok(None),
            _ => usize::try_from(fanout).map(Some).map_err(|_| {
                refuse(format!("fanout {hop}"), "a count, or -1 for all", fanout.to_string())
            }),
        };
        let fanouts = fanouts.iter().enumerate().map(fanout).collect::<Result<_, _>>()?;
        Ok(Self { incoming: Arc::new(Incoming::new(graph)), fanouts, replace: false, seed: 0 })
    }

    /// Sets whether a neighbor may be drawn several times. Then every node with a neighbor gets
    /// exactly its fanout.
    pub fn with_replacement(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Sets the seed.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Number of hops; a network that uses the samples has as many layers.
    pub fn num_hops(&self) -> usize {
        self.fanouts.len()
    }

    /// Draws the neighborhood of some nodes. `batch` is the number of the batch in the whole run: a
    /// batch of the same number and nodes is the same.
    ///
    /// # Errors
    /// If a seed is no node of the graph or comes twice.
    pub fn sample(&self, seeds: &[usize], batch: u64) -> Result<SampledGraph, DatasetError> {
        let mut generator = generator(Use::Neighbors, self.seed, batch);
        self.grow(seeds, &self.fanouts, &mut generator)
    }

    /// Draws the neighborhoods of several batches on as many threads as given. Batch `i` has the
    /// number `first + i`, so that the result does not depend on the number of threads.
    ///
    /// # Errors
    /// As [`sample`](Self::sample), for the first batch with an error.
    ///
    /// # Panics
    /// If `threads` is zero.
    pub fn sample_batches(
        &self,
        batches: &[Vec<usize>],
        first: u64,
        threads: usize,
    ) -> Result<Vec<SampledGraph>, DatasetError> {
        assert!(threads > 0, "sample_batches: expected `threads` of at least 1, got 0");
        let share = batches.len().div_ceil(threads).max(1);
        let part = |(chunk, seeds): (usize, &[Vec<usize>])| {
            let first = first + (chunk * share) as u64;
            let numbered = seeds.iter().zip(first..);
            numbered.map(|(seeds, batch)| self.sample(seeds, batch)).collect::<Result<Vec<_>, _>>()
        };
        if threads == 1 {
            return part((0, batches));
        }
        let parts = std::thread::scope(|scope| {
            let workers: Vec<_> = batches
                .chunks(share)
                .enumerate()
                .map(|chunk| scope.spawn(move || part(chunk)))
                .collect();
            let joined = workers.into_iter().map(|worker| worker.join());
            joined.map(|part| part.expect("sampling does not panic")).collect::<Vec<_>>()
        });
        parts.into_iter().collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
    }

    /// All in-neighbors of some nodes, one hop: what one layer needs to compute these nodes exactly.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn all_neighbors(&self, seeds: &[usize]) -> Result<SampledGraph, DatasetError> {
        self.grow(seeds, &[None], &mut generator(Use::Neighbors, self.seed, 0))
    }

    /// All nodes in chunks with all of their neighbors: what layer-wise inference goes through once
    /// per layer.
    ///
    /// # Panics
    /// If `chunk` is zero.
    pub fn chunks(&self, chunk: usize) -> impl Iterator<Item = SampledGraph> + '_ {
        assert!(chunk > 0, "chunks: expected `chunk` of at least 1, got 0");
        let num_nodes = self.incoming.num_nodes();
        (0..num_nodes).step_by(chunk).map(move |start| {
            let seeds: Vec<usize> = (start..num_nodes.min(start.saturating_add(chunk))).collect();
            self.all_neighbors(&seeds).expect("the nodes of a chunk exist and are different")
        })
    }

    fn grow(
        &self,
        seeds: &[usize],
        fanouts: &[Option<usize>],
        generator: &mut impl Rng,
    ) -> Result<SampledGraph, DatasetError> {
        let mut locals = self.number(seeds)?;
        let mut sample = SampledGraph {
            nodes: seeds.to_vec(),
            nodes_per_hop: vec![seeds.len()],
            ..SampledGraph::default()
        };
        let (mut from, mut drawn) = (0, Vec::new());
        for &fanout in fanouts {
            let to = sample.nodes.len();
            for target in from..to {
                let node = sample.nodes[target];
                self.draw(node, fanout, generator, &mut drawn);
                for &position in &drawn {
                    let source = self.incoming.sources[position];
                    let next = sample.nodes.len();
                    let local = *locals.entry(source).or_insert(next);
                    if local == next {
                        sample.nodes.push(source);
                    }
                    sample.sources.push(local);
                    sample.targets.push(target);
                    sample.entries.push(self.incoming.entries[position]);
                }
            }
            sample.nodes_per_hop.push(sample.nodes.len() - to);
            let before: usize = sample.entries_per_hop.iter().sum();
            sample.entries_per_hop.push(sample.entries.len() - before);
            from = to;
        }
        Ok(sample)
    }

    /// Numbers the seeds in their order.
    fn number(&self, seeds: &[usize]) -> Result<HashMap<usize, usize>, DatasetError> {
        let num_nodes = self.incoming.num_nodes();
        let mut locals = HashMap::with_capacity(seeds.len());
        for (index, &node) in seeds.iter().enumerate() {
            let place = "neighbor sampling".to_string();
            let list = "seed";
            if node >= num_nodes {
                return Err(DatasetError::NodeOutOfRange { place, list, index, node, num_nodes });
            }
            if locals.insert(node, index).is_some() {
                let expected = "a node that has not come yet".to_string();
                let found = format!("node {node} again");
                return Err(DatasetError::GraphValue { place, list, index, expected, found });
            }
        }
        Ok(locals)
    }

    /// Positions of the drawn in-neighbors of a node, ascending without replacement.
    fn draw(
        &self,
        node: usize,
        fanout: Option<usize>,
        generator: &mut impl Rng,
        drawn: &mut Vec<usize>,
    ) {
        drawn.clear();
        let range = self.incoming.starts[node]..self.incoming.starts[node + 1];
        match fanout {
            Some(count) if self.replace => {
                if !range.is_empty() {
                    drawn.extend((0..count).map(|_| generator.random_range(range.clone())));
                }
            }
            Some(count) if count < range.len() => {
                let chosen = rand::seq::index::sample(generator, range.len(), count);
                drawn.extend(chosen.into_iter().map(|index| range.start + index));
                drawn.sort_unstable();
            }
            _ => drawn.extend(range),
        }
    }
}

/// A sampled neighborhood, with nodes numbered anew: the seeds first, then hop after hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampledGraph {
    nodes: Vec<usize>,
    sources: Vec<usize>,
    targets: Vec<usize>,
    entries: Vec<usize>,
    nodes_per_hop: Vec<usize>,
    entries_per_hop: Vec<usize>,
}

/// How much of a [`SampledGraph`] one layer needs: the first nodes and the first entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerExtent {
    /// Rows that the layer reads.
    pub num_sources: usize,
    /// Rows that it computes; they are the first of those that it reads.
    pub num_targets: usize,
    /// Entries between them.
    pub num_entries: usize,
}

impl SampledGraph {
    /// The node of the whole graph that each node of the sample is (`n_id`).
    pub fn nodes(&self) -> &[usize] {
        &self.nodes
    }

    /// Where each entry comes from, as a node of the sample.
    pub fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// Where each entry goes to, as a node of the sample.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// The entry of the whole graph that each entry of the sample is (`e_id`).
    pub fn entries(&self) -> &[usize] {
        &self.entries
    }

    /// Number of seeds; they are the first nodes.
    pub fn batch_size(&self) -> usize {
        self.nodes_per_hop.first().copied().unwrap_or_default()
    }

    /// The seeds.
    pub fn seeds(&self) -> &[usize] {
        &self.nodes[..self.batch_size()]
    }

    /// Number of nodes that each hop added; the first are the seeds.
    pub fn nodes_per_hop(&self) -> &[usize] {
        &self.nodes_per_hop
    }

    /// Number of entries that each hop added.
    pub fn entries_per_hop(&self) -> &[usize] {
        &self.entries_per_hop
    }

    /// What layer `layer` of a network with one layer per hop needs. The first layer reads all rows;
    /// every layer leaves out the rows that no later one uses; the last computes the seeds only.
    ///
    /// # Panics
    /// If there are not more hops than `layer`.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::{NeighborSampler, karate_club};
    ///
    /// let sample = NeighborSampler::new(&karate_club(), &[-1, -1])?.sample(&[11], 0)?;
    /// // Member 11 has one friend, who has 16.
    /// let last = sample.layer(1);
    /// assert_eq!((last.num_sources, last.num_targets, last.num_entries), (2, 1, 1));
    /// assert_eq!(sample.layer(0).num_entries, 1 + 16);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn layer(&self, layer: usize) -> LayerExtent {
        let hops = self.entries_per_hop.len();
        assert!(layer < hops, "layer: expected a layer below {hops}, one per hop, got {layer}");
        let left = hops - layer;
        LayerExtent {
            num_sources: self.nodes_per_hop[..=left].iter().sum(),
            num_targets: self.nodes_per_hop[..left].iter().sum(),
            num_entries: self.entries_per_hop[..left].iter().sum(),
        }
    }

    /// The values that belong to the sample's entries, out of one value per entry of the graph.
    ///
    /// # Panics
    /// If there are too few values.
    pub fn of_entries<T: Copy>(&self, values: &[T]) -> Vec<T> {
        self.entries.iter().map(|&entry| values[entry]).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::{StochasticBlockModelConfig, karate_club};
    use proptest::prelude::*;

    fn random_graph(seed: u64) -> GraphData {
        StochasticBlockModelConfig::planted(3, 30, 0.2, 0.03).with_directed(true).generate(seed)
    }

    proptest! {
        #[test]
        fn samples_are_parts_of_the_graph_within_their_fanouts(
            seed in 0..50_u64,
            fanouts in prop::collection::vec(-1..5_i64, 1..4),
            replace: bool,
        ) {
            let graph = random_graph(seed);
            let sampler =
                NeighborSampler::new(&graph, &fanouts).unwrap().with_replacement(replace);
            let sample = sampler.sample(&[5, 80, 33], seed).unwrap();
            prop_assert_eq!(sample.seeds(), [5, 80, 33]);
            let mut different = sample.nodes().to_vec();
            different.sort_unstable();
            different.dedup();
            prop_assert_eq!(different.len(), sample.nodes().len());
            let entries: Vec<(usize, usize)> = graph.entries().collect();
            let mut drawn = vec![Vec::new(); sample.nodes().len()];
            for (index, &entry) in sample.entries().iter().enumerate() {
                let (source, target) = (sample.sources()[index], sample.targets()[index]);
                prop_assert_eq!(entries[entry], (sample.nodes()[source], sample.nodes()[target]));
                drawn[target].push(entry);
            }
            let degree = |node| graph.targets().iter().filter(|&&target| target == node).count();
            let mut local = 0;
            for (hop, &fanout) in fanouts.iter().enumerate() {
                for _ in 0..sample.nodes_per_hop()[hop] {
                    let degree = degree(sample.nodes()[local]);
                    let expected = match usize::try_from(fanout) {
                        Err(_) => degree,
                        Ok(fanout) if replace && degree > 0 => fanout,
                        Ok(fanout) => fanout.min(degree),
                    };
                    prop_assert_eq!(drawn[local].len(), expected);
                    if !replace {
                        drawn[local].dedup();
                        prop_assert_eq!(drawn[local].len(), expected);
                    }
                    local += 1;
                }
            }
        }

        #[test]
        fn the_number_of_threads_changes_nothing(threads in 1..9_usize, size in 1..20_usize) {
            let sampler = NeighborSampler::new(&random_graph(0), &[3, 2]).unwrap().with_seed(4);
            let nodes: Vec<usize> = (0..90).collect();
            let batches: Vec<Vec<usize>> = nodes.chunks(size).map(<[usize]>::to_vec).collect();
            let one = sampler.sample_batches(&batches, 10, 1).unwrap();
            prop_assert_eq!(&one, &sampler.sample_batches(&batches, 10, threads).unwrap());
            prop_assert_eq!(&one[1..], &sampler.sample_batches(&batches[1..], 11, 2).unwrap()[..]);
        }
    }

    #[test]
    fn every_layer_needs_the_hops_that_are_left() {
        let sampler = NeighborSampler::new(&random_graph(1), &[4, 3, 2]).unwrap();
        let sample = sampler.sample(&[0, 1], 0).unwrap();
        for layer in 0..3 {
            let extent = sample.layer(layer);
            assert!(sample.targets()[..extent.num_entries].iter().all(|&t| t < extent.num_targets));
            assert!(sample.sources()[..extent.num_entries].iter().all(|&s| s < extent.num_sources));
        }
        assert_eq!(sample.layer(0).num_sources, sample.nodes().len());
        assert_eq!(sample.layer(0).num_entries, sample.entries().len());
        assert_eq!(sample.layer(1).num_sources, sample.layer(0).num_targets);
        assert_eq!(sample.layer(2).num_targets, 2);
    }

    #[test]
    fn neighbors_are_drawn_equally_often() {
        // Node 33 has 17 neighbors; each is in a sample of 5 with probability 5/17.
        let sampler = NeighborSampler::new(&karate_club(), &[5]).unwrap();
        let mut counts = [0.0; 34];
        for batch in 0..3400 {
            let sample = sampler.sample(&[33], batch).unwrap();
            sample.nodes()[1..].iter().for_each(|&node| counts[node] += 1.0);
        }
        for count in counts.into_iter().filter(|&count| count > 0.0) {
            // Five standard deviations of 26.6.
            assert!((count - 1000.0_f64).abs() < 133.0, "{count}");
        }
    }

    #[test]
    fn chunks_hold_every_entry_once() {
        let graph = random_graph(2);
        let sampler = NeighborSampler::new(&graph, &[1]).unwrap();
        let mut entries: Vec<usize> =
            sampler.chunks(7).flat_map(|chunk| chunk.entries().to_vec()).collect();
        entries.sort_unstable();
        assert!(entries.into_iter().eq(0..graph.num_entries()));
        let empty = GraphData::new("empty", 0, vec![], vec![]).unwrap();
        assert_eq!(NeighborSampler::new(&empty, &[1]).unwrap().chunks(5).count(), 0);
    }

    #[test]
    fn refuses_what_cannot_be_sampled() {
        let club = karate_club();
        let text = |error: DatasetError| error.to_string();
        assert!(text(NeighborSampler::new(&club, &[]).unwrap_err()).contains("one fanout per"));
        let error = text(NeighborSampler::new(&club, &[3, -2]).unwrap_err());
        assert!(error.ends_with("fanout 1: expected a count, or -1 for all, found -2"), "{error}");
        let sampler = NeighborSampler::new(&club, &[3]).unwrap();
        assert!(text(sampler.sample(&[34], 0).unwrap_err()).contains("seed 0: expected a node"));
        assert!(text(sampler.sample(&[1, 1], 0).unwrap_err()).contains("seed 1: expected a node"));
        let none = sampler.sample(&[], 0).unwrap();
        assert_eq!((none.nodes().len(), none.layer(0).num_entries), (0, 0));
    }
}
