//! What a matrix family does to an equilibrium layer, in the limit of wide layers.
//!
//! For the linear layer `z* = W z* + x` with the resolvent `R = (I - W)^-1`:
//!
//! ```text
//! m1    = tr(R R^T) / N       E |z*|^2 / |x|^2 for isotropic x
//! m2    = tr((R R^T)^2) / N   the spread of that gain over directions, and the size of gradients
//! s_min = smallest singular value of I - W; 1 / s_min is the worst gain, also of the backward solve
//! ```
//!
//! | family (Frobenius scale `s`) | `m1` | `m2` | `s_min` | iteration converges for |
//! |---|---|---|---|---|
//! | Gaussian | `1 / (1 - s^2)` | `1 / (1 - s^2)^4` | `s sqrt((q - 3)^3 / (8 (q - 1)))`, `q = sqrt(1 + 8 / s^2)` | `s < 1` |
//! | orthogonal | `1 / (1 - s^2)` | `(1 + s^2) / (1 - s^2)^3` | `1 - s` | `s < 1` |
//! | GOE | `((1 - 4 s^2)^(-1/2) - 1) / (2 s^2)` | `(1 - 4 s^2)^(-5/2)` | `1 - 2 s` | `s < 1/2` |
//! | antisymmetric | `(sqrt(1 + 4 s^2) - 1) / (2 s^2)` | `(1 + 4 s^2)^(-1/2)` | `1` | `s < 1/2`; `z*` exists for all `s` |
//! | reflection | `((1 - s)^-2 + (1 + s)^-2) / 2` | `((1 - s)^-4 + (1 + s)^-4) / 2` | `1 - s` | `s < 1` |
//! | singular values, `k` = mean fourth power | `1 / (1 - s^2)` | `(1 + (k - 2) s^4) / (1 - s^2)^4` | - | `s < 1` |
//! | spectrum | mean of `(1 - s l)^-2` | mean of `(1 - s l)^-4` | `min abs(1 - s l)` | `s max abs(l) < 1` |
//!
//! Untied weights, a new matrix in every step, have `m1 = 1 / (1 - s^2)` whatever the family. So the
//! second moments of mean-field theory do not tell Gaussian from orthogonal weights; `m2` and `s_min`
//! do.
//!
//! For a nonlinear layer `f(z) = phi(W z + u)` the Jacobian is `D W` with `D = diag(phi')`, and with
//! `p = mean(phi'^2)` the spectral radius is about `sqrt(p)` times that of `W`; [`MeanField`] finds `p`.
//!
//! # References
//! A. Agarwala, S. S. Schoenholz, *Deep equilibrium networks are sensitive to initialization
//! statistics*, ICML 2022, for the question; the formulas are derived here and checked against
//! matrices ([`measure`](super::measure)).
//!
//! # Notes
//! `m2` for given singular values follows from the moments of R-diagonal elements: in a word
//! `W^a W*^b W^c W*^d` only the first two determining cumulants occur, the second at most once.

use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::matrix_family::{DeqInit, MatrixFamily, Normalization, mean_square_one};

/// The wide limits of a family at a scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FamilyTheory {
    /// `tr(R R^T) / N`; `None` beyond the scale at which it ends to be finite.
    pub m1: Option<f64>,
    /// `tr((R R^T)^2) / N`; `None` as for `m1`.
    pub m2: Option<f64>,
    /// Smallest singular value of `I - W`; `None` as for `m1`, and for given singular values, where
    /// there is no closed form.
    pub s_min: Option<f64>,
    /// Spectral radius of `W`.
    pub radius: f64,
    /// Largest singular value of `W`.
    pub norm: f64,
    /// The scale below which the iteration `z <- W z + x` converges.
    pub stable_limit: f64,
}

impl FamilyTheory {
    /// The worst gain of the forward and of the backward solve, `1 / s_min`.
    pub fn worst_gain(&self) -> Option<f64> {
        self.s_min.map(|s_min| 1.0 / s_min)
    }

    /// About how many steps the iteration takes to a relative residual: `ln(tolerance) / ln(radius)`,
    /// at least 1. `None` if it does not converge.
    ///
    /// `slope` is the mean square slope `p` of the activation, 1 for a linear layer.
    ///
    /// # Panics
    /// If the tolerance is not between 0 and 1, or the slope is negative or NaN.
    pub fn expected_steps(&self, tolerance: f64, slope: f64) -> Option<f64> {
        assert!(
            tolerance > 0.0 && tolerance < 1.0,
            "expected_steps: tolerance must be between 0 and 1, got {tolerance}"
        );
        let radius = self.layer_radius(slope);
        (radius < 1.0).then(|| (tolerance.ln() / radius.ln()).max(1.0))
    }

    /// The spectral radius of the layer's Jacobian `D W` for a mean square slope `p`:
    /// `sqrt(p)` times that of `W`.
    ///
    /// # Notes
    /// Right in the wide limit where `D` is independent of `W`, for Gaussian and orthogonal matrices
    /// and any slopes, and for symmetric ones where the slopes are 0 and 1 (ReLU, hard tanh).
    ///
    /// # Panics
    /// If the slope is negative or NaN.
    pub fn layer_radius(&self, slope: f64) -> f64 {
        assert!(
            slope >= 0.0,
            "FamilyTheory: the mean square slope must be at least 0, got {slope}"
        );
        self.radius * slope.sqrt()
    }

    /// The scale at which the layer's Jacobian reaches the spectral radius 1: `stable_limit / sqrt(p)`;
    /// infinite for `p = 0`.
    ///
    /// # Panics
    /// If the slope is negative or NaN.
    pub fn edge(&self, slope: f64) -> f64 {
        assert!(
            slope >= 0.0,
            "FamilyTheory: the mean square slope must be at least 0, got {slope}"
        );
        self.stable_limit / slope.sqrt()
    }
}

/// The gain `E |z*|^2 / |x|^2` of a linear layer with a new matrix in every step, `1 / (1 - s^2)`;
/// `None` from `s = 1` on.
pub fn untied_gain(scale: f64) -> Option<f64> {
    (scale.abs() < 1.0).then(|| 1.0 / one_minus_square(scale))
}

/// The wide limits of a family at the Frobenius scale `s`; shorthand for [`DeqInit::theory`].
///
/// # Panics
/// If the scale is negative or not finite, or given values are none, not finite, or negative or all
/// zero singular values.
pub fn family_theory(family: &MatrixFamily, scale: f64) -> FamilyTheory {
    DeqInit::new(family.clone(), scale).theory()
}

impl DeqInit {
    /// What to expect of matrices of this kind, in the limit of wide layers.
    ///
    /// # Panics
    /// If the scale is negative or not finite, or given values are none, not finite, or negative or
    /// all zero singular values.
    ///
    /// # Example
    /// ```
    /// use firebrick_models::deq::matrix_family::{DeqInit, MatrixFamily};
    ///
    /// let at = |family| DeqInit::new(family, 0.8).theory();
    /// let (gaussian, orthogonal) = (at(MatrixFamily::Gaussian), at(MatrixFamily::Orthogonal));
    /// assert_eq!(gaussian.m1, orthogonal.m1); // second moments agree,
    /// assert!(gaussian.worst_gain() > Some(10.0)); // what they do in the worst direction
    /// assert!(orthogonal.worst_gain() < Some(5.1)); // does not
    /// assert_eq!(at(MatrixFamily::Goe).m1, None); // converges below 1/2 only
    /// ```
    pub fn theory(&self) -> FamilyTheory {
        let count = match &self.family {
            MatrixFamily::SingularValues(values) | MatrixFamily::Spectrum(values) => values.len(),
            _ => 1,
        };
        if let Err(error) = self.check([count, count]) {
            panic!("DeqInit::theory: {error}");
        }
        let s = self.scale;
        match &self.family {
            MatrixFamily::Gaussian => gaussian(s),
            MatrixFamily::Orthogonal => orthogonal(s),
            MatrixFamily::Reflection => spectrum(s, &[1.0, -1.0]),
            MatrixFamily::SingularValues(values) => singular_values(s, &mean_square_one(values)),
            MatrixFamily::Spectrum(values) => spectrum(s, &self.eigenvalues(values)),
            MatrixFamily::Goe | MatrixFamily::Antisymmetric => {
                let (scale, stable_limit) = match self.normalization {
                    Normalization::Frobenius => (s, 0.5),
                    Normalization::Radius => (0.5 * s, 1.0),
                };
                let of = if self.family == MatrixFamily::Goe { goe } else { antisymmetric };
                FamilyTheory { stable_limit, ..of(scale) }
            }
        }
    }
}

/// `1 - s^2` without loss near 1.
fn one_minus_square(s: f64) -> f64 {
    (1.0 - s) * (1.0 + s)
}

fn gaussian(s: f64) -> FamilyTheory {
    let rest = one_minus_square(s);
    let inside = s < 1.0;
    // The table's s_min with h = s q, which has a value at 0 and loses no digits near 1.
    let h = (s * s + 8.0).sqrt();
    let smallest = || ((8.0 * rest / (h + 3.0 * s)).powi(3) / (8.0 * (h - s))).sqrt();
    FamilyTheory {
        m1: inside.then(|| 1.0 / rest),
        m2: inside.then(|| rest.powi(-4)),
        s_min: inside.then(smallest),
        radius: s,
        norm: 2.0 * s,
        stable_limit: 1.0,
    }
}

fn orthogonal(s: f64) -> FamilyTheory {
    let rest = one_minus_square(s);
    let inside = s < 1.0;
    FamilyTheory {
        m1: inside.then(|| 1.0 / rest),
        m2: inside.then(|| (1.0 + s * s) / rest.powi(3)),
        s_min: inside.then_some(1.0 - s),
        radius: s,
        norm: s,
        stable_limit: 1.0,
    }
}

fn goe(s: f64) -> FamilyTheory {
    let root = one_minus_square(2.0 * s).max(0.0).sqrt();
    let inside = s < 0.5;
    FamilyTheory {
        // ((1 - 4 s^2)^(-1/2) - 1) / (2 s^2), which has a value at 0.
        m1: inside.then(|| 2.0 / (root * (1.0 + root))),
        m2: inside.then(|| root.powi(-5)),
        s_min: inside.then_some(1.0 - 2.0 * s),
        radius: 2.0 * s,
        norm: 2.0 * s,
        stable_limit: 0.5,
    }
}

fn antisymmetric(s: f64) -> FamilyTheory {
    let root = (1.0 + 4.0 * s * s).sqrt();
    FamilyTheory {
        m1: Some(2.0 / (1.0 + root)),
        m2: Some(1.0 / root),
        s_min: Some(1.0),
        radius: 2.0 * s,
        norm: 2.0 * s,
        stable_limit: 0.5,
    }
}

/// R-diagonal matrices with these singular values, of mean square 1.
fn singular_values(s: f64, values: &[f64]) -> FamilyTheory {
    let fourth = values.iter().map(|value| value.powi(4)).sum::<f64>() / values.len() as f64;
    let rest = one_minus_square(s);
    let inside = s < 1.0;
    FamilyTheory {
        m1: inside.then(|| 1.0 / rest),
        m2: inside.then(|| (1.0 + (fourth - 2.0) * s.powi(4)) / rest.powi(4)),
        s_min: None,
        radius: s,
        norm: s * values.iter().copied().fold(0.0, f64::max),
        stable_limit: 1.0,
    }
}

/// Normal matrices with these real eigenvalues.
fn spectrum(s: f64, values: &[f64]) -> FamilyTheory {
    let largest = values.iter().fold(0.0, |max: f64, value| max.max(value.abs()));
    let inside = s * largest < 1.0;
    let mean = |power: i32| {
        values.iter().map(|value| (1.0 - s * value).powi(power)).sum::<f64>() / values.len() as f64
    };
    let nearest =
        || values.iter().map(|value| (1.0 - s * value).abs()).fold(f64::INFINITY, f64::min);
    FamilyTheory {
        m1: inside.then(|| mean(-2)),
        m2: inside.then(|| mean(-4)),
        s_min: inside.then(nearest),
        radius: s * largest,
        norm: s * largest,
        stable_limit: 1.0 / largest,
    }
}

impl Activation {
    /// `E phi(sqrt(q) n)^2` and `E phi'(sqrt(q) n)^2` for a standard normal `n`.
    ///
    /// Closed forms, and a quadrature for `tanh`.
    ///
    /// # Panics
    /// If `q` is negative or NaN.
    pub fn gaussian_moments(self, q: f64) -> (f64, f64) {
        assert!(q >= 0.0, "Activation::gaussian_moments: q must be at least 0, got {q}");
        match self {
            Self::Identity => (q, 1.0),
            Self::Relu => (0.5 * q, 0.5),
            Self::Tanh => tanh_moments(q),
            Self::Sin => {
                let double = (-2.0 * q).exp();
                (0.5 * (1.0 - double), 0.5 * (1.0 + double))
            }
            Self::Hardtanh => {
                if q == 0.0 {
                    return (0.0, 1.0);
                }
                let edge = 1.0 / q.sqrt();
                let inside = error_function(edge / std::f64::consts::SQRT_2);
                let density = (-0.5 * edge * edge).exp() / std::f64::consts::TAU.sqrt();
                (q * (inside - 2.0 * edge * density) + (1.0 - inside), inside)
            }
        }
    }
}

/// The equilibrium of a wide layer with untied weights: the length of its pre-activations and the
/// slope of its activation there.
///
/// # Example
/// ```
/// use firebrick_models::deq::Activation;
/// use firebrick_models::deq::family_theory::{MeanField, family_theory};
/// use firebrick_models::deq::matrix_family::MatrixFamily;
///
/// let field = MeanField::new(Activation::Tanh, 1.0, 1.0).unwrap();
/// let theory = family_theory(&MatrixFamily::Orthogonal, 1.0);
/// assert!(theory.layer_radius(field.slope) < 0.8); // saturation keeps the layer contractive
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanField {
    /// Mean square of the pre-activations, the solution of `q = s^2 E phi(sqrt(q) n)^2 + q_u`.
    pub length: f64,
    /// Mean square slope `p = E phi'(sqrt(q) n)^2`.
    pub slope: f64,
}

impl MeanField {
    /// Solves the length map for the Frobenius scale of the weights and the mean square `injection` of
    /// the input's share `u` of the pre-activations, by iteration damped with 0.5; `None` where it
    /// grows without bound.
    ///
    /// Larger inputs saturate `tanh` and hard `tanh`, lower the slope and widen the range of usable
    /// scales: report the injection with the scale.
    ///
    /// # Panics
    /// If the scale or the injection is negative or not finite.
    pub fn new(activation: Activation, scale: f64, injection: f64) -> Option<Self> {
        for (name, value) in [("scale", scale), ("injection", injection)] {
            assert!(
                value.is_finite() && value >= 0.0,
                "MeanField: {name} must be finite and at least 0, got {value}"
            );
        }
        let linear = match activation {
            Activation::Identity => Some(1.0),
            Activation::Relu => Some(0.5),
            _ => None,
        };
        if let Some(slope) = linear {
            let rest = 1.0 - scale * scale * slope;
            return (rest > 0.0).then(|| Self { length: injection / rest, slope });
        }
        let mut length = injection;
        // Where the length is exactly 0 it stays, though it may not be stable.
        for _ in 0..100_000 {
            let (square, _) = activation.gaussian_moments(length);
            let next = 0.5 * length + 0.5 * (scale * scale * square + injection);
            let done = (next - length).abs() <= 1e-14 * next;
            length = next;
            if done {
                break;
            }
        }
        Some(Self { length, slope: activation.gaussian_moments(length).1 })
    }
}

/// The moments of `tanh` by the trapezoidal rule, whose error for functions that are analytic around
/// the real axis falls exponentially with the step: below 1e-13 for lengths up to 40.
fn tanh_moments(q: f64) -> (f64, f64) {
    const STEP: f64 = 1.0 / 32.0;
    let root = q.sqrt();
    let term = |at: i32| {
        let x = STEP * f64::from(at);
        let weight = STEP * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let square = (root * x).tanh().powi(2);
        (weight * square, weight * (1.0 - square).powi(2))
    };
    (-320..=320).map(term).fold((0.0, 0.0), |sum, x| (sum.0 + x.0, sum.1 + x.1))
}

/// `erf(x)` for `x >= 0`: the series without alternating signs below 3, the continued fraction of the
/// complement above.
fn error_function(x: f64) -> f64 {
    let gauss = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 3.0 {
        let (mut term, mut sum) = (2.0 * x * gauss, 0.0);
        let mut k = 0.0;
        while term > 1e-17 * sum {
            sum += term;
            k += 1.0;
            term *= 2.0 * x * x / (2.0 * k + 1.0);
        }
        return sum;
    }
    let fraction = (1..=60).rev().fold(x, |below, k| x + 0.5 * f64::from(k) / below);
    1.0 - gauss / fraction
}

#[cfg(test)]
mod tests;
