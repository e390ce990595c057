//! Certificates against attacks, closed forms and definitions.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use firebrick_models::classifier::Classifier;
use firebrick_models::orthogonal::alternatives::{PlainLinear, PlainLinearConfig};
use firebrick_models::orthogonal::{OrthogonalConv2d, OrthogonalLinear, OrthogonalMatrix};
use firebrick_models::vision::orthogonal::{
    LastLayer, Layers, OrthogonalCnnConfig, OrthogonalNetwork, OrthogonalResNetConfig,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;
use crate::data::LabeledDataset;
use firebrick_datasets::digits;

fn normal<const D: usize>(shape: [usize; D], seed: u64, dtype: DType) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f64> =
        (0..shape.iter().product()).map(|_| rng.sample(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn labels(values: &[usize]) -> Tensor<1, Int> {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), &Device::flex())
}

/// A linear classifier of images.
#[derive(Module, Debug)]
struct Linear {
    layer: PlainLinear,
}

impl Classifier<4> for Linear {
    fn logits(&self, inputs: Tensor<4>) -> Tensor<2> {
        self.layer.apply(inputs.flatten::<2>(1, 3))
    }
}

/// Three classes of images of six pixels, in 64 bits.
fn linear(seed: u64) -> Linear {
    let mut layer =
        PlainLinearConfig::new(6, 3).with_bias(true).init((&Device::flex(), DType::F64));
    layer.weight = Param::from_tensor(normal([3, 6], seed, DType::F64));
    layer.bias = Some(Param::from_tensor(normal([3], seed + 1, DType::F64)));
    Linear { layer }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_radius_of_a_linear_model_is_its_distance_to_the_decision_boundary(seed in 0u64..1000) {
        let network = linear(seed);
        let rows = network.layer.weight.val();
        let x = normal([1, 1, 2, 3], seed + 2, DType::F64);
        let z = host(network.logits(x.clone()));
        let certifier = Certifier::new(1.0).unwrap().with_last_layer(rows.clone());
        let radius = host(certifier.radii(network.logits(x.clone())))[0];
        // Towards the class whose boundary is nearest, by the definition.
        let w = host(rows);
        let best = (0..3).max_by(|&a, &b| z[a].total_cmp(&z[b])).unwrap();
        let difference = |j: usize| -> Vec<f64> {
            (0..6).map(|k| w[6 * j + k] - w[6 * best + k]).collect()
        };
        let length = |v: &[f64]| v.iter().map(|value| value * value).sum::<f64>().sqrt();
        let distance = |j: usize| (z[best] - z[j]) / length(&difference(j));
        let nearest = (0..3)
            .filter(|&j| j != best)
            .min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
            .unwrap();
        prop_assert!((radius - distance(nearest)).abs() < 1e-12 * (1.0 + radius));
        // Just inside the prediction stays, just outside it changes.
        let direction = difference(nearest);
        let moved = |by: f64| {
            let step: Vec<f64> =
                direction.iter().map(|value| by * radius * value / length(&direction)).collect();
            let step = TensorData::new(step, [1, 1, 2, 3]);
            let step = Tensor::<4>::from_data(step, (&Device::flex(), DType::F64));
            let z = host(network.logits(x.clone() + step));
            (0..3).max_by(|&a, &b| z[a].total_cmp(&z[b])).unwrap()
        };
        prop_assert_eq!(moved(1.0 - 1e-6), best);
        prop_assert_eq!(moved(1.0 + 1e-6), nearest);
    }

    #[test]
    fn fractions_sum_to_one_and_certified_accuracy_falls_with_the_radius(
        values in prop::collection::vec(-2.0..2.0f64, 40), given in prop::collection::vec(0usize..4, 10),
    ) {
        let logits = Tensor::<2>::from_data(
            TensorData::new(values, [10, 4]), (&Device::flex(), DType::F64));
        let report = Certifier::new(0.7).unwrap().report(logits, &given).unwrap();
        let mut before = report.clean_accuracy;
        for radius in [0.0, 0.1, 0.3, 0.9] {
            let f = report.fractions(radius).unwrap();
            let sum = f.certified_right + f.certified_wrong + f.uncertified_right + f.uncertified_wrong;
            prop_assert!((sum - 1.0).abs() < 1e-12);
            prop_assert!((f.certified_right + f.uncertified_right - report.clean_accuracy).abs() < 1e-12);
            prop_assert!(f.certified_right <= before);
            before = f.certified_right;
        }
    }
}

#[test]
fn the_attack_finds_the_boundary_of_a_linear_model() {
    let network = linear(3);
    let x = normal([40, 1, 2, 3], 5, DType::F64);
    let z = network.logits(x.clone());
    let predicted: Vec<usize> =
        z.clone().argmax(1).into_data().iter::<i64>().map(|i| i as usize).collect();
    let certifier = Certifier::new(1.0).unwrap().with_last_layer(network.layer.weight.val());
    let radii = host(certifier.radii(z));
    let attack = L2AttackConfig::new().with_steps(40).with_restarts(3).init();
    let broken = |factor: f64| {
        let radii: Vec<f64> = radii.iter().map(|radius| factor * radius).collect();
        let moved = attack.perturb_within(&network, x.clone(), labels(&predicted), &radii);
        let found: Vec<i64> = network.logits(moved).argmax(1).into_data().iter::<i64>().collect();
        found.iter().zip(&predicted).filter(|(a, b)| **a != **b as i64).count()
    };
    assert_eq!(broken(0.999), 0);
    assert!(broken(1.3) >= 36, "the attack breaks {} of 40 beyond the radius", broken(1.3));
}

type Network = OrthogonalNetwork<OrthogonalConv2d, OrthogonalLinear>;

fn small_network(last: LastLayer) -> Network {
    let config =
        OrthogonalCnnConfig::new(5).with_channels([4, 8]).with_hidden(8).with_last_layer(last);
    config.init_with(&mut Layers::sc_fac(&Device::flex()).with_seed(7))
}

#[test]
fn no_attack_within_the_certified_radius_succeeds_in_ten_thousand_attempts() {
    for last in [LastLayer::Matrix, LastLayer::UnitRows] {
        let network = small_network(last);
        let images = normal([250, 1, 8, 8], 11, DType::F32);
        let logits = network.forward(images.clone());
        let certifier = Certifier::new(1.0).unwrap();
        let certifier = match last {
            LastLayer::Matrix => certifier,
            LastLayer::UnitRows => certifier.with_last_layer(network.last_matrix().unwrap()),
        };
        let radii: Vec<f64> =
            host(certifier.radii(logits.clone())).iter().map(|radius| 0.999 * radius).collect();
        let predicted = logits.argmax(1).reshape([250]);
        let mut broken = 0;
        for seed in 0..20 {
            let attack = L2AttackConfig::new().with_steps(5).with_seed(seed).init();
            let moved = attack.perturb_within(&network, images.clone(), predicted.clone(), &radii);
            let found = network.forward(moved).argmax(1).reshape([250]);
            let stays = found.equal(predicted.clone()).into_data();
            broken += stays.iter::<bool>().filter(|stays| !stays).count();
        }
        assert_eq!(broken, 0, "of 5,000 attempts with {last:?}");
    }
}

#[test]
fn attacks_keep_to_the_ball_and_to_valid_pixels_and_do_not_lower_the_loss() {
    let network = small_network(LastLayer::Matrix);
    let images = normal([16, 1, 8, 8], 1, DType::F32).clamp(0.0, 1.0);
    let given = labels(&[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]);
    let attack =
        L2AttackConfig::new().with_radius(0.5).with_range(Some([0.0, 1.0])).with_restarts(2).init();
    let moved = attack.perturb(&network, images.clone(), given.clone());
    let distance =
        host((moved.clone() - images.clone()).powi_scalar(2).sum_dim(3).sum_dim(2).sqrt());
    assert!(distance.iter().all(|&distance| distance <= 0.5 * (1.0 + 1e-5) && distance > 0.3));
    assert!(host(moved.clone()).iter().all(|pixel| (-1e-6..=1.0 + 1e-6).contains(pixel)));
    let right = |images: Tensor<4>| {
        let found = network.forward(images).argmax(1).reshape([16]).equal(given.clone());
        found.into_data().iter::<bool>().filter(|right| *right).count()
    };
    assert!(right(moved) <= right(images));
}

#[test]
fn an_attack_on_a_constant_network_has_no_gradient_and_stays_finite() {
    let mut network = linear(1);
    network.layer.weight = Param::from_tensor(Tensor::zeros([3, 6], (&Device::flex(), DType::F64)));
    let images = normal([2, 1, 2, 3], 1, DType::F64);
    let attack = L2AttackConfig::new().with_random_start(false).init();
    let moved = attack.perturb(&network, images.clone(), labels(&[0, 1]));
    assert_eq!(host(moved), host(images));
}

#[test]
fn local_search_stays_below_the_constant_and_finds_that_of_a_linear_model() {
    let network = linear(2);
    let images = normal([8, 1, 2, 3], 1, DType::F64);
    let config = LocalLipschitzConfig::new().with_steps(60);
    let ratios = host(config.init().ratios(&network, images));
    let matrix = host(network.layer.weight.val());
    let constant = firebrick_ops::orthogonal::HostMatrix::new(3, 6, matrix).singular_values()[0];
    assert!(
        ratios.iter().all(|&ratio| ratio <= constant * (1.0 + 1e-9) && ratio > 0.98 * constant)
    );
    let network = small_network(LastLayer::Matrix);
    let images = normal([32, 1, 8, 8], 3, DType::F32);
    let ratios = host(LocalLipschitzConfig::new().init().ratios(&network, images));
    assert!(ratios.iter().all(|&ratio| ratio <= 1.0 + 1e-5 && ratio > 0.3), "{ratios:?}");
}

#[test]
fn the_report_of_layers_sees_every_layer_and_what_is_not_orthogonal() {
    let device = Device::flex();
    let config = OrthogonalResNetConfig::new(4).with_depth(8).with_base_channels(2);
    let config = config.with_image_shape([1, 16, 16]);
    let report = lipschitz_report(&config.init_with(&mut Layers::sc_fac(&device).with_seed(1)));
    // A stem, three blocks of three convolutions, two linear layers.
    assert_eq!(report.layers.len(), 1 + 9 + 2);
    assert!((report.bound - 1.0).abs() < 1e-4, "{report}");
    let plain = lipschitz_report(&config.init_with(&mut Layers::plain(&device).with_seed(1)));
    assert!((plain.bound - 1.0).abs() > 0.1, "{plain}");
    let printed = plain.to_string();
    for layer in &plain.layers {
        assert!(printed.contains(&format!("{}  ", layer.name)), "{} in\n{printed}", layer.name);
    }
}

#[test]
fn clean_attacked_and_certified_accuracy_are_in_order() {
    let network = small_network(LastLayer::Matrix);
    let data = LabeledDataset::new(digits()).select(&(0..50).collect::<Vec<_>>());
    let kept: Vec<usize> = (0..50).filter(|&at| data.labels()[at] < 5).collect();
    let data = data.select(&kept);
    let robustness = RobustnessConfig::new().with_radii(vec![0.01, 0.2]).with_batch_size(7);
    let robustness = robustness.init(Certifier::new(1.0).unwrap()).unwrap();
    let report = robustness.measure(&network, &data, &Device::flex()).unwrap();
    assert!(report.is_consistent(), "{report}");
    assert_eq!(report.certificates.radii.len(), kept.len());
}

#[test]
fn ties_and_equal_rows_certify_nothing() {
    let logits = || Tensor::<2>::from_data([[1.0, 1.0, 0.0]], &Device::flex());
    let certifier = Certifier::new(1.0).unwrap();
    assert_eq!(host(certifier.radii(logits())), [0.0]);
    let report = certifier.report(logits(), &[0]).unwrap();
    assert_eq!(report.fractions(0.0).unwrap().uncertified_right, 1.0);
    let rows = Tensor::<2>::from_data([[1.0], [1.0], [0.0]], &Device::flex());
    assert_eq!(host(certifier.with_last_layer(rows).radii(logits())), [0.0]);
}

#[test]
fn bad_input_is_named() {
    let certifier = Certifier::new(1.0).unwrap();
    let report = |values: &[f64], columns: usize, labels: &[usize]| {
        let shape = [values.len() / columns, columns];
        let logits =
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &Device::flex());
        certifier.report(logits, labels).unwrap_err().to_string()
    };
    assert_eq!(report(&[1.0, 2.0], 2, &[2]), "labels, entry 0: expected a class below 2, found 2");
    assert_eq!(report(&[1.0, 2.0], 2, &[]), "labels: expected 1, one per sample, found 0");
    assert_eq!(report(&[1.0], 1, &[0]), "logits: expected at least two classes, found 1");
    assert_eq!(
        report(&[1.0, f64::NAN], 2, &[0]),
        "logits, row 0: expected finite numbers, found NaN"
    );
    let rows = Tensor::<2>::ones([3, 1], &Device::flex());
    let error = certifier
        .clone()
        .with_last_layer(rows)
        .report(Tensor::<2>::from_data([[1.0, 2.0]], &Device::flex()), &[0]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "last layer: expected one row per class, 2, found 3"
    );
    for lipschitz in [0.0, -1.0, f64::NAN] {
        assert!(Certifier::new(lipschitz).is_err());
    }
    let error = CertifiedFractions::new(&[1.0], &[true], -1.0).unwrap_err();
    assert_eq!(error.to_string(), "radius: expected a number from 0, found -1");
    assert!(RobustnessConfig::new().with_radii(vec![0.0]).init(certifier).is_err());
}
