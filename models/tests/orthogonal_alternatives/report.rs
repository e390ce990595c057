//! The report on layers of which the singular values are known.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firebrick_models::orthogonal::alternatives::*;
use firebrick_models::orthogonal::{
    Initialization, OrthogonalConv1dConfig, OrthogonalConv2dConfig,
    OrthogonalConvTranspose1dConfig, OrthogonalConvTranspose2dConfig, OrthogonalLayer,
    OrthogonalLinearConfig, OrthogonalPadding, Pointwise, SpectrumMethod, orthogonality_report,
};

use crate::{f64_on, host, ring_of, wave, worst};

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
fn report_measures_layers_of_sequences() {
    let device = Device::flex();
    for (channels, kernel, stride, dilation) in
        [([3, 3], 4, 1, 1), ([2, 6], 6, 3, 1), ([4, 2], 3, 1, 2)]
    {
        let config = OrthogonalConv1dConfig::new(channels, kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_bias(true)
            .with_initialization(Initialization::Uniform)
            .with_seed(Some(1));
        let layer = config.init(f64_on(&device));
        let report = orthogonality_report(&layer, [1, 6]);
        assert!(report.deviation < 1e-12, "{report}");
        assert_eq!(report.method, SpectrumMethod::Frequencies);
        assert_eq!(report.output_size, [1, 6 / stride]);
        let back = OrthogonalConvTranspose1dConfig::new([channels[1], channels[0]], kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_seed(Some(1))
            .init(f64_on(&device));
        // Two rows are two sequences.
        let report = orthogonality_report(&back, [2, 4]);
        assert!(report.deviation < 1e-12, "{report}");
        assert_eq!(report.output_size, [2, 4 * stride]);
        let rows = wave([1, channels[0], 2, 6], 0, &device);
        let both = OrthogonalLayer::forward(&layer, rows.clone());
        for row in 0..2 {
            let one = layer.forward(rows.clone().narrow(2, row, 1).squeeze_dim::<3>(2));
            let found = both.clone().narrow(2, row, 1).squeeze_dim::<3>(2);
            assert!(worst(&host(found), &host(one)) < 1e-13);
        }
    }
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
