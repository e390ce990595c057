//! Numbers that change with the step.

use serde::{Deserialize, Serialize};

/// A positive quantity as a function of the step `t = 1, 2, ...`.
///
/// # Example
/// ```
/// use firebrick_optimizers::efld::Schedule;
///
/// let schedule = Schedule::Power { initial: 2.0, exponent: 0.25 };
/// assert_eq!(schedule.at(1), 2.0);
/// assert_eq!(schedule.at(16), 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    /// The same value at every step.
    Constant(f64),
    /// `initial * t^-exponent`; the paper's convergence result for SGLD has the exponent 1/4.
    Power {
        /// Value at step 1.
        initial: f64,
        /// Exponent; zero gives a constant, negative values grow.
        exponent: f64,
    },
    /// `initial * factor^floor((t - 1) / every)`.
    StepDecay {
        /// Value at step 1.
        initial: f64,
        /// Factor between stages; positive.
        factor: f64,
        /// Steps in a stage; at least one.
        every: u64,
    },
    /// `initial * rate^(t - 1)`.
    Exponential {
        /// Value at step 1.
        initial: f64,
        /// Factor between steps; positive.
        rate: f64,
    },
    /// Straight from `initial` at step 1 to `last` at step `steps`, and `last` afterwards.
    Linear {
        /// Value at step 1.
        initial: f64,
        /// Value from step `steps` on.
        last: f64,
        /// Step at which `last` is reached; at least one.
        steps: u64,
    },
    /// Half a cosine from `initial` at step 1 to `last` at step `steps`, and `last` afterwards.
    Cosine {
        /// Value at step 1.
        initial: f64,
        /// Value from step `steps` on.
        last: f64,
        /// Step at which `last` is reached; at least one.
        steps: u64,
    },
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl Schedule {
    /// The value at a step, counted from 1.
    ///
    /// # Panics
    /// If `step` is zero.
    pub fn at(&self, step: u64) -> f64 {
        assert!(step > 0, "Schedule: step must be counted from 1, got 0");
        let t = step as f64;
        match *self {
            Self::Constant(value) => value,
            Self::Power { initial, exponent } => initial * t.powf(-exponent),
            Self::StepDecay { initial, factor, every } => {
                initial * factor.powf(((step - 1) / every) as f64)
            }
            Self::Exponential { initial, rate } => initial * rate.powf(t - 1.0),
            Self::Linear { initial, last, steps } => {
                initial + (last - initial) * progress(step, steps)
            }
            Self::Cosine { initial, last, steps } => {
                let turn = (std::f64::consts::PI * progress(step, steps)).cos();
                last + (initial - last) * (1.0 + turn) / 2.0
            }
        }
    }

    /// Checks the settings; `zero` says whether the quantity may be zero.
    ///
    /// # Panics
    /// If a value is negative, not finite, or zero without leave.
    pub(super) fn check(&self, name: &str, zero: bool) {
        let value = |what: &str, value: f64| {
            let rule = if zero { "at least 0" } else { "positive" };
            assert!(
                value.is_finite() && (value > 0.0 || zero && value == 0.0),
                "{name}: {what} must be finite and {rule}, got {value}"
            );
        };
        let positive = |what: &str, value: f64| {
            assert!(
                value.is_finite() && value > 0.0,
                "{name}: {what} must be finite and positive, got {value}"
            );
        };
        match *self {
            Self::Constant(constant) => value("the value", constant),
            Self::Power { initial, exponent } => {
                value("the initial value", initial);
                assert!(exponent.is_finite(), "{name}: exponent must be finite, got {exponent}");
            }
            Self::StepDecay { initial, factor, every } => {
                value("the initial value", initial);
                positive("factor", factor);
                assert!(every > 0, "{name}: every must be at least 1, got 0");
            }
            Self::Exponential { initial, rate } => {
                value("the initial value", initial);
                positive("rate", rate);
            }
            Self::Linear { initial, last, steps } | Self::Cosine { initial, last, steps } => {
                value("the initial value", initial);
                value("the last value", last);
                assert!(steps > 0, "{name}: steps must be at least 1, got 0");
            }
        }
    }
}

/// Share of the way from step 1 to step `steps`, from 0 to 1.
fn progress(step: u64, steps: u64) -> f64 {
    if step >= steps { 1.0 } else { (step - 1) as f64 / (steps - 1) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(schedule: Schedule, steps: [u64; 4]) -> [f64; 4] {
        steps.map(|step| schedule.at(step))
    }

    #[test]
    fn every_schedule_starts_at_its_initial_value_and_follows_its_formula() {
        let initial = 8.0;
        let power = Schedule::Power { initial, exponent: 0.5 };
        assert_eq!(values(power, [1, 4, 16, 64]), [8.0, 4.0, 2.0, 1.0]);
        let decay = Schedule::StepDecay { initial, factor: 0.5, every: 20 };
        assert_eq!(values(decay, [1, 20, 21, 41]), [8.0, 8.0, 4.0, 2.0]);
        let exponential = Schedule::Exponential { initial, rate: 0.5 };
        assert_eq!(values(exponential, [1, 2, 3, 4]), [8.0, 4.0, 2.0, 1.0]);
        let linear = Schedule::Linear { initial, last: 2.0, steps: 4 };
        assert_eq!(values(linear, [1, 2, 4, 99]), [8.0, 6.0, 2.0, 2.0]);
        let cosine = Schedule::Cosine { initial, last: 2.0, steps: 3 };
        let expected = [8.0, 5.0, 2.0, 2.0];
        for (found, expected) in values(cosine, [1, 2, 3, 9]).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert_eq!(values(3.0.into(), [1, 2, 3, 4]), [3.0; 4]);
    }

    #[test]
    fn a_ramp_of_one_step_is_at_its_end_at_once() {
        assert_eq!(Schedule::Linear { initial: 8.0, last: 2.0, steps: 1 }.at(1), 2.0);
    }

    #[test]
    #[should_panic(expected = "alpha: the last value must be finite and positive, got 0")]
    fn refuses_to_end_at_zero_where_zero_is_not_allowed() {
        Schedule::Linear { initial: 1.0, last: 0.0, steps: 9 }.check("alpha", false);
    }

    #[test]
    #[should_panic(expected = "every must be at least 1")]
    fn refuses_stages_without_steps() {
        Schedule::StepDecay { initial: 1.0, factor: 0.5, every: 0 }.check("sigma", true);
    }
}
