//! A temporal graph on a device: snapshots, their union, and the sequences of nodes and entries.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Graph, GraphError, Normalization, Operator, gather_targets};

use crate::graph::{GraphBatch, Pooling};

/// Operators of a graph that were asked for.
type Operators = Arc<Mutex<Vec<(Normalization, Operator)>>>;

/// The entries of one step, ordered by target and then by source. Clones share everything.
#[derive(Clone, Debug)]
pub struct Snapshot {
    graph: Graph,
    weights: Tensor<2>,
    /// First channel.
    host: Arc<Vec<f64>>,
    operators: Operators,
}

impl Snapshot {
    pub(super) fn new(graph: Graph, weights: Tensor<2>, host: Vec<f64>) -> Self {
        Self { graph, weights, host: Arc::new(host), operators: Arc::default() }
    }

    /// The entries.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// `[entries, channels]`
    pub fn weights(&self) -> Tensor<2> {
        self.weights.clone()
    }

    /// The operator of the weights' first channel; computed on the host in 64 bits at first use and kept.
    ///
    /// # Errors
    /// If a degree is negative under symmetric scaling.
    pub fn operator(&self, normalization: Normalization) -> Result<Operator, GraphError> {
        // A panic elsewhere leaves the list whole: an operator is pushed when it is complete.
        let mut known = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, operator)) = known.iter().find(|(found, _)| *found == normalization) {
            return Ok(operator.clone());
        }
        let options = (&self.weights.device(), self.weights.dtype());
        let operator = normalization.weighted(&self.graph, &self.host, options)?;
        known.push((normalization, operator.clone()));
        Ok(operator)
    }

    fn to_device(&self, device: &Device) -> Self {
        let weights = self.weights.clone().to_device(device);
        Self {
            weights,
            graph: self.graph.clone(),
            host: self.host.clone(),
            operators: Arc::default(),
        }
    }
}

/// Sequences of the entries of the union; entries with equal sequences share one.
#[derive(Clone, Debug)]
pub struct EdgeSequences {
    /// `[sequences, steps, channels]`
    pub values: Tensor<3>,
    /// From entries to their sequences; `None` if each entry has its own.
    pub of_entry: Option<Graph>,
    /// `[sequences, steps]`: 0 at steps before the start of a window that is shorter than others; `None` if all
    /// are as long.
    pub mask: Option<Tensor<2>>,
}

impl EdgeSequences {
    /// The sequence of every entry, `[entries, steps, channels]`.
    pub fn expanded(&self) -> Tensor<3> {
        let [_, steps, channels] = self.values.dims();
        let rows = self.values.clone().flatten::<2>(1, 2);
        let rows = self.to_entries(rows);
        let entries = rows.dims()[0];
        rows.reshape([entries, steps, channels])
    }

    /// A row per entry from one per sequence.
    ///
    /// # Shapes
    /// - rows: `[sequences, columns]`
    /// - output: `[entries, columns]`
    ///
    /// # Panics
    /// If there is not one row per sequence.
    pub fn to_entries(&self, rows: Tensor<2>) -> Tensor<2> {
        match &self.of_entry {
            None => rows,
            Some(map) => gather_targets(map, rows),
        }
    }

    fn to_device(&self, device: &Device) -> Self {
        Self {
            values: self.values.clone().to_device(device),
            of_entry: self.of_entry.clone(),
            mask: self.mask.clone().map(|mask| mask.to_device(device)),
        }
    }
}

/// What is known of the entries of the union.
// There is one per graph, so its size does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum EdgeFeatures {
    /// A sequence over the steps.
    Dynamic(EdgeSequences),
    /// Constants, `[entries, channels]`.
    Static(Tensor<2>),
}

impl EdgeFeatures {
    /// Number of channels of an entry, the presence channel included.
    pub fn channels(&self) -> usize {
        match self {
            Self::Dynamic(sequences) => sequences.values.dims()[2],
            Self::Static(features) => features.dims()[1],
        }
    }
}

/// One or several windows of a temporal graph, side by side as a disjoint union, on a device.
///
/// A window has `T` snapshots `(A_t, X_t)` over shared nodes. The [union](Self::union) has one entry for
/// every pair that is connected in any snapshot, and each entry has the sequence of its weights, `-1` where it
/// is absent, or a presence channel in place of that. Windows may differ in nodes, entries and length:
/// shorter ones stand at the end, and [`mask`](Self::mask) is 0 before their start.
///
/// Made by [`TemporalGraphConfig::build`](super::TemporalGraphConfig::build). Clones share everything.
///
/// # Order of entries
/// The entries of the union and of the snapshots stand by target and then by source, window after window;
/// [`by_source`](Self::by_source) gives them in the order by source and then by target.
#[derive(Clone, Debug)]
pub struct TemporalGraph {
    pub(super) windows: GraphBatch,
    /// From nodes that are ever present to their windows.
    pub(super) pooling: GraphBatch,
    pub(super) pooled_nodes: Option<Graph>,
    pub(super) snapshots: Arc<Vec<Snapshot>>,
    pub(super) edges: EdgeFeatures,
    pub(super) features: Tensor<3>,
    pub(super) mask: Option<Tensor<2>>,
}

impl TemporalGraph {
    /// Number of windows.
    pub fn windows(&self) -> usize {
        self.windows.graphs()
    }

    /// Number of nodes of all windows.
    pub fn nodes(&self) -> usize {
        self.features.dims()[0]
    }

    /// Number of steps of the longest window.
    pub fn steps(&self) -> usize {
        self.features.dims()[1]
    }

    /// The union of all snapshots.
    pub fn union(&self) -> &Graph {
        self.windows.graph()
    }

    /// One snapshot per step; they share one graph where the connectivity is static.
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// What is known of the entries of the union, in their order.
    pub fn edges(&self) -> &EdgeFeatures {
        &self.edges
    }

    /// Whether the connectivity is static.
    pub fn is_static(&self) -> bool {
        matches!(self.edges, EdgeFeatures::Static(_))
    }

    /// `[nodes, steps, features]`
    pub fn features(&self) -> Tensor<3> {
        self.features.clone()
    }

    /// `[nodes, features]` of one step.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn features_at(&self, step: usize) -> Tensor<2> {
        assert!(
            step < self.steps(),
            "TemporalGraph: step must be in 0..{}, got {step}",
            self.steps()
        );
        self.features.clone().narrow(1, step, 1).squeeze_dim(1)
    }

    /// `[nodes, steps]`: 1 where a node is there, 0 where it is absent or its window has not begun; `None` if
    /// all are there at all steps.
    pub fn mask(&self) -> Option<Tensor<2>> {
        self.mask.clone()
    }

    /// The window of each node.
    pub fn window_of_node(&self) -> &[u32] {
        self.windows.graph_of_node()
    }

    /// The entries of the union in the order by source and then by target.
    pub fn by_source(&self) -> Vec<u32> {
        let (sources, targets) = (self.union().sources(), self.union().targets());
        let mut order: Vec<u32> = (0..sources.len() as u32).collect();
        order.sort_by_key(|&entry| (sources[entry as usize], targets[entry as usize]));
        order
    }

    /// The same snapshots with other features of the nodes, such as the next batch of windows over a static
    /// graph; whatever was derived from the graph stays.
    ///
    /// # Shapes
    /// - features: `[nodes, steps, any]`
    ///
    /// # Panics
    /// If the number of nodes or steps differs.
    pub fn with_features(&self, features: Tensor<3>) -> Self {
        let ([nodes, steps, _], expected) = (features.dims(), [self.nodes(), self.steps()]);
        assert!(
            [nodes, steps] == expected,
            "TemporalGraph: features must be [{}, {}, any], got {:?}",
            expected[0],
            expected[1],
            features.dims()
        );
        Self { features, ..self.clone() }
    }

    /// One row per window from one per node. Nodes that are absent at all steps do not count.
    ///
    /// # Shapes
    /// - x: `[nodes, columns]`
    /// - output: `[windows, columns]`
    ///
    /// # Panics
    /// If there is not one row per node.
    pub fn pool(&self, x: Tensor<2>, pooling: Pooling) -> Tensor<2> {
        let x = match &self.pooled_nodes {
            None => x,
            Some(nodes) => gather_targets(nodes, x),
        };
        self.pooling.pool(x, pooling)
    }

    /// The temporal graph on another device.
    pub fn to_device(&self, device: &Device) -> Self {
        let edges = match &self.edges {
            EdgeFeatures::Dynamic(sequences) => EdgeFeatures::Dynamic(sequences.to_device(device)),
            EdgeFeatures::Static(features) => {
                EdgeFeatures::Static(features.clone().to_device(device))
            }
        };
        let moved = |snapshot: &Snapshot| snapshot.to_device(device);
        let snapshots = match self.is_static() {
            false => self.snapshots.iter().map(moved).collect(),
            true => vec![moved(&self.snapshots[0]); self.snapshots.len()],
        };
        Self {
            snapshots: Arc::new(snapshots),
            edges,
            features: self.features.clone().to_device(device),
            mask: self.mask.clone().map(|mask| mask.to_device(device)),
            ..self.clone()
        }
    }
}
