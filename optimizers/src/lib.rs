//! Optimizers and training states of firebrick for the Burn framework.
//!
//! | module | what | reference |
//! |---|---|---|
//! | [`adai`] | Adai, AdaiW, AdaiV2: inertia per coordinate at one learning rate | Xie, Wang, Zhang, Sato, Sugiyama, ICML 2022 |
//! | [`gradients`] | norm and clipping over all gradients of a module | |
//! | [`sop`] | SOP / SOP+: training under label noise with a noise state per sample | Liu, Zhu, Qu, You, ICML 2022 |
#![recursion_limit = "256"]

pub mod adai;
mod error;
pub mod gradients;
pub mod sop;

pub use error::OptimizerError;
