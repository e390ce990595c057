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
//! automobile, bird to airplane, cat and dog to each other, deer to horse), and the next class of the
//! same superclass.
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
/// | `cifar10:0.4` | [`AsymmetricCifar10`](Self::AsymmetricCifar10) |
/// | `superclass:5:0.4` | [`SuperclassCycle`](Self::SuperclassCycle) |
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
    /// superclasses are runs of `size` consecutive classes. The usual asymmetric noise of CIFAR-100
    /// takes `size = 5` after its classes were sorted by superclass.
    SuperclassCycle {
        /// Classes per superclass, at least two; divides the number of classes.
        size: usize,
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
            Self::PairFlip { rate }
            | Self::AsymmetricCifar10 { rate }
            | Self::SuperclassCycle { rate, .. } => redraw(labels, seed, |label, sample| {
                let flips = sample.random::<f64>() < rate;
                if flips { self.mapped(label, num_classes) } else { label }
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
                Self::PairFlip { rate }
                | Self::AsymmetricCifar10 { rate }
                | Self::SuperclassCycle { rate, .. } => {
                    let mapped = self.mapped(class, num_classes);
                    (1.0 - rate) * f64::from(stays) + rate * f64::from(given == mapped)
                }
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
            | Self::PairFlip { rate }
            | Self::AsymmetricCifar10 { rate }
            | Self::SuperclassCycle { rate, .. } => rate,
        }
    }

    /// The class that a class map confuses with `class`.
    fn mapped(&self, class: usize, num_classes: usize) -> usize {
        match *self {
            Self::PairFlip { .. } => (class + 1) % num_classes,
            Self::AsymmetricCifar10 { .. } => [0, 1, 0, 5, 7, 3, 6, 7, 8, 1][class],
            Self::SuperclassCycle { size, .. } => class / size * size + (class % size + 1) % size,
            _ => class,
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
            Self::SuperclassCycle { size, .. } if size < 2 || !num_classes.is_multiple_of(size) => {
                format!("superclasses of at least 2 classes that divide all, not of {size}")
            }
            _ => return Ok(()),
        };
        Err(DatasetError::ClassMap { expected, found: num_classes })
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
            Self::AsymmetricCifar10 { .. } => "asymmetric CIFAR-10",
            Self::SuperclassCycle { .. } => "superclass cycle",
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
        let (name, rate) = text.rsplit_once(':').ok_or_else(unknown)?;
        let rate: f64 = rate.trim().parse().map_err(|_| unknown())?;
        let noise = match name.trim() {
            "symmetric" => Self::Symmetric { rate },
            "symmetric-inclusive" => Self::SymmetricInclusive { rate },
            "pair" => Self::PairFlip { rate },
            "cifar10" => Self::AsymmetricCifar10 { rate },
            name => {
                let size =
                    name.strip_prefix("superclass:").and_then(|size| size.trim().parse().ok());
                Self::SuperclassCycle { size: size.ok_or_else(unknown)?, rate }
            }
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
mod tests;
