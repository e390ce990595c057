//! What a run of a momentum study shows.

use std::io::Write;

use firebrick_ops::iteration::Status;
use serde::Serialize;

use super::PatchFilters;

/// Shares of wrongly classified examples, in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ErrorRates {
    /// Among all examples.
    pub total: f64,
    /// Among those with a small margin; `None` if there are none.
    pub small: Option<f64>,
    /// Among those with a large margin; `None` if there are none.
    pub large: Option<f64>,
}

/// The state of a run after a number of steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TracePoint {
    /// The number of steps done; zero is the start.
    pub step: usize,
    /// The loss on the training set, penalty included.
    pub loss: f64,
    /// How far each filter points along the feature, `[num_filters]`.
    pub signals: Vec<f64>,
    /// The best fit of a filter to a noise patch of a small-margin training example, see
    /// [`PatchFilters::largest_noise`]; `None` if there is no such example.
    pub noise_small: Option<f64>,
    /// The same for large margins.
    pub noise_large: Option<f64>,
    /// Error rates on the training set.
    pub train: ErrorRates,
    /// Error rates on the test set.
    pub test: ErrorRates,
}

impl TracePoint {
    /// The largest signal over the filters.
    pub fn max_signal(&self) -> f64 {
        self.signals.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// How a run ended, and what it passed on the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DescentReport {
    /// [`Status::Converged`] if the loss fell below the tolerance, [`Status::MaxSteps`] after all
    /// steps, [`Status::Diverged`] if loss or filters left their bounds; `end.step` says when.
    pub status: Status,
    /// The state at the end.
    pub end: TracePoint,
    /// The state every so many steps, from the start to the end, which are always there.
    pub trace: Vec<TracePoint>,
    /// The filters at the end.
    pub filters: PatchFilters,
}

/// One line of the CSV file.
#[derive(Serialize)]
struct Line {
    step: usize,
    loss: f64,
    max_signal: f64,
    noise_small: Option<f64>,
    noise_large: Option<f64>,
    train_error: f64,
    test_error: f64,
    test_error_small: Option<f64>,
    test_error_large: Option<f64>,
}

impl DescentReport {
    /// Writes the trace, one line per point: `step, loss, max_signal, noise_small, noise_large,
    /// train_error, test_error, test_error_small, test_error_large`. What does not exist is empty.
    ///
    /// # Errors
    /// If the writer fails.
    pub fn write_csv(&self, writer: impl Write) -> Result<(), csv::Error> {
        let mut writer = csv::Writer::from_writer(writer);
        for point in &self.trace {
            writer.serialize(Line {
                step: point.step,
                loss: point.loss,
                max_signal: point.max_signal(),
                noise_small: point.noise_small,
                noise_large: point.noise_large,
                train_error: point.train.total,
                test_error: point.test.total,
                test_error_small: point.test.small,
                test_error_large: point.test.large,
            })?;
        }
        Ok(writer.flush()?)
    }
}
