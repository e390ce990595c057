//! The loss of SOP and SOP+, term by term.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Bool, Tensor};

use super::{SopConfig, SopRouting, SopUpdate};

/// What [`Sop::forward`](super::Sop::forward) returns.
#[derive(Clone, Debug)]
pub struct SopOutput {
    /// The loss, `[1]`; its `backward` reaches the logits.
    pub loss: Tensor<1>,
    /// The parts of the loss, for logs.
    pub terms: SopTerms,
    /// `U - V` of the batch, `[batch, num_classes]`: positive at a given class that looks wrong,
    /// negative at the class that the label should have been.
    pub noise_estimate: Tensor<2>,
    /// The gradients of the batch's rows of `u` and `v`, for [`Sop::apply`](super::Sop::apply).
    pub update: SopUpdate,
}

/// The parts of the loss, each `[1]`, unweighted and without autodiff.
#[derive(Clone, Debug)]
pub struct SopTerms {
    /// Cross entropy of the corrected distribution.
    pub cross_entropy: Tensor<1>,
    /// Squared error between the hard prediction and the corrected label.
    pub squared_error: Tensor<1>,
    /// Class balance of the corrected distribution; zero if its weight is zero.
    pub balance: Tensor<1>,
    /// Divergence between the two views; zero if its weight is zero.
    pub consistency: Tensor<1>,
}

impl SopTerms {
    pub(super) fn map(self, f: impl Fn(Tensor<1>) -> Tensor<1>) -> Self {
        Self {
            cross_entropy: f(self.cross_entropy),
            squared_error: f(self.squared_error),
            balance: f(self.balance),
            consistency: f(self.consistency),
        }
    }

    pub(super) fn total(&self, config: &SopConfig) -> Tensor<1> {
        let mut total = self.cross_entropy.clone() + self.squared_error.clone();
        if config.balance > 0.0 {
            total = total + self.balance.clone() * config.balance;
        }
        if config.consistency > 0.0 {
            total = total + self.consistency.clone() * config.consistency;
        }
        total
    }
}

/// A batch of the loss: logits of one or two views, the state's rows, and the given labels.
pub(super) struct Batch {
    pub logits: Tensor<2>,
    pub second_view: Option<Tensor<2>>,
    /// `[batch, 1]`
    pub u: Tensor<2>,
    /// `[batch, num_classes]`
    pub v: Tensor<2>,
    /// Given labels as rows of the simplex, a constant.
    pub given: Tensor<2>,
}

/// What the terms of the loss share, `[batch, num_classes]` unless said.
pub(super) struct Forward {
    pub probabilities: Tensor<2>,
    /// `U`, the amount by which the given label is wrong.
    pub wrong: Tensor<2>,
    /// `V`, the amount by which another class is right.
    pub other: Tensor<2>,
    /// `p + U - V` before the floor.
    pub raw: Tensor<2>,
    /// `q`, after the floor.
    pub floored: Tensor<2>,
    /// Row sums of `q`, `[batch, 1]`.
    pub sum: Tensor<2>,
    /// `q / sum(q)` before the clamp.
    pub normalized: Tensor<2>,
    /// `r`
    pub corrected: Tensor<2>,
    /// `h + U - V - y`
    pub residual: Tensor<2>,
}

impl Forward {
    /// Steps 1 to 4 and 6 of the loss. Tracked rows or logits give tracked results, with the
    /// stop-gradients of the routing.
    pub fn new(config: &SopConfig, batch: &Batch) -> Self {
        let [_, num_classes] = batch.given.dims();
        let epsilon = config.epsilon;
        let others = batch.given.clone().neg() + 1.0;
        let wrong = saturate(batch.u.clone().powi_scalar(2) * batch.given.clone());
        let other = saturate(batch.v.clone().powi_scalar(2) * others);
        let probabilities = softmax(batch.logits.clone(), 1);

        let raw = probabilities.clone() + wrong.clone() - other.clone().detach();
        let floored = raw.clone().clamp_min(epsilon);
        // Every entry is at least epsilon, so the sum needs no floor of its own.
        let sum = floored.clone().sum_dim(1);
        let normalized = floored.clone() / sum.clone();
        let corrected = normalized.clone().clamp(epsilon, 1.0);

        let best = batch.logits.clone().inner().argmax(1).flatten::<1>(0, 1);
        let prediction = firebrick_ops::one_hot::one_hot(best, num_classes, batch.given.dtype());
        let wrong_in_error = match config.routing {
            SopRouting::Joint => wrong.clone(),
            SopRouting::Paper => wrong.clone().detach(),
        };
        let residual = wrong_in_error - other.clone() + (prediction - batch.given.clone());
        Self { probabilities, wrong, other, raw, floored, sum, normalized, corrected, residual }
    }

    /// Steps 5 and 7 to 10.
    pub fn terms(&self, config: &SopConfig, batch: &Batch) -> SopTerms {
        let [rows, num_classes] = batch.given.dims();
        // Burn's derivative of a division by a scalar rounds to 32 bits; a product does not.
        let per_row = 1.0 / rows as f64;
        let log_corrected = self.corrected.clone().log();
        let cross_entropy = (log_corrected * batch.given.clone()).sum() * -per_row;
        let squared_error = self.residual.clone().powi_scalar(2).sum() * per_row;
        let zero = || cross_entropy.clone().inner().zeros_like();
        let balance = if config.balance > 0.0 {
            self.mean_corrected(config).log().sum() * (-1.0 / num_classes as f64)
        } else {
            zero()
        };
        let consistency = match (&batch.second_view, config.consistency > 0.0) {
            (Some(second), true) => {
                let first = log_softmax(batch.logits.clone().inner(), 1);
                let weights = self.probabilities.clone().inner();
                let difference = log_softmax(second.clone(), 1).neg() + first;
                (difference * weights).sum() * per_row
            }
            _ => zero(),
        };
        SopTerms { cross_entropy, squared_error, balance, consistency }
    }

    /// `m`, the mean corrected distribution with its clamp, `[1, num_classes]`.
    pub fn mean_corrected(&self, config: &SopConfig) -> Tensor<2> {
        self.corrected.clone().mean_dim(0).clamp(config.epsilon, 1.0)
    }
}

/// `min(square, 1)` without a gradient from 1 on, as PyTorch's `clamp`. Burn's own passes the
/// gradient at the bound, and a projected entry sits at exactly 1.
fn saturate(square: Tensor<2>) -> Tensor<2> {
    let full = square.clone().inner().greater_equal_scalar(1.0);
    square.mask_fill(full, 1.0)
}

/// Where a value lies between `min` and `max`: the entries through which a clamp passes the
/// gradient, as in PyTorch not at the bounds themselves.
pub(super) fn inside(value: Tensor<2>, min: f64, max: f64) -> Tensor<2, Bool> {
    value.clone().greater_scalar(min).bool_and(value.lower_scalar(max))
}
