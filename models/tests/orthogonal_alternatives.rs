//! Orthogonality, gradients and errors of the comparison layers, and of the report that measures them.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used)]

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick_models::orthogonal::alternatives::*;
use firebrick_models::orthogonal::{
    Initialization, OrthogonalConv2dConfig, OrthogonalConvTranspose2dConfig, OrthogonalLayer,
    OrthogonalLinearConfig, OrthogonalMatrix, OrthogonalPadding, Pointwise, SpectrumMethod,
    orthogonality_report,
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
fn aoc_adjoint_undoes_the_layer() {
    let device = Device::flex();
    let config = AocConv2dConfig::new([2, 8], 4).with_stride(2).with_seed(Some(0));
    let layer = config.init(f64_on(&device));
    let input = wave([2, 2, 6, 8], 1, &device);
    let output = layer.forward_linear(input.clone());
    assert_eq!(output.dims(), [2, 8, 3, 4]);
    assert!(worst(&host(layer.adjoint(output)), &host(input)) < 1e-13);
}

/// The transposed layer, which enlarges images.
#[derive(Module, Debug)]
struct Upsampling {
    conv: AocConv2d,
}

impl OrthogonalLayer for Upsampling {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_linear(input)
    }
    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        self.conv.adjoint(input)
    }
    fn channels(&self) -> [usize; 2] {
        let [inputs, outputs] = self.conv.channels();
        [outputs, inputs]
    }
    fn stride(&self) -> [usize; 2] {
        [1, 1]
    }
}

#[test]
fn report_measures_upsampling_layers_by_frequency() {
    let config = AocConv2dConfig::new([2, 6], 4).with_stride(2).with_seed(Some(0));
    let layer = Upsampling { conv: config.init(f64_on(&Device::flex())) };
    let report = orthogonality_report(&layer, [3, 2]);
    assert_eq!((report.method, report.output_size), (SpectrumMethod::Frequencies, [6, 4]));
    assert_eq!(report.singular_values.len(), 6 * 3 * 2);
    assert!(report.deviation < 1e-13, "{report}");
    assert!((report.stable_rank - 36.0).abs() < 1e-10);
    assert!((report.output_ratio.min - 1.0).abs() < 1e-13);
    assert!(report.gradient_ratio.max < 1.0);
}

#[test]
fn report_agrees_with_the_kernel_for_layers_that_are_not_orthogonal() {
    let layer = SvcmConv2dConfig::new([3, 4], 3).with_seed(Some(5)).init(f64_on(&Device::flex()));
    let report = orthogonality_report(&layer, [5, 4]);
    let expected = ring_of(layer.weight.val()).singular_values([5, 4]);
    assert!(worst(&report.singular_values, &expected) < 1e-12);
    // Mean squares of the ratios are mean squares of the singular values.
    let squares: f64 = expected.iter().map(|value| value * value).sum();
    let found = report.output_ratio.mean.powi(2) + report.output_ratio.deviation.powi(2);
    assert!((found / (squares / 60.0) - 1.0).abs() < 0.1, "{report}");
    let found = report.gradient_ratio.mean.powi(2) + report.gradient_ratio.deviation.powi(2);
    assert!((found / (squares / 80.0) - 1.0).abs() < 0.1, "{report}");
    assert!((report.stable_rank - squares / report.max.powi(2)).abs() < 1e-9);
}

#[test]
fn report_measures_every_kind_of_orthogonal_convolution() {
    let device = Device::flex();
    let config =
        |channels, kernel| OrthogonalConv2dConfig::new(channels, kernel).with_seed(Some(1));
    for (name, config) in [
        ("even", config([3, 3], [2, 4])),
        ("stride", config([2, 8], [4, 6]).with_stride([2, 2])),
        ("stride on one axis", config([2, 3], [2, 3]).with_stride([2, 1])),
        ("dilation", config([3, 4], [3, 3]).with_dilation([2, 1])),
        ("groups", config([4, 6], [3, 3]).with_groups(2)),
        ("1x1", config([5, 3], [1, 1])),
    ] {
        let report = orthogonality_report(&config.init(f64_on(&device)), [4, 6]);
        assert!(report.deviation < 1e-12, "{name}: {report}");
        assert_eq!(report.method, SpectrumMethod::Frequencies, "{name}");
    }
    let config = OrthogonalConvTranspose2dConfig::new([8, 2], [4, 4]).with_stride([2, 2]);
    let report = orthogonality_report(&config.with_bias(true).init(f64_on(&device)), [2, 3]);
    assert!(report.deviation < 1e-12, "{report}");
    assert_eq!(report.output_size, [4, 6]);
    let linear = OrthogonalLinearConfig::new(5, 3).with_seed(Some(1)).init(f64_on(&device));
    let report = orthogonality_report(&Pointwise { linear }, [1, 2]);
    assert!(report.deviation < 1e-12, "{report}");
}

#[test]
fn report_shows_what_zero_padding_costs() {
    let device = Device::flex();
    let of = |channels, padding| {
        let config = OrthogonalConv2dConfig::new(channels, [3, 3]).with_seed(Some(2));
        let config = config.with_padding(padding).with_initialization(Initialization::Uniform);
        orthogonality_report(&config.init(f64_on(&device)), [5, 4])
    };
    let full = of([2, 3], OrthogonalPadding::Full);
    assert_eq!((full.method, full.output_size), (SpectrumMethod::Dense, [7, 6]));
    assert!(full.deviation < 1e-12, "{full}");
    let same = of([3, 3], OrthogonalPadding::Same);
    assert_eq!(same.method, SpectrumMethod::Dense);
    assert!(same.max < 1.0 + 1e-12 && same.min < 0.9, "{same}");
}

#[test]
fn report_is_a_table_and_survives_json() {
    let layer = BcopConv2dConfig::new([2, 2], 3).with_seed(Some(0)).init(&Device::flex());
    let report = orthogonality_report(&layer, [4, 6]);
    let text = report.to_string();
    for part in ["2 x 4x6 -> 2 x 4x6", "48 by frequency", "worst |s - 1|", "|J^T g| / |g|"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["method"], "Frequencies");
    assert!(report.deviation < 2e-6, "{report}");
}

/// Gradients of all parameters, with their values.
struct Collect<'a> {
    gradients: &'a burn::tensor::Gradients,
    found: Vec<(ParamId, Vec<f64>)>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).expect("a gradient for every parameter");
        self.found.push((param.id, host(gradient)));
    }
}

/// Adds `step` to one entry of one parameter.
struct Nudge {
    id: ParamId,
    entry: usize,
    step: f64,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.id {
            return param;
        }
        let (id, value, mapper) = param.consume();
        let (shape, device) = (value.dims(), value.device());
        let mut values = host(value);
        values[self.entry] += self.step;
        let value = Tensor::from_data(TensorData::new(values, shape), (&device, DType::F64));
        Param::from_mapped_value(id, value.require_grad(), mapper)
    }
}

fn check_gradients<L: OrthogonalLayer>(name: &str, layer: L, image: [usize; 2]) {
    let device = Device::flex().autodiff();
    let input = wave([2, layer.channels()[0], image[0], image[1]], 1, &device);
    let loss = |layer: &L, input: Tensor<4>| {
        let output = layer.forward(input);
        let weights = wave(output.dims(), 2, &device);
        (output.powi_scalar(2) * weights.clone() + weights.cos()).sum()
    };
    let tracked = input.clone().require_grad();
    let gradients = loss(&layer, tracked.clone()).backward();
    let mut collect = Collect { gradients: &gradients, found: Vec::new() };
    layer.visit(&mut collect);
    assert!(!collect.found.is_empty(), "{name}");
    let step = 1e-6;
    let close = |what: String, found: f64, of: &dyn Fn(f64) -> f64| {
        let expected = (of(step) - of(-step)) / (2.0 * step);
        let scale = 1.0 + expected.abs();
        assert!((found - expected).abs() < 2e-7 * scale, "{name} {what}: {found} not {expected}");
    };
    for (id, gradient) in collect.found {
        let count = gradient.len();
        for entry in (0..count).step_by(count.div_ceil(5)) {
            let of = |step: f64| {
                let nudged = layer.clone().map(&mut Nudge { id, entry, step });
                loss(&nudged, input.clone()).into_scalar::<f64>()
            };
            close(format!("parameter entry {entry} of {count}"), gradient[entry], &of);
        }
    }
    let gradient = host(tracked.grad(&gradients).unwrap());
    for entry in (0..gradient.len()).step_by(gradient.len().div_ceil(4)) {
        let of = |step: f64| {
            let mut values = host(input.clone());
            values[entry] += step;
            let data = TensorData::new(values, input.dims());
            let input = Tensor::<4>::from_data(data, (&device, DType::F64));
            loss(&layer, input).into_scalar::<f64>()
        };
        close(format!("input entry {entry}"), gradient[entry], &of);
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    let device = Device::flex().autodiff();
    let device = f64_on(&device);
    let seed = Some(3);
    // The scale counts as a constant, and drops out once the iteration has converged.
    let bjorck = BjorckConfig::new().with_iterations(40);
    let linear = BjorckLinearConfig::new(3, 4).with_bjorck(bjorck).with_bias(true);
    let linear = Pointwise { linear: linear.with_seed(seed).init(device) };
    check_gradients("bjorck", linear, [2, 2]);
    for (inputs, outputs) in [(3, 5), (4, 2)] {
        let linear = CayleyLinearConfig::new(inputs, outputs).with_bias(true).with_seed(seed);
        check_gradients("cayley", Pointwise { linear: linear.init(device) }, [2, 2]);
        let conv = CayleyConv2dConfig::new([inputs, outputs], 3, [5, 4]).with_bias(true);
        check_gradients("cayley conv", conv.with_seed(seed).init(device), [5, 4]);
        let bcop = BcopConv2dConfig::new([inputs, outputs], 3).with_bjorck(bjorck);
        check_gradients("bcop", bcop.with_bias(true).with_seed(seed).init(device), [4, 3]);
        let soc = SocConv2dConfig::new([inputs, outputs], 3).with_power_iterations(400);
        check_gradients("soc", soc.with_bias(true).with_seed(seed).init(device), [4, 3]);
        let svcm = SvcmConv2dConfig::new([inputs, outputs], 3).with_bias(true).with_seed(seed);
        check_gradients("svcm", svcm.init(device), [4, 3]);
    }
    let linear = HouseholderLinearConfig::new(4, 3).with_bias(true).with_seed(seed);
    check_gradients("householder", Pointwise { linear: linear.init(device) }, [2, 2]);
    let rko = RkoConv2dConfig::new([2, 3], 3).with_bjorck(bjorck).with_bias(true);
    check_gradients("rko", rko.with_seed(seed).init(device), [4, 3]);
    let aoc = AocConv2dConfig::new([2, 6], 3).with_stride(2).with_groups(2).with_bjorck(bjorck);
    check_gradients("aoc", aoc.with_bias(true).with_seed(seed).init(device), [4, 2]);
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
