//! Equilibrium blocks: forward alone, forward with backward, with the same solver in both directions.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use firebrick::models::deq::{Activation, AffineCell, Deq, DeqConfig, without_autodiff};
use firebrick::ops::fixed_point::{
    AndersonConfig, AndersonRidge, BroydenConfig, FixedPointConfig, Solver,
};

use crate::runner::{Machine, Row};

/// Width and batch.
const SIZES: [(usize, usize); 4] = [(64, 32), (256, 64), (512, 128), (1024, 64)];
const NORM: f64 = 0.9;
const TOLERANCE: f64 = 1e-4;
/// Evaluations in each direction, for the floor.
const EVALUATIONS: f64 = 12.0;

/// Numbers in [-1/2, 1/2) without structure, the same in the PyTorch script.
fn scattered(len: usize) -> Vec<f64> {
    (1..=len).map(|i| (i as f64 * i as f64 * 0.618_033_988_749_894_9).fract() - 0.5).collect()
}

fn matrix(values: Vec<f64>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The matrix brought to a spectral norm by power iteration.
fn normalized(values: Tensor<2>) -> Tensor<2> {
    let [_, width] = values.dims();
    let mut v = Tensor::<2>::ones([width, 1], &values.device());
    let mut size = 1.0;
    for _ in 0..100 {
        let w = values.clone().transpose().matmul(values.clone().matmul(v));
        size = w.clone().square().sum().sqrt().into_scalar::<f64>();
        v = w * size.recip();
    }
    values * (NORM / size.sqrt())
}

fn solver(name: &str) -> Solver {
    let solver: Solver = match name {
        "fixed_point" => FixedPointConfig::new().into(),
        "anderson" => AndersonConfig::new().with_ridge(AndersonRidge::Relative(1e-6)).into(),
        _ => BroydenConfig::new().into(),
    };
    solver.with_tolerance(TOLERANCE)
}

struct Problem {
    deq: Deq,
    cell: AffineCell,
    plain: AffineCell,
    x: Tensor<2>,
    u: Tensor<2>,
}

impl Problem {
    fn new(name: &str, width: usize, batch: usize) -> Self {
        let plain = Device::flex();
        let weight = normalized(matrix(scattered(width * width), [width, width], &plain));
        let cell =
            AffineCell::new(Param::from_tensor(Tensor::from_inner(weight)), Activation::Tanh);
        let u = matrix(scattered(width * width), [width, width], &plain)
            * (width as f64).sqrt().recip();
        let solver = solver(name);
        Self {
            deq: DeqConfig::new().with_forward(solver.clone()).with_backward(solver).init(),
            plain: without_autodiff(&cell),
            cell,
            x: matrix(scattered(batch * width), [batch, width], &plain) * 4.0,
            u,
        }
    }

    fn forward(&self) {
        let injected = self.x.clone().matmul(self.u.clone().transpose());
        std::hint::black_box(self.deq.forward(&self.plain, injected).state);
    }

    fn forward_and_backward(&self) {
        let u = Tensor::from_inner(self.u.clone()).require_grad();
        let injected = Tensor::from_inner(self.x.clone()).matmul(u.clone().transpose());
        let state = self.deq.forward(&self.cell, injected).state;
        let gradients = state.square().mean().backward();
        std::hint::black_box((self.cell.weight.grad(&gradients), u.grad(&gradients)));
    }
}

pub fn rows(machine: &Machine) -> Vec<Row> {
    let mut rows = Vec::new();
    for (width, batch) in SIZES {
        for name in ["fixed_point", "anderson", "broyden"] {
            let product = 2.0 * (batch * width * width) as f64;
            let forward = machine.floor(0.0, product * EVALUATIONS);
            let both = machine.floor(0.0, product * (2.0 * EVALUATIONS + 4.0));
            let title = name.replace('_', " ");
            let row = |what: &str, floor, ours: Box<dyn FnMut()>| Row {
                name: format!("equilibrium, {title}, {what}, D={width} B={batch}"),
                pytorch: format!("deq_{name} {width} {batch} {}", u8::from(what != "forward")),
                against: "TorchDEQ's way: the same solver and tolerance, retained graph".into(),
                floor,
                ours,
            };
            let problem = std::rc::Rc::new(Problem::new(name, width, batch));
            let other = problem.clone();
            rows.push(row("forward", forward, Box::new(move || problem.forward())));
            rows.push(row("with gradient", both, Box::new(move || other.forward_and_backward())));
        }
    }
    rows
}
