//! A map from a function.

use std::fmt;
use std::sync::Arc;

use firebrick_ops::fixed_point::State;

use super::cell::DeqCell;
use super::plain::Plain;

type Map<P, S, I> = dyn Fn(&P, S, &I) -> S + Send + Sync;
type Start<S, I> = dyn Fn(&I) -> S + Send + Sync;

/// The map of a function `f(parameters, state, input)`.
///
/// All tensors come through the parameters and the input, which the backward pass strips of autodiff:
/// [`new`](Self::new) takes a function or a closure that captures nothing.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::deq::{DeqConfig, FunctionCell};
///
/// let device = Device::flex().autodiff();
/// let w = Tensor::<2>::from_data([[0.5, -0.3], [0.2, 0.1]], &device).require_grad();
/// let x = Tensor::<2>::ones([4, 2], &device);
/// let cell = FunctionCell::new(
///     w.clone(),
///     |w: &Tensor<2>, z: Tensor<2>, x: &Tensor<2>| (z.matmul(w.clone()) + x.clone()).tanh(),
///     |x: &Tensor<2>| x.zeros_like(),
/// );
/// let output = DeqConfig::new().init().forward(&cell, x);
/// assert!(w.grad(&output.state.sum().backward()).is_some());
/// ```
///
/// A tensor that is captured instead does not compile:
/// ```compile_fail,E0308
/// # use burn::tensor::{Device, Tensor};
/// # use firebrick_models::deq::FunctionCell;
/// # let w = Tensor::<2>::ones([2, 2], &Device::flex().autodiff()).require_grad();
/// let cell = FunctionCell::new(
///     (),
///     move |(): &(), z: Tensor<2>, x: &Tensor<2>| (z.matmul(w.clone()) + x.clone()).tanh(),
///     |x: &Tensor<2>| x.zeros_like(),
/// );
/// ```
pub struct FunctionCell<P, S, I> {
    /// What the map depends on beside state and input.
    pub parameters: P,
    map: Arc<Map<P, S, I>>,
    start: Arc<Start<S, I>>,
}

impl<P, S, I> FunctionCell<P, S, I> {
    /// The cell of `map`, with the usual start for an input.
    pub fn new(
        parameters: P,
        map: fn(&P, S, &I) -> S,
        start: impl Fn(&I) -> S + Send + Sync + 'static,
    ) -> Self
    where
        P: 'static,
        S: 'static,
        I: 'static,
    {
        Self::unchecked(parameters, map, start)
    }

    /// The cell of a closure that may capture anything, such as settings.
    ///
    /// # Notes
    /// A tensor with autodiff that the closure captures panics in the forward pass, because it shows in the
    /// image. It does not show if the closure takes the result out of autodiff by `inner()` before it
    /// returns: then the backward pass, which calls the closure while the graph of that tensor is locked,
    /// **blocks for ever**. Burn offers no way to see this beforehand. Hand such tensors over as
    /// parameters.
    pub fn unchecked(
        parameters: P,
        map: impl Fn(&P, S, &I) -> S + Send + Sync + 'static,
        start: impl Fn(&I) -> S + Send + Sync + 'static,
    ) -> Self {
        Self { parameters, map: Arc::new(map), start: Arc::new(start) }
    }
}

impl<P: Clone, S, I> Clone for FunctionCell<P, S, I> {
    fn clone(&self) -> Self {
        Self {
            parameters: self.parameters.clone(),
            map: self.map.clone(),
            start: self.start.clone(),
        }
    }
}

impl<P: fmt::Debug, S, I> fmt::Debug for FunctionCell<P, S, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionCell").field("parameters", &self.parameters).finish()
    }
}

impl<P: Plain, S: State + 'static, I: Plain> DeqCell for FunctionCell<P, S, I> {
    type State = S;
    type Input = I;

    fn evaluate(&self, state: S, input: &I) -> S {
        (self.map)(&self.parameters, state, input)
    }

    fn start(&self, input: &I) -> S {
        (self.start)(input)
    }

    fn plain(&self) -> Self {
        Self { parameters: self.parameters.plain(), ..self.clone() }
    }
}
