#![allow(clippy::unwrap_used)]

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{DType, Device, Tensor};
use firebrick_ops::sparse::Normalization;
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::temporal::{
    Activation, Connectivity, TemporalGraph, TemporalGraphConfig, TemporalWindow,
};

mod batches;
mod formulas;
mod misuse;

const FEATURES: usize = 3;
const HIDDEN: usize = 4;

/// A window that can be cut and relabeled.
#[derive(Clone)]
struct Sample {
    nodes: usize,
    /// `[nodes, steps, FEATURES]`
    features: Vec<f64>,
    /// Source, target and weight of the entries of each step.
    steps: Vec<Vec<(usize, usize, f64)>>,
    present: Option<Vec<bool>>,
}

impl Sample {
    fn random(nodes: usize, steps: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let features = (0..nodes * steps * FEATURES).map(|_| rng.random_range(-1.0..1.0));
        let features = features.collect();
        let steps = (0..steps).map(|_| random_entries(nodes, &mut rng)).collect();
        Self { nodes, features, steps, present: None }
    }

    /// Circular skip links: constant features, a graph for each skip.
    fn circular(nodes: usize, skips: &[usize]) -> Self {
        let entries = |&skip: &usize| {
            let node = |i: usize| {
                [1, skip, nodes - 1, nodes - skip].map(|jump| (i, (i + jump) % nodes, 1.0))
            };
            (0..nodes).flat_map(node).collect()
        };
        Self {
            nodes,
            features: vec![1.0; nodes * skips.len() * FEATURES],
            steps: skips.iter().map(entries).collect(),
            present: None,
        }
    }

    fn at(&self, node: usize, step: usize) -> Range<usize> {
        let row = node * self.steps.len() + step;
        row * FEATURES..(row + 1) * FEATURES
    }

    fn cut(&self, steps: Range<usize>) -> Self {
        let rows = (0..self.nodes)
            .flat_map(|node| steps.clone().map(move |step| (node, step)))
            .flat_map(|(node, step)| self.features[self.at(node, step)].to_vec());
        Self {
            nodes: self.nodes,
            features: rows.collect(),
            steps: self.steps[steps.clone()].to_vec(),
            present: None,
        }
    }

    /// Node `i` becomes `numbers[i]`.
    fn relabeled(&self, numbers: &[usize]) -> Self {
        let mut other = self.clone();
        for (node, &number) in numbers.iter().enumerate() {
            for step in 0..self.steps.len() {
                let values = self.features[self.at(node, step)].to_vec();
                other.features[self.at(number, step)].copy_from_slice(&values);
            }
        }
        for (source, target, _) in other.steps.iter_mut().flatten() {
            (*source, *target) = (numbers[*source], numbers[*target]);
        }
        other
    }

    fn build(&self, device: &Device) -> TemporalGraph {
        batch(&[self], device)
    }
}

fn random_entries(nodes: usize, rng: &mut impl Rng) -> Vec<(usize, usize, f64)> {
    let pairs = (0..nodes).flat_map(|source| (0..nodes).map(move |target| (source, target)));
    let chosen = pairs.filter(|_| rng.random_bool(0.3)).collect::<Vec<_>>();
    chosen
        .into_iter()
        .map(|(source, target)| (source, target, rng.random_range(0.1..2.0)))
        .collect()
}

/// Windows side by side.
fn batch(samples: &[&Sample], device: &Device) -> TemporalGraph {
    struct Lists {
        sources: Vec<u32>,
        targets: Vec<u32>,
        weights: Vec<f64>,
        ranges: Vec<Range<usize>>,
    }
    let lists = |sample: &&Sample| {
        let all = || sample.steps.iter().flatten();
        let mut next = 0;
        let range = |step: &Vec<_>| {
            next += step.len();
            next - step.len()..next
        };
        Lists {
            sources: all().map(|entry| entry.0 as u32).collect(),
            targets: all().map(|entry| entry.1 as u32).collect(),
            weights: all().map(|entry| entry.2).collect(),
            ranges: sample.steps.iter().map(range).collect(),
        }
    };
    let lists: Vec<Lists> = samples.iter().map(lists).collect();
    let window = |(sample, lists): (&&'_ Sample, &'_ Lists)| -> TemporalWindow<'static, f64, u32> {
        // Tests leak a few kilobytes in place of a type that borrows from two lists.
        let leak = |values: &[f64]| -> &'static [f64] { Box::leak(values.into()) };
        TemporalWindow {
            shape: [sample.nodes, sample.steps.len(), FEATURES],
            features: leak(&sample.features),
            connectivity: Connectivity::Dynamic {
                sources: Box::leak(lists.sources.clone().into()),
                targets: Box::leak(lists.targets.clone().into()),
                ranges: Box::leak(lists.ranges.clone().into()),
                weights: leak(&lists.weights),
            },
            present: sample.present.clone().map(|present| &*Box::leak(present.into())),
        }
    };
    let windows: Vec<_> = samples.iter().zip(&lists).map(window).collect();
    TemporalGraphConfig::new().build(&windows, (device, DType::F32)).unwrap()
}

type Network = Box<dyn Fn(&TemporalGraph) -> Tensor<2>>;

/// Every network, with random weights.
fn networks(device: &Device) -> Vec<(&'static str, Network)> {
    macro_rules! network {
        ($name:literal, $config:expr) => {{
            let network = $config.with_d_hidden(HIDDEN).init(device);
            ($name, Box::new(move |graph: &TemporalGraph| network.forward(graph)) as Network)
        }};
    }
    vec![
        network!("EvolveGcnO", EvolveGcnOConfig::new(FEATURES)),
        network!("EvolveGcnH", EvolveGcnHConfig::new(FEATURES)),
        network!("Gcrn", GcrnConfig::new(FEATURES)),
        network!("Gcrn with skips", GcrnConfig::new(FEATURES).with_skip(true)),
        network!("published Gcrn", GcrnConfig::published(FEATURES)),
        network!("GraphGru", GraphGruConfig::new(FEATURES)),
        network!("plain GraphGru", GraphGruConfig::new(FEATURES).with_layers(1).with_order(3)),
        network!("Dcrnn", DcrnnConfig::new(FEATURES)),
        network!("Dcrnn one way", DcrnnConfig::new(FEATURES).with_bidirectional(false)),
        network!("GcnGru", GcnGruConfig::new(FEATURES)),
        network!("GcnGru without edges", GcnGruConfig::new(FEATURES).with_no_edges(true)),
        network!("Dysat", DysatConfig::new(FEATURES)),
        network!("Dysat with steps", DysatConfig::new(FEATURES).with_max_steps(Some(6))),
        network!("Dysat without edges", DysatConfig::new(FEATURES).with_no_edges(true)),
    ]
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn relabeled_nodes_give_relabeled_rows(nodes in 1usize..9, steps in 1usize..5, seed: u64) {
        let device = Device::flex();
        let sample = Sample::random(nodes, steps, seed);
        let mut numbers: Vec<usize> = (0..nodes).collect();
        numbers.rotate_left(seed as usize % nodes);
        numbers.reverse();
        let (graph, other) = (sample.build(&device), sample.relabeled(&numbers).build(&device));
        for (name, network) in networks(&device) {
            let (rows, relabeled) = (host(network(&graph)), host(network(&other)));
            for (node, &number) in numbers.iter().enumerate() {
                let row = |rows: &[f32], node: usize| rows[node * HIDDEN..][..HIDDEN].to_vec();
                let apart = distance(&row(&rows, node), &row(&relabeled, number));
                prop_assert!(apart < 1e-5, "{name}: node {node}: {apart}");
            }
        }
    }
}

/// The union of the first window has degree 4, that of the second 6; no snapshot tells them apart.
#[test]
fn no_network_tells_circular_skip_links_apart_that_look_alike_step_by_step() {
    let device = Device::flex();
    let same = Sample::circular(11, &[2, 2]).build(&device);
    let other = Sample::circular(11, &[2, 3]).build(&device);
    assert_ne!(same.union().in_degrees(), other.union().in_degrees());
    for _ in 0..20 {
        for (name, network) in networks(&device) {
            let (first, second) = (host(network(&same)), host(network(&other)));
            assert!(distance(&first, &second) <= 1e-6, "{name}: {}", distance(&first, &second));
            assert!(first.iter().any(|value| value.abs() > 1e-4), "{name}: nothing to compare");
        }
    }
}

#[test]
fn networks_with_edges_depend_on_the_edges_of_earlier_steps() {
    let device = Device::flex();
    let sample = Sample::random(6, 3, 1);
    let mut other = sample.clone();
    other.steps[0] = (0..6).map(|node| (node, (node + 2) % 6, 1.0)).collect();
    let (graph, other) = (sample.build(&device), other.build(&device));
    for (name, network) in networks(&device) {
        let apart = distance(&host(network(&graph)), &host(network(&other)));
        // The weights of EvolveGCN-O do not depend on the data, and only its last step is read.
        let blind = name.contains("without edges") || name == "EvolveGcnO";
        assert!((apart > 1e-6) != blind, "{name}: {apart}");
    }
}

#[test]
fn ablation_without_edges_is_the_network_on_empty_snapshots() {
    let device = Device::flex();
    let sample = Sample::random(5, 3, 2);
    let mut empty = sample.clone();
    empty.steps = vec![Vec::new(); 3];
    let (graph, empty) = (sample.build(&device), empty.build(&device));
    let network = GcnGruConfig::new(FEATURES).init(&device);
    let record = network.clone().into_record();
    let ablated = GcnGruConfig::new(FEATURES).with_no_edges(true).init(&device);
    let ablated = ablated.load_record(record);
    assert!(distance(&host(ablated.forward(&graph)), &host(network.forward(&empty))) < 1e-6);
    let network = DysatConfig::new(FEATURES).init(&device);
    let record = network.clone().into_record();
    let ablated = DysatConfig::new(FEATURES).with_no_edges(true).init(&device);
    let ablated = ablated.load_record(record);
    assert!(distance(&host(ablated.forward(&graph)), &host(network.forward(&empty))) < 1e-6);
    assert!(distance(&host(ablated.forward(&graph)), &host(network.forward(&graph))) > 1e-4);
}

#[test]
fn windows_without_entries_and_of_single_or_no_nodes_are_legal() {
    let device = Device::flex();
    for (nodes, steps) in [(1, 1), (1, 4), (0, 2), (3, 2)] {
        let mut sample = Sample::random(nodes, steps, 3);
        sample.steps = vec![Vec::new(); steps];
        let graph = sample.build(&device);
        for (name, network) in networks(&device) {
            let output = network(&graph);
            assert_eq!(output.dims(), [nodes, HIDDEN], "{name}");
            assert!(host(output).iter().all(|value| value.is_finite()), "{name}");
        }
    }
}

#[test]
fn gradients_of_evolving_weights_reach_their_start_and_never_replace_it() {
    let device = Device::flex().autodiff();
    let graph = Sample::random(6, 4, 4).build(&device);
    let reached = |weights: &[Param<Tensor<2>>], output: Tensor<2>| {
        let before: Vec<Vec<f32>> = weights.iter().map(|weight| host(weight.val())).collect();
        let gradients = output.powi_scalar(2).sum().backward();
        for (weight, before) in weights.iter().zip(before) {
            let gradient = host(weight.val().grad(&gradients).unwrap());
            assert!(gradient.iter().any(|value| value.abs() > 1e-7));
            assert_eq!(host(weight.val()), before);
        }
    };
    let network = EvolveGcnOConfig::new(FEATURES).with_d_hidden(HIDDEN).init(&device);
    reached(&network.weights, network.forward(&graph));
    let network = EvolveGcnHConfig::new(FEATURES).with_d_hidden(HIDDEN).init(&device);
    reached(&network.weights, network.forward(&graph));
}
