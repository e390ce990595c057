//! From free numbers to orthogonal matrices, through skew-symmetric ones.
//!
//! The strictly lower triangle `L` of a free matrix gives the skew-symmetric `A = L - L^T`, and `A` an
//! orthogonal matrix with determinant 1, by one of two maps:
//!
//! ```text
//! exponential  E = exp(A) = I + A + A^2 / 2 + ...
//! Cayley       E = (I - A / 2)^-1 (I + A / 2)
//! ```
//!
//! Everything is batched, `[matrices, rows, columns]`, differentiable by Burn's ordinary autodiff and
//! computed in the tensor's own float type. [`Retraction`] chooses the map; the functions below are
//! its parts.
//!
//! # References
//! M. Lezcano-Casado, *Trivializations for Gradient-Based Optimization on Manifolds*, NeurIPS 2019;
//! M. Lezcano-Casado, D. Martinez-Rubio, *Cheap Orthogonal Constraints in Neural Networks*, ICML 2019.

mod cayley;
mod exponential;
mod inverse;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

pub use cayley::cayley_columns;
pub use exponential::{expm, expm_skew, expm_skew_bounded, expm_skew_columns, expm_skew_thin};
use inverse::inverse_above;

/// The skew-symmetric matrix `L - L^T` of the strictly lower triangle `L` of `free`, filled up with
/// zero columns to a square.
///
/// Entries on and above the diagonal of `free` have no influence and a zero gradient.
///
/// # Shapes
/// - free: `[matrices, n, k]` with `k <= n`
/// - output: `[matrices, n, n]`
///
/// # Panics
/// If there are more columns than rows.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::skew::skew;
///
/// let free = Tensor::<3>::from_data([[[9.0], [2.0]]], &Device::flex());
/// assert_eq!(skew(free).into_data().try_to_vec::<f32>().unwrap(), [0.0, -2.0, 2.0, 0.0]);
/// ```
pub fn skew(free: Tensor<3>) -> Tensor<3> {
    let [matrices, rows, columns] = free.dims();
    check_tall("skew", rows, columns);
    let mut lower = free.tril(-1);
    if columns < rows {
        let zeros =
            Tensor::zeros([matrices, rows, rows - columns], (&lower.device(), lower.dtype()));
        lower = Tensor::cat(vec![lower, zeros], 2);
    }
    lower.clone() - lower.transpose()
}

/// How a skew-symmetric matrix becomes an orthogonal one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retraction {
    /// The matrix exponential: covers all rotations.
    #[default]
    Exponential,
    /// The matrix exponential with a fixed number of squarings, from 0 to 30: nothing is read back from
    /// the device. Matrices whose norm exceeds `0.58 * 2^squarings` are scaled down to it, so that the
    /// result is orthogonal for every parameter. Always in the full form.
    BoundedExponential {
        /// Number of squarings; 4 allow for norms up to 9, 6 up to 37.
        squarings: usize,
    },
    /// The Cayley map: covers all rotations without the eigenvalue -1; one inverse instead of a
    /// power series.
    Cayley,
}

impl Retraction {
    /// The first columns of the orthogonal matrices, as many as `free` has.
    ///
    /// The exponential takes the full form, or the thin one where `3 k < n`; both give the same
    /// values.
    ///
    /// # Shapes
    /// - free: `[matrices, n, k]` with `k <= n`
    /// - output: `[matrices, n, k]`, orthonormal columns
    ///
    /// # Panics
    /// If there are more columns than rows, an entry is not finite (unless the exponential is bounded),
    /// or a bounded exponential has more than 30 squarings.
    ///
    /// # Example
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use firebrick_ops::skew::Retraction;
    ///
    /// // A rotation by the angle 1.
    /// let free = Tensor::<3>::from_data([[[0.0, 0.0], [1.0, 0.0]]], &Device::flex());
    /// let rotation = Retraction::Exponential.columns(free).into_data().try_to_vec::<f32>().unwrap();
    /// assert!((rotation[0] - 1f32.cos()).abs() < 1e-6 && (rotation[2] - 1f32.sin()).abs() < 1e-6);
    /// ```
    pub fn columns(self, free: Tensor<3>) -> Tensor<3> {
        let [_, rows, columns] = free.dims();
        match self {
            _ if columns == 0 => free,
            Self::Cayley => cayley_columns(free),
            Self::BoundedExponential { squarings } => {
                assert!(
                    squarings <= 30,
                    "BoundedExponential: squarings must be at most 30, got {squarings}"
                );
                expm_skew_bounded(skew(free), columns, squarings)
            }
            Self::Exponential if 3 * columns < rows => expm_skew_thin(free),
            Self::Exponential => expm_skew_columns(skew(free), columns),
        }
    }
}

impl std::str::FromStr for Retraction {
    type Err = UnknownRetraction;

    /// Reads `exponential` (or `expm`) and `cayley`.
    fn from_str(name: &str) -> Result<Self, UnknownRetraction> {
        match name {
            "exponential" | "expm" => Ok(Self::Exponential),
            "cayley" => Ok(Self::Cayley),
            _ => Err(UnknownRetraction(name.into())),
        }
    }
}

/// A retraction that does not exist.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownRetraction(String);

impl std::fmt::Display for UnknownRetraction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown retraction '{}'; known: exponential (expm), cayley", self.0)
    }
}

impl std::error::Error for UnknownRetraction {}

fn check_tall(name: &str, rows: usize, columns: usize) {
    assert!(
        columns <= rows,
        "{name}: free must have at most as many columns as rows, got {rows} x {columns}"
    );
}

fn check_square(name: &str, matrices: &Tensor<3>) {
    let [_, rows, columns] = matrices.dims();
    assert!(rows == columns, "{name}: matrices must be square, got {rows} x {columns}");
}

/// The identity, `[1, size, size]`, on the device and in the float type of `like`.
fn identity(size: usize, like: &Tensor<3>) -> Tensor<3> {
    Tensor::<2>::eye(size, &like.device()).cast(like.dtype()).unsqueeze()
}

/// The largest sum of magnitudes along `axis`, over the batch: axis 1 gives the 1-norm, axis 2 the
/// maximum norm. Without autodiff.
fn induced_norm(matrices: &Tensor<3>, axis: usize) -> Tensor<1> {
    matrices.clone().without_autodiff().abs().sum_dim(axis).max()
}

/// Reads a few scalars back in one transfer.
fn read(scalars: Vec<Tensor<1>>) -> Vec<f64> {
    Tensor::cat(scalars, 0).into_data().iter::<f64>().collect()
}

#[cfg(test)]
mod tests;
