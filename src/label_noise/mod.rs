//! Analyses of label noise, on the host in 64 bits.
//!
//! | type | what |
//! |---|---|
//! | [`LinearSop`] | SOP's noise model on a linear problem: labels are a signal plus sparse errors |
//! | [`GradientDescent`] | the over-parameterized fit of signal and errors |
//! | [`ConvexProgram`] | its limit for a start near zero, which says when the errors are found |
//!
//! Which labels of a real data set are wrong tells, after training with SOP,
//! [`Sop::scores`](crate::optimizers::sop::Sop::scores).

mod algebra;
mod convex_program;
mod error;
mod linear_theory;

pub use convex_program::{ConvexProgram, ConvexReport};
pub use error::LabelNoiseError;
pub use linear_theory::{
    DescentRecord, DescentReport, GradientDescent, Incoherence, LinearSop, LinearTruth,
};
