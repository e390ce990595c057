//! One step of Adai for one tensor: moments, inertia, parameter.
//!
//! ```text
//! g' = g + penalty * x                                 decay as a penalty
//! v  = beta_2 v + (1 - beta_2) g'^2
//! a  = clamp(beta_0 (v * inverse_mean)^(1/(3-2d)), epsilon, 1)      a = 1 - beta_1
//! q  = a + (1 - a) q                                   q = 1 - product of all beta_1
//! m  = (1 - a) m + a^d g'
//! x  = keep * x - step_size * m / q
//! ```
//!
//! [`square_sum`] is the pass before it, from which the caller makes `inverse_mean`; the step gives
//! back `sum(v)`, which it has in registers, so that the next step needs no pass over `v`. On Flex
//! the two read 4 and 20 and write 16 bytes for each 32-bit parameter.
//!
//! `q` and `a` stand for `1 - P` and `1 - beta_1`, which would lose their leading digits if they
//! were computed as differences: for a flat direction both are near `epsilon`.

mod backend;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod kernel;

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};

use backend::{AdaiBackend, AdaiInput};

/// The numbers of one step; the symbols are those of the [module](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaiCoefficients {
    /// Factor of `m / q`.
    pub step_size: f64,
    /// Factor of the parameter: 1, or below it for decoupled weight decay.
    pub keep: f64,
    /// Weight decay that is added to the gradient; 0 for none.
    pub penalty: f64,
    /// Base of the inertia.
    pub beta_0: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Least value of `1 - beta_1`, above 0.
    pub epsilon: f64,
    /// Dampening `d`, in `[0, 1]`.
    pub dampening: f64,
}

impl AdaiCoefficients {
    /// Exponent of the ratio of second moments.
    pub fn exponent(&self) -> f64 {
        1.0 / (3.0 - 2.0 * self.dampening)
    }
}

/// A parameter and its state.
#[derive(Clone, Debug)]
pub struct AdaiTensors<const D: usize> {
    /// The parameter `x`.
    pub parameter: Tensor<D>,
    /// First moment `m`.
    pub moment_1: Tensor<D>,
    /// Second moment `v`.
    pub moment_2: Tensor<D>,
    /// `q`, one minus the product of all inertias.
    pub correction: Tensor<D>,
}

/// Makes the step and returns the new tensors with `sum(moment_2)`.
///
/// # Shapes
/// - tensors, gradient: all of one shape and one float type, `f32` or `f64`
/// - inverse_mean: `[1]`; one over the mean of the bias-corrected second moment, and over the bias
///   correction of this parameter
/// - sum: `[1]`
///
/// # Panics
/// If shapes or types differ, the type is below 32 bits, or a tensor carries autodiff.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::fused::adai::{AdaiCoefficients, AdaiTensors, step};
///
/// let device = Device::flex();
/// let zeros = Tensor::<1>::zeros([2], &device);
/// let tensors = AdaiTensors {
///     parameter: Tensor::ones([2], &device),
///     moment_1: zeros.clone(),
///     moment_2: zeros.clone(),
///     correction: zeros,
/// };
/// let coefficients = AdaiCoefficients {
///     step_size: 0.5,
///     keep: 1.0,
///     penalty: 0.0,
///     beta_0: 0.1,
///     beta_2: 0.99,
///     epsilon: 1e-3,
///     dampening: 1.0,
/// };
/// let gradient = Tensor::from_data([1.0, -2.0], &device);
/// let inverse_mean = Tensor::from_data([1.0 / (0.01 * 2.5)], &device);
/// let (tensors, sum) = step(tensors, gradient, inverse_mean, coefficients);
/// // The first step is plain gradient descent.
/// let parameter = tensors.parameter.into_data().try_to_vec::<f32>().unwrap();
/// assert!((parameter[0] - 0.5).abs() < 1e-6 && (parameter[1] - 2.0).abs() < 1e-6);
/// assert!((sum.into_scalar::<f32>() - 0.05).abs() < 1e-6);
/// ```
pub fn step<const D: usize>(
    tensors: AdaiTensors<D>,
    gradient: Tensor<D>,
    inverse_mean: Tensor<1>,
    coefficients: AdaiCoefficients,
) -> (AdaiTensors<D>, Tensor<1>) {
    let AdaiTensors { parameter, moment_1, moment_2, correction } = tensors;
    for (name, tensor) in [
        ("gradient", &gradient),
        ("moment_1", &moment_1),
        ("moment_2", &moment_2),
        ("correction", &correction),
    ] {
        check_like(name, tensor, &parameter);
    }
    assert!(
        inverse_mean.dtype() == parameter.dtype(),
        "adai: inverse_mean must have the parameter's type {:?}, got {:?}",
        parameter.dtype(),
        inverse_mean.dtype()
    );
    let input = AdaiInput {
        parameter: parameter.into_dispatch(),
        gradient: gradient.into_dispatch(),
        moment_1: moment_1.into_dispatch(),
        moment_2: moment_2.into_dispatch(),
        correction: correction.into_dispatch(),
        inverse_mean: inverse_mean.reshape([1; D]).into_dispatch(),
    };
    let output = <Dispatch as AdaiBackend>::adai_step(input, coefficients);
    let tensors = AdaiTensors {
        parameter: Tensor::from_dispatch(output.parameter),
        moment_1: Tensor::from_dispatch(output.moment_1),
        moment_2: Tensor::from_dispatch(output.moment_2),
        correction: Tensor::from_dispatch(output.correction),
    };
    (tensors, Tensor::from_dispatch(output.moment_2_sum))
}

/// `sum(gradient^2)`, or `sum((gradient + penalty * parameter)^2)` for a parameter with its penalty;
/// accumulated in 64 bits on Flex.
///
/// # Shapes
/// - gradient, parameter: the same shape and float type, `f32` or `f64`
/// - output: `[1]`
///
/// # Panics
/// As [`step`].
pub fn square_sum<const D: usize>(
    gradient: Tensor<D>,
    penalized: Option<(Tensor<D>, f64)>,
) -> Tensor<1> {
    let (parameter, penalty) = penalized.unwrap_or_else(|| (gradient.clone(), 0.0));
    check_like("gradient", &gradient, &parameter);
    Tensor::from_dispatch(<Dispatch as AdaiBackend>::adai_square_sum(
        gradient.into_dispatch(),
        parameter.into_dispatch(),
        penalty,
    ))
}

fn check_like<const D: usize>(name: &str, tensor: &Tensor<D>, parameter: &Tensor<D>) {
    assert!(
        tensor.dims() == parameter.dims(),
        "adai: {name} must have the parameter's shape {:?}, got {:?}",
        parameter.dims(),
        tensor.dims()
    );
    assert!(
        tensor.dtype() == parameter.dtype(),
        "adai: {name} must have the parameter's type {:?}, got {:?}",
        parameter.dtype(),
        tensor.dtype()
    );
    assert!(
        matches!(tensor.dtype(), DType::F32 | DType::F64),
        "adai: tensors must be in 32 or 64 bits, because squares of gradients underflow in {:?}",
        tensor.dtype()
    );
    assert!(
        !tensor.is_autodiff() && !parameter.is_autodiff(),
        "adai: the step is not differentiable; call `inner()` on its tensors"
    );
}

#[cfg(all(test, feature = "flex"))]
mod tests;
