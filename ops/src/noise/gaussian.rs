//! Standard normal values from uniform words, by the method of Box and Muller.
//!
//! ```text
//! r = sqrt(-2 ln u),  (z_1, z_2) = r (cos t, sin t),  u uniform in (0, 1], t uniform on the circle
//! ```
//!
//! Only additions, multiplications, divisions and square roots, which every processor rounds in the
//! same way, and no branch, so that the compiler works on several values at a time. The logarithm
//! and the angle are series on short intervals; the octant of the angle comes from two bits of its
//! word.

use std::f32::consts::{FRAC_PI_4, LN_2};

/// Words that are turned into values together; the first half are radii, the second half angles.
pub(super) const BLOCK: usize = 256;

/// One value for each word; those of a pair stand half a block apart.
pub(super) fn from_words(words: &[u32; BLOCK]) -> [f32; BLOCK] {
    let (radii, angles) = words.split_at(BLOCK / 2);
    let mut values = [0.0; BLOCK];
    let (first, second) = values.split_at_mut(BLOCK / 2);
    for index in 0..BLOCK / 2 {
        (first[index], second[index]) = pair(radii[index], angles[index]);
    }
    values
}

/// Two independent values.
#[inline]
fn pair(radius: u32, angle: u32) -> (f32, f32) {
    // Odd and below 2^31: never 0, and a conversion that vector units have.
    let uniform = ((radius >> 1) | 1) as i32 as f32 * (1.0 / (1u32 << 31) as f32);
    let radius = (-2.0 * ln(uniform)).sqrt();
    // Thirty bits for an angle of at most 45 degrees, the other two for the reflections of it.
    let (sin, cos) = sin_cos((angle as i32 >> 2) as f32 * (FRAC_PI_4 / (1u32 << 29) as f32));
    let cos = f32::from_bits(cos.to_bits() | angle << 31);
    let (first, second) = if angle & 2 == 0 { (cos, sin) } else { (sin, cos) };
    (radius * first, radius * second)
}

/// Natural logarithm of a normal number: `ln(2^k m) = k ln 2 + 2 artanh((m - 1) / (m + 1))` with `m`
/// from `1 / sqrt 2` to `sqrt 2`.
#[inline]
fn ln(x: f32) -> f32 {
    let exponent = x.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits()) as i32 >> 23;
    let mantissa = f32::from_bits(x.to_bits().wrapping_sub((exponent << 23) as u32));
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let series = 1.0 / 5.0 + square * (1.0 / 7.0 + square * (1.0 / 9.0));
    let series = square * (1.0 / 3.0 + square * series);
    exponent as f32 * LN_2 + 2.0 * (ratio + ratio * series)
}

/// Sine and cosine of an angle of at most 45 degrees.
#[inline]
fn sin_cos(angle: f32) -> (f32, f32) {
    let square = angle * angle;
    let sin = -1.0 / 5_040.0 + square * (1.0 / 362_880.0);
    let sin = square * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * sin));
    let cos = 1.0 / 24.0 + square * (-1.0 / 720.0 + square * (1.0 / 40_320.0));
    (angle + angle * sin, 1.0 + square * (-0.5 + square * cos))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pair in 64 bits, from the same uniform number.
    fn reference(radius: u32, angle: u32) -> (f64, f64) {
        let uniform = ((radius >> 1) | 1) as f32 as f64 / f64::from(1u32 << 31);
        let radius = (-2.0 * uniform.ln()).sqrt();
        let (sin, cos) = (f64::from(angle as i32 >> 2) / f64::from(1 << 29)
            * std::f64::consts::FRAC_PI_4)
            .sin_cos();
        let cos = if angle & 1 == 1 { -cos } else { cos };
        if angle & 2 == 0 { (radius * cos, radius * sin) } else { (radius * sin, radius * cos) }
    }

    fn assert_exact(radius: u32, angle: u32) {
        let (found, expected) = (pair(radius, angle), reference(radius, angle));
        let size = expected.0.hypot(expected.1);
        for (found, expected) in [(found.0, expected.0), (found.1, expected.1)] {
            let error = (f64::from(found) - expected).abs();
            assert!(error <= 4e-7 * size, "{radius} {angle}: expected {expected}, found {found}");
        }
    }

    proptest! {
        #[test]
        fn a_pair_is_that_of_box_and_muller(radius: u32, angle: u32, small in 0u32..32) {
            assert_exact(radius, angle);
            assert_exact(radius >> small, angle);
            assert_exact(!(radius >> small), angle);
        }
    }

    #[test]
    fn the_ends_of_both_words_are_finite_numbers() {
        for radius in [0, 1, u32::MAX, 1 << 31, (1 << 31) - 1] {
            for angle in [0, 1, 2, 3, u32::MAX, 1 << 31, (1 << 31) - 1] {
                assert_exact(radius, angle);
            }
        }
        let (largest, _) = pair(0, 0);
        assert!((largest - (62.0 * LN_2).sqrt()).abs() < 1e-5, "{largest}");
    }
}
