#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use proptest::prelude::*;

use super::backend::{composed_square_sum, composed_step};
use super::*;

fn coefficients(dampening: f64, penalty: f64) -> AdaiCoefficients {
    AdaiCoefficients {
        step_size: 0.3,
        keep: 0.9,
        penalty,
        beta_0: 0.4,
        beta_2: 0.8,
        epsilon: 0.05,
        dampening,
    }
}

/// Values that neither vanish nor repeat.
fn wave(len: usize, phase: f64, dtype: DType) -> Tensor<1> {
    let values: Vec<f64> = (0..len).map(|i| (i as f64 * 0.731 + phase).sin()).collect();
    Tensor::from_data(TensorData::new(values, [len]), (&Device::flex(), dtype))
}

fn tensors(len: usize, dtype: DType) -> AdaiTensors<1> {
    AdaiTensors {
        parameter: wave(len, 1.0, dtype),
        moment_1: wave(len, 2.0, dtype),
        moment_2: wave(len, 3.0, dtype).square(),
        correction: wave(len, 4.0, dtype).square() * 0.9 + 0.05,
    }
}

fn numbers(tensor: &Tensor<1>) -> Vec<f64> {
    tensor.clone().into_data().iter::<f64>().collect()
}

/// The formula of the module, one element at a time.
fn reference(
    t: &AdaiTensors<1>,
    g: &Tensor<1>,
    inverse_mean: f64,
    c: &AdaiCoefficients,
) -> [Vec<f64>; 4] {
    let [x, m, v, q] = [&t.parameter, &t.moment_1, &t.moment_2, &t.correction].map(numbers);
    let mut output = [const { Vec::new() }; 4];
    for (i, g) in numbers(g).into_iter().enumerate() {
        let g = g + c.penalty * x[i];
        let v = c.beta_2 * v[i] + (1.0 - c.beta_2) * g * g;
        let a = (c.beta_0 * (v * inverse_mean).powf(1.0 / (3.0 - 2.0 * c.dampening)))
            .clamp(c.epsilon, 1.0);
        let q = a + (1.0 - a) * q[i];
        let m = (1.0 - a) * m[i] + a.powf(c.dampening) * g;
        let x = c.keep * x[i] - c.step_size * m / q;
        for (list, value) in output.iter_mut().zip([x, m, v, q]) {
            list.push(value);
        }
    }
    output
}

/// The tensor as Flex knows it.
fn flex(tensor: Tensor<1>) -> burn_flex::FlexTensor {
    use burn::backend::{BackendTensor, DispatchKindConversion, DispatchTensor};
    type Conversion = DispatchTensor;
    match <Conversion as DispatchKindConversion<burn_flex::Flex>>::try_into_backend(
        tensor.into_dispatch(),
    ) {
        Ok(BackendTensor::Float(tensor)) => tensor,
        _ => panic!("a float tensor on Flex"),
    }
}

fn assert_close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let bound = tolerance * (1.0 + expected.abs());
        assert!((found - expected).abs() <= bound, "{name}[{index}]: {found} for {expected}");
    }
}

#[test]
fn kernel_is_the_formula_for_all_powers_types_and_block_borders() {
    for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F64, 1e-14)] {
        for dampening in [0.0, 0.3, 0.5, 1.0] {
            for (len, penalty) in [(0, 0.0), (1, 0.1), (1023, 0.0), (1025, 0.2), (33_000, 0.0)] {
                let c = coefficients(dampening, penalty);
                let (t, g) = (tensors(len, dtype), wave(len, 5.0, dtype) * 2.0);
                let expected = reference(&t, &g, 1.7, &c);
                let inverse = Tensor::from_data([1.7], (&Device::flex(), dtype));
                let (found, sum) = step(t, g, inverse, c);
                let found = [found.parameter, found.moment_1, found.moment_2, found.correction];
                for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    assert_close(&format!("tensor {index}"), &numbers(found), expected, tolerance);
                }
                let expected: f64 = expected[2].iter().sum();
                assert_close("sum", &numbers(&sum), &[expected], tolerance);
            }
        }
    }
}

#[test]
fn composed_form_gives_the_kernel_s_numbers() {
    for dampening in [0.0, 0.3, 0.5, 1.0] {
        let (c, dtype) = (coefficients(dampening, 0.1), DType::F32);
        let (t, g) = (tensors(2000, dtype), wave(2000, 5.0, dtype));
        let inverse = Tensor::from_data([1.7], &Device::flex());
        let input = AdaiInput::<burn_flex::Flex> {
            parameter: flex(t.parameter.clone()),
            gradient: flex(g.clone()),
            moment_1: flex(t.moment_1.clone()),
            moment_2: flex(t.moment_2.clone()),
            correction: flex(t.correction.clone()),
            inverse_mean: flex(inverse.clone()),
        };
        let composed = composed_step(input, &c);
        let host = |tensor: burn_flex::FlexTensor| -> Vec<f64> {
            tensor.into_data().iter::<f64>().collect()
        };
        let sum = host(composed_square_sum::<burn_flex::Flex>(
            flex(g.clone()),
            flex(t.parameter.clone()),
            c.penalty,
        ));
        assert_close(
            "squares",
            &numbers(&square_sum(g.clone(), Some((t.parameter.clone(), 0.1)))),
            &sum,
            1e-6,
        );
        let (found, sum) = step(t, g, inverse, c);
        assert_close("parameter", &numbers(&found.parameter), &host(composed.parameter), 1e-6);
        assert_close("moment_1", &numbers(&found.moment_1), &host(composed.moment_1), 1e-6);
        assert_close("moment_2", &numbers(&found.moment_2), &host(composed.moment_2), 1e-6);
        assert_close("correction", &numbers(&found.correction), &host(composed.correction), 1e-6);
        assert_close("sum", &numbers(&sum), &host(composed.moment_2_sum), 1e-6);
    }
}

#[test]
fn views_are_copied_and_shared_tensors_stay_as_they_are() {
    let device = Device::flex();
    let table = Tensor::<2>::random([6, 5], Distribution::Default, &device);
    let kept = table.clone();
    let view = || table.clone().transpose().slice([1..4, 0..6]);
    let rows = Tensor::<2>::from_data(view().into_data(), &device);
    let inverse = Tensor::from_data([0.5], &device);
    let run = |tensor: &dyn Fn() -> Tensor<2>| {
        let tensors = AdaiTensors {
            parameter: tensor(),
            moment_1: tensor(),
            moment_2: tensor(),
            correction: tensor(),
        };
        let (found, sum) = step(tensors, tensor(), inverse.clone(), coefficients(0.5, 0.1));
        (found.parameter.into_data(), sum.into_data())
    };
    assert_eq!(run(&view), run(&|| rows.clone()));
    assert_eq!(table.into_data(), kept.to_data());
    let narrowed = kept.clone().slice([0..2, 0..5]);
    let copied = Tensor::<2>::from_data(narrowed.to_data(), &device);
    assert_eq!(run(&|| narrowed.clone()), run(&|| copied.clone()));
}

#[test]
fn a_nan_gradient_is_not_hidden_by_the_clamp() {
    let device = Device::flex();
    let zeros = Tensor::<1>::zeros([2], &device);
    let tensors = AdaiTensors {
        parameter: zeros.clone(),
        moment_1: zeros.clone(),
        moment_2: zeros.clone(),
        correction: zeros,
    };
    let gradient = Tensor::from_data([f32::NAN, 1.0], &device);
    let inverse = Tensor::from_data([1.0], &device);
    let (found, _) = step(tensors, gradient, inverse, coefficients(1.0, 0.0));
    let found = numbers(&found.correction);
    assert!(found[0].is_nan() && !found[1].is_nan());
}

#[test]
#[should_panic(expected = "gradient must have the parameter's shape [3], got [2]")]
fn shapes_that_differ_are_named() {
    square_sum(wave(2, 0.0, DType::F32), Some((wave(3, 0.0, DType::F32), 0.1)));
}

#[test]
#[should_panic(expected = "squares of gradients underflow in F16")]
fn sixteen_bits_are_refused() {
    square_sum(wave(2, 0.0, DType::F16), None);
}

proptest! {
    #[test]
    fn square_sum_is_the_sum_at_any_length(len in 0usize..5000, penalty in 0.0f64..1.0) {
        let (g, x) = (wave(len, 0.3, DType::F64), wave(len, 1.1, DType::F64));
        let expected: f64 =
            numbers(&g).iter().zip(numbers(&x)).map(|(g, x)| (g + penalty * x).powi(2)).sum();
        let found = numbers(&square_sum(g, Some((x, penalty))))[0];
        prop_assert!((found - expected).abs() <= 1e-12 * (1.0 + expected));
    }
}
