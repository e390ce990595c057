//! Log-determinants from the dense Jacobian, for few dimensions.

use burn::tensor::{Tensor, TensorData};

use super::pullback::Pullback;

/// The Jacobian of the residual function, one product `J^T e_i` for each dimension.
///
/// # Shapes
/// - like: `[batch, ..]`, a tensor of the input's shape and float type
/// - output: `[batch, dim, dim]`, with the gradients of the outputs in its rows
///
/// # Example
/// See [`ResidualFunction`](super::ResidualFunction).
pub fn jacobian<const D: usize>(pullback: &impl Pullback<D>, like: &Tensor<D>) -> Tensor<3> {
    let shape = like.dims();
    let dim: usize = shape[1..].iter().product();
    let mut one = shape;
    one[0] = 1;
    let row = |index: usize| {
        let mut unit = vec![0.0f32; dim];
        unit[index] = 1.0;
        let unit = TensorData::new(unit, one);
        let unit = Tensor::<D>::from_data(unit, (&like.device(), like.dtype()));
        let cotangent = like.clone().detach().zeros_like() + unit;
        pullback.apply(cotangent).reshape([shape[0], 1, dim])
    };
    Tensor::cat((0..dim).map(row).collect(), 1)
}

/// `log det(I + J)` exactly, `[batch]`, by [`jacobian`] and elimination (a closed form for two dimensions);
/// differentiable.
///
/// The symmetric part of `I + J` is positive definite for a contraction, so that elimination needs no
/// pivots and the determinant is positive.
///
/// Costs `dim` products with `J^T` and `dim` steps: for up to about a hundred dimensions.
///
/// # Shapes
/// - like: `[batch, ..]`, a tensor of the input's shape and float type
///
/// # Notes
/// NaN where the function is no contraction and elimination meets a pivot that is not positive.
pub fn exact_log_det<const D: usize>(pullback: &impl Pullback<D>, like: &Tensor<D>) -> Tensor<1> {
    let jacobian = jacobian(pullback, like);
    let [batch, dim, _] = jacobian.dims();
    let entry = |matrix: &Tensor<3>, row: usize, column: usize| {
        matrix.clone().narrow(1, row, 1).narrow(2, column, 1).reshape([batch])
    };
    if dim == 2 {
        let diagonal =
            entry(&jacobian, 0, 0).add_scalar(1.0) * entry(&jacobian, 1, 1).add_scalar(1.0);
        return (diagonal - entry(&jacobian, 0, 1) * entry(&jacobian, 1, 0)).log();
    }
    let identity = Tensor::<2>::eye(dim, &jacobian.device()).cast(jacobian.dtype());
    let mut rest = jacobian + identity.unsqueeze();
    let mut pivots = Vec::with_capacity(dim);
    for size in (1..=dim).rev() {
        let pivot = rest.clone().narrow(1, 0, 1).narrow(2, 0, 1);
        pivots.push(pivot.clone().reshape([batch, 1]));
        if size > 1 {
            let below = rest.clone().narrow(1, 1, size - 1);
            let column = below.clone().narrow(2, 0, 1) / pivot;
            let row = rest.narrow(1, 0, 1).narrow(2, 1, size - 1);
            rest = below.narrow(2, 1, size - 1) - column * row;
        }
    }
    Tensor::cat(pivots, 1).log().sum_dim(1).reshape([batch])
}

/// The first `terms` terms of the power series with exact traces, `[batch]`.
///
/// # Shapes
/// - jacobian: `[batch, dim, dim]`, from [`jacobian`]
pub fn truncated_log_det(jacobian: Tensor<3>, terms: usize) -> Tensor<1> {
    let [batch, dim, _] = jacobian.dims();
    let identity = Tensor::<2>::eye(dim, &jacobian.device()).cast(jacobian.dtype());
    let identity = identity.unsqueeze::<3>();
    let trace = |matrix: Tensor<3>| {
        (matrix * identity.clone()).reshape([batch, dim * dim]).sum_dim(1).reshape([batch])
    };
    let mut power = jacobian.clone();
    let mut total = trace(jacobian.zeros_like());
    for term in 1..=terms {
        let sign = if term % 2 == 1 { 1.0 } else { -1.0 };
        total = total + trace(power.clone()).mul_scalar(sign / term as f64);
        power = power.matmul(jacobian.clone());
    }
    total
}
