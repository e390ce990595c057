//! The pass on Flex's 32-bit tensors.

use burn::backend::DType;
use burn::backend::tensor::FloatTensor;
use burn_flex::Flex;
use rayon::prelude::*;

use super::{SigmoidBackend, composed};
use crate::vectorized::vectorized;

/// Elements below which starting other threads costs more than it gains.
const SMALL: usize = 1 << 16;
/// Independent partial sums, for vector units.
const LANES: usize = 16;

impl SigmoidBackend for Flex {
    fn sigmoid_rows(logits: FloatTensor<Self>) -> FloatTensor<Self> {
        if logits.dtype() != DType::F32 {
            return composed::<Self>(logits);
        }
        // Consumed, so that a tensor which needs no copy is not counted as shared; the storage is
        // copied if another tensor holds it.
        let mut tensor = logits.to_contiguous();
        let columns = tensor.layout().shape()[1].max(1);
        let values = tensor.storage_mut::<f32>();
        match values.len() > SMALL && rayon::current_num_threads() > 1 {
            true => values.par_chunks_mut(columns).for_each(row),
            false => values.chunks_mut(columns).for_each(row),
        }
        tensor
    }
}

fn row(values: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            values.iter_mut().for_each(|value| *value = sigmoid(*value));
            let mut sums = [0.0; LANES];
            let (whole, rest) = values.as_chunks::<LANES>();
            for chunk in whole {
                sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
            }
            let sum = sums.iter().chain(rest).sum::<f32>();
            if sum != 0.0 {
                let scale = 1.0 / sum;
                values.iter_mut().for_each(|value| *value *= scale);
            }
        },
    );
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `exp(x) = 2^n exp(r)` with `n` the nearest integer to `x / ln 2`; of `x` below -87 and above 88,
/// where `f32` ends, that of the bound.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added to a small number, it leaves the nearest integer in the last bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    /// `ln 2` in two parts, so that `n` times the first is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // A NaN stays one.
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    // Taylor's series to the sixth power: the rest is below 1.2e-7 of the value at |r| <= ln 2 / 2.
    let mut series = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * r + coefficient;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    series * power
}
