//! One part of a data set from a folder in one of MNIST's layouts.

use std::fmt;
use std::path::Path;

use super::format::{IdxImages, read_images, read_labels};
use super::layout::{Content, Layout};
use crate::{DatasetError, ImageSet};

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The samples to train on; files named `train`.
    Train,
    /// The samples to test on; files named `t10k` or `test`.
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// How [`load`] reads a folder. The defaults fit MNIST, Fashion-MNIST and KMNIST.
///
/// | option | default | for |
/// |---|---|---|
/// | `num_classes` | counted | sets whose last class may be missing from the files |
/// | `label_offset` | 0 | labels that do not start at 0: EMNIST letters need 1 |
/// | `transposed` | `false` | images stored column by column: EMNIST |
/// | `prefix` | the only one there | folders with several data sets |
///
/// # Example
/// ```
/// use firebrick_datasets::idx::IdxOptions;
///
/// let letters = IdxOptions::default()
///     .with_num_classes(26)
///     .with_label_offset(1)
///     .with_transposed(true)
///     .with_prefix("emnist-letters");
/// assert_eq!(letters.prefix.as_deref(), Some("emnist-letters"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct IdxOptions {
    /// Number of classes. `None`: one more than the largest label (less the offset) of the train
    /// part, or of the part that is loaded where the folder has no labels of a train part.
    pub num_classes: Option<usize>,
    /// Label of the first class; subtracted from every label.
    pub label_offset: usize,
    /// Whether the files hold each image column by column. The header then names the columns first.
    pub transposed: bool,
    /// Beginning of the file names, with or without the separator at its end; empty for names
    /// without prefix. `None`: the only one in the folder.
    pub prefix: Option<String>,
}

impl IdxOptions {
    /// Sets the number of classes.
    pub fn with_num_classes(mut self, num_classes: usize) -> Self {
        self.num_classes = Some(num_classes);
        self
    }

    /// Sets the label of the first class.
    pub fn with_label_offset(mut self, label_offset: usize) -> Self {
        self.label_offset = label_offset;
        self
    }

    /// Sets whether images are stored column by column.
    pub fn with_transposed(mut self, transposed: bool) -> Self {
        self.transposed = transposed;
        self
    }

    /// Chooses the files whose names begin with `prefix`.
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }
}

/// Loads one part of a data set from the folder `dir`.
///
/// Takes the files named
///
/// ```text
/// [PREFIX-]{train|t10k|test}-images[-.]idx3-ubyte[.gz]
/// [PREFIX-]{train|t10k|test}-labels[-.]idx1-ubyte[.gz]
/// ```
///
/// Of several files for the same thing a plain one goes before a compressed one, then `t10k` before
/// `test`. The set is gray (one channel) and is named after the prefix, or else after the folder,
/// and the part, as in `fashion-mnist/train`.
///
/// # Errors
/// If a file is missing or cannot be read, is damaged in one of the ways that [`read_images`] and
/// [`read_labels`] list, images and labels differ in number, a label is below the offset or not
/// below the number of classes above it, or the folder has several prefixes and the options name
/// none.
///
/// # Example
/// ```
/// use firebrick_datasets::LabeledSamples;
/// use firebrick_datasets::idx::{self, IdxOptions, Part};
///
/// let folder = tempfile::tempdir()?;
/// let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
/// // Two images of 1 x 2 pixels and their labels.
/// write("train-images-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 255, 0, 0, 51])?;
/// write("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2, 1, 0])?;
///
/// let set = idx::load(&folder, Part::Train, &IdxOptions::default())?;
/// assert_eq!(set.sample(1), [0.0, 0.2]);
/// assert_eq!((set.labels(), set.num_classes()), (&[1, 0][..], 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(
    dir: impl AsRef<Path>,
    part: Part,
    options: &IdxOptions,
) -> Result<ImageSet, DatasetError> {
    let layout = Layout::scan(dir.as_ref(), options.prefix.as_deref())?;
    let images_file = layout.require(part, Content::Images)?;
    let labels_file = layout.require(part, Content::Labels)?;
    let stored = read_labels(&labels_file)?;
    let num_classes = match options.num_classes {
        Some(num_classes) => num_classes,
        None => count_classes(&layout, part, &stored, options.label_offset)?,
    };
    let labels = shift_labels(&labels_file, &stored, options.label_offset, num_classes)?;
    let images = read_images(&images_file)?;
    if images.count != labels.len() {
        let (images, labels) = (images.count, labels.len());
        return Err(DatasetError::CountMismatch { images_file, labels_file, images, labels });
    }
    let IdxImages { height, width, pixels, .. } =
        if options.transposed { transpose(images) } else { images };
    let name = format!("{}/{part}", set_name(dir.as_ref(), layout.prefix()));
    ImageSet::new(name, pixels, u8::MAX, [1, height, width], labels, num_classes)
}

/// One more than the largest class of the train part, or of `stored` where there is none.
fn count_classes(
    layout: &Layout,
    part: Part,
    stored: &[u8],
    offset: usize,
) -> Result<usize, DatasetError> {
    let of_train = match layout.find(Part::Train, Content::Labels) {
        Some(file) if part != Part::Train => Some(read_labels(file)?),
        _ => None,
    };
    let largest = of_train.as_deref().unwrap_or(stored).iter().max();
    Ok(largest.map_or(0, |&label| (usize::from(label) + 1).saturating_sub(offset)))
}

/// Subtracts the offset from every label and checks that the class exists.
fn shift_labels(
    file: &Path,
    stored: &[u8],
    offset: usize,
    num_classes: usize,
) -> Result<Vec<usize>, DatasetError> {
    let shift = |(index, &label): (usize, &u8)| {
        let label = usize::from(label);
        label.checked_sub(offset).filter(|&class| class < num_classes).ok_or_else(|| {
            DatasetError::LabelOutOfRange {
                place: file.display().to_string(),
                index,
                label,
                first: offset,
                end: offset.saturating_add(num_classes),
            }
        })
    };
    stored.iter().enumerate().map(shift).collect()
}

/// Turns images that are stored column by column into row-major ones, one image at a time.
fn transpose(mut images: IdxImages) -> IdxImages {
    let (height, width) = (images.width, images.height);
    if height > 0 && width > 0 {
        let mut columns = vec![0; height * width];
        for image in images.pixels.chunks_exact_mut(height * width) {
            columns.copy_from_slice(image);
            for (position, pixel) in image.iter_mut().enumerate() {
                *pixel = columns[position % width * height + position / width];
            }
        }
    }
    IdxImages { height, width, ..images }
}

fn set_name(dir: &Path, prefix: &str) -> String {
    if !prefix.is_empty() {
        return prefix.to_string();
    }
    dir.file_name().map_or_else(|| "idx".to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::LabeledSamples;
    use std::fs;
    use tempfile::TempDir;

    fn image_file(sizes: [u32; 3], pixels: &[u8]) -> Vec<u8> {
        let sizes = sizes.into_iter().flat_map(u32::to_be_bytes);
        [0, 0, 8, 3].into_iter().chain(sizes).chain(pixels.iter().copied()).collect()
    }

    fn label_file(labels: &[u8]) -> Vec<u8> {
        let count = (labels.len() as u32).to_be_bytes();
        [0, 0, 8, 1].into_iter().chain(count).chain(labels.iter().copied()).collect()
    }

    /// A folder with a part of images of 2 x 1 pixels.
    fn add_part(folder: &TempDir, part: &str, labels: &[u8]) {
        let pixels: Vec<u8> = (0..2 * labels.len() as u8).collect();
        let images = image_file([labels.len() as u32, 2, 1], &pixels);
        let path = |what| folder.path().join(format!("{part}-{what}-ubyte"));
        fs::write(path("images-idx3"), images).unwrap();
        fs::write(path("labels-idx1"), label_file(labels)).unwrap();
    }

    #[test]
    fn counts_the_classes_of_the_train_part() {
        let folder = tempfile::tempdir().unwrap();
        add_part(&folder, "train", &[0, 4, 2]);
        add_part(&folder, "t10k", &[1, 0]);
        let test = load(&folder, Part::Test, &IdxOptions::default()).unwrap();
        assert_eq!((test.num_classes(), test.labels()), (5, &[1, 0][..]));
        assert_eq!(test.shape(), [1, 2, 1]);
        assert!(test.name().ends_with("/test"));

        let alone = tempfile::tempdir().unwrap();
        add_part(&alone, "test", &[1, 0]);
        assert_eq!(load(&alone, Part::Test, &IdxOptions::default()).unwrap().num_classes(), 2);
    }

    #[test]
    fn names_the_file_and_position_of_a_label_out_of_range() {
        let folder = tempfile::tempdir().unwrap();
        add_part(&folder, "train", &[1, 2]);
        add_part(&folder, "test", &[1, 3]);
        let message = |part, options: &IdxOptions| {
            let message = load(&folder, part, options).unwrap_err().to_string();
            message.rsplit('/').next().unwrap().to_string()
        };
        assert_eq!(
            message(Part::Test, &IdxOptions::default()),
            "test-labels-idx1-ubyte: label 1: expected 0 <= label < 3, found 3"
        );
        assert_eq!(
            message(Part::Train, &IdxOptions::default().with_label_offset(2)),
            "train-labels-idx1-ubyte: label 0: expected 2 <= label < 3, found 1"
        );
        assert_eq!(
            message(Part::Train, &IdxOptions::default().with_num_classes(2)),
            "train-labels-idx1-ubyte: label 1: expected 0 <= label < 2, found 2"
        );
    }

    #[test]
    fn reads_letters_that_start_at_one_and_lie_on_their_side() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(format!("emnist-letters-train-{name}-ubyte"));
        // The image 1 2 3 / 4 5 6, stored column by column: three columns of two pixels.
        fs::write(path("images-idx3"), image_file([1, 3, 2], &[1, 4, 2, 5, 3, 6])).unwrap();
        fs::write(path("labels-idx1"), label_file(&[26])).unwrap();
        let options = IdxOptions::default().with_label_offset(1).with_transposed(true);
        let set = load(&folder, Part::Train, &options).unwrap();
        assert_eq!((set.shape(), set.image(0)), ([1, 2, 3], &[1, 2, 3, 4, 5, 6][..]));
        assert_eq!((set.labels(), set.num_classes()), (&[25][..], 26));
        assert_eq!(set.name(), "emnist-letters/train");
    }

    #[test]
    fn names_both_files_when_counts_disagree() {
        let folder = tempfile::tempdir().unwrap();
        add_part(&folder, "train", &[0, 1]);
        let labels = folder.path().join("train-labels-idx1-ubyte");
        fs::write(labels, label_file(&[0, 1, 1])).unwrap();
        let message = load(&folder, Part::Train, &IdxOptions::default()).unwrap_err().to_string();
        assert!(message.contains("train-images-idx3-ubyte and "), "{message}");
        assert!(message.ends_with("found 2 images and 3 labels"), "{message}");
    }

    #[test]
    fn loads_parts_without_samples() {
        let folder = tempfile::tempdir().unwrap();
        add_part(&folder, "train", &[]);
        for transposed in [false, true] {
            let options = IdxOptions::default().with_transposed(transposed);
            assert!(load(&folder, Part::Train, &options).unwrap().is_empty());
        }
    }
}
