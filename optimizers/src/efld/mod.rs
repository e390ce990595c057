//! Exponential family Langevin dynamics: SGLD, noisy sign-SGD and noisy quantized SGD.
//!
//! A step does not follow the gradient but is drawn at random, from an exponential family that the
//! gradient tilts:
//!
//! ```text
//! theta_t = g_t / alpha_t                                natural parameter, elementwise
//! xi_t    ~ density exp(<xi, theta_t> - psi(theta_t)) * pi0(xi)
//! w_t     = w_{t-1} - rho_t * xi_t
//! ```
//!
//! | family | `pi0` | `psi(theta)` | mean of `xi` | `rho` | `c2` | known as |
//! |---|---|---|---|---|---|---|
//! | [`Gaussian`](ExponentialFamily::Gaussian) | standard normal | `theta^2 / 2` | `theta` | `sigma = alpha * lr` | 1 | SGLD |
//! | [`Rademacher`](ExponentialFamily::Rademacher) | 1 on {-1, +1} | `log(2 cosh theta)` | `tanh theta` | `lr` | 1 | noisy sign-SGD |
//! | [`Levels`](ExponentialFamily::Levels) | `pi_l` on `q_l` | `log sum_l pi_l exp(q_l theta)` | `sum_l p_l q_l` | `lr` | `((q_L - q_1) / 2)^2` | noisy quantized SGD |
//!
//! `c2` bounds the variance of `xi`. Because each step is drawn from a smooth family, the gap between
//! training and population loss of the whole run can be bounded from gradient differences that are
//! measured during training; `firebrick::generalization` does so.
//!
//! # The noise scale
//! For the Gaussian family, `w <- w - lr * g + sigma * z` with `alpha = sigma / lr`:
//!
//! | [`NoiseScale`] | `sigma` | `alpha` | families |
//! |---|---|---|---|
//! | `Alpha(a)` | `a * lr` | `a` | all |
//! | `Sigma(s)` | `s` | `s / lr` | Gaussian |
//! | `Ratio(k)` | `k * lr` | `k` | Gaussian |
//! | `InverseTemperature(b)` | `sqrt(2 lr / b)` | `sqrt(2 / (lr b))` | Gaussian |
//!
//! Each is a [`Schedule`] in the number of the step; the learning rate is the one given to `step`,
//! so Burn's learning-rate schedulers act as usual. Defaults: `alpha = sqrt(0.1)` for the Gaussian
//! family, 0.01 for the others. An `alpha` per block of parameters (the paper's anisotropic variant)
//! is a parameter group with an optimizer of its own; an `alpha` per element goes through
//! [`anisotropic_theta`] and [`ExponentialFamily::draw`].
//!
//! # Example
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::GradientsParams;
//! use burn::tensor::{Device, Tensor};
//! use firebrick_optimizers::efld::{EfldConfig, NoiseScale, Schedule};
//!
//! let device = Device::flex().autodiff();
//! let mut model = LinearConfig::new(3, 2).init(&device);
//! let mut optimizer = EfldConfig::sgld()
//!     .with_scale(Some(NoiseScale::InverseTemperature(Schedule::Constant(1e4))))
//!     .with_seed(1)
//!     .init();
//! let loss = model.forward(Tensor::<2>::ones([4, 3], &device)).mean();
//! let gradients = GradientsParams::from_grads(loss.backward(), &model);
//! model = optimizer.step(0.1, model, gradients);
//! ```
//!
//! # Randomness
//! By default the noise is drawn on the host and is a function of (seed, parameter, step): equal on
//! every backend, and a run resumed from its record continues bit by bit. "Parameter" is the shape
//! and the position among the parameters of that shape in the order in which they first had a
//! gradient; it is kept in the record. [`NoiseSource::Device`] draws with the device's own generator
//! instead (`Device::seed`), which is faster on a GPU but neither portable nor resumable.
//!
//! # Notes
//! - The paper's Example 3.1 has `alpha = sqrt(sigma / eta)` and `rho = sqrt(eta sigma)`. With noise
//!   of variance 1 that gives neither SGLD's drift nor its variance; the paper's own bound and step
//!   size condition agree with `alpha = sigma / eta`, which is used here.
//! - A zero gradient makes noisy sign-SGD step by `lr` up or down with probability 1/2 each, while
//!   sign-SGD stands still.
//! - A gradient that is not a number still gives a finite step for the families on levels, the
//!   lowest one: watch the loss.
//! - Two optimizers with one seed draw the same noise for parameters of the same shape: give the
//!   optimizers of different parameter groups different seeds.
//! - Burn shows an optimizer neither the name of a parameter nor where a step of the module begins,
//!   and values or gradients do not tell parameters apart either (biases of zero with gradients of
//!   zero). So an optimizer counts, and its clones count together: each stays free of repeated
//!   noise, but what a clone made *before* the first step draws depends on which of them stepped
//!   first. Clones made after the first step are independent, except for parameters that have their
//!   first gradient later. For trainings that repeat exactly, make one optimizer for each.
//! - Beside Adai in one `ModuleOptimizer`, steps and noise are those of EFLD alone: the pass in which
//!   Adai looks at the gradients draws and counts nothing.
//! - A parameter that has its first gradient in the very first step after a resume may get the
//!   number of another one of the same shape; the two then see the same numbers, at different times.
//! - Decay, L2 penalty and clipping are not in the paper. They leave the bounds as they are (ours):
//!   the first two do not change the difference of two gradients, and clipping by value or norm is a
//!   projection, which does not enlarge it.
//!
//! # References
//! A. Banerjee, T. Chen, X. Li, Y. Zhou, *Stability Based Generalization Bounds for Exponential
//! Family Langevin Dynamics*, ICML 2022, arXiv:2201.03064; equations 5, 6 and 9 of the version of
//! 2022. M. Welling, Y. W. Teh, *Bayesian Learning via Stochastic Gradient Langevin Dynamics*, ICML
//! 2011.

mod config;
mod family;
mod optimizer;
mod schedule;
mod steps;

pub use config::{EfldConfig, NoiseScale, NoiseSource};
pub use family::{ExponentialFamily, FiniteLevels};
pub use optimizer::{Efld, EfldState};
pub use schedule::Schedule;
pub use steps::{anisotropic_theta, noisy_quantized_step, noisy_sign_step, sgld_step};
