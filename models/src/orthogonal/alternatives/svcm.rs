//! SVCM: singular values of a free kernel set to 1, again and again.
//!
//! ```text
//! H(u, v) = U S V^H   <-   U V^H        at every frequency; then back to pixels, and cut to k x k
//! ```
//!
//! The parameter is an ordinary kernel. [`SvcmConv2d::project`] is called between optimizer steps; each
//! round moves all singular values to 1 and then loses some of it by cutting, so that the result is
//! orthogonal only approximately, and any step of training moves it away again. Without projections the
//! layer is a plain circular convolution.
//!
//! # References
//! H. Sedghi, V. Gupta, P. Long, *The Singular Values of Convolutional Layers*, ICLR 2019 (with singular
//! values clipped from above; here all are set to 1).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions, TensorData};
use faer::{Mat, c64};
use firebrick_ops::spectrum::{half_plane, phase};

use super::{init, ring};
use crate::orthogonal::{OrthogonalLayer, bias};

/// Settings of [`SvcmConv2d`].
#[derive(Config, Debug)]
pub struct SvcmConv2dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: usize,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl SvcmConv2dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`, uniform
    /// within `1 / sqrt(input k^2)` and not yet projected.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> SvcmConv2d {
        let options = &options.into();
        init::assert_channels("SvcmConv2dConfig", self.channels);
        init::assert_kernel("SvcmConv2dConfig", self.kernel_size);
        let ([inputs, outputs], k) = (self.channels, self.kernel_size);
        let mut rng = init::stream(self.seed, options);
        let fan_in = inputs * k * k;
        let weight = init::uniform(outputs * fan_in, 1.0 / (fan_in as f64).sqrt(), &mut rng);
        SvcmConv2d {
            weight: init::parameter(weight, [outputs, inputs, k, k], options),
            bias: init::bias(self.bias, outputs, options),
        }
    }
}

/// A circular convolution whose kernel is projected towards the orthogonal ones from time to time.
///
/// ```text
/// U S V^H   ->   U V^H      at every frequency; then back to pixels, and cut to k x k
/// ```
///
/// Only approximately orthogonal after [`project`](Self::project), and not at all in between.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalLayer;
/// use firebrick_models::orthogonal::alternatives::SvcmConv2dConfig;
///
/// let device = Device::flex();
/// let layer = SvcmConv2dConfig::new([4, 8], 3).with_bias(true).init(&device);
/// let layer = layer.project([6, 6], 2);
/// let output = layer.forward(Tensor::ones([2, 4, 6, 6], &device));
/// assert_eq!(output.dims(), [2, 8, 6, 6]);
/// ```
///
/// # References
/// H. Sedghi, V. Gupta, P. Long, *The Singular Values of Convolutional Layers*, ICLR 2019.
#[derive(Module, Debug)]
pub struct SvcmConv2d {
    /// The kernel, `[output, input, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl SvcmConv2d {
    /// Sets all singular values on images of the given size to 1 and cuts the kernel to its size,
    /// `rounds` times.
    ///
    /// Runs in 64 bits on the host: one singular value decomposition per frequency and round.
    ///
    /// # Panics
    /// If the kernel is larger than the image or not finite.
    #[must_use]
    pub fn project(mut self, image_size: [usize; 2], rounds: usize) -> Self {
        let weight = self.weight.val();
        let shape = weight.dims();
        assert!(
            shape[2] <= image_size[0] && shape[3] <= image_size[1],
            "SvcmConv2d: the image must not be smaller than the kernel {}x{}, got {image_size:?}",
            shape[2],
            shape[3]
        );
        let mut kernel: Vec<f64> = weight.clone().into_data().iter::<f64>().collect();
        for _ in 0..rounds {
            kernel = project_once(&kernel, shape, image_size);
        }
        self.weight = self.weight.map(|old| {
            let data = TensorData::new(kernel, shape);
            let (tracked, device) = (old.is_require_grad(), old.device());
            let new = Tensor::<4>::from_data(data, (&device, old.dtype()));
            if tracked { new.require_grad() } else { new }
        });
        self
    }
}

/// One round: polar factors at all frequencies, summed up at the taps of the kernel.
fn project_once(kernel: &[f64], shape: [usize; 4], image: [usize; 2]) -> Vec<f64> {
    let [outputs, inputs, height, width] = shape;
    let taps = height * width;
    let place = |tap: usize| [tap / width, tap % width];
    let index = |output: usize, input: usize, tap: usize| (output * inputs + input) * taps + tap;
    let mut sum = vec![0.0; kernel.len()];
    for (frequency, copies) in half_plane(image) {
        let turns: Vec<c64> = (0..taps).map(|tap| phase(frequency, place(tap), image)).collect();
        let response = Mat::from_fn(outputs, inputs, |output, input| {
            (0..taps).map(|tap| turns[tap] * kernel[index(output, input, tap)]).sum::<c64>()
        });
        let factors = response.thin_svd().unwrap_or_else(|error| {
            panic!("SvcmConv2d: the kernel must be finite, and its decomposition failed: {error:?}")
        });
        let polar = factors.U() * factors.V().adjoint();
        let share = copies as f64 / (image[0] * image[1]) as f64;
        for (tap, turn) in turns.iter().enumerate() {
            for output in 0..outputs {
                for input in 0..inputs {
                    let value = polar[(output, input)] * turn.conj();
                    sum[index(output, input, tap)] += share * value.re;
                }
            }
        }
    }
    sum
}

impl OrthogonalLayer for SvcmConv2d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.bias.as_ref())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        let [.., kernel] = self.weight.dims();
        ring(kernel, 1, 1, 1).apply("SvcmConv2d", input, self.weight.val())
    }

    fn channels(&self) -> [usize; 2] {
        let [outputs, inputs, ..] = self.weight.dims();
        [inputs, outputs]
    }

    fn stride(&self) -> [usize; 2] {
        [1, 1]
    }
}
