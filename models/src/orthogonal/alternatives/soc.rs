//! SOC: the exponential of a skew-symmetric convolution.
//!
//! ```text
//! K = (L - swap(L)) / 2 * 0.7 / sigma      swap: exchange of channels and point reflection
//! y = sum_{i <= t} K *^i x / i!            t = 5 in training, 12 in evaluation
//! ```
//!
//! The convolution with `K` is a skew-symmetric map, on a ring and with zero padding, so its exponential
//! is orthogonal; the series leaves an error of at most `|K|^(t+1) / (t+1)!`. `sigma` is the smallest of
//! the spectral norms of four matrices that hold the kernel; the map's norm is at most `k sigma`, hence
//! 2.1 after scaling for a 3x3 kernel. The kernel of the result is not compact: its receptive field grows
//! with every term, and each term is one convolution of `max(in, out)` channels, also in inference.
//!
//! # References
//! - S. Singla, S. Feizi, *Skew Orthogonal Convolutions*, ICML 2021.
//! - S. Singla, S. Feizi, *Fantastic Four*, ICLR 2021 (the four norms).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};

use super::bjorck::spectral_norms;
use super::init;
use crate::orthogonal::geometry::{Geometry, check_channels};
use crate::orthogonal::{OrthogonalLayer, OrthogonalPadding, bias};

/// `(L - swap(L)) / 2`, where `swap` exchanges input with output channels and reflects both spatial axes.
///
/// # Shapes
/// - kernel: `[n, n, k0, k1]`
/// - output: `[n, n, k0, k1]`
///
/// # Panics
/// If the numbers of channels differ.
pub fn skew_kernel(kernel: Tensor<4>) -> Tensor<4> {
    let [outputs, inputs, ..] = kernel.dims();
    assert!(
        outputs == inputs,
        "skew_kernel: kernel must have as many outputs as inputs, got {outputs} and {inputs}"
    );
    (kernel.clone() - kernel.swap_dims(0, 1).flip([2, 3])) * 0.5
}

/// `sum_{i <= terms} K *^i x / i!`, the exponential of the convolution with `kernel`, applied to `input`.
///
/// # Shapes
/// - input: `[batch, n, height, width]`
/// - kernel: `[n, n, k0, k1]`, both sizes odd
/// - output: `[batch, n, height, width]`
///
/// # Panics
/// If a kernel size is even, the channels disagree, or the padding changes the image's size.
pub fn exponential_series(
    input: Tensor<4>,
    kernel: Tensor<4>,
    terms: usize,
    padding: OrthogonalPadding,
) -> Tensor<4> {
    let [.., rows, columns] = kernel.dims();
    assert!(
        rows % 2 == 1 && columns % 2 == 1,
        "exponential_series: kernel sizes must be odd, got {rows}x{columns}"
    );
    assert!(
        matches!(padding, OrthogonalPadding::Circular | OrthogonalPadding::Same),
        "exponential_series: padding must be Circular or Same, got {padding:?}"
    );
    let geometry =
        Geometry { kernel: [rows, columns], stride: [1, 1], dilation: [1, 1], groups: 1, padding };
    let convolve = |x: Tensor<4>| geometry.apply("exponential_series", x, kernel.clone());
    let mut term = input.clone();
    let mut sum = input;
    for i in 1..=terms {
        term = convolve(term) / i as f64;
        sum = sum + term.clone();
    }
    sum
}

/// Settings of [`SocConv2d`].
#[derive(Config, Debug)]
pub struct SocConv2dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernel; odd.
    pub kernel_size: usize,
    /// Terms of the series while the weights are tracked by autodiff.
    #[config(default = 5)]
    pub training_terms: usize,
    /// Terms of the series otherwise.
    #[config(default = 12)]
    pub terms: usize,
    /// What surrounds the image: zeros (`Same`), as published, or its repetition (`Circular`); the map is
    /// skew-symmetric with both.
    #[config(default = "OrthogonalPadding::Same")]
    pub padding: OrthogonalPadding,
    /// Steps of the power iterations for the scale.
    #[config(default = 10)]
    pub power_iterations: usize,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl SocConv2dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`, with a
    /// normal kernel.
    ///
    /// # Panics
    /// If a size is zero or the kernel size even, there are no terms or power iterations, or the padding
    /// changes the image's size.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> SocConv2d {
        let options = &options.into();
        init::assert_channels("SocConv2dConfig", self.channels);
        let k = self.kernel_size;
        assert!(k % 2 == 1, "SocConv2dConfig: kernel_size must be odd, got {k}");
        let counts = [self.training_terms, self.terms, self.power_iterations];
        assert!(
            !counts.contains(&0),
            "SocConv2dConfig: training_terms, terms and power_iterations must be positive, \
             got {counts:?}"
        );
        assert!(
            matches!(self.padding, OrthogonalPadding::Circular | OrthogonalPadding::Same),
            "SocConv2dConfig: padding must be Circular or Same, got {:?}",
            self.padding
        );
        let n = self.channels[0].max(self.channels[1]);
        let mut rng = init::stream(self.seed, options);
        SocConv2d {
            weight: init::parameter(init::normal(n * n * k * k, &mut rng), [n, n, k, k], options),
            bias: init::bias(self.bias, self.channels[1], options),
            channels: self.channels,
            training_terms: self.training_terms,
            terms: self.terms,
            power_iterations: self.power_iterations,
            padding: self.padding,
        }
    }
}

/// The exponential of a skew-symmetric convolution, as a series.
///
/// ```text
/// y = sum_{i <= t} K *^i x / i!,   K = 0.7 (L - swap(L)) / (2 sigma)
/// ```
///
/// Orthogonal up to the rest of the series, at most `|K|^(t+1) / (t+1)!` with `|K| <= 0.7 k`. A call runs
/// `t` convolutions of the larger number of channels. Missing inputs are zeros, surplus outputs are cut
/// off.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalLayer;
/// use firebrick_models::orthogonal::alternatives::SocConv2dConfig;
///
/// let device = Device::flex();
/// let layer = SocConv2dConfig::new([4, 8], 3).with_bias(true).init(&device);
/// let output = layer.forward(Tensor::ones([2, 4, 6, 6], &device));
/// assert_eq!(output.dims(), [2, 8, 6, 6]);
/// ```
///
/// # References
/// S. Singla, S. Feizi, *Skew Orthogonal Convolutions*, ICML 2021.
#[derive(Module, Debug)]
pub struct SocConv2d {
    /// The free kernel, `[n, n, k, k]` with `n` the larger number of channels.
    pub weight: Param<Tensor<4>>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    channels: [usize; 2],
    training_terms: usize,
    terms: usize,
    power_iterations: usize,
    #[module(skip)]
    padding: OrthogonalPadding,
}

impl SocConv2d {
    /// The scaled skew-symmetric kernel, `[n, n, k, k]`.
    ///
    /// # Notes
    /// A kernel whose skew part vanishes, as every 1x1 kernel of one channel, stays zero.
    pub fn kernel(&self) -> Tensor<4> {
        let skew = skew_kernel(self.weight.val());
        let [.., k] = skew.dims();
        let scale = if k == 1 { 1.0 } else { 0.7 };
        let sigma = smallest_norm(&skew, self.power_iterations);
        skew * (sigma.clamp_min(f64::from(f32::MIN_POSITIVE)).recip() * scale).unsqueeze::<4>()
    }

    /// The number of terms in the next call: `training_terms` while the weights are tracked.
    pub fn current_terms(&self) -> usize {
        let training = self.weight.val().is_autodiff();
        if training { self.training_terms } else { self.terms }
    }
}

/// The smallest of the spectral norms of the four matrices that pair one spatial axis, both or none with
/// the channels of one side, `[1]`.
fn smallest_norm(kernel: &Tensor<4>, iterations: usize) -> Tensor<1> {
    let [n, _, k, _] = kernel.dims();
    let of = |order: [usize; 4], rows: usize| {
        let matrix = kernel.clone().permute(order).reshape([1, rows, n * n * k * k / rows]);
        spectral_norms(matrix, iterations).reshape([1])
    };
    let all = [
        of([0, 1, 2, 3], n),
        of([1, 0, 2, 3], n),
        of([0, 2, 1, 3], n * k),
        of([0, 3, 1, 2], n * k),
    ];
    Tensor::cat(all.to_vec(), 0).min()
}

impl OrthogonalLayer for SocConv2d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.bias.as_ref())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, found, height, width] = input.dims();
        let [inputs, outputs] = self.channels;
        check_channels("SocConv2d", found, inputs);
        let padded = if inputs < outputs {
            let zeros = [batch, outputs - inputs, height, width];
            let zeros = Tensor::zeros(zeros, (&input.device(), input.dtype()));
            Tensor::cat(vec![input, zeros], 1)
        } else {
            input
        };
        let output = exponential_series(padded, self.kernel(), self.current_terms(), self.padding);
        if outputs < inputs { output.narrow(1, 0, outputs) } else { output }
    }

    fn channels(&self) -> [usize; 2] {
        self.channels
    }

    fn stride(&self) -> [usize; 2] {
        [1, 1]
    }
}
