//! One signal patch among noise patches: the data on which momentum learns what gradient descent
//! memorizes.
//!
//! ```text
//! y   in {-1, +1}, uniform                      w   the feature, a unit vector
//! X_s = c y w                                   s   uniform over the P patches
//!       c = alpha (large margin) with probability 1 - mu, beta (small margin) with mu
//! X_j = sigma (I - w w^T) z,  z ~ N(0, I)       the other P - 1 patches, orthogonal to w
//! ```
//!
//! The sign along `w` decides the label of every example. The noise says nothing about it, but a
//! network can fit a small-margin example of the training set by its noise as well.
//!
//! ```
//! use firebrick_datasets::{LabeledSamples, Margin, SignalPatchesConfig};
//!
//! let config = SignalPatchesConfig::default();
//! let (train, test) = config.generate(0)?;
//! assert_eq!((train.len(), test.len()), (100, 4000));
//! assert_eq!(train.sample_shape(), [2, 100]);
//! assert_eq!(train.count(Margin::Small), 10);
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```
//!
//! # References
//! S. Jelassi, Y. Li, *Towards understanding how momentum improves generalization in deep
//! learning*, ICML 2022.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::random::{Use, generator};
use crate::samples::{assert_index, check_value_count};
use crate::{DatasetError, LabeledSamples};

const PLACE: &str = "signal patches";
/// How far the norm of a given feature may be from 1.
const UNIT: f64 = 1e-4;

/// How far an example lies from the other class along the feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Margin {
    /// The signal has the length `beta`.
    Small,
    /// The signal has the length `alpha`.
    Large,
}

/// Settings of signal and noise patches.
///
/// | field | default | symbol | meaning |
/// |---|---|---|---|
/// | `num_train` | 100 | N | examples to train on |
/// | `num_test` | 4000 | | examples to test on |
/// | `dim` | 100 | d | length of a patch, at least 2 |
/// | `num_patches` | 2 | P | patches of an example, at least 2 |
/// | `large_margin` | 2 | alpha | length of the signal of most examples |
/// | `small_margin` | 0.2 | beta | length of the signal of the others, in (0, alpha] |
/// | `small_fraction` | 0.1 | mu | share of the small-margin examples, in [0, 1] |
/// | `noise_std` | 0.2 | sigma | standard deviation of the noise |
/// | `feature` | first unit vector | w | a unit vector of length d |
/// | `signal_patch` | uniform | s | the same position for all examples |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalPatchesConfig {
    /// Examples to train on; exactly `round(mu N)` of them, the first, have a small margin.
    pub num_train: usize,
    /// Examples to test on; each has a small margin with probability `mu`.
    pub num_test: usize,
    /// Length of a patch.
    pub dim: usize,
    /// Patches of an example.
    pub num_patches: usize,
    /// Length of the signal of a large-margin example.
    pub large_margin: f64,
    /// Length of the signal of a small-margin example.
    pub small_margin: f64,
    /// Share of small-margin examples.
    pub small_fraction: f64,
    /// Standard deviation of the noise.
    pub noise_std: f64,
    /// The direction of the signal; `None` is the first unit vector. It is scaled to length 1 if it
    /// is within 1e-4 of it.
    pub feature: Option<Vec<f64>>,
    /// The position of the signal; `None` draws one for each example.
    pub signal_patch: Option<usize>,
}

impl Default for SignalPatchesConfig {
    fn default() -> Self {
        Self {
            num_train: 100,
            num_test: 4000,
            dim: 100,
            num_patches: 2,
            large_margin: 2.0,
            small_margin: 0.2,
            small_fraction: 0.1,
            noise_std: 0.2,
            feature: None,
            signal_patch: None,
        }
    }
}

impl SignalPatchesConfig {
    /// Sets the number of examples to train on.
    pub fn with_num_train(mut self, num_train: usize) -> Self {
        self.num_train = num_train;
        self
    }

    /// Sets the number of examples to test on.
    pub fn with_num_test(mut self, num_test: usize) -> Self {
        self.num_test = num_test;
        self
    }

    /// Sets the length of a patch.
    pub fn with_dim(mut self, dim: usize) -> Self {
        self.dim = dim;
        self
    }

    /// Sets the number of patches of an example.
    pub fn with_num_patches(mut self, num_patches: usize) -> Self {
        self.num_patches = num_patches;
        self
    }

    /// Sets the length of the signal of large-margin and of small-margin examples.
    pub fn with_margins(mut self, large: f64, small: f64) -> Self {
        (self.large_margin, self.small_margin) = (large, small);
        self
    }

    /// Sets the share of small-margin examples.
    pub fn with_small_fraction(mut self, small_fraction: f64) -> Self {
        self.small_fraction = small_fraction;
        self
    }

    /// Sets the standard deviation of the noise.
    pub fn with_noise_std(mut self, noise_std: f64) -> Self {
        self.noise_std = noise_std;
        self
    }

    /// Sets the direction of the signal.
    pub fn with_feature(mut self, feature: Vec<f64>) -> Self {
        self.feature = Some(feature);
        self
    }

    /// Puts the signal at the same position in all examples.
    pub fn with_signal_patch(mut self, signal_patch: usize) -> Self {
        self.signal_patch = Some(signal_patch);
        self
    }

    /// Draws the examples to train and to test on.
    ///
    /// The parts have streams of their own, so the size of one does not change the other.
    ///
    /// # Errors
    /// [`DatasetError::Unsuitable`] for a setting outside its range, see the table of
    /// [`SignalPatchesConfig`]; a small margin above the large one is refused as well, because the
    /// names would be swapped. Equal margins are allowed: they are the control experiment.
    pub fn generate(&self, seed: u64) -> Result<(SignalPatches, SignalPatches), DatasetError> {
        let feature = self.check()?;
        let num_small = (self.small_fraction * self.num_train as f64).round() as usize;
        let mut rng = generator(Use::Patches, seed, 1);
        let margin = |small| if small { Margin::Small } else { Margin::Large };
        let train =
            self.draw(self.num_train, &feature, &mut rng, |index, _| margin(index < num_small));
        let mut rng = generator(Use::Patches, seed, 2);
        let test = self.draw(self.num_test, &feature, &mut rng, |_, uniform| {
            margin(uniform < self.small_fraction)
        });
        Ok((train, test))
    }

    /// Checks all settings and gives the feature.
    fn check(&self) -> Result<Vec<f64>, DatasetError> {
        at_least("num_train", self.num_train, 1)?;
        at_least("num_test", self.num_test, 1)?;
        at_least("dim", self.dim, 2)?;
        at_least("num_patches", self.num_patches, 2)?;
        self.check_numbers()?;
        if let Some(found) = self.signal_patch.filter(|&patch| patch >= self.num_patches) {
            let expected = format!("a position below {}", self.num_patches);
            return Err(unsuitable("signal_patch", expected, found.to_string()));
        }
        match &self.feature {
            Some(feature) => unit(feature, self.dim),
            None => Ok((0..self.dim).map(|at| f64::from(u8::from(at == 0))).collect()),
        }
    }

    fn check_numbers(&self) -> Result<(), DatasetError> {
        let (alpha, beta) = (self.large_margin, self.small_margin);
        let (mu, sigma) = (self.small_fraction, self.noise_std);
        let rules = [
            ("large_margin", alpha, alpha > 0.0 && alpha.is_finite(), "a finite number above 0"),
            ("small_margin", beta, beta > 0.0 && beta <= alpha, "a number above 0"),
            ("small_fraction", mu, (0.0..=1.0).contains(&mu), "a number from 0 to 1"),
            (
                "noise_std",
                sigma,
                sigma >= 0.0 && sigma.is_finite(),
                "a finite number of at least 0",
            ),
        ];
        for (what, found, holds, expected) in rules {
            if !holds {
                let limit = if what == "small_margin" {
                    format!(" and at most the large margin {alpha}")
                } else {
                    String::new()
                };
                return Err(unsuitable(what, format!("{expected}{limit}"), found.to_string()));
            }
        }
        Ok(())
    }

    fn draw(
        &self,
        len: usize,
        feature: &[f64],
        rng: &mut impl Rng,
        margin: impl Fn(usize, f64) -> Margin,
    ) -> SignalPatches {
        let mut part = SignalPatches {
            shape: [self.num_patches, self.dim],
            inputs: Vec::with_capacity(len * self.num_patches * self.dim),
            classes: Vec::with_capacity(len),
            margins: Vec::with_capacity(len),
            signal_patches: Vec::with_capacity(len),
            feature: feature.to_vec(),
        };
        for index in 0..len {
            let class = usize::from(rng.random::<bool>());
            let drawn = rng.random_range(0..self.num_patches);
            let signal = self.signal_patch.unwrap_or(drawn);
            let margin = margin(index, rng.random());
            let length = match margin {
                Margin::Small => self.small_margin,
                Margin::Large => self.large_margin,
            };
            for patch in 0..self.num_patches {
                if patch == signal {
                    part.inputs.extend(feature.iter().map(|w| length * sign(class) * w));
                } else {
                    part.inputs.extend(noise(feature, self.noise_std, rng));
                }
            }
            part.classes.push(class);
            part.margins.push(margin);
            part.signal_patches.push(signal);
        }
        part
    }
}

/// `sigma (I - w w^T) z`
fn noise(feature: &[f64], std: f64, rng: &mut impl Rng) -> Vec<f64> {
    let z: Vec<f64> = feature.iter().map(|_| rng.sample(StandardNormal)).collect();
    let along: f64 = z.iter().zip(feature).map(|(z, w)| z * w).sum();
    z.iter().zip(feature).map(|(z, w)| std * (z - along * w)).collect()
}

fn sign(class: usize) -> f64 {
    if class == 1 { 1.0 } else { -1.0 }
}

fn unit(feature: &[f64], dim: usize) -> Result<Vec<f64>, DatasetError> {
    if feature.len() != dim {
        let found = format!("{} numbers", feature.len());
        return Err(unsuitable("feature", format!("{dim} numbers, one per dimension"), found));
    }
    let norm = feature.iter().map(|w| w * w).sum::<f64>().sqrt();
    if norm.is_nan() || (norm - 1.0).abs() > UNIT {
        return Err(unsuitable("feature", "a vector of length 1".into(), format!("norm {norm}")));
    }
    Ok(feature.iter().map(|w| w / norm).collect())
}

fn at_least(what: &str, found: usize, least: usize) -> Result<(), DatasetError> {
    if found >= least {
        return Ok(());
    }
    Err(unsuitable(what, format!("at least {least}"), found.to_string()))
}

fn unsuitable(what: impl Into<String>, expected: String, found: String) -> DatasetError {
    DatasetError::Unsuitable { place: PLACE, what: what.into(), expected, found }
}

/// Labeled examples of several patches each, in 64 bits, with what each was made from.
///
/// As [`LabeledSamples`] an example is a sample of shape `[P, d]`, of class 0 for `y = -1` and of
/// class 1 for `y = +1`.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalPatches {
    shape: [usize; 2],
    inputs: Vec<f64>,
    classes: Vec<usize>,
    margins: Vec<Margin>,
    signal_patches: Vec<usize>,
    feature: Vec<f64>,
}

impl SignalPatches {
    /// Takes given examples.
    ///
    /// # Shapes
    /// - inputs: `[N, P, d]`, row-major
    /// - signs: `[N]`, the labels -1 or +1
    /// - margins, signal_patches: `[N]`
    /// - feature: `[d]`, of length 1
    ///
    /// # Errors
    /// [`DatasetError`] if there is no example, a size does not fit, a number is not finite, a
    /// label is neither -1 nor +1, a signal patch is none of the `P` patches, or the feature is not
    /// of length 1 within 1e-4.
    pub fn new(
        [num_patches, dim]: [usize; 2],
        inputs: Vec<f64>,
        signs: &[f64],
        margins: Vec<Margin>,
        signal_patches: Vec<usize>,
        feature: &[f64],
    ) -> Result<Self, DatasetError> {
        let len = signs.len();
        at_least("examples", len, 1)?;
        at_least("patches", num_patches, 2)?;
        at_least("dimensions", dim, 2)?;
        check_value_count(PLACE, len, &[num_patches, dim], inputs.len())?;
        for (what, found) in [("margins", margins.len()), ("signal patches", signal_patches.len())]
        {
            if found != len {
                return Err(unsuitable(what, format!("{len}, one per label"), found.to_string()));
            }
        }
        if let Some(at) = inputs.iter().position(|value| !value.is_finite()) {
            let size = num_patches * dim;
            let what = format!("example {}, number {}", at / size, at % size);
            return Err(unsuitable(what, "a finite number".into(), inputs[at].to_string()));
        }
        let bad = signs.iter().position(|&sign| sign != 1.0 && sign != -1.0);
        if let Some(at) = bad {
            return Err(unsuitable(
                format!("label {at}"),
                "-1 or +1".into(),
                signs[at].to_string(),
            ));
        }
        if let Some(at) = signal_patches.iter().position(|&patch| patch >= num_patches) {
            let expected = format!("a position below {num_patches}");
            let found = signal_patches[at].to_string();
            return Err(unsuitable(format!("signal patch {at}"), expected, found));
        }
        Ok(Self {
            shape: [num_patches, dim],
            inputs,
            classes: signs.iter().map(|&sign| usize::from(sign > 0.0)).collect(),
            margins,
            signal_patches,
            feature: unit(feature, dim)?,
        })
    }

    /// The number of patches of an example, `P`.
    pub fn num_patches(&self) -> usize {
        self.shape[0]
    }

    /// The length of a patch, `d`.
    pub fn dim(&self) -> usize {
        self.shape[1]
    }

    /// All numbers, `[N, P, d]`, row-major.
    pub fn inputs(&self) -> &[f64] {
        &self.inputs
    }

    /// The patches of one example, `[P, d]`.
    ///
    /// # Panics
    /// If `index` is not below the number of examples.
    pub fn example(&self, index: usize) -> &[f64] {
        assert_index(PLACE, index, self.classes.len());
        let size = self.shape[0] * self.shape[1];
        &self.inputs[index * size..][..size]
    }

    /// The label of one example, -1 or +1.
    ///
    /// # Panics
    /// If `index` is not below the number of examples.
    pub fn sign(&self, index: usize) -> f64 {
        assert_index(PLACE, index, self.classes.len());
        sign(self.classes[index])
    }

    /// The labels -1 or +1, `[N]`.
    pub fn signs(&self) -> Vec<f64> {
        self.classes.iter().copied().map(sign).collect()
    }

    /// The margin of each example, `[N]`.
    pub fn margins(&self) -> &[Margin] {
        &self.margins
    }

    /// The number of examples of one margin.
    pub fn count(&self, margin: Margin) -> usize {
        self.margins.iter().filter(|&&found| found == margin).count()
    }

    /// The position of the signal in each example, `[N]`.
    pub fn signal_patches(&self) -> &[usize] {
        &self.signal_patches
    }

    /// The direction of the signal, `[d]`, of length 1.
    pub fn feature(&self) -> &[f64] {
        &self.feature
    }
}

impl LabeledSamples for SignalPatches {
    fn len(&self) -> usize {
        self.classes.len()
    }

    fn num_classes(&self) -> usize {
        2
    }

    fn sample_shape(&self) -> &[usize] {
        &self.shape
    }

    fn sample(&self, index: usize) -> Vec<f32> {
        self.example(index).iter().map(|&value| value as f32).collect()
    }

    fn labels(&self) -> &[usize] {
        &self.classes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
