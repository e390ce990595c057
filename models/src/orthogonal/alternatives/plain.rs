//! Layers that nothing keeps orthogonal.
//!
//! A free kernel with the circular padding of the orthogonal layers, and a free matrix: what they are to
//! be compared with in the same network.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{init, ring};
use crate::orthogonal::{OrthogonalLayer, OrthogonalMatrix, bias};

/// How the weights of a plain layer start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlainStart {
    /// Uniform within `1 / sqrt(fan-in)`, as Burn's and PyTorch's own layers: each layer shrinks noise by
    /// `1 / sqrt(3)`.
    #[default]
    Uniform,
    /// Normal with variance `2 / fan-in` (He et al., 2015), which keeps norms through ReLU on average.
    He,
}

impl PlainStart {
    fn draw(self, count: usize, fan_in: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        match self {
            Self::Uniform => init::uniform(count, 1.0 / (fan_in as f64).sqrt(), rng),
            Self::He => {
                let deviation = (2.0 / fan_in as f64).sqrt();
                init::normal(count, rng).into_iter().map(|value| deviation * value).collect()
            }
        }
    }
}

/// Settings of [`PlainConv2d`].
#[derive(Config, Debug)]
pub struct PlainConv2dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: usize,
    /// Stride in both directions.
    #[config(default = 1)]
    pub stride: usize,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// The start.
    #[config(default = "PlainStart::Uniform")]
    pub start: PlainStart,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl PlainConv2dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a size is zero, or the stride is larger than the kernel.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> PlainConv2d {
        let options = &options.into();
        init::assert_channels("PlainConv2dConfig", self.channels);
        init::assert_kernel("PlainConv2dConfig", self.kernel_size);
        let k = self.kernel_size;
        assert!(
            (1..=k).contains(&self.stride),
            "PlainConv2dConfig: stride must be from 1 to the kernel size {k}, got {}",
            self.stride
        );
        let mut rng = init::stream(self.seed, options);
        let [inputs, outputs] = self.channels;
        let fan_in = inputs * k * k;
        let weight = self.start.draw(outputs * fan_in, fan_in, &mut rng);
        PlainConv2d {
            weight: init::parameter(weight, [outputs, inputs, k, k], options),
            bias: init::bias(self.bias, outputs, options),
            stride: self.stride,
        }
    }
}

/// A convolution on a ring with a free kernel.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalLayer;
/// use firebrick_models::orthogonal::alternatives::PlainConv2dConfig;
///
/// let device = Device::flex();
/// let layer = PlainConv2dConfig::new([4, 8], 4).with_stride(2).init(&device);
/// assert_eq!(layer.forward(Tensor::ones([2, 4, 6, 6], &device)).dims(), [2, 8, 3, 3]);
/// ```
#[derive(Module, Debug)]
pub struct PlainConv2d {
    /// The kernel, `[output, input, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    stride: usize,
}

impl OrthogonalLayer for PlainConv2d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.bias.as_ref())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        let [.., kernel] = self.weight.dims();
        ring(kernel, self.stride, 1, 1).apply("PlainConv2d", input, self.weight.val())
    }

    fn channels(&self) -> [usize; 2] {
        let [outputs, inputs, ..] = self.weight.dims();
        [inputs, outputs]
    }

    fn stride(&self) -> [usize; 2] {
        [self.stride; 2]
    }
}

/// Settings of [`PlainLinear`].
#[derive(Config, Debug)]
pub struct PlainLinearConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// The start.
    #[config(default = "PlainStart::Uniform")]
    pub start: PlainStart,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl PlainLinearConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a number of features is zero.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> PlainLinear {
        let options = &options.into();
        let (inputs, outputs) = (self.d_input, self.d_output);
        init::assert_channels("PlainLinearConfig", [inputs, outputs]);
        let mut rng = init::stream(self.seed, options);
        let weight = self.start.draw(outputs * inputs, inputs, &mut rng);
        PlainLinear {
            weight: init::parameter(weight, [outputs, inputs], options),
            bias: init::bias(self.bias, outputs, options),
        }
    }
}

/// A linear layer with a free matrix, `y = W x + b`.
#[derive(Module, Debug)]
pub struct PlainLinear {
    /// The matrix, `[d_output, d_input]`.
    pub weight: Param<Tensor<2>>,
    /// The bias, `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl OrthogonalMatrix for PlainLinear {
    fn matrix(&self) -> Tensor<2> {
        self.weight.val()
    }

    fn features(&self) -> [usize; 2] {
        let [outputs, inputs] = self.weight.dims();
        [inputs, outputs]
    }

    fn bias(&self) -> Option<&Param<Tensor<1>>> {
        self.bias.as_ref()
    }
}
