//! The log-determinant and its gradient by random probes of the power series.
//!
//! With a probe `e` of mean 0 and covariance `I`, and `E[c_k] = 1` for every term (or 0 beyond a
//! truncation):
//!
//! ```text
//! value:     sum over k >= 1 of (-1)^{k+1} / k c_k e^T J^k e          -> log det(I + J)
//! gradient:  w^T dJ e,   w = sum over k >= 0 of (-1)^k c_k (J^T)^k e  -> d log det(I + J)
//! ```
//!
//! The second needs the graph of a single product with `J`: `w` is a constant in it.
//!
//! # References
//! R. Chen, J. Behrmann, D. Duvenaud, J. Jacobsen, *Residual Flows for Invertible Generative Modeling*,
//! NeurIPS 2019, equations 6 and 8.

use burn::tensor::Tensor;

use super::pullback::Pullback;

/// The power series with given coefficients; differentiable, at the price of the graph of every term.
///
/// # Shapes
/// - probe: `[batch, ..]`
/// - coefficients: `c_1, c_2, ..`; no coefficient gives 0
/// - output: `[batch]`
pub fn power_series<const D: usize>(
    pullback: &impl Pullback<D>,
    probe: Tensor<D>,
    coefficients: &[f64],
) -> Tensor<1> {
    let mut power = probe.clone();
    let mut total = products(probe.clone().zeros_like(), probe.clone());
    for (index, coefficient) in coefficients.iter().enumerate() {
        power = pullback.apply(power);
        total =
            total + products(power.clone(), probe.clone()).mul_scalar(weight(index, *coefficient));
    }
    total
}

/// `(-1)^{k+1} / k c_k` of term `k = index + 1`.
fn weight(index: usize, coefficient: f64) -> f64 {
    let sign = if index.is_multiple_of(2) { 1.0 } else { -1.0 };
    sign * coefficient / (index + 1) as f64
}

/// What one pass over the series gives; see [`neumann`].
#[derive(Clone, Debug)]
pub struct NeumannEstimate {
    /// Estimate of the log-determinant, `[batch]`, a constant without gradient.
    pub value: Tensor<1>,
    /// `w^T J e`, `[batch]`. Its gradient is the estimate of the log-determinant's gradient, its value is
    /// *not* a log-determinant and must not be reported as one.
    pub surrogate: Tensor<1>,
}

impl NeumannEstimate {
    /// `[batch]`: the value of the one with the gradient of the other, which is what a loss wants.
    pub fn log_det(self) -> Tensor<1> {
        let constant = self.surrogate.clone().detach();
        self.value + (self.surrogate - constant)
    }
}

/// The estimator of the gradient, with that of the value from the same products.
///
/// # Shapes
/// - probe: `[batch, ..]`
/// - coefficients: `c_1, c_2, ..`, with `c_0 = 1`
pub fn neumann<const D: usize>(
    pullback: &impl Pullback<D>,
    probe: Tensor<D>,
    coefficients: &[f64],
) -> NeumannEstimate {
    let constant = pullback.detached();
    let mut power = probe.clone();
    let mut sum = probe.clone();
    let mut value = products(probe.clone().zeros_like(), probe.clone());
    for (index, &coefficient) in coefficients.iter().enumerate() {
        power = constant.apply(power);
        let sign = if index.is_multiple_of(2) { -1.0 } else { 1.0 };
        sum = sum + power.clone().mul_scalar(sign * coefficient);
        value =
            value + products(power.clone(), probe.clone()).mul_scalar(weight(index, coefficient));
    }
    let surrogate = products(pullback.apply(sum.detach()), probe);
    NeumannEstimate { value: value.detach(), surrogate }
}

/// Inner products sample by sample, `[batch]`.
pub(super) fn products<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<1> {
    per_sample(left * right)
}

/// Sums over all axes but the first, `[batch]`.
pub(super) fn per_sample<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let shape = tensor.dims();
    let rest: usize = shape[1..].iter().product();
    tensor.reshape([shape[0], rest]).sum_dim(1).reshape([shape[0]])
}

/// Largest bias of a log-determinant from the first `terms` terms: `dim sum over k > n of kappa^k / k`.
///
/// # Panics
/// If `lipschitz` is not in `[0, 1)`.
///
/// # Example
/// ```
/// use firebrick_models::generative::residual_flow::truncation_bias;
///
/// assert!((truncation_bias(0.941, 2, 10) - 0.841).abs() < 1e-3); // as much as the log-determinant
/// assert!(truncation_bias(0.941, 2, 200) < 1e-6);
/// ```
pub fn truncation_bias(lipschitz: f64, dim: usize, terms: usize) -> f64 {
    assert!(
        (0.0..1.0).contains(&lipschitz),
        "truncation_bias: lipschitz must be in [0, 1), got {lipschitz}"
    );
    let mut power = lipschitz.powi(terms as i32 + 1);
    let mut total = 0.0f64;
    let mut term = terms + 1;
    // The rest is below power / (term (1 - lipschitz)).
    while power / (term as f64 * (1.0 - lipschitz)) > 1e-17 * total.max(f64::MIN_POSITIVE) {
        total += power / term as f64;
        power *= lipschitz;
        term += 1;
    }
    dim as f64 * total
}
