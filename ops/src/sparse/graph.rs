//! A graph: validated entries, grouped by target and by source at first use.

use std::fmt;
use std::sync::{Arc, OnceLock};

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use super::error::GraphError;
use super::index::Index;
use super::rows::{Rounds, Rows};

/// An integer that can name a node.
pub trait EntryIndex: Copy + fmt::Display {
    /// The index, if it is neither negative nor above `u32::MAX`.
    fn to_index(self) -> Option<u32>;
}

macro_rules! entry_index {
    ($($integer:ty),*) => {$(
        impl EntryIndex for $integer {
            fn to_index(self) -> Option<u32> { u32::try_from(self).ok() }
        }
    )*};
}

entry_index!(u16, u32, u64, usize, i16, i32, i64, isize);

/// One side of a graph.
#[derive(Clone)]
pub(crate) struct Side {
    pub nodes: usize,
    /// The node of each entry on this side.
    pub index: Index,
}

/// The entries grouped by one side, made at first use.
type Grouped = Arc<OnceLock<Rows>>;

/// Entries `source -> target` between nodes.
///
/// The nodes of both sides are the same unless the graph is bipartite. Entries keep the order in which
/// they came, and whatever is given or returned per entry stands in that order; duplicates and self loops
/// are legal. What follows from the entries (rows, columns, index tensors on a device, the graph with
/// self loops) is made at first use and kept. Clones share all of it.
///
/// # Example
/// ```
/// use firebrick_ops::sparse::{Graph, GraphError};
///
/// let graph = Graph::from_entries(3, &[0, 2], &[1, 1])?;
/// assert_eq!(graph.in_degrees(), [0, 2, 0]);
/// let error = Graph::from_entries(3, &[0, 5], &[1, 1]).unwrap_err();
/// assert_eq!(error.to_string(), "entry 1: source must be in 0..3, found 5");
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Clone)]
pub struct Graph {
    source: Side,
    target: Side,
    by_target: Grouped,
    by_source: Grouped,
    derived: Arc<Derived>,
}

/// What follows from a graph and is kept with it.
#[derive(Default)]
struct Derived {
    rounds: OnceLock<Rounds>,
    of_sources: OnceLock<Graph>,
    of_targets: OnceLock<Graph>,
    pub(super) looped: OnceLock<super::SelfLooped>,
}

impl Graph {
    /// A graph with one set of nodes.
    ///
    /// # Errors
    /// If the lists differ in length, an index is negative or not below `nodes`, or there are 2^31 nodes
    /// or entries or more.
    pub fn from_entries<I: EntryIndex>(
        nodes: usize,
        sources: &[I],
        targets: &[I],
    ) -> Result<Self, GraphError> {
        Self::bipartite(nodes, nodes, sources, targets)
    }

    /// A graph whose messages go from one set of nodes to another.
    ///
    /// # Errors
    /// As [`from_entries`](Self::from_entries).
    pub fn bipartite<I: EntryIndex, J: EntryIndex>(
        source_nodes: usize,
        target_nodes: usize,
        sources: &[I],
        targets: &[J],
    ) -> Result<Self, GraphError> {
        if sources.len() != targets.len() {
            return Err(GraphError::Lengths { sources: sources.len(), targets: targets.len() });
        }
        for (what, found) in [
            ("source nodes", source_nodes),
            ("target nodes", target_nodes),
            ("entries", sources.len()),
        ] {
            if found >= 1 << 31 {
                return Err(GraphError::TooLarge { what, found });
            }
        }
        let source = checked("source", sources, source_nodes)?;
        let target = checked("target", targets, target_nodes)?;
        Ok(Self::from_sides(source, target))
    }

    /// A graph from compressed rows: the entries of target `i` come from the sources
    /// `columns[offsets[i]..offsets[i + 1]]`.
    ///
    /// # Errors
    /// If the offsets do not rise from 0 to the number of columns, and as
    /// [`from_entries`](Self::from_entries).
    pub fn from_rows<I: EntryIndex>(
        source_nodes: usize,
        offsets: &[usize],
        columns: &[I],
    ) -> Result<Self, GraphError> {
        let wrong = |place, found, expected| Err(GraphError::Offsets { place, found, expected });
        match (offsets.first(), offsets.last()) {
            (None, _) | (_, None) => return wrong(0, 0, 0),
            (Some(&first), _) if first != 0 => return wrong(0, first, 0),
            (_, Some(&last)) if last != columns.len() => {
                return wrong(offsets.len() - 1, last, columns.len());
            }
            _ => {}
        }
        if let Some(place) = offsets.windows(2).position(|pair| pair[1] < pair[0]) {
            return wrong(place + 1, offsets[place + 1], offsets[place]);
        }
        let nodes = offsets.len() - 1;
        for (what, found) in
            [("source nodes", source_nodes), ("target nodes", nodes), ("entries", columns.len())]
        {
            if found >= 1 << 31 {
                return Err(GraphError::TooLarge { what, found });
            }
        }
        let source = checked("source", columns, source_nodes)?;
        let mut target = Vec::with_capacity(columns.len());
        for (row, pair) in offsets.windows(2).enumerate() {
            target.resize(pair[1], row as u32);
        }
        Ok(Self::from_sides(source, Side { nodes, index: Index::new(target) }))
    }

    /// A graph of valid entries.
    pub(crate) fn from_sides(source: Side, target: Side) -> Self {
        Self {
            source,
            target,
            by_target: Arc::default(),
            by_source: Arc::default(),
            derived: Arc::default(),
        }
    }

    /// Number of nodes.
    ///
    /// # Panics
    /// If the graph is bipartite with sides of different size.
    pub fn nodes(&self) -> usize {
        assert!(
            self.is_square(),
            "Graph: nodes() needs one set of nodes, got {} source and {} target nodes",
            self.source.nodes,
            self.target.nodes
        );
        self.target.nodes
    }

    /// Number of nodes that messages come from.
    pub fn source_nodes(&self) -> usize {
        self.source.nodes
    }

    /// Number of nodes that messages go to: rows of every result.
    pub fn target_nodes(&self) -> usize {
        self.target.nodes
    }

    /// Whether both sides have the same number of nodes.
    pub fn is_square(&self) -> bool {
        self.source.nodes == self.target.nodes
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.source.index.len()
    }

    /// The source of each entry.
    pub fn sources(&self) -> &[u32] {
        self.source.index.values()
    }

    /// The target of each entry.
    pub fn targets(&self) -> &[u32] {
        self.target.index.values()
    }

    /// Number of entries that enter each target.
    pub fn in_degrees(&self) -> Vec<u32> {
        self.rows().offsets.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// Number of entries that leave each source.
    pub fn out_degrees(&self) -> Vec<u32> {
        self.transposed().in_degrees()
    }

    /// The graph with all entries turned around, in the same order; shares what is known of this one.
    pub fn transposed(&self) -> Self {
        Self {
            source: self.target.clone(),
            target: self.source.clone(),
            by_target: self.by_source.clone(),
            by_source: self.by_target.clone(),
            derived: Arc::default(),
        }
    }

    /// The graph with one entry per pair of nodes, ordered by target and then by source, and the map from
    /// the entries of this graph to those: `segment_sum(&map, w)` adds the weights of duplicates up, and
    /// `segment_mean(&map, w)` averages them.
    pub fn coalesced(&self) -> (Self, Self) {
        let (sources, targets) = (self.sources(), self.targets());
        let mut order: Vec<u32> = (0..self.entries() as u32).collect();
        order.sort_by_key(|&entry| (targets[entry as usize], sources[entry as usize]));
        let mut merged = vec![0; self.entries()];
        let (mut source, mut target) = (Vec::new(), Vec::new());
        for entry in order {
            let entry = entry as usize;
            if (source.last(), target.last()) != (Some(&sources[entry]), Some(&targets[entry])) {
                source.push(sources[entry]);
                target.push(targets[entry]);
            }
            merged[entry] = source.len() as u32 - 1;
        }
        let map = Self::from_sides(
            Side { nodes: self.entries(), index: Index::identity(self.entries()) },
            Side { nodes: source.len(), index: Index::new(merged) },
        );
        let side = |nodes, index| Side { nodes, index: Index::new(index) };
        let graph =
            Self::from_sides(side(self.source.nodes, source), side(self.target.nodes, target));
        (graph, map)
    }

    /// The graphs side by side, nodes and entries numbered through.
    ///
    /// # Errors
    /// If there are 2^31 nodes or entries or more.
    pub fn disjoint_union<'a>(
        graphs: impl IntoIterator<Item = &'a Self>,
    ) -> Result<Self, GraphError> {
        let (mut sources, mut targets) = (Vec::new(), Vec::new());
        let (mut source_nodes, mut target_nodes) = (0, 0);
        for graph in graphs {
            sources.extend(graph.sources().iter().map(|&node| source_nodes + node as usize));
            targets.extend(graph.targets().iter().map(|&node| target_nodes + node as usize));
            source_nodes += graph.source_nodes();
            target_nodes += graph.target_nodes();
        }
        Self::bipartite(source_nodes, target_nodes, &sources, &targets)
    }

    /// One weight per entry as a tensor.
    ///
    /// # Errors
    /// If the number of weights is not that of the entries, or one is NaN or infinite.
    pub fn weights(
        &self,
        weights: &[f64],
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Tensor<1>, GraphError> {
        self.check_values("weights", weights)?;
        Ok(Tensor::from_data(TensorData::new(weights.to_vec(), [weights.len()]), options))
    }

    pub(crate) fn check_values(
        &self,
        what: &'static str,
        values: &[f64],
    ) -> Result<(), GraphError> {
        if values.len() != self.entries() {
            let (expected, found) = (self.entries(), values.len());
            return Err(GraphError::Values { what, expected, found });
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(entry) => Err(GraphError::NotFinite { what, entry, found: values[entry] }),
            None => Ok(()),
        }
    }

    /// The entries by target.
    pub(crate) fn rows(&self) -> &Rows {
        let (target, source) = (&self.target, &self.source);
        self.by_target.get_or_init(|| Rows::new(target.nodes, &target.index, &source.index))
    }

    pub(crate) fn rounds(&self) -> &Rounds {
        self.derived.rounds.get_or_init(|| Rounds::new(self.rows()))
    }

    pub(crate) fn source_index(&self) -> &Index {
        &self.source.index
    }

    pub(crate) fn target_index(&self) -> &Index {
        &self.target.index
    }

    /// The graph whose sources are the entries of this one and whose targets are this one's sources.
    pub(crate) fn entries_by_source(&self) -> &Self {
        self.derived.of_sources.get_or_init(|| self.entries_to(&self.source))
    }

    /// The same with this one's targets.
    pub(crate) fn entries_by_target(&self) -> &Self {
        self.derived.of_targets.get_or_init(|| self.entries_to(&self.target))
    }

    fn entries_to(&self, target: &Side) -> Self {
        let source = Side { nodes: self.entries(), index: Index::identity(self.entries()) };
        Self::from_sides(source, target.clone())
    }

    pub(super) fn looped(&self) -> &OnceLock<super::SelfLooped> {
        &self.derived.looped
    }
}

fn checked<I: EntryIndex>(
    what: &'static str,
    indices: &[I],
    nodes: usize,
) -> Result<Side, GraphError> {
    let check = |(entry, &index): (usize, &I)| match index.to_index() {
        Some(node) if (node as usize) < nodes => Ok(node),
        _ => Err(GraphError::Index { what, entry, found: index.to_string(), nodes }),
    };
    let index = indices.iter().enumerate().map(check).collect::<Result<Vec<u32>, _>>()?;
    Ok(Side { nodes, index: Index::new(index) })
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("source_nodes", &self.source.nodes)
            .field("target_nodes", &self.target.nodes)
            .field("entries", &self.entries())
            .finish()
    }
}
