//! Recurrences over many short sequences, of which only the last state is wanted.
//!
//! ```text
//! r = sigmoid(x W_r + b_r + h U_r + d_r)
//! z = sigmoid(x W_z + b_z + h U_z + d_z)
//! c = tanh(x W_c + b_c + r * (h U_c + d_c))
//! h' = (1 - z) c + z h
//! ```
//!
//! Composed of tensor operations, a recurrence of `T` steps records some twenty of them per step and keeps
//! their results for the backward pass, `T` times the size of all states. [`gru`] is one operation: it keeps its
//! inputs only, and the backward pass computes the states again, chunk after chunk of the rows, so that memory
//! beyond the inputs does not grow with the number of rows.
//!
//! On Flex, in 32 bits and for states of at most 64 numbers, a kernel takes blocks of rows through all steps
//! while their states stay in the cache; a result does not depend on the number of threads.
//!
//! # References
//! K. Cho et al., *Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
//! Translation*, EMNLP 2014, Eqs. (5) to (8), with the reset gate after the product as in cuDNN and PyTorch.

mod backend;
mod composed;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use backend::{GruShape, RecurrentBackend};

/// The matrices of a gated recurrent unit; gates stand side by side in the order reset, update, candidate.
#[derive(Clone, Debug)]
pub struct GruWeights {
    /// `[inputs, 3 * states]`
    pub input: Tensor<2>,
    /// `[states, 3 * states]`
    pub hidden: Tensor<2>,
    /// `[3 * states]`, beside the product with the input.
    pub input_bias: Tensor<1>,
    /// `[3 * states]`, beside the product with the state.
    pub hidden_bias: Tensor<1>,
}

/// The last state of a gated recurrent unit over each row's sequence, with gradients for everything but the
/// mask.
///
/// # Arguments
/// - start: the state before the first step; zeros if there is none
/// - mask: 1 at steps that count; at a step with 0 the state stays
/// - chunk: rows that the backward pass takes at once where there is no kernel; all if there is none
///
/// # Shapes
/// - x: `[rows, steps, inputs]`
/// - start: `[rows, states]`
/// - mask: `[rows, steps]`
/// - output: `[rows, states]`
///
/// # Panics
/// If a shape disagrees, there is no step, or the chunk is 0.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::recurrent::{GruWeights, gru};
///
/// let device = Device::flex();
/// let weights = GruWeights {
///     input: Tensor::zeros([1, 3], &device),
///     hidden: Tensor::zeros([1, 3], &device),
///     input_bias: Tensor::from_data([0.0, 0.0, 100.0], &device),
///     hidden_bias: Tensor::zeros([3], &device),
/// };
/// // Both gates are half open and the candidate is 1: 1/2, then 3/4.
/// let x = Tensor::<3>::ones([1, 2, 1], &device);
/// let state = gru(x, None, weights, None, None);
/// assert!((state.into_scalar::<f32>() - 0.75).abs() < 1e-6);
/// ```
pub fn gru(
    x: Tensor<3>,
    start: Option<Tensor<2>>,
    weights: GruWeights,
    mask: Option<Tensor<2>>,
    chunk: Option<usize>,
) -> Tensor<2> {
    let ([rows, steps, _], [states, _]) = (x.dims(), weights.hidden.dims());
    check(&x, start.as_ref(), &weights, mask.as_ref());
    assert!(chunk != Some(0), "gru: the chunk must have at least one row, got 0");
    if rows == 0 {
        return Tensor::zeros([0, states], (&x.device(), x.dtype()));
    }
    let shape = GruShape {
        chunk: chunk.unwrap_or(rows).min(rows),
        has_start: start.is_some(),
        has_mask: mask.is_some(),
    };
    let none = |rows, columns| Tensor::<2>::zeros([rows, columns], (&x.device(), x.dtype()));
    let start = start.unwrap_or_else(|| none(1, states));
    let mask = mask.unwrap_or_else(|| none(1, steps));
    let GruWeights { input, hidden, input_bias, hidden_bias } = weights;
    Tensor::from_dispatch(<Dispatch as RecurrentBackend>::gru(
        x.into_dispatch(),
        start.into_dispatch(),
        input.into_dispatch(),
        hidden.into_dispatch(),
        input_bias.into_dispatch(),
        hidden_bias.into_dispatch(),
        mask.into_dispatch(),
        shape,
    ))
}

fn check(x: &Tensor<3>, start: Option<&Tensor<2>>, weights: &GruWeights, mask: Option<&Tensor<2>>) {
    let ([rows, steps, inputs], [states, gates]) = (x.dims(), weights.hidden.dims());
    assert!(
        gates == 3 * states && states > 0,
        "gru: hidden must be [states, 3 * states] with at least one state, got {:?}",
        weights.hidden.dims()
    );
    assert!(
        weights.input.dims() == [inputs, gates] && inputs > 0,
        "gru: input must be [{inputs}, {gates}] with at least one input, got {:?}",
        weights.input.dims()
    );
    for (name, bias) in [("input_bias", &weights.input_bias), ("hidden_bias", &weights.hidden_bias)]
    {
        assert!(bias.dims() == [gates], "gru: {name} must be [{gates}], got {:?}", bias.dims());
    }
    assert!(steps > 0, "gru: x must have at least one step, got {:?}", x.dims());
    if let Some(start) = start {
        let found = start.dims();
        assert!(found == [rows, states], "gru: start must be [{rows}, {states}], got {found:?}");
    }
    if let Some(mask) = mask {
        let found = mask.dims();
        assert!(found == [rows, steps], "gru: mask must be [{rows}, {steps}], got {found:?}");
    }
}
