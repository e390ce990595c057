//! All entries of a window once, each with its sequence over time.
//!
//! ```text
//! U = sorted set of all (source, target) in any snapshot
//! sequence[t, e] = weight of U[e] at step t, or -1 where it is absent
//! ```
//!
//! # References
//! J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph
//! Representations*, ICML 2022.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::temporal::TemporalGraphData;
use crate::temporal::data::value;

/// How the sequence of an entry says that the entry is absent at a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Absent {
    /// All channels are -1. Weights must not be negative. The default, and what was published.
    #[default]
    MinusOne,
    /// The channels are 0, and one more channel at the end is 1 where the entry is present and 0
    /// where it is absent. Any weights.
    Channel,
}

/// All entries of a window once, sorted by source, then target, with their sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct UnionGraph {
    num_nodes: usize,
    num_steps: usize,
    channels: usize,
    sources: Vec<usize>,
    targets: Vec<usize>,
    sequences: Vec<f32>,
}

impl UnionGraph {
    /// Number of nodes of the window.
    pub fn num_nodes(&self) -> usize {
        self.num_nodes
    }

    /// Number of steps of the window.
    pub fn num_steps(&self) -> usize {
        self.num_steps
    }

    /// Number of entries.
    pub fn num_entries(&self) -> usize {
        self.sources.len()
    }

    /// Values of an entry at a step, with the one that says whether it is present.
    pub fn num_channels(&self) -> usize {
        self.channels
    }

    /// Where each entry comes from.
    pub fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// Where each entry goes to.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// The sequences, `[steps, entries, channels]`.
    pub fn sequences(&self) -> &[f32] {
        &self.sequences
    }

    /// Number of entries that go to each node.
    pub fn in_degrees(&self) -> Vec<usize> {
        let mut degrees = vec![0; self.num_nodes];
        self.targets.iter().for_each(|&target| degrees[target] += 1);
        degrees
    }
}

impl TemporalGraphData {
    /// The union of the snapshots of a window with the sequence of each entry. Without weights a
    /// present entry counts as 1. The union may be empty.
    ///
    /// # Errors
    /// If the window has no step or goes beyond the last, or a weight is negative where -1 stands
    /// for absence.
    pub fn aggregate(
        &self,
        steps: Range<usize>,
        absent: Absent,
    ) -> Result<UnionGraph, DatasetError> {
        self.check_steps(&steps)?;
        let mut places: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for step in steps.clone().take(if self.unchanging { 1 } else { usize::MAX }) {
            places.extend(self.entries(step).map(|pair| (pair, 0)));
        }
        places.values_mut().enumerate().for_each(|(index, place)| *place = index);
        let with_presence = absent == Absent::Channel;
        let channels = self.channels + usize::from(with_presence);
        let padding = if with_presence { 0.0 } else { -1.0 };
        let mut sequences = vec![padding; steps.len() * places.len() * channels];
        for (row, step) in steps.clone().enumerate() {
            for (index, pair) in self.range(step).zip(self.entries(step)) {
                let start = (row * places.len() + places[&pair]) * channels;
                let values = &mut sequences[start..start + channels];
                values[self.channels..].fill(1.0);
                match &self.weights {
                    Some(weights) => values[..self.channels].copy_from_slice(
                        &weights[index * self.channels..(index + 1) * self.channels],
                    ),
                    None => values.fill(1.0),
                }
                if !with_presence && let Some(&weight) = values.iter().find(|&&w| w < 0.0) {
                    let expected =
                        "no negative weight where -1 stands for absence, or `Absent::Channel`";
                    let (name, expected) = (self.name.clone(), expected.to_string());
                    return Err(value(name, "weight", index, expected, weight.to_string()));
                }
            }
        }
        let (sources, targets) = places.into_keys().unzip();
        let (num_nodes, num_steps) = (self.num_nodes, steps.len());
        Ok(UnionGraph { num_nodes, num_steps, channels, sources, targets, sequences })
    }
}
