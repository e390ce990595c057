//! Optimizers and training states of firebrick for the Burn framework.
//!
//! | module | what | reference |
//! |---|---|---|
//! | [`adai`] | Adai, AdaiW, AdaiV2: inertia per coordinate at one learning rate | Xie, Wang, Zhang, Sato, Sugiyama, ICML 2022 |
//! | [`averaged_momentum`] | gradient descent along a moving average of the gradients | |
//! | [`efld`] | SGLD, noisy sign-SGD, noisy quantized SGD: random steps from an exponential family | Banerjee, Chen, Li, Zhou, ICML 2022 |
//! | [`gradients`] | norm and clipping over all gradients of a module | |
//! | [`piecewise_linear`] | a learning rate that is linear between points | |
//! | [`sop`] | SOP / SOP+: training under label noise with a noise state per sample | Liu, Zhu, Qu, You, ICML 2022 |
#![recursion_limit = "256"]

extern crate alloc;

pub mod adai;
pub mod averaged_momentum;
pub mod efld;
mod error;
mod files;
pub mod gradients;
pub mod piecewise_linear;
pub mod sop;

// What `#[derive(RecordState)]` names.
pub use burn::optim::{RecordState, StateSink, StateSource, join_index, join_path};
pub use error::OptimizerError;
