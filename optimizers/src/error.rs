use std::path::PathBuf;

use burn::store::RecordError;

use crate::sop::LabelFingerprint;

/// What can be wrong with a file or a record from outside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptimizerError {
    /// A file could not be written, renamed or found.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is no record, or a record of something else.
    #[error("{path}: not a record of this state ({source})")]
    Record {
        /// The file.
        path: PathBuf,
        /// What Burn's reader said.
        source: RecordError,
    },
    /// A file is not of the kind that was expected, cut off, or holds impossible numbers.
    #[error("{path}: byte {position}: expected {expected}, found {found}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        position: usize,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A noise state belongs to other labels than the ones it is used with.
    #[error("{place}: the noise state belongs to {found}, but the labels in use are {expected}")]
    WrongLabels {
        /// The file, or the module that was loaded.
        place: String,
        /// Fingerprint of the labels in use.
        expected: LabelFingerprint,
        /// Fingerprint that the state carries.
        found: LabelFingerprint,
    },
    /// An optimizer state belongs to another model.
    #[error(
        "{path}: {name} has the shape {found:?}, but {}",
        match expected {
            Some(shape) => format!("the parameter has the shape {shape:?}"),
            None => "the module has no parameter with this id".into(),
        }
    )]
    WrongParameter {
        /// The file.
        path: PathBuf,
        /// The tensor of the state: the parameter's id and the field.
        name: String,
        /// Shape of the parameter; `None` if the module has no such parameter.
        expected: Option<Vec<usize>>,
        /// Shape of the state.
        found: Vec<usize>,
    },
}
