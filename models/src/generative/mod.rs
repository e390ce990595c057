//! Generative models.

pub mod residual_flow;
