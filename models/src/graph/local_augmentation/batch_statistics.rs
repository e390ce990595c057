//! Normalization of every column by the statistics of the batch at hand, always.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

const EPSILON: f64 = 1e-5;

/// Batch normalization without running statistics.
///
/// ```text
/// y = gamma (x - mean(x)) / sqrt(var(x) + 1e-5) + beta        mean and biased variance per column
/// ```
///
/// # Notes
/// The authors' large-graph generator never leaves training mode, so it generates with the
/// statistics of the whole node set; so does this one.
#[derive(Module, Debug)]
pub struct BatchStatistics {
    /// Scale, `[columns]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[columns]`.
    pub beta: Param<Tensor<1>>,
}

impl BatchStatistics {
    /// Scale 1 and shift 0.
    pub(super) fn new(columns: usize, device: &Device) -> Self {
        Self {
            gamma: Param::from_tensor(Tensor::ones([columns], device)),
            beta: Param::from_tensor(Tensor::zeros([columns], device)),
        }
    }

    /// Normalizes the columns.
    ///
    /// # Shapes
    /// - input: `[batch, columns]`
    /// - output: `[batch, columns]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let centered = input.clone() - input.mean_dim(0);
        let variance = centered.clone().square().mean_dim(0);
        let unit = centered / (variance + EPSILON).sqrt();
        unit * self.gamma.val().unsqueeze() + self.beta.val().unsqueeze()
    }
}
