#![allow(clippy::unwrap_used)]

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Entries `i -> i +- 1` and `i -> i +- skip` of a ring.
fn ring(nodes: usize, skip: usize) -> Vec<(u32, u32)> {
    let to = |i: usize, by: usize| ((i + by) % nodes) as u32;
    let of = |i: usize| [1, nodes - 1, skip, nodes - skip].map(|by| (i as u32, to(i, by)));
    (0..nodes).flat_map(of).collect()
}

/// Snapshots with the features of all nodes, and the weights of all entries where they are not 1.
fn graph(
    nodes: usize,
    snapshots: &[Vec<(u32, u32)>],
    features: &[f32],
    weights: &[f32],
    config: TemporalGraphConfig,
) -> Result<TemporalGraph, TemporalGraphError> {
    let steps = snapshots.len();
    let entries: Vec<(u32, u32)> = snapshots.concat();
    let (sources, targets): (Vec<u32>, Vec<u32>) = entries.into_iter().unzip();
    let mut start = 0;
    let ranges: Vec<_> = snapshots
        .iter()
        .map(|snapshot| {
            start += snapshot.len();
            start - snapshot.len()..start
        })
        .collect();
    let window = TemporalWindow {
        shape: [nodes, steps, features.len() / (nodes * steps).max(1)],
        features,
        connectivity: Connectivity::Dynamic {
            sources: &sources,
            targets: &targets,
            ranges: &ranges,
            weights,
        },
        present: None,
    };
    config.build(&[window], &Device::flex())
}

fn rings(skips: &[usize]) -> TemporalGraph {
    let snapshots: Vec<_> = skips.iter().map(|&skip| ring(11, skip)).collect();
    let ones = vec![1.0; 11 * skips.len()];
    graph(11, &snapshots, &ones, &[], TemporalGraphConfig::new()).unwrap()
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn gap(a: Tensor<2>, b: Tensor<2>) -> f32 {
    host(a).iter().zip(host(b)).fold(0.0, |max: f32, (a, b)| max.max((a - b).abs()))
}

fn waves(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.731).sin()).collect()
}

fn network(convolution: Convolution) -> TimeThenGraph {
    TimeThenGraphConfig::new(1, 8).with_convolution(convolution).init(&Device::flex())
}

/// Draws every weight anew, uniformly within the bound of its start, and offsets within 1/2.
struct Drawn(ChaCha8Rng);

impl ModuleMapper for Drawn {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let shape = old.dims();
            let fans: usize = shape.iter().sum();
            let bound = if D == 1 { 0.5 } else { (6.0 / fans as f64).sqrt() };
            let count: usize = shape.iter().product();
            let values: Vec<f64> = (0..count).map(|_| self.0.random_range(-bound..bound)).collect();
            Tensor::from_data(TensorData::new(values, shape), &old.device())
        })
    }
}

const ALL: [Convolution; 7] = [
    Convolution::Sum,
    Convolution::Gcn,
    Convolution::GcnWithoutBias,
    Convolution::Gat,
    Convolution::Gin,
    Convolution::Gine,
    Convolution::Chebyshev,
];

#[test]
fn sum_and_gine_tell_the_pair_apart_that_symmetric_gcn_cannot() {
    let (same, different) = (rings(&[2, 2]), rings(&[2, 3]));
    for seed in 0..20 {
        let network = |of| network(of).map(&mut Drawn(ChaCha8Rng::seed_from_u64(seed)));
        for convolution in [Convolution::Sum, Convolution::Gin, Convolution::Gine] {
            let network = network(convolution);
            let found = gap(network.forward(&same), network.forward(&different));
            assert!(found > 1e-4, "{convolution:?}: {found}");
        }
        let network = network(Convolution::Gcn);
        let found = gap(network.forward(&same), network.forward(&different));
        assert!(found <= 1e-6, "{found}");
    }
}

#[test]
fn relabeled_nodes_give_relabeled_rows_with_every_convolution_and_encoder() {
    let snapshots = [ring(11, 2), ring(11, 4), vec![(3, 7), (0, 1)]];
    let features = waves(11 * 3);
    let order: Vec<usize> = (0..11).map(|i| i * 4 % 11).collect();
    let moved: Vec<Vec<(u32, u32)>> = snapshots
        .iter()
        .map(|s| {
            s.iter().map(|&(a, b)| (order[a as usize] as u32, order[b as usize] as u32)).collect()
        })
        .collect();
    let mut moved_features = vec![0.0; features.len()];
    for (node, &place) in order.iter().enumerate() {
        moved_features[place * 3..place * 3 + 3].copy_from_slice(&features[node * 3..node * 3 + 3]);
    }
    let config = TemporalGraphConfig::new;
    let plain = graph(11, &snapshots, &features, &[], config()).unwrap();
    let moved = graph(11, &moved, &moved_features, &[], config()).unwrap();
    let encodings = [Encoding::Gru, Encoding::Lstm, Encoding::Linear, Encoding::Attention];
    for convolution in ALL {
        for encoding in encodings {
            let network = TimeThenGraphConfig::new(1, 8)
                .with_convolution(convolution)
                .with_node_encoding(encoding)
                .with_edge_encoding(encoding)
                .init(&Device::flex());
            let (a, b) = (host(network.forward(&plain)), host(network.forward(&moved)));
            for (node, &place) in order.iter().enumerate() {
                let (a, b) = (&a[node * 16..node * 16 + 16], &b[place * 16..place * 16 + 16]);
                let close = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5 * (1.0 + a.abs()));
                assert!(close, "{convolution:?} {encoding:?}: node {node}");
            }
        }
    }
}

#[test]
fn the_order_of_snapshots_matters() {
    let network = network(Convolution::Sum);
    assert!(gap(network.forward(&rings(&[2, 3, 3])), network.forward(&rings(&[3, 3, 2]))) > 1e-6);
}

#[test]
fn one_step_is_a_step_of_the_encoders_and_a_static_network() {
    let (features, weights) = (waves(11), vec![0.5; 44]);
    let graph = graph(11, &[ring(11, 3)], &features, &weights, TemporalGraphConfig::new()).unwrap();
    let network = network(Convolution::Sum);
    let (SequenceEncoder::Gru(nodes), Some(SequenceEncoder::Gru(edges)), GraphLayers::Sum(layers)) =
        (&network.nodes, &network.edges, &network.graph)
    else {
        panic!("encoders are GRUs");
    };
    let device = Device::flex();
    let zeros = |rows| Tensor::zeros([rows, 8], &device);
    let nodes = Activation::Softplus.forward(nodes.step(graph.features_at(0), zeros(11)));
    let codes = edges.step(graph.snapshots()[0].weights(), zeros(44));
    let weights = codes.mean_dim(1).squeeze_dim::<1>(1);
    let output = layers
        .iter()
        .fold(nodes.clone(), |x, layer| layer.forward(graph.union(), x, weights.clone()));
    let expected = Tensor::cat(vec![output, nodes], 1);
    assert!(gap(network.forward(&graph), expected) < 1e-5);
}

#[test]
fn shared_sequences_change_nothing() {
    let snapshots = [ring(11, 2), ring(11, 3), ring(11, 2)];
    let features = waves(33);
    let build = |deduplicate| {
        let config = TemporalGraphConfig::new().with_deduplicate(deduplicate);
        graph(11, &snapshots, &features, &[], config).unwrap()
    };
    let (shared, plain) = (build(true), build(false));
    let EdgeFeatures::Dynamic(sequences) = shared.edges() else { panic!("dynamic") };
    assert_eq!(sequences.values.dims()[0], 3);
    for convolution in ALL {
        let network = network(convolution);
        let found = gap(network.forward(&shared), network.forward(&plain));
        assert!(found < 1e-5, "{convolution:?}: {found}");
    }
}

#[test]
fn an_entry_that_is_never_there_counts_by_its_code_alone() {
    let features = waves(6);
    let build = |sources: &[u32], targets: &[u32], sequences: &[f32]| {
        let connectivity = Connectivity::Aggregated { sources, targets, sequences };
        let window =
            TemporalWindow { shape: [3, 2, 1], features: &features, connectivity, present: None };
        TemporalGraphConfig::new().build(&[window], &Device::flex()).unwrap()
    };
    let without = build(&[0, 1], &[1, 2], &[0.5, -1.0, -1.0, 2.0]);
    let with = build(&[0, 1, 2], &[1, 2, 0], &[0.5, -1.0, -1.0, 2.0, -1.0, -1.0]);
    assert_eq!(with.snapshots()[0].graph().entries(), 1);
    let network = network(Convolution::Sum);
    let nodes = Tensor::<2>::ones([3, 8], &Device::flex());
    let GraphLayers::Sum(layers) = &network.graph else { panic!("sum") };
    // Entries stand by target: the one that is never there is first.
    let weights = Tensor::<1>::from_data([0.0, 0.3, 0.7], &Device::flex());
    let found = layers[0].forward(with.union(), nodes.clone(), weights.clone());
    let expected = layers[0].forward(without.union(), nodes, weights.narrow(0, 1, 2));
    assert!(gap(found, expected) < 1e-6);
    assert!(gap(network.forward(&with), network.forward(&without)) > 1e-7);
}

#[test]
fn windows_side_by_side_give_what_each_gives_alone_whatever_their_lengths() {
    let (long, short) = (waves(12), waves(4));
    let window = |shape, features, ranges| TemporalWindow {
        shape,
        features,
        connectivity: Connectivity::Dynamic {
            sources: &[0u32, 1],
            targets: &[1, 0],
            ranges,
            weights: &[],
        },
        present: None,
    };
    let windows: [TemporalWindow<'_>; 2] = [
        window([4, 3, 1], &long[..], &[0..1, 1..2, 2..2][..]),
        window([2, 2, 1], &short[..], &[0..2, 2..2][..]),
    ];
    let device = Device::flex();
    let config = TemporalGraphConfig::new();
    let both = config.build(&windows, &device).unwrap();
    for convolution in ALL {
        let network = network(convolution);
        let alone: Vec<Tensor<2>> = windows
            .iter()
            .map(|window| network.forward(&config.build(&[*window], &device).unwrap()))
            .collect();
        let found = gap(network.forward(&both), Tensor::cat(alone, 0));
        assert!(found < 1e-5, "{convolution:?}: {found}");
    }
}

#[test]
fn later_steps_go_on_from_a_state() {
    let snapshots = [ring(11, 2), ring(11, 2), ring(11, 2)];
    let (features, weights) = (waves(33), waves(132).iter().map(|x| x.abs()).collect::<Vec<_>>());
    let config = TemporalGraphConfig::new;
    let whole = graph(11, &snapshots, &features, &weights, config()).unwrap();
    let steps = |range: std::ops::Range<usize>| {
        let features: Vec<f32> = (0..11)
            .flat_map(|node| features[node * 3..node * 3 + 3][range.clone()].to_vec())
            .collect();
        let weights = &weights[range.start * 44..range.end * 44];
        graph(11, &snapshots[range.clone()], &features, weights, config()).unwrap()
    };
    let network = network(Convolution::Gine);
    let (_, state) = network.forward_from(&steps(0..2), None);
    let (found, _) = network.forward_from(&steps(2..3), Some(state));
    assert!(gap(found, network.forward(&whole)) < 1e-5);
}

#[test]
fn no_entries_and_no_nodes_are_legal() {
    let features = waves(6);
    let empty = graph(3, &[vec![], vec![]], &features, &[], TemporalGraphConfig::new()).unwrap();
    for convolution in ALL {
        let output = host(network(convolution).forward(&empty));
        assert!(output.iter().all(|x| x.is_finite()) && output.len() == 48, "{convolution:?}");
    }
    let output = host(network(Convolution::Sum).forward(&empty));
    assert!(output.chunks(16).all(|row| row[..8].iter().all(|&x| x == 0.0)));
}

#[test]
fn absent_nodes_keep_their_state_and_do_not_count_in_means() {
    let features = [1.0f32, 2.0, 3.0, 4.0];
    let window = TemporalWindow {
        shape: [2, 2, 1],
        features: &features,
        connectivity: Connectivity::Dynamic {
            sources: &[] as &[u32],
            targets: &[],
            ranges: &[0..0, 0..0],
            weights: &[],
        },
        present: Some(&[true, true, false, false]),
    };
    let graph = TemporalGraphConfig::new().build(&[window], &Device::flex()).unwrap();
    let x = Tensor::<2>::from_data([[5.0], [100.0]], &Device::flex());
    assert_eq!(host(graph.pool(x, crate::graph::Pooling::Mean)), [5.0]);
    let SequenceEncoder::Gru(cell) = network(Convolution::Sum).nodes else { panic!("GRU") };
    let states = host(cell.last(graph.features(), None, graph.mask(), None));
    assert!(states[8..].iter().all(|&x| x == 0.0) && states[..8].iter().any(|&x| x != 0.0));
}

#[test]
fn a_residual_network_has_the_width_and_a_record_gives_the_numbers_back() {
    let make = || {
        TimeThenGraphConfig::new(1, 8)
            .with_joining(Joining::Residual)
            .with_node_encoding(Encoding::Static)
            .init(&Device::flex())
    };
    let graph = rings(&[2, 5]);
    let network = make();
    let expected = network.forward(&graph);
    assert_eq!(expected.dims(), [11, 8]);
    let again = make().load_record(network.into_record());
    assert_eq!(host(again.forward(&graph)), host(expected));
}

#[test]
fn heads_divide_the_width_and_stay_below_its_root() {
    for (width, heads) in [(1, 1), (3, 1), (4, 2), (6, 2), (8, 2), (16, 4), (24, 4), (64, 8)] {
        assert_eq!(heads_of(width), heads, "{width}");
    }
}

#[test]
fn softplus_neither_overflows_nor_loses_small_values() {
    let x = Tensor::<2>::from_data([[-100.0, -10.0, 0.0, 50.0, 200.0]], &Device::flex());
    let found = host(Activation::Softplus.forward(x));
    let expected = [0.0, 4.539_889e-5, std::f32::consts::LN_2, 50.0, 200.0];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-6 + 1e-6 * expected, "{found} for {expected}");
    }
}

fn message(result: Result<TemporalGraph, TemporalGraphError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn windows_that_are_wrong_name_the_place() {
    let config = TemporalGraphConfig::new;
    let ones = vec![1.0; 4];
    let found = message(graph(2, &[vec![(0, 1)], vec![(0, 1), (0, 1)]], &ones, &[], config()));
    assert_eq!(
        found,
        "window 0, entry 2: 0 -> 1 is already in this step; sum duplicates or merge them"
    );
    let found = message(graph(2, &[vec![(0, 1)], vec![(0, 2)]], &ones, &[], config()));
    assert_eq!(found, "window 0: entry 1: target must be in 0..2, found 2");
    let found = message(graph(2, &[vec![(0, 1)], vec![]], &ones, &[-0.5], config()));
    assert!(found.starts_with("window 0, entry 0: weights must be at least 0"), "{found}");
    let signed = config().with_presence_channel(true);
    let signed = graph(2, &[vec![(0, 1)], vec![]], &ones, &[-0.5], signed).unwrap();
    let EdgeFeatures::Dynamic(sequences) = signed.edges() else { panic!("dynamic") };
    let values: Vec<f32> = sequences.values.to_data().iter().collect();
    assert_eq!(values, [-0.5, 1.0, 0.0, 0.0]);
    let found = message(graph(2, &[vec![], vec![]], &[1.0, f32::NAN, 1.0, 1.0], &[], config()));
    assert_eq!(found, "window 0: feature 1 must be finite, found NaN");
    assert_eq!(
        message(graph(2, &[], &[], &[], config())),
        "window 0: a window needs at least one step"
    );
    let none = config().build::<f32, u32>(&[], &Device::flex());
    assert_eq!(message(none), "a temporal graph needs at least one window");
}

#[test]
#[should_panic(expected = "nodes must have 3 features, got 1")]
fn another_number_of_features_is_refused() {
    TimeThenGraphConfig::new(3, 4).init(&Device::flex()).forward(&rings(&[2]));
}

#[test]
#[should_panic(expected = "edge_encoding must be Static exactly for static connectivity")]
fn dynamic_entries_need_an_encoder() {
    let config = TimeThenGraphConfig::new(1, 4).with_edge_encoding(Encoding::Static);
    config.init(&Device::flex()).forward(&rings(&[2]));
}

proptest! {
    #[test]
    fn chunks_of_entries_change_nothing(chunk in 1usize..50) {
        let graph = rings(&[2, 3]);
        let network = network(Convolution::Sum);
        let SequenceEncoder::Gru(cell) = &network.nodes else { panic!("GRU") };
        let whole = cell.last(graph.features(), None, None, None);
        prop_assert!(gap(cell.last(graph.features(), None, None, Some(chunk)), whole) <= 1e-6);
    }
}
