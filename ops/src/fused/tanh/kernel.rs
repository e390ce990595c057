//! `tanh` without branches, so that the compiler makes vector instructions of it.
//!
//! ```text
//! 2 |x| = n ln 2 + r,   |r| <= ln(2) / 2
//! p = exp(r) - 1        Taylor's series, so that tiny arguments keep all their digits
//! e = exp(2 |x|) - 1 = 2^n p + (2^n - 1)
//! tanh |x| = e / (e + 2)
//! ```
//!
//! Beyond a bound the quotient is 1 to the last place, so that arguments are cut there and `2^n` stays
//! small. A NaN passes the cut and everything after it.

use rayon::prelude::*;

/// Elements of a task: below it the work is over before another thread wakes up.
const CHUNK: usize = 1 << 16;

/// Replaces every value by its image.
pub(super) fn in_place<T: Copy + Send>(values: &mut [T], map: impl Fn(T) -> T + Sync) {
    let each = |values: &mut [T]| values.iter_mut().for_each(|value| *value = map(*value));
    match values.len() {
        0..=CHUNK => each(values),
        _ => values.par_chunks_mut(CHUNK).for_each(each),
    }
}

macro_rules! tanh {
    ($name:ident, $float:ident, $bits:ty, $mantissa:literal, $bias:literal, $limit:literal,
     $high:literal, $low:literal, [$($term:expr),*]) => {
        /// The tangent of one value.
        #[inline(always)]
        pub(super) fn $name(x: $float) -> $float {
            /// A sum with it is rounded to a whole number, which stands in its last bits.
            const ROUND: $float = 1.5 * (1u64 << $mantissa) as $float;
            const BIAS: $bits = $bias << $mantissa;
            let size = x.abs();
            // Written so that a NaN stays.
            let double = 2.0 * if size > $limit { $limit } else { size };
            let shifted = double * std::$float::consts::LOG2_E + ROUND;
            let n = shifted - ROUND;
            let power = $float::from_bits((shifted.to_bits() << $mantissa).wrapping_add(BIAS));
            let r = (double - n * $high) - n * $low;
            let mut tail: $float = 0.0;
            $(tail = tail * r + $term;)*
            let p = r + r * r * tail;
            let e = power * p + (power - 1.0);
            (e / (e + 2.0)).copysign(x)
        }
    };
}

// Terms of the series are 1 / k!, from the last to 1 / 2!. The upper part of ln 2 has zeros for last
// digits, so that its product with n is exact.
tanh!(
    tanh_f32,
    f32,
    u32,
    23,
    127,
    10.0,
    0.693_145_75,
    1.428_606_8e-6,
    [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5]
);
tanh!(
    tanh_f64,
    f64,
    u64,
    52,
    1023,
    20.0,
    0.693_147_180_559_918_8,
    2.655_752_075_667_970_4e-14,
    [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5
    ]
);
