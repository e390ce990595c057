//! The table of the Gaussian mixture: five kinds of noise, against the same experiment in PyTorch.
//!
//! The difficulty of a mixture varies: over fifteen of them PyTorch's accuracies have standard
//! deviations of about 0.01. A mean over `n` of ours holds if it lies within three standard errors
//! of the difference, `3 s sqrt(1/15 + 1/n)`. The numbers are those of
//! `python benches/pytorch/mixture.py`.

use firebrick_harness::claims::{Claims, mean_std};

use crate::training::Outcome;

/// Mixtures behind every number below.
const MIXTURES: f64 = 15.0;

/// Mean and standard deviation over PyTorch's mixtures.
type Value = (f64, f64);

/// One row of the table.
pub struct Row {
    /// The noise, as the flag takes it.
    pub noise: &'static str,
    /// Test accuracy of cross entropy after the last epoch, and its best one.
    ce: Value,
    ce_best: Value,
    gce: Value,
    sop: Value,
    /// Share of flagged labels, and of suggested labels that are right.
    estimated: Value,
    corrected: Value,
    /// AUC, precision and recall of the scores; nothing without noise.
    detection: Option<[Value; 3]>,
}

pub const ROWS: [Row; 5] = [
    Row {
        noise: "none",
        ce: (0.9034, 0.0085),
        ce_best: (0.9126, 0.0066),
        gce: (0.9106, 0.0075),
        sop: (0.9095, 0.0075),
        estimated: (0.0446, 0.0073),
        corrected: (0.9554, 0.0073),
        detection: None,
    },
    Row {
        noise: "symmetric:0.2",
        ce: (0.8245, 0.0101),
        ce_best: (0.8927, 0.0069),
        gce: (0.9064, 0.0071),
        sop: (0.9064, 0.0066),
        estimated: (0.2361, 0.0104),
        corrected: (0.9382, 0.0077),
        detection: Some([(0.9700, 0.0043), (0.8252, 0.0236), (0.9750, 0.0064)]),
    },
    Row {
        noise: "symmetric:0.4",
        ce: (0.7113, 0.0150),
        ce_best: (0.8710, 0.0110),
        gce: (0.8959, 0.0083),
        sop: (0.9009, 0.0087),
        estimated: (0.4330, 0.0096),
        corrected: (0.9167, 0.0074),
        detection: Some([(0.9626, 0.0051), (0.9065, 0.0124), (0.9781, 0.0045)]),
    },
    Row {
        noise: "symmetric:0.6",
        ce: (0.5379, 0.0147),
        ce_best: (0.8173, 0.0122),
        gce: (0.8616, 0.0089),
        sop: (0.8759, 0.0126),
        estimated: (0.6371, 0.0107),
        corrected: (0.8612, 0.0147),
        detection: Some([(0.9282, 0.0104), (0.9156, 0.0130), (0.9735, 0.0059)]),
    },
    Row {
        noise: "pair:0.3",
        ce: (0.6984, 0.0175),
        ce_best: (0.7762, 0.0227),
        gce: (0.8670, 0.0137),
        sop: (0.8745, 0.0126),
        estimated: (0.3406, 0.0129),
        corrected: (0.8835, 0.0142),
        detection: Some([(0.9368, 0.0094), (0.8037, 0.0213), (0.9131, 0.0216)]),
    },
];

impl Row {
    /// Compares every number of the row.
    pub fn check(&self, claims: &mut Claims, device: &str, outcomes: &[Outcome]) {
        let mut compare = |method: &str, what: &str, value: fn(&Outcome) -> f64, expected| {
            let of_method = outcomes.iter().filter(|outcome| outcome.method == method);
            let values: Vec<f64> = of_method.map(value).collect();
            let (mean, _) = mean_std(&values);
            let (expected, reach) = interval(expected, values.len());
            claims.check(
                format!("{}: {method} {what} ({device})", self.noise),
                format!("{expected:.3} ± {reach:.3}"),
                format!("{mean:.3}"),
                (mean - expected).abs() <= reach,
            );
        };
        compare("ce", "accuracy", |o| o.test_accuracy, self.ce);
        compare("ce", "best accuracy", |o| o.best_accuracy, self.ce_best);
        compare("gce", "accuracy", |o| o.test_accuracy, self.gce);
        compare("sop", "accuracy", |o| o.test_accuracy, self.sop);
        compare("sop", "estimated noise", |o| o.estimated_rate, self.estimated);
        compare("sop", "right suggestions", |o| o.corrected, self.corrected);
        if let Some([auc, precision, recall]) = self.detection {
            compare("sop", "AUC", |o| o.auc, auc);
            compare("sop", "precision", |o| o.precision, precision);
            compare("sop", "recall", |o| o.recall, recall);
        }
    }
}

/// PyTorch's mean at 40 % symmetric noise and how far the mean of `runs` mixtures may be from it.
pub fn sop_accuracy(runs: usize) -> (f64, f64) {
    interval(ROWS[2].sop, runs)
}

fn interval((mean, deviation): Value, runs: usize) -> (f64, f64) {
    (mean, 3.0 * deviation * (1.0 / MIXTURES + 1.0 / runs as f64).sqrt())
}
