//! Deep equilibrium blocks: layers whose output is a fixed point.
//!
//! ```text
//! z = f(z, x)             found by any solver, nothing recorded
//! dL/dtheta = g^T df/dtheta,   dL/dx = g^T df/dx,   g = v + J^T g,   v = dL/dz,   J = df/dz
//! ```
//!
//! The backward pass is one linear solve at the fixed point, so that the memory of a training step does not
//! grow with the number of iterations.
//!
//! | item | what |
//! |---|---|
//! | [`DeqConfig`], [`Deq`] | the block: solvers, kind of gradient, what to do when the backward fails |
//! | [`DeqCell`], [`FunctionCell`] | the map, a module or a function, with or without closed-form derivatives |
//! | [`AffineCell`], [`Activation`] | `phi(z W^T + u)`, with closed-form derivatives |
//! | [`DeqLayer`] | a layer around an affine cell and its input map |
//! | [`DeqGradient`] | implicit, phantom (Jacobian-free as its first step), unrolled |
//! | [`JacobianPenalty`], [`spectral_radius`] | what keeps the map a contraction, and how near it is to none |
//! | [`CorrectionWeights`] | weights of a loss on several states of one solve |
//! | [`weight_norm`], [`SpectralNorm`] | normalized weights |
//! | [`VariationalDropout`] | a dropout mask that is the same in every evaluation |
//! | [`matrix_family`], [`family_theory`] | families of recurrent weights to start from, and what to expect of them |
//! | [`measure`], [`probe`] | what a weight at hand does; a cell over families and scales |
//! | [`mixed_start`] | half zeros, half noise: starts for path independence |
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use firebrick_models::deq::{Activation, DeqConfig, DeqLayerConfig};
//!
//! let device = Device::flex().autodiff();
//! let layer = DeqLayerConfig::new(4, 8).with_activation(Activation::Tanh).init(&device);
//! let deq = DeqConfig::new().init();
//! let x = Tensor::<2>::random([5, 4], Distribution::Default, &device);
//! let output = layer.forward(&deq, x);
//! assert!(output.report.all_converged());
//! let gradients = output.state.square().mean().backward();
//! assert!(layer.cell.weight.grad(&gradients).is_some());
//! // The backward has a report of its own.
//! assert!(output.backward.last().unwrap().all_converged());
//! ```
//!
//! # Notes
//! - Batch normalization inside a map is wrong: its running statistics would be updated in every
//!   evaluation. Layer and group normalization are fine. Ordinary dropout draws a new mask in every
//!   evaluation and has no fixed point; use [`VariationalDropout`].
//! - Burn differentiates once only. [`JacobianPenalty`] is therefore written with first-order operations.
//!
//! # References
//! - S. Bai, J. Z. Kolter, V. Koltun, *Deep Equilibrium Models*, NeurIPS 2019, Theorem 1.
//! - S. Bai, V. Koltun, J. Z. Kolter, *Stabilizing Equilibrium Models by Jacobian Regularization*, ICML 2021.
//! - S. W. Fung et al., *JFB: Jacobian-Free Backpropagation*, AAAI 2022.
//! - Z. Geng et al., *On Training Implicit Models*, NeurIPS 2021 (phantom gradients).
//! - A. Agarwala, S. Schoenholz, *Deep equilibrium networks are sensitive to initialization statistics*,
//!   ICML 2022.

mod activation;
mod affine;
mod block;
mod cell;
mod correction;
mod dropout;
pub mod family_theory;
mod function;
mod gradient;
mod implicit;
mod jacobian;
mod layer;
pub mod matrix_family;
pub mod measure;
mod plain;
pub mod probe;
mod spectral_norm;
mod start;
mod surrogate;
mod weight_norm;

pub use activation::{Activation, UnknownActivation};
pub use affine::AffineCell;
pub use block::{Deq, DeqConfig, DeqOptions, DeqOutput};
pub use cell::{DeqCell, Linearization};
pub use correction::{CorrectionWeights, correction_loss};
pub use dropout::{DropoutKind, VariationalDropout, VariationalDropoutConfig};
pub use function::FunctionCell;
pub use gradient::{CorrectionGraph, DeqGradient, PhantomConfig};
pub use implicit::{BackwardPolicy, BackwardReports};
pub use jacobian::{JacobianPenalty, PenaltyForm, spectral_radius};
pub use layer::{DeqLayer, DeqLayerConfig};
pub use plain::{Plain, without_autodiff};
pub use spectral_norm::{SpectralNorm, SpectralNormConfig};
pub use start::mixed_start;
pub use surrogate::SurrogateLoss;
pub use weight_norm::{WeightNorm, WeightNormConfig, weight_norm};
