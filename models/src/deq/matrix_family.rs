//! Matrix families for the recurrent weight of an equilibrium (or any weight-tied) layer.
//!
//! A layer that applies the same matrix again and again feels more of the matrix than its second
//! moments: where the eigenvalues lie, and how far the matrix is from a normal one. Each family draws
//! an `N x N` matrix at a scale `s` from a matrix `A` of independent standard normal numbers:
//!
//! | family | construction | eigenvalues for large `N` | largest singular value |
//! |---|---|---|---|
//! | [`Gaussian`](MatrixFamily::Gaussian) | `s A / sqrt(N)` | disc of radius `s` | `2 s` |
//! | [`Orthogonal`](MatrixFamily::Orthogonal) | `s Q`, `A = Q R`, `diag(R) > 0` | circle of radius `s` | `s` |
//! | [`Goe`](MatrixFamily::Goe) | `s (A + A^T) / sqrt(2 N)` | semicircle on `[-2 s, 2 s]` | `2 s` |
//! | [`Antisymmetric`](MatrixFamily::Antisymmetric) | `s (A - A^T) / sqrt(2 N)` | semicircle on `i [-2 s, 2 s]` | `2 s` |
//! | [`Reflection`](MatrixFamily::Reflection) | `s Q diag(1, -1, 1, ..) Q^T` | `-s` and `s` | `s` |
//! | [`SingularValues`](MatrixFamily::SingularValues) | `s Q1 diag(v) Q2^T`, `v` scaled to mean square 1 | ring of outer radius `s` | `s max v` |
//! | [`Spectrum`](MatrixFamily::Spectrum) | `s Q diag(l) Q^T` | `s l` | `s max abs(l)` |
//!
//! With [`Normalization::Frobenius`] all but the last have `E |W|_F^2 / N = s^2`, so that a GOE matrix
//! of scale `s` has the spectral radius `2 s`: equal scales are not equal distances to instability.
//! [`Normalization::Radius`] makes `s` the spectral radius.
//!
//! Matrices are drawn on the host in 64 bits: a seed gives the same matrix on every backend. For what
//! to expect of them see [`family_theory`](super::family_theory), for what a matrix at hand does
//! [`measure`](super::measure).
//!
//! # References
//! - A. Agarwala, S. S. Schoenholz, *Deep equilibrium networks are sensitive to initialization
//!   statistics*, ICML 2022.
//! - F. Mezzadri, *How to Generate Random Matrices from the Classical Compact Groups*, Notices of the
//!   AMS 54(5), 2007.
//!
//! # Notes
//! Which of the two normalizations the paper's symmetric matrices have is not known to us; the names
//! say which one a number belongs to.

use std::fmt;
use std::str::FromStr;

use burn::config::Config;
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use firebrick_ops::orthogonal::{HostMatrix, orthonormalized};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::DeqLayer;
use crate::ModelError;

/// A distribution of matrices; the module's table has the constructions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum MatrixFamily {
    /// Independent normal entries.
    Gaussian,
    /// Orthogonal matrices, uniformly (Haar); with more rows than columns orthonormal columns, with
    /// fewer orthonormal rows.
    #[default]
    Orthogonal,
    /// Symmetric with independent normal entries (Gaussian orthogonal ensemble). Square.
    Goe,
    /// Antisymmetric with independent normal entries. Square.
    Antisymmetric,
    /// Symmetric and orthogonal, with eigenvalues 1 and -1 in turn. Square.
    Reflection,
    /// These singular values, in any order, between independent uniform orthogonal matrices; as many
    /// as the shorter side is long. Only their ratios count: they are scaled to mean square 1.
    SingularValues(Vec<f64>),
    /// Symmetric with these eigenvalues and uniform eigenvectors; as many as the matrix has rows.
    Spectrum(Vec<f64>),
}

impl MatrixFamily {
    /// The families without parameters.
    pub const PLAIN: [Self; 5] =
        [Self::Gaussian, Self::Orthogonal, Self::Goe, Self::Antisymmetric, Self::Reflection];

    fn is_square(&self) -> bool {
        !matches!(self, Self::Gaussian | Self::Orthogonal | Self::SingularValues(_))
    }
}

impl fmt::Display for MatrixFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gaussian => "gaussian",
            Self::Orthogonal => "orthogonal",
            Self::Goe => "goe",
            Self::Antisymmetric => "antisymmetric",
            Self::Reflection => "reflection",
            Self::SingularValues(_) => "singular values",
            Self::Spectrum(_) => "spectrum",
        })
    }
}

impl FromStr for MatrixFamily {
    type Err = ModelError;

    /// Reads `gaussian` (or `random`), `orthogonal` (`haar`), `goe` (`symmetric`), `antisymmetric`
    /// and `reflection`.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        match name {
            "gaussian" | "random" => Ok(Self::Gaussian),
            "orthogonal" | "haar" => Ok(Self::Orthogonal),
            "goe" | "symmetric" => Ok(Self::Goe),
            "antisymmetric" => Ok(Self::Antisymmetric),
            "reflection" => Ok(Self::Reflection),
            _ => Err(ModelError::UnknownName {
                what: "matrix family",
                found: name.into(),
                known: "gaussian (random), orthogonal (haar), goe (symmetric), antisymmetric, \
                        reflection",
            }),
        }
    }
}

/// What the scale of a family means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Normalization {
    /// The root mean square norm of a row: `E |W|_F^2 / N = s^2`. Given eigenvalues are multiplied by
    /// `s` as they are.
    #[default]
    Frobenius,
    /// The spectral radius of a wide matrix. Halves the entries of `Goe` and `Antisymmetric`, divides
    /// given eigenvalues by the largest absolute one, and changes nothing else.
    Radius,
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frobenius => "frobenius",
            Self::Radius => "radius",
        })
    }
}

/// How the recurrent weight of an equilibrium layer starts: family, scale and what the scale means.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::deq::matrix_family::{DeqInit, MatrixFamily};
///
/// let start = DeqInit::new(MatrixFamily::Orthogonal, 0.8);
/// let weight = start.init(64, 0, &Device::flex());
/// assert_eq!(weight.dims(), [64, 64]);
///
/// let theory = start.theory();
/// assert!((theory.m1.unwrap() - 1.0 / 0.36).abs() < 1e-12);
/// assert!((theory.s_min.unwrap() - 0.2).abs() < 1e-12);
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct DeqInit {
    /// The distribution.
    pub family: MatrixFamily,
    /// The scale `s`, finite and not negative.
    pub scale: f64,
    /// What the scale means.
    #[config(default = "Normalization::Frobenius")]
    pub normalization: Normalization,
}

impl DeqInit {
    /// Draws a square weight `[size, size]` on a device, in its default float type.
    ///
    /// Used as `z W^T` with states in rows, or `W z` with states in columns: no family prefers a side.
    ///
    /// # Panics
    /// If [`matrix`](Self::matrix) has an error.
    pub fn init(&self, size: usize, seed: u64, device: &Device) -> Tensor<2> {
        self.init_rectangular([size, size], seed, device)
    }

    /// Draws a weight `[rows, columns]` on a device, in its default float type.
    ///
    /// # Panics
    /// If [`matrix`](Self::matrix) has an error.
    pub fn init_rectangular(&self, shape: [usize; 2], seed: u64, device: &Device) -> Tensor<2> {
        let matrix = self.matrix(shape, seed).unwrap_or_else(|error| panic!("DeqInit: {error}"));
        Tensor::from_data(TensorData::new(matrix.values().to_vec(), shape), device)
    }

    /// Draws a convolution kernel `[channels, channels, height, width]` whose center tap is a matrix of
    /// the family and whose other taps are zero, so that with padding that keeps the image's size the
    /// layer starts as that matrix on every pixel.
    ///
    /// # Notes
    /// Not from the paper, which has no convolutions.
    ///
    /// # Panics
    /// If a side of the kernel is even, or [`matrix`](Self::matrix) has an error.
    pub fn init_conv(
        &self,
        channels: usize,
        kernel: [usize; 2],
        seed: u64,
        device: &Device,
    ) -> Tensor<4> {
        assert!(
            kernel.iter().all(|side| side % 2 == 1),
            "DeqInit::init_conv: the sides of the kernel must be odd to have a center, got {kernel:?}"
        );
        let matrix = self
            .matrix([channels, channels], seed)
            .unwrap_or_else(|error| panic!("DeqInit: {error}"));
        let taps = kernel[0] * kernel[1];
        let mut values = vec![0.0; channels * channels * taps];
        for (tap, value) in values.iter_mut().skip(taps / 2).step_by(taps).zip(matrix.values()) {
            *tap = *value;
        }
        let shape = [channels, channels, kernel[0], kernel[1]];
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// Draws a matrix on the host in 64 bits.
    ///
    /// # Errors
    /// [`ModelError::InvalidMatrixFamily`] if a side is zero, the scale is negative or not finite, the
    /// matrix is not square where the family asks for that, or the given singular values or
    /// eigenvalues are not as many as needed, not finite, negative (singular values) or all zero.
    pub fn matrix(&self, shape: [usize; 2], seed: u64) -> Result<HostMatrix, ModelError> {
        self.check(shape)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let [rows, columns] = self.normal_shape(shape);
        let values = (0..rows * columns).map(|_| rng.sample(StandardNormal)).collect();
        self.from_normal(shape, &HostMatrix::new(rows, columns, values))
    }

    /// The shape of the matrix of normal numbers behind a matrix of the given shape: the same shape,
    /// but `[rows + columns, shorter side]` for [`MatrixFamily::SingularValues`], which needs two
    /// orthogonal matrices.
    pub fn normal_shape(&self, [rows, columns]: [usize; 2]) -> [usize; 2] {
        match self.family {
            MatrixFamily::SingularValues(_) => [rows + columns, rows.min(columns)],
            _ => [rows, columns],
        }
    }

    /// The matrix that standard normal numbers turn into: the deterministic part of
    /// [`matrix`](Self::matrix).
    ///
    /// # Errors
    /// As [`matrix`](Self::matrix), and if `normal` has not the shape of
    /// [`normal_shape`](Self::normal_shape).
    pub fn from_normal(
        &self,
        shape: [usize; 2],
        normal: &HostMatrix,
    ) -> Result<HostMatrix, ModelError> {
        self.check(shape)?;
        if normal.shape() != self.normal_shape(shape) {
            let expected = format!("{:?}", self.normal_shape(shape));
            return Err(self.invalid(
                "shape of the normal numbers",
                expected,
                format!("{:?}", normal.shape()),
            ));
        }
        let [rows, columns] = shape;
        let (unit, scale) = (self.unit(shape, normal), self.scale);
        Ok(HostMatrix::from_fn(rows, columns, |i, j| scale * unit.get(i, j)))
    }

    /// The matrix of scale 1.
    fn unit(&self, shape: [usize; 2], normal: &HostMatrix) -> HostMatrix {
        let [rows, columns] = shape;
        let entry = |i: usize, j: usize| normal.get(i, j);
        let width = columns as f64;
        let half = match self.normalization {
            Normalization::Frobenius => 2.0,
            Normalization::Radius => 8.0,
        };
        match &self.family {
            MatrixFamily::Gaussian => {
                HostMatrix::from_fn(rows, columns, |i, j| entry(i, j) / width.sqrt())
            }
            MatrixFamily::Orthogonal => orthonormal(normal),
            MatrixFamily::Goe => {
                let root = (half * width).sqrt();
                HostMatrix::from_fn(rows, columns, |i, j| (entry(i, j) + entry(j, i)) / root)
            }
            MatrixFamily::Antisymmetric => {
                let root = (half * width).sqrt();
                HostMatrix::from_fn(rows, columns, |i, j| (entry(i, j) - entry(j, i)) / root)
            }
            MatrixFamily::Reflection => {
                let signs: Vec<f64> =
                    (0..rows).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
                conjugated(&orthonormalized(normal), &signs)
            }
            MatrixFamily::SingularValues(values) => {
                between(normal, shape, &mean_square_one(values))
            }
            MatrixFamily::Spectrum(values) => {
                conjugated(&orthonormalized(normal), &self.eigenvalues(values))
            }
        }
    }

    /// Given eigenvalues, divided by the largest absolute one where the scale is the radius.
    pub(super) fn eigenvalues(&self, values: &[f64]) -> Vec<f64> {
        let unit = match self.normalization {
            Normalization::Frobenius => 1.0,
            Normalization::Radius => values.iter().fold(0.0, |max: f64, x| max.max(x.abs())),
        };
        values.iter().map(|value| value / unit).collect()
    }

    pub(super) fn check(&self, [rows, columns]: [usize; 2]) -> Result<(), ModelError> {
        if !(self.scale.is_finite() && self.scale >= 0.0) {
            return Err(self.invalid("scale", "a finite number, at least 0", self.scale));
        }
        if rows == 0 || columns == 0 {
            let found = format!("{rows} x {columns}");
            return Err(self.invalid("size", "at least one row and column", found));
        }
        if self.family.is_square() && rows != columns {
            return Err(self.invalid("matrix", "square", format!("{rows} x {columns}")));
        }
        match &self.family {
            MatrixFamily::SingularValues(values) => {
                self.check_values(values, rows.min(columns), true)
            }
            MatrixFamily::Spectrum(values) => self.check_values(values, rows, false),
            _ => Ok(()),
        }
    }

    fn check_values(&self, values: &[f64], count: usize, positive: bool) -> Result<(), ModelError> {
        if values.len() != count {
            let expected = format!("{count} for this size");
            return Err(self.invalid("number of values", expected, values.len()));
        }
        let allowed = |value: f64| value.is_finite() && (value >= 0.0 || !positive);
        if let Some(&value) = values.iter().find(|&&value| !allowed(value)) {
            let expected = if positive { "finite numbers, at least 0" } else { "finite numbers" };
            return Err(self.invalid("values", expected, value));
        }
        let needs_size = positive || self.normalization == Normalization::Radius;
        if needs_size && values.iter().all(|&value| value == 0.0) {
            return Err(self.invalid("values", "not all zero, to be scaled", "zeros"));
        }
        Ok(())
    }

    fn invalid(
        &self,
        what: &'static str,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> ModelError {
        ModelError::InvalidMatrixFamily {
            family: self.family.to_string(),
            what,
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}

impl DeqLayer {
    /// The layer with a recurrent weight drawn anew; input weight, bias and activation stay.
    ///
    /// # Panics
    /// As [`DeqInit::init`].
    ///
    /// # Example
    /// ```
    /// use burn::tensor::Device;
    /// use firebrick_models::deq::DeqLayerConfig;
    /// use firebrick_models::deq::matrix_family::{DeqInit, MatrixFamily};
    ///
    /// let start = DeqInit::new(MatrixFamily::Orthogonal, 0.8);
    /// let layer = DeqLayerConfig::new(4, 8).init(&Device::flex()).with_recurrent(&start, 0);
    /// assert_eq!(layer.cell.weight.val().dims(), [8, 8]);
    /// ```
    #[must_use]
    pub fn with_recurrent(mut self, start: &DeqInit, seed: u64) -> Self {
        let old = self.cell.weight.val();
        let [size, _] = old.dims();
        let matrix = start.matrix([size, size], seed).unwrap_or_else(|e| panic!("DeqInit: {e}"));
        let data = TensorData::new(matrix.values().to_vec(), [size, size]);
        let options = (&old.device(), old.dtype());
        self.cell.weight = Param::from_tensor(Tensor::from_data(data, options));
        self
    }
}

/// Orthonormal columns, or rows if there are fewer rows than columns.
fn orthonormal(normal: &HostMatrix) -> HostMatrix {
    let [rows, columns] = normal.shape();
    if rows >= columns {
        orthonormalized(normal)
    } else {
        orthonormalized(&normal.transpose()).transpose()
    }
}

/// `Q diag(values) Q^T`, symmetric to the last bit.
fn conjugated(q: &HostMatrix, values: &[f64]) -> HostMatrix {
    let size = values.len();
    let product =
        HostMatrix::from_fn(size, size, |i, j| q.get(i, j) * values[j]).matmul(&q.transpose());
    HostMatrix::from_fn(size, size, |i, j| product.get(i.min(j), i.max(j)))
}

/// `Q1 diag(values) Q2^T` with the upper rows of the normal numbers for `Q1`.
fn between(normal: &HostMatrix, [rows, columns]: [usize; 2], values: &[f64]) -> HostMatrix {
    let side = values.len();
    let part = |from: usize, count: usize| {
        orthonormalized(&HostMatrix::from_fn(count, side, |i, j| normal.get(from + i, j)))
    };
    let (left, right) = (part(0, rows), part(rows, columns));
    HostMatrix::from_fn(rows, side, |i, j| left.get(i, j) * values[j]).matmul(&right.transpose())
}

/// The values over their root mean square.
pub(super) fn mean_square_one(values: &[f64]) -> Vec<f64> {
    // Divided by the largest first, so that squares neither overflow nor vanish.
    let largest = values.iter().copied().fold(0.0, f64::max);
    let scaled: Vec<f64> = values.iter().map(|value| value / largest).collect();
    let square = scaled.iter().map(|value| value * value).sum::<f64>() / scaled.len() as f64;
    scaled.iter().map(|value| value / square.sqrt()).collect()
}

#[cfg(test)]
mod tests;
