//! The recurrence as an extension of Burn's backends, with a gradient that computes the states again.
// The extension names every backend, and Burn deprecates NdArray.
#![allow(deprecated)]

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::composed;

/// What the tensors do not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GruShape {
    /// Rows that are taken at once.
    pub chunk: usize,
    /// Whether the second tensor is the start; otherwise it is not read.
    pub has_start: bool,
    /// Whether the last tensor is a mask; otherwise it is not read.
    pub has_mask: bool,
}

/// The tensors of [`gru`](super::gru).
#[derive(Clone, Debug)]
pub(crate) struct GruTensors<B: Backend> {
    pub x: FloatTensor<B>,
    pub start: Option<FloatTensor<B>>,
    pub input: FloatTensor<B>,
    pub hidden: FloatTensor<B>,
    pub input_bias: FloatTensor<B>,
    pub hidden_bias: FloatTensor<B>,
    pub mask: Option<FloatTensor<B>>,
}

/// Which gradients are asked for beside those of the weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub x: bool,
    pub start: bool,
}

/// The gradients.
pub(crate) struct GruGradients<B: Backend> {
    pub x: Option<FloatTensor<B>>,
    pub start: Option<FloatTensor<B>>,
    pub input: FloatTensor<B>,
    pub hidden: FloatTensor<B>,
    pub input_bias: FloatTensor<B>,
    pub hidden_bias: FloatTensor<B>,
}

/// The recurrence without recording.
pub(crate) trait Recurrence: Backend {
    fn gru_forward(tensors: GruTensors<Self>, chunk: usize) -> FloatTensor<Self> {
        composed::forward::<Self>(&tensors, chunk)
    }

    fn gru_backward(
        tensors: GruTensors<Self>,
        gradient: FloatTensor<Self>,
        chunk: usize,
        wanted: Wanted,
    ) -> GruGradients<Self> {
        composed::backward::<Self>(&tensors, gradient, chunk, wanted)
    }
}

/// [`gru`](super::gru) on a backend's own tensors.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm")),
    Remote: cfg(feature = "remote"),
    Autodiff
)]
pub(crate) trait RecurrentBackend: Backend {
    #[allow(clippy::too_many_arguments)]
    fn gru(
        x: FloatTensor<Self>,
        start: FloatTensor<Self>,
        input: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        input_bias: FloatTensor<Self>,
        hidden_bias: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        shape: GruShape,
    ) -> FloatTensor<Self>;
}

fn tensors<B: Backend>(
    [x, start, input, hidden, input_bias, hidden_bias, mask]: [FloatTensor<B>; 7],
    shape: GruShape,
) -> GruTensors<B> {
    let start = shape.has_start.then_some(start);
    let mask = shape.has_mask.then_some(mask);
    GruTensors { x, start, input, hidden, input_bias, hidden_bias, mask }
}

macro_rules! plain {
    () => {
        fn gru(
            x: FloatTensor<Self>,
            start: FloatTensor<Self>,
            input: FloatTensor<Self>,
            hidden: FloatTensor<Self>,
            input_bias: FloatTensor<Self>,
            hidden_bias: FloatTensor<Self>,
            mask: FloatTensor<Self>,
            shape: GruShape,
        ) -> FloatTensor<Self> {
            let inputs = [x, start, input, hidden, input_bias, hidden_bias, mask];
            Self::gru_forward(tensors::<Self>(inputs, shape), shape.chunk)
        }
    };
}

#[cfg(feature = "flex")]
impl Recurrence for burn::backend::Flex {}

#[cfg(feature = "flex")]
impl RecurrentBackend for burn::backend::Flex {
    plain!();
}

#[cfg(feature = "ndarray")]
impl Recurrence for burn::backend::NdArray {}

#[cfg(feature = "ndarray")]
impl RecurrentBackend for burn::backend::NdArray {
    plain!();
}

#[cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm"))]
impl Recurrence for burn::backend::Cube {}

#[cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm"))]
impl RecurrentBackend for burn::backend::Cube {
    plain!();
}

#[cfg(feature = "remote")]
impl Recurrence for burn::backend::Remote {}

#[cfg(feature = "remote")]
impl RecurrentBackend for burn::backend::Remote {
    plain!();
}

#[derive(Debug)]
struct Step;

impl<B: Recurrence, C: CheckpointStrategy> RecurrentBackend for Autodiff<B, C> {
    fn gru(
        x: FloatTensor<Self>,
        start: FloatTensor<Self>,
        input: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        input_bias: FloatTensor<Self>,
        hidden_bias: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        shape: GruShape,
    ) -> FloatTensor<Self> {
        let inputs = [x, start, input, hidden, input_bias, hidden_bias, mask];
        let guards = inputs.each_ref().map(|input| input.node());
        let tensors = tensors::<B>(inputs.map(|input| input.into_primitive()), shape);
        match Step.prepare::<C>(guards).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let output = B::gru_forward(tensors.clone(), shape.chunk);
                step.finish((tensors, shape.chunk), output)
            }
            OpsKind::UnTracked(step) => step.finish(B::gru_forward(tensors, shape.chunk)),
        }
    }
}

impl<B: Recurrence> Backward<B, 7> for Step {
    type State = (GruTensors<B>, usize);

    fn backward(
        self,
        ops: Ops<Self::State, 7>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let (tensors, chunk) = ops.state;
        let [x, start, input, hidden, input_bias, hidden_bias, _] = ops.parents;
        let wanted = Wanted { x: x.is_some(), start: start.is_some() && tensors.start.is_some() };
        let found = B::gru_backward(tensors, gradient, chunk, wanted);
        let pairs = [
            (x, found.x),
            (start, found.start),
            (input, Some(found.input)),
            (hidden, Some(found.hidden)),
            (input_bias, Some(found.input_bias)),
            (hidden_bias, Some(found.hidden_bias)),
        ];
        for (parent, gradient) in pairs {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}
