#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::*;

mod agreement;
mod graphs;

/// Values that neither vanish nor repeat.
fn wave<const D: usize>(shape: [usize; D], phase: f64) -> Tensor<D> {
    let values: Vec<f64> =
        (0..shape.iter().product()).map(|i: usize| (i as f64 * 0.731 + phase).sin()).collect();
    let options = (&Device::flex().autodiff(), DType::F64);
    Tensor::from_data(TensorData::new(values, shape), options).require_grad()
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn assert_close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let bound = tolerance * (1.0 + expected.abs());
        assert!((found - expected).abs() <= bound, "{name}[{index}]: {found} for {expected}");
    }
}

/// A graph with duplicates, self loops, nodes of degree 0 and one hub that is cut into pieces.
fn graph(hub: usize) -> Graph {
    let (sources, targets): (Vec<usize>, Vec<usize>) = [(0, 1), (2, 1), (2, 1), (3, 3), (1, 0)]
        .into_iter()
        .chain((0..hub).map(|entry| (entry * 7 % 5, 2)))
        .chain([(4, 1), (0, 3)])
        .unzip();
    Graph::bipartite(6, 5, &sources, &targets).unwrap()
}

type Function<'a> = &'a dyn Fn(&[Tensor<2>]) -> Tensor<2>;

/// Compares gradients with central differences, for a weighted sum of the result.
fn check_gradients(name: &str, inputs: &[[usize; 2]], function: Function<'_>) {
    let tensors: Vec<Tensor<2>> =
        inputs.iter().enumerate().map(|(i, &shape)| wave(shape, 1.3 + i as f64)).collect();
    let loss = |tensors: &[Tensor<2>]| {
        let output = function(tensors);
        let weights = wave(output.dims(), 0.4).detach();
        (output * weights).sum()
    };
    let gradients = loss(&tensors).backward();
    for (index, tensor) in tensors.iter().enumerate() {
        let found = numbers(tensor.grad(&gradients).unwrap());
        let values = numbers(tensor.clone());
        let step = values.len().div_ceil(12).max(1);
        for place in (0..values.len()).step_by(step) {
            let at = |shift: f64| {
                let mut values = values.clone();
                values[place] += shift;
                let mut tensors = tensors.clone();
                let data = TensorData::new(values, inputs[index]);
                tensors[index] = Tensor::from_data(data, (&Device::flex().autodiff(), DType::F64));
                loss(&tensors).into_scalar::<f64>()
            };
            let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
            let difference = (found[place] - expected).abs();
            assert!(
                difference <= 1e-6 * (1.0 + expected.abs()),
                "{name}: input {index}, place {place}: {} for {expected}",
                found[place]
            );
        }
    }
}

#[test]
fn gradients_agree_with_differences_also_on_hub_rows() {
    for hub in [0, 2500] {
        let graph = graph(hub);
        let (entries, s, d) = (graph.entries(), 6, 5);
        let g = || graph.clone();
        let check = check_gradients;
        check("sum", &[[s, 9]], &|x| sum_neighbors(&g(), x[0].clone()));
        check("mean", &[[s, 3]], &|x| mean_neighbors(&g(), x[0].clone()));
        check("max", &[[s, 3]], &|x| max_neighbors(&g(), x[0].clone()));
        check("spmm", &[[entries, 1], [s, 18]], &|x| spmm(&g(), x[0].clone(), x[1].clone()));
        check("heads", &[[entries, 3], [s, 33]], &|x| spmm(&g(), x[0].clone(), x[1].clone()));
        check("dot", &[[d, 10], [s, 10]], &|x| edge_dot(&g(), x[0].clone(), x[1].clone(), 2));
        check("segment_sum", &[[entries, 2]], &|x| segment_sum(&g(), x[0].clone()));
        check("segment_mean", &[[entries, 2]], &|x| segment_mean(&g(), x[0].clone()));
        check("segment_max", &[[entries, 2]], &|x| segment_max(&g(), x[0].clone()));
        check("segment_softmax", &[[entries, 2]], &|x| segment_softmax(&g(), x[0].clone()));
        check("gather_sources", &[[s, 2]], &|x| gather_sources(&g(), x[0].clone()));
        check("gather_targets", &[[d, 2]], &|x| gather_targets(&g(), x[0].clone()));
        check("scores", &[[s, 6], [d, 6], [2, 3]], &|x| {
            edge_scores(&g(), x[0].clone(), x[1].clone(), x[2].clone(), None, 0.2)
        });
        let term = |features: &Tensor<2>, weight: &Tensor<2>| EdgeTerm {
            features: features.clone(),
            weight: weight.clone(),
        };
        check("scores with features", &[[s, 6], [d, 6], [2, 3], [entries, 2], [2, 6]], &|x| {
            let term = Some(term(&x[3], &x[4]));
            edge_scores(&g(), x[0].clone(), x[1].clone(), x[2].clone(), term, 0.2)
        });
        check("messages", &[[s, 5], [entries, 2], [2, 5]], &|x| {
            edge_messages(&g(), x[0].clone(), term(&x[1], &x[2]))
        });
    }
}

#[test]
fn gradients_of_normalized_weights_agree_with_differences() {
    let graph = Graph::from_entries(4, &[0, 1, 2, 2, 1, 0], &[1, 2, 2, 1, 0, 1]).unwrap();
    for normalization in [
        Normalization::GCN,
        Normalization::IMPROVED,
        Normalization::CHEBYSHEV,
        Normalization::MEAN,
        Normalization::RANDOM_WALK,
        Normalization::NONE,
    ] {
        check_gradients(&format!("{normalization:?}"), &[[6, 1], [4, 3]], &|x| {
            let weights = x[0].clone().squeeze_dim::<1>(1) + 2.0;
            normalization.differentiable(&graph, weights).apply(x[1].clone())
        });
    }
}

#[test]
fn differentiable_and_host_normalization_agree() {
    let graph = Graph::from_entries(4, &[0, 1, 2, 2, 2, 0], &[1, 2, 2, 2, 0, 1]).unwrap();
    let weights = [0.5, 2.0, 3.0, 4.0, 1.5, 0.25];
    let options = (&Device::flex(), DType::F64);
    for normalization in [
        Normalization::GCN,
        Normalization::CHEBYSHEV,
        Normalization::MEAN,
        Normalization::RANDOM_WALK,
    ] {
        let host = normalization.weighted(&graph, &weights, options).unwrap();
        let tensor = graph.weights(&weights, options).unwrap();
        let tensor = normalization.differentiable(&graph, tensor);
        let values = |operator: &Operator| numbers(operator.values().unwrap().clone());
        assert_close("values", &values(&tensor), &values(&host), 1e-14);
        assert_eq!(host.graph().targets(), tensor.graph().targets());
    }
    // Of the two self loops of node 2 the last one, with weight 4, stays.
    let looped = Normalization { scaling: Scaling::None, ..Normalization::GCN };
    let operator = looped.weighted(&graph, &weights, options).unwrap();
    let values = numbers(operator.values().unwrap().clone());
    assert_close("loops", &values, &[1.5, 1.0, 0.5, 0.25, 1.0, 2.0, 4.0, 1.0], 1e-15);
}

#[test]
fn steps_of_a_random_walk_leave_each_source_with_probability_1() {
    let graph = Graph::from_entries(4, &[0, 0, 1, 3], &[1, 2, 1, 0]).unwrap();
    let options = (&Device::flex(), DType::F64);
    let operator =
        Normalization::RANDOM_WALK.weighted(&graph, &[1.0, 3.0, 5.0, 0.5], options).unwrap();
    let values = numbers(operator.values().unwrap().clone());
    assert_close("walk", &values, &[0.25, 0.75, 1.0, 1.0], 1e-15);
    let x = Tensor::<2>::from_data([[1.0], [10.0], [100.0], [1000.0]], options);
    // Each node sees the mean over where it leads; node 2 leads nowhere.
    let seen = numbers(operator.transposed().apply(x));
    assert_close("seen", &seen, &[77.5, 10.0, 0.0, 1.0], 1e-12);
}
