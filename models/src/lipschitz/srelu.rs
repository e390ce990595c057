//! Shifted ReLU: `y = relu(x - b) + b` with a threshold `b` per channel.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorCreationOptions};

use super::along_channels;

/// Settings of [`SRelu`].
#[derive(Config, Debug)]
pub struct SReluConfig {
    /// Number of channels.
    pub channels: usize,
    /// Threshold of all channels at the start.
    #[config(default = "-1.0")]
    pub start: f64,
}

impl SReluConfig {
    /// Creates the activation on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If there are no channels or the start is not finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> SRelu {
        let Self { channels, start } = *self;
        assert!(
            channels > 0 && start.is_finite(),
            "SReluConfig: channels must be positive and start finite, got {channels} and {start}"
        );
        SRelu { threshold: Param::from_tensor(Tensor::full([channels], start, options)) }
    }
}

/// `y = relu(x - b) + b = max(x, b)`, with a learned threshold `b` per channel; 1-Lipschitz.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::lipschitz::SReluConfig;
///
/// let device = Device::flex();
/// let activation = SReluConfig::new(2).init(&device);
/// let y = activation.forward(Tensor::<2>::from_data([[-3.0, 0.5]], &device));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 0.5]);
/// ```
#[derive(Module, Debug)]
pub struct SRelu {
    /// The thresholds, `[channels]`.
    pub threshold: Param<Tensor<1>>,
}

impl SRelu {
    /// Applies the activation.
    ///
    /// # Shapes
    /// - input: `[batch, channels, ..]`
    /// - output: the same
    ///
    /// # Panics
    /// If the input has other channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let threshold = along_channels("SRelu", &self.threshold, &input);
        relu(input - threshold.clone()) + threshold
    }
}
