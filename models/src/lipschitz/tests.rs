//! Lipschitz constants, permutations, ties and errors.
#![allow(clippy::unwrap_used)]

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;

use super::*;

fn tensor<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<D> {
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&device, DType::F64))
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

const KINDS: [ActivationKind; 8] = [
    ActivationKind::MaxMin,
    ActivationKind::MinMax,
    ActivationKind::GroupSort(3),
    ActivationKind::FullSort,
    ActivationKind::SRelu,
    ActivationKind::ModRelu,
    ActivationKind::Householder,
    ActivationKind::Relu,
];

proptest! {
    #[test]
    fn activations_do_not_move_points_apart(
        a in prop::collection::vec(-2.0..2.0f64, 12), b in prop::collection::vec(-2.0..2.0f64, 12),
        near in any::<bool>(),
    ) {
        // Also points that are near each other, where kinks and jumps show.
        let b: Vec<f64> = if near { a.iter().zip(&b).map(|(a, b)| a + 1e-3 * b).collect() } else { b };
        for kind in KINDS {
            let activation = kind.init(6, (&Device::flex().autodiff(), DType::F64));
            let [fa, fb] = [&a, &b].map(|x| host(activation.forward(tensor(x, [1, 6, 1, 2]))));
            let (before, after) = (distance(&a, &b), distance(&fa, &fb));
            prop_assert!(after <= before * (1.0 + 1e-9) + 1e-12, "{kind:?}: {before} to {after}");
        }
    }

    #[test]
    fn sorting_and_reflecting_keep_norms_of_values_and_of_gradients(
        values in prop::collection::vec(-2.0..2.0f64, 12),
        cotangent in prop::collection::vec(-2.0..2.0f64, 12), angle in -4.0..4.0f64,
    ) {
        for kind in &KINDS[..4] {
            let activation = kind.init(6, (&Device::flex().autodiff(), DType::F64));
            keeps_norms(&values, &cotangent, |x| activation.forward(x))?;
        }
        let config = HouseholderActivationConfig::new(6).with_start(angle);
        let activation = config.init((&Device::flex().autodiff(), DType::F64));
        keeps_norms(&values, &cotangent, |x| activation.forward(x))?;
        keeps_norms(&values, &cotangent, |x| channel_shuffle(x, 3))?;
    }

    #[test]
    fn mod_relu_has_no_jump_for_either_sign_of_its_parameter(
        threshold in -1.0..1.0f64, x in -1e-6..1e-6f64,
    ) {
        let mut activation = ModReluConfig::new(1).init((&Device::flex().autodiff(), DType::F64));
        activation.threshold = Param::from_tensor(tensor(&[threshold], [1]));
        let [there, here] = [x, -x].map(|x| host(activation.forward(tensor(&[x], [1, 1])))[0]);
        prop_assert!((there - here).abs() <= 2.0 * x.abs() + 1e-18);
    }
}

fn keeps_norms(
    values: &[f64],
    cotangent: &[f64],
    apply: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Result<(), TestCaseError> {
    let zero = vec![0.0; values.len()];
    let input = tensor(values, [2, 6, 1, 1]).require_grad();
    let output = apply(input.clone());
    let gradients = (output.clone() * tensor(cotangent, [2, 6, 1, 1])).sum().backward();
    let gradient = host(input.grad(&gradients).unwrap());
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    prop_assert!(close(distance(&host(output), &zero), distance(values, &zero)));
    prop_assert!(close(distance(&gradient, &zero), distance(cotangent, &zero)));
    Ok(())
}

#[test]
fn equal_values_keep_a_gradient_each() {
    for kind in [ActivationKind::MaxMin, ActivationKind::MinMax] {
        let x = tensor(&[1.0, 1.0], [1, 2]).require_grad();
        let y = kind.init(2, &x.device()).forward(x.clone());
        let gradients = (y * tensor(&[2.0, 5.0], [1, 2])).sum().backward();
        let mut found = host(x.grad(&gradients).unwrap());
        found.sort_by(f64::total_cmp);
        assert_eq!(found, [2.0, 5.0], "{kind:?}");
    }
}

#[test]
fn groups_of_any_size_are_sorted_across_the_channels() {
    let x = [5.0, 0.0, 3.0, 9.0, 4.0, 1.0];
    let ascending =
        host(ActivationKind::GroupSort(3).init(6, &Device::flex()).forward(tensor(&x, [1, 6])));
    // Groups (5, 3, 4) and (0, 9, 1).
    assert_eq!(ascending, [3.0, 0.0, 4.0, 1.0, 5.0, 9.0]);
    let config = GroupSortConfig::new().with_size(GroupSize::Full);
    assert_eq!(host(config.init().forward(tensor(&x, [1, 6]))), [9.0, 5.0, 4.0, 3.0, 1.0, 0.0]);
}

#[test]
fn pixels_come_back_from_channels() {
    let values: Vec<f64> = (0..2 * 3 * 4 * 6).map(f64::from).collect();
    let x = tensor(&values, [2, 3, 4, 6]);
    let y = pixel_unshuffle(x, 2);
    assert_eq!(y.dims(), [2, 12, 2, 3]);
    assert_eq!(host(pixel_shuffle(y, 2)), values);
}

#[test]
fn oblong_windows_are_scaled_by_the_root_of_their_size() {
    let pool = NormPool2dConfig::new([1, 3]).init();
    let y = pool.forward(tensor(&[1.0; 6], [1, 1, 2, 3]));
    assert!(host(y).iter().all(|value| (value - 3f64.sqrt()).abs() < 1e-12));
}

#[test]
fn the_share_of_the_residual_branch_is_a_sigmoid() {
    let skip = AdditiveSkipConfig::new().with_start(3f64.ln()).init((&Device::flex(), DType::F64));
    assert!((skip.share() - 0.75).abs() < 1e-12);
    let y = skip.merge(tensor(&[4.0], [1, 1]), tensor(&[0.0], [1, 1]));
    assert!((host(y)[0] - 3.0).abs() < 1e-12);
}

#[test]
fn activations_have_names() {
    assert_eq!("groupsort4".parse::<ActivationKind>().unwrap(), ActivationKind::GroupSort(4));
    let error = "maxmax".parse::<ActivationKind>().unwrap_err().to_string();
    assert!(error.starts_with("unknown activation 'maxmax'; known: maxmin,"), "{error}");
}

#[test]
#[should_panic(expected = "channels must be a positive multiple of the groups' size 2, got 3")]
fn odd_channels_cannot_be_paired() {
    GroupSortConfig::new().init().forward(tensor(&[0.0; 3], [1, 3]));
}

#[test]
#[should_panic(expected = "channels must be even to be paired, got 3")]
fn odd_channels_cannot_be_split() {
    concatenative_skip(tensor(&[0.0; 3], [1, 3]), |x| x, |x| x);
}

#[test]
#[should_panic(expected = "MaxMin needs a positive multiple of 2 channels, got 5")]
fn activations_refuse_channels_that_do_not_fit() {
    ActivationKind::MaxMin.init(5, &Device::flex());
}

#[test]
#[should_panic(expected = "multiples of the window 2x2, got 3x4")]
fn windows_must_divide_the_image() {
    NormPool2dConfig::new([2, 2]).init().forward(tensor(&[0.0; 12], [1, 1, 3, 4]));
}
