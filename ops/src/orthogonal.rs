//! Orthogonal matrices on the host: drawing, completing and repairing them, in 64 bits.
//!
//! # References
//! F. Mezzadri, *How to Generate Random Matrices from the Classical Compact Groups*, Notices of the
//! AMS 54(5), 2007 (Haar measure by QR with signs).

use faer::Mat;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

/// A matrix on the host, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct HostMatrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl HostMatrix {
    /// A matrix from its entries, row by row.
    ///
    /// # Panics
    /// If there are not `rows * columns` entries.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Self {
        assert!(
            values.len() == rows * columns,
            "HostMatrix: values must have {rows} x {columns} entries, got {}",
            values.len()
        );
        Self { rows, columns, values }
    }

    /// A matrix from a function of row and column.
    pub fn from_fn(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let values = (0..rows * columns).map(|i| entry(i / columns, i % columns)).collect();
        Self { rows, columns, values }
    }

    /// Number of rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The entries, row by row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One entry.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn get(&self, row: usize, column: usize) -> f64 {
        assert!(row < self.rows && column < self.columns, "HostMatrix: no entry ({row}, {column})");
        self.values[row * self.columns + column]
    }

    /// The transposed matrix.
    pub fn transpose(&self) -> Self {
        Self::from_fn(self.columns, self.rows, |i, j| self.get(j, i))
    }

    /// The product with another matrix.
    ///
    /// # Panics
    /// If the inner sizes differ.
    pub fn matmul(&self, right: &Self) -> Self {
        assert!(
            self.columns == right.rows,
            "HostMatrix::matmul: inner sizes differ, {:?} and {:?}",
            self.shape(),
            right.shape()
        );
        Self::from_faer(&(self.to_faer() * right.to_faer()))
    }

    /// The largest entry of `|M^T M - I|`; NaN if an entry is NaN.
    pub fn orthonormality_error(&self) -> f64 {
        let m = self.to_faer();
        let gram = m.transpose() * &m;
        let mut largest = 0.0f64;
        for i in 0..self.columns {
            for j in 0..self.columns {
                let error = (gram[(i, j)] - f64::from(u8::from(i == j))).abs();
                // `max` would drop a NaN.
                let bad = error.is_nan() || largest.is_nan();
                largest = if bad { f64::NAN } else { largest.max(error) };
            }
        }
        largest
    }

    /// The singular values, the largest first; as many as the shorter side is long.
    ///
    /// # Panics
    /// If an entry is not finite.
    pub fn singular_values(&self) -> Vec<f64> {
        assert!(
            self.values.iter().all(|value| value.is_finite()),
            "HostMatrix::singular_values: entries must be finite"
        );
        self.to_faer().singular_values().expect("the iteration converges for finite entries")
    }

    fn to_faer(&self) -> Mat<f64> {
        Mat::from_fn(self.rows, self.columns, |i, j| self.values[i * self.columns + j])
    }

    fn from_faer(m: &Mat<f64>) -> Self {
        Self::from_fn(m.nrows(), m.ncols(), |i, j| m[(i, j)])
    }
}

/// Why a matrix cannot be completed to an orthogonal one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NotOrthonormal {
    /// The largest entry of `|M^T M - I|`.
    pub error: f64,
    /// What is allowed.
    pub tolerance: f64,
}

impl std::fmt::Display for NotOrthonormal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { error, tolerance } = self;
        write!(
            f,
            "the columns must be orthonormal to {tolerance:e}, but |M^T M - I| is {error:.2e}"
        )
    }
}

impl std::error::Error for NotOrthonormal {}

/// Largest entry of `|M^T M - I|` that [`complete`] accepts.
pub const ORTHONORMAL_TOLERANCE: f64 = 1e-4;

/// The identity.
pub fn identity(size: usize) -> HostMatrix {
    HostMatrix::from_fn(size, size, |i, j| f64::from(u8::from(i == j)))
}

/// The identity with its columns in reverse order: ones on the antidiagonal.
pub fn reversal(size: usize) -> HostMatrix {
    HostMatrix::from_fn(size, size, |i, j| f64::from(u8::from(i + j + 1 == size)))
}

/// A permutation matrix, each with equal probability.
pub fn permutation(size: usize, rng: &mut impl Rng) -> HostMatrix {
    let order = shuffled(size, rng);
    HostMatrix::from_fn(size, size, |i, j| f64::from(u8::from(order[i] == j)))
}

/// The numbers `0..size` in random order.
pub fn shuffled(size: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..size).collect();
    for last in (1..size).rev() {
        order.swap(last, rng.random_range(0..=last));
    }
    order
}

/// A rotation drawn from the uniform (Haar) distribution on `SO(size)`.
///
/// QR of a Gaussian matrix with the signs of the diagonal of `R` moved into `Q`; the first column
/// changes its sign if the determinant is -1.
///
/// # Example
/// ```
/// use firebrick_ops::orthogonal::haar;
/// use rand::SeedableRng;
///
/// let rotation = haar(5, &mut rand_chacha::ChaCha8Rng::seed_from_u64(0));
/// assert!(rotation.orthonormality_error() < 1e-14);
/// ```
pub fn haar(size: usize, rng: &mut impl Rng) -> HostMatrix {
    let mut q = orthonormalized(&gaussian(size, size, rng));
    if q.to_faer().determinant() < 0.0 {
        for row in 0..size {
            q.values[row * size] = -q.values[row * size];
        }
    }
    q
}

/// A rotation by independent uniform angles in the coordinate planes (0, 1), (2, 3), ...; with an odd
/// size the last coordinate stays.
pub fn torus(size: usize, rng: &mut impl Rng) -> HostMatrix {
    let mut q = identity(size);
    for plane in 0..size / 2 {
        let angle: f64 = rng.random_range(-std::f64::consts::PI..std::f64::consts::PI);
        let (i, j) = (2 * plane, 2 * plane + 1);
        q.values[i * size + i] = angle.cos();
        q.values[i * size + j] = -angle.sin();
        q.values[j * size + i] = angle.sin();
        q.values[j * size + j] = angle.cos();
    }
    q
}

/// A square orthogonal matrix whose first columns are those of `columns`, up to the rounding that
/// makes them exactly orthonormal.
///
/// # Errors
/// [`NotOrthonormal`] if the columns are not orthonormal to [`ORTHONORMAL_TOLERANCE`] (or are wider
/// than high, which cannot be).
pub fn complete(columns: &HostMatrix, rng: &mut impl Rng) -> Result<HostMatrix, NotOrthonormal> {
    let error = columns.orthonormality_error();
    // Not `>`: a NaN must not pass.
    if !(error <= ORTHONORMAL_TOLERANCE && columns.columns <= columns.rows) {
        return Err(NotOrthonormal { error, tolerance: ORTHONORMAL_TOLERANCE });
    }
    let given = columns.to_faer();
    let mut rest = gaussian(columns.rows, columns.rows - columns.columns, rng).to_faer();
    for _ in 0..2 {
        rest = &rest - &given * (given.transpose() * &rest);
    }
    let size = columns.rows;
    let joined = HostMatrix::from_fn(size, size, |i, j| {
        if j < columns.columns { given[(i, j)] } else { rest[(i, j - columns.columns)] }
    });
    Ok(orthonormalized(&joined))
}

/// The orthogonal factor of the QR decomposition with a positive diagonal of `R`: the nearest thing
/// to a nearly orthonormal matrix that keeps the order of its columns.
pub fn orthonormalized(matrix: &HostMatrix) -> HostMatrix {
    let qr = matrix.to_faer().qr();
    let (q, r) = (qr.compute_thin_Q(), qr.thin_R());
    HostMatrix::from_fn(matrix.rows, matrix.columns, |i, j| {
        if r[(j, j)] < 0.0 { -q[(i, j)] } else { q[(i, j)] }
    })
}

fn gaussian(rows: usize, columns: usize, rng: &mut impl Rng) -> HostMatrix {
    let values = (0..rows * columns).map(|_| rng.sample(StandardNormal)).collect();
    HostMatrix { rows, columns, values }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(7)
    }

    #[test]
    fn samples_are_rotations_of_any_size() {
        for size in [1, 2, 3, 8, 33] {
            for matrix in [haar(size, &mut rng()), torus(size, &mut rng())] {
                assert!(matrix.orthonormality_error() < 1e-13);
                assert!((matrix.to_faer().determinant() - 1.0).abs() < 1e-12);
            }
        }
        assert_eq!(haar(0, &mut rng()).shape(), [0, 0]);
    }

    #[test]
    fn haar_moments_are_those_of_the_uniform_distribution() {
        // E q_ij = 0, E q_ij^2 = 1/n, E tr(Q)^2 = 1 on SO(n), n >= 3.
        let (size, count) = (4, 4000);
        let mut rng = rng();
        let (mut mean, mut square, mut trace) = (0.0, 0.0, 0.0);
        for _ in 0..count {
            let q = haar(size, &mut rng);
            mean += q.get(1, 0) / f64::from(count);
            square += q.get(1, 0).powi(2) / f64::from(count);
            trace += (0..size).map(|i| q.get(i, i)).sum::<f64>().powi(2) / f64::from(count);
        }
        assert!(mean.abs() < 0.03 && (square - 0.25).abs() < 0.02 && (trace - 1.0).abs() < 0.1);
    }

    #[test]
    fn torus_turns_planes_and_leaves_an_odd_last_coordinate() {
        let q = torus(5, &mut rng());
        assert_eq!(q.get(4, 4), 1.0);
        assert_eq!(q.get(0, 2), 0.0);
        assert_eq!(q.get(0, 1), -q.get(1, 0));
    }

    #[test]
    fn permutations_have_a_single_one_in_every_row_and_column() {
        let q = permutation(6, &mut rng());
        assert_eq!(q.orthonormality_error(), 0.0);
        assert!(q.values().iter().all(|&x| x == 0.0 || x == 1.0));
        assert_ne!(q, identity(6));
    }

    #[test]
    fn completion_keeps_the_given_columns() {
        let full = haar(6, &mut rng());
        let given = HostMatrix::from_fn(6, 2, |i, j| full.get(i, j) + 1e-6 * (i as f64 - 2.0));
        let base = complete(&given, &mut rng()).unwrap();
        assert!(base.orthonormality_error() < 1e-14);
        for i in 0..6 {
            for j in 0..2 {
                assert!((base.get(i, j) - given.get(i, j)).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn completion_refuses_columns_that_are_not_orthonormal() {
        let mut bad = identity(3);
        bad.values[0] = 1.001;
        let error = complete(&bad, &mut rng()).unwrap_err();
        assert!((error.error - 2.001e-3).abs() < 1e-9, "{error}");
        bad.values[0] = f64::NAN;
        assert!(complete(&bad, &mut rng()).is_err());
        let wide = HostMatrix::new(1, 2, vec![1.0, 0.0]);
        assert!(complete(&wide, &mut rng()).is_err());
    }
}
