//! Inverse of well-conditioned matrices in tensor operations.

use burn::tensor::{DType, Tensor};

use super::{check_square, identity, induced_norm, read};

/// The inverse of matrices whose singular values are all at least `least`.
///
/// Burn has no solver, so the inverse is iterated without autodiff,
///
/// ```text
/// X <- X (2 I - M X),   X_0 = M^T / (|M|_1 |M|_inf)
/// ```
///
/// quadratically convergent from this start, with the number of steps that the condition number
/// asks for; the two norms are read back once. One last step of the same form is recorded for
/// automatic differentiation with `X` held fixed. Its value is the inverse, and its derivative
/// `-X dM X` is the derivative of the inverse, so the gradient is exact, costs two products, and does
/// not pass through the iteration.
///
/// # Shapes
/// - matrices: `[matrices, n, n]`
/// - output: the same
///
/// # Panics
/// If the matrices are not square, an entry is not finite, or `least` is not positive.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::skew::inverse;
///
/// let matrix = Tensor::<3>::from_data([[[2.0, 0.0], [0.0, 4.0]]], &Device::flex());
/// let found = inverse(matrix, 2.0).into_data().try_to_vec::<f32>().unwrap();
/// assert!((found[0] - 0.5).abs() < 1e-6 && (found[3] - 0.25).abs() < 1e-6);
/// ```
pub fn inverse(matrices: Tensor<3>, least: f64) -> Tensor<3> {
    check_square("inverse", &matrices);
    assert!(least > 0.0, "inverse: least must be positive, got {least}");
    let [count, size, _] = matrices.dims();
    if count == 0 || size == 0 {
        return matrices;
    }
    let plain = matrices.clone().without_autodiff();
    let norms = read(vec![induced_norm(&plain, 1), induced_norm(&plain, 2)]);
    let largest = norms[0] * norms[1];
    assert!(largest.is_finite(), "inverse: the entries must be finite, got the norms {norms:?}");
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
