//! Likelihoods of images in bits per dimension.
//!
//! ```text
//! x = (v + u) / levels,   u ~ U(0, 1),   v in 0 .. levels - 1
//! bits per dimension = (dim log levels - log p(x)) / (dim log 2)
//! ```
//!
//! `E_u` of it is an upper bound of the code length of `v` under the model that the density induces on
//! the levels.

use rand::{Rng, RngExt};
use serde::Serialize;

/// Pixels of `levels` levels, spread over the unit interval by uniform noise, below 1.
///
/// # Panics
/// If there is no level, or a value is not in `0 .. levels`.
///
/// # Example
/// ```
/// use firebrick_models::generative::residual_flow::dequantize;
/// use rand::SeedableRng;
///
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let pixels = dequantize(&[0, 16, 3], 17, &mut rng);
/// assert!(pixels[1] >= 16.0 / 17.0 && pixels[1] < 1.0);
/// ```
pub fn dequantize(values: &[u8], levels: usize, rng: &mut impl Rng) -> Vec<f32> {
    assert!(levels > 0, "dequantize: levels must be positive, got 0");
    let spread = |&value: &u8| {
        let value = usize::from(value);
        assert!(value < levels, "dequantize: values must be below {levels}, got {value}");
        let pixel = ((value as f64 + rng.random::<f64>()) / levels as f64) as f32;
        // Rounding to 32 bits may reach the next level, at worst 1.
        pixel.min(1.0 - f32::EPSILON)
    };
    values.iter().map(spread).collect()
}

/// Mean over samples with its standard error, which is not that of the model's training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BitsPerDimension {
    /// Mean.
    pub mean: f64,
    /// Standard deviation over the samples divided by the root of their number; NaN for one sample.
    pub standard_error: f64,
    /// Number of samples.
    pub samples: usize,
}

impl BitsPerDimension {
    /// From the log-densities of samples in the unit cube.
    ///
    /// With [`LogDet::Exact`](super::LogDet::Exact) these are exact, with a roulette unbiased and noisier.
    /// A truncated series shifts them by up to
    /// [`truncation_bias`](super::truncation_bias)` / (dim ln 2)` for each block.
    ///
    /// # Panics
    /// If `dim` or `levels` is zero.
    ///
    /// # Example
    /// ```
    /// use firebrick_models::generative::residual_flow::BitsPerDimension;
    ///
    /// // The uniform density on 256 levels costs 8 bits.
    /// assert_eq!(BitsPerDimension::of(&[0.0, 0.0], 3, 256).mean, 8.0);
    /// ```
    pub fn of(log_densities: &[f64], dim: usize, levels: usize) -> Self {
        assert!(
            dim > 0 && levels > 0,
            "BitsPerDimension: dim and levels must be positive, got {dim} and {levels}"
        );
        let dim = dim as f64;
        let bits = |log_p: &f64| (levels as f64).log2() - log_p / (dim * std::f64::consts::LN_2);
        let bits: Vec<f64> = log_densities.iter().map(bits).collect();
        let count = bits.len() as f64;
        let mean = bits.iter().sum::<f64>() / count;
        let squares: f64 = bits.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_error = (squares / (count - 1.0) / count).sqrt();
        Self { mean, standard_error, samples: bits.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn dequantized_pixels_fill_their_level_and_stay_below_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let pixels = dequantize(&[255; 20_000], 256, &mut rng);
        let inside = |&p: &f32| (255.0 / 256.0..1.0).contains(&p);
        assert!(pixels.iter().all(inside));
        let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / 20_000.0;
        // 12^-1/2 / 256 / 20000^1/2 = 8e-6.
        assert!((mean - 255.5 / 256.0).abs() < 4.0 * 8e-6, "{mean}");
    }

    #[test]
    fn bits_have_a_standard_error() {
        let ln2 = std::f64::consts::LN_2;
        let bits = BitsPerDimension::of(&[-2.0 * ln2, -6.0 * ln2], 2, 1);
        assert_eq!((bits.mean, bits.samples), (2.0, 2));
        assert!((bits.standard_error - 1.0).abs() < 1e-12);
        assert!(BitsPerDimension::of(&[0.0], 1, 2).standard_error.is_nan());
    }

    #[test]
    #[should_panic(expected = "values must be below 17, got 17")]
    fn refuses_values_beyond_the_levels() {
        dequantize(&[17], 17, &mut ChaCha8Rng::seed_from_u64(0));
    }
}
