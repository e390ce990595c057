//! Reading a gradient at a point.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;

use super::gradient_hook_unchecked;

/// Where [`tap_gradient`] leaves the gradient.
#[derive(Clone, Debug)]
pub struct GradientTap<const D: usize>(Arc<Mutex<Option<Tensor<D>>>>);

impl<const D: usize> GradientTap<D> {
    /// The gradient of the last backward, which is taken out.
    pub fn take(&self) -> Option<Tensor<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The identity, which keeps the gradient that passes: the gradient of an activation without making it a
/// leaf.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::gradient_hook::tap_gradient;
///
/// let x = Tensor::<1>::ones([2], &Device::flex().autodiff()).require_grad();
/// let (hidden, tap) = tap_gradient(x * 4.0);
/// assert!(tap.take().is_none());
/// hidden.square().sum().backward();
/// assert_eq!(tap.take().unwrap().into_data().iter::<f32>().next(), Some(8.0));
/// ```
pub fn tap_gradient<const D: usize>(input: Tensor<D>) -> (Tensor<D>, GradientTap<D>) {
    let tap = GradientTap(Arc::default());
    let slot = tap.0.clone();
    let output = gradient_hook_unchecked(input, move |gradient| {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient.clone());
        gradient
    });
    (output, tap)
}
