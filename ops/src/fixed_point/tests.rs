#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), DType::F64))
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter::<f64>().collect()
}

fn draw(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A matrix with rows of absolute sum `norm`, so that `z W^T` contracts with it in the maximum norm.
fn contraction(n: usize, norm: f64, seed: u64) -> Tensor<2> {
    let mut values = draw(n * n, seed);
    for row in values.chunks_mut(n) {
        let sum: f64 = row.iter().map(|x| x.abs()).sum();
        row.iter_mut().for_each(|x| *x *= norm / sum);
    }
    tensor(values, [n, n])
}

/// `tanh(z W^T + c)`
fn tanh_map(n: usize, batch: usize, norm: f64, seed: u64) -> impl Fn(Tensor<2>) -> Tensor<2> {
    let w = contraction(n, norm, seed);
    let c = tensor(draw(n * batch, seed + 1), [batch, n]);
    move |z| (z.matmul(w.clone().transpose()) + c.clone()).tanh()
}

fn solvers() -> Vec<Solver> {
    vec![
        FixedPointConfig::new().into(),
        FixedPointConfig::new().with_damping(0.7).into(),
        AndersonConfig::new().into(),
        AndersonConfig::new().with_memory(1).into(),
        AndersonConfig::new().with_mixing(0.8).into(),
        BroydenConfig::new().into(),
        BroydenConfig::new().with_memory(Some(3)).into(),
        BroydenConfig::new().with_line_search(LineSearch::PerSample).into(),
        BroydenConfig::new().with_line_search(LineSearch::Batch).into(),
        BroydenConfig::new().with_line_search(LineSearch::BatchCompat).into(),
    ]
}

fn assert_close(found: &Tensor<2>, expected: &Tensor<2>, tolerance: f64, what: &str) {
    let difference: f64 = (found.clone() - expected.clone()).abs().max().into_scalar();
    assert!(difference <= tolerance, "{what}: differs by {difference:e}");
}

#[test]
fn all_solvers_find_the_same_point_and_say_so() {
    let map = tanh_map(7, 3, 0.8, 1);
    let exact = (0..300).fold(tensor(vec![0.0; 21], [3, 7]), |z, _| map(z));
    for solver in solvers() {
        let solver = solver.with_tolerance(1e-12).with_max_steps(200);
        let solution = solver.solve(&map, tensor(draw(21, 3), [3, 7]));
        let what = format!("{solver:?}");
        assert_close(&solution.state, &exact, 1e-10, &what);
        assert_eq!(solution.report.status, Status::Converged, "{what}");
        assert!(solution.report.worst_relative() < 1e-12, "{what}");
        assert!(solution.report.evaluations >= solution.report.steps, "{what}");
    }
}

#[test]
fn gmres_solves_affine_maps_in_as_many_products_as_there_are_dimensions() {
    let a = tensor(draw(25, 4), [5, 5]);
    let v = tensor(draw(15, 5), [3, 5]);
    let solver = Solver::from(GmresConfig::new()).with_tolerance(1e-11);
    let solution = solver.solve_linear(|z: Tensor<2>| z.matmul(a.clone()), v.clone());
    let residual = v.clone() + solution.state.clone().matmul(a.clone()) - solution.state.clone();
    assert!(residual.abs().max().into_scalar::<f64>() < 1e-9);
    assert!(solution.report.all_converged() && solution.report.evaluations <= 5);
    // The general form finds it from values of the map alone.
    let map = |z: Tensor<2>| z.matmul(a.clone()) + v.clone();
    let general = solver.solve(map, tensor(vec![7.0; 15], [3, 5]));
    assert_close(&general.state, &solution.state, 1e-9, "from differences");
    // Restarts reach it as well where the map contracts.
    let w = contraction(5, 0.9, 6);
    let restarted = Solver::from(GmresConfig::new().with_memory(2)).with_tolerance(1e-11);
    let restarted =
        restarted.with_max_steps(200).solve_linear(|z: Tensor<2>| z.matmul(w.clone()), v.clone());
    let residual = v + restarted.state.clone().matmul(w) - restarted.state;
    assert!(residual.abs().max().into_scalar::<f64>() < 1e-9);
    assert!(restarted.report.all_converged());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn affine_maps_are_solved_within_twice_the_dimension(n in 1usize..7, seed in 0u64..1000) {
        let w = contraction(n, 0.95, seed);
        let c = tensor(draw(n, seed + 1), [1, n]);
        let map = |z: Tensor<2>| z.matmul(w.clone().transpose()) + c.clone();
        let anderson = AndersonConfig::new().with_memory(n + 1).with_ridge(AndersonRidge::Relative(1e-15));
        for solver in [Solver::from(anderson), BroydenConfig::new().with_memory(Some(100)).into()] {
            let solver = solver.with_tolerance(1e-8).with_max_steps(2 * n + 1);
            let solution = solver.solve(map, tensor(vec![0.0; n], [1, n]));
            prop_assert!(solution.report.all_converged(), "{solver:?}: {:?}", solution.report);
            prop_assert!(solution.report.evaluations <= 2 * n + 2);
        }
    }

    #[test]
    fn a_contraction_takes_no_more_steps_than_its_factor_says(q in 0.1f64..0.95, seed in 0u64..1000) {
        // Every component contracts with the factor q.
        let c = tensor(draw(12, seed), [2, 6]);
        let map = |z: Tensor<2>| z * q + c.clone();
        let start = tensor(draw(12, seed + 1), [2, 6]);
        let residual = map(start.clone()) - start.clone();
        let first = residual.square().sum_dim(1).sqrt().max().into_scalar::<f64>();
        let solver = Solver::from(FixedPointConfig::new())
            .with_mode(ResidualMode::Absolute).with_tolerance(1e-8).with_max_steps(1000);
        let bound = ((1e-8 / first).ln() / q.ln()).ceil() as usize + 1;
        let report = solver.solve(map, start).report;
        prop_assert!(report.all_converged() && report.steps <= bound, "{} > {bound}", report.steps);
    }

    #[test]
    fn a_sample_does_not_depend_on_its_batch(seed in 0u64..1000, which in 0usize..10) {
        let solver = solvers().swap_remove(which).with_tolerance(1e-6).with_max_steps(60);
        // One length for the whole batch is what these two are made for.
        prop_assume!(which < 8);
        let w = contraction(5, 0.9, seed);
        let c = tensor(draw(20, seed + 1), [4, 5]) * tensor(vec![0.01, 1.0, 3.0, 30.0], [4, 1]);
        let map = |c: Tensor<2>| { let w = w.clone(); move |z: Tensor<2>| (z.matmul(w.clone().transpose()) + c.clone()).tanh() };
        let zeros = tensor(vec![0.0; 20], [4, 5]);
        let all = solver.solve(map(c.clone()), zeros.clone());
        for sample in 0..4 {
            let alone = solver.solve(map(c.clone().narrow(0, sample, 1)), zeros.clone().narrow(0, sample, 1));
            let found = all.state.clone().narrow(0, sample, 1);
            let difference: f64 = (found - alone.state).abs().max().into_scalar();
            prop_assert!(difference < 1e-11, "sample {sample}: {difference:e}");
            prop_assert_eq!(all.report.best_steps[sample], alone.report.best_steps[0]);
        }
    }
}

#[test]
fn one_overflowing_sample_leaves_the_others_alone() {
    // The second sample is squared until it overflows.
    let w = contraction(4, 0.8, 9);
    let c = tensor(draw(12, 10), [3, 4]);
    let grow = tensor(vec![0.0, 1.0, 0.0], [3, 1]);
    let map = |z: Tensor<2>| {
        let calm = (z.clone().matmul(w.clone().transpose()) + c.clone()).tanh();
        calm + (z.square() * 9.0 + 5.0) * grow.clone()
    };
    let start = tensor(vec![0.5; 12], [3, 4]);
    for solver in solvers().into_iter().take(8) {
        let solver = solver.with_tolerance(1e-9).with_max_steps(60);
        let solution = solver.solve(map, start.clone());
        let what = format!("{solver:?}");
        assert!(numbers(&solution.state).iter().all(|x| x.is_finite()), "{what}");
        let report = &solution.report;
        assert_eq!([report.converged[0], report.converged[2]], [true; 2], "{what}: {report:?}");
        assert!(!report.converged[1], "{what}");
        let rows = Tensor::<1, burn::tensor::Int>::from_data([0, 2], &Device::flex());
        let calm = |z: Tensor<2>| {
            (z.matmul(w.clone().transpose()) + c.clone().select(0, rows.clone())).tanh()
        };
        let others = solver.solve(calm, start.clone().select(0, rows.clone()));
        assert_close(&solution.state.select(0, rows), &others.state, 1e-12, &what);
    }
    let solver = Solver::from(FixedPointConfig::new()).with_max_steps(60);
    let report = solver.solve(map, start).report;
    assert_eq!(report.status, Status::Diverged);
    assert!(report.absolute[1].is_finite());
}

#[test]
fn an_undefined_value_at_the_start_gives_the_start_back() {
    for solver in solvers() {
        let solution =
            solver.solve(|z: Tensor<2>| z.sub_scalar(1.0).log(), tensor(vec![0.5; 2], [1, 2]));
        assert_eq!(numbers(&solution.state), [0.5; 2], "{solver:?}");
        assert_eq!(solution.report.status, Status::Diverged, "{solver:?}");
        assert_eq!(solution.report.converged, [false], "{solver:?}");
    }
}

#[test]
fn the_best_state_is_returned_unless_the_last_is_asked_for() {
    // z -> -1.5 z moves away from the fixed point 0: the first state is the best one.
    let map = |z: Tensor<1>| z * -1.5;
    let start = tensor(vec![1.0], [1]);
    let stopping =
        Stopping::new().with_max_steps(5).with_mode(ResidualMode::Absolute).with_trace(true);
    let solver = Solver::from(FixedPointConfig::new()).with_stopping(stopping.clone());
    let best = solver.solve(map, start.clone());
    assert_eq!(numbers(&best.state), [-1.5]);
    assert_eq!((best.report.status, best.report.best_steps[0]), (Status::MaxSteps, 1));
    let trace = best.report.trace.unwrap();
    assert_eq!(trace.steps, [1, 2, 3, 4, 5]);
    assert_eq!(trace.absolute[1], [2.5 * 1.5]);
    let solver = solver.with_stopping(stopping.with_return_last(true));
    assert_eq!(numbers(&solver.solve(map, start).state), [-(1.5f64.powi(5))]);
}

#[test]
fn states_at_chosen_steps_are_the_best_until_then() {
    let map = tanh_map(3, 2, 0.9, 20);
    let stopping =
        Stopping::new().with_max_steps(12).with_tolerance(1e-3).with_sample_steps(vec![1, 4, 12]);
    for solver in solvers() {
        let solver = solver.with_stopping(stopping.clone());
        let start = tensor(draw(6, 22), [2, 3]);
        let solution = solver.solve(&map, start.clone());
        assert_eq!(solution.samples.len(), 3, "{solver:?}");
        let early =
            solver.clone().with_stopping(Stopping::new().with_max_steps(4).with_tolerance(1e-3));
        assert_close(&solution.samples[1], &early.solve(&map, start).state, 0.0, "step 4");
        assert_close(&solution.samples[2], &solution.state, 0.0, "the last step");
    }
}

#[test]
fn relative_ridge_does_not_see_the_scale_of_the_problem() {
    let map = tanh_map(12, 1, 0.98, 30);
    let solve = |ridge, scale: f64| {
        let solver = Solver::from(AndersonConfig::new().with_ridge(ridge));
        let solver = solver.with_tolerance(1e-8).with_max_steps(200);
        let scaled = |z: Tensor<2>| map(z * scale.recip()) * scale;
        solver.solve(scaled, tensor(vec![0.0; 12], [1, 12])).report.evaluations
    };
    let relative = solve(AndersonRidge::Auto, 1.0);
    // The 1e-9 in the relative residual is seen at small scales only.
    assert!(relative.abs_diff(solve(AndersonRidge::Auto, 1e-3)) <= 1);
    assert!(solve(AndersonRidge::Absolute(1e-4), 1e-3) > relative);
}

#[test]
fn anderson_takes_the_same_steps_for_tiny_and_huge_states_in_32_bits() {
    let w = contraction(6, 0.9, 9).cast(DType::F32);
    let c = tensor(draw(12, 10), [2, 6]).cast(DType::F32);
    let solve = |mixing, scale: f64| {
        let solver = Solver::from(AndersonConfig::new().with_mixing(mixing))
            .with_mode(ResidualMode::Absolute)
            .with_tolerance(1e-5 * scale);
        let tanh = |z: Tensor<2>| (z.matmul(w.clone().transpose()) + c.clone()).tanh();
        let map = |z: Tensor<2>| tanh(z * scale.recip()) * scale;
        let solution = solver.solve(map, c.zeros_like());
        assert!(solution.report.all_converged(), "{:?}", solution.report);
        (solution.report.steps, solution.state * scale.recip())
    };
    for mixing in [1.0, 0.75] {
        let (steps, state) = solve(mixing, 1.0);
        assert!(steps > 3, "{steps}");
        // Powers of two, about 1e-25 and 1e25: multiplication by them does not round.
        for scale in [2f64.powi(-83), 2f64.powi(83)] {
            let (found, scaled) = solve(mixing, scale);
            assert_eq!(found, steps, "mixing {mixing}, scale {scale:e}");
            assert_eq!(scaled.into_data(), state.to_data(), "mixing {mixing}, scale {scale:e}");
        }
    }
}

#[test]
fn linear_solves_do_not_depend_on_the_scale_of_the_right_hand_side() {
    let w = contraction(6, 0.9, 40);
    let v = tensor(draw(18, 41), [3, 6]);
    for solver in solvers().into_iter().chain([GmresConfig::new().into()]) {
        let run = |scale: f64| {
            let solution =
                solver.solve_linear(|z: Tensor<2>| z.matmul(w.clone()), v.clone() * scale);
            (solution.state * scale.recip(), solution.report.evaluations)
        };
        let (one, evaluations) = run(1.0);
        for scale in [1e-200, 1e-6, 1e6, 1e200] {
            let (found, found_evaluations) = run(scale);
            assert_close(&found, &one, 1e-12, &format!("{solver:?} at {scale:e}"));
            assert_eq!(evaluations, found_evaluations, "{solver:?}");
        }
    }
}

#[test]
fn a_vanishing_right_hand_side_is_solved_by_zero_at_once() {
    let w = contraction(3, 0.9, 50);
    for solver in solvers().into_iter().chain([GmresConfig::new().into()]) {
        let apply = |z: Tensor<2>| z.matmul(w.clone());
        let solution = solver.solve_linear(apply, tensor(vec![0.0; 6], [2, 3]));
        assert_eq!(numbers(&solution.state), [0.0; 6]);
        assert!(solution.report.all_converged() && solution.report.evaluations <= 1, "{solver:?}");
    }
}

#[test]
fn a_broken_right_hand_side_comes_back_and_counts_as_diverged() {
    let w = contraction(2, 0.5, 51);
    for solver in solvers().into_iter().chain([GmresConfig::new().into()]) {
        let right = tensor(vec![1.0, 2.0, f64::NAN, 1.0], [2, 2]);
        let solution = solver.solve_linear(|z: Tensor<2>| z.matmul(w.clone()), right);
        let found = numbers(&solution.state);
        assert!(found[0].is_finite() && found[1].is_finite() && found[2].is_nan(), "{solver:?}");
        assert_eq!(solution.report.status, Status::Diverged);
        assert_eq!(solution.report.converged, [true, false], "{solver:?}");
    }
}

#[test]
fn tuples_and_lists_are_solved_side_by_side() {
    let map = tanh_map(5, 2, 0.8, 60);
    let rows = Solver::default().solve(&map, tensor(vec![0.0; 10], [2, 5]));
    let start = (tensor(vec![0.0; 4], [2, 2]), tensor(vec![0.0; 6], [2, 1, 3]));
    let pair = Solver::default().solve(
        |(a, b): (Tensor<2>, Tensor<3>)| {
            let image = map(Tensor::cat(vec![a, b.reshape([2, 3])], 1));
            (image.clone().narrow(1, 0, 2), image.narrow(1, 2, 3).reshape([2, 1, 3]))
        },
        start,
    );
    let (a, b) = pair.state;
    assert_close(&Tensor::cat(vec![a, b.reshape([2, 3])], 1), &rows.state, 1e-12, "pair");
    let list = Solver::default().solve(
        |parts: Vec<Tensor<2>>| {
            let image = map(Tensor::cat(parts, 1));
            vec![image.clone().narrow(1, 0, 1), image.narrow(1, 1, 4)]
        },
        vec![tensor(vec![0.0; 2], [2, 1]), tensor(vec![0.0; 8], [2, 4])],
    );
    assert_close(&Tensor::cat(list.state, 1), &rows.state, 1e-12, "list");
    assert_eq!(list.report, rows.report);
}

#[test]
fn looks_can_be_rarer_than_steps() {
    let map = tanh_map(4, 2, 0.8, 70);
    for solver in [Solver::from(FixedPointConfig::new()), BroydenConfig::new().into()] {
        let stopping = Stopping::new().with_check_every(4).with_trace(true).with_tolerance(1e-8);
        let rare = solver.clone().with_stopping(stopping);
        let solution = rare.solve(&map, tensor(vec![0.0; 8], [2, 4]));
        assert!(solution.report.all_converged());
        let looks = solution.report.trace.unwrap().steps;
        assert!(looks.iter().all(|step| step % 4 == 0), "{looks:?}");
    }
}

#[test]
fn settings_survive_a_round_trip_through_json() {
    for solver in solvers() {
        let text = serde_json::to_string(&solver).unwrap();
        assert_eq!(serde_json::from_str::<Solver>(&text).unwrap(), solver);
    }
}

fn start() -> Tensor<2> {
    tensor(vec![0.0; 4], [2, 2])
}

#[test]
#[should_panic(expected = "max_steps must be at least 1, got 0")]
fn refuses_no_steps() {
    Solver::default().with_max_steps(0).solve(|z: Tensor<2>| z, start());
}

#[test]
#[should_panic(expected = "tolerance must not be negative or NaN, got NaN")]
fn refuses_an_undefined_tolerance() {
    Solver::default().with_tolerance(f64::NAN).solve(|z: Tensor<2>| z, start());
}

#[test]
#[should_panic(expected = "damping must lie in (0, 2), got 2")]
fn refuses_a_damping_of_two() {
    Solver::from(FixedPointConfig::new().with_damping(2.0)).solve(|z: Tensor<2>| z, start());
}

#[test]
#[should_panic(expected = "memory must be at least 1, got 0")]
fn refuses_a_memory_of_zero() {
    Solver::from(AndersonConfig::new().with_memory(0)).solve(|z: Tensor<2>| z, start());
}

#[test]
#[should_panic(expected = "sample_steps must lie in 1..=50, got 51")]
fn refuses_samples_after_the_last_step() {
    let stopping = Stopping::new().with_sample_steps(vec![51]);
    Solver::default().with_stopping(stopping).solve(|z: Tensor<2>| z, start());
}

#[test]
#[should_panic(expected = "the map must keep the shape [2, 2], got [2, 1]")]
fn refuses_a_map_that_changes_the_shape() {
    Solver::default().solve(|z: Tensor<2>| z.narrow(1, 0, 1), start());
}

#[test]
#[should_panic(expected = "the map must keep the float type F64, got F32")]
fn refuses_a_map_that_changes_the_float_type() {
    Solver::default().solve(|z: Tensor<2>| z.cast(DType::F32), start());
}

#[test]
#[should_panic(expected = "every entry of the start must be finite")]
fn refuses_a_start_that_is_not_finite() {
    Solver::default().solve(|z: Tensor<2>| z, tensor(vec![0.0, f64::INFINITY], [1, 2]));
}

#[test]
#[should_panic(expected = "the state must have samples with numbers, got 0 samples of 3")]
fn refuses_an_empty_batch() {
    Solver::default().solve(|z: Tensor<2>| z, tensor(vec![], [0, 3]));
}

#[test]
#[should_panic(expected = "the state must carry no autodiff")]
fn refuses_a_start_with_autodiff() {
    Solver::default().solve(|z: Tensor<2>| z, Tensor::zeros([1, 2], &Device::flex().autodiff()));
}

#[test]
#[should_panic(expected = "capture `module.valid()` and `tensor.inner()`")]
fn refuses_a_map_with_autodiff() {
    let tracked = Tensor::<2>::zeros([2, 2], &Device::flex().autodiff()).require_grad();
    let start = Tensor::<2>::zeros([2, 2], &Device::flex());
    Solver::default().solve(|_: Tensor<2>| tracked.clone(), start);
}

#[test]
#[should_panic(expected = "part 1 must have 2 samples as part 0 has, got 3")]
fn refuses_parts_with_different_batches() {
    let parts = vec![tensor(vec![0.0; 2], [2, 1]), tensor(vec![0.0; 3], [3, 1])];
    Solver::default().solve(|z: Vec<Tensor<2>>| z, parts);
}
