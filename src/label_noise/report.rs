//! The noise report: which labels look wrong, what they should be, and how noisy the data is.
//!
//! From a score per sample in `[0, 1]` (SOP's `clamp(u^2, 0, 1)`, or any other) and a suggested
//! label:
//!
//! ```text
//! flagged_i   = score_i > threshold
//! noise rate  = mean of flagged
//! T[k][j]     = #{ suggested = k, given = j } / #{ suggested = k }      (row of the identity if empty)
//! ```
//!
//! # Example
//! ```
//! use firebrick::label_noise::NoiseReport;
//!
//! let report = NoiseReport::new(&[0, 1, 1], &[0, 1, 0], &[0.1, 0.0, 0.9], 2)?;
//! assert_eq!(report.noise_rate(), 1.0 / 3.0);
//! assert_eq!(report.flagged().next().map(|sample| sample.index), Some(2));
//! # Ok::<(), firebrick::label_noise::LabelNoiseError>(())
//! ```
//!
//! # References
//! S. Liu, Z. Zhu, Q. Qu, C. You, *Robust Training under Label Noise by Over-parameterization*,
//! ICML 2022, whose state the scores come from; the report is ours.

use std::fmt;
use std::io::Write;

use firebrick_optimizers::sop::{LabelFingerprint, Sop, SparseSop};
use serde::Serialize;

use super::error::{LabelNoiseError, check_labels, check_unit};

/// Scores above this are flagged unless another threshold is set.
const DEFAULT_THRESHOLD: f64 = 0.5;

/// One sample of a [`NoiseReport`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SampleReport {
    /// Position in the training set.
    pub index: usize,
    /// The given label.
    pub given: usize,
    /// The label that the sample seems to have.
    pub suggested: usize,
    /// How wrong the given label looks, from 0 to 1; `1 - score` is the label's quality.
    pub score: f64,
    /// Whether the score is above the threshold.
    pub flagged: bool,
}

/// Which labels look wrong; serializes for JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoiseReport {
    threshold: f64,
    noise_rate: f64,
    transition: Vec<Vec<f64>>,
    classes_without_samples: Vec<usize>,
    samples: Vec<SampleReport>,
}

impl NoiseReport {
    /// A report with the threshold 0.5.
    ///
    /// # Shapes
    /// - given, suggested, scores: `[samples]`, labels below `num_classes`, scores from 0 to 1
    ///
    /// # Errors
    /// If there are no samples, the lengths differ, or an entry is out of range.
    pub fn new(
        given: &[usize],
        suggested: &[usize],
        scores: &[f64],
        num_classes: usize,
    ) -> Result<Self, LabelNoiseError> {
        let expected = given.len();
        if expected == 0 {
            return Err(LabelNoiseError::Empty { what: "given labels" });
        }
        for (what, found) in [("suggested labels", suggested.len()), ("scores", scores.len())] {
            if found != expected {
                return Err(LabelNoiseError::WrongLength { what, expected, found });
            }
        }
        check_labels("given label", given, num_classes)?;
        check_labels("suggested label", suggested, num_classes)?;
        check_unit("score", scores, 0.0)?;
        let sample = |index: usize| SampleReport {
            index,
            given: given[index],
            suggested: suggested[index],
            score: scores[index],
            flagged: false,
        };
        let mut samples: Vec<SampleReport> = (0..expected).map(sample).collect();
        samples.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
        let (transition, classes_without_samples) = transition(&samples, num_classes);
        let report =
            Self { threshold: 0.0, noise_rate: 0.0, transition, classes_without_samples, samples };
        Ok(report.with_threshold(DEFAULT_THRESHOLD))
    }

    /// The report of SOP's noise state: its scores and suggested labels. Where the state names no
    /// other label for a flagged sample, `predictions` of the network, if given, may name one.
    ///
    /// # Errors
    /// As [`new`](Self::new), if a prediction is no class, and if the labels are not those whose
    /// fingerprint the state has.
    pub fn from_sop(
        sop: &Sop,
        given: &[usize],
        predictions: Option<&[usize]>,
    ) -> Result<Self, LabelNoiseError> {
        let labels = sop.config().labels;
        check_source(labels, given, predictions)?;
        Self::from_state(labels, given, sop.scores(), sop.suggested_labels(given), predictions)
    }

    /// The report of a sparse noise state; as [`from_sop`](Self::from_sop).
    ///
    /// # Errors
    /// As [`from_sop`](Self::from_sop).
    ///
    /// # Example
    /// ```
    /// use firebrick::label_noise::NoiseReport;
    /// use firebrick::optimizers::sop::{LabelFingerprint, SopConfig};
    ///
    /// let given = [0, 2, 1];
    /// let sop = SopConfig::new(LabelFingerprint::of(&given, 3)).init_sparse();
    /// assert_eq!(NoiseReport::from_sparse_sop(&sop, &given, None)?.noise_rate(), 0.0);
    /// # Ok::<(), firebrick::label_noise::LabelNoiseError>(())
    /// ```
    pub fn from_sparse_sop(
        sop: &SparseSop,
        given: &[usize],
        predictions: Option<&[usize]>,
    ) -> Result<Self, LabelNoiseError> {
        let labels = sop.config().labels;
        check_source(labels, given, predictions)?;
        Self::from_state(labels, given, sop.scores(), sop.suggested_labels(given), predictions)
    }

    fn from_state(
        labels: LabelFingerprint,
        given: &[usize],
        scores: Vec<f32>,
        mut suggested: Vec<usize>,
        predictions: Option<&[usize]>,
    ) -> Result<Self, LabelNoiseError> {
        let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
        if let Some(predictions) = predictions {
            for (index, label) in suggested.iter_mut().enumerate() {
                if *label == given[index] && scores[index] > DEFAULT_THRESHOLD {
                    *label = predictions[index];
                }
            }
        }
        Self::new(given, &suggested, &scores, labels.num_classes)
    }

    /// The same report with another threshold.
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        for sample in &mut self.samples {
            sample.flagged = sample.score > threshold;
        }
        self.noise_rate = self.flagged().count() as f64 / self.samples.len() as f64;
        self
    }

    /// Share of the flagged samples.
    pub fn noise_rate(&self) -> f64 {
        self.noise_rate
    }

    /// Scores above this are flagged.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Share of the samples of each suggested label that were given each label:
    /// `[suggested][given]`, rows add up to 1.
    pub fn transition(&self) -> &[Vec<f64>] {
        &self.transition
    }

    /// Classes that are nobody's suggested label; their rows of the transition matrix are those of
    /// the identity and say nothing.
    pub fn classes_without_samples(&self) -> &[usize] {
        &self.classes_without_samples
    }

    /// All samples, the most suspicious first; ties by index.
    pub fn samples(&self) -> &[SampleReport] {
        &self.samples
    }

    /// The flagged samples, the most suspicious first.
    pub fn flagged(&self) -> impl Iterator<Item = &SampleReport> {
        self.samples.iter().filter(|sample| sample.flagged)
    }

    /// The other class that the samples suggested as `class` were given most often, with its share.
    fn likely_confusion(&self, class: usize) -> Option<(usize, f64)> {
        let row = self.transition[class].iter().copied().enumerate();
        let others = row.filter(|&(given, share)| given != class && share > 0.0);
        others.reduce(|best, other| if other.1 > best.1 { other } else { best })
    }

    /// Writes one line per sample, the most suspicious first:
    /// `index,given,suggested,score,flagged`.
    ///
    /// # Errors
    /// If the writer fails.
    pub fn write_csv(&self, writer: impl Write) -> Result<(), csv::Error> {
        let mut writer = csv::Writer::from_writer(writer);
        for sample in &self.samples {
            writer.serialize(sample)?;
        }
        Ok(writer.flush()?)
    }
}

fn check_source(
    labels: LabelFingerprint,
    given: &[usize],
    predictions: Option<&[usize]>,
) -> Result<(), LabelNoiseError> {
    let expected = labels.num_samples;
    let lengths = [Some(("given labels", given)), predictions.map(|all| ("predictions", all))];
    for (what, slice) in lengths.into_iter().flatten() {
        let found = slice.len();
        if found != expected {
            return Err(LabelNoiseError::WrongLength { what, expected, found });
        }
    }
    check_labels("given label", given, labels.num_classes)?;
    check_labels("prediction", predictions.unwrap_or_default(), labels.num_classes)?;
    match LabelFingerprint::of(given, labels.num_classes) {
        found if found != labels => Err(LabelNoiseError::OtherLabels { expected: labels, found }),
        _ => Ok(()),
    }
}

/// Samples that the text form lists.
const LISTED: usize = 10;

/// The report for people: a summary, one line per class, and the most suspicious samples.
impl fmt::Display for NoiseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flagged = self.flagged().count();
        writeln!(
            f,
            "{flagged} of {} labels look wrong ({:.1} %, scores above {})\n",
            self.samples.len(),
            100.0 * self.noise_rate,
            self.threshold
        )?;
        let of_class = |class: usize, which: fn(&SampleReport) -> usize| {
            self.samples.iter().filter(move |sample| which(sample) == class)
        };
        let by_class = |class: usize| {
            let given = || of_class(class, |sample| sample.given);
            let likely = self.likely_confusion(class);
            vec![
                class.to_string(),
                given().count().to_string(),
                of_class(class, |sample| sample.suggested).count().to_string(),
                given().filter(|sample| sample.flagged).count().to_string(),
                likely.map_or("-".into(), |(to, share)| format!("{to} ({:.1} %)", 100.0 * share)),
            ]
        };
        let classes: Vec<_> = (0..self.transition.len()).map(by_class).collect();
        let header = ["class", "given", "suggested", "flagged", "most often given instead"];
        writeln!(f, "{}", columns(&header, &classes))?;
        let line = |sample: &SampleReport| {
            let label = |label: usize| label.to_string();
            let score = format!("{:.3}", sample.score);
            let flagged = if sample.flagged { "yes" } else { "no" }.to_string();
            vec![label(sample.index), label(sample.given), label(sample.suggested), score, flagged]
        };
        let samples: Vec<_> = self.samples.iter().take(LISTED).map(line).collect();
        f.write_str(&columns(&["sample", "given", "suggested", "score", "flagged"], &samples))
    }
}

/// Lines of cells, each column as wide as its widest cell and aligned to the right.
fn columns(header: &[&str], lines: &[Vec<String>]) -> String {
    let cells = |column: usize| lines.iter().map(move |line| line[column].len());
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| cells(column).fold(title.len(), usize::max))
        .collect();
    let line = |line: &mut dyn Iterator<Item = &str>| {
        let cells = line.zip(&widths).map(|(cell, &width)| format!("{cell:>width$}"));
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    let mut text = line(&mut header.iter().copied());
    for cells in lines {
        text += &line(&mut cells.iter().map(String::as_str));
    }
    text
}

/// The transition estimate, and the classes whose row is empty.
fn transition(samples: &[SampleReport], num_classes: usize) -> (Vec<Vec<f64>>, Vec<usize>) {
    let mut counts = vec![vec![0.0; num_classes]; num_classes];
    for sample in samples {
        counts[sample.suggested][sample.given] += 1.0;
    }
    let mut empty = Vec::new();
    for (class, row) in counts.iter_mut().enumerate() {
        let total: f64 = row.iter().sum();
        if total == 0.0 {
            row[class] = 1.0;
            empty.push(class);
        } else {
            row.iter_mut().for_each(|count| *count /= total);
        }
    }
    (counts, empty)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};
    use firebrick_optimizers::sop::SopConfig;

    fn report() -> NoiseReport {
        NoiseReport::new(&[0, 1, 1, 0], &[0, 1, 0, 0], &[0.1, 0.7, 0.9, 0.7], 3).unwrap()
    }

    #[test]
    fn sorts_by_score_and_flags_above_the_threshold() {
        let report = report();
        let order: Vec<usize> = report.samples().iter().map(|sample| sample.index).collect();
        assert_eq!(order, [2, 1, 3, 0]);
        assert_eq!((report.flagged().count(), report.noise_rate()), (3, 0.75));
        let strict = report.with_threshold(0.7);
        assert_eq!((strict.flagged().count(), strict.noise_rate()), (1, 0.25));
    }

    #[test]
    fn estimates_the_transition_and_names_classes_that_it_knows_nothing_of() {
        let report = report();
        let third = 1.0 / 3.0;
        assert_eq!(report.transition()[0], [2.0 * third, third, 0.0]);
        assert_eq!(report.transition()[1..], [vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]]);
        assert_eq!(report.classes_without_samples(), [2]);
    }

    #[test]
    fn prints_a_summary_the_classes_and_the_most_suspicious_samples() {
        let text = report().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "3 of 4 labels look wrong (75.0 %, scores above 0.5)");
        assert_eq!(lines[2], "class  given  suggested  flagged  most often given instead");
        assert_eq!(lines[3], "    0      2          3        1                1 (33.3 %)");
        assert_eq!(lines[5], "    2      0          0        0                         -");
        assert_eq!(lines[8], "     2      1          0  0.900      yes");
        assert_eq!(lines.len(), 12);
    }

    #[test]
    fn writes_csv_that_reads_back() {
        let mut bytes = Vec::new();
        report().write_csv(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with("index,given,suggested,score,flagged\n2,1,0,0.9,true\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 5);
    }

    #[test]
    fn reads_the_state_of_sop_and_asks_the_network_where_the_state_is_silent() {
        let given = [0, 1, 2];
        let device = Device::flex();
        let u = Tensor::from_data([[0.1], [1.0], [-1.0]], &device);
        let v = Tensor::from_data([[0.0, 0.0, 0.0], [0.0, 0.0, 0.9], [1e-8, 1e-9, 0.0]], &device);
        let sop = SopConfig::new(LabelFingerprint::of(&given, 3)).init_with(u, v);
        let suggested = |report: NoiseReport| {
            let mut samples = report.samples().to_vec();
            samples.sort_by_key(|sample| sample.index);
            samples.iter().map(|sample| sample.suggested).collect::<Vec<_>>()
        };
        assert_eq!(suggested(NoiseReport::from_sop(&sop, &given, None).unwrap()), [0, 2, 2]);
        let predictions = [1, 1, 1];
        let report = NoiseReport::from_sop(&sop, &given, Some(&predictions)).unwrap();
        assert_eq!(report.noise_rate(), 2.0 / 3.0);
        assert_eq!(suggested(report), [0, 2, 1]);
        let error = |given: &[usize], predictions| {
            NoiseReport::from_sop(&sop, given, predictions).unwrap_err().to_string()
        };
        assert_eq!(error(&given[..2], None), "given labels: expected 3 numbers, found 2");
        let message = error(&given, Some(&predictions[..1]));
        assert_eq!(message, "predictions: expected 3 numbers, found 1");
        let message = error(&given, Some(&[0, 0, 3]));
        assert_eq!(message, "prediction, entry 2: expected a class below 3, found 3");
        let message = error(&[0, 2, 1], None);
        let [expected, found] = [&given[..], &[0, 2, 1]].map(|all| LabelFingerprint::of(all, 3));
        assert_eq!(message, format!("given labels: expected {expected}, found {found}"));
    }

    #[test]
    fn refuses_lengths_labels_and_scores_that_do_not_fit() {
        let error = |given: &[usize], suggested: &[usize], scores: &[f64]| {
            NoiseReport::new(given, suggested, scores, 2).unwrap_err().to_string()
        };
        assert_eq!(error(&[], &[], &[]), "given labels: expected at least one, found none");
        assert_eq!(error(&[0], &[0], &[]), "scores: expected 1 numbers, found 0");
        assert_eq!(
            error(&[0, 1], &[0, 2], &[0.0; 2]),
            "suggested label, entry 1: expected a class below 2, found 2"
        );
        assert_eq!(
            error(&[0, 1], &[0, 1], &[0.0, 1.5]),
            "score, entry 1: expected a number from 0 to 1, found 1.5"
        );
        assert!(error(&[0], &[0], &[f64::NAN]).contains("found NaN"));
    }
}
