//! What a step measured.

use burn::tensor::{Int, Tensor};
use serde::Serialize;

/// What the last step measured, read back to the host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AdaiReport {
    /// Mean of the bias-corrected second moment over all elements that had a gradient.
    pub mean: f64,
    /// Share of clamped coordinates, with [`AdaiConfig::count_clamped`](super::AdaiConfig).
    pub clamped: Option<Clamped>,
}

/// Shares of the coordinates whose inertia is at a bound, in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Clamped {
    /// `beta_1 = 0`: plain SGD.
    pub at_zero: f64,
    /// `beta_1 = 1 - epsilon`: as much inertia as allowed.
    pub at_most: f64,
}

/// The same on the device.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    mean: Tensor<1>,
    counts: Option<Counts>,
}

#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub low: Tensor<1, Int>,
    pub high: Tensor<1, Int>,
    pub elements: usize,
}

impl Measured {
    pub fn new(mean: Tensor<1>) -> Self {
        Self { mean, counts: None }
    }

    pub fn mean(&self) -> Tensor<1> {
        self.mean.clone()
    }

    pub fn count(&mut self, new: Counts) {
        self.counts = Some(match self.counts.take() {
            None => new,
            Some(old) => {
                let device = old.low.device();
                Counts {
                    low: old.low + new.low.to_device(&device),
                    high: old.high + new.high.to_device(&device),
                    elements: old.elements + new.elements,
                }
            }
        });
    }

    /// Reads the device.
    pub fn report(self) -> AdaiReport {
        let clamped = self.counts.map(|counts| {
            let share = |count: Tensor<1, Int>| {
                count.into_scalar::<i64>() as f64 / counts.elements.max(1) as f64
            };
            Clamped { at_zero: share(counts.low), at_most: share(counts.high) }
        });
        AdaiReport { mean: self.mean.into_scalar::<f64>(), clamped }
    }
}
