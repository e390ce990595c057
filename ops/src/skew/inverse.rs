//! Inverse of matrices whose smallest singular value is known, at any size of their entries.

use burn::tensor::{DType, Tensor};

use super::{identity, induced_norm, read};

/// The inverse of the square matrices `[matrices, n, n]` whose singular values are all at least `least`.
///
/// ```text
/// X <- X (2 I - M X),   X_0 = M^T / (|M|_1 |M|_inf)
/// ```
///
/// converges quadratically from this start, in the number of steps that the condition number asks for;
/// the two norms are read back once, and entries that are not finite are reported.
///
/// [`elimination::inverse`](crate::elimination::inverse) reads nothing back and needs no bound, but it
/// does not exchange rows: with entries around 100 it loses most digits of 32 bits, which this
/// iteration keeps. A retraction has to be orthogonal for every parameter.
///
/// One last step of the same form is recorded for automatic differentiation with `X` held fixed. Its
/// value is the inverse, and its derivative `-X dM X` is the derivative of the inverse, so the gradient
/// is exact, costs two products, and does not pass through the iteration.
pub(super) fn inverse_above(matrices: Tensor<3>, least: f64) -> Tensor<3> {
    let [count, size, _] = matrices.dims();
    if count == 0 || size == 0 {
        return matrices;
    }
    let plain = matrices.clone().without_autodiff();
    let norms = read(vec![induced_norm(&plain, 1), induced_norm(&plain, 2)]);
    let largest = norms[0] * norms[1];
    assert!(largest.is_finite(), "the entries must be finite, got matrices of the norms {norms:?}");
    let double = identity(size, &plain) * 2.0;
    let mut x = plain.clone().transpose() * (1.0 / largest);
    for _ in 0..steps(largest / (least * least), plain.dtype()) {
        x = x.clone().matmul(double.clone() - plain.clone().matmul(x));
    }
    if !matrices.is_autodiff() {
        return x;
    }
    let fixed = Tensor::from_inner(x);
    fixed.clone().matmul(Tensor::from_inner(double) - matrices.matmul(fixed))
}

/// The residual starts at `1 - 1 / condition` and is squared in every step.
fn steps(condition: f64, dtype: DType) -> usize {
    let digits = if dtype == DType::F64 { 37.0 } else { 17.0 };
    (condition.max(1.0) * digits).log2().ceil() as usize + 1
}
