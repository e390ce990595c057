//! Skip connections that keep Lipschitz constants: a convex combination, and branches side by side.
//!
//! ```text
//! additive:       y = s f(x) + (1 - s) h(x),   s = sigmoid(alpha)
//! concatenative:  y = shuffle([h(x_1), f(x_2)])    halves x_1, x_2 of the channels
//! ```
//!
//! The first is as Lipschitz as the worse of its branches, but does not keep norms; the Jacobian of the
//! second is block diagonal up to a permutation, and orthogonal if those of the branches are.
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022, section 4.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};

use super::{channel_shuffle, halves};

/// Settings of [`AdditiveSkip`].
#[derive(Config, Debug)]
pub struct AdditiveSkipConfig {
    /// `alpha` at the start; 0 weighs both branches the same.
    #[config(default = 0.0)]
    pub start: f64,
}

impl AdditiveSkipConfig {
    /// Creates the connection on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If the start is not finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> AdditiveSkip {
        let start = self.start;
        assert!(start.is_finite(), "AdditiveSkipConfig: start must be finite, got {start}");
        AdditiveSkip { alpha: Param::from_tensor(Tensor::full([1], start, options)) }
    }
}

/// A learned convex combination `s f + (1 - s) h` of two branches, `s = sigmoid(alpha)`.
#[derive(Module, Debug)]
pub struct AdditiveSkip {
    /// The logit of the residual branch's weight, `[1]`.
    pub alpha: Param<Tensor<1>>,
}

impl AdditiveSkip {
    /// Joins the branches.
    ///
    /// # Shapes
    /// - residual, shortcut, output: the same
    ///
    /// # Panics
    /// If the branches have different shapes.
    pub fn merge<const D: usize>(&self, residual: Tensor<D>, shortcut: Tensor<D>) -> Tensor<D> {
        let (found, expected) = (residual.dims(), shortcut.dims());
        assert!(
            found == expected,
            "AdditiveSkip: both branches must have the same shape, got {found:?} and {expected:?}"
        );
        let share = self.weight().reshape([1; D]);
        shortcut.clone() + (residual - shortcut) * share
    }

    /// The residual branch's weight `s`, read from the device.
    pub fn share(&self) -> f64 {
        self.weight().into_scalar::<f64>()
    }

    /// `s`, through the hyperbolic tangent: Burn's sigmoid computes in 32 bits on NdArray.
    fn weight(&self) -> Tensor<1> {
        (self.alpha.val() * 0.5).tanh() * 0.5 + 0.5
    }
}

/// Applies `shortcut` to the first half of the channels and `residual` to the second, and shuffles the
/// results together.
///
/// # Shapes
/// - input: `[batch, channels, ..]`
/// - output: `[batch, channels', ..]`
///
/// # Panics
/// If the number of channels is odd, or the branches give different shapes.
pub fn concatenative_skip<const D: usize>(
    input: Tensor<D>,
    shortcut: impl FnOnce(Tensor<D>) -> Tensor<D>,
    residual: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let (first, second) = halves("concatenative_skip", input);
    let (first, second) = (shortcut(first), residual(second));
    let (left, right) = (first.dims(), second.dims());
    assert!(
        left == right,
        "concatenative_skip: both branches must give the same shape, got {left:?} and {right:?}"
    );
    channel_shuffle(Tensor::cat(vec![first, second], 1), 2)
}
