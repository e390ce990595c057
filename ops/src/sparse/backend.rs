//! The operations as an extension of Burn's backends, with gradients.
// The extension names every backend, and Burn deprecates NdArray.
#![allow(deprecated)]

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::composed::Kernels;
use super::operation::{Operation, Saved};

/// An [`Operation`] on one, two, three or five tensors.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm")),
    Remote: cfg(feature = "remote"),
    Autodiff
)]
pub(crate) trait SparseBackend: Backend {
    fn sparse_1(a: FloatTensor<Self>, operation: Operation) -> FloatTensor<Self>;

    fn sparse_2(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self>;

    fn sparse_3(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self>;

    fn sparse_5(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self>;
}

macro_rules! plain {
    ($backend:ty) => {
        fn sparse_1(a: FloatTensor<Self>, operation: Operation) -> FloatTensor<Self> {
            operation.forward::<$backend>(&[a])
        }

        fn sparse_2(
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            operation: Operation,
        ) -> FloatTensor<Self> {
            operation.forward::<$backend>(&[a, b])
        }

        fn sparse_3(
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            c: FloatTensor<Self>,
            operation: Operation,
        ) -> FloatTensor<Self> {
            operation.forward::<$backend>(&[a, b, c])
        }

        fn sparse_5(
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            c: FloatTensor<Self>,
            d: FloatTensor<Self>,
            e: FloatTensor<Self>,
            operation: Operation,
        ) -> FloatTensor<Self> {
            operation.forward::<$backend>(&[a, b, c, d, e])
        }
    };
}

#[cfg(feature = "flex")]
impl SparseBackend for burn::backend::Flex {
    plain!(Self);
}

#[cfg(feature = "ndarray")]
impl Kernels for burn::backend::NdArray {}

#[cfg(feature = "ndarray")]
impl SparseBackend for burn::backend::NdArray {
    plain!(Self);
}

#[cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm"))]
impl Kernels for burn::backend::Cube {}

#[cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm"))]
impl SparseBackend for burn::backend::Cube {
    plain!(Self);
}

#[cfg(feature = "remote")]
impl Kernels for burn::backend::Remote {}

#[cfg(feature = "remote")]
impl SparseBackend for burn::backend::Remote {
    plain!(Self);
}

impl<B: Kernels, C: CheckpointStrategy> SparseBackend for Autodiff<B, C> {
    fn sparse_1(a: FloatTensor<Self>, operation: Operation) -> FloatTensor<Self> {
        record::<B, C, 1>([a], operation)
    }

    fn sparse_2(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self> {
        record::<B, C, 2>([a, b], operation)
    }

    fn sparse_3(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self> {
        record::<B, C, 3>([a, b, c], operation)
    }

    fn sparse_5(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self> {
        record::<B, C, 5>([a, b, c, d, e], operation)
    }
}

#[derive(Debug)]
struct Step;

/// Runs an operation and leaves its gradient for the backward pass.
fn record<B: Kernels, C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<B, C>>; N],
    operation: Operation,
) -> FloatTensor<Autodiff<B, C>> {
    let guards = inputs.each_ref().map(|input| input.node());
    let inputs = inputs.map(|input| input.into_primitive());
    let output = operation.forward::<B>(&inputs);
    match Step.prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let saved = operation.save::<B>(inputs.into(), &output);
            step.finish((operation, saved), output)
        }
        OpsKind::UnTracked(step) => step.finish(output),
    }
}

impl<B: Kernels, const N: usize> Backward<B, N> for Step {
    type State = (Operation, Saved<B>);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let (operation, saved) = ops.state;
        let found = operation.backward::<B>(saved, gradient, &wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}
