//! Symmetric cross entropy (SCE): cross entropy plus reverse cross entropy.
//!
//! ```text
//! L = alpha * CE + beta * RCE
//! CE  = -mean_i log p_iy
//! RCE = -mean_i sum_k p_ik log(clamp(y_ik, 1e-4, 1)),   p clamped to [1e-7, 1]
//! ```
//!
//! The gradient is taken in closed form. With `A = -log(1e-4)` and `w_k = p_k` where `k` is not the
//! given class and `p_k` is above its floor, else 0:
//!
//! ```text
//! dL/dz_i = (alpha (p_i - onehot(y_i)) + beta A (w_i - p_i sum_k w_ik)) / batch
//! ```
//!
//! # References
//! Y. Wang, X. Ma, Z. Chen, Y. Luo, J. Yi, J. Bailey, *Symmetric Cross Entropy for Robust Learning
//! with Noisy Labels*, ICCV 2019, Eq. (7).

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::closed_form::{Rows, Softmax};

/// Floor of the one-hot label inside the logarithm.
const LABEL_FLOOR: f64 = 1e-4;
/// Floor of the probabilities in the reverse term.
const PROBABILITY_FLOOR: f64 = 1e-7;

/// Settings of [`SymmetricCrossEntropyLoss`]; the paper takes (0.1, 1) for 10 classes and (6, 0.1)
/// for 100.
#[derive(Config, Debug)]
pub struct SymmetricCrossEntropyLossConfig {
    /// Weight of cross entropy.
    #[config(default = 0.1)]
    pub alpha: f64,
    /// Weight of reverse cross entropy.
    #[config(default = 1.0)]
    pub beta: f64,
}

impl SymmetricCrossEntropyLossConfig {
    /// Creates the loss.
    ///
    /// # Panics
    /// If a weight is negative or not finite.
    pub fn init(&self) -> SymmetricCrossEntropyLoss {
        for (name, weight) in [("alpha", self.alpha), ("beta", self.beta)] {
            assert!(
                weight >= 0.0 && weight.is_finite(),
                "SymmetricCrossEntropyLossConfig: {name} must not be negative, got {weight}"
            );
        }
        SymmetricCrossEntropyLoss { alpha: self.alpha, beta: self.beta }
    }
}

/// Symmetric cross entropy.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick_models::losses::SymmetricCrossEntropyLossConfig;
///
/// let device = Device::flex();
/// let loss = SymmetricCrossEntropyLossConfig::new().init();
/// let labels = Tensor::<1, Int>::from_data([0], &device);
/// let value = loss.forward(Tensor::zeros([1, 2], &device), labels).into_scalar::<f32>();
/// let expected = 0.1 * 2f32.ln() - 0.5 * 1e-4f32.ln();
/// assert!((value - expected).abs() < 1e-5);
/// ```
#[derive(Module, Debug)]
pub struct SymmetricCrossEntropyLoss {
    /// Weight of cross entropy.
    alpha: f64,
    /// Weight of reverse cross entropy.
    beta: f64,
}

impl SymmetricCrossEntropyLoss {
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
            Softmax::new("SymmetricCrossEntropyLoss", &logits, labels);
        // log(clamp(y)) is 0 at the given class and log(1e-4) at the others.
        let weight = -LABEL_FLOOR.ln() * self.beta;
        let others = p.clone().mask_fill(given.clone(), 0.0);
        // The given class adds one floor, which is taken off again.
        let reverse = others.clone().clamp_min(PROBABILITY_FLOOR).sum_dim(1) - PROBABILITY_FLOOR;
        let values = log_given * -self.alpha + reverse * weight;

        let floored = others.clone().lower_equal_scalar(PROBABILITY_FLOOR);
        let open = others.mask_fill(floored, 0.0) * weight;
        let factor = open.clone().sum_dim(1).neg() + self.alpha;
        let gradient = p * factor + open;
        let gradient = gradient.clone().mask_where(given, gradient - self.alpha);
        Rows { logits, values: values.squeeze_dim::<1>(1), gradient }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use burn::tensor::activation::log_softmax;

    #[test]
    fn without_the_reverse_term_it_is_scaled_cross_entropy() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data([[1.0, 2.0, 0.5]], &device);
        let labels = Tensor::<1, Int>::from_data([1], &device);
        let loss = SymmetricCrossEntropyLossConfig::new().with_alpha(3.0).with_beta(0.0).init();
        let found = loss.forward(logits.clone(), labels).into_scalar::<f32>();
        let log_p = log_softmax(logits, 1).slice([0..1, 1..2]).into_scalar::<f32>();
        assert!((found + 3.0 * log_p).abs() < 1e-5);
    }

    #[test]
    #[should_panic(expected = "beta must not be negative, got -1")]
    fn refuses_a_negative_weight() {
        SymmetricCrossEntropyLossConfig::new().with_beta(-1.0).init();
    }
}
