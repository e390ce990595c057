//! What stands between the layers of a 1-Lipschitz network.
//!
//! | item | what | keeps norms |
//! |---|---|---|
//! | [`GroupSort`] | sorts channels within groups; MaxMin for groups of two | yes |
//! | [`HouseholderActivation`] | reflects pairs of channels across a learned line | yes |
//! | [`SRelu`], [`ModRelu`] | ReLU with a learned threshold on values, on magnitudes | 1-Lipschitz |
//! | [`NormPool2d`] | sums of windows over the root of their size | 1-Lipschitz |
//! | [`channel_shuffle`], [`pixel_unshuffle`] | permutations of entries | yes |
//! | [`AdditiveSkip`] | learned convex combination of two branches | 1-Lipschitz if both are |
//! | [`concatenative_skip`] | two branches on one half of the channels each | yes if both do |
//! | [`InputNormalization`] | means and deviations of channels | `1 / min deviation` |
//! | [`UnitRowLinear`] | a last layer whose rows have norm one | row by row |
//!
//! [`Activation`] is any of the activations behind one type, chosen by an [`ActivationKind`]. All take
//! images or features, with channels on the second axis. Networks of them and of orthogonal layers are in
//! [`vision::orthogonal`](crate::vision::orthogonal).
//!
//! # References
//! - C. Anil, J. Lucas, R. Grosse, *Sorting out Lipschitz function approximation*, ICML 2019 (GroupSort).
//! - J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//!   Framework*, ICML 2022, section 4 (skip connections).

mod activation;
mod group_sort;
mod householder;
mod input;
mod mod_relu;
mod pooling;
mod rearrange;
mod skip;
mod srelu;
#[cfg(test)]
mod tests;
mod unit_rows;

pub use activation::{Activation, ActivationKind};
pub use group_sort::{GroupSize, GroupSort, GroupSortConfig, SortOrder};
pub use householder::{HouseholderActivation, HouseholderActivationConfig};
pub use input::{InputNormalization, InputNormalizationConfig};
pub use mod_relu::{ModRelu, ModReluConfig};
pub use pooling::{NormPool2d, NormPool2dConfig};
pub use rearrange::{channel_shuffle, pixel_shuffle, pixel_unshuffle};
pub use skip::{AdditiveSkip, AdditiveSkipConfig, concatenative_skip};
pub use srelu::{SRelu, SReluConfig};
pub use unit_rows::{UnitRowLinear, UnitRowLinearConfig};

use burn::module::Param;
use burn::tensor::Tensor;

/// A parameter per channel, shaped to be added to a tensor with channels on its second axis.
///
/// # Panics
/// If the tensor has other channels.
fn along_channels<const D: usize>(
    name: &str,
    param: &Param<Tensor<1>>,
    input: &Tensor<D>,
) -> Tensor<D> {
    let ([expected], found) = (param.dims(), channels_of(name, input));
    assert!(found == expected, "{name}: input must have {expected} channels, got {found}");
    let mut shape = [1; D];
    shape[1] = expected;
    param.val().reshape(shape)
}

/// The length of the second axis.
///
/// # Panics
/// If there is none.
fn channels_of<const D: usize>(name: &str, input: &Tensor<D>) -> usize {
    assert!(D >= 2, "{name}: input must have a batch and channels, got {D} axes");
    input.dims()[1]
}

/// The two halves of the channels.
///
/// # Panics
/// If their number is odd.
fn halves<const D: usize>(name: &str, input: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let channels = channels_of(name, &input);
    assert!(
        channels > 0 && channels.is_multiple_of(2),
        "{name}: channels must be even to be paired, got {channels}"
    );
    let half = channels / 2;
    (input.clone().narrow(1, 0, half), input.narrow(1, half, half))
}
