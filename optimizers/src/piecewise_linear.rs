//! A learning rate that is linear between given points.
//!
//! # Example
//! ```
//! use burn::optim::lr_scheduler::LrScheduler;
//! use firebrick_optimizers::piecewise_linear::PiecewiseLinearConfig;
//!
//! let mut schedule = PiecewiseLinearConfig::new(vec![[0.0, 0.0], [2.0, 0.1], [4.0, 0.0]]).init();
//! let rates: Vec<f64> = (0..5).map(|_| schedule.step()).collect();
//! assert_eq!(rates, [0.05, 0.1, 0.05, 0.0, 0.0]);
//! ```

use burn::config::Config;
use burn::optim::RecordState;
use burn::optim::lr_scheduler::{LrScheduler, LrSchedulerRecord};

/// Settings of [`PiecewiseLinear`].
#[derive(Config, Debug)]
pub struct PiecewiseLinearConfig {
    /// Corners `[step, learning rate]`, with increasing steps. Before the first and behind the last the
    /// rate stays.
    pub points: Vec<[f64; 2]>,
}

impl PiecewiseLinearConfig {
    /// Up to `lr` over two fifths of the steps, down to a twentieth of it over the next two, and to zero:
    /// the recipe for orthogonal networks of Trockman and Kolter (ICLR 2021) and of Su, Byeon and Huang
    /// (ICML 2022).
    pub fn up_and_down(total_steps: usize, lr: f64) -> Self {
        let total = total_steps as f64;
        Self::new(vec![[0.0, 0.0], [0.4 * total, lr], [0.8 * total, 0.05 * lr], [total, 0.0]])
    }

    /// Creates the schedule, which stands before its first step.
    ///
    /// # Panics
    /// If there are no points, their steps do not increase, or a number is negative or not finite.
    pub fn init(&self) -> PiecewiseLinear {
        let points = &self.points;
        let valid = points.iter().flatten().all(|value| *value >= 0.0 && value.is_finite());
        let increase = points.windows(2).all(|pair| pair[0][0] < pair[1][0]);
        assert!(
            !points.is_empty() && valid && increase,
            "PiecewiseLinearConfig: points must be finite, from 0, with increasing steps, got {points:?}"
        );
        PiecewiseLinear { points: points.clone(), done: 0 }
    }
}

/// A learning rate that is linear between points; step number `t`, from 0, gets the rate at `t + 1`.
#[derive(Clone, Debug)]
pub struct PiecewiseLinear {
    points: Vec<[f64; 2]>,
    done: usize,
}

/// What a [`PiecewiseLinear`] remembers.
#[derive(RecordState, Clone, Debug)]
pub struct PiecewiseLinearState {
    done: usize,
}

impl PiecewiseLinear {
    /// The rate at a place between steps.
    pub fn rate(&self, at: f64) -> f64 {
        let after = self.points.iter().position(|point| point[0] > at);
        match after {
            Some(0) => self.points[0][1],
            None => self.points[self.points.len() - 1][1],
            Some(after) => {
                let ([left, low], [right, high]) = (self.points[after - 1], self.points[after]);
                low + (high - low) * (at - left) / (right - left)
            }
        }
    }
}

impl LrScheduler for PiecewiseLinear {
    fn step(&mut self) -> f64 {
        self.done += 1;
        self.rate(self.done as f64)
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::from_state(&PiecewiseLinearState { done: self.done })
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(state) = record.into_state::<PiecewiseLinearState>() {
            self.done = state.done;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_up_and_down_through_its_corners() {
        let schedule = PiecewiseLinearConfig::up_and_down(10, 0.2).init();
        let rates = [0.0, 2.0, 4.0, 6.0, 8.0, 9.0, 10.0, 11.0].map(|at| schedule.rate(at));
        let expected = [0.0, 0.1, 0.2, 0.105, 0.01, 0.005, 0.0, 0.0];
        for (found, expected) in rates.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn goes_on_from_its_record() {
        let config = PiecewiseLinearConfig::up_and_down(7, 0.1);
        let mut whole = config.init();
        for _ in 0..3 {
            whole.step();
        }
        let mut resumed = config.init();
        resumed.load_record(whole.to_record());
        assert_eq!(resumed.step(), whole.step());
    }

    #[test]
    #[should_panic(expected = "with increasing steps, got [[1.0, 0.1], [1.0, 0.2]]")]
    fn refuses_two_rates_at_one_step() {
        PiecewiseLinearConfig::new(vec![[1.0, 0.1], [1.0, 0.2]]).init();
    }
}
