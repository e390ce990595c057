//! Starts, ranks, refused settings.

use burn::tensor::{DType, Device, Tensor};
use firebrick_models::orthogonal::{
    Composition, Initialization, OrthogonalConv1dConfig, OrthogonalConv2d, OrthogonalConv2dConfig,
    OrthogonalConvTranspose1dConfig, OrthogonalConvTranspose2dConfig, OrthogonalLinearConfig,
    OrthogonalPadding, Ranks, TransposedOrder,
};

use crate::support::*;

const SINGLE_TAP: [Initialization; 4] = [
    Initialization::Torus,
    Initialization::Identity,
    Initialization::Reverse,
    Initialization::Permutation,
];

/// The largest entry beyond the center tap of a `5 x 3` kernel.
fn beyond_center(kernel: Tensor<4>) -> f64 {
    let center = kernel.clone().narrow(2, 2, 1).narrow(3, 1, 1);
    norm(kernel).powi(2) - norm(center).powi(2)
}

#[test]
fn starts_have_a_single_tap_at_the_center() {
    let device = Device::flex();
    for initialization in SINGLE_TAP {
        for channels in [[1, 1], [5, 5], [4, 6], [6, 4]] {
            let layer = OrthogonalConv2dConfig::new(channels, [5, 3])
                .with_initialization(initialization)
                .with_seed(Some(3))
                .init((&device, DType::F64));
            assert!(beyond_center(layer.kernel()).abs() < 1e-12, "{initialization:?}");
            assert!(norm(layer.kernel()) > 0.9);
        }
        for order in [TransposedOrder::Adjoint, TransposedOrder::Published] {
            let layer = OrthogonalConvTranspose2dConfig::new([4, 4], [5, 3])
                .with_initialization(initialization)
                .with_order(order)
                .with_seed(Some(3))
                .init((&device, DType::F64));
            assert!(beyond_center(layer.kernel()).abs() < 1e-12, "{initialization:?} {order:?}");
        }
    }
}

#[test]
fn the_identity_start_is_the_identity_and_the_reverse_start_reverses_channels() {
    let device = Device::flex();
    let x = normal([1, 4, 3, 3], &mut rng(1), DType::F64, &device);
    let layer = |initialization| {
        OrthogonalConv2dConfig::new([4, 4], [3, 3])
            .with_initialization(initialization)
            .with_seed(Some(1))
            .init((&device, DType::F64))
    };
    let same = layer(Initialization::Identity).forward(x.clone());
    assert!(largest(same - x.clone()) < 1e-14);
    let reversed = layer(Initialization::Reverse).forward(x.clone());
    assert!(largest(reversed - x.flip([1])) < 1e-14);
}

#[test]
fn the_automatic_start_is_a_permutation_for_odd_and_uniform_for_even_numbers_of_taps() {
    let device = Device::flex();
    let entries = |kernel: [usize; 2], stride| -> Vec<f64> {
        let config = OrthogonalConv2dConfig::new([3, 12], kernel).with_stride(stride);
        let layer = config.with_seed(Some(1)).init((&device, DType::F64));
        layer.kernel().into_data().iter().collect()
    };
    let binary = |x: &f64| x.abs() < 1e-12 || (x.abs() - 1.0).abs() < 1e-12;
    assert!(entries([3, 3], [1, 1]).iter().all(binary));
    assert!(entries([6, 2], [2, 2]).iter().all(binary));
    assert!(!entries([4, 3], [1, 1]).iter().all(binary));
}

#[test]
fn seeds_decide_the_start_and_devices_do_without() {
    let kernel = |seed| {
        let config = OrthogonalConv2dConfig::new([3, 3], [2, 2]).with_seed(seed);
        config.init(&Device::flex()).kernel().into_data()
    };
    assert_eq!(kernel(Some(5)), kernel(Some(5)));
    assert_ne!(kernel(Some(5)), kernel(Some(6)));
    assert_ne!(kernel(None), kernel(None));
}

#[test]
fn any_ranks_give_orthogonal_layers() {
    let mut rng = rng(2);
    for ranks in [
        Ranks::Equal(0),
        Ranks::Equal(1),
        Ranks::Equal(4),
        Ranks::Each(vec![vec![0, 3], vec![4, 1, 2]]),
    ] {
        let config = OrthogonalConv2dConfig::new([4, 3], [3, 4])
            .with_ranks(ranks.clone())
            .with_initialization(Initialization::Uniform)
            .with_seed(Some(4));
        if ranks != Ranks::Equal(0) {
            let layer = random_layer(&config, DType::F64, &mut rng);
            let distance =
                distance_from_one(&jacobian(|x| layer.forward(x), [4, 3, 5], DType::F64));
            assert!(distance < 1e-12, "{ranks:?}: {distance:e}");
        }
        let layer = config.init((&Device::flex(), DType::F64));
        let distance = distance_from_one(&jacobian(|x| layer.forward(x), [4, 3, 5], DType::F64));
        assert!(distance < 1e-12, "{ranks:?}: {distance:e}");
    }
}

#[test]
fn rank_zero_only_shifts() {
    let layer =
        OrthogonalConv2dConfig::new([1, 1], [1, 3]).with_seed(Some(1)).init(&Device::flex());
    let taps: Vec<f32> = layer.kernel().into_data().iter().collect();
    assert_eq!(taps.iter().filter(|tap| tap.abs() == 1.0).count(), 1, "{taps:?}");
}

#[test]
fn linear_starts_are_partial_permutations() {
    for (initialization, sign) in [(Initialization::Identity, 1), (Initialization::Reverse, -1)] {
        let layer = OrthogonalLinearConfig::new(3, 7)
            .with_initialization(initialization)
            .with_seed(Some(2))
            .init(&Device::flex());
        let weight: Vec<f32> = layer.weight().into_data().iter().collect();
        let rows: Vec<i32> = (0..3)
            .map(|column| (0..7).position(|row| weight[row * 3 + column] == 1.0).unwrap() as i32)
            .collect();
        assert!(rows.windows(2).all(|pair| (pair[1] - pair[0]) * sign > 0), "{rows:?}");
        assert_eq!(weight.iter().sum::<f32>(), 3.0);
    }
}

fn init(change: impl FnOnce(OrthogonalConv2dConfig) -> OrthogonalConv2dConfig) -> OrthogonalConv2d {
    change(OrthogonalConv2dConfig::new([4, 4], [4, 4]).with_seed(Some(1))).init(&Device::flex())
}

macro_rules! refuses {
    ($($name:ident: $message:literal, $work:expr;)*) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            let _ = $work;
        }
    )*};
}

refuses! {
    refuses_no_groups: "and groups 0 must be positive", init(|c| c.with_groups(0));
    refuses_no_dilation: "dilation [0, 1] and groups 1 must be positive", init(|c| c.with_dilation([0, 1]));
    refuses_a_torus_for_even_kernels: "Torus initialization needs an odd number of taps", init(|c| c.with_initialization(Initialization::Torus));
    refuses_the_identity_for_even_kernels: "Identity initialization needs an odd number of taps (kernel_size over stride) on every axis, got kernel_size [4, 4] and stride [1, 1]; use Uniform",
        init(|c| c.with_initialization(Initialization::Identity));
    refuses_the_reverse_for_even_kernels: "Reverse initialization needs an odd number of taps", init(|c| c.with_initialization(Initialization::Reverse));
    refuses_single_taps_with_unequal_ranks: "pairs the factors, which must have equal ranks, got [[1, 2], [2, 2]]",
        init(|c| OrthogonalConv2dConfig { kernel_size: [3, 3], ..c }.with_ranks(Ranks::Each(vec![vec![1, 2], vec![2, 2]])));
    refuses_the_published_order_of_folded_kernels: "the published order of transposed layers needs a kernel_size that is a multiple of the stride, got [3, 3] and [2, 2]",
        OrthogonalConvTranspose2dConfig::new([4, 4], [3, 3]).with_stride([2, 2])
            .with_composition(Composition::Adaptive).with_order(TransposedOrder::Published).init(&Device::flex());
    refuses_explicit_padding_of_the_height_of_a_sequence: "must be Explicit([0, 2]), got Explicit([1, 2])",
        OrthogonalConv1dConfig::new([2, 2], 3).with_padding(OrthogonalPadding::Explicit([1, 2])).init(&Device::flex());
    refuses_sequences_that_are_no_multiple_of_the_stride: "positive multiples of the stride [1, 2] under Circular padding, got [1, 3]",
        OrthogonalConv1dConfig::new([2, 4], 4).with_stride(2).init(&Device::flex()).forward(Tensor::ones([1, 2, 3], &Device::flex()));
    refuses_to_invert_sequences_that_lose_channels: "there is no inverse with 2 output channels below 4",
        OrthogonalConv1dConfig::new([2, 2], 4).with_stride(2).init(&Device::flex()).inverse(Tensor::ones([1, 2, 3], &Device::flex()));
    refuses_to_invert_transposed_sequences_that_lose_channels: "there is no inverse with 2 output channels times stride below 3 input channels",
        OrthogonalConvTranspose1dConfig::new([3, 2], 3).init(&Device::flex()).inverse(Tensor::ones([1, 2, 3], &Device::flex()));
    refuses_to_invert_transposed_layers_that_lose_channels: "there is no inverse with 8 output channels times strides below 9 input channels",
        OrthogonalConvTranspose2dConfig::new([9, 2], [2, 2]).with_stride([2, 2]).init(&Device::flex()).inverse(Tensor::ones([1, 2, 2, 2], &Device::flex()));
    refuses_to_invert_matrices_that_lose_features: "there is no inverse with 2 output features below 3 input features",
        OrthogonalLinearConfig::new(3, 2).init(&Device::flex()).inverse(Tensor::<2>::ones([1, 2], &Device::flex()));
    refuses_outputs_that_no_image_gives: "no image gives an output of this size under Explicit([4, 4]) padding",
        init(|c| c.with_padding(OrthogonalPadding::Explicit([4, 4]))).adjoint(Tensor::ones([1, 4, 2, 2], &Device::flex()));
    refuses_to_export_a_transposed_layer_that_crops_unevenly: "crops both sides alike, but Same padding takes [(2, 1), (2, 1)]",
        OrthogonalConvTranspose2dConfig::new([2, 2], [4, 4]).with_padding(OrthogonalPadding::Same).init(&Device::flex()).to_conv_transpose2d();
    refuses_zero_channels: "must be positive", init(|c| OrthogonalConv2dConfig { channels: [0, 4], ..c });
    refuses_groups_that_do_not_divide: "channels must be divisible by groups, got [4, 4] and 3", init(|c| c.with_groups(3));
    refuses_kernels_that_are_no_multiple_of_the_stride: "must be a multiple of the stride on every axis (or set composition to Adaptive), got [4, 4] and [3, 1]", init(|c| c.with_stride([3, 1]));
    refuses_kernels_below_the_stride: "kernel_size must be at least the stride", init(|c| c.with_stride([1, 5]).with_composition(Composition::Adaptive));
    refuses_stride_and_dilation_on_one_axis: "stride and dilation cannot both exceed 1", init(|c| c.with_stride([1, 2]).with_dilation([1, 2]));
    refuses_single_tap_starts_for_even_kernels: "Permutation initialization needs an odd number of taps", init(|c| c.with_initialization(Initialization::Permutation));
    refuses_ranks_above_the_size: "must be at most the filter's size 4", init(|c| c.with_ranks(Ranks::Equal(5)));
    refuses_a_wrong_number_of_ranks: "must have one entry per factor, [3, 3] per axis, got [1]", init(|c| c.with_ranks(Ranks::Each(vec![vec![1]])));
    refuses_images_that_are_no_multiple_of_the_stride: "positive multiples of the stride [2, 2] under Circular padding, got [4, 3]",
        init(|c| c.with_stride([2, 2])).forward(Tensor::ones([1, 4, 4, 3], &Device::flex()));
    refuses_other_channels: "input must have 4 channels, got 3", init(|c| c).forward(Tensor::ones([1, 3, 4, 4], &Device::flex()));
    refuses_to_invert_layers_that_lose_channels: "there is no inverse with 4 output channels below 16",
        init(|c| c.with_stride([2, 2])).inverse(Tensor::ones([1, 4, 2, 2], &Device::flex()));
    refuses_to_invert_under_zero_padding: "there is no inverse under Full padding",
        init(|c| c.with_padding(OrthogonalPadding::Full)).inverse(Tensor::ones([1, 4, 7, 7], &Device::flex()));
    reports_parameters_that_are_not_finite: "the entries must be finite",
        perturbed(init(|c| c), f64::NAN, &mut rng(1)).kernel();
    refuses_a_torus_that_is_not_square: "Torus initialization needs a square matrix",
        OrthogonalLinearConfig::new(2, 3).with_initialization(Initialization::Torus).init(&Device::flex());
    refuses_other_features: "input must have 2 features on its last axis, got 3",
        OrthogonalLinearConfig::new(2, 3).init(&Device::flex()).forward(Tensor::<2>::ones([1, 3], &Device::flex()));
}
