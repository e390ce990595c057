//! Random maps and comparisons.

use std::sync::mpsc;
use std::time::Duration;

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick_models::deq::{Activation, AffineCell, Deq, DeqConfig, DeqGradient};
use firebrick_ops::fixed_point::{
    AndersonConfig, BroydenConfig, FixedPointConfig, GmresConfig, Solver,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub fn device() -> Device {
    Device::flex().autodiff()
}

pub fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (&device(), DType::F64))
}

pub fn plain<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    tensor(values, shape).inner()
}

pub fn draw(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A square matrix of the given spectral norm.
pub fn matrix(n: usize, norm: f64, seed: u64) -> Vec<f64> {
    let w = plain(draw(n * n, seed), [n, n]);
    let mut v = plain(draw(n, seed + 99), [n, 1]);
    let mut size = 1.0;
    for _ in 0..500 {
        let next = w.clone().transpose().matmul(w.clone().matmul(v));
        let length: f64 = next.clone().square().sum().sqrt().into_scalar();
        (v, size) = (next * length.recip(), length.sqrt());
    }
    numbers(&(w * (norm / size)))
}

pub fn cell(n: usize, norm: f64, activation: Activation, seed: u64) -> AffineCell {
    AffineCell::new(Param::from_tensor(tensor(matrix(n, norm, seed), [n, n])), activation)
}

pub fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter::<f64>().collect()
}

/// All solvers for the forward with all for the backward pass.
pub fn solvers() -> Vec<Solver> {
    vec![
        FixedPointConfig::new().into(),
        AndersonConfig::new().into(),
        BroydenConfig::new().with_memory(Some(100)).into(),
    ]
}

pub fn tight(solver: Solver) -> Solver {
    solver.with_tolerance(1e-13).with_max_steps(400)
}

pub fn block(gradient: DeqGradient) -> Deq {
    let config = DeqConfig::new().with_gradient(gradient);
    config
        .with_forward(tight(AndersonConfig::new().into()))
        .with_backward(tight(GmresConfig::new().into()))
        .init()
}

/// Largest difference relative to the largest entry of the expected values.
pub fn relative_error<const D: usize>(found: &Tensor<D>, expected: &Tensor<D>) -> f64 {
    let (found, expected) = (numbers(found), numbers(expected));
    let largest = expected.iter().fold(f64::MIN_POSITIVE, |max, x| max.max(x.abs()));
    found.iter().zip(&expected).fold(0.0, |max, (a, b)| f64::max(max, (a - b).abs() / largest))
}

pub fn assert_near<const D: usize>(
    found: &Tensor<D>,
    expected: &Tensor<D>,
    tolerance: f64,
    what: &str,
) {
    let error = relative_error(found, expected);
    assert!(error <= tolerance, "{what}: relative error {error:e} above {tolerance:e}");
}

/// Runs in a thread and fails, instead of hanging, if it takes longer than a minute.
pub fn within_a_minute(work: impl FnOnce() + Send + 'static) {
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
