//! Sums of rows, weighted or not, inner products along entries, and copies of rows.

use std::ops::Range;

use super::Number;
use super::tasks::{Reduction, per_entry};
use crate::sparse::graph::Graph;
use crate::sparse::rows::Rows;

/// Sum of the sources' rows.
pub(in crate::sparse) fn sum<T: Number>(x: &[T], width: usize, graph: &Graph) -> Vec<T> {
    reduce(x, width, 1, graph.rows(), |_, _| T::ONE)
}

/// `A x` with values `[entries, heads]`.
pub(in crate::sparse) fn product<T: Number>(
    values: &[T],
    x: &[T],
    width: usize,
    heads: usize,
    graph: &Graph,
) -> Vec<T> {
    let rows = graph.rows();
    match &rows.order {
        None => reduce(x, width, heads, rows, |place, head| values[place * heads + head]),
        Some(order) => reduce(x, width, heads, rows, |place, head| {
            values[order[place] as usize * heads + head]
        }),
    }
}

fn reduce<T: Number>(
    x: &[T],
    width: usize,
    heads: usize,
    rows: &Rows,
    value: impl Fn(usize, usize) -> T + Sync,
) -> Vec<T> {
    let channels = width / heads;
    let sums = Reduction::sums(
        rows,
        width,
        #[inline(always)]
        |places: Range<usize>, output: &mut [T], _: &mut [T]| {
            for head in 0..heads {
                let start = head * channels;
                let output = &mut output[start..start + channels];
                let columns = &rows.columns[places.clone()];
                let value = |index: usize| value(places.start + index, head);
                add_rows(output, columns, Matrix { x, width, start }, value);
            }
        },
    );
    sums.run(T::default())
}

/// Columns of a matrix from `start`.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    x: &'a [T],
    width: usize,
    start: usize,
}

/// Adds rows into `output`, as many columns at a time as fit into registers.
#[inline(always)]
fn add_rows<T: Number>(
    mut output: &mut [T],
    columns: &[u32],
    mut matrix: Matrix<'_, T>,
    value: impl Fn(usize) -> T,
) {
    macro_rules! lanes {
        ($n:literal) => {{
            let (part, rest) = output.split_at_mut($n);
            add_lanes::<T, $n>(part, columns, matrix, &value);
            output = rest;
            matrix.start += $n;
        }};
    }
    while output.len() >= 32 {
        lanes!(32);
    }
    if output.len() >= 16 {
        lanes!(16);
    }
    if output.len() >= 8 {
        lanes!(8);
    }
    match output.len() {
        0 => {}
        1 => add_lanes::<T, 1>(output, columns, matrix, &value),
        2 => add_lanes::<T, 2>(output, columns, matrix, &value),
        3 => add_lanes::<T, 3>(output, columns, matrix, &value),
        4 => add_lanes::<T, 4>(output, columns, matrix, &value),
        5 => add_lanes::<T, 5>(output, columns, matrix, &value),
        6 => add_lanes::<T, 6>(output, columns, matrix, &value),
        _ => add_lanes::<T, 7>(output, columns, matrix, &value),
    }
}

#[inline(always)]
fn add_lanes<T: Number, const N: usize>(
    output: &mut [T],
    columns: &[u32],
    matrix: Matrix<'_, T>,
    value: impl Fn(usize) -> T,
) {
    let mut sums = [T::default(); N];
    sums.copy_from_slice(output);
    for (index, &column) in columns.iter().enumerate() {
        let value = value(index);
        let row = &matrix.x[column as usize * matrix.width + matrix.start..][..N];
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += value * x;
        }
    }
    output.copy_from_slice(&sums);
}

/// `<y[d], x[s]>` for each entry and head.
pub(in crate::sparse) fn dot<T: Number>(
    y: &[T],
    x: &[T],
    width: usize,
    heads: usize,
    graph: &Graph,
) -> Vec<T> {
    let channels = width / heads;
    per_entry(graph.entries(), heads, width, |first, output| {
        let ends = graph.sources()[first..].iter().zip(&graph.targets()[first..]);
        for (output, (&s, &d)) in output.chunks_mut(heads).zip(ends) {
            let x = &x[s as usize * width..][..width];
            let y = &y[d as usize * width..][..width];
            for (head, output) in output.iter_mut().enumerate() {
                let part = head * channels..(head + 1) * channels;
                *output = inner(&y[part.clone()], &x[part]);
            }
        }
    })
}

/// Inner product in eight partial sums.
pub(super) fn inner<T: Number>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::default(); 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let mut rest = T::default();
    for (&a, &b) in a.remainder().iter().zip(b.remainder()) {
        rest += a * b;
    }
    for (a, b) in a.zip(b) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.into_iter().fold(rest, |total, sum| total + sum)
}

/// The target's row for each entry.
pub(in crate::sparse) fn gather<T: Number>(x: &[T], width: usize, graph: &Graph) -> Vec<T> {
    per_entry(graph.entries(), width, width, |first, output| {
        for (output, &node) in output.chunks_mut(width).zip(&graph.targets()[first..]) {
            output.copy_from_slice(&x[node as usize * width..][..width]);
        }
    })
}

/// Rows over the number of entries of their target, where there are any.
pub(in crate::sparse) fn over_degree<T: Number>(
    mut x: Vec<T>,
    width: usize,
    graph: &Graph,
) -> Vec<T> {
    for (row, x) in x.chunks_mut(width.max(1)).enumerate() {
        let inverse = 1.0 / graph.rows().row(row).len().max(1) as f64;
        x.iter_mut().for_each(|x| *x = *x * T::from_f64(inverse));
    }
    x
}
