//! The exponential families that a step may be drawn from.

use burn::tensor::{Bool, DType, Tensor};
use serde::{Deserialize, Serialize};

/// A one-dimensional exponential family `exp(xi * theta - psi(theta)) * pi0(xi)`; every coordinate
/// of a step is drawn from it independently.
///
/// The tensor methods work elementwise on the natural parameter `theta`, for `|theta|` up to 1e6 and
/// beyond: no exponential of `theta` alone is taken.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_optimizers::efld::ExponentialFamily;
///
/// let theta = Tensor::<1>::from_data([-1e6, 0.0, 1e6], &Device::flex());
/// let mean = ExponentialFamily::Rademacher.mean(theta);
/// assert_eq!(mean.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 0.0, 1.0]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ExponentialFamily {
    /// `N(theta, 1)`: SGLD.
    Gaussian,
    /// -1 or +1, `P(+1) = (1 + tanh theta) / 2`: noisy sign-SGD.
    Rademacher,
    /// A finite set of levels: noisy quantized SGD.
    Levels(FiniteLevels),
}

impl ExponentialFamily {
    /// `c2`, a bound of the variance at every `theta`.
    pub fn smoothness(&self) -> f64 {
        match self {
            Self::Gaussian | Self::Rademacher => 1.0,
            Self::Levels(levels) => levels.smoothness(),
        }
    }

    /// Log-partition function `psi(theta)`.
    ///
    /// # Shapes
    /// - theta, output: any, the same
    pub fn log_partition<const D: usize>(&self, theta: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gaussian => theta.square() / 2.0,
            Self::Rademacher => {
                let size = theta.abs();
                (size.clone() * -2.0).exp().log1p() + size
            }
            Self::Levels(levels) => {
                let (weights, shift) = levels.shifted(theta);
                // The largest weight is 1: the logarithm of what is beside it keeps its digits.
                let beside = weights.into_iter().map(|weight| {
                    let largest = indicator(weight.clone().equal_scalar(1.0), weight.dtype());
                    (weight.clone() - largest.clone(), largest)
                });
                let (beside, largest): (Vec<_>, Vec<_>) = beside.unzip();
                log1p(sum(beside) + (sum(largest) - 1.0)) + shift
            }
        }
    }

    /// Mean of `xi`, the derivative of `psi`.
    ///
    /// # Shapes
    /// - theta, output: any, the same
    pub fn mean<const D: usize>(&self, theta: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gaussian => theta,
            Self::Rademacher => theta.tanh(),
            Self::Levels(levels) => levels.moment(theta, |level| level),
        }
    }

    /// Variance of `xi`, the second derivative of `psi`.
    ///
    /// # Shapes
    /// - theta, output: any, the same
    pub fn variance<const D: usize>(&self, theta: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gaussian => theta.ones_like(),
            // 1 - tanh^2 without its cancellation.
            Self::Rademacher => {
                let small = (theta.abs() * -2.0).exp();
                small.clone() * 4.0 / (small + 1.0).square()
            }
            Self::Levels(levels) => levels.variance(theta),
        }
    }

    /// A draw of `xi` from noise that is given: standard normal values for the Gaussian family,
    /// uniform values of `[0, 1]` for the others.
    ///
    /// Rademacher: +1 where `u < P(+1)`. Levels: the index is the number of cumulative
    /// probabilities, without the last, that are at most `u`. At the ends, `u = 0` gives the first
    /// level of positive probability in that order and `u = 1` the last (for Rademacher -1): a level
    /// whose probability is zero is never drawn.
    ///
    /// # Shapes
    /// - theta, noise, output: any, the same
    pub fn draw<const D: usize>(&self, theta: Tensor<D>, noise: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gaussian => theta + noise,
            Self::Rademacher | Self::Levels(_) => self.draw_below_one(theta, below_one(noise)),
        }
    }

    /// [`draw`](Self::draw) from noise that is never 1.
    pub(super) fn draw_below_one<const D: usize>(
        &self,
        theta: Tensor<D>,
        noise: Tensor<D>,
    ) -> Tensor<D> {
        match self {
            Self::Gaussian => theta + noise,
            Self::Rademacher => {
                // u < 1 / (1 + e^(-2 theta)) with both sides multiplied by 1 + e^(-2 |theta|): exact
                // for small probabilities, and several times faster than tanh on a CPU.
                let small = (theta.clone().abs() * -2.0).exp();
                let mark = small.clone().mask_fill(theta.greater_equal_scalar(0.0), 1.0);
                let dtype = mark.dtype();
                let plus = ((small + 1.0) * noise).lower(mark);
                indicator(plus, dtype) * 2.0 - 1.0
            }
            Self::Levels(levels) => levels.draw(theta, noise),
        }
    }

    /// Log-partition function of one number, on the host.
    pub fn host_log_partition(&self, theta: f64) -> f64 {
        match self {
            Self::Gaussian => theta * theta / 2.0,
            Self::Rademacher => theta.abs() + (-2.0 * theta.abs()).exp().ln_1p(),
            Self::Levels(levels) => levels.host_log_partition(theta),
        }
    }

    /// Whether a draw needs normal values rather than uniform ones.
    pub(super) fn needs_normal(&self) -> bool {
        matches!(self, Self::Gaussian)
    }

    /// # Panics
    /// If levels or weights, which may come from a file, are not as [`FiniteLevels::new`] asks.
    pub(super) fn check(&self) {
        if let Self::Levels(levels) = self {
            levels.check();
        }
    }
}

/// A finite set of levels `q_1 < ... < q_L` with positive base weights `pi_l`:
/// `P(xi = q_l)` is proportional to `pi_l exp(q_l theta)`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_optimizers::efld::FiniteLevels;
///
/// let levels = FiniteLevels::ternary(2.0); // -1, 0, 1; zero twice as likely without a gradient
/// let theta = Tensor::<1>::zeros([1], &Device::flex());
/// let zero = levels.probabilities(theta).remove(1);
/// assert_eq!(zero.into_data().try_to_vec::<f32>().unwrap(), [0.5]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FiniteLevels {
    levels: Vec<f64>,
    weights: Vec<f64>,
}

impl FiniteLevels {
    /// Levels with their base weights; only the ratios of the weights matter for the draw.
    ///
    /// # Panics
    /// If there are fewer than two levels, they do not increase, a weight is not positive, or there
    /// is not one weight per level.
    pub fn new(levels: Vec<f64>, weights: Vec<f64>) -> Self {
        let levels = Self { levels, weights };
        levels.check();
        levels
    }

    /// The levels -1, 0, 1 with weights 1, `zero`, 1; the larger `zero`, the sparser the step.
    ///
    /// # Panics
    /// If `zero` is not positive and finite.
    pub fn ternary(zero: f64) -> Self {
        Self::new(vec![-1.0, 0.0, 1.0], vec![1.0, zero, 1.0])
    }

    /// `count` levels at equal distances from `low` to `high` with weights 1.
    ///
    /// # Panics
    /// If there are fewer than two levels or `low` is not below `high`.
    pub fn uniform(low: f64, high: f64, count: usize) -> Self {
        let step = (high - low) / (count.max(2) - 1) as f64;
        Self::new((0..count).map(|i| low + step * i as f64).collect(), vec![1.0; count])
    }

    /// The levels, increasing.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// The base weight of each level.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// `((q_L - q_1) / 2)^2`, which no variance on these levels exceeds.
    pub fn smoothness(&self) -> f64 {
        let ends = self.levels.last().zip(self.levels.first());
        ends.map_or(0.0, |(last, first)| ((last - first) / 2.0).powi(2))
    }

    /// Probability of each level, in their order.
    ///
    /// # Shapes
    /// - theta, each output: any, the same
    pub fn probabilities<const D: usize>(&self, theta: Tensor<D>) -> Vec<Tensor<D>> {
        let (weights, _) = self.shifted(theta);
        let total = sum(weights.clone());
        weights.into_iter().map(|weight| weight / total.clone()).collect()
    }

    /// `pi_l exp(q_l theta - shift)` and the shift, the largest exponent.
    fn shifted<const D: usize>(&self, theta: Tensor<D>) -> (Vec<Tensor<D>>, Tensor<D>) {
        let exponents: Vec<Tensor<D>> = self
            .levels
            .iter()
            .zip(&self.weights)
            .map(|(&level, weight)| theta.clone() * level + weight.ln())
            .collect();
        let largest = exponents.iter().cloned().reduce(Tensor::max_pair);
        let shift = largest.expect("there are at least two levels");
        (exponents.into_iter().map(|exponent| (exponent - shift.clone()).exp()).collect(), shift)
    }

    /// Mean of `value(q_l)`.
    fn moment<const D: usize>(&self, theta: Tensor<D>, value: impl Fn(f64) -> f64) -> Tensor<D> {
        let terms = self.probabilities(theta).into_iter().zip(&self.levels);
        sum(terms.map(|(probability, &level)| probability * value(level)).collect())
    }

    fn variance<const D: usize>(&self, theta: Tensor<D>) -> Tensor<D> {
        let probabilities = self.probabilities(theta);
        let each = || probabilities.iter().cloned().zip(&self.levels);
        let mean = sum(each().map(|(probability, &level)| probability * level).collect());
        sum(each().map(|(p, &level)| p * (mean.clone() - level).square()).collect())
    }

    fn draw<const D: usize>(&self, theta: Tensor<D>, noise: Tensor<D>) -> Tensor<D> {
        let dtype = theta.dtype();
        let (weights, _) = self.shifted(theta);
        // Sums are compared before they are divided by the total, so that a sum of everything is
        // never rounded to less than the total.
        let mark = noise * sum(weights.clone());
        let steps = self.levels.windows(2).map(|pair| pair[1] - pair[0]);
        let mut below: Option<Tensor<D>> = None;
        let mut level: Option<Tensor<D>> = None;
        for (weight, step) in weights.into_iter().zip(steps) {
            let cumulative = match below.take() {
                Some(below) => below + weight,
                None => weight,
            };
            let passed = cumulative.clone().lower_equal(mark.clone());
            below = Some(cumulative);
            let term = indicator(passed, dtype) * step;
            level = Some(match level.take() {
                Some(level) => level + term,
                None => term + self.levels[0],
            });
        }
        level.expect("there are at least two levels")
    }

    fn host_log_partition(&self, theta: f64) -> f64 {
        let exponents = || self.levels.iter().zip(&self.weights).map(|(q, pi)| q * theta + pi.ln());
        let shift = exponents().fold(f64::NEG_INFINITY, f64::max);
        shift + exponents().map(|exponent| (exponent - shift).exp()).sum::<f64>().ln()
    }

    fn check(&self) {
        let Self { levels, weights } = self;
        assert!(
            levels.len() >= 2,
            "FiniteLevels: levels must be at least two, got {}",
            levels.len()
        );
        assert!(
            levels.iter().all(|level| level.is_finite())
                && levels.windows(2).all(|pair| pair[0] < pair[1]),
            "FiniteLevels: levels must be finite and increase, got {levels:?}"
        );
        assert!(
            weights.len() == levels.len(),
            "FiniteLevels: weights must be one per level, {}, got {}",
            levels.len(),
            weights.len()
        );
        assert!(
            weights.iter().all(|&weight| weight.is_finite() && weight > 0.0),
            "FiniteLevels: weights must be finite and positive, got {weights:?}"
        );
    }
}

fn sum<const D: usize>(terms: Vec<Tensor<D>>) -> Tensor<D> {
    terms.into_iter().reduce(|sum, term| sum + term).expect("there are at least two levels")
}

/// `ln(1 + x)` for `x >= 0` with all its digits: on some devices `Tensor::log1p` is the logarithm of
/// a rounded sum.
fn log1p<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // ln(1 + x) = 2 artanh(t); where x < 1/4 nine terms reach 64 bits.
    let t = x.clone() / (x.clone() + 2.0);
    let square = t.clone().square();
    let series = (0..9).rev().fold(x.zeros_like(), |sum, term| {
        sum * square.clone() + 1.0 / (2.0 * f64::from(term) + 1.0)
    });
    let small = x.clone().lower_scalar(0.25);
    x.log1p().mask_where(small, series * t * 2.0)
}

/// 1 where the mask holds, else 0.
fn indicator<const D: usize>(mask: Tensor<D, Bool>, dtype: DType) -> Tensor<D> {
    let ones = mask.float();
    if ones.dtype() == dtype { ones } else { ones.cast(dtype) }
}

/// Uniform values with 1, which some generators return, moved to the largest number below.
pub(super) fn below_one<const D: usize>(noise: Tensor<D>) -> Tensor<D> {
    let largest = match noise.dtype() {
        DType::F64 => 1.0 - f64::EPSILON / 2.0,
        DType::F32 => 1.0 - f64::from(f32::EPSILON) / 2.0,
        DType::F16 => 1.0 - 2f64.powi(-11),
        _ => 1.0 - 2f64.powi(-8),
    };
    noise.clamp_max(largest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn log_partitions_near_zero_keep_their_digits() {
        let family = ExponentialFamily::Levels(FiniteLevels::new(vec![0.0, 1.0], vec![1.0, 1.0]));
        let thetas = [-0.5f64, -1.3, -1.4, -2.0, -7.8125, -30.0];
        for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
            let theta = Tensor::<1>::from_data(thetas, (&burn::tensor::Device::flex(), dtype));
            let found = family.log_partition(theta).into_data();
            for (found, theta) in found.iter::<f64>().zip(thetas) {
                let expected = theta.exp().ln_1p();
                let error = (found - expected).abs() / expected;
                assert!(error <= tolerance, "{theta} in {dtype:?}: {found}, expected {expected}");
            }
        }
    }
}
