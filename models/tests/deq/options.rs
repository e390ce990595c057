//! Starts, sampled states, penalties, normalized weights, dropout, and what is refused.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use firebrick_models::deq::{
    Activation, CorrectionGraph, CorrectionWeights, DeqCell, DeqConfig, DeqGradient,
    DeqLayerConfig, DeqOptions, DropoutKind, FunctionCell, JacobianPenalty, PenaltyForm,
    PhantomConfig, SpectralNormConfig, VariationalDropoutConfig, WeightNormConfig, correction_loss,
    mixed_start, spectral_radius,
};
use firebrick_ops::fixed_point::{FixedPointConfig, Solver, Stopping, correction_steps};

use crate::support::{assert_near, block, cell, draw, numbers, plain, solvers, tensor, tight};

const N: usize = 4;
const BATCH: usize = 3;

fn input() -> Tensor<2> {
    tensor(draw(BATCH * N, 2), [BATCH, N])
}

#[test]
fn a_warm_start_saves_the_solve_and_gives_the_same_point() {
    let cell = cell(N, 0.9, Activation::Tanh, 1);
    let deq = DeqConfig::new().init();
    let cold = deq.forward(&cell, input());
    let options = DeqOptions { start: Some(cold.state.clone()), penalty_seed: None };
    let warm = deq.forward_with(&cell, input(), options);
    assert!(warm.report.evaluations < cold.report.evaluations);
    assert_near(&warm.state, &cold.state, 1e-3, "the state");
}

#[test]
fn mixed_starts_are_half_zeros_and_a_function_of_the_seed() {
    let like = plain(vec![0.0; 40], [10, 4]);
    let start = mixed_start(&like, 1);
    let vanishing = numbers(&start).chunks(4).filter(|row| row.iter().all(|&x| x == 0.0)).count();
    assert_eq!(vanishing, 5);
    assert_eq!(numbers(&start), numbers(&mixed_start(&like, 1)));
    assert_ne!(numbers(&start), numbers(&mixed_start(&like, 2)));
}

#[test]
fn sampled_states_have_gradients_of_their_own() {
    let cell = cell(N, 0.9, Activation::Tanh, 1);
    let stopping = Stopping::new().with_max_steps(12).with_tolerance(0.0);
    let stopping = stopping.with_sample_steps(correction_steps(12, 3));
    for graph in [CorrectionGraph::Indexing, CorrectionGraph::Sliced] {
        let solver = Solver::from(FixedPointConfig::new()).with_stopping(stopping.clone());
        let deq = DeqConfig::new().with_forward(solver).with_correction(graph).init();
        let output = deq.forward(&cell, input());
        assert_eq!(output.samples.len(), 3, "{graph:?}");
        assert_near(&output.samples[2], &output.state, 0.0, "the last sample is the result");
        let far = |z: &Tensor<2>| {
            let image = cell.plain().evaluate(z.clone().inner(), &input().inner());
            (image - z.clone().inner()).abs().max().into_scalar::<f64>()
        };
        assert!(far(&output.samples[0]) > far(&output.samples[1]), "{graph:?}");
        let loss =
            correction_loss(&output.samples, CorrectionWeights::default(), |z| z.square().mean());
        assert!(cell.weight.grad(&loss.backward()).is_some());
        assert_eq!(output.backward.all().len(), 3, "{graph:?}");
    }
}

#[test]
fn phantom_states_are_sampled_on_the_way() {
    let cell = cell(N, 0.9, Activation::Tanh, 1);
    let phantom = PhantomConfig::new(5).with_sample_every(Some(2));
    let output = block(DeqGradient::Phantom(phantom)).forward(&cell, input());
    assert_eq!(output.samples.len(), 2);
    assert!(output.samples.iter().all(Tensor::is_tracked));
}

#[test]
fn weights_of_states_follow_their_formulas() {
    assert_eq!(CorrectionWeights::Linear { gamma: 0.5, bias: 1.0 }.of(2), [1.75, 2.0]);
    assert_eq!(CorrectionWeights::Constant(3.0).of(2), [3.0, 3.0]);
}

#[test]
fn the_penalty_comes_with_the_output_and_its_gradient_reaches_the_parameters() {
    let layer = DeqLayerConfig::new(3, N).with_seed(Some(1));
    let layer = layer.init((&crate::support::device(), DType::F64));
    let deq = DeqConfig::new().with_penalty(JacobianPenalty::new().with_directions(2)).init();
    let x = tensor(draw(BATCH * 3, 2), [BATCH, 3]);
    let options = DeqOptions { start: None, penalty_seed: Some(5) };
    let output = layer.forward_with(&deq, x, options);
    let penalty = output.penalty.expect("asked for");
    let gradients = penalty.backward();
    assert!(layer.cell.weight.grad(&gradients).is_some() && layer.input.grad(&gradients).is_some());
}

#[test]
fn differences_agree_with_the_closed_form_of_the_penalty() {
    let known = cell(N, 0.9, Activation::Tanh, 1);
    let z = plain(draw(BATCH * N, 3), [BATCH, N]);
    let v = plain(draw(BATCH * N, 4), [BATCH, N]);
    let loss =
        |form| JacobianPenalty::new().with_form(form).along(&known, &z, &input().inner(), &v);
    let (tangent, difference) = (loss(PenaltyForm::Tangent), loss(PenaltyForm::Difference));
    let values = [&tangent, &difference].map(|loss| loss.clone().into_scalar::<f64>());
    assert!((values[0] / values[1] - 1.0).abs() < 1e-6);
    let [expected, found] =
        [tangent, difference].map(|loss| known.weight.grad(&loss.backward()).expect("a gradient"));
    assert_near(&found, &expected, 1e-6, "dW");
}

#[test]
fn the_growth_rate_is_right_for_complex_pairs_and_maps_without_closed_form() {
    for angle in [0.3f64, 1.2, 2.7] {
        let (c, s) = (0.95 * angle.cos(), 0.95 * angle.sin());
        // A rotation times 0.95 in two dimensions, and smaller eigenvalues.
        let w = tensor(vec![c, -s, 0.0, s, c, 0.0, 0.1, 0.2, 0.5], [3, 3]);
        let cell = FunctionCell::new(
            w,
            |w: &Tensor<2>, z: Tensor<2>, u: &Tensor<2>| {
                z.matmul(w.clone().transpose()) + u.clone()
            },
            |u: &Tensor<2>| u.clone().inner().zeros_like(),
        );
        let zeros = plain(vec![0.0; 6], [2, 3]);
        for radius in spectral_radius(&cell, &zeros, &zeros, 200, 1) {
            assert!((radius - 0.95).abs() < 5e-3, "{radius} at {angle}");
        }
    }
}

#[test]
fn normalized_weights_train_and_keep_their_norms() {
    let w = tensor(draw(12, 5), [3, 4]);
    let norm = WeightNormConfig::new().with_learnable(false).with_target(0.5).init(w.clone());
    let rows = norm.weight().square().sum_dim(1).sqrt();
    assert_near(&rows, &tensor(vec![0.5; 3], [3, 1]), 1e-12, "row norms");
    let gradients = norm.weight().sum().backward();
    assert!(norm.direction.grad(&gradients).is_some() && norm.length.grad(&gradients).is_none());
    let transposed = WeightNormConfig::new().with_axis(1).init(w.clone());
    assert_eq!(transposed.length.dims(), [1, 4]);
    assert_near(&transposed.weight(), &w, 1e-12, "learned norms start at the weight's");
    let mut spectral = SpectralNormConfig::new().with_learnable(true).init(w);
    (0..200).for_each(|_| spectral.advance());
    let leading = spectral.weight();
    let radius = spectral.sigma().into_scalar::<f64>();
    assert!(radius > 0.0);
    let gradients = leading.clone().square().sum().backward();
    assert!(
        spectral.weight.grad(&gradients).is_some() && spectral.factor.grad(&gradients).is_some()
    );
    // The vectors belong to the record.
    let record = spectral.clone().into_record();
    let other = SpectralNormConfig::new()
        .with_learnable(true)
        .with_seed(9)
        .init(tensor(draw(12, 6), [3, 4]));
    let other = other.load_record(record);
    assert_near(&other.weight(), &leading, 1e-12, "loaded");
}

#[test]
fn a_dropout_mask_is_shared_by_forward_and_backward_until_it_is_reset() {
    let dropout = VariationalDropoutConfig::new(0.5).init();
    let w = tensor(crate::support::matrix(N, 0.8, 1), [N, N]).require_grad();
    let cell = FunctionCell::new(
        (w.clone(), dropout.clone()),
        |(w, dropout): &(Tensor<2>, _), z: Tensor<2>, u: &Tensor<2>| {
            let dropout: &firebrick_models::deq::VariationalDropout = dropout;
            dropout.forward((z.matmul(w.clone().transpose()) + u.clone()).tanh() * 0.5)
        },
        |u: &Tensor<2>| u.clone().inner().zeros_like(),
    );
    let gradient = |gradient| {
        let state = block(gradient).forward(&cell, input()).state;
        w.grad(&state.square().sum().backward()).expect("a gradient")
    };
    dropout.reset(1);
    let implicit = gradient(DeqGradient::Implicit);
    assert_near(&implicit, &gradient(DeqGradient::Unrolled { steps: 300 }), 1e-9, "one mask");
    dropout.reset(2);
    assert_ne!(numbers(&implicit), numbers(&gradient(DeqGradient::Implicit)));
}

#[test]
fn dropout_kinds_share_the_fate_of_channels_or_positions() {
    let x = Tensor::<4>::ones([2, 3, 4, 5], &Device::flex());
    let run = |kind, channels_last| {
        let config = VariationalDropoutConfig::new(0.5).with_kind(kind);
        let dropout = config.with_channels_last(channels_last).init();
        dropout.reset(3);
        dropout.forward(x.clone())
    };
    // The spread along an axis vanishes where the fate is shared.
    let spread = |y: &Tensor<4>, axis: usize| {
        (y.clone().max_dim(axis) - y.clone().min_dim(axis)).max().into_scalar::<f32>()
    };
    let channel = run(DropoutKind::Channel, false);
    assert_eq!([1, 2, 3].map(|axis| spread(&channel, axis) > 0.0), [true, false, false]);
    let token = run(DropoutKind::Token, false);
    assert_eq!([1, 2, 3].map(|axis| spread(&token, axis) > 0.0), [false, true, true]);
    let last = run(DropoutKind::Channel, true);
    assert_eq!([1, 2, 3].map(|axis| spread(&last, axis) > 0.0), [false, false, true]);
    let full = run(DropoutKind::Full, false);
    assert!(full.clone().into_data().iter::<f32>().all(|value| value == 0.0 || value == 2.0));
}

#[test]
#[should_panic(expected = "was drawn for the shape [2, 3], got [1, 3]; reset it first")]
fn a_mask_of_another_shape_is_named() {
    let dropout = VariationalDropoutConfig::new(0.5).init();
    dropout.reset(1);
    dropout.forward(Tensor::<2>::ones([2, 3], &Device::flex()));
    dropout.forward(Tensor::<2>::ones([1, 3], &Device::flex()));
}

#[test]
fn settings_survive_a_round_trip_through_json() {
    for solver in solvers() {
        let config = DeqConfig::new()
            .with_forward(tight(solver))
            .with_gradient(DeqGradient::Phantom(PhantomConfig::new(3).with_sample_every(Some(1))));
        let text = serde_json::to_string(&config).expect("settings are written");
        assert_eq!(serde_json::from_str::<DeqConfig>(&text).expect("settings are read"), config);
    }
}

fn refused(gradient: DeqGradient) {
    DeqConfig::new().with_gradient(gradient).init();
}

#[test]
#[should_panic(expected = "PhantomConfig: steps must be at least 1, got 0")]
fn refuses_a_phantom_of_no_steps() {
    refused(DeqGradient::Phantom(PhantomConfig::new(0)));
}

#[test]
#[should_panic(expected = "PhantomConfig: damping must lie in (0, 1], got 1.5")]
fn refuses_a_phantom_that_overshoots() {
    refused(DeqGradient::Phantom(PhantomConfig::new(1).with_damping(1.5)));
}

#[test]
#[should_panic(expected = "Unrolled needs at least 1 step, got 0")]
fn refuses_no_iterations() {
    refused(DeqGradient::Unrolled { steps: 0 });
}

#[test]
#[should_panic(expected = "probability must lie in [0, 1), got 1")]
fn refuses_a_dropout_of_everything() {
    VariationalDropoutConfig::new(1.0).init();
}

#[test]
#[should_panic(expected = "the map must keep the state's shape [3, 4], got [3, 2]")]
fn refuses_a_map_that_changes_the_shape() {
    let cell = FunctionCell::new(
        (),
        |(): &(), z: Tensor<2>, _: &Tensor<2>| z.narrow(1, 0, 2),
        |u: &Tensor<2>| u.clone().inner().zeros_like(),
    );
    DeqConfig::new().init().forward(&cell, input());
}

#[test]
#[should_panic(expected = "the form Cotangent needs a cell with a closed-form derivative")]
fn refuses_a_cotangent_penalty_without_a_closed_form() {
    let cell = FunctionCell::new(
        (),
        |(): &(), z: Tensor<2>, _: &Tensor<2>| z * 0.5,
        |u: &Tensor<2>| u.clone().inner().zeros_like(),
    );
    let zeros = plain(vec![0.0; 4], [1, 4]);
    JacobianPenalty::new().with_form(PenaltyForm::Cotangent).of(&cell, &zeros, &zeros, 1);
}

#[test]
#[should_panic(expected = "weight must be square and not empty, got 2x3")]
fn refuses_a_matrix_that_is_not_square() {
    firebrick_models::deq::AffineCell::new(
        burn::module::Param::from_tensor(tensor(draw(6, 1), [2, 3])),
        Activation::Tanh,
    );
}

#[test]
#[should_panic(expected = "DeqLayer: input must have 3 features, got 2")]
fn refuses_an_input_of_another_width() {
    let layer = DeqLayerConfig::new(3, 4).init(&Device::flex());
    layer.forward(&DeqConfig::new().init(), Tensor::ones([1, 2], &Device::flex()));
}
