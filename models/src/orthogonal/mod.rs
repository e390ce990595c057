//! Orthogonal convolutions, layers to compare them with, and their spectra.

pub mod alternatives;
mod layer;
mod report;

pub use layer::OrthogonalLayer;
pub use report::{NormRatio, OrthogonalityReport, SpectrumMethod, orthogonality_report};
