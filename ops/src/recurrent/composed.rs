//! The recurrence in a backend's tensor operations, forward and backward.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};

use super::backend::{GruGradients, GruTensors, Wanted};

/// A part of the tensor along one axis.
fn part<B: Backend>(tensor: FloatTensor<B>, axis: usize, range: Range<usize>) -> FloatTensor<B> {
    let shape = tensor.shape();
    if range == (0..shape[axis]) {
        return tensor;
    }
    let all = |size: usize| Slice::new(0, Some(size as isize), 1);
    let mut slices: Vec<Slice> = (0..shape.num_dims()).map(|axis| all(shape[axis])).collect();
    slices[axis] = Slice::new(range.start as isize, Some(range.end as isize), 1);
    B::float_slice(tensor, &slices)
}

fn matrix<B: Backend>(tensor: FloatTensor<B>, rows: usize) -> FloatTensor<B> {
    let columns = tensor.shape().num_elements() / rows.max(1);
    B::float_reshape(tensor, Shape::new([rows, columns]))
}

fn cat<B: Backend>(mut tensors: Vec<FloatTensor<B>>, axis: usize) -> FloatTensor<B> {
    match tensors.len() {
        1 => tensors.remove(0),
        _ => B::float_cat(tensors, axis),
    }
}

/// `1 - x`
fn complement<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add_scalar(B::float_neg(x), 1.0.into())
}

/// Some rows of the inputs.
struct Chunk<B: Backend> {
    rows: usize,
    states: usize,
    /// `[steps * rows, inputs]`
    x: FloatTensor<B>,
    /// `[rows, 3 * states]` per step
    projected: Vec<FloatTensor<B>>,
    start: FloatTensor<B>,
    /// `[rows, steps]`
    mask: Option<FloatTensor<B>>,
    hidden: FloatTensor<B>,
    hidden_bias: FloatTensor<B>,
}

/// What the backward pass reads of a step, all `[rows, states]`.
struct Cell<B: Backend> {
    before: FloatTensor<B>,
    reset: FloatTensor<B>,
    update: FloatTensor<B>,
    /// The update gate after the mask.
    keep: FloatTensor<B>,
    candidate: FloatTensor<B>,
    /// `h U_c + d_c`
    recurrent: FloatTensor<B>,
    /// `[rows, 1]`
    mask: Option<FloatTensor<B>>,
}

impl<B: Backend> Chunk<B> {
    fn new(tensors: &GruTensors<B>, range: Range<usize>) -> Self {
        let shape = tensors.x.shape();
        let (steps, states) = (shape[1], tensors.hidden.shape()[0]);
        let rows = range.len();
        let x = part::<B>(tensors.x.clone(), 0, range.clone());
        let x = matrix::<B>(B::float_swap_dims(x, 0, 1), steps * rows);
        let bias = matrix::<B>(tensors.input_bias.clone(), 1);
        let projected = B::float_add(B::float_matmul(x.clone(), tensors.input.clone()), bias);
        let at = |step: usize| part::<B>(projected.clone(), 0, step * rows..(step + 1) * rows);
        let start = match tensors.start.clone() {
            Some(start) => part::<B>(start, 0, range.clone()),
            None => {
                let (device, dtype) = (x.device(), x.dtype());
                B::float_zeros(Shape::new([rows, states]), &device, dtype.into())
            }
        };
        Self {
            rows,
            states,
            projected: (0..steps).map(at).collect(),
            x,
            start,
            mask: tensors.mask.clone().map(|mask| part::<B>(mask, 0, range)),
            hidden: tensors.hidden.clone(),
            hidden_bias: matrix::<B>(tensors.hidden_bias.clone(), 1),
        }
    }

    /// One step from a state; the new state and what the backward pass reads.
    fn step(&self, step: usize, before: FloatTensor<B>) -> (FloatTensor<B>, Cell<B>) {
        let states = self.states;
        let product = B::float_matmul(before.clone(), self.hidden.clone());
        let product = B::float_add(product, self.hidden_bias.clone());
        let of_input = self.projected[step].clone();
        let gates = B::float_add(
            part::<B>(of_input.clone(), 1, 0..2 * states),
            part::<B>(product.clone(), 1, 0..2 * states),
        );
        let gates = B::sigmoid(gates);
        let reset = part::<B>(gates.clone(), 1, 0..states);
        let update = part::<B>(gates, 1, states..2 * states);
        let recurrent = part::<B>(product, 1, 2 * states..3 * states);
        let candidate = B::float_tanh(B::float_add(
            part::<B>(of_input, 1, 2 * states..3 * states),
            B::float_mul(reset.clone(), recurrent.clone()),
        ));
        let mask = self.mask.clone().map(|mask| part::<B>(mask, 1, step..step + 1));
        let keep = match &mask {
            None => update.clone(),
            Some(mask) => {
                let open = B::float_mul(complement::<B>(update.clone()), mask.clone());
                complement::<B>(open)
            }
        };
        let change = B::float_mul(keep.clone(), B::float_sub(before.clone(), candidate.clone()));
        let after = B::float_add(candidate.clone(), change);
        (after, Cell { before, reset, update, keep, candidate, recurrent, mask })
    }

    /// The gradients of the state before a step, and of the products with input and state.
    fn step_back(&self, cell: Cell<B>, gradient: FloatTensor<B>) -> [FloatTensor<B>; 3] {
        let mul = B::float_mul;
        let gap = B::float_sub(cell.before, cell.candidate.clone());
        let to_update = mul(gradient.clone(), gap);
        let to_update = match cell.mask {
            None => to_update,
            Some(mask) => mul(to_update, mask),
        };
        let slope = |gate: FloatTensor<B>| mul(gate.clone(), complement::<B>(gate));
        let to_update = mul(to_update, slope(cell.update));
        let to_candidate = mul(gradient.clone(), complement::<B>(cell.keep.clone()));
        let flat = complement::<B>(mul(cell.candidate.clone(), cell.candidate));
        let to_candidate = mul(to_candidate, flat);
        let to_reset = mul(mul(to_candidate.clone(), cell.recurrent), slope(cell.reset.clone()));
        let to_recurrent = mul(to_candidate.clone(), cell.reset);
        let of_input = B::float_cat(vec![to_reset.clone(), to_update.clone(), to_candidate], 1);
        let of_state = B::float_cat(vec![to_reset, to_update, to_recurrent], 1);
        let back = B::float_matmul(of_state.clone(), B::float_transpose(self.hidden.clone()));
        [B::float_add(mul(gradient, cell.keep), back), of_input, of_state]
    }

    fn last(&self) -> FloatTensor<B> {
        let steps = 0..self.projected.len();
        steps.fold(self.start.clone(), |state, step| self.step(step, state).0)
    }

    fn backward(
        &self,
        tensors: &GruTensors<B>,
        gradient: FloatTensor<B>,
        wanted: Wanted,
    ) -> GruGradients<B> {
        let steps = self.projected.len();
        let (mut state, mut cells) = (self.start.clone(), Vec::with_capacity(steps));
        for step in 0..steps {
            let (after, cell) = self.step(step, state);
            cells.push(cell);
            state = after;
        }
        let states: Vec<_> = cells.iter().map(|cell| cell.before.clone()).collect();
        let (mut of_input, mut of_state, mut gradient) = (Vec::new(), Vec::new(), gradient);
        while let Some(cell) = cells.pop() {
            let [before, input, state] = self.step_back(cell, gradient);
            of_input.push(input);
            of_state.push(state);
            gradient = before;
        }
        of_input.reverse();
        of_state.reverse();
        let (of_input, of_state) = (cat::<B>(of_input, 0), cat::<B>(of_state, 0));
        let weight = |rows, gradient| B::float_matmul(B::float_transpose(rows), gradient);
        let bias = |gradient| {
            let sum = B::float_sum_dim(gradient, 0);
            B::float_reshape(sum, Shape::new([3 * self.states]))
        };
        let to_x = || {
            let inputs = self.x.shape()[1];
            let weight = B::float_transpose(tensors.input.clone());
            let x = B::float_matmul(of_input.clone(), weight);
            let x = B::float_reshape(x, Shape::new([steps, self.rows, inputs]));
            B::float_swap_dims(x, 0, 1)
        };
        GruGradients {
            x: wanted.x.then(to_x),
            start: wanted.start.then_some(gradient),
            input: weight(self.x.clone(), of_input.clone()),
            hidden: weight(cat::<B>(states, 0), of_state.clone()),
            input_bias: bias(of_input),
            hidden_bias: bias(of_state),
        }
    }
}

fn chunks(rows: usize, chunk: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(chunk).map(move |start| start..(start + chunk).min(rows))
}

pub(super) fn forward<B: Backend>(tensors: &GruTensors<B>, chunk: usize) -> FloatTensor<B> {
    let rows = tensors.x.shape()[0];
    cat::<B>(chunks(rows, chunk).map(|range| Chunk::new(tensors, range).last()).collect(), 0)
}

pub(super) fn backward<B: Backend>(
    tensors: &GruTensors<B>,
    gradient: FloatTensor<B>,
    chunk: usize,
    wanted: Wanted,
) -> GruGradients<B> {
    let rows = tensors.x.shape()[0];
    let (mut x, mut start) = (Vec::new(), Vec::new());
    let mut total: Option<GruGradients<B>> = None;
    for range in chunks(rows, chunk) {
        let gradient = part::<B>(gradient.clone(), 0, range.clone());
        let mut found = Chunk::new(tensors, range).backward(tensors, gradient, wanted);
        x.extend(found.x.take());
        start.extend(found.start.take());
        total = Some(match total {
            None => found,
            Some(total) => GruGradients {
                x: None,
                start: None,
                input: B::float_add(total.input, found.input),
                hidden: B::float_add(total.hidden, found.hidden),
                input_bias: B::float_add(total.input_bias, found.input_bias),
                hidden_bias: B::float_add(total.hidden_bias, found.hidden_bias),
            },
        });
    }
    let total = total.expect("there is at least one row");
    let joined = |parts: Vec<FloatTensor<B>>| (!parts.is_empty()).then(|| cat::<B>(parts, 0));
    GruGradients { x: joined(x), start: joined(start), ..total }
}
