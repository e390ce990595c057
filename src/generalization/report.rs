//! What a run gives: the bounds, whether their conditions held, and every measurement.

use std::fmt;
use std::io::Write;

use serde::{Deserialize, Serialize};

use super::{GeneralizationError, StabilityBounds};

/// One measurement and the steps that it stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The step before which it was made, from 1.
    pub step: u64,
    /// Scale of that step.
    pub alpha: f64,
    /// Number of steps that it stands for.
    pub steps: u64,
    /// Sum of `1 / alpha_t^2` over these steps.
    pub inverse_alpha_squared: f64,
    /// Number of gradients of training examples.
    pub train_examples: usize,
    /// Number of gradients of fresh examples.
    pub fresh_examples: usize,
    /// Gradient discrepancy: mean squared distance of a training from a fresh gradient.
    pub discrepancy: f64,
    /// Mean squared norm of a training gradient.
    pub grad_norm_sq: f64,
    /// Largest distance found between two gradients, a lower estimate of the maximum over all
    /// examples; `None` if the gradients were not kept.
    pub delta_estimate: Option<f64>,
    /// A number that no distance of two measured gradients exceeds.
    pub delta_bound: f64,
    /// Whether `alpha^2 >= 8 c2 Delta^2`, with the estimate of `Delta` if there is one, else with
    /// its bound.
    pub condition: bool,
    /// Mean divergence LSD, if it was drawn.
    pub divergence: Option<f64>,
    /// Whether that mean is not dominated by a single draw.
    pub divergence_usable: Option<bool>,
}

/// One line of the table of bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoundRow {
    /// The bound.
    pub name: &'static str,
    /// Who states it: `paper`, `ours` (not in the paper), or `to compare`.
    pub origin: &'static str,
    /// The bound of the gap; `None` if its sizes do not permit it or it was not measured.
    pub value: Option<f64>,
    /// What it needs.
    pub condition: &'static str,
    /// Whether that held throughout; `None` if nothing here can tell.
    pub holds: Option<bool>,
}

/// The sums that the bounds are functions of.
#[derive(Clone, Copy, Debug)]
struct Sums {
    discrepancy: f64,
    grad_norm: f64,
    divergence: Option<f64>,
}

/// The report of a [`GeneralizationMonitor`](super::GeneralizationMonitor); prints as a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneralizationReport {
    bounds: StabilityBounds,
    steps: u64,
    measurements: Vec<Measurement>,
}

impl GeneralizationReport {
    pub(super) fn new(bounds: StabilityBounds, steps: u64, measurements: Vec<Measurement>) -> Self {
        Self { bounds, steps, measurements }
    }

    /// Number of steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// All measurements, in their order.
    pub fn measurements(&self) -> &[Measurement] {
        &self.measurements
    }

    /// The bounds as functions, with the sizes and constants of the run.
    pub fn settings(&self) -> &StabilityBounds {
        &self.bounds
    }

    /// `sum_t disc_t / alpha_t^2`; infinite if a step had no noise.
    pub fn scaled_discrepancy(&self) -> f64 {
        self.scaled(|measurement| measurement.discrepancy)
    }

    /// `sum_t ge_t / alpha_t^2` with the mean squared gradient norm `ge_t`.
    pub fn scaled_grad_norm(&self) -> f64 {
        self.scaled(|measurement| measurement.grad_norm_sq)
    }

    fn scaled(&self, value: impl Fn(&Measurement) -> f64) -> f64 {
        let term = |measurement: &Measurement| match measurement.inverse_alpha_squared {
            f64::INFINITY => f64::INFINITY,
            scale => value(measurement) * scale,
        };
        self.measurements.iter().map(term).sum()
    }

    /// `sum_t E LSD_t`; `None` if a measurement lacks it.
    pub fn divergence(&self) -> Option<f64> {
        let term = |m: &Measurement| Some(m.divergence? * m.steps as f64);
        self.measurements.iter().map(term).sum()
    }

    /// The paper's bound; a bound only if [`conditions_held`](Self::conditions_held) says that its
    /// condition held in all measurements.
    ///
    /// # Errors
    /// If a mini-batch is more than half of the training set.
    pub fn paper(&self) -> Result<f64, GeneralizationError> {
        self.bounds.paper(self.scaled_discrepancy())
    }

    /// Our bound without a condition on `alpha`.
    pub fn unconditional(&self) -> f64 {
        self.bounds.unconditional(self.scaled_discrepancy())
    }

    /// In how many measurements the paper's condition on `alpha` held, and how many there are.
    pub fn conditions_held(&self) -> (usize, usize) {
        let held = self.measurements.iter().filter(|measurement| measurement.condition).count();
        (held, self.measurements.len())
    }

    /// All bounds with their conditions.
    pub fn rows(&self) -> Vec<BoundRow> {
        rows(&self.bounds, self.sums(), &[self])
    }

    fn sums(&self) -> Sums {
        Sums {
            discrepancy: self.scaled_discrepancy(),
            grad_norm: self.scaled_grad_norm(),
            divergence: self.divergence(),
        }
    }

    /// Writes one line per measurement.
    ///
    /// # Errors
    /// If the writer fails.
    pub fn write_csv(&self, writer: impl Write) -> Result<(), csv::Error> {
        let mut writer = csv::Writer::from_writer(writer);
        for measurement in &self.measurements {
            writer.serialize(measurement)?;
        }
        Ok(writer.flush()?)
    }
}

/// The bounds of several runs together: the sums of the runs on one data set are averaged under the
/// root, the bounds of the data sets outside of it.
///
/// # Shapes
/// - data_sets: `[data sets][runs]`; a data set without runs is passed over
///
/// # Example
/// ```
/// use firebrick::generalization::{GeneralizationMonitorConfig, combine};
///
/// let empty = GeneralizationMonitorConfig::new(400, 10).init()?.report()?;
/// let rows = combine(&[vec![empty.clone(), empty.clone()], vec![empty]]);
/// assert_eq!(rows[0].value, Some(0.0));
/// # Ok::<(), firebrick::generalization::GeneralizationError>(())
/// ```
pub fn combine(data_sets: &[Vec<GeneralizationReport>]) -> Vec<BoundRow> {
    let tables: Vec<Vec<BoundRow>> = data_sets
        .iter()
        .filter_map(|runs| {
            let mean = |value: &dyn Fn(&Sums) -> f64| {
                runs.iter().map(|run| value(&run.sums())).sum::<f64>() / runs.len() as f64
            };
            let divergences: Option<Vec<f64>> =
                runs.iter().map(GeneralizationReport::divergence).collect();
            let sums = Sums {
                discrepancy: mean(&|sums| sums.discrepancy),
                grad_norm: mean(&|sums| sums.grad_norm),
                divergence: divergences.map(|all| all.iter().sum::<f64>() / all.len() as f64),
            };
            let first = runs.first()?;
            Some(rows(&first.bounds, sums, &runs.iter().collect::<Vec<_>>()))
        })
        .collect();
    let Some(mut combined) = tables.first().cloned() else { return Vec::new() };
    for (index, row) in combined.iter_mut().enumerate() {
        let of = || tables.iter().map(|table| &table[index]);
        let values: Option<Vec<f64>> = of().map(|row| row.value).collect();
        row.value = values.map(|values| values.iter().sum::<f64>() / values.len() as f64);
        let holds: Option<Vec<bool>> = of().map(|row| row.holds).collect();
        row.holds = holds.map(|holds| holds.into_iter().all(|holds| holds));
    }
    combined
}

fn rows(bounds: &StabilityBounds, sums: Sums, runs: &[&GeneralizationReport]) -> Vec<BoundRow> {
    let small = bounds.check_batch("").is_ok();
    let measurements = || runs.iter().flat_map(|run| &run.measurements);
    let usable = measurements().all(|measurement| measurement.divergence_usable == Some(true));
    vec![
        BoundRow {
            name: "stability bound (Theorem 2)",
            origin: "paper",
            value: bounds.paper(sums.discrepancy).ok(),
            condition: "b <= n / 2, alpha^2 >= 8 c2 Delta^2 at every step",
            holds: Some(small && measurements().all(|measurement| measurement.condition)),
        },
        BoundRow {
            name: "unconditional bound",
            origin: "ours",
            value: Some(bounds.unconditional(sums.discrepancy)),
            condition: "none on alpha",
            holds: Some(true),
        },
        BoundRow {
            name: "measured divergence",
            origin: "ours",
            value: sums.divergence.and_then(|sum| bounds.measured_divergence(sum).ok()),
            condition: "b <= n / 2, no heavy tail",
            holds: sums.divergence.map(|_| small && usable),
        },
        BoundRow {
            name: "gradient norm (Li et al. 2020)",
            origin: "to compare",
            value: Some(bounds.gradient_norm(sums.grad_norm)),
            condition: "eta <= sigma / (20 L), not checked",
            holds: None,
        },
    ]
}

impl fmt::Display for GeneralizationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (held, all) = self.conditions_held();
        writeln!(
            f,
            "n = {}, b = {}, {} steps, {all} measurements; the paper's condition on alpha held in \
             {held} of them",
            self.bounds.num_train(),
            self.bounds.batch_size(),
            self.steps
        )?;
        for row in self.rows() {
            let value = row.value.map_or("-".into(), |value| format!("{value:.4}"));
            let holds = match row.holds {
                Some(true) => "holds",
                Some(false) => "DOES NOT HOLD",
                None if row.value.is_none() => "not measured",
                None => "unknown",
            };
            writeln!(
                f,
                "{:<31} {value:>10}  {:<10}  {holds}: {}",
                row.name, row.origin, row.condition
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn measurement(discrepancy: f64, condition: bool) -> Measurement {
        Measurement {
            step: 1,
            alpha: 0.5,
            steps: 10,
            inverse_alpha_squared: 40.0,
            train_examples: 2,
            fresh_examples: 3,
            discrepancy,
            grad_norm_sq: 1.0,
            delta_estimate: None,
            delta_bound: 2.0,
            condition,
            divergence: Some(0.01),
            divergence_usable: Some(true),
        }
    }

    fn report(discrepancies: &[f64]) -> GeneralizationReport {
        let all = discrepancies.iter().map(|&value| measurement(value, true)).collect();
        GeneralizationReport::new(StabilityBounds::new(100, 10).unwrap(), 20, all)
    }

    #[test]
    fn rows_hold_the_bounds_and_say_whose_they_are() {
        let rows = report(&[2.0, 3.0]).rows();
        let bounds = StabilityBounds::new(100, 10).unwrap();
        assert_eq!(rows[0].value, Some(bounds.paper(200.0).unwrap()));
        assert_eq!(rows[1].value, Some(bounds.unconditional(200.0)));
        assert_eq!(rows[2].value, Some(bounds.measured_divergence(0.2).unwrap()));
        assert_eq!(rows[3].value, Some(bounds.gradient_norm(80.0)));
        let origins: Vec<_> = rows.iter().map(|row| row.origin).collect();
        assert_eq!(origins, ["paper", "ours", "ours", "to compare"]);
        assert_eq!(rows[0].holds, Some(true));
    }

    #[test]
    fn a_condition_that_failed_once_is_said_in_the_table() {
        let mut report = report(&[2.0]);
        report.measurements.push(measurement(2.0, false));
        report.measurements.push(Measurement { divergence: None, ..measurement(2.0, true) });
        let text = report.to_string();
        assert!(text.contains("the paper's condition on alpha held in 2 of them"), "{text}");
        assert!(text.contains("DOES NOT HOLD: b <= n / 2, alpha^2"), "{text}");
        assert!(text.contains("not measured: b <= n / 2, no heavy tail"), "{text}");
    }

    #[test]
    fn a_large_batch_leaves_the_unconditional_bound() {
        let mut report = report(&[2.0]);
        report.bounds = StabilityBounds::new(15, 10).unwrap();
        let rows = report.rows();
        assert_eq!((rows[0].value, rows[0].holds), (None, Some(false)));
        assert!(rows[1].value.unwrap() > 0.0);
        assert_eq!(rows[2].value, None);
        assert!(report.paper().is_err());
    }

    #[test]
    fn runs_of_one_data_set_are_averaged_under_the_root() {
        let bounds = StabilityBounds::new(100, 10).unwrap();
        let rows = combine(&[vec![report(&[1.0]), report(&[3.0])], vec![report(&[8.0])]]);
        let expected = (bounds.unconditional(80.0) + bounds.unconditional(320.0)) / 2.0;
        assert!((rows[1].value.unwrap() - expected).abs() < 1e-12);
        assert!(combine(&[]).is_empty());
    }

    #[test]
    fn csv_has_a_line_per_measurement() {
        let mut bytes = Vec::new();
        report(&[2.0, 3.0]).write_csv(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with("step,alpha,steps,inverse_alpha_squared,train_examples"),
            "{text}"
        );
        assert!(text.contains("\n1,0.5,10,40.0,2,3,3.0,1.0,,2.0,true,0.01,true\n"), "{text}");
    }
}
