//! Every family on small images: shapes, Lipschitz constants, norms, errors.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor, TensorData};
use firebrick_ops::orthogonal::HostMatrix;

use super::*;
use crate::lipschitz::{ActivationKind, InputNormalizationConfig};
use crate::orthogonal::{OrthogonalConv2d, OrthogonalLayer, OrthogonalLinear, OrthogonalMatrix};

type Network = OrthogonalNetwork<OrthogonalConv2d, OrthogonalLinear>;

fn wave(shape: [usize; 4]) -> Tensor<4> {
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.7311).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn layers() -> Layers<OrthogonalConv2d, OrthogonalLinear> {
    Layers::sc_fac(&Device::flex()).with_seed(3)
}

/// All families, as small as their rules permit.
fn families() -> Vec<(&'static str, Network)> {
    let shape = [2, 16, 16];
    let resnet = |way| {
        OrthogonalResNetConfig::new(4)
            .with_depth(8)
            .with_image_shape(shape)
            .with_base_channels(2)
            .with_downsampling(way)
            .init_with(&mut layers())
    };
    let wide = OrthogonalWideResNetConfig::new(4).with_image_shape(shape).with_base_channels(2);
    let first = OrthogonalWideResNetConfig::cayley(4).with_image_shape(shape).with_base_channels(2);
    let shuffle = OrthogonalShuffleNetConfig::new(4).with_depth(8).with_image_shape(shape);
    let lip = LipConvNetConfig::new(4).with_depth(10).with_base_channels(2);
    vec![
        ("ResNet, pool", resnet(Downsampling::Pool)),
        ("ResNet, wide", resnet(Downsampling::StrideWide)),
        ("ResNet, slim", resnet(Downsampling::StrideSlim)),
        ("WideResNet", wide.with_widen(2).init_with(&mut layers())),
        ("WideResNet, activations first", first.with_widen(2).init_with(&mut layers())),
        ("ShuffleNet", shuffle.with_base_channels(4).init_with(&mut layers())),
        ("LipConvNet", lip.with_image_shape([2, 12, 12]).init_with(&mut layers())),
        ("KWLarge", {
            let config = KwLargeConfig::new(4).with_image_shape(shape).with_base_channels(2);
            config.with_hidden(8).init_with(&mut layers())
        }),
        ("ResNet9", {
            let config = OrthogonalResNet9Config::new(4).with_image_shape(shape);
            config.with_base_channels(2).with_hidden(8).init_with(&mut layers())
        }),
        ("small", {
            let config = OrthogonalCnnConfig::new(4).with_image_shape(shape);
            config.with_channels([4, 8]).with_hidden(8).init_with(&mut layers())
        }),
    ]
}

/// Singular values of the Jacobian at one image.
fn singular_values(network: &Network) -> Vec<f64> {
    let [channels, height, width] = network.image_shape();
    let image = wave([1, channels, height, width]).repeat_dim(0, 4);
    let copies = Tensor::from_inner(image).require_grad();
    let unit = Tensor::<2>::eye(4, &Device::flex());
    let gradients = (network.forward(copies.clone()) * unit).sum().backward();
    let rows: Vec<f64> = copies.grad(&gradients).unwrap().into_data().iter::<f64>().collect();
    HostMatrix::new(4, rows.len() / 4, rows).singular_values()
}

#[test]
fn all_families_are_1_lipschitz_and_give_logits() {
    for (name, network) in families() {
        let [channels, height, width] = network.image_shape();
        let logits = network.forward(wave([3, channels, height, width]));
        assert_eq!(logits.dims(), [3, 4], "{name}");
        let values = singular_values(&network);
        assert!(values[0] <= 1.0 + 1e-5 && values[0] > 0.01, "{name}: {values:?}");
        let bound = network.lipschitz_bound(|_, _| 1.0);
        assert!((bound - 1.0).abs() < 1e-6, "{name}");
    }
}

#[test]
fn a_chain_that_adds_no_channels_keeps_the_norm_of_gradients() {
    let mut layers = layers();
    let builder = NetworkBuilder::new("chain", &mut layers, [4, 8, 8], ActivationKind::MaxMin);
    let network = (0..20).fold(builder, |network, at| {
        let (channels, stride) = (network.channels(), if at == 10 { 2 } else { 1 });
        network.convolution(channels, 3 * stride, stride).activation()
    });
    let network = network.classes(4, LastLayer::Matrix);
    let values = singular_values(&network);
    assert!(values.iter().all(|value| (value - 1.0).abs() < 1e-4), "{values:?}");
}

fn works<C, M>(name: &str, mut layers: Layers<C, M>, lipschitz: bool)
where
    C: OrthogonalLayer + ModuleDisplay,
    M: OrthogonalMatrix,
{
    let config = OrthogonalCnnConfig::new(4).with_channels([4, 8]).with_hidden(8);
    let network = config.init_with(&mut layers);
    let (a, b) = (wave([2, 1, 8, 8]), wave([2, 1, 8, 8]) * 0.9);
    let norm = |x: Tensor<2>| x.powi_scalar(2).sum().sqrt().into_scalar::<f64>();
    let change = norm(network.forward(a.clone()) - network.forward(b.clone()));
    let moved = norm((a - b).flatten(1, 3));
    assert!(change > 0.0 && (!lipschitz || change <= moved * 1.0001), "{name}: {change} {moved}");
}

#[test]
fn every_supplier_of_layers_drops_in() {
    let device = Device::flex();
    works("SC-Fac", Layers::sc_fac(&device).with_seed(1), true);
    works("Cayley", Layers::cayley(&device).with_seed(1), true);
    works("BCOP", Layers::bcop(&device).with_seed(1), true);
    works("AOC", Layers::aoc(&device).with_seed(1), true);
    works("SOC", Layers::soc(&device).with_seed(1), true);
    works("RKO", Layers::rko(&device).with_seed(1), true);
    works("plain", Layers::plain(&device).with_seed(1), false);
}

#[test]
fn a_seed_fixes_the_start_and_every_layer_has_its_own() {
    let config = OrthogonalCnnConfig::new(4).with_last_layer(LastLayer::UnitRows);
    let of = |seed| {
        let network = config.init_with(&mut Layers::sc_fac(&Device::flex()).with_seed(seed));
        network.forward(wave([1, 1, 8, 8])).into_data()
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    let mut layers = layers();
    assert_ne!(layers.next_seed(), layers.next_seed());
}

#[test]
fn deviations_of_the_input_count_in_the_bound() {
    let network = OrthogonalCnnConfig::new(4).init(&Device::flex());
    let input = InputNormalizationConfig::new(vec![0.3]).with_deviation(Some(vec![0.25]));
    let network = network.with_input(input.init(&Device::flex()));
    assert_eq!(network.lipschitz_bound(|_, _| 1.0), 4.0);
    let names: Vec<String> = {
        let mut names = Vec::new();
        network.lipschitz_bound(|name, _| {
            names.push(name);
            1.0
        });
        names
    };
    assert_eq!(names.len(), 5);
    assert_eq!(network.num_params(), network.clone().no_grad().num_params());
}

#[test]
fn the_deepest_chain_ends_in_one_pixel() {
    let network = LipConvNetConfig::new(4).with_depth(5).with_base_channels(2);
    // 7 is odd: no stride at all, and kernels of 3.
    let network = network.with_image_shape([1, 7, 7]).init(&Device::flex());
    assert_eq!(network.forward(wave([1, 1, 7, 7])).dims(), [1, 4]);
    assert_eq!(network.last_matrix().unwrap().dims(), [4, 64 * 49]);
}

#[test]
#[should_panic(expected = "OrthogonalResNetConfig: depth must be 6 m + 2 with m from 1, got 10")]
fn refuses_a_depth_with_the_wrong_rest() {
    OrthogonalResNetConfig::new(4).with_depth(10).init(&Device::flex());
}

#[test]
#[should_panic(expected = "OrthogonalWideResNetConfig: depth must be 6 m + 4 with m from 1, got 4")]
fn refuses_a_depth_without_blocks() {
    OrthogonalWideResNetConfig::new(4).with_depth(4).init(&Device::flex());
}

#[test]
#[should_panic(expected = "LipConvNetConfig: depth must be a positive multiple of 5, got 7")]
fn refuses_a_chain_that_is_no_multiple_of_its_stages() {
    LipConvNetConfig::new(4).with_depth(7).init(&Device::flex());
}

#[test]
#[should_panic(expected = "channels must be even to be split in halves, got [3, 4]")]
fn refuses_to_split_odd_channels() {
    ShuffleBlockConfig::new([3, 4]).init(&mut layers(), [4, 4]);
}

#[test]
#[should_panic(expected = "MaxMin needs a positive multiple of 2 channels, got 3")]
fn refuses_to_pair_odd_channels() {
    ResidualBlockConfig::new([3, 3]).init(&mut layers(), [4, 4]);
}

#[test]
#[should_panic(expected = "the pooling window 2 must divide the image at its place, got [5, 6]")]
fn refuses_an_image_that_a_block_cannot_halve() {
    ResidualBlockConfig::new([2, 4]).with_stride(2).init(&mut layers(), [5, 6]);
}

#[test]
#[should_panic(expected = "images must have the shape [1, 8, 8], got [1, 8, 4]")]
fn refuses_images_of_another_shape() {
    OrthogonalCnnConfig::new(4).init(&Device::flex()).forward(wave([1, 1, 8, 4]));
}

#[test]
fn relu_stands_in_for_the_sort_in_plain_networks() {
    let config = LipConvNetConfig::new(4).with_depth(5).with_base_channels(2);
    let config = config.with_image_shape([1, 8, 8]).with_activation(ActivationKind::Relu);
    let network = config.init_with(&mut Layers::plain(&Device::flex()).with_seed(0));
    assert!(network.parts.iter().any(|part| matches!(part, Part::Activation(_))));
    assert_eq!(network.forward(wave([1, 1, 8, 8])).dims(), [1, 4]);
}
