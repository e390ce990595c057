use super::*;
use proptest::prelude::*;

const MODELS: [LabelNoise; 4] = [
    LabelNoise::None,
    LabelNoise::Symmetric { rate: 0.4 },
    LabelNoise::SymmetricInclusive { rate: 0.4 },
    LabelNoise::PairFlip { rate: 0.3 },
];

fn labels(len: usize, num_classes: usize) -> Vec<usize> {
    (0..len).map(|index| index * index % 97 % num_classes).collect()
}

#[test]
fn realized_transition_agrees_with_the_model_within_four_standard_errors() {
    let (original, classes) = (labels(40_000, 5), 5);
    for noise in MODELS {
        let noisy = noise.apply(&original, classes, 11).unwrap();
        let expected = noise.transition_matrix(classes);
        for (class, row) in expected.iter().enumerate() {
            let count = original.iter().filter(|&&label| label == class).count() as f64;
            for (given, &model) in row.iter().enumerate() {
                let found = noisy.transition[class][given];
                let four_errors = 4.0 * (model * (1.0 - model) / count).sqrt();
                let off = (found - model).abs();
                assert!(off <= four_errors + 1e-12, "{noise} {class} {given}: {found}, {model}");
            }
        }
    }
}

#[test]
fn rows_of_the_model_add_up_to_one() {
    for noise in MODELS {
        for row in noise.transition_matrix(10) {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{noise}: {row:?}");
        }
    }
}

#[test]
fn inclusive_noise_redraws_exactly_the_rounded_up_count() {
    // Among very many classes hardly a redraw gives the true class again.
    let original = labels(101, 97);
    let noise = LabelNoise::SymmetricInclusive { rate: 0.5 };
    let total: usize = (0..200)
        .map(|seed| noise.apply(&original, 97, seed).unwrap())
        .map(|noisy| noisy.flipped.iter().filter(|&&flipped| flipped).count())
        .inspect(|&flipped| assert!(flipped <= 51))
        .sum();
    let expected = 200.0 * 51.0 * 96.0 / 97.0;
    let four_errors = 4.0 * (expected / 97.0_f64).sqrt();
    assert!((total as f64 - expected).abs() < four_errors, "{total}, {expected}");
}

#[test]
fn rates_zero_and_one_are_exact() {
    let original = labels(500, 3);
    for (zero, one) in [
        (LabelNoise::Symmetric { rate: 0.0 }, LabelNoise::Symmetric { rate: 1.0 }),
        (LabelNoise::PairFlip { rate: 0.0 }, LabelNoise::PairFlip { rate: 1.0 }),
    ] {
        assert_eq!(zero.apply(&original, 3, 0).unwrap().given, original);
        assert_eq!(one.apply(&original, 3, 0).unwrap().realized_rate, 1.0);
    }
    let none = LabelNoise::SymmetricInclusive { rate: 0.0 }.apply(&original, 3, 0).unwrap();
    assert_eq!(none.given, original);
}

#[test]
fn classes_without_samples_keep_the_identity_row() {
    let noisy = LabelNoise::PairFlip { rate: 1.0 }.apply(&[0, 0], 3, 0).unwrap();
    assert_eq!(noisy.transition, [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    for noise in MODELS {
        let nothing = noise.apply(&[], 2, 0).unwrap();
        assert_eq!((nothing.given.len(), nothing.realized_rate), (0, 0.0));
        assert_eq!(nothing.transition, [[1.0, 0.0], [0.0, 1.0]]);
    }
}

#[test]
fn a_higher_rate_keeps_the_flips_of_a_lower_one() {
    let original = labels(2000, 10);
    let at = |rate| LabelNoise::Symmetric { rate }.apply(&original, 10, 4).unwrap();
    let (low, high) = (at(0.2), at(0.6));
    for index in (0..original.len()).filter(|&index| low.flipped[index]) {
        assert_eq!(low.given[index], high.given[index]);
    }
}

#[test]
fn refuses_what_is_no_noise() {
    for rate in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = LabelNoise::Symmetric { rate }.apply(&[0], 2, 0).unwrap_err();
        assert!(matches!(error, DatasetError::RateOutOfRange { .. }));
    }
    let noise = LabelNoise::PairFlip { rate: 0.1 };
    let error = noise.apply(&[0], 1, 0).unwrap_err();
    assert!(matches!(error, DatasetError::TooFewClasses { found: 1 }));
    let error = noise.apply(&[0, 2], 2, 0).unwrap_err();
    assert!(matches!(error, DatasetError::LabelOutOfRange { index: 1, label: 2, end: 2, .. }));
}

#[test]
fn texts_become_models_and_names() {
    let parse = |text: &str| text.parse::<LabelNoise>();
    let texts = ["none", "symmetric:0.4", "symmetric-inclusive:0.4", "pair:0.3"];
    let names = ["none", "symmetric 40 %", "symmetric inclusive 40 %", "pair flip 30 %"];
    for ((text, name), noise) in texts.iter().zip(names).zip(MODELS) {
        assert_eq!(parse(text).unwrap(), noise);
        assert_eq!(noise.to_string(), name);
    }
    assert_eq!(LabelNoise::PairFlip { rate: 0.29 }.to_string(), "pair flip 29 %");
    assert_eq!(LabelNoise::PairFlip { rate: 0.125 }.to_string(), "pair flip 12.5 %");
    for text in ["", "symmetric", "symmetric:", "symmetric:x", "pairs:0.3", "none:0.1"] {
        assert!(matches!(parse(text), Err(DatasetError::UnknownNoise { .. })), "{text}");
    }
    for text in ["pair:1.5", "pair:NaN", "symmetric:-0.1"] {
        assert!(matches!(parse(text), Err(DatasetError::RateOutOfRange { .. })), "{text}");
    }
}

proptest! {
    #[test]
    fn a_label_does_not_depend_on_those_after_it(len in 0..60_usize, seed: u64) {
        let original = labels(60, 4);
        for noise in [MODELS[1], MODELS[3]] {
            let all = noise.apply(&original, 4, seed).unwrap();
            let first = noise.apply(&original[..len], 4, seed).unwrap();
            prop_assert_eq!(&all.given[..len], &first.given[..]);
        }
    }

    #[test]
    fn the_seed_decides(seed: u64) {
        let original = labels(200, 4);
        for noise in &MODELS[1..] {
            let noisy = noise.apply(&original, 4, seed).unwrap();
            prop_assert_eq!(&noisy, &noise.apply(&original, 4, seed).unwrap());
            let other = noise.apply(&original, 4, seed.wrapping_add(1)).unwrap();
            prop_assert_ne!(noisy.given, other.given);
        }
    }
}

#[test]
fn class_maps_confuse_the_classes_they_name() {
    let given = |noise: LabelNoise| noise.apply(&labels_in_order(10), 10, 0).unwrap().given;
    let cifar = LabelNoise::AsymmetricCifar10 { rate: 1.0 };
    assert_eq!(given(cifar), [0, 1, 0, 5, 7, 3, 6, 7, 8, 1]);
    let cycle = LabelNoise::SuperclassCycle { size: 5, rate: 1.0 };
    assert_eq!(given(cycle), [1, 2, 3, 4, 0, 6, 7, 8, 9, 5]);
    for row in (LabelNoise::SuperclassCycle { size: 5, rate: 0.2 }).transition_matrix(10) {
        assert_eq!(row.iter().sum::<f64>(), 1.0);
    }
    assert_eq!("superclass:5:1".parse::<LabelNoise>().unwrap(), cycle);
    assert_eq!("cifar10:1".parse::<LabelNoise>().unwrap(), cifar);
}

#[test]
fn class_maps_refuse_numbers_of_classes_that_do_not_fit() {
    let cifar = LabelNoise::AsymmetricCifar10 { rate: 0.4 };
    let message = cifar.apply(&[0], 9, 0).unwrap_err().to_string();
    assert!(message.contains("expected 10 classes") && message.contains("found 9"), "{message}");
    for (size, classes) in [(0, 10), (1, 10), (3, 10)] {
        let cycle = LabelNoise::SuperclassCycle { size, rate: 0.4 };
        assert!(matches!(cycle.apply(&[0], classes, 0), Err(DatasetError::ClassMap { .. })));
    }
}

fn labels_in_order(num_classes: usize) -> Vec<usize> {
    (0..num_classes).collect()
}

const SUPERCLASSES: [LabelNoise; 4] = [
    LabelNoise::SuperclassCycle { size: 5, rate: 0.4 },
    LabelNoise::SuperclassPair { size: 5, rate: 0.4 },
    LabelNoise::Cifar100Cycle { rate: 0.4 },
    LabelNoise::Cifar100Pair { rate: 0.4 },
];

#[test]
fn superclass_noise_stays_in_the_superclass_and_follows_its_matrix() {
    let original: Vec<usize> = (0..100_000).map(|index| index % 100).collect();
    for noise in SUPERCLASSES {
        let real =
            matches!(noise, LabelNoise::Cifar100Cycle { .. } | LabelNoise::Cifar100Pair { .. });
        let group = |class: usize| {
            if real { crate::cifar::CIFAR100_SUPERCLASS_OF[class] } else { class / 5 }
        };
        let noisy = noise.apply(&original, 100, 3).unwrap();
        for (original, given) in original.iter().zip(&noisy.given) {
            assert_eq!(group(*original), group(*given), "{noise}");
        }
        let drawn = noise.drawn_transition_matrix(100, 3);
        for (row, found) in drawn.iter().zip(&noisy.transition) {
            for (model, found) in row.iter().zip(found) {
                let four_errors = 4.0 * (model * (1.0 - model) / 1000.0).sqrt();
                assert!((model - found).abs() <= four_errors, "{noise}: {found}, {model}");
            }
        }
        let swaps =
            matches!(noise, LabelNoise::SuperclassPair { .. } | LabelNoise::Cifar100Pair { .. });
        let expected = if swaps { 0.16 } else { 0.4 };
        assert!((noisy.realized_rate - expected).abs() < 0.01, "{noise}: {}", noisy.realized_rate);
        for row in noise.transition_matrix(100) {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn the_mean_over_drawn_pairs_is_the_matrix_of_the_model() {
    let noise = LabelNoise::SuperclassPair { size: 3, rate: 0.6 };
    let mut mean = vec![vec![0.0; 6]; 6];
    for seed in 0..3000 {
        let drawn = noise.drawn_transition_matrix(6, seed);
        // A swap: symmetric, one class of three untouched.
        assert_eq!((0..6).filter(|&class| drawn[class][class] == 1.0).count(), 2);
        for (class, row) in drawn.iter().enumerate() {
            for (given, value) in row.iter().enumerate() {
                assert_eq!(*value, drawn[given][class]);
                mean[class][given] += value / 3000.0;
            }
        }
    }
    for (row, found) in noise.transition_matrix(6).iter().zip(&mean) {
        for (model, found) in row.iter().zip(found) {
            // An entry is 0.6 or 0 with probability up to 2/3.
            assert!((model - found).abs() < 4.0 * 0.6 * (2.0f64 / 9.0 / 3000.0).sqrt());
        }
    }
}

#[test]
fn the_exact_mode_changes_exactly_the_rounded_count() {
    let original = labels(1003, 100);
    let moved = |noise: LabelNoise, seed| {
        let matrix = noise.drawn_transition_matrix(100, seed);
        original.iter().filter(|&&label| matrix[label][label] < 1.0).count()
    };
    let others = [LabelNoise::Symmetric { rate: 0.4 }, LabelNoise::PairFlip { rate: 0.4 }];
    for noise in SUPERCLASSES.into_iter().chain(others) {
        let noisy = noise.apply_exact(&original, 100, 5).unwrap();
        let expected = (0.4 * moved(noise, 5) as f64).round() as usize;
        let found = noisy.flipped.iter().filter(|&&flipped| flipped).count();
        assert_eq!(found, expected, "{noise}");
        for (original, given) in original.iter().zip(&noisy.given) {
            assert!(noise.drawn_transition_matrix(100, 5)[*original][*given] > 0.0);
        }
        assert_ne!(noisy.given, noise.apply_exact(&original, 100, 6).unwrap().given);
    }
    let redrawn =
        LabelNoise::SymmetricInclusive { rate: 1.0 }.apply_exact(&original, 100, 5).unwrap();
    assert!(redrawn.realized_rate > 0.95 && redrawn.realized_rate < 1.0);
    assert_eq!(LabelNoise::None.apply_exact(&original, 100, 0).unwrap().given, original);
    assert!(LabelNoise::Symmetric { rate: 0.5 }.apply_exact(&[], 2, 0).unwrap().given.is_empty());
}

#[test]
fn superclass_noise_reads_its_name_and_refuses_other_numbers_of_classes() {
    let texts = ["superclass:5:0.4", "superclass-pair:5:0.4", "cifar100:0.4", "cifar100-pair:0.4"];
    for (text, noise) in texts.iter().zip(SUPERCLASSES) {
        assert_eq!(text.parse::<LabelNoise>().unwrap(), noise);
    }
    for text in ["superclass:0.4", "superclasses:5:0.4", "superclass-pair:x:0.4", "cifar100:5:0.4"]
    {
        assert!(matches!(text.parse::<LabelNoise>(), Err(DatasetError::UnknownNoise { .. })));
    }
    for noise in [SUPERCLASSES[2], SUPERCLASSES[3]] {
        let message = noise.apply(&[0], 10, 0).unwrap_err().to_string();
        assert!(message.contains("expected 100 classes, found 10"), "{message}");
    }
}

#[test]
fn labels_from_outside_are_compared_with_the_original_ones() {
    let noisy = NoisyLabels::from_given(&[0, 1, 2, 2], vec![0, 1, 2, 0], 3).unwrap();
    assert_eq!(noisy.flipped, [false, false, false, true]);
    assert_eq!((noisy.requested_rate, noisy.realized_rate), (0.25, 0.25));
    let error = NoisyLabels::from_given(&[0, 1], vec![0], 3).unwrap_err().to_string();
    assert_eq!(error, "given labels: expected 2 labels, found 1");
    let error = NoisyLabels::from_given(&[0], vec![3], 3).unwrap_err().to_string();
    assert_eq!(error, "given labels: label 0: expected 0 <= label < 3, found 3");
}
