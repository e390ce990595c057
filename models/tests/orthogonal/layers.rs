//! Export, import, records, float types, equivalence with the polyphase form.

use burn::module::{Module, ModuleMapper, Param};
use burn::store::ModuleRecord;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Bytes, DType, Device, Tensor};
use firebrick_models::ModelError;
use firebrick_models::orthogonal::{
    ImportLayout, Initialization, OrthogonalConv1dConfig, OrthogonalConv2dConfig,
    OrthogonalConvTranspose1dConfig, OrthogonalConvTranspose2dConfig, OrthogonalLayer,
    OrthogonalLinearConfig, OrthogonalPadding, ParameterTable,
};
use firebrick_ops::circular::circular_pad;

use crate::support::*;

#[test]
fn plain_convolutions_give_the_same_outputs() {
    let mut rng = rng(21);
    let device = Device::flex();
    for case in 0..30 {
        let (config, [channels, height, width]) = random_configuration(&mut rng);
        let padding = [
            OrthogonalPadding::Circular,
            OrthogonalPadding::Full,
            OrthogonalPadding::Same,
            OrthogonalPadding::Explicit([8, 9]),
        ][case % 4];
        let config = config.with_padding(padding).with_bias(true);
        let layer = random_layer(&config, DType::F32, &mut rng);
        let x = normal([2, channels, height, width], &mut rng, DType::F32, &device);
        let plain = layer.to_conv2d().forward(layer.pad(x.clone()));
        assert!(largest(plain - layer.forward(x)) < 1e-6);
        if padding != OrthogonalPadding::Same {
            let layer = perturbed(transposed(&config).init(&device), 0.5, &mut rng);
            let size = [height + 16, width + 18];
            let y =
                normal([1, config.channels[1], size[0], size[1]], &mut rng, DType::F32, &device);
            let plain = layer.fold(layer.to_conv_transpose2d().forward(y.clone()));
            assert!(largest(plain - layer.forward_with(layer.kernel(), y)) < 1e-4);
        }
    }
    let layer = OrthogonalLinearConfig::new(5, 3).with_bias(true).init(&device);
    let x: Tensor<2> = normal([2, 5], &mut rng, DType::F32, &device);
    assert!(largest(layer.to_linear().forward(x.clone()) - layer.forward(x)) < 1e-6);
}

#[test]
fn plain_convolutions_of_sequences_give_the_same_outputs() {
    let mut rng = rng(29);
    let device = Device::flex();
    for padding in [
        OrthogonalPadding::Circular,
        OrthogonalPadding::Full,
        OrthogonalPadding::Same,
        OrthogonalPadding::Explicit([0, 2]),
    ] {
        for (kernel, stride, dilation) in [(4, 2, 1), (3, 1, 2), (5, 1, 1)] {
            let config = OrthogonalConv1dConfig::new([2, 4], kernel)
                .with_stride(stride)
                .with_dilation(dilation)
                .with_padding(padding)
                .with_bias(true);
            let layer = perturbed(config.init(&device), 0.5, &mut rng);
            let x: Tensor<3> = normal([2, 2, 6], &mut rng, DType::F32, &device);
            let plain = layer.to_conv1d().forward(layer.pad(x.clone()));
            assert!(largest(plain - layer.forward(x)) < 1e-6, "{config}");
            let config = OrthogonalConvTranspose1dConfig::new([4, 2], kernel)
                .with_stride(stride)
                .with_dilation(dilation)
                .with_padding(padding);
            let layer = perturbed(config.init(&device), 0.5, &mut rng);
            let y: Tensor<3> = normal([2, 4, 6], &mut rng, DType::F32, &device);
            let plain = layer.fold(layer.to_conv_transpose1d().forward(y.clone()));
            assert!(largest(plain - layer.forward(y)) < 1e-6, "{config}");
        }
    }
}

#[test]
fn transposed_layers_that_crop_both_sides_alike_are_plain_ones() {
    let mut rng = rng(30);
    let config = OrthogonalConvTranspose2dConfig::new([4, 3], [3, 4])
        .with_stride([1, 2])
        .with_padding(OrthogonalPadding::Same)
        .with_bias(true);
    let layer = perturbed(config.init(&Device::flex()), 0.5, &mut rng);
    let y = normal([2, 4, 5, 3], &mut rng, DType::F32, &Device::flex());
    let plain = layer.fold(layer.to_conv_transpose2d().forward(y.clone()));
    assert!(largest(plain - layer.forward_linear(y)) < 1e-6);
}

#[test]
fn a_strided_layer_is_a_plain_one_on_polyphase_components() {
    let mut rng = rng(22);
    let device = Device::flex();
    let config = OrthogonalConv2dConfig::new([2, 9], [4, 3]).with_stride([2, 3]).with_seed(Some(1));
    let layer = random_layer(&config, DType::F64, &mut rng);
    let x = normal([2, 2, 6, 9], &mut rng, DType::F64, &device);
    // Components in the order channel, phase of the height, phase of the width.
    let rolled = circular_pad(x.clone(), [1, 0], [0, 0]).narrow(2, 0, 6);
    let components =
        rolled.reshape([2, 2, 3, 2, 3, 3]).permute([0, 1, 3, 5, 2, 4]).reshape([2, 12, 3, 3]);
    let kernel = layer
        .kernel()
        .reshape([9, 2, 2, 2, 1, 3])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([9, 12, 2, 1]);
    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    let found = conv2d(circular_pad(components, [0, 0], [1, 0]), kernel, None, options);
    assert!(largest(found - layer.forward(x)) < 1e-13);
}

#[test]
fn linear_parts_leave_the_bias_out() {
    let device = Device::flex();
    let mut layer = OrthogonalConv2dConfig::new([2, 3], [3, 3]).with_bias(true).init(&device);
    layer.bias = Some(Param::from_tensor(Tensor::ones([3], &device)));
    let x = normal([1, 2, 4, 4], &mut rng(23), DType::F32, &device);
    let difference = layer.forward(x.clone()) - layer.forward_linear(x);
    assert!(largest(difference - 1.0) < 1e-6);
    assert_eq!((OrthogonalLayer::channels(&layer), layer.stride()), ([2, 3], [1, 1]));
}

#[test]
fn export_and_import_round_trip_through_other_layouts() {
    let mut rng = rng(24);
    for _ in 0..10 {
        let (config, [channels, height, width]) = random_configuration(&mut rng);
        let layer = random_layer(&config, DType::F64, &mut rng);
        let x = normal([1, channels, height, width], &mut rng, DType::F64, &Device::flex());
        let mut other = ParameterTable::new();
        for name in layer.export().names() {
            let matrix = layer.export().get(name).unwrap().clone();
            // Upper-triangular parameters, stored by columns.
            let turned = if name.ends_with("skew") { matrix.clone() } else { matrix.transpose() };
            let sign = if name.ends_with("skew") { -1.0 } else { 1.0 };
            let [rows, columns] = turned.shape();
            let values = turned.values().iter().map(|value| sign * value).collect();
            other.insert(format!("net.0.{name}"), rows, columns, values);
        }
        let layout = ImportLayout { prefix: "net.0.".into(), transposed: true, upper: true };
        let fresh = config.clone().with_seed(Some(99)).init((&Device::flex(), DType::F64));
        let loaded = fresh.import(&other, &layout).unwrap();
        assert!(largest(loaded.forward(x.clone()) - layer.forward(x)) < 1e-12);
    }
}

#[test]
fn assigned_matrices_become_bases() {
    let config = OrthogonalConv2dConfig::new([2, 2], [1, 1]).with_seed(Some(1));
    let (c, s) = (0.6, 0.8);
    let mut table = ParameterTable::new();
    table.insert("g0.q.matrix", 2, 2, vec![c, -s, s, c]);
    let layer = config.init((&Device::flex(), DType::F64));
    let layer = layer.import(&table, &ImportLayout::default()).unwrap();
    let found: Vec<f64> = layer.kernel().into_data().iter().collect();
    assert!(found.iter().zip([c, -s, s, c]).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
    let error = |values: Vec<f64>, columns: usize| {
        let mut table = ParameterTable::new();
        table.insert("g0.q.matrix", 2, columns, values);
        config.init(&Device::flex()).import(&table, &ImportLayout::default()).unwrap_err()
    };
    assert!(matches!(error(vec![c, s, s, c], 2), ModelError::NotOrthonormal { .. }));
    assert!(matches!(
        error(vec![c, -s, s, f64::NAN], 2),
        ModelError::NotFinite { entry: [1, 1], .. }
    ));
    let message = error(vec![c, s], 1).to_string();
    assert_eq!(message, "g0.q.matrix: expected a matrix [2, 2], found [2, 1]");
}

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.cast(self.0))
    }
}

#[test]
fn layers_cast_from_32_to_64_bits_are_orthogonal_to_64_bits() {
    let mut rng = rng(25);
    let config = OrthogonalConv2dConfig::new([3, 3], [3, 3]).with_seed(Some(1));
    let layer = random_layer(&config, DType::F32, &mut rng);
    layer.kernel();
    let layer = layer.map(&mut Cast(DType::F64));
    assert_eq!(layer.kernel().dtype(), DType::F64, "the cached kernel must be dropped");
    let distance = distance_from_one(&jacobian(|x| layer.forward(x), [3, 4, 4], DType::F64));
    assert!(distance < 1e-12, "{distance:e}");
}

#[test]
fn layers_that_were_cast_to_16_bits_and_back_are_orthogonal_to_32_bits() {
    let config = OrthogonalConv2dConfig::new([3, 3], [3, 3]).with_seed(Some(1));
    let config = config.with_initialization(Initialization::Uniform);
    let layer = random_layer(&config, DType::F32, &mut rng(28));
    let narrow = layer.map(&mut Cast(DType::F16));
    assert_eq!(narrow.kernel().dtype(), DType::F16);
    let distance = distance_from_one(&jacobian(|x| narrow.forward(x), [3, 4, 4], DType::F16));
    assert!(distance < 5e-3, "composed in 32 bits, rounded once: {distance:e}");
    let layer = narrow.map(&mut Cast(DType::F32));
    let distance = distance_from_one(&jacobian(|x| layer.forward(x), [3, 4, 4], DType::F32));
    assert!(distance < 2e-6, "{distance:e}");
}

#[test]
fn records_keep_bases_and_loading_drops_the_cached_kernel() {
    let mut rng = rng(26);
    let config = OrthogonalConv2dConfig::new([3, 4], [2, 3]).with_bias(true);
    let layer = perturbed(config.clone().with_seed(Some(1)).init(&Device::flex()), 0.5, &mut rng);
    let bytes = layer.clone().into_record().into_bytes().unwrap();
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes.to_vec())).unwrap();
    let other = config.with_seed(Some(2)).init(&Device::flex());
    let before = other.kernel();
    let other = other.load_record(record);
    assert!(largest(other.kernel() - layer.kernel()) == 0.0);
    assert!(largest(before - layer.kernel()) > 0.1);
}

/// The layer's output before and after it gets the record of another layer in evaluation.
fn loaded<M: Module>(layer: M, other: &M, output: impl Fn(&M) -> Vec<f64>) {
    let before = output(&layer);
    let bytes = other.clone().into_record().into_bytes().unwrap();
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes.to_vec())).unwrap();
    let after = output(&layer.load_record(record));
    assert_eq!(after, output(other));
    assert_ne!(after, before);
}

#[test]
fn loading_in_evaluation_leaves_no_stale_kernel_in_any_kind_of_layer() {
    let device = Device::flex();
    let values = |x: Tensor<4>| x.into_data().iter::<f64>().collect::<Vec<f64>>();
    let ones = |channels| {
        Tensor::<4>::ones([1, channels, 1, 4], &device)
            * Tensor::<1>::from_data([1.0, 2.0, -1.0, 0.5], &device).unsqueeze::<4>()
    };
    let seeds = [Some(1), Some(2)];
    let [a, b] = seeds.map(|s| OrthogonalConv1dConfig::new([2, 3], 2).with_seed(s).init(&device));
    loaded(a, &b, |layer| values(layer.forward_linear(ones(2))));
    let [a, b] =
        seeds.map(|s| OrthogonalConvTranspose1dConfig::new([3, 2], 2).with_seed(s).init(&device));
    loaded(a, &b, |layer| values(layer.forward_linear(ones(3))));
    let [a, b] = seeds
        .map(|s| OrthogonalConvTranspose2dConfig::new([3, 2], [1, 2]).with_seed(s).init(&device));
    loaded(a, &b, |layer| values(layer.forward_linear(ones(3))));
    let [a, b] = seeds.map(|s| OrthogonalLinearConfig::new(4, 5).with_seed(s).init(&device));
    loaded(a, &b, |layer| values(layer.forward(ones(2))));
}

#[test]
fn moves_and_changes_of_mode_drop_the_cached_kernel() {
    let device = Device::flex();
    let layer = OrthogonalConv2dConfig::new([3, 3], [2, 2]).with_seed(Some(1)).init(&device);
    layer.kernel();
    layer.kernel();
    assert_eq!(layer.parameters().compositions(), 1);
    let moved = layer.fork(&device);
    moved.kernel();
    assert_eq!(moved.parameters().compositions(), 2);
    let trained = moved.train();
    assert!(trained.kernel().is_autodiff(), "a trained layer's kernel is differentiated");
    assert_eq!(trained.parameters().compositions(), 3);
}

#[test]
fn clones_keep_their_own_kernel() {
    let config = OrthogonalConv2dConfig::new([3, 3], [2, 2]).with_seed(Some(1));
    let layer = config.init(&Device::flex());
    let before = layer.kernel();
    let moved = perturbed(layer.clone(), 0.5, &mut rng(27));
    assert!(largest(moved.kernel() - before.clone()) > 0.1);
    assert!(largest(layer.kernel() - before) == 0.0);
}

#[test]
fn layers_display_their_settings() {
    let layer =
        OrthogonalConv2dConfig::new([4, 8], [4, 4]).with_stride([2, 2]).init(&Device::flex());
    assert_eq!(
        layer.to_string(),
        "OrthogonalConv2d {ch_in: 4, ch_out: 8, kernel_size: [4, 4], stride: [2, 2], dilation: \
         [1, 1], groups: 1, padding: Circular, bias: false, params: 1792}"
    );
    let layer = OrthogonalLinearConfig::new(2, 3).init(&Device::flex());
    assert_eq!(
        layer.to_string(),
        "OrthogonalLinear {d_input: 2, d_output: 3, bias: false, params: 15}"
    );
}
