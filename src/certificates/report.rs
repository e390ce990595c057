//! How many samples are right and certified.

use std::fmt;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::Certifier;
use super::error::{CertificateError, check_labels};

/// Fractions of samples by whether the prediction is right and certified; they sum to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CertifiedFractions {
    /// Right, and certified: the certified accuracy.
    pub certified_right: f64,
    /// Wrong, and certified to stay so.
    pub certified_wrong: f64,
    /// Right, but not certified.
    pub uncertified_right: f64,
    /// Wrong, and not certified.
    pub uncertified_wrong: f64,
}

impl CertifiedFractions {
    /// The fractions at a radius: a sample is certified if its own radius is larger.
    ///
    /// # Errors
    /// [`CertificateError::Empty`] without samples, [`CertificateError::WrongLength`] if there is not one
    /// flag per sample, [`CertificateError::InvalidSetting`] if the radius is negative or NaN.
    pub fn new(radii: &[f64], right: &[bool], radius: f64) -> Result<Self, CertificateError> {
        if radii.is_empty() {
            return Err(CertificateError::Empty { what: "samples" });
        }
        if radii.len() != right.len() {
            return Err(CertificateError::WrongLength {
                expected: radii.len(),
                found: right.len(),
            });
        }
        if radius.is_nan() || radius < 0.0 {
            let expected = "a number from 0";
            return Err(CertificateError::InvalidSetting {
                what: "radius",
                expected,
                found: radius,
            });
        }
        let share = |certified: bool, is_right: bool| {
            let pairs = radii.iter().zip(right);
            let count = pairs.filter(|&(&r, &ok)| (r > radius) == certified && ok == is_right);
            count.count() as f64 / radii.len() as f64
        };
        Ok(Self {
            certified_right: share(true, true),
            certified_wrong: share(true, false),
            uncertified_right: share(false, true),
            uncertified_wrong: share(false, false),
        })
    }
}

/// What the certificates of a set of samples say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateReport {
    /// Fraction of samples that are classified right.
    pub clean_accuracy: f64,
    /// Mean radius over the samples that are classified right; 0 if none is.
    pub mean_certified_radius: f64,
    /// Certified radius of each sample's prediction.
    pub radii: Vec<f64>,
    /// Predicted class of each sample.
    pub predictions: Vec<usize>,
    /// Whether each prediction is right.
    pub right: Vec<bool>,
}

impl CertificateReport {
    /// The fractions at a radius.
    ///
    /// # Errors
    /// [`CertificateError::InvalidSetting`] if the radius is negative or NaN.
    pub fn fractions(&self, radius: f64) -> Result<CertifiedFractions, CertificateError> {
        CertifiedFractions::new(&self.radii, &self.right, radius)
    }

    /// The fraction of samples that are right and certified at a radius.
    ///
    /// # Errors
    /// As [`fractions`](Self::fractions).
    pub fn certified_accuracy(&self, radius: f64) -> Result<f64, CertificateError> {
        Ok(self.fractions(radius)?.certified_right)
    }
}

impl fmt::Display for CertificateReport {
    /// Clean accuracy, mean radius, and certified accuracy at the usual radii.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "samples                {}", self.radii.len())?;
        writeln!(f, "clean accuracy         {:.4}", self.clean_accuracy)?;
        write!(f, "mean certified radius  {:.4}", self.mean_certified_radius)?;
        for numerator in [36, 72, 108] {
            let radius = f64::from(numerator) / 255.0;
            let certified = self.certified_accuracy(radius).map_err(|_| fmt::Error)?;
            write!(f, "\ncertified at {numerator:>3}/255   {certified:.4}")?;
        }
        Ok(())
    }
}

impl Certifier {
    /// Certifies a set of samples; reads radii and predictions once.
    ///
    /// # Shapes
    /// - logits: `[samples, num_classes]`
    ///
    /// # Errors
    /// If there are no samples, fewer than two classes, not one label per sample, a label that is no
    /// class, logits that are not finite, or a last layer with another number of rows.
    pub fn report(
        &self,
        logits: Tensor<2>,
        labels: &[usize],
    ) -> Result<CertificateReport, CertificateError> {
        let [samples, classes] = logits.dims();
        check_labels(labels, samples, classes)?;
        if samples == 0 {
            return Err(CertificateError::Empty { what: "samples" });
        }
        if let Some(found) = self.rows().filter(|&rows| rows != classes) {
            return Err(CertificateError::LastLayer { expected: classes, found });
        }
        let logits = logits.inner();
        let values: Vec<f64> = logits.clone().into_data().iter::<f64>().collect();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (row, value) = (index / classes, values[index]);
            return Err(CertificateError::NotFinite { row, value });
        }
        let radii: Vec<f64> = self.radii(logits).into_data().iter::<f64>().collect();
        // The first of equal logits, as on the device; its radius is zero.
        let first_largest = |row: &[f64]| {
            (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
        };
        let predictions: Vec<usize> = values.chunks(classes).map(first_largest).collect();
        let right: Vec<bool> =
            predictions.iter().zip(labels).map(|(found, label)| found == label).collect();
        let of_right: Vec<f64> =
            radii.iter().zip(&right).filter(|(_, right)| **right).map(|(r, _)| *r).collect();
        let count = of_right.len();
        Ok(CertificateReport {
            clean_accuracy: count as f64 / samples as f64,
            mean_certified_radius: of_right.iter().sum::<f64>() / count.max(1) as f64,
            radii,
            predictions,
            right,
        })
    }
}
