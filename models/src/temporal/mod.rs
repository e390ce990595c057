//! Temporal graphs: sequences of snapshots over shared nodes, and networks that read them.
//!
//! | type | what |
//! |---|---|
//! | [`TemporalGraph`] | windows on a device: snapshots, their union, sequences of nodes and entries |
//! | [`TemporalGraphConfig`], [`TemporalWindow`] | how it is made from slices on the host |
//! | [`TimeThenGraph`] | sequences of nodes and entries first, then one static graph network |
//! | [`Head`] | from codes to forecasts or logits, by node or by window |
//! | [`SequenceEncoder`] | recurrent, attention, linear and static encoders of sequences |
//! | [`GraphSum`] | weighted sum over neighbors, which sees degrees |
//! | [`GruCell`], [`LstmCell`] | cells with stacked gates; [`gru_update`] and [`lstm_update`] from other gates |

mod activation;
mod attention;
mod build;
mod cell;
mod convolution;
mod encoder;
mod error;
mod graph;
mod head;
mod read;
mod start;
mod time_and_graph;
mod time_then_graph;
mod window;

pub use activation::Activation;
pub use attention::{AttentionEncoder, AttentionEncoderConfig, heads_of};
pub use build::TemporalGraphConfig;
pub use cell::{
    GruCell, GruCellConfig, LstmCell, LstmCellConfig, LstmState, gru_update, lstm_update,
};
pub use convolution::{Convolution, GraphLayers, GraphPerceptron, GraphSum, GraphSumConfig};
pub use encoder::{Encoding, LastStep, SequenceEncoder, SequenceEncoderConfig, SequenceState};
pub use error::TemporalGraphError;
pub use graph::{EdgeFeatures, EdgeSequences, Snapshot, TemporalGraph};
pub use head::{Head, HeadConfig};
pub use time_and_graph::{
    ChebyshevGate, ChebyshevGateConfig, Dcrnn, DcrnnConfig, Dysat, DysatConfig, EvolveGcnH,
    EvolveGcnHConfig, EvolveGcnHState, EvolveGcnO, EvolveGcnOConfig, EvolveGcnOState, GcnGru,
    GcnGruConfig, Gcrn, GcrnConfig, GcrnState, GraphGru, GraphGruConfig,
};
pub use time_then_graph::{Joining, TimeThenGraph, TimeThenGraphConfig, TimeThenGraphState};
pub use window::{Connectivity, TemporalWindow};
