//! RKO: reshaped kernel orthogonalization.
//!
//! ```text
//! W = orthonormalize([out, in k^2]) / ceil(k / s)
//! ```
//!
//! The flattened kernel is orthogonal, the convolution is not, unless the stride equals the kernel
//! size: each pixel takes part in up to `ceil(k / s)^2` patches. The division makes the layer
//! 1-Lipschitz; on noise it shrinks norms by about `1 / k` (stride 1).
//!
//! # References
//! - M. Cisse et al., *Parseval Networks*, ICML 2017; Q. Li et al., *Preventing Gradient Attenuation in
//!   Lipschitz Constrained Convolutional Networks*, NeurIPS 2019 (the name).
//! - M. Serrurier et al., *Achieving Robustness in Classification Using Optimal Transport with Hinge
//!   Regularization*, CVPR 2021 (the factor with a stride).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};

use super::{BjorckConfig, init, ring};
use crate::orthogonal::{OrthogonalLayer, bias};

/// Settings of [`RkoConv2d`].
#[derive(Config, Debug)]
pub struct RkoConv2dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: usize,
    /// Stride in both directions.
    #[config(default = 1)]
    pub stride: usize,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// The iteration.
    #[config(default = "BjorckConfig::new()")]
    pub bjorck: BjorckConfig,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl RkoConv2dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`,
    /// starting at a uniformly random orthogonal matrix.
    ///
    /// # Panics
    /// If a size is zero, or the stride is larger than the kernel.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> RkoConv2d {
        let options = &options.into();
        init::assert_channels("RkoConv2dConfig", self.channels);
        init::assert_kernel("RkoConv2dConfig", self.kernel_size);
        assert!(
            (1..=self.kernel_size).contains(&self.stride),
            "RkoConv2dConfig: stride must be from 1 to the kernel size {}, got {}",
            self.kernel_size,
            self.stride
        );
        let mut rng = init::stream(self.seed, options);
        let [inputs, outputs] = self.channels;
        let k = self.kernel_size;
        let weight = init::semi_orthogonal(outputs, inputs * k * k, &mut rng);
        RkoConv2d {
            weight: init::parameter(weight, [outputs, inputs, k, k], options),
            bias: init::bias(self.bias, outputs, options),
            stride: self.stride,
            bjorck: self.bjorck,
        }
    }
}

/// A convolution on a ring whose flattened kernel is orthogonal.
///
/// ```text
/// W = orthonormalize([out, in k^2]) / ceil(k / s)
/// ```
///
/// 1-Lipschitz; orthogonal only if the stride equals the kernel size.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalLayer;
/// use firebrick_models::orthogonal::alternatives::RkoConv2dConfig;
///
/// let device = Device::flex();
/// let layer = RkoConv2dConfig::new([4, 8], 3).with_bias(true).init(&device);
/// let output = layer.forward(Tensor::ones([2, 4, 6, 6], &device));
/// assert_eq!(output.dims(), [2, 8, 6, 6]);
/// ```
///
/// # References
/// Q. Li et al., *Preventing Gradient Attenuation in Lipschitz Constrained Convolutional Networks*,
/// NeurIPS 2019; M. Serrurier et al., *Achieving Robustness in Classification Using Optimal Transport with
/// Hinge Regularization*, CVPR 2021 (the factor).
#[derive(Module, Debug)]
pub struct RkoConv2d {
    /// The free kernel, `[output, input, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    stride: usize,
    #[module(skip)]
    bjorck: BjorckConfig,
}

impl RkoConv2d {
    /// The kernel, `[output, input, k, k]`, built anew.
    pub fn kernel(&self) -> Tensor<4> {
        let weight = self.weight.val();
        let [outputs, inputs, k, _] = weight.dims();
        let flat = self.bjorck.orthonormalize(weight.reshape([1, outputs, inputs * k * k]));
        flat.reshape([outputs, inputs, k, k]) / k.div_ceil(self.stride) as f64
    }
}

impl OrthogonalLayer for RkoConv2d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.bias.as_ref())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        let [.., kernel] = self.weight.dims();
        ring(kernel, self.stride, 1, 1).apply("RkoConv2d", input, self.kernel())
    }

    fn channels(&self) -> [usize; 2] {
        let [outputs, inputs, ..] = self.weight.dims();
        [inputs, outputs]
    }

    fn stride(&self) -> [usize; 2] {
        [self.stride; 2]
    }
}
