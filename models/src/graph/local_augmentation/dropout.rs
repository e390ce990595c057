//! Dropout whose masks are a function of (seed, step, place), equal on every device.

use burn::tensor::{Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Values that share one ChaCha stream; the unit of work of a thread.
const CHUNK: usize = 1 << 15;

/// Dropout of one training step: which rate, and which masks.
///
/// ```text
/// y = x m / (1 - rate),   m = 1 with probability 1 - rate, else 0
/// ```
///
/// Every place of a network, numbered from 0, has a mask of its own; masks are drawn on the host.
///
/// # Notes
/// A rate of 0.5 costs one random bit per value; other rates are rounded to multiples of `2^-16`
/// and cost sixteen.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::StepDropout;
///
/// let dropout = StepDropout::new(0.5, 7, 0);
/// let ones = Tensor::<2>::ones([40, 5], &Device::flex());
/// let dropped = dropout.apply(ones.clone(), 0).into_data();
/// assert!(dropped.iter::<f32>().all(|value| value == 0.0 || value == 2.0));
/// assert_eq!(dropout.apply(ones, 0).into_data(), dropped);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepDropout {
    rate: f64,
    seed: u64,
    step: u64,
}

impl StepDropout {
    /// Dropout with probability `rate` in the training step `step`.
    ///
    /// # Panics
    /// If the rate is not at least 0 and below 1.
    pub fn new(rate: f64, seed: u64, step: u64) -> Self {
        assert!((0.0..1.0).contains(&rate), "StepDropout: rate must be in [0, 1), got {rate}");
        Self { rate, seed, step }
    }

    /// The same masks at another rate: where the rate is higher, more is dropped.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn with_rate(self, rate: f64) -> Self {
        Self::new(rate, self.seed, self.step)
    }

    /// The probability that a value is dropped.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// A seed for the dropout of a layer that draws its own masks.
    pub fn seed_of(&self, place: u64) -> u64 {
        self.generator(place, 1).next_u64()
    }

    /// Drops values of `input`, with the mask of `place`.
    ///
    /// # Shapes
    /// - input: any
    /// - output: as the input
    pub fn apply<const D: usize>(&self, input: Tensor<D>, place: u64) -> Tensor<D> {
        if self.rate == 0.0 {
            return input;
        }
        let shape = input.dims();
        let mask = self.mask(shape.iter().product(), place, (1.0 / (1.0 - self.rate)) as f32);
        let device = input.device().without_autodiff();
        input.clone() * Tensor::from_data(TensorData::new(mask, shape), (&device, input.dtype()))
    }

    /// Ones with probability `1 - rate`, else zeros, for the rows of a matrix.
    pub(super) fn rows(&self, rows: usize, place: u64) -> Vec<f32> {
        self.mask(rows, place, 1.0)
    }

    fn generator(&self, place: u64, stream: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(b"stepdrop");
        key[16..24].copy_from_slice(&self.step.to_le_bytes());
        key[24..].copy_from_slice(&place.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(stream);
        generator
    }

    fn mask(&self, len: usize, place: u64, kept: f32) -> Vec<f32> {
        let mut values = vec![0.0; len];
        let chunk = |(index, values): (usize, &mut [f32])| {
            let mut generator = self.generator(place, 2 + index as u64);
            if self.rate == 0.5 {
                fill_halves(values, &mut generator, kept);
            } else {
                fill(values, &mut generator, kept, (self.rate * 65_536.0).round() as u32);
            }
        };
        if len <= CHUNK {
            chunk((0, &mut values));
        } else {
            values.par_chunks_mut(CHUNK).enumerate().for_each(chunk);
        }
        values
    }
}

/// One bit per value.
fn fill_halves(values: &mut [f32], generator: &mut ChaCha8Rng, kept: f32) {
    let mut bytes = [0; 512];
    let kept = kept.to_bits();
    for values in values.chunks_mut(8 * bytes.len()) {
        generator.fill_bytes(&mut bytes);
        for (values, byte) in values.chunks_mut(8).zip(bytes) {
            for (bit, value) in values.iter_mut().enumerate() {
                *value = f32::from_bits(kept * u32::from(byte >> bit & 1));
            }
        }
    }
}

/// Sixteen bits per value; below `threshold` it is dropped.
fn fill(values: &mut [f32], generator: &mut ChaCha8Rng, kept: f32, threshold: u32) {
    let mut bytes = [[0; 2]; 512];
    for values in values.chunks_mut(bytes.len()) {
        generator.fill_bytes(bytes.as_flattened_mut());
        for (value, bytes) in values.iter_mut().zip(bytes) {
            let keep = u32::from(u16::from_le_bytes(bytes)) >= threshold;
            *value = if keep { kept } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn shares_of_dropped_values_are_the_rate() {
        let count = 200_000;
        for rate in [0.1, 0.5, 0.6, 0.9] {
            let mask = StepDropout::new(rate, 1, 2).mask(count, 0, 1.0);
            let dropped = mask.iter().filter(|&&value| value == 0.0).count() as f64 / count as f64;
            let deviation = (rate * (1.0 - rate) / count as f64).sqrt();
            assert!((dropped - rate).abs() < 5.0 * deviation, "{rate}: {dropped}");
        }
    }

    #[test]
    fn masks_differ_by_seed_step_and_place_and_not_by_the_number_of_threads() {
        let mask = |seed, step, place| StepDropout::new(0.5, seed, step).mask(64, place, 1.0);
        let base = mask(1, 1, 1);
        assert_eq!(base, mask(1, 1, 1));
        assert!(base != mask(2, 1, 1) && base != mask(1, 2, 1) && base != mask(1, 1, 2));
        let pool = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let long = || StepDropout::new(0.3, 0, 0).mask(3 * CHUNK + 5, 0, 1.0);
            pool.expect("a thread pool").install(long)
        };
        assert_eq!(pool(1), pool(4));
    }

    #[test]
    fn gradients_pass_where_values_do() {
        let x = Tensor::<2>::ones([4, 5], &Device::flex().autodiff()).require_grad();
        let y = StepDropout::new(0.6, 3, 4).apply(x.clone(), 5);
        let gradient = x.grad(&y.clone().sum().backward()).expect("x is tracked");
        assert_eq!(gradient.into_data(), y.without_autodiff().into_data());
    }

    #[test]
    fn no_dropout_and_no_values_are_fine() {
        let x = Tensor::<2>::ones([2, 2], &Device::flex());
        assert_eq!(StepDropout::new(0.0, 0, 0).apply(x.clone(), 0).into_data(), x.into_data());
        let none =
            StepDropout::new(0.5, 0, 0).apply(Tensor::<2>::empty([0, 3], &Device::flex()), 0);
        assert_eq!(none.dims(), [0, 3]);
    }

    #[test]
    #[should_panic(expected = "rate must be in [0, 1), got 1")]
    fn refuses_to_drop_everything() {
        StepDropout::new(1.0, 0, 0);
    }
}
