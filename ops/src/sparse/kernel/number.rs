//! `f32` and `f64`.

use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// The float types that have kernels.
pub(in crate::sparse) trait Number:
    Copy
    + Default
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + 'static
{
    const ONE: Self;
    const LEAST: Self;
    fn from_f64(value: f64) -> Self;
    fn exp(self) -> Self;
    /// The larger one; NaN if one of them is.
    fn larger(self, other: Self) -> Self;
}

macro_rules! number {
    ($($float:ty),*) => {$(
        impl Number for $float {
            const ONE: Self = 1.0;
            const LEAST: Self = <$float>::NEG_INFINITY;
            #[inline(always)]
            fn from_f64(value: f64) -> Self { value as $float }
            #[inline(always)]
            fn exp(self) -> Self { <$float>::exp(self) }
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                if other > self || other.is_nan() { other } else { self }
            }
        }
    )*};
}

number!(f32, f64);
