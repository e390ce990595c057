//! Densities in the plane with a closed form, for generative models.
//!
//! ```text
//! checkerboard:    uniform on the 8 squares of side 2 in [-4, 4]^2 with floor(x / 2) + floor(y / 2) even
//! eight Gaussians: standard deviation 0.5 / sqrt(2), centers on the circle of radius 4 / sqrt(2)
//! ```
//!
//! Samples come with the density they were drawn from, so that a model's likelihood has a bound: the
//! negative entropy.

use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};
use std::str::FromStr;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::random::{Use, generator};

const HALF: f64 = 4.0;
const SIDE: f64 = 2.0;
const RADIUS: f64 = 4.0 * FRAC_1_SQRT_2;
const DEVIATION: f64 = 0.5 * FRAC_1_SQRT_2;

/// A density in the plane.
///
/// # Example
/// ```
/// use firebrick_datasets::PlanarDensity;
///
/// let density: PlanarDensity = "checkerboard".parse()?;
/// let points = density.sample(100, 0);
/// assert!(points.iter().all(|&[x, y]| density.log_density(x.into(), y.into()) == -(32f64.ln())));
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanarDensity {
    /// Uniform on eight squares: edges and corners.
    Checkerboard,
    /// Eight separate modes on a circle.
    EightGaussians,
}

impl PlanarDensity {
    /// Draws points; a longer list starts with the shorter one of the same seed.
    pub fn sample(self, len: usize, seed: u64) -> Vec<[f32; 2]> {
        let stream = match self {
            Self::Checkerboard => 0,
            Self::EightGaussians => 1,
        };
        let mut generator = generator(Use::Planar, seed, stream);
        (0..len).map(|_| self.draw(&mut generator)).collect()
    }

    fn draw(self, generator: &mut impl Rng) -> [f32; 2] {
        match self {
            Self::Checkerboard => {
                let column = generator.random_range(0..4);
                let row = 2 * generator.random_range(0..2) + column % 2;
                [column, row].map(|square| {
                    let within: f64 = generator.random();
                    let low = SIDE * f64::from(square) - HALF;
                    // Rounding to 32 bits may reach the next square.
                    ((low + SIDE * within) as f32).min(((low + SIDE) as f32).next_down())
                })
            }
            Self::EightGaussians => {
                let center = center(generator.random_range(0..8));
                center.map(|center| {
                    let noise: f64 = generator.sample(StandardNormal);
                    (center + DEVIATION * noise) as f32
                })
            }
        }
    }

    /// The logarithm of the density in nats; minus infinity where there is none.
    pub fn log_density(self, x: f64, y: f64) -> f64 {
        match self {
            Self::Checkerboard => {
                let square = |value: f64| (value / SIDE).floor() as i64;
                let inside = [x, y].iter().all(|value| (-HALF..HALF).contains(value));
                match inside && (square(x) + square(y)) % 2 == 0 {
                    true => -(HALF * HALF * 2.0).ln(),
                    false => f64::NEG_INFINITY,
                }
            }
            Self::EightGaussians => {
                let exponent = |index: u32| {
                    let [a, b] = center(index);
                    -((x - a).powi(2) + (y - b).powi(2)) / (2.0 * DEVIATION * DEVIATION)
                };
                let largest = (0..8).map(exponent).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..8).map(|index| (exponent(index) - largest).exp()).sum();
                largest + sum.ln() - (8.0 * TAU * DEVIATION * DEVIATION).ln()
            }
        }
    }
}

fn center(index: u32) -> [f64; 2] {
    let angle = f64::from(index) * PI / 4.0;
    [RADIUS * angle.cos(), RADIUS * angle.sin()]
}

impl FromStr for PlanarDensity {
    type Err = DatasetError;

    /// Reads `checkerboard` and `8gaussians`.
    fn from_str(name: &str) -> Result<Self, DatasetError> {
        match name {
            "checkerboard" => Ok(Self::Checkerboard),
            "8gaussians" => Ok(Self::EightGaussians),
            _ => Err(DatasetError::UnknownDensity { found: name.to_owned() }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BOTH: [PlanarDensity; 2] = [PlanarDensity::Checkerboard, PlanarDensity::EightGaussians];

    #[test]
    fn densities_integrate_to_one_and_samples_follow_them() {
        for density in BOTH {
            let step = 0.05;
            let line: Vec<f64> = (0..240).map(|i| -6.0 + (f64::from(i) + 0.5) * step).collect();
            let cell = |x: f64, y: f64| density.log_density(x, y).exp() * step * step;
            let masses: Vec<f64> =
                line.iter().map(|&x| line.iter().map(|&y| cell(x, y)).sum()).collect();
            let total: f64 = masses.iter().sum();
            assert!((total - 1.0).abs() < 1e-6, "{density:?}: {total}");
            // The share of points left of -1.2, in which half of each column is empty.
            let expected: f64 = masses[..96].iter().sum();
            let points = density.sample(20_000, 3);
            let found = points.iter().filter(|point| point[0] < -1.2).count() as f64 / 20_000.0;
            assert!((found - expected).abs() < 4.0 * (0.25f64 / 20_000.0).sqrt(), "{density:?}");
            let share = points.iter().filter(|p| p[0] < -1.2 && p[1] < -0.5).count() as f64;
            let mass = |&x: &f64| line[..110].iter().map(|&y| cell(x, y)).sum::<f64>();
            let expected: f64 = line[..96].iter().map(mass).sum();
            assert!((share / 20_000.0 - expected).abs() < 0.015, "{density:?}: {share} {expected}");
        }
    }

    #[test]
    fn samples_have_a_positive_density_and_a_prefix() {
        for density in BOTH {
            let points = density.sample(5000, 8);
            let inside = |&[x, y]: &[f32; 2]| density.log_density(x.into(), y.into()) > -20.0;
            assert!(points.iter().all(inside));
            assert_eq!(density.sample(7, 8), points[..7]);
            assert_ne!(density.sample(7, 9), points[..7]);
            assert!(density.sample(0, 0).is_empty());
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        let message = "moons".parse::<PlanarDensity>().unwrap_err().to_string();
        let expected = "expected \"checkerboard\" or \"8gaussians\", found \"moons\"";
        assert!(message.ends_with(expected), "{message}");
    }
}
