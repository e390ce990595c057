//! Several temporal graphs side by side as one.

use crate::DatasetError;
use crate::temporal::TemporalGraphData;
use crate::temporal::data::{Duplicates, Entry, unsuitable};

impl TemporalGraphData {
    /// The disjoint union of several graphs with the same number of steps, features and channels:
    /// the nodes of the first, then those of the second, and so on, without entries between them.
    ///
    /// # Errors
    /// If there is no graph, or the graphs differ in steps, features, channels or in whether they
    /// have weights.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::temporal::{TemporalGraphData, circular_skip_links};
    ///
    /// let ring = circular_skip_links(5, &[2, 2], false)?;
    /// let both = TemporalGraphData::disjoint_union(&[&ring, &ring])?;
    /// assert_eq!((both.num_nodes(), both.num_steps()), (10, 2));
    /// assert!(both.entries(1).all(|(source, target)| source / 5 == target / 5));
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn disjoint_union(graphs: &[&Self]) -> Result<Self, DatasetError> {
        let Some(&first) = graphs.first() else {
            return Err(unsuitable("disjoint union", "at least one graph", "none"));
        };
        let unchanging = graphs.iter().all(|graph| graph.unchanging);
        let stored = if unchanging { 1 } else { first.num_steps };
        let (mut entries, mut weights, mut offset) = (Vec::new(), Vec::new(), 0);
        for (index, graph) in graphs.iter().enumerate() {
            for (what, expected, found) in [
                ("steps", first.num_steps, graph.num_steps),
                ("features", first.width, graph.width),
                ("channels", first.channels, graph.channels),
                ("weighted", first.weights.is_some().into(), graph.weights.is_some().into()),
            ] {
                if expected != found {
                    let what = format!("disjoint union: {what} of graph {index}");
                    let expected = format!("{expected}, as of graph 0");
                    return Err(unsuitable(what, expected, found.to_string()));
                }
            }
            for step in 0..stored {
                entries.extend(graph.entries(step).map(|(source, target)| Entry {
                    step,
                    source: source + offset,
                    target: target + offset,
                }));
                let range = graph.range(step);
                if let Some(all) = &graph.weights {
                    let (start, end) = (range.start * first.channels, range.end * first.channels);
                    weights.extend_from_slice(&all[start..end]);
                }
            }
            offset += graph.num_nodes;
        }
        let weights = first.weights.is_some().then_some((first.channels, weights));
        let name = first.name.clone();
        let all = Self::from_entries(name, offset, stored, &entries, weights, Duplicates::Refuse)?;
        let all = Self { num_steps: first.num_steps, unchanging, ..all };
        let features = side_by_side(graphs, |graph, step| graph.features_of(step));
        let all = all.with_features(first.width, features)?;
        if graphs.iter().all(|graph| graph.present.is_none()) {
            return Ok(all);
        }
        let present = (0..first.num_steps).flat_map(|step| {
            graphs.iter().flat_map(move |graph| {
                let nodes = step * graph.num_nodes..(step + 1) * graph.num_nodes;
                nodes.map(|at| graph.present.as_ref().is_none_or(|present| present[at]))
            })
        });
        all.with_presence(present.collect())
    }
}

/// Step by step, the rows of each graph.
fn side_by_side<'a>(
    graphs: &[&'a TemporalGraphData],
    rows: impl Fn(&'a TemporalGraphData, usize) -> &'a [f32],
) -> Vec<f32> {
    let steps = graphs.first().map_or(0, |graph| graph.num_steps);
    (0..steps)
        .flat_map(|step| {
            graphs.iter().flat_map(|&graph| rows(graph, step).to_vec()).collect::<Vec<_>>()
        })
        .collect()
}
