//! Gradients against closed forms, unrolled iterations and central differences.

use burn::module::Param;
use burn::tensor::Tensor;
use firebrick_models::deq::{
    Activation, AffineCell, DeqConfig, DeqGradient, DeqLayerConfig, FunctionCell, PhantomConfig,
};
use firebrick_ops::fixed_point::GmresConfig;
use proptest::prelude::*;

use crate::support::{
    assert_near, block, cell, device, draw, matrix, numbers, plain, relative_error, solvers,
    tensor, tight,
};

const ACTIVATIONS: [Activation; 5] = [
    Activation::Identity,
    Activation::Tanh,
    Activation::Relu,
    Activation::Hardtanh,
    Activation::Sin,
];

/// Gradients with respect to `W` and the injection.
fn gradients(
    deq: &firebrick_models::deq::Deq,
    cell: &AffineCell,
    input: &[f64],
    v: &Tensor<2>,
) -> [Tensor<2>; 2] {
    let width = numbers(v).len() / v.dims()[0];
    let input = tensor(input.to_vec(), [v.dims()[0], width]).require_grad();
    let output = deq.forward(cell, input.clone());
    let gradients = (output.state * v.clone()).sum().backward();
    [
        cell.weight.grad(&gradients).expect("a gradient of W"),
        input.grad(&gradients).expect("a gradient of the input"),
    ]
}

#[test]
fn linear_equilibria_have_their_closed_form() {
    let (n, batch) = (4, 3);
    let cell = cell(n, 0.8, Activation::Identity, 1);
    let (input, v) = (draw(batch * n, 2), tensor(draw(batch * n, 3), [batch, n]));
    let [grad_w, grad_u] = gradients(&block(DeqGradient::Implicit), &cell, &input, &v);
    // g (I - W) = v, z (I - W^T) = u; dL/dW = g^T z, dL/du = g
    let w = cell.weight.val().inner();
    let identity = Tensor::<2>::eye(n, &w.device()).cast(w.dtype());
    let inverse =
        firebrick_ops::elimination::inverse((identity - w).unsqueeze()).squeeze_dim::<2>(0);
    let g = v.inner().matmul(inverse.clone());
    let z = plain(input, [batch, n]).matmul(inverse.transpose());
    assert_near(&grad_u, &g, 1e-10, "dL/du");
    assert_near(&grad_w, &g.transpose().matmul(z), 1e-10, "dL/dW");
}

#[test]
fn all_solvers_and_activations_give_the_unrolled_gradient() {
    let (n, batch) = (5, 3);
    for (seed, activation) in ACTIVATIONS.into_iter().enumerate() {
        let cell = cell(n, 0.8, activation, seed as u64);
        let (input, v) = (draw(batch * n, 7), tensor(draw(batch * n, 8), [batch, n]));
        let unrolled = block(DeqGradient::Unrolled { steps: 600 });
        let expected = gradients(&unrolled, &cell, &input, &v);
        for forward in solvers() {
            for backward in solvers().into_iter().chain([GmresConfig::new().into()]) {
                let what = format!("{activation:?}, {forward:?}, {backward:?}");
                let deq = DeqConfig::new()
                    .with_forward(tight(forward.clone()))
                    .with_backward(tight(backward))
                    .init();
                let found = gradients(&deq, &cell, &input, &v);
                assert_near(&found[0], &expected[0], 1e-9, &what);
                assert_near(&found[1], &expected[1], 1e-9, &what);
            }
        }
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    let (n, batch) = (3, 2);
    let cell = cell(n, 0.9, Activation::Tanh, 11);
    let (input, v) = (draw(batch * n, 12), tensor(draw(batch * n, 13), [batch, n]));
    let deq = block(DeqGradient::Implicit);
    let [grad_w, grad_u] = gradients(&deq, &cell, &input, &v);
    let loss = |w: Vec<f64>, u: Vec<f64>| -> f64 {
        let cell = AffineCell::new(Param::from_tensor(plain(w, [n, n])), Activation::Tanh);
        let state = deq.forward(&cell, plain(u, [batch, n])).state;
        (state * v.clone().inner()).sum().into_scalar()
    };
    let w = numbers(&cell.weight.val());
    let shifted = |values: &[f64], at: usize, step: f64| {
        let mut values = values.to_vec();
        values[at] += step;
        values
    };
    let h = 1e-6;
    for (at, found) in numbers(&grad_w).into_iter().enumerate() {
        let difference =
            loss(shifted(&w, at, h), input.clone()) - loss(shifted(&w, at, -h), input.clone());
        assert!((found - difference / (2.0 * h)).abs() < 1e-7, "W[{at}]");
    }
    for (at, found) in numbers(&grad_u).into_iter().enumerate() {
        let difference =
            loss(w.clone(), shifted(&input, at, h)) - loss(w.clone(), shifted(&input, at, -h));
        assert!((found - difference / (2.0 * h)).abs() < 1e-7, "u[{at}]");
    }
}

#[test]
fn a_closure_without_derivatives_gives_the_gradients_of_the_cell_with_them() {
    let (n, batch) = (4, 3);
    let known = cell(n, 0.9, Activation::Tanh, 21);
    let (input, v) = (draw(batch * n, 22), tensor(draw(batch * n, 23), [batch, n]));
    for gradient in
        [DeqGradient::Implicit, DeqGradient::jacobian_free(), DeqGradient::Unrolled { steps: 300 }]
    {
        let deq = block(gradient.clone());
        let expected = gradients(&deq, &known, &input, &v);
        let w = tensor(matrix(n, 0.9, 21), [n, n]).require_grad();
        let unknown = FunctionCell::new(
            w.clone(),
            |w: &Tensor<2>, z: Tensor<2>, u: &Tensor<2>| {
                (z.matmul(w.clone().transpose()) + u.clone()).tanh()
            },
            |u: &Tensor<2>| u.clone().inner().zeros_like(),
        );
        let u = tensor(input.clone(), [batch, n]).require_grad();
        let state = deq.forward(&unknown, u.clone()).state;
        let found = (state * v.clone()).sum().backward();
        let what = format!("{gradient:?}");
        assert_near(&w.grad(&found).expect("W"), &expected[0], 1e-10, &what);
        assert_near(&u.grad(&found).expect("u"), &expected[1], 1e-10, &what);
    }
}

#[test]
fn phantom_gradients_are_those_of_the_recorded_steps_and_tend_to_the_exact_one() {
    let (n, batch) = (4, 3);
    let cell = cell(n, 0.7, Activation::Tanh, 31);
    let (input, v) = (draw(batch * n, 32), tensor(draw(batch * n, 33), [batch, n]));
    let exact = gradients(&block(DeqGradient::Implicit), &cell, &input, &v);
    let phantom =
        |steps, damping| DeqGradient::Phantom(PhantomConfig::new(steps).with_damping(damping));
    // By hand: k damped steps from the detached fixed point.
    let z = block(DeqGradient::Implicit).forward(&cell, tensor(input.clone(), [batch, n])).state;
    let u = tensor(input.clone(), [batch, n]).require_grad();
    let w = tensor(numbers(&cell.weight.val()), [n, n]).require_grad();
    let mut state = z.inner();
    for _ in 0..5 {
        let image = (state.clone().matmul(w.clone().transpose()) + u.clone()).tanh();
        state = image * 0.5 + state * 0.5;
    }
    let by_hand = (state * v.clone()).sum().backward();
    let found = gradients(&block(phantom(5, 0.5)), &cell, &input, &v);
    assert_near(&found[0], &w.grad(&by_hand).expect("W"), 1e-10, "5 steps of 0.5");
    assert_near(&found[1], &u.grad(&by_hand).expect("u"), 1e-10, "5 steps of 0.5");
    // error <= C rho^k with rho <= 0.7
    let error = |steps| {
        relative_error(&gradients(&block(phantom(steps, 1.0)), &cell, &input, &v)[0], &exact[0])
    };
    let first = error(1);
    for steps in [4, 8, 16, 32] {
        assert!(error(steps) <= 3.0 * first * 0.7f64.powi(steps as i32 - 1), "{steps} steps");
    }
    assert!(error(80) < 1e-10);
}

#[test]
fn the_surrogate_has_the_value_and_the_gradients_of_the_implicit_form() {
    let (n, batch) = (4, 3);
    let cell = cell(n, 0.9, Activation::Tanh, 41);
    let head = tensor(draw(n * 2, 42), [n, 2]).require_grad();
    let input = tensor(draw(batch * n, 43), [batch, n]).require_grad();
    let loss = |z: Tensor<2>| z.matmul(head.clone()).square().mean();
    let deq = block(DeqGradient::Implicit);
    let direct = loss(deq.forward(&cell, input.clone()).state);
    let surrogate = deq.surrogate_loss(&cell, input.clone(), None, loss);
    assert!(surrogate.forward.all_converged() && surrogate.backward.all_converged());
    let value: f64 = direct.clone().into_scalar();
    assert!((value - surrogate.loss.clone().into_scalar::<f64>()).abs() < 1e-14);
    let (direct, surrogate) = (direct.backward(), surrogate.loss.backward());
    for (what, leaf) in [("head", &head), ("input", &input), ("W", &cell.weight.val())] {
        let expected = leaf.grad(&direct).expect("a gradient");
        assert_near(&leaf.grad(&surrogate).expect("a gradient"), &expected, 1e-12, what);
    }
}

#[test]
fn thirty_two_bits_are_right_to_four_digits() {
    let layer = DeqLayerConfig::new(6, 16).with_gain(0.45).with_seed(Some(1));
    let tolerances = [(burn::tensor::DType::F64, 1e-13), (burn::tensor::DType::F32, 1e-5)];
    let [exact, rounded] = tolerances.map(|(dtype, tolerance)| {
        let layer = layer.init((&device(), dtype));
        let config = DeqConfig::new();
        let (forward, backward) = (config.forward.clone(), config.backward.clone());
        let deq = config
            .with_forward(forward.with_tolerance(tolerance).with_max_steps(200))
            .with_backward(backward.with_tolerance(tolerance).with_max_steps(200))
            .init();
        let x = Tensor::<2>::from_data(
            burn::tensor::TensorData::new(draw(60, 2), [10, 6]),
            (&device(), dtype),
        );
        let gradients = layer.forward(&deq, x).state.square().mean().backward();
        let of =
            |tensor: Option<Tensor<2>>| tensor.expect("a gradient").cast(burn::tensor::DType::F64);
        [of(layer.cell.weight.grad(&gradients)), of(layer.input.grad(&gradients))]
    });
    assert_near(&rounded[0], &exact[0], 1e-3, "W");
    assert_near(&rounded[1], &exact[1], 1e-3, "U");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn the_jacobian_free_gradient_points_the_right_way(seed in 0u64..100_000) {
        let (n, batch) = (5, 2);
        let cell = cell(n, 0.9, Activation::Tanh, seed);
        let (input, v) = (draw(batch * n, seed + 1), tensor(draw(batch * n, seed + 2), [batch, n]));
        let exact = gradients(&block(DeqGradient::Implicit), &cell, &input, &v);
        let free = gradients(&block(DeqGradient::jacobian_free()), &cell, &input, &v);
        let inner: f64 = numbers(&exact[1]).iter().zip(numbers(&free[1])).map(|(a, b)| a * b).sum();
        prop_assert!(inner > 0.0, "{inner}");
    }
}
