//! Matrices of given spectral norm.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Keeps normalizations away from division by zero.
const EPSILON: f64 = 1e-12;

/// Settings of [`SpectralNorm`].
#[derive(Config, Debug)]
pub struct SpectralNormConfig {
    /// Whether there is a learned factor for each row, from `target`. Otherwise all are `target`.
    #[config(default = false)]
    pub learnable: bool,
    /// The spectral norm.
    #[config(default = 1.0)]
    pub target: f64,
    /// Largest factor `g / sigma`.
    pub clip: Option<f64>,
    /// Seed of the first singular vector.
    #[config(default = 0)]
    pub seed: u64,
}

impl SpectralNormConfig {
    /// Normalizes a matrix, starting the power iteration from a random vector.
    ///
    /// # Panics
    /// If the matrix is empty, or `target` or `clip` is not positive.
    pub fn init(&self, weight: Tensor<2>) -> SpectralNorm {
        let [rows, _] = weight.dims();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let values: Vec<f64> = (0..rows).map(|_| rng.sample::<f64, _>(StandardNormal)).collect();
        let options = (&weight.device().inner(), weight.dtype());
        let left = Tensor::from_data(TensorData::new(values, [rows]), options);
        self.init_from(weight, left)
    }

    /// As [`init`](Self::init), from a given vector.
    ///
    /// # Shapes
    /// - weight: `[rows, columns]`
    /// - left: `[rows]`
    ///
    /// # Panics
    /// As [`init`](Self::init), or if the vector has another length.
    pub fn init_from(&self, weight: Tensor<2>, left: Tensor<1>) -> SpectralNorm {
        let [rows, columns] = weight.dims();
        assert!(
            rows > 0 && columns > 0,
            "SpectralNormConfig: weight must not be empty, got {rows}x{columns}"
        );
        assert!(
            left.dims() == [rows],
            "SpectralNormConfig: left must have one entry per row, {rows}, got {:?}",
            left.dims()
        );
        assert!(
            self.target > 0.0,
            "SpectralNormConfig: target must be positive, got {}",
            self.target
        );
        assert!(
            self.clip.is_none_or(|clip| clip > 0.0),
            "SpectralNormConfig: clip must be positive, got {:?}",
            self.clip
        );
        let weight = weight.detach();
        let is_tracked = weight.device().is_autodiff();
        let factor = weight.clone().narrow(1, 0, 1).full_like(self.target);
        let factor = Param::from_tensor(factor.detach());
        let left = unit(left.inner());
        let right = unit(transposed_product(weight.clone().inner(), left.clone()));
        SpectralNorm {
            weight: Param::from_tensor(weight),
            factor: if self.learnable { factor } else { factor.set_require_grad(false) },
            left: buffer(left, is_tracked),
            right: buffer(right, is_tracked),
            clip: self.clip,
        }
    }
}

/// A matrix over its spectral norm.
///
/// ```text
/// W min(clip, g / sigma),   sigma = u^T W v
/// ```
///
/// `u` and `v` are constants that one power iteration per training step keeps near the leading singular
/// vectors. Call [`advance`](Self::advance) and [`weight`](Self::weight) once per training step, outside the
/// solver.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::deq::SpectralNormConfig;
///
/// let w = Tensor::<2>::from_data([[3.0, 0.0], [0.0, 1.0]], &Device::flex());
/// let mut norm = SpectralNormConfig::new().with_target(0.9).init(w);
/// (0..20).for_each(|_| norm.advance());
/// let first = norm.weight().into_data().iter::<f32>().next().unwrap();
/// assert!((first - 0.9).abs() < 1e-5);
/// ```
#[derive(Module, Debug)]
pub struct SpectralNorm {
    /// The matrix before it is normalized.
    pub weight: Param<Tensor<2>>,
    /// `g`, `[rows, 1]`
    pub factor: Param<Tensor<2>>,
    left: Param<Tensor<1>>,
    right: Param<Tensor<1>>,
    #[module(skip)]
    clip: Option<f64>,
}

impl SpectralNorm {
    /// One power iteration: `v = W^T u / ||.||`, `u = W v / ||.||`.
    pub fn advance(&mut self) {
        let weight = self.weight.val().inner();
        let [left, _] = self.vectors();
        let right = unit(transposed_product(weight.clone(), left));
        let left = unit(product(weight, right.clone()));
        replace(&mut self.left, left);
        replace(&mut self.right, right);
    }

    /// The singular vectors `u`, `[rows]`, and `v`, `[columns]`.
    pub fn vectors(&self) -> [Tensor<1>; 2] {
        [self.left.val().inner(), self.right.val().inner()]
    }

    /// `sigma`, `[1]`, differentiable with respect to the matrix.
    pub fn sigma(&self) -> Tensor<1> {
        let [left, right] = self.vectors();
        (self.weight.val() * (left.unsqueeze_dim::<2>(1) * right.unsqueeze_dim::<2>(0))).sum()
    }

    /// The normalized matrix.
    pub fn weight(&self) -> Tensor<2> {
        let factor = self.factor.val() / self.sigma().unsqueeze::<2>();
        let factor = match self.clip {
            Some(clip) => factor.clamp_max(clip),
            None => factor,
        };
        self.weight.val() * factor
    }
}

/// A vector that is kept with the weight and not trained. Clones of the module have their own.
fn buffer(vector: Tensor<1>, is_tracked: bool) -> Param<Tensor<1>> {
    Param::from_tensor(beside(vector, is_tracked)).set_require_grad(false)
}

fn beside(vector: Tensor<1>, is_tracked: bool) -> Tensor<1> {
    if is_tracked { Tensor::from_inner(vector) } else { vector }
}

/// Changes the value of a buffer, which keeps its identity in records.
fn replace(buffer: &mut Param<Tensor<1>>, vector: Tensor<1>) {
    let vector = beside(vector, buffer.val().device().is_autodiff());
    *buffer = buffer.clone().map(|_| vector);
}

fn product(matrix: Tensor<2>, vector: Tensor<1>) -> Tensor<1> {
    (matrix * vector.unsqueeze_dim::<2>(0)).sum_dim(1).squeeze_dim::<1>(1)
}

fn transposed_product(matrix: Tensor<2>, vector: Tensor<1>) -> Tensor<1> {
    (matrix * vector.unsqueeze_dim::<2>(1)).sum_dim(0).squeeze_dim::<1>(0)
}

fn unit(vector: Tensor<1>) -> Tensor<1> {
    let length = vector.clone().square().sum().sqrt().clamp_min(EPSILON);
    vector / length
}
