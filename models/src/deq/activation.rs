//! Pointwise activations with their derivatives.

use burn::tensor::{Tensor, activation};
use firebrick_ops::fused::tanh;
use serde::{Deserialize, Serialize};

/// An activation whose derivative is known in closed form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// The identity: a linear equilibrium.
    Identity,
    /// `tanh(a)`
    #[default]
    Tanh,
    /// `max(a, 0)`, with slope 0 at 0.
    Relu,
    /// `a` brought to `[-1, 1]`, with slope 0 at the ends.
    Hardtanh,
    /// `sin(a)`
    Sin,
}

impl Activation {
    /// The activation of each entry.
    pub fn apply<const D: usize>(self, input: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => input,
            Self::Tanh => tanh(input),
            Self::Relu => activation::relu(input),
            Self::Hardtanh => input.clamp(-1.0, 1.0),
            Self::Sin => input.sin(),
        }
    }

    /// The slope at each entry, differentiable once more; none for the identity, whose slope is 1.
    pub fn slope<const D: usize>(self, input: Tensor<D>) -> Option<Tensor<D>> {
        match self {
            Self::Identity => None,
            Self::Tanh => Some(tanh(input).square().neg() + 1.0),
            Self::Relu => {
                let dtype = input.dtype();
                Some(input.without_autodiff().greater_elem(0.0).float().cast(dtype))
            }
            Self::Hardtanh => {
                let dtype = input.dtype();
                Some(input.without_autodiff().abs().lower_elem(1.0).float().cast(dtype))
            }
            Self::Sin => Some(input.cos()),
        }
    }
}

/// A name that is none of the activations'.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown activation '{0}'; known: identity, tanh, relu, hardtanh, sin")]
pub struct UnknownActivation(String);

impl std::str::FromStr for Activation {
    type Err = UnknownActivation;

    fn from_str(name: &str) -> Result<Self, UnknownActivation> {
        match name {
            "identity" => Ok(Self::Identity),
            "tanh" => Ok(Self::Tanh),
            "relu" => Ok(Self::Relu),
            "hardtanh" => Ok(Self::Hardtanh),
            "sin" => Ok(Self::Sin),
            _ => Err(UnknownActivation(name.into())),
        }
    }
}
