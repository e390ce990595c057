//! Softmax over the entries of a target; the graph's sources are the entries.

use super::Number;
use super::maximum::max;
use super::product::{product, sum};
use super::tasks::per_entry;
use crate::sparse::graph::Graph;

/// Softmax of logits `[entries, width]`, column by column.
pub(in crate::sparse) fn softmax<T: Number>(logits: &[T], width: usize, graph: &Graph) -> Vec<T> {
    let largest = max(logits, width, graph);
    let exponentials =
        with_target(logits, &largest, width, graph, |logit, max| (logit - max).exp());
    let total = sum(&exponentials, width, graph);
    with_target(&exponentials, &total, width, graph, |value, total| value / total)
}

/// `output * (gradient - sum over the target of output * gradient)`
pub(in crate::sparse) fn softmax_backward<T: Number>(
    output: &[T],
    gradient: &[T],
    width: usize,
    graph: &Graph,
) -> Vec<T> {
    // Each column is a head with one channel.
    let mean = product(output, gradient, width, width.max(1), graph);
    let mut found = with_target(gradient, &mean, width, graph, |gradient, mean| gradient - mean);
    found.iter_mut().zip(output).for_each(|(found, &output)| *found = *found * output);
    found
}

/// A function of an entry's values and its target's.
fn with_target<T: Number>(
    entries: &[T],
    targets: &[T],
    width: usize,
    graph: &Graph,
    f: impl Fn(T, T) -> T + Send + Sync,
) -> Vec<T> {
    per_entry(graph.entries(), width, 8 * width, |first, output| {
        let rows = output.chunks_mut(width).zip(entries[first * width..].chunks(width));
        for ((output, values), &node) in rows.zip(&graph.targets()[first..]) {
            let target = &targets[node as usize * width..][..width];
            for ((output, &value), &target) in output.iter_mut().zip(values).zip(target) {
                *output = f(value, target);
            }
        }
    })
}
