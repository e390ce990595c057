//! Flags, run folders, training, plots and claims shared by firebrick's examples.
//!
//! Not published: an example should read like the experiments section of a paper, and this crate
//! holds what is the same in all of them.
#![recursion_limit = "256"]

pub mod args;
pub mod claims;
pub mod fields;
pub mod heat_map;
pub mod plot;
pub mod progress;
pub mod run;
pub mod sheet;
pub mod training;
