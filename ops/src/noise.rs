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

use burn::tensor::{DType, Device, Element, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

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
        let fill = |values: &mut [f32], rng: &mut ChaCha8Rng| {
            values.iter_mut().for_each(|value| *value = (rng.next_u32() >> 8) as f32 * STEP);
        };
        tensor(self.values(shape.iter().product(), fill), shape, device, dtype)
    }

    /// Independent standard normal values, drawn in 64 bits and rounded to `dtype`.
    ///
    /// # Shapes
    /// - output: `shape`
    pub fn normal<const D: usize>(
        &self,
        shape: [usize; D],
        device: &Device,
        dtype: DType,
    ) -> Tensor<D> {
        let len = shape.iter().product();
        if dtype == DType::F64 {
            tensor(self.values(len, fill_normal::<f64>), shape, device, dtype)
        } else {
            tensor(self.values(len, fill_normal::<f32>), shape, device, dtype)
        }
    }

    /// Fills chunk after chunk, each from a stream of its own.
    fn values<T: Default + Copy + Send>(
        &self,
        len: usize,
        fill: impl Fn(&mut [T], &mut ChaCha8Rng) + Sync,
    ) -> Vec<T> {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&self.purpose);
        key[16..24].copy_from_slice(&self.stream.to_le_bytes());
        key[24..].copy_from_slice(&self.step.to_le_bytes());
        let mut values = vec![T::default(); len];
        let chunk = |(index, values): (usize, &mut [T])| {
            let mut rng = ChaCha8Rng::from_seed(key);
            rng.set_stream(index as u64);
            fill(values, &mut rng);
        };
        if len <= CHUNK {
            chunk((0, &mut values));
        } else {
            values.par_chunks_mut(CHUNK).enumerate().for_each(chunk);
        }
        values
    }
}

fn fill_normal<T>(values: &mut [T], rng: &mut ChaCha8Rng)
where
    StandardNormal: Distribution<T>,
{
    values.iter_mut().for_each(|value| *value = StandardNormal.sample(rng));
}

fn tensor<T: Element, const D: usize>(
    values: Vec<T>,
    shape: [usize; D],
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (device, dtype))
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

    #[test]
    fn float_types_differ_by_rounding_only() {
        for (wide, narrow) in normal(KEY, 100, DType::F64).iter().zip(normal(KEY, 100, DType::F32))
        {
            assert_eq!(*wide as f32, narrow as f32);
        }
    }

    #[test]
    fn empty_tensors_are_empty() {
        assert!(uniform(KEY, 0).is_empty());
    }
}
