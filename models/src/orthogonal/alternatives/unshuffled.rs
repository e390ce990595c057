//! A stride for layers that have none: pixels become channels first.
//!
//! `[b, c, h, w] -> [b, c f^2, h / f, w / f]`, which permutes entries, and then the layer: orthogonal if the
//! layer is. Its kernel covers `f` times as many pixels as its size says.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use crate::lipschitz::pixel_unshuffle;
use crate::orthogonal::OrthogonalLayer;

/// A layer behind [`pixel_unshuffle`].
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalLayer;
/// use firebrick_models::orthogonal::alternatives::{BcopConv2dConfig, Unshuffled};
///
/// let device = Device::flex();
/// let layer = Unshuffled::new(BcopConv2dConfig::new([8, 4], 3).init(&device), 2);
/// assert_eq!(layer.channels(), [2, 4]);
/// assert_eq!(layer.forward(Tensor::ones([1, 2, 6, 6], &device)).dims(), [1, 4, 3, 3]);
/// ```
#[derive(Module, Debug)]
pub struct Unshuffled<L: Module> {
    /// The layer on the smaller image.
    pub layer: L,
    factor: usize,
}

impl<L: OrthogonalLayer + ModuleDisplay> Unshuffled<L> {
    /// The layer with `factor x factor` pixels as one.
    ///
    /// # Panics
    /// If the factor is zero, or its square does not divide the layer's input channels.
    pub fn new(layer: L, factor: usize) -> Self {
        let [inputs, _] = layer.channels();
        assert!(
            factor > 0 && inputs.is_multiple_of(factor * factor),
            "Unshuffled: the layer's input channels must be a multiple of factor^2, got {inputs} and \
             factor {factor}"
        );
        Self { layer, factor }
    }

    fn rearranged(&self, input: Tensor<4>) -> Tensor<4> {
        if self.factor == 1 { input } else { pixel_unshuffle(input, self.factor) }
    }
}

impl<L: OrthogonalLayer + ModuleDisplay> OrthogonalLayer for Unshuffled<L> {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.layer.forward(self.rearranged(input))
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        self.layer.forward_linear(self.rearranged(input))
    }

    fn channels(&self) -> [usize; 2] {
        let [inputs, outputs] = self.layer.channels();
        [inputs / (self.factor * self.factor), outputs]
    }

    fn stride(&self) -> [usize; 2] {
        self.layer.stride().map(|stride| stride * self.factor)
    }
}
