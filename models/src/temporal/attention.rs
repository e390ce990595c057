//! Self-attention over the steps of a sequence, read at its last position.
//!
//! ```text
//! s[t, k] = <q[T, k], k[t, k]> / sqrt(C)        heads k of C columns
//! y = concatenate over k of (sum over t of softmax(s)[t, k] v[t, k]) W_o + b_o
//! ```
//!
//! # References
//! A. Vaswani et al., *Attention Is All You Need*, NeurIPS 2017, section 3.2.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::start::{check_positive, linear};

/// The largest power of two that divides a width and is at most the root of the width, rounded up.
pub fn heads_of(width: usize) -> usize {
    let limit = (width as f64).sqrt().ceil() as usize;
    let mut heads = 1;
    while width.is_multiple_of(2 * heads) && 2 * heads <= limit {
        heads *= 2;
    }
    heads
}

/// Settings of [`AttentionEncoder`].
#[derive(Config, Debug)]
pub struct AttentionEncoderConfig {
    /// Number of inputs of a step.
    pub d_input: usize,
    /// Width of the result.
    pub d_hidden: usize,
    /// Number of heads; by default [`heads_of`] the width.
    pub heads: Option<usize>,
}

impl AttentionEncoderConfig {
    /// Creates the encoder.
    ///
    /// # Panics
    /// If a size is zero, or the heads do not divide the width.
    pub fn init(&self, device: &Device) -> AttentionEncoder {
        let Self { d_input, d_hidden, .. } = *self;
        let heads = self.heads.unwrap_or_else(|| heads_of(d_hidden));
        let sizes = [("d_input", d_input), ("d_hidden", d_hidden), ("heads", heads)];
        check_positive("AttentionEncoderConfig", &sizes);
        assert!(
            d_hidden.is_multiple_of(heads),
            "AttentionEncoderConfig: heads must divide d_hidden, got {heads} and {d_hidden}"
        );
        let square = || linear(d_hidden, d_hidden, true, device);
        AttentionEncoder {
            input: (d_input != d_hidden).then(|| linear(d_input, d_hidden, false, device)),
            query: square(),
            key: square(),
            value: square(),
            output: square(),
            heads,
        }
    }
}

/// Self-attention of a sequence's last position to all; it does not see the order of the others.
#[derive(Module, Debug)]
pub struct AttentionEncoder {
    /// To the width of the result, where the inputs have another.
    pub input: Option<Linear>,
    /// Queries.
    pub query: Linear,
    /// Keys.
    pub key: Linear,
    /// Values.
    pub value: Linear,
    /// From the heads side by side.
    pub output: Linear,
    #[module(skip)]
    heads: usize,
}

impl AttentionEncoder {
    /// Applies the encoder.
    ///
    /// # Shapes
    /// - x: `[rows, steps, d_input]`
    /// - mask: `[rows, steps]`, 0 at steps that are not attended to
    /// - output: `[rows, d_hidden]`
    ///
    /// # Panics
    /// If a shape disagrees or there is no step.
    pub fn forward(&self, x: Tensor<3>, mask: Option<Tensor<2>>) -> Tensor<2> {
        let [rows, steps, inputs] = x.dims();
        let [_, width] = self.query.weight.val().dims();
        let expected = self.input.as_ref().map_or(width, |input| input.weight.val().dims()[0]);
        assert!(
            inputs == expected && steps > 0,
            "AttentionEncoder: x must be [rows, steps, {expected}] with at least one step, got {:?}",
            x.dims()
        );
        if rows == 0 {
            return Tensor::zeros([0, width], (&x.device(), x.dtype()));
        }
        let x = x.reshape([rows * steps, inputs]);
        let x = self.input.iter().fold(x, |x, input| input.forward(x));
        let channels = width / self.heads;
        let last = x.clone().reshape([rows, steps, width]).narrow(1, steps - 1, 1);
        let query = self.query.forward(last.reshape([rows, width]));
        let query: Tensor<4> = query.reshape([rows, 1, self.heads, channels]);
        let of_steps =
            |layer: &Linear| layer.forward(x.clone()).reshape([rows, steps, self.heads, channels]);
        let scores = (of_steps(&self.key) * query).sum_dim(3) * (1.0 / (channels as f64).sqrt());
        let scores = match mask {
            None => scores,
            Some(mask) => {
                // Far below any score, and finite in every float type.
                let blocked = (mask - 1.0) * 1e4;
                scores + blocked.reshape([rows, steps, 1, 1])
            }
        };
        let summed = (softmax(scores, 1) * of_steps(&self.value)).sum_dim(1);
        self.output.forward(summed.reshape([rows, width]))
    }
}
