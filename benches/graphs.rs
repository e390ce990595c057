//! Graph networks on graphs of the size of Cora and Pubmed, made by a recipe that both sides know.

use std::rc::Rc;

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick::models::graph::{Gat, GatConfig, Gcn, GcnConfig};
use firebrick::ops::sparse::{Features, Graph, Normalization, Operator, SparseFeatures};

use crate::runner::{Machine, Row};

/// Nodes, undirected edges, features, stored values, classes, training nodes.
#[derive(Clone, Copy)]
struct Size {
    name: &'static str,
    nodes: usize,
    edges: usize,
    features: usize,
    stored: usize,
    classes: usize,
}

const CORA: Size =
    Size { name: "Cora", nodes: 2708, edges: 5278, features: 1433, stored: 49_216, classes: 7 };
const PUBMED: Size = Size {
    name: "Pubmed",
    nodes: 19_717,
    edges: 44_324,
    features: 500,
    stored: 988_031,
    classes: 3,
};
const TRAINING: usize = 140;

/// The generator of both sides: the upper bits of a linear congruence.
struct Recipe(u64);

impl Recipe {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = (self.0 * 1_103_515_245 + 12_345) % (1 << 31);
        (self.0 >> 8) as usize % bound
    }
}

/// Distinct undirected edges, one end uniform and the other towards small numbers, both directions.
fn graph(size: Size) -> Graph {
    let mut recipe = Recipe(1);
    let mut seen = std::collections::HashSet::new();
    let (mut sources, mut targets) = (Vec::new(), Vec::new());
    while seen.len() < size.edges {
        let a = recipe.below(size.nodes);
        let b = recipe.below(size.nodes) * recipe.below(size.nodes) / size.nodes;
        if a != b && seen.insert((a.min(b), a.max(b))) {
            sources.extend([a, b]);
            targets.extend([b, a]);
        }
    }
    Graph::from_entries(size.nodes, &sources, &targets).expect("a valid graph")
}

/// About as many features for every node, each with the same weight.
fn features(size: Size, device: &Device) -> SparseFeatures {
    let mut recipe = Recipe(2);
    let (mut offsets, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for node in 0..size.nodes {
        let count = size.stored / size.nodes + usize::from(node < size.stored % size.nodes);
        let start = columns.len();
        while columns.len() < start + count {
            let column = recipe.below(size.features);
            if !columns[start..].contains(&column) {
                columns.push(column);
            }
        }
        columns[start..].sort_unstable();
        values.resize(columns.len(), 1.0 / count as f64);
        offsets.push(columns.len());
    }
    SparseFeatures::from_rows(size.features, &offsets, &columns, &values, device)
        .expect("valid features")
}

/// What training and evaluation read.
struct Data {
    graph: Graph,
    operator: Operator,
    features: Features,
    nodes: Tensor<1, Int>,
    labels: Tensor<1, Int>,
    loss: CrossEntropyLoss,
}

impl Data {
    fn new(size: Size, device: &Device) -> Rc<Self> {
        let graph = graph(size);
        let integers = |values: Vec<i32>| {
            let len = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [len]), device)
        };
        let nodes: Vec<i32> = (0..TRAINING as i32).map(|i| i * 17 % size.nodes as i32).collect();
        Rc::new(Self {
            operator: Normalization::GCN.unweighted(&graph, device),
            graph,
            features: features(size, device).into(),
            labels: integers(nodes.iter().map(|node| node % size.classes as i32).collect()),
            nodes: integers(nodes),
            loss: CrossEntropyLossConfig::new().init(device),
        })
    }
}

/// A network that both tasks run.
trait Network: Module + 'static {
    fn logits(&self, data: &Data) -> Tensor<2>;
}

impl Network for Gcn {
    fn logits(&self, data: &Data) -> Tensor<2> {
        self.forward(&data.operator, data.features.clone())
    }
}

impl Network for Gat {
    fn logits(&self, data: &Data) -> Tensor<2> {
        self.forward(&data.graph, data.features.clone())
    }
}

/// Forward, backward and Adam.
fn epoch<N: Network>(network: N, optimizer: &mut ModuleOptimizer, data: &Data) -> N {
    let logits = network.logits(data).select(0, data.nodes.clone());
    let loss = data.loss.forward(logits, data.labels.clone());
    let gradients = GradientsParams::from_grads(loss.backward(), &network);
    optimizer.step(0.01, network, gradients)
}

fn network_rows<N: Network>(
    machine: &Machine,
    size: Size,
    name: &str,
    width: usize,
    init: impl Fn(&Device) -> N,
) -> Vec<Row> {
    let device = Device::flex().autodiff();
    let (training, evaluation) = (Data::new(size, &device), Data::new(size, &Device::flex()));
    let network = init(&device);
    let plain = network.valid();
    let adam = AdamConfig::new().with_weight_decay(Some(WeightDecayConfig::new(5e-4)));
    let mut optimizer = adam.init();
    let mut network = Some(network);
    // Features and entries are read once forward; rows of the hidden layer are written and read once.
    let forward = 8.0 * size.stored as f64
        + 8.0 * (2 * size.edges + size.nodes) as f64
        + 4.0 * (size.features * width + 2 * size.nodes * width) as f64;
    let case = name.to_lowercase();
    let place = size.name.to_lowercase();
    vec![
        Row {
            name: format!("graph: {name} training epoch, {}-sized", size.name),
            pytorch: format!("graph_{case}_epoch_{place}"),
            against: "torch_geometric, dense features".into(),
            // Backward reads features and rows again, and Adam goes over parameters in seven streams.
            floor: machine.floor(2.0 * forward + 28.0 * (size.features * width) as f64, 0.0),
            ours: Box::new(move || {
                let before = network.take().expect("put back below");
                network = Some(epoch(before, &mut optimizer, &training));
            }),
        },
        Row {
            name: format!("graph: {name} evaluation, {}-sized", size.name),
            pytorch: format!("graph_{case}_forward_{place}"),
            against: "torch_geometric, dense features".into(),
            floor: machine.floor(forward, 0.0),
            ours: Box::new(move || drop(std::hint::black_box(plain.logits(&evaluation)))),
        },
    ]
}

/// `A x` for Kipf and Welling's operator.
fn product(machine: &Machine, size: Size, columns: usize) -> Row {
    let device = Device::flex();
    let operator = Normalization::GCN.unweighted(&graph(size), &device);
    let values: Vec<f32> = (0..size.nodes * columns).map(|i| (i as f32 * 0.7311).sin()).collect();
    let x = Tensor::<2>::from_data(TensorData::new(values, [size.nodes, columns]), &device);
    let bytes = 8 * operator.graph().entries() + 8 * size.nodes * columns;
    Row {
        name: format!("graph: sparse product, {}-sized, {columns} columns", size.name),
        pytorch: format!("graph_product_{} {columns}", size.name.to_lowercase()),
        against: "torch.sparse.mm of a CSR tensor".into(),
        floor: machine.floor(bytes as f64, 0.0),
        ours: Box::new(move || drop(std::hint::black_box(operator.apply(x.clone())))),
    }
}

pub fn rows(machine: &Machine) -> Vec<Row> {
    let mut rows = Vec::new();
    for size in [CORA, PUBMED] {
        rows.extend([16, 64].map(|columns| product(machine, size, columns)));
        let (inputs, outputs) = (size.features, size.classes);
        rows.extend(network_rows(machine, size, "GCN", 16, |device| {
            GcnConfig::new(inputs, 16, outputs).init(device)
        }));
        rows.extend(network_rows(machine, size, "GAT", 64, |device| {
            GatConfig::new(inputs, outputs).init(device)
        }));
    }
    rows
}
