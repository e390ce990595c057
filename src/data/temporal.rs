//! Temporal graphs of the host on a device.

use burn::tensor::TensorCreationOptions;
use firebrick_datasets::temporal::{Absent, TemporalGraphData};
use firebrick_models::temporal::{
    Connectivity, TemporalGraph, TemporalGraphConfig, TemporalGraphError, TemporalWindow,
};

/// Windows of temporal graphs on a device, side by side as one batch; unchanging graphs become static
/// ones.
///
/// # Errors
/// If there is no window, the windows differ in features, channels or in whether they are unchanging,
/// or a weight is negative where -1 stands for absence.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick::data::temporal_graph;
/// use firebrick::datasets::temporal::{Absent, circular_skip_links};
/// use firebrick::models::temporal::{Convolution, TimeThenGraphConfig};
///
/// let device = Device::flex();
/// let (a, b) = (circular_skip_links(11, &[2, 2], false)?, circular_skip_links(11, &[2, 3], false)?);
/// let graph = temporal_graph(&[&a, &b], Absent::MinusOne, &device)?;
/// let network = TimeThenGraphConfig::new(1, 8).with_convolution(Convolution::Sum).init(&device);
/// assert_eq!(network.forward(&graph).dims(), [22, 16]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn temporal_graph(
    windows: &[&TemporalGraphData],
    absent: Absent,
    options: impl Into<TensorCreationOptions>,
) -> Result<TemporalGraph, TemporalGraphError> {
    let parts: Vec<Parts> = windows.iter().map(|data| Parts::of(data)).collect();
    let views: Vec<_> = windows.iter().zip(&parts).map(|(data, parts)| parts.view(data)).collect();
    let channels = windows.first().map_or(1, |data| data.num_channels());
    TemporalGraphConfig::new()
        .with_edge_channels(channels)
        .with_presence_channel(absent == Absent::Channel)
        .build(&views, options)
}

/// What a window needs in another order.
struct Parts {
    features: Vec<f32>,
    present: Option<Vec<bool>>,
    sources: Vec<u32>,
    targets: Vec<u32>,
    ranges: Vec<std::ops::Range<usize>>,
}

impl Parts {
    fn of(data: &TemporalGraphData) -> Self {
        let (steps, nodes, width) = (data.num_steps(), data.num_nodes(), data.num_features());
        let places = (0..nodes).flat_map(|node| (0..steps).map(move |step| step * nodes + node));
        let rows = places.clone().map(|row| &data.features()[row * width..(row + 1) * width]);
        let narrow = |nodes: &[usize]| nodes.iter().map(|&node| node as u32).collect();
        Self {
            features: rows.flatten().copied().collect(),
            present: data.presence().map(|present| places.map(|row| present[row]).collect()),
            sources: narrow(data.sources()),
            targets: narrow(data.targets()),
            ranges: (0..steps).map(|step| data.range(step)).collect(),
        }
    }

    fn view<'a>(&'a self, data: &'a TemporalGraphData) -> TemporalWindow<'a> {
        let weights = data.weights().unwrap_or_default();
        let Self { sources, targets, ranges, .. } = self;
        let connectivity = match data.is_unchanging() {
            true => Connectivity::Static { sources, targets, features: weights },
            false => Connectivity::Dynamic { sources, targets, ranges, weights },
        };
        TemporalWindow {
            shape: [data.num_nodes(), data.num_steps(), data.num_features()],
            features: &self.features,
            connectivity,
            present: self.present.as_deref(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use firebrick_datasets::graph::GraphData;

    fn two_steps() -> TemporalGraphData {
        let days = [
            GraphData::new("a", 3, vec![0, 1], vec![1, 2]),
            GraphData::new("b", 3, vec![1], vec![2]),
        ]
        .map(|graph| {
            let graph = graph.unwrap();
            let weights = (0..graph.num_entries()).map(|entry| entry as f32 + 1.0).collect();
            graph.with_weights(weights).unwrap()
        });
        TemporalGraphData::from_graphs("days", &days)
            .and_then(|data| data.with_features(1, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
            .unwrap()
    }

    #[test]
    fn features_stand_by_node_and_sequences_say_what_the_host_says() {
        let data = two_steps();
        for absent in [Absent::MinusOne, Absent::Channel] {
            let graph = temporal_graph(&[&data, &data], absent, &Device::flex()).unwrap();
            let features: Vec<f32> = graph.features().into_data().iter().collect();
            assert_eq!(features, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0].repeat(2));
            let union = data.aggregate(0..2, absent).unwrap();
            assert_eq!(graph.union().entries(), 2 * union.num_entries());
            let firebrick_models::temporal::EdgeFeatures::Dynamic(found) = graph.edges() else {
                panic!("expected sequences");
            };
            let found: Vec<f32> = found.expanded().into_data().iter().collect();
            // There by entry and step, here by step and entry.
            let (entries, channels) = (union.num_entries(), union.num_channels());
            let place = |entry: usize, step: usize| (step * entries + entry) * channels;
            let expected: Vec<f32> = (0..entries)
                .flat_map(|entry| (0..2).map(move |step| place(entry, step)))
                .flat_map(|at| union.sequences()[at..at + channels].to_vec())
                .collect();
            assert_eq!(found, expected.repeat(2));
        }
    }

    #[test]
    fn unchanging_graphs_become_static_and_absent_nodes_masked() {
        let road = GraphData::new("road", 2, vec![0, 1], vec![1, 0]).unwrap();
        let data = TemporalGraphData::unchanging(&road, 3)
            .and_then(|data| data.with_features(2, vec![0.5; 12]))
            .unwrap();
        let graph = temporal_graph(&[&data], Absent::MinusOne, &Device::flex()).unwrap();
        assert!(graph.is_static() && graph.mask().is_none());
        let data = two_steps();
        let present = vec![true, true, true, false, true, true];
        let data = data.with_presence(present).unwrap();
        let graph = temporal_graph(&[&data], Absent::MinusOne, &Device::flex()).unwrap();
        let mask: Vec<f32> = graph.mask().unwrap().into_data().iter().collect();
        assert_eq!(mask, [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
        assert!(temporal_graph(&[], Absent::MinusOne, &Device::flex()).is_err());
    }
}
