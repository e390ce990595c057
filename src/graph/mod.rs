//! Studies on graphs.

pub mod local_augmentation;
