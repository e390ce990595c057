//! Generalized cross entropy (GCE), between cross entropy and the mean absolute error.
//!
//! ```text
//! L = mean_i (1 - p_iy^q) / q,   p = softmax(logits)
//! ```
//!
//! `q -> 0` is cross entropy, `q = 1` the mean absolute error, which is robust to label noise but
//! hard to train with. The gradient is taken in closed form:
//!
//! ```text
//! dL/dz_i = p_iy^q (p_i - onehot(y_i)) / batch
//! ```
//!
//! # References
//! Z. Zhang, M. Sabuncu, *Generalized Cross Entropy Loss for Training Deep Neural Networks with
//! Noisy Labels*, NeurIPS 2018, Eq. (6).

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::closed_form::{Rows, Softmax};

/// Settings of [`GeneralizedCrossEntropyLoss`].
#[derive(Config, Debug)]
pub struct GeneralizedCrossEntropyLossConfig {
    /// Exponent, above 0 and at most 1.
    #[config(default = 0.7)]
    pub q: f64,
}

impl GeneralizedCrossEntropyLossConfig {
    /// Creates the loss.
    ///
    /// # Panics
    /// If `q` is not above 0 and at most 1.
    pub fn init(&self) -> GeneralizedCrossEntropyLoss {
        let q = self.q;
        assert!(
            q > 0.0 && q <= 1.0,
            "GeneralizedCrossEntropyLossConfig: q must be above 0 and at most 1, got {q}"
        );
        GeneralizedCrossEntropyLoss { q }
    }
}

/// Generalized cross entropy.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick_models::losses::GeneralizedCrossEntropyLossConfig;
///
/// let device = Device::flex();
/// let loss = GeneralizedCrossEntropyLossConfig::new().with_q(1.0).init();
/// let labels = Tensor::<1, Int>::from_data([0], &device);
/// // Two equal logits: probability 1/2.
/// let value = loss.forward(Tensor::zeros([1, 2], &device), labels);
/// assert_eq!(value.into_scalar::<f32>(), 0.5);
/// ```
#[derive(Module, Debug)]
pub struct GeneralizedCrossEntropyLoss {
    /// Exponent.
    q: f64,
}

impl GeneralizedCrossEntropyLoss {
    /// Mean over the batch.
    ///
    /// # Shapes
    /// - logits: `[batch, num_classes]`
    /// - labels: `[batch]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// If there is not one row of logits per label, or the batch is empty.
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.rows(logits, labels).mean()
    }

    /// One value per sample, `[batch]`.
    ///
    /// # Shapes and panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.rows(logits, labels).each()
    }

    fn rows(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Rows {
        let Softmax { given, p, log_given } =
            Softmax::new("GeneralizedCrossEntropyLoss", &logits, labels);
        // p^q = exp(q log p) keeps its gradient where p underflows.
        let power = (log_given * self.q).exp();
        let values = (power.clone().neg() + 1.0).squeeze_dim::<1>(1) * (1.0 / self.q);
        let gradient = p.clone().mask_where(given, p - 1.0) * power;
        Rows { logits, values, gradient }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{DType, Device, TensorData};

    fn problem() -> (Tensor<2>, Tensor<1, Int>) {
        let device = Device::flex();
        let logits = vec![1.0, -0.5, 0.3, 0.0, 2.0, -1.0f64];
        let logits = Tensor::from_data(TensorData::new(logits, [2, 3]), (&device, DType::F64));
        (logits, Tensor::from_data([2, 0], &device))
    }

    #[test]
    fn approaches_cross_entropy_for_a_small_exponent() {
        let (logits, labels) = problem();
        let small = GeneralizedCrossEntropyLossConfig::new().with_q(1e-7).init();
        let found = small.forward(logits.clone(), labels).into_scalar::<f64>();
        let log_p = log_softmax(logits, 1).into_data().try_to_vec::<f64>().unwrap();
        assert!((found + (log_p[2] + log_p[3]) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn stays_finite_where_the_probability_underflows() {
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::from_data([[0.0, 500.0]], &device).require_grad();
        let labels = Tensor::<1, Int>::from_data([0], &device);
        let loss = GeneralizedCrossEntropyLossConfig::new().init().forward(logits.clone(), labels);
        let gradient = logits.grad(&loss.backward()).unwrap();
        assert!(gradient.into_data().iter::<f32>().all(f32::is_finite));
    }

    #[test]
    #[should_panic(expected = "q must be above 0 and at most 1, got 0")]
    fn refuses_an_exponent_of_zero() {
        GeneralizedCrossEntropyLossConfig::new().with_q(0.0).init();
    }

    #[test]
    #[should_panic(expected = "one row per label, 2 and at least one, got 1")]
    fn refuses_logits_and_labels_of_different_length() {
        let (logits, labels) = problem();
        let loss = GeneralizedCrossEntropyLossConfig::new().init();
        loss.forward(logits.slice([0..1, 0..3]), labels);
    }
}
