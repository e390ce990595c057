//! Orthogonal convolution of sequences: one axis of [`OrthogonalConv2d`].
//!
//! ```text
//! y = W * x + b,   W[:, :, j] = F[j]
//! ```
//!
//! with the taps `F` of one paraunitary filter. In one dimension this covers all orthogonal
//! convolutions of the given ranks.
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022, sections 2 and 3; P. Vaidyanathan, *Multirate Systems and Filter Banks*,
//! 1993, chapter 14.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::{Tensor, TensorCreationOptions};
use firebrick_ops::skew::Retraction;

#[cfg(doc)]
use super::OrthogonalConv2d;
use super::bias;
use super::filter::Order;
use super::geometry::Geometry;
use super::kernel::{KernelSettings, OrthogonalKernel};
use super::parameters::{self, ImportLayout, ParameterSlot, ParameterTable};
use super::{Composition, Initialization, OrthogonalLayer, OrthogonalPadding, Ranks};
use crate::ModelError;

/// Settings of [`OrthogonalConv1d`].
#[derive(Config, Debug)]
pub struct OrthogonalConv1dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Length of the kernel; any, also even, and longer than the sequence.
    pub kernel_size: usize,
    /// Steps between windows.
    #[config(default = "1")]
    pub stride: usize,
    /// Distance of the taps; 1 with a stride.
    #[config(default = "1")]
    pub dilation: usize,
    /// Number of groups of channels, each with a kernel of its own.
    #[config(default = "1")]
    pub groups: usize,
    /// What lies beyond the border; explicit padding is `Explicit([0, size])`.
    #[config(default = "OrthogonalPadding::Circular")]
    pub padding: OrthogonalPadding,
    /// Whether to add a bias, which starts at zero.
    #[config(default = false)]
    pub bias: bool,
    /// From free parameters to orthogonal matrices.
    #[config(default = "Retraction::Exponential")]
    pub retraction: Retraction,
    /// The start.
    #[config(default = "Initialization::Auto")]
    pub initialization: Initialization,
    /// Ranks of the projections.
    #[config(default = "Ranks::Half")]
    pub ranks: Ranks,
    /// What to do with kernels that are not a multiple of the stride.
    #[config(default = "Composition::Strict")]
    pub composition: Composition,
    /// Seed of the start; by default it is drawn from the device, as Burn's layers do.
    pub seed: Option<u64>,
}

const NAME: &str = "OrthogonalConv1d";

impl OrthogonalConv1dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a number is zero; channels are not divisible by groups; the kernel size is below the stride,
    /// or not a multiple of it under [`Composition::Strict`]; stride and dilation both exceed 1; a rank
    /// exceeds the size of the filter; the initialization needs an odd number of taps; or explicit padding
    /// has a height.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> OrthogonalConv1d {
        let options = options.into();
        let settings = KernelSettings {
            name: "OrthogonalConv1dConfig",
            channels: self.channels,
            kernel: [1, self.kernel_size],
            stride: [1, self.stride],
            dilation: [1, self.dilation],
            groups: self.groups,
            two_dimensional: false,
            order: Order::Convolution,
            retraction: self.retraction,
            initialization: self.initialization,
            composition: self.composition,
            ranks: &self.ranks,
            seed: self.seed,
        };
        let numbers = [self.kernel_size, self.stride, self.dilation];
        let name = settings.name;
        let geometry = Geometry::of_sequences(name, numbers, self.groups, self.padding);
        OrthogonalConv1d {
            kernel: settings.init(&options),
            bias: self.bias.then(|| bias::zeros(self.channels[1], &options)),
            channels: self.channels,
            geometry,
        }
    }
}

/// Orthogonal convolution of sequences: one axis of [`OrthogonalConv2d`](super::OrthogonalConv2d).
///
/// ```text
/// y = W * x + b,   W[:, :, j] = F[j]
/// ```
///
/// with the taps `F` of one paraunitary filter ([`ParaunitaryFilter`](super::ParaunitaryFilter)).
///
/// # Example
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use firebrick_models::orthogonal::OrthogonalConv1dConfig;
///
/// let device = Device::flex();
/// let layer = OrthogonalConv1dConfig::new([2, 6], 6).with_stride(3).init(&device);
/// let input = Tensor::<3>::random([2, 2, 12], Distribution::Default, &device);
/// let output = layer.forward(input.clone());
/// assert_eq!(output.dims(), [2, 6, 4]);
/// let error = (layer.inverse(output) - input).abs().max().into_scalar::<f32>();
/// assert!(error < 1e-5);
/// ```
///
/// # Notes
/// - Weight decay must be off for the free parameters: it would pull them to their bases.
/// - In evaluation the kernel is composed once and kept; while parameters require gradients every
///   [`kernel`](Self::kernel) composes it. A layer that is applied several times in a training step
///   should compose once and call [`forward_with`](Self::forward_with).
/// - Kernels are composed in 32 bits at least, whatever the parameters are stored in. Matrix products
///   in reduced precision (TF32) spoil the orthogonality to 1e-3.
///
/// # References
/// J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
/// Framework*, ICML 2022, sections 2 and 3.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct OrthogonalConv1d {
    /// The kernel with its free parameters.
    kernel: OrthogonalKernel,
    /// Bias, `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    channels: [usize; 2],
    #[module(skip)]
    geometry: Geometry,
}

impl OrthogonalConv1d {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - input: `[batch, in, length]`
    /// - output: `[batch, out, length']`, with `length' = length / stride` under circular
    ///   padding; others are listed at [`OrthogonalPadding`]
    ///
    /// # Panics
    /// If the input has other channels, or (unless padding is explicit) a size that is not a multiple of
    /// the stride.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        self.forward_with(self.kernel(), input)
    }

    /// As [`forward`](Self::forward) with a kernel from [`kernel`](Self::kernel).
    ///
    /// # Shapes
    /// - kernel: `[out, in / groups, length]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with(&self, kernel: Tensor<3>, input: Tensor<3>) -> Tensor<3> {
        let output = self.geometry.apply(NAME, flat(input), flat(kernel)).squeeze_dim::<3>(2);
        bias::added(output, self.bias.as_ref())
    }

    /// The composed kernel, `[out, in / groups, length]`.
    pub fn kernel(&self) -> Tensor<3> {
        self.kernel.weights().squeeze_dim(2)
    }

    /// The adjoint `J^T (y - b)`; `y` loses its bias first.
    ///
    /// # Shapes
    /// - output: as [`forward`](Self::forward) gives it
    /// - result: `[batch, in, length]`
    ///
    /// # Panics
    /// If the output has other channels or a size that no image gives.
    pub fn adjoint(&self, output: Tensor<3>) -> Tensor<3> {
        let output = bias::removed(output, self.bias.as_ref());
        self.geometry.adjoint(NAME, flat(output), self.kernel.weights()).squeeze_dim(2)
    }

    /// The input that gives this output: the adjoint, where the layer keeps norms.
    ///
    /// # Shapes
    /// - output: `[batch, out, length']`
    /// - result: `[batch, in, length]`
    ///
    /// # Panics
    /// If there is no inverse: the layer loses channels (`out` below `in * stride`), or the padding is
    /// not circular. Use [`adjoint`](Self::adjoint) there, which is the right inverse or none.
    pub fn inverse(&self, output: Tensor<3>) -> Tensor<3> {
        let [inputs, outputs] = self.channels;
        let stride = self.geometry.stride[1];
        assert!(
            outputs >= inputs * stride,
            "{NAME}: there is no inverse with {outputs} output channels below {} (input channels times \
             stride); use adjoint, the right inverse",
            inputs * stride
        );
        assert!(
            self.geometry.padding == OrthogonalPadding::Circular,
            "{NAME}: there is no inverse under {:?} padding; use adjoint",
            self.geometry.padding
        );
        self.adjoint(output)
    }

    /// Pads the sequence as the layer does before it convolves; the identity unless padding is circular.
    pub fn pad(&self, input: Tensor<3>) -> Tensor<3> {
        self.geometry.pad(flat(input)).squeeze_dim(2)
    }

    /// A plain convolution of Burn with the composed kernel: `layer.forward(x)` is
    /// `layer.to_conv1d().forward(layer.pad(x))`.
    ///
    /// Its weights are no longer orthogonal after training.
    pub fn to_conv1d(&self) -> Conv1d {
        let kernel = self.kernel().detach();
        let [_, (left, right)] = self.geometry.zeros();
        let mut plain =
            Conv1dConfig::new(self.channels[0], self.channels[1], self.geometry.kernel[1])
                .with_stride(self.geometry.stride[1])
                .with_dilation(self.geometry.dilation[1])
                .with_groups(self.geometry.groups)
                .with_padding(PaddingConfig1d::Explicit(left, right))
                .with_bias(false)
                .init(&kernel.device());
        plain.weight = Param::from_tensor(kernel);
        plain.bias = self.bias.as_ref().map(|bias| Param::from_tensor(bias.val().detach()));
        plain
    }

    /// The kernel's parameters and the count of compositions.
    pub fn parameters(&self) -> &OrthogonalKernel {
        &self.kernel
    }

    /// Every matrix of the main filter by the authors' names.
    pub fn slots(&self) -> Vec<ParameterSlot> {
        parameters::slots(self.kernel.main().plan())
    }

    /// Free parameters and bases by name.
    pub fn export(&self) -> ParameterTable {
        self.kernel.export()
    }

    /// With free parameters and bases, or with matrices, from a table.
    ///
    /// # Errors
    /// [`ModelError::MissingMatrix`], [`ModelError::MatrixShape`], [`ModelError::NotFinite`], or
    /// [`ModelError::NotOrthonormal`] if a base or a matrix is not orthonormal to 1e-4; below that it is
    /// made so.
    pub fn import(self, table: &ParameterTable, layout: &ImportLayout) -> Result<Self, ModelError> {
        Ok(Self { kernel: self.kernel.import(table, layout)?, ..self })
    }
}

/// A sequence or its kernel as an image of height 1.
pub(super) fn flat(tensor: Tensor<3>) -> Tensor<4> {
    tensor.unsqueeze_dim(2)
}

/// On images every row is a sequence.
impl OrthogonalLayer for OrthogonalConv1d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.bias.as_ref())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        self.geometry.apply(NAME, input, self.kernel.weights())
    }

    fn channels(&self) -> [usize; 2] {
        self.channels
    }

    fn stride(&self) -> [usize; 2] {
        self.geometry.stride
    }
}

impl ModuleDisplay for OrthogonalConv1d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        self.geometry.display(content, self.channels, self.bias.is_some()).optional()
    }
}
