//! Other parametrizations of orthogonal layers, behind the same trait, to compare with.
//!
//! | type | exactly orthogonal | compact kernel | cost of a call beyond the convolution itself |
//! |---|---|---|---|
//! | [`BjorckLinear`] | after convergence | yes | 2 products `n^3` per iteration (20) |
//! | [`CayleyLinear`] | yes | yes | one inverse of the smaller side |
//! | [`HouseholderLinear`] | yes | yes | one triangular inverse `m x m`, or `m` steps in sequence |
//! | [`BcopConv2d`] | after convergence | yes | `2 k - 1` matrices by Björck, then `k - 1` block products |
//! | [`AocConv2d`] | after convergence | yes | as BCOP with kernel `k - s + 1`, and Björck on `out x in s^2` |
//! | [`CayleyConv2d`] | yes | no, as large as the image | Fourier transforms and one inverse per frequency |
//! | [`SocConv2d`] | up to the rest of a series | no, grows with the terms | one convolution per term (5 to 12) |
//! | [`RkoConv2d`] | only for kernel = stride | yes | Björck on `out x in k^2` |
//! | [`SvcmConv2d`] | no | yes | nothing in a call; one SVD per frequency in each projection |
//! | [`PlainConv2d`], [`PlainLinear`] | no | yes | nothing |
//!
//! "After convergence" means that the iteration has a finite number of steps: its result is
//! orthogonal up to rounding where it started well conditioned, which random starts are; nothing
//! enforces it later in training. All kernels that are compact are built anew in each call of
//! `forward`; none of these layers keeps a cache.
//!
//! Linear layers become layers of images through [`Pointwise`](crate::orthogonal::Pointwise), and layers
//! without a stride get one from [`Unshuffled`].
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use firebrick_models::orthogonal::OrthogonalLayer;
//! use firebrick_models::orthogonal::alternatives::BcopConv2dConfig;
//!
//! let device = Device::flex();
//! let layer = BcopConv2dConfig::new([4, 4], 3).with_seed(Some(0)).init(&device);
//! let images = Tensor::<4>::random([2, 4, 8, 8], Distribution::Default, &device);
//! let norm = |x: Tensor<4>| x.powi_scalar(2).sum().sqrt().into_scalar::<f32>();
//! let ratio = norm(layer.forward_linear(images.clone())) / norm(images);
//! assert!((ratio - 1.0).abs() < 1e-5);
//! ```

mod aoc;
mod bcop;
mod bjorck;
mod cayley;
mod cayley_conv;
mod householder;
mod init;
mod matrix_kernel;
mod plain;
mod rko;
mod soc;
mod svcm;
mod unshuffled;

use super::geometry::Geometry;
use super::{OrthogonalMatrix, OrthogonalPadding};

pub use aoc::{AocConv2d, AocConv2dConfig};
pub use bcop::{BcopConv2d, BcopConv2dConfig, bcop_kernel};
pub use bjorck::{BjorckConfig, BjorckLinear, BjorckLinearConfig};
pub use cayley::{CayleyLinear, CayleyLinearConfig};
pub use cayley_conv::{CayleyConv2d, CayleyConv2dConfig};
pub use householder::{HouseholderLinear, HouseholderLinearConfig};
pub use plain::{PlainConv2d, PlainConv2dConfig, PlainLinear, PlainLinearConfig, PlainStart};
pub use rko::{RkoConv2d, RkoConv2dConfig};
pub use soc::{SocConv2d, SocConv2dConfig, exponential_series, skew_kernel};
pub use svcm::{SvcmConv2d, SvcmConv2dConfig};
pub use unshuffled::Unshuffled;

/// A square kernel on a ring, with the same stride and dilation in both directions.
fn ring(kernel: usize, stride: usize, dilation: usize, groups: usize) -> Geometry {
    Geometry {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [dilation; 2],
        groups,
        padding: OrthogonalPadding::Circular,
    }
}
