#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;

use super::kernel::{tanh_f32, tanh_f64};
use super::tanh;

/// Distance in units of the last place of `expected`.
fn ulps_f32(found: f32, expected: f64) -> f64 {
    let nearest = expected as f32;
    let unit = f64::from(f32::from_bits(nearest.abs().to_bits() + 1)) - f64::from(nearest.abs());
    (f64::from(found) - expected).abs() / unit
}

fn ulps_f64(found: f64, expected: f64) -> u64 {
    found.abs().to_bits().abs_diff(expected.abs().to_bits())
}

#[test]
fn all_32_bit_numbers_are_within_three_units_in_the_last_place() {
    // Every 101st of all bit patterns: denormals, both signs, infinities and NaN are among them.
    let mut worst = (0.0, 0.0f32);
    for bits in (0..=u32::MAX).step_by(101) {
        let x = f32::from_bits(bits);
        let found = tanh_f32(x);
        if x.is_nan() {
            assert!(found.is_nan(), "{bits:#x} gave {found}");
            continue;
        }
        assert_eq!(found.is_sign_negative(), x.is_sign_negative(), "{x}");
        assert!(found.abs() <= 1.0, "{x} gave {found}");
        let error = ulps_f32(found, f64::from(x).tanh());
        if error > worst.0 {
            worst = (error, x);
        }
    }
    assert!(worst.0 <= 3.0, "{} units at {}", worst.0, worst.1);
}

#[test]
fn a_dense_grid_of_64_bit_numbers_is_within_four_units_of_the_standard_library() {
    let grid = (-2_200_000..=2_200_000).map(|i| f64::from(i) * 1e-5 + 1.23e-9);
    // Every power of two from 1024 down to the smallest denormal.
    let powers = std::iter::successors(Some(1024.0), |power| Some(power / 2.0));
    let scales = powers
        .take_while(|&power| power > 0.0)
        .flat_map(|power: f64| [1.0, 1.1, 1.37, 1.5, 1.83].map(|factor| factor * power));
    let mut worst = (0, 0.0);
    for x in grid.chain(scales) {
        let (found, expected) = (tanh_f64(x), x.tanh());
        assert_eq!(found.is_sign_negative(), x.is_sign_negative(), "{x}");
        assert!(found.abs() <= 1.0, "{x} gave {found}");
        let error = ulps_f64(found, expected);
        if error > worst.0 {
            worst = (error, x);
        }
    }
    assert!(worst.0 <= 4, "{} units at {}", worst.0, worst.1);
}

#[test]
fn zeros_keep_their_sign_and_infinities_saturate() {
    for (x, expected) in [(0.0, 0.0f32), (-0.0, -0.0), (f32::INFINITY, 1.0), (-1e30, -1.0)] {
        assert_eq!(tanh_f32(x).to_bits(), expected.to_bits());
        assert_eq!(tanh_f64(f64::from(x)).to_bits(), f64::from(expected).to_bits());
    }
    for x in [f32::from_bits(1), f32::MIN_POSITIVE, 1e-20] {
        assert_eq!(tanh_f32(x), x);
        assert_eq!(tanh_f64(f64::from(x) * 1e-280), f64::from(x) * 1e-280);
    }
    assert!(tanh_f64(f64::NAN).is_nan());
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Values that neither vanish nor repeat.
fn wave(len: usize, dtype: DType) -> Tensor<1> {
    let values: Vec<f64> = (0..len).map(|i| 3.0 * (i as f64 * 0.731).sin()).collect();
    Tensor::from_data(TensorData::new(values, [len]), (&Device::flex(), dtype))
}

#[test]
fn tensors_of_any_length_type_and_layout_give_burn_s_values() {
    let types = [(DType::F16, 0.0), (DType::BF16, 0.0), (DType::F32, 4e-7), (DType::F64, 1e-15)];
    for (dtype, tolerance) in types {
        for len in [0, 1, 5, 65_536, 70_001] {
            let x = wave(len, dtype);
            let found = tanh(x.clone());
            assert_eq!(found.dtype(), dtype);
            for (found, expected) in numbers(found).iter().zip(numbers(x.tanh())) {
                assert!((found - expected).abs() <= tolerance * expected.abs());
            }
        }
    }
    let table = wave(30, DType::F32).reshape([6, 5]);
    let view = table.clone().transpose().slice([1..4, 0..6]);
    let found = numbers(tanh(view.clone()));
    for (found, expected) in found.iter().zip(numbers(view.tanh())) {
        assert!((found - expected).abs() < 1e-6);
    }
    // Somebody else's tensor stays as it is.
    assert_eq!(table.into_data(), wave(30, DType::F32).reshape([6, 5]).into_data());
}

#[test]
fn the_gradient_is_one_minus_the_square_with_and_without_checkpointing() {
    for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
        let x = Tensor::<1>::from_data(
            TensorData::new(vec![-30.0, -0.7, 0.0, 1e-9, 2.5], [5]),
            (&device, DType::F64),
        )
        .require_grad();
        let y = tanh(x.clone() * 1.5);
        let found = numbers(x.grad(&(y.square() * 2.0).sum().backward()).unwrap());
        for (x, found) in numbers(x).iter().zip(found) {
            let y = (1.5 * x).tanh();
            let expected = 6.0 * y * (1.0 - y * y);
            assert!((found - expected).abs() <= 1e-15 * (1.0 + expected.abs()), "{x}: {found}");
        }
        let untracked = Tensor::<1>::from_data([0.5], &device);
        assert!(!tanh(untracked).is_tracked());
    }
}

proptest! {
    #[test]
    fn odd_bounded_and_never_falling(x in -25.0f64..25.0, step in 0.0f64..1e-3) {
        prop_assert_eq!(tanh_f64(-x), -tanh_f64(x));
        // Up to the last place, which a sum of rounded terms may miss.
        let (here, there) = (tanh_f64(x), tanh_f64(x + step));
        prop_assert!(there >= here - 4.0 * f64::EPSILON * here.abs());
    }
}
