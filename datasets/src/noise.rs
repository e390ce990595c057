//! Label noise with a known rate.
//!
//! A model of label noise is a matrix `T[k][j] = P(given label j | true label k)` over `K` classes.
//! With rate `r`:
//!
//! ```text
//! symmetric             T[k][k] = 1 - r          T[k][j] = r / (K - 1)
//! symmetric inclusive   T[k][k] = 1 - r + r/K    T[k][j] = r / K
//! class maps            T[k][k] = 1 - r          T[k][m(k)] = r      (1 where m(k) = k)
//! ```
//!
//! The class maps `m` are `(k + 1) mod K` (pair flip), the confusions of CIFAR-10 (truck to
//! automobile, bird to airplane, cat and dog to each other, deer to horse), the next class of the
//! same superclass, and the swap of one random pair of classes in each superclass.
//!
//! Three ways to draw: [`LabelNoise::apply`] decides for every label on its own,
//! [`LabelNoise::apply_exact`] makes an exact number of labels wrong, and
//! [`NoisyLabels::from_given`] takes labels from outside, such as human ones or noise that depends on
//! the sample; [`label_file`](crate::label_file) reads them.
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

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::random::{Use, generator};
use crate::samples::check_labels;
use crate::split::shuffle;
use superclasses::{Grouping, pair_swap};

mod labels;
mod superclasses;
mod text;

pub use labels::NoisyLabels;

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
/// | `cifar10:0.4` | [`AsymmetricCifar10`](Self::AsymmetricCifar10) |
/// | `superclass:5:0.4` | [`SuperclassCycle`](Self::SuperclassCycle) |
/// | `superclass-pair:5:0.4` | [`SuperclassPair`](Self::SuperclassPair) |
/// | `cifar100:0.4` | [`Cifar100Cycle`](Self::Cifar100Cycle) |
/// | `cifar100-pair:0.4` | [`Cifar100Pair`](Self::Cifar100Pair) |
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
    /// Confusions of CIFAR-10, each with probability `rate`: truck (9) to automobile (1), bird (2)
    /// to airplane (0), cat (3) and dog (5) to each other, deer (4) to horse (7). The other classes
    /// keep their labels. Needs 10 classes.
    AsymmetricCifar10 {
        /// Probability that a label of one of the five classes becomes wrong.
        rate: f64,
    },
    /// Each label becomes the next class of its superclass, cyclically, with probability `rate`;
    /// superclasses are runs of `size` consecutive classes. For CIFAR-100 whose classes were sorted
    /// by superclass; its own numbering is alphabetical, see [`Cifar100Cycle`](Self::Cifar100Cycle).
    SuperclassCycle {
        /// Classes per superclass, at least two; divides the number of classes.
        size: usize,
        /// Probability that a label becomes wrong.
        rate: f64,
    },
    /// In each superclass, a run of `size` consecutive classes, one random pair of classes is
    /// swapped with probability `rate`; the other classes keep their labels, so that a share of about
    /// `2 rate / size` becomes wrong. With `size = 5` this is what the authors of SOP do on
    /// CIFAR-100, whose alphabetical classes it groups by number, not by meaning.
    SuperclassPair {
        /// Classes per superclass, at least two; divides the number of classes.
        size: usize,
        /// Probability that a label of a swapped class becomes wrong.
        rate: f64,
    },
    /// Each label of CIFAR-100 becomes the next class of its real superclass, cyclically in the order
    /// of the numbers, with probability `rate`: the usual asymmetric noise. Needs 100 classes.
    Cifar100Cycle {
        /// Probability that a label becomes wrong.
        rate: f64,
    },
    /// One random pair of classes in each real superclass of CIFAR-100 is swapped with probability
    /// `rate`; about `0.4 rate` of the labels become wrong. Needs 100 classes.
    Cifar100Pair {
        /// Probability that a label of a swapped class becomes wrong.
        rate: f64,
    },
}

impl LabelNoise {
    /// Draws noisy labels, each on its own.
    ///
    /// What happens to a label depends on the seed, its position, its class, the number of classes
    /// and the model, not on the other labels; and a label that is flipped at one rate is flipped
    /// in the same way at every higher rate. The inclusive model is the exception: which labels it
    /// chooses depends on how many there are.
    ///
    /// # Errors
    /// If the rate is not a number from 0 to 1, there are fewer than two classes or not as many as
    /// the model needs, or a label is not below `num_classes`.
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
        let rate = self.rate();
        let given =
            match *self {
                Self::None => labels.to_vec(),
                Self::Symmetric { .. } => redraw(labels, seed, |label, sample| {
                    let flips = sample.random::<f64>() < rate;
                    if flips { other_class(label, num_classes, sample) } else { label }
                }),
                Self::SymmetricInclusive { .. } => {
                    let count = (rate * labels.len() as f64).ceil() as usize;
                    inclusive(labels, num_classes, count, seed)
                }
                _ => {
                    let map = self.class_map(num_classes, seed);
                    redraw(labels, seed, |label, sample| {
                        if sample.random::<f64>() < rate { map[label] } else { label }
                    })
                }
            };
        Ok(NoisyLabels::compare(labels, given, num_classes, rate))
    }

    /// Draws noisy labels with an exact number of changes: of the `N` labels that the model may
    /// change, exactly `round(rate * N)`, chosen without replacement.
    ///
    /// A class map may change the labels of the classes that it moves. The inclusive model draws
    /// exactly that many labels anew, some of which come out right.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::LabelNoise;
    ///
    /// let labels: Vec<usize> = (0..50).map(|index| index % 10).collect();
    /// let noisy = LabelNoise::Symmetric { rate: 0.3 }.apply_exact(&labels, 10, 0)?;
    /// assert_eq!(noisy.flipped.iter().filter(|&&flipped| flipped).count(), 15);
    /// // Five of ten classes are confused: half the samples may change.
    /// let noisy = LabelNoise::AsymmetricCifar10 { rate: 0.4 }.apply_exact(&labels, 10, 0)?;
    /// assert_eq!(noisy.flipped.iter().filter(|&&flipped| flipped).count(), 10);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn apply_exact(
        &self,
        labels: &[usize],
        num_classes: usize,
        seed: u64,
    ) -> Result<NoisyLabels, DatasetError> {
        self.check(num_classes)?;
        check_labels("label noise", labels, num_classes)?;
        let count = |candidates: usize| (self.rate() * candidates as f64).round() as usize;
        let given = match *self {
            Self::None => labels.to_vec(),
            Self::SymmetricInclusive { .. } => {
                inclusive(labels, num_classes, count(labels.len()), seed)
            }
            Self::Symmetric { .. } => {
                change(labels, (0..labels.len()).collect(), seed, count, |label, sample| {
                    other_class(label, num_classes, sample)
                })
            }
            _ => {
                let map = self.class_map(num_classes, seed);
                let moved = (0..labels.len()).filter(|&index| map[labels[index]] != labels[index]);
                change(labels, moved.collect(), seed, count, |label, _| map[label])
            }
        };
        Ok(NoisyLabels::compare(labels, given, num_classes, self.rate()))
    }

    /// The expected share of each given class among the labels of each true class, `[true][given]`,
    /// `num_classes x num_classes`; rows add up to 1. The module's first lines have the formulas.
    ///
    /// Of the models that swap random pairs this is the mean over the pairs;
    /// [`drawn_transition_matrix`](Self::drawn_transition_matrix) is that of one seed.
    ///
    /// # Panics
    /// If the rate is not a number from 0 to 1, or there are fewer than two classes or not as many
    /// as the model needs.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::LabelNoise;
    ///
    /// let matrix = LabelNoise::Symmetric { rate: 0.5 }.transition_matrix(3);
    /// assert_eq!(matrix[1], [0.25, 0.5, 0.25]);
    /// ```
    pub fn transition_matrix(&self, num_classes: usize) -> Vec<Vec<f64>> {
        self.assert_fits(num_classes);
        match self.swapped() {
            None => self.matrix(num_classes, 0),
            Some(grouping) => {
                let group = grouping.groups(num_classes);
                // A class is in the pair with probability 2 / size, with each partner alike.
                let entry = |class: usize, given: usize| {
                    let members = &group[grouping.group_of(class)];
                    let size = members.len() as f64;
                    let moves = self.rate() * 2.0 / size;
                    match class == given {
                        true => 1.0 - moves,
                        false if members.contains(&given) => moves / (size - 1.0),
                        false => 0.0,
                    }
                };
                square(num_classes, entry)
            }
        }
    }

    /// The transition matrix of the pairs that a seed draws; for every other model the same as
    /// [`transition_matrix`](Self::transition_matrix).
    ///
    /// # Panics
    /// As [`transition_matrix`](Self::transition_matrix).
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::LabelNoise;
    ///
    /// let noise = LabelNoise::SuperclassPair { size: 3, rate: 0.5 };
    /// let matrix = noise.drawn_transition_matrix(3, 7);
    /// // One class of three keeps its labels, the two others are swapped half of the time.
    /// assert_eq!(matrix.iter().enumerate().filter(|(k, row)| row[*k] == 0.5).count(), 2);
    /// ```
    pub fn drawn_transition_matrix(&self, num_classes: usize, seed: u64) -> Vec<Vec<f64>> {
        self.assert_fits(num_classes);
        self.matrix(num_classes, seed)
    }

    fn matrix(&self, num_classes: usize, seed: u64) -> Vec<Vec<f64>> {
        let (classes, rate) = (num_classes as f64, self.rate());
        let map = self.class_map(num_classes, seed);
        square(num_classes, |class, given| {
            let stays = class == given;
            match *self {
                Self::None => f64::from(stays),
                Self::Symmetric { .. } if stays => 1.0 - rate,
                Self::Symmetric { .. } => rate / (classes - 1.0),
                Self::SymmetricInclusive { .. } if stays => 1.0 - rate + rate / classes,
                Self::SymmetricInclusive { .. } => rate / classes,
                _ => (1.0 - rate) * f64::from(stays) + rate * f64::from(given == map[class]),
            }
        })
    }

    fn assert_fits(&self, num_classes: usize) {
        if let Err(error) = self.check(num_classes) {
            panic!("{error}");
        }
    }

    /// The probability or share in the model; 0 for [`None`](Self::None).
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::LabelNoise;
    ///
    /// assert_eq!(LabelNoise::PairFlip { rate: 0.3 }.rate(), 0.3);
    /// ```
    pub fn rate(&self) -> f64 {
        match *self {
            Self::None => 0.0,
            Self::Symmetric { rate }
            | Self::SymmetricInclusive { rate }
            | Self::PairFlip { rate }
            | Self::AsymmetricCifar10 { rate }
            | Self::SuperclassCycle { rate, .. }
            | Self::SuperclassPair { rate, .. }
            | Self::Cifar100Cycle { rate }
            | Self::Cifar100Pair { rate } => rate,
        }
    }

    /// The class that a class map confuses each class with; the identity for the other models.
    fn class_map(&self, num_classes: usize, seed: u64) -> Vec<usize> {
        match *self {
            Self::PairFlip { .. } => (1..num_classes).chain([0]).collect(),
            Self::AsymmetricCifar10 { .. } => vec![0, 1, 0, 5, 7, 3, 6, 7, 8, 1],
            Self::SuperclassCycle { size, .. } => Grouping::Runs(size).cycle(num_classes),
            Self::Cifar100Cycle { .. } => Grouping::Cifar100.cycle(num_classes),
            _ => match self.swapped() {
                Some(grouping) => pair_swap(&grouping.groups(num_classes), num_classes, seed),
                None => (0..num_classes).collect(),
            },
        }
    }

    /// The superclasses in which random pairs are swapped.
    fn swapped(&self) -> Option<Grouping> {
        match *self {
            Self::SuperclassPair { size, .. } => Some(Grouping::Runs(size)),
            Self::Cifar100Pair { .. } => Some(Grouping::Cifar100),
            _ => None,
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
        let expected = match *self {
            Self::AsymmetricCifar10 { .. } if num_classes != 10 => "10 classes".to_string(),
            Self::Cifar100Cycle { .. } | Self::Cifar100Pair { .. } if num_classes != 100 => {
                "100 classes".to_string()
            }
            Self::SuperclassCycle { size, .. } | Self::SuperclassPair { size, .. }
                if size < 2 || !num_classes.is_multiple_of(size) =>
            {
                format!("superclasses of at least 2 classes that divide all, not of {size}")
            }
            _ => return Ok(()),
        };
        Err(DatasetError::ClassMap { expected, found: num_classes })
    }
}

fn square(size: usize, entry: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
    (0..size).map(|row| (0..size).map(|column| entry(row, column)).collect()).collect()
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

/// Replaces the labels of `count(candidates)` of the candidates, chosen at random.
fn change(
    labels: &[usize],
    mut candidates: Vec<usize>,
    seed: u64,
    count: impl Fn(usize) -> usize,
    draw: impl Fn(usize, &mut ChaCha8Rng) -> usize,
) -> Vec<usize> {
    shuffle(&mut candidates, &mut generator(Use::NoiseChoice, seed, 1));
    let mut given = labels.to_vec();
    for &index in candidates.iter().take(count(candidates.len())) {
        given[index] = draw(labels[index], &mut generator(Use::Noise, seed, index as u64));
    }
    given
}

/// One of the other classes, all equally likely.
fn other_class(label: usize, num_classes: usize, sample: &mut ChaCha8Rng) -> usize {
    let other = sample.random_range(0..num_classes - 1);
    if other < label { other } else { other + 1 }
}

/// Any class for `count` labels.
fn inclusive(labels: &[usize], num_classes: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    shuffle(&mut order, &mut generator(Use::NoiseChoice, seed, 0));
    let mut given = labels.to_vec();
    for &index in order.iter().take(count) {
        given[index] = generator(Use::Noise, seed, index as u64).random_range(0..num_classes);
    }
    given
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
