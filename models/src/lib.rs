//! Layers, losses and networks of firebrick for the Burn framework.
//!
//! | module | what |
//! |---|---|
//! | [`classifier`] | what a training loop needs to know of a network |
//! | [`deq`] | deep equilibrium blocks: layers whose output is a fixed point, with exact implicit gradients |
//! | [`graph`] | graph convolutions and attention, networks of them, batches of graphs |
//! | [`graph`] | graph neural networks |
//! | [`generative`] | residual flows: invertible networks with a tractable density |
//! | [`graph`] | graph convolutions and attention, networks of them, batches of graphs |
//! | [`losses`] | generalized and symmetric cross entropy, early-learning regularization, co-teaching |
//! | [`lipschitz`] | activations, pooling and skip connections of 1-Lipschitz networks |
//! | [`losses`] | generalized and symmetric cross entropy, early-learning regularization, co-teaching, losses with a margin |
//! | [`mlp`] | multilayer perceptron |
//! | [`orthogonal`] | exactly orthogonal convolutions and linear layers, layers to compare them with, spectra |
//! | [`patch_network`] | filters over patches with an odd power as activation |
//! | [`temporal`] | temporal graphs and networks that read them, time-then-graph encoders among them |
//! | [`vision`] | networks for images, among them deep orthogonal ones |
#![recursion_limit = "256"]

pub mod classifier;
pub mod deq;
mod error;
pub mod generative;
pub mod graph;
pub mod lipschitz;
pub mod losses;
pub mod mlp;
pub mod orthogonal;
pub mod patch_network;
mod seed;
pub mod temporal;
pub mod vision;

pub use error::ModelError;
