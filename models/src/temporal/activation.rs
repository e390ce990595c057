//! Activations of temporal networks.

use burn::config::Config;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, relu};

/// The function between layers.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `ln(1 + exp(x))`, computed as `-ln(sigmoid(-x))` without overflow.
    Softplus,
    /// Hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`
    Relu,
}

impl Activation {
    /// Applies the function to every element.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Softplus => softplus(x),
            Self::Tanh => x.tanh(),
            Self::Relu => relu(x),
        }
    }
}

/// `ln(1 + exp(x))`
pub(super) fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    log_sigmoid(x.neg()).neg()
}
