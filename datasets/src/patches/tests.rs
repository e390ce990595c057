use proptest::prelude::*;

use super::*;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A direction that favors no axis.
fn slanted(dim: usize, turn: f64) -> Vec<f64> {
    let raw: Vec<f64> = (0..dim).map(|i| (i as f64 + turn).sin() + 0.1).collect();
    let norm = dot(&raw, &raw).sqrt();
    raw.iter().map(|value| value / norm).collect()
}

fn message(config: SignalPatchesConfig) -> String {
    config.generate(0).unwrap_err().to_string()
}

proptest! {
    #[test]
    fn signal_patches_are_label_times_feature_and_noise_is_orthogonal_to_it(
        dim in 2usize..20, patches in 2usize..5, turn in 0.0..6.0f64, seed in 0u64..1000,
    ) {
        let feature = slanted(dim, turn);
        let config = SignalPatchesConfig::default()
            .with_num_train(30)
            .with_num_test(20)
            .with_dim(dim)
            .with_num_patches(patches)
            .with_margins(1.5, 0.3)
            .with_small_fraction(0.25)
            .with_noise_std(0.7)
            .with_feature(feature.clone());
        let (train, test) = config.generate(seed).unwrap();
        prop_assert_eq!(train.count(Margin::Small), 8);
        prop_assert_eq!(train.count(Margin::Large), 22);
        for set in [&train, &test] {
            for index in 0..set.len() {
                let length = if set.margins()[index] == Margin::Small { 0.3 } else { 1.5 };
                for (at, patch) in set.example(index).chunks(dim).enumerate() {
                    if at == set.signal_patches()[index] {
                        for (found, w) in patch.iter().zip(&feature) {
                            prop_assert!((found - length * set.sign(index) * w).abs() < 1e-12);
                        }
                    } else {
                        prop_assert!(dot(patch, &feature).abs() < 1e-12);
                    }
                }
            }
        }
    }
}

#[test]
fn shares_and_variance_are_those_of_the_settings() {
    let config = SignalPatchesConfig::default().with_num_patches(3).with_num_test(8000);
    let (train, test) = config.generate(4).unwrap();
    // The first ones, so that they are easy to find.
    assert!(train.margins()[..10].iter().all(|&margin| margin == Margin::Small));
    assert!(train.margins()[10..].iter().all(|&margin| margin == Margin::Large));
    let share = |count: usize| count as f64 / 8000.0;
    let near = |found: f64, p: f64| (found - p).abs() < 4.0 * (p * (1.0 - p) / 8000.0).sqrt();
    assert!(near(share(test.count(Margin::Small)), 0.1));
    assert!(near(share(test.labels().iter().sum()), 0.5));
    for patch in 0..3 {
        let count = test.signal_patches().iter().filter(|&&found| found == patch).count();
        assert!(near(share(count), 1.0 / 3.0), "{patch}: {count}");
    }
    // 99 of 100 directions hold noise, 2 of 3 patches.
    let signals: f64 =
        (0..8000).map(|i| if test.margins()[i] == Margin::Small { 0.04 } else { 4.0 }).sum();
    let variance = (dot(test.inputs(), test.inputs()) - signals) / (8000.0 * 2.0 * 99.0);
    assert!((variance - 0.04).abs() < 4.0 * 0.04 * (2.0f64 / 1_584_000.0).sqrt(), "{variance}");
}

#[test]
fn parts_depend_on_the_seed_but_not_on_the_size_of_each_other() {
    let config = SignalPatchesConfig::default().with_num_test(50);
    let (train, test) = config.generate(1).unwrap();
    let (fewer, same) = config.clone().with_num_train(70).generate(1).unwrap();
    assert_eq!(test, same);
    assert_eq!(train.example(6), fewer.example(6));
    assert_ne!(train, config.generate(2).unwrap().0);
    assert_ne!(train.example(20), test.example(20));
}

#[test]
fn a_fixed_position_moves_the_signal_and_nothing_else() {
    let config = SignalPatchesConfig::default().with_num_test(20);
    let (free, _) = config.generate(3).unwrap();
    let (fixed, _) = config.with_signal_patch(1).generate(3).unwrap();
    assert!(fixed.signal_patches().iter().all(|&patch| patch == 1));
    assert_eq!(free.signs(), fixed.signs());
    for index in (0..100).filter(|&index| free.signal_patches()[index] == 0) {
        assert_eq!(free.example(index)[..100], fixed.example(index)[100..]);
        assert_eq!(free.example(index)[100..], fixed.example(index)[..100]);
    }
}

#[test]
fn every_setting_outside_its_range_is_named() {
    let base = SignalPatchesConfig::default;
    let cases = [
        (base().with_margins(0.0, 0.0), "large_margin: expected a finite number above 0, found 0"),
        (base().with_margins(f64::NAN, 0.1), "large_margin"),
        (base().with_margins(2.0, 0.0), "small_margin: expected a number above 0 and at most"),
        (base().with_margins(2.0, -1.0), "small_margin"),
        (base().with_margins(0.2, 2.0), "at most the large margin 0.2, found 2"),
        (base().with_small_fraction(1.1), "small_fraction: expected a number from 0 to 1"),
        (base().with_small_fraction(f64::NAN), "found NaN"),
        (base().with_noise_std(-0.1), "noise_std"),
        (base().with_noise_std(f64::INFINITY), "noise_std"),
        (base().with_num_patches(1), "num_patches: expected at least 2, found 1"),
        (base().with_dim(1), "dim: expected at least 2, found 1"),
        (base().with_num_train(0), "num_train: expected at least 1, found 0"),
        (base().with_num_test(0), "num_test"),
        (base().with_signal_patch(2), "signal_patch: expected a position below 2, found 2"),
        (base().with_feature(vec![1.0; 3]), "feature: expected 100 numbers"),
        (base().with_dim(2).with_feature(vec![1.0, 0.1]), "feature: expected a vector of length 1"),
        (base().with_dim(2).with_feature(vec![1.0, f64::NAN]), "found norm NaN"),
    ];
    for (config, expected) in cases {
        let found = message(config);
        assert!(found.starts_with("signal patches: ") && found.contains(expected), "{found}");
    }
    let near = base().with_dim(2).with_feature(vec![1.00009, 0.0]).generate(0).unwrap().0;
    assert_eq!(near.feature(), [1.0, 0.0]);
}

#[test]
fn equal_margins_all_small_and_none_small_are_data_sets() {
    let base = SignalPatchesConfig::default().with_num_test(10);
    let count = |config: SignalPatchesConfig| config.generate(0).unwrap().0.count(Margin::Small);
    assert_eq!(count(base.clone().with_margins(2.0, 2.0)), 10);
    assert_eq!(count(base.clone().with_small_fraction(0.0)), 0);
    assert_eq!(count(base.clone().with_small_fraction(1.0)), 100);
    // mu N = 0.4 rounds to none, 0.5 to one.
    assert_eq!(count(base.clone().with_num_train(4)), 0);
    assert_eq!(count(base.with_num_train(5)), 1);
}

#[test]
fn given_examples_are_checked() {
    let new = |inputs: Vec<f64>, signs: &[f64], margins, signals: Vec<usize>, feature: &[f64]| {
        SignalPatches::new([2, 2], inputs, signs, vec![Margin::Large; margins], signals, feature)
    };
    let good = vec![1.0, 0.0, 0.0, 0.5];
    let set = new(good.clone(), &[1.0], 1, vec![0], &[1.0, 0.0]).unwrap();
    assert_eq!((set.sample(0), set.labels()), (vec![1.0, 0.0, 0.0, 0.5], &[1usize][..]));
    let bad = [
        (new(vec![], &[], 0, vec![], &[1.0, 0.0]), "examples: expected at least 1"),
        (new(vec![0.0; 3], &[1.0], 1, vec![0], &[1.0, 0.0]), "expected 4 values"),
        (new(good.clone(), &[0.5], 1, vec![0], &[1.0, 0.0]), "label 0: expected -1 or +1"),
        (new(good.clone(), &[1.0], 2, vec![0], &[1.0, 0.0]), "margins: expected 1"),
        (new(good.clone(), &[1.0], 1, vec![2], &[1.0, 0.0]), "signal patch 0: expected a position"),
        (new(good.clone(), &[1.0], 1, vec![0], &[1.0, 1.0]), "feature"),
        (
            new(vec![0.0, 0.0, 0.0, f64::NAN], &[1.0], 1, vec![0], &[1.0, 0.0]),
            "example 0, number 3: expected a finite number, found NaN",
        ),
    ];
    for (found, expected) in bad {
        let found = found.unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
}
