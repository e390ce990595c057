//! What can be wrong with the input of a label-noise analysis.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_place_what_was_expected_and_what_was_found() {
        let error = LabelNoiseError::WrongLength { what: "labels", expected: 4, found: 5 };
        assert_eq!(error.to_string(), "labels: expected 4 numbers, found 5");
    }
}
