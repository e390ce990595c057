#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;

use super::*;

/// Numbers that depend on the seed alone.
fn wave<const D: usize>(
    shape: [usize; D],
    seed: usize,
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    let len = shape.iter().product();
    let values: Vec<f64> = (0..len).map(|i| ((i * 7 + 31 * seed) as f64 * 0.731).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), (device, dtype))
}

struct Case {
    x: Tensor<3>,
    start: Option<Tensor<2>>,
    weights: GruWeights,
    mask: Option<Tensor<2>>,
}

impl Case {
    fn new([rows, steps, inputs, states]: [usize; 4], masked: bool, dtype: DType) -> Self {
        let device = Device::flex().autodiff();
        let leaf = |tensor: Tensor<2>| tensor.require_grad();
        let vector = |seed| wave([3 * states], seed, &device, dtype).require_grad();
        let mask = (0..rows * steps).map(|i| f64::from(u8::from(i % 3 != 1))).collect::<Vec<_>>();
        let mask = Tensor::from_data(TensorData::new(mask, [rows, steps]), (&device, dtype));
        Self {
            x: wave([rows, steps, inputs], 1, &device, dtype).require_grad(),
            start: masked.then(|| leaf(wave([rows, states], 2, &device, dtype))),
            weights: GruWeights {
                input: leaf(wave([inputs, 3 * states], 3, &device, dtype)),
                hidden: leaf(wave([states, 3 * states], 4, &device, dtype) * 0.5),
                input_bias: vector(5),
                hidden_bias: vector(6),
            },
            mask: masked.then_some(mask),
        }
    }

    fn run(&self, chunk: Option<usize>) -> Tensor<2> {
        let (start, mask) = (self.start.clone(), self.mask.clone());
        gru(self.x.clone(), start, self.weights.clone(), mask, chunk)
    }

    /// The formulas of the module in tensor operations that Burn differentiates.
    fn plain(&self) -> Tensor<2> {
        let [rows, steps, inputs] = self.x.dims();
        let states = self.weights.hidden.dims()[0];
        let options = (&self.x.device(), self.x.dtype());
        let mut state =
            self.start.clone().unwrap_or_else(|| Tensor::zeros([rows, states], options));
        let sigmoid = burn::tensor::activation::sigmoid::<2>;
        for step in 0..steps {
            let x = self.x.clone().narrow(1, step, 1).reshape([rows, inputs]);
            let w = &self.weights;
            let of_x = x.matmul(w.input.clone()) + w.input_bias.clone().unsqueeze();
            let of_state =
                state.clone().matmul(w.hidden.clone()) + w.hidden_bias.clone().unsqueeze();
            let gate = |of: &Tensor<2>, index: usize| of.clone().narrow(1, index * states, states);
            let reset = sigmoid(gate(&of_x, 0) + gate(&of_state, 0));
            let update = sigmoid(gate(&of_x, 1) + gate(&of_state, 1));
            let candidate = (gate(&of_x, 2) + reset * gate(&of_state, 2)).tanh();
            let next = (update.clone().neg() + 1.0) * candidate + update * state.clone();
            state = match &self.mask {
                None => next,
                Some(mask) => {
                    let mask = mask.clone().narrow(1, step, 1);
                    mask.clone() * next + (mask.neg() + 1.0) * state
                }
            };
        }
        state
    }

    /// The output and the gradients of all leaves.
    fn numbers(&self, output: Tensor<2>) -> Vec<Vec<f64>> {
        let host = |data: TensorData| data.iter::<f64>().collect::<Vec<_>>();
        let weights = wave(output.dims(), 9, &output.device(), output.dtype());
        let mut found = vec![host(output.to_data())];
        let gradients = (output * weights).sum().backward();
        let w = &self.weights;
        found.push(host(self.x.grad(&gradients).unwrap().into_data()));
        let matrices = [Some(&w.input), Some(&w.hidden), self.start.as_ref()];
        for tensor in matrices.into_iter().flatten() {
            found.push(host(tensor.grad(&gradients).unwrap().into_data()));
        }
        for bias in [&w.input_bias, &w.hidden_bias] {
            found.push(host(bias.grad(&gradients).unwrap().into_data()));
        }
        found
    }
}

fn assert_close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    for (tensor, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(1.0f64, |max, x| max.max(x.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let gap = (found - expected).abs();
            assert!(gap <= tolerance * largest, "tensor {tensor}: {found} for {expected}");
        }
    }
}

#[test]
fn values_and_gradients_are_those_of_the_recorded_formulas() {
    // Blocks have 32 or 64 rows and tasks 1024; the last size is above the kernel's.
    let sizes =
        [[1, 1, 1, 1], [5, 3, 2, 3], [33, 4, 1, 16], [65, 2, 5, 7], [1030, 3, 2, 4], [6, 2, 3, 70]];
    for size in sizes {
        for masked in [false, true] {
            for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-5)] {
                let case = Case::new(size, masked, dtype);
                let expected = case.numbers(case.plain());
                let found = case.numbers(case.run(None));
                assert_close(&found, &expected, tolerance);
            }
        }
    }
}

#[test]
fn chunks_change_nothing() {
    for dtype in [DType::F64, DType::F32] {
        for size in [[17, 3, 2, 5], [9, 2, 3, 70]] {
            let case = Case::new(size, true, dtype);
            let whole = case.numbers(case.run(None));
            for chunk in [1, 4, 8, 100] {
                assert_close(&case.numbers(case.run(Some(chunk))), &whole, 1e-6);
            }
        }
    }
}

#[test]
fn saturated_gates_stay_finite_and_nan_is_not_hidden() {
    let device = Device::flex();
    let weights = GruWeights {
        input: Tensor::full([1, 3], 1e4, &device),
        hidden: Tensor::ones([1, 3], &device),
        input_bias: Tensor::zeros([3], &device),
        hidden_bias: Tensor::zeros([3], &device),
    };
    let run = |x: f32| {
        let x = Tensor::<3>::from_data([[[x]]], &device);
        gru(x, None, weights.clone(), None, None).into_scalar::<f32>()
    };
    assert_eq!(run(1.0), 0.0);
    assert!((run(-1.0) + 1.0).abs() < 1e-6);
    assert!(run(f32::NAN).is_nan());
}

#[test]
fn no_rows_give_no_states() {
    let device = Device::flex();
    let weights = GruWeights {
        input: Tensor::ones([2, 9], &device),
        hidden: Tensor::ones([3, 9], &device),
        input_bias: Tensor::ones([9], &device),
        hidden_bias: Tensor::ones([9], &device),
    };
    let x = Tensor::<3>::zeros([0, 4, 2], &device);
    assert_eq!(gru(x, None, weights, None, None).dims(), [0, 3]);
}

#[test]
fn small_inputs_keep_their_digits() {
    // One step from zero with open update gate: the state is tanh of the input.
    let device = Device::flex();
    let weights = GruWeights {
        input: Tensor::from_data([[0.0, 0.0, 1.0]], &device),
        hidden: Tensor::zeros([1, 3], &device),
        input_bias: Tensor::from_data([0.0, -80.0, 0.0], &device),
        hidden_bias: Tensor::zeros([3], &device),
    };
    let values: Vec<f32> = (-200..=200).map(|i| i as f32 * 0.02).chain([1e-6, -3e-12]).collect();
    let x = Tensor::<3>::from_data(TensorData::new(values.clone(), [values.len(), 1, 1]), &device);
    let found = gru(x, None, weights, None, None).into_data().try_to_vec::<f32>().unwrap();
    for (x, found) in values.into_iter().zip(found) {
        let expected = f64::from(x).tanh();
        let gap = (f64::from(found) - expected).abs();
        assert!(gap <= 3e-7 * expected.abs(), "tanh({x}): {found} for {expected}");
    }
}

#[test]
#[should_panic(expected = "gru: start must be [2, 1], got [3, 1]")]
fn a_start_of_another_size_is_refused() {
    let device = Device::flex();
    let weights = GruWeights {
        input: Tensor::zeros([1, 3], &device),
        hidden: Tensor::zeros([1, 3], &device),
        input_bias: Tensor::zeros([3], &device),
        hidden_bias: Tensor::zeros([3], &device),
    };
    let x = Tensor::<3>::zeros([2, 1, 1], &device);
    gru(x, Some(Tensor::zeros([3, 1], &device)), weights, None, None);
}

proptest! {
    #[test]
    fn rows_do_not_see_each_other(rows in 2usize..40, steps in 1usize..4, states in 1usize..6) {
        let case = Case::new([rows, steps, 2, states], false, DType::F32);
        let all = case.run(None).into_data().iter::<f32>().collect::<Vec<_>>();
        let alone = gru(
            case.x.clone().narrow(0, rows - 1, 1),
            None,
            case.weights.clone(),
            None,
            None,
        );
        let alone = alone.into_data().iter::<f32>().collect::<Vec<_>>();
        prop_assert_eq!(&all[(rows - 1) * states..], &alone[..]);
    }
}
