//! What all orthogonal layers have in common.

use burn::module::Module;
use burn::tensor::Tensor;

/// A convolution-like layer `[batch, in, height, width] -> [batch, out, height', width']` whose linear part
/// is orthogonal or nearly so.
///
/// Layers of sequences take every row of an image as a sequence; linear layers are wrapped in
/// [`Pointwise`](super::Pointwise).
pub trait OrthogonalLayer: Module {
    /// The linear part and the bias, if there is one.
    fn forward(&self, input: Tensor<4>) -> Tensor<4>;
    /// The linear part alone: `forward` without the bias.
    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4>;
    /// Channels `[input, output]`.
    fn channels(&self) -> [usize; 2];
    /// How the image shrinks, `[height, width]`; 1 for layers that keep its size.
    fn stride(&self) -> [usize; 2];
}
