//! Early-learning regularization (ELR): cross entropy held back by the network's own early
//! predictions.
//!
//! Every training sample keeps a target `t`, a running average of the predictions for it:
//!
//! ```text
//! q = clamp(softmax(logits), 1e-4, 1 - 1e-4)
//! t <- beta t + (1 - beta) q / sum(q)           no gradient
//! L = CE + lambda * mean_i log(1 - <t_i, q_i>)
//! ```
//!
//! The paper takes `(beta, lambda) = (0.7, 3)` for CIFAR-10 and `(0.9, 7)` for CIFAR-100.
//!
//! # References
//! S. Liu, J. Niles-Weed, N. Razavian, C. Fernandez-Granda, *Early-Learning Regularization Prevents
//! Memorization of Noisy Labels*, NeurIPS 2020, Eq. (6).

use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, assert_shape};

/// Floor of a probability, and distance of the ceiling from 1.
const MARGIN: f64 = 1e-4;

/// Settings of [`EarlyLearningLoss`].
#[derive(Config, Debug)]
pub struct EarlyLearningConfig {
    /// Number of training samples.
    pub num_samples: usize,
    /// Number of classes.
    pub num_classes: usize,
    /// Weight of the past in the running average, from 0 to below 1.
    #[config(default = 0.7)]
    pub beta: f64,
    /// Weight of the regularization.
    #[config(default = 3.0)]
    pub lambda: f64,
}

impl EarlyLearningConfig {
    /// Creates the loss with all targets at zero.
    ///
    /// # Panics
    /// If there are no samples or fewer than two classes, `beta` is not from 0 to below 1, or
    /// `lambda` is negative.
    pub fn init(&self, device: &Device) -> EarlyLearningLoss {
        self.init_with(Tensor::zeros([self.num_samples, self.num_classes], device))
    }

    /// Creates the loss with given targets, on their device.
    ///
    /// # Shapes
    /// - target: `[num_samples, num_classes]`
    ///
    /// # Panics
    /// As [`init`](Self::init), and if the shape differs.
    pub fn init_with(&self, target: Tensor<2>) -> EarlyLearningLoss {
        let Self { num_samples, num_classes, beta, lambda } = *self;
        assert!(
            num_samples > 0 && num_classes >= 2,
            "EarlyLearningConfig: expected samples and at least 2 classes, got {num_samples} and {num_classes}"
        );
        assert!(
            (0.0..1.0).contains(&beta),
            "EarlyLearningConfig: beta must be from 0 to below 1, got {beta}"
        );
        assert!(
            lambda >= 0.0 && lambda.is_finite(),
            "EarlyLearningConfig: lambda must not be negative, got {lambda}"
        );
        assert_shape!(target, [num_samples, num_classes]);
        let target = Param::initialized(ParamId::new(), target.detach().set_require_grad(false));
        EarlyLearningLoss { target, beta, lambda }
    }
}

/// Early-learning regularization with its targets.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick_models::losses::EarlyLearningConfig;
///
/// let device = Device::flex();
/// let loss = EarlyLearningConfig::new(100, 3).init(&device);
/// let indices = Tensor::<1, Int>::from_data([7, 3], &device);
/// let labels = Tensor::<1, Int>::from_data([0, 2], &device);
/// let output = loss.forward(indices, Tensor::zeros([2, 3], &device), labels);
/// let loss = loss.apply(output.update); // beside the optimizer's step
/// ```
#[derive(Module, Debug)]
pub struct EarlyLearningLoss {
    /// Running average of the predictions, `[num_samples, num_classes]`; no optimizer touches it.
    pub target: Param<Tensor<2>>,
    beta: f64,
    lambda: f64,
}

/// What [`EarlyLearningLoss::forward`] returns.
#[derive(Clone, Debug)]
pub struct EarlyLearningOutput {
    /// Mean loss of the batch, `[1]`.
    pub loss: Tensor<1>,
    /// The new targets of the batch, for [`EarlyLearningLoss::apply`].
    pub update: EarlyLearningUpdate,
}

/// New targets of a batch's samples.
#[derive(Clone, Debug)]
pub struct EarlyLearningUpdate {
    /// Position of each row in the training set, `[batch]`.
    pub indices: Tensor<1, Int>,
    /// New rows of the targets, `[batch, num_classes]`.
    pub rows: Tensor<2>,
}

impl EarlyLearningLoss {
    /// The loss of a batch, with the targets as they are after this batch.
    ///
    /// # Shapes
    /// - indices: `[batch]`, positions in the training set
    /// - logits: `[batch, num_classes]`
    /// - labels: `[batch]`, the given labels
    ///
    /// # Panics
    /// If a shape disagrees or the batch is empty.
    pub fn forward(
        &self,
        indices: Tensor<1, Int>,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> EarlyLearningOutput {
        let target = self.target.val().inner();
        let ([rows], [_, num_classes]) = (labels.dims(), target.dims());
        assert_shape!(logits, [rows, num_classes]);
        assert_shape!(indices, [rows]);
        let given = super::given("EarlyLearningLoss", &logits, labels);
        let log_p = log_softmax(logits, 1);
        let q = log_p.clone().exp().clamp(MARGIN, 1.0 - MARGIN);

        let plain = q.clone().inner();
        let average = plain.clone() / plain.sum_dim(1);
        let indices = indices.without_autodiff();
        let past = target.select(0, indices.clone()) * self.beta;
        let target = past + average * (1.0 - self.beta);

        let agreement = (q * target.clone()).sum_dim(1);
        let per_row = 1.0 / rows as f64;
        let cross_entropy = (log_p * given).sum() * -per_row;
        let regularization = (agreement.neg() + 1.0).log().sum() * (per_row * self.lambda);
        EarlyLearningOutput {
            loss: cross_entropy + regularization,
            update: EarlyLearningUpdate { indices, rows: target },
        }
    }

    /// Stores the new targets of a batch. Of a repeated index one of the rows is kept.
    pub fn apply(mut self, update: EarlyLearningUpdate) -> Self {
        let (id, value, mapper) = self.target.consume();
        let autodiff = value.is_autodiff();
        let EarlyLearningUpdate { indices, rows } = update;
        let value = value.inner().select_assign(0, indices, rows, IndexingUpdateOp::Assign);
        let value = if autodiff { Tensor::from_inner(value) } else { value };
        self.target = Param::from_mapped_value(id, value, mapper);
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn without_weight_it_is_cross_entropy_and_only_the_batch_changes() {
        let device = Device::flex().autodiff();
        let loss = EarlyLearningConfig::new(4, 2).with_lambda(0.0).init(&device);
        let indices = Tensor::<1, Int>::from_data([2], &device);
        let labels = Tensor::<1, Int>::from_data([1], &device);
        let logits = Tensor::<2>::from_data([[0.0, 0.0]], &device).require_grad();
        let output = loss.forward(indices, logits.clone(), labels);
        assert!((output.loss.clone().into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
        let gradient = logits.grad(&output.loss.backward()).unwrap();
        assert_eq!(gradient.into_data().try_to_vec::<f32>().unwrap(), [0.5, -0.5]);
        let target = loss.apply(output.update).target.val().into_data();
        let target: Vec<f32> = target.iter::<f32>().collect();
        assert_eq!(target[..4], [0.0; 4]);
        assert!((target[4] - 0.15).abs() < 1e-6 && (target[5] - 0.15).abs() < 1e-6);
    }

    #[test]
    #[should_panic(expected = "beta must be from 0 to below 1, got 1")]
    fn refuses_an_average_that_never_moves() {
        EarlyLearningConfig::new(4, 2).with_beta(1.0).init(&Device::flex());
    }
}
