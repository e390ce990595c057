//! The bounds, as functions of sums over the steps.

use serde::{Deserialize, Serialize};

use super::GeneralizationError;
use super::error::positive;

/// The numbers that every bound needs beside what is measured: see the [module](super) for the
/// formulas.
///
/// # Example
/// ```
/// use firebrick::generalization::StabilityBounds;
///
/// let bounds = StabilityBounds::new(4000, 100)?;
/// let sum = 500.0; // of discrepancy / alpha^2 over the steps
/// assert!(bounds.unconditional(sum) < bounds.paper(sum)?);
/// # Ok::<(), firebrick::generalization::GeneralizationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StabilityBounds {
    num_train: usize,
    batch_size: usize,
    loss_range: f64,
    c0: Option<f64>,
    smoothness: f64,
    replacement: bool,
}

impl StabilityBounds {
    /// Bounds for `num_train` training examples and mini-batches of `batch_size`, a loss between 0
    /// and 1, a family with `c2 = 1`, and mini-batches without replacement.
    ///
    /// # Errors
    /// If one of the sizes is zero or a mini-batch is larger than the training set.
    pub fn new(num_train: usize, batch_size: usize) -> Result<Self, GeneralizationError> {
        if batch_size == 0 || batch_size > num_train {
            let (what, expected) = ("batch size", "a size from 1 to the size of the training set");
            let found = batch_size as f64;
            return Err(GeneralizationError::InvalidSetting { what, expected, found });
        }
        Ok(Self {
            num_train,
            batch_size,
            loss_range: 1.0,
            c0: None,
            smoothness: 1.0,
            replacement: false,
        })
    }

    /// Sets the length `C` of the interval that the loss of the bound lies in.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn with_loss_range(mut self, loss_range: f64) -> Result<Self, GeneralizationError> {
        self.loss_range = positive("loss range", loss_range)?;
        Ok(self)
    }

    /// Sets the constant `c0` of the paper's bound; `None` is `2 C`.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn with_c0(mut self, c0: Option<f64>) -> Result<Self, GeneralizationError> {
        self.c0 = c0.map(|c0| positive("c0", c0)).transpose()?;
        Ok(self)
    }

    /// Sets the smoothness `c2` of the family.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn with_smoothness(mut self, smoothness: f64) -> Result<Self, GeneralizationError> {
        self.smoothness = positive("smoothness", smoothness)?;
        Ok(self)
    }

    /// Sets whether the examples of a mini-batch are drawn with replacement.
    pub fn with_replacement(mut self, replacement: bool) -> Self {
        self.replacement = replacement;
        self
    }

    /// Size `n` of the training set.
    pub fn num_train(&self) -> usize {
        self.num_train
    }

    /// Size `b` of a mini-batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Smoothness `c2` of the family.
    pub fn smoothness(&self) -> f64 {
        self.smoothness
    }

    /// Whether `alpha^2 >= 8 c2 Delta^2`, the paper's condition on a step.
    pub fn condition(&self, alpha: f64, delta: f64) -> bool {
        alpha * alpha >= 8.0 * self.smoothness * delta * delta
    }

    /// The paper's bound, `c0 sqrt(5 c2) / n * sqrt(sum_t disc_t / alpha_t^2)` (Theorem 2); valid only
    /// where [`condition`](Self::condition) holds at every step.
    ///
    /// # Errors
    /// If a mini-batch is more than half of the training set.
    pub fn paper(&self, scaled_discrepancy: f64) -> Result<f64, GeneralizationError> {
        self.check_batch("paper's bound")?;
        let c0 = self.c0.unwrap_or(2.0 * self.loss_range);
        Ok(c0 * (5.0 * self.smoothness * scaled_discrepancy).sqrt() / self.num_train as f64)
    }

    /// Our bound without a condition on `alpha`,
    /// `C / 2 * sqrt(c2 / (n b) * sum_t disc_t / alpha_t^2)`; with replacement `1 / (n b)` becomes
    /// `1 / (n b) + 1 / n^2`. Not in the paper.
    pub fn unconditional(&self, scaled_discrepancy: f64) -> f64 {
        let (n, b) = (self.num_train as f64, self.batch_size as f64);
        let rate = 1.0 / (n * b) + if self.replacement { 1.0 / (n * n) } else { 0.0 };
        self.loss_range / 2.0 * (self.smoothness * rate * scaled_discrepancy).sqrt()
    }

    /// Our bound from the measured divergence, `C * b / n * sqrt(sum_t E LSD_t)`: the paper's chain
    /// with Pinsker's inequality at its end. Not in the paper.
    ///
    /// # Errors
    /// If a mini-batch is more than half of the training set.
    pub fn measured_divergence(&self, divergence: f64) -> Result<f64, GeneralizationError> {
        self.check_batch("bound from the measured divergence")?;
        let share = self.batch_size as f64 / self.num_train as f64;
        Ok(self.loss_range * share * divergence.sqrt())
    }

    /// To compare with: the bound of Li, Luo and Qiao (2020) for SGLD from gradient norms,
    /// `8.12 C / n * sqrt(sum_t ge_t / alpha_t^2)` with `ge_t` the mean squared norm of a gradient of
    /// a training example.
    ///
    /// # Notes
    /// It needs `eta <= sigma / (20 L)` for a Lipschitz constant `L` of the loss, which is not
    /// checked here, and a noise convention that may differ by a factor; constant and condition are
    /// quoted from memory of that paper.
    pub fn gradient_norm(&self, scaled_norm: f64) -> f64 {
        8.12 * self.loss_range / self.num_train as f64 * scaled_norm.sqrt()
    }

    /// To compare with: the shape of the bound of Mou et al. (2018) for SGLD,
    /// `K / n * sqrt(sum_t 1 / alpha_t^2)`, from a global Lipschitz constant `K` of the loss, up to a
    /// constant factor. A network has no such `K` that is known.
    ///
    /// # Errors
    /// If `lipschitz` is not positive and finite.
    pub fn lipschitz_shape(
        &self,
        lipschitz: f64,
        inverse_alpha_squared: f64,
    ) -> Result<f64, GeneralizationError> {
        let lipschitz = positive("Lipschitz constant", lipschitz)?;
        Ok(lipschitz / self.num_train as f64 * inverse_alpha_squared.sqrt())
    }

    /// Whether a mini-batch is at most half of the training set.
    pub(super) fn check_batch(&self, bound: &'static str) -> Result<(), GeneralizationError> {
        let Self { num_train, batch_size, .. } = *self;
        if 2 * batch_size > num_train {
            return Err(GeneralizationError::BatchTooLarge { bound, num_train, batch_size });
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bounds() -> StabilityBounds {
        StabilityBounds::new(4000, 100).unwrap()
    }

    #[test]
    fn bounds_are_their_formulas() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * b, "{a} {b}");
        let scaled = bounds().with_smoothness(0.25).unwrap().with_loss_range(3.0).unwrap();
        close(bounds().paper(80.0).unwrap(), 2.0 * 400f64.sqrt() / 4000.0);
        close(scaled.paper(80.0).unwrap(), 6.0 * 100f64.sqrt() / 4000.0);
        let own = scaled.clone().with_c0(Some(0.5)).unwrap();
        close(own.paper(80.0).unwrap(), 0.5 * 100f64.sqrt() / 4000.0);
        close(bounds().unconditional(4e5), 0.5);
        close(scaled.unconditional(4e5), 0.75);
        let rate: f64 = 1.0 / 4e5 + 1.0 / 16e6;
        close(bounds().with_replacement(true).unconditional(4e5), 0.5 * (rate * 4e5).sqrt());
        close(scaled.measured_divergence(4.0).unwrap(), 3.0 * 2.0 / 40.0);
        close(scaled.gradient_norm(100.0), 81.2 * 3.0 / 4000.0);
        close(scaled.lipschitz_shape(7.0, 16.0).unwrap(), 28.0 / 4000.0);
    }

    #[test]
    fn an_empty_run_has_bounds_of_zero_and_no_noise_infinite_ones() {
        assert_eq!(bounds().paper(0.0).unwrap(), 0.0);
        assert_eq!(bounds().unconditional(0.0), 0.0);
        assert_eq!(bounds().unconditional(f64::INFINITY), f64::INFINITY);
    }

    #[test]
    fn the_condition_is_the_papers() {
        assert!(bounds().condition(8f64.sqrt() + 1e-9, 1.0));
        assert!(!bounds().condition(8f64.sqrt() - 1e-9, 1.0));
    }

    #[test]
    fn a_batch_of_more_than_half_is_refused_where_it_matters() {
        let large = StabilityBounds::new(100, 51).unwrap();
        assert!(matches!(large.paper(1.0), Err(GeneralizationError::BatchTooLarge { .. })));
        assert!(large.measured_divergence(1.0).is_err());
        assert!(large.unconditional(1.0) > 0.0);
        assert!(StabilityBounds::new(100, 50).unwrap().paper(1.0).is_ok());
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        assert!(StabilityBounds::new(10, 0).is_err());
        assert!(StabilityBounds::new(10, 11).is_err());
        let error = bounds().with_smoothness(0.0).unwrap_err().to_string();
        assert_eq!(error, "smoothness: expected a finite number above 0, found 0");
        assert!(bounds().with_c0(Some(f64::NAN)).is_err());
        assert!(bounds().with_loss_range(-1.0).is_err());
        assert!(bounds().lipschitz_shape(f64::INFINITY, 1.0).is_err());
    }
}
