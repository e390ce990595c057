//! Time-then-graph at the sizes of DynCSL and PeMS08, made by a recipe that both sides know.

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use firebrick::models::temporal::{
    Activation, Connectivity, Convolution, Encoding, GraphGruConfig, HeadConfig, TemporalGraph,
    TemporalGraphConfig, TemporalWindow, TimeThenGraphConfig,
};

use crate::runner::{Machine, Row};

const HIDDEN: usize = 16;

/// Nodes, steps, inputs and windows of a batch.
struct Size {
    nodes: usize,
    steps: usize,
    inputs: usize,
    batch: usize,
}

const PEMS: Size = Size { nodes: 170, steps: 12, inputs: 5, batch: 128 };
const DYNCSL: Size = Size { nodes: 19, steps: 8, inputs: 1, batch: 10 };

/// A road: each node and the next, and some shortcuts, both directions.
fn road(nodes: usize) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
    let mut entries = Vec::new();
    for i in 0..nodes as u32 {
        for by in [1, 23 + i % 7] {
            let j = (i + by) % nodes as u32;
            entries.extend([(i, j), (j, i)]);
        }
    }
    entries.sort_unstable();
    entries.dedup();
    let weights = (0..entries.len()).map(|e| 0.2 + (e % 5) as f32 * 0.1).collect();
    let (sources, targets) = entries.into_iter().unzip();
    (sources, targets, weights)
}

fn features(size: &Size) -> Vec<f32> {
    (0..size.nodes * size.steps * size.inputs).map(|i| (i as f32 * 0.7311).sin()).collect()
}

/// The same road under every window of a batch.
fn pems(device: &Device) -> TemporalGraph {
    let (sources, targets, weights) = road(PEMS.nodes);
    let features = features(&PEMS);
    let window = TemporalWindow {
        shape: [PEMS.nodes, PEMS.steps, PEMS.inputs],
        features: &features,
        connectivity: Connectivity::Static {
            sources: &sources,
            targets: &targets,
            features: &weights,
        },
        present: None,
    };
    TemporalGraphConfig::new().build(&vec![window; PEMS.batch], device).expect("valid windows")
}

/// Entries `i -> i`, `i +- 1` and `i +- skip`, with skips that change from step to step and window to window.
fn dyncsl(device: &Device) -> TemporalGraph {
    let (n, features) = (DYNCSL.nodes, features(&DYNCSL));
    let windows: Vec<(Vec<u32>, Vec<u32>)> = (0..DYNCSL.batch)
        .map(|window| {
            (0..DYNCSL.steps)
                .flat_map(|step| {
                    let skip = 2 + (window + step * (window % 4)) % 8;
                    (0..n).flat_map(move |i| {
                        let by = [0, 1, n - 1, skip, n - skip];
                        by.map(|by| (i as u32, ((i + by) % n) as u32))
                    })
                })
                .unzip()
        })
        .collect();
    let ranges: Vec<_> = (0..DYNCSL.steps).map(|step| step * 5 * n..(step + 1) * 5 * n).collect();
    let windows: Vec<TemporalWindow<'_>> = windows
        .iter()
        .map(|(sources, targets)| TemporalWindow {
            shape: [n, DYNCSL.steps, DYNCSL.inputs],
            features: &features,
            connectivity: Connectivity::Dynamic { sources, targets, ranges: &ranges, weights: &[] },
            present: None,
        })
        .collect();
    TemporalGraphConfig::new().build(&windows, device).expect("valid windows")
}

/// Forward, backward and Adam for a mean squared error of every node.
fn training(
    machine: &Machine,
    name: &str,
    pytorch: &str,
    config: TimeThenGraphConfig,
    make: fn(&Device) -> TemporalGraph,
) -> Row {
    let device = Device::flex().autodiff();
    // Data carry no autodiff.
    let graph = make(&Device::flex());
    let outputs = 3;
    let head = HeadConfig::new(2 * HIDDEN, HIDDEN, outputs).with_activation(config.activation);
    let mut parts = Some((config.init(&device), head.init(&device)));
    let mut optimizers = (AdamConfig::new().init(), AdamConfig::new().init());
    let values: Vec<f32> = (0..graph.nodes() * outputs).map(|i| (i as f32 * 0.37).cos()).collect();
    let target = Tensor::<2>::from_data(TensorData::new(values, [graph.nodes(), outputs]), &device);
    let [nodes, steps, inputs] = graph.features().dims();
    // Inputs are read forward and backward; a step multiplies by both matrices, three times over.
    let floor = machine.floor(
        8.0 * (nodes * steps * inputs) as f64,
        3.0 * 2.0 * (nodes * steps * (inputs + HIDDEN) * 3 * HIDDEN) as f64,
    );
    Row {
        name: format!("temporal: {name}"),
        pytorch: pytorch.into(),
        against: "nn.GRU, index_add".into(),
        floor,
        ours: Box::new(move || {
            let (network, head) = parts.take().expect("put back below");
            let output = head.forward(network.forward(&graph));
            let loss = (output - target.clone()).powi_scalar(2).mean();
            let mut gradients = loss.backward();
            let of_network = GradientsParams::from_module(&mut gradients, &network);
            let of_head = GradientsParams::from_module(&mut gradients, &head);
            let network = optimizers.0.step(1e-3, network, of_network);
            parts = Some((network, optimizers.1.step(1e-3, head, of_head)));
        }),
    }
}

/// One forward pass.
fn forward(
    machine: &Machine,
    name: &str,
    pytorch: &str,
    network: impl Fn(&TemporalGraph) -> Tensor<2> + 'static,
) -> Row {
    let graph = pems(&Device::flex());
    let [nodes, steps, inputs] = graph.features().dims();
    let operations = 2.0 * (nodes * steps * (inputs + HIDDEN) * 3 * HIDDEN) as f64;
    Row {
        name: format!("temporal: {name}"),
        pytorch: pytorch.into(),
        against: "nn.GRU or gates by hand, index_add".into(),
        floor: machine.floor(4.0 * (nodes * steps * inputs) as f64, operations),
        ours: Box::new(move || drop(std::hint::black_box(network(&graph)))),
    }
}

fn pems_config() -> TimeThenGraphConfig {
    TimeThenGraphConfig::new(PEMS.inputs, HIDDEN).with_edge_encoding(Encoding::Static)
}

pub fn rows(machine: &Machine) -> Vec<Row> {
    let sum = TimeThenGraphConfig::new(DYNCSL.inputs, HIDDEN)
        .with_convolution(Convolution::Sum)
        .with_activation(Activation::Tanh);
    let device = Device::flex();
    let encoder = pems_config().init(&device);
    let recurrent = GraphGruConfig::new(PEMS.inputs).with_d_hidden(HIDDEN).init(&device);
    let dynamic = "time-then-graph training step, DynCSL-sized";
    let fixed = "time-then-graph training step, PeMS08-sized";
    vec![
        training(machine, dynamic, "temporal_training_dyncsl", sum, dyncsl),
        training(machine, fixed, "temporal_training_pems", pems_config(), pems),
        forward(
            machine,
            "time-then-graph forward, PeMS08-sized",
            "temporal_forward_pems",
            move |graph| encoder.forward(graph),
        ),
        forward(
            machine,
            "recurrent graph gates forward, PeMS08-sized",
            "temporal_recurrent_pems",
            move |graph| recurrent.forward(graph),
        ),
    ]
}
