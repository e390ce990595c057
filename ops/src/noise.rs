//! Random tensors that are a function of a key.
//!
//! The numbers are drawn on the host from ChaCha8 and then moved to the device, so a key gives the
//! same tensor on every backend, in every process and with any number of threads:
//!
//! ```text
//! generator = ChaCha8(key = seed | purpose | stream | step),  one stream of it per 16,384 values
//! ```
//!
//! A method that draws noise at every step keeps `stream` (which tensor) and `step` (which time) in
//! its state; a resumed run then sees the noise of the uninterrupted one without storing any
//! generator.
//!
//! # Example
//! ```
//! use burn::tensor::{DType, Device};
//! use firebrick_ops::noise::NoiseKey;
//!
//! let key = NoiseKey { seed: 7, purpose: *b"dropmask", stream: 0, step: 3 };
//! let device = Device::flex();
//! let draw = || key.uniform([2, 3], &device, DType::F32).into_data();
//! assert_eq!(draw(), draw());
//! ```

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

mod gaussian;

use gaussian::BLOCK;

/// Values that share one ChaCha stream; the unit of work of a thread.
const CHUNK: usize = 1 << 14;

/// What a random tensor depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    /// The user's seed.
    pub seed: u64,
    /// What the numbers are for, so that two methods with one seed do not share them.
    pub purpose: [u8; 8],
    /// Which tensor.
    pub stream: u64,
    /// Which time.
    pub step: u64,
}

impl NoiseKey {
    /// Independent uniform values in `[0, 1)`, multiples of `2^-24`, so that neither rounding nor
    /// the float type can make one of them 1.
    ///
    /// # Shapes
    /// - output: `shape`
    pub fn uniform<const D: usize>(
        &self,
        shape: [usize; D],
        device: &Device,
        dtype: DType,
    ) -> Tensor<D> {
        const STEP: f32 = 1.0 / (1 << 24) as f32;
        let values = |words: &[u32; BLOCK]| words.map(|word| (word >> 8) as i32 as f32 * STEP);
        self.tensor(shape, device, dtype, values)
    }

    /// Independent standard normal values by the method of Box and Muller, computed in 32 bits for
    /// every `dtype` and at most 6.56 in size, which a normal value exceeds with probability 5e-11.
    ///
    /// # Shapes
    /// - output: `shape`
    pub fn normal<const D: usize>(
        &self,
        shape: [usize; D],
        device: &Device,
        dtype: DType,
    ) -> Tensor<D> {
        self.tensor(shape, device, dtype, gaussian::from_words)
    }

    /// Turns block after block of words into values, each chunk from a stream of its own.
    fn tensor<const D: usize>(
        &self,
        shape: [usize; D],
        device: &Device,
        dtype: DType,
        block: impl Fn(&[u32; BLOCK]) -> [f32; BLOCK] + Sync,
    ) -> Tensor<D> {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&self.purpose);
        key[16..24].copy_from_slice(&self.stream.to_le_bytes());
        key[24..].copy_from_slice(&self.step.to_le_bytes());
        let mut values = vec![0.0; shape.iter().product()];
        let chunk = |(index, values): (usize, &mut [f32])| {
            let mut rng = ChaCha8Rng::from_seed(key);
            rng.set_stream(index as u64);
            for values in values.chunks_mut(BLOCK) {
                values.copy_from_slice(&block(&words(&mut rng))[..values.len()]);
            }
        };
        if values.len() <= CHUNK {
            chunk((0, &mut values));
        } else {
            values.par_chunks_mut(CHUNK).enumerate().for_each(chunk);
        }
        Tensor::from_data(TensorData::new(values, shape), (device, dtype))
    }
}

/// The next words of a generator; much faster than one by one.
fn words(rng: &mut ChaCha8Rng) -> [u32; BLOCK] {
    let mut bytes = [[0; 4]; BLOCK];
    rng.fill_bytes(bytes.as_flattened_mut());
    bytes.map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: NoiseKey = NoiseKey { seed: 1, purpose: *b"test    ", stream: 2, step: 3 };

    fn uniform(key: NoiseKey, len: usize) -> Vec<f64> {
        key.uniform([len], &Device::flex(), DType::F64).into_data().iter::<f64>().collect()
    }

    fn normal(key: NoiseKey, len: usize, dtype: DType) -> Vec<f64> {
        key.normal([len], &Device::flex(), dtype).into_data().iter::<f64>().collect()
    }

    #[test]
    fn every_part_of_the_key_changes_the_numbers() {
        let base = uniform(KEY, 4);
        assert_eq!(base, uniform(KEY, 4));
        for other in [
            NoiseKey { seed: 2, ..KEY },
            NoiseKey { purpose: *b"other   ", ..KEY },
            NoiseKey { stream: 3, ..KEY },
            NoiseKey { step: 4, ..KEY },
        ] {
            assert_ne!(base, uniform(other, 4), "{other:?}");
        }
    }

    #[test]
    fn numbers_do_not_depend_on_the_number_of_threads() {
        let long = 3 * CHUNK + 5;
        let pool = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a thread pool").install(|| normal(KEY, long, DType::F32))
        };
        assert_eq!(pool(1), pool(4));
    }

    #[test]
    fn no_chunk_repeats_another() {
        let values = uniform(KEY, 2 * CHUNK);
        let same = (0..CHUNK).filter(|&i| values[i] == values[i + CHUNK]).count();
        assert!(same < 5, "{same} equal values");
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let count = 100_000;
        let moments = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / count as f64;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
            (mean, variance)
        };
        let five = 5.0 / (count as f64).sqrt();
        let (mean, variance) = moments(normal(KEY, count, DType::F32));
        assert!(mean.abs() < five && (variance - 1.0).abs() < five * 2f64.sqrt());
        let values = uniform(KEY, count);
        assert!(values.iter().all(|value| (0.0..1.0).contains(value)));
        let (mean, variance) = moments(values);
        assert!((mean - 0.5).abs() < five / 12f64.sqrt(), "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < five * 0.075, "{variance}");
    }

    /// Shares of a million values in intervals, against the probabilities of the intervals.
    #[test]
    fn normal_values_fill_every_interval_as_often_as_they_should() {
        // Twice the upper tail of the standard normal distribution at 0.5, 1, ... 4.
        const OUTSIDE: [f64; 8] = [
            0.617_075_077,
            0.317_310_508,
            0.133_614_403,
            0.045_500_264,
            0.012_419_331,
            0.002_699_796,
            0.000_465_258,
            0.000_063_342,
        ];
        let count = 1_000_000;
        let values = normal(KEY, count, DType::F32);
        for sign in [-1.0, 1.0] {
            for (index, outside) in OUTSIDE.into_iter().enumerate() {
                let bound = 0.5 * (index + 1) as f64;
                let found = values.iter().filter(|&&value| sign * value > bound).count() as f64;
                let (mean, share) = (0.5 * outside * count as f64, 0.5 * outside);
                let deviation = (mean * (1.0 - share)).sqrt();
                let far = (found - mean) / deviation;
                assert!(far.abs() < 4.5, "{found} above {sign} * {bound}, expected {mean}");
            }
        }
    }

    /// Moments of products: of one pair, of neighbors, and of values in different chunks.
    #[test]
    fn normal_values_are_independent_of_each_other() {
        let count = 400_000;
        let values = normal(KEY, count, DType::F32);
        for lag in [1, 2, BLOCK / 2, BLOCK, CHUNK] {
            let pairs = || values.iter().zip(&values[lag..]);
            let five = 5.0 / ((count - lag) as f64).sqrt();
            let mean = |f: fn(f64, f64) -> f64| {
                pairs().map(|(a, b)| f(*a, *b)).sum::<f64>() / (count - lag) as f64
            };
            let product = mean(|a, b| a * b);
            assert!(product.abs() < five, "lag {lag}: {product}");
            // Squares have variance 2, and their product variance 4 around the means.
            let squares = mean(|a, b| (a * a - 1.0) * (b * b - 1.0));
            assert!(squares.abs() < 2.0 * five, "lag {lag}: squares {squares}");
        }
    }

    #[test]
    fn every_float_type_has_the_same_values() {
        assert_eq!(normal(KEY, 300, DType::F64), normal(KEY, 300, DType::F32));
        assert_eq!(normal(KEY, 300, DType::F32)[..7], normal(KEY, 7, DType::F32));
    }

    #[test]
    fn empty_tensors_are_empty() {
        assert!(uniform(KEY, 0).is_empty());
    }
}
