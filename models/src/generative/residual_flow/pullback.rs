//! What the log-determinants and the inverse need of a residual function.

use burn::tensor::Tensor;

/// The transposed Jacobian at a point, `v -> J^T v`, sample by sample.
///
/// Made of ordinary tensor operations, so that what is computed with it can be differentiated once more.
pub trait Pullback<const D: usize>: Sized {
    /// `J^T v`.
    ///
    /// # Shapes
    /// - cotangent: `[batch, ..]`, as the output of the function
    /// - result: `[batch, ..]`, as its input
    fn apply(&self, cotangent: Tensor<D>) -> Tensor<D>;

    /// The same map as a constant, through which no gradient flows.
    fn detached(&self) -> Self;
}

/// The function `g` of a residual block `y = x + g(x)`.
///
/// # Example
/// A linear function `g(x) = a x`:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::{Pullback, ResidualFunction, exact_log_det};
///
/// struct Scaled(f64);
///
/// impl Pullback<2> for Scaled {
///     fn apply(&self, cotangent: Tensor<2>) -> Tensor<2> {
///         cotangent.mul_scalar(self.0)
///     }
///
///     fn detached(&self) -> Self {
///         Self(self.0)
///     }
/// }
///
/// impl ResidualFunction<2> for Scaled {
///     type Pullback<'a> = Scaled;
///
///     fn forward(&self, input: Tensor<2>) -> Tensor<2> {
///         input.mul_scalar(self.0)
///     }
///
///     fn linearize(&self, input: Tensor<2>) -> (Tensor<2>, Scaled) {
///         (self.forward(input), Scaled(self.0))
///     }
///
///     fn lipschitz(&self) -> f64 {
///         self.0.abs()
///     }
/// }
///
/// let (_, pullback) = Scaled(0.5).linearize(Tensor::ones([1, 3], &Device::flex()));
/// let log_det = exact_log_det(&pullback, &Tensor::ones([1, 3], &Device::flex()));
/// assert!((log_det.into_scalar::<f32>() - 3.0 * 1.5f32.ln()).abs() < 1e-6);
/// ```
pub trait ResidualFunction<const D: usize> {
    /// The transposed Jacobian.
    type Pullback<'a>: Pullback<D>
    where
        Self: 'a;

    /// `g(x)`.
    ///
    /// # Shapes
    /// - input, output: `[batch, ..]`, of one shape
    fn forward(&self, input: Tensor<D>) -> Tensor<D>;

    /// `g(x)` and the transposed Jacobian at `x`; gradients flow through both.
    fn linearize(&self, input: Tensor<D>) -> (Tensor<D>, Self::Pullback<'_>);

    /// A bound on the Lipschitz constant of `g` in the Euclidean norm.
    fn lipschitz(&self) -> f64;

    /// `g` as a constant function for many calls: whatever is derived from parameters is derived once,
    /// and no gradient flows to them.
    fn fixed(&self) -> impl Fn(Tensor<D>) -> Tensor<D> + '_ {
        |input| self.forward(input).detach()
    }
}
