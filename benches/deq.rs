//! Equilibrium blocks: forward alone, forward with backward, with the same solver in both directions; and
//! the peak memory of both passes against the number of allowed iterations.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use firebrick::models::deq::{
    Activation, AffineCell, Deq, DeqConfig, DeqGradient, without_autodiff,
};
use firebrick::ops::fixed_point::{
    AndersonConfig, AndersonRidge, BroydenConfig, FixedPointConfig, Solver,
};
use firebrick_harness::claims::table;

use crate::memory;
use crate::runner::{Machine, Row};

/// Width and batch.
const SIZES: [(usize, usize); 4] = [(64, 32), (256, 64), (512, 128), (1024, 64)];
const NORM: f64 = 0.9;
const TOLERANCE: f64 = 1e-4;
/// Evaluations in each direction, for the floor.
const EVALUATIONS: f64 = 12.0;
const SOLVERS: [&str; 3] = ["fixed_point", "anderson", "broyden"];
/// Allowed iterations of the table of memory.
const ALLOWED: [usize; 5] = [10, 20, 40, 80, 160];

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

/// The same solver in both directions.
fn config(solver: Solver) -> DeqConfig {
    DeqConfig::new().with_forward(solver.clone()).with_backward(solver)
}

struct Problem {
    deq: Deq,
    cell: AffineCell,
    plain: AffineCell,
    x: Tensor<2>,
    u: Tensor<2>,
}

impl Problem {
    fn new(deq: Deq, width: usize, batch: usize) -> Self {
        let plain = Device::flex();
        let weight = normalized(matrix(scattered(width * width), [width, width], &plain));
        let cell =
            AffineCell::new(Param::from_tensor(Tensor::from_inner(weight)), Activation::Tanh);
        let u = matrix(scattered(width * width), [width, width], &plain)
            * (width as f64).sqrt().recip();
        Self {
            deq,
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
        for name in SOLVERS {
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
            let problem = std::rc::Rc::new(Problem::new(config(solver(name)).init(), width, batch));
            let other = problem.clone();
            rows.push(row("forward", forward, Box::new(move || problem.forward())));
            rows.push(row("with gradient", both, Box::new(move || other.forward_and_backward())));
        }
    }
    rows
}

/// Peak memory of a forward and a backward pass in states, with all allowed iterations made both ways.
pub fn memory(filter: &str) {
    let name = "equilibrium, peak memory in states";
    if !name.contains(filter) && !filter.contains(name) {
        return;
    }
    let (width, batch) = SIZES[1];
    let peak = |config: DeqConfig| {
        let problem = Problem::new(config.init(), width, batch);
        problem.forward_and_backward();
        let bytes = memory::peak(|| problem.forward_and_backward());
        format!("{:.1}", bytes as f64 / (4 * batch * width) as f64)
    };
    let mut lines = Vec::new();
    for solver_name in SOLVERS {
        let exhausted = |steps| solver(solver_name).with_tolerance(0.0).with_max_steps(steps);
        let mut line = vec![format!("{name}, {}", solver_name.replace('_', " "))];
        line.extend(ALLOWED.map(|steps| peak(config(exhausted(steps)))));
        lines.push(line);
    }
    let unrolled = |steps| DeqConfig::new().with_gradient(DeqGradient::Unrolled { steps });
    let mut line = vec![format!("{name}, recorded iterations")];
    line.extend(ALLOWED.map(|steps| peak(unrolled(steps))));
    lines.push(line);
    let steps = ALLOWED.map(|steps| format!("{steps} iterations"));
    let case = format!("case, D={width} B={batch}");
    let header: Vec<&str> =
        std::iter::once(case.as_str()).chain(steps.iter().map(String::as_str)).collect();
    println!("{}", table(&header, &lines));
}
