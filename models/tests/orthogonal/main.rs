//! Orthogonal layers: what must hold for every legal configuration.
#![allow(clippy::unwrap_used)]
#![recursion_limit = "256"]

mod exactness;
mod layers;
mod options;
mod support;
mod training;
