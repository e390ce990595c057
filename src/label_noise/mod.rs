//! Analyses of label noise, on the host in 64 bits.
//!
//! | type | what |
//! |---|---|
//! | [`NoiseReport`] | which labels look wrong, what they should be, how noisy the data is |
//! | [`ConfidentLearningConfig`] | label errors, noise matrices and quality scores from predicted probabilities |
//! | [`LinearSop`] | SOP's noise model on a linear problem: labels are a signal plus sparse errors |
//! | [`GradientDescent`] | the over-parameterized fit of signal and errors |
//! | [`ConvexProgram`] | its limit for a start near zero, which says when the errors are found |
//!
//! After training with SOP, [`NoiseReport::from_sop`] turns its state into a report; without SOP,
//! [`ConfidentLearning::report`] turns predicted probabilities into one.

mod algebra;
mod confident_learning;
mod convex_program;
mod error;
mod linear_theory;
mod report;

pub use confident_learning::{Collision, ConfidentLearning, ConfidentLearningConfig, IssueRule};
pub use convex_program::{ConvexProgram, ConvexReport};
pub use error::LabelNoiseError;
pub use linear_theory::{
    DescentRecord, DescentReport, GradientDescent, Incoherence, LinearSop, LinearTruth,
};
pub use report::{NoiseReport, SampleReport};
