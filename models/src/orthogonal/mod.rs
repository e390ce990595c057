//! Orthogonal layers: all singular values are 1 for every value of their parameters.
//!
//! | layer | what |
//! |---|---|
//! | [`OrthogonalConv2d`], [`OrthogonalConv1d`] | convolutions: stride, dilation, groups, any kernel and channels |
//! | [`OrthogonalConvTranspose2d`], [`OrthogonalConvTranspose1d`] | their adjoints, which enlarge the image |
//! | [`OrthogonalLinear`] | matrices with orthonormal rows or columns |
//! | [`alternatives`] | other parametrizations, to compare with |
//!
//! All are made of orthogonal matrices `B exp(L - L^T)` with free parameters `L` and fixed bases `B`; see
//! [`ParaunitaryFilter`]. [`OrthogonalLayer`] is what the layers on images have in common,
//! and [`orthogonality_report`] measures any of them.
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022.

pub mod alternatives;
mod base;
mod bias;
mod cache;
mod conv1d;
mod conv2d;
mod conv_transpose1d;
mod conv_transpose2d;
mod filter;
mod geometry;
mod kernel;
mod layer;
mod linear;
mod options;
mod parameters;
mod pointwise;
mod report;
mod start;

pub use conv_transpose1d::{OrthogonalConvTranspose1d, OrthogonalConvTranspose1dConfig};
pub use conv_transpose2d::{OrthogonalConvTranspose2d, OrthogonalConvTranspose2dConfig};
pub use conv1d::{OrthogonalConv1d, OrthogonalConv1dConfig};
pub use conv2d::{OrthogonalConv2d, OrthogonalConv2dConfig};
pub use filter::ParaunitaryFilter;
pub use kernel::OrthogonalKernel;
pub use layer::OrthogonalLayer;
pub use linear::{OrthogonalLinear, OrthogonalLinearConfig};
pub use options::{Composition, Initialization, OrthogonalPadding, Ranks, TransposedOrder};
pub use parameters::{ImportLayout, ParameterSlot, ParameterTable};
pub use pointwise::{OrthogonalMatrix, Pointwise};
pub use report::{NormRatio, OrthogonalityReport, SpectrumMethod, orthogonality_report};
