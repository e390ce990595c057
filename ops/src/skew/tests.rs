//! Closed forms, invariants and gradients of the maps.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;

use super::*;

fn numbers(count: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * 2.0 * scale
        })
        .collect()
}

fn tensor(shape: [usize; 3], scale: f64, seed: u64, dtype: DType) -> Tensor<3> {
    let values = numbers(shape.iter().product(), scale, seed);
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
}

fn largest(tensor: Tensor<3>) -> f64 {
    tensor.into_data().iter::<f64>().fold(0.0, |max, x| max.max(x.abs()))
}

fn distance_from_orthonormal(columns: Tensor<3>) -> f64 {
    let unit = identity(columns.dims()[2], &columns);
    largest(columns.clone().transpose().matmul(columns) - unit)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn columns_are_orthonormal_for_any_shape_and_size_of_entries(
        rows in 1usize..9, cut in 0usize..9, batch in 1usize..3, size in -3i32..3, seed in 1u64..1000,
    ) {
        let columns = rows - cut.min(rows - 1);
        let free = tensor([batch, rows, columns], 10f64.powi(size), seed, DType::F64);
        for retraction in [Retraction::Exponential, Retraction::Cayley] {
            let found = retraction.columns(free.clone());
            prop_assert_eq!(found.dims(), [batch, rows, columns]);
            // Every squaring doubles the rounding; a hundred times eight entries are 10 squarings.
            prop_assert!(distance_from_orthonormal(found) < 1e-12);
        }
    }

    #[test]
    fn full_and_thin_exponential_agree(rows in 2usize..10, columns in 1usize..4, seed in 1u64..1000) {
        let columns = columns.min(rows);
        let free = tensor([2, rows, columns], 1.0, seed, DType::F64);
        let full = expm_skew_columns(skew(free.clone()), columns);
        prop_assert!(largest(full - expm_skew_thin(free)) < 1e-13);
    }

    #[test]
    fn the_exponential_of_the_double_is_the_square(size in 1usize..7, seed in 1u64..1000) {
        let a = tensor([1, size, size], 1.5, seed, DType::F64);
        let root = expm(a.clone());
        let scale = largest(expm(a.clone() * 2.0));
        prop_assert!(largest(expm(a * 2.0) - root.clone().matmul(root)) < 1e-13 * scale.max(1.0));
    }

    #[test]
    fn cayley_solves_its_equation(size in 1usize..7, seed in 1u64..1000) {
        let free = tensor([2, size, size], 3.0, seed, DType::F64);
        let (a, unit) = (skew(free.clone()), identity(size, &free));
        let found = cayley_columns(free);
        let left = (unit.clone() - a.clone() * 0.5).matmul(found);
        prop_assert!(largest(left - unit - a * 0.5) < 1e-13 * 10.0);
    }
}

#[test]
fn cayley_columns_are_orthonormal_in_32_bits_whatever_the_size_of_the_entries() {
    for scale in [1.0, 10.0, 100.0, 1e4] {
        for [rows, columns] in [[64, 64], [70, 32]] {
            let free = tensor([2, rows, columns], scale, 9, DType::F32);
            let distance = distance_from_orthonormal(cayley_columns(free).cast(DType::F64));
            assert!(distance < 2e-5, "{rows} x {columns}, entries of {scale}: {distance:e}");
        }
    }
}

#[test]
#[should_panic(expected = "the entries must be finite")]
fn the_cayley_map_reports_entries_that_are_not_finite() {
    let free = Tensor::<3>::from_data([[[0.0, 0.0], [f32::INFINITY, 0.0]]], &Device::flex());
    Retraction::Cayley.columns(free);
}

#[test]
fn exponential_of_a_nilpotent_matrix_is_its_finite_series() {
    let values = vec![0.0, 3.0, 5.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0f64];
    let a =
        Tensor::<3>::from_data(TensorData::new(values, [1, 3, 3]), (&Device::flex(), DType::F64));
    let expected = [1.0, 3.0, 8.0, 0.0, 1.0, 2.0, 0.0, 0.0, 1.0];
    let found: Vec<f64> = expm(a).into_data().iter::<f64>().collect();
    for (a, b) in expected.iter().zip(&found) {
        assert!((a - b).abs() < 1e-14, "{found:?}");
    }
}

#[test]
fn large_angles_cost_digits_but_do_not_overflow_in_the_powers() {
    let found = expm_skew(skew(tensor([1, 4, 4], 1e5, 3, DType::F64)));
    assert!(distance_from_orthonormal(found) < 1e-9);
    let found = expm_skew(skew(tensor([1, 4, 4], 1e5, 3, DType::F32)));
    assert!(distance_from_orthonormal(found.cast(DType::F64)) < 0.5);
    let gigantic = skew(tensor([1, 4, 4], 1e20, 3, DType::F64)) * 1e-19;
    assert!(distance_from_orthonormal(expm_skew(gigantic)) < 1e-12);
}

#[test]
fn a_bounded_exponential_is_the_exponential_within_its_bound_and_orthogonal_beyond() {
    let bounded = |free| Retraction::BoundedExponential { squarings: 4 }.columns(free);
    let free = tensor([3, 5, 3], 0.7, 4, DType::F64);
    let exact = Retraction::Exponential.columns(free.clone());
    assert!(largest(bounded(free) - exact) < 1e-14);
    for size in [0.0, 10.0, 1e6] {
        assert!(distance_from_orthonormal(bounded(tensor([3, 5, 3], size, 4, DType::F64))) < 1e-13);
    }
    // The start of every layer: the identity with the gradient of the exponential.
    let (zero, cotangent) =
        (tensor([1, 4, 4], 0.0, 1, DType::F64), tensor([1, 4, 4], 1.0, 2, DType::F64));
    let expected = gradient(&|free| Retraction::Exponential.columns(free), &zero, &cotangent);
    assert!(largest(gradient(&bounded, &zero, &cotangent) - expected) < 1e-14);
}

#[test]
fn empty_batches_and_columns_pass_through() {
    assert_eq!(expm_skew(tensor([0, 3, 3], 1.0, 1, DType::F32)).dims(), [0, 3, 3]);
    assert_eq!(
        Retraction::Exponential.columns(tensor([2, 1, 0], 1.0, 1, DType::F32)).dims(),
        [2, 1, 0]
    );
}

/// Gradient of `sum(map(free) * cotangent)`.
fn gradient(
    map: &dyn Fn(Tensor<3>) -> Tensor<3>,
    free: &Tensor<3>,
    cotangent: &Tensor<3>,
) -> Tensor<3> {
    let leaf = Tensor::from_inner(free.clone()).require_grad();
    let loss = (map(leaf.clone()) * Tensor::from_inner(cotangent.clone())).sum();
    leaf.grad(&loss.backward()).unwrap()
}

#[test]
fn gradients_agree_with_central_differences() {
    let bounded = Retraction::BoundedExponential { squarings: 2 };
    let maps: [(&str, &dyn Fn(Tensor<3>) -> Tensor<3>); 5] = [
        ("bounded", &|free| bounded.columns(free)),
        ("exponential", &|free| Retraction::Exponential.columns(free)),
        ("thin", &expm_skew_thin),
        ("cayley", &cayley_columns),
        ("general", &|free| expm(free.clone().matmul(free.transpose()) * 0.1)),
    ];
    for (name, map) in maps {
        for (scale, columns) in [(0.1, 5), (1.0, 2), (2.0, 3)] {
            let shape = [1, 5, columns];
            let free = tensor(shape, scale, 5, DType::F64);
            let width = map(free.clone()).dims();
            let cotangent = tensor(width, 1.0, 6, DType::F64);
            let found: Vec<f64> = gradient(map, &free, &cotangent).into_data().iter().collect();
            let values: Vec<f64> = free.into_data().iter().collect();
            for index in 0..values.len() {
                let value = |step: f64| {
                    let mut moved = values.clone();
                    moved[index] += step;
                    let moved = TensorData::new(moved, shape);
                    let moved = Tensor::from_data(moved, (&Device::flex(), DType::F64));
                    (map(moved) * cotangent.clone()).sum().into_scalar::<f64>()
                };
                let expected = (value(1e-6) - value(-1e-6)) / 2e-6;
                let size = expected.abs().max(1.0);
                let error = (expected - found[index]).abs();
                assert!(error < 1e-7 * size, "{name} {scale} [{index}]: {error:e} of {expected}");
            }
        }
    }
}

#[test]
fn gradients_on_and_above_the_diagonal_are_exactly_zero() {
    for retraction in [Retraction::Exponential, Retraction::Cayley] {
        for columns in [1, 2, 7] {
            let free = tensor([1, 7, columns], 1.0, 2, DType::F64);
            let cotangent = tensor([1, 7, columns], 1.0, 3, DType::F64);
            let map = |free| retraction.columns(free);
            let found = gradient(&map, &free, &cotangent).triu(0);
            assert_eq!(largest(found), 0.0);
        }
    }
}

#[test]
fn the_relative_error_of_gradients_in_32_bits_does_not_depend_on_the_cotangent() {
    let shape = [1, 64, 64];
    let (free, cotangent) = (tensor(shape, 0.2, 1, DType::F64), tensor(shape, 1.0, 2, DType::F64));
    for retraction in [Retraction::Exponential, Retraction::Cayley] {
        let map = |free| retraction.columns(free);
        for scale in [1e-3, 1.0, 100.0] {
            let cotangent = cotangent.clone() * scale;
            let exact = gradient(&map, &free, &cotangent);
            let found = gradient(&map, &free.clone().cast(DType::F32), &cotangent.cast(DType::F32));
            let error = (found.cast(DType::F64) - exact.clone()).powi_scalar(2).sum().sqrt();
            let error = error / exact.powi_scalar(2).sum().sqrt();
            let error = error.into_scalar::<f64>();
            println!("{retraction:?}, cotangent x {scale}: relative error {error:.2e}");
            assert!(error < 1e-5);
        }
    }
}

#[test]
#[should_panic(expected = "the entries must be finite")]
fn reports_entries_that_are_not_finite() {
    let free = Tensor::<3>::from_data([[[0.0, 0.0], [f32::NAN, 0.0]]], &Device::flex());
    Retraction::Exponential.columns(free);
}

#[test]
#[should_panic(expected = "at most as many columns as rows, got 2 x 3")]
fn refuses_wide_parameters() {
    skew(tensor([1, 2, 3], 1.0, 1, DType::F32));
}

#[test]
fn reads_the_names_of_retractions() {
    assert_eq!("expm".parse(), Ok(Retraction::Exponential));
    assert_eq!("cayley".parse(), Ok(Retraction::Cayley));
    let error = "qr".parse::<Retraction>().unwrap_err().to_string();
    assert_eq!(error, "unknown retraction 'qr'; known: exponential (expm), cayley");
}
