//! Graphs: construction, what follows from them, empty ones, and sparse features.

use super::*;
use crate::noise::NoiseKey;

#[test]
fn errors_name_the_place_and_the_values() {
    let message = |error: GraphError| error.to_string();
    let graph = |s: &[i64], d: &[i64]| message(Graph::from_entries(3, s, d).unwrap_err());
    assert_eq!(graph(&[0], &[0, 1]), "a graph needs as many sources as targets, found 1 and 2");
    assert_eq!(graph(&[0, -1], &[0, 1]), "entry 1: source must be in 0..3, found -1");
    assert_eq!(graph(&[0, 2], &[3, 1]), "entry 0: target must be in 0..3, found 3");
    let large = Graph::from_entries::<u32>(1 << 31, &[], &[]).unwrap_err();
    assert_eq!(message(large), "the number of source nodes must be below 2^31, found 2147483648");
    let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
    let device = Device::flex();
    let weights = |weights: &[f64]| message(graph.weights(weights, &device).unwrap_err());
    assert_eq!(weights(&[1.0]), "weights: expected one per entry, 2, found 1");
    assert_eq!(weights(&[1.0, f64::NAN]), "weights: entry 1 must be finite, found NaN");
    let negative = Normalization::GCN.weighted(&graph, &[-3.0, 1.0], &device).unwrap_err();
    assert_eq!(negative, GraphError::NegativeDegree { node: 1, found: -2.0 });
    let block = Graph::bipartite(2, 1, &[0], &[0]).unwrap();
    let error = block.with_self_loops().unwrap_err();
    assert_eq!(error, GraphError::Rectangular { sources: 2, targets: 1 });
    let rows = |offsets: &[usize]| message(Graph::from_rows(3, offsets, &[0u32, 2]).unwrap_err());
    assert_eq!(rows(&[]), "row offset 0: expected 0, found 0");
    assert_eq!(rows(&[1, 2]), "row offset 0: expected 0, found 1");
    assert_eq!(rows(&[0, 1]), "row offset 1: expected 2, found 1");
    assert_eq!(rows(&[0, 2, 1, 2]), "row offset 2: expected 2, found 1");
}

#[test]
#[should_panic(expected = "symmetric scaling needs degrees of at least 0, got -1")]
fn negative_degrees_of_trained_weights_are_refused() {
    let graph = Graph::from_entries(2, &[0], &[1]).unwrap();
    let weights = Tensor::<1>::from_data([-2.0], &Device::flex());
    Normalization::GCN.differentiable(&graph, weights);
}

#[test]
#[should_panic(
    expected = "spmm: values must be [entries] or [entries, heads] with 1 entries, got [2]"
)]
fn a_wrong_number_of_values_is_named() {
    let graph = Graph::from_entries(2, &[0], &[1]).unwrap();
    let device = Device::flex();
    spmm(&graph, Tensor::<1>::ones([2], &device), Tensor::ones([2, 1], &device));
}

#[test]
fn empty_graphs_give_empty_results_and_zero_gradients() {
    for (nodes, columns) in [(0, 3), (4, 3), (4, 0)] {
        let graph = Graph::from_entries::<u32>(nodes, &[], &[]).unwrap();
        let x = wave([nodes, columns], 0.1);
        let none = wave([0, 2], 0.0);
        let outputs = [
            sum_neighbors(&graph, x.clone()),
            mean_neighbors(&graph, x.clone()),
            max_neighbors(&graph, x.clone()),
            spmm(&graph, wave([0], 0.0), x.clone()),
        ];
        for output in outputs {
            assert_eq!(output.dims(), [nodes, columns]);
            assert!(numbers(output.clone()).iter().all(|&value| value == 0.0));
            let gradients = output.sum().backward();
            let found = x.grad(&gradients).map(numbers).unwrap_or_default();
            assert!(found.iter().all(|&value| value == 0.0));
        }
        assert_eq!(segment_softmax(&graph, none.clone()).dims(), [0, 2]);
        assert_eq!(segment_sum(&graph, none).dims(), [nodes, 2]);
        assert_eq!(gather_sources(&graph, x.clone()).dims(), [0, columns]);
        // Only self loops: every row stays.
        let operator = Normalization::GCN.unweighted(&graph, (&Device::flex(), DType::F64));
        assert_close("own rows", &numbers(operator.apply(x.clone())), &numbers(x), 1e-15);
    }
}

#[test]
fn ties_of_a_maximum_share_its_gradient_and_nan_stays() {
    let graph = Graph::from_entries(3, &[0, 1, 1, 2], &[0, 0, 0, 1]).unwrap();
    let options = (&Device::flex().autodiff(), DType::F64);
    let data = TensorData::from([[2.0], [2.0], [f64::NAN]]);
    let x = Tensor::<2>::from_data(data, options).require_grad();
    let output = max_neighbors(&graph, x.clone());
    let found = numbers(output.clone());
    assert!(found[0] == 2.0 && found[1].is_nan() && found[2] == 0.0);
    let gradients = output.slice([0..1, 0..1]).sum().backward();
    let found = numbers(x.grad(&gradients).unwrap());
    assert_close("shares", &found, &[1.0 / 3.0, 2.0 / 3.0, 0.0], 1e-15);
}

#[test]
fn rows_of_the_graph_with_loops_are_carried_over() {
    let graph = Graph::from_entries(3, &[1, 0, 2, 1], &[0, 0, 1, 1]).unwrap();
    let looped = graph.with_self_loops().unwrap();
    assert_eq!(looped.graph().sources(), [1, 0, 2, 1, 2]);
    assert_eq!(looped.graph().targets(), [0, 0, 1, 1, 2]);
    assert_eq!(
        (looped.without().sources(), looped.without().targets()),
        (&[1, 2][..], &[0, 1][..])
    );
    let options = (&Device::flex(), DType::F64);
    let rows = Tensor::<2>::from_data([[10.0], [11.0], [12.0], [13.0]], options);
    let fill = Tensor::<2>::from_data([[1.0], [2.0], [3.0]], options);
    let found = numbers(looped.carry(rows.clone(), fill.clone()));
    assert_eq!(found, [10.0, 11.0, 12.0, 13.0, 3.0]);
    assert_eq!(numbers(looped.replace(rows.clone(), fill)), [10.0, 1.0, 12.0, 2.0, 3.0]);
    assert_eq!(numbers(looped.leave_out(rows)), [10.0, 12.0]);
}

#[test]
fn duplicates_are_merged_in_order() {
    let graph = Graph::from_entries(3, &[2, 0, 2, 1], &[1, 1, 1, 0]).unwrap();
    let (merged, map) = graph.coalesced();
    assert_eq!((merged.sources(), merged.targets()), (&[1, 0, 2][..], &[0, 1, 1][..]));
    let weights = Tensor::<2>::from_data([[1.0], [2.0], [5.0], [7.0]], &Device::flex());
    assert_eq!(numbers(segment_sum(&map, weights.clone())), [7.0, 2.0, 6.0]);
    assert_eq!(numbers(segment_mean(&map, weights)), [7.0, 2.0, 3.0]);
    assert_eq!(graph.out_degrees(), [1, 1, 2]);
    assert_eq!(graph.transposed().sources(), graph.targets());
}

#[test]
fn a_union_is_its_parts() {
    let parts = [
        Graph::from_entries(2, &[0, 1], &[1, 1]).unwrap(),
        Graph::from_entries::<u32>(0, &[], &[]).unwrap(),
        Graph::from_entries(3, &[2, 0], &[0, 1]).unwrap(),
    ];
    let union = Graph::disjoint_union(&parts).unwrap();
    let x = wave([5, 3], 0.2).inner();
    let first = numbers(sum_neighbors(&parts[0], x.clone().slice([0..2, 0..3])));
    let last = numbers(sum_neighbors(&parts[2], x.clone().slice([2..5, 0..3])));
    assert_eq!(numbers(sum_neighbors(&union, x)), [first, last].concat());
}

#[test]
fn sparse_features_are_the_dense_ones() {
    let dense = wave([5, 7], 0.6).inner();
    let dense = dense.clone().mask_fill(dense.lower_elem(0.4), 0.0);
    let sparse = SparseFeatures::from_dense(dense.clone()).unwrap();
    assert!(sparse.stored() < 20);
    assert_eq!(numbers(sparse.to_dense()), numbers(dense.clone()));
    let weight = wave([7, 3], 0.9);
    let output = sparse.matmul(weight.clone());
    let other = Tensor::from_inner(dense.clone()).matmul(weight.clone());
    assert_close("product", &numbers(output.clone()), &numbers(other.clone()), 1e-14);
    let gradient =
        |output: Tensor<2>| numbers(weight.grad(&output.square().sum().backward()).unwrap());
    assert_close("gradient", &gradient(output), &gradient(other), 1e-13);
    let rows = numbers(sparse.row_normalized().to_dense().sum_dim(1));
    let sums = numbers(dense.sum_dim(1));
    for (row, sum) in rows.iter().zip(sums) {
        assert!((row - f64::from(u8::from(sum != 0.0))).abs() < 1e-14);
    }
}

#[test]
fn dropout_of_stored_values_is_a_function_of_the_key_and_keeps_the_mean() {
    let dense = Tensor::<2>::ones([100, 200], &Device::flex());
    let sparse = SparseFeatures::from_dense(dense).unwrap();
    let key = NoiseKey { seed: 3, purpose: *b"dropout ", stream: 0, step: 1 };
    let values = |key| numbers(sparse.dropout_keyed(0.6, key).values().clone());
    let found = values(key);
    assert_eq!(found, values(key));
    assert_ne!(found, values(NoiseKey { step: 2, ..key }));
    let kept = found.iter().filter(|&&value| value != 0.0).count();
    // Five standard deviations of a binomial count.
    assert!((kept as f64 - 8000.0).abs() < 5.0 * (20_000.0f64 * 0.24).sqrt());
    assert!(found.iter().all(|&value| value == 0.0 || (value - 2.5).abs() < 1e-6));
    let device = numbers(sparse.dropout(0.6).values().clone());
    assert!(device.iter().all(|&value| value == 0.0 || (value - 2.5).abs() < 1e-6));
    assert_eq!(numbers(sparse.dropout(0.0).values().clone()), vec![1.0; 20_000]);
}

#[test]
fn selected_rows_and_matrices_side_by_side_are_those_of_the_dense_form() {
    let values = [[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [3.0, 0.0, 4.0]];
    let options = (&Device::flex(), DType::F64);
    let dense = Tensor::<2>::from_data(values, options);
    // Entries of the second matrix do not stand in row order.
    let turned = Graph::bipartite(2, 3, &[1, 0, 1], &[2, 0, 0]).unwrap();
    let right = SparseFeatures::of_graph(turned, Tensor::from_data([5.0, 6.0, 7.0], options));
    let left = SparseFeatures::from_dense(dense.clone()).unwrap();
    for nodes in [vec![2, 0, 2], vec![1], vec![], vec![0, 1, 2]] {
        let both = left.beside(&right).select(&nodes);
        assert_eq!((both.nodes(), both.features()), (nodes.len(), 5));
        let whole = Tensor::cat(vec![dense.clone(), right.to_dense()], 1);
        let expected: Vec<f64> =
            nodes.iter().flat_map(|&node| numbers(whole.clone().narrow(0, node, 1))).collect();
        assert_eq!(numbers(both.to_dense()), expected);
        if !nodes.is_empty() {
            let features = Features::Dense(dense.clone()).beside(&(&right).into()).select(&nodes);
            assert_eq!(numbers(features.into_dense()), expected);
        }
    }
}

#[test]
#[should_panic(expected = "selected nodes must be below 2, got 2")]
fn refuses_to_select_a_node_that_is_not_there() {
    let dense = Tensor::<2>::from_data([[1.0], [0.0]], &Device::flex());
    SparseFeatures::from_dense(dense).unwrap().select(&[0, 2]);
}
