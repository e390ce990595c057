//! One invertible residual block.

use burn::module::Module;
use burn::tensor::Tensor;
use rand::Rng;

use super::estimator::LogDet;
use super::inverse::{Inverse, InverseConfig, invert};
use super::pullback::ResidualFunction;
use crate::ModelError;

/// `y = x + g(x)` with a contraction `g`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::{
///     ContractiveMlpConfig, InverseConfig, InvertibleBlock, LogDet,
/// };
/// use rand::SeedableRng;
///
/// let device = Device::flex();
/// let residual = ContractiveMlpConfig::new(2, vec![8]).init(&device);
/// let block = InvertibleBlock { residual };
/// let input = Tensor::<2>::from_data([[1.0, -2.0]], &device);
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let (output, log_det) = block.forward_log_det(input.clone(), &LogDet::Exact, &mut rng);
/// assert_eq!(log_det.dims(), [1]);
/// let back = block.inverse(output, &InverseConfig::new())?.input;
/// assert!((back - input).abs().max().into_scalar::<f32>() < 1e-5);
/// # Ok::<(), firebrick_models::ModelError>(())
/// ```
#[derive(Module, Debug)]
pub struct InvertibleBlock<F: Module> {
    /// The function `g`.
    pub residual: F,
}

impl<F: Module> InvertibleBlock<F> {
    /// `x + g(x)`.
    ///
    /// # Shapes
    /// - input, output: `[batch, ..]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D>
    where
        F: ResidualFunction<D>,
    {
        input.clone() + self.residual.forward(input)
    }

    /// `x + g(x)` with `log det(I + J)` at `x`, `[batch]`; differentiable with respect to the input and the
    /// parameters.
    ///
    /// # Shapes
    /// - input, output: `[batch, ..]`
    pub fn forward_log_det<const D: usize>(
        &self,
        input: Tensor<D>,
        method: &LogDet,
        rng: &mut impl Rng,
    ) -> (Tensor<D>, Tensor<1>)
    where
        F: ResidualFunction<D>,
    {
        let (change, pullback) = self.residual.linearize(input.clone());
        let log_det = method.evaluate(&pullback, &input, rng);
        (input + change, log_det)
    }

    /// The input of an output, without gradients.
    ///
    /// # Errors
    /// As [`invert`].
    pub fn inverse<const D: usize>(
        &self,
        output: Tensor<D>,
        config: &InverseConfig,
    ) -> Result<Inverse<D>, ModelError>
    where
        F: ResidualFunction<D>,
    {
        invert(self.residual.fixed(), self.residual.lipschitz(), output, config)
    }
}
