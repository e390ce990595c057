//! Maps on gradients at a point of the graph.
//!
//! ```text
//! forward   y = x
//! backward  dL/dx = h(dL/dy)
//! ```
//!
//! for any function `h`. Burn has no hooks on tensors; this is an operation of its own whose backward step
//! calls `h`, on every backend.
//!
//! | function | `h` |
//! |---|---|
//! | [`gradient_hook`] | any, with the tensors that it uses handed over and checked |
//! | [`gradient_hook_unchecked`] | any closure |
//! | [`tap_gradient`] | the identity, which keeps a copy to be read |
//! | [`scale_gradient`] | times a number |
//! | [`reverse_gradient`] | times a negative number: domain-adversarial training |
//! | [`clip_gradient_value`] | entries brought to `[-limit, limit]` |
//! | [`clip_gradient_norm`] | whole tensor brought to a norm |
//! | [`clip_gradient_norm_per_sample`] | each sample brought to a norm |
//!
//! # What `h` may use
//! The gradient arrives as a plain tensor, and a plain tensor must come back. While `h` runs, the graph is
//! locked: an operation on one of its tensors, such as a captured parameter, would wait for the lock for
//! ever. So `h` gets `module.valid()` and `tensor.inner()`. It may build graphs of its own and call
//! `backward` on them.
//!
//! Do not differentiate from two threads through the same parameters at once: merging their graphs takes
//! locks in an order that can block. Different models in different threads are fine.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firebrick_ops::gradient_hook::gradient_hook;
//!
//! let device = Device::flex().autodiff();
//! let x = Tensor::<1>::from_data([1.0, 2.0], &device).require_grad();
//! let mask = Tensor::<1>::from_data([0.0, 1.0], &Device::flex());
//! let y = gradient_hook(x.clone(), mask, |mask, gradient| gradient * mask.clone());
//! let gradients = (y * 3.0).sum().backward();
//! let found = x.grad(&gradients).unwrap().into_data();
//! assert_eq!(found.iter::<f32>().collect::<Vec<_>>(), [0.0, 3.0]);
//! ```

mod backend;
mod captures;
mod points;
mod tap;

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use backend::{Hook, HookBackend};

pub use captures::{CapturedModule, Captures, Constant};
pub use points::{
    clip_gradient_norm, clip_gradient_norm_per_sample, clip_gradient_value, reverse_gradient,
    scale_gradient,
};
pub use tap::{GradientTap, tap_gradient};

/// The identity, whose backward maps the gradient through `hook`.
///
/// `hook` is a function or a closure that captures nothing: all that it uses comes through `captures`,
/// which are checked here, so that a tracked tensor among them is found in the forward pass instead of
/// blocking the backward.
///
/// # Shapes
/// - input: any
/// - gradient that the hook gets and must return: as the input
/// - output: as the input
///
/// # Panics
/// If a tensor or parameter among `captures` carries autodiff. In the backward, if the hook returns
/// another shape or float type or a tensor with autodiff.
///
/// # Example
/// See the [module](self).
pub fn gradient_hook<const D: usize, C: Captures>(
    input: Tensor<D>,
    captures: C,
    hook: fn(&C, Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    if let Some(what) = captures.autodiff() {
        panic!(
            "gradient_hook: captures must carry no autodiff, because the graph is locked while the hook \
             runs, but {what} does; capture `tensor.inner()` and `module.valid()`"
        );
    }
    gradient_hook_unchecked(input, move |gradient| hook(&captures, gradient))
}

/// The identity, whose backward maps the gradient through a closure that may capture anything.
///
/// Nothing in the closure is checked: an operation on a tensor of the graph that is being differentiated
/// **blocks for ever**. Where the tensors are known, [`gradient_hook`] finds such a mistake.
///
/// # Shapes
/// As [`gradient_hook`].
///
/// # Panics
/// In the backward, if the closure returns another shape or float type or a tensor with autodiff.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::gradient_hook::gradient_hook_unchecked;
///
/// let x = Tensor::<1>::ones([3], &Device::flex().autodiff()).require_grad();
/// let factor = 5.0;
/// let y = gradient_hook_unchecked(x.clone(), move |gradient| gradient * factor);
/// let found = x.grad(&y.sum().backward()).unwrap();
/// assert_eq!(found.sum().into_scalar::<f32>(), 15.0);
/// ```
pub fn gradient_hook_unchecked<const D: usize>(
    input: Tensor<D>,
    hook: impl Fn(Tensor<D>) -> Tensor<D> + Send + Sync + 'static,
) -> Tensor<D> {
    if !input.is_autodiff() {
        return input;
    }
    let hook = Hook(Arc::new(move |gradient| {
        let gradient = Tensor::<D>::from_dispatch(gradient);
        let (shape, dtype) = (gradient.dims(), gradient.dtype());
        let mapped = hook(gradient);
        assert!(
            mapped.dims() == shape && mapped.dtype() == dtype,
            "gradient_hook: the hook must keep the gradient's shape {shape:?} and type {dtype:?}, got {:?} \
             and {:?}",
            mapped.dims(),
            mapped.dtype()
        );
        assert!(
            !mapped.is_autodiff(),
            "gradient_hook: the hook must return a tensor without autodiff; call `inner()` on it"
        );
        mapped.into_dispatch()
    }));
    Tensor::from_dispatch(<Dispatch as HookBackend>::gradient_hook(input.into_dispatch(), hook))
}

#[cfg(all(test, feature = "flex"))]
mod tests;
