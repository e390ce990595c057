//! Scale of the loss, failing backward solves, reports.

use burn::tensor::Tensor;
use firebrick_models::deq::{Activation, BackwardPolicy, Deq, DeqConfig, DeqGradient};
use firebrick_ops::fixed_point::{FixedPointConfig, GmresConfig, Solver};

use crate::support::{assert_near, block, cell, device, draw, solvers, tensor};

const N: usize = 4;
const BATCH: usize = 3;

fn weight_gradient(deq: &Deq, scale: f64) -> Tensor<2> {
    let cell = cell(N, 0.9, Activation::Tanh, 1);
    let x = tensor(draw(BATCH * N, 2), [BATCH, N]);
    let loss = deq.forward(&cell, x).state.square().mean() * scale;
    cell.weight.grad(&loss.backward()).expect("a gradient")
}

#[test]
fn gradients_scale_with_the_loss() {
    for solver in solvers().into_iter().chain([GmresConfig::new().into()]) {
        let deq = DeqConfig::new().with_backward(solver.clone()).init();
        let one = weight_gradient(&deq, 1.0);
        for scale in [1e-6, 1.0, 1e6] {
            let found = weight_gradient(&deq, scale) * scale.recip();
            assert_near(&found, &one, 1e-10, &format!("{solver:?} at {scale:e}"));
        }
    }
}

#[test]
fn gradients_scale_with_the_loss_in_32_bits() {
    use burn::tensor::{DType, TensorData};
    for solver in solvers().into_iter().chain([GmresConfig::new().into()]) {
        let deq = DeqConfig::new().with_backward(solver.clone()).init();
        let run = |scale: f64| {
            let layer = firebrick_models::deq::DeqLayerConfig::new(6, 16).with_seed(Some(3));
            let layer = layer.init((&device(), DType::F32));
            let x = TensorData::new(draw(48, 5), [8, 6]);
            let x = Tensor::<2>::from_data(x, (&device(), DType::F32));
            let loss = layer.forward(&deq, x).state.square().mean() * scale;
            layer.cell.weight.grad(&loss.backward()).expect("a gradient") * scale.recip()
        };
        for scale in [1e-6, 1e6] {
            assert_near(&run(scale), &run(1.0), 1e-5, &format!("{solver:?} at {scale:e}"));
        }
    }
}

#[test]
fn a_vanishing_gradient_costs_one_evaluation_and_gives_zero() {
    for solver in solvers() {
        let deq = DeqConfig::new().with_backward(solver).init();
        let cell = cell(N, 0.9, Activation::Tanh, 1);
        let output = deq.forward(&cell, tensor(draw(BATCH * N, 2), [BATCH, N]));
        let gradients = (output.state * 0.0).sum().backward();
        let gradient = cell.weight.grad(&gradients).expect("a gradient");
        assert_eq!(gradient.abs().max().into_scalar::<f64>(), 0.0);
        let report = output.backward.last().expect("a report");
        assert!(report.evaluations <= 1 && report.all_converged());
    }
}

#[test]
fn reports_tell_of_both_directions() {
    let cell = cell(N, 0.9, Activation::Tanh, 1);
    let output = DeqConfig::new().init().forward(&cell, tensor(draw(BATCH * N, 2), [BATCH, N]));
    assert!(output.report.all_converged() && output.report.converged.len() == BATCH);
    assert!(output.backward.last().is_none());
    output.state.sum().backward();
    let backward = output.backward.last().expect("a report");
    assert!(backward.all_converged() && backward.steps > 0 && backward.worst_relative() < 1e-4);
}

/// A backward solver that has no chance.
fn hopeless(policy: BackwardPolicy) -> DeqConfig {
    let solver = Solver::from(FixedPointConfig::new()).with_max_steps(2).with_tolerance(1e-12);
    DeqConfig::new().with_backward(solver).with_policy(policy)
}

#[test]
fn a_failing_backward_solve_is_reported_and_accepted() {
    let deq = hopeless(BackwardPolicy::Accept).init();
    let cell = cell(N, 0.9, Activation::Tanh, 1);
    for _ in 0..2 {
        let output = deq.forward(&cell, tensor(draw(BATCH * N, 2), [BATCH, N]));
        output.state.sum().backward();
        assert!(!output.backward.last().expect("a report").all_converged());
    }
}

#[test]
fn a_failing_backward_solve_falls_back_to_the_jacobian_free_gradient() {
    let found = weight_gradient(&hopeless(BackwardPolicy::FallBackToJacobianFree).init(), 1.0);
    let expected =
        weight_gradient(&DeqConfig::new().with_gradient(DeqGradient::jacobian_free()).init(), 1.0);
    assert_near(&found, &expected, 1e-12, "W");
}

#[test]
#[should_panic(
    expected = "the last backward pass failed: 3 of 3 samples did not converge in 2 steps"
)]
fn a_failing_backward_solve_panics_in_the_next_forward_pass() {
    let deq = hopeless(BackwardPolicy::PanicOnNextForward).init();
    weight_gradient(&deq, 1.0);
    // A clone has its own record.
    weight_gradient(&deq.clone(), 1.0);
    weight_gradient(&deq, 1.0);
}

#[test]
fn a_gradient_that_is_not_finite_does_not_panic_in_the_backward_pass() {
    let cell = cell(N, 0.9, Activation::Tanh, 1);
    let output =
        block(DeqGradient::Implicit).forward(&cell, tensor(draw(BATCH * N, 2), [BATCH, N]));
    let gradients = (output.state * f64::NAN).sum().backward();
    assert!(cell.weight.grad(&gradients).is_some());
    assert!(!output.backward.last().expect("a report").all_converged());
}
