//! What can be wrong with the input of a certificate.

/// The reason why a certificate refuses its input.
///
/// # Example
/// ```
/// use firebrick::certificates::Certifier;
///
/// let error = Certifier::new(0.0).unwrap_err();
/// assert_eq!(error.to_string(), "lipschitz: expected a positive number, found 0");
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
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

    /// A report was asked for about no samples.
    #[error("{what}: expected at least one, found none")]
    Empty {
        /// What there is none of.
        what: &'static str,
    },

    /// There is not one label per sample.
    #[error("labels: expected {expected}, one per sample, found {found}")]
    WrongLength {
        /// Number of samples.
        expected: usize,
        /// Number of labels.
        found: usize,
    },

    /// A label is no class.
    #[error("labels, entry {index}: expected a class below {num_classes}, found {found}")]
    Label {
        /// Position of the label.
        index: usize,
        /// Number of classes.
        num_classes: usize,
        /// The label.
        found: usize,
    },

    /// A prediction needs something to differ from.
    #[error("logits: expected at least two classes, found {found}")]
    Classes {
        /// Number of classes.
        found: usize,
    },

    /// Logits that are NaN or infinite certify nothing.
    #[error("logits, row {row}: expected finite numbers, found {value}")]
    NotFinite {
        /// The row.
        row: usize,
        /// The entry found.
        value: f64,
    },

    /// The matrix of the last layer does not fit the logits.
    #[error("last layer: expected one row per class, {expected}, found {found}")]
    LastLayer {
        /// Number of classes.
        expected: usize,
        /// Rows of the matrix.
        found: usize,
    },
}

/// Checks that a setting is positive and finite.
pub(super) fn check_positive(what: &'static str, found: f64) -> Result<(), CertificateError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(CertificateError::InvalidSetting { what, expected: "a positive number", found })
}

/// Checks labels against the number of samples and classes.
pub(super) fn check_labels(
    labels: &[usize],
    samples: usize,
    num_classes: usize,
) -> Result<(), CertificateError> {
    if num_classes < 2 {
        return Err(CertificateError::Classes { found: num_classes });
    }
    if labels.len() != samples {
        return Err(CertificateError::WrongLength { expected: samples, found: labels.len() });
    }
    match labels.iter().position(|&label| label >= num_classes) {
        None => Ok(()),
        Some(index) => Err(CertificateError::Label { index, num_classes, found: labels[index] }),
    }
}
