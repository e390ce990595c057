//! Graphs with exactly one self loop per node.

use burn::tensor::Tensor;

use super::error::GraphError;
use super::graph::{Graph, Side};
use super::index::Index;
use super::segment::gather_targets;

/// What becomes of self loops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SelfLoops {
    /// They stay as they are, and none is added.
    Keep,
    /// They are left out.
    Remove,
    /// Each node gets exactly one: of a node that has some, the last in entry order stays with its own
    /// weight; of the others the new one has this weight.
    Add(f64),
}

/// A graph with exactly one self loop per node, its entries ordered by target.
///
/// Entries that are no self loops keep their values; [`carry`](Self::carry) says which values the loops
/// have. Made once per graph by [`Graph::with_self_loops`].
#[derive(Clone, Debug)]
pub struct SelfLooped {
    graph: Graph,
    /// From the new entries to the old ones and, behind them, one row per node.
    kept: Graph,
    replaced: Graph,
    /// Entries without self loops.
    without: Graph,
    without_origin: Graph,
}

impl SelfLooped {
    fn new(graph: &Graph) -> Self {
        let (nodes, entries) = (graph.target_nodes(), graph.entries());
        let (sources, targets) = (graph.sources(), graph.targets());
        let mut last_loop = vec![None; nodes];
        for (entry, (source, target)) in sources.iter().zip(targets).enumerate() {
            if source == target {
                last_loop[*target as usize] = Some(entry as u32);
            }
        }
        let rows = graph.rows();
        let (mut source, mut target, mut replaced, mut kept) = (vec![], vec![], vec![], vec![]);
        for (node, last_loop) in last_loop.into_iter().enumerate() {
            for place in rows.row(node) {
                if rows.columns[place] as usize != node {
                    source.push(rows.columns[place]);
                    replaced.push(rows.entry(place) as u32);
                    kept.push(rows.entry(place) as u32);
                }
            }
            source.push(node as u32);
            let added = (entries + node) as u32;
            replaced.push(added);
            kept.push(last_loop.unwrap_or(added));
            target.resize(source.len(), node as u32);
        }
        let plain: Vec<u32> =
            (0..entries as u32).filter(|&e| sources[e as usize] != targets[e as usize]).collect();
        let pick = |side: &[u32]| plain.iter().map(|&entry| side[entry as usize]).collect();
        let side = |index| Side { nodes, index: Index::new(index) };
        Self {
            without: Graph::from_sides(side(pick(sources)), side(pick(targets))),
            without_origin: origin(plain, entries),
            graph: Graph::from_sides(side(source), side(target)),
            kept: origin(kept, entries + nodes),
            replaced: origin(replaced, entries + nodes),
        }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The graph without any self loop, entries in their order.
    pub fn without(&self) -> &Graph {
        &self.without
    }

    /// Rows of the entries of [`graph`](Self::graph): a loop has the row of the last loop that was there,
    /// or else the node's row of `fill`.
    ///
    /// # Shapes
    /// - rows: `[entries of the graph without the loops, columns]`
    /// - fill: `[nodes, columns]`
    /// - output: `[entries of graph(), columns]`
    pub fn carry(&self, rows: Tensor<2>, fill: Tensor<2>) -> Tensor<2> {
        gather_targets(&self.kept, behind(rows, fill))
    }

    /// As [`carry`](Self::carry), but every loop has the row of `fill`.
    pub fn replace(&self, rows: Tensor<2>, fill: Tensor<2>) -> Tensor<2> {
        gather_targets(&self.replaced, behind(rows, fill))
    }

    /// Rows of the entries of [`without`](Self::without).
    ///
    /// # Shapes
    /// - rows: `[entries of the graph this was made from, columns]`
    /// - output: `[entries of without(), columns]`
    pub fn leave_out(&self, rows: Tensor<2>) -> Tensor<2> {
        gather_targets(&self.without_origin, rows)
    }

    /// On the host: values of the entries, loops as by [`carry`](Self::carry).
    pub(super) fn host_carry(&self, values: Option<&[f64]>, fill: f64, entries: usize) -> Vec<f64> {
        let value = |&origin: &u32| match (origin as usize) < entries {
            true => values.map_or(1.0, |values| values[origin as usize]),
            false => fill,
        };
        self.kept.targets().iter().map(value).collect()
    }

    pub(super) fn host_leave_out(&self, values: &[f64]) -> Vec<f64> {
        self.without_origin.targets().iter().map(|&entry| values[entry as usize]).collect()
    }
}

fn behind(rows: Tensor<2>, fill: Tensor<2>) -> Tensor<2> {
    match (rows.dims()[0], fill.dims()[0]) {
        (0, _) => fill,
        (_, 0) => rows,
        _ => Tensor::cat(vec![rows, fill], 0),
    }
}

/// The map from new entries to the places they come from.
fn origin(origin: Vec<u32>, places: usize) -> Graph {
    let source = Side { nodes: origin.len(), index: Index::identity(origin.len()) };
    Graph::from_sides(source, Side { nodes: places, index: Index::new(origin) })
}

impl Graph {
    /// The graph with exactly one self loop per node; made once and kept.
    ///
    /// # Errors
    /// If the graph is bipartite with sides of different size, or the loops would make 2^31 entries.
    pub fn with_self_loops(&self) -> Result<&SelfLooped, GraphError> {
        if !self.is_square() {
            let (sources, targets) = (self.source_nodes(), self.target_nodes());
            return Err(GraphError::Rectangular { sources, targets });
        }
        let found = self.entries() + self.target_nodes();
        if found >= 1 << 31 {
            return Err(GraphError::TooLarge { what: "entries with self loops", found });
        }
        Ok(self.looped().get_or_init(|| SelfLooped::new(self)))
    }
}
