//! Cayley map of skew-symmetric matrices.

use burn::tensor::Tensor;

use super::{check_tall, identity, inverse_above};

/// The first `k` columns of `(I - A/2)^-1 (I + A/2)` for `A = L - L^T`, `L` the strictly lower
/// triangle of `free`.
///
/// With `L` split after row `k` into `L_1` and `L_2`, `A` has a zero block that leaves one inverse of
/// size `k`:
///
/// ```text
/// S = I - (L_1 - L_1^T) / 2 + L_2^T L_2 / 4
/// first k columns = [2 S^-1 - I; L_2 S^-1]
/// ```
///
/// The symmetric part of `S` is at least the identity, so that no singular value is below 1, and its
/// inverse, iterated from there with one read of a norm, is accurate for every input.
///
/// # Shapes
/// - free: `[matrices, n, k]` with `k <= n`
/// - output: `[matrices, n, k]`, orthonormal columns
///
/// # Panics
/// If there are more columns than rows or an entry is not finite.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::skew::cayley_columns;
///
/// // tan(angle / 2) = 2 / 2: a quarter turn.
/// let free = Tensor::<3>::from_data([[[0.0, 0.0], [2.0, 0.0]]], &Device::flex());
/// let found = cayley_columns(free).into_data().try_to_vec::<f32>().unwrap();
/// assert!(found[0].abs() < 1e-6 && (found[2] - 1.0).abs() < 1e-6);
/// ```
pub fn cayley_columns(free: Tensor<3>) -> Tensor<3> {
    let [_, rows, k] = free.dims();
    check_tall("cayley_columns", rows, k);
    let lower = free.tril(-1);
    let top = lower.clone().narrow(1, 0, k);
    let unit = identity(k, &lower);
    let mut schur = (top.clone().transpose() - top) * 0.5 + unit.clone();
    if rows == k {
        return inverse_above(schur, 1.0) * 2.0 - unit;
    }
    let bottom = lower.narrow(1, k, rows - k);
    schur = schur + bottom.clone().transpose().matmul(bottom.clone()) * 0.25;
    let inverted = inverse_above(schur, 1.0);
    Tensor::cat(vec![inverted.clone() * 2.0 - unit, bottom.matmul(inverted)], 1)
}
