//! A last layer whose rows have norm one.
//!
//! ```text
//! z_i = <w_i / |w_i|, x> + b_i
//! ```
//!
//! Each logit is 1-Lipschitz, and the difference of two is `|w_i/|w_i| - w_j/|w_j||`-Lipschitz, which may
//! be smaller than the `sqrt(2)` of orthogonal rows. Unlike orthogonal rows there may be more classes than
//! features.
//!
//! # References
//! S. Singla, S. Singla, S. Feizi, *Improved deterministic l2 robustness on CIFAR-10 and CIFAR-100*, ICLR
//! 2022 (last layer normalization).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};

use crate::orthogonal::OrthogonalMatrix;
use crate::orthogonal::alternatives::{PlainLinearConfig, PlainStart};

/// Settings of [`UnitRowLinear`].
#[derive(Config, Debug)]
pub struct UnitRowLinearConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Whether to add a bias, which starts at zero.
    #[config(default = false)]
    pub bias: bool,
    /// Seed of the start; by default it is drawn from the device.
    pub seed: Option<u64>,
}

impl UnitRowLinearConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`; rows
    /// point in uniformly random directions.
    ///
    /// # Panics
    /// If a number of features is zero.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> UnitRowLinear {
        let plain = PlainLinearConfig::new(self.d_input, self.d_output)
            .with_bias(self.bias)
            .with_start(PlainStart::He)
            .with_seed(self.seed)
            .init(options);
        UnitRowLinear { weight: plain.weight, bias: plain.bias }
    }
}

/// A linear layer whose rows are scaled to norm one; see [`UnitRowLinearConfig`].
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::lipschitz::UnitRowLinearConfig;
/// use firebrick_models::orthogonal::OrthogonalMatrix;
///
/// let device = Device::flex();
/// let layer = UnitRowLinearConfig::new(3, 10).init(&device);
/// let norms = layer.matrix().powi_scalar(2).sum_dim(1);
/// assert!((norms - 1.0).abs().max().into_scalar::<f32>() < 1e-5);
/// assert_eq!(layer.apply(Tensor::<2>::ones([4, 3], &device)).dims(), [4, 10]);
/// ```
#[derive(Module, Debug)]
pub struct UnitRowLinear {
    /// The free rows, `[d_output, d_input]`.
    pub weight: Param<Tensor<2>>,
    /// The bias, `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl OrthogonalMatrix for UnitRowLinear {
    fn matrix(&self) -> Tensor<2> {
        let weight = self.weight.val();
        // The floor keeps a row of zeros at zero.
        let norms = weight.clone().powi_scalar(2).sum_dim(1).sqrt().clamp_min(1e-12);
        weight / norms
    }

    fn features(&self) -> [usize; 2] {
        let [outputs, inputs] = self.weight.dims();
        [inputs, outputs]
    }

    fn bias(&self) -> Option<&Param<Tensor<1>>> {
        self.bias.as_ref()
    }
}
