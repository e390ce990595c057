//! Networks for images.

pub mod orthogonal;
mod small_cnn;

pub use small_cnn::{SmallCnn, SmallCnnConfig};
