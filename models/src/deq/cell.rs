//! The map of an equilibrium block.

use firebrick_ops::fixed_point::State;

use super::plain::Plain;

/// The map `f(z, x)` of an equilibrium block: its parameters and how it is evaluated.
///
/// A module with parameters implements [`plain`](Self::plain) by
/// [`without_autodiff`](super::without_autodiff). Where the derivative is known, [`linearize`](Self::linearize)
/// saves an evaluation with autodiff in every step of the backward solve.
///
/// # Example
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::deq::{DeqCell, DeqConfig, without_autodiff};
///
/// #[derive(Module, Debug)]
/// struct Cell {
///     inner: Linear,
/// }
///
/// impl DeqCell for Cell {
///     type State = Tensor<2>;
///     type Input = Tensor<2>;
///
///     fn evaluate(&self, z: Tensor<2>, x: &Tensor<2>) -> Tensor<2> {
///         (self.inner.forward(z) * 0.3 + x.clone()).tanh()
///     }
///
///     fn start(&self, x: &Tensor<2>) -> Tensor<2> {
///         x.zeros_like()
///     }
///
///     fn plain(&self) -> Self {
///         without_autodiff(self)
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let cell = Cell { inner: LinearConfig::new(3, 3).init(&device) };
/// let output = DeqConfig::new().init().forward(&cell, Tensor::ones([2, 3], &device));
/// let gradients = output.state.sum().backward();
/// assert!(cell.inner.weight.grad(&gradients).is_some());
/// ```
pub trait DeqCell: Clone + Send + Sync + 'static {
    /// What has a fixed point.
    type State: State;
    /// What is injected into every evaluation, best with everything done that does not depend on the
    /// state.
    type Input: Plain;

    /// Evaluates the map; the image must have the shape and the float type of the state.
    fn evaluate(&self, state: Self::State, input: &Self::Input) -> Self::State;

    /// The usual start for an input, zeros as a rule.
    fn start(&self, input: &Self::Input) -> Self::State;

    /// The same map with its parameters taken out of autodiff, and otherwise unchanged.
    fn plain(&self) -> Self;

    /// The derivative with respect to the state in closed form, if it is known; by default it is not.
    ///
    /// On a cell with autodiff the products must be differentiable with respect to the parameters and the
    /// input: [`JacobianPenalty`](super::JacobianPenalty) differentiates them.
    fn linearize(
        &self,
        state: &Self::State,
        input: &Self::Input,
    ) -> Option<Box<dyn Linearization<Self::State>>> {
        let _ = (state, input);
        None
    }
}

/// The derivative `J = df/dz` of a map at a point.
pub trait Linearization<S> {
    /// `J^T g` for every sample.
    fn vjp(&self, cotangent: S) -> S;

    /// `J v` for every sample.
    fn jvp(&self, tangent: S) -> S;
}
