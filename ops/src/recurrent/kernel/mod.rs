//! The recurrence on slices: blocks of rows with one row per vector lane, all steps of a block at once.
//!
//! The vector width is chosen at run time. Tasks have a fixed number of rows and their sums are added up in
//! order, so a result does not depend on the number of threads.

mod block;
mod math;

use faer::traits::pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::backend::Wanted;
use block::{Block, Sums, sums_len};

/// Rows of a task, a multiple of the rows of a block.
const TASK: usize = 1024;

/// The tensors of [`gru`](super::gru), row-major.
#[derive(Clone, Copy)]
pub(super) struct GruSlices<'a> {
    pub rows: usize,
    pub steps: usize,
    pub inputs: usize,
    pub states: usize,
    pub x: &'a [f32],
    pub start: Option<&'a [f32]>,
    pub input: &'a [f32],
    pub hidden: &'a [f32],
    pub input_bias: &'a [f32],
    pub hidden_bias: &'a [f32],
    pub mask: Option<&'a [f32]>,
}

/// Gradients, row-major.
pub(super) struct HostGradients {
    pub x: Option<Vec<f32>>,
    pub start: Option<Vec<f32>>,
    pub input: Vec<f32>,
    pub hidden: Vec<f32>,
    pub input_bias: Vec<f32>,
    pub hidden_bias: Vec<f32>,
}

/// Whether the machine has vectors that are worth it.
pub(super) fn available() -> bool {
    struct Width;
    impl WithSimd for Width {
        type Output = bool;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> bool {
            !S::IS_SCALAR && S::F32_LANES <= block::LANES
        }
    }
    Arch::new().dispatch(Width)
}

/// Weights of a state side by side, in the order in which a step reads them.
pub(super) struct Packed {
    /// For each state and then each input, the weights of the three gates.
    pub input: Vec<[f32; 3]>,
    /// For each state and then each state before, the weights of the three gates.
    pub hidden: Vec<[f32; 3]>,
    /// Biases of reset, update, and both of the candidate.
    pub bias: Vec<[f32; 4]>,
}

impl Packed {
    fn new(slices: &GruSlices<'_>) -> Self {
        let (inputs, states) = (slices.inputs, slices.states);
        let gates = |matrix: &[f32], row: usize, state: usize| {
            [0, 1, 2].map(|gate| matrix[row * 3 * states + gate * states + state])
        };
        let all = |matrix, rows: usize| {
            let of_state = |state| (0..rows).map(move |row| gates(matrix, row, state));
            (0..states).flat_map(of_state).collect()
        };
        let bias = |state: usize| {
            let [r, z, c] = gates(slices.input_bias, 0, state);
            let [s, y, d] = gates(slices.hidden_bias, 0, state);
            [r + s, z + y, c, d]
        };
        Self {
            input: all(slices.input, inputs),
            hidden: all(slices.hidden, states),
            bias: (0..states).map(bias).collect(),
        }
    }
}

/// Rows of one task.
struct Forward<'a> {
    slices: &'a GruSlices<'a>,
    packed: &'a Packed,
    first: usize,
    output: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let states = self.slices.states;
        let mut block = Block::new(simd, self.slices, self.packed, false);
        let rows = block.rows();
        for (index, output) in self.output.chunks_mut(rows * states).enumerate() {
            block.load(self.first + index * rows, output.len() / states);
            block.run();
            block.store_last(output);
        }
    }
}

pub(super) fn forward(slices: &GruSlices<'_>) -> Vec<f32> {
    let packed = Packed::new(slices);
    let mut output = vec![0.0; slices.rows * slices.states];
    output.par_chunks_mut(TASK * slices.states).enumerate().for_each(|(task, output)| {
        let first = task * TASK;
        Arch::new().dispatch(Forward { slices, packed: &packed, first, output });
    });
    output
}

/// Rows of one task.
struct Backward<'a> {
    slices: &'a GruSlices<'a>,
    packed: &'a Packed,
    first: usize,
    gradient: &'a [f32],
    wanted: Wanted,
}

/// What a task gives back.
struct Part {
    x: Vec<f32>,
    start: Vec<f32>,
    sums: Vec<f32>,
}

impl WithSimd for Backward<'_> {
    type Output = Part;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Part {
        let GruSlices { states, steps, inputs, .. } = *self.slices;
        let mut block = Block::new(simd, self.slices, self.packed, true);
        let mut sums = Sums::new(simd, inputs, states);
        let (rows, total) = (block.rows(), self.gradient.len() / states);
        let sized = |wanted, size| vec![0.0; if wanted { size } else { 0 }];
        let mut x = sized(self.wanted.x, total * steps * inputs);
        let mut start = sized(self.wanted.start, total * states);
        for (index, gradient) in self.gradient.chunks(rows * states).enumerate() {
            let first = index * rows;
            let count = gradient.len() / states;
            block.load(self.first + first, count);
            block.run();
            block.load_gradient(gradient);
            for step in (0..steps).rev() {
                block.step_back(step, &mut sums);
                if self.wanted.x {
                    let width = steps * inputs;
                    block.store_x(step, &mut x[first * width..(first + count) * width]);
                }
            }
            if self.wanted.start {
                block.store_gradient(&mut start[first * states..(first + count) * states]);
            }
        }
        Part { x, start, sums: sums.reduced(simd) }
    }
}

pub(super) fn backward(slices: &GruSlices<'_>, gradient: &[f32], wanted: Wanted) -> HostGradients {
    let GruSlices { inputs, states, .. } = *slices;
    let packed = Packed::new(slices);
    let parts: Vec<Part> = gradient
        .par_chunks(TASK * states)
        .enumerate()
        .map(|(task, gradient)| {
            let first = task * TASK;
            let task = Backward { slices, packed: &packed, first, gradient, wanted };
            Arch::new().dispatch(task)
        })
        .collect();
    let mut total = vec![0.0f64; sums_len(inputs, states)];
    for part in &parts {
        total.iter_mut().zip(&part.sums).for_each(|(total, &sum)| *total += f64::from(sum));
    }
    let mut rest = total.into_iter().map(|sum| sum as f32);
    let mut take = |size: usize| rest.by_ref().take(size).collect::<Vec<f32>>();
    let (input, hidden) = (take(inputs * 3 * states), take(states * 3 * states));
    // Reset, update, candidate with the input, candidate with the state.
    let biases = take(4 * states);
    let input_bias = biases[..3 * states].to_vec();
    let hidden_bias = [&biases[..2 * states], &biases[3 * states..]].concat();
    let joined = |wanted: bool, part: fn(&Part) -> &[f32]| {
        wanted.then(|| parts.iter().flat_map(part).copied().collect())
    };
    HostGradients {
        x: joined(wanted.x, |part| &part.x),
        start: joined(wanted.start, |part| &part.start),
        input,
        hidden,
        input_bias,
        hidden_bias,
    }
}
