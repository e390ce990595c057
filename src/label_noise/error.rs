//! What can be wrong with the input of a label-noise analysis.

use firebrick_optimizers::sop::LabelFingerprint;

/// The reason why an analysis in this folder refuses its input.
///
/// # Example
/// ```
/// use firebrick::label_noise::LinearSop;
///
/// let error = LinearSop::new(2, 1, vec![1.0, 0.5], vec![1.0]).unwrap_err();
/// assert_eq!(error.to_string(), "labels: expected 2 numbers, found 1");
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelNoiseError {
    /// An analysis was asked about nothing.
    #[error("{what}: expected at least one, found none")]
    Empty {
        /// What there is none of, as in "samples".
        what: &'static str,
    },

    /// A slice does not have the length that the sizes ask for.
    #[error("{what}: expected {expected} numbers, found {found}")]
    WrongLength {
        /// The name of the slice.
        what: &'static str,
        /// The length that the sizes ask for.
        expected: usize,
        /// The length of the slice.
        found: usize,
    },

    /// An entry of a slice is infinite or not a number.
    #[error("{what}, entry {index}: expected a finite number, found {value}")]
    NotFinite {
        /// The name of the slice.
        what: &'static str,
        /// The position in the slice.
        index: usize,
        /// The entry found.
        value: f64,
    },

    /// A setting lies outside its range.
    #[error("{what}: expected {expected}, found {found}")]
    InvalidSetting {
        /// The name of the setting.
        what: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value found.
        found: f64,
    },

    /// An entry of a slice lies outside its range.
    #[error("{what}, entry {index}: expected {expected}, found {found}")]
    OutOfRange {
        /// What the entry is, as in "given label".
        what: &'static str,
        /// The position in the slice.
        index: usize,
        /// The range, in words.
        expected: String,
        /// The entry found.
        found: f64,
    },

    /// A noise state was made for other labels.
    #[error("given labels: expected {expected}, found {found}")]
    OtherLabels {
        /// What the state was made for.
        expected: LabelFingerprint,
        /// The labels given.
        found: LabelFingerprint,
    },

    /// A size is larger than the sizes around it permit.
    #[error("{what}: expected at most {limit}, found {found}")]
    TooLarge {
        /// The name of the size.
        what: &'static str,
        /// The largest value permitted.
        limit: usize,
        /// The value found.
        found: usize,
    },
}

/// Checks that the entries of a slice are labels of `num_classes` classes.
pub(super) fn check_labels(
    what: &'static str,
    labels: &[usize],
    num_classes: usize,
) -> Result<(), LabelNoiseError> {
    match labels.iter().position(|&label| label >= num_classes) {
        None => Ok(()),
        Some(index) => Err(LabelNoiseError::OutOfRange {
            what,
            index,
            expected: format!("a class below {num_classes}"),
            found: labels[index] as f64,
        }),
    }
}

/// Checks that the entries of a slice are numbers from 0 to 1, give or take `slack`.
pub(super) fn check_unit(
    what: &'static str,
    values: &[f64],
    slack: f64,
) -> Result<(), LabelNoiseError> {
    let possible = -slack..=1.0 + slack;
    match values.iter().position(|value| !possible.contains(value)) {
        None => Ok(()),
        Some(index) => Err(LabelNoiseError::OutOfRange {
            what,
            index,
            expected: "a number from 0 to 1".into(),
            found: values[index],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_place_what_was_expected_and_what_was_found() {
        let error = LabelNoiseError::WrongLength { what: "labels", expected: 4, found: 5 };
        assert_eq!(error.to_string(), "labels: expected 4 numbers, found 5");
    }
}
