//! Noisy labels beside the labels they came from.

use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::samples::check_labels;

/// Labels after noise, and what the noise did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoisyLabels {
    /// The labels to train on.
    pub given: Vec<usize>,
    /// Whether the given label differs from the original one.
    pub flipped: Vec<bool>,
    /// The rate of the model; 0 without noise, the realized rate for labels from outside.
    pub requested_rate: f64,
    /// Share of flipped labels; 0 if there are no labels.
    pub realized_rate: f64,
    /// Share of the labels of each class that were given each class: `[original][given]`, `K x K`.
    /// Rows add up to 1; the row of a class without samples is that of the identity.
    pub transition: Vec<Vec<f64>>,
}

impl NoisyLabels {
    /// Compares given labels from outside, such as human ones, with the original ones.
    ///
    /// # Errors
    /// If the numbers of labels differ, or a label is not below `num_classes`.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::NoisyLabels;
    ///
    /// let noisy = NoisyLabels::from_given(&[0, 1, 1, 0], vec![0, 1, 0, 0], 2)?;
    /// assert_eq!((noisy.realized_rate, noisy.flipped[2]), (0.25, true));
    /// assert_eq!(noisy.transition, [[1.0, 0.0], [0.5, 0.5]]);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn from_given(
        original: &[usize],
        given: Vec<usize>,
        num_classes: usize,
    ) -> Result<Self, DatasetError> {
        let (expected, found) = (original.len(), given.len());
        if expected != found {
            let place = "given labels".to_string();
            return Err(DatasetError::LabelCount { place, expected, found });
        }
        check_labels("original labels", original, num_classes)?;
        check_labels("given labels", &given, num_classes)?;
        let mut noisy = Self::compare(original, given, num_classes, 0.0);
        noisy.requested_rate = noisy.realized_rate;
        Ok(noisy)
    }

    pub(super) fn compare(
        original: &[usize],
        given: Vec<usize>,
        classes: usize,
        requested_rate: f64,
    ) -> Self {
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
