//! What a weight at hand does to an equilibrium layer: in 64 bits on the host.
//!
//! The numbers are those of [`family_theory`](super::family_theory), of one matrix instead of a wide
//! limit. They say before training, and along it, how contractive the layer is, how large the
//! resolvent `R = (I - W)^-1` gets, and how far the matrix is from a normal one.

use faer::Mat;
use faer::linalg::solvers::Solve;
use firebrick_ops::orthogonal::HostMatrix;
use serde::{Deserialize, Serialize};

/// What [`measure`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixMeasure {
    /// Largest absolute value of an eigenvalue of `W`.
    pub radius: f64,
    /// Largest singular value of `W`.
    pub norm: f64,
    /// `|W|_F^2 / N`, the square of the Frobenius scale.
    pub mean_square_row: f64,
    /// Smallest singular value of `I - W`.
    pub s_min: f64,
    /// `tr(R R^T) / N`; infinite if `I - W` is singular.
    pub m1: f64,
    /// `tr((R R^T)^2) / N`; infinite if `I - W` is singular.
    pub m2: f64,
    /// `|W^T W - W W^T|_F / |W|_F^2`, zero for normal matrices (and for the zero matrix).
    pub commutator: f64,
}

/// Measures a square weight.
///
/// Takes a singular value decomposition and an eigenvalue decomposition: about a second for 500 rows.
///
/// # Panics
/// If the matrix is empty or not square, an entry is not finite, or the entries are so large that
/// their products overflow.
///
/// # Example
/// ```
/// use firebrick_models::deq::matrix_family::{DeqInit, MatrixFamily};
/// use firebrick_models::deq::measure::measure;
///
/// let start = DeqInit::new(MatrixFamily::Orthogonal, 0.8);
/// let found = measure(&start.matrix([100, 100], 0)?);
/// assert!((found.radius - 0.8).abs() < 1e-12 && found.commutator < 1e-14);
/// assert!((found.m1 / start.theory().m1.unwrap() - 1.0).abs() < 0.1);
/// # Ok::<(), firebrick_models::ModelError>(())
/// ```
pub fn measure(weight: &HostMatrix) -> MatrixMeasure {
    let w = square("measure", weight);
    let size = w.nrows() as f64;
    let shifted = Mat::<f64>::identity(w.nrows(), w.ncols()) - &w;
    let values = singular(&shifted);
    let gains: Vec<f64> = values.iter().map(|value| value.powi(-2)).collect();
    let square = w.squared_norm_l2();
    let commutator = w.transpose() * &w - &w * w.transpose();
    let radius = eigenvalues(weight).into_iter().map(|[re, im]| re.hypot(im)).fold(0.0, f64::max);
    MatrixMeasure {
        radius,
        norm: singular(&w)[0],
        mean_square_row: square / size,
        s_min: values[values.len() - 1],
        m1: gains.iter().sum::<f64>() / size,
        m2: gains.iter().map(|gain| gain * gain).sum::<f64>() / size,
        commutator: if square == 0.0 { 0.0 } else { commutator.norm_l2() / square },
    }
}

/// The eigenvalues of a square matrix as real and imaginary part, sorted by these.
///
/// # Panics
/// If the matrix is empty or not square, or an entry is not finite.
pub fn eigenvalues(matrix: &HostMatrix) -> Vec<[f64; 2]> {
    let values = square("eigenvalues", matrix)
        .eigenvalues()
        .expect("the iteration converges for finite entries");
    let mut values: Vec<[f64; 2]> = values.iter().map(|value| [value.re, value.im]).collect();
    values.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    values
}

/// The equilibrium of the linear layer, `z* = (I - W)^-1 x`, by a direct solve: what every solver of
/// fixed points should find.
///
/// # Panics
/// If the matrix is empty or not square, an entry is not finite, or `input` has another length.
pub fn linear_equilibrium(weight: &HostMatrix, input: &[f64]) -> Vec<f64> {
    let w = square("linear_equilibrium", weight);
    assert!(
        input.len() == w.nrows(),
        "linear_equilibrium: input must have {} values, as the weight has rows, got {}",
        w.nrows(),
        input.len()
    );
    let shifted = Mat::<f64>::identity(w.nrows(), w.ncols()) - w;
    let right = Mat::from_fn(input.len(), 1, |i, _| input[i]);
    let solution = shifted.partial_piv_lu().solve(&right);
    (0..input.len()).map(|i| solution[(i, 0)]).collect()
}

fn singular(matrix: &Mat<f64>) -> Vec<f64> {
    matrix.singular_values().expect("the iteration converges for finite entries")
}

fn square(function: &str, matrix: &HostMatrix) -> Mat<f64> {
    let [rows, columns] = matrix.shape();
    assert!(
        rows == columns && rows > 0,
        "{function}: the matrix must be square and not empty, got {rows} x {columns}"
    );
    assert!(
        matrix.values().iter().all(|value| value.is_finite()),
        "{function}: the entries of the matrix must be finite"
    );
    Mat::from_fn(rows, columns, |i, j| matrix.get(i, j))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_a_matrix_that_is_known() {
        // A Jordan block: far from normal.
        let found = measure(&HostMatrix::new(2, 2, vec![0.5, 1.0, 0.0, 0.5]));
        assert!((found.radius - 0.5).abs() < 1e-7);
        // R = [[2, 4], [0, 2]]
        assert!((found.m1 - 12.0).abs() < 1e-12 && (found.mean_square_row - 0.75).abs() < 1e-15);
        // R R^T = [[20, 8], [8, 4]]
        assert!((found.m2 - (400.0 + 128.0 + 16.0) / 2.0).abs() < 1e-10);
        // W^T W - W W^T = diag(-1, 1)
        assert!((found.commutator - 2f64.sqrt() / 1.5).abs() < 1e-12);
        // det(I - W) = 1/4 and the squares of its singular values sum to 3/2.
        let other = 0.25 / found.s_min;
        assert!((found.s_min.powi(2) + other * other - 1.5).abs() < 1e-12 && other > found.s_min);
    }

    #[test]
    fn zero_matrix_has_gain_one() {
        let found = measure(&HostMatrix::new(3, 3, vec![0.0; 9]));
        let expected = MatrixMeasure {
            radius: 0.0,
            norm: 0.0,
            mean_square_row: 0.0,
            s_min: 1.0,
            m1: 1.0,
            m2: 1.0,
            commutator: 0.0,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn singular_layers_have_infinite_gain() {
        let found = measure(&HostMatrix::new(2, 2, vec![1.0, 0.0, 0.0, 0.0]));
        assert_eq!((found.s_min, found.m1, found.m2), (0.0, f64::INFINITY, f64::INFINITY));
    }

    #[test]
    fn equilibrium_solves_the_layer() {
        let weight = HostMatrix::new(2, 2, vec![0.0, 0.5, -0.5, 0.0]);
        let z = linear_equilibrium(&weight, &[1.0, 2.0]);
        assert!((z[0] - (0.5 * z[1] + 1.0)).abs() < 1e-15);
        assert!((z[1] - (-0.5 * z[0] + 2.0)).abs() < 1e-15);
    }

    #[test]
    #[should_panic(expected = "measure: the matrix must be square and not empty, got 1 x 2")]
    fn refuses_an_oblong_matrix() {
        measure(&HostMatrix::new(1, 2, vec![0.0, 0.0]));
    }
}
