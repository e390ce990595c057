//! Orthogonal convolution of images.
//!
//! ```text
//! y = W * x + b,   W[:, :, h, w] = F_w[w] F_h[h]
//! ```
//!
//! with the taps `F` of one paraunitary filter per axis ([`ParaunitaryFilter`]). Under circular padding
//! all singular values of `x -> W * x` are 1 for every value of the free parameters, on images of any
//! size: norms of inputs are kept where no channels are lost, norms of gradients where none are added.
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022, sections 2 and 3, algorithms 1 and 2.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Tensor, TensorCreationOptions};
use firebrick_ops::skew::Retraction;

#[cfg(doc)]
use super::ParaunitaryFilter;
use super::bias;
use super::filter::Order;
use super::geometry::Geometry;
use super::kernel::{KernelSettings, OrthogonalKernel};
use super::parameters::{self, ImportLayout, ParameterSlot, ParameterTable};
use super::{Composition, Initialization, OrthogonalLayer, OrthogonalPadding, Ranks};
use crate::ModelError;

/// Settings of [`OrthogonalConv2d`].
#[derive(Config, Debug)]
pub struct OrthogonalConv2dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernel; any, also even, and larger than the image.
    pub kernel_size: [usize; 2],
    /// Steps between windows.
    #[config(default = "[1, 1]")]
    pub stride: [usize; 2],
    /// Distance of the taps; 1 on an axis with a stride.
    #[config(default = "[1, 1]")]
    pub dilation: [usize; 2],
    /// Number of groups of channels, each with a kernel of its own.
    #[config(default = "1")]
    pub groups: usize,
    /// What lies beyond the border.
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

const NAME: &str = "OrthogonalConv2d";

impl OrthogonalConv2dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a number is zero; channels are not divisible by groups; the kernel size is below the stride,
    /// or not a multiple of it under [`Composition::Strict`]; stride and dilation both exceed 1 on an
    /// axis; a rank exceeds the size of the filter; or the initialization needs an odd number of taps.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> OrthogonalConv2d {
        let options = options.into();
        let settings = KernelSettings {
            name: "OrthogonalConv2dConfig",
            channels: self.channels,
            kernel: self.kernel_size,
            stride: self.stride,
            dilation: self.dilation,
            groups: self.groups,
            two_dimensional: true,
            order: Order::Convolution,
            retraction: self.retraction,
            initialization: self.initialization,
            composition: self.composition,
            ranks: &self.ranks,
            seed: self.seed,
        };
        let geometry = Geometry {
            kernel: self.kernel_size,
            stride: self.stride,
            dilation: self.dilation,
            groups: self.groups,
            padding: self.padding,
        };
        OrthogonalConv2d {
            kernel: settings.init(&options),
            bias: self.bias.then(|| bias::zeros(self.channels[1], &options)),
            channels: self.channels,
            geometry,
        }
    }
}

/// Orthogonal convolution of images.
///
/// ```text
/// y = W * x + b,   W[:, :, h, w] = F_w[w] F_h[h]
/// ```
///
/// with the taps `F` of one paraunitary filter per axis ([`ParaunitaryFilter`](super::ParaunitaryFilter)).
/// Under circular padding all singular values of `x -> W * x` are 1 for every value of the free
/// parameters, on images of any size: norms of inputs are kept where no channels are lost
/// (`out >= in * stride^2`), norms of gradients where none are added.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use firebrick_models::orthogonal::OrthogonalConv2dConfig;
///
/// let device = Device::flex();
/// let layer = OrthogonalConv2dConfig::new([4, 8], [3, 3]).init(&device);
/// let images = Tensor::<4>::random([2, 4, 6, 6], Distribution::Default, &device);
/// let output = layer.forward(images.clone());
/// let norm = |x: Tensor<4>| x.powi_scalar(2).sum().sqrt().into_scalar::<f32>();
/// assert!((norm(output.clone()) / norm(images.clone()) - 1.0).abs() < 1e-5);
/// let back = layer.inverse(output);
/// assert!(norm(back - images) < 1e-4);
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
/// Framework*, ICML 2022, sections 2 and 3, algorithms 1 and 2.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct OrthogonalConv2d {
    /// The kernel with its free parameters.
    kernel: OrthogonalKernel,
    /// Bias, `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    channels: [usize; 2],
    #[module(skip)]
    geometry: Geometry,
}

impl OrthogonalConv2d {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - input: `[batch, in, height, width]`
    /// - output: `[batch, out, height', width']`, with `height' = height / stride` under circular
    ///   padding; others are listed at [`OrthogonalPadding`]
    ///
    /// # Panics
    /// If the input has other channels, or (unless padding is explicit) a size that is not a multiple of
    /// the stride.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_with(self.kernel(), input)
    }

    /// As [`forward`](Self::forward) with a kernel from [`kernel`](Self::kernel).
    ///
    /// # Shapes
    /// - kernel: `[out, in / groups, height, width]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with(&self, kernel: Tensor<4>, input: Tensor<4>) -> Tensor<4> {
        let output = self.geometry.apply(NAME, input, kernel);
        bias::added(output, self.bias.as_ref())
    }

    /// The composed kernel, `[out, in / groups, height, width]`.
    pub fn kernel(&self) -> Tensor<4> {
        self.kernel.weights()
    }

    /// The adjoint `J^T (y - b)`; `y` loses its bias first.
    ///
    /// # Shapes
    /// - output: as [`forward`](Self::forward) gives it
    /// - result: `[batch, in, height, width]`
    ///
    /// # Panics
    /// If the output has other channels or a size that no image gives.
    pub fn adjoint(&self, output: Tensor<4>) -> Tensor<4> {
        let output = bias::removed(output, self.bias.as_ref());
        self.geometry.adjoint(NAME, output, self.kernel())
    }

    /// The adjoint of the linear part, `J^T v`, with a kernel from [`kernel`](Self::kernel): the bias plays
    /// no part.
    ///
    /// # Shapes
    /// - cotangent: as [`forward`](Self::forward) gives it
    /// - result: `[batch, in, height, width]`
    ///
    /// # Panics
    /// As [`adjoint`](Self::adjoint).
    pub fn pullback_with(&self, kernel: Tensor<4>, cotangent: Tensor<4>) -> Tensor<4> {
        self.geometry.adjoint(NAME, cotangent, kernel)
    }

    /// The input that gives this output: the adjoint, where the layer keeps norms.
    ///
    /// # Shapes
    /// - output: `[batch, out, height', width']`
    /// - result: `[batch, in, height, width]`
    ///
    /// # Panics
    /// If there is no inverse: the layer loses channels (`out` below `in * stride^2`), or the padding is
    /// not circular. Use [`adjoint`](Self::adjoint) there, which is the right inverse or none.
    pub fn inverse(&self, output: Tensor<4>) -> Tensor<4> {
        let [inputs, outputs] = self.channels;
        let [height, width] = self.geometry.stride;
        assert!(
            outputs >= inputs * height * width,
            "{NAME}: there is no inverse with {outputs} output channels below {} (input channels \
             times strides); use adjoint, the right inverse",
            inputs * height * width
        );
        assert!(
            self.geometry.padding == OrthogonalPadding::Circular,
            "{NAME}: there is no inverse under {:?} padding; use adjoint",
            self.geometry.padding
        );
        self.adjoint(output)
    }

    /// Pads the image as the layer does before it convolves; the identity unless padding is circular.
    pub fn pad(&self, input: Tensor<4>) -> Tensor<4> {
        self.geometry.pad(input)
    }

    /// A plain convolution of Burn with the composed kernel: `layer.forward(x)` is
    /// `layer.to_conv2d().forward(layer.pad(x))`.
    ///
    /// Its weights are no longer orthogonal after training.
    pub fn to_conv2d(&self) -> Conv2d {
        let kernel = self.kernel().detach();
        let [(top, bottom), (left, right)] = self.geometry.zeros();
        let mut plain = Conv2dConfig::new(self.channels, self.geometry.kernel)
            .with_stride(self.geometry.stride)
            .with_dilation(self.geometry.dilation)
            .with_groups(self.geometry.groups)
            .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right))
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

impl OrthogonalLayer for OrthogonalConv2d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward(input)
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        self.geometry.apply(NAME, input, self.kernel())
    }

    fn channels(&self) -> [usize; 2] {
        self.channels
    }

    fn stride(&self) -> [usize; 2] {
        self.geometry.stride
    }
}

impl ModuleDisplay for OrthogonalConv2d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        self.geometry.display(content, self.channels, self.bias.is_some()).optional()
    }
}
