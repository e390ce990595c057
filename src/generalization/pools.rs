//! The gradients of one measurement, as running sums.
//!
//! ```text
//! disc  = mean |g_i|^2 + mean |g'_j|^2 - 2 <mean g_i, mean g'_j>     (average over all pairs i, j)
//! Delta = largest |g_i - g_k| or |g_i - g'_j|
//! ```
//!
//! The discrepancy needs two sums of vectors. The largest distance needs the gradients themselves;
//! without them it is bounded by the two largest distances from one point, by the triangle
//! inequality. All sums are of differences to the first gradient, so that nothing cancels when the
//! gradients are nearly equal.

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

use firebrick_optimizers::efld::ExponentialFamily;

use super::GeneralizationError;
use super::divergence::{le_cam_divergence, natural_parameter};

/// Collects the per-example gradients of one measurement; from
/// [`GeneralizationMonitor::pools`](super::GeneralizationMonitor::pools) or [`new`](Self::new).
///
/// Memory is three vectors, unless the gradients are kept.
///
/// # Example
/// ```
/// use firebrick::generalization::GradientPools;
///
/// let mut pools = GradientPools::new(1, true);
/// pools.push_train(&[1.0, 0.0])?;
/// pools.push_train(&[0.0, 0.0])?;
/// pools.push_fresh(&[0.0, 1.0])?;
/// pools.push_fresh(&[0.0, 3.0])?;
/// let summary = pools.summary()?;
/// assert_eq!(summary.discrepancy, (2.0 + 10.0 + 1.0 + 9.0) / 4.0);
/// assert_eq!(summary.delta_estimate, Some(10f64.sqrt()));
/// # Ok::<(), firebrick::generalization::GeneralizationError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GradientPools {
    step: u64,
    keep: bool,
    /// The first gradient.
    origin: Vec<f64>,
    train: Sums,
    fresh: Sums,
    /// The two largest distances from the first gradient, and the two largest norms.
    farthest: [f64; 2],
    longest: [f64; 2],
}

#[derive(Clone, Debug, Default)]
struct Sums {
    count: usize,
    /// Of differences to the first gradient.
    vector: Vec<f64>,
    square: f64,
    /// Of the gradients themselves.
    norm: f64,
    kept: Vec<Vec<f64>>,
}

/// What the gradients of one measurement give.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolSummary {
    /// Number of gradients of training examples.
    pub train_examples: usize,
    /// Number of gradients of fresh examples.
    pub fresh_examples: usize,
    /// Mean squared distance of a training from a fresh gradient, over all pairs.
    pub discrepancy: f64,
    /// Mean squared norm of a training gradient.
    pub grad_norm_sq: f64,
    /// Largest distance of two training gradients, or of a training and a fresh one; a lower
    /// estimate of the maximum over the whole training set. `None` if the gradients were not kept.
    pub delta_estimate: Option<f64>,
    /// A number that no distance of two of these gradients exceeds.
    pub delta_bound: f64,
}

/// Mean of the divergence LSD over random mini-batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DivergenceEstimate {
    /// Mean over the draws.
    pub mean: f64,
    /// Whether the mean says something: it is finite, and no single draw makes up more than half of
    /// it. For a small `alpha` the divergence has heavy tails and the mean is that of its largest draw.
    pub usable: bool,
}

impl GradientPools {
    /// Empty pools for the measurement before a step, counted from 1; `keep` keeps the gradients.
    pub fn new(step: u64, keep: bool) -> Self {
        Self {
            step,
            keep,
            origin: Vec::new(),
            train: Sums::default(),
            fresh: Sums::default(),
            farthest: [0.0; 2],
            longest: [0.0; 2],
        }
    }

    /// The step that the measurement belongs to.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Adds the gradient of a training example, all parameters as one vector.
    ///
    /// For a scale per parameter push `g_j / alpha_j` and count the step with `alpha = 1`.
    ///
    /// # Errors
    /// If the number of parameters differs from the first gradient's, or a value is not finite.
    pub fn push_train<T: Copy + Into<f64>>(
        &mut self,
        gradient: &[T],
    ) -> Result<(), GeneralizationError> {
        self.push(true, gradient)
    }

    /// Adds the gradient of a fresh example; otherwise as [`push_train`](Self::push_train).
    ///
    /// # Errors
    /// As [`push_train`](Self::push_train).
    pub fn push_fresh<T: Copy + Into<f64>>(
        &mut self,
        gradient: &[T],
    ) -> Result<(), GeneralizationError> {
        self.push(false, gradient)
    }

    fn push<T: Copy + Into<f64>>(
        &mut self,
        train: bool,
        gradient: &[T],
    ) -> Result<(), GeneralizationError> {
        let Self { step, keep, .. } = *self;
        let first = self.train.count + self.fresh.count == 0;
        let (sums, pool) = match train {
            true => (&mut self.train, "training"),
            false => (&mut self.fresh, "fresh"),
        };
        let (example, found) = (sums.count, gradient.len());
        let gradient: Vec<f64> = gradient.iter().map(|&value| value.into()).collect();
        if let Some(parameter) = gradient.iter().position(|value| !value.is_finite()) {
            let found = gradient[parameter];
            return Err(GeneralizationError::NotFinite { step, pool, example, parameter, found });
        }
        if first {
            self.origin = gradient.clone();
        } else if self.origin.len() != found {
            let expected = self.origin.len();
            return Err(GeneralizationError::ParameterCount {
                step,
                pool,
                example,
                expected,
                found,
            });
        }
        sums.count += 1;
        sums.vector.resize(found, 0.0);
        let (mut square, mut norm) = (0.0, 0.0);
        for ((sum, &value), &origin) in sums.vector.iter_mut().zip(&gradient).zip(&self.origin) {
            let difference = value - origin;
            *sum += difference;
            square += difference * difference;
            norm += value * value;
        }
        sums.square += square;
        sums.norm += norm;
        if keep {
            sums.kept.push(gradient);
        }
        insert(&mut self.farthest, square.sqrt());
        insert(&mut self.longest, norm.sqrt());
        Ok(())
    }

    /// The numbers of the measurement.
    ///
    /// # Errors
    /// If one of the pools has fewer than two gradients.
    pub fn summary(&self) -> Result<PoolSummary, GeneralizationError> {
        self.check_size("training", &self.train, 2)?;
        self.check_size("fresh", &self.fresh, 2)?;
        let (train, fresh) = (self.train.count as f64, self.fresh.count as f64);
        let products = self.train.vector.iter().zip(&self.fresh.vector);
        let product: f64 = products.map(|(a, b)| a * b).sum();
        let discrepancy =
            self.train.square / train + self.fresh.square / fresh - 2.0 * product / (train * fresh);
        let sum = |pair: [f64; 2]| pair[0] + pair[1];
        Ok(PoolSummary {
            train_examples: self.train.count,
            fresh_examples: self.fresh.count,
            discrepancy: discrepancy.max(0.0),
            grad_norm_sq: self.train.norm / train,
            delta_estimate: self.keep.then(|| self.largest_distance()),
            delta_bound: sum(self.farthest).min(sum(self.longest)),
        })
    }

    fn largest_distance(&self) -> f64 {
        let (train, fresh) = (&self.train.kept, &self.fresh.kept);
        let from = |(index, a): (usize, &Vec<f64>)| {
            let others = train[index + 1..].iter().chain(fresh);
            others.map(|b| square_distance(a, b)).fold(0.0, f64::max)
        };
        train.iter().enumerate().map(from).fold(0.0, f64::max).sqrt()
    }

    /// Mean of LSD over `draws` random triples of mini-batches from the kept gradients: `A` without
    /// an example, `B` with it, and `B'` equal to `B` with a fresh example in its place.
    ///
    /// Returns `None` if the gradients were not kept.
    ///
    /// # Errors
    /// If there are fewer training gradients than `batch_size + 1`, or no fresh ones.
    pub fn divergence(
        &self,
        family: &ExponentialFamily,
        batch_size: usize,
        alpha: f64,
        draws: usize,
        seed: u64,
    ) -> Result<Option<DivergenceEstimate>, GeneralizationError> {
        if !self.keep || draws == 0 {
            return Ok(None);
        }
        self.check_size("training", &self.train, batch_size + 1)?;
        self.check_size("fresh", &self.fresh, 1)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(self.step);
        let (train, fresh) = (&self.train.kept, &self.fresh.kept);
        let values: Vec<f64> = (0..draws)
            .map(|_| {
                let chosen = sample(&mut rng, train.len(), 1).index(0);
                let replaced = &fresh[sample(&mut rng, fresh.len(), 1).index(0)];
                let mut others = |count| -> Vec<&Vec<f64>> {
                    let indices = sample(&mut rng, train.len() - 1, count);
                    indices.into_iter().map(|i| &train[i + usize::from(i >= chosen)]).collect()
                };
                let (without, rest) = (others(batch_size), others(batch_size - 1));
                let with = |last| rest.iter().copied().chain([last]);
                le_cam_divergence(
                    family,
                    &natural_parameter(without, alpha),
                    &natural_parameter(with(&train[chosen]), alpha),
                    &natural_parameter(with(replaced), alpha),
                )
            })
            .collect();
        let sum: f64 = values.iter().sum();
        let largest = values.iter().copied().fold(0.0, f64::max);
        let usable = sum.is_finite() && (largest <= 0.5 * sum);
        Ok(Some(DivergenceEstimate { mean: sum / draws as f64, usable }))
    }

    fn check_size(
        &self,
        pool: &'static str,
        sums: &Sums,
        expected: usize,
    ) -> Result<(), GeneralizationError> {
        let (step, found) = (self.step, sums.count);
        if found < expected {
            return Err(GeneralizationError::PoolTooSmall { step, pool, expected, found });
        }
        Ok(())
    }
}

/// Keeps the two largest values, the largest first.
fn insert(largest: &mut [f64; 2], value: f64) {
    if value > largest[0] {
        *largest = [value, largest[0]];
    } else if value > largest[1] {
        largest[1] = value;
    }
}

/// In eight partial sums, so that it is vectorized.
fn square_distance(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a.remainder().iter().zip(b.remainder()).map(|(a, b)| (a - b) * (a - b));
    let rest: f64 = rest.sum();
    for (a, b) in a.zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(train: &[Vec<f64>], fresh: &[Vec<f64>], keep: bool) -> GradientPools {
        let mut pools = GradientPools::new(3, keep);
        train.iter().for_each(|gradient| pools.push_train(gradient).unwrap());
        fresh.iter().for_each(|gradient| pools.push_fresh(gradient).unwrap());
        pools
    }

    fn gradients(shift: f64) -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<Vec<f64>>)> {
        let vector = || proptest::collection::vec(-1.0f64..1.0, 5);
        let pool = || proptest::collection::vec(vector(), 2..9);
        (pool(), pool()).prop_map(move |(mut train, mut fresh)| {
            train.iter_mut().chain(&mut fresh).flatten().for_each(|value| *value += shift);
            (train, fresh)
        })
    }

    proptest! {
        #[test]
        fn sums_equal_the_average_over_all_pairs((train, fresh) in gradients(0.5)) {
            let found = filled(&train, &fresh, true).summary().unwrap();
            let pairs = || train.iter().flat_map(|a| fresh.iter().map(move |b| square_distance(a, b)));
            let expected = pairs().sum::<f64>() / (train.len() * fresh.len()) as f64;
            prop_assert!((found.discrepancy - expected).abs() < 1e-10 * expected.max(1.0));
            let norm = |g: &Vec<f64>| g.iter().map(|x| x * x).sum::<f64>();
            let mean = train.iter().map(norm).sum::<f64>() / train.len() as f64;
            prop_assert!((found.grad_norm_sq - mean).abs() < 1e-12 * mean.max(1.0));
            let within = train.iter().flat_map(|a| train.iter().map(move |b| square_distance(a, b)));
            let delta = pairs().chain(within).fold(0.0, f64::max).sqrt();
            prop_assert_eq!(found.delta_estimate, Some(delta));
        }

        #[test]
        fn no_distance_exceeds_the_streamed_bound((train, fresh) in gradients(-0.2)) {
            let streamed = filled(&train, &fresh, false).summary().unwrap();
            let kept = filled(&train, &fresh, true).summary().unwrap();
            prop_assert_eq!(streamed.delta_estimate, None);
            prop_assert_eq!(streamed.discrepancy, kept.discrepancy);
            prop_assert!(streamed.delta_bound >= kept.delta_estimate.unwrap() - 1e-12);
        }

        #[test]
        fn a_common_part_of_all_gradients_does_not_cancel_the_digits((train, fresh) in gradients(1e7)) {
            let found = filled(&train, &fresh, false).summary().unwrap().discrepancy;
            let pairs = train.iter().flat_map(|a| fresh.iter().map(move |b| square_distance(a, b)));
            let expected = pairs.sum::<f64>() / (train.len() * fresh.len()) as f64;
            prop_assert!((found - expected).abs() < 1e-4 * expected + 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn bad_gradients_are_refused_with_their_place() {
        let mut pools = filled(&[vec![1.0, 2.0]], &[], false);
        let error = pools.push_fresh(&[1.0]).unwrap_err().to_string();
        let expected = "step 3, fresh pool, gradient 0: expected 2 parameters, found 1";
        assert_eq!(error, expected);
        let error = pools.push_train(&[1.0, f64::NAN]).unwrap_err().to_string();
        assert_eq!(
            error,
            "step 3, training pool, gradient 1, parameter 1: expected a finite number, found NaN"
        );
        let error = pools.summary().unwrap_err().to_string();
        assert_eq!(error, "step 3, training pool: expected at least 2 gradients, found 1");
    }

    #[test]
    fn single_precision_gradients_are_taken_as_they_are() {
        let mut pools = GradientPools::new(1, false);
        for value in [0.5f32, 1.5] {
            pools.push_train(&[value]).unwrap();
            pools.push_fresh(&[value]).unwrap();
        }
        assert_eq!(pools.summary().unwrap().discrepancy, 0.5);
    }

    #[test]
    fn a_heavy_tailed_divergence_is_not_usable_and_a_mild_one_is() {
        let waves = |phase: f64| -> Vec<Vec<f64>> {
            (0..20).map(|i| (0..4).map(|j| (phase + (i * 4 + j) as f64).sin()).collect()).collect()
        };
        let pools = filled(&waves(0.0), &waves(0.5), true);
        let of = |alpha| {
            pools.divergence(&ExponentialFamily::Gaussian, 5, alpha, 50, 0).unwrap().unwrap()
        };
        let mild = of(3.0);
        assert!(mild.usable && mild.mean > 0.0, "{mild:?}");
        // Far from one another on the scale of the noise.
        assert!(!of(0.01).usable);
        // Near the quadratic form |theta_B - theta_B'|^2 when alpha is large.
        let discrepancy = pools.summary().unwrap().discrepancy;
        let expected = discrepancy / (25.0 * 1e6);
        assert!((of(1e3).mean / expected - 1.0).abs() < 0.3, "{} {expected}", of(1e3).mean);
        let streamed = filled(&waves(0.0), &waves(0.5), false);
        let family = ExponentialFamily::Rademacher;
        assert_eq!(streamed.divergence(&family, 5, 1.0, 9, 0).unwrap(), None);
        assert!(pools.divergence(&family, 20, 1.0, 9, 0).is_err());
    }
}
