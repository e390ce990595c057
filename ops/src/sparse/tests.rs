#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;

use super::composed::Kernels;
use super::graph::EntryIndex;
use super::*;

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
                tensors[index] =
                    Tensor::from_data(data, (&Device::flex(), DType::F64)).autodiff_like();
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

trait AutodiffLike {
    fn autodiff_like(self) -> Self;
}

impl AutodiffLike for Tensor<2> {
    fn autodiff_like(self) -> Self {
        Tensor::from_inner(self)
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
