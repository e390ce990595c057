//! The step as an extension of Burn's backends, composed of tensor operations unless a backend
//! has a kernel.
// The extension names every backend, and Burn deprecates NdArray.
#![allow(deprecated)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType, backend_extension};

use super::AdaiCoefficients;

/// What the backends get.
#[derive(ExtensionType)]
pub struct AdaiInput<B: Backend> {
    pub parameter: FloatTensor<B>,
    pub gradient: FloatTensor<B>,
    pub moment_1: FloatTensor<B>,
    pub moment_2: FloatTensor<B>,
    pub correction: FloatTensor<B>,
    /// One element, of the rank of the others.
    pub inverse_mean: FloatTensor<B>,
}

/// What the backends give back.
#[derive(ExtensionType)]
pub struct AdaiOutput<B: Backend> {
    pub parameter: FloatTensor<B>,
    pub moment_1: FloatTensor<B>,
    pub moment_2: FloatTensor<B>,
    pub correction: FloatTensor<B>,
    /// `[1]`
    pub moment_2_sum: FloatTensor<B>,
}

/// The step on a backend's own tensors; the functions of this module are the way to it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm")),
    Remote: cfg(feature = "remote")
)]
pub trait AdaiBackend: Backend {
    /// See [`step`](super::step).
    fn adai_step(
        #[extension_type] input: AdaiInput<Self>,
        coefficients: AdaiCoefficients,
    ) -> AdaiOutput<Self> {
        composed_step(input, &coefficients)
    }

    /// See [`square_sum`](super::square_sum).
    fn adai_square_sum(
        gradient: FloatTensor<Self>,
        parameter: FloatTensor<Self>,
        penalty: f64,
    ) -> FloatTensor<Self> {
        composed_square_sum::<Self>(gradient, parameter, penalty)
    }
}

#[cfg(feature = "ndarray")]
impl AdaiBackend for burn::backend::NdArray {}

#[cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm"))]
impl AdaiBackend for burn::backend::Cube {}

#[cfg(feature = "remote")]
impl AdaiBackend for burn::backend::Remote {}

/// The step in tensor operations, in the kernel's order.
pub(super) fn composed_step<B: Backend>(
    input: AdaiInput<B>,
    c: &AdaiCoefficients,
) -> AdaiOutput<B> {
    let AdaiInput { parameter, gradient, moment_1, moment_2, correction, inverse_mean } = input;
    let gradient = penalized::<B>(gradient, &parameter, c.penalty);
    let square = B::float_mul(gradient.clone(), gradient.clone());
    let moment_2 = B::float_add(
        B::float_mul_scalar(moment_2, c.beta_2.into()),
        B::float_mul_scalar(square, (1.0 - c.beta_2).into()),
    );
    let ratio = power::<B>(B::float_mul(moment_2.clone(), inverse_mean), c.exponent());
    let gain = B::float_mul_scalar(ratio, c.beta_0.into());
    let gain = B::float_clamp(gain, c.epsilon.into(), 1.0.into());
    let inertia = B::float_add_scalar(B::float_neg(gain.clone()), 1.0.into());
    let correction = B::float_add(gain.clone(), B::float_mul(inertia.clone(), correction));
    let gradient = match c.dampening {
        0.0 => gradient,
        dampening => B::float_mul(power::<B>(gain, dampening), gradient),
    };
    let moment_1 = B::float_add(B::float_mul(inertia, moment_1), gradient);
    let change = B::float_div(moment_1.clone(), correction.clone());
    let parameter = B::float_sub(
        B::float_mul_scalar(parameter, c.keep.into()),
        B::float_mul_scalar(change, c.step_size.into()),
    );
    let moment_2_sum = B::float_sum(moment_2.clone());
    AdaiOutput { parameter, moment_1, moment_2, correction, moment_2_sum }
}

pub(super) fn composed_square_sum<B: Backend>(
    gradient: FloatTensor<B>,
    parameter: FloatTensor<B>,
    penalty: f64,
) -> FloatTensor<B> {
    let gradient = penalized::<B>(gradient, &parameter, penalty);
    B::float_sum(B::float_mul(gradient.clone(), gradient))
}

fn penalized<B: Backend>(
    gradient: FloatTensor<B>,
    parameter: &FloatTensor<B>,
    penalty: f64,
) -> FloatTensor<B> {
    if penalty == 0.0 {
        return gradient;
    }
    B::float_add(gradient, B::float_mul_scalar(parameter.clone(), penalty.into()))
}

/// Powers of non-negative numbers; roots where there is an operation for them.
fn power<B: Backend>(base: FloatTensor<B>, exponent: f64) -> FloatTensor<B> {
    match exponent {
        1.0 => base,
        0.5 => B::float_sqrt(base),
        _ => B::float_powf_scalar(base, exponent.into()),
    }
}
