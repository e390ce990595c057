//! Dropout whose masks are a function of (seed, pass, place), equal on every device.

use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick_ops::sparse::Features;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Values that share one ChaCha stream; the unit of work of a thread.
const CHUNK: usize = 1 << 15;

/// The dropout masks of one forward pass.
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
/// use firebrick_models::graph::local_augmentation::DropoutMasks;
///
/// let masks = DropoutMasks::new(7, 0);
/// let ones = Tensor::<2>::ones([40, 5], &Device::flex());
/// let dropped = masks.apply(ones.clone(), 0.5, 0).into_data();
/// assert!(dropped.iter::<f32>().all(|value| value == 0.0 || value == 2.0));
/// assert_eq!(masks.apply(ones, 0.5, 0).into_data(), dropped);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropoutMasks {
    seed: u64,
    pass: u64,
}

impl DropoutMasks {
    /// The masks of forward pass number `pass` of a training with this seed.
    pub fn new(seed: u64, pass: u64) -> Self {
        Self { seed, pass }
    }

    /// Drops values of `input` with probability `rate`, by the mask of `place`.
    ///
    /// # Shapes
    /// - input: any
    /// - output: as the input
    ///
    /// # Panics
    /// If the rate is not at least 0 and below 1.
    pub fn apply<const D: usize>(&self, input: Tensor<D>, rate: f64, place: u64) -> Tensor<D> {
        check_rate("DropoutMasks", rate);
        let shape = input.dims();
        let len: usize = shape.iter().product();
        if rate == 0.0 || len == 0 {
            return input;
        }
        let mask = self.mask(len, rate, place, (1.0 / (1.0 - rate)) as f32);
        let device = input.device().without_autodiff();
        input.clone() * Tensor::from_data(TensorData::new(mask, shape), (&device, input.dtype()))
    }

    /// The same for features that may be sparse: a zero stays a zero, so only stored values are
    /// dropped, which has the same distribution.
    ///
    /// # Panics
    /// As [`apply`](Self::apply).
    pub fn apply_to_features(&self, input: &Features, rate: f64, place: u64) -> Features {
        match input {
            Features::Dense(dense) => self.apply(dense.clone(), rate, place).into(),
            Features::Sparse(sparse) => {
                let values = self.apply(sparse.values().clone(), rate, place);
                sparse.with_values(values).into()
            }
        }
    }

    /// One for rows that are kept, with probability `1 - rate`, else zero; not rescaled.
    ///
    /// # Shapes
    /// - output: `[rows, 1]`, without autodiff
    ///
    /// # Panics
    /// As [`apply`](Self::apply).
    pub fn rows(
        &self,
        rows: usize,
        rate: f64,
        place: u64,
        device: &Device,
        dtype: DType,
    ) -> Tensor<2> {
        check_rate("DropoutMasks", rate);
        let kept = self.mask(rows, rate, place, 1.0);
        Tensor::from_data(TensorData::new(kept, [rows, 1]), (device, dtype))
    }

    fn generator(&self, place: u64, stream: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(b"dropmask");
        key[16..24].copy_from_slice(&self.pass.to_le_bytes());
        key[24..].copy_from_slice(&place.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(stream);
        generator
    }

    fn mask(&self, len: usize, rate: f64, place: u64, kept: f32) -> Vec<f32> {
        let mut values = vec![0.0; len];
        let chunk = |(index, values): (usize, &mut [f32])| {
            let mut generator = self.generator(place, index as u64);
            if rate == 0.5 {
                fill_halves(values, &mut generator, kept);
            } else {
                fill(values, &mut generator, kept, (rate * 65_536.0).round() as u32);
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

/// Panics with a sentence that begins with `name` unless `0 <= rate < 1`.
pub(super) fn check_rate(name: &str, rate: f64) {
    assert!((0.0..1.0).contains(&rate), "{name}: dropout must be in [0, 1), got {rate}");
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

    #[test]
    fn shares_of_dropped_values_are_the_rate() {
        let count = 200_000;
        for rate in [0.1, 0.5, 0.6, 0.9] {
            let mask = DropoutMasks::new(1, 2).mask(count, rate, 0, 1.0);
            let dropped = mask.iter().filter(|&&value| value == 0.0).count() as f64 / count as f64;
            let deviation = (rate * (1.0 - rate) / count as f64).sqrt();
            assert!((dropped - rate).abs() < 5.0 * deviation, "{rate}: {dropped}");
        }
    }

    #[test]
    fn masks_differ_by_seed_pass_and_place_and_not_by_the_number_of_threads() {
        let mask = |seed, pass, place| DropoutMasks::new(seed, pass).mask(64, 0.5, place, 1.0);
        let base = mask(1, 1, 1);
        assert_eq!(base, mask(1, 1, 1));
        assert!(base != mask(2, 1, 1) && base != mask(1, 2, 1) && base != mask(1, 1, 2));
        let pool = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let long = || DropoutMasks::new(0, 0).mask(3 * CHUNK + 5, 0.3, 0, 1.0);
            pool.expect("a thread pool").install(long)
        };
        assert_eq!(pool(1), pool(4));
    }

    #[test]
    fn gradients_pass_where_values_do() {
        let x = Tensor::<2>::ones([4, 5], &Device::flex().autodiff()).require_grad();
        let y = DropoutMasks::new(3, 4).apply(x.clone(), 0.6, 5);
        let gradient = x.grad(&y.clone().sum().backward()).expect("x is tracked");
        assert_eq!(gradient.into_data(), y.without_autodiff().into_data());
    }

    #[test]
    fn no_dropout_and_no_values_are_fine() {
        let (masks, device) = (DropoutMasks::new(0, 0), Device::flex());
        let x = Tensor::<2>::ones([2, 2], &device);
        assert_eq!(masks.apply(x.clone(), 0.0, 0).into_data(), x.into_data());
        assert_eq!(masks.apply(Tensor::<2>::empty([0, 3], &device), 0.5, 0).dims(), [0, 3]);
    }

    #[test]
    #[should_panic(expected = "dropout must be in [0, 1), got 1")]
    fn refuses_to_drop_everything() {
        DropoutMasks::new(0, 0).apply(Tensor::<2>::ones([2, 2], &Device::flex()), 1.0, 0);
    }
}
