//! Rows of a result over Rayon's threads.

use std::ops::Range;

use rayon::prelude::*;

use super::Number;
use crate::sparse::rows::{LONG, Rows};
use crate::vectorized::vectorized;

/// Multiply-adds below which starting other threads costs more than it gains; fewer in tests, whose
/// graphs are small.
const SMALL: usize = if cfg!(test) { 1 << 12 } else { 1 << 19 };
/// Entries of a task that has one output per entry.
pub(super) const ENTRIES: usize = 1024;

/// How the entries of a row become its result.
pub(super) struct Reduction<'a, C, M> {
    pub rows: &'a Rows,
    /// Columns of the result.
    pub width: usize,
    /// Elements of the working memory that `contribute` gets.
    pub scratch: usize,
    /// Takes the entries at some places into a row.
    pub contribute: C,
    /// Takes the result of a later piece into a row.
    pub merge: M,
}

impl<'a, T: Number, C: Fn(Range<usize>, &mut [T], &mut [T])> Reduction<'a, C, fn(&mut [T], &[T])> {
    /// Sums without working memory.
    pub fn sums(rows: &'a Rows, width: usize, contribute: C) -> Self {
        Self { rows, width, scratch: 0, contribute, merge: add }
    }
}

impl<C, M> Reduction<'_, C, M> {
    /// Reduces every row, starting from `start`.
    pub fn run<T: Number>(&self, start: T) -> Vec<T>
    where
        C: Fn(Range<usize>, &mut [T], &mut [T]) + Sync,
        M: Fn(&mut [T], &[T]) + Sync,
    {
        let (rows, width) = (self.rows, self.width);
        if width == 0 {
            return Vec::new();
        }
        let parallel = worthwhile((rows.columns.len() + rows.len()) * width);
        let mut partial = vec![start; rows.pieces.len() * width];
        let pieces = rows.pieces.iter().zip(partial.chunks_mut(width)).collect();
        run(parallel, pieces, |(places, partial): (&Range<usize>, &mut [T])| {
            let mut scratch = vec![T::default(); self.scratch];
            vectorized(
                #[inline(always)]
                || (self.contribute)(places.clone(), partial, &mut scratch),
            );
        });
        if !parallel {
            // Each block is set to the start just before it is summed, while it stays in the cache.
            let mut output = Vec::with_capacity(rows.len() * width);
            for block in &rows.blocks {
                let first = output.len();
                output.resize(first + block.len() * width, start);
                self.block(block.clone(), &mut output[first..], &partial);
            }
            return output;
        }
        let mut output = vec![start; rows.len() * width];
        let mut rest = output.as_mut_slice();
        let mut blocks = Vec::with_capacity(rows.blocks.len());
        for block in &rows.blocks {
            let (part, behind) = rest.split_at_mut(block.len() * width);
            blocks.push((block.clone(), part));
            rest = behind;
        }
        run(parallel, blocks, |(block, output)| self.block(block, output, &partial));
        output
    }

    /// Reduces some rows, with the results of all pieces of long rows.
    fn block<T: Number>(&self, block: Range<usize>, output: &mut [T], partial: &[T])
    where
        C: Fn(Range<usize>, &mut [T], &mut [T]),
        M: Fn(&mut [T], &[T]),
    {
        let (rows, width) = (self.rows, self.width);
        let mut scratch = vec![T::default(); self.scratch];
        vectorized(
            #[inline(always)]
            || {
                for (row, output) in block.zip(output.chunks_mut(width)) {
                    let places = rows.row(row);
                    match places.len() > LONG {
                        false => (self.contribute)(places, output, &mut scratch),
                        true => {
                            let pieces = rows.pieces_of(row).unwrap_or(0..0);
                            let pieces = &partial[pieces.start * width..pieces.end * width];
                            pieces.chunks(width).for_each(|piece| (self.merge)(output, piece));
                        }
                    }
                }
            },
        );
    }
}

/// Whether other threads may take part in so many multiply-adds. A pool of one thread would only
/// take the work away from the caller's cache.
pub(super) fn worthwhile(work: usize) -> bool {
    work > SMALL && rayon::current_num_threads() > 1
}

/// Adds a piece to a row.
pub(super) fn add<T: Number>(row: &mut [T], piece: &[T]) {
    for (sum, &value) in row.iter_mut().zip(piece) {
        *sum += value;
    }
}

/// Runs tasks, on other threads too if that pays.
pub(super) fn run<I: Send>(parallel: bool, tasks: Vec<I>, task: impl Fn(I) + Send + Sync) {
    match parallel && tasks.len() > 1 {
        true => tasks.into_par_iter().for_each(task),
        false => tasks.into_iter().for_each(task),
    }
}

/// Fills `width` values for each entry; the task gets the number of the first entry of its part.
pub(super) fn per_entry<T: Number>(
    entries: usize,
    width: usize,
    work: usize,
    fill: impl Fn(usize, &mut [T]) + Send + Sync,
) -> Vec<T> {
    let mut output = vec![T::default(); entries * width];
    if width == 0 {
        return output;
    }
    let parts = output.chunks_mut(ENTRIES * width).enumerate().collect();
    run(worthwhile(entries * work), parts, |(part, output): (usize, &mut [T])| {
        fill(part * ENTRIES, output);
    });
    output
}
