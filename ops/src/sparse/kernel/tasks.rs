//! Rows of a result over Rayon's threads.

use std::ops::Range;

use rayon::prelude::*;

use super::Number;
use crate::sparse::rows::{LONG, Rows};

/// Multiply-adds below which starting other threads costs more than it gains.
const SMALL: usize = 1 << 15;
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

impl<C, M> Reduction<'_, C, M> {
    /// Reduces every row, starting from `start`.
    pub fn run<T: Number>(&self, start: T) -> Vec<T>
    where
        C: Fn(Range<usize>, &mut [T], &mut [T]) + Sync,
        M: Fn(&mut [T], &[T]) + Sync,
    {
        let (rows, width) = (self.rows, self.width);
        let mut output = vec![start; rows.len() * width];
        if width == 0 {
            return output;
        }
        let parallel = (rows.columns.len() + rows.len()) * width > SMALL;
        let mut partial = vec![start; rows.pieces.len() * width];
        let pieces = rows.pieces.iter().zip(partial.chunks_mut(width)).collect();
        run(parallel, pieces, |(places, partial): (&Range<usize>, &mut [T])| {
            (self.contribute)(places.clone(), partial, &mut vec![T::default(); self.scratch]);
        });
        let mut rest = output.as_mut_slice();
        let mut blocks = Vec::with_capacity(rows.blocks.len());
        for block in &rows.blocks {
            let (part, behind) = rest.split_at_mut(block.len() * width);
            blocks.push((block.clone(), part));
            rest = behind;
        }
        run(parallel, blocks, |(block, output)| {
            let mut scratch = vec![T::default(); self.scratch];
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
        });
        output
    }
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
    run(entries * work > SMALL, parts, |(part, output): (usize, &mut [T])| {
        fill(part * ENTRIES, output);
    });
    output
}
