//! Orthogonality, gradients and errors of the comparison layers, and the report that measures layers.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used)]

mod gradients;
mod report;

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick_models::orthogonal::alternatives::*;
use firebrick_models::orthogonal::{
    OrthogonalLayer, OrthogonalMatrix, OrthogonalPadding, SpectrumMethod, orthogonality_report,
};
use firebrick_ops::spectrum::RingConv;
use proptest::prelude::*;

/// A device with 64 bits.
fn f64_on(device: &Device) -> (&Device, DType) {
    (device, DType::F64)
}

fn wave<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|i| ((i + 31 * seed) as f64 * 0.7311).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |max, (a, b)| f64::max(max, (a - b).abs()))
}

fn ring_of(kernel: Tensor<4>) -> RingConv {
    let shape = kernel.dims();
    RingConv::new(host(kernel), shape)
}

/// `max |Q^T Q - I|` of a tall matrix, `max |Q Q^T - I|` of a wide one.
fn defect(matrix: Tensor<2>) -> f64 {
    let [rows, columns] = matrix.dims();
    let gram = if rows >= columns {
        matrix.clone().transpose().matmul(matrix)
    } else {
        matrix.clone().matmul(matrix.transpose())
    };
    let n = rows.min(columns);
    let identity: Vec<f64> = (0..n * n).map(|at| f64::from(u8::from(at % (n + 1) == 0))).collect();
    worst(&host(gram), &identity)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn matrices_are_orthogonal_for_all_shapes(
        d_input in 1usize..12, d_output in 1usize..12, seed in any::<u64>(),
    ) {
        let device = Device::flex();
        let bjorck = BjorckLinearConfig::new(d_input, d_output).with_seed(Some(seed));
        prop_assert!(defect(bjorck.init(f64_on(&device)).matrix()) < 1e-13);
        let cayley = CayleyLinearConfig::new(d_input, d_output).with_seed(Some(seed));
        prop_assert!(defect(cayley.init(f64_on(&device)).matrix()) < 1e-13);
        let householder = HouseholderLinearConfig::new(d_input, d_output).with_seed(Some(seed));
        let householder = householder.init(f64_on(&device));
        prop_assert!(defect(householder.matrix()) < 1e-12);
    }

    #[test]
    fn bcop_kernels_are_orthogonal_for_every_image(
        inputs in 1usize..6, outputs in 1usize..6, kernel in 1usize..6, seed in any::<u64>(),
    ) {
        let config = BcopConv2dConfig::new([inputs, outputs], kernel).with_seed(Some(seed));
        let layer = config.init(f64_on(&Device::flex()));
        let conv = ring_of(layer.kernel());
        prop_assert!(conv.defect() < 1e-12, "{}", conv.defect());
        for value in conv.singular_values([3, 4]) {
            prop_assert!((value - 1.0).abs() < 1e-12, "{value}");
        }
    }

    #[test]
    fn aoc_kernels_are_orthogonal_with_stride_dilation_and_groups(
        inputs in 1usize..4, outputs in 1usize..6, more in 0usize..3, stride in 1usize..4,
        dilation in 1usize..3, groups in 1usize..3, seed in any::<u64>(),
    ) {
        let dilation = if stride > 1 { 1 } else { dilation };
        let config = AocConv2dConfig::new([inputs * groups, outputs * groups], stride + more)
            .with_stride(stride).with_dilation(dilation).with_groups(groups).with_seed(Some(seed));
        let layer = config.init(f64_on(&Device::flex()));
        let conv = ring_of(layer.kernel()).with_groups(groups).with_stride([stride; 2])
            .with_dilation([dilation; 2]);
        prop_assert!(conv.defect() < 1e-12, "{}", conv.defect());
        let image = [2 * stride, 3 * stride];
        let report = orthogonality_report(&layer, image);
        prop_assert!(report.deviation < 1e-12, "{report}");
        prop_assert!(worst(&report.singular_values, &conv.singular_values(image)) < 1e-12);
    }

    #[test]
    fn cayley_convolutions_are_orthogonal_on_odd_and_oblong_images(
        inputs in 1usize..5, outputs in 1usize..5, kernel in 1usize..4,
        height in 1usize..6, width in 1usize..6, seed in any::<u64>(),
    ) {
        let config = CayleyConv2dConfig::new([inputs, outputs], kernel, [height, width]);
        let layer = config.with_seed(Some(seed)).init(f64_on(&Device::flex()));
        let report = orthogonality_report(&layer, [height, width]);
        prop_assert!(report.deviation < 1e-13, "{report}");
        // Another size than the one it was made for.
        let report = orthogonality_report(&layer, [width, height + 1]);
        prop_assert!(report.deviation < 1e-13, "{report}");
        let ratio = if inputs <= outputs { report.output_ratio } else { report.gradient_ratio };
        prop_assert!((ratio.max - 1.0).abs() < 1e-13 && (ratio.min - 1.0).abs() < 1e-13);
    }
}

#[test]
fn bjorck_finds_the_polar_factor() {
    let device = Device::flex();
    let rotation = CayleyLinearConfig::new(4, 6).with_seed(Some(1)).init(f64_on(&device)).matrix();
    let stretch = Tensor::<1>::from_data([3.0, 0.2, 1.0, 0.05], (&device, DType::F64));
    let [basis] = [CayleyLinearConfig::new(4, 4).with_seed(Some(2)).init(f64_on(&device)).matrix()];
    let symmetric = basis.clone().matmul(basis.transpose() * stretch.unsqueeze_dim::<2>(1));
    let matrix = rotation.clone().matmul(symmetric).unsqueeze::<3>();
    let found = BjorckConfig::new().orthonormalize(matrix.clone());
    assert!(worst(&host(found), &host(rotation.clone())) < 1e-13);
    let wide = BjorckConfig::new().orthonormalize(matrix.swap_dims(1, 2));
    assert!(worst(&host(wide.swap_dims(1, 2)), &host(rotation)) < 1e-13);
}

#[test]
fn householder_is_the_product_of_its_reflections() {
    let device = Device::flex();
    let config = HouseholderLinearConfig::new(5, 5).with_reflections(Some(3));
    let layer = config.with_seed(Some(0)).init(f64_on(&device));
    let vectors = layer.vectors.val();
    let identity = Tensor::<2>::eye(5, &device).cast(DType::F64);
    let reflection = |index: usize| {
        let v = vectors.clone().narrow(1, index, 1);
        let outer = v.clone().matmul(v.clone().transpose());
        identity.clone() - outer * 2.0 / v.powi_scalar(2).sum().unsqueeze::<2>()
    };
    let expected = reflection(0).matmul(reflection(1)).matmul(reflection(2));
    assert!(worst(&host(layer.matrix()), &host(expected)) < 1e-13);
}

#[test]
fn rko_is_lipschitz_and_far_from_orthogonal() {
    for (kernel, ratio) in [(3, 1.0 / 3.0), (2, 0.5), (5, 0.2)] {
        let config = RkoConv2dConfig::new([8, 8], kernel).with_seed(Some(0));
        let report = orthogonality_report(&config.init(f64_on(&Device::flex())), [8, 8]);
        assert!(report.max <= 1.0 + 1e-12, "{report}");
        assert!((report.output_ratio.mean - ratio).abs() < 0.05 * ratio, "{report}");
    }
    let config = RkoConv2dConfig::new([2, 8], 2).with_stride(2).with_seed(Some(0));
    let report = orthogonality_report(&config.init(f64_on(&Device::flex())), [6, 4]);
    assert!(report.deviation < 1e-13, "{report}");
    let config = RkoConv2dConfig::new([3, 5], 3).with_stride(2).with_seed(Some(0));
    let report = orthogonality_report(&config.init(f64_on(&Device::flex())), [6, 4]);
    assert!(report.max <= 1.0 + 1e-12, "{report}");
}

#[test]
fn rest_of_the_soc_series_obeys_its_bound() {
    let device = Device::flex();
    for padding in [OrthogonalPadding::Same, OrthogonalPadding::Circular] {
        let config = SocConv2dConfig::new([3, 3], 3).with_padding(padding).with_seed(Some(4));
        let layer = config.init(f64_on(&device));
        let kernel = layer.kernel();
        // The map on a ring has at least the norm of its restriction to an image among zeros.
        let norm = ring_of(kernel.clone()).singular_values([16, 16]).pop().unwrap();
        assert!(norm <= 2.1 + 1e-9 && norm > 0.5, "{norm}");
        let input = wave([1, 3, 7, 6], 0, &device);
        let length = |x: Tensor<4>| x.powi_scalar(2).sum().sqrt().into_scalar::<f64>();
        let series = |terms| exponential_series(input.clone(), kernel.clone(), terms, padding);
        let exact = series(40);
        assert!((length(exact.clone()) / length(input.clone()) - 1.0).abs() < 1e-13);
        let mut bound = norm;
        for terms in 1..13 {
            bound *= norm / (terms + 1) as f64;
            // The rest starts with this term and is at most a geometric series.
            let rest = bound / (1.0 - norm / (terms + 2) as f64);
            let error = length(series(terms) - exact.clone()) / length(input.clone());
            assert!(error <= if rest > 0.0 { rest } else { f64::INFINITY }, "{terms}: {error}");
            // Within a factor, so that a missing term or factorial would show.
            assert!(error > 1e-3 * bound, "{terms}: {error} of {bound}");
        }
    }
}

#[test]
fn soc_is_nearly_orthogonal_also_between_zeros_and_for_other_channels() {
    for (channels, padding) in [
        ([3, 3], OrthogonalPadding::Same),
        ([2, 4], OrthogonalPadding::Same),
        ([4, 2], OrthogonalPadding::Circular),
    ] {
        let config = SocConv2dConfig::new(channels, 3).with_padding(padding).with_seed(Some(4));
        let layer = config.init(f64_on(&Device::flex()));
        assert_eq!(layer.current_terms(), 12);
        let report = orthogonality_report(&layer, [5, 4]);
        assert!(report.deviation < 1e-5 && report.deviation > 1e-14, "{report}");
        let by = if padding == OrthogonalPadding::Same {
            SpectrumMethod::Dense
        } else {
            SpectrumMethod::Frequencies
        };
        assert_eq!(report.method, by);
        let in_training = SocConv2dConfig::new(channels, 3).init(&Device::flex().autodiff());
        assert_eq!(in_training.current_terms(), 5);
    }
}

#[test]
fn svcm_comes_near_and_stays_approximate() {
    let device = Device::flex();
    let layer = SvcmConv2dConfig::new([4, 4], 3).with_seed(Some(0)).init(f64_on(&device));
    let deviation =
        |rounds| orthogonality_report(&layer.clone().project([6, 8], rounds), [6, 8]).deviation;
    let (none, one, many) = (deviation(0), deviation(1), deviation(30));
    assert!(none > 0.5 && one < none && many < 0.6 * one && many > 1e-6, "{none} {one} {many}");
    // A kernel as large as the image loses nothing.
    let layer = SvcmConv2dConfig::new([3, 2], 4).with_seed(Some(0)).init(f64_on(&Device::flex()));
    let report = orthogonality_report(&layer.project([4, 4], 1), [4, 4]);
    assert!(report.deviation < 1e-13, "{report}");
}

#[test]
fn svcm_agrees_with_an_fft_and_a_decomposition_by_numpy() {
    // np.fft.fft2 at the size (6, 5), np.linalg.svd, U V^H, np.fft.ifft2, cut to 3x3; three rounds.
    let mut layer = SvcmConv2dConfig::new([2, 3], 3).init(f64_on(&Device::flex()));
    layer.weight = Param::from_tensor(wave([3, 2, 3, 3], 0, &Device::flex()));
    let found = host(layer.project([6, 5], 3).weight.val());
    let expected = [
        0.084349420252620,
        -0.406276859976746,
        -0.039651178190043,
        0.013217849820152,
        0.089430858138303,
        0.005906931456631,
    ];
    assert!(worst(&found[..6], &expected) < 1e-12, "{found:?}");
    let squares: f64 = found.iter().map(|value| value * value).sum();
    assert!((squares - 1.760_099_299_276_648).abs() < 1e-12, "{squares}");
    let moment: f64 = found.iter().enumerate().map(|(at, value)| at as f64 * value).sum();
    assert!((moment - 46.698_089_462_674_87).abs() < 1e-10, "{moment}");
}

#[test]
fn svcm_with_a_small_kernel_never_reaches_one_everywhere() {
    let layer = SvcmConv2dConfig::new([16, 16], 3).with_seed(Some(0)).init(f64_on(&Device::flex()));
    let mut last = [f64::INFINITY; 2];
    for rounds in [0, 1, 5, 20, 100] {
        let report = orthogonality_report(&layer.clone().project([8, 8], rounds), [8, 8]);
        let values = &report.singular_values;
        let squares: f64 = values.iter().map(|value| (value - 1.0).powi(2)).sum();
        let mean = (squares / values.len() as f64).sqrt();
        println!(
            "{rounds} rounds: s from {:.2} to {:.2}, root mean square of s - 1 {mean:.3}",
            report.min, report.max
        );
        assert!(mean < last[0] && report.deviation > 0.3, "{mean} after {rounds} rounds");
        last = [mean, report.deviation];
    }
    assert!(last[0] < 0.1 && last[1] < 0.7, "{last:?}");
}

#[test]
fn aoc_adjoint_undoes_the_layer() {
    let device = Device::flex();
    let config = AocConv2dConfig::new([2, 8], 4).with_stride(2).with_seed(Some(0));
    let layer = config.init(f64_on(&device));
    let input = wave([2, 2, 6, 8], 1, &device);
    let output = layer.forward_linear(input.clone());
    assert_eq!(output.dims(), [2, 8, 3, 4]);
    assert!(worst(&host(layer.adjoint(output)), &host(input)) < 1e-13);
}

#[test]
fn seeds_repeat_a_layer_and_the_device_varies_it() {
    let device = Device::flex();
    let kernel =
        |seed| host(BcopConv2dConfig::new([3, 3], 2).with_seed(seed).init(&device).kernel());
    assert_eq!(kernel(Some(7)), kernel(Some(7)));
    assert_ne!(kernel(Some(7)), kernel(Some(8)));
    assert_ne!(kernel(None), kernel(None));
}

#[test]
fn bias_shifts_and_the_linear_part_does_not_see_it() {
    let device = Device::flex();
    let mut layer =
        RkoConv2dConfig::new([2, 3], 3).with_bias(true).with_seed(Some(0)).init(&device);
    layer.bias = Some(Param::from_tensor(Tensor::from_data([1.0, 2.0, 3.0], &device)));
    let zeros = Tensor::zeros([1, 2, 1, 2], &device);
    assert_eq!(host(layer.forward(zeros.clone())), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
    assert_eq!(host(layer.forward_linear(zeros)), [0.0; 6]);
    let linear = HouseholderLinearConfig::new(2, 3).with_bias(true).init(&device);
    assert_eq!(linear.apply(Tensor::<3>::zeros([4, 5, 2], &device)).dims(), [4, 5, 3]);
}

/// Misuse panics with a sentence that says what was expected and what was found.
macro_rules! refuses {
    ($($name:ident: $message:literal, $misuse:expr;)*) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            let _ = $misuse(&Device::flex());
        }
    )*};
}

refuses! {
    refuses_no_channels: "BcopConv2dConfig: channels must be positive, got [0, 3]",
        |device| BcopConv2dConfig::new([0, 3], 3).init(device);
    refuses_no_kernel: "RkoConv2dConfig: kernel_size must be positive",
        |device| RkoConv2dConfig::new([2, 3], 0).init(device);
    refuses_an_even_soc_kernel: "kernel_size must be odd, got 4",
        |device| SocConv2dConfig::new([2, 2], 4).init(device);
    refuses_groups_that_do_not_divide: "groups must divide the channels [4, 6], got 4",
        |device| AocConv2dConfig::new([4, 6], 3).with_groups(4).init(device);
    refuses_a_stride_above_the_kernel: "stride must be from 1 to the kernel size 2, got 3",
        |device| AocConv2dConfig::new([4, 6], 2).with_stride(3).init(device);
    refuses_stride_with_dilation: "1 with the stride 2, got 2",
        |device| AocConv2dConfig::new([4, 6], 3).with_stride(2).with_dilation(2).init(device);
    refuses_no_reflections: "reflections must be positive",
        |device| HouseholderLinearConfig::new(2, 3).with_reflections(Some(0)).init(device);
    refuses_no_image: "image_size must be positive, got [0, 3]",
        |device| CayleyConv2dConfig::new([2, 3], 3, [0, 3]).init(device);
    refuses_other_channels: "CayleyConv2d: input must have 2 channels, got 3",
        |device| {
            let layer = CayleyConv2dConfig::new([2, 3], 3, [4, 4]).init(device);
            layer.forward(Tensor::zeros([1, 3, 4, 4], device))
        };
    refuses_an_image_that_the_stride_does_not_divide: "positive multiples of the stride [2, 2]",
        |device| {
            let layer = AocConv2dConfig::new([2, 8], 2).with_stride(2).init(device);
            layer.forward(Tensor::zeros([1, 2, 4, 5], device))
        };
    refuses_an_odd_number_of_projections: "must come in pairs, got 3 of them",
        |device| {
            let projections = Some(Tensor::zeros([3, 2, 2], device));
            bcop_kernel(projections, Tensor::eye(2, device), [2, 2])
        };
    refuses_an_orthogonal_matrix_of_another_size: "orthogonal must be 3x3",
        |device| bcop_kernel(None, Tensor::eye(2, device), [2, 3]);
    refuses_a_kernel_that_is_not_square: "as many outputs as inputs, got 3 and 2",
        |device| skew_kernel(Tensor::zeros([3, 2, 3, 3], device));
    refuses_an_image_smaller_than_the_kernel: "must not be smaller than the kernel 3x3",
        |device| SvcmConv2dConfig::new([2, 2], 3).init(device).project([2, 4], 1);
}
