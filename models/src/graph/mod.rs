//! Graph neural networks.

pub mod local_augmentation;
