//! Exponential, sigmoid and hyperbolic tangent of vectors, to about one unit in the last place or two.

use faer::traits::pulp::Simd;

/// `exp(x)` with `x` brought to the range in which the result is a normal number; NaN stays NaN.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |value| simd.splat_f32s(value);
    // Of two operands the second comes back if one is NaN.
    let x = simd.max_f32s(splat(-87.0), simd.min_f32s(splat(88.0), x));
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the last bits.
    let shift = splat(12_582_912.0);
    let shifted = simd.mul_add_f32s(x, splat(std::f32::consts::LOG2_E), shift);
    let whole = simd.sub_f32s(shifted, shift);
    // ln 2 in two parts, the first with few digits so that its product is exact.
    let rest = simd.mul_add_f32s(whole, splat(-0.693_359_4), x);
    let rest = simd.mul_add_f32s(whole, splat(2.121_944_4e-4), rest);
    let polynomial = [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let mut sum = splat(1.987_569_1e-4);
    for coefficient in polynomial {
        sum = simd.mul_add_f32s(sum, rest, splat(coefficient));
    }
    let sum = simd.mul_add_f32s(sum, simd.mul_f32s(rest, rest), rest);
    let sum = simd.add_f32s(sum, splat(1.0));
    let bits = simd.transmute_u32s_f32s(shifted);
    let bits = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    let power = simd.add_u32s(bits, simd.splat_u32s(0x3f80_0000));
    simd.mul_f32s(sum, simd.transmute_f32s_u32s(power))
}

/// `1 / (1 + exp(-x))`
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// A polynomial near 0, where `1 - 2 / (exp(2 x) + 1)` loses its leading digits, and that elsewhere.
#[inline(always)]
pub(super) fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |value| simd.splat_f32s(value);
    let square = simd.mul_f32s(x, x);
    let mut sum = splat(-5.704_988_7e-3);
    for coefficient in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        sum = simd.mul_add_f32s(sum, square, splat(coefficient));
    }
    let near = simd.mul_add_f32s(simd.mul_f32s(sum, square), x, x);
    let growth = simd.add_f32s(exp(simd, simd.add_f32s(x, x)), splat(1.0));
    let far = simd.sub_f32s(splat(1.0), simd.div_f32s(splat(2.0), growth));
    simd.select_f32s(simd.less_than_f32s(simd.abs_f32s(x), splat(0.625)), near, far)
}
