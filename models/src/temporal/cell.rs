//! Recurrent cells: sequences to their last state, single steps, and updates from gates that come from
//! elsewhere.
//!
//! ```text
//! GRU   r = sigmoid(x W_r + b_r + h U_r + d_r)     LSTM  i, f, o = sigmoid(x W + b + h U + d)
//!       z = sigmoid(x W_z + b_z + h U_z + d_z)           g = tanh(x W_g + b_g + h U_g + d_g)
//!       c = tanh(x W_c + b_c + r (h U_c + d_c))          c' = f c + i g
//!       h' = z h + (1 - z) c                             h' = o tanh(c')
//! ```
//!
//! Burn's own layers keep each gate apart and return the states of all steps; these stack the gates and return
//! what an encoder needs.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use firebrick_ops::recurrent::{GruWeights, gru};

use super::start::{check_positive, uniform};

/// `update * state + (1 - update) * candidate`, the last line of a gated recurrent unit.
///
/// # Shapes
/// All of one shape.
///
/// # Panics
/// If the shapes disagree.
pub fn gru_update(update: Tensor<2>, candidate: Tensor<2>, state: Tensor<2>) -> Tensor<2> {
    let change = update * (state - candidate.clone());
    candidate + change
}

/// The state of a long short-term memory.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// `[rows, d_hidden]`, what it shows.
    pub hidden: Tensor<2>,
    /// `[rows, d_hidden]`, what it keeps.
    pub cell: Tensor<2>,
}

impl LstmState {
    /// Zeros like the rows and columns of a tensor.
    pub fn zeros_like(hidden: &Tensor<2>) -> Self {
        Self { hidden: hidden.zeros_like(), cell: hidden.zeros_like() }
    }
}

/// The step of a long short-term memory from its gates before their activations, in the order input, forget,
/// candidate, output.
///
/// # Shapes
/// - gates: `[rows, 4 * d_hidden]`
/// - cell: `[rows, d_hidden]`
///
/// # Panics
/// If the shapes disagree.
pub fn lstm_update(gates: Tensor<2>, cell: Tensor<2>) -> LstmState {
    let ([_, columns], [_, size]) = (gates.dims(), cell.dims());
    assert!(
        columns == 4 * size,
        "lstm_update: gates must have {} columns, got {columns}",
        4 * size
    );
    let gate = |index: usize| gates.clone().narrow(1, index * size, size);
    let cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * gate(2).tanh();
    LstmState { hidden: sigmoid(gate(3)) * cell.clone().tanh(), cell }
}

/// Settings of [`GruCell`].
#[derive(Config, Debug)]
pub struct GruCellConfig {
    /// Number of inputs.
    pub d_input: usize,
    /// Size of the state.
    pub d_hidden: usize,
}

impl GruCellConfig {
    /// Creates the cell; every number is uniform over `+-sqrt(6 / (in + out))` of its gate, both biases in the
    /// range of the inputs' weights.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, device: &Device) -> GruCell {
        let Self { d_input, d_hidden } = *self;
        check_positive("GruCellConfig", &[("d_input", d_input), ("d_hidden", d_hidden)]);
        let gates = 3 * d_hidden;
        GruCell {
            weight_input: uniform([d_input, gates], d_input, d_hidden, device),
            weight_hidden: uniform([d_hidden, gates], d_hidden, d_hidden, device),
            bias_input: uniform([gates], d_input, d_hidden, device),
            bias_hidden: uniform([gates], d_input, d_hidden, device),
        }
    }
}

/// Gated recurrent unit with its gates side by side, in the order reset, update, candidate.
///
/// A PyTorch layer's `weight_ih_l0`, transposed, is [`weight_input`](Self::weight_input), and so on: the rows of
/// its gates have the same order.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::temporal::GruCellConfig;
///
/// let device = Device::flex();
/// let cell = GruCellConfig::new(2, 5).init(&device);
/// let x = Tensor::<3>::ones([4, 6, 2], &device);
/// let state = cell.last(x, None, None, None);
/// assert_eq!(state.dims(), [4, 5]);
/// ```
#[derive(Module, Debug)]
pub struct GruCell {
    /// `[d_input, 3 * d_hidden]`
    pub weight_input: Param<Tensor<2>>,
    /// `[d_hidden, 3 * d_hidden]`
    pub weight_hidden: Param<Tensor<2>>,
    /// `[3 * d_hidden]`, beside the product with the input.
    pub bias_input: Param<Tensor<1>>,
    /// `[3 * d_hidden]`, beside the product with the state.
    pub bias_hidden: Param<Tensor<1>>,
}

impl GruCell {
    /// Size of the state.
    pub fn d_hidden(&self) -> usize {
        self.weight_hidden.val().dims()[0]
    }

    /// The state after the last step, as one operation whose backward computes the states again; see
    /// [`gru`].
    ///
    /// # Arguments
    /// - state: before the first step; zeros if there is none
    /// - mask: at steps with 0 the state stays
    /// - chunk: rows that the backward takes at once where there is no kernel
    ///
    /// # Shapes
    /// - x: `[rows, steps, d_input]`
    /// - state: `[rows, d_hidden]`
    /// - mask: `[rows, steps]`
    /// - output: `[rows, d_hidden]`
    ///
    /// # Panics
    /// If a shape disagrees, there is no step, or the chunk is 0.
    pub fn last(
        &self,
        x: Tensor<3>,
        state: Option<Tensor<2>>,
        mask: Option<Tensor<2>>,
        chunk: Option<usize>,
    ) -> Tensor<2> {
        let weights = GruWeights {
            input: self.weight_input.val(),
            hidden: self.weight_hidden.val(),
            input_bias: self.bias_input.val(),
            hidden_bias: self.bias_hidden.val(),
        };
        gru(x, state, weights, mask, chunk)
    }

    /// One step.
    ///
    /// # Shapes
    /// - x: `[rows, d_input]`
    /// - state, output: `[rows, d_hidden]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn step(&self, x: Tensor<2>, state: Tensor<2>) -> Tensor<2> {
        self.last(x.unsqueeze_dim(1), Some(state), None, None)
    }
}

/// Settings of [`LstmCell`].
#[derive(Config, Debug)]
pub struct LstmCellConfig {
    /// Number of inputs.
    pub d_input: usize,
    /// Size of the state.
    pub d_hidden: usize,
}

impl LstmCellConfig {
    /// Creates the cell; the start is that of [`GruCellConfig::init`].
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, device: &Device) -> LstmCell {
        let Self { d_input, d_hidden } = *self;
        check_positive("LstmCellConfig", &[("d_input", d_input), ("d_hidden", d_hidden)]);
        let gates = 4 * d_hidden;
        LstmCell {
            weight_input: uniform([d_input, gates], d_input, d_hidden, device),
            weight_hidden: uniform([d_hidden, gates], d_hidden, d_hidden, device),
            bias_input: uniform([gates], d_input, d_hidden, device),
            bias_hidden: uniform([gates], d_input, d_hidden, device),
        }
    }
}

/// Long short-term memory with its gates side by side, in the order input, forget, candidate, output.
#[derive(Module, Debug)]
pub struct LstmCell {
    /// `[d_input, 4 * d_hidden]`
    pub weight_input: Param<Tensor<2>>,
    /// `[d_hidden, 4 * d_hidden]`
    pub weight_hidden: Param<Tensor<2>>,
    /// `[4 * d_hidden]`, beside the product with the input.
    pub bias_input: Param<Tensor<1>>,
    /// `[4 * d_hidden]`, beside the product with the state.
    pub bias_hidden: Param<Tensor<1>>,
}

impl LstmCell {
    /// Size of the state.
    pub fn d_hidden(&self) -> usize {
        self.weight_hidden.val().dims()[0]
    }

    /// The state after the last step.
    ///
    /// # Shapes
    /// As [`GruCell::last`].
    ///
    /// # Panics
    /// If a shape disagrees or there is no step.
    pub fn last(
        &self,
        x: Tensor<3>,
        state: Option<LstmState>,
        mask: Option<Tensor<2>>,
    ) -> LstmState {
        let ([rows, steps, inputs], size) = (x.dims(), self.d_hidden());
        let expected = self.weight_input.val().dims()[0];
        assert!(
            inputs == expected && steps > 0,
            "LstmCell: x must be [rows, steps, {expected}] with at least one step, got {:?}",
            x.dims()
        );
        let zeros = || Tensor::zeros([rows, size], (&x.device(), x.dtype()));
        let state = state.unwrap_or_else(|| LstmState { hidden: zeros(), cell: zeros() });
        if rows == 0 {
            return state;
        }
        // One product for all steps.
        let projected = self.project(x.swap_dims(0, 1).reshape([steps * rows, inputs]));
        (0..steps).fold(state, |before, step| {
            let gates = projected.clone().narrow(0, step * rows, rows);
            let after = self.update(gates, before.clone());
            match &mask {
                None => after,
                Some(mask) => {
                    let mask = mask.clone().narrow(1, step, 1);
                    let keep = |before: Tensor<2>, after: Tensor<2>| {
                        before.clone() + (after - before) * mask.clone()
                    };
                    LstmState {
                        hidden: keep(before.hidden, after.hidden),
                        cell: keep(before.cell, after.cell),
                    }
                }
            }
        })
    }

    /// One step.
    ///
    /// # Shapes
    /// - x: `[rows, d_input]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn step(&self, x: Tensor<2>, state: LstmState) -> LstmState {
        self.update(self.project(x), state)
    }

    fn project(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.weight_input.val()) + self.bias_input.val().unsqueeze()
    }

    fn update(&self, projected: Tensor<2>, state: LstmState) -> LstmState {
        let product = state.hidden.matmul(self.weight_hidden.val());
        lstm_update(projected + product + self.bias_hidden.val().unsqueeze(), state.cell)
    }
}
