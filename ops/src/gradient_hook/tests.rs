#![allow(clippy::unwrap_used)]

use std::sync::mpsc;
use std::time::Duration;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, GradientCheckpointingStrategy, Tensor, TensorData};

use super::*;

/// Runs in a thread and fails, instead of hanging, if it takes longer than a minute.
fn within_a_minute(work: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        let _ = sender.send(());
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the backward pass is blocked"),
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

fn leaf<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
}

fn gradient<const D: usize>(leaf: &Tensor<D>, loss: Tensor<1>) -> Vec<f32> {
    leaf.grad(&loss.backward()).unwrap().into_data().iter::<f32>().collect()
}

#[test]
fn the_forward_is_the_identity_and_the_backward_is_the_hook() {
    within_a_minute(|| {
        let x = leaf(vec![1.0, -2.0], [2]);
        let factors = Tensor::<1>::from_data([10.0, 100.0], &Device::flex());
        let y = gradient_hook(x.clone(), factors, |factors, g| g * factors.clone());
        assert_eq!(y.to_data(), x.to_data());
        assert_eq!(gradient(&x, y.square().sum()), [20.0, -400.0]);
    });
}

#[test]
fn works_under_gradient_checkpointing_and_on_plain_tensors() {
    within_a_minute(|| {
        let device = Device::flex().autodiff().gradient_checkpointing();
        let x = Tensor::<1>::from_data([3.0], &device).require_grad();
        assert_eq!(
            x.gradient_checkpointing_strategy(),
            Some(GradientCheckpointingStrategy::Balanced)
        );
        let y = scale_gradient(x.clone() * 2.0, 7.0).exp();
        let expected = 14.0 * 6.0f32.exp();
        assert!((gradient(&x, y.sum())[0] / expected - 1.0).abs() < 1e-5);
        let plain = Tensor::<1>::from_data([3.0], &Device::flex());
        assert!(!scale_gradient(plain, 7.0).is_autodiff());
        let untracked = Tensor::<1>::from_data([3.0], &Device::flex().autodiff());
        assert!(!scale_gradient(untracked, 7.0).is_tracked());
    });
}

#[test]
fn a_hook_may_differentiate_and_hooks_may_nest() {
    within_a_minute(|| {
        let x = leaf(vec![0.5], [1]);
        // The hook of a hook: the inner graph has a hook of its own.
        let y = gradient_hook(x.clone(), (), |(), g| {
            let inner = Tensor::<1>::from_inner(g).require_grad();
            let loss = scale_gradient(inner.clone().square(), 3.0).sum();
            inner.grad(&loss.backward()).unwrap()
        });
        // 3 * 2 g with g = 5
        assert_eq!(gradient(&x, (y * 5.0).sum()), [30.0]);
    });
}

#[test]
fn hooks_in_series_and_one_hooked_tensor_used_twice() {
    within_a_minute(|| {
        let x = leaf(vec![1.0], [1]);
        let y = scale_gradient(scale_gradient(x.clone(), 2.0) * 3.0, 5.0);
        assert_eq!(gradient(&x, y.sum()), [30.0]);
        let y = scale_gradient(x.clone(), 2.0);
        // Both uses add up before the hook.
        assert_eq!(gradient(&x, (y.clone() * 3.0 + y * 4.0).sum()), [14.0]);
    });
}

#[test]
fn four_threads_run_their_hooks_at_once() {
    within_a_minute(|| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for _ in 0..50 {
                        let x = leaf(vec![thread as f32; 64], [64]);
                        let y = gradient_hook(x.clone(), (), |(), g| {
                            let inner = Tensor::<1>::from_inner(g).require_grad();
                            let loss = inner.clone().square().sum();
                            inner.grad(&loss.backward()).unwrap()
                        });
                        let found = gradient(&x, (y * 3.0).sum());
                        assert!(found.iter().all(|&g| g == 6.0));
                    }
                });
            }
        });
    });
}

#[test]
#[should_panic(expected = "but a tensor of shape [2] does; capture `tensor.inner()`")]
fn a_tracked_capture_panics_instead_of_blocking() {
    within_a_minute(|| {
        let x = leaf(vec![1.0, 2.0], [2]);
        let y = gradient_hook(x.clone(), x.clone(), |x, g| g * x.clone());
        gradient(&x, y.sum());
    });
}

#[test]
#[should_panic(expected = "but a parameter of shape [2, 3] does")]
fn a_module_in_training_panics_instead_of_blocking() {
    let layer: Linear = LinearConfig::new(2, 3).init(&Device::flex().autodiff());
    let x = leaf(vec![1.0; 3], [1, 3]);
    gradient_hook(x, CapturedModule(layer), |layer, g| g.matmul(layer.0.weight.val().transpose()));
}

#[test]
fn a_module_without_autodiff_may_be_captured() {
    within_a_minute(|| {
        let layer: Linear = LinearConfig::new(3, 3).init(&Device::flex().autodiff());
        let x = leaf(vec![1.0; 3], [1, 3]);
        let captured = CapturedModule(layer.valid());
        let y = gradient_hook(x.clone(), captured, |layer, g| {
            g.matmul(layer.0.weight.val().transpose())
        });
        let weight = layer.weight.val().inner();
        let expected = weight.sum_dim(1).into_data();
        let found =
            Tensor::<2>::from_data(TensorData::new(gradient(&x, y.sum()), [3, 1]), &Device::flex());
        found
            .into_data()
            .assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::absolute(1e-6));
    });
}

#[test]
#[should_panic(expected = "must keep the gradient's shape [2] and type F32, got [1]")]
fn a_hook_that_changes_the_shape_is_named() {
    let x = leaf(vec![1.0, 2.0], [2]);
    let y = gradient_hook(x.clone(), (), |(), g| g.narrow(0, 0, 1));
    gradient(&x, y.sum());
}

#[test]
fn gradients_are_reversed_clipped_and_tapped() {
    within_a_minute(|| {
        let x = leaf(vec![0.0; 4], [2, 2]);
        let weights = Tensor::<2>::from_data([[3.0, 4.0], [0.3, -0.4]], &Device::flex());
        let loss = |y: Tensor<2>| (y * Tensor::from_inner(weights.clone())).sum();
        assert_eq!(gradient(&x, loss(reverse_gradient(x.clone(), 2.0))), [-6.0, -8.0, -0.6, 0.8]);
        assert_eq!(gradient(&x, loss(clip_gradient_value(x.clone(), 1.0))), [1.0, 1.0, 0.3, -0.4]);
        let rows = gradient(&x, loss(clip_gradient_norm_per_sample(x.clone(), 1.0)));
        for (found, expected) in rows.iter().zip([0.6, 0.8, 0.3, -0.4]) {
            assert!((found - expected).abs() < 1e-6, "{rows:?}");
        }
        let all = gradient(&x, loss(clip_gradient_norm(x.clone(), 1e-3)));
        let norm: f32 = all.iter().map(|g| g * g).sum::<f32>().sqrt();
        assert!((norm / 1e-3 - 1.0).abs() < 1e-5, "{norm}");
        let (y, tap) = tap_gradient(x.clone());
        gradient(&x, loss(y));
        assert_eq!(tap.take().unwrap().into_data(), weights.to_data());
        assert!(tap.take().is_none());
    });
}

#[test]
fn clipping_survives_tiny_huge_and_zero_gradients() {
    for (scale, expected) in [(1e-30f32, 1e-30f32), (1e30, 1.0), (0.0, 0.0)] {
        let x = leaf(vec![0.0], [1]);
        let y = clip_gradient_norm(x.clone(), 1.0) * scale;
        assert_eq!(gradient(&x, y.sum()), [expected]);
    }
}
