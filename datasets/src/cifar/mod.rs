//! CIFAR-10 and CIFAR-100 in their binary form.
//!
//! A file is a row of records without a header; a record is one or two labels and the pixels of a
//! color image of 32 x 32, in the order channel, row, column:
//!
//! ```text
//! CIFAR-10    label   3072 pixels                  data_batch_1.bin ... data_batch_5.bin, test_batch.bin
//! CIFAR-100   superclass   class   3072 pixels     train.bin, test.bin
//! ```
//!
//! [`load_cifar10`] and [`load_cifar100`] find the files of one part in a folder,
//! [`read_records`] takes one file.
//!
//! # Hostile files
//! No file causes a panic: its length must be a multiple of the record's before memory is taken,
//! and every label is checked. Reading takes at most twice the size of the files and some kilobytes.
//!
//! # References
//! A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009,
//! <https://www.cs.toronto.edu/~kriz/cifar.html> (the "binary version").
//!
//! # Example
//! ```no_run
//! use firebrick_datasets::LabeledSamples;
//! use firebrick_datasets::cifar::{self, Cifar100Labels};
//! use firebrick_datasets::idx::Part;
//!
//! let train = cifar::load_cifar10("data/cifar-10-batches-bin", Part::Train)?;
//! println!("{} images of {:?}", train.len(), train.shape());
//! let coarse = cifar::load_cifar100("data", Part::Test, Cifar100Labels::Coarse)?;
//! assert_eq!(coarse.num_classes(), 20);
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```

mod classes;
mod load;

pub use classes::{
    CIFAR10_CLASSES, CIFAR100_CLASSES, CIFAR100_SUPERCLASS_OF, CIFAR100_SUPERCLASSES,
};
pub use load::{
    Cifar100Labels, CifarKind, CifarRecords, load_cifar10, load_cifar100, read_records,
};
