//! What every labeled data set offers, whatever its samples look like.
//!
//! ```
//! use firebrick_datasets::{FeatureSet, LabeledSamples, digits};
//!
//! fn describe(set: &dyn LabeledSamples) -> String {
//!     format!("{} samples of shape {:?}", set.len(), set.sample_shape())
//! }
//!
//! assert_eq!(describe(&digits()), "1797 samples of shape [1, 8, 8]");
//! let points = FeatureSet::new("points", vec![0.0, 1.0, 2.0, 3.0], 2, vec![0, 1], 2)?;
//! assert_eq!(describe(&points), "2 samples of shape [2]");
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```

use crate::DatasetError;

/// A finite list of samples of one shape, each with the class it belongs to.
///
/// The index of a sample is stable: methods that keep something per sample use it as the key.
pub trait LabeledSamples: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of classes; every label is smaller. A class may have no sample.
    fn num_classes(&self) -> usize;

    /// Shape of one sample: `[channels, height, width]` of an image, `[dim]` of a vector.
    fn sample_shape(&self) -> &[usize];

    /// Values of the sample at `index`, row-major in [`sample_shape`](Self::sample_shape). Pixels
    /// are scaled to `[0, 1]`.
    ///
    /// # Panics
    /// If `index` is not smaller than [`len`](Self::len).
    fn sample(&self, index: usize) -> Vec<f32>;

    /// Class of every sample, in the order of the samples.
    fn labels(&self) -> &[usize];
}

/// Checks that every label is smaller than `num_classes`.
pub(crate) fn check_labels(
    place: &str,
    labels: &[usize],
    num_classes: usize,
) -> Result<(), DatasetError> {
    match labels.iter().position(|&label| label >= num_classes) {
        None => Ok(()),
        Some(index) => Err(DatasetError::LabelOutOfRange {
            place: place.to_string(),
            index,
            label: labels[index],
            first: 0,
            end: num_classes,
        }),
    }
}

/// Checks that `found` values make one sample of `shape` per label, and that samples are not empty.
pub(crate) fn check_value_count(
    place: &str,
    count: usize,
    shape: &[usize],
    found: usize,
) -> Result<(), DatasetError> {
    if count > 0 && shape.contains(&0) {
        let (place, shape) = (place.to_string(), shape.to_vec());
        return Err(DatasetError::EmptySamples { place, count, shape });
    }
    let product = if count == 0 {
        Some(0)
    } else {
        shape.iter().try_fold(count, |product, &size| product.checked_mul(size))
    };
    if product == Some(found) {
        return Ok(());
    }
    Err(DatasetError::ValueCount {
        place: place.to_string(),
        count,
        shape: shape.to_vec(),
        expected: product.unwrap_or(usize::MAX),
        found,
    })
}

/// Checks that `index` is one of `len` samples.
///
/// # Panics
/// If it is not.
#[track_caller]
pub(crate) fn assert_index(name: &str, index: usize, len: usize) {
    assert!(index < len, "{name}: expected a sample index below {len}, found {index}");
}
