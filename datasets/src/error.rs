//! The one error type of this crate.
//!
//! Every message names the file or the data set, the place in it, what was expected and what was
//! found.
//!
//! ```
//! use firebrick_datasets::LabelNoise;
//!
//! let error = LabelNoise::Symmetric { rate: 1.5 }.apply(&[0, 1], 2, 0).unwrap_err();
//! assert_eq!(error.to_string(), "noise rate: expected a number from 0 to 1, found 1.5");
//! ```

use std::io;
use std::path::PathBuf;

/// What can be wrong with a data set, with its file, or with the settings for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The operating system could not read a file or a folder.
    #[error("{}: cannot be read: {source}", file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// A folder holds no file of the kind that was looked for.
    #[error(
        "{}: no {wanted}: expected a file named {accepted}, found {}",
        folder.display(),
        list(found)
    )]
    MissingFile {
        /// The folder that was searched.
        folder: PathBuf,
        /// What was looked for, as in "images of the train part".
        wanted: String,
        /// The names that would have been taken.
        accepted: String,
        /// The first few names in the folder, sorted.
        found: Vec<String>,
    },

    /// A folder holds several data sets and no prefix says which one is meant.
    #[error(
        "{}: several data sets here: expected one, or a choice by `IdxOptions::with_prefix`, \
         found the prefixes {}",
        folder.display(),
        list(prefixes)
    )]
    SeveralPrefixes {
        /// The folder that was searched.
        folder: PathBuf,
        /// The prefixes of the file names, sorted; the empty one stands for names without prefix.
        prefixes: Vec<String>,
    },

    /// A file does not start like an IDX file.
    #[error(
        "{}: not an IDX file: expected the magic number {expected:#010x}, found {found:#010x}",
        file.display()
    )]
    WrongMagic {
        /// The file.
        file: PathBuf,
        /// The magic number of the kind of file that was asked for.
        expected: u32,
        /// The first four bytes of the file.
        found: u32,
    },

    /// An IDX file holds values that are not unsigned bytes.
    #[error(
        "{}: unsupported type of values: expected 0x08 (unsigned bytes), found {found:#04x}",
        file.display()
    )]
    UnsupportedType {
        /// The file.
        file: PathBuf,
        /// The third byte of the file.
        found: u8,
    },

    /// An IDX file has another number of dimensions than images (three) or labels (one).
    #[error(
        "{}: unsupported number of dimensions: expected {expected}, found {found} \
         (images have 3, labels have 1)",
        file.display()
    )]
    UnsupportedDimensions {
        /// The file.
        file: PathBuf,
        /// The number of dimensions of what was asked for.
        expected: u8,
        /// The fourth byte of the file.
        found: u8,
    },

    /// A file ends before its header says.
    #[error("{}: truncated: expected {expected} bytes, found {found}", file.display())]
    Truncated {
        /// The file.
        file: PathBuf,
        /// Bytes that header and data need, after decompression.
        expected: u64,
        /// Bytes that are there, after decompression.
        found: u64,
    },

    /// A file goes on after the data that its header announces.
    #[error("{}: trailing bytes: expected {expected} bytes, found at least {found}", file.display())]
    TrailingBytes {
        /// The file.
        file: PathBuf,
        /// Bytes that header and data need, after decompression.
        expected: u64,
        /// Bytes that are there at least, after decompression.
        found: u64,
    },

    /// A header announces more data than the file can possibly hold.
    #[error(
        "{}: impossible size: expected at most {limit} bytes of data in a file of this length, \
         found a header that announces {}",
        file.display(),
        sizes(dimensions)
    )]
    ImpossibleSize {
        /// The file.
        file: PathBuf,
        /// The largest number of bytes that a file of this length can hold.
        limit: u64,
        /// The dimensions in the header; their product is the number of bytes.
        dimensions: Vec<u32>,
    },

    /// A gzip file does not decompress.
    #[error("{}: corrupt gzip data after {position} decompressed bytes: {source}", file.display())]
    CorruptGzip {
        /// The file.
        file: PathBuf,
        /// Decompressed bytes before the fault was seen.
        position: u64,
        /// What the decoder said.
        source: io::Error,
    },

    /// The images and the labels of a data set differ in number.
    #[error(
        "{} and {}: expected as many labels as images, found {images} images and {labels} labels",
        images_file.display(),
        labels_file.display()
    )]
    CountMismatch {
        /// The file with the images.
        images_file: PathBuf,
        /// The file with the labels.
        labels_file: PathBuf,
        /// Number of images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },

    /// Samples without a single value.
    #[error("{place}: expected samples of at least one value, found {count} of shape {shape:?}")]
    EmptySamples {
        /// The file or the data set.
        place: String,
        /// Number of samples.
        count: usize,
        /// Shape of one sample.
        shape: Vec<usize>,
    },

    /// A data set's values do not fill its samples.
    #[error(
        "{place}: expected {expected} values ({count} labels, samples of shape {shape:?}), \
         found {found}"
    )]
    ValueCount {
        /// The data set.
        place: String,
        /// Number of labels.
        count: usize,
        /// Shape of one sample.
        shape: Vec<usize>,
        /// Values needed; the largest number there is where the product overflows.
        expected: usize,
        /// Values given.
        found: usize,
    },

    /// The value that stands for white is zero.
    #[error("{place}: expected a largest pixel value of at least 1, found 0")]
    ZeroMaxValue {
        /// The data set.
        place: String,
    },

    /// A pixel is brighter than the largest value allowed.
    #[error("{place}: pixel {index}: expected a value up to {max_value}, found {value}")]
    PixelTooLarge {
        /// The data set.
        place: String,
        /// Position in the pixels of the whole set.
        index: usize,
        /// The pixel.
        value: u8,
        /// The largest value allowed.
        max_value: u8,
    },

    /// A feature is infinite or not a number.
    #[error("{place}: sample {sample}, feature {feature}: expected a finite number, found {value}")]
    NotFinite {
        /// The data set.
        place: String,
        /// The sample.
        sample: usize,
        /// Position in the sample.
        feature: usize,
        /// What stands there.
        value: f32,
    },

    /// A label names a class that does not exist.
    #[error("{place}: label {index}: expected {first} <= label < {end}, found {label}")]
    LabelOutOfRange {
        /// The file or the data set.
        place: String,
        /// Position of the label.
        index: usize,
        /// The label as it stands there.
        label: usize,
        /// The smallest label allowed.
        first: usize,
        /// One more than the largest label allowed.
        end: usize,
    },

    /// There are more or fewer labels than samples.
    #[error("{place}: expected {expected} labels, found {found}")]
    LabelCount {
        /// The file or the data set.
        place: String,
        /// Number of samples.
        expected: usize,
        /// Number of labels.
        found: usize,
    },

    /// A line of a file with labels is not what it should be.
    #[error("{}: line {line}: expected {expected}, found {found}", file.display())]
    LabelLine {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },

    /// A file with labels has no column of the name asked for, or several and none was asked for.
    #[error("{}: expected {expected}, found the columns {}", file.display(), list(found))]
    LabelColumn {
        /// The file.
        file: PathBuf,
        /// The column, in words.
        expected: String,
        /// The columns that are there.
        found: Vec<String>,
    },

    /// The length of a file is no multiple of the length of its records.
    #[error(
        "{}: expected records of {record} bytes each, found {found} bytes in all, which is no \
         multiple",
        file.display()
    )]
    PartialRecord {
        /// The file.
        file: PathBuf,
        /// Length of one record.
        record: u64,
        /// Length of the file.
        found: u64,
    },

    /// Label noise was asked for among fewer than two classes.
    #[error("label noise: expected at least two classes, found {found}")]
    TooFewClasses {
        /// Number of classes given.
        found: usize,
    },

    /// A noise rate is not a probability.
    #[error("noise rate: expected a number from 0 to 1, found {found}")]
    RateOutOfRange {
        /// The rate given.
        found: f64,
    },

    /// A class map does not fit the number of classes.
    #[error("label noise: expected {expected}, found {found} classes")]
    ClassMap {
        /// What the map needs.
        expected: String,
        /// Number of classes given.
        found: usize,
    },

    /// A text does not describe label noise.
    #[error(
        "label noise: expected \"none\", \"symmetric:RATE\", \"symmetric-inclusive:RATE\", \
         \"pair:RATE\", \"cifar10:RATE\", \"cifar100:RATE\", \"cifar100-pair:RATE\", \
         \"superclass:SIZE:RATE\" or \"superclass-pair:SIZE:RATE\", found \"{found}\""
    )]
    UnknownNoise {
        /// The text given.
        found: String,
    },

    /// A density in the plane that none has the name of.
    #[error("planar density: expected \"checkerboard\" or \"8gaussians\", found \"{found}\"")]
    UnknownDensity {
        /// The text given.
        found: String,
    },

    /// A setting of a generator, or a part of given data, does not make a data set.
    #[error("{place}: {what}: expected {expected}, found {found}")]
    Unsuitable {
        /// The data set.
        place: &'static str,
        /// The setting or the part.
        what: String,
        /// The rule.
        expected: String,
        /// What was given.
        found: String,
    },

    /// A graph names a node that it does not have.
    #[error("{place}: {list} {index}: expected a node below {num_nodes}, found {node}")]
    NodeOutOfRange {
        /// The graph or its file.
        place: String,
        /// The list in which it stands, as in "source".
        list: &'static str,
        /// Position in the list.
        index: usize,
        /// The node as it stands there.
        node: usize,
        /// Number of nodes.
        num_nodes: usize,
    },

    /// A list that belongs to a graph is too long or too short.
    #[error("{place}: {list}: expected {expected}, found {found}")]
    GraphLength {
        /// The graph or its file.
        place: String,
        /// The list.
        list: &'static str,
        /// Length it must have.
        expected: usize,
        /// Length it has.
        found: usize,
    },

    /// A value that belongs to a graph is not allowed.
    #[error("{place}: {list} {index}: expected {expected}, found {found}")]
    GraphValue {
        /// The graph or its file.
        place: String,
        /// The list in which it stands, as in "weight".
        list: &'static str,
        /// Position in the list.
        index: usize,
        /// The rule.
        expected: String,
        /// What stands there.
        found: String,
    },

    /// A pickled file holds something else than the citation networks' files, or is damaged.
    #[error("{}: byte {offset}: expected {expected}, found {found}", file.display())]
    Pickle {
        /// The file.
        file: PathBuf,
        /// Where in the file the object or the instruction starts.
        offset: usize,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },

    /// A line of a text file is not what it should be.
    #[error("{}: line {line}: expected {expected}, found {found}", file.display())]
    TextLine {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },

    /// A file is larger than any that is read.
    #[error("{}: expected at most {limit} bytes, found {found}", file.display())]
    FileTooLarge {
        /// The file.
        file: PathBuf,
        /// The largest number of bytes that is read.
        limit: u64,
        /// Bytes that are there at least, after decompression.
        found: u64,
    },

    /// An archive of arrays (`.npz`) is damaged or holds other arrays than those asked for.
    #[error("{}: {part}: expected {expected}, found {found}", file.display())]
    Archive {
        /// The file.
        file: PathBuf,
        /// The array, or the part of the archive.
        part: String,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },

    /// Features are needed of nodes whose features the files do not have.
    #[error("{place}: expected features of all {nodes} nodes, found none of the nodes {missing}")]
    MissingFeatures {
        /// The data set.
        place: String,
        /// Number of nodes.
        nodes: usize,
        /// The nodes without features.
        missing: String,
    },

    /// The parts of a split need more samples than there are.
    #[error("split: expected parts of at most {available} samples together, found {requested}")]
    SplitTooLarge {
        /// Samples to divide.
        available: usize,
        /// Sum of the sizes; the largest number there is where the sum overflows.
        requested: usize,
    },
}

/// Writes names as a list, and the empty list in words.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_string();
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    quoted.join(", ")
}

/// Writes dimensions as a product.
fn sizes(dimensions: &[u32]) -> String {
    let factors: Vec<String> = dimensions.iter().map(u32::to_string).collect();
    factors.join(" x ")
}

#[cfg(test)]
mod tests;
