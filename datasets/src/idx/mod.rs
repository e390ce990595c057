//! The IDX format of MNIST and its relatives.
//!
//! A file is a header of big-endian 32-bit numbers followed by unsigned bytes:
//!
//! ```text
//! images   0x00000803   count   height   width   count * height * width pixels
//! labels   0x00000801   count                    count labels
//! ```
//!
//! Files may be plain or compressed with gzip; the first two bytes tell, not the name. [`load`]
//! finds the files of one part in a folder, [`read_images`] and [`read_labels`] take one file.
//!
//! # Hostile files
//!
//! No file causes a panic. Memory follows the data that is really there, not the header: a plain
//! file must have exactly the length that its header announces before memory is taken, and a
//! compressed file is unpacked piece by piece, up to the size in its header. Reading takes at most
//! twice the (unpacked) size of the file and some kilobytes.
//!
//! # References
//! Y. LeCun, C. Cortes and C. J. C. Burges, *The MNIST database of handwritten digits*, 1998.
//!
//! # Example
//!
//! ```no_run
//! use firebrick_datasets::LabeledSamples;
//! use firebrick_datasets::idx::{self, IdxOptions, Part};
//!
//! let train = idx::load("data/fashion-mnist", Part::Train, &IdxOptions::default())?;
//! let test = idx::load("data/fashion-mnist", Part::Test, &IdxOptions::default())?;
//! println!("{} and {} images of {:?}", train.len(), test.len(), train.shape());
//!
//! // The letters of EMNIST are numbered from 1 and their images lie on their side.
//! let options =
//!     IdxOptions::default().with_prefix("emnist-letters").with_label_offset(1).with_transposed(true);
//! let letters = idx::load("data/emnist", Part::Train, &options)?;
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```

pub(crate) mod format;
mod layout;
mod load;

pub use format::{IdxImages, read_images, read_labels};
pub use load::{IdxOptions, Part, load};
