//! The operation as an extension of Burn's backends.
// The extension names every backend, and Burn deprecates NdArray.
#![allow(deprecated)]

use std::fmt;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, BackendTensor, DispatchKindConversion, DispatchTensor, backend_extension,
};

/// A map on gradients of whatever rank and backend.
#[derive(Clone)]
pub struct Hook(pub Arc<dyn Fn(DispatchTensor) -> DispatchTensor + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// The identity on a backend's own tensors.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm")),
    Remote: cfg(feature = "remote"),
    Autodiff
)]
pub trait HookBackend: Backend {
    /// The identity; only autodiff has a use for the hook.
    fn gradient_hook(input: FloatTensor<Self>, hook: Hook) -> FloatTensor<Self> {
        let _ = hook;
        input
    }
}

#[cfg(feature = "flex")]
impl HookBackend for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl HookBackend for burn::backend::NdArray {}

#[cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm"))]
impl HookBackend for burn::backend::Cube {}

#[cfg(feature = "remote")]
impl HookBackend for burn::backend::Remote {}

#[derive(Debug)]
struct HookBackward;

impl<B: Backend> Backward<B, 1> for HookBackward
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = Hook;

    fn backward(self, ops: Ops<Hook, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [Some(parent)] = ops.parents else { return };
        let gradient = <DispatchTensor as DispatchKindConversion<B>>::from_backend(
            BackendTensor::Float(gradient),
        );
        let mapped = (ops.state.0)(gradient);
        match <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(mapped) {
            Ok(BackendTensor::Float(mapped)) => gradients.register::<B>(parent.id, mapped),
            Ok(other) => panic!("gradient_hook: the hook returned a {} tensor", other.name()),
            Err(error) => panic!("gradient_hook: the hook changed the device: {error}"),
        }
    }
}

impl<B, C> HookBackend for Autodiff<B, C>
where
    B: HookBackend,
    C: CheckpointStrategy,
    DispatchTensor: DispatchKindConversion<B>,
{
    fn gradient_hook(input: FloatTensor<Self>, hook: Hook) -> FloatTensor<Self> {
        let (primitive, guard) = input.into_parts();
        match HookBackward.prepare::<C>([guard]).compute_bound().stateful() {
            OpsKind::Tracked(operation) => operation.finish(hook, primitive),
            OpsKind::UnTracked(operation) => operation.finish(primitive),
        }
    }
}
