//! Householder activation: pairs of channels on one side of a learned line are reflected across it.
//!
//! ```text
//! (a, b) -> (a cos t + b sin t, a sin t - b cos t)   if a sin(t/2) - b cos(t/2) > 0
//!           (a, b)                                   otherwise
//! ```
//!
//! Continuous, and orthogonal on both sides.
//!
//! # References
//! S. Singla, S. Singla, S. Feizi, *Improved deterministic l2 robustness on CIFAR-10 and CIFAR-100*, ICLR
//! 2022.

use std::f64::consts::FRAC_PI_2;

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};

use super::{along_channels, halves};

/// Settings of [`HouseholderActivation`].
#[derive(Config, Debug)]
pub struct HouseholderActivationConfig {
    /// Number of channels; even.
    pub channels: usize,
    /// Angle of all pairs at the start; a quarter turn sorts the pair.
    #[config(default = "FRAC_PI_2")]
    pub start: f64,
}

impl HouseholderActivationConfig {
    /// Creates the activation on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If the number of channels is odd or zero, or the start is not finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> HouseholderActivation {
        let Self { channels, start } = *self;
        assert!(
            channels > 0 && channels.is_multiple_of(2) && start.is_finite(),
            "HouseholderActivationConfig: channels must be even and start finite, got {channels} and \
             {start}"
        );
        let angle = Tensor::full([channels / 2], start, options);
        HouseholderActivation { angle: Param::from_tensor(angle) }
    }
}

/// Reflects pairs of channels on one side of a learned line; keeps all norms.
///
/// ```text
/// (a, b) -> (a cos t + b sin t, a sin t - b cos t)   if a sin(t/2) - b cos(t/2) > 0
///           (a, b)                                   otherwise
/// ```
///
/// with `a` in the first half of the channels, `b` in the second and an angle `t` per pair.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::lipschitz::HouseholderActivationConfig;
///
/// let device = Device::flex();
/// let activation = HouseholderActivationConfig::new(2).init(&device);
/// // A quarter turn sorts the pair: the smaller value first.
/// let y = activation.forward(Tensor::<2>::from_data([[3.0, 1.0]], &device));
/// let y = y.into_data().try_to_vec::<f32>().unwrap();
/// assert!((y[0] - 1.0).abs() < 1e-6 && (y[1] - 3.0).abs() < 1e-6);
/// ```
///
/// # References
/// S. Singla, S. Singla, S. Feizi, *Improved deterministic l2 robustness on CIFAR-10 and CIFAR-100*, ICLR
/// 2022.
#[derive(Module, Debug)]
pub struct HouseholderActivation {
    /// The angles, `[channels / 2]`.
    pub angle: Param<Tensor<1>>,
}

impl HouseholderActivation {
    /// Applies the activation.
    ///
    /// # Shapes
    /// - input: `[batch, channels, ..]`
    /// - output: the same
    ///
    /// # Panics
    /// If the input has other channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        const NAME: &str = "HouseholderActivation";
        let (a, b) = halves(NAME, input);
        let angle = along_channels(NAME, &self.angle, &a);
        let half = angle.clone() * 0.5;
        let side = a.clone() * half.clone().sin() - b.clone() * half.cos();
        let reflected = side.greater_elem(0.0);
        let (cos, sin) = (angle.clone().cos(), angle.sin());
        let first = a.clone() * cos.clone() + b.clone() * sin.clone();
        let second = a.clone() * sin - b.clone() * cos;
        let first = a.mask_where(reflected.clone(), first);
        Tensor::cat(vec![first, b.mask_where(reflected, second)], 1)
    }
}
