//! The Cayley transform of a rectangular matrix: an orthogonal matrix by one inverse.
//!
//! ```text
//! W~ = alpha W / |W|_F,   U: its top n x n block, V: the rows below
//! A = U - U^T + V^T V,   Z = (I + A)^-1,   Q = [Z (I - A); -2 V Z]
//! ```
//!
//! `A` has the positive semidefinite symmetric part `V^T V`, so the inverse exists and its norm is at
//! most 1, and `Q^T Q = I` for every `W`. A wide matrix is transposed first. The inverse has the size of
//! the smaller side, which makes thin matrices cheap.
//!
//! # References
//! A. Trockman, J. Z. Kolter, *Orthogonalizing Convolutional Layers with the Cayley Transform*, ICLR
//! 2021.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};
use firebrick_ops::elimination::inverse;

use super::{OrthogonalMatrix, init};

/// The Cayley transform of `[top; below]`, in the same two parts.
///
/// # Shapes
/// - top: `[batch, n, n]`
/// - below: `[batch, m, n]`
pub(super) fn cayley(top: Tensor<3>, below: Option<Tensor<3>>) -> (Tensor<3>, Option<Tensor<3>>) {
    let [batch, n, _] = top.dims();
    let identity = Tensor::<2>::eye(n, &top.device()).cast(top.dtype());
    let identity = identity.unsqueeze::<3>().repeat_dim(0, batch);
    let mut a = top.clone() - top.swap_dims(1, 2);
    if let Some(v) = &below {
        a = a + v.clone().swap_dims(1, 2).matmul(v.clone());
    }
    let z = inverse(identity.clone() + a);
    // Z (I - A) without a product: Z (2 I - (I + A)).
    let top = z.clone() * 2.0 - identity;
    (top, below.map(|v| v.matmul(z) * -2.0))
}

/// The Cayley transform of a matrix of any shape, `[m, n]`.
fn cayley_matrix(weight: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = weight.dims();
    if columns > rows {
        return cayley_matrix(weight.transpose()).transpose();
    }
    let w = weight.unsqueeze::<3>();
    let below = (rows > columns).then(|| w.clone().narrow(1, columns, rows - columns));
    let (top, below) = cayley(w.narrow(1, 0, columns), below);
    let parts: Vec<Tensor<3>> = std::iter::once(top).chain(below).collect();
    Tensor::cat(parts, 1).squeeze_dim(0)
}

/// Settings of [`CayleyLinear`].
#[derive(Config, Debug)]
pub struct CayleyLinearConfig {
    /// Number of inputs.
    pub d_input: usize,
    /// Number of outputs.
    pub d_output: usize,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl CayleyLinearConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`; weights
    /// are uniform within `1 / sqrt(d_input)`, and the scale is their norm.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> CayleyLinear {
        let options = &options.into();
        init::assert_channels("CayleyLinearConfig", [self.d_input, self.d_output]);
        let mut rng = init::stream(self.seed, options);
        let bound = 1.0 / (self.d_input as f64).sqrt();
        let weight = init::uniform(self.d_input * self.d_output, bound, &mut rng);
        let norm = weight.iter().map(|value| value * value).sum::<f64>().sqrt();
        CayleyLinear {
            weight: init::parameter(weight, [self.d_output, self.d_input], options),
            alpha: init::parameter(vec![norm], [1], options),
            bias: init::bias(self.bias, self.d_output, options),
        }
    }
}

/// A linear layer whose matrix is a Cayley transform: exactly orthogonal for all weights.
///
/// ```text
/// [U; V] = alpha W / |W|_F      U: square,  A = U - U^T + V^T V,  Z = (I + A)^-1
/// Q = [Z (I - A); -2 V Z]       of the transposed matrix, if there are more inputs than outputs
/// ```
///
/// Costs one inverse of the size of the smaller side in each call.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalMatrix;
/// use firebrick_models::orthogonal::alternatives::CayleyLinearConfig;
///
/// let device = Device::flex();
/// let layer = CayleyLinearConfig::new(4, 8).with_bias(true).init(&device);
/// let output = layer.apply(Tensor::<3>::ones([2, 5, 4], &device));
/// assert_eq!(output.dims(), [2, 5, 8]);
/// ```
///
/// # References
/// A. Trockman, J. Z. Kolter, *Orthogonalizing Convolutional Layers with the Cayley Transform*, ICLR
/// 2021.
#[derive(Module, Debug)]
pub struct CayleyLinear {
    /// The free matrix, `[output, input]`.
    pub weight: Param<Tensor<2>>,
    /// The norm that the weight is scaled to, `[1]`.
    pub alpha: Param<Tensor<1>>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl OrthogonalMatrix for CayleyLinear {
    fn matrix(&self) -> Tensor<2> {
        let weight = self.weight.val();
        let norm = weight.clone().powi_scalar(2).sum().sqrt();
        cayley_matrix(weight * (self.alpha.val() / norm).unsqueeze::<2>())
    }

    fn features(&self) -> [usize; 2] {
        let [outputs, inputs] = self.weight.dims();
        [inputs, outputs]
    }

    fn bias(&self) -> Option<&Param<Tensor<1>>> {
        self.bias.as_ref()
    }
}
