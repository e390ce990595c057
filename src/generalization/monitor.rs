//! The measuring protocol: which steps, which examples, and what is kept of them.

use burn::config::Config;
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use firebrick_optimizers::efld::ExponentialFamily;

use super::report::{GeneralizationReport, Measurement};
use super::{GeneralizationError, GradientPools, StabilityBounds};

/// Settings of [`GeneralizationMonitor`].
#[derive(Config, Debug)]
pub struct GeneralizationMonitorConfig {
    /// Number `n` of training examples.
    pub num_train: usize,
    /// Size `b` of a mini-batch.
    pub batch_size: usize,
    /// Steps from one measurement to the next; its value stands for the steps between.
    #[config(default = 20)]
    pub every: u64,
    /// Number `M` of training examples, and of fresh ones, in a measurement.
    #[config(default = 200)]
    pub pool_size: usize,
    /// The family that steps are drawn from; gives `c2` and the closed form of LSD.
    #[config(default = "ExponentialFamily::Gaussian")]
    pub family: ExponentialFamily,
    /// Smoothness `c2`. `None`: that of the family.
    pub smoothness: Option<f64>,
    /// Length `C` of the interval that the loss of the bound lies in; 1 for the 0-1 error.
    #[config(default = 1.0)]
    pub loss_range: f64,
    /// Constant of the paper's bound. `None`: `2 C`.
    pub c0: Option<f64>,
    /// Whether the examples of a mini-batch are drawn with replacement.
    #[config(default = false)]
    pub replacement: bool,
    /// Whether the gradients of a measurement are kept until it is done: `2 M` vectors, for the
    /// largest distance over all pairs instead of a bound on it.
    #[config(default = false)]
    pub keep_vectors: bool,
    /// Random mini-batches per measurement for the divergence LSD; 0 leaves it out. Needs kept
    /// gradients and a pool larger than a mini-batch.
    #[config(default = 0)]
    pub divergence_draws: usize,
    /// Seed of the choice of examples and mini-batches.
    #[config(default = 0)]
    pub seed: u64,
}

impl GeneralizationMonitorConfig {
    /// Creates the monitor, at step 0.
    ///
    /// # Errors
    /// If a size is zero, a mini-batch is larger than the training set, a pool has fewer than two
    /// examples or more than there are, a constant is not positive, or LSD is asked for without
    /// keeping the gradients or with a pool that is too small.
    pub fn init(&self) -> Result<GeneralizationMonitor, GeneralizationError> {
        let invalid = |what, expected, found: usize| {
            let found = found as f64;
            Err(GeneralizationError::InvalidSetting { what, expected, found })
        };
        if self.every == 0 {
            return invalid("every", "at least 1", 0);
        }
        if self.pool_size < 2 || self.pool_size > self.num_train {
            let expected = "at least 2 and at most the size of the training set";
            return invalid("pool size", expected, self.pool_size);
        }
        if self.divergence_draws > 0 && !self.keep_vectors {
            let expected = "0 unless the gradients are kept (keep_vectors)";
            return invalid("divergence draws", expected, self.divergence_draws);
        }
        if self.divergence_draws > 0 && self.pool_size <= self.batch_size {
            let expected = "more than the batch size, for the divergence";
            return invalid("pool size", expected, self.pool_size);
        }
        Ok(GeneralizationMonitor {
            bounds: self.bounds()?,
            config: self.clone(),
            step: 0,
            pending: None,
            unmeasured: 0,
            measurements: Vec::new(),
        })
    }

    /// The bounds with these settings.
    ///
    /// # Errors
    /// If a size or constant is out of range.
    pub fn bounds(&self) -> Result<StabilityBounds, GeneralizationError> {
        let smoothness = self.smoothness.unwrap_or_else(|| self.family.smoothness());
        Ok(StabilityBounds::new(self.num_train, self.batch_size)?
            .with_loss_range(self.loss_range)?
            .with_c0(self.c0)?
            .with_smoothness(smoothness)?
            .with_replacement(self.replacement))
    }
}

/// Measures the quantities of the bounds along a training run; see the example of the
/// [module](super).
///
/// Before each update call [`advance`](Self::advance) with the step's `alpha`; when it returns true,
/// fill [`pools`](Self::pools) with per-example gradients at the current parameters and hand them to
/// [`measure`](Self::measure). A measurement may be left out: the previous one then stands.
/// The monitor serializes, so that it can be saved beside a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GeneralizationMonitor {
    config: GeneralizationMonitorConfig,
    bounds: StabilityBounds,
    step: u64,
    /// `alpha` of the step counted last, which a measurement may still claim.
    pending: Option<f64>,
    /// Steps counted before the first measurement.
    unmeasured: u64,
    measurements: Vec<Measurement>,
}

impl GeneralizationMonitor {
    /// Counts a step that is about to be taken with the scale `alpha`
    /// ([`EfldConfig::alpha`](firebrick_optimizers::efld::EfldConfig::alpha)); returns whether it is
    /// to be measured, which the first step always is.
    ///
    /// `alpha = 0`, a step without noise, makes every bound infinite.
    ///
    /// # Errors
    /// If `alpha` is negative or not finite.
    pub fn advance(&mut self, alpha: f64) -> Result<bool, GeneralizationError> {
        if !(alpha.is_finite() && alpha >= 0.0) {
            let (what, expected) = ("alpha", "a finite number of at least 0");
            return Err(GeneralizationError::InvalidSetting { what, expected, found: alpha });
        }
        self.settle();
        self.step += 1;
        self.pending = Some(alpha);
        Ok((self.step - 1).is_multiple_of(self.config.every))
    }

    /// Number of steps counted.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The settings.
    pub fn config(&self) -> &GeneralizationMonitorConfig {
        &self.config
    }

    /// Empty pools for a measurement before the step counted last.
    pub fn pools(&self) -> GradientPools {
        GradientPools::new(self.step, self.config.keep_vectors)
    }

    /// `pool_size` different training examples; a function of (seed, step).
    pub fn train_indices(&self) -> Vec<usize> {
        self.draw(self.config.num_train, 0)
    }

    /// `pool_size` different examples of a fresh pool of `available`; a function of (seed, step).
    ///
    /// # Errors
    /// If there are fewer than `pool_size`.
    pub fn fresh_indices(&self, available: usize) -> Result<Vec<usize>, GeneralizationError> {
        let expected = self.config.pool_size;
        if available < expected {
            let (step, pool, found) = (self.step, "fresh", available);
            return Err(GeneralizationError::PoolTooSmall { step, pool, expected, found });
        }
        Ok(self.draw(available, 1))
    }

    fn draw(&self, available: usize, pool: u64) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        rng.set_stream(2 * self.step + pool);
        sample(&mut rng, available, self.config.pool_size).into_vec()
    }

    /// Takes the gradients of a measurement at the parameters before the step counted last.
    ///
    /// # Errors
    /// If the pools were made for another step, or have too few gradients.
    pub fn measure(&mut self, pools: GradientPools) -> Result<(), GeneralizationError> {
        let Some(alpha) = self.pending.filter(|_| pools.step() == self.step) else {
            let (expected, found) = (self.step, pools.step());
            return Err(GeneralizationError::WrongStep { expected, found });
        };
        let summary = pools.summary()?;
        let divergence = if alpha > 0.0 {
            let GeneralizationMonitorConfig { family, batch_size, divergence_draws, seed, .. } =
                &self.config;
            pools.divergence(family, *batch_size, alpha, *divergence_draws, *seed)?
        } else {
            None
        };
        let delta = summary.delta_estimate.unwrap_or(summary.delta_bound);
        self.measurements.push(Measurement {
            step: self.step,
            alpha,
            steps: 0,
            inverse_alpha_squared: 0.0,
            train_examples: summary.train_examples,
            fresh_examples: summary.fresh_examples,
            discrepancy: summary.discrepancy,
            grad_norm_sq: summary.grad_norm_sq,
            delta_estimate: summary.delta_estimate,
            delta_bound: summary.delta_bound,
            condition: self.bounds.condition(alpha, delta),
            divergence: divergence.map(|estimate| estimate.mean),
            divergence_usable: divergence.map(|estimate| estimate.usable),
        });
        Ok(())
    }

    /// The report on the steps so far. Without steps every bound is 0.
    ///
    /// # Errors
    /// If steps were counted before the first measurement.
    pub fn report(&self) -> Result<GeneralizationReport, GeneralizationError> {
        let mut settled = self.clone();
        settled.settle();
        if settled.unmeasured > 0 {
            return Err(GeneralizationError::NoMeasurement { steps: settled.unmeasured });
        }
        Ok(GeneralizationReport::new(settled.bounds, settled.step, settled.measurements))
    }

    /// Gives the step counted last to the measurement that stands for it.
    fn settle(&mut self) {
        let Some(alpha) = self.pending.take() else { return };
        match self.measurements.last_mut() {
            Some(measurement) => {
                measurement.steps += 1;
                measurement.inverse_alpha_squared += 1.0 / (alpha * alpha);
            }
            None => self.unmeasured += 1,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config() -> GeneralizationMonitorConfig {
        GeneralizationMonitorConfig::new(100, 10).with_every(3).with_pool_size(2)
    }

    /// Pools whose discrepancy is `4 * size^2`.
    fn pools(monitor: &GeneralizationMonitor, size: f64) -> GradientPools {
        let mut pools = monitor.pools();
        for _ in 0..2 {
            pools.push_train(&[size]).unwrap();
            pools.push_fresh(&[-size]).unwrap();
        }
        pools
    }

    fn run(monitor: &mut GeneralizationMonitor, alphas: &[f64]) {
        for &alpha in alphas {
            if monitor.advance(alpha).unwrap() {
                let pools = pools(monitor, monitor.step() as f64);
                monitor.measure(pools).unwrap();
            }
        }
    }

    #[test]
    fn a_measurement_stands_for_the_steps_up_to_the_next_each_with_its_own_alpha() {
        let mut monitor = config().init().unwrap();
        run(&mut monitor, &[1.0, 0.5, 0.5, 2.0, 1.0]);
        let report = monitor.report().unwrap();
        let steps: Vec<_> = report.measurements().iter().map(|m| (m.step, m.steps)).collect();
        assert_eq!(steps, [(1, 3), (4, 2)]);
        let expected = 4.0 * (1.0 + 4.0 + 4.0) + 4.0 * 16.0 * (0.25 + 1.0);
        assert!((report.scaled_discrepancy() - expected).abs() < 1e-12);
        let norm = 9.0 + 16.0 * 1.25;
        assert!((report.scaled_grad_norm() - norm).abs() < 1e-12);
        assert_eq!(monitor.report().unwrap(), report, "asking again changes nothing");
    }

    #[test]
    fn a_measurement_that_is_left_out_lets_the_previous_one_stand() {
        let mut monitor = config().init().unwrap();
        run(&mut monitor, &[1.0, 1.0, 1.0]);
        assert!(monitor.advance(1.0).unwrap());
        assert_eq!(monitor.report().unwrap().scaled_discrepancy(), 16.0);
    }

    #[test]
    fn an_empty_run_has_bounds_of_zero() {
        let report = config().init().unwrap().report().unwrap();
        assert_eq!(report.paper().unwrap(), 0.0);
        assert_eq!(report.unconditional(), 0.0);
        assert_eq!(report.conditions_held(), (0, 0));
    }

    #[test]
    fn a_run_without_noise_has_infinite_bounds() {
        let mut monitor = config().init().unwrap();
        run(&mut monitor, &[0.0]);
        let report = monitor.report().unwrap();
        assert_eq!(report.paper().unwrap(), f64::INFINITY);
        assert_eq!(report.unconditional(), f64::INFINITY);
        // Even where the gradients are all equal.
        let mut monitor = config().init().unwrap();
        monitor.advance(0.0).unwrap();
        let equal = pools(&monitor, 0.0);
        monitor.measure(equal).unwrap();
        assert_eq!(monitor.report().unwrap().unconditional(), f64::INFINITY);
    }

    #[test]
    fn the_condition_is_judged_at_every_measurement() {
        let mut monitor = config().init().unwrap();
        // Distances are 2 at step 1 and 8 at step 4.
        run(&mut monitor, &[6.0, 6.0, 6.0, 6.0]);
        assert_eq!(monitor.report().unwrap().conditions_held(), (1, 2));
    }

    #[test]
    fn examples_are_a_function_of_seed_and_step() {
        let mut monitor = config().with_pool_size(20).init().unwrap();
        monitor.advance(1.0).unwrap();
        let first = monitor.train_indices();
        assert_eq!(first, monitor.train_indices());
        let mut different = first.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 20);
        assert!(different.iter().all(|&index| index < 100));
        assert_ne!(first, monitor.fresh_indices(100).unwrap());
        assert!(monitor.fresh_indices(19).is_err());
        monitor.advance(1.0).unwrap();
        assert_ne!(first, monitor.train_indices());
    }

    #[test]
    fn a_saved_monitor_goes_on_where_it_was() {
        let mut monitor = config().init().unwrap();
        run(&mut monitor, &[1.0, 2.0]);
        let text = serde_json::to_string(&monitor).unwrap();
        let mut loaded: GeneralizationMonitor = serde_json::from_str(&text).unwrap();
        for monitor in [&mut monitor, &mut loaded] {
            run(monitor, &[3.0, 4.0, 5.0]);
        }
        assert_eq!(loaded.report().unwrap(), monitor.report().unwrap());
    }

    #[test]
    fn misuse_is_refused() {
        let mut monitor = config().init().unwrap();
        let early = pools(&monitor, 1.0);
        assert!(monitor.measure(early).is_err());
        assert!(monitor.advance(-1.0).is_err());
        assert!(monitor.advance(f64::NAN).is_err());
        monitor.advance(1.0).unwrap();
        let old = pools(&monitor, 1.0);
        monitor.advance(1.0).unwrap();
        let error = monitor.measure(old).unwrap_err().to_string();
        assert_eq!(error, "measurement: expected one of step 2, found one of step 1");
        let error = monitor.report().unwrap_err().to_string();
        assert!(error.starts_with("2 steps were counted, but none was measured"), "{error}");

        let error = |config: GeneralizationMonitorConfig| config.init().unwrap_err().to_string();
        assert!(error(config().with_every(0)).starts_with("every: expected at least 1"));
        assert!(error(config().with_pool_size(1)).starts_with("pool size"));
        assert!(error(config().with_pool_size(101)).starts_with("pool size"));
        assert!(error(config().with_divergence_draws(5)).starts_with("divergence draws"));
        let kept = config().with_divergence_draws(5).with_keep_vectors(true).with_pool_size(10);
        assert!(error(kept).starts_with("pool size: expected more than the batch size"));
        assert!(error(config().with_smoothness(Some(0.0))).starts_with("smoothness"));
    }
}
