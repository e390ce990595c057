//! Networks for images.

mod small_cnn;

pub use small_cnn::{SmallCnn, SmallCnnConfig};
