//! LipSwish: a smooth activation with slopes of at most 1.
//!
//! ```text
//! a(x)  = x s(beta x) / 1.1,                              beta = softplus(b),  s the logistic function
//! a'(x) = s(beta x) (1 + beta x (1 - s(beta x))) / 1.1
//! ```
//!
//! The slope of `x s(beta x)` never exceeds 1.0998, whatever `beta > 0`. Its derivative is not zero
//! almost everywhere, as that of ReLU or MaxMin is, so that log-determinants have a gradient through it.
//!
//! # References
//! R. Chen, J. Behrmann, D. Duvenaud, J. Jacobsen, *Residual Flows for Invertible Generative Modeling*,
//! NeurIPS 2019, section 3.4.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::{sigmoid, softplus_with_threshold};
use burn::tensor::{Tensor, TensorCreationOptions};

const BOUND: f64 = 1.1;
/// Above this `softplus(x)` is `x` in 64 bits as well, and `exp` is finite in 32.
const SOFTPLUS_IS_LINEAR: f64 = 40.0;

/// Settings of [`LipSwish`].
#[derive(Config, Debug)]
pub struct LipSwishConfig {
    /// The start of the parameter `b`, with `beta = softplus(b)`.
    #[config(default = 0.5)]
    pub sharpness: f64,
}

impl LipSwishConfig {
    /// Creates the activation on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If `sharpness` is not finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> LipSwish {
        let value = self.sharpness;
        assert!(value.is_finite(), "LipSwishConfig: sharpness must be finite, got {value}");
        let start = Tensor::zeros([1], options).add_scalar(value);
        LipSwish { sharpness: Param::from_tensor(start) }
    }
}

/// `x s(beta x) / 1.1` with the logistic function `s` and a learnable `beta = softplus(b)`: smooth, with
/// slopes of at most 1.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::LipSwishConfig;
///
/// let device = Device::flex();
/// let activation = LipSwishConfig::new().init(&device);
/// let (_, slopes) = activation.with_slopes(Tensor::<1>::from_data([-9.0, 0.0, 9.0], &device));
/// assert!(slopes.abs().max().into_scalar::<f32>() <= 1.0);
/// ```
#[derive(Module, Debug)]
pub struct LipSwish {
    /// `b`, `[1]`.
    pub sharpness: Param<Tensor<1>>,
}

impl LipSwish {
    /// `a(x)`, element by element.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let gate = sigmoid(input.clone() * self.beta());
        (input * gate).mul_scalar(1.0 / BOUND)
    }

    /// `a(x)` and `a'(x)`, element by element; gradients flow through both.
    pub fn with_slopes<const D: usize>(&self, input: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
        let scaled = input.clone() * self.beta();
        let gate = sigmoid(scaled.clone());
        let gate = gate.mul_scalar(1.0 / BOUND);
        let output = input * gate.clone();
        // s (1 + u (1 - s)) / 1.1 = t + t u - 1.1 t (t u), with t = s / 1.1.
        let product = gate.clone() * scaled;
        let slopes = gate.clone() + product.clone() - (gate * product).mul_scalar(BOUND);
        (output, slopes)
    }

    fn beta<const D: usize>(&self) -> Tensor<D> {
        softplus_with_threshold(self.sharpness.val(), 1.0, SOFTPLUS_IS_LINEAR).reshape([1; D])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    fn grid(device: &Device) -> Tensor<1> {
        let points: Vec<f64> = (-4000..=4000).map(|i| f64::from(i) * 0.005).collect();
        Tensor::from_data(TensorData::new(points, [8001]), (device, DType::F64))
    }

    #[test]
    fn slope_never_exceeds_one_whatever_the_sharpness() {
        let device = Device::flex();
        for sharpness in [-5.0, 0.0, 0.5, 3.0, 60.0] {
            let activation =
                LipSwishConfig::new().with_sharpness(sharpness).init((&device, DType::F64));
            let (_, slopes) = activation.with_slopes(grid(&device));
            let steepest = slopes.abs().max().into_scalar::<f64>();
            assert!(steepest <= 1.0, "{sharpness}: {steepest}");
            // 1.0998 is attained where |beta x| reaches 2.4.
            assert!(sharpness < 0.0 || steepest > 0.999, "{sharpness}: {steepest}");
        }
    }

    #[test]
    fn slopes_are_the_gradient_and_outputs_agree() {
        let device = Device::flex().autodiff();
        let activation = LipSwishConfig::new().init((&device, DType::F64));
        let input = grid(&device).require_grad();
        let (output, slopes) = activation.with_slopes(input.clone());
        let plain = activation.forward(input.clone());
        // Outputs reach 18.
        assert!((plain - output.clone()).abs().max().into_scalar::<f64>() < 1e-14);
        let gradients = output.sum().backward();
        let error = (input.grad(&gradients).unwrap() - slopes.inner()).abs().max();
        assert!(error.into_scalar::<f64>() < 1e-14);
        assert!(activation.sharpness.val().grad(&gradients).is_some());
    }

    #[test]
    #[should_panic(expected = "sharpness must be finite, got NaN")]
    fn refuses_a_sharpness_that_is_no_number() {
        LipSwishConfig::new().with_sharpness(f64::NAN).init(&Device::flex());
    }
}
