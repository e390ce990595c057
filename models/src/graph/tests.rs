#![allow(clippy::unwrap_used)]

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use firebrick_ops::sparse::{
    Graph, Normalization, Operator, SparseFeatures, gather_targets, segment_sum,
};

use super::*;

const NODES: usize = 7;
/// Duplicates, self loops, and node 6 alone.
const SOURCES: [usize; 11] = [0, 1, 1, 2, 3, 3, 4, 5, 2, 2, 5];
const TARGETS: [usize; 11] = [1, 0, 2, 1, 4, 3, 3, 4, 1, 2, 0];

fn graph() -> Graph {
    Graph::from_entries(NODES, &SOURCES, &TARGETS).unwrap()
}

fn gcn(graph: &Graph) -> Operator {
    Normalization::GCN.unweighted(graph, &Device::flex())
}

fn wave(rows: usize, columns: usize, phase: f32) -> Tensor<2> {
    let values: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * 0.731 + phase).sin()).collect();
    Tensor::from_data(TensorData::new(values, [rows, columns]), &Device::flex())
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn assert_close(name: &str, found: Tensor<2>, expected: Tensor<2>, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims(), "{name}");
    for (index, (found, expected)) in host(found).iter().zip(host(expected)).enumerate() {
        let bound = tolerance * (1.0 + expected.abs());
        assert!((found - expected).abs() <= bound, "{name}[{index}]: {found} for {expected}");
    }
}

type Layer = Box<dyn Fn(&Graph, Tensor<2>, Tensor<2>) -> Tensor<2>>;

/// Every layer as a function of the graph, features of nodes and features of entries.
fn layers() -> Vec<(&'static str, Layer)> {
    let device = &Device::flex();
    let gcn_layer = GcnConvConfig::new(4, 3).init(device);
    let wide = GcnConvConfig::new(4, 6).init(device);
    let improved = gcn_layer.clone();
    let plain = gcn_layer.clone();
    let gat = GatConvConfig::new(4, 3).with_heads(2).with_d_edge(Some(2)).init(device);
    let mean_heads = GatConvConfig::new(4, 3).with_heads(3).with_concatenate(false).init(device);
    let gatv2 = Gatv2ConvConfig::new(4, 3).with_heads(2).with_d_edge(Some(2)).init(device);
    let sage = |aggregation| SageConvConfig::new(4, 3).with_aggregation(aggregation).init(device);
    let (mean, max, sum) =
        (sage(Aggregation::Mean), sage(Aggregation::Max), sage(Aggregation::Sum));
    let normalized = SageConvConfig::new(4, 5).with_normalize(true).init(device);
    let gin = GinConvConfig::new(vec![4, 5, 3]).with_epsilon(0.3).init(device);
    let gine = GineConvConfig::new(vec![4, 5, 3], 2).init(device);
    let gcnii = GcniiConvConfig::new(4, 2).with_separate(true).init(device);
    let cheb = ChebConvConfig::new(4, 3, 3).init(device);
    let wide_cheb = ChebConvConfig::new(4, 6, 4).init(device);
    let sgc = SgcConvConfig::new(4, 3).init(device);
    let chebyshev = |graph: &Graph| Normalization::CHEBYSHEV.unweighted(graph, &Device::flex());
    let network = GcnConfig::new(4, 5, 3).init(device);
    let attention = GatConfig::new(4, 3).init(device);
    vec![
        ("gcn", Box::new(move |g, x, _| gcn_layer.forward(&gcn(g), x))),
        ("wide gcn", Box::new(move |g, x, _| wide.forward(&gcn(g), x))),
        (
            "improved",
            Box::new(move |g, x, _| {
                improved.forward(&Normalization::IMPROVED.unweighted(g, &Device::flex()), x)
            }),
        ),
        ("plain sum", Box::new(move |g, x, _| plain.forward(&Operator::new(g.clone(), None), x))),
        ("gat", Box::new(move |g, x, f| gat.attend(g, x, Some(f)).output)),
        ("gat of mean heads", Box::new(move |g, x, _| mean_heads.forward(g, x))),
        ("gatv2", Box::new(move |g, x, f| gatv2.attend(g, x, Some(f)).output)),
        ("sage mean", Box::new(move |g, x, _| mean.forward(g, x))),
        ("sage max", Box::new(move |g, x, _| max.forward(g, x))),
        ("sage sum", Box::new(move |g, x, _| sum.forward(g, x))),
        ("sage normalized", Box::new(move |g, x, _| normalized.forward(g, x))),
        ("gin", Box::new(move |g, x, _| gin.forward(g, x))),
        ("gine", Box::new(move |g, x, f| gine.forward(g, x, f))),
        ("gcnii", Box::new(move |g, x: Tensor<2>, _| gcnii.forward(&gcn(g), x.clone(), x))),
        ("chebyshev", Box::new(move |g, x, _| cheb.forward(&chebyshev(g), x))),
        ("wide chebyshev", Box::new(move |g, x, _| wide_cheb.forward(&chebyshev(g), x))),
        ("appnp", Box::new(|g, x, _| AppnpConfig::new().init().forward(&gcn(g), x))),
        ("sgc", Box::new(move |g, x, _| sgc.forward(&gcn(g), x))),
        ("gcn network", Box::new(move |g, x, _| network.forward(&gcn(g), x))),
        ("gat network", Box::new(move |g, x, _| attention.forward(g, x))),
    ]
}

fn rows(x: &Tensor<2>, order: &[usize]) -> Tensor<2> {
    let [_, columns] = x.dims();
    let values = host(x.clone());
    let values: Vec<f32> =
        order.iter().flat_map(|&row| values[row * columns..][..columns].to_vec()).collect();
    Tensor::from_data(TensorData::new(values, [order.len(), columns]), &Device::flex())
}

#[test]
fn renaming_nodes_and_reordering_entries_renames_the_output() {
    let (x, features) = (wave(NODES, 4, 0.2), wave(SOURCES.len(), 2, 0.8));
    // New name `n` is old node `order[n]`.
    let order = [3, 6, 0, 5, 1, 4, 2];
    let name = |old: usize| order.iter().position(|&node| node == old).unwrap();
    let entries: Vec<usize> = (0..SOURCES.len()).rev().collect();
    let pick = |side: &[usize]| entries.iter().map(|&e| name(side[e])).collect::<Vec<_>>();
    let renamed = Graph::from_entries(NODES, &pick(&SOURCES), &pick(&TARGETS)).unwrap();
    for (name, layer) in layers() {
        let output = layer(&graph(), x.clone(), features.clone());
        let found = layer(&renamed, rows(&x, &order), rows(&features, &entries));
        assert_close(name, found, rows(&output, &order), 1e-5);
    }
}

#[test]
fn an_isolated_node_changes_no_other_row() {
    let (x, features) = (wave(NODES + 1, 4, 0.2), wave(SOURCES.len(), 2, 0.8));
    let larger = Graph::from_entries(NODES + 1, &SOURCES, &TARGETS).unwrap();
    let all: Vec<usize> = (0..NODES).collect();
    for (name, layer) in layers() {
        let output = layer(&larger, x.clone(), features.clone());
        let found = layer(&graph(), rows(&x, &all), features.clone());
        assert_close(name, found, rows(&output, &all), 1e-6);
    }
}

#[test]
fn a_batch_gives_each_graph_what_it_gives_it_alone() {
    let other = Graph::from_entries(2, &[0, 1, 1], &[1, 0, 1]).unwrap();
    let empty = Graph::from_entries::<u32>(0, &[], &[]).unwrap();
    let batch = GraphBatch::new([&graph(), &empty, &other]).unwrap();
    assert_eq!((batch.graphs(), batch.graph().nodes()), (3, NODES + 2));
    let entries = SOURCES.len();
    let (x, features) = (wave(NODES + 2, 4, 0.2), wave(entries + 3, 2, 0.8));
    let part = |tensor: &Tensor<2>, range: std::ops::Range<usize>| {
        rows(tensor, &range.collect::<Vec<_>>())
    };
    for (name, layer) in layers() {
        let first = layer(&graph(), part(&x, 0..NODES), part(&features, 0..entries));
        let last = layer(&other, part(&x, NODES..NODES + 2), part(&features, entries..entries + 3));
        let found = layer(batch.graph(), x.clone(), features.clone());
        assert_close(name, found, Tensor::cat(vec![first, last], 0), 1e-6);
    }
    let pooled = batch.pool(x.clone(), Pooling::Mean);
    let mean = |range| part(&x, range).mean_dim(0);
    let expected =
        vec![mean(0..NODES), Tensor::zeros([1, 4], &Device::flex()), mean(NODES..NODES + 2)];
    assert_close("mean", pooled, Tensor::cat(expected, 0), 1e-6);
    let largest = |range| part(&x, range).max_dim(0);
    let expected =
        vec![largest(0..NODES), Tensor::zeros([1, 4], &Device::flex()), largest(NODES..NODES + 2)];
    assert_close("max", batch.pool(x, Pooling::Max), Tensor::cat(expected, 0), 1e-6);
    assert!(GraphBatch::from_parts(graph(), &[0; 6], 1).is_err());
    assert!(GraphBatch::from_parts(graph(), &[0, 0, 0, 0, 0, 0, 1], 1).is_err());
}

#[test]
fn graphs_without_nodes_or_entries_work() {
    for nodes in [0, 3] {
        let graph = Graph::from_entries::<u32>(nodes, &[], &[]).unwrap();
        for (name, layer) in layers() {
            let output = layer(&graph, wave(nodes, 4, 0.2), wave(0, 2, 0.0));
            assert_eq!(output.dims()[0], nodes, "{name}");
            assert!(host(output).iter().all(|value| value.is_finite()), "{name}");
        }
    }
}

#[test]
fn constant_features_on_a_regular_graph_stay_constant() {
    // A ring: each node has two neighbors, three with its self loop.
    let around: Vec<usize> = (0..6).flat_map(|i| [(i + 1) % 6, (i + 5) % 6]).collect();
    let nodes: Vec<usize> = (0..6).flat_map(|i| [i, i]).collect();
    let ring = Graph::from_entries(6, &around, &nodes).unwrap();
    let layer = GcnConvConfig::new(4, 3).init(&Device::flex());
    let row = wave(1, 4, 0.3);
    let x = row.clone().repeat(&[6, 1]);
    let expected = row.matmul(layer.weight.val()).repeat(&[6, 1]);
    assert_close("gcn", layer.forward(&gcn(&ring), x.clone()), expected.clone(), 1e-6);
    let sum = layer.forward(&Operator::new(ring, None), x);
    assert_close("plain sum", sum, expected * 2.0, 1e-6);
}

#[test]
fn attention_adds_up_to_one_and_includes_the_node_once() {
    let device = Device::flex();
    let layer = GatConvConfig::new(4, 3).with_heads(2).init(&device);
    let found = layer.attend(&graph(), wave(NODES, 4, 0.2), None);
    let ones = Tensor::ones([NODES, 2], &device);
    assert_close("sums", segment_sum(&found.graph, found.weights.clone()), ones, 1e-6);
    let ends = found.graph.sources().iter().zip(found.graph.targets());
    assert_eq!(ends.filter(|(source, target)| source == target).count(), NODES);
    // The weights are those that made the output.
    let values = wave(NODES, 4, 0.2).matmul(layer.weight.val());
    let output = firebrick_ops::sparse::spmm(&found.graph, found.weights, values);
    assert_close("output", found.output, output, 1e-6);
}

#[test]
fn trained_edge_weights_reach_every_convolution() {
    let device = Device::flex().autodiff();
    let weights = Tensor::<1>::ones([SOURCES.len()], &device).require_grad();
    let operator = Normalization::GCN.differentiable(&graph(), weights.clone());
    let layer = GcnConvConfig::new(4, 3).init(&device);
    let output = layer.forward(&operator, wave(NODES, 4, 0.2));
    let gradients = output.square().sum().backward();
    let found = host(weights.grad(&gradients).unwrap().unsqueeze());
    // The first self loop of node 2 and that of node 3 are the last of their nodes: all entries count.
    assert!(found.iter().all(|&value| value != 0.0), "{found:?}");
}

#[test]
fn sparse_features_give_what_dense_ones_give() {
    let device = Device::flex();
    let x = wave(NODES, 4, 0.2);
    let x = x.clone().mask_fill(x.lower_elem(0.0), 0.0);
    let sparse = SparseFeatures::from_dense(x.clone()).unwrap();
    let g = graph();
    let network = GcnConfig::new(4, 5, 3).with_layers(3).init(&device);
    let dense = network.forward(&gcn(&g), x.clone());
    assert_close("gcn", network.forward(&gcn(&g), &sparse), dense, 1e-6);
    let network = GatConfig::new(4, 3).init(&device);
    assert_close("gat", network.forward(&g, &sparse), network.forward(&g, x.clone()), 1e-6);
    for aggregation in [Aggregation::Mean, Aggregation::Max, Aggregation::Sum] {
        let config = GraphSageConfig::new(vec![4, 5, 3]).with_aggregation(aggregation);
        let network = config.init(&device);
        assert_close("sage", network.forward(&g, &sparse), network.forward(&g, x.clone()), 1e-6);
    }
    let network = GcniiConfig::new(4, 3).with_layers(4).init(&device);
    let dense = network.forward(&gcn(&g), x.clone());
    assert_close("gcnii", network.forward(&gcn(&g), &sparse), dense, 1e-6);
    let cheb = ChebConvConfig::new(4, 3, 3).init(&device);
    assert_close("cheb", cheb.forward(&gcn(&g), &sparse), cheb.forward(&gcn(&g), x), 1e-6);
}

#[test]
fn both_orders_of_chebyshev_agree() {
    let device = Device::flex();
    let operator = Normalization::CHEBYSHEV.unweighted(&graph(), &device);
    for order in 1..5 {
        let wide = ChebConvConfig::new(4, 6, order).init(&device);
        let x = wave(NODES, 4, 0.2);
        let sparse = SparseFeatures::from_dense(x.clone()).unwrap();
        assert_close("orders", wide.forward(&operator, &sparse), wide.forward(&operator, x), 1e-5);
    }
}

#[test]
fn blocks_of_all_neighbors_give_the_full_graph_s_rows() {
    let network = GraphSageConfig::new(vec![4, 5, 3]).init(&Device::flex());
    let (x, full) = (wave(NODES, 4, 0.2), graph());
    // The first three nodes need all others in the layer before.
    let kept = (0..SOURCES.len()).filter(|&entry| TARGETS[entry] < 3);
    let (s, d): (Vec<usize>, Vec<usize>) = kept.map(|e| (SOURCES[e], TARGETS[e])).unzip();
    let last = Graph::bipartite(NODES, 3, &s, &d).unwrap();
    let found = network.forward_blocks(&[full.clone(), last], x.clone());
    assert_close("rows", found, network.forward(&full, x).slice([0..3, 0..3]), 1e-6);
}

#[test]
fn dropout_is_on_in_training_and_off_in_evaluation() {
    let device = Device::flex().autodiff();
    let operator = gcn(&graph());
    let x = wave(NODES, 4, 0.2);
    let network = GcnConfig::new(4, 16, 3).with_dropout(0.5).init(&device);
    // Features need not carry autodiff for dropout to be on.
    let train = || host(network.forward(&operator, x.clone()));
    assert_ne!(train(), train());
    let network = network.valid();
    let evaluate = || host(network.forward(&operator, x.clone()));
    assert_eq!(evaluate(), evaluate());
}

#[test]
fn gradients_of_normalized_rows_of_zeros_are_finite() {
    let device = Device::flex().autodiff();
    let layer = SageConvConfig::new(4, 3).with_normalize(true).init(&device);
    let x = Tensor::<2>::zeros([NODES, 4], &device).require_grad();
    let gradients = layer.forward(&graph(), x.clone()).sum().backward();
    assert!(host(x.grad(&gradients).unwrap()).iter().all(|value| value.is_finite()));
}

#[test]
fn outputs_of_layers_are_joined() {
    let outputs = || vec![wave(2, 3, 0.0), wave(2, 3, 1.0)];
    assert_eq!(JumpingKnowledge::Concatenate.join(outputs()).dims(), [2, 6]);
    assert_eq!(host(JumpingKnowledge::Last.join(outputs())), host(wave(2, 3, 1.0)));
    let largest = wave(2, 3, 0.0).max_pair(wave(2, 3, 1.0));
    assert_eq!(host(JumpingKnowledge::Max.join(outputs())), host(largest));
}

#[test]
fn self_loops_get_the_mean_of_the_entering_features() {
    let heads = GatConvConfig::new(4, 3).with_d_edge(Some(2)).init(&Device::flex());
    let graph = Graph::from_entries(3, &[0, 2, 1], &[1, 1, 1]).unwrap();
    let features = Tensor::from_data([[1.0, 5.0], [3.0, 7.0], [99.0, 99.0]], &Device::flex());
    let found = heads.attend(&graph, wave(3, 4, 0.2), Some(features)).graph;
    // Node 1's own loop is replaced; nodes 0 and 2 get one each.
    assert_eq!(found.sources(), [0, 0, 2, 1, 2]);
    let looped = graph.with_self_loops().unwrap();
    let ids = Tensor::<2>::from_data([[0.0], [1.0], [2.0]], &Device::flex());
    assert_eq!(host(gather_targets(looped.graph(), ids)), [0.0, 1.0, 1.0, 1.0, 2.0]);
}

#[test]
#[should_panic(expected = "heads must be positive, got 0")]
fn no_heads_are_refused() {
    GatConvConfig::new(4, 3).with_heads(0).init(&Device::flex());
}

#[test]
#[should_panic(expected = "layer must be positive, got 0")]
fn layer_zero_is_refused() {
    GcniiConvConfig::new(4, 0).init(&Device::flex());
}

#[test]
#[should_panic(expected = "GcnConv: x must have 4 features, got 3")]
fn a_wrong_number_of_features_is_named() {
    GcnConvConfig::new(4, 3).init(&Device::flex()).forward(&gcn(&graph()), wave(NODES, 3, 0.0));
}

#[test]
#[should_panic(expected = "must have one row per source node, 7, got 5")]
fn a_wrong_number_of_nodes_is_named() {
    GcnConvConfig::new(4, 3).init(&Device::flex()).forward(&gcn(&graph()), wave(5, 4, 0.0));
}

#[test]
#[should_panic(expected = "edge features must be given exactly to a layer with d_edge")]
fn missing_edge_features_are_named() {
    let layer = GatConvConfig::new(4, 3).with_d_edge(Some(2)).init(&Device::flex());
    layer.forward(&graph(), wave(NODES, 4, 0.0));
}
