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
