//! Scores and messages of pairs: what an entry adds to its ends' rows is computed where it is needed.

use std::ops::Range;

use super::Number;
use super::product::inner;
use super::tasks::{ENTRIES, Reduction, add, per_entry, run, worthwhile};
use crate::sparse::graph::Graph;
use crate::sparse::rows::Rows;

/// Features of the entries with their matrix.
#[derive(Clone, Copy)]
pub(in crate::sparse) struct TermSlices<'a, T> {
    /// `[entries, count]`
    pub features: &'a [T],
    /// `[count, width]`
    pub weight: &'a [T],
    pub count: usize,
}

impl<T: Number> TermSlices<'_, T> {
    /// Adds `f[entry] W`.
    fn add_to(&self, entry: usize, row: &mut [T]) {
        let width = row.len();
        let features = &self.features[entry * self.count..][..self.count];
        for (&feature, weight) in features.iter().zip(self.weight.chunks(width)) {
            for (sum, &weight) in row.iter_mut().zip(weight) {
                *sum += feature * weight;
            }
        }
    }

    /// Takes the gradient of `f[entry] W` into those of `f[entry]` and `W`.
    fn backward(&self, entry: usize, gradient: &[T], to_features: &mut [T], to_weight: &mut [T]) {
        let width = gradient.len();
        let features = &self.features[entry * self.count..][..self.count];
        let weights = self.weight.chunks(width).zip(to_weight.chunks_mut(width));
        let rows = features.iter().zip(to_features).zip(weights);
        for ((&feature, to_feature), (weight, to_weight)) in rows {
            *to_feature = inner(gradient, weight);
            for (to_weight, &gradient) in to_weight.iter_mut().zip(gradient) {
                *to_weight += feature * gradient;
            }
        }
    }
}

/// Tensors of attention scores, with `width = heads * channels`.
#[derive(Clone, Copy)]
pub(in crate::sparse) struct ScoreSlices<'a, T> {
    pub source: &'a [T],
    pub target: &'a [T],
    pub attention: &'a [T],
    pub term: Option<TermSlices<'a, T>>,
    pub heads: usize,
    pub slope: T,
}

impl<T: Number> ScoreSlices<'_, T> {
    fn width(&self) -> usize {
        self.attention.len()
    }

    /// `x[s] + y[d] + f W`
    fn pair(&self, graph: &Graph, entry: usize, row: &mut [T]) {
        let width = row.len();
        let (s, d) = (graph.sources()[entry] as usize, graph.targets()[entry] as usize);
        let (x, y) = (&self.source[s * width..][..width], &self.target[d * width..][..width]);
        for ((row, &x), &y) in row.iter_mut().zip(x).zip(y) {
            *row = x + y;
        }
        if let Some(term) = &self.term {
            term.add_to(entry, row);
        }
    }

    fn rectified(&self, value: T) -> T {
        if value > T::default() { value } else { value * self.slope }
    }

    /// Turns a pair's row into the gradient of the row, for a score's gradient.
    fn row_gradient(&self, row: &mut [T], gradient: &[T]) {
        let channels = row.len() / self.heads;
        let heads = row.chunks_mut(channels).zip(self.attention.chunks(channels));
        for ((row, attention), &gradient) in heads.zip(gradient) {
            for (value, &attention) in row.iter_mut().zip(attention) {
                let derivative = if *value > T::default() { T::ONE } else { self.slope };
                *value = gradient * attention * derivative;
            }
        }
    }
}

/// One score per entry and head.
pub(in crate::sparse) fn scores<T: Number>(slices: &ScoreSlices<'_, T>, graph: &Graph) -> Vec<T> {
    let (heads, width) = (slices.heads, slices.width());
    let channels = width / heads;
    per_entry(graph.entries(), heads, width, |first, output| {
        let mut row = vec![T::default(); width];
        for (index, output) in output.chunks_mut(heads).enumerate() {
            slices.pair(graph, first + index, &mut row);
            row.iter_mut().for_each(|value| *value = slices.rectified(*value));
            let parts = row.chunks(channels).zip(slices.attention.chunks(channels));
            for (output, (row, attention)) in output.iter_mut().zip(parts) {
                *output = inner(row, attention);
            }
        }
    })
}

/// The gradients of the source, target and attention tensors, and of the features and their matrix.
pub(in crate::sparse) fn scores_backward<T: Number>(
    slices: &ScoreSlices<'_, T>,
    gradient: &[T],
    graph: &Graph,
) -> [Vec<T>; 5] {
    let (heads, width) = (slices.heads, slices.width());
    let channels = width / heads;
    let of = |entry: usize| &gradient[entry * heads..][..heads];
    let row_gradient = |entry: usize, row: &mut [T]| {
        slices.pair(graph, entry, row);
        slices.row_gradient(row, of(entry));
    };
    let to_source = to_nodes(graph.transposed().rows(), width, row_gradient);
    let to_target = to_nodes(graph.rows(), width, row_gradient);
    let count = slices.term.map_or(0, |term| term.count);
    let entry = |entry: usize, row: &mut [T], to_features: &mut [T], sums: &mut [T]| {
        slices.pair(graph, entry, row);
        let (to_attention, to_weight) = sums.split_at_mut(width);
        let parts = to_attention.chunks_mut(channels).zip(row.chunks(channels));
        for ((to_attention, row), &gradient) in parts.zip(of(entry)) {
            for (sum, &value) in to_attention.iter_mut().zip(row) {
                *sum += gradient * slices.rectified(value);
            }
        }
        if let Some(term) = &slices.term {
            slices.row_gradient(row, of(entry));
            term.backward(entry, row, to_features, to_weight);
        }
    };
    let sizes = Sizes { entries: graph.entries(), width, count, sums: width + count * width };
    let (to_features, mut to_attention) = over_entries(sizes, entry);
    let to_weight = to_attention.split_off(width);
    [to_source, to_target, to_attention, to_features, to_weight]
}

/// Tensors of rectified messages.
#[derive(Clone, Copy)]
pub(in crate::sparse) struct MessageSlices<'a, T> {
    pub source: &'a [T],
    pub term: TermSlices<'a, T>,
    pub width: usize,
}

impl<T: Number> MessageSlices<'_, T> {
    /// `x[s] + f W`
    fn pair(&self, graph: &Graph, entry: usize, row: &mut [T]) {
        row.copy_from_slice(
            &self.source[graph.sources()[entry] as usize * self.width..][..self.width],
        );
        self.term.add_to(entry, row);
    }
}

/// The sum of rectified messages.
pub(in crate::sparse) fn messages<T: Number>(
    slices: &MessageSlices<'_, T>,
    graph: &Graph,
) -> Vec<T> {
    to_nodes(graph.rows(), slices.width, |entry, row| {
        slices.pair(graph, entry, row);
        for value in row {
            // NaN stays NaN.
            *value = if *value < T::default() { T::default() } else { *value };
        }
    })
}

/// The gradients of the source rows, the features and their matrix.
pub(in crate::sparse) fn messages_backward<T: Number>(
    slices: &MessageSlices<'_, T>,
    gradient: &[T],
    graph: &Graph,
) -> [Vec<T>; 3] {
    let width = slices.width;
    let row_gradient = |entry: usize, row: &mut [T]| {
        slices.pair(graph, entry, row);
        let gradient = &gradient[graph.targets()[entry] as usize * width..][..width];
        for (value, &gradient) in row.iter_mut().zip(gradient) {
            *value = if *value > T::default() { gradient } else { T::default() };
        }
    };
    let to_source = to_nodes(graph.transposed().rows(), width, row_gradient);
    let count = slices.term.count;
    let sizes = Sizes { entries: graph.entries(), width, count, sums: count * width };
    let (to_features, to_weight) = over_entries(
        sizes,
        |entry: usize, row: &mut [T], to_features: &mut [T], sums: &mut [T]| {
            row_gradient(entry, row);
            slices.term.backward(entry, row, to_features, sums);
        },
    );
    [to_source, to_features, to_weight]
}

/// The sum over a node's entries of rows that a function makes.
fn to_nodes<T: Number>(rows: &Rows, width: usize, make: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    let contribute = |places: Range<usize>, output: &mut [T], row: &mut [T]| {
        for place in places {
            make(rows.entry(place), row);
            add(output, row);
        }
    };
    Reduction { rows, width, scratch: width, contribute, merge: add }.run(T::default())
}

#[derive(Clone, Copy)]
struct Sizes {
    entries: usize,
    /// Elements of a pair's row.
    width: usize,
    /// Features of an entry.
    count: usize,
    /// Elements of what is summed over all entries.
    sums: usize,
}

/// One row of features' gradients per entry, and sums over all entries: part by part, then in order.
fn over_entries<T: Number>(
    sizes: Sizes,
    entry: impl Fn(usize, &mut [T], &mut [T], &mut [T]) + Sync,
) -> (Vec<T>, Vec<T>) {
    let Sizes { entries, width, count, sums } = sizes;
    let parts = entries.div_ceil(ENTRIES);
    let mut to_features = vec![T::default(); entries * count];
    let mut partial = vec![T::default(); parts * sums];
    let mut tasks = Vec::with_capacity(parts);
    let (mut features, mut partials) = (to_features.as_mut_slice(), partial.as_mut_slice());
    for part in 0..parts {
        let range = part * ENTRIES..((part + 1) * ENTRIES).min(entries);
        let (here, rest) = features.split_at_mut(range.len() * count);
        let (sum, behind) = partials.split_at_mut(sums);
        tasks.push((range, here, sum));
        (features, partials) = (rest, behind);
    }
    run(worthwhile(entries * width * (1 + count)), tasks, |(range, features, sum)| {
        let mut row = vec![T::default(); width];
        for (index, number) in range.enumerate() {
            entry(number, &mut row, &mut features[index * count..][..count], sum);
        }
    });
    let mut total = vec![T::default(); sums];
    if sums > 0 {
        partial.chunks(sums).for_each(|part| add(&mut total, part));
    }
    (to_features, total)
}
