//! From windows on the host to a temporal graph on a device.

use std::collections::HashMap;
use std::sync::Arc;

use burn::config::Config;
use burn::tensor::{Tensor, TensorCreationOptions, TensorData};
use firebrick_ops::sparse::{EntryIndex, Graph, GraphError};

use super::error::TemporalGraphError as Error;
use super::graph::{EdgeFeatures, EdgeSequences, Snapshot, TemporalGraph};
use super::read::{Entries, check_ranges, ends, entries, finite, length};
use super::window::{Connectivity, TemporalWindow};
use crate::graph::GraphBatch;

/// How windows become a [`TemporalGraph`].
#[derive(Config, Debug)]
pub struct TemporalGraphConfig {
    /// Number of weights of an entry.
    #[config(default = 1)]
    pub edge_channels: usize,
    /// Whether a further channel says if an entry is there, 1 or 0, with weights of 0 where it is not;
    /// otherwise absent entries have weights of -1, and weights must not be negative.
    #[config(default = false)]
    pub presence_channel: bool,
    /// Whether weights of entries that join the same nodes in one step are added up; otherwise such entries
    /// are an error.
    #[config(default = false)]
    pub sum_duplicates: bool,
    /// Whether entries with equal sequences share one, so that it is encoded once.
    #[config(default = true)]
    pub deduplicate: bool,
}

impl TemporalGraphConfig {
    /// The temporal graph of one window or of several side by side, with tensors on a device or with a device
    /// and a float type.
    ///
    /// # Errors
    /// If there is no window or a window without steps, a list has another length than the shape says, ranges
    /// do not follow each other, a node does not exist or is absent, a value is not finite, a weight is
    /// negative without presence channel, an entry appears twice in a step, or windows differ in the number of
    /// features or in the kind of connectivity.
    ///
    /// # Example
    /// See [`TemporalWindow`].
    pub fn build<V: Copy + Into<f64>, I: EntryIndex>(
        &self,
        windows: &[TemporalWindow<'_, V, I>],
        options: impl Into<TensorCreationOptions>,
    ) -> Result<TemporalGraph, Error> {
        let first = windows.first().ok_or(Error::NoWindows)?;
        for (number, window) in windows.iter().enumerate() {
            agree(number, first, window)?;
        }
        let steps = windows.iter().map(|window| window.shape[1]).max().unwrap_or(0);
        let fixed = matches!(first.connectivity, Connectivity::Static { .. });
        let mut parts = Parts::new(self, steps, fixed);
        for (number, window) in windows.iter().enumerate() {
            parts.add(number, window)?;
        }
        let last = windows.len() - 1;
        let graph = parts.finish(first.shape[2], windows.len(), options.into());
        graph.map_err(|error| Error::Graph { window: last, error })
    }
}

/// What all windows must share.
fn agree<V, I>(
    window: usize,
    first: &TemporalWindow<'_, V, I>,
    found: &TemporalWindow<'_, V, I>,
) -> Result<(), Error> {
    let kind = |window: &TemporalWindow<'_, V, I>| match window.connectivity {
        Connectivity::Dynamic { .. } | Connectivity::Aggregated { .. } => "dynamic",
        Connectivity::Static { .. } => "static",
    };
    if found.shape[1] == 0 {
        return Err(Error::NoSteps { window });
    }
    let differ = |what, expected: String, found: String| {
        if expected == found {
            Ok(())
        } else {
            Err(Error::Differ { window, what, expected, found })
        }
    };
    differ("connectivity", kind(first).into(), kind(found).into())?;
    differ("features", first.shape[2].to_string(), found.shape[2].to_string())
}

/// Entries of one step over all windows.
#[derive(Default)]
struct Step {
    sources: Vec<u32>,
    targets: Vec<u32>,
    weights: Vec<f64>,
}

/// What has been read of the windows.
struct Parts<'a> {
    config: &'a TemporalGraphConfig,
    steps: usize,
    fixed: bool,
    nodes: usize,
    union: Step,
    /// `[entries, steps, channels]` of dynamic entries.
    sequences: Vec<f64>,
    /// Steps before the start of the entry's window.
    late: Vec<usize>,
    snapshots: Vec<Step>,
    features: Vec<f64>,
    mask: Vec<f64>,
    window_of_node: Vec<usize>,
    ever_present: Vec<bool>,
}

impl<'a> Parts<'a> {
    fn new(config: &'a TemporalGraphConfig, steps: usize, fixed: bool) -> Self {
        Self {
            config,
            steps,
            fixed,
            nodes: 0,
            union: Step::default(),
            sequences: Vec::new(),
            late: Vec::new(),
            snapshots: (0..if fixed { 0 } else { steps }).map(|_| Step::default()).collect(),
            features: Vec::new(),
            mask: Vec::new(),
            window_of_node: Vec::new(),
            ever_present: Vec::new(),
        }
    }

    /// Values of an entry in a sequence.
    fn channels(&self) -> usize {
        self.config.edge_channels + usize::from(self.config.presence_channel && !self.fixed)
    }

    fn add<V: Copy + Into<f64>, I: EntryIndex>(
        &mut self,
        number: usize,
        window: &TemporalWindow<'_, V, I>,
    ) -> Result<(), Error> {
        let late = self.steps - window.shape[1];
        self.add_nodes(number, window, late)?;
        match window.connectivity {
            Connectivity::Dynamic { sources, targets, ranges, weights } => {
                check_ranges(number, window.shape[1], ranges, sources.len())?;
                let entries = entries(number, window, sources, targets, ranges)?;
                let weights = self.weights(number, sources.len(), weights)?;
                self.add_dynamic(number, &entries, &weights, late)?;
            }
            Connectivity::Aggregated { sources, targets, sequences } => {
                let all = 0..sources.len();
                let entries = entries(number, window, sources, targets, &[all])?;
                self.add_aggregated(number, &entries, sequences, late)?;
            }
            Connectivity::Static { sources, targets, features } => {
                let all = 0..sources.len();
                let entries = entries(number, window, sources, targets, &[all])?;
                let weights = self.weights(number, sources.len(), features)?;
                self.add_static(number, &entries, &weights)?;
            }
        }
        self.nodes += window.shape[0];
        Ok(())
    }

    /// Features, with zeros before the start, and masks.
    fn add_nodes<V: Copy + Into<f64>, I>(
        &mut self,
        number: usize,
        window: &TemporalWindow<'_, V, I>,
        late: usize,
    ) -> Result<(), Error> {
        let [nodes, steps, columns] = window.shape;
        length(number, "features", nodes * steps * columns, window.features.len())?;
        if let Some(present) = window.present {
            length(number, "marks of presence", nodes * steps, present.len())?;
        }
        for node in 0..nodes {
            self.features.resize(self.features.len() + late * columns, 0.0);
            let places = node * steps * columns..(node + 1) * steps * columns;
            for place in places {
                let found: f64 = window.features[place].into();
                finite(number, "feature", place, found)?;
                self.features.push(found);
            }
            let present = |step| window.present.is_none_or(|present| present[node * steps + step]);
            self.mask.resize(self.mask.len() + late, 0.0);
            self.mask.extend((0..steps).map(|step| f64::from(u8::from(present(step)))));
            self.ever_present.push((0..steps).any(present));
            self.window_of_node.push(number);
        }
        Ok(())
    }

    fn weights<V: Copy + Into<f64>>(
        &self,
        window: usize,
        entries: usize,
        weights: &[V],
    ) -> Result<Vec<f64>, Error> {
        let expected = entries * self.config.edge_channels;
        if weights.is_empty() {
            return Ok(vec![1.0; expected]);
        }
        length(window, "weights", expected, weights.len())?;
        let weights: Vec<f64> = weights.iter().map(|&weight| weight.into()).collect();
        for (place, &found) in weights.iter().enumerate() {
            finite(window, "weight", place, found)?;
            if found < 0.0 && !self.config.presence_channel && !self.fixed {
                let entry = place / self.config.edge_channels;
                return Err(Error::NegativeWeight { window, entry, found });
            }
        }
        Ok(weights)
    }

    fn add_dynamic(
        &mut self,
        window: usize,
        entries: &Entries,
        weights: &[f64],
        late: usize,
    ) -> Result<(), Error> {
        let (union, places) = self.add_union(entries, late);
        let (channels, width, start) =
            (self.config.edge_channels, self.channels(), self.sequences.len());
        let absent = if self.config.presence_channel { 0.0 } else { -1.0 };
        self.sequences.resize(start + union.len() * self.steps * width, absent);
        // The step whose entry was seen last, plus one.
        let mut seen = vec![0; union.len()];
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|&entry| (entries.step[entry], places[entry], entry));
        for entry in order {
            let (place, step) = (places[entry], entries.step[entry]);
            let again = std::mem::replace(&mut seen[place], step + 1) == step + 1;
            self.refuse(again, window, entry, entries.keys[entry])?;
            let values = &weights[entry * channels..(entry + 1) * channels];
            let sequence = start + (place * self.steps + late + step) * width;
            let snapshot = &mut self.snapshots[late + step];
            let known = snapshot.weights.len().saturating_sub(channels);
            for (channel, value) in values.iter().enumerate() {
                match again {
                    true => {
                        self.sequences[sequence + channel] += value;
                        snapshot.weights[known + channel] += value;
                    }
                    false => {
                        self.sequences[sequence + channel] = *value;
                        snapshot.weights.push(*value);
                    }
                }
            }
            if width > channels {
                self.sequences[sequence + channels] = 1.0;
            }
            if !again {
                let (source, target) = ends(entries.keys[entry]);
                snapshot.sources.push(self.nodes as u32 + source);
                snapshot.targets.push(self.nodes as u32 + target);
            }
        }
        Ok(())
    }

    fn add_aggregated<V: Copy + Into<f64>>(
        &mut self,
        window: usize,
        entries: &Entries,
        sequences: &[V],
        late: usize,
    ) -> Result<(), Error> {
        let (width, channels, start) =
            (self.channels(), self.config.edge_channels, self.sequences.len());
        let steps = self.steps - late;
        length(window, "values of sequences", entries.keys.len() * steps * width, sequences.len())?;
        let (union, places) = self.add_union(entries, late);
        let presence = self.config.presence_channel;
        let absent = if presence { 0.0 } else { -1.0 };
        self.sequences.resize(start + union.len() * self.steps * width, absent);
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|&entry| places[entry]);
        let twice = order.windows(2).find(|pair| places[pair[0]] == places[pair[1]]);
        if let Some(pair) = twice {
            let (from, to) = ends(entries.keys[pair[1]]);
            return Err(Error::Duplicate { window, entry: pair[1], from, to });
        }
        for (place, entry) in order.into_iter().enumerate() {
            let (source, target) = ends(entries.keys[entry]);
            for step in 0..steps {
                let first = (entry * steps + step) * width;
                let values: Vec<f64> =
                    sequences[first..first + width].iter().map(|&value| value.into()).collect();
                for (channel, &found) in values.iter().enumerate() {
                    finite(window, "value of a sequence", first + channel, found)?;
                    if !presence && found < 0.0 && found != absent {
                        return Err(Error::NegativeWeight { window, entry, found });
                    }
                }
                let sequence = start + (place * self.steps + late + step) * width;
                self.sequences[sequence..sequence + width].copy_from_slice(&values);
                let there = match presence {
                    true => values[channels] != 0.0,
                    false => values.iter().any(|&value| value != absent),
                };
                if there {
                    let snapshot = &mut self.snapshots[late + step];
                    snapshot.sources.push(self.nodes as u32 + source);
                    snapshot.targets.push(self.nodes as u32 + target);
                    snapshot.weights.extend(&values[..channels]);
                }
            }
        }
        Ok(())
    }

    fn add_static(
        &mut self,
        window: usize,
        entries: &Entries,
        weights: &[f64],
    ) -> Result<(), Error> {
        let (union, places) = self.add_union(entries, 0);
        let (channels, start) = (self.config.edge_channels, self.union.weights.len());
        self.union.weights.resize(start + union.len() * channels, 0.0);
        let mut seen = vec![false; union.len()];
        for (entry, &place) in places.iter().enumerate() {
            let again = std::mem::replace(&mut seen[place], true);
            self.refuse(again, window, entry, entries.keys[entry])?;
            for channel in 0..channels {
                self.union.weights[start + place * channels + channel] +=
                    weights[entry * channels + channel];
            }
        }
        Ok(())
    }

    /// Adds the distinct entries to the union; gives them back with the place of each entry among them.
    fn add_union(&mut self, entries: &Entries, late: usize) -> (Vec<u64>, Vec<usize>) {
        let mut union = entries.keys.clone();
        union.sort_unstable();
        union.dedup();
        for &key in &union {
            let (source, target) = ends(key);
            self.union.sources.push(self.nodes as u32 + source);
            self.union.targets.push(self.nodes as u32 + target);
            self.late.push(late);
        }
        let place = |key: &u64| union.partition_point(|known| known < key);
        let places = entries.keys.iter().map(place).collect();
        (union, places)
    }

    fn refuse(&self, again: bool, window: usize, entry: usize, key: u64) -> Result<(), Error> {
        let (from, to) = ends(key);
        match again && !self.config.sum_duplicates {
            true => Err(Error::Duplicate { window, entry, from, to }),
            false => Ok(()),
        }
    }

    fn finish(
        mut self,
        columns: usize,
        windows: usize,
        options: TensorCreationOptions,
    ) -> Result<TemporalGraph, GraphError> {
        let (nodes, channels) = (self.nodes, self.config.edge_channels);
        let snapshot = |step: Step| {
            let graph = Graph::from_entries(nodes, &step.sources, &step.targets)?;
            let host = step.weights.iter().step_by(channels).copied().collect();
            let shape = [graph.entries(), channels];
            let weights = Tensor::from_data(TensorData::new(step.weights, shape), options.clone());
            Ok(Snapshot::new(graph, weights, host))
        };
        let union = Graph::from_entries(nodes, &self.union.sources, &self.union.targets)?;
        let (edges, snapshots) = match self.fixed {
            true => {
                let union = snapshot(std::mem::take(&mut self.union))?;
                (EdgeFeatures::Static(union.weights()), vec![union; self.steps])
            }
            false => {
                let steps = std::mem::take(&mut self.snapshots);
                let snapshots = steps.into_iter().map(snapshot).collect::<Result<_, _>>()?;
                (self.sequences(&options), snapshots)
            }
        };
        let matrix = |values: Vec<f64>| {
            Tensor::<2>::from_data(TensorData::new(values, [nodes, self.steps]), options.clone())
        };
        let (pooling, pooled_nodes) = self.pooling(windows)?;
        let masked = self.mask.contains(&0.0);
        let shape = [nodes, self.steps, columns];
        Ok(TemporalGraph {
            windows: GraphBatch::from_parts(union, &self.window_of_node, windows)?,
            pooling,
            pooled_nodes,
            snapshots: Arc::new(snapshots),
            edges,
            features: Tensor::from_data(TensorData::new(self.features, shape), options.clone()),
            mask: masked.then(|| matrix(self.mask)),
        })
    }

    /// Nodes that are ever present by window, and from them to all nodes.
    fn pooling(&self, windows: usize) -> Result<(GraphBatch, Option<Graph>), GraphError> {
        let kept: Vec<usize> = (0..self.nodes).filter(|&node| self.ever_present[node]).collect();
        let window_of: Vec<usize> = kept.iter().map(|&node| self.window_of_node[node]).collect();
        let nodes = Graph::from_entries::<u32>(kept.len(), &[], &[])?;
        let batch = GraphBatch::from_parts(nodes, &window_of, windows)?;
        let all = kept.len() == self.nodes;
        let numbers: Vec<usize> = (0..kept.len()).collect();
        let map = || Graph::bipartite(kept.len(), self.nodes, &numbers, &kept);
        Ok((batch, (!all).then(map).transpose()?))
    }

    /// The sequences of the entries, equal ones once.
    fn sequences(&self, options: &TensorCreationOptions) -> EdgeFeatures {
        let (entries, width) = (self.late.len(), self.channels());
        let length = self.steps * width;
        let of = |entry: usize| &self.sequences[entry * length..(entry + 1) * length];
        let mut first = Vec::new();
        let mut sequence_of_entry = Vec::with_capacity(entries);
        let mut known = HashMap::new();
        for entry in 0..entries {
            let fresh = first.len() as u32;
            let sequence = match self.config.deduplicate {
                true => {
                    let bits: Vec<u64> = of(entry).iter().map(|value| value.to_bits()).collect();
                    *known.entry((self.late[entry], bits)).or_insert(fresh)
                }
                false => fresh,
            };
            if sequence == fresh {
                first.push(entry);
            }
            sequence_of_entry.push(sequence);
        }
        let values: Vec<f64> = first.iter().flat_map(|&entry| of(entry)).copied().collect();
        let numbers: Vec<usize> = (0..entries).collect();
        let shared = first.len() < entries;
        let map = || {
            Graph::bipartite(entries, first.len(), &numbers, &sequence_of_entry)
                .expect("every entry has a sequence")
        };
        let mask = || {
            let late = first.iter().map(|&entry| self.late[entry]);
            let values: Vec<f64> = late
                .flat_map(|late| (0..self.steps).map(move |step| f64::from(u8::from(step >= late))))
                .collect();
            Tensor::from_data(TensorData::new(values, [first.len(), self.steps]), options.clone())
        };
        let shape = [first.len(), self.steps, width];
        EdgeFeatures::Dynamic(EdgeSequences {
            values: Tensor::from_data(TensorData::new(values, shape), options.clone()),
            of_entry: shared.then(map),
            mask: self.late.iter().any(|&late| late > 0).then(mask),
        })
    }
}
