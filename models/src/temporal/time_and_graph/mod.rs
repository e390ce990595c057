//! Time-and-graph networks: a graph network on every snapshot, woven into a recurrence over time.
//!
//! | network | over time | on a snapshot |
//! |---|---|---|
//! | [`GcnGru`] | GRU | graph convolutions, before the recurrence |
//! | [`Dysat`] | self-attention | graph attention, before it |
//! | [`Gcrn`] | LSTM | Chebyshev networks as gates |
//! | [`GraphGru`] | GRU | Chebyshev networks as gates |
//! | [`Dcrnn`] | GRU | diffusion convolutions as gates |
//! | [`EvolveGcnO`], [`EvolveGcnH`] | weights evolve by an LSTM or a GRU | graph convolutions |
//!
//! All turn a [`TemporalGraph`](super::TemporalGraph) into one row per node, of [`d_output`](Gcrn::d_output)
//! columns, that tells of its last step. With graph networks that see no more than the 1-WL test they give the
//! same rows for windows whose snapshots look alike one by one, whatever the union of the snapshots.

mod dcrnn;
mod dysat;
mod evolution;
mod evolve_gcn_h;
mod evolve_gcn_o;
mod gate;
mod gcn_gru;
mod gcrn;
mod graph_gru;
mod steps;

pub use dcrnn::{Dcrnn, DcrnnConfig};
pub use dysat::{Dysat, DysatConfig};
pub use evolve_gcn_h::{EvolveGcnH, EvolveGcnHConfig, EvolveGcnHState};
pub use evolve_gcn_o::{EvolveGcnO, EvolveGcnOConfig, EvolveGcnOState};
pub use gate::{ChebyshevGate, ChebyshevGateConfig};
pub use gcn_gru::{GcnGru, GcnGruConfig};
pub use gcrn::{Gcrn, GcrnConfig, GcrnState};
pub use graph_gru::{GraphGru, GraphGruConfig};

#[cfg(test)]
mod tests;
