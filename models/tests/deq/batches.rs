//! Samples are independent: permutations, diverging neighbors, several tensors in a state.

use burn::tensor::{Int, Tensor};
use firebrick_models::deq::{
    Activation, AffineCell, DeqCell, DeqConfig, DeqGradient, FunctionCell, Plain, without_autodiff,
};
use firebrick_ops::fixed_point::{FixedPointConfig, GmresConfig};
use firebrick_ops::iteration::Status;

use crate::support::{assert_near, block, cell, draw, matrix, numbers, solvers, tensor, tight};

const N: usize = 4;

/// Gradient with respect to the injection, with a loss that treats every sample alike.
fn input_gradient(
    deq: &firebrick_models::deq::Deq,
    cell: &AffineCell,
    x: Vec<f64>,
) -> [Tensor<2>; 2] {
    let batch = x.len() / N;
    let x = tensor(x, [batch, N]).require_grad();
    let output = deq.forward(cell, x.clone());
    let gradients = output.state.clone().square().sum().backward();
    [output.state.inner(), x.grad(&gradients).expect("a gradient")]
}

#[test]
fn a_permutation_of_the_batch_permutes_everything() {
    let cell = cell(N, 0.9, Activation::Tanh, 1);
    let x = draw(5 * N, 2);
    let order = [3usize, 0, 4, 1, 2];
    let permuted: Vec<f64> = order.iter().flat_map(|&i| x[i * N..(i + 1) * N].to_vec()).collect();
    for solver in solvers() {
        let deq = DeqConfig::new().with_forward(solver.clone()).with_backward(solver).init();
        let expected = input_gradient(&deq, &cell, x.clone());
        let found = input_gradient(&deq, &cell, permuted.clone());
        for (found, expected) in found.into_iter().zip(expected) {
            let indices: Vec<i64> = order.iter().map(|&i| i as i64).collect();
            let indices = Tensor::<1, Int>::from_data(indices.as_slice(), &expected.device());
            assert_near(&found, &expected.select(0, indices), 1e-12, "permuted");
        }
    }
}

#[test]
fn a_sample_has_the_gradient_that_it_has_alone() {
    let cell = cell(N, 0.95, Activation::Tanh, 3);
    let x = draw(4 * N, 4);
    for solver in solvers().into_iter().chain([GmresConfig::new().into()]) {
        let forward = if matches!(solver, firebrick_ops::fixed_point::Solver::Gmres(_)) {
            solvers().remove(0)
        } else {
            solver.clone()
        };
        let deq = DeqConfig::new().with_forward(forward).with_backward(solver.clone()).init();
        let [state, gradient] = input_gradient(&deq, &cell, x.clone());
        for sample in 0..4 {
            let alone = input_gradient(&deq, &cell, x[sample * N..(sample + 1) * N].to_vec());
            let what = format!("{solver:?}, sample {sample}");
            assert_near(&state.clone().narrow(0, sample, 1), &alone[0], 1e-11, &what);
            assert_near(&gradient.clone().narrow(0, sample, 1), &alone[1], 1e-11, &what);
        }
    }
}

/// `tanh(z W^T + u)`, plus a square that overflows where a row asks for it.
#[derive(Clone)]
struct Exploding {
    cell: AffineCell,
    grow: Vec<f64>,
}

impl DeqCell for Exploding {
    type State = Tensor<2>;
    type Input = Tensor<2>;

    fn evaluate(&self, z: Tensor<2>, u: &Tensor<2>) -> Tensor<2> {
        let data = burn::tensor::TensorData::new(self.grow.clone(), [self.grow.len(), 1]);
        let grow = Tensor::<2>::from_data(data, (&z.device().inner(), z.dtype()));
        let square = (z.clone().square() * 1e3 + 1e3) * grow;
        self.cell.evaluate(z, u) + square
    }

    fn start(&self, u: &Tensor<2>) -> Tensor<2> {
        self.cell.start(u)
    }

    fn plain(&self) -> Self {
        Self { cell: without_autodiff(&self.cell), grow: self.grow.clone() }
    }
}

#[test]
fn one_overflowing_sample_leaves_results_and_gradients_of_the_others_alone() {
    let (x, batch) = (draw(3 * N, 6), 3);
    let run = |grow: Vec<f64>, x: Vec<f64>, solver: firebrick_ops::fixed_point::Solver| {
        let cell = Exploding { cell: cell(N, 0.8, Activation::Tanh, 5), grow };
        let rows = cell.grow.len();
        let x = tensor(x, [rows, N]).require_grad();
        let deq = DeqConfig::new()
            .with_forward(tight(solver.clone()))
            .with_backward(tight(solver))
            .init();
        let output = deq.forward(&cell, x.clone());
        let gradients = output.state.clone().sum().backward();
        (output, x.grad(&gradients).expect("a gradient"))
    };
    for solver in solvers() {
        let mut grow = vec![0.0; batch];
        grow[1] = 1.0;
        let (output, gradient) = run(grow, x.clone(), solver.clone());
        assert_eq!(
            [0, 1, 2].map(|i| output.report.converged[i]),
            [true, false, true],
            "{solver:?}"
        );
        for sample in [0, 2] {
            let (alone, expected) =
                run(vec![0.0], x[sample * N..(sample + 1) * N].to_vec(), solver.clone());
            let what = format!("{solver:?}, sample {sample}");
            let found = output.state.clone().narrow(0, sample, 1);
            assert_near(&found, &alone.state, 1e-11, &what);
            assert_near(&gradient.clone().narrow(0, sample, 1), &expected, 1e-10, &what);
        }
    }
    let mut grow = vec![0.0; batch];
    grow[1] = 1.0;
    let (output, _) = run(grow, x, FixedPointConfig::new().into());
    assert_eq!(output.report.status, Status::Diverged);
}

#[derive(Clone)]
struct Pair(Tensor<2>);

impl Plain for Pair {
    fn plain(&self) -> Self {
        Self(self.0.plain())
    }
}

#[test]
fn a_state_of_two_tensors_has_the_gradients_of_one_wide_tensor() {
    let w = tensor(matrix(5, 0.8, 7), [5, 5]).require_grad();
    fn image(w: &Tensor<2>, z: Tensor<2>, u: &Tensor<2>) -> Tensor<2> {
        (z.matmul(w.clone().transpose()) + u.clone()).tanh()
    }
    let wide = FunctionCell::new(w.clone(), image, |u: &Tensor<2>| u.clone().inner().zeros_like());
    let pair = FunctionCell::new(
        Pair(w.clone()),
        |w: &Pair, (a, b): (Tensor<2>, Tensor<3>), u: &Tensor<2>| {
            let batch = u.dims()[0];
            let z = image(&w.0, Tensor::cat(vec![a, b.reshape([batch, 3])], 1), u);
            (z.clone().narrow(1, 0, 2), z.narrow(1, 2, 3).reshape([batch, 3, 1]))
        },
        |u: &Tensor<2>| {
            let zeros = u.clone().inner().zeros_like();
            let batch = u.dims()[0];
            (zeros.clone().narrow(1, 0, 2), zeros.narrow(1, 0, 3).reshape([batch, 3, 1]))
        },
    );
    let v = tensor(draw(10, 8), [2, 5]);
    let x = tensor(draw(10, 9), [2, 5]);
    let deq = block(DeqGradient::Implicit);
    let expected = (deq.forward(&wide, x.clone()).state * v.clone()).sum().backward();
    let expected = w.grad(&expected).expect("a gradient");
    let (a, b) = deq.forward(&pair, x).state;
    let z = Tensor::cat(vec![a, b.reshape([2, 3])], 1);
    let found = w.grad(&(z * v).sum().backward()).expect("a gradient");
    assert_near(&found, &expected, 1e-12, "W");
}

#[test]
fn single_numbers_and_single_samples_work() {
    let cell = cell(1, 0.5, Activation::Identity, 1);
    let w = numbers(&cell.weight.val())[0];
    let [state, gradient] = {
        let x = tensor(vec![3.0], [1, 1]).require_grad();
        let output = block(DeqGradient::Implicit).forward(&cell, x.clone());
        let gradients = output.state.clone().sum().backward();
        [output.state.inner(), x.grad(&gradients).expect("a gradient")].map(|t| numbers(&t)[0])
    };
    assert!((state - 3.0 / (1.0 - w)).abs() < 1e-10 && (gradient - 1.0 / (1.0 - w)).abs() < 1e-10);
}
