//! Entries grouped by the node on one side: compressed rows, and how the work on them is cut.

use std::ops::Range;

use super::index::Index;

/// Entries and rows of a block, about; a block is one task. It depends on the graph only, so that results
/// do not depend on the number of threads.
const BLOCK: usize = 1024;
/// Entries of a piece of a long row.
pub(crate) const PIECE: usize = 1024;
/// A row with more entries than this is cut into pieces.
pub(crate) const LONG: usize = 2 * PIECE;

/// Entries grouped by the node on one side.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Row `i` has the places `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<u32>,
    /// The entry at each place; `None` if the entries stand in this order already.
    pub order: Option<Vec<u32>>,
    /// The node on the other side of the entry at each place.
    pub columns: Vec<u32>,
    /// Consecutive rows of about the same work.
    pub blocks: Vec<Range<usize>>,
    /// Rows that are cut into pieces, rising, with the number of pieces before them.
    pub long: Vec<(usize, usize)>,
    /// The places of all pieces, row after row.
    pub pieces: Vec<Range<usize>>,
}

impl Rows {
    /// Groups entries by counting; entries of a row keep their order.
    pub fn new(nodes: usize, index: &Index, other: &Index) -> Self {
        let mut offsets = vec![0u32; nodes + 1];
        for &node in index.values() {
            offsets[node as usize + 1] += 1;
        }
        for node in 0..nodes {
            offsets[node + 1] += offsets[node];
        }
        let sorted = index.values().is_sorted();
        let order = (!sorted).then(|| {
            let mut next = offsets.clone();
            let mut order = vec![0; index.len()];
            for (entry, &node) in index.values().iter().enumerate() {
                let place = &mut next[node as usize];
                order[*place as usize] = entry as u32;
                *place += 1;
            }
            order
        });
        let columns = match &order {
            None => other.values().to_vec(),
            Some(order) => order.iter().map(|&entry| other.values()[entry as usize]).collect(),
        };
        let mut rows =
            Self { offsets, order, columns, blocks: vec![], long: vec![], pieces: vec![] };
        rows.cut();
        rows
    }

    fn cut(&mut self) {
        let (mut start, mut work) = (0, 0);
        for row in 0..self.len() {
            let places = self.row(row);
            work += places.len() + 1;
            if places.len() > LONG {
                self.long.push((row, self.pieces.len()));
                let end = places.end;
                let ends = |start: usize| start..(start + PIECE).min(end);
                self.pieces.extend(places.step_by(PIECE).map(ends));
            }
            if work >= BLOCK {
                self.blocks.push(start..row + 1);
                (start, work) = (row + 1, 0);
            }
        }
        if start < self.len() {
            self.blocks.push(start..self.len());
        }
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The places of a row.
    pub fn row(&self, row: usize) -> Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    /// The pieces of a long row.
    pub fn pieces_of(&self, row: usize) -> Option<Range<usize>> {
        let found = self.long.binary_search_by_key(&row, |&(row, _)| row).ok()?;
        let start = self.long[found].1;
        let end = self.long.get(found + 1).map_or(self.pieces.len(), |&(_, start)| start);
        Some(start..end)
    }

    /// The entry at a place.
    pub fn entry(&self, place: usize) -> usize {
        self.order.as_ref().map_or(place, |order| order[place] as usize)
    }
}

/// A reduction of all rows by pairs, for backends without a kernel: in each round, value `i` becomes the
/// reduction of the values `first[i]` and `second[i]` of the round before; the last round has one value
/// per row.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub rounds: Vec<[Index; 2]>,
    /// For each row the place of its value; the place behind the last value for a row without entries.
    pub result: Index,
}

impl Rounds {
    pub fn new(rows: &Rows) -> Self {
        let mut starts: Vec<Vec<u32>> = (0..rows.len())
            .map(|row| rows.row(row).map(|place| rows.entry(place) as u32).collect())
            .collect();
        let mut rounds = Vec::new();
        // The first round also brings the entries into row order.
        while rounds.is_empty() || starts.iter().any(|row| row.len() > 1) {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            for row in &mut starts {
                let pairs: Vec<u32> = row
                    .chunks(2)
                    .map(|pair| {
                        first.push(pair[0]);
                        second.push(pair[pair.len() - 1]);
                        first.len() as u32 - 1
                    })
                    .collect();
                *row = pairs;
            }
            rounds.push([Index::new(first), Index::new(second)]);
        }
        let behind = rounds.last().map_or(0, |[first, _]| first.len()) as u32;
        let result = starts.iter().map(|row| row.first().copied().unwrap_or(behind)).collect();
        Self { rounds, result: Index::new(result) }
    }
}
