//! Input normalization with a known Lipschitz constant.
//!
//! `y_c = (x_c - mean_c) / deviation_c`, whose constant is `1 / min_c deviation_c`; 1 without deviations.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use super::along_channels;

/// Settings of [`InputNormalization`].
#[derive(Config, Debug)]
pub struct InputNormalizationConfig {
    /// Mean of each channel.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, to divide by; none leaves the scale, and certificates, alone.
    pub deviation: Option<Vec<f64>>,
}

impl InputNormalizationConfig {
    /// Creates the normalization on a device, or with a device and a float type.
    ///
    /// # Panics
    /// If there are no channels, a number is not finite, or there is not one positive deviation per
    /// channel.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> InputNormalization {
        let channels = self.mean.len();
        let deviation = self.deviation.clone().unwrap_or_else(|| vec![1.0; channels]);
        let valid = self.mean.iter().all(|mean| mean.is_finite())
            && deviation.len() == channels
            && deviation.iter().all(|&value| value > 0.0 && value.is_finite());
        assert!(
            channels > 0 && valid,
            "InputNormalizationConfig: mean must be finite and deviation positive, one per channel, got \
             {:?} and {deviation:?}",
            self.mean
        );
        let options = options.into();
        let lipschitz = deviation.iter().fold(0.0f64, |max, value| max.max(1.0 / value));
        let param = |values: Vec<f64>| {
            let tensor = Tensor::from_data(TensorData::new(values, [channels]), options.clone());
            Param::from_tensor(tensor).set_require_grad(false)
        };
        InputNormalization {
            mean: param(self.mean.clone()),
            scale: param(deviation.iter().map(|value| 1.0 / value).collect()),
            lipschitz,
        }
    }
}

/// Subtracts a mean per channel and divides by a deviation; see [`InputNormalizationConfig`].
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::lipschitz::InputNormalizationConfig;
///
/// let device = Device::flex();
/// let input = InputNormalizationConfig::new(vec![0.5]).with_deviation(Some(vec![0.25])).init(&device);
/// let y = input.forward(Tensor::<4>::ones([1, 1, 1, 1], &device));
/// assert_eq!((y.into_scalar::<f32>(), input.lipschitz()), (2.0, 4.0));
/// ```
#[derive(Module, Debug)]
pub struct InputNormalization {
    /// The means, `[channels]`; not optimized.
    pub mean: Param<Tensor<1>>,
    /// The reciprocal deviations, `[channels]`; not optimized.
    pub scale: Param<Tensor<1>>,
    lipschitz: f64,
}

impl InputNormalization {
    /// The Lipschitz constant, `1 / min deviation`.
    pub fn lipschitz(&self) -> f64 {
        self.lipschitz
    }

    /// Applies the normalization.
    ///
    /// # Shapes
    /// - input: `[batch, channels, ..]`
    /// - output: the same
    ///
    /// # Panics
    /// If the input has other channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        const NAME: &str = "InputNormalization";
        let mean = along_channels(NAME, &self.mean, &input);
        let scale = along_channels(NAME, &self.scale, &input);
        (input - mean) * scale
    }
}
