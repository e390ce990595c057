use burn::optim::SgdConfig;
use burn::tensor::Device;
use firebrick_datasets::{LabeledSamples, Margin, SignalPatches, SignalPatchesConfig};
use firebrick_models::patch_network::PatchNetworkConfig;
use firebrick_ops::iteration::Status;
use firebrick_optimizers::averaged_momentum::AveragedMomentumConfig;
use proptest::prelude::*;

use super::*;

fn settings(examples: usize, dim: usize, patches: usize) -> SignalPatchesConfig {
    SignalPatchesConfig::default()
        .with_num_train(examples)
        .with_num_test(40)
        .with_dim(dim)
        .with_num_patches(patches)
        .with_small_fraction(0.25)
}

fn start(dim: usize, filters: usize, power: usize, seed: u64) -> PatchFilters {
    PatchFilters::init(
        &PatchNetworkConfig::new(dim, filters).with_power(power).with_init_std(0.3).with_seed(seed),
    )
}

fn study(data: &SignalPatchesConfig, start: PatchFilters) -> MomentumStudy {
    let (train, test) = data.generate(1).unwrap();
    MomentumStudy::new(train, test, start).unwrap()
}

fn small_study() -> MomentumStudy {
    study(&settings(16, 12, 3), start(12, 4, 3, 2))
}

/// All steps, each in the trace.
fn all_steps(steps: usize) -> DescentConfig {
    DescentConfig::new(0.5).with_tolerance(0.0).with_max_steps(steps).with_every(1)
}

/// The same examples with patches and labels changed by `change(index, patches, sign)`.
fn changed(
    data: &SignalPatches,
    change: impl Fn(usize, &mut Vec<Vec<f64>>, &mut f64, &mut usize),
) -> SignalPatches {
    let (mut inputs, mut signs) = (Vec::new(), data.signs());
    let mut signals = data.signal_patches().to_vec();
    for index in 0..data.len() {
        let mut patches: Vec<Vec<f64>> =
            data.example(index).chunks(data.dim()).map(<[f64]>::to_vec).collect();
        change(index, &mut patches, &mut signs[index], &mut signals[index]);
        inputs.extend(patches.concat());
    }
    let shape = [data.num_patches(), data.dim()];
    SignalPatches::new(shape, inputs, &signs, data.margins().to_vec(), signals, data.feature())
        .unwrap()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

proptest! {
    #[test]
    fn gradient_is_the_central_difference_of_the_loss(
        dim in 2usize..7, patches in 2usize..4, filters in 1usize..4,
        power in prop::sample::select(vec![3usize, 5, 7]), penalty in 0.0..0.3f64, seed in 0u64..99,
    ) {
        let (data, _) = settings(9, dim, patches).generate(seed).unwrap();
        let filters = start(dim, filters, power, seed);
        let batch = [4usize, 0, 7];
        for batch in [None, Some(&batch[..])] {
            let (_, gradient) = filters.loss_and_gradient(&data, batch, penalty);
            for (at, gradient) in gradient.iter().enumerate() {
                let shifted = |by: f64| {
                    let mut values = filters.values().to_vec();
                    values[at] += by;
                    let shape = [filters.num_filters(), dim];
                    let filters = PatchFilters::new(shape, power, values).unwrap();
                    filters.loss_and_gradient(&data, batch, penalty).0
                };
                let difference = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                let close = (gradient - difference).abs() < 1e-7 * (1.0 + gradient.abs());
                prop_assert!(close, "{gradient} {difference}");
            }
        }
    }

    #[test]
    fn order_of_the_patches_does_not_matter(seed in 0u64..99, turn in 1usize..4) {
        let (data, _) = settings(9, 5, 4).generate(seed).unwrap();
        let turned = changed(&data, |_, patches, _, signal| {
            patches.rotate_left(turn);
            *signal = (*signal + 4 - turn) % 4;
        });
        let filters = start(5, 3, 3, seed);
        let (a, b) = (filters.outputs(&data), filters.outputs(&turned));
        prop_assert!(largest_difference(&a, &b) < 1e-12);
        let gradient = |data| filters.loss_and_gradient(data, None, 0.1).1;
        prop_assert!(largest_difference(&gradient(&data), &gradient(&turned)) < 1e-12);
        for margin in [Margin::Small, Margin::Large] {
            prop_assert_eq!(
                filters.largest_noise(&data, margin),
                filters.largest_noise(&turned, margin)
            );
        }
    }

    #[test]
    fn flipping_labels_and_patches_together_changes_nothing(seed in 0u64..99) {
        let (data, _) = settings(9, 5, 3).generate(seed).unwrap();
        let flipped = changed(&data, |_, patches, sign, _| {
            *sign = -*sign;
            patches.iter_mut().flatten().for_each(|value| *value = -*value);
        });
        let filters = start(5, 3, 5, seed);
        prop_assert_eq!(
            filters.loss_and_gradient(&data, None, 0.1),
            filters.loss_and_gradient(&flipped, None, 0.1)
        );
        prop_assert_eq!(filters.error_rates(&data), filters.error_rates(&flipped));
    }
}

#[test]
fn without_momentum_the_run_is_plain_gradient_descent() {
    let study = small_study();
    let found = study.run(&all_steps(30).with_penalty(0.01)).unwrap();
    let mut values = study.start().values().to_vec();
    for _ in 0..30 {
        let filters = PatchFilters::new([4, 12], 3, values.clone()).unwrap();
        let (_, gradient) = filters.loss_and_gradient(study.train(), None, 0.01);
        values.iter_mut().zip(&gradient).for_each(|(w, g)| *w -= 0.5 * g);
    }
    assert_eq!(found.filters.values(), values);
    assert_eq!((found.status, found.end.step), (Status::MaxSteps, 30));
}

#[test]
fn with_momentum_the_run_is_heavy_ball_with_a_smaller_step_size() {
    let study = small_study();
    let found = study.run(&all_steps(30).with_momentum(0.9)).unwrap();
    let mut values = study.start().values().to_vec();
    let mut velocity = vec![0.0; values.len()];
    for _ in 0..30 {
        let filters = PatchFilters::new([4, 12], 3, values.clone()).unwrap();
        let (_, gradient) = filters.loss_and_gradient(study.train(), None, 0.0);
        for (at, g) in gradient.iter().enumerate() {
            velocity[at] = 0.9 * velocity[at] + g;
            values[at] -= 0.5 * 0.1 * velocity[at];
        }
    }
    assert!(largest_difference(found.filters.values(), &values) < 1e-12);
}

#[test]
fn filters_move_within_the_span_of_the_patches() {
    // Six examples of three patches span 13 directions at most, of 40: the feature and the noise.
    let study = study(&settings(6, 40, 3), start(40, 4, 3, 2));
    let end = study.run(&all_steps(50).with_momentum(0.5)).unwrap().filters;
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let project = |basis: &[Vec<f64>], vector: &mut Vec<f64>| {
        for axis in basis.iter().chain(basis) {
            let along: f64 = axis.iter().zip(vector.iter()).map(|(a, v)| a * v).sum();
            vector.iter_mut().zip(axis).for_each(|(v, a)| *v -= along * a);
        }
        vector.iter().map(|v| v * v).sum::<f64>().sqrt()
    };
    for patch in study.train().inputs().chunks(40) {
        let mut rest = patch.to_vec();
        let norm = project(&basis, &mut rest);
        if norm > 1e-9 {
            basis.push(rest.iter().map(|value| value / norm).collect());
        }
    }
    assert_eq!(basis.len(), 13);
    for (end, start) in end.values().chunks(40).zip(study.start().values().chunks(40)) {
        let mut moved: Vec<f64> = end.iter().zip(start).map(|(end, start)| end - start).collect();
        let length = moved.iter().map(|v| v * v).sum::<f64>().sqrt();
        assert!(length > 1e-3 && project(&basis, &mut moved) < 1e-12 * (1.0 + length));
    }
}

#[test]
fn tensors_with_a_burn_optimizer_follow_the_host() {
    let study = small_study();
    let device = Device::flex();
    for (momentum, batch_size) in [(0.0, None), (0.9, None), (0.9, Some(5))] {
        let config = all_steps(25).with_penalty(0.01).with_batch_size(batch_size).with_seed(3);
        let host = study.run(&config.clone().with_momentum(momentum)).unwrap();
        let optimizer = AveragedMomentumConfig::new().with_momentum(momentum).init();
        let tensors = study.run_with(&config, optimizer, &device).unwrap();
        assert_eq!(host.trace.len(), tensors.trace.len());
        for (a, b) in host.trace.iter().zip(&tensors.trace) {
            assert!((a.loss - b.loss).abs() < 1e-5, "step {}: {} {}", a.step, a.loss, b.loss);
            assert!(largest_difference(&a.signals, &b.signals) < 2e-5);
        }
        assert_eq!(host.end.test, tensors.end.test);
    }
    let sgd = study.run_with(&all_steps(25), SgdConfig::new().init(), &device).unwrap();
    let host = study.run(&all_steps(25)).unwrap();
    assert!(largest_difference(sgd.filters.values(), host.filters.values()) < 2e-5);
}

#[test]
fn batches_go_through_all_examples_in_an_order_of_the_seed() {
    let study = small_study();
    let run = |seed| study.run(&all_steps(9).with_batch_size(Some(5)).with_seed(seed)).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).filters, run(2).filters);
    // A batch of everything is the full batch, up to the order of the sum.
    let whole = study.run(&all_steps(9).with_batch_size(Some(16))).unwrap();
    let full = study.run(&all_steps(9)).unwrap();
    assert!(largest_difference(whole.filters.values(), full.filters.values()) < 1e-12);
}

#[test]
fn the_run_stops_at_the_first_loss_below_the_tolerance() {
    let study = small_study();
    let whole = study.run(&all_steps(200)).unwrap();
    let first = whole.trace.iter().find(|point| point.loss < 0.2).unwrap();
    let stopped = study.run(&all_steps(200).with_tolerance(0.2).with_every(7)).unwrap();
    assert_eq!((stopped.status, &stopped.end), (Status::Converged, first));
    let steps: Vec<usize> = stopped.trace.iter().map(|point| point.step).collect();
    let mut expected: Vec<usize> = (0..first.step).step_by(7).collect();
    expected.push(first.step);
    assert_eq!(steps, expected);
}

#[test]
fn no_steps_and_a_met_tolerance_give_the_start() {
    let study = small_study();
    for (config, status) in
        [(all_steps(0), Status::MaxSteps), (all_steps(5).with_tolerance(9.0), Status::Converged)]
    {
        let report = study.run(&config).unwrap();
        assert_eq!((report.status, report.end.step, report.trace.len()), (status, 0, 1));
        assert_eq!(&report.filters, study.start());
    }
}

#[test]
fn divergence_is_a_result_with_its_step() {
    let study = small_study();
    let report = study.run(&DescentConfig::new(1e4).with_every(1000)).unwrap();
    assert_eq!(report.status, Status::Diverged);
    assert!(report.end.step > 0 && report.end.step < 10, "{}", report.end.step);
    let sgd = SgdConfig::new().init();
    let config = DescentConfig::new(1e4).with_every(4);
    let report = study.run_with(&config, sgd, &Device::flex()).unwrap();
    assert_eq!((report.status, report.end.step), (Status::Diverged, 4));
}

#[test]
fn margins_without_examples_have_no_error_rate_and_no_noise() {
    for (fraction, has_small, has_large) in [(0.0, false, true), (1.0, true, false)] {
        let data = settings(16, 12, 3).with_small_fraction(fraction);
        let end = study(&data, start(12, 4, 3, 2)).run(&all_steps(3)).unwrap().end;
        for rates in [end.train, end.test] {
            assert_eq!((rates.small.is_some(), rates.large.is_some()), (has_small, has_large));
            assert_eq!(rates.small.or(rates.large), Some(rates.total));
        }
        assert_eq!((end.noise_small.is_some(), end.noise_large.is_some()), (has_small, has_large));
    }
}

#[test]
fn an_output_of_zero_is_an_error() {
    let zero = PatchFilters::new([1, 12], 3, vec![0.0; 12]).unwrap();
    let (data, _) = settings(16, 12, 3).generate(0).unwrap();
    let rates = zero.error_rates(&data);
    assert_eq!(rates, ErrorRates { total: 1.0, small: Some(1.0), large: Some(1.0) });
    let (loss, gradient) = zero.loss_and_gradient(&data, None, 0.0);
    assert!((loss - 2f64.ln()).abs() < 1e-15 && gradient.iter().all(|&g| g == 0.0));
}

#[test]
fn error_rates_count_by_margin() {
    // One filter along the feature is right everywhere; against it, wrong everywhere.
    let (data, _) = settings(16, 12, 3).with_noise_std(0.0).generate(0).unwrap();
    let filter = |length: f64| {
        let values = (0..12).map(|at| if at == 0 { length } else { 0.0 }).collect();
        PatchFilters::new([1, 12], 3, values).unwrap()
    };
    assert_eq!(filter(1.0).error_rates(&data).total, 0.0);
    assert_eq!(filter(-1.0).error_rates(&data).total, 1.0);
    // Flipped small margins are wrong for the one that is right on the large ones.
    let flipped = changed(&data, |index, _, sign, _| {
        if data.margins()[index] == Margin::Small {
            *sign = -*sign;
        }
    });
    let rates = filter(1.0).error_rates(&flipped);
    assert_eq!(rates, ErrorRates { total: 0.25, small: Some(1.0), large: Some(0.0) });
}

#[test]
fn a_sweep_runs_each_momentum_from_the_same_start() {
    let study = small_study();
    let sweep = study.sweep(&all_steps(5), &[0.0, 0.9]).unwrap();
    assert_eq!(sweep[0].report, study.run(&all_steps(5)).unwrap());
    assert_eq!(sweep[1].report, study.run(&all_steps(5).with_momentum(0.9)).unwrap());
    assert_eq!(sweep[1].momentum, 0.9);
}

#[test]
fn the_trace_is_written_with_empty_places_for_what_does_not_exist() {
    let data = settings(16, 12, 3).with_small_fraction(0.0);
    let report = study(&data, start(12, 4, 3, 2)).run(&all_steps(2)).unwrap();
    let mut bytes = Vec::new();
    report.write_csv(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("step,loss,max_signal,noise_small,noise_large,train_error"));
    assert!(lines[3].starts_with("2,") && lines[3].contains(",,"), "{}", lines[3]);
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["end"]["noise_small"].is_null() && json["status"] == "MaxSteps");
}

#[test]
fn bad_settings_are_named() {
    let study = small_study();
    let base = || DescentConfig::new(0.5);
    let cases = [
        (DescentConfig::new(0.0), "step size: expected a finite number above 0, found 0"),
        (DescentConfig::new(f64::NAN), "step size"),
        (DescentConfig::new(f64::INFINITY), "step size"),
        (base().with_momentum(1.0), "momentum: expected a number of at least 0 and below 1"),
        (base().with_momentum(-0.1), "momentum"),
        (base().with_penalty(-1.0), "penalty: expected a finite number of at least 0, found -1"),
        (base().with_tolerance(f64::NAN), "tolerance"),
        (base().with_every(0), "every: expected at least 1 step, found 0"),
        (base().with_batch_size(Some(0)), "batch size: expected from 1 to 16, found 0"),
        (base().with_batch_size(Some(17)), "found 17"),
    ];
    for (config, expected) in cases {
        let message = study.run(&config).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let momentum = base().with_momentum(0.5);
    let found = study.run_with(&momentum, SgdConfig::new().init(), &Device::flex()).unwrap_err();
    assert!(found.to_string().contains("0, because the optimizer brings its own, found 0.5"));

    let filters = PatchFilters::new;
    assert!(filters([0, 3], 3, vec![]).unwrap_err().to_string().contains("found 0 x 3"));
    assert!(filters([1, 2], 4, vec![0.0; 2]).unwrap_err().to_string().contains("odd"));
    assert!(filters([1, 2], 1, vec![0.0; 2]).is_err());
    assert!(filters([1, 1], 3, vec![f64::NAN]).unwrap_err().to_string().contains("found NaN"));
    let (train, test) = settings(4, 12, 2).generate(0).unwrap();
    let error = MomentumStudy::new(train, test, start(5, 1, 3, 0)).unwrap_err().to_string();
    assert_eq!(error, "training patches: expected the length of the filters, 5, found 12");
}

#[test]
fn filters_go_to_a_network_and_back() {
    let filters = start(6, 3, 5, 4);
    let network = filters.to_network(&Device::flex());
    let back = PatchFilters::from_network(&network);
    assert_eq!((back.dim(), back.num_filters(), back.power()), (6, 3, 5));
    assert!(largest_difference(filters.values(), back.values()) < 1e-7);
}
