//! Inverses of small matrices, batched and differentiable, by elimination without pivoting.
//!
//! ```text
//! [A B]^-1   [A' + P S' Q   -P S']     A' = A^-1,  P = A' B,  Q = C A',
//! [C D]    = [   -S' Q        S' ]     S' = (D - C P)^-1
//! ```
//!
//! halves the matrix until one row is left. Everything is a batched matrix product, so that it runs
//! on any device without reading a value. Without row exchanges this is accurate for matrices whose
//! symmetric part `(M + M^T) / 2` is positive definite, such as `I + A` with a skew-symmetric or
//! monotone `A` (all leading blocks and Schur complements inherit the property), for diagonally
//! dominant and for triangular matrices; these are what Cayley transforms and products of reflections
//! need.
//!
//! The gradient does not run through the elimination. One Newton step `Z <- 2 Z - Z M Z` from the
//! inverse `Z`, which is all that autodiff sees, has the derivative `-Z dM Z` of the inverse itself,
//! and squares the rounding error that the elimination left.
//!
//! # References
//! - G. H. Golub, C. F. Van Loan, *Matrix Computations*, section 4.2.2 (positive definite symmetric
//!   part).
//! - G. Schulz, *Iterative Berechnung der reziproken Matrix*, 1933 (the Newton step).

use burn::tensor::Tensor;

/// The inverse of every matrix of a batch.
///
/// Costs about `2 n^3` multiply-adds for the elimination and `2 n^3` for the Newton step; backward
/// another `4 n^3`.
///
/// # Shapes
/// - matrices: `[batch, n, n]`
/// - output: `[batch, n, n]`
///
/// # Panics
/// If the matrices are not square or empty.
///
/// # Notes
/// Rows are not exchanged: see the [module](self) for the matrices that this is meant for. A leading
/// block that is singular gives infinities or NaN, also where the inverse exists. `I + A` with a
/// skew-symmetric `A` keeps all digits while the entries of `A` are within 10 or so; entries of 100 lose
/// most digits of 32 bits.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::elimination::inverse;
///
/// let matrix = Tensor::<3>::from_data([[[1.0, 2.0], [-2.0, 1.0]]], &Device::flex());
/// let found = inverse(matrix).into_data().try_to_vec::<f32>().unwrap();
/// for (found, expected) in found.iter().zip([0.2, -0.4, 0.4, 0.2]) {
///     assert!((found - expected).abs() < 1e-6);
/// }
/// ```
pub fn inverse(matrices: Tensor<3>) -> Tensor<3> {
    let [_, rows, columns] = matrices.dims();
    assert!(
        rows == columns && rows > 0,
        "inverse: matrices must be square and not empty, got {rows}x{columns}"
    );
    let start = if matrices.is_autodiff() {
        Tensor::from_inner(eliminate(matrices.clone().inner()))
    } else {
        eliminate(matrices.clone())
    };
    start.clone() * 2.0 - start.clone().matmul(matrices).matmul(start)
}

fn eliminate(matrices: Tensor<3>) -> Tensor<3> {
    let [batch, n, _] = matrices.dims();
    if n == 1 {
        return matrices.recip();
    }
    let half = n / 2;
    let block = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        matrices.clone().slice([0..batch, rows, columns])
    };
    let (b, c) = (block(0..half, half..n), block(half..n, 0..half));
    let a_inverse = eliminate(block(0..half, 0..half));
    let p = a_inverse.clone().matmul(b);
    let q = c.clone().matmul(a_inverse.clone());
    let s_inverse = eliminate(block(half..n, half..n) - c.matmul(p.clone()));
    let upper_right = p.matmul(s_inverse.clone()).neg();
    let lower_left = s_inverse.clone().matmul(q.clone()).neg();
    let upper_left = a_inverse - upper_right.clone().matmul(q);
    let upper = Tensor::cat(vec![upper_left, upper_right], 2);
    let lower = Tensor::cat(vec![lower_left, s_inverse], 2);
    Tensor::cat(vec![upper, lower], 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// `shift I + (skew-symmetric) + (positive semidefinite)`
    fn monotone(n: usize, scale: f64, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw =
            || (0..n * n).map(|_| scale * rng.random_range(-1.0..1.0)).collect::<Vec<f64>>();
        let (skew, root) = (draw(), draw());
        let entry = |i: usize, j: usize| {
            let gram: f64 = (0..n).map(|k| root[k * n + i] * root[k * n + j]).sum();
            f64::from(u8::from(i == j)) + skew[i * n + j] - skew[j * n + i] + gram
        };
        (0..n * n).map(|at| entry(at / n, at % n)).collect()
    }

    fn tensor(values: Vec<f64>, n: usize, device: &Device) -> Tensor<3> {
        let batch = values.len() / (n * n);
        Tensor::from_data(TensorData::new(values, [batch, n, n]), (device, DType::F64))
    }

    proptest! {
        #[test]
        fn product_with_the_matrix_is_the_identity(
            n in 1usize..24, scale in 0.01f64..20.0, seed in any::<u64>(),
        ) {
            let device = Device::flex();
            let mut values = monotone(n, scale, seed);
            values.extend(monotone(n, scale, seed.wrapping_add(1)));
            let matrices = tensor(values, n, &device);
            let product = matrices.clone().matmul(inverse(matrices)).into_data();
            for (at, value) in product.iter::<f64>().enumerate() {
                let identity = f64::from(u8::from(at % (n * n) % (n + 1) == 0));
                prop_assert!((value - identity).abs() < 1e-9, "{value} at {at}");
            }
        }
    }

    #[test]
    fn gradient_agrees_with_central_differences() {
        let device = Device::flex().autodiff();
        let n = 5;
        let start = monotone(n, 1.0, 3);
        let weights = tensor(monotone(n, 1.0, 4), n, &device);
        let loss = |values: Vec<f64>| {
            let matrix = tensor(values, n, &device).require_grad();
            ((inverse(matrix.clone()) * weights.clone()).sum(), matrix)
        };
        let (value, matrix) = loss(start.clone());
        let gradient: Vec<f64> =
            matrix.grad(&value.backward()).unwrap().into_data().try_to_vec().unwrap();
        for at in 0..n * n {
            let shifted = |step: f64| {
                let mut values = start.clone();
                values[at] += step;
                loss(values).0.into_scalar::<f64>()
            };
            let expected = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
            assert!((gradient[at] - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{at}");
        }
    }

    #[test]
    fn inverts_triangular_matrices_with_large_entries() {
        let device = Device::flex();
        let matrix = tensor(vec![0.5, 100.0, -7.0, 0.0, 0.5, 3.0, 0.0, 0.0, 0.5], 3, &device);
        let product = matrix.clone().matmul(inverse(matrix)).into_data();
        let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        for (found, expected) in product.iter::<f64>().zip(identity) {
            assert!((found - expected).abs() < 1e-9, "{product:?}");
        }
    }

    #[test]
    #[should_panic(expected = "must be square and not empty, got 2x3")]
    fn refuses_matrices_that_are_not_square() {
        inverse(Tensor::zeros([1, 2, 3], &Device::flex()));
    }
}
