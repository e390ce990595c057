//! Products of reflections.
//!
//! ```text
//! Q = H_1 H_2 ... H_m,   H_i = I - 2 v_i v_i^T / |v_i|^2
//!   = I - V T^-1 V^T,    T = I / 2 + (V^T V above the diagonal),   V = [v_1 .. v_m], |v_i| = 1
//! ```
//!
//! Exactly orthogonal for all vectors other than 0; with `m = n` reflections every orthogonal matrix
//! whose determinant is `(-1)^n` is reached. The second form replaces `m` steps, which wait for each
//! other, by matrix products and the inverse of a triangular matrix.
//!
//! # References
//! - A. S. Householder, *Unitary Triangularization of a Nonsymmetric Matrix*, J. ACM 5, 1958.
//! - C. Puglisi, *Modification of the Householder Method Based on the Compact WY Representation*, SIAM
//!   J. Sci. Stat. Comput. 13, 1992 (the second form).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};
use firebrick_ops::elimination::inverse;

use super::{OrthogonalMatrix, init};

/// Settings of [`HouseholderLinear`].
#[derive(Config, Debug)]
pub struct HouseholderLinearConfig {
    /// Number of inputs.
    pub d_input: usize,
    /// Number of outputs.
    pub d_output: usize,
    /// Number of reflections; by default as many as the larger size.
    pub reflections: Option<usize>,
    /// Whether there is a bias.
    #[config(default = false)]
    pub bias: bool,
    /// Seed of the start; without one, the device's generator decides.
    pub seed: Option<u64>,
}

impl HouseholderLinearConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`, with
    /// normal vectors.
    ///
    /// # Panics
    /// If a size or the number of reflections is zero.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> HouseholderLinear {
        let options = &options.into();
        init::assert_channels("HouseholderLinearConfig", [self.d_input, self.d_output]);
        let size = self.d_input.max(self.d_output);
        let count = self.reflections.unwrap_or(size);
        assert!(count > 0, "HouseholderLinearConfig: reflections must be positive, got 0");
        let mut rng = init::stream(self.seed, options);
        HouseholderLinear {
            vectors: init::parameter(init::normal(size * count, &mut rng), [size, count], options),
            bias: init::bias(self.bias, self.d_output, options),
            d_input: self.d_input,
            d_output: self.d_output,
        }
    }
}

/// A linear layer whose matrix is a product of reflections, cut to the wanted size.
///
/// ```text
/// Q = H_1 H_2 ... H_m,   H_i = I - 2 v_i v_i^T / |v_i|^2
/// ```
///
/// Exactly orthogonal for all vectors other than 0. Costs the inverse of a triangular `m x m` matrix in
/// each call, in place of `m` steps that wait for each other.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::OrthogonalMatrix;
/// use firebrick_models::orthogonal::alternatives::HouseholderLinearConfig;
///
/// let device = Device::flex();
/// let layer = HouseholderLinearConfig::new(4, 8).with_bias(true).init(&device);
/// let output = layer.apply(Tensor::<3>::ones([2, 5, 4], &device));
/// assert_eq!(output.dims(), [2, 5, 8]);
/// ```
///
/// # References
/// A. S. Householder, *Unitary Triangularization of a Nonsymmetric Matrix*, J. ACM 5, 1958.
#[derive(Module, Debug)]
pub struct HouseholderLinear {
    /// One vector per reflection, the columns of `[max(input, output), reflections]`.
    pub vectors: Param<Tensor<2>>,
    /// The bias, `[output]`.
    pub bias: Option<Param<Tensor<1>>>,
    d_input: usize,
    d_output: usize,
}

impl OrthogonalMatrix for HouseholderLinear {
    fn matrix(&self) -> Tensor<2> {
        let v = self.vectors.val();
        let [size, count] = v.dims();
        let (device, dtype) = (v.device(), v.dtype());
        let v = v.clone() / v.powi_scalar(2).sum_dim(0).sqrt();
        let identity = |n: usize| Tensor::<2>::eye(n, &device).cast(dtype);
        let gram = v.clone().transpose().matmul(v.clone());
        let t = identity(count) * 0.5 + gram.triu(1);
        let t_inverse = inverse(t.unsqueeze()).squeeze_dim::<2>(0);
        let rows = v.clone().narrow(0, 0, self.d_output);
        let columns = v.narrow(0, 0, self.d_input).transpose();
        let cut = identity(size).slice([0..self.d_output, 0..self.d_input]);
        cut - rows.matmul(t_inverse).matmul(columns)
    }

    fn features(&self) -> [usize; 2] {
        [self.d_input, self.d_output]
    }

    fn bias(&self) -> Option<&Param<Tensor<1>>> {
        self.bias.as_ref()
    }
}
