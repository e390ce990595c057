//! Optimizers and training states of firebrick for the Burn framework.
//!
//! | module | what | reference |
//! |---|---|---|
//! | [`sop`] | SOP / SOP+: training under label noise with a noise state per sample | Liu, Zhu, Qu, You, ICML 2022 |
#![recursion_limit = "256"]

mod error;
pub mod sop;

pub use error::OptimizerError;
