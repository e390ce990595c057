//! Attention scores and messages that depend on both ends and on features of the entry, without a buffer
//! of the size `[entries, columns]` where there is a kernel.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::backend::SparseBackend;
use super::graph::Graph;
use super::operation::Operation;
use super::product::{check_source, check_target};

/// Features of the entries and the matrix that maps them to the columns of the nodes.
#[derive(Clone, Debug)]
pub struct EdgeTerm {
    /// `[entries, features]`
    pub features: Tensor<2>,
    /// `[features, columns]`
    pub weight: Tensor<2>,
}

impl EdgeTerm {
    fn check(&self, name: &str, graph: &Graph, columns: usize) {
        let (features, weight) = (self.features.dims(), self.weight.dims());
        assert!(
            features[0] == graph.entries() && weight == [features[1], columns],
            "{name}: features and weight of the entries must be [{}, features] and [features, {columns}], \
             got {features:?} and {weight:?}",
            graph.entries()
        );
    }
}

/// Scores of pairs, `score[e, k] = <a[k], LeakyReLU(x[s, k] + y[d, k] + (f[e] W)[k])>`.
///
/// # Shapes
/// - x: `[source_nodes, heads * channels]`
/// - y: `[target_nodes, heads * channels]`
/// - attention: `[heads, channels]`
/// - term: `[entries, features]` and `[features, heads * channels]`
/// - output: `[entries, heads]`
///
/// # Panics
/// If a shape disagrees.
pub fn edge_scores(
    graph: &Graph,
    x: Tensor<2>,
    y: Tensor<2>,
    attention: Tensor<2>,
    term: Option<EdgeTerm>,
    negative_slope: f64,
) -> Tensor<2> {
    check_source("edge_scores", graph, &x);
    check_target("edge_scores", "y", graph, &y);
    let ([heads, channels], [_, columns]) = (attention.dims(), x.dims());
    assert!(
        heads * channels == columns && y.dims()[1] == columns && columns > 0,
        "edge_scores: attention must be [heads, channels] with heads * channels the columns of x and y, \
         got {:?} for {columns} and {} columns",
        attention.dims(),
        y.dims()[1]
    );
    let operation = Operation::Scores { graph: graph.clone(), slope: negative_slope };
    let [x, y, attention] = [x, y, attention].map(Tensor::into_dispatch);
    let output = match term {
        None => <Dispatch as SparseBackend>::sparse_3(x, y, attention, operation),
        Some(term) => {
            term.check("edge_scores", graph, columns);
            let [features, weight] = [term.features, term.weight].map(Tensor::into_dispatch);
            <Dispatch as SparseBackend>::sparse_5(x, y, attention, features, weight, operation)
        }
    };
    Tensor::from_dispatch(output)
}

/// The sum of rectified messages, `out[i] = sum over e with d[e] = i of ReLU(x[s[e]] + f[e] W)`.
///
/// # Shapes
/// - x: `[source_nodes, columns]`
/// - term: `[entries, features]` and `[features, columns]`
/// - output: `[target_nodes, columns]`
///
/// # Panics
/// If a shape disagrees.
pub fn edge_messages(graph: &Graph, x: Tensor<2>, term: EdgeTerm) -> Tensor<2> {
    check_source("edge_messages", graph, &x);
    term.check("edge_messages", graph, x.dims()[1]);
    let [x, features, weight] = [x, term.features, term.weight].map(Tensor::into_dispatch);
    let operation = Operation::Messages(graph.clone());
    Tensor::from_dispatch(<Dispatch as SparseBackend>::sparse_3(x, features, weight, operation))
}
