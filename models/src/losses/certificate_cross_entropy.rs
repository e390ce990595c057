//! Cross entropy with a reward for certified robustness.
//!
//! ```text
//! L = mean_b ( CE(z, y) - gamma max(0, radius) ),   radius = (z_y - max_{j != y} z_j) / (sqrt(2) Lip)
//! ```
//!
//! # References
//! S. Singla, S. Singla, S. Feizi, *Improved deterministic l2 robustness on CIFAR-10 and CIFAR-100*, ICLR
//! 2022 (certificate regularization).

use std::f64::consts::SQRT_2;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use firebrick_ops::one_hot;

/// Settings of [`CertificateCrossEntropyLoss`].
#[derive(Config, Debug)]
pub struct CertificateCrossEntropyLossConfig {
    /// Weight `gamma` of the certified radius; 0 leaves cross entropy.
    #[config(default = 0.1)]
    pub gamma: f64,
    /// Lipschitz constant of the network.
    #[config(default = 1.0)]
    pub lipschitz: f64,
    /// Factor of the logits within cross entropy: those of a 1-Lipschitz network are small.
    #[config(default = 1.0)]
    pub scale: f64,
}

impl CertificateCrossEntropyLossConfig {
    /// Creates the loss.
    ///
    /// # Panics
    /// If `gamma` is negative, or the Lipschitz constant or the scale is not positive.
    pub fn init(&self) -> CertificateCrossEntropyLoss {
        let Self { gamma, lipschitz, scale } = *self;
        assert!(
            gamma >= 0.0 && gamma.is_finite(),
            "CertificateCrossEntropyLossConfig: gamma must not be negative, got {gamma}"
        );
        for (name, value) in [("lipschitz", lipschitz), ("scale", scale)] {
            assert!(
                value > 0.0 && value.is_finite(),
                "CertificateCrossEntropyLossConfig: {name} must be positive, got {value}"
            );
        }
        CertificateCrossEntropyLoss { gamma, lipschitz, scale }
    }
}

/// Cross entropy less `gamma` times the certified radius of samples that are classified right.
///
/// ```text
/// L = mean_b ( CE(s z, y) - gamma max(0, (z_y - max_{j != y} z_j) / (sqrt(2) Lip)) )
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick_models::losses::CertificateCrossEntropyLossConfig;
///
/// let device = Device::flex();
/// let loss = CertificateCrossEntropyLossConfig::new().with_gamma(0.5).init();
/// let labels = Tensor::<1, Int>::from_data([0], &device);
/// let value = loss.forward(Tensor::from_data([[1.0, 0.0]], &device), labels);
/// let expected = (1.0 + (-1f32).exp()).ln() - 0.5 / 2f32.sqrt();
/// assert!((value.into_scalar::<f32>() - expected).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct CertificateCrossEntropyLoss {
    gamma: f64,
    lipschitz: f64,
    scale: f64,
}

impl CertificateCrossEntropyLoss {
    /// Mean over the batch.
    ///
    /// # Shapes
    /// - logits: `[batch, num_classes]`, at least two classes
    /// - labels: `[batch]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// If there is not one row of logits per label, the batch is empty, or there is one class only.
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_no_reduction(logits, labels).mean()
    }

    /// One value per sample, `[batch]`.
    ///
    /// # Shapes and panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let margin = prediction_margin(logits.clone(), labels.clone());
        let given = one_hot::mask(labels, logits.dims()[1]);
        let log_p = log_softmax(logits * self.scale, 1);
        let entropy = log_p.mask_fill(given.bool_not(), 0.0).sum_dim(1).squeeze_dim::<1>(1).neg();
        let radius = margin.clamp_min(0.0) * (1.0 / (SQRT_2 * self.lipschitz));
        entropy - radius * self.gamma
    }
}

/// `z_y - max_{j != y} z_j`, `[batch]`: positive where the prediction is right.
///
/// # Shapes
/// - logits: `[batch, num_classes]`, at least two classes
/// - labels: `[batch]`
///
/// # Panics
/// If there is not one row of logits per label, the batch is empty, or there is one class only.
pub fn prediction_margin(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    super::check_rows("prediction_margin", &logits, &labels);
    let classes = logits.dims()[1];
    assert!(classes >= 2, "prediction_margin: there must be at least two classes, got {classes}");
    let given = one_hot::mask(labels, classes);
    let of_given = logits.clone().mask_fill(given.clone().bool_not(), 0.0).sum_dim(1);
    let others = logits.mask_fill(given, f32::MIN).max_dim(1);
    (of_given - others).squeeze_dim::<1>(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::loss::CrossEntropyLossConfig;
    use burn::tensor::Device;

    fn problem() -> (Tensor<2>, Tensor<1, Int>) {
        let device = Device::flex().autodiff();
        let logits = Tensor::from_data([[1.0, 0.2, -0.5], [0.3, 0.9, 0.1]], &device);
        (logits.require_grad(), Tensor::from_data([0, 2], &device))
    }

    #[test]
    fn without_gamma_it_is_cross_entropy() {
        let (logits, labels) = problem();
        let loss = CertificateCrossEntropyLossConfig::new().with_gamma(0.0).init();
        let found = loss.forward(logits.clone(), labels.clone()).into_scalar::<f32>();
        let plain = CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, labels);
        assert!((found - plain.into_scalar::<f32>()).abs() < 1e-6);
    }

    #[test]
    fn only_right_samples_are_rewarded() {
        let (logits, labels) = problem();
        let of = |gamma: f64| {
            let loss = CertificateCrossEntropyLossConfig::new()
                .with_gamma(gamma)
                .with_lipschitz(2.0)
                .init()
                .forward_no_reduction(logits.clone(), labels.clone());
            loss.into_data().iter::<f64>().collect::<Vec<_>>()
        };
        let (plain, rewarded) = (of(0.0), of(1.0));
        assert!((plain[0] - rewarded[0] - 0.8 / (2.0 * SQRT_2)).abs() < 1e-6);
        assert_eq!(plain[1], rewarded[1]);
    }

    #[test]
    fn the_reward_pulls_the_two_largest_logits_apart() {
        let (logits, labels) = problem();
        let margin = prediction_margin(logits.clone(), labels);
        let gradient = logits.grad(&margin.sum().backward()).expect("tracked");
        let gradient: Vec<f64> = gradient.into_data().iter::<f64>().collect();
        assert_eq!(gradient, [1.0, -1.0, 0.0, 0.0, -1.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "lipschitz must be positive, got 0")]
    fn refuses_a_lipschitz_constant_of_zero() {
        CertificateCrossEntropyLossConfig::new().with_lipschitz(0.0).init();
    }
}
