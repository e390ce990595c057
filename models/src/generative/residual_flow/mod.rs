//! Residual flows: invertible networks with a tractable density.
//!
//! ```text
//! y = x + g(x),   Lip(g) <= kappa < 1
//! log p(x) = log p(y) + log det(I + J),   J = dg/dx
//! log det(I + J) = sum over k >= 1 of (-1)^{k+1} / k tr(J^k)
//! ```
//!
//! `g` is made of orthogonal layers, each followed by a factor `c < 1`, and of activations with slopes of
//! at most 1, so that its bound `kappa = c^layers` holds for every value of the parameters, without the
//! power iterations of spectral normalization.
//!
//! | part | what |
//! |---|---|
//! | [`VectorFlow`], [`ImageFlow`] | whole models: density, bits per dimension, samples |
//! | [`InvertibleBlock`] | one `y = x + g(x)` with its inverse and log-determinant |
//! | [`Contraction`], [`ContractiveMlpConfig`], [`ContractiveConvConfig`] | `g` from orthogonal layers |
//! | [`ResidualFunction`], [`Pullback`] | what a `g` of your own must offer |
//! | [`LogDet`], [`Estimator`], [`Roulette`] | exact, truncated and unbiased log-determinants |
//! | [`invert`] | the inverse by fixed-point iteration |
//! | [`ActNorm`], [`LogitTransform`], [`squeeze`] | the other invertible maps |
//! | [`BitsPerDimension`] | likelihoods in the unit of the literature |
//!
//! # Second derivatives
//! The gradient of `log det(I + J)` differentiates `J`, and Burn differentiates once. So `J^T v` is
//! written with ordinary tensor operations: the adjoints of the layers and the slopes of the
//! activations ([`ResidualFunction::linearize`]); one backward pass through it is the second derivative.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firebrick_models::generative::residual_flow::{InverseConfig, LogDet, VectorFlowConfig};
//! use rand::SeedableRng;
//!
//! let device = Device::flex();
//! let flow = VectorFlowConfig::new(2).with_blocks(3).with_hidden(vec![16, 16]).init(&device);
//! let points = Tensor::<2>::from_data([[0.5, -1.0], [2.0, 0.3]], &device);
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//! let output = flow.forward(points.clone(), &LogDet::Exact, &mut rng);
//! let back = flow.inverse(output.latent, &InverseConfig::new())?;
//! assert!((back - points).abs().max().into_scalar::<f32>() < 1e-5);
//! # Ok::<(), firebrick_models::ModelError>(())
//! ```
//!
//! # References
//! R. Chen, J. Behrmann, D. Duvenaud, J. Jacobsen, *Residual Flows for Invertible Generative Modeling*,
//! NeurIPS 2019; J. Behrmann et al., *Invertible Residual Networks*, ICML 2019; J. Su, W. Byeon, F. Huang,
//! *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary Framework*, ICML 2022,
//! appendix F.

mod act_norm;
mod bits;
mod block;
mod contraction;
mod conv;
mod estimator;
mod exact;
mod image_flow;
mod inverse;
mod lip_swish;
mod logit;
mod mlp;
mod pullback;
mod roulette;
mod series;
mod squeeze;
mod step;
mod vector_flow;

pub use act_norm::{ActNorm, ActNormConfig};
pub use bits::{BitsPerDimension, dequantize};
pub use block::InvertibleBlock;
pub use contraction::{Contraction, ContractiveLayer, Linearization};
pub use conv::ContractiveConvConfig;
pub use estimator::{Estimator, LogDet, Probe, SeriesGradient, Terms};
pub use exact::{exact_log_det, jacobian, truncated_log_det};
pub use image_flow::{ImageFlow, ImageFlowConfig};
pub use inverse::{Inverse, InverseConfig, InverseMethod, invert};
pub use lip_swish::{LipSwish, LipSwishConfig};
pub use logit::LogitTransform;
pub use mlp::ContractiveMlpConfig;
pub use pullback::{Pullback, ResidualFunction};
pub use roulette::{Roulette, Stopping};
pub use series::{NeumannEstimate, neumann, power_series, truncation_bias};
pub use squeeze::{squeeze, unsqueeze};
pub use step::{FlowOutput, FlowStep};
pub use vector_flow::{VectorFlow, VectorFlowConfig};

#[cfg(test)]
mod tests;
