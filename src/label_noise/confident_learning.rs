//! Confident learning: label errors from predicted probabilities alone.
//!
//! From the given labels and the probabilities `p` of a network that was not trained on the sample
//! in question (cross-validated, or of a network that does not memorize):
//!
//! ```text
//! t_j      = mean of p_j over the samples given j                       thresholds
//! C[k][j]  = #{ given k, counted for j },  j confident: p_j >= t_j      confident joint
//! Q[k][j]  = C[k][j] #{ given k } / sum_j C[k][j], rounded              calibrated joint, sum N
//! P(true j) = sum_k Q[k][j] / N
//! P(given k | true j) = Q[k][j] / sum_k Q[k][j]                         noise matrix
//! P(true j | given k) = Q[k][j] / sum_j Q[k][j]                         inverse noise matrix
//! quality  = p_given                                                    self-confidence
//!          = (p_given - max_{j != given} p_j + 1) / 2                   normalized margin
//! ```
//!
//! # Example
//! ```
//! use firebrick::label_noise::{ConfidentLearningConfig, IssueRule};
//!
//! let given = [0, 0, 1, 1, 0];
//! let probabilities = [0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.2, 0.8, 0.1, 0.9];
//! let analysis = ConfidentLearningConfig::new().analyze(&given, &probabilities, 2)?;
//! assert_eq!(analysis.confident_joint(), [[2, 1], [0, 1]]);
//! let issues = analysis.issues(IssueRule::ConfidentJoint);
//! assert_eq!(issues, [false, false, false, false, true]);
//! # Ok::<(), firebrick::label_noise::LabelNoiseError>(())
//! ```
//!
//! # References
//! C. Northcutt, L. Jiang, I. Chuang, *Confident Learning: Estimating Uncertainty in Dataset
//! Labels*, JAIR 70, 2021: thresholds Eq. (2), confident joint Eq. (1), calibration Eq. (3),
//! `PruneByNoiseRate` and the confident joint's off-diagonal as rules in section 3.2.

use std::cmp::Ordering;

use burn::config::Config;
use serde::Serialize;

use super::error::{LabelNoiseError, check_labels, check_unit};
use super::report::NoiseReport;

/// A probability this little below the threshold still reaches it: rounding of a mean.
const SLACK: f64 = 1e-6;

/// How far the sum of a row may be from 1: rounding of a softmax in 32 bits and then some.
const ROW_SLACK: f64 = 1e-3;

/// For which class a sample counts whose probabilities reach several thresholds.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Collision {
    /// For the most likely of all classes, whether or not it reaches its own threshold; what the
    /// widely used Python implementation counts.
    MostLikely,
    /// For the most likely of the classes whose threshold is reached; the paper's Eq. (1).
    MostLikelyConfident,
}

/// Which samples count as mislabeled; see [`ConfidentLearning::issues`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueRule {
    /// The samples that the confident joint counts for another class than the given one.
    ConfidentJoint,
    /// For each pair of a given and another class, as many samples as the calibrated joint says,
    /// those with the largest `p_other - p_given`.
    NoiseRate,
    /// The samples whose most likely class is not the given one.
    Disagreement,
}

/// Settings of the analysis.
#[derive(Config, Debug)]
pub struct ConfidentLearningConfig {
    /// What counts where several thresholds are reached.
    #[config(default = "Collision::MostLikelyConfident")]
    pub collision: Collision,
}

impl ConfidentLearningConfig {
    /// Estimates thresholds, joint, noise matrices and qualities, on the host in 64 bits.
    ///
    /// # Shapes
    /// - given: `[samples]`, labels below `num_classes`
    /// - probabilities: `[samples, num_classes]`, row-major; rows add up to 1
    ///
    /// # Errors
    /// If there are no samples or fewer than two classes, the lengths differ, a label is not below
    /// `num_classes`, a probability is not from 0 to 1, or a row does not add up to 1.
    pub fn analyze(
        &self,
        given: &[usize],
        probabilities: &[f64],
        num_classes: usize,
    ) -> Result<ConfidentLearning, LabelNoiseError> {
        check(given, probabilities, num_classes)?;
        let rows: Vec<&[f64]> = probabilities.chunks(num_classes).collect();
        let thresholds = thresholds(given, &rows, num_classes);
        let counted_for: Vec<Option<usize>> =
            rows.iter().map(|row| self.counted_for(row, &thresholds)).collect();
        let sizes = sizes(given, num_classes);
        let confident_joint = confident_joint(given, &counted_for, &sizes);
        let calibrated_joint: Vec<Vec<usize>> =
            confident_joint.iter().zip(&sizes).map(|(row, &size)| calibrate(row, size)).collect();
        Ok(ConfidentLearning {
            given: given.to_vec(),
            probabilities: probabilities.to_vec(),
            thresholds,
            counted_for,
            confident_joint,
            calibrated_joint,
        })
    }

    fn counted_for(&self, row: &[f64], thresholds: &[f64]) -> Option<usize> {
        let confident = || (0..row.len()).filter(|&class| row[class] >= thresholds[class] - SLACK);
        match (self.collision, confident().count()) {
            (_, 0) => None,
            (Collision::MostLikely, 2..) => Some(most_likely(row, 0..row.len())),
            _ => Some(most_likely(row, confident())),
        }
    }
}

/// What predicted probabilities say about the given labels; serializes for JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfidentLearning {
    given: Vec<usize>,
    #[serde(skip)]
    probabilities: Vec<f64>,
    /// JSON has no infinity: the threshold of a class without samples becomes `null`.
    thresholds: Vec<f64>,
    counted_for: Vec<Option<usize>>,
    confident_joint: Vec<Vec<usize>>,
    calibrated_joint: Vec<Vec<usize>>,
}

impl ConfidentLearning {
    /// Mean probability of each class over the samples given that class; infinite for a class
    /// that no sample was given, so that nothing counts for it.
    pub fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// The class that each sample counts for; nothing where no threshold is reached.
    pub fn counted_for(&self) -> &[Option<usize>] {
        &self.counted_for
    }

    /// Number of samples by given class (rows) and class that they count for (columns).
    ///
    /// # Notes
    /// The diagonal is at least 1 for every class that was given to a sample, so that each row can
    /// be calibrated.
    pub fn confident_joint(&self) -> &[Vec<usize>] {
        &self.confident_joint
    }

    /// The confident joint scaled to all samples: each row adds up to the number of samples given
    /// that class.
    ///
    /// # Notes
    /// Rounded to whole samples by largest remainders; of equal remainders the later class gains.
    pub fn calibrated_joint(&self) -> &[Vec<usize>] {
        &self.calibrated_joint
    }

    /// Estimated share of each true class, `P(true)`.
    pub fn prior(&self) -> Vec<f64> {
        let samples = self.given.len() as f64;
        self.column_sums().into_iter().map(|sum| sum as f64 / samples).collect()
    }

    /// `P(given | true)`, rows given, columns true; columns add up to 1. The column of a class that
    /// is nobody's true class is that of the identity.
    ///
    /// This is the transpose of a transition matrix `[true][given]`.
    pub fn noise_matrix(&self) -> Vec<Vec<f64>> {
        let sums = self.column_sums();
        let entry = |given: usize, class: usize| match sums[class] {
            0 => f64::from(given == class),
            sum => self.calibrated_joint[given][class] as f64 / sum as f64,
        };
        self.matrix(entry)
    }

    /// `P(true | given)`, rows true, columns given; columns add up to 1. The column of a class that
    /// no sample was given is that of the identity.
    pub fn inverse_noise_matrix(&self) -> Vec<Vec<f64>> {
        let sums: Vec<usize> = self.calibrated_joint.iter().map(|row| row.iter().sum()).collect();
        let entry = |class: usize, given: usize| match sums[given] {
            0 => f64::from(given == class),
            sum => self.calibrated_joint[given][class] as f64 / sum as f64,
        };
        self.matrix(entry)
    }

    /// Estimated share of wrong labels: the calibrated joint beside its diagonal.
    pub fn noise_rate(&self) -> f64 {
        let right: usize =
            self.calibrated_joint.iter().enumerate().map(|(class, row)| row[class]).sum();
        1.0 - right as f64 / self.given.len() as f64
    }

    /// The probability of each sample's given label, from 0 to 1; small where it looks wrong.
    pub fn self_confidence(&self) -> Vec<f64> {
        self.rows().map(|(given, row)| row[given]).collect()
    }

    /// How far the given label is ahead of the best other one, `(p_given - p_other + 1) / 2`; below
    /// 1/2 where another class is more likely.
    pub fn normalized_margin(&self) -> Vec<f64> {
        let margin = |(given, row): (usize, &[f64])| {
            let others = row.iter().enumerate().filter(|(class, _)| *class != given);
            let best = others.fold(0.0, |best: f64, (_, &p)| best.max(p));
            ((row[given] - best + 1.0) / 2.0).clamp(0.0, 1.0)
        };
        self.rows().map(margin).collect()
    }

    /// Which samples look mislabeled.
    ///
    /// # Notes
    /// By every rule a sample whose given label is its most likely class is in order.
    pub fn issues(&self, rule: IssueRule) -> Vec<bool> {
        let counted =
            |index: usize| self.counted_for[index].is_some_and(|j| j != self.given[index]);
        let mut issues: Vec<bool> = match rule {
            IssueRule::ConfidentJoint => (0..self.given.len()).map(counted).collect(),
            IssueRule::NoiseRate => self.largest_margins(),
            IssueRule::Disagreement => vec![true; self.given.len()],
        };
        for (issue, (given, row)) in issues.iter_mut().zip(self.rows()) {
            *issue &= most_likely(row, 0..row.len()) != given;
        }
        issues
    }

    /// A noise report with `1 - normalized margin` as score and the most likely class as suggested
    /// label: with its threshold 0.5 it flags where another class is more likely than the given.
    ///
    /// # Errors
    /// None for an analysis that [`analyze`](ConfidentLearningConfig::analyze) returned.
    pub fn report(&self) -> Result<NoiseReport, LabelNoiseError> {
        let suggested: Vec<usize> =
            self.rows().map(|(_, row)| most_likely(row, 0..row.len())).collect();
        let scores: Vec<f64> =
            self.normalized_margin().into_iter().map(|quality| 1.0 - quality).collect();
        NoiseReport::new(&self.given, &suggested, &scores, self.thresholds.len())
    }

    fn rows(&self) -> impl Iterator<Item = (usize, &[f64])> {
        self.given.iter().copied().zip(self.probabilities.chunks(self.thresholds.len()))
    }

    fn column_sums(&self) -> Vec<usize> {
        let sum = |class: usize| self.calibrated_joint.iter().map(|row| row[class]).sum();
        (0..self.thresholds.len()).map(sum).collect()
    }

    fn matrix(&self, entry: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
        let classes = self.thresholds.len();
        (0..classes).map(|row| (0..classes).map(|column| entry(row, column)).collect()).collect()
    }

    /// `PruneByNoiseRate`: of every pair of classes the samples that lean most to the other one.
    fn largest_margins(&self) -> Vec<bool> {
        let mut issues = vec![false; self.given.len()];
        let rows: Vec<&[f64]> = self.probabilities.chunks(self.thresholds.len()).collect();
        for (given, counts) in self.calibrated_joint.iter().enumerate() {
            let members: Vec<usize> =
                (0..rows.len()).filter(|&index| self.given[index] == given).collect();
            for (other, &count) in counts.iter().enumerate().filter(|(other, _)| *other != given) {
                let margin = |index: usize| rows[index][other] - rows[index][given];
                let mut order = members.clone();
                // Stable: of equal margins the first samples.
                order.sort_by(|&a, &b| margin(b).total_cmp(&margin(a)));
                order.iter().take(count).for_each(|&index| issues[index] = true);
            }
        }
        issues
    }
}

/// The most likely of the given classes; of equal ones the first.
fn most_likely(row: &[f64], classes: impl Iterator<Item = usize>) -> usize {
    let larger = |best: usize, class| if row[class] > row[best] { class } else { best };
    classes.reduce(larger).unwrap_or_default()
}

fn sizes(given: &[usize], num_classes: usize) -> Vec<usize> {
    let mut sizes = vec![0; num_classes];
    given.iter().for_each(|&label| sizes[label] += 1);
    sizes
}

fn thresholds(given: &[usize], rows: &[&[f64]], num_classes: usize) -> Vec<f64> {
    let mut sums = vec![0.0; num_classes];
    given.iter().zip(rows).for_each(|(&label, row)| sums[label] += row[label]);
    let mean =
        |(sum, size): (f64, usize)| if size == 0 { f64::INFINITY } else { sum / size as f64 };
    sums.into_iter().zip(sizes(given, num_classes)).map(mean).collect()
}

fn confident_joint(
    given: &[usize],
    counted_for: &[Option<usize>],
    sizes: &[usize],
) -> Vec<Vec<usize>> {
    let mut joint = vec![vec![0; sizes.len()]; sizes.len()];
    for (&given, class) in given.iter().zip(counted_for) {
        if let Some(class) = *class {
            joint[given][class] += 1;
        }
    }
    for (class, row) in joint.iter_mut().enumerate().filter(|(class, _)| sizes[*class] > 0) {
        row[class] = row[class].max(1);
    }
    joint
}

/// Scales the counts to the sum `size`, in whole numbers: exactly, by largest remainders.
fn calibrate(counts: &[usize], size: usize) -> Vec<usize> {
    let sum: u128 = counts.iter().map(|&count| count as u128).sum();
    if sum == 0 {
        return vec![0; counts.len()];
    }
    let scaled: Vec<u128> = counts.iter().map(|&count| count as u128 * size as u128).collect();
    let mut rounded: Vec<usize> = scaled.iter().map(|scaled| (scaled / sum) as usize).collect();
    let missing = size - rounded.iter().sum::<usize>();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    let remainder = |class: usize| scaled[class] % sum;
    order.sort_by(|&a, &b| match remainder(b).cmp(&remainder(a)) {
        Ordering::Equal => b.cmp(&a),
        order => order,
    });
    order.iter().take(missing).for_each(|&class| rounded[class] += 1);
    rounded
}

fn check(
    given: &[usize],
    probabilities: &[f64],
    num_classes: usize,
) -> Result<(), LabelNoiseError> {
    if given.is_empty() {
        return Err(LabelNoiseError::Empty { what: "given labels" });
    }
    if num_classes < 2 {
        let (what, expected, found) = ("classes", "at least 2", num_classes as f64);
        return Err(LabelNoiseError::InvalidSetting { what, expected, found });
    }
    let (expected, found) = (given.len().saturating_mul(num_classes), probabilities.len());
    if expected != found {
        let what = "probabilities";
        return Err(LabelNoiseError::WrongLength { what, expected, found });
    }
    check_labels("given label", given, num_classes)?;
    check_unit("probability", probabilities, SLACK)?;
    for (index, row) in probabilities.chunks(num_classes).enumerate() {
        let found: f64 = row.iter().sum();
        if (found - 1.0).abs() > ROW_SLACK {
            let (what, expected) = ("sum of the probabilities", "1".into());
            return Err(LabelNoiseError::OutOfRange { what, index, expected, found });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn analyze(given: &[usize], probabilities: &[f64], classes: usize) -> ConfidentLearning {
        ConfidentLearningConfig::new().analyze(given, probabilities, classes).unwrap()
    }

    #[test]
    fn a_sample_that_reaches_several_thresholds_counts_once() {
        // Thresholds 0.6, 0.2, 0.2; the last sample reaches the second and the third.
        let given = [0, 1, 2, 0];
        let rows = [0.7, 0.3, 0.0, 0.8, 0.2, 0.0, 0.8, 0.0, 0.2, 0.5, 0.2, 0.3];
        let with = |collision| {
            let config = ConfidentLearningConfig::new().with_collision(collision);
            config.analyze(&given, &rows, 3).unwrap().counted_for().to_vec()
        };
        assert_eq!(with(Collision::MostLikelyConfident)[3], Some(2));
        assert_eq!(with(Collision::MostLikely)[3], Some(0));
        // The first reaches two as well, the most likely among them.
        assert_eq!(with(Collision::MostLikely)[0], Some(0));
    }

    #[test]
    fn calibration_rounds_by_largest_remainders_and_later_classes_first() {
        assert_eq!(calibrate(&[23, 2, 3, 3], 36), [27, 2, 3, 4]);
        assert_eq!(calibrate(&[0, 17, 0, 1], 27), [0, 25, 0, 2]);
        assert_eq!(calibrate(&[0, 0], 0), [0, 0]);
    }

    #[test]
    fn a_class_without_samples_has_an_identity_column_and_no_threshold() {
        let found = analyze(&[0, 0], &[0.6, 0.4, 0.0, 0.8, 0.2, 0.0], 3);
        assert_eq!(found.thresholds()[1..], [f64::INFINITY; 2]);
        assert_eq!(found.calibrated_joint(), [[2, 0, 0], [0, 0, 0], [0, 0, 0]]);
        let identity = [vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]];
        assert_eq!(found.noise_matrix(), identity);
        assert_eq!(found.inverse_noise_matrix(), identity);
        assert_eq!((found.prior(), found.noise_rate()), (vec![1.0, 0.0, 0.0], 0.0));
    }

    #[test]
    fn the_diagonal_is_at_least_one_where_a_class_was_given() {
        // Nobody is confident of class 1 but its threshold is the mean of one sample: itself.
        let found = analyze(&[0, 1, 1], &[1.0, 0.0, 0.9, 0.1, 0.95, 0.05], 2);
        assert!(found.confident_joint()[1][1] >= 1);
        assert_eq!(found.calibrated_joint()[1].iter().sum::<usize>(), 2);
    }

    #[test]
    fn the_report_flags_where_another_class_is_more_likely() {
        let found = analyze(&[0, 1, 0], &[0.9, 0.1, 0.2, 0.8, 0.3, 0.7], 2);
        let report = found.report().unwrap();
        let flagged: Vec<(usize, usize)> =
            report.flagged().map(|sample| (sample.index, sample.suggested)).collect();
        assert_eq!(flagged, [(2, 1)]);
        assert_eq!(found.issues(IssueRule::Disagreement), [false, false, true]);
        assert!((report.samples()[0].score - 0.7).abs() < 1e-12);
    }

    #[test]
    fn refuses_what_are_no_probabilities_of_these_labels() {
        let error = |given: &[usize], probabilities: &[f64], classes| {
            let config = ConfidentLearningConfig::new();
            config.analyze(given, probabilities, classes).unwrap_err().to_string()
        };
        assert_eq!(error(&[], &[], 2), "given labels: expected at least one, found none");
        assert_eq!(error(&[0], &[1.0], 1), "classes: expected at least 2, found 1");
        assert_eq!(error(&[0], &[1.0], 2), "probabilities: expected 2 numbers, found 1");
        let message = error(&[0, 2], &[1.0, 0.0, 1.0, 0.0], 2);
        assert_eq!(message, "given label, entry 1: expected a class below 2, found 2");
        let message = error(&[0], &[0.0, f64::NAN], 2);
        assert_eq!(message, "probability, entry 1: expected a number from 0 to 1, found NaN");
        let message = error(&[0, 0], &[1.0, 0.0, 0.5, 0.4], 2);
        assert_eq!(message, "sum of the probabilities, entry 1: expected 1, found 0.9");
    }

    proptest! {
        #[test]
        fn joints_and_matrices_add_up_and_classes_may_be_renamed(
            raw in prop::collection::vec((0..4usize, prop::array::uniform4(0.01..1.0f64)), 1..40)
        ) {
            let given: Vec<usize> = raw.iter().map(|(label, _)| *label).collect();
            let normalized = |row: &[f64; 4]| {
                let sum: f64 = row.iter().sum();
                row.map(|p| p / sum)
            };
            let rows: Vec<[f64; 4]> = raw.iter().map(|(_, row)| normalized(row)).collect();
            let found = analyze(&given, &rows.concat(), 4);
            for (row, size) in found.calibrated_joint().iter().zip(sizes(&given, 4)) {
                prop_assert_eq!(row.iter().sum::<usize>(), size);
            }
            for matrix in [found.noise_matrix(), found.inverse_noise_matrix()] {
                for column in 0..4 {
                    let sum: f64 = matrix.iter().map(|row| row[column]).sum();
                    prop_assert!((sum - 1.0).abs() < 1e-12);
                }
            }
            prop_assert!((found.prior().iter().sum::<f64>() - 1.0).abs() < 1e-12);

            let renamed: Vec<usize> = given.iter().map(|label| (label + 1) % 4).collect();
            let turned: Vec<f64> = rows.iter().flat_map(|r| [r[3], r[0], r[1], r[2]]).collect();
            let other = analyze(&renamed, &turned, 4);
            for (given, row) in found.confident_joint().iter().enumerate() {
                for (class, count) in row.iter().enumerate() {
                    let there = other.confident_joint()[(given + 1) % 4][(class + 1) % 4];
                    prop_assert_eq!(*count, there);
                }
            }
            prop_assert_eq!(found.self_confidence(), other.self_confidence());
        }
    }
}
