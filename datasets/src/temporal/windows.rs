//! Pairs of a history and of what follows it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::temporal::data::unsuitable;

/// Steps to forecast from, and the steps to forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first step of the history.
    pub start: usize,
    /// Length of the history.
    pub history: usize,
    /// Number of steps to forecast, right after the history.
    pub horizon: usize,
}

impl Window {
    /// The steps to forecast from.
    pub fn inputs(&self) -> Range<usize> {
        self.start..self.start + self.history
    }

    /// The steps to forecast.
    pub fn targets(&self) -> Range<usize> {
        let start = self.start + self.history;
        start..start + self.horizon
    }
}

/// Settings of windows over a sequence.
///
/// # Example
/// ```
/// use firebrick_datasets::temporal::Windows;
///
/// let windows = Windows::new(7).over(61)?;
/// assert_eq!(windows.len(), 54);
/// assert_eq!((windows[0].inputs(), windows[0].targets()), (0..7, 7..8));
/// assert_eq!(windows[53].targets(), 60..61);
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// Length of the history; at least one.
    pub history: usize,
    /// Number of steps to forecast; at least one. Default: 1.
    pub horizon: usize,
    /// Steps from the start of a window to that of the next; at least one. Default: 1.
    pub stride: usize,
}

impl Windows {
    /// Windows with the given history that forecast the next step.
    pub fn new(history: usize) -> Self {
        Self { history, horizon: 1, stride: 1 }
    }

    /// Forecasts several steps.
    pub fn with_horizon(mut self, horizon: usize) -> Self {
        self.horizon = horizon;
        self
    }

    /// Leaves out windows.
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    /// All windows of a sequence of `num_steps` steps, in their order.
    ///
    /// # Errors
    /// If a setting is zero or the sequence is shorter than a window.
    pub fn over(&self, num_steps: usize) -> Result<Vec<Window>, DatasetError> {
        let Self { history, horizon, stride } = *self;
        for (what, found) in [("history", history), ("horizon", horizon), ("stride", stride)] {
            if found == 0 {
                return Err(unsuitable(what, "at least 1", "0"));
            }
        }
        let length = history.saturating_add(horizon);
        if length > num_steps {
            let found = format!("{history} and {horizon}");
            let expected = format!("at most {num_steps} steps together");
            return Err(unsuitable("history and horizon", expected, found));
        }
        let starts = (0..=num_steps - length).step_by(stride);
        Ok(starts.map(|start| Window { start, history, horizon }).collect())
    }
}
