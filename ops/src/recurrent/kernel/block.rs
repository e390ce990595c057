//! A block of rows, one per vector lane, through all steps and back.

use faer::traits::pulp::Simd;

use super::math::{sigmoid, tanh};
use super::{GruSlices, Packed};

/// Vectors of a block: enough independent sums to keep the units busy.
const VECTORS: usize = 4;
/// Lanes of the widest vectors.
pub(super) const LANES: usize = 16;

/// One number of every row of a block.
type Lane<S> = [<S as Simd>::f32s; VECTORS];

/// A block and its working memory.
pub(super) struct Block<'a, S: Simd> {
    simd: S,
    slices: &'a GruSlices<'a>,
    packed: &'a Packed,
    /// Whether all steps are kept for the way back.
    kept: bool,
    /// `[steps][inputs]`
    x: Vec<Lane<S>>,
    /// `[steps]`
    mask: Vec<Lane<S>>,
    /// `[steps + 1][states]`, or two states that take turns.
    states: Vec<Lane<S>>,
    /// `[steps or 1][states]`
    cells: Vec<Cell<S>>,
    /// Gradient of the state, `[states]`.
    gradient: Vec<Lane<S>>,
    /// Gradients of reset, update, candidate and recurrent part of the candidate, `[4][states]`.
    gates: Vec<Lane<S>>,
}

/// What a step leaves for the way back.
#[derive(Clone, Copy)]
struct Cell<S: Simd> {
    reset: Lane<S>,
    update: Lane<S>,
    candidate: Lane<S>,
    recurrent: Lane<S>,
}

/// Gradients of the weights, summed over steps and rows but not over lanes.
pub(super) struct Sums<S: Simd> {
    /// `[inputs][3][states]`
    input: Vec<S::f32s>,
    /// `[states][3][states]`
    hidden: Vec<S::f32s>,
    /// `[4][states]`
    bias: Vec<S::f32s>,
}

/// Numbers of [`Sums::reduced`].
pub(super) fn sums_len(inputs: usize, states: usize) -> usize {
    (inputs + states) * 3 * states + 4 * states
}

impl<S: Simd> Sums<S> {
    #[inline(always)]
    pub fn new(simd: S, inputs: usize, states: usize) -> Self {
        let zeros = |size: usize| vec![simd.splat_f32s(0.0); size];
        Self {
            input: zeros(inputs * 3 * states),
            hidden: zeros(states * 3 * states),
            bias: zeros(4 * states),
        }
    }

    /// Over the lanes: input, hidden, biases.
    #[inline(always)]
    pub fn reduced(&self, simd: S) -> Vec<f32> {
        let all = self.input.iter().chain(&self.hidden).chain(&self.bias);
        all.map(|&sum| simd.reduce_sum_f32s(sum)).collect()
    }
}

impl<'a, S: Simd> Block<'a, S> {
    #[inline(always)]
    pub fn new(simd: S, slices: &'a GruSlices<'a>, packed: &'a Packed, kept: bool) -> Self {
        let GruSlices { steps, inputs, states, .. } = *slices;
        let zero: Lane<S> = [simd.splat_f32s(0.0); VECTORS];
        let cell = Cell { reset: zero, update: zero, candidate: zero, recurrent: zero };
        let masks = if slices.mask.is_some() { steps } else { 0 };
        Self {
            simd,
            slices,
            packed,
            kept,
            x: vec![zero; steps * inputs],
            mask: vec![zero; masks],
            states: vec![zero; if kept { steps + 1 } else { 2 } * states],
            cells: vec![cell; if kept { steps } else { 1 } * states],
            gradient: vec![zero; if kept { states } else { 0 }],
            gates: vec![zero; if kept { 4 * states } else { 0 }],
        }
    }

    /// Rows of a block.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        VECTORS * S::F32_LANES
    }

    /// Reads inputs, masks and start of some rows; lanes behind them are zero.
    #[inline(always)]
    pub fn load(&mut self, first: usize, count: usize) {
        let (simd, slices) = (self.simd, self.slices);
        let GruSlices { steps, inputs, states, .. } = *slices;
        let width = steps * inputs;
        columns(simd, &slices.x[first * width..(first + count) * width], width, &mut self.x);
        if let Some(mask) = slices.mask {
            let mask = &mask[first * steps..(first + count) * steps];
            columns(simd, mask, steps, &mut self.mask);
        }
        let start = &mut self.states[..states];
        match slices.start {
            Some(rows) => {
                columns(simd, &rows[first * states..(first + count) * states], states, start);
            }
            None => start.fill([simd.splat_f32s(0.0); VECTORS]),
        }
    }

    /// All steps.
    #[inline(always)]
    pub fn run(&mut self) {
        let GruSlices { steps, inputs, states, .. } = *self.slices;
        for step in 0..steps {
            let (now, cells) = if self.kept { (step, step) } else { (step % 2, 0) };
            let x = &self.x[step * inputs..(step + 1) * inputs];
            let cells = &mut self.cells[cells * states..(cells + 1) * states];
            let (before, after) = match now == 1 && !self.kept {
                true => {
                    let (after, before) = self.states.split_at_mut(states);
                    (&*before, after)
                }
                false => {
                    let (before, after) = self.states.split_at_mut((now + 1) * states);
                    (&before[now * states..], &mut after[..states])
                }
            };
            let mask = self.mask.get(step);
            forward(self.simd, self.packed, x, mask, before, after, cells);
        }
    }

    #[inline(always)]
    fn last(&self) -> &[Lane<S>] {
        let GruSlices { steps, states, .. } = *self.slices;
        let place = if self.kept { steps } else { steps % 2 };
        &self.states[place * states..(place + 1) * states]
    }

    /// Writes the last states.
    #[inline(always)]
    pub fn store_last(&self, output: &mut [f32]) {
        rows(self.simd, self.last(), self.slices.states, 0, output);
    }

    #[inline(always)]
    pub fn load_gradient(&mut self, gradient: &[f32]) {
        columns(self.simd, gradient, self.slices.states, &mut self.gradient);
    }

    /// Writes the gradient of the state before the step that was taken back last.
    #[inline(always)]
    pub fn store_gradient(&self, output: &mut [f32]) {
        rows(self.simd, &self.gradient, self.slices.states, 0, output);
    }

    /// From the gradient of the state after a step to that before it; adds to the weights' gradients.
    #[inline(always)]
    pub fn step_back(&mut self, step: usize, sums: &mut Sums<S>) {
        let GruSlices { inputs, states, .. } = *self.slices;
        let simd = self.simd;
        let before = &self.states[step * states..(step + 1) * states];
        let cells = &self.cells[step * states..(step + 1) * states];
        let (gradient, gates) = (&mut self.gradient, &mut self.gates);
        cell_backward(simd, before, cells, self.mask.get(step), gradient, gates);
        let weights = self.slices.hidden.chunks_exact(3 * states);
        for (gradient, weights) in gradient.iter_mut().zip(weights) {
            // The recurrent part of the candidate stands behind the candidate.
            *gradient = product(simd, weights, gates, [0, 1, 3], *gradient);
        }
        let x = &self.x[step * inputs..(step + 1) * inputs];
        for (x, sums) in x.iter().zip(sums.input.chunks_exact_mut(3 * states)) {
            outer(simd, x, &gates[..3 * states], sums);
        }
        for (state, sums) in before.iter().zip(sums.hidden.chunks_exact_mut(3 * states)) {
            let (shared, own) = sums.split_at_mut(2 * states);
            outer(simd, state, &gates[..2 * states], shared);
            outer(simd, state, &gates[3 * states..], own);
        }
        for (gate, sum) in gates.iter().zip(&mut sums.bias) {
            *sum = gate.iter().fold(*sum, |sum, &gate| simd.add_f32s(sum, gate));
        }
    }

    /// Writes the gradient of the inputs of the step that was taken back last; `output` has all steps.
    #[inline(always)]
    pub fn store_x(&self, step: usize, output: &mut [f32]) {
        let GruSlices { steps, inputs, states, .. } = *self.slices;
        let zero: Lane<S> = [self.simd.splat_f32s(0.0); VECTORS];
        for (input, weights) in self.slices.input.chunks_exact(3 * states).enumerate() {
            let gradient = product(self.simd, weights, &self.gates, [0, 1, 2], zero);
            rows(self.simd, &[gradient], steps * inputs, step * inputs + input, output);
        }
    }
}

/// Row-major rows as one lane per row, column by column.
#[inline(always)]
fn columns<S: Simd>(simd: S, rows: &[f32], width: usize, output: &mut [Lane<S>]) {
    let mut staged = [0.0f32; VECTORS * LANES];
    for (column, output) in output.iter_mut().enumerate() {
        for (staged, row) in staged.iter_mut().zip(rows.chunks_exact(width)) {
            *staged = row[column];
        }
        for (vector, staged) in output.iter_mut().zip(staged.chunks_exact(S::F32_LANES)) {
            *vector = simd.partial_load_f32s(staged);
        }
    }
}

/// The other way: columns from `first` on.
#[inline(always)]
fn rows<S: Simd>(simd: S, lanes: &[Lane<S>], width: usize, first: usize, output: &mut [f32]) {
    let mut staged = [0.0f32; VECTORS * LANES];
    for (column, lanes) in lanes.iter().enumerate() {
        for (&vector, staged) in lanes.iter().zip(staged.chunks_exact_mut(S::F32_LANES)) {
            simd.partial_store_f32s(staged, vector);
        }
        for (row, staged) in output.chunks_exact_mut(width).zip(staged) {
            row[first + column] = staged;
        }
    }
}

/// Three sums that grow by the products of three weights with one number per row.
#[inline(always)]
fn accumulate<S: Simd>(simd: S, weights: &[[f32; 3]], lanes: &[Lane<S>], sums: &mut [Lane<S>; 3]) {
    for (weights, lane) in weights.iter().zip(lanes) {
        let weights = weights.map(|weight| simd.splat_f32s(weight));
        for (sum, weight) in sums.iter_mut().zip(weights) {
            for (sum, &value) in sum.iter_mut().zip(lane) {
                *sum = simd.mul_add_f32s(weight, value, *sum);
            }
        }
    }
}

/// One step.
#[inline(always)]
fn forward<S: Simd>(
    simd: S,
    packed: &Packed,
    x: &[Lane<S>],
    mask: Option<&Lane<S>>,
    before: &[Lane<S>],
    after: &mut [Lane<S>],
    cells: &mut [Cell<S>],
) {
    let (inputs, states) = (x.len(), before.len());
    let weights =
        packed.input.chunks_exact(inputs).zip(packed.hidden.chunks_exact(states)).zip(&packed.bias);
    let outputs = after.iter_mut().zip(cells).zip(before);
    for (((input, hidden), bias), ((after, cell), before_own)) in weights.zip(outputs) {
        let [reset, update, candidate, recurrent] =
            bias.map(|bias| [simd.splat_f32s(bias); VECTORS]);
        let mut sums = [reset, update, candidate];
        accumulate(simd, input, x, &mut sums);
        let [reset, update, candidate] = sums;
        let mut sums = [reset, update, recurrent];
        accumulate(simd, hidden, before, &mut sums);
        let [reset, update, recurrent] = sums;
        for v in 0..VECTORS {
            let reset = sigmoid(simd, reset[v]);
            let update = sigmoid(simd, update[v]);
            let candidate = tanh(simd, simd.mul_add_f32s(reset, recurrent[v], candidate[v]));
            let keep = keep(simd, update, mask.map(|mask| mask[v]));
            let gap = simd.sub_f32s(before_own[v], candidate);
            after[v] = simd.mul_add_f32s(keep, gap, candidate);
            cell.reset[v] = reset;
            cell.update[v] = update;
            cell.candidate[v] = candidate;
            cell.recurrent[v] = recurrent[v];
        }
    }
}

/// The update gate after the mask: `1 - m (1 - z)`.
#[inline(always)]
fn keep<S: Simd>(simd: S, update: S::f32s, mask: Option<S::f32s>) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    match mask {
        None => update,
        Some(mask) => simd.mul_add_f32s(mask, simd.sub_f32s(update, one), one),
    }
}

/// Through the gates of a step: the gradient of the state keeps the part that goes by the update gate.
#[inline(always)]
fn cell_backward<S: Simd>(
    simd: S,
    before: &[Lane<S>],
    cells: &[Cell<S>],
    mask: Option<&Lane<S>>,
    gradient: &mut [Lane<S>],
    gates: &mut [Lane<S>],
) {
    let states = before.len();
    let one = simd.splat_f32s(1.0);
    let mul = |a, b| simd.mul_f32s(a, b);
    let complement = |a| simd.sub_f32s(one, a);
    for (state, (gradient, cell)) in gradient.iter_mut().zip(cells).enumerate() {
        for v in 0..VECTORS {
            let (reset, update, candidate) = (cell.reset[v], cell.update[v], cell.candidate[v]);
            let keep = keep(simd, update, mask.map(|mask| mask[v]));
            let to_keep = mul(gradient[v], simd.sub_f32s(before[state][v], candidate));
            let to_update = mask.map_or(to_keep, |mask| mul(to_keep, mask[v]));
            let flat = complement(mul(candidate, candidate));
            let to_candidate = mul(mul(gradient[v], complement(keep)), flat);
            let to_reset = mul(to_candidate, cell.recurrent[v]);
            gates[state][v] = mul(to_reset, mul(reset, complement(reset)));
            gates[states + state][v] = mul(to_update, mul(update, complement(update)));
            gates[2 * states + state][v] = to_candidate;
            gates[3 * states + state][v] = mul(to_candidate, reset);
            gradient[v] = mul(gradient[v], keep);
        }
    }
}

/// A start plus the products of a row of weights `[3][states]` with three parts of the gates' gradients.
#[inline(always)]
fn product<S: Simd>(
    simd: S,
    weights: &[f32],
    gates: &[Lane<S>],
    parts: [usize; 3],
    start: Lane<S>,
) -> Lane<S> {
    let states = weights.len() / 3;
    let zero: Lane<S> = [simd.splat_f32s(0.0); VECTORS];
    let mut sums = [start, zero, zero];
    let [a, b, c] = parts.map(|part| &gates[part * states..(part + 1) * states]);
    let (first, rest) = weights.split_at(states);
    let (second, third) = rest.split_at(states);
    let weights = first.iter().zip(second).zip(third);
    for (((&r, &z), &c_weight), ((a, b), c)) in weights.zip(a.iter().zip(b).zip(c)) {
        let weights = [r, z, c_weight].map(|weight| simd.splat_f32s(weight));
        for ((sum, weight), lane) in sums.iter_mut().zip(weights).zip([a, b, c]) {
            for (sum, &value) in sum.iter_mut().zip(lane) {
                *sum = simd.mul_add_f32s(weight, value, *sum);
            }
        }
    }
    let [mut total, second, third] = sums;
    for (total, (second, third)) in total.iter_mut().zip(second.into_iter().zip(third)) {
        *total = simd.add_f32s(*total, simd.add_f32s(second, third));
    }
    total
}

/// Adds the products of one number per row with each gate's gradient.
#[inline(always)]
fn outer<S: Simd>(simd: S, lane: &Lane<S>, gates: &[Lane<S>], sums: &mut [S::f32s]) {
    for (gate, sum) in gates.iter().zip(sums) {
        for (&gate, &value) in gate.iter().zip(lane) {
            *sum = simd.mul_add_f32s(gate, value, *sum);
        }
    }
}
