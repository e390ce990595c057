//! Losses for classification.
//!
//! | loss | for | reference |
//! |---|---|---|
//! | [`GeneralizedCrossEntropyLoss`] | label noise | Zhang, Sabuncu, NeurIPS 2018 |
//! | [`SymmetricCrossEntropyLoss`] | label noise | Wang et al., ICCV 2019 |
//! | [`EarlyLearningLoss`] | label noise; keeps a target per sample | Liu et al., NeurIPS 2020 |
//! | [`MultiClassHingeLoss`] | certified robustness | Li et al., NeurIPS 2019 |
//! | [`CertificateCrossEntropyLoss`] | certified robustness | Singla, Singla, Feizi, ICLR 2022 |
//! | [`CoTeaching`] | label noise; two networks choose samples for each other | Han et al., NeurIPS 2018 |
//!
//! All take logits `[batch, num_classes]` and integer labels `[batch]`, and average over the batch.
//! SOP, which keeps a noise state per sample, is in `firebrick-optimizers`.

mod certificate_cross_entropy;
mod closed_form;
mod co_teaching;
mod early_learning;
mod generalized_cross_entropy;
mod multi_class_hinge;
mod symmetric_cross_entropy;

pub use certificate_cross_entropy::{
    CertificateCrossEntropyLoss, CertificateCrossEntropyLossConfig, prediction_margin,
};
pub use co_teaching::{CoTeaching, CoTeachingConfig, CoTeachingOutput};
pub use early_learning::{
    EarlyLearningConfig, EarlyLearningLoss, EarlyLearningOutput, EarlyLearningUpdate,
};
pub use generalized_cross_entropy::{
    GeneralizedCrossEntropyLoss, GeneralizedCrossEntropyLossConfig,
};
pub use multi_class_hinge::{MultiClassHingeLoss, MultiClassHingeLossConfig, margin_of_radius};
pub use symmetric_cross_entropy::{SymmetricCrossEntropyLoss, SymmetricCrossEntropyLossConfig};

use burn::tensor::{Int, Tensor};
use firebrick_ops::one_hot::one_hot;

/// Checks logits against labels and gives the labels as one-hot rows.
fn given(name: &str, logits: &Tensor<2>, labels: Tensor<1, Int>) -> Tensor<2> {
    check_rows(name, logits, &labels);
    one_hot(labels, logits.dims()[1], logits.dtype())
}

fn check_rows(name: &str, logits: &Tensor<2>, labels: &Tensor<1, Int>) {
    let ([rows, _], [expected]) = (logits.dims(), labels.dims());
    assert!(
        rows == expected && rows > 0,
        "{name}: logits must have one row per label, {expected} and at least one, got {rows}"
    );
}
