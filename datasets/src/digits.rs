//! The embedded handwritten digits.
//!
//! 1,797 gray images of 8 x 8 pixels with values 0 to 16, in ten classes of about 180: the test
//! part of *Optical Recognition of Handwritten Digits*, in the order in which scikit-learn
//! distributes it. The data is part of the library (44 kB) and is decoded by [`idx`](crate::idx).
//!
//! # License and reference
//! CC BY 4.0. E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine
//! Learning Repository, 1998, <https://doi.org/10.24432/C50P49>.
//!
//! ```
//! use firebrick_datasets::{LabeledSamples, digits};
//!
//! let set = digits();
//! assert_eq!((set.len(), set.num_classes(), set.shape()), (1797, 10, [1, 8, 8]));
//! ```

use std::path::Path;

use crate::ImageSet;
use crate::idx::format::{IdxImages, parse_images, parse_labels};

const IMAGES: &[u8] = include_bytes!("../data/digits-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../data/digits-labels-idx1-ubyte.gz");

/// Largest pixel value: the number of dots in the 4 x 4 block of the scan that a pixel counts.
const MAX_VALUE: u8 = 16;
const NUM_CLASSES: usize = 10;

/// The 1,797 embedded images of handwritten digits: shape `[1, 8, 8]`, pixels 0 to 16, classes 0
/// to 9.
///
/// Decodes the data anew on each call, which takes about a millisecond.
///
/// # Example
/// ```
/// use firebrick_datasets::{LabeledSamples, digits};
///
/// let set = digits();
/// for row in set.image(0).chunks(8) {
///     println!("{row:2?}");
/// }
/// assert_eq!(set.labels()[0], 0);
/// ```
pub fn digits() -> ImageSet {
    const VALID: &str = "the embedded files never change and are read in this crate's tests";
    let IdxImages { height, width, pixels, .. } =
        parse_images(IMAGES, IMAGES.len() as u64, Path::new("embedded digits, images"))
            .expect(VALID);
    let labels = parse_labels(LABELS, LABELS.len() as u64, Path::new("embedded digits, labels"))
        .expect(VALID);
    let labels = labels.into_iter().map(usize::from).collect();
    ImageSet::new("digits", pixels, MAX_VALUE, [1, height, width], labels, NUM_CLASSES)
        .expect(VALID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabeledSamples;

    #[test]
    fn classes_have_the_published_sizes() {
        let mut counts = [0; 10];
        for &label in digits().labels() {
            counts[label] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn first_image_is_the_published_zero() {
        let set = digits();
        assert_eq!(set.image(0)[..16], [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]);
        assert_eq!(set.labels()[0], 0);
        assert_eq!(set.sample(0)[2], 5.0 / 16.0);
    }

    #[test]
    fn pixels_reach_the_largest_value() {
        assert_eq!(digits().pixels().iter().max(), Some(&16));
    }
}
