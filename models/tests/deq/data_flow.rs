//! Blocks in series, shared, in threads and inside each other: what would block if graphs were mixed up.

use burn::tensor::Tensor;
use firebrick_models::deq::{
    Activation, AffineCell, Deq, DeqConfig, DeqGradient, FunctionCell, without_autodiff,
};

use crate::support::{
    assert_near, block, cell, device, draw, matrix, plain, tensor, within_a_minute,
};

const N: usize = 4;
const BATCH: usize = 3;

/// Both gradients of a network, from the implicit and from the unrolled block.
fn compare(network: impl Fn(&Deq, Tensor<2>) -> (Tensor<2>, Vec<Tensor<2>>)) {
    let run = |gradient| {
        let input = tensor(draw(BATCH * N, 3), [BATCH, N]).require_grad();
        let (output, leaves) = network(&block(gradient), input.clone());
        let gradients = output.square().sum().backward();
        let mut found = vec![input.grad(&gradients).expect("the input's gradient")];
        found.extend(leaves.iter().map(|leaf| leaf.grad(&gradients).expect("a gradient")));
        found
    };
    let (implicit, unrolled) =
        (run(DeqGradient::Implicit), run(DeqGradient::Unrolled { steps: 500 }));
    for (index, (found, expected)) in implicit.iter().zip(&unrolled).enumerate() {
        assert_near(found, expected, 1e-9, &format!("gradient {index}"));
    }
}

#[test]
fn two_blocks_in_series() {
    within_a_minute(|| {
        compare(|deq, x| {
            let first = cell(N, 0.8, Activation::Tanh, 1);
            let second = cell(N, 0.8, Activation::Sin, 2);
            let middle = deq.forward(&first, x).state;
            let output = deq.forward(&second, middle * 2.0).state;
            (output, vec![first.weight.val(), second.weight.val()])
        });
    });
}

#[test]
fn one_block_used_twice() {
    within_a_minute(|| {
        compare(|deq, x| {
            let shared = cell(N, 0.8, Activation::Tanh, 1);
            let middle = deq.forward(&shared, x.clone()).state;
            let output = deq.forward(&shared, middle.clone() + x).state;
            (output + middle, vec![shared.weight.val()])
        });
    });
}

#[test]
fn a_block_without_closed_form_in_series_and_shared() {
    within_a_minute(|| {
        compare(|deq, x| {
            let w = tensor(matrix(N, 0.8, 4), [N, N]).require_grad();
            let cell = FunctionCell::new(
                w.clone(),
                |w: &Tensor<2>, z: Tensor<2>, u: &Tensor<2>| {
                    (z.matmul(w.clone()) + u.clone()).tanh()
                },
                |u: &Tensor<2>| u.clone().inner().zeros_like(),
            );
            let middle = deq.forward(&cell, x).state;
            (deq.forward(&cell, middle).state, vec![w])
        });
    });
}

#[test]
fn a_block_inside_the_map_of_another() {
    within_a_minute(|| {
        let inner = cell(N, 0.5, Activation::Tanh, 5);
        let outer = |inner: AffineCell, gradient: DeqGradient| {
            FunctionCell::unchecked(
                Cells(inner),
                move |cells: &Cells, z: Tensor<2>, u: &Tensor<2>| {
                    block(gradient.clone()).forward(&cells.0, z * 0.5 + u.clone()).state
                },
                |u: &Tensor<2>| u.clone().inner().zeros_like(),
            )
        };
        let run = |gradient: DeqGradient| {
            let x = tensor(draw(BATCH * N, 6), [BATCH, N]).require_grad();
            let state = block(gradient.clone()).forward(&outer(inner.clone(), gradient), x.clone());
            let gradients = state.state.square().sum().backward();
            [x.grad(&gradients), inner.weight.grad(&gradients)].map(|g| g.expect("a gradient"))
        };
        let implicit = run(DeqGradient::Implicit);
        let unrolled = run(DeqGradient::Unrolled { steps: 60 });
        assert_near(&implicit[0], &unrolled[0], 1e-8, "the input");
        assert_near(&implicit[1], &unrolled[1], 1e-8, "the inner matrix");
    });
}

#[derive(Clone)]
struct Cells(AffineCell);

impl firebrick_models::deq::Plain for Cells {
    fn plain(&self) -> Self {
        Self(without_autodiff(&self.0))
    }
}

#[test]
fn four_threads_with_models_of_their_own() {
    within_a_minute(|| {
        std::thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || {
                    let cell = cell(N, 0.8, Activation::Tanh, seed);
                    let deq = block(DeqGradient::Implicit);
                    for step in 0..20 {
                        let x = tensor(draw(BATCH * N, step), [BATCH, N]).require_grad();
                        let output = deq.forward(&cell, x.clone());
                        let gradients = output.state.sum().backward();
                        assert!(x.grad(&gradients).is_some());
                        assert!(output.backward.last().expect("a report").all_converged());
                    }
                });
            }
        });
    });
}

#[test]
fn works_under_gradient_checkpointing() {
    within_a_minute(|| {
        let device = device().gradient_checkpointing();
        let run = |device: &burn::tensor::Device| {
            let data = burn::tensor::TensorData::new(matrix(N, 0.8, 1), [N, N]);
            let w = Tensor::<2>::from_data(data, (device, burn::tensor::DType::F64));
            let cell = AffineCell::new(burn::module::Param::from_tensor(w), Activation::Tanh);
            let data = burn::tensor::TensorData::new(draw(BATCH * N, 2), [BATCH, N]);
            let x = Tensor::<2>::from_data(data, (device, burn::tensor::DType::F64));
            let state = block(DeqGradient::Implicit).forward(&cell, x).state;
            cell.weight.grad(&state.square().sum().backward()).expect("a gradient")
        };
        assert_near(&run(&device), &run(&crate::support::device()), 1e-12, "W");
    });
}

#[test]
#[should_panic(expected = "uses a tensor with autodiff that belongs neither to its parameters nor")]
fn a_captured_parameter_panics_in_the_forward_pass_instead_of_blocking_the_backward() {
    within_a_minute(|| {
        let w = tensor(matrix(N, 0.8, 1), [N, N]).require_grad();
        let cell = FunctionCell::unchecked(
            (),
            move |(): &(), z: Tensor<2>, u: &Tensor<2>| (z.matmul(w.clone()) + u.clone()).tanh(),
            |u: &Tensor<2>| u.clone().inner().zeros_like(),
        );
        let x = tensor(draw(BATCH * N, 3), [BATCH, N]).require_grad();
        DeqConfig::new().init().forward(&cell, x).state.sum().backward();
    });
}

#[test]
fn without_autodiff_nothing_is_recorded_and_the_value_is_the_same() {
    let cell = cell(N, 0.8, Activation::Tanh, 1);
    let x = plain(draw(BATCH * N, 2), [BATCH, N]);
    for gradient in [DeqGradient::Implicit, DeqGradient::jacobian_free()] {
        let deq = block(gradient);
        let tracked = deq.forward(&cell, Tensor::from_inner(x.clone())).state;
        let untracked = deq.forward(&without_autodiff(&cell), x.clone()).state;
        assert!(tracked.is_tracked() && !untracked.is_autodiff());
        assert_near(&tracked, &untracked, 0.0, "the value");
    }
}
