//! The largest of the sources' values.

use std::ops::Range;

use super::Number;
use super::tasks::{Reduction, add};
use crate::sparse::graph::Graph;

/// Column by column; 0 for a target without entries.
pub(in crate::sparse) fn max<T: Number>(x: &[T], width: usize, graph: &Graph) -> Vec<T> {
    let rows = graph.rows();
    let contribute = |places: Range<usize>, output: &mut [T], _: &mut [T]| {
        for &column in &rows.columns[places] {
            merge(output, &x[column as usize * width..][..width]);
        }
    };
    let reduction = Reduction { rows, width, scratch: 0, contribute, merge };
    let mut output = reduction.run(T::LEAST);
    for (row, output) in output.chunks_mut(width.max(1)).enumerate() {
        if rows.row(row).is_empty() {
            output.fill(T::default());
        }
    }
    output
}

fn merge<T: Number>(row: &mut [T], other: &[T]) {
    for (largest, &value) in row.iter_mut().zip(other) {
        *largest = largest.larger(value);
    }
}

/// The gradient of [`max`]; entries that share a maximum share its gradient.
pub(in crate::sparse) fn max_backward<T: Number>(
    x: &[T],
    y: &[T],
    gradient: &[T],
    width: usize,
    graph: &Graph,
) -> Vec<T> {
    let rows = graph.rows();
    let source = |node: u32| &x[node as usize * width..][..width];
    // How many entries have the maximum, then each one's share.
    let count = |places: Range<usize>, output: &mut [T], _: &mut [T]| {
        for place in places {
            let target = graph.targets()[rows.entry(place)] as usize;
            let y = &y[target * width..][..width];
            for ((count, x), y) in output.iter_mut().zip(source(rows.columns[place])).zip(y) {
                *count += if x == y { T::ONE } else { T::default() };
            }
        }
    };
    let mut share =
        Reduction { rows, width, scratch: 0, contribute: count, merge: add }.run(T::default());
    for (share, &gradient) in share.iter_mut().zip(gradient) {
        *share = gradient / if *share > T::ONE { *share } else { T::ONE };
    }
    let transposed = graph.transposed();
    let columns = transposed.rows();
    let contribute = |places: Range<usize>, output: &mut [T], _: &mut [T]| {
        for place in places {
            let target = columns.columns[place] as usize * width;
            let x = source(graph.sources()[columns.entry(place)]);
            let (y, share) = (&y[target..][..width], &share[target..][..width]);
            for (((sum, x), y), &share) in output.iter_mut().zip(x).zip(y).zip(share) {
                if x == y {
                    *sum += share;
                }
            }
        }
    };
    Reduction { rows: columns, width, scratch: 0, contribute, merge: add }.run(T::default())
}
