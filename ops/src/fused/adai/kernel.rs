//! The step on slices: one pass, split into chunks over Rayon's threads.
//!
//! Sums are taken per block of a fixed size and added up in order, so they do not depend on the
//! number of threads.

use std::ops::{Add, Mul, Sub};

use rayon::prelude::*;

use super::AdaiCoefficients;

/// Elements of a task; enough to hide its cost, few enough to share a large tensor evenly.
const CHUNK: usize = 1 << 15;
/// Elements whose five streams stay in the first-level cache between update and sum.
const BLOCK: usize = 1024;
/// Independent partial sums, for vector units.
const LANES: usize = 16;

/// `f32` and `f64`.
pub(super) trait Real:
    Copy + Default + Send + Sync + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    fn from_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn cbrt(self) -> Self;
    fn powf(self, exponent: Self) -> Self;
    /// NaN stays NaN.
    fn clamp(self, min: Self, max: Self) -> Self;
}

macro_rules! real {
    ($($float:ty),*) => {$(
        impl Real for $float {
            #[inline(always)]
            fn from_f64(value: f64) -> Self { value as $float }
            #[inline(always)]
            fn to_f64(self) -> f64 { f64::from(self) }
            #[inline(always)]
            fn div(self, other: Self) -> Self { self / other }
            #[inline(always)]
            fn sqrt(self) -> Self { <$float>::sqrt(self) }
            #[inline(always)]
            fn cbrt(self) -> Self { <$float>::cbrt(self) }
            #[inline(always)]
            fn powf(self, exponent: Self) -> Self { <$float>::powf(self, exponent) }
            #[inline(always)]
            fn clamp(self, min: Self, max: Self) -> Self { <$float>::clamp(self, min, max) }
        }
    )*};
}

real!(f32, f64);

/// The tensors of the step, all of one length.
pub(super) struct Slices<'a, T> {
    pub parameter: &'a mut [T],
    pub gradient: &'a [T],
    pub moment_1: &'a mut [T],
    pub moment_2: &'a mut [T],
    pub correction: &'a mut [T],
}

/// [`AdaiCoefficients`] in the tensors' type.
#[derive(Clone, Copy)]
struct Numbers<T> {
    one: T,
    step_size: T,
    keep: T,
    penalty: T,
    beta_0: T,
    beta_2: T,
    one_minus_beta_2: T,
    epsilon: T,
    inverse_mean: T,
}

/// Makes the step in place and returns `sum(moment_2)`.
pub(super) fn step<T: Real>(slices: Slices<'_, T>, inverse_mean: T, c: &AdaiCoefficients) -> f64 {
    let numbers = Numbers {
        one: T::from_f64(1.0),
        step_size: T::from_f64(c.step_size),
        keep: T::from_f64(c.keep),
        penalty: T::from_f64(c.penalty),
        beta_0: T::from_f64(c.beta_0),
        beta_2: T::from_f64(c.beta_2),
        one_minus_beta_2: T::from_f64(1.0 - c.beta_2),
        epsilon: T::from_f64(c.epsilon),
        inverse_mean,
    };
    // The powers are compiled in, because the usual ones cost nothing.
    match c.dampening {
        1.0 => over_chunks(slices, &numbers, |ratio| ratio, |gain| gain),
        0.5 => over_chunks(slices, &numbers, T::sqrt, T::sqrt),
        0.0 => over_chunks(slices, &numbers, T::cbrt, |_| T::from_f64(1.0)),
        dampening => {
            let (exponent, dampening) = (T::from_f64(c.exponent()), T::from_f64(dampening));
            over_chunks(slices, &numbers, |r| r.powf(exponent), |gain| gain.powf(dampening))
        }
    }
}

fn over_chunks<T: Real>(
    slices: Slices<'_, T>,
    numbers: &Numbers<T>,
    ratio_power: impl Fn(T) -> T + Sync,
    gain_power: impl Fn(T) -> T + Sync,
) -> f64 {
    let Slices { parameter, gradient, moment_1, moment_2, correction } = slices;
    let sums: Vec<f64> = (
        parameter.par_chunks_mut(CHUNK),
        gradient.par_chunks(CHUNK),
        moment_1.par_chunks_mut(CHUNK),
        moment_2.par_chunks_mut(CHUNK),
        correction.par_chunks_mut(CHUNK),
    )
        .into_par_iter()
        .map(|(x, g, m, v, q)| {
            let blocks = x
                .chunks_mut(BLOCK)
                .zip(g.chunks(BLOCK))
                .zip(m.chunks_mut(BLOCK))
                .zip(v.chunks_mut(BLOCK))
                .zip(q.chunks_mut(BLOCK));
            let mut sum = 0.0;
            for ((((x, g), m), v), q) in blocks {
                update(x, g, m, v, q, numbers, &ratio_power, &gain_power);
                sum += lane_sum(v, |value| value);
            }
            sum
        })
        .collect();
    sums.iter().sum()
}

// Eight slices and closures are clearer here than a struct that exists for this one call.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn update<T: Real>(
    x: &mut [T],
    g: &[T],
    m: &mut [T],
    v: &mut [T],
    q: &mut [T],
    numbers: &Numbers<T>,
    ratio_power: impl Fn(T) -> T,
    gain_power: impl Fn(T) -> T,
) {
    let n = *numbers;
    for ((((x, &g), m), v), q) in x.iter_mut().zip(g).zip(m).zip(v).zip(q) {
        let g = g + n.penalty * *x;
        *v = n.beta_2 * *v + n.one_minus_beta_2 * (g * g);
        let ratio = ratio_power(*v * n.inverse_mean);
        let gain = (ratio * n.beta_0).clamp(n.epsilon, n.one);
        let inertia = n.one - gain;
        *q = gain + inertia * *q;
        *m = inertia * *m + gain_power(gain) * g;
        *x = n.keep * *x - n.step_size * m.div(*q);
    }
}

/// `sum((gradient + penalty * parameter)^2)`; without a parameter, of the gradient alone.
pub(super) fn square_sum<T: Real>(gradient: &[T], penalty: Option<(&[T], f64)>) -> f64 {
    let sums: Vec<f64> = match penalty {
        None => gradient
            .par_chunks(CHUNK)
            .map(|g| g.chunks(BLOCK).map(|g| lane_sum(g, |g| g * g)).sum())
            .collect(),
        Some((parameter, penalty)) => {
            let penalty = T::from_f64(penalty);
            gradient
                .par_chunks(CHUNK)
                .zip(parameter.par_chunks(CHUNK))
                .map(|(g, x)| penalized_square_sum(g, x, penalty))
                .collect()
        }
    };
    sums.iter().sum()
}

fn penalized_square_sum<T: Real>(gradient: &[T], parameter: &[T], penalty: T) -> f64 {
    let mut buffer = [T::default(); BLOCK];
    let mut sum = 0.0;
    for (g, x) in gradient.chunks(BLOCK).zip(parameter.chunks(BLOCK)) {
        let buffer = &mut buffer[..g.len()];
        for ((total, &g), &x) in buffer.iter_mut().zip(g).zip(x) {
            *total = g + penalty * x;
        }
        sum += lane_sum(buffer, |g| g * g);
    }
    sum
}

#[inline(always)]
fn lane_sum<T: Real>(values: &[T], f: impl Fn(T) -> T) -> f64 {
    let mut lanes = [T::default(); LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = *lane + f(value);
        }
    }
    let tail: f64 = rest.iter().map(|&value| f(value).to_f64()).sum();
    lanes.iter().map(|lane| lane.to_f64()).sum::<f64>() + tail
}
