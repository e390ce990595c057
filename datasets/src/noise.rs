//! Label noise with a known rate.
//!
//! A model of label noise is a matrix `T[k][j] = P(given label j | true label k)` over `K` classes.
//! With rate `r`:
//!
//! ```text
//! symmetric             T[k][k] = 1 - r          T[k][j] = r / (K - 1)
//! symmetric inclusive   T[k][k] = 1 - r + r/K    T[k][j] = r / K
//! pair flip             T[k][k] = 1 - r          T[k][(k + 1) mod K] = r
//! ```
//!
//! # References
//! S. Liu, Z. Zhu, Q. Qu and C. You, *Robust Training under Label Noise by Over-parameterization*,
//! ICML 2022, whose published code draws the inclusive noise.
//!
//! # Example
//!
//! ```
//! use firebrick_datasets::LabelNoise;
//!
//! let labels: Vec<usize> = (0..1000).map(|index| index % 10).collect();
//! let noisy = LabelNoise::Symmetric { rate: 0.4 }.apply(&labels, 10, 0)?;
//! assert!((noisy.realized_rate - 0.4).abs() < 0.07);
//! assert_eq!(noisy.flipped[3], noisy.given[3] != labels[3]);
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::random::{Use, generator};
use crate::samples::check_labels;
use crate::split::shuffle;

/// A model of label noise. Every `rate` is a number from 0 to 1.
///
/// Written for people by `Display` ("symmetric 40 %"); read from settings by `FromStr`:
///
/// | text | model |
/// |---|---|
/// | `none` | [`None`](Self::None) |
/// | `symmetric:0.4` | [`Symmetric`](Self::Symmetric) |
/// | `symmetric-inclusive:0.4` | [`SymmetricInclusive`](Self::SymmetricInclusive) |
/// | `pair:0.3` | [`PairFlip`](Self::PairFlip) |
///
/// # Example
/// ```
/// use firebrick_datasets::LabelNoise;
///
/// let noise: LabelNoise = "pair:0.3".parse()?;
/// assert_eq!(noise, LabelNoise::PairFlip { rate: 0.3 });
/// assert_eq!(noise.to_string(), "pair flip 30 %");
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum LabelNoise {
    /// Every label stays.
    None,
    /// Each label is replaced, independently with probability `rate`, by one of the other classes,
    /// all equally likely.
    Symmetric {
        /// Probability that a label becomes wrong.
        rate: f64,
    },
    /// Of `N` labels, `ceil(rate * N)` are chosen without replacement and drawn anew from all
    /// classes, the true one included. The expected share of wrong labels is `rate * (K - 1) / K`.
    SymmetricInclusive {
        /// Share of the labels that are drawn anew.
        rate: f64,
    },
    /// Each label `k` becomes `(k + 1) mod K`, independently with probability `rate`.
    PairFlip {
        /// Probability that a label becomes wrong.
        rate: f64,
    },
}

/// Labels after noise, and what the noise did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoisyLabels {
    /// The labels to train on.
    pub given: Vec<usize>,
    /// Whether the given label differs from the original one.
    pub flipped: Vec<bool>,
    /// The rate of the model; 0 without noise.
    pub requested_rate: f64,
    /// Share of flipped labels; 0 if there are no labels.
    pub realized_rate: f64,
    /// Share of the labels of each class that were given each class: `[original][given]`, `K x K`.
    /// Rows add up to 1; the row of a class without samples is that of the identity.
    pub transition: Vec<Vec<f64>>,
}

impl LabelNoise {
    /// Draws noisy labels.
    ///
    /// What happens to a label depends on the seed, its position, its class, the number of classes
    /// and the model, not on the other labels; and a label that is flipped at one rate is flipped
    /// in the same way at every higher rate. The inclusive model is the exception: which labels it
    /// chooses depends on how many there are.
    ///
    /// # Errors
    /// If the rate is not a number from 0 to 1, there are fewer than two classes, or a label is not
    /// below `num_classes`.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::LabelNoise;
    ///
    /// let noisy = LabelNoise::PairFlip { rate: 1.0 }.apply(&[0, 1, 2], 3, 0)?;
    /// assert_eq!(noisy.given, [1, 2, 0]);
    /// assert_eq!(noisy.realized_rate, 1.0);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn apply(
        &self,
        labels: &[usize],
        num_classes: usize,
        seed: u64,
    ) -> Result<NoisyLabels, DatasetError> {
        self.check(num_classes)?;
        check_labels("label noise", labels, num_classes)?;
        let given = match *self {
            Self::None => labels.to_vec(),
            Self::Symmetric { rate } => {
                redraw(labels, seed, |label, sample| symmetric(label, num_classes, rate, sample))
            }
            Self::SymmetricInclusive { rate } => inclusive(labels, num_classes, rate, seed),
            Self::PairFlip { rate } => redraw(labels, seed, |label, sample| {
                if sample.random::<f64>() < rate { (label + 1) % num_classes } else { label }
            }),
        };
        Ok(NoisyLabels::compare(labels, given, num_classes, self.rate()))
    }

    /// The expected share of each given class among the labels of each true class, `[true][given]`,
    /// `num_classes x num_classes`; rows add up to 1. The module's first lines have the formulas.
    ///
    /// # Panics
    /// If the rate is not a number from 0 to 1, or there are fewer than two classes.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::LabelNoise;
    ///
    /// let matrix = LabelNoise::Symmetric { rate: 0.5 }.transition_matrix(3);
    /// assert_eq!(matrix[1], [0.25, 0.5, 0.25]);
    /// ```
    pub fn transition_matrix(&self, num_classes: usize) -> Vec<Vec<f64>> {
        if let Err(error) = self.check(num_classes) {
            panic!("{error}");
        }
        let classes = num_classes as f64;
        let entry = |class: usize, given: usize| {
            let stays = class == given;
            match *self {
                Self::None => f64::from(stays),
                Self::Symmetric { rate } if stays => 1.0 - rate,
                Self::Symmetric { rate } => rate / (classes - 1.0),
                Self::SymmetricInclusive { rate } if stays => 1.0 - rate + rate / classes,
                Self::SymmetricInclusive { rate } => rate / classes,
                Self::PairFlip { rate } if stays => 1.0 - rate,
                Self::PairFlip { rate } if given == (class + 1) % num_classes => rate,
                Self::PairFlip { .. } => 0.0,
            }
        };
        let row = |class| (0..num_classes).map(|given| entry(class, given)).collect();
        (0..num_classes).map(row).collect()
    }

    fn rate(&self) -> f64 {
        match *self {
            Self::None => 0.0,
            Self::Symmetric { rate }
            | Self::SymmetricInclusive { rate }
            | Self::PairFlip { rate } => rate,
        }
    }

    fn check(&self, num_classes: usize) -> Result<(), DatasetError> {
        let rate = self.rate();
        if !(0.0..=1.0).contains(&rate) {
            return Err(DatasetError::RateOutOfRange { found: rate });
        }
        if num_classes < 2 {
            return Err(DatasetError::TooFewClasses { found: num_classes });
        }
        Ok(())
    }
}

impl NoisyLabels {
    fn compare(original: &[usize], given: Vec<usize>, classes: usize, requested_rate: f64) -> Self {
        let flipped: Vec<bool> =
            original.iter().zip(&given).map(|(original, given)| original != given).collect();
        let wrong = flipped.iter().filter(|&&flipped| flipped).count();
        let mut transition = vec![vec![0.0; classes]; classes];
        for (&original, &given) in original.iter().zip(&given) {
            transition[original][given] += 1.0;
        }
        for (class, row) in transition.iter_mut().enumerate() {
            let count: f64 = row.iter().sum();
            if count == 0.0 {
                row[class] = 1.0;
            } else {
                row.iter_mut().for_each(|entry| *entry /= count);
            }
        }
        let realized_rate = wrong as f64 / given.len().max(1) as f64;
        Self { given, flipped, requested_rate, realized_rate, transition }
    }
}

impl fmt::Display for LabelNoise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::None => return formatter.write_str("none"),
            Self::Symmetric { .. } => "symmetric",
            Self::SymmetricInclusive { .. } => "symmetric inclusive",
            Self::PairFlip { .. } => "pair flip",
        };
        // Rounded, because 100 times 0.29 is 28.999999999999996.
        let percent = (self.rate() * 1e8).round() / 1e6;
        write!(formatter, "{name} {percent} %")
    }
}

impl FromStr for LabelNoise {
    type Err = DatasetError;

    fn from_str(text: &str) -> Result<Self, DatasetError> {
        let unknown = || DatasetError::UnknownNoise { found: text.to_string() };
        let text = text.trim();
        if text == "none" {
            return Ok(Self::None);
        }
        let (name, rate) = text.split_once(':').ok_or_else(unknown)?;
        let rate: f64 = rate.trim().parse().map_err(|_| unknown())?;
        let noise = match name.trim() {
            "symmetric" => Self::Symmetric { rate },
            "symmetric-inclusive" => Self::SymmetricInclusive { rate },
            "pair" => Self::PairFlip { rate },
            _ => return Err(unknown()),
        };
        if !(0.0..=1.0).contains(&rate) {
            return Err(DatasetError::RateOutOfRange { found: rate });
        }
        Ok(noise)
    }
}

/// Replaces every label by what `draw` makes of it with the random numbers of its position.
fn redraw(
    labels: &[usize],
    seed: u64,
    draw: impl Fn(usize, &mut ChaCha8Rng) -> usize,
) -> Vec<usize> {
    let with_own_numbers =
        |(index, &label)| draw(label, &mut generator(Use::Noise, seed, index as u64));
    labels.iter().enumerate().map(with_own_numbers).collect()
}

/// One of the other classes with probability `rate`.
fn symmetric(label: usize, num_classes: usize, rate: f64, sample: &mut ChaCha8Rng) -> usize {
    if sample.random::<f64>() >= rate {
        return label;
    }
    let other = sample.random_range(0..num_classes - 1);
    if other < label { other } else { other + 1 }
}

/// Any class for `ceil(rate * N)` labels.
fn inclusive(labels: &[usize], num_classes: usize, rate: f64, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    shuffle(&mut order, &mut generator(Use::NoiseChoice, seed, 0));
    let count = (rate * labels.len() as f64).ceil() as usize;
    let mut given = labels.to_vec();
    for &index in &order[..count.min(labels.len())] {
        given[index] = generator(Use::Noise, seed, index as u64).random_range(0..num_classes);
    }
    given
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
                    assert!(
                        off <= four_errors + 1e-12,
                        "{noise} {class} {given}: {found}, {model}"
                    );
                }
            }
        }
    }

    #[test]
    fn rows_of_the_model_add_up_to_one() {
        for noise in MODELS {
            for row in noise.transition_matrix(7) {
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
}
