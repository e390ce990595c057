//! The implicit gradient without an operation of its own.

use burn::tensor::Tensor;
use firebrick_ops::fixed_point::{SolveReport, State};

use super::block::Deq;
use super::cell::DeqCell;
use super::plain::Plain;

/// A loss whose gradients are those of the implicit function theorem.
#[derive(Clone, Debug)]
pub struct SurrogateLoss {
    /// `[1]`: the loss, to be differentiated.
    pub loss: Tensor<1>,
    /// How the forward solver did.
    pub forward: SolveReport,
    /// How the adjoint solver did; it has already run.
    pub backward: SolveReport,
}

impl Deq {
    /// The loss `head(z)` at the fixed point by a surrogate: the adjoint equation is solved outside any
    /// backward pass.
    ///
    /// ```text
    /// y = f(z, x),   v = d head(y) / dy,   g = v + J^T g
    /// loss = head(constant y) + sum(y * constant g) - constant
    /// ```
    ///
    /// has the value `head(y)` and the gradients of [`forward`](Self::forward) with an implicit gradient, to
    /// rounding. It evaluates the head twice. Use it where gradients of a whole batch are needed with the
    /// report of the adjoint solve at hand before the backward pass, or to check the other form.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn surrogate_loss<C: DeqCell>(
        &self,
        cell: &C,
        input: C::Input,
        start: Option<C::State>,
        head: impl Fn(C::State) -> Tensor<1>,
    ) -> SurrogateLoss {
        let start = start.unwrap_or_else(|| cell.start(&input));
        let (layout, start) = (start.layout(), start.into_rows().inner());
        let (plain_cell, plain_input) = (cell.plain(), input.plain());
        let map = |rows: Tensor<2>| {
            plain_cell.evaluate(C::State::from_rows(rows, &layout), &plain_input).into_rows()
        };
        let found = self.config().forward.solve(map, start);
        let y = cell.evaluate(C::State::from_rows(found.state, &layout), &input).into_rows();
        let y_plain = y.clone().inner();
        // The adjoint solve linearizes at the value of y, as the other form does.
        let leaf = Tensor::from_inner(y_plain.clone()).require_grad();
        let gradients = head(C::State::from_rows(leaf.clone(), &layout)).backward();
        let v = leaf.grad(&gradients).unwrap_or_else(|| y_plain.zeros_like());
        let at = C::State::from_rows(y_plain.clone(), &layout);
        let adjoint = self.adjoint(cell, &at, &input, C::State::from_rows(v, &layout));
        let g = adjoint.state.into_rows();
        let constant = (y_plain.clone() * g.clone()).sum();
        let linear = (y * g).sum() - constant;
        let loss = head(C::State::from_rows(y_plain, &layout)) + linear;
        SurrogateLoss { loss, forward: found.report, backward: adjoint.report }
    }
}
