//! The operation as an extension of Burn's backends, with a backward step of its own.
// The extension names every backend, and Burn deprecates NdArray.
#![allow(deprecated)]

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

/// The tangent of a backend's own tensors.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm")),
    Remote: cfg(feature = "remote"),
    Autodiff
)]
pub trait TanhBackend: Backend {
    /// See [`tanh`](super::tanh).
    fn fast_tanh(input: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_tanh(input)
    }
}

#[cfg(feature = "ndarray")]
impl TanhBackend for burn::backend::NdArray {}

#[cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm"))]
impl TanhBackend for burn::backend::Cube {}

#[cfg(feature = "remote")]
impl TanhBackend for burn::backend::Remote {}

#[derive(Debug)]
struct TanhBackward;

impl<B: Backend> Backward<B, 1> for TanhBackward {
    /// The output.
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<FloatTensor<B>, 1>,
        gradients: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [Some(parent)] = ops.parents else { return };
        let square = B::float_mul(ops.state.clone(), ops.state);
        let slope = B::float_add_scalar(B::float_neg(square), 1.0.into());
        gradients.register::<B>(parent.id, B::float_mul(gradient, slope));
    }
}

impl<B: TanhBackend, C: CheckpointStrategy> TanhBackend for Autodiff<B, C> {
    fn fast_tanh(input: FloatTensor<Self>) -> FloatTensor<Self> {
        let (primitive, guard) = input.into_parts();
        match TanhBackward.prepare::<C>([guard]).compute_bound().stateful() {
            OpsKind::Tracked(operation) => {
                let output = B::fast_tanh(primitive);
                operation.finish(output.clone(), output)
            }
            OpsKind::UnTracked(operation) => operation.finish(B::fast_tanh(primitive)),
        }
    }
}
