//! Orthogonal transposed convolution of sequences: the adjoint of [`OrthogonalConv1d`].
//!
//! ```text
//! y = J^T x + b,   J the convolution with the same kernel from `out` to `in` channels
//! ```
//!
//! With a stride it lengthens the sequence. Being the adjoint of an orthogonal map, it is orthogonal.
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022, section 3.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::conv::{ConvTranspose1d, ConvTranspose1dConfig};
use burn::tensor::{Tensor, TensorCreationOptions};
use firebrick_ops::skew::Retraction;

#[cfg(doc)]
use super::OrthogonalConv1d;
use super::bias;
use super::conv1d::flat;
use super::filter::Order;
use super::geometry::Geometry;
use super::kernel::{KernelSettings, OrthogonalKernel};
use super::parameters::{self, ImportLayout, ParameterSlot, ParameterTable};
use super::{
    Composition, Initialization, OrthogonalLayer, OrthogonalPadding, Ranks, TransposedOrder,
};
use crate::ModelError;

/// Settings of [`OrthogonalConvTranspose1d`].
#[derive(Config, Debug)]
pub struct OrthogonalConvTranspose1dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Length of the kernel; any, also even, and longer than the sequence.
    pub kernel_size: usize,
    /// How many times larger the sequence becomes.
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
    /// Arrangement of the factors; another one only for imported parameters.
    #[config(default = "TransposedOrder::Adjoint")]
    pub order: TransposedOrder,
    /// Seed of the start; by default it is drawn from the device, as Burn's layers do.
    pub seed: Option<u64>,
}

const NAME: &str = "OrthogonalConvTranspose1d";

impl OrthogonalConvTranspose1dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a number is zero; channels are not divisible by groups; the kernel size is below the stride,
    /// or not a multiple of it under [`Composition::Strict`]; stride and dilation both exceed 1; a rank
    /// exceeds the size of the filter; the initialization needs an odd number of taps; explicit padding has
    /// a height; or the published order is combined with a folded kernel.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> OrthogonalConvTranspose1d {
        let options = options.into();
        let settings = KernelSettings {
            name: "OrthogonalConvTranspose1dConfig",
            channels: [self.channels[1], self.channels[0]],
            kernel: [1, self.kernel_size],
            stride: [1, self.stride],
            dilation: [1, self.dilation],
            groups: self.groups,
            two_dimensional: false,
            order: match self.order {
                TransposedOrder::Adjoint => Order::Convolution,
                TransposedOrder::Published => Order::PublishedTransposed1d,
            },
            retraction: self.retraction,
            initialization: self.initialization,
            composition: self.composition,
            ranks: &self.ranks,
            seed: self.seed,
        };
        let numbers = [self.kernel_size, self.stride, self.dilation];
        let name = settings.name;
        let geometry = Geometry::of_sequences(name, numbers, self.groups, self.padding);
        OrthogonalConvTranspose1d {
            kernel: settings.init(&options),
            bias: self.bias.then(|| bias::zeros(self.channels[1], &options)),
            channels: self.channels,
            geometry,
        }
    }
}

/// Orthogonal transposed convolution of sequences: the adjoint of
/// [`OrthogonalConv1d`](super::OrthogonalConv1d); with a stride it lengthens the sequence.
///
/// ```text
/// y = J^T x + b,   J the convolution with the same kernel from `out` to `in` channels
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use firebrick_models::orthogonal::OrthogonalConvTranspose1dConfig;
///
/// let device = Device::flex();
/// let layer = OrthogonalConvTranspose1dConfig::new([6, 3], 4).with_stride(2).init(&device);
/// let input = Tensor::<3>::random([2, 6, 5], Distribution::Default, &device);
/// let output = layer.forward(input.clone());
/// assert_eq!(output.dims(), [2, 3, 10]);
/// let error = (layer.inverse(output) - input).abs().max().into_scalar::<f32>();
/// assert!(error < 1e-5);
/// ```
///
/// # Notes
/// - Weight decay must be off for the free parameters: it would pull them to their bases.
/// - The kernel is composed, kept and reused as that of a convolution.
/// - Under [`OrthogonalPadding::Full`] the layer is the plain transposed convolution without cropping,
///   which keeps norms unless it loses channels; under `Same` and `Explicit` the border is cropped,
///   which is 1-Lipschitz.
///
/// # References
/// J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
/// Framework*, ICML 2022, section 3.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct OrthogonalConvTranspose1d {
    /// The kernel with its free parameters.
    kernel: OrthogonalKernel,
    /// Bias, `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    channels: [usize; 2],
    #[module(skip)]
    geometry: Geometry,
}

impl OrthogonalConvTranspose1d {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - input: `[batch, in, length]`
    /// - output: `[batch, out, length * stride]` under circular padding
    ///
    /// # Panics
    /// If the input has other channels, or is too small to be cropped.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        self.forward_with(self.kernel(), input)
    }

    /// As [`forward`](Self::forward) with a kernel from [`kernel`](Self::kernel).
    ///
    /// # Shapes
    /// - kernel: `[in, out / groups, length]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with(&self, kernel: Tensor<3>, input: Tensor<3>) -> Tensor<3> {
        let output = self.linear(flat(kernel), flat(input));
        bias::added(output.squeeze_dim::<3>(2), self.bias.as_ref())
    }

    fn linear(&self, kernel: Tensor<4>, input: Tensor<4>) -> Tensor<4> {
        match self.geometry.padding {
            OrthogonalPadding::Full => self.geometry.spread(NAME, input, kernel),
            _ => self.geometry.adjoint(NAME, input, kernel),
        }
    }

    /// The composed kernel, `[in, out / groups, length]`.
    pub fn kernel(&self) -> Tensor<3> {
        self.kernel.weights().squeeze_dim(2)
    }

    /// The adjoint `J^T (y - b)`, a convolution.
    ///
    /// # Shapes
    /// - output: as [`forward`](Self::forward) gives it
    /// - result: `[batch, in, length]`
    ///
    /// # Panics
    /// If the output has other channels or, under circular or `Same` padding, a size that is not a
    /// multiple of the stride.
    pub fn adjoint(&self, output: Tensor<3>) -> Tensor<3> {
        let output = flat(bias::removed(output, self.bias.as_ref()));
        let kernel = self.kernel.weights();
        let input = match self.geometry.padding {
            OrthogonalPadding::Full => {
                let padding = OrthogonalPadding::Explicit([0, 0]);
                let plain = Geometry { padding, ..self.geometry.clone() };
                plain.apply(NAME, output, kernel)
            }
            _ => self.geometry.apply(NAME, output, kernel),
        };
        input.squeeze_dim(2)
    }

    /// The input that gives this output: the adjoint, where the layer keeps norms.
    ///
    /// # Shapes
    /// - output: `[batch, out, length * stride]`
    /// - result: `[batch, in, length]`
    ///
    /// # Panics
    /// If there is no inverse: the layer loses channels (`out * stride` below `in`), or the padding is
    /// not circular. Use [`adjoint`](Self::adjoint) there, which is the right inverse or none.
    pub fn inverse(&self, output: Tensor<3>) -> Tensor<3> {
        let [inputs, outputs] = self.channels;
        let stride = self.geometry.stride[1];
        assert!(
            outputs * stride >= inputs,
            "{NAME}: there is no inverse with {} output channels times stride below {inputs} input \
             channels; use adjoint, the right inverse",
            outputs * stride
        );
        assert!(
            self.geometry.padding == OrthogonalPadding::Circular,
            "{NAME}: there is no inverse under {:?} padding; use adjoint",
            self.geometry.padding
        );
        self.adjoint(output)
    }

    /// Folds what [`to_conv_transpose1d`](Self::to_conv_transpose1d) gives onto the periodic sequence; the
    /// identity unless padding is circular.
    pub fn fold(&self, output: Tensor<3>) -> Tensor<3> {
        self.geometry.fold(flat(output)).squeeze_dim(2)
    }

    /// A plain transposed convolution of Burn with the composed kernel and without a bias:
    /// `layer.forward(x)` is `layer.fold(layer.to_conv_transpose1d().forward(x))` plus the bias.
    ///
    /// # Panics
    /// Under `Same` padding with an even kernel: Burn crops both sides alike.
    pub fn to_conv_transpose1d(&self) -> ConvTranspose1d {
        let kernel = self.kernel().detach();
        let [_, cropped] = match self.geometry.padding {
            OrthogonalPadding::Circular | OrthogonalPadding::Full => [(0, 0); 2],
            _ => self.geometry.padding(),
        };
        assert!(
            cropped.0 == cropped.1,
            "{NAME}: Burn's transposed convolution crops both sides alike, but {:?} padding takes \
             {cropped:?} here",
            self.geometry.padding
        );
        let mut plain = ConvTranspose1dConfig::new(self.channels, self.geometry.kernel[1])
            .with_stride(self.geometry.stride[1])
            .with_dilation(self.geometry.dilation[1])
            .with_groups(self.geometry.groups)
            .with_padding(cropped.0)
            .with_bias(false)
            .init(&kernel.device());
        plain.weight = Param::from_tensor(kernel);
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

/// On images every row is a sequence.
impl OrthogonalLayer for OrthogonalConvTranspose1d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.bias.as_ref())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        self.linear(self.kernel.weights(), input)
    }

    fn channels(&self) -> [usize; 2] {
        self.channels
    }

    /// 1: the sequence does not shrink, it grows.
    fn stride(&self) -> [usize; 2] {
        [1, 1]
    }
}

impl ModuleDisplay for OrthogonalConvTranspose1d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        self.geometry.display(content, self.channels, self.bias.is_some()).optional()
    }
}
