//! Starting values, drawn on the host.

use burn::module::Param;
use burn::tensor::{Tensor, TensorCreationOptions, TensorData};
use firebrick_ops::orthogonal::{HostMatrix, orthonormalized};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::orthogonal::bias;
use crate::seed::drawn_seed;

/// The stream of a layer: of its seed, or of one that the device's generator draws.
pub(super) fn stream(seed: Option<u64>, options: &TensorCreationOptions) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed.unwrap_or_else(|| drawn_seed(options)))
}

/// Standard normal numbers.
pub(super) fn normal(count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| rng.sample(StandardNormal)).collect()
}

/// Uniform numbers between `-bound` and `bound`.
pub(super) fn uniform(count: usize, bound: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| rng.random_range(-bound..=bound)).collect()
}

/// A matrix with orthonormal columns (rows, if it is wide), uniform over all such matrices.
pub(super) fn semi_orthogonal(rows: usize, columns: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let (long, short) = (rows.max(columns), rows.min(columns));
    let columns_of = orthonormalized(&HostMatrix::new(long, short, normal(long * short, rng)));
    let matrix = if rows >= columns { columns_of } else { columns_of.transpose() };
    matrix.values().to_vec()
}

pub(super) fn parameter<const D: usize>(
    values: Vec<f64>,
    shape: [usize; D],
    options: &TensorCreationOptions,
) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), options.clone()))
}

/// A bias of zeros, if there is to be one.
pub(super) fn bias(
    wanted: bool,
    outputs: usize,
    options: &TensorCreationOptions,
) -> Option<Param<Tensor<1>>> {
    wanted.then(|| bias::zeros(outputs, options))
}

/// # Panics
/// If a number of channels is zero.
pub(super) fn assert_channels(config: &str, channels: [usize; 2]) {
    assert!(
        !channels.contains(&0),
        "{config}: channels must be positive, got {channels:?} (input, output)"
    );
}

/// # Panics
/// If the kernel size is zero.
pub(super) fn assert_kernel(config: &str, kernel_size: usize) {
    assert!(kernel_size > 0, "{config}: kernel_size must be positive, got 0");
}
