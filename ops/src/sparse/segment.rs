//! Reductions of rows that belong to entries, and rows of entries from rows of nodes.

use burn::tensor::Tensor;

use super::graph::Graph;
use super::operation::Operation;
use super::product::{check_source, check_target, unary};

/// The sum of the entries' rows over each target; 0 for none.
///
/// # Shapes
/// - rows: `[entries, columns]`
/// - output: `[target_nodes, columns]`
///
/// # Panics
/// If the number of rows is not that of the entries.
pub fn segment_sum(graph: &Graph, rows: Tensor<2>) -> Tensor<2> {
    check_entries("segment_sum", graph, &rows);
    unary(rows, Operation::Sum(graph.entries_by_target().clone()))
}

/// The mean of the entries' rows over each target; 0 for none.
///
/// # Shapes
/// As [`segment_sum`].
///
/// # Panics
/// As [`segment_sum`].
pub fn segment_mean(graph: &Graph, rows: Tensor<2>) -> Tensor<2> {
    unary(segment_sum(graph, rows), Operation::OverDegree(graph.clone()))
}

/// The largest of the entries' values over each target, column by column; 0 for none. Entries that share
/// a maximum share its gradient equally.
///
/// # Shapes
/// As [`segment_sum`].
///
/// # Panics
/// As [`segment_sum`].
pub fn segment_max(graph: &Graph, rows: Tensor<2>) -> Tensor<2> {
    check_entries("segment_max", graph, &rows);
    unary(rows, Operation::Max(graph.entries_by_target().clone()))
}

/// Softmax of each column over the entries of the same target:
/// `exp(l[e] - max) / sum exp(l - max)`.
///
/// # Shapes
/// - logits, output: `[entries, columns]`
///
/// # Panics
/// As [`segment_sum`].
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::sparse::{Graph, segment_softmax};
///
/// let graph = Graph::from_entries(2, &[0, 1, 0], &[1, 1, 0]).unwrap();
/// let logits = Tensor::<2>::from_data([[0.0], [3f32.ln()], [7.0]], &Device::flex());
/// let found = segment_softmax(&graph, logits).into_data().try_to_vec::<f32>().unwrap();
/// for (found, expected) in found.iter().zip([0.25, 0.75, 1.0]) {
///     assert!((found - expected).abs() < 1e-6);
/// }
/// ```
pub fn segment_softmax(graph: &Graph, logits: Tensor<2>) -> Tensor<2> {
    check_entries("segment_softmax", graph, &logits);
    unary(logits, Operation::Softmax(graph.entries_by_target().clone()))
}

/// For each entry the row of its source. The gradient adds rows up, entry after entry.
///
/// # Shapes
/// - x: `[source_nodes, columns]`
/// - output: `[entries, columns]`
///
/// # Panics
/// If the number of rows disagrees.
pub fn gather_sources(graph: &Graph, x: Tensor<2>) -> Tensor<2> {
    check_source("gather_sources", graph, &x);
    unary(x, Operation::Gather(graph.entries_by_source().clone()))
}

/// For each entry the row of its target. The gradient adds rows up, entry after entry.
///
/// # Shapes
/// - y: `[target_nodes, columns]`
/// - output: `[entries, columns]`
///
/// # Panics
/// If the number of rows disagrees.
pub fn gather_targets(graph: &Graph, y: Tensor<2>) -> Tensor<2> {
    check_target("gather_targets", "y", graph, &y);
    unary(y, Operation::Gather(graph.entries_by_target().clone()))
}

fn check_entries(name: &str, graph: &Graph, rows: &Tensor<2>) {
    assert!(
        rows.dims()[0] == graph.entries(),
        "{name}: there must be one row per entry, {}, got {}",
        graph.entries(),
        rows.dims()[0]
    );
}
