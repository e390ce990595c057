use super::*;
use burn::tensor::{DType, TensorData};
use firebrick_ops::sparse::SparseFeatures;
use proptest::prelude::*;

fn tensor(values: Vec<f64>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
}

fn number(tensor: Tensor<1>) -> f64 {
    tensor.into_data().iter::<f64>().next().unwrap()
}

proptest! {
    #[test]
    fn divergence_is_never_negative(
        mean in prop::collection::vec(-3.0..3.0f64, 6),
        log_variance in prop::collection::vec(-3.0..3.0f64, 6),
    ) {
        let device = Device::flex();
        let found = divergence(
            tensor(mean, [3, 2], &device),
            tensor(log_variance, [3, 2], &device),
        );
        prop_assert!(number(found) >= -1e-12);
    }

    #[test]
    fn cross_entropy_from_logits_is_that_of_probabilities(
        logits in prop::collection::vec(-20.0..20.0f64, 4),
        targets in prop::collection::vec(0.0..1.0f64, 4),
    ) {
        let device = Device::flex();
        let expected: f64 = logits.iter().zip(&targets).map(|(a, x)| {
            let p = 1.0 / (1.0 + (-a).exp());
            let q = 1.0 / (1.0 + a.exp());
            -(x * p.ln() + (1.0 - x) * q.ln())
        }).sum();
        let device = device.autodiff();
        let a = tensor(logits, [2, 2], &device).require_grad();
        let found = binary_cross_entropy(a.clone(), tensor(targets, [2, 2], &device));
        prop_assert!((number(found.clone()) - expected).abs() < 1e-9 * (1.0 + expected));
        let gradient = a.grad(&found.backward()).unwrap();
        prop_assert_eq!(gradient.dims(), [2, 2]);
    }
}

#[test]
fn divergence_of_the_standard_normal_is_zero() {
    let zero = || Tensor::<2>::zeros([3, 2], &Device::flex());
    assert_eq!(divergence(zero(), zero()).into_scalar::<f32>(), 0.0);
}

#[test]
fn cross_entropy_is_finite_where_sigmoid_saturates() {
    let logits = Tensor::<2>::from_data([[500.0, -500.0]], &Device::flex());
    let targets = Tensor::<2>::from_data([[0.0, 1.0]], &Device::flex());
    assert_eq!(binary_cross_entropy(logits, targets).into_scalar::<f32>(), 1000.0);
}

#[test]
fn sparse_inputs_give_the_losses_and_gradients_of_dense_ones() {
    let device = Device::flex().autodiff();
    let plain = Device::flex();
    let cvae = NeighborCvaeConfig::new(7).with_hidden(6).with_latent(3).init(&device);
    let bits = |phase: usize| {
        let values =
            (0..28).map(|i| f64::from(u8::from((i * 5 + phase).is_multiple_of(3)))).collect();
        tensor(values, [4, 7], &plain).cast(DType::F32)
    };
    let noise = || tensor((0..12).map(|i| f64::from(i).sin()).collect(), [4, 3], &plain);
    let run = |sparse: bool| {
        let [x, c] = [bits(0), bits(1)].map(|dense| match sparse {
            true => SparseFeatures::from_dense(dense).unwrap().into(),
            false => Features::from(dense),
        });
        let loss = cvae.forward(x, c.clone(), noise().cast(DType::F32)).loss;
        let gradients = loss.backward();
        let of = |layer: &Linear| layer.weight.val().grad(&gradients).unwrap().into_data();
        let generated = cvae.generate(noise().cast(DType::F32), c).into_data();
        let found = [of(&cvae.encoder.hidden), of(&cvae.decoder.hidden), generated];
        let mut found: Vec<f64> =
            found.iter().flat_map(|data| data.iter::<f64>().collect::<Vec<_>>()).collect();
        found.push(number(loss));
        found
    };
    let (dense, sparse) = (run(false), run(true));
    assert!(dense.iter().filter(|value| value.abs() > 1e-3).count() > 100);
    for (found, expected) in sparse.iter().zip(&dense) {
        assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()));
    }
}

#[test]
fn one_seed_gives_one_generator() {
    let device = Device::flex();
    let config = NeighborCvaeConfig::new(3).with_hidden(4).with_latent(2);
    let generate = |seed| {
        let cvae = config.clone().with_seed(seed).init(&device);
        cvae.generate(Tensor::ones([2, 2], &device), Tensor::ones([2, 3], &device)).into_data()
    };
    assert_eq!(generate(1), generate(1));
    assert_ne!(generate(1), generate(2));
}

#[test]
fn the_large_graph_variant_generates_between_minus_one_and_one() {
    let device = Device::flex();
    let cvae = NeighborCvaeConfig::large_graph(3).with_hidden(4).init(&device);
    let latent = Tensor::<2>::from_data(
        TensorData::new((0..50).map(|i| (i as f32).sin()).collect::<Vec<_>>(), [5, 10]),
        &device,
    );
    let found: Vec<f32> =
        cvae.generate(latent, Tensor::zeros([5, 3], &device)).into_data().iter().collect();
    assert!(found.iter().all(|value| value.abs() <= 1.0));
    assert!(found.iter().any(|value| *value < 0.0));
}

#[test]
#[should_panic(expected = "must be at least 1, got 3, 256 and 0")]
fn refuses_an_empty_latent_vector() {
    NeighborCvaeConfig::new(3).with_latent(0).init(&Device::flex());
}
