//! Starting values, drawn on the host.

use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use firebrick_ops::orthogonal::{HostMatrix, orthonormalized};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// The stream of a layer: of its seed, or of a seed from the device's generator, as Burn's own layers
/// draw from it.
pub(super) fn stream(seed: Option<u64>, device: &Device) -> ChaCha8Rng {
    let seed = seed.unwrap_or_else(|| {
        let words = Tensor::<1>::random([3], Distribution::Uniform(0.0, 1.0), device).into_data();
        // 21 bits of each number, which 32-bit floats have.
        words.iter::<f64>().fold(0, |seed, word| (seed << 21) ^ (word * f64::from(1 << 21)) as u64)
    });
    ChaCha8Rng::seed_from_u64(seed)
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
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

/// A bias of zeros, if there is to be one.
pub(super) fn bias(wanted: bool, outputs: usize, device: &Device) -> Option<Param<Tensor<1>>> {
    wanted.then(|| parameter(vec![0.0; outputs], [outputs], device))
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
