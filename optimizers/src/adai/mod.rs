//! Adai, AdaiW and AdaiV2: adaptive inertia.
//!
//! Adam gives every coordinate its own learning rate; Adai keeps one learning rate and gives every
//! coordinate its own *inertia* `beta_1`. Where the squared gradient is small against the mean over
//! the whole model, inertia is near 1 and the parameter keeps rolling: saddles are left quickly.
//! Because the learning rate is not adapted, the noise stays that of SGD, and flat minima are
//! preferred as with SGD.
//!
//! For every parameter with a gradient `g`, with its own step counter `t`:
//! ```text
//! g    <- g + lambda x                              weight decay of Adai; AdaiW: x <- (1 - lr lambda) x
//! v    <- beta_2 v + (1 - beta_2) g^2,   v^ = v / (1 - beta_2^t)
//! mean  = mean of v^ over all elements of all parameters that have a gradient in this step
//! beta_1 = clamp(1 - beta_0 (v^ / mean)^(1/(3-2d)), 0, 1 - epsilon)         per element
//! m    <- beta_1 m + (1 - beta_1)^d g
//! x    <- x - lr beta_0^(1-d) m / (1 - product of all beta_1)
//! ```
//! `d` is 1 for Adai and AdaiW; AdaiV2 takes less.
//!
//! # Which learning rate
//! That of plain SGD, ten times the one of SGD with momentum 0.9. Adai inherits SGD's limit of
//! stability too. Schedules are Burn's: pass their learning rate to [`Adai::step`].
//!
//! | | decay | constructor |
//! |---|---|---|
//! | Adai | as a penalty, in the gradient | [`AdaiConfig::new`] |
//! | AdaiW | decoupled | [`AdaiConfig::adaiw`] |
//! | AdaiV2 | decoupled, dampening below 1 | [`AdaiConfig::adai_v2`] |
//!
//! # Two passes
//! The mean must be known before the first parameter moves, but Burn's optimizers see one tensor at
//! a time. [`Adai::step`] therefore runs Burn's [`ModuleOptimizer`](burn::optim::ModuleOptimizer)
//! twice: on a copy that collects the mean and is thrown away, and for good. So clipping, parameter
//! groups and records are Burn's own, and a step of Burn's optimizer *without* the first pass
//! panics instead of using a wrong mean. The mean stays on the device.
//!
//! The first pass reads the gradients alone: `sum(v)` obeys
//! `sum(v) = beta_2 sum(v_before) + (1 - beta_2) sum(g^2)`, and the second pass leaves the exact
//! `sum(v)` behind for the next step. The recurrence is thus restarted from the tensor itself at
//! every step, and its rounding does not pile up.
//!
//! # A plain training loop
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::GradientsParams;
//! use burn::tensor::{Device, Tensor};
//! use firebrick_optimizers::adai::AdaiConfig;
//!
//! let device = Device::flex().autodiff();
//! let mut network = LinearConfig::new(3, 2).init(&device);
//! let mut optimizer = AdaiConfig::adaiw().with_weight_decay(5e-4).init();
//! for _ in 0..3 {
//!     let loss = network.forward(Tensor::<2>::ones([4, 3], &device)).square().mean();
//!     let gradients = GradientsParams::from_grads(loss.backward(), &network);
//!     network = optimizer.step(0.3, network, gradients);
//! }
//! assert!(optimizer.report().expect("steps were made").mean > 0.0);
//! ```
//!
//! # With Burn's `Learner`
//! The learner owns a `ModuleOptimizer`; the handle makes its steps two-pass:
//! ```
//! use burn::module::Module;
//! use burn::nn::Linear;
//! use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
//! use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
//! use burn::tensor::Tensor;
//! use burn::train::{RegressionOutput, TrainOutput, TrainStep};
//! use firebrick_optimizers::adai::{AdaiConfig, AdaiHandle};
//!
//! #[derive(Module, Debug)]
//! struct Model { network: Linear, #[module(skip)] handle: AdaiHandle }
//!
//! impl TrainStep for Model {
//!     type Input = Tensor<2>;
//!     type Output = RegressionOutput;
//!     fn step(&self, inputs: Tensor<2>) -> TrainOutput<RegressionOutput> {
//!         // ..
//! #       let outputs = self.network.forward(inputs.clone());
//! #       let loss = (outputs.clone() - inputs.clone()).square().mean();
//! #       let gradients = loss.backward();
//! #       TrainOutput::new(self, gradients, RegressionOutput::new(loss, outputs, inputs))
//!     }
//!     fn optimize(
//!         self,
//!         optimizer: &mut ModuleOptimizer,
//!         lr: ModuleLearningRate,
//!         gradients: GradientsParams,
//!     ) -> Self {
//!         self.handle.clone().step(optimizer, lr, self, gradients)
//!     }
//!     fn optimize_multi(
//!         self,
//!         optimizer: &mut ModuleOptimizer,
//!         lr: ModuleLearningRate,
//!         gradients: MultiGradientsParams,
//!     ) -> Self {
//!         self.handle.clone().step_multi(optimizer, lr, self, gradients)
//!     }
//! }
//!
//! let (optimizer, handle) = AdaiConfig::new().init().into_parts();
//! // Model { network, handle }, then Learner::new(model, optimizer, 0.3)
//! ```
//!
//! # Notes
//! - The official code divides by the mean as it is and returns NaN if all gradients so far were
//!   zero; here the mean is at least the smallest normal number, and nothing moves.
//! - `1 - product of all beta_1` and `1 - beta_1` are kept as such; the official code subtracts,
//!   which costs up to 6e-5 of relative error at `epsilon = 1e-3` in 32 bits.
//! - A NaN in one gradient makes the mean NaN and with it every parameter of Adai, as in the official
//!   code; an infinite one makes the mean infinite. Clip by value, or check the loss.
//! - A published reimplementation bounds the mean from below by `epsilon`, which changes the method for
//!   gradients of ordinary size; another write-up has the ratio upside down.
//! - Parameters in 16 bits are updated through 32-bit moments.
//!
//! # References
//! Z. Xie, X. Wang, H. Zhang, I. Sato, M. Sugiyama, *Adaptive Inertia: Disentangling the Effects of
//! Adaptive Learning Rate and Momentum*, ICML 2022, Algorithm 2, arXiv:2006.15815.

mod config;
mod core;
mod handle;
mod optimizer;
mod pass;
mod record;
mod report;
mod state;

pub(crate) use pass::is_collecting;

pub use config::{AdaiConfig, MeanScope};
pub use core::AdaiCore;
pub use handle::AdaiHandle;
pub use optimizer::Adai;
pub use record::AdaiParameterState;
pub use report::{AdaiReport, Clamped};
pub use state::AdaiState;
