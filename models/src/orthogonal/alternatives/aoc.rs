//! AOC: a BCOP kernel followed by a patch-wise orthogonal one, which brings strides.
//!
//! ```text
//! W = R * B      B: BCOP, in -> in, kernel k - s + 1;   R: kernel s, stride s, out -> in s^2 orthogonal
//! ```
//!
//! `R` sees disjoint patches, so that its orthogonality is that of a matrix, and the product is one
//! convolution of kernel `k` and stride `s`. Without a stride `W` is BCOP itself. Groups are independent
//! kernels, a dilation spreads the taps, and [`AocConv2d::adjoint`] is the transposed layer.
//!
//! # References
//! T. Boissin, F. Mamalet, T. Fel, A. Picard, T. Massena, M. Serrurier, *An Adaptive Orthogonal
//! Convolution Scheme for Efficient and Flexible CNN Architectures*, 2025, arXiv:2501.07930.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};

use super::bcop::{BcopConv2d, BcopConv2dConfig};
use super::rko::{RkoConv2d, RkoConv2dConfig};
use super::{BjorckConfig, init, matrix_kernel, ring};
use crate::orthogonal::geometry::Geometry;
use crate::orthogonal::{OrthogonalLayer, bias};

/// Settings of [`AocConv2d`].
#[derive(Config, Debug)]
pub struct AocConv2dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: usize,
    /// Stride in both directions.
    #[config(default = 1)]
    pub stride: usize,
    /// Distance of the kernel's taps in both directions.
    #[config(default = 1)]
    pub dilation: usize,
    /// Number of independent groups of channels.
    #[config(default = 1)]
    pub groups: usize,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// The iteration.
    #[config(default = "BjorckConfig::new()")]
    pub bjorck: BjorckConfig,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl AocConv2dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`,
    /// starting at uniformly random orthogonal matrices.
    ///
    /// # Panics
    /// If a size is zero, the groups do not divide the channels, the stride is larger than the kernel,
    /// or there is a stride and a dilation.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> AocConv2d {
        let options = &options.into();
        init::assert_channels("AocConv2dConfig", self.channels);
        init::assert_kernel("AocConv2dConfig", self.kernel_size);
        let (kernel, stride) = (self.kernel_size, self.stride);
        assert!(
            self.groups > 0 && self.channels.iter().all(|c| c.is_multiple_of(self.groups)),
            "AocConv2dConfig: groups must divide the channels {:?}, got {}",
            self.channels,
            self.groups
        );
        assert!(
            (1..=kernel).contains(&stride),
            "AocConv2dConfig: stride must be from 1 to the kernel size {kernel}, got {stride}"
        );
        assert!(
            self.dilation > 0 && (stride == 1 || self.dilation == 1),
            "AocConv2dConfig: dilation must be positive, and 1 with the stride {stride}, got {}",
            self.dilation
        );
        let [inputs, outputs] = self.channels.map(|channels| channels / self.groups);
        let between = if stride == 1 { outputs } else { inputs };
        let mut rng = init::stream(self.seed, options);
        let mut seed = || Some(rand::RngExt::random::<u64>(&mut rng));
        let dense = (0..self.groups)
            .map(|_| {
                let config = BcopConv2dConfig::new([inputs, between], kernel - stride + 1);
                config.with_bjorck(self.bjorck).with_seed(seed()).init(options.clone())
            })
            .collect();
        let patches = (0..if stride == 1 { 0 } else { self.groups })
            .map(|_| {
                let config = RkoConv2dConfig::new([between, outputs], stride).with_stride(stride);
                config.with_bjorck(self.bjorck).with_seed(seed()).init(options.clone())
            })
            .collect();
        AocConv2d {
            dense,
            patches,
            bias: init::bias(self.bias, outputs * self.groups, options),
            channels: self.channels,
            kernel_size: kernel,
            stride,
            dilation: self.dilation,
        }
    }
}

/// A convolution on a ring with stride, dilation and groups: BCOP followed by patches.
///
/// ```text
/// W = R * B      B: BCOP, in -> in, kernel k - s + 1;   R: kernel s, stride s, out x (in s^2) orthogonal
/// ```
///
/// Orthogonal as far as Björck's iteration has converged, with a compact kernel, which each call builds
/// anew.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalLayer;
/// use firebrick_models::orthogonal::alternatives::AocConv2dConfig;
///
/// let device = Device::flex();
/// let layer = AocConv2dConfig::new([4, 8], 4).with_stride(2).init(&device);
/// let output = layer.forward(Tensor::ones([2, 4, 6, 6], &device));
/// assert_eq!(output.dims(), [2, 8, 3, 3]);
/// assert_eq!(layer.adjoint(output).dims(), [2, 4, 6, 6]);
/// ```
///
/// # References
/// T. Boissin et al., *An Adaptive Orthogonal Convolution Scheme for Efficient and Flexible CNN
/// Architectures*, 2025, arXiv:2501.07930.
#[derive(Module, Debug)]
pub struct AocConv2d {
    /// The part with stride 1, one per group.
    pub dense: Vec<BcopConv2d>,
    /// The part with stride, one per group; empty for a stride of 1.
    pub patches: Vec<RkoConv2d>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    channels: [usize; 2],
    kernel_size: usize,
    stride: usize,
    dilation: usize,
}

impl AocConv2d {
    /// The kernel, `[output, input / groups, k, k]`, built anew.
    pub fn kernel(&self) -> Tensor<4> {
        let of_group = |group: usize| {
            let dense = self.dense[group].kernel();
            match self.patches.get(group) {
                None => dense,
                Some(patches) => {
                    let taps = |kernel: Tensor<4>| kernel.permute([2, 3, 0, 1]);
                    let composed = matrix_kernel::convolve(taps(patches.kernel()), taps(dense));
                    matrix_kernel::to_convolution(composed)
                }
            }
        };
        Tensor::cat((0..self.dense.len()).map(of_group).collect(), 0)
    }

    /// The transposed layer without the bias: `[batch, output, h, w] -> [batch, input, h s, w s]`.
    ///
    /// Orthogonal as the layer is; an upsampling layer in its own right, and the inverse of
    /// `forward_linear` if there are at least `input * s^2` outputs.
    ///
    /// # Panics
    /// If the input has other channels.
    pub fn adjoint(&self, input: Tensor<4>) -> Tensor<4> {
        self.geometry().adjoint("AocConv2d", input, self.kernel())
    }

    fn geometry(&self) -> Geometry {
        ring(self.kernel_size, self.stride, self.dilation, self.dense.len())
    }
}

impl OrthogonalLayer for AocConv2d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.bias.as_ref())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        self.geometry().apply("AocConv2d", input, self.kernel())
    }

    fn channels(&self) -> [usize; 2] {
        self.channels
    }

    fn stride(&self) -> [usize; 2] {
        [self.stride; 2]
    }
}
