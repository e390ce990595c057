//! Gradients scaled, reversed and clipped at a point.

use burn::tensor::Tensor;

use super::gradient_hook;

/// The identity with the gradient times `factor`; 0 stops it.
///
/// # Panics
/// If the factor is not finite.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::gradient_hook::scale_gradient;
///
/// let x = Tensor::<1>::ones([2], &Device::flex().autodiff()).require_grad();
/// let gradients = scale_gradient(x.clone(), 0.1).sum().backward();
/// assert_eq!(x.grad(&gradients).unwrap().into_data().iter::<f32>().next(), Some(0.1));
/// ```
pub fn scale_gradient<const D: usize>(input: Tensor<D>, factor: f64) -> Tensor<D> {
    assert!(factor.is_finite(), "scale_gradient: factor must be finite, got {factor}");
    gradient_hook(input, factor, |factor, gradient| gradient * *factor)
}

/// The identity with the gradient times `-strength`: what lies before it is trained to make the loss
/// large.
///
/// # Panics
/// If the strength is negative or not finite.
///
/// # References
/// Y. Ganin et al., *Domain-Adversarial Training of Neural Networks*, JMLR 2016, section 4.2.
pub fn reverse_gradient<const D: usize>(input: Tensor<D>, strength: f64) -> Tensor<D> {
    assert!(
        strength >= 0.0 && strength.is_finite(),
        "reverse_gradient: strength must be finite and not negative, got {strength}"
    );
    scale_gradient(input, -strength)
}

/// The identity with every entry of the gradient brought to `[-limit, limit]`.
///
/// # Panics
/// If the limit is not positive.
pub fn clip_gradient_value<const D: usize>(input: Tensor<D>, limit: f64) -> Tensor<D> {
    check("clip_gradient_value", limit);
    gradient_hook(input, limit, |limit, gradient| gradient.clamp(-*limit, *limit))
}

/// The identity with the gradient scaled down to the norm `limit` where it is longer.
///
/// # Panics
/// If the limit is not positive.
pub fn clip_gradient_norm<const D: usize>(input: Tensor<D>, limit: f64) -> Tensor<D> {
    check("clip_gradient_norm", limit);
    gradient_hook(input, limit, |limit, gradient| {
        let shape = gradient.dims();
        let row = gradient.reshape([1, -1]);
        clip_rows(row, *limit).reshape(shape)
    })
}

/// The identity with the gradient of each sample, along axis 0, scaled down to the norm `limit` where it
/// is longer.
///
/// # Panics
/// If the limit is not positive.
pub fn clip_gradient_norm_per_sample<const D: usize>(input: Tensor<D>, limit: f64) -> Tensor<D> {
    check("clip_gradient_norm_per_sample", limit);
    gradient_hook(input, limit, |limit, gradient| {
        let shape = gradient.dims();
        let rows = gradient.reshape([shape[0], shape[1..].iter().product()]);
        clip_rows(rows, *limit).reshape(shape)
    })
}

/// Norms are taken of rows that are divided by their largest entry, so that squares neither vanish nor
/// overflow.
fn clip_rows(rows: Tensor<2>, limit: f64) -> Tensor<2> {
    let largest = rows.clone().abs().max_dim(1);
    let zero = largest.clone().equal_elem(0.0);
    let largest = largest.mask_fill(zero, 1.0);
    let norms = (rows.clone() / largest.clone()).square().sum_dim(1).sqrt() * largest;
    // limit / max(norm, limit)
    rows * (norms.clamp_min(limit).recip() * limit)
}

fn check(name: &str, limit: f64) {
    assert!(limit > 0.0, "{name}: limit must be positive, got {limit}");
}
