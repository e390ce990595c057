//! A mixture of Gaussians whose difficulty one number sets.
//!
//! ```text
//! c_k = r g_k / |g_k|    g_k ~ N(0, I)      centers on a sphere of radius r
//! x   = c_y + e          e   ~ N(0, I)      y uniform over the classes
//! ```
//!
//! The larger the radius, the farther the classes lie apart. With the defaults the best classifier
//! is right in about nine cases of ten, which is what makes label noise hurt visibly.
//!
//! ```
//! use firebrick_datasets::{GaussianMixtureConfig, LabeledSamples};
//!
//! let (train, test) = GaussianMixtureConfig::default().with_num_train(500).generate(0);
//! assert_eq!((train.len(), test.len(), train.dim()), (500, 5000, 32));
//! ```

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::FeatureSet;
use crate::random::{Use, generator};

/// Settings of a Gaussian mixture.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `dim` | 32 | length of a sample |
/// | `num_classes` | 10 | number of centers |
/// | `center_norm` | 3.3 | distance of the centers from zero, in standard deviations of the noise |
/// | `num_train` | 2000 | samples to train on |
/// | `num_test` | 5000 | samples to test on |
/// | `center_seed` | `None` | seed of the centers, if several data sets are to share them |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaussianMixtureConfig {
    /// Length of a sample.
    pub dim: usize,
    /// Number of classes, each with a center of its own.
    pub num_classes: usize,
    /// Distance of the centers from zero, in standard deviations of the noise.
    pub center_norm: f64,
    /// Number of samples to train on.
    pub num_train: usize,
    /// Number of samples to test on.
    pub num_test: usize,
    /// Seed of the centers; `None`: the one given to [`generate`](Self::generate). With a fixed one,
    /// different seeds give independent samples of one distribution.
    #[serde(default)]
    pub center_seed: Option<u64>,
}

impl Default for GaussianMixtureConfig {
    fn default() -> Self {
        Self {
            dim: 32,
            num_classes: 10,
            center_norm: 3.3,
            num_train: 2000,
            num_test: 5000,
            center_seed: None,
        }
    }
}

impl GaussianMixtureConfig {
    /// Sets the length of a sample.
    pub fn with_dim(mut self, dim: usize) -> Self {
        self.dim = dim;
        self
    }

    /// Sets the number of classes.
    pub fn with_num_classes(mut self, num_classes: usize) -> Self {
        self.num_classes = num_classes;
        self
    }

    /// Sets the distance of the centers from zero.
    pub fn with_center_norm(mut self, center_norm: f64) -> Self {
        self.center_norm = center_norm;
        self
    }

    /// Sets the number of samples to train on.
    pub fn with_num_train(mut self, num_train: usize) -> Self {
        self.num_train = num_train;
        self
    }

    /// Sets the number of samples to test on.
    pub fn with_num_test(mut self, num_test: usize) -> Self {
        self.num_test = num_test;
        self
    }

    /// Sets the seed of the centers.
    pub fn with_center_seed(mut self, center_seed: Option<u64>) -> Self {
        self.center_seed = center_seed;
        self
    }

    /// Draws the centers, then the samples to train and to test on.
    ///
    /// Computed in `f64` and rounded to `f32`. Centers and parts have streams of their own: the
    /// size of one part changes neither the centers nor the other part.
    ///
    /// # Panics
    /// If `dim` or `num_classes` is zero, or `center_norm` is negative or not a finite `f32`.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::{GaussianMixtureConfig, LabeledSamples};
    ///
    /// let (train, _) = GaussianMixtureConfig::default().generate(1);
    /// assert_eq!((train.num_classes(), train.sample(0).len()), (10, 32));
    /// ```
    pub fn generate(&self, seed: u64) -> (FeatureSet, FeatureSet) {
        self.check();
        let center_seed = self.center_seed.unwrap_or(seed);
        let centers = self.centers(&mut generator(Use::Mixture, center_seed, 0));
        let part = |name, len, stream| {
            self.draw(name, len, &centers, &mut generator(Use::Mixture, seed, stream))
        };
        let train = part("gaussian-mixture/train", self.num_train, 1);
        (train, part("gaussian-mixture/test", self.num_test, 2))
    }

    fn check(&self) {
        let Self { dim, num_classes, center_norm, .. } = *self;
        assert!(dim > 0, "Gaussian mixture: expected `dim` of at least 1, found 0");
        assert!(num_classes > 0, "Gaussian mixture: expected `num_classes` of at least 1, found 0");
        assert!(
            center_norm >= 0.0 && (center_norm as f32).is_finite(),
            "Gaussian mixture: expected a finite `center_norm` of at least 0, found {center_norm}"
        );
    }

    /// Row-major `[num_classes, dim]`.
    fn centers(&self, generator: &mut impl Rng) -> Vec<f64> {
        let mut centers = normal(self.num_classes * self.dim, generator);
        for center in centers.chunks_exact_mut(self.dim) {
            let norm = center.iter().map(|value| value * value).sum::<f64>().sqrt();
            center.iter_mut().for_each(|value| *value *= self.center_norm / norm);
        }
        centers
    }

    fn draw(
        &self,
        name: &str,
        len: usize,
        centers: &[f64],
        generator: &mut impl Rng,
    ) -> FeatureSet {
        let mut features = Vec::with_capacity(len * self.dim);
        let mut labels = Vec::with_capacity(len);
        for _ in 0..len {
            let label = generator.random_range(0..self.num_classes);
            let center = &centers[label * self.dim..][..self.dim];
            let noise = normal(self.dim, generator);
            features
                .extend(center.iter().zip(noise).map(|(center, noise)| (center + noise) as f32));
            labels.push(label);
        }
        FeatureSet::new(name, features, self.dim, labels, self.num_classes)
            .expect("`len` rows of `dim` finite values and labels below `num_classes` were drawn")
    }
}

fn normal(len: usize, generator: &mut impl Rng) -> Vec<f64> {
    (0..len).map(|_| generator.sample(StandardNormal)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabeledSamples;

    #[test]
    fn centers_lie_on_the_sphere_and_noise_has_unit_variance() {
        let config = GaussianMixtureConfig::default();
        let (_, set) = config.generate(3);
        let (mut means, mut counts) = (vec![vec![0.0; 32]; 10], vec![0.0; 10]);
        for (&label, row) in set.labels().iter().zip(set.features().chunks(32)) {
            counts[label] += 1.0;
            for (mean, &value) in means[label].iter_mut().zip(row) {
                *mean += f64::from(value);
            }
        }
        let mut variance = 0.0;
        for (mean, count) in means.iter_mut().zip(&counts) {
            mean.iter_mut().for_each(|value| *value /= count);
            // A mean of `count` samples is off by about sqrt(32 / count) = 0.25 in all, but by only
            // 1 / sqrt(count) = 0.045 in the direction of the center.
            let norm = mean.iter().map(|value| value * value).sum::<f64>().sqrt();
            assert!((norm - 3.3).abs() < 0.25, "{norm}");
        }
        for (&label, row) in set.labels().iter().zip(set.features().chunks(32)) {
            for (mean, &value) in means[label].iter().zip(row) {
                variance += (f64::from(value) - mean).powi(2);
            }
        }
        variance /= (5000.0 - 10.0) * 32.0;
        assert!((variance - 1.0).abs() < 4.0 * (2.0_f64 / 160_000.0).sqrt(), "{variance}");
    }

    #[test]
    fn classes_are_equally_likely() {
        let (_, set) = GaussianMixtureConfig::default().generate(0);
        let four_errors = 4.0 * (5000.0_f64 * 0.1 * 0.9).sqrt();
        for class in 0..10 {
            let count = set.labels().iter().filter(|&&label| label == class).count() as f64;
            assert!((count - 500.0).abs() < four_errors, "{count}");
        }
    }

    #[test]
    fn sizes_do_not_change_the_samples() {
        let config = GaussianMixtureConfig::default();
        let (train, test) = config.generate(9);
        let (fewer, same) = config.clone().with_num_train(10).generate(9);
        assert_eq!(test, same);
        assert_eq!(train.features()[..320], *fewer.features());
        assert_ne!(train, config.generate(10).0);
    }

    #[test]
    fn a_center_seed_fixes_the_distribution_but_not_the_samples() {
        let config = GaussianMixtureConfig::default().with_center_seed(Some(9));
        assert_eq!(config.generate(9), GaussianMixtureConfig::default().generate(9));
        let other = config.generate(10);
        assert_ne!(other, config.generate(9));
        // Labels and noise of seed 10 around the centers of seed 9.
        let alone = GaussianMixtureConfig::default().generate(10);
        assert_eq!(other.0.labels(), alone.0.labels());
        assert_ne!(other.0.features(), alone.0.features());
    }

    #[test]
    fn smallest_sizes_work() {
        let config = GaussianMixtureConfig::default().with_dim(1).with_num_classes(1);
        let (train, test) =
            config.with_center_norm(0.0).with_num_train(0).with_num_test(1).generate(0);
        assert_eq!((train.len(), test.len(), test.labels()[0]), (0, 1, 0));
    }

    #[test]
    #[should_panic(expected = "expected `dim` of at least 1, found 0")]
    fn refuses_samples_without_values() {
        GaussianMixtureConfig::default().with_dim(0).generate(0);
    }

    #[test]
    #[should_panic(expected = "expected `num_classes` of at least 1, found 0")]
    fn refuses_no_classes() {
        GaussianMixtureConfig::default().with_num_classes(0).generate(0);
    }

    #[test]
    #[should_panic(expected = "expected a finite `center_norm` of at least 0, found NaN")]
    fn refuses_a_radius_that_is_no_number() {
        GaussianMixtureConfig::default().with_center_norm(f64::NAN).generate(0);
    }
}
