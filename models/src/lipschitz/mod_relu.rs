//! ModReLU: `y = sign(x) relu(|x| - |b|)` with a threshold `|b|` per channel.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorCreationOptions, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::along_channels;
use crate::seed::drawn_seed;

/// Settings of [`ModRelu`].
#[derive(Config, Debug)]
pub struct ModReluConfig {
    /// Number of channels.
    pub channels: usize,
    /// The `b` start uniform between `-start` and `start`.
    #[config(default = 0.01)]
    pub start: f64,
    /// Seed of the start; by default it is drawn from the device.
    pub seed: Option<u64>,
}

impl ModReluConfig {
    /// Creates the activation on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If there are no channels or the start is negative or not finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> ModRelu {
        let options = options.into();
        let Self { channels, start, seed } = *self;
        assert!(
            channels > 0 && start >= 0.0 && start.is_finite(),
            "ModReluConfig: channels must be positive and start a finite number from 0, got \
             {channels} and {start}"
        );
        let seed = seed.unwrap_or_else(|| drawn_seed(&options));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f64> = (0..channels).map(|_| rng.random_range(-start..=start)).collect();
        let values = TensorData::new(values, [channels]);
        ModRelu { threshold: Param::from_tensor(Tensor::from_data(values, options)) }
    }
}

/// `y = sign(x) relu(|x| - |b|)`, with a learned `b` per channel; 1-Lipschitz.
///
/// # Notes
/// The usual form is `sign(x) relu(|x| + b)`. For positive `b` it jumps by `2 b` at zero and has no
/// Lipschitz constant, so the sign of `b` is fixed here.
///
/// # References
/// M. Arjovsky, A. Shah, Y. Bengio, *Unitary Evolution Recurrent Neural Networks*, ICML 2016, Eq. (8).
#[derive(Module, Debug)]
pub struct ModRelu {
    /// The `b`, `[channels]`.
    pub threshold: Param<Tensor<1>>,
}

impl ModRelu {
    /// Applies the activation.
    ///
    /// # Shapes
    /// - input: `[batch, channels, ..]`
    /// - output: the same
    ///
    /// # Panics
    /// If the input has other channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let threshold = along_channels("ModRelu", &self.threshold, &input).abs();
        let sign = input.clone().detach().sign();
        relu(input.abs() - threshold) * sign
    }
}
