//! Layers, losses and networks of firebrick for the Burn framework.
//!
//! | module | what |
//! |---|---|
//! | [`classifier`] | what a training loop needs to know of a network |
//! | [`graph`] | graph convolutions and attention, networks of them, batches of graphs |
//! | [`losses`] | generalized and symmetric cross entropy, early-learning regularization, co-teaching |
//! | [`mlp`] | multilayer perceptron |
//! | [`orthogonal`] | exactly orthogonal convolutions and linear layers, layers to compare them with, spectra |
//! | [`patch_network`] | filters over patches with an odd power as activation |
//! | [`vision`] | networks for images |
#![recursion_limit = "256"]

pub mod classifier;
mod error;
pub mod graph;
pub mod losses;
pub mod mlp;
pub mod orthogonal;
pub mod patch_network;
pub mod vision;

pub use error::ModelError;
