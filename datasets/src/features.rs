//! Labeled vectors of one length.
//!
//! ```
//! use firebrick_datasets::{FeatureSet, LabeledSamples};
//!
//! let set = FeatureSet::new("points", vec![0.5, -1.0, 2.0, 0.0], 2, vec![0, 1], 2)?;
//! assert_eq!(set.sample(1), [2.0, 0.0]);
//! assert_eq!(set.sample_shape(), [2]);
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```

use std::fmt;

use crate::samples::{assert_index, check_labels, check_value_count};
use crate::{DatasetError, LabeledSamples};

/// Labeled vectors of finite numbers.
///
/// The fields are private and checked by [`new`](Self::new), so that a set that exists is
/// consistent.
#[derive(Clone, PartialEq)]
pub struct FeatureSet {
    name: String,
    features: Vec<f32>,
    shape: [usize; 1],
    labels: Vec<usize>,
    num_classes: usize,
}

impl FeatureSet {
    /// Checks the parts and joins them to a set.
    ///
    /// - `name`: what messages call this set
    /// - `features`: row-major `[labels.len(), dim]`
    /// - `dim`: length of one vector
    /// - `labels`: the class of each vector
    /// - `num_classes`: number of classes
    ///
    /// # Errors
    /// If the number of features is not the product of the sizes, there are vectors without
    /// features, a feature is not finite, or a label is not below `num_classes`.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::FeatureSet;
    ///
    /// let error = FeatureSet::new("points", vec![0.0, f32::NAN], 2, vec![0], 2).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "points: sample 0, feature 1: expected a finite number, found NaN"
    /// );
    /// ```
    pub fn new(
        name: impl Into<String>,
        features: Vec<f32>,
        dim: usize,
        labels: Vec<usize>,
        num_classes: usize,
    ) -> Result<Self, DatasetError> {
        let name = name.into();
        check_value_count(&name, labels.len(), &[dim], features.len())?;
        check_labels(&name, &labels, num_classes)?;
        if let Some(index) = features.iter().position(|value| !value.is_finite()) {
            return Err(DatasetError::NotFinite {
                place: name,
                sample: index / dim,
                feature: index % dim,
                value: features[index],
            });
        }
        Ok(Self { name, features, shape: [dim], labels, num_classes })
    }

    /// What messages call this set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All features, row-major `[len, dim]`.
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// Length of one vector.
    pub fn dim(&self) -> usize {
        self.shape[0]
    }

    /// The vectors at `indices`, in that order, as a set of their own. An index may occur several
    /// times. Name, length and number of classes stay.
    ///
    /// # Panics
    /// If an index is not smaller than the number of vectors.
    pub fn subset(&self, indices: &[usize]) -> Self {
        let mut features = Vec::with_capacity(indices.len() * self.dim());
        for &index in indices {
            features.extend_from_slice(self.row(index));
        }
        Self {
            name: self.name.clone(),
            features,
            shape: self.shape,
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
            num_classes: self.num_classes,
        }
    }

    fn row(&self, index: usize) -> &[f32] {
        assert_index(&self.name, index, self.labels.len());
        &self.features[index * self.dim()..][..self.dim()]
    }
}

impl LabeledSamples for FeatureSet {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn num_classes(&self) -> usize {
        self.num_classes
    }

    fn sample_shape(&self) -> &[usize] {
        &self.shape
    }

    fn sample(&self, index: usize) -> Vec<f32> {
        self.row(index).to_vec()
    }

    fn labels(&self) -> &[usize] {
        &self.labels
    }
}

/// Shows sizes, not features.
impl fmt::Debug for FeatureSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FeatureSet")
            .field("name", &self.name)
            .field("len", &self.labels.len())
            .field("dim", &self.dim())
            .field("num_classes", &self.num_classes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn three_points() -> FeatureSet {
        let features = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        FeatureSet::new("line", features, 2, vec![0, 2, 1], 3).unwrap()
    }

    #[test]
    fn subset_keeps_order_repeats_and_classes() {
        let subset = three_points().subset(&[1, 1, 0]);
        assert_eq!(subset.labels(), [2, 2, 0]);
        assert_eq!(subset.features(), [2.0, 3.0, 2.0, 3.0, 0.0, 1.0]);
        assert_eq!((subset.dim(), subset.num_classes()), (2, 3));
    }

    #[test]
    fn refuses_parts_that_do_not_fit() {
        let new = |features, dim, labels| FeatureSet::new("set", features, dim, labels, 2);
        assert!(matches!(
            new(vec![0.0; 3], 2, vec![0]),
            Err(DatasetError::ValueCount { expected: 2, found: 3, .. })
        ));
        assert!(matches!(new(vec![], 0, vec![0]), Err(DatasetError::EmptySamples { .. })));
        assert!(matches!(
            new(vec![0.0; 3], 1, vec![0, 1, 2]),
            Err(DatasetError::LabelOutOfRange { index: 2, label: 2, end: 2, .. })
        ));
        assert!(matches!(
            new(vec![0.0, 0.0, 0.0, f32::INFINITY], 2, vec![0, 1]),
            Err(DatasetError::NotFinite { sample: 1, feature: 1, .. })
        ));
        assert!(new(vec![], 0, vec![]).unwrap().is_empty());
    }

    #[test]
    #[should_panic(expected = "line: expected a sample index below 3, found 7")]
    fn panics_with_a_sentence_beyond_the_last_vector() {
        three_points().subset(&[0, 7]);
    }

    #[test]
    fn debug_output_is_short() {
        assert_eq!(
            format!("{:?}", three_points()),
            "FeatureSet { name: \"line\", len: 3, dim: 2, num_classes: 3, .. }"
        );
    }
}
