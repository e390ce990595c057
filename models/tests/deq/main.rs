//! Equilibrium blocks against closed forms, unrolled gradients and differences, and with all kinds of maps.
#![allow(clippy::unwrap_used)]
#![recursion_limit = "256"]

mod batches;
mod data_flow;
mod exactness;
mod gradients;
mod options;
mod support;
