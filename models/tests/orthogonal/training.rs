//! What training does and does not change.

use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Tensor};
use firebrick_models::orthogonal::{OrthogonalConv2d, OrthogonalConv2dConfig};
use firebrick_ops::skew::Retraction;

use crate::support::*;

#[test]
fn a_thousand_adam_steps_leave_the_singular_values_at_one() {
    let mut rng = rng(11);
    let device = Device::flex().autodiff();
    for case in 0..5 {
        let (mut config, image) = random_configuration(&mut rng);
        if case == 0 {
            config.retraction = Retraction::Cayley;
        }
        let mut layer = config.init(&device);
        let mut optimizer = AdamConfig::new().init();
        let start = layer.valid().kernel();
        for _ in 0..1000 {
            let input = normal([2, image[0], image[1], image[2]], &mut rng, DType::F32, &device);
            let output = layer.forward(input);
            let target = normal(output.dims(), &mut rng, DType::F32, &device);
            let loss = (output * target).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &layer);
            layer = optimizer.step(0.01, layer, gradients);
        }
        let layer = layer.valid();
        let moved = largest(layer.kernel() - start);
        let distance = distance_from_one(&jacobian(|x| layer.forward(x), image, DType::F32));
        println!("moved {moved:.2}, distance {distance:e}: {config:?}");
        assert!(distance < 2e-5, "{distance:e} for {config:?}");
        let single = config.channels == [1, 1] && config.stride == [1, 1];
        assert!(moved > 0.1 || single, "training must change the kernel");
    }
}

/// Pairs the two halves of the channels: the larger of each pair, then the smaller.
fn max_min(x: Tensor<4>) -> Tensor<4> {
    let half = x.dims()[1] / 2;
    let (a, b) = (x.clone().narrow(1, 0, half), x.narrow(1, half, half));
    let difference = (a.clone() - b.clone()).abs();
    let sum = a + b;
    Tensor::cat(vec![(sum.clone() + difference.clone()) * 0.5, (sum - difference) * 0.5], 1)
}

#[test]
fn a_hundred_square_layers_with_sorting_keep_the_norm_of_gradients() {
    let mut rng = rng(12);
    let device = Device::flex().autodiff();
    let layers: Vec<OrthogonalConv2d> = (0..100)
        .map(|seed| {
            let config = OrthogonalConv2dConfig::new([8, 8], [3, 3]).with_seed(Some(seed));
            perturbed(config.init(&device), 0.3, &mut rng)
        })
        .collect();
    let input = normal([2, 8, 5, 5], &mut rng, DType::F32, &device).require_grad();
    let output = layers.iter().fold(input.clone(), |x, layer| max_min(layer.forward(x)));
    let ratio = norm(output.clone().inner()) / norm(input.clone().inner());
    assert!((ratio - 1.0).abs() < 1e-3, "the output's norm changed by {ratio}");
    let cotangent = normal([2, 8, 5, 5], &mut rng, DType::F32, &device);
    let gradients = (output * cotangent.clone()).sum().backward();
    let ratio = norm(input.grad(&gradients).unwrap()) / norm(cotangent.inner());
    println!("|gradient| after 100 layers / before: {ratio}");
    assert!((ratio - 1.0).abs() < 1e-3);
}

/// Gradients of both parameters for a layer, an input and a cotangent.
fn gradients_of(
    layer: &OrthogonalConv2d,
    input: Tensor<4>,
    cotangent: Tensor<4>,
) -> [Tensor<3>; 2] {
    let gradients = (layer.forward(input) * cotangent).sum().backward();
    let filter = layer.parameters().main();
    let of = |param: &Param<Tensor<3>>| param.grad(&gradients).unwrap();
    [of(filter.rotations()), of(filter.projections().unwrap())]
}

#[test]
fn gradients_in_32_bits_are_exact_to_1e_5_for_cotangents_of_any_size() {
    let mut rng = rng(13);
    let device = Device::flex().autodiff();
    for retraction in [Retraction::Exponential, Retraction::Cayley] {
        let config = OrthogonalConv2dConfig::new([16, 16], [3, 3])
            .with_retraction(retraction)
            .with_seed(Some(1));
        let single = perturbed(config.init(&device), 0.3, &mut rng);
        // The same numbers in 64 bits, bases included.
        let double = config.init((&device, DType::F64));
        let double = double.import(&single.export(), &Default::default()).unwrap();
        let input = normal([2, 16, 6, 6], &mut rng, DType::F32, &device);
        let cotangent = normal([2, 16, 6, 6], &mut rng, DType::F32, &device);
        let wide = |x: &Tensor<4>| x.clone().cast(DType::F64);
        let exact = gradients_of(&double, wide(&input), wide(&cotangent));
        for scale in [1e-3, 1.0, 100.0] {
            let found = gradients_of(&single, input.clone(), cotangent.clone() * scale);
            for (exact, found) in exact.iter().zip(found) {
                let exact = exact.clone() * scale;
                let error = norm(found.cast(DType::F64) - exact.clone()) / norm(exact);
                println!("{retraction:?}, cotangent x {scale}: {error:.2e}");
                assert!(error < 1e-5);
            }
        }
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    let mut rng = rng(14);
    let device = Device::flex().autodiff();
    for _ in 0..6 {
        let (config, image) = random_configuration(&mut rng);
        let layer = perturbed(config.init((&device, DType::F64)), 0.5, &mut rng);
        let input = normal([1, image[0], image[1], image[2]], &mut rng, DType::F64, &device);
        let shape = layer.forward(input.clone()).dims();
        let cotangent = normal(shape, &mut rng, DType::F64, &device);
        let gradients = (layer.forward(input.clone()) * cotangent.clone()).sum().backward();
        let found = layer.parameters().main().rotations().grad(&gradients).unwrap();
        let direction = normal(found.dims(), &mut rng, DType::F64, &device.clone().inner());
        let expected = (found * direction.clone()).sum().into_scalar::<f64>();
        let table = layer.export();
        let value = |step: f64| {
            let mut moved = table.clone();
            for slot in layer.slots().into_iter().filter(|slot| !slot.projection) {
                let name = format!("{}.skew", slot.name);
                let old = table.get(&name).unwrap().clone();
                let change: Vec<f64> =
                    direction.clone().narrow(0, slot.index, 1).into_data().iter().collect();
                let new = old.values().iter().zip(change).map(|(a, b)| a + step * b).collect();
                moved.insert(name, slot.shape[0], slot.shape[1], new);
            }
            let moved = layer.clone().import(&moved, &Default::default()).unwrap();
            (moved.forward(input.clone()) * cotangent.clone()).sum().into_scalar::<f64>()
        };
        let difference = (value(1e-6) - value(-1e-6)) / 2e-6;
        let error = (difference - expected).abs();
        assert!(error < 1e-7 * (1.0 + expected.abs()), "{difference} {expected}");
    }
}

#[test]
fn bases_get_no_gradient_even_if_somebody_unfreezes_them() {
    let device = Device::flex().autodiff();
    let layer = OrthogonalConv2dConfig::new([2, 2], [3, 3]).with_seed(Some(1)).init(&device);
    let (before, _) = layer.parameters().main().bases();
    let layer = layer.unfreeze();
    let loss = layer.forward(Tensor::ones([1, 2, 4, 4], &device)).sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &layer);
    let layer = AdamConfig::new().init().step(0.1, layer, gradients);
    let (after, _) = layer.parameters().main().bases();
    assert_eq!(before.into_data(), after.into_data());
}

#[test]
fn the_kernel_is_composed_once_per_training_step_and_once_in_evaluation() {
    let device = Device::flex().autodiff();
    let mut layer = OrthogonalConv2dConfig::new([2, 2], [3, 3]).with_seed(Some(1)).init(&device);
    let mut optimizer = AdamConfig::new().init();
    let input = Tensor::ones([1, 2, 4, 4], &device);
    let count = |layer: &OrthogonalConv2d| layer.parameters().compositions();
    for step in 0..3 {
        assert_eq!(count(&layer), step);
        let kernel = layer.kernel();
        let twice = layer.forward_with(kernel.clone(), layer.forward_with(kernel, input.clone()));
        let gradients = GradientsParams::from_grads(twice.sum().backward(), &layer);
        layer = optimizer.step(0.1, layer, gradients);
    }
    let evaluated = layer.valid();
    let before = count(&evaluated);
    let first = evaluated.forward(input.clone().inner());
    for _ in 0..5 {
        evaluated.forward(input.clone().inner());
    }
    assert_eq!(count(&evaluated), before + 1);
    let frozen = layer.clone().no_grad();
    frozen.forward(input.clone());
    frozen.forward(input.clone());
    assert_eq!(count(&frozen), before + 1);
    let again = evaluated.clone().forward(input.inner());
    assert!(largest(first - again) < 1e-12);
}
