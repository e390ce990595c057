//! Products and reductions over the neighbors of a node.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::backend::SparseBackend;
use super::graph::Graph;
use super::operation::Operation;

/// Sparse times dense: `y[i] = sum over e with d[e] = i of values[e] x[s[e]]`.
///
/// With values `[entries, heads]` the columns of `x` are `heads` groups of the same size, and each group
/// has its own values.
///
/// # Shapes
/// - values: `[entries]` or `[entries, heads]`
/// - x: `[source_nodes, columns]`, columns a multiple of `heads`
/// - output: `[target_nodes, columns]`
///
/// # Panics
/// If a shape disagrees.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::sparse::{Graph, spmm};
///
/// let graph = Graph::bipartite(2, 1, &[0, 1], &[0, 0]).unwrap();
/// let device = Device::flex().autodiff();
/// let values = Tensor::<1>::from_data([2.0, 3.0], &device).require_grad();
/// let x = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device).require_grad();
/// let y = spmm(&graph, values.clone(), x.clone());
/// let weights = Tensor::<2>::from_data([[10.0, 100.0]], &device);
/// let gradients = (y * weights).sum().backward();
/// let of_values = values.grad(&gradients).unwrap().into_data();
/// assert_eq!(of_values.try_to_vec::<f32>().unwrap(), [10.0, 100.0]);
/// let of_x = x.grad(&gradients).unwrap().into_data();
/// assert_eq!(of_x.try_to_vec::<f32>().unwrap(), [20.0, 200.0, 30.0, 300.0]);
/// ```
pub fn spmm<const D: usize>(graph: &Graph, values: Tensor<D>, x: Tensor<2>) -> Tensor<2> {
    let values = per_head("spmm", graph, values);
    check_source("spmm", graph, &x);
    let ([_, heads], [_, columns]) = (values.dims(), x.dims());
    assert!(
        heads > 0 && columns.is_multiple_of(heads),
        "spmm: the columns of x must be a multiple of the heads, {heads}, got {columns}"
    );
    let operation = Operation::Product(graph.clone());
    let output =
        <Dispatch as SparseBackend>::sparse_2(values.into_dispatch(), x.into_dispatch(), operation);
    Tensor::from_dispatch(output)
}

/// `<y[d[e]], x[s[e]]>` per entry, for each of `heads` groups of columns.
///
/// # Shapes
/// - y: `[target_nodes, columns]`
/// - x: `[source_nodes, columns]`, columns a multiple of `heads`
/// - output: `[entries, heads]`
///
/// # Panics
/// If a shape disagrees.
pub fn edge_dot(graph: &Graph, y: Tensor<2>, x: Tensor<2>, heads: usize) -> Tensor<2> {
    check_source("edge_dot", graph, &x);
    check_target("edge_dot", "y", graph, &y);
    let columns = x.dims()[1];
    assert!(
        y.dims()[1] == columns && heads > 0 && columns.is_multiple_of(heads),
        "edge_dot: x and y must have as many columns, a multiple of the heads, {heads}; got {columns} and {}",
        y.dims()[1]
    );
    let operation = Operation::Dot { graph: graph.clone(), heads };
    let output =
        <Dispatch as SparseBackend>::sparse_2(y.into_dispatch(), x.into_dispatch(), operation);
    Tensor::from_dispatch(output)
}

/// The sum of the sources' rows over the entries of each target; 0 for none.
///
/// # Shapes
/// - x: `[source_nodes, columns]`
/// - output: `[target_nodes, columns]`
///
/// # Panics
/// If the number of rows disagrees.
pub fn sum_neighbors(graph: &Graph, x: Tensor<2>) -> Tensor<2> {
    check_source("sum_neighbors", graph, &x);
    unary(x, Operation::Sum(graph.clone()))
}

/// The mean of the sources' rows over the entries of each target; 0 for none. Each of several entries
/// between the same nodes counts.
///
/// # Shapes
/// As [`sum_neighbors`].
///
/// # Panics
/// If the number of rows disagrees.
pub fn mean_neighbors(graph: &Graph, x: Tensor<2>) -> Tensor<2> {
    check_source("mean_neighbors", graph, &x);
    unary(unary(x, Operation::Sum(graph.clone())), Operation::OverDegree(graph.clone()))
}

/// The largest of the sources' values over the entries of each target, column by column; 0 for none.
/// Entries that share a maximum share its gradient equally.
///
/// # Shapes
/// As [`sum_neighbors`].
///
/// # Panics
/// If the number of rows disagrees.
pub fn max_neighbors(graph: &Graph, x: Tensor<2>) -> Tensor<2> {
    check_source("max_neighbors", graph, &x);
    unary(x, Operation::Max(graph.clone()))
}

pub(super) fn unary(x: Tensor<2>, operation: Operation) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as SparseBackend>::sparse_1(x.into_dispatch(), operation))
}

/// Values as `[entries, heads]`.
fn per_head<const D: usize>(name: &str, graph: &Graph, values: Tensor<D>) -> Tensor<2> {
    let shape = values.dims();
    assert!(
        (D == 1 || D == 2) && shape[0] == graph.entries(),
        "{name}: values must be [entries] or [entries, heads] with {} entries, got {shape:?}",
        graph.entries()
    );
    let heads = if D == 1 { 1 } else { shape[1] };
    values.reshape([graph.entries(), heads])
}

pub(super) fn check_source(name: &str, graph: &Graph, x: &Tensor<2>) {
    assert!(
        x.dims()[0] == graph.source_nodes(),
        "{name}: x must have one row per source node, {}, got {}",
        graph.source_nodes(),
        x.dims()[0]
    );
}

pub(super) fn check_target(name: &str, what: &str, graph: &Graph, y: &Tensor<2>) {
    assert!(
        y.dims()[0] == graph.target_nodes(),
        "{name}: {what} must have one row per target node, {}, got {}",
        graph.target_nodes(),
        y.dims()[0]
    );
}
