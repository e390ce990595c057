//! Dropout with one mask for a whole solve.

use std::sync::{Arc, Mutex, PoisonError};

use burn::config::Config;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::plain::Plain;

/// Which entries share their fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DropoutKind {
    /// Each entry has its own.
    #[default]
    Full,
    /// All positions of a channel of a sample.
    Channel,
    /// All channels of a position of a sample.
    Token,
}

/// Settings of [`VariationalDropout`].
#[derive(Config, Debug)]
pub struct VariationalDropoutConfig {
    /// Probability of a zero, in `[0, 1)`.
    pub probability: f64,
    /// Which entries share their fate.
    #[config(default = "DropoutKind::Full")]
    pub kind: DropoutKind,
    /// Whether channels are the last axis rather than axis 1; all other axes but the batch are positions.
    #[config(default = false)]
    pub channels_last: bool,
}

impl VariationalDropoutConfig {
    /// Creates the layer, which does nothing until its first [`reset`](VariationalDropout::reset).
    ///
    /// # Panics
    /// If the probability is outside `[0, 1)`.
    pub fn init(&self) -> VariationalDropout {
        assert!(
            (0.0..1.0).contains(&self.probability),
            "VariationalDropoutConfig: probability must lie in [0, 1), got {}",
            self.probability
        );
        VariationalDropout { config: self.clone(), mask: Arc::default() }
    }
}

#[derive(Debug, Default)]
enum Mask {
    /// The identity: evaluation.
    #[default]
    Off,
    /// To be drawn at the next call.
    Armed(u64),
    Drawn {
        shape: Vec<usize>,
        values: Box<Tensor<1>>,
    },
}

/// Dropout whose mask stays the same until it is reset, so that a map with it has a fixed point.
///
/// ```text
/// y = x * m / (1 - p),   m ~ Bernoulli(1 - p)
/// ```
///
/// [`reset`](Self::reset) it with a new seed before every training step: the first call after it draws the
/// mask, on the host, and every evaluation of the forward and the backward solve uses it.
/// [`turn_off`](Self::turn_off) it for evaluation. Clones share the mask, also those that the block makes.
///
/// Keep it in a module under `#[module(skip)]`; it has no parameters.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::deq::VariationalDropoutConfig;
///
/// let dropout = VariationalDropoutConfig::new(0.5).init();
/// let x = Tensor::<2>::ones([4, 8], &Device::flex());
/// dropout.reset(1);
/// let first = dropout.forward(x.clone()).into_data();
/// assert_eq!(dropout.forward(x.clone()).into_data(), first);
/// dropout.turn_off();
/// assert_eq!(dropout.forward(x.clone()).into_data(), x.into_data());
/// ```
///
/// # References
/// Y. Gal, Z. Ghahramani, *A Theoretically Grounded Application of Dropout in Recurrent Neural Networks*,
/// NeurIPS 2016.
#[derive(Clone, Debug)]
pub struct VariationalDropout {
    config: VariationalDropoutConfig,
    mask: Arc<Mutex<Mask>>,
}

impl VariationalDropout {
    /// Forgets the mask; the next call draws one from the seed.
    pub fn reset(&self, seed: u64) {
        *self.mask.lock().unwrap_or_else(PoisonError::into_inner) = Mask::Armed(seed);
    }

    /// Makes the layer the identity until the next reset.
    pub fn turn_off(&self) {
        *self.mask.lock().unwrap_or_else(PoisonError::into_inner) = Mask::Off;
    }

    /// Applies the mask.
    ///
    /// # Shapes
    /// - input, output: `[batch, ..]`
    ///
    /// # Panics
    /// If the shape differs from that of the first call after the reset.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let shape = self.mask_shape(input.dims());
        let mut mask = self.mask.lock().unwrap_or_else(PoisonError::into_inner);
        if let Mask::Armed(seed) = *mask {
            let values = self.draw(seed, shape.iter().product(), &input.device().inner());
            *mask = Mask::Drawn { shape: shape.to_vec(), values: Box::new(values) };
        }
        match &*mask {
            Mask::Drawn { shape: drawn, values } => {
                assert!(
                    *drawn == shape,
                    "VariationalDropout: the mask was drawn for the shape {drawn:?}, got {shape:?}; reset \
                     it first"
                );
                let values =
                    Tensor::clone(values).cast(input.dtype()).to_device(&input.device().inner());
                input * values.reshape(shape)
            }
            _ => input,
        }
    }

    fn mask_shape<const D: usize>(&self, mut shape: [usize; D]) -> [usize; D] {
        let channel = if self.config.channels_last { D - 1 } else { 1.min(D - 1) };
        for (axis, size) in shape.iter_mut().enumerate().skip(1) {
            match self.config.kind {
                DropoutKind::Channel if axis != channel => *size = 1,
                DropoutKind::Token if axis == channel => *size = 1,
                _ => {}
            }
        }
        shape
    }

    fn draw(&self, seed: u64, len: usize, device: &Device) -> Tensor<1> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (probability, scale) = (self.config.probability, 1.0 / (1.0 - self.config.probability));
        let values: Vec<f32> = (0..len)
            .map(|_| if rng.random::<f64>() < probability { 0.0 } else { scale as f32 })
            .collect();
        Tensor::from_data(TensorData::new(values, [len]), device)
    }
}

impl Plain for VariationalDropout {
    fn plain(&self) -> Self {
        self.clone()
    }
}
