//! Matrix exponential by Taylor series with scaling and squaring.
//!
//! ```text
//! exp(A) = T(A / 2^s)^(2^s),   T the Taylor polynomial of degree 8 (32 bits) or 12 (64 bits)
//! ```
//!
//! `T` is evaluated by the scheme of Paterson and Stockmeyer with 4 or 5 products. The gradient is
//! plain autodiff through these products: it costs twice the forward pass, and being linear in the
//! cotangent its relative accuracy does not depend on the cotangent's size - unlike the exponential
//! of the doubled block matrix, which 32 bits spoil for large cotangents.
//!
//! `s` is the least number that brings the norm below the threshold of the degree (0.58 in 32 bits,
//! 0.30 in 64), where the truncation is below the rounding. The norm is bounded through the powers
//! that the series needs anyway: `|A|_2 <= min(|A|_1, |A^2|_1^(1/2), |A^3|_1^(1/3))` for a normal
//! matrix, which saves several squarings over `|A|_1` for large matrices. The bounds are read back
//! once per call.
//!
//! # References
//! P. Bader, S. Blanes, F. Casas, *Computing the Matrix Exponential with an Optimized Taylor
//! Polynomial Approximation*, Mathematics 7(12), 2019 (thresholds); A. Al-Mohy, N. Higham, *A New
//! Scaling and Squaring Algorithm for the Matrix Exponential*, SIAM J. Matrix Anal. 31(3), 2009
//! (norms of powers).

use burn::tensor::{DType, Tensor};

use super::{check_square, check_tall, identity, induced_norm, read};

/// Norm above which powers are taken of a scaled-down matrix, so that they do not overflow.
const LARGE: f64 = 4096.0;

/// The exponential of arbitrary square matrices.
///
/// # Shapes
/// - matrices: `[matrices, n, n]`
/// - output: the same
///
/// # Panics
/// If the matrices are not square or an entry is not finite.
///
/// # Notes
/// The number of squarings is the same for the whole batch. In 16 bits cast to 32 first.
pub fn expm(matrices: Tensor<3>) -> Tensor<3> {
    check_square("expm", &matrices);
    let columns = matrices.dims()[2];
    columns_of(matrices, columns, false)
}

/// The exponential of skew-symmetric matrices: orthogonal matrices with determinant 1.
///
/// As [`expm`] with a sharper bound of the norm; on matrices that are not skew-symmetric (or at
/// least normal) use [`expm`].
///
/// # Shapes
/// - matrices: `[matrices, n, n]`
/// - output: the same
///
/// # Panics
/// As [`expm`].
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::skew::{expm_skew, skew};
///
/// let free = Tensor::<3>::from_data([[[0.0, 0.0], [3.0, 0.0]]], &Device::flex());
/// let rotation = expm_skew(skew(free));
/// let product = rotation.clone().matmul(rotation.transpose());
/// let distance = (product - Tensor::<2>::eye(2, &Device::flex()).unsqueeze()).abs().max();
/// assert!(distance.into_scalar::<f32>() < 1e-5);
/// ```
pub fn expm_skew(matrices: Tensor<3>) -> Tensor<3> {
    let columns = matrices.dims()[2];
    expm_skew_columns(matrices, columns)
}

/// The first `columns` columns of the exponential of skew-symmetric matrices; the last product is
/// restricted to them.
///
/// # Shapes
/// - matrices: `[matrices, n, n]`
/// - output: `[matrices, n, columns]`
///
/// # Panics
/// As [`expm`], or if there are fewer than `columns` columns.
pub fn expm_skew_columns(matrices: Tensor<3>, columns: usize) -> Tensor<3> {
    check_square("expm_skew", &matrices);
    check_tall("expm_skew", matrices.dims()[1], columns);
    columns_of(matrices, columns, true)
}

/// The first `k` columns of the exponential of `L - L^T`, `L` the strictly lower triangle of `free`,
/// from matrices of size `3 k` instead of `n`.
///
/// ```text
/// L - L^T = U V^T,  U = [L, -E],  V = [E, L],  E = the first k columns of I
/// exp(A) E = E + U phi(V^T U) V^T E,   phi(M) = sum_j M^j / (j + 1)!
/// phi(M) W = the upper right block of exp [[M, W], [0, 0]]
/// ```
///
/// Same values as the full form, cheaper for `3 k < n`.
///
/// # Shapes
/// - free: `[matrices, n, k]` with `k <= n`
/// - output: `[matrices, n, k]`
///
/// # Panics
/// If there are more columns than rows or an entry is not finite.
pub fn expm_skew_thin(free: Tensor<3>) -> Tensor<3> {
    let [matrices, rows, k] = free.dims();
    check_tall("expm_skew_thin", rows, k);
    let lower = free.tril(-1);
    let top = lower.clone().narrow(1, 0, k);
    let unit = identity(k, &lower).repeat_dim(0, matrices);
    let gram = lower.clone().transpose().matmul(lower.clone());
    let upper = Tensor::cat(vec![top.clone(), -unit.clone(), unit.clone()], 2);
    let middle = Tensor::cat(vec![gram, -top.clone().transpose(), top.transpose()], 2);
    let zeros = Tensor::zeros([matrices, k, 3 * k], (&lower.device(), lower.dtype()));
    let block = expm(Tensor::cat(vec![upper, middle, zeros], 1)).narrow(2, 2 * k, k);
    let coefficients = block.clone().narrow(1, 0, k);
    let correction = unit - block.narrow(1, k, k);
    let bottom = Tensor::zeros([matrices, rows - k, k], (&lower.device(), lower.dtype()));
    lower.matmul(coefficients) + Tensor::cat(vec![correction, bottom], 1)
}

fn columns_of(a: Tensor<3>, columns: usize, normal: bool) -> Tensor<3> {
    let [matrices, size, _] = a.dims();
    if matrices == 0 || size == 0 || columns == 0 {
        return a.narrow(2, 0, columns);
    }
    let second = a.clone().matmul(a.clone());
    let third = second.clone().matmul(a.clone());
    let mut norms = [&a, &second, &third].map(|power| induced_norm(power, 1)).to_vec();
    // A maximum may drop NaN on some devices; a sum does not.
    norms.push(a.clone().without_autodiff().sum() * 0.0);
    let norms = read(norms);
    assert!(
        norms[0].is_finite() && norms[3].is_finite(),
        "expm: the entries must be finite, got a matrix of norm {}",
        norms[0]
    );
    if norms[0] > LARGE {
        let halvings = (norms[0] / LARGE).log2().ceil() as usize;
        let root = columns_of(a * (-(halvings as f64)).exp2(), size, normal);
        return squared(root, halvings, columns);
    }
    let threshold = threshold(a.dtype());
    let (by_second, by_third) = (norms[1].sqrt(), norms[2].cbrt());
    let bound = if normal { by_second.min(by_third) } else { by_second.max(by_third) };
    let bound = bound.min(norms[0]);
    let squarings = if bound > threshold { (bound / threshold).log2().ceil() as usize } else { 0 };
    let last = if squarings == 0 { columns } else { size };
    let root = taylor([a, second, third], (-(squarings as f64)).exp2(), last);
    squared(root, squarings, columns)
}

/// The norm up to which the Taylor polynomial is exact to rounding.
fn threshold(dtype: DType) -> f64 {
    if dtype == DType::F64 { 0.30 } else { 0.58 }
}

/// As [`expm_skew_columns`] with a given number of squarings, so that nothing is read back to the host.
///
/// That many squarings are exact for matrices of norm up to `0.58 * 2^squarings` (0.30 in 64 bits), the
/// norm bounded by `|A^2|_1^(1/2)`. A larger matrix is scaled down to this norm on the device, so that
/// the result stays orthogonal to rounding whatever the input; the scale is differentiated too. Entries
/// that are not finite are not reported: they give NaN.
///
/// # Shapes
/// - matrices: `[matrices, n, n]`
/// - output: `[matrices, n, columns]`
///
/// # Panics
/// If the matrices are not square or there are fewer than `columns` columns.
pub fn expm_skew_bounded(matrices: Tensor<3>, columns: usize, squarings: usize) -> Tensor<3> {
    check_square("expm_skew_bounded", &matrices);
    check_tall("expm_skew_bounded", matrices.dims()[1], columns);
    if matrices.dims()[0] == 0 || columns == 0 {
        return matrices.narrow(2, 0, columns);
    }
    let factor = (squarings as f64).exp2();
    let bound = threshold(matrices.dtype()) * factor;
    let second = matrices.clone().matmul(matrices.clone());
    // At least 1, so that neither the root nor its gradient is singular at zero.
    let excess = second.clone().abs().sum_dim(1).max_dim(2) * (1.0 / (bound * bound));
    let squared_scale = excess.clamp_min(1.0).recip();
    let a = matrices * squared_scale.clone().sqrt();
    let second = second * squared_scale;
    let third = second.clone().matmul(a.clone());
    let last = if squarings == 0 { columns } else { a.dims()[1] };
    squared(taylor([a, second, third], 1.0 / factor, last), squarings, columns)
}

/// The first `columns` columns of the Taylor polynomial of `scale * A`.
fn taylor(powers: [Tensor<3>; 3], scale: f64, columns: usize) -> Tensor<3> {
    let [a, second, third] = powers;
    let size = a.dims()[1];
    let degree = if a.dtype() == DType::F64 { 12 } else { 8 };
    let unit = identity(size, &a);
    let factorial = |j: usize| (1..=j).map(|i| i as f64).product::<f64>();
    // The coefficients of A^j, A^(j+1) and A^(j+2), as a polynomial of A.
    let part = |j: usize| {
        let constant = unit.clone() * (1.0 / factorial(j));
        let linear = a.clone() * (scale / factorial(j + 1));
        let square = second.clone() * (scale * scale / factorial(j + 2));
        square + linear + constant
    };
    let third = third * scale.powi(3);
    // Degree 8 starts with the powers 6, 7, 8; degree 12 with the power 12 alone.
    let mut high = if degree == 8 { 6 } else { 9 };
    let mut sum = part(high);
    if degree == 12 {
        sum = sum + third.clone() * (1.0 / factorial(12));
    }
    while high > 3 {
        high -= 3;
        sum = sum.matmul(third.clone()) + part(high);
    }
    sum.matmul(third.narrow(2, 0, columns)) + part(0).narrow(2, 0, columns)
}

/// The first `columns` columns of `root^(2^squarings)`.
fn squared(mut root: Tensor<3>, squarings: usize, columns: usize) -> Tensor<3> {
    for step in 1..=squarings {
        let right = root.clone();
        let right = if step == squarings { right.narrow(2, 0, columns) } else { right };
        root = root.matmul(right);
    }
    root
}
