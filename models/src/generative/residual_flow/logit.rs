//! From the unit interval to the real line.
//!
//! ```text
//! s = alpha + (1 - 2 alpha) x,   y = log s - log(1 - s)
//! log det = sum(log(1 - 2 alpha) - log s - log(1 - s))
//! ```

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use serde::{Deserialize, Serialize};

use super::series::per_sample;

/// The logit of pixels that are first drawn away from 0 and 1 by `alpha`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::LogitTransform;
///
/// let transform = LogitTransform::new(0.05);
/// let pixels = Tensor::<2>::from_data([[0.0, 0.5, 1.0]], &Device::flex());
/// let (output, _) = transform.forward(pixels.clone());
/// assert!((transform.inverse(output) - pixels).abs().max().into_scalar::<f32>() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogitTransform {
    alpha: f64,
}

impl LogitTransform {
    /// A transform; the literature takes 0.05 for photographs and 1e-6 for MNIST.
    ///
    /// # Panics
    /// If `alpha` is not in (0, 0.5).
    pub fn new(alpha: f64) -> Self {
        assert!(
            alpha > 0.0 && alpha < 0.5,
            "LogitTransform: alpha must be in (0, 0.5), got {alpha}"
        );
        Self { alpha }
    }

    /// The logits and the log-determinants, `[batch]`.
    ///
    /// # Shapes
    /// - pixels, output: `[batch, ..]`, pixels in `[0, 1]`; others give NaN
    pub fn forward<const D: usize>(&self, pixels: Tensor<D>) -> (Tensor<D>, Tensor<1>) {
        let slope = 1.0 - 2.0 * self.alpha;
        let dark = pixels.clone().mul_scalar(slope).add_scalar(self.alpha).log();
        // 1 - s loses its digits near 1; this does not.
        let light = pixels.neg().add_scalar(1.0).mul_scalar(slope).add_scalar(self.alpha).log();
        let log_det = (dark.clone() + light.clone()).neg().add_scalar(slope.ln());
        (dark - light, per_sample(log_det))
    }

    /// The pixels of logits.
    ///
    /// # Shapes
    /// - output, result: any, the same
    ///
    /// # Notes
    /// Logits of pixels outside `[0, 1]` give such pixels; they are not clamped.
    pub fn inverse<const D: usize>(&self, output: Tensor<D>) -> Tensor<D> {
        sigmoid(output).sub_scalar(self.alpha).mul_scalar(1.0 / (1.0 - 2.0 * self.alpha))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Distribution};

    #[test]
    fn log_determinant_is_the_sum_of_the_logarithms_of_the_slopes() {
        let device = Device::flex().autodiff();
        let pixels = Tensor::<3>::random([4, 3, 2], Distribution::Default, (&device, DType::F64))
            .require_grad();
        for alpha in [0.05, 1e-6] {
            let transform = LogitTransform::new(alpha);
            let (output, log_det) = transform.forward(pixels.clone());
            let slopes = pixels.grad(&output.clone().sum().backward()).unwrap();
            let expected = slopes.log().reshape([4, 6]).sum_dim(1).reshape([4]);
            let error = (log_det.inner() - expected).abs().max().into_scalar::<f64>();
            assert!(error < 1e-9, "{error}");
            let back = transform.inverse(output).inner();
            assert!((back - pixels.clone().inner()).abs().max().into_scalar::<f64>() < 1e-12);
        }
    }

    #[test]
    #[should_panic(expected = "alpha must be in (0, 0.5), got 0")]
    fn refuses_an_alpha_of_zero() {
        LogitTransform::new(0.0);
    }
}
