//! How momentum improves generalization: gradient descent with and without it on one network.
//!
//! The [data](firebrick_datasets::patches) have one feature that decides every label; a few
//! examples carry it with a small margin. The [network](firebrick_models::patch_network) weighs a
//! patch by a power of its length. Both algorithms learn the feature from the large margins first,
//! until those are fitted and their gradients vanish. Gradient descent then fits the small-margin
//! examples by their noise: it memorizes them, and fails on fresh ones. With momentum the average
//! still holds the large past gradients along the feature, which carry on until the small margins
//! are classified by it too.
//!
//! | type | what |
//! |---|---|
//! | [`MomentumStudy`] | the data, the start, and what can be run on them |
//! | [`DescentConfig`] | one run: step size, momentum, penalty, batches, when to stop |
//! | [`DescentReport`] | how it ended, the error rates by margin, and the trace of signal and noise |
//! | [`PatchFilters`] | the network in closed form: outputs, loss, gradient |
//!
//! [`MomentumStudy::run`] computes in 64 bits on the host, where a problem of this size takes less
//! time than launching kernels; [`MomentumStudy::run_with`] trains the same network from the same
//! start with any Burn optimizer on any device.
//!
//! # Example
//! ```
//! use firebrick::datasets::SignalPatchesConfig;
//! use firebrick::models::patch_network::PatchNetworkConfig;
//! use firebrick::momentum::{DescentConfig, MomentumStudy, PatchFilters};
//!
//! let (train, test) = SignalPatchesConfig::default().with_num_test(500).generate(0)?;
//! let start = PatchFilters::init(&PatchNetworkConfig::new(100, 5));
//! let study = MomentumStudy::new(train, test, start)?;
//!
//! let plain = study.run(&DescentConfig::new(0.5))?;
//! let momentum = study.run(&DescentConfig::new(0.5).with_momentum(0.99))?;
//! for report in [&plain, &momentum] {
//!     assert_eq!(report.end.train.total, 0.0);
//! }
//! // About half of the fresh small-margin examples are wrong without momentum, none with it.
//! assert!(plain.end.test.small > Some(0.25));
//! assert_eq!(momentum.end.test.small, Some(0.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # References
//! S. Jelassi, Y. Li, *Towards understanding how momentum improves generalization in deep
//! learning*, ICML 2022, [arXiv:2207.05931](https://arxiv.org/abs/2207.05931).
//!
//! # Notes
//! Data, network and algorithms follow the paper's model as it is generally known; the settings and
//! every number in this project come from running that model, not from the paper's tables.

mod descent;
mod error;
mod filters;
mod report;
mod trainer;

pub use descent::{DescentConfig, MomentumStudy, SweepPoint};
pub use error::MomentumError;
pub use filters::PatchFilters;
pub use report::{DescentReport, ErrorRates, TracePoint};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
