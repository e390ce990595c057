//! Circular skip links that change from step to step.
//!
//! ```text
//! CSL(n, k):  i -> i + 1, i -> i - 1, i -> i + k, i -> i - k     (mod n)
//! ```
//!
//! Every node of every snapshot looks the same: all have degree 4 and the same feature. What tells two
//! sequences apart is which links come back: the number of different skips, which is the label.
//!
//! # Notes
//! - The published code reads files and does not say how labels were made. That the label is the
//!   number of different skips is inferred from the files' form.
//! - With 19 nodes, two skips give isomorphic graphs if and only if one is plus or minus the other or
//!   its inverse modulo 19: {2, 9}, {3, 6}, {4, 5}, {7, 8}. They are different links all the same.
//!
//! # References
//! J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph
//! Representations*, ICML 2022; R. Murphy et al., *Relational Pooling for Graph Representations*,
//! ICML 2019 (circular skip links).

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::random::{Use, generator};
use crate::split::shuffle;
use crate::temporal::TemporalGraphData;
use crate::temporal::data::{Duplicates, Entry, unsuitable};

/// One snapshot `CSL(nodes, skip)` per skip, all features 1, perhaps with self loops.
///
/// # Errors
/// If there is no skip, or a skip does not give every node four different neighbors: it must be at
/// least 2 and below half of the nodes.
///
/// # Example
/// ```
/// use firebrick_datasets::temporal::{Absent, circular_skip_links};
///
/// // Every snapshot has degree 4, but the unions differ.
/// let same = circular_skip_links(11, &[2, 2], false)?.aggregate(0..2, Absent::MinusOne)?;
/// let other = circular_skip_links(11, &[2, 3], false)?.aggregate(0..2, Absent::MinusOne)?;
/// assert_eq!((same.in_degrees(), other.in_degrees()), (vec![4; 11], vec![6; 11]));
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
pub fn circular_skip_links(
    nodes: usize,
    skips: &[usize],
    self_loops: bool,
) -> Result<TemporalGraphData, DatasetError> {
    if let Some((step, skip)) = skips.iter().enumerate().find(|&(_, &skip)| !is_skip(nodes, skip)) {
        let expected = format!("from 2 to below half of {nodes} nodes");
        return Err(unsuitable(format!("skip {step}"), expected, skip.to_string()));
    }
    let loops = self_loops.then_some(0);
    let mut entries = Vec::new();
    for (step, &skip) in skips.iter().enumerate() {
        for source in 0..nodes {
            for by in [1, nodes - 1, skip, nodes - skip].into_iter().chain(loops) {
                entries.push(Entry { step, source, target: (source + by) % nodes });
            }
        }
    }
    let (name, refuse) = ("circular skip links", Duplicates::Refuse);
    TemporalGraphData::from_entries(name, nodes, skips.len(), &entries, None, refuse)?
        .with_features(1, vec![1.0; skips.len() * nodes])
}

fn is_skip(nodes: usize, skip: usize) -> bool {
    skip >= 2 && skip < nodes.div_ceil(2)
}

/// A sequence of circular skip links with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct DynCsl {
    /// The snapshots.
    pub graph: TemporalGraphData,
    /// The skip of each.
    pub skips: Vec<usize>,
    /// Number of different skips, less one.
    pub label: usize,
}

/// Settings of random sequences of circular skip links.
///
/// # Example
/// ```
/// use firebrick_datasets::temporal::DynCslConfig;
///
/// let sequences = DynCslConfig::new().generate(8, 0)?;
/// let labels: Vec<usize> = sequences.iter().map(|sequence| sequence.label).collect();
/// assert_eq!(labels, [0, 1, 2, 3, 0, 1, 2, 3]);
/// assert_eq!(sequences[0].graph.num_nodes(), 19);
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynCslConfig {
    /// Number of nodes. Default: 19.
    pub nodes: usize,
    /// Number of snapshots. Default: 8.
    pub steps: usize,
    /// Number of classes: sequences have from 1 to this many different skips. Default: 4.
    pub classes: usize,
    /// The skips to draw from. Default: 2 to 9, all that 19 nodes have.
    pub pool: Vec<usize>,
    /// Whether every node has an entry to itself. Default: yes, as in the published files.
    pub self_loops: bool,
}

impl Default for DynCslConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl DynCslConfig {
    /// The settings of the published task.
    pub fn new() -> Self {
        Self { nodes: 19, steps: 8, classes: 4, pool: (2..=9).collect(), self_loops: true }
    }

    /// Chooses the number of nodes and the skips to draw from.
    pub fn with_nodes(mut self, nodes: usize, pool: Vec<usize>) -> Self {
        (self.nodes, self.pool) = (nodes, pool);
        self
    }

    /// Chooses the number of snapshots.
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// Chooses the number of classes.
    pub fn with_classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    /// Chooses whether every node has an entry to itself.
    pub fn with_self_loops(mut self, self_loops: bool) -> Self {
        self.self_loops = self_loops;
        self
    }

    /// Draws `count` sequences; the classes take turns. Sequence `i` is a function of the settings,
    /// the seed and `i`: it has `m` skips drawn without replacement from the pool, where `m - 1` is its
    /// class, then draws from these for the steps that are left, in random order.
    ///
    /// # Errors
    /// If there is no class, there are more classes than steps or than skips in the pool, or the
    /// pool has a skip twice or one that the number of nodes does not allow.
    pub fn generate(&self, count: usize, seed: u64) -> Result<Vec<DynCsl>, DatasetError> {
        self.check()?;
        (0..count).map(|index| self.sequence(index, seed)).collect()
    }

    fn sequence(&self, index: usize, seed: u64) -> Result<DynCsl, DatasetError> {
        let mut generator = generator(Use::SkipLinks, seed, index as u64);
        let label = index % self.classes;
        let mut pool = self.pool.clone();
        shuffle(&mut pool, &mut generator);
        pool.truncate(label + 1);
        let mut skips = pool.clone();
        while skips.len() < self.steps {
            skips.push(pool[generator.random_range(0..pool.len())]);
        }
        shuffle(&mut skips, &mut generator);
        let graph = circular_skip_links(self.nodes, &skips, self.self_loops)?;
        Ok(DynCsl { graph, skips, label })
    }

    fn check(&self) -> Result<(), DatasetError> {
        let most = self.steps.min(self.pool.len());
        if self.classes == 0 || self.classes > most {
            let expected = format!("from 1 to {most}, the smaller of steps and skips");
            return Err(unsuitable("classes", expected, self.classes.to_string()));
        }
        for (index, &skip) in self.pool.iter().enumerate() {
            if !is_skip(self.nodes, skip) || self.pool[..index].contains(&skip) {
                let expected = format!("different skips from 2 to below half of {}", self.nodes);
                return Err(unsuitable("pool", expected, format!("{:?}", self.pool)));
            }
        }
        Ok(())
    }
}
