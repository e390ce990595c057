//! Björck's iteration: the nearest orthogonal matrix, by products alone.
//!
//! ```text
//! W <- W / sigma,      sigma: largest singular value, estimated by power iteration
//! W <- 1.5 W - 0.5 W W^T W      (20 times)
//! ```
//!
//! A singular value `s` becomes `1.5 s - 0.5 s^3`, which tends to 1 from everywhere in `(0, sqrt(3))`:
//! small ones grow by half in each step, near 1 the error is squared. The result is the polar factor of
//! `W`, orthogonal up to rounding once the smallest singular value has arrived; a singular value below
//! about `1.5^-15` of the largest has not after 20 steps.
//!
//! # References
//! - Å. Björck, C. Bowie, *An Iterative Algorithm for Computing the Best Estimate of an Orthogonal
//!   Matrix*, SIAM J. Numer. Anal. 8, 1971.
//! - C. Anil, J. Lucas, R. Grosse, *Sorting out Lipschitz Function Approximation*, ICML 2019 (as a
//!   layer).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{OrthogonalMatrix, init};

/// Settings of Björck's iteration, which [`orthonormalize`](Self::orthonormalize) runs.
#[derive(Config, Debug, Copy)]
pub struct BjorckConfig {
    /// Steps of the iteration.
    #[config(default = 20)]
    pub iterations: usize,
    /// Steps of the power iteration for the largest singular value; 0 leaves the scale as it is.
    #[config(default = 10)]
    pub power_iterations: usize,
}

impl BjorckConfig {
    /// Orthonormal columns (rows, if there are fewer of them) nearest to every matrix of a batch.
    ///
    /// Differentiable, except for the scale, which counts as a constant. Costs two products of
    /// `max(m, n) min(m, n)^2` multiply-adds per iteration.
    ///
    /// # Shapes
    /// - matrices: `[batch, m, n]`
    /// - output: `[batch, m, n]`
    ///
    /// # Notes
    /// A largest singular value above `sqrt(3)`, which only a `power_iterations` of 0 can leave,
    /// makes the iteration diverge.
    ///
    /// # Example
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use firebrick_models::orthogonal::alternatives::BjorckConfig;
    ///
    /// let matrix = Tensor::<3>::from_data([[[3.0, 0.0], [0.0, -0.5]]], &Device::flex());
    /// let found = BjorckConfig::new().orthonormalize(matrix).into_data();
    /// for (found, expected) in found.iter::<f32>().zip([1.0, 0.0, 0.0, -1.0]) {
    ///     assert!((found - expected).abs() < 1e-5);
    /// }
    /// ```
    pub fn orthonormalize(&self, matrices: Tensor<3>) -> Tensor<3> {
        let [_, rows, columns] = matrices.dims();
        let mut w = match self.power_iterations {
            0 => matrices,
            steps => {
                let norm = spectral_norms(matrices.clone().detach(), steps).detach();
                // Zeros stay zeros.
                matrices / norm.clamp_min(f64::from(f32::MIN_POSITIVE))
            }
        };
        for _ in 0..self.iterations {
            let transposed = w.clone().swap_dims(1, 2);
            let cubed = if rows >= columns {
                w.clone().matmul(transposed.matmul(w.clone()))
            } else {
                w.clone().matmul(transposed).matmul(w.clone())
            };
            w = w * 1.5 - cubed * 0.5;
        }
        w
    }
}

/// Largest singular values, `[batch, m, n] -> [batch, 1, 1]`, by power iteration from a fixed start.
///
/// An estimate from below. The vectors count as constants, so that the gradient is the gradient of
/// `|W v|`, which at the singular vector is that of the singular value.
pub(super) fn spectral_norms(matrices: Tensor<3>, iterations: usize) -> Tensor<3> {
    let [_, _, columns] = matrices.dims();
    let constant = matrices.clone().detach();
    let gram = |v: Tensor<3>| constant.clone().swap_dims(1, 2).matmul(constant.clone().matmul(v));
    // Normal numbers have a share in every direction.
    let start = init::normal(columns, &mut ChaCha8Rng::seed_from_u64(0));
    let start = TensorData::new(start, [1, columns, 1]);
    let device = matrices.device();
    let start = Tensor::<3>::from_data(start, (&device, matrices.dtype()));
    let unit = |v: Tensor<3>| {
        let norm = length(v.clone()).clamp_min(f64::from(f32::MIN_POSITIVE));
        v / norm
    };
    let mut v = unit(gram(start));
    for _ in 1..iterations {
        v = unit(gram(v));
    }
    length(matrices.matmul(v))
}

fn length(v: Tensor<3>) -> Tensor<3> {
    v.powi_scalar(2).sum_dim(1).sqrt()
}

/// Settings of [`BjorckLinear`].
#[derive(Config, Debug)]
pub struct BjorckLinearConfig {
    /// Number of inputs.
    pub d_input: usize,
    /// Number of outputs.
    pub d_output: usize,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// The iteration.
    #[config(default = "BjorckConfig::new()")]
    pub bjorck: BjorckConfig,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl BjorckLinearConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`,
    /// starting at a uniformly random orthogonal matrix.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> BjorckLinear {
        let options = &options.into();
        init::assert_channels("BjorckLinearConfig", [self.d_input, self.d_output]);
        let mut rng = init::stream(self.seed, options);
        let (rows, columns) = (self.d_output, self.d_input);
        let weight = init::semi_orthogonal(rows, columns, &mut rng);
        BjorckLinear {
            weight: init::parameter(weight, [rows, columns], options),
            bias: init::bias(self.bias, rows, options),
            bjorck: self.bjorck,
        }
    }
}

/// A linear layer made orthogonal by Björck's iteration.
///
/// ```text
/// Q = limit of W <- 1.5 W - 0.5 W W^T W,   from W / (largest singular value)
/// ```
///
/// Orthogonal as far as the iteration has converged; two matrix products per iteration in each call.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalMatrix;
/// use firebrick_models::orthogonal::alternatives::BjorckLinearConfig;
///
/// let device = Device::flex();
/// let layer = BjorckLinearConfig::new(4, 8).with_bias(true).init(&device);
/// let output = layer.apply(Tensor::<3>::ones([2, 5, 4], &device));
/// assert_eq!(output.dims(), [2, 5, 8]);
/// ```
///
/// # References
/// Å. Björck, C. Bowie, *An Iterative Algorithm for Computing the Best Estimate of an Orthogonal Matrix*,
/// 1971; C. Anil, J. Lucas, R. Grosse, *Sorting out Lipschitz Function Approximation*, ICML 2019.
#[derive(Module, Debug)]
pub struct BjorckLinear {
    /// The free matrix, `[output, input]`.
    pub weight: Param<Tensor<2>>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    bjorck: BjorckConfig,
}

impl OrthogonalMatrix for BjorckLinear {
    fn matrix(&self) -> Tensor<2> {
        self.bjorck.orthonormalize(self.weight.val().unsqueeze()).squeeze_dim(0)
    }

    fn features(&self) -> [usize; 2] {
        let [outputs, inputs] = self.weight.dims();
        [inputs, outputs]
    }

    fn bias(&self) -> Option<&Param<Tensor<1>>> {
        self.bias.as_ref()
    }
}
