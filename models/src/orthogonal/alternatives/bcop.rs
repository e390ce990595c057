//! BCOP: block convolution orthogonal parametrization.
//!
//! ```text
//! B(P, P') = [ P P'        P (I - P')       ]     a 2 x 2 kernel of n x n matrices,
//!            [ (I - P) P'  (I - P) (I - P') ]     n = max(in, out)
//! G = O B(P_1, P_2) * B(P_3, P_4) * ...           k - 1 blocks; O: first rows of an orthogonal matrix
//! ```
//!
//! with projections `P = C C^T` of rank `floor(n / 2)` and the convolution of matrix kernels `*`. `C`
//! and `O` come from free matrices by Björck's iteration, `2 (k - 1) + 1` of them, which is the cost of
//! a call besides the convolution: about `(2 k - 1) * 4 * iterations * n^3` multiply-adds, while the
//! separable factors of SC-Fac use one exponential each. Both kinds of kernel are compact; the two
//! families of kernels differ, since here height and width alternate.
//!
//! # References
//! Q. Li, S. Haque, C. Anil, J. Lucas, R. Grosse, J. Jacobsen, *Preventing Gradient Attenuation in
//! Lipschitz Constrained Convolutional Networks*, NeurIPS 2019.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};

use super::{BjorckConfig, init, matrix_kernel, ring};
use crate::orthogonal::{OrthogonalLayer, bias};

/// The orthogonal kernel of given projections and a given orthogonal matrix.
///
/// The kernel is as exactly orthogonal as the projections are symmetric and idempotent and the matrix
/// is orthogonal; its size is half the number of projections plus one.
///
/// # Shapes
/// - projections: `[2 (k - 1), n, n]`, or `None` for a 1x1 kernel
/// - orthogonal: `[n, n]`
/// - channels: input and output, of which the larger is `n`
/// - output: `[output, input, k, k]`
///
/// # Panics
/// If the number of projections is odd, or `n` is not the larger number of channels.
pub fn bcop_kernel(
    projections: Option<Tensor<3>>,
    orthogonal: Tensor<2>,
    channels: [usize; 2],
) -> Tensor<4> {
    let [inputs, outputs] = channels;
    let [rows, columns] = orthogonal.dims();
    let n = inputs.max(outputs);
    assert!(
        rows == n && columns == n,
        "bcop_kernel: orthogonal must be {n}x{n} for the channels {channels:?}, got {rows}x{columns}"
    );
    // The free side comes first: [in, out] in the wide case and [out, in] in the tall one.
    let cut = if inputs <= outputs {
        orthogonal.narrow(0, 0, inputs)
    } else {
        orthogonal.narrow(1, 0, outputs).transpose()
    };
    let mut taps = cut.unsqueeze::<4>();
    if let Some(projections) = projections {
        let [count, ..] = projections.dims();
        assert!(count % 2 == 0, "bcop_kernel: projections must come in pairs, got {count} of them");
        for block in 0..count / 2 {
            let of = |index| projections.clone().narrow(0, index, 1).squeeze_dim::<2>(0);
            taps = matrix_kernel::convolve(taps, block_of(of(2 * block), of(2 * block + 1)));
        }
    }
    // The first tap axis is the width, as in the authors' kernels.
    let taps = taps.swap_dims(0, 1);
    if inputs <= outputs {
        matrix_kernel::to_convolution(taps.swap_dims(2, 3))
    } else {
        matrix_kernel::to_convolution(taps)
    }
}

/// `B(P, P')`, `[2, 2, n, n]`
fn block_of(first: Tensor<2>, second: Tensor<2>) -> Tensor<4> {
    let [n, _] = first.dims();
    let both = first.clone().matmul(second.clone());
    let identity = Tensor::<2>::eye(n, &first.device()).cast(first.dtype());
    let upper_right = first.clone() - both.clone();
    let lower_left = second.clone() - both.clone();
    let lower_right = identity - first - second + both.clone();
    Tensor::stack::<3>(vec![both, upper_right, lower_left, lower_right], 0).reshape([2, 2, n, n])
}

/// Settings of [`BcopConv2d`].
#[derive(Config, Debug)]
pub struct BcopConv2dConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: usize,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// The iteration.
    #[config(default = "BjorckConfig::new()")]
    pub bjorck: BjorckConfig,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl BcopConv2dConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`,
    /// starting at uniformly random orthogonal matrices.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> BcopConv2d {
        let options = &options.into();
        init::assert_channels("BcopConv2dConfig", self.channels);
        init::assert_kernel("BcopConv2dConfig", self.kernel_size);
        let mut rng = init::stream(self.seed, options);
        let n = self.channels[0].max(self.channels[1]);
        let (count, rank) = (2 * (self.kernel_size - 1), n / 2);
        let orthogonal = init::semi_orthogonal(n, n, &mut rng);
        // A projection of rank 0 has no parameters.
        let columns = (count * rank > 0).then(|| {
            let draw = |_| init::semi_orthogonal(n, rank, &mut rng);
            let values = (0..count).flat_map(draw).collect();
            init::parameter(values, [count, n, rank], options)
        });
        BcopConv2d {
            orthogonal: init::parameter(orthogonal, [n, n], options),
            columns,
            bias: init::bias(self.bias, self.channels[1], options),
            channels: self.channels,
            kernel_size: self.kernel_size,
            bjorck: self.bjorck,
        }
    }
}

/// A convolution on a ring with a kernel by BCOP; stride 1.
///
/// ```text
/// W = O B(P_1, P_2) * B(P_3, P_4) * ...      B(P, P') = [ P P'        P (I - P')       ]
///                                                      [ (I - P) P'  (I - P) (I - P') ]
/// ```
///
/// with `k - 1` blocks, projections `P = C C^T` of half rank and an orthogonal `O`, all made from free
/// matrices by Björck's iteration. Orthogonal as far as that has converged, with a compact kernel, which
/// each call builds anew.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalLayer;
/// use firebrick_models::orthogonal::alternatives::BcopConv2dConfig;
///
/// let device = Device::flex();
/// let layer = BcopConv2dConfig::new([4, 8], 3).with_bias(true).init(&device);
/// let output = layer.forward(Tensor::ones([2, 4, 6, 6], &device));
/// assert_eq!(output.dims(), [2, 8, 6, 6]);
/// ```
///
/// # References
/// Q. Li et al., *Preventing Gradient Attenuation in Lipschitz Constrained Convolutional Networks*,
/// NeurIPS 2019.
#[derive(Module, Debug)]
pub struct BcopConv2d {
    /// The free matrix of `O`, `[n, n]` with `n` the larger number of channels.
    pub orthogonal: Param<Tensor<2>>,
    /// The free matrices of the projections, `[2 (k - 1), n, floor(n / 2)]`, if there are any.
    pub columns: Option<Param<Tensor<3>>>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    channels: [usize; 2],
    kernel_size: usize,
    #[module(skip)]
    bjorck: BjorckConfig,
}

impl BcopConv2d {
    /// The kernel, `[output, input, k, k]`, built anew.
    pub fn kernel(&self) -> Tensor<4> {
        let free = self.orthogonal.val();
        let orthogonal = self.bjorck.orthonormalize(free.clone().unsqueeze()).squeeze_dim(0);
        let projections = match &self.columns {
            Some(columns) => {
                let columns = self.bjorck.orthonormalize(columns.val());
                Some(columns.clone().matmul(columns.swap_dims(1, 2)))
            }
            // Rank 0: the block is a shift.
            None if self.kernel_size > 1 => {
                let shape = [2 * (self.kernel_size - 1), 1, 1];
                Some(Tensor::zeros(shape, (&free.device(), free.dtype())))
            }
            None => None,
        };
        bcop_kernel(projections, orthogonal, self.channels)
    }
}

impl OrthogonalLayer for BcopConv2d {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.bias.as_ref())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        ring(self.kernel_size, 1, 1, 1).apply("BcopConv2d", input, self.kernel())
    }

    fn channels(&self) -> [usize; 2] {
        self.channels
    }

    fn stride(&self) -> [usize; 2] {
        [1, 1]
    }
}
