//! Kernels against the composed form, against dense products, and with any number of threads.

use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::{
    Autodiff, AutodiffBackend, BackendTensor, DispatchKindConversion, DispatchTensor,
};
use burn_flex::{Flex, FlexTensor};
use proptest::prelude::*;

use super::*;
use crate::sparse::composed::Kernels;
use crate::sparse::operation::Operation;

/// Flex without its kernels: the extension's default bodies run on it.
type Plain = Autodiff<Flex, NoCheckpointing>;

impl Kernels for Plain {}

fn flex(tensor: Tensor<2>) -> FlexTensor {
    type Conversion = DispatchTensor;
    match <Conversion as DispatchKindConversion<Flex>>::try_into_backend(tensor.into_dispatch()) {
        Ok(BackendTensor::Float(tensor)) => tensor,
        _ => panic!("a float tensor on Flex"),
    }
}

fn host(tensor: FlexTensor) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Every operation with the shapes of its inputs.
fn operations(graph: &Graph) -> Vec<(Operation, Vec<[usize; 2]>)> {
    let (s, d, e) = (graph.source_nodes(), graph.target_nodes(), graph.entries());
    let (entries, g) = (graph.entries_by_target().clone(), || graph.clone());
    vec![
        (Operation::Sum(g()), vec![[s, 9]]),
        (Operation::Product(g()), vec![[e, 1], [s, 37]]),
        (Operation::Product(g()), vec![[e, 3], [s, 33]]),
        (Operation::Dot { graph: g(), heads: 2 }, vec![[d, 22], [s, 22]]),
        (Operation::Max(g()), vec![[s, 3]]),
        (Operation::Gather(entries.clone()), vec![[d, 3]]),
        (Operation::OverDegree(g()), vec![[d, 3]]),
        (Operation::Softmax(entries), vec![[e, 2]]),
        (Operation::Scores { graph: g(), slope: 0.2 }, vec![[s, 6], [d, 6], [2, 3]]),
        (
            Operation::Scores { graph: g(), slope: 0.2 },
            vec![[s, 6], [d, 6], [2, 3], [e, 2], [2, 6]],
        ),
        (Operation::Messages(g()), vec![[s, 6], [e, 2], [2, 6]]),
    ]
}

#[test]
fn kernels_agree_with_the_composed_form_forward_and_backward() {
    for (hub, dtype, tolerance) in
        [(0, DType::F64, 1e-12), (2500, DType::F64, 1e-11), (2500, DType::F32, 2e-4)]
    {
        for (operation, shapes) in operations(&graph(hub)) {
            let name = format!("{operation:?}");
            let tensor = |(index, &shape): (usize, &[usize; 2])| {
                flex(wave(shape, index as f64 + 0.2).inner().cast(dtype))
            };
            let inputs: Vec<FlexTensor> = shapes.iter().enumerate().map(tensor).collect();
            let plain: Vec<_> = inputs.iter().cloned().map(Plain::from_inner).collect();
            let output = operation.forward::<Flex>(&inputs);
            let composed = operation.forward::<Plain>(&plain);
            let inner = |tensor| host(Plain::inner(tensor));
            assert_close(&name, &host(output.clone()), &inner(composed.clone()), tolerance);
            let shape: [usize; 2] = output.layout().shape().dims();
            let gradient = flex(wave(shape, 0.9).inner().cast(dtype));
            let wanted = vec![true; inputs.len()];
            let saved = operation.save::<Flex>(inputs, &output);
            let found = operation.backward::<Flex>(saved, gradient.clone(), &wanted);
            let saved = operation.save::<Plain>(plain, &composed);
            let expected = operation.backward(saved, Plain::from_inner(gradient), &wanted);
            assert!(found.len() >= wanted.len() && expected.len() == wanted.len(), "{name}");
            for (found, expected) in found.into_iter().zip(expected) {
                assert_close(&name, &host(found.unwrap()), &inner(expected.unwrap()), tolerance);
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut bits = Vec::new();
            for (operation, shapes) in operations(&graph(20_000)) {
                let tensor = |(index, &shape): (usize, &[usize; 2])| {
                    flex(wave(shape, index as f64 + 0.2).inner().cast(DType::F32))
                };
                let inputs: Vec<FlexTensor> = shapes.iter().enumerate().map(tensor).collect();
                let output = operation.forward::<Flex>(&inputs);
                let wanted = vec![true; inputs.len()];
                let saved = operation.save::<Flex>(inputs, &output);
                let found = operation.backward::<Flex>(saved, output.clone(), &wanted);
                let found = std::iter::once(output).chain(found.into_iter().flatten());
                bits.extend(found.flat_map(|tensor| {
                    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
                    values.into_iter().map(f32::to_bits)
                }));
            }
            bits
        })
    };
    let one = run(1);
    assert!(one.len() > 100_000);
    assert!(one == run(2) && one == run(5));
}

#[test]
fn half_precision_is_lifted_and_lowered() {
    let graph = graph(10);
    let x = wave([6, 8], 0.1).inner();
    let half = sum_neighbors(&graph, x.clone().cast(DType::F16));
    assert_eq!(half.dtype(), DType::F16);
    assert_close("half", &numbers(half), &numbers(sum_neighbors(&graph, x)), 5e-3);
}

#[test]
fn views_and_slices_are_read_right() {
    let graph = graph(3);
    let table = wave([9, 12], 0.3).inner();
    let view = table.transpose().slice([2..8, 1..5]);
    let copy = Tensor::from_data(view.to_data(), (&Device::flex(), DType::F64));
    assert_eq!(sum_neighbors(&graph, view).into_data(), sum_neighbors(&graph, copy).into_data());
}

prop_compose! {
    fn entries()(sources in 0usize..8, targets in 0usize..7)(
        list in prop::collection::vec(
            (0..sources.max(1), 0..targets.max(1)),
            0..if sources * targets == 0 { 1 } else { 40 },
        ),
        sizes in Just((sources, targets)),
    ) -> (usize, usize, Vec<(usize, usize)>) {
        (sizes.0, sizes.1, list)
    }
}

proptest! {
    #[test]
    fn product_is_the_dense_one_in_any_order_of_entries(
        (sources, targets, list) in entries(),
        columns in 0usize..40,
        swap in any::<prop::sample::Index>(),
    ) {
        let (s, d): (Vec<usize>, Vec<usize>) = list.iter().copied().unzip();
        let graph = Graph::bipartite(sources, targets, &s, &d).unwrap();
        let values: Vec<f64> = (0..list.len()).map(|i| (i as f64 * 1.7).cos()).collect();
        let x: Vec<f64> = (0..sources * columns).map(|i| (i as f64 * 0.37).sin()).collect();
        let mut expected = vec![0.0; targets * columns];
        for ((&s, &d), value) in s.iter().zip(&d).zip(&values) {
            for column in 0..columns {
                expected[d * columns + column] += value * x[s * columns + column];
            }
        }
        let options = (&Device::flex(), DType::F64);
        let dense = Tensor::<2>::from_data(TensorData::new(x, [sources, columns]), options);
        let weights = graph.weights(&values, options).unwrap();
        let found = numbers(spmm(&graph, weights, dense.clone()));
        assert_close("dense", &found, &expected, 1e-13);
        if list.is_empty() {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.rotate_left(swap.index(list.len()));
        let pick = |from: &[usize]| order.iter().map(|&i| from[i]).collect::<Vec<_>>();
        let rotated = Graph::bipartite(sources, targets, &pick(&s), &pick(&d)).unwrap();
        let weights: Vec<f64> = order.iter().map(|&i| values[i]).collect();
        let weights = rotated.weights(&weights, options).unwrap();
        assert_close("rotated", &numbers(spmm(&rotated, weights, dense)), &found, 1e-13);
    }

    #[test]
    fn softmax_adds_up_to_one_and_ignores_shifts((sources, targets, list) in entries()) {
        let (s, d): (Vec<usize>, Vec<usize>) = list.iter().copied().unzip();
        let graph = Graph::bipartite(sources, targets, &s, &d).unwrap();
        let logits = wave([list.len(), 2], 0.7).inner() * 30.0;
        let found = segment_softmax(&graph, logits.clone());
        let sums = numbers(segment_sum(&graph, found.clone()));
        for (sum, degree) in sums.chunks(2).zip(graph.in_degrees()) {
            let expected = f64::from(u8::from(degree > 0));
            prop_assert!((sum[0] - expected).abs() < 1e-12 && (sum[1] - expected).abs() < 1e-12);
        }
        let shifted = numbers(segment_softmax(&graph, logits + 700.0));
        assert_close("shift", &shifted, &numbers(found), 1e-10);
    }
}
