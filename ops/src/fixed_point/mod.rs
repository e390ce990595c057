//! Fixed points of maps, `z = f(z)`, found sample by sample for a whole batch.
//!
//! | solver | step | memory in states |
//! |---|---|---|
//! | [`FixedPointConfig`] | `z <- tau f(z) + (1 - tau) z` | 1 |
//! | [`AndersonConfig`] | the combination of the last `m` images with the least residual | `2 m` |
//! | [`BroydenConfig`] | Newton's step with a low-rank estimate of the inverse Jacobian | `2 L` |
//! | [`GmresConfig`] | affine maps only: the least residual in the Krylov space | `m` |
//!
//! A batch of `B` samples is `B` independent problems: residuals, best states and convergence are
//! kept for each sample. A sample that has converged is frozen (option), one whose residual stops
//! being a finite number keeps its best finite state; neither touches the others. Divergence is a
//! result, [`Status::Diverged`], never a panic.
//!
//! States are tensors of any rank, tuples or lists of them ([`State`]): axis 0 is the batch, everything
//! else is one long row. The maps run without autodiff; the gradient of a fixed point is a matter of
//! the layer that asks for one.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firebrick_ops::fixed_point::{AndersonConfig, Solver};
//! use firebrick_ops::iteration::Status;
//!
//! // Each row of the batch solves z = cos(z) + c.
//! let device = Device::flex();
//! let c = Tensor::<2>::from_data([[0.0], [0.5]], &device);
//! let solver = Solver::from(AndersonConfig::new()).with_tolerance(1e-6);
//! let solution = solver.solve(|z: Tensor<2>| z.cos() + c.clone(), c.zeros_like());
//! assert_eq!(solution.report.status, Status::Converged);
//! let first = solution.state.into_data().iter::<f32>().next().unwrap();
//! assert!((first - 0.739085).abs() < 1e-5);
//! ```
//!
//! # References
//! - D. G. Anderson, *Iterative Procedures for Nonlinear Integral Equations*, 1965.
//! - C. G. Broyden, *A Class of Methods for Solving Nonlinear Simultaneous Equations*, 1965.
//! - Y. Saad, M. H. Schultz, *GMRES*, 1986.
//! - S. Bai, J. Z. Kolter, V. Koltun, *Deep Equilibrium Models*, NeurIPS 2019; Z. Geng, J. Z. Kolter,
//!   *TorchDEQ*, 2023 (the same solvers for PyTorch).

mod anderson;
mod broyden;
mod damped;
mod gmres;
mod line_search;
mod report;
mod rows;
mod solver;
mod state;
mod stopping;
mod tracker;

pub use crate::iteration::Status;
pub use anderson::{AndersonConfig, AndersonRidge};
pub use broyden::{BroydenConfig, LineSearch};
pub use damped::FixedPointConfig;
pub use gmres::GmresConfig;
pub use report::{ResidualTrace, Solution, SolveReport};
pub use solver::Solver;
pub use state::State;
pub use stopping::{ResidualMode, Stopping, correction_steps};

#[cfg(test)]
mod tests;
