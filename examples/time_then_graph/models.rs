//! What is compared.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firebrick::models::temporal::{
    Activation, Convolution, Dcrnn, DcrnnConfig, Dysat, DysatConfig, Encoding, EvolveGcnH,
    EvolveGcnHConfig, EvolveGcnO, EvolveGcnOConfig, GcnGru, GcnGruConfig, Gcrn, GcrnConfig,
    GraphGru, GraphGruConfig, Head, HeadConfig, TemporalGraph, TimeThenGraph, TimeThenGraphConfig,
};
use serde::{Deserialize, Serialize};

/// Width of all codes.
pub const WIDTH: usize = 16;

/// A model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    GruSum,
    GruGine,
    GruGcn,
    GcnGru,
    Dysat,
    GcrnM2,
    GraphGru,
    Dcrnn,
    EvolveGcnO,
    EvolveGcnH,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::GruSum,
        Self::GruGine,
        Self::GruGcn,
        Self::GcnGru,
        Self::Dysat,
        Self::GcrnM2,
        Self::GraphGru,
        Self::Dcrnn,
        Self::EvolveGcnO,
        Self::EvolveGcnH,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::GruSum => "GRU, then sum",
            Self::GruGine => "GRU, then GINE",
            Self::GruGcn => "GRU, then GCN",
            Self::GcnGru => "GCN-GRU",
            Self::Dysat => "DySAT",
            Self::GcrnM2 => "GCRN-M2",
            Self::GraphGru => "DCRNN, reference form",
            Self::Dcrnn => "DCRNN, diffusion",
            Self::EvolveGcnO => "EvolveGCN-O",
            Self::EvolveGcnH => "EvolveGCN-H",
        }
    }

    /// Whether time comes first.
    pub fn is_time_first(self) -> bool {
        matches!(self, Self::GruSum | Self::GruGine | Self::GruGcn)
    }

    /// Whether the model sees degrees of the union.
    pub fn sees_union(self) -> bool {
        matches!(self, Self::GruSum | Self::GruGine)
    }
}

/// The part that makes a row of each node.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // one value a training
pub enum Encoder {
    TimeThenGraph(TimeThenGraph),
    GcnGru(GcnGru),
    Dysat(Dysat),
    Gcrn(Gcrn),
    GraphGru(GraphGru),
    Dcrnn(Dcrnn),
    EvolveGcnO(EvolveGcnO),
    EvolveGcnH(EvolveGcnH),
}

/// A model with its head.
#[derive(Module, Debug)]
pub struct Network {
    pub encoder: Encoder,
    pub head: Head,
}

/// Sizes of a task.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub inputs: usize,
    pub outputs: usize,
    pub fixed: bool,
    pub activation: Activation,
}

impl Network {
    pub fn new(kind: Kind, sizes: Sizes, device: &Device) -> Self {
        let Sizes { inputs, outputs, fixed, activation } = sizes;
        let time_first = |convolution| {
            let encoding = if fixed { Encoding::Static } else { Encoding::Gru };
            TimeThenGraphConfig::new(inputs, WIDTH)
                .with_convolution(convolution)
                .with_edge_encoding(encoding)
                .with_activation(activation)
                .init(device)
        };
        let encoder = match kind {
            Kind::GruSum => Encoder::TimeThenGraph(time_first(Convolution::Sum)),
            Kind::GruGine => Encoder::TimeThenGraph(time_first(Convolution::Gine)),
            Kind::GruGcn => Encoder::TimeThenGraph(time_first(Convolution::Gcn)),
            Kind::GcnGru => {
                Encoder::GcnGru(GcnGruConfig::new(inputs).with_activation(activation).init(device))
            }
            Kind::Dysat => {
                Encoder::Dysat(DysatConfig::new(inputs).with_activation(activation).init(device))
            }
            Kind::GcrnM2 => {
                Encoder::Gcrn(GcrnConfig::new(inputs).with_activation(activation).init(device))
            }
            Kind::GraphGru => {
                let config = GraphGruConfig::new(inputs).with_activation(activation);
                Encoder::GraphGru(config.init(device))
            }
            Kind::Dcrnn => Encoder::Dcrnn(DcrnnConfig::new(inputs).init(device)),
            Kind::EvolveGcnO => {
                let config = EvolveGcnOConfig::new(inputs).with_activation(activation);
                Encoder::EvolveGcnO(config.init(device))
            }
            Kind::EvolveGcnH => {
                let config = EvolveGcnHConfig::new(inputs).with_activation(activation);
                Encoder::EvolveGcnH(config.init(device))
            }
        };
        let width = if kind.is_time_first() { 2 * WIDTH } else { WIDTH };
        let head = HeadConfig::new(width, WIDTH, outputs).with_activation(activation).init(device);
        Self { encoder, head }
    }

    /// A row per node.
    pub fn codes(&self, graph: &TemporalGraph) -> Tensor<2> {
        match &self.encoder {
            Encoder::TimeThenGraph(encoder) => encoder.forward(graph),
            Encoder::GcnGru(encoder) => encoder.forward(graph),
            Encoder::Dysat(encoder) => encoder.forward(graph),
            Encoder::Gcrn(encoder) => encoder.forward(graph),
            Encoder::GraphGru(encoder) => encoder.forward(graph),
            Encoder::Dcrnn(encoder) => encoder.forward(graph),
            Encoder::EvolveGcnO(encoder) => encoder.forward(graph),
            Encoder::EvolveGcnH(encoder) => encoder.forward(graph),
        }
    }

    /// Logits of each window.
    pub fn classify(&self, graph: &TemporalGraph) -> Tensor<2> {
        self.head.forward_windows(graph, self.codes(graph))
    }

    /// The next step of each node.
    pub fn forecast(&self, graph: &TemporalGraph) -> Tensor<2> {
        self.head.forward(self.codes(graph))
    }
}
