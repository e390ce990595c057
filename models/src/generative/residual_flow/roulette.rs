//! Russian roulette: an infinite series without bias from finitely many terms.
//!
//! ```text
//! n = n_exact + max N_i
//! c_k = 1                                                     for k <= n_exact
//! c_k = (#{N_i >= k - n_exact} / draws) / P(N >= k - n_exact) else
//! ```
//!
//! so that `E[c_k] = 1` for every term.
//!
//! # References
//! R. Chen, J. Behrmann, D. Duvenaud, J. Jacobsen, *Residual Flows for Invertible Generative Modeling*,
//! NeurIPS 2019, equation 6.

use rand::{Rng, RngExt};
use rand_distr::{Geometric, Poisson};
use serde::{Deserialize, Serialize};

/// Distribution of the number `N` of random terms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Stopping {
    /// `P(N >= j) = (1 - p)^(j - 1)` on 1, 2, ..: a coin with probability `p` of stopping after each term.
    Geometric {
        /// Probability of stopping, in (0, 1).
        probability: f64,
    },
    /// `P(N = j) = e^-m m^j / j!` on 0, 1, ..
    Poisson {
        /// Mean `m`, positive.
        mean: f64,
    },
}

impl Stopping {
    /// `P(N >= terms)`.
    ///
    /// # Example
    /// ```
    /// use firebrick_models::generative::residual_flow::Stopping;
    ///
    /// assert_eq!(Stopping::Geometric { probability: 0.5 }.survival(3), 0.25);
    /// let poisson = Stopping::Poisson { mean: 2.0 };
    /// assert!((poisson.survival(1) - (1.0 - (-2f64).exp())).abs() < 1e-15);
    /// ```
    pub fn survival(&self, terms: usize) -> f64 {
        match *self {
            Self::Geometric { probability } => {
                (1.0 - probability).powi(terms.saturating_sub(1) as i32)
            }
            Self::Poisson { .. } if terms == 0 => 1.0,
            Self::Poisson { mean } => {
                let start = (1..=terms).map(|i| (mean / i as f64).ln()).sum::<f64>() - mean;
                // Beyond the mean the tail is summed: 1 minus the rest would have no digits left.
                if terms as f64 > mean {
                    tail(start.exp(), mean, terms)
                } else {
                    1.0 - head(mean, terms)
                }
            }
        }
    }

    /// Draws a number of terms.
    ///
    /// # Panics
    /// If the probability is not in (0, 1), or the mean not positive and finite.
    pub fn draw(&self, rng: &mut impl Rng) -> usize {
        self.check();
        match *self {
            Self::Geometric { probability } => {
                let failures = Geometric::new(probability).expect("a probability in (0, 1)");
                1 + rng.sample(failures) as usize
            }
            Self::Poisson { mean } => {
                let count: f64 = rng.sample(Poisson::new(mean).expect("a positive mean"));
                count as usize
            }
        }
    }

    fn check(&self) {
        match *self {
            Self::Geometric { probability: p } => {
                assert!(p > 0.0 && p < 1.0, "Stopping: probability must be in (0, 1), got {p}");
            }
            Self::Poisson { mean } => {
                let fits = mean > 0.0 && mean.is_finite();
                assert!(fits, "Stopping: mean must be positive and finite, got {mean}");
            }
        }
    }
}

/// `sum over i >= terms of e^-m m^i / i!` from its first term.
fn tail(first: f64, mean: f64, terms: usize) -> f64 {
    let (mut term, mut total, mut index) = (first, 0.0, terms);
    while term > 1e-17 * total {
        total += term;
        index += 1;
        term *= mean / index as f64;
    }
    total
}

/// `sum over i < terms of e^-m m^i / i!`.
fn head(mean: f64, terms: usize) -> f64 {
    let (mut term, mut total) = ((-mean).exp(), 0.0);
    for index in 1..=terms {
        total += term;
        term *= mean / index as f64;
    }
    total
}

/// Russian roulette: which terms of a series are computed, and their weights.
///
/// # Example
/// ```
/// use firebrick_models::generative::residual_flow::Roulette;
///
/// let roulette = Roulette::default(); // geometric with probability 1/2, two terms always
/// assert_eq!(roulette.coefficients(&[1, 4]), [1.0, 1.0, 1.0, 1.0, 2.0, 4.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roulette {
    /// Distribution of the number of terms after the first `exact_terms`.
    pub stopping: Stopping,
    /// Terms that are always kept.
    pub exact_terms: usize,
    /// Draws of the number that are averaged.
    pub draws: usize,
}

impl Default for Roulette {
    /// Geometric with probability 1/2, two exact terms, one draw: what the paper trains with.
    fn default() -> Self {
        Self { stopping: Stopping::Geometric { probability: 0.5 }, exact_terms: 2, draws: 1 }
    }
}

impl Roulette {
    /// Twenty exact terms instead of two: what the paper evaluates with.
    pub fn evaluation() -> Self {
        Self { exact_terms: 20, ..Self::default() }
    }

    /// Probability that a draw keeps term `k`, counted from 1.
    pub fn survival(&self, term: usize) -> f64 {
        self.stopping.survival(term.saturating_sub(self.exact_terms))
    }

    /// Draws the numbers of terms.
    ///
    /// # Panics
    /// If `draws` is zero, or as [`Stopping::draw`].
    pub fn draw(&self, rng: &mut impl Rng) -> Vec<usize> {
        assert!(self.draws > 0, "Roulette: draws must be positive, got 0");
        (0..self.draws).map(|_| self.stopping.draw(rng)).collect()
    }

    /// `c_1, c_2, ..` for the drawn numbers of terms.
    ///
    /// # Panics
    /// If there is no draw.
    pub fn coefficients(&self, draws: &[usize]) -> Vec<f64> {
        let longest = draws.iter().max();
        let longest = *longest.expect("Roulette: coefficients need at least one draw, got none");
        let coefficient = |term: usize| {
            let Some(beyond) = term.checked_sub(self.exact_terms).filter(|&beyond| beyond > 0)
            else {
                return 1.0;
            };
            let kept = draws.iter().filter(|&&draw| draw >= beyond).count();
            kept as f64 / draws.len() as f64 / self.stopping.survival(beyond)
        };
        (1..=longest + self.exact_terms).map(coefficient).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const STOPPINGS: [Stopping; 4] = [
        Stopping::Geometric { probability: 0.5 },
        Stopping::Geometric { probability: 0.2 },
        Stopping::Poisson { mean: 2.0 },
        Stopping::Poisson { mean: 6.5 },
    ];

    #[test]
    fn survival_is_the_frequency_of_draws() {
        for stopping in STOPPINGS {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let draws: Vec<usize> = (0..20_000).map(|_| stopping.draw(&mut rng)).collect();
            for terms in 0..8 {
                let found = draws.iter().filter(|&&n| n >= terms).count() as f64 / 20_000.0;
                let expected = stopping.survival(terms);
                let error = (expected * (1.0 - expected) / 20_000.0).sqrt();
                assert!((found - expected).abs() <= 4.0 * error, "{stopping:?} {terms}");
            }
        }
    }

    #[test]
    fn coefficients_have_mean_one() {
        for stopping in STOPPINGS {
            let roulette = Roulette { stopping, exact_terms: 1, draws: 3 };
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let mut sums = [[0.0; 6]; 2];
            for _ in 0..20_000 {
                let drawn = roulette.draw(&mut rng);
                for (term, c) in roulette.coefficients(&drawn).into_iter().take(6).enumerate() {
                    sums[0][term] += c;
                    sums[1][term] += c * c;
                }
            }
            for (sum, square) in sums[0].iter().zip(sums[1]) {
                let (mean, second) = (sum / 20_000.0, square / 20_000.0);
                let error = ((second - mean * mean).max(0.0) / 20_000.0).sqrt();
                assert!((mean - 1.0).abs() <= 4.0 * error + 1e-12, "{stopping:?}: {mean}");
            }
        }
    }

    #[test]
    fn the_tail_of_a_poisson_distribution_keeps_its_digits() {
        let survival = Stopping::Poisson { mean: 2.0 }.survival(40);
        // The first term, e^-2 2^40 / 40!, times 1 + 2/41 + 4/(41 42) + ..
        assert!((survival / 1.915_98e-37 - 1.0).abs() < 1e-3, "{survival:e}");
    }

    #[test]
    fn a_poisson_draw_of_zero_keeps_the_exact_terms_alone() {
        let stopping = Stopping::Poisson { mean: 2.0 };
        let roulette = Roulette { stopping, exact_terms: 2, draws: 1 };
        assert_eq!(roulette.coefficients(&[0]), [1.0, 1.0]);
        assert!(Roulette { exact_terms: 0, ..roulette }.coefficients(&[0]).is_empty());
    }

    #[test]
    #[should_panic(expected = "probability must be in (0, 1), got 1")]
    fn refuses_a_coin_that_always_stops() {
        Stopping::Geometric { probability: 1.0 }.draw(&mut ChaCha8Rng::seed_from_u64(0));
    }

    #[test]
    #[should_panic(expected = "mean must be positive and finite, got 0")]
    fn refuses_a_mean_of_zero() {
        Stopping::Poisson { mean: 0.0 }.draw(&mut ChaCha8Rng::seed_from_u64(0));
    }
}
