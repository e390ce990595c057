//! The Cayley transform at every frequency of the image.
//!
//! ```text
//! W^(u, v) = sum_{a, b} W[a, b] exp(2 pi i (u (a - q) / h + v (b - q) / w)),   q = floor((k - 1) / 2)
//! Q(u, v)  = Cayley(alpha W^(u, v) / |W^|_F)      |W^|_F over the stored half of the frequencies
//! Y(u, v)  = Q(u, v) X(u, v)
//! ```
//!
//! Exactly orthogonal for all weights and every image size. The effective kernel is as large as the
//! image and depends on its size; a call costs the Fourier transforms of input and output and one inverse
//! of `min(in, out)` complex rows per frequency.
//!
//! Fourier transforms are products with small matrices of cosines and sines along one axis at a time, and
//! a complex matrix is the real one `[[Re, -Im], [Im, Re]]` of twice the size, so that the layer runs,
//! with gradients, on every device.
//!
//! # Notes
//! The published layer calls the inverse transform without the image's size, which is wrong for odd
//! widths, and assumes square images; both are right here. A kernel larger than the image wraps around.
//!
//! # References
//! A. Trockman, J. Z. Kolter, *Orthogonalizing Convolutional Layers with the Cayley Transform*, ICLR
//! 2021.

use std::f64::consts::TAU;

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use super::cayley::cayley;
use super::init;
use crate::orthogonal::geometry::check_channels;
use crate::orthogonal::{OrthogonalLayer, bias};

/// Settings of [`CayleyConv2d`].
#[derive(Config, Debug)]
pub struct CayleyConv2dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: usize,
    /// Height and width of the images, for which the start of `alpha` keeps the scale of the weights.
    ///
    /// The layer takes images of any size.
    pub image_size: [usize; 2],
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl CayleyConv2dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`; weights
    /// are uniform within `1 / sqrt(input k^2)`.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> CayleyConv2d {
        let options = &options.into();
        init::assert_channels("CayleyConv2dConfig", self.channels);
        init::assert_kernel("CayleyConv2dConfig", self.kernel_size);
        assert!(
            !self.image_size.contains(&0),
            "CayleyConv2dConfig: image_size must be positive, got {:?}",
            self.image_size
        );
        let ([inputs, outputs], k) = (self.channels, self.kernel_size);
        let mut rng = init::stream(self.seed, options);
        let fan_in = inputs * k * k;
        let weight = init::uniform(outputs * fan_in, 1.0 / (fan_in as f64).sqrt(), &mut rng);
        let norm = half_spectrum_norm(&weight, k, self.image_size);
        CayleyConv2d {
            weight: init::parameter(weight, [outputs, inputs, k, k], options),
            alpha: init::parameter(vec![norm], [1], options),
            bias: init::bias(self.bias, outputs, options),
        }
    }
}

/// An exactly orthogonal convolution with a kernel as large as the image.
///
/// ```text
/// Y(u, v) = Cayley(alpha W^(u, v) / |W^|_F) X(u, v)      W^, X, Y: Fourier transforms
/// ```
///
/// with the [Cayley transform](super::CayleyLinear) of a complex matrix. Costs the transforms of input and
/// output, and one inverse of `min(in, out)` complex rows per frequency in each call.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalLayer;
/// use firebrick_models::orthogonal::alternatives::CayleyConv2dConfig;
///
/// let device = Device::flex();
/// let layer = CayleyConv2dConfig::new([4, 8], 3, [6, 6]).with_bias(true).init(&device);
/// let output = layer.forward(Tensor::ones([2, 4, 6, 6], &device));
/// assert_eq!(output.dims(), [2, 8, 6, 6]);
/// ```
///
/// # Notes
/// The published layer is wrong for odd widths, because it calls the inverse transform without the
/// image's size, and assumes square images; both are right here.
///
/// # References
/// A. Trockman, J. Z. Kolter, *Orthogonalizing Convolutional Layers with the Cayley Transform*, ICLR
/// 2021.
#[derive(Module, Debug)]
pub struct CayleyConv2d {
    /// The free kernel, `[output, input, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// The norm that the kernel's transform is scaled to, `[1]`.
    pub alpha: Param<Tensor<1>>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
}

/// A complex tensor.
#[derive(Clone)]
struct Complex<const D: usize> {
    re: Tensor<D>,
    im: Tensor<D>,
}

impl CayleyConv2d {
    /// The orthogonal matrices of the stored half of the frequencies for images of the given size, as
    /// `[Re; Im]`: `[h (floor(w / 2) + 1), 2 output, input]`.
    pub fn transfer(&self, image_size: [usize; 2]) -> Tensor<3> {
        let [outputs, inputs, ..] = self.weight.dims();
        let Complex { re, im } = self.transformed(image_size);
        let norm = (re.clone().powi_scalar(2).sum() + im.clone().powi_scalar(2).sum()).sqrt();
        let scale = (self.alpha.val() / norm).unsqueeze::<3>();
        let (re, im) = (re * scale.clone(), im * scale);
        let wide = inputs > outputs;
        let (re, im) = if wide {
            // The conjugate transpose.
            (re.swap_dims(1, 2), im.swap_dims(1, 2).neg())
        } else {
            (re, im)
        };
        let (long, short) = (outputs.max(inputs), outputs.min(inputs));
        let part = |start: usize, length: usize| {
            let rows = |x: &Tensor<3>| x.clone().narrow(1, start, length);
            as_real(rows(&re), rows(&im))
        };
        let below = (long > short).then(|| part(short, long - short));
        let (top, below) = cayley(part(0, short), below);
        // The first block column holds the real and the imaginary part.
        let parts = |of: Option<Tensor<3>>, length: usize| {
            of.map(|matrix| {
                let column = matrix.narrow(2, 0, short);
                (column.clone().narrow(1, 0, length), column.narrow(1, length, length))
            })
        };
        let pieces: Vec<_> =
            parts(Some(top), short).into_iter().chain(parts(below, long - short)).collect();
        let (re, im): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        let (re, im) = (Tensor::cat(re, 1), Tensor::cat(im, 1));
        if wide {
            Tensor::cat(vec![re.swap_dims(1, 2), im.swap_dims(1, 2).neg()], 1)
        } else {
            Tensor::cat(vec![re, im], 1)
        }
    }

    /// `W^`, `[frequencies, output, input]`
    fn transformed(&self, image_size: [usize; 2]) -> Complex<3> {
        let weight = self.weight.val();
        let [outputs, inputs, k, _] = weight.dims();
        let count = frequencies(image_size);
        let (cos, sin): (Vec<f64>, Vec<f64>) =
            kernel_angles(k, image_size).map(|angle| (angle.cos(), angle.sin())).unzip();
        let (device, dtype) = (weight.device(), weight.dtype());
        let flat = weight.reshape([outputs * inputs, k * k]);
        let of = |values: Vec<f64>| {
            let waves = TensorData::new(values, [k * k, count]);
            let waves = Tensor::<2>::from_data(waves, (&device, dtype));
            flat.clone().matmul(waves).transpose().reshape([count, outputs, inputs])
        };
        Complex { re: of(cos), im: of(sin) }
    }
}

/// The stored half of the frequencies.
fn frequencies([height, width]: [usize; 2]) -> usize {
    height * (width / 2 + 1)
}

/// The angle of every tap (rows) at every stored frequency (columns).
fn kernel_angles(k: usize, [height, width]: [usize; 2]) -> impl Iterator<Item = f64> {
    let half = width / 2 + 1;
    let center = (k - 1) / 2;
    (0..k * k).flat_map(move |tap| {
        (0..height * half).map(move |at| {
            let turn = |frequency: usize, tap: usize, size: usize| {
                // Reduced in integers; `size * center` keeps the difference positive.
                (frequency * (tap + size * center - center) % size) as f64 / size as f64
            };
            TAU * (turn(at / half, tap / k, height) + turn(at % half, tap % k, width))
        })
    })
}

/// `|W^|_F` on the host.
fn half_spectrum_norm(weight: &[f64], k: usize, image_size: [usize; 2]) -> f64 {
    let count = frequencies(image_size);
    let angles: Vec<f64> = kernel_angles(k, image_size).collect();
    let mut total = 0.0;
    for kernel in weight.chunks(k * k) {
        for frequency in 0..count {
            let (mut re, mut im) = (0.0, 0.0);
            for (tap, value) in kernel.iter().enumerate() {
                let (sin, cos) = angles[tap * count + frequency].sin_cos();
                re += value * cos;
                im += value * sin;
            }
            total += re * re + im * im;
        }
    }
    total.sqrt()
}

/// `[[Re, -Im], [Im, Re]]`
fn as_real(re: Tensor<3>, im: Tensor<3>) -> Tensor<3> {
    let upper = Tensor::cat(vec![re.clone(), im.clone().neg()], 2);
    Tensor::cat(vec![upper, Tensor::cat(vec![im, re], 2)], 1)
}

/// Cosines and sines of `2 pi j l / size`, `[rows, columns]`, each row or column scaled as asked.
struct Waves {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Waves {
    fn new(
        rows: usize,
        columns: usize,
        size: usize,
        like: &Tensor<4>,
        scale: impl Fn(usize) -> f64,
    ) -> Self {
        let of = |wave: fn(f64) -> f64| {
            let value = |at: usize| {
                let (row, column) = (at / columns, at % columns);
                scale(row) * wave(TAU * (row * column % size) as f64 / size as f64)
            };
            let values: Vec<f64> = (0..rows * columns).map(value).collect();
            let data = TensorData::new(values, [rows, columns]);
            Tensor::from_data(data, (&like.device(), like.dtype()))
        };
        Self { cos: of(f64::cos), sin: of(f64::sin) }
    }
}

/// The two-dimensional transform, half of it: `[b, c, h, w] -> [h (w / 2 + 1), c, b]`.
fn transform(images: Tensor<4>) -> Complex<3> {
    let [batch, channels, height, width] = images.dims();
    let half = width / 2 + 1;
    let along_width = Waves::new(width, half, width, &images, |_| 1.0);
    let along_height = Waves::new(height, height, height, &images, |_| 1.0);
    let rows = images.reshape([batch * channels * height, width]);
    let columns = |wave: Tensor<2>| {
        let x = rows.clone().matmul(wave).reshape([batch * channels, height, half]);
        x.swap_dims(1, 2).reshape([batch * channels * half, height])
    };
    // exp(-i a) along the width, then exp(-i b) along the height.
    let (re, im) = (columns(along_width.cos), columns(along_width.sin).neg());
    let (cos, sin) = (along_height.cos, along_height.sin);
    let order = |x: Tensor<2>| {
        let x = x.reshape([batch, channels, half, height]).permute([3, 2, 1, 0]);
        x.reshape([height * half, channels, batch])
    };
    Complex {
        re: order(re.clone().matmul(cos.clone()) + im.clone().matmul(sin.clone())),
        im: order(im.matmul(cos) - re.matmul(sin)),
    }
}

/// Inverse of [`transform`] for images of the given size.
fn inverse_transform(spectrum: Complex<3>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [_, channels, batch] = spectrum.re.dims();
    let half = width / 2 + 1;
    let like = spectrum.re.clone().unsqueeze::<4>();
    let along_height = Waves::new(height, height, height, &like, |_| 1.0);
    // The other half of the frequencies is the conjugate of this one.
    let copies = |v: usize| if v == 0 || 2 * v == width { 1.0 } else { 2.0 };
    let share = |v: usize| copies(v) / (height * width) as f64;
    let along_width = Waves::new(half, width, width, &like, share);
    let columns = |x: Tensor<3>| {
        let x = x.reshape([height, half, channels, batch]).permute([3, 2, 1, 0]);
        x.reshape([batch * channels * half, height])
    };
    let (re, im) = (columns(spectrum.re), columns(spectrum.im));
    let (cos, sin) = (along_height.cos, along_height.sin);
    let rows = |x: Tensor<2>| {
        let x = x.reshape([batch * channels, half, height]).swap_dims(1, 2);
        x.reshape([batch * channels * height, half])
    };
    let real = rows(re.clone().matmul(cos.clone()) - im.clone().matmul(sin.clone()));
    let imaginary = rows(re.matmul(sin) + im.matmul(cos));
    let images = real.matmul(along_width.cos) - imaginary.matmul(along_width.sin);
    images.reshape([batch, channels, height, width])
}

impl OrthogonalLayer for CayleyConv2d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.bias.as_ref())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = input.dims();
        let [outputs, inputs, ..] = self.weight.dims();
        check_channels("CayleyConv2d", channels, inputs);
        let transfer = self.transfer([height, width]);
        let (q_re, q_im) =
            (transfer.clone().narrow(1, 0, outputs), transfer.narrow(1, outputs, outputs));
        let x = transform(input);
        let re = q_re.clone().matmul(x.re.clone()) - q_im.clone().matmul(x.im.clone());
        let im = q_re.matmul(x.im) + q_im.matmul(x.re);
        inverse_transform(Complex { re, im }, [height, width])
    }

    fn channels(&self) -> [usize; 2] {
        let [outputs, inputs, ..] = self.weight.dims();
        [inputs, outputs]
    }

    fn stride(&self) -> [usize; 2] {
        [1, 1]
    }
}
