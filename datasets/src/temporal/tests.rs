// A list with one range is what one snapshot needs.
#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

use proptest::prelude::*;

use super::*;
use crate::DatasetError;
use crate::graph::{DenseRows, GraphData, NodeFeatures};

fn text<T: std::fmt::Debug>(result: Result<T, DatasetError>) -> String {
    result.unwrap_err().to_string()
}

/// 0 -> 1 and 1 -> 2, then nothing, then 1 -> 0.
fn three() -> TemporalGraphData {
    TemporalGraphData::from_ranges("three", 3, vec![0, 1, 1], vec![1, 2, 0], &[0..2, 2..2, 2..3])
        .unwrap()
}

#[test]
fn says_which_part_does_not_fit() {
    let from = |sources: &[usize], targets: &[usize], ranges: &[std::ops::Range<usize>]| {
        text(TemporalGraphData::from_ranges("g", 3, sources.to_vec(), targets.to_vec(), ranges))
    };
    assert_eq!(from(&[], &[], &[]), "g: snapshot 0: expected at least one, found none");
    assert!(from(&[0], &[], &[0..1]).contains("targets of entries: expected 1, found 0"));
    assert!(from(&[0, 1], &[1, 2], &[0..1, 0..2]).contains("range 1: expected 1..end"));
    assert!(from(&[0, 1], &[1, 2], &[1..2]).contains("range 0: expected 0..end"));
    assert!(from(&[0, 1], &[1, 2], &[0..3]).contains("range 0"));
    assert!(from(&[0, 1], &[1, 2], &[0..1]).contains("entries in ranges: expected 2, found 1"));
    assert!(from(&[0, 3], &[1, 2], &[0..2]).contains("source 1: expected a node below 3, found 3"));
    assert!(
        from(&[0, 0], &[1, 1], &[0..2])
            .contains("snapshot 0: expected every entry once, found 0 -> 1 twice")
    );
    // The same entry in two snapshots is fine.
    TemporalGraphData::from_ranges("g", 3, vec![0, 0], vec![1, 1], &[0..1, 1..2]).unwrap();
    let huge = i32::MAX as usize + 1;
    assert!(
        text(TemporalGraphData::from_ranges("g", huge, vec![], vec![], &[0..0]))
            .contains("nodes: expected 2147483647")
    );
    assert!(text(three().with_weights(1, vec![1.0])).contains("weight: expected 3, found 1"));
    assert!(text(three().with_weights(0, vec![])).contains("at least one channel"));
    assert!(text(three().with_weights(1, vec![1.0, f32::NAN, 1.0])).contains("weight 1"));
    assert!(
        text(three().with_features(2, vec![0.0; 17])).contains("features: expected 18, found 17")
    );
    assert!(text(three().with_features(1, vec![f32::INFINITY; 9])).contains("feature 0"));
    assert!(text(three().with_presence(vec![true; 8])).contains("expected 9, found 8"));
    let mut present = vec![true; 9];
    present[2] = false;
    assert!(text(three().with_presence(present)).contains("no entry of node 2, which is absent"));
    for steps in [0..0, 1..4, 3..3] {
        assert!(text(three().window(steps.clone())).contains("one of the steps below 3"));
        assert!(text(three().aggregate(steps, Absent::MinusOne)).contains("steps of a window"));
    }
}

#[test]
fn graphs_must_share_nodes_features_and_whether_they_have_weights() {
    let graph = |nodes| GraphData::new("day", nodes, vec![0], vec![1]).unwrap();
    let both = |second| text(TemporalGraphData::from_graphs("g", &[graph(3), second]));
    assert_eq!(both(graph(4)), "g: snapshot 1: expected 3 nodes, as at step 0, found 4");
    assert!(both(graph(3).with_weights(vec![1.0]).unwrap()).contains("0 channels"));
    let rows = NodeFeatures::Dense(DenseRows::new(3, 1, vec![1.0; 3]).unwrap());
    assert!(both(graph(3).with_features(rows).unwrap()).contains("0 features"));
    let twice = GraphData::new("day", 3, vec![0, 0], vec![1, 1]).unwrap();
    assert!(both(twice).contains("0 -> 1 twice"));
    assert!(text(TemporalGraphData::from_graphs("g", &[])).contains("at least one"));
}

#[test]
fn duplicates_are_an_error_or_a_sum() {
    let entry = |step, source, target| Entry { step, source, target };
    let entries = [entry(1, 2, 0), entry(0, 0, 1), entry(1, 2, 0), entry(1, 0, 2)];
    let weights = || Some((2, vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0]));
    let from = |weights, duplicates| {
        TemporalGraphData::from_entries("g", 3, 2, &entries, weights, duplicates)
    };
    assert!(text(from(weights(), Duplicates::Refuse)).contains("2 -> 0 twice"));
    let data = from(weights(), Duplicates::Sum).unwrap();
    assert_eq!((data.sources(), data.targets()), (&[0, 0, 2][..], &[1, 2, 0][..]));
    assert_eq!(data.weights().unwrap(), [2.0, 20.0, 4.0, 40.0, 4.0, 40.0]);
    assert_eq!(from(None, Duplicates::Sum).unwrap().range(1), 1..3);
    let late = TemporalGraphData::from_entries("g", 3, 1, &entries, None, Duplicates::Sum);
    assert!(text(late).contains("entry 0: expected a step below 1, found step 1"));
}

#[test]
fn windows_keep_everything_of_their_steps() {
    let data = three()
        .with_weights(2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .and_then(|data| data.with_features(1, (0..9).map(|value| value as f32).collect()))
        .and_then(|data| {
            data.with_presence(
                [[true; 6], [true, true, false, true, true, true]].concat()[..9].to_vec(),
            )
        })
        .unwrap();
    let window = data.window(1..3).unwrap();
    assert_eq!((window.num_steps(), window.range(0), window.range(1)), (2, 0..0, 0..1));
    assert_eq!(window.entries(1).collect::<Vec<_>>(), [(1, 0)]);
    assert_eq!(window.weights().unwrap(), [5.0, 6.0]);
    assert_eq!(window.features(), [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(window.presence().unwrap(), &data.presence().unwrap()[3..]);
    assert_eq!(window.name(), "three");
}

#[test]
fn absent_entries_are_minus_one_or_a_channel() {
    let data = three().with_weights(1, vec![0.0, 2.0, 3.0]).unwrap();
    let union = data.aggregate(0..3, Absent::MinusOne).unwrap();
    assert_eq!((union.sources(), union.targets()), (&[0, 1, 1][..], &[1, 0, 2][..]));
    assert_eq!(union.sequences(), [0.0, -1.0, 2.0, -1.0, -1.0, -1.0, -1.0, 3.0, -1.0]);
    let union = data.aggregate(0..3, Absent::Channel).unwrap();
    assert_eq!(union.num_channels(), 2);
    let present = [0.0, 1.0, 0.0, 0.0, 2.0, 1.0];
    let last = [0.0, 0.0, 3.0, 1.0, 0.0, 0.0];
    assert_eq!(union.sequences(), [present, [0.0; 6], last].concat());
    // Unattributed entries count as 1.
    let union = three().aggregate(2..3, Absent::MinusOne).unwrap();
    assert_eq!(union.sequences(), [1.0]);
    assert_eq!(three().aggregate(2..3, Absent::Channel).unwrap().sequences(), [1.0, 1.0]);
}

#[test]
fn negative_weights_need_a_channel() {
    let data = three().with_weights(1, vec![1.0, 2.0, -3.0]).unwrap();
    data.aggregate(0..2, Absent::MinusOne).unwrap();
    assert!(
        text(data.aggregate(0..3, Absent::MinusOne)).contains("weight 2: expected no negative")
    );
    let union = data.aggregate(2..3, Absent::Channel).unwrap();
    assert_eq!(union.sequences(), [-3.0, 1.0]);
}

#[test]
fn a_union_may_be_empty() {
    let union = three().aggregate(1..2, Absent::MinusOne).unwrap();
    assert_eq!((union.num_entries(), union.num_nodes(), union.num_steps()), (0, 3, 1));
    assert!(union.sequences().is_empty());
    assert_eq!(union.in_degrees(), [0; 3]);
}

#[test]
fn unchanging_graphs_store_their_entries_once() {
    let graph = GraphData::new("road", 2, vec![0, 1], vec![1, 0])
        .and_then(|graph| graph.with_weights(vec![2.0, 3.0]))
        .unwrap();
    let data = TemporalGraphData::unchanging(&graph, 5).unwrap();
    assert_eq!((data.num_steps(), data.sources().len(), data.range(4)), (5, 2, 0..2));
    assert_eq!(data.in_degrees(), [5, 5]);
    let union = data.aggregate(1..4, Absent::MinusOne).unwrap();
    assert_eq!(union.sequences(), [2.0, 3.0, 2.0, 3.0, 2.0, 3.0]);
    let window = data.window(3..5).unwrap();
    assert!(window.is_unchanging() && window.num_steps() == 2);
    let twice = TemporalGraphData::disjoint_union(&[&window, &window]).unwrap();
    assert!(twice.is_unchanging() && twice.num_steps() == 2 && twice.sources().len() == 4);
    assert!(text(TemporalGraphData::unchanging(&graph, 0)).contains("at least one"));
}

#[test]
fn graphs_side_by_side_keep_to_themselves() {
    let data = three()
        .with_weights(1, vec![1.0, 2.0, 3.0])
        .and_then(|data| data.with_features(1, (0..9).map(|value| value as f32).collect()))
        .unwrap();
    let other = data.clone().with_presence(vec![true; 9]).unwrap();
    let both = TemporalGraphData::disjoint_union(&[&data, &other]).unwrap();
    assert_eq!(both.entries(0).collect::<Vec<_>>(), [(0, 1), (1, 2), (3, 4), (4, 5)]);
    assert_eq!(both.weights().unwrap(), [1.0, 2.0, 1.0, 2.0, 3.0, 3.0]);
    assert_eq!(both.features_of(1), [3.0, 4.0, 5.0, 3.0, 4.0, 5.0]);
    assert_eq!(both.presence().unwrap(), [true; 18]);
    let short = data.window(0..2).unwrap();
    assert!(text(TemporalGraphData::disjoint_union(&[&data, &short])).contains("steps of graph 1"));
    let bare = three().with_features(1, vec![0.0; 9]).unwrap();
    assert!(text(TemporalGraphData::disjoint_union(&[&data, &bare])).contains("weighted"));
    assert!(text(TemporalGraphData::disjoint_union(&[])).contains("at least one graph"));
}

#[test]
fn windows_have_histories_and_targets_of_every_length() {
    let all = Windows::new(3).with_horizon(2).with_stride(2).over(9).unwrap();
    let starts: Vec<usize> = all.iter().map(|window| window.start).collect();
    assert_eq!(starts, [0, 2, 4]);
    assert_eq!((all[2].inputs(), all[2].targets()), (4..7, 7..9));
    assert_eq!(Windows::new(4).over(5).unwrap().len(), 1);
    assert!(text(Windows::new(4).over(4)).contains("at most 4 steps together, found 4 and 1"));
    assert!(text(Windows::new(0).over(4)).contains("history: expected at least 1"));
    assert!(text(Windows::new(1).with_horizon(0).over(4)).contains("horizon"));
    assert!(text(Windows::new(1).with_stride(0).over(4)).contains("stride"));
    assert!(text(Windows::new(usize::MAX).over(4)).contains("at most 4 steps"));
}

#[test]
fn chronological_parts_are_contiguous_and_a_gap_parts_their_targets() {
    let parts = chronological(400, [7, 1, 2], 0).unwrap();
    assert!(parts.train.iter().copied().eq(0..280));
    assert!(parts.validation.iter().copied().eq(280..320));
    assert!(parts.test.iter().copied().eq(320..400));
    let windows = Windows::new(5).with_horizon(4).over(60).unwrap();
    let parts = chronological(windows.len(), [7, 1, 2], 3).unwrap();
    let end = |part: &[usize]| windows[*part.last().unwrap()].targets().end;
    assert_eq!(end(&parts.train), windows[parts.validation[0]].targets().start);
    assert_eq!(end(&parts.validation), windows[parts.test[0]].targets().start);
    assert!(text(chronological(3, [0; 3], 0)).contains("shares"));
    assert!(chronological(3, [1, 1, 1], usize::MAX).unwrap().test.is_empty());
}

#[test]
fn nodes_of_all_degrees_are_in_every_part() {
    // Node `i` has in-degree `30 - i`.
    let edges: Vec<(usize, usize)> =
        (0..30).flat_map(|target| (target..30).map(move |source| (source, target))).collect();
    let (sources, targets) = edges.iter().copied().unzip();
    let graph = GraphData::new("stairs", 30, sources, targets).unwrap();
    let split = nodes_by_in_degree(&TemporalGraphData::from_graphs("g", &[graph]).unwrap());
    // In order of degree, the nodes are 29, 28, ...: positions 7, 17 and 27 validate.
    assert_eq!(split.validation, [2, 12, 22]);
    assert_eq!(split.test, [0, 1, 10, 11, 20, 21]);
    assert_eq!(split.train.len(), 21);
}

#[test]
fn scaling_is_fitted_on_its_part_alone() {
    let data = TemporalGraphData::from_ranges("g", 2, vec![0, 1], vec![1, 0], &[0..1, 1..2])
        .and_then(|data| data.with_weights(1, vec![4.0, 8.0]))
        .and_then(|data| data.with_features(2, vec![0.0, 5.0, 2.0, 5.0, 4.0, 5.0, -2.0, 7.0]))
        .unwrap();
    let scaler = MinMaxScaler::fit_steps(&data, [0]).unwrap();
    let scaled = scaler.features(&data).unwrap();
    // The second feature is constant in the part: 0 everywhere.
    assert_eq!(scaled.features(), [0.0, 0.0, 1.0, 0.0, 2.0, 0.0, -1.0, 0.0]);
    let nodes = MinMaxScaler::fit_nodes(&data, &[1]).unwrap();
    assert_eq!(
        (nodes.scale(0, 0.0), nodes.inverse(0, 1.0), nodes.inverse(1, 0.5)),
        (0.5, 2.0, 6.0)
    );
    let weights = MinMaxScaler::fit_weights(&data, 0..2).unwrap().weights(&data).unwrap();
    assert_eq!(weights.weights().unwrap(), [0.0, 1.0]);
    assert!(text(MinMaxScaler::fit_steps(&data, [2])).contains("below 2"));
    assert!(text(MinMaxScaler::fit_steps(&data, [])).contains("at least one value"));
    assert!(text(MinMaxScaler::fit_nodes(&data, &[2])).contains("nodes below 2"));
    assert!(text(MinMaxScaler::fit_weights(&three(), 0..3)).contains("at least one value"));
    assert!(text(scaler.weights(&data)).contains("channels: expected 2, found 1"));
    assert!(text(scaler.features(&three())).contains("features: expected 2, found 0"));
    assert!(text(scaler.weights(&three())).contains("expected weights, found none"));
}

#[test]
fn sequences_of_skip_links_have_as_many_skips_as_their_label_says() {
    let config = DynCslConfig::new();
    let all = config.generate(40, 3).unwrap();
    for (index, sequence) in all.iter().enumerate() {
        let mut skips = sequence.skips.clone();
        skips.sort_unstable();
        skips.dedup();
        assert_eq!((sequence.label, skips.len()), (index % 4, index % 4 + 1));
        assert!(sequence.skips.iter().all(|skip| (2..=9).contains(skip)));
        assert!((0..8).all(|step| sequence.graph.entries(step).len() == 5 * 19));
        assert_eq!(sequence.graph.in_degrees(), [40; 19]);
    }
    // A function of the seed and the index.
    assert_eq!(config.generate(7, 3).unwrap(), all[..7]);
    assert_ne!(config.generate(40, 4).unwrap(), all);
    let first: std::collections::BTreeSet<usize> = all.iter().map(|s| s.skips[0]).collect();
    assert_eq!(first.len(), 8, "every skip comes first somewhere");
}

#[test]
fn skip_links_refuse_skips_without_four_neighbors() {
    circular_skip_links(5, &[2], true).unwrap();
    for (nodes, skip) in [(4, 2), (5, 3), (11, 1), (11, 6), (0, 2), (11, 0)] {
        let message = text(circular_skip_links(nodes, &[skip], false));
        assert!(message.contains("skip 0: expected from 2 to below half"), "{message}");
    }
    assert!(text(circular_skip_links(5, &[], false)).contains("at least one"));
    let config = DynCslConfig::new();
    assert!(text(config.clone().with_classes(9).generate(1, 0)).contains("from 1 to 8"));
    assert!(text(config.clone().with_steps(3).generate(1, 0)).contains("from 1 to 3"));
    assert!(text(config.clone().with_classes(0).generate(1, 0)).contains("classes"));
    assert!(text(config.with_nodes(19, vec![2, 2, 3, 4]).generate(1, 0)).contains("pool"));
}

#[test]
fn traffic_runs_down_the_roads_and_peaks_on_workdays() {
    let config = TrafficConfig::new(30, 7).with_noise(0.0);
    let data = config.generate(1).unwrap();
    assert_eq!(data, config.generate(1).unwrap());
    assert_ne!(data, config.generate(2).unwrap());
    let mean = |day: usize, hours: std::ops::Range<usize>| {
        let steps = day * 288 + hours.start * 12..day * 288 + hours.end * 12;
        let count = (steps.len() * 30) as f32;
        steps.flat_map(|step| data.features_of(step).chunks(5)).map(|row| row[0]).sum::<f32>()
            / count
    };
    assert!(mean(1, 7..9) > 2.0 * mean(1, 2..4));
    assert!(mean(1, 7..9) > 1.3 * mean(5, 7..9), "Saturdays have no morning peak");
    let times: Vec<[f32; 2]> = (0..data.num_steps())
        .map(|step| [data.features_of(step)[3], data.features_of(step)[4]])
        .collect();
    assert_eq!((times[1], times[287], times[288]), ([5.0, 0.0], [1435.0, 0.0], [0.0, 1.0]));
    assert!(data.features().iter().all(|value| value.is_finite() && *value >= 0.0));
    for bad in [TrafficConfig::new(0, 1), TrafficConfig::new(1, 0)] {
        assert!(text(bad.generate(0)).contains("at least 1"));
    }
    assert!(text(config.clone().with_noise(f64::NAN).generate(0)).contains("noise"));
    assert!(text(config.with_road_length(0).generate(0)).contains("road length"));
}

proptest! {
    #[test]
    fn the_union_holds_every_entry_at_its_step_and_nothing_else(
        snapshots in prop::collection::vec(prop::collection::btree_set((0..6_usize, 0..6_usize), 0..12), 1..6),
    ) {
        let entries: Vec<Entry> = snapshots.iter().enumerate().flat_map(|(step, pairs)| {
            pairs.iter().map(move |&(source, target)| Entry { step, source, target })
        }).collect();
        let weights: Vec<f32> = (0..entries.len()).map(|index| index as f32).collect();
        let steps = snapshots.len();
        let data = TemporalGraphData::from_entries(
            "g", 6, steps, &entries, Some((1, weights)), Duplicates::Refuse,
        ).unwrap();
        let union = data.aggregate(0..steps, Absent::MinusOne).unwrap();
        let pairs: Vec<(usize, usize)> =
            union.sources().iter().copied().zip(union.targets().iter().copied()).collect();
        prop_assert!(pairs.windows(2).all(|two| two[0] < two[1]));
        let mut expected = 0;
        for (step, snapshot) in snapshots.iter().enumerate() {
            for (index, pair) in pairs.iter().enumerate() {
                let found = union.sequences()[step * pairs.len() + index];
                prop_assert_eq!(snapshot.contains(pair), found >= 0.0);
                if found >= 0.0 {
                    prop_assert_eq!(found, expected as f32);
                    expected += 1;
                }
            }
        }
        prop_assert_eq!(expected, entries.len());
    }

    #[test]
    fn parts_of_every_split_are_disjoint_and_complete(count in 0..300_usize) {
        for parts in [interleaved(count), chronological(count, [7, 1, 2], 0).unwrap()] {
            let mut all = [parts.train, parts.validation, parts.test].concat();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..count));
        }
    }
}
