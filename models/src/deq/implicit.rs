//! The implicit gradient: a linear solve at the fixed point, inside the backward pass.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::Tensor;
use firebrick_ops::fixed_point::{Solution, SolveReport, Solver, State};
use firebrick_ops::gradient_hook::gradient_hook_unchecked;
use serde::{Deserialize, Serialize};

use super::cell::{DeqCell, Linearization};

/// What to do when the backward solve does not converge. It never panics inside a backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackwardPolicy {
    /// Take the best iterate of each sample.
    #[default]
    Accept,
    /// Samples that have not converged get the Jacobian-free gradient, `g = v`.
    FallBackToJacobianFree,
    /// Take the best iterate, and panic in the next forward pass of the block.
    PanicOnNextForward,
}

/// Reports of the backward solves of one output; filled by its backward pass.
#[derive(Clone, Debug, Default)]
pub struct BackwardReports(Arc<Mutex<VecDeque<SolveReport>>>);

impl BackwardReports {
    /// The last report; none before the backward pass, or if the gradient needs no solve.
    pub fn last(&self) -> Option<SolveReport> {
        self.lock().back().cloned()
    }

    /// All reports, one for each state that got a gradient.
    pub fn all(&self) -> Vec<SolveReport> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SolveReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A note for the next forward pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure(Arc<Mutex<Option<String>>>);

impl Failure {
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, report: &SolveReport) {
        let failed = report.converged.iter().filter(|&&converged| !converged).count();
        let message = format!(
            "{failed} of {} samples did not converge in {} steps, with relative residuals up to {:e}",
            report.converged.len(),
            report.steps,
            report.worst_relative()
        );
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
    }
}

/// What the backward pass of one output needs.
#[derive(Clone)]
pub(super) struct Backward {
    pub solver: Solver,
    pub policy: BackwardPolicy,
    pub reports: BackwardReports,
    pub failure: Failure,
}

/// The identity on `image = f(z, x)` whose backward turns `v` into `g = v + J^T g`, with `J` at the image.
///
/// `cell` and `input` must be plain.
pub(super) fn implicit<C: DeqCell>(
    cell: &C,
    input: &C::Input,
    image: Tensor<2>,
    layout: &<C::State as State>::Layout,
    backward: Backward,
) -> Tensor<2> {
    if !image.is_tracked() {
        return image;
    }
    let point = image.clone().inner();
    let (cell, input, layout) = (cell.clone(), input.clone(), layout.clone());
    gradient_hook_unchecked(image, move |v| {
        let state = C::State::from_rows(point.clone(), &layout);
        let solution = adjoint_rows(&backward.solver, &cell, &state, &input, v.clone(), &layout);
        let (mut g, report) = (solution.state, solution.report);
        if !report.all_converged() {
            match backward.policy {
                BackwardPolicy::Accept => {}
                BackwardPolicy::FallBackToJacobianFree => {
                    g = replace_rows(g, v, &report.converged);
                }
                BackwardPolicy::PanicOnNextForward => backward.failure.note(&report),
            }
        }
        backward.reports.lock().push_back(report);
        g
    })
}

/// Rows of `g` where `keep`, else those of `v`.
fn replace_rows(g: Tensor<2>, v: Tensor<2>, keep: &[bool]) -> Tensor<2> {
    use burn::tensor::{Bool, TensorData};
    let mask = TensorData::new(keep.iter().map(|keep| !keep).collect::<Vec<_>>(), [keep.len(), 1]);
    let mask = Tensor::<2, Bool>::from_data(mask, &g.device()).expand(g.dims());
    g.mask_where(mask, v)
}

/// Solves `g = v + J^T g` with the Jacobian at a state; everything without autodiff.
pub(super) fn adjoint_rows<C: DeqCell>(
    solver: &Solver,
    cell: &C,
    state: &C::State,
    input: &C::Input,
    v: Tensor<2>,
    layout: &<C::State as State>::Layout,
) -> Solution<Tensor<2>> {
    let derivative = Derivative::new(cell, state, input);
    solver
        .solve_linear(|g: Tensor<2>| derivative.vjp(C::State::from_rows(g, layout)).into_rows(), v)
}

/// `J^T g` in closed form, or by a graph of its own for every product.
pub(super) enum Derivative<'a, C: DeqCell> {
    Closed(Box<dyn Linearization<C::State>>),
    Recorded { cell: &'a C, state: Box<Tensor<2>>, input: &'a C::Input },
}

impl<'a, C: DeqCell> Derivative<'a, C> {
    pub fn new(cell: &'a C, state: &C::State, input: &'a C::Input) -> Self {
        match cell.linearize(state, input) {
            Some(closed) => Self::Closed(closed),
            None => Self::Recorded { cell, state: Box::new(state.clone().into_rows()), input },
        }
    }

    pub fn vjp(&self, cotangent: C::State) -> C::State {
        match self {
            Self::Closed(closed) => closed.vjp(cotangent),
            Self::Recorded { cell, state, input } => {
                let layout = cotangent.layout();
                let leaf = Tensor::from_inner(Tensor::clone(state)).require_grad();
                let image =
                    cell.evaluate(C::State::from_rows(leaf.clone(), &layout), input).into_rows();
                let gradient = if image.is_tracked() {
                    let product = image * Tensor::from_inner(cotangent.into_rows());
                    leaf.grad(&product.sum().backward())
                } else {
                    None
                };
                // A map that does not use its state has a vanishing derivative.
                let gradient = gradient.unwrap_or_else(|| state.zeros_like());
                C::State::from_rows(gradient, &layout)
            }
        }
    }
}
