//! One step from noise that is given: deterministic, for tests, for comparing backends, and for
//! generators of one's own.

use burn::tensor::{DType, Tensor, TensorData};

use super::{ExponentialFamily, FiniteLevels};

/// One step of SGLD: `w - step_size * g + sigma * z`.
///
/// # Shapes
/// - parameter, gradient, normal, output: any, the same
///
/// # Panics
/// If `sigma` is negative or not finite.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_optimizers::efld::sgld_step;
///
/// let tensor = |value: f32| Tensor::<1>::from_data([value], &Device::flex());
/// let next = sgld_step(tensor(1.0), tensor(2.0), tensor(-1.0), 0.25, 0.125);
/// assert_eq!(next.into_scalar::<f32>(), 1.0 - 0.5 - 0.125);
/// ```
pub fn sgld_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    normal: Tensor<D>,
    step_size: f64,
    sigma: f64,
) -> Tensor<D> {
    assert!(
        sigma.is_finite() && sigma >= 0.0,
        "sgld_step: sigma must be finite and at least 0, got {sigma}"
    );
    if sigma == 0.0 {
        return parameter - gradient * step_size;
    }
    let change = match step_size {
        0.0 => normal * sigma,
        // In place in the noise, so that the gradient, which others may hold, is only read.
        _ => (normal * (sigma / step_size) - gradient) * step_size,
    };
    parameter + change
}

/// One step of noisy sign-SGD: `w - step_size * xi`, where `xi` is +1 if
/// `u < (1 + tanh(g / alpha)) / 2` and -1 otherwise.
///
/// # Shapes
/// - parameter, gradient, uniform, output: any, the same
///
/// # Panics
/// If `alpha` is not positive and finite.
pub fn noisy_sign_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    uniform: Tensor<D>,
    step_size: f64,
    alpha: f64,
) -> Tensor<D> {
    check_alpha("noisy_sign_step", alpha);
    parameter - ExponentialFamily::Rademacher.draw(gradient / alpha, uniform) * step_size
}

/// One step of noisy quantized SGD: `w - step_size * xi`, where `xi` is the level at `uniform` in the
/// distribution `P(q_l) ~ pi_l exp(q_l g / alpha)`; see [`ExponentialFamily::draw`].
///
/// # Shapes
/// - parameter, gradient, uniform, output: any, the same
///
/// # Panics
/// If `alpha` is not positive and finite.
pub fn noisy_quantized_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    uniform: Tensor<D>,
    step_size: f64,
    alpha: f64,
    levels: &FiniteLevels,
) -> Tensor<D> {
    check_alpha("noisy_quantized_step", alpha);
    let family = ExponentialFamily::Levels(levels.clone());
    parameter - family.draw(gradient / alpha, uniform) * step_size
}

/// The natural parameter with a scale per element, `theta_j = g_j / alpha_j` (the paper's Remark 3.2).
///
/// A step is then `w - step_size * family.draw(theta, noise)`; for the Gaussian family, whose step
/// `rho_j` is `alpha_j * step_size`, multiply elementwise. Norms in the bounds become weighted by
/// `1 / alpha_j^2`.
///
/// # Shapes
/// - gradient, output: any
/// - alpha: one value per element, row-major
///
/// # Panics
/// If there is not one `alpha` per element, or one is not positive and finite.
pub fn anisotropic_theta<const D: usize>(gradient: Tensor<D>, alpha: &[f64]) -> Tensor<D> {
    let shape = gradient.dims();
    let len: usize = shape.iter().product();
    assert!(
        alpha.len() == len,
        "anisotropic_theta: alpha must have {len} values for the shape {shape:?}, got {}",
        alpha.len()
    );
    for (index, &value) in alpha.iter().enumerate() {
        assert!(
            value.is_finite() && value > 0.0,
            "anisotropic_theta: alpha must be finite and positive, got {value} at {index}"
        );
    }
    let options: (&_, DType) = (&gradient.device(), gradient.dtype());
    let alpha = Tensor::from_data(TensorData::new(alpha.to_vec(), shape), options);
    gradient / alpha
}

/// # Panics
/// If `alpha` is not positive and finite.
pub(super) fn check_alpha(place: &str, alpha: f64) {
    assert!(
        alpha.is_finite() && alpha > 0.0,
        "{place}: alpha must be finite and positive, got {alpha}"
    );
}
