//! Deep equilibrium layers: `z* = f(z*, x)` as a layer, and the matrices that it starts from.

pub mod family_theory;
pub mod matrix_family;
pub mod measure;
