//! Starts of a solve.

use burn::tensor::{Tensor, TensorData};
use firebrick_ops::fixed_point::State;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::jacobian::normal_like;

/// A start of the shape of `like`, zero for half of the samples and normal noise for the others: a map that
/// is trained with it learns to forget where it started.
///
/// # Shapes
/// - output: as `like`
///
/// # Panics
/// If `like` is empty.
///
/// # References
/// C. Anil et al., *Path Independent Equilibrium Models Can Better Exploit Test-Time Computation*, NeurIPS
/// 2022.
pub fn mixed_start<S: State>(like: &S, seed: u64) -> S {
    let layout = like.layout();
    let rows = like.clone().into_rows().inner();
    let batch = rows.dims()[0];
    assert!(batch > 0, "mixed_start: there must be samples");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let noise = normal_like(&rows, &mut rng);
    let mut noisy: Vec<f64> = (0..batch).map(|i| f64::from(u8::from(i < batch / 2))).collect();
    noisy.shuffle(&mut rng);
    let noisy = TensorData::new(noisy, [batch, 1]);
    S::from_rows(noise * Tensor::from_data(noisy, (&rows.device(), rows.dtype())), &layout)
}
