//! Closed-form gradients of the loss with respect to the logits and the batch's rows of the state.
//!
//! With the given labels `y`, `B` rows and the notation of the [module](super), where `[.]` is 1
//! inside the range of a clamp and 0 outside:
//!
//! ```text
//! dL/dr_k = (-y_k / r_k - balance / (K m_k) [m_k]) / B
//! g_k     = dL/dr_k [r_k]
//! dL/dq_k = (g_k - sum_j g_j q_j / S) / S,   S = sum_j q_j
//! dL/dp   = dL/dq [p + U - V > eps] = dL/dU of the cross entropy
//! e       = 2 (h + U - V - y) / B             = dL/dU = -dL/dV of the squared error
//! dL/du   = sum_k 2 u y_k (dL/dp + e)_k [u^2 y_k < 1]       (routing Paper: without e)
//! dL/dv_k = -2 v_k (1 - y_k) e_k [v_k^2 (1 - y_k) < 1]
//! dL/dz   = p * (dL/dp - sum_k p_k dL/dp_k)
//! dL/dz2  = consistency (softmax(z2) - p) / B
//! ```

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::loss::{Batch, Forward, inside};
use super::{SopConfig, SopRouting};

/// Gradients with respect to the inputs of a batch.
pub(super) struct Gradients {
    /// `[batch, num_classes]`
    pub logits: Tensor<2>,
    /// `[batch, num_classes]`, if there is a second view.
    pub second_view: Option<Tensor<2>>,
    /// `[batch, 1]`
    pub u: Tensor<2>,
    /// `[batch, num_classes]`
    pub v: Tensor<2>,
}

impl Gradients {
    /// Evaluates the formulas; all inputs are plain tensors.
    pub fn new(config: &SopConfig, batch: &Batch, forward: &Forward) -> Self {
        let rows = batch.given.dims()[0] as f64;
        let through = corrected_gradient(config, batch, forward);
        let error = forward.residual.clone() * (2.0 / rows);

        let drive = match config.routing {
            SopRouting::Joint => through.clone() + error.clone(),
            SopRouting::Paper => through.clone(),
        };
        let u_open = forward_open(batch.u.clone().powi_scalar(2) * batch.given.clone());
        let u = (drive * batch.given.clone() * u_open).sum_dim(1) * batch.u.clone() * 2.0;

        let others = batch.given.clone().neg() + 1.0;
        let v_open = forward_open(batch.v.clone().powi_scalar(2) * others.clone());
        let v = error * others * v_open * batch.v.clone() * -2.0;

        let p = forward.probabilities.clone();
        let mean = (p.clone() * through.clone()).sum_dim(1);
        let logits = p.clone() * (through - mean);
        let second_view = batch
            .second_view
            .as_ref()
            .map(|second| (softmax(second.clone(), 1) - p) * (config.consistency / rows));
        Self { logits, second_view, u, v }
    }
}

/// Gradient of cross entropy and balance with respect to `p`, which is also that to `U`.
fn corrected_gradient(config: &SopConfig, batch: &Batch, forward: &Forward) -> Tensor<2> {
    let [rows, num_classes] = batch.given.dims();
    let mut gradient = batch.given.clone() / forward.corrected.clone();
    if config.balance > 0.0 {
        let mean = forward.corrected.clone().mean_dim(0);
        let open = inside(mean.clone(), config.epsilon, 1.0).float().cast(mean.dtype());
        let weight = config.balance / num_classes as f64;
        gradient = gradient + open / mean.clamp(config.epsilon, 1.0) * weight;
    }
    let open = inside(forward.normalized.clone(), config.epsilon, 1.0);
    let gradient = gradient.mask_fill(open.bool_not(), 0.0) * (-1.0 / rows as f64);

    let sum = forward.sum.clone();
    let mean = (gradient.clone() * forward.floored.clone()).sum_dim(1) / sum.clone();
    let gradient = (gradient - mean) / sum;
    gradient.mask_fill(forward.raw.clone().lower_equal_scalar(config.epsilon), 0.0)
}

/// 1 where the upper clamp of a square is open, else 0.
fn forward_open(square: Tensor<2>) -> Tensor<2> {
    let dtype = square.dtype();
    square.lower_scalar(1.0).float().cast(dtype)
}
