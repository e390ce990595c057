//! A small convolutional network for small images.
//!
//! ```text
//! [conv 3x3, relu, max-pool 2x2] x 2 -> linear, relu -> linear
//! ```
//!
//! Trains within seconds on a CPU on 8x8 digits and has enough parameters to memorize a few
//! thousand images, which is what experiments on label noise need.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::classifier::Classifier;

/// Settings of [`SmallCnn`].
#[derive(Config, Debug)]
pub struct SmallCnnConfig {
    /// Channels, height and width of the images; height and width at least 4.
    pub image_shape: [usize; 3],
    /// Number of classes.
    pub num_classes: usize,
    /// Output channels of the two convolutions.
    #[config(default = "[32, 64]")]
    pub channels: [usize; 2],
    /// Width of the hidden linear layer.
    #[config(default = 128)]
    pub hidden: usize,
}

impl SmallCnnConfig {
    /// Creates the network on `device`.
    ///
    /// # Panics
    /// If a size is zero, or the images are smaller than 4x4.
    pub fn init(&self, device: &Device) -> SmallCnn {
        let [channels, height, width] = self.image_shape;
        assert!(
            height >= 4 && width >= 4,
            "SmallCnnConfig: images must be at least 4x4, got {height}x{width}"
        );
        let [first, second] = self.channels;
        let sizes = [channels, first, second, self.hidden, self.num_classes];
        assert!(
            !sizes.contains(&0),
            "SmallCnnConfig: channels, hidden and num_classes must be positive, got {sizes:?}"
        );
        let conv = |from, to| {
            Conv2dConfig::new([from, to], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        let features = second * (height / 4) * (width / 4);
        SmallCnn {
            conv1: conv(channels, first),
            conv2: conv(first, second),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            hidden: LinearConfig::new(features, self.hidden).init(device),
            output: LinearConfig::new(self.hidden, self.num_classes).init(device),
        }
    }
}

/// A small convolutional network; see [`SmallCnnConfig`].
#[derive(Module, Debug)]
pub struct SmallCnn {
    /// First convolution.
    pub conv1: Conv2d,
    /// Second convolution.
    pub conv2: Conv2d,
    /// Pooling after each convolution.
    pub pool: MaxPool2d,
    /// Hidden linear layer.
    pub hidden: Linear,
    /// Output layer.
    pub output: Linear,
}

impl SmallCnn {
    /// Applies the network.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]` of the configured shape
    /// - output: `[batch, num_classes]`
    ///
    /// # Panics
    /// If the images have another shape.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let [_, channels, ..] = self.conv1.weight.dims();
        assert_shape!(images, [_, channels, _, _]);
        let x = self.pool.forward(relu(self.conv1.forward(images)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = relu(self.hidden.forward(x.flatten::<2>(1, 3)));
        self.output.forward(x)
    }
}

impl Classifier<4> for SmallCnn {
    fn logits(&self, inputs: Tensor<4>) -> Tensor<2> {
        self.forward(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_logits_for_odd_sizes_and_a_batch_of_one() {
        let device = Device::flex();
        for (shape, batch) in [([1, 8, 8], 3), ([3, 28, 28], 1), ([2, 5, 7], 2)] {
            let network = SmallCnnConfig::new(shape, 10).init(&device);
            let [c, h, w] = shape;
            let logits = network.forward(Tensor::ones([batch, c, h, w], &device));
            assert_eq!(logits.dims(), [batch, 10]);
        }
    }

    #[test]
    #[should_panic(expected = "images must be at least 4x4, got 3x8")]
    fn refuses_images_that_pooling_would_empty() {
        SmallCnnConfig::new([1, 3, 8], 10).init(&Device::flex());
    }
}
