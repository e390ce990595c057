//! Labeled images of one size, kept as bytes.
//!
//! A pixel is a byte `p` from 0 to `max_value`; as a sample it becomes `p / max_value`, from 0 to 1.
//! Images lie one after the other, each in the order channel, row, column.
//!
//! ```
//! use firebrick_datasets::{ImageSet, LabeledSamples};
//!
//! // Two gray images of 1 x 2 pixels.
//! let set = ImageSet::new("dots", vec![0, 255, 51, 0], 255, [1, 1, 2], vec![1, 0], 2)?;
//! assert_eq!(set.image(1), [51, 0]);
//! assert_eq!(set.sample(1), [0.2, 0.0]);
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```

use std::fmt;

use crate::samples::{assert_index, check_labels, check_value_count};
use crate::{DatasetError, LabeledSamples};

/// Labeled images of one size.
///
/// The fields are private and checked by [`new`](Self::new), so that a set that exists is
/// consistent: pixels, shape and labels fit together, and every label is below the number of
/// classes.
#[derive(Clone, PartialEq)]
pub struct ImageSet {
    name: String,
    pixels: Vec<u8>,
    max_value: u8,
    shape: [usize; 3],
    labels: Vec<usize>,
    num_classes: usize,
}

impl ImageSet {
    /// Checks the parts and joins them to a set.
    ///
    /// - `name`: what messages call this set
    /// - `pixels`: row-major `[labels.len(), channels, height, width]`
    /// - `max_value`: the largest value that a pixel may have; it becomes 1.0 in a sample
    /// - `shape`: `[channels, height, width]`
    /// - `labels`: the class of each image
    /// - `num_classes`: number of classes
    ///
    /// # Errors
    /// If `max_value` is zero, a pixel is larger, the number of pixels is not the product of the
    /// sizes, there are images without pixels, or a label is not below `num_classes`.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::ImageSet;
    ///
    /// let error = ImageSet::new("dots", vec![0; 3], 255, [1, 1, 2], vec![1, 0], 2).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "dots: expected 4 values (2 labels, samples of shape [1, 1, 2]), found 3"
    /// );
    /// ```
    pub fn new(
        name: impl Into<String>,
        pixels: Vec<u8>,
        max_value: u8,
        shape: [usize; 3],
        labels: Vec<usize>,
        num_classes: usize,
    ) -> Result<Self, DatasetError> {
        let name = name.into();
        check_value_count(&name, labels.len(), &shape, pixels.len())?;
        check_labels(&name, &labels, num_classes)?;
        if max_value == 0 {
            return Err(DatasetError::ZeroMaxValue { place: name });
        }
        if let Some(index) = pixels.iter().position(|&pixel| pixel > max_value) {
            let value = pixels[index];
            return Err(DatasetError::PixelTooLarge { place: name, index, value, max_value });
        }
        Ok(Self { name, pixels, max_value, shape, labels, num_classes })
    }

    /// What messages call this set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All pixels, row-major `[len, channels, height, width]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The largest value that a pixel may have: 255 in most sets, 16 in the embedded digits.
    pub fn max_value(&self) -> u8 {
        self.max_value
    }

    /// `[channels, height, width]` of every image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Pixels of one image, row-major `[channels, height, width]`, from 0 to
    /// [`max_value`](Self::max_value).
    ///
    /// # Panics
    /// If `index` is not smaller than the number of images.
    pub fn image(&self, index: usize) -> &[u8] {
        assert_index(&self.name, index, self.labels.len());
        let size: usize = self.shape.iter().product();
        &self.pixels[index * size..][..size]
    }

    /// The images at `indices`, in that order, as a set of their own. An index may occur several
    /// times. Name, shape and number of classes stay.
    ///
    /// # Panics
    /// If an index is not smaller than the number of images.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::{LabeledSamples, digits};
    ///
    /// let zeros_and_ones: Vec<usize> =
    ///     (0..digits().len()).filter(|&index| digits().labels()[index] < 2).take(4).collect();
    /// assert_eq!(digits().subset(&zeros_and_ones).labels(), [0, 1, 0, 1]);
    /// ```
    pub fn subset(&self, indices: &[usize]) -> Self {
        let size: usize = self.shape.iter().product();
        let mut pixels = Vec::with_capacity(indices.len() * size);
        for &index in indices {
            pixels.extend_from_slice(self.image(index));
        }
        Self {
            name: self.name.clone(),
            pixels,
            max_value: self.max_value,
            shape: self.shape,
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
            num_classes: self.num_classes,
        }
    }
}

impl LabeledSamples for ImageSet {
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
        let scale = f32::from(self.max_value);
        self.image(index).iter().map(|&pixel| f32::from(pixel) / scale).collect()
    }

    fn labels(&self) -> &[usize] {
        &self.labels
    }
}

/// Shows sizes, not pixels.
impl fmt::Debug for ImageSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ImageSet")
            .field("name", &self.name)
            .field("len", &self.labels.len())
            .field("shape", &self.shape)
            .field("max_value", &self.max_value)
            .field("num_classes", &self.num_classes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn three_images() -> ImageSet {
        let pixels = (0..12).collect();
        ImageSet::new("steps", pixels, 11, [2, 1, 2], vec![0, 2, 1], 3).unwrap()
    }

    #[test]
    fn scales_pixels_by_the_largest_value() {
        let sample = three_images().sample(2);
        assert_eq!(sample, [8.0 / 11.0, 9.0 / 11.0, 10.0 / 11.0, 1.0]);
    }

    #[test]
    fn subset_keeps_order_repeats_and_classes() {
        let subset = three_images().subset(&[2, 0, 2]);
        assert_eq!(subset.labels(), [1, 0, 1]);
        assert_eq!(subset.pixels(), [8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
        assert_eq!(subset.num_classes(), 3);
        assert!(three_images().subset(&[]).is_empty());
    }

    #[test]
    fn refuses_parts_that_do_not_fit() {
        let new = |pixels, max, shape, labels| ImageSet::new("set", pixels, max, shape, labels, 2);
        let message = |result: Result<ImageSet, DatasetError>| result.unwrap_err().to_string();
        assert!(matches!(
            new(vec![0; 5], 1, [1, 2, 2], vec![0]),
            Err(DatasetError::ValueCount { expected: 4, found: 5, .. })
        ));
        assert!(matches!(
            new(vec![0; 5], 1, [usize::MAX, 2, 2], vec![0]),
            Err(DatasetError::ValueCount { expected: usize::MAX, .. })
        ));
        assert!(message(new(vec![], 1, [1, 0, 2], vec![0])).contains("at least one value"));
        assert!(message(new(vec![0], 0, [1, 1, 1], vec![0])).contains("at least 1, found 0"));
        assert_eq!(
            message(new(vec![1, 3], 2, [1, 1, 1], vec![0, 1])),
            "set: pixel 1: expected a value up to 2, found 3"
        );
        assert_eq!(
            message(new(vec![1, 3], 3, [1, 1, 1], vec![0, 2])),
            "set: label 1: expected 0 <= label < 2, found 2"
        );
    }

    #[test]
    fn a_set_may_be_empty() {
        let set = ImageSet::new("none", vec![], 255, [1, 0, 0], vec![], 0).unwrap();
        assert!(set.is_empty());
    }

    #[test]
    #[should_panic(expected = "steps: expected a sample index below 3, found 3")]
    fn panics_with_a_sentence_beyond_the_last_image() {
        three_images().sample(3);
    }

    #[test]
    fn debug_output_is_short() {
        assert_eq!(
            format!("{:?}", three_images()),
            "ImageSet { name: \"steps\", len: 3, shape: [2, 1, 2], max_value: 11, \
             num_classes: 3, .. }"
        );
    }
}
