//! Snapshots of a graph with everything that belongs to them.

use std::ops::Range;

use crate::DatasetError;
use crate::graph::GraphData;
use crate::graph::data::check_length;

/// A graph that changes over time: `T` snapshots on the same `n` nodes.
///
/// Everything is checked when it is put in: there is at least one step, nodes exist, no entry comes
/// twice in a snapshot, weights and features are finite, and absent nodes have no entries.
///
/// Entries stand one snapshot after the other; [`range`](Self::range) says where each one's are.
/// Features have the shape `[T, n, F]`, weights `[entries, channels]`, row-major.
///
/// # Example
/// ```
/// use firebrick_datasets::graph::GraphData;
/// use firebrick_datasets::temporal::TemporalGraphData;
///
/// let days = [
///     GraphData::from_edges("monday", 3, &[(0, 1)])?,
///     GraphData::from_edges("tuesday", 3, &[(0, 1), (1, 2)])?,
/// ];
/// let data = TemporalGraphData::from_graphs("days", &days)?
///     .with_features(1, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!((data.num_steps(), data.num_nodes(), data.range(1)), (2, 3, 2..6));
/// assert_eq!(data.features_of(1), [4.0, 5.0, 6.0]);
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TemporalGraphData {
    pub(super) name: String,
    pub(super) num_nodes: usize,
    pub(super) num_steps: usize,
    /// Where the entries of each snapshot start, and the end; just two where all steps share them.
    pub(super) starts: Vec<usize>,
    pub(super) unchanging: bool,
    pub(super) sources: Vec<usize>,
    pub(super) targets: Vec<usize>,
    pub(super) channels: usize,
    pub(super) weights: Option<Vec<f32>>,
    pub(super) width: usize,
    pub(super) features: Vec<f32>,
    pub(super) present: Option<Vec<bool>>,
}

/// One entry of one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The step, from 0.
    pub step: usize,
    /// Where it comes from.
    pub source: usize,
    /// Where it goes to.
    pub target: usize,
}

/// What becomes of an entry that comes twice in a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// An error. The default.
    #[default]
    Refuse,
    /// One entry whose weights are the sums; without weights, one entry.
    Sum,
}

/// Largest number of nodes and of entries: indices on a device have 32 bits.
const MOST: usize = i32::MAX as usize;

impl TemporalGraphData {
    /// A graph in coordinate form: the entries of step `t` are those in `ranges[t]`. Ranges follow
    /// each other without gaps and cover all entries. Entries stay in their order.
    ///
    /// # Errors
    /// If there is no step, the lists differ in length, a range does not start where the one before
    /// ends, a node is not below `num_nodes`, or an entry comes twice in a snapshot.
    pub fn from_ranges(
        name: impl Into<String>,
        num_nodes: usize,
        sources: Vec<usize>,
        targets: Vec<usize>,
        ranges: &[Range<usize>],
    ) -> Result<Self, DatasetError> {
        let place = name.into();
        check_length(&place, "targets of entries", sources.len(), targets.len())?;
        let mut starts = vec![0];
        for (index, range) in ranges.iter().enumerate() {
            let start = starts[index];
            if range.start != start || range.end < start || range.end > sources.len() {
                let expected = format!("{start}..end with an end of {start} to {}", sources.len());
                let found = format!("{range:?}");
                return Err(value(place, "range", index, expected, found));
            }
            starts.push(range.end);
        }
        check_length(&place, "entries in ranges", sources.len(), starts[ranges.len()])?;
        Self::checked(place, num_nodes, ranges.len(), starts, sources, targets)
    }

    /// A graph from entries in any order, with `channels` weights each or none at all (`None`).
    /// Entries are sorted by step, source and target.
    ///
    /// # Errors
    /// If `num_steps` is zero, a step or a node does not exist, there are not `channels` finite
    /// weights per entry, or an entry comes twice and duplicates are refused.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::temporal::{Duplicates, Entry, TemporalGraphData};
    ///
    /// let entry = Entry { step: 1, source: 0, target: 1 };
    /// let weights = Some((1, vec![2.0, 3.0]));
    /// let twice = [entry, entry];
    /// let data = TemporalGraphData::from_entries("sum", 2, 2, &twice, weights, Duplicates::Sum)?;
    /// assert_eq!((data.range(0), data.range(1)), (0..0, 0..1));
    /// assert_eq!(data.weights(), Some(&[5.0][..]));
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn from_entries(
        name: impl Into<String>,
        num_nodes: usize,
        num_steps: usize,
        entries: &[Entry],
        weights: Option<(usize, Vec<f32>)>,
        duplicates: Duplicates,
    ) -> Result<Self, DatasetError> {
        let place = name.into();
        if let Some(index) = entries.iter().position(|entry| entry.step >= num_steps) {
            let (expected, found) = (format!("a step below {num_steps}"), entries[index].step);
            return Err(value(place, "entry", index, expected, format!("step {found}")));
        }
        if let Some((channels, weights)) = &weights {
            check_values(&place, "weight", entries.len(), *channels, weights)?;
        }
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|&index| entries[index]);
        let (mut starts, mut sources, mut targets) = (vec![0; num_steps + 1], vec![], vec![]);
        let mut merged: Vec<f32> = Vec::new();
        let mut last = None;
        for index in order {
            let entry = entries[index];
            let own = weights.as_ref().map_or(&[][..], |(channels, weights)| {
                &weights[index * channels..(index + 1) * channels]
            });
            if last == Some(entry) && duplicates == Duplicates::Sum {
                let start = merged.len() - own.len();
                merged[start..].iter_mut().zip(own).for_each(|(sum, weight)| *sum += weight);
                continue;
            }
            last = Some(entry);
            sources.push(entry.source);
            targets.push(entry.target);
            merged.extend_from_slice(own);
            starts[entry.step + 1] = sources.len();
        }
        for step in 0..num_steps {
            starts[step + 1] = starts[step + 1].max(starts[step]);
        }
        let data = Self::checked(place, num_nodes, num_steps, starts, sources, targets)?;
        match weights {
            Some((channels, _)) => data.with_weights(channels, merged),
            None => Ok(data),
        }
    }

    /// One snapshot per graph, with the weights and the dense or sparse features that the graphs
    /// have. Labels and splits are left behind.
    ///
    /// # Errors
    /// If there is no graph, the graphs differ in number of nodes, in number of features or in
    /// whether they have weights, or an entry comes twice in one: then
    /// [`coalesce`](GraphData::coalesce) that graph.
    pub fn from_graphs(
        name: impl Into<String>,
        graphs: &[GraphData],
    ) -> Result<Self, DatasetError> {
        let place = name.into();
        let Some(first) = graphs.first() else { return Err(no_steps(place)) };
        let (num_nodes, width) = (first.num_nodes(), first.features().width());
        let (mut entries, mut weights, mut features) = (Vec::new(), Vec::new(), Vec::new());
        for (step, graph) in graphs.iter().enumerate() {
            for (what, expected, found) in [
                ("nodes", num_nodes, graph.num_nodes()),
                ("features", width, graph.features().width()),
                ("channels", channels_of(first), channels_of(graph)),
            ] {
                if expected != found {
                    let expected = format!("{expected} {what}, as at step 0");
                    return Err(value(place, "snapshot", step, expected, found.to_string()));
                }
            }
            entries.extend(graph.entries().map(|(source, target)| Entry { step, source, target }));
            weights.extend_from_slice(graph.weights().unwrap_or_default());
            features.extend_from_slice(graph.features().to_dense().values());
        }
        let weights = first.weights().is_some().then_some((1, weights));
        let steps = graphs.len();
        Self::from_entries(place, num_nodes, steps, &entries, weights, Duplicates::Refuse)?
            .with_features(width, features)
    }

    /// The same entries at all of `num_steps` steps, stored once, with the graph's weights; the
    /// graph's features are left behind.
    ///
    /// # Errors
    /// If there is no step or an entry comes twice.
    pub fn unchanging(graph: &GraphData, num_steps: usize) -> Result<Self, DatasetError> {
        if num_steps == 0 {
            return Err(no_steps(graph.name().to_string()));
        }
        let entry = |(source, target)| Entry { step: 0, source, target };
        let entries: Vec<Entry> = graph.entries().map(entry).collect();
        let weights = graph.weights().map(|weights| (1, weights.to_vec()));
        let (name, nodes) = (graph.name(), graph.num_nodes());
        let once = Self::from_entries(name, nodes, 1, &entries, weights, Duplicates::Refuse)?;
        Ok(Self { num_steps, unchanging: true, ..once })
    }

    /// Checks the entries.
    fn checked(
        place: String,
        num_nodes: usize,
        num_steps: usize,
        starts: Vec<usize>,
        sources: Vec<usize>,
        targets: Vec<usize>,
    ) -> Result<Self, DatasetError> {
        if num_steps == 0 {
            return Err(no_steps(place));
        }
        for (list, found) in [("nodes", num_nodes), ("entries", sources.len())] {
            if found > MOST {
                return Err(DatasetError::GraphLength { place, list, expected: MOST, found });
            }
        }
        for (list, nodes) in [("source", &sources), ("target", &targets)] {
            if let Some(index) = nodes.iter().position(|&node| node >= num_nodes) {
                let node = nodes[index];
                return Err(DatasetError::NodeOutOfRange { place, list, index, node, num_nodes });
            }
        }
        for (step, bounds) in starts.windows(2).enumerate() {
            let range = bounds[0]..bounds[1];
            let mut pairs: Vec<(usize, usize)> =
                range.map(|index| (sources[index], targets[index])).collect();
            pairs.sort_unstable();
            if let Some(twice) = pairs.windows(2).find(|pair| pair[0] == pair[1]) {
                let (source, target) = twice[0];
                let found = format!("{source} -> {target} twice");
                let expected = "every entry once".to_string();
                return Err(value(place, "snapshot", step, expected, found));
            }
        }
        Ok(Self {
            name: place,
            num_nodes,
            num_steps,
            starts,
            unchanging: false,
            sources,
            targets,
            channels: 1,
            weights: None,
            width: 0,
            features: Vec::new(),
            present: None,
        })
    }

    /// Gives every entry a weight in each of `channels` channels; `[entries, channels]`, in the
    /// order of [`sources`](Self::sources).
    ///
    /// # Errors
    /// If there are not `channels >= 1` weights per entry, or one is not finite.
    pub fn with_weights(
        mut self,
        channels: usize,
        weights: Vec<f32>,
    ) -> Result<Self, DatasetError> {
        check_values(&self.name, "weight", self.sources.len(), channels, &weights)?;
        (self.channels, self.weights) = (channels, Some(weights));
        Ok(self)
    }

    /// Gives every node `width` features at every step; `[T, n, width]`.
    ///
    /// # Errors
    /// If there are not so many features, or one is not finite.
    pub fn with_features(mut self, width: usize, features: Vec<f32>) -> Result<Self, DatasetError> {
        let rows = self.num_steps.saturating_mul(self.num_nodes);
        check_length(&self.name, "features", rows.saturating_mul(width), features.len())?;
        check_finite(&self.name, "feature", &features)?;
        (self.width, self.features) = (width, features);
        Ok(self)
    }

    /// Says which nodes are there at which steps; `[T, n]`. Without it all are.
    ///
    /// # Errors
    /// If there is not one value per step and node, or an absent node has an entry.
    pub fn with_presence(mut self, present: Vec<bool>) -> Result<Self, DatasetError> {
        let expected = self.num_steps.saturating_mul(self.num_nodes);
        check_length(&self.name, "presences of nodes", expected, present.len())?;
        for step in 0..self.num_steps {
            let here = &present[step * self.num_nodes..(step + 1) * self.num_nodes];
            for index in self.range(step) {
                for node in [self.sources[index], self.targets[index]] {
                    if !here[node] {
                        let expected = format!("no entry of node {node}, which is absent");
                        let (source, target) = (self.sources[index], self.targets[index]);
                        let found = format!("{source} -> {target}");
                        return Err(value(self.name, "snapshot", step, expected, found));
                    }
                }
            }
        }
        self.present = Some(present);
        Ok(self)
    }

    /// The name, for messages and reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of nodes, the same at all steps.
    pub fn num_nodes(&self) -> usize {
        self.num_nodes
    }

    /// Number of snapshots; at least one.
    pub fn num_steps(&self) -> usize {
        self.num_steps
    }

    /// Whether all steps share their entries, which are then stored once.
    pub fn is_unchanging(&self) -> bool {
        self.unchanging
    }

    /// Where the entries of a snapshot stand in [`sources`](Self::sources).
    ///
    /// # Panics
    /// If there is no such step.
    pub fn range(&self, step: usize) -> Range<usize> {
        assert!(step < self.num_steps, "expected a step below {}, found {step}", self.num_steps);
        let at = if self.unchanging { 0 } else { step };
        self.starts[at]..self.starts[at + 1]
    }

    /// Where each stored entry comes from.
    pub fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// Where each stored entry goes to.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// The entries of a snapshot as pairs of source and target.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn entries(&self, step: usize) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        let range = self.range(step);
        self.sources[range.clone()].iter().copied().zip(self.targets[range].iter().copied())
    }

    /// Number of weights of an entry; 1 without weights.
    pub fn num_channels(&self) -> usize {
        self.channels
    }

    /// The weights of all stored entries, `[entries, channels]`; `None`: all are 1.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// Number of features of a node.
    pub fn num_features(&self) -> usize {
        self.width
    }

    /// All features, `[T, n, F]`.
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// The features at a step, `[n, F]`.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn features_of(&self, step: usize) -> &[f32] {
        assert!(step < self.num_steps, "expected a step below {}, found {step}", self.num_steps);
        let size = self.num_nodes * self.width;
        &self.features[step * size..(step + 1) * size]
    }

    /// Which nodes are there, `[T, n]`; `None`: all always.
    pub fn presence(&self) -> Option<&[bool]> {
        self.present.as_deref()
    }

    /// Number of entries that go to each node, over all snapshots together.
    pub fn in_degrees(&self) -> Vec<usize> {
        let mut degrees = vec![0; self.num_nodes];
        let times = if self.unchanging { self.num_steps } else { 1 };
        self.targets.iter().for_each(|&target| degrees[target] += times);
        degrees
    }

    /// The given steps as a graph of its own.
    ///
    /// # Errors
    /// If there is no step in the range or it goes beyond the last.
    pub fn window(&self, steps: Range<usize>) -> Result<Self, DatasetError> {
        self.check_steps(&steps)?;
        let (starts, entries) = if self.unchanging {
            (self.starts.clone(), 0..self.sources.len())
        } else {
            let entries = self.starts[steps.start]..self.starts[steps.end];
            let bounds = &self.starts[steps.start..=steps.end];
            (bounds.iter().map(|&start| start - entries.start).collect(), entries)
        };
        let rows = steps.start * self.num_nodes..steps.end * self.num_nodes;
        let weights = self.weights.as_ref().map(|weights| {
            weights[entries.start * self.channels..entries.end * self.channels].to_vec()
        });
        Ok(Self {
            name: self.name.clone(),
            num_steps: steps.len(),
            starts,
            sources: self.sources[entries.clone()].to_vec(),
            targets: self.targets[entries].to_vec(),
            weights,
            features: self.features[rows.start * self.width..rows.end * self.width].to_vec(),
            present: self.present.as_ref().map(|present| present[rows].to_vec()),
            ..*self
        })
    }

    pub(super) fn check_steps(&self, steps: &Range<usize>) -> Result<(), DatasetError> {
        if steps.start < steps.end && steps.end <= self.num_steps {
            return Ok(());
        }
        let expected = format!("at least one of the steps below {}", self.num_steps);
        Err(unsuitable("steps of a window", expected, format!("{steps:?}")))
    }
}

fn channels_of(graph: &GraphData) -> usize {
    usize::from(graph.weights().is_some())
}

fn check_values(
    place: &str,
    list: &'static str,
    entries: usize,
    channels: usize,
    values: &[f32],
) -> Result<(), DatasetError> {
    if channels == 0 {
        let expected = "at least one channel".to_string();
        return Err(value(place.to_string(), list, 0, expected, "none".to_string()));
    }
    check_length(place, list, entries.saturating_mul(channels), values.len())?;
    check_finite(place, list, values)
}

fn check_finite(place: &str, list: &'static str, values: &[f32]) -> Result<(), DatasetError> {
    let Some(index) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let expected = "a finite number".to_string();
    Err(value(place.to_string(), list, index, expected, values[index].to_string()))
}

pub(super) fn value(
    place: String,
    list: &'static str,
    index: usize,
    expected: String,
    found: String,
) -> DatasetError {
    DatasetError::GraphValue { place, list, index, expected, found }
}

pub(super) fn unsuitable(
    what: impl Into<String>,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> DatasetError {
    DatasetError::Unsuitable {
        place: "temporal graph",
        what: what.into(),
        expected: expected.into(),
        found: found.into(),
    }
}

fn no_steps(place: String) -> DatasetError {
    let (expected, found) = ("at least one".to_string(), "none".to_string());
    value(place, "snapshot", 0, expected, found)
}
