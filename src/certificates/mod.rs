//! Robustness with a proof: certified radii, certified accuracy, Lipschitz reports, and attacks to compare.
//!
//! A network with Lipschitz constant `L` cannot change its prediction while the input moves by less than
//!
//! ```text
//! radius(x) = (z_1 - z_2) / (sqrt(2) L)       the two largest logits at x
//! ```
//!
//! | item | what |
//! |---|---|
//! | [`Certifier`] | certified radii of logits, globally or pair by pair of classes |
//! | [`CertifiedFractions`], [`CertificateReport`] | right or wrong, certified or not, at any radius |
//! | [`lipschitz_report`] | the Lipschitz constant of a network, layer by layer |
//! | [`L2AttackConfig`] | projected gradient descent in the l2 ball |
//! | [`LocalLipschitzConfig`] | a lower bound of the Lipschitz constant around given images |
//! | [`RobustnessConfig`] | clean, attacked and certified accuracy of a classifier on a data set |
//!
//! A certificate is as good as its constant: 1 for a network of orthogonal layers on pixels from 0 to 1
//! less their mean; an input that is divided by a standard deviation `s` counts `1 / s`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firebrick::certificates::Certifier;
//!
//! let logits = Tensor::<2>::from_data([[1.0, 0.2, 0.1]], &Device::flex());
//! let radius = Certifier::new(1.0)?.radii(logits).into_scalar::<f32>();
//! assert!((radius - 0.8 / 2f32.sqrt()).abs() < 1e-6);
//! # Ok::<(), firebrick::certificates::CertificateError>(())
//! ```
//!
//! # References
//! - Y. Tsuzuku, I. Sato, M. Sugiyama, *Lipschitz-Margin Training*, NeurIPS 2018.
//! - J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//!   Framework*, ICML 2022, section 6.2.

mod attack;
mod error;
mod layers;
mod local;
mod radius;
mod report;
mod robustness;

pub use attack::{L2Attack, L2AttackConfig};
pub use error::CertificateError;
pub use layers::{LayerLipschitz, LipschitzReport, lipschitz_report};
pub use local::{LocalLipschitz, LocalLipschitzConfig};
pub use radius::Certifier;
pub use report::{CertificateReport, CertifiedFractions};
pub use robustness::{Robustness, RobustnessConfig, RobustnessPoint, RobustnessReport};

#[cfg(test)]
mod tests;
