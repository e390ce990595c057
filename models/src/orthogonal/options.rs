//! Choices that the orthogonal layers share.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// How an orthogonal layer starts.
///
/// All but [`Uniform`](Self::Uniform) make the layer start as a single tap, one orthogonal matrix at
/// the center of the kernel, which needs an odd number of taps (kernel size over stride) on both axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Initialization {
    /// [`Permutation`](Self::Permutation) where the number of taps is odd, else
    /// [`Uniform`](Self::Uniform).
    #[default]
    Auto,
    /// Every matrix is drawn from the uniform distribution of rotations.
    Uniform,
    /// Rotations by random angles in coordinate planes.
    Torus,
    /// The identity.
    Identity,
    /// The identity with its channels in reverse order.
    Reverse,
    /// Random permutations.
    Permutation,
}

impl FromStr for Initialization {
    type Err = ModelError;

    /// Reads `auto`, `uniform`, `torus`, `identity` (or `identical`), `reverse` and `permutation`.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        match name {
            "auto" => Ok(Self::Auto),
            "uniform" => Ok(Self::Uniform),
            "torus" => Ok(Self::Torus),
            "identity" | "identical" => Ok(Self::Identity),
            "reverse" => Ok(Self::Reverse),
            "permutation" => Ok(Self::Permutation),
            _ => Err(ModelError::UnknownName {
                what: "initialization",
                found: name.into(),
                known: "auto, uniform, torus, identity (identical), reverse, permutation",
            }),
        }
    }
}

/// What the layer sees beyond the border of the image.
///
/// | padding | output size | what holds |
/// |---|---|---|
/// | `Circular` | `n / stride` | orthogonal: all singular values 1 |
/// | `Full` | `n / stride + (ke - 1) / stride`, rounded down | norms are kept if the layer does not lose channels; else 1-Lipschitz with singular values down to 0 |
/// | `Same` | `n / stride` | 1-Lipschitz, not orthogonal: the border loses norm |
/// | `Explicit` | as any convolution | 1-Lipschitz, not orthogonal |
///
/// `n` is the image's size, `ke = dilation * (kernel - 1) + 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrthogonalPadding {
    /// The image repeats periodically, any number of times.
    #[default]
    Circular,
    /// Zeros, as many as make every pixel reach every tap.
    Full,
    /// Zeros in the places of circular padding.
    Same,
    /// This many zeros above and below, and left and right.
    Explicit([usize; 2]),
}

impl FromStr for OrthogonalPadding {
    type Err = ModelError;

    /// Reads `circular`, `full` (or `zeros`) and `same`.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        match name {
            "circular" => Ok(Self::Circular),
            "full" | "zeros" => Ok(Self::Full),
            "same" => Ok(Self::Same),
            _ => Err(ModelError::UnknownName {
                what: "padding mode",
                found: name.into(),
                known: "circular, full (zeros), same",
            }),
        }
    }
}

/// How a kernel is composed when its size is not a multiple of the stride.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Composition {
    /// The kernel size must be a multiple of the stride: one paraunitary filter of the polyphase
    /// components.
    #[default]
    Strict,
    /// On an axis where it is not, the kernel `k` of stride `s` is the composition of a square
    /// orthogonal layer of kernel `k - s + 1` and stride 1 with an orthogonal layer of kernel `s` and
    /// stride `s`. Both are orthogonal, so the composition is; it has `k` taps, all of them in use.
    Adaptive,
}

/// The ranks of the projections in the factors of a filter, from 0 to the filter's size.
///
/// A rank selects a connected component of the set of filters, which training does not leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ranks {
    /// Half of the filter's size, rounded down: the largest component.
    #[default]
    Half,
    /// The same rank for every factor.
    Equal(usize),
    /// One rank for each factor: a list per axis (height first) with one entry for each tap but the
    /// first.
    Each(Vec<Vec<usize>>),
}

/// How a transposed layer arranges its factors and channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransposedOrder {
    /// The adjoint of the layer with the same kernel and swapped channels.
    #[default]
    Adjoint,
    /// The authors' code: factors begin on the other side, the phase is the slower index of the
    /// polyphase components, and in one dimension the taps run backwards. For imported parameters.
    Published,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_says_which_are_known() {
        assert_eq!("identical".parse::<Initialization>().unwrap(), Initialization::Identity);
        assert_eq!("zeros".parse::<OrthogonalPadding>().unwrap(), OrthogonalPadding::Full);
        let error = "permutaion".parse::<Initialization>().unwrap_err().to_string();
        assert!(error.starts_with("unknown initialization 'permutaion'; known: auto,"), "{error}");
        let error = "reflect".parse::<OrthogonalPadding>().unwrap_err().to_string();
        assert!(error.contains("unknown padding mode 'reflect'"), "{error}");
    }
}
