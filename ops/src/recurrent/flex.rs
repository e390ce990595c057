//! The kernel on Flex's tensors, for 32 bits and small states; otherwise tensor operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{DType, TensorData, TensorMetadata};
use burn_flex::{Flex, FlexTensor};

use super::backend::{GruGradients, GruTensors, Recurrence, Wanted};
use super::composed;
use super::kernel::{self, GruSlices};

/// Largest state whose block stays in the second-level cache.
const STATES: usize = 64;
/// Most inputs of a step.
const INPUTS: usize = 64;

/// The tensors in row-major order, if the kernel can take them.
fn contiguous(tensors: &GruTensors<Flex>) -> Option<GruTensors<Flex>> {
    let (states, inputs) = (tensors.hidden.shape()[0], tensors.input.shape()[0]);
    let all = [&tensors.input, &tensors.hidden, &tensors.input_bias, &tensors.hidden_bias];
    let optional = [&tensors.start, &tensors.mask].into_iter().flatten();
    let single = all.into_iter().chain([&tensors.x]).chain(optional);
    let mut single = single.map(|tensor| tensor.dtype() == DType::F32);
    if states > STATES || inputs > INPUTS || !single.all(|single| single) || !kernel::available() {
        return None;
    }
    let plain = |tensor: &FlexTensor| tensor.clone().to_contiguous();
    Some(GruTensors {
        x: plain(&tensors.x),
        start: tensors.start.as_ref().map(plain),
        input: plain(&tensors.input),
        hidden: plain(&tensors.hidden),
        input_bias: plain(&tensors.input_bias),
        hidden_bias: plain(&tensors.hidden_bias),
        mask: tensors.mask.as_ref().map(plain),
    })
}

fn slices(tensors: &GruTensors<Flex>) -> GruSlices<'_> {
    let shape = tensors.x.layout().shape();
    GruSlices {
        rows: shape[0],
        steps: shape[1],
        inputs: shape[2],
        states: tensors.hidden.layout().shape()[0],
        x: slice(&tensors.x),
        start: tensors.start.as_ref().map(slice),
        input: slice(&tensors.input),
        hidden: slice(&tensors.hidden),
        input_bias: slice(&tensors.input_bias),
        hidden_bias: slice(&tensors.hidden_bias),
        mask: tensors.mask.as_ref().map(slice),
    }
}

fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("contiguous, of this type")
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

impl Recurrence for Flex {
    fn gru_forward(tensors: GruTensors<Self>, chunk: usize) -> FloatTensor<Self> {
        match contiguous(&tensors) {
            None => composed::forward::<Self>(&tensors, chunk),
            Some(tensors) => {
                let slices = slices(&tensors);
                tensor(kernel::forward(&slices), [slices.rows, slices.states])
            }
        }
    }

    fn gru_backward(
        tensors: GruTensors<Self>,
        gradient: FloatTensor<Self>,
        chunk: usize,
        wanted: Wanted,
    ) -> GruGradients<Self> {
        let Some(tensors) = contiguous(&tensors) else {
            return composed::backward::<Self>(&tensors, gradient, chunk, wanted);
        };
        let gradient = gradient.to_contiguous();
        let slices = slices(&tensors);
        let found = kernel::backward(&slices, slice(&gradient), wanted);
        let GruSlices { rows, steps, inputs, states, .. } = slices;
        GruGradients {
            x: found.x.map(|x| tensor(x, [rows, steps, inputs])),
            start: found.start.map(|start| tensor(start, [rows, states])),
            input: tensor(found.input, [inputs, 3 * states]),
            hidden: tensor(found.hidden, [states, 3 * states]),
            input_bias: tensor(found.input_bias, [3 * states]),
            hidden_bias: tensor(found.hidden_bias, [3 * states]),
        }
    }
}
