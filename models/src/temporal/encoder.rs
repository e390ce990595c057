//! From the sequence of a node or an entry to its code.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::attention::{AttentionEncoder, AttentionEncoderConfig};
use super::cell::{GruCell, GruCellConfig, LstmCell, LstmCellConfig, LstmState};
use super::start::{check_positive, linear};

/// How a sequence becomes one row.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Last state of a gated recurrent unit.
    Gru,
    /// Last state of a long short-term memory.
    Lstm,
    /// Linear map of the last step.
    Linear,
    /// Self-attention, read at the last step.
    Attention,
    /// The last step as it is; for entries, their constants.
    Static,
}

/// Settings of [`SequenceEncoder`].
#[derive(Config, Debug)]
pub struct SequenceEncoderConfig {
    /// Number of inputs of a step.
    pub d_input: usize,
    /// Width of the code; [`Encoding::Static`] has that of the input.
    pub d_hidden: usize,
    /// How it encodes.
    #[config(default = "Encoding::Gru")]
    pub encoding: Encoding,
}

impl SequenceEncoderConfig {
    /// Creates the encoder; weights and biases are uniform over `+-sqrt(6 / (in + out))`.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, device: &Device) -> SequenceEncoder {
        let Self { d_input, d_hidden, encoding } = *self;
        check_positive("SequenceEncoderConfig", &[("d_input", d_input), ("d_hidden", d_hidden)]);
        match encoding {
            Encoding::Gru => {
                SequenceEncoder::Gru(GruCellConfig::new(d_input, d_hidden).init(device))
            }
            Encoding::Lstm => {
                SequenceEncoder::Lstm(LstmCellConfig::new(d_input, d_hidden).init(device))
            }
            Encoding::Linear => SequenceEncoder::Linear(linear(d_input, d_hidden, true, device)),
            Encoding::Attention => SequenceEncoder::Attention(
                AttentionEncoderConfig::new(d_input, d_hidden).init(device),
            ),
            Encoding::Static => SequenceEncoder::Static(LastStep { width: d_input }),
        }
    }

    /// Width of the code.
    pub fn d_output(&self) -> usize {
        match self.encoding {
            Encoding::Static => self.d_input,
            _ => self.d_hidden,
        }
    }
}

/// The last step of a sequence as it is.
#[derive(Module, Debug)]
pub struct LastStep {
    #[module(skip)]
    width: usize,
}

/// State of a recurrent encoder, to go on with later steps.
#[derive(Clone, Debug)]
pub struct SequenceState {
    /// `[rows, d_hidden]`: the code.
    pub hidden: Tensor<2>,
    /// `[rows, d_hidden]`, what a long short-term memory keeps.
    pub cell: Option<Tensor<2>>,
}

/// Encoder of sequences.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::temporal::{Encoding, SequenceEncoderConfig};
///
/// let device = Device::flex();
/// let config = SequenceEncoderConfig::new(3, 8).with_encoding(Encoding::Attention);
/// let code = config.init(&device).forward(Tensor::ones([5, 4, 3], &device), None, None);
/// assert_eq!(code.dims(), [5, 8]);
/// ```
// Variants of a module cannot be boxed, and there are two per network.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum SequenceEncoder {
    /// [`Encoding::Gru`]
    Gru(GruCell),
    /// [`Encoding::Lstm`]
    Lstm(LstmCell),
    /// [`Encoding::Linear`]
    Linear(Linear),
    /// [`Encoding::Attention`]
    Attention(AttentionEncoder),
    /// [`Encoding::Static`]
    Static(LastStep),
}

impl SequenceEncoder {
    /// The code of each sequence.
    ///
    /// # Arguments
    /// - mask: at steps with 0 a recurrent state stays, and attention looks away; the last step alone counts
    ///   for the others
    /// - chunk: rows that the backward of a gated recurrent unit takes at once where it has no kernel
    ///
    /// # Shapes
    /// - x: `[rows, steps, d_input]`
    /// - mask: `[rows, steps]`
    /// - output: `[rows, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees or there is no step.
    pub fn forward(
        &self,
        x: Tensor<3>,
        mask: Option<Tensor<2>>,
        chunk: Option<usize>,
    ) -> Tensor<2> {
        let [rows, steps, inputs] = x.dims();
        assert!(steps > 0, "SequenceEncoder: x must have at least one step, got {:?}", x.dims());
        let last = |x: Tensor<3>| x.narrow(1, steps - 1, 1).reshape([rows, inputs]);
        match self {
            Self::Gru(cell) => cell.last(x, None, mask, chunk),
            Self::Lstm(cell) => cell.last(x, None, mask).hidden,
            Self::Attention(encoder) => encoder.forward(x, mask),
            Self::Linear(layer) if rows == 0 => {
                Tensor::zeros([0, layer.weight.val().dims()[1]], (&x.device(), x.dtype()))
            }
            Self::Linear(layer) => layer.forward(last(x)),
            Self::Static(encoder) => {
                let width = encoder.width;
                assert!(width == inputs, "LastStep: x must have {width} inputs, got {inputs}");
                if rows == 0 {
                    Tensor::zeros([0, width], (&x.device(), x.dtype()))
                } else {
                    last(x)
                }
            }
        }
    }

    /// The state after further steps, from the state before them or from zeros.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    ///
    /// # Panics
    /// If the encoder has no state, the state is that of another encoder, or a shape disagrees.
    pub fn advance(
        &self,
        x: Tensor<3>,
        state: Option<SequenceState>,
        mask: Option<Tensor<2>>,
    ) -> SequenceState {
        let other = "a state must come from the same encoder";
        match self {
            Self::Gru(cell) => {
                let state = state.map(|state| {
                    assert!(state.cell.is_none(), "SequenceEncoder: {other}");
                    state.hidden
                });
                SequenceState { hidden: cell.last(x, state, mask, None), cell: None }
            }
            Self::Lstm(layer) => {
                let state = state.map(|SequenceState { hidden, cell }| match cell {
                    Some(cell) => LstmState { hidden, cell },
                    None => panic!("SequenceEncoder: {other}"),
                });
                let LstmState { hidden, cell } = layer.last(x, state, mask);
                SequenceState { hidden, cell: Some(cell) }
            }
            _ => panic!("SequenceEncoder: only a recurrent encoder goes on from a state"),
        }
    }
}
