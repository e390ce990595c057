//! Training, validation and test parts of windows, sequences and nodes.
//!
//! | split | of | order |
//! |---|---|---|
//! | [`chronological`] | windows | the past trains, the future tests |
//! | [`interleaved`] | windows | position modulo 10: 0 to 6, 7, 8 and 9 |
//! | [`nodes_by_in_degree`] | nodes | interleaved along the in-degree |
//!
//! # Notes
//! Published forecasts of temporal graphs use the interleaved split under the name "inductive". Its
//! test windows overlap training windows in all but a few steps, so that it says little about the
//! future: it is here to compare with those numbers.

use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::graph::NodeSplit;
use crate::temporal::TemporalGraphData;
use crate::temporal::data::unsuitable;

/// Positions to train, to choose and to report on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// To train on.
    pub train: Vec<usize>,
    /// To choose models on.
    pub validation: Vec<usize>,
    /// To report.
    pub test: Vec<usize>,
}

/// Contiguous parts in proportion to `shares`; the bounds are rounded. The first `gap` windows of
/// the validation and of the test part are left out: with a horizon of `h` steps and a stride of 1,
/// a gap of `h - 1` keeps the parts from sharing a target.
///
/// # Errors
/// If all shares are zero.
///
/// # Example
/// ```
/// use firebrick_datasets::temporal::chronological;
///
/// let parts = chronological(54, [7, 1, 2], 0)?;
/// assert_eq!([parts.train.len(), parts.validation.len(), parts.test.len()], [38, 5, 11]);
/// assert_eq!(chronological(54, [7, 1, 2], 2)?.validation, [40, 41, 42]);
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
pub fn chronological(count: usize, shares: [u32; 3], gap: usize) -> Result<Parts, DatasetError> {
    let total = shares.iter().map(|&share| u128::from(share)).sum::<u128>();
    if total == 0 {
        return Err(unsuitable("shares", "one that is not zero", format!("{shares:?}")));
    }
    let bound = |share: u128| ((count as u128 * share * 2 + total) / (2 * total)) as usize;
    let first = bound(shares[0].into());
    let second = bound(u128::from(shares[0]) + u128::from(shares[1]));
    let after_gap = |start: usize, end: usize| (start.saturating_add(gap)..end).collect();
    let validation = after_gap(first, second);
    Ok(Parts { train: (0..first).collect(), validation, test: after_gap(second, count) })
}

/// Of every ten positions the first seven train, the next validates, the last two test.
///
/// # Example
/// ```
/// use firebrick_datasets::temporal::interleaved;
///
/// let parts = interleaved(54);
/// assert_eq!([parts.train.len(), parts.validation.len(), parts.test.len()], [39, 5, 10]);
/// assert_eq!(parts.test[..4], [8, 9, 18, 19]);
/// ```
pub fn interleaved(count: usize) -> Parts {
    let mut parts = Parts::default();
    for position in 0..count {
        match position % 10 {
            0..=6 => parts.train.push(position),
            7 => parts.validation.push(position),
            _ => parts.test.push(position),
        }
    }
    parts
}

/// The nodes in order of in-degree over all snapshots (ascending, equal ones by number), divided as
/// [`interleaved`] does, so that each part has nodes of all degrees. Each part is sorted.
///
/// # Example
/// ```
/// use firebrick_datasets::temporal::{nodes_by_in_degree, circular_skip_links};
///
/// let split = nodes_by_in_degree(&circular_skip_links(10, &[2], false)?);
/// assert_eq!((split.validation, split.test), (vec![7], vec![8, 9])); // all degrees are equal
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
pub fn nodes_by_in_degree(data: &TemporalGraphData) -> NodeSplit {
    let degrees = data.in_degrees();
    let mut order: Vec<usize> = (0..degrees.len()).collect();
    order.sort_by_key(|&node| degrees[node]);
    let parts = interleaved(order.len());
    let nodes = |part: Vec<usize>| {
        let mut nodes: Vec<usize> = part.into_iter().map(|position| order[position]).collect();
        nodes.sort_unstable();
        nodes
    };
    NodeSplit {
        train: nodes(parts.train),
        validation: nodes(parts.validation),
        test: nodes(parts.test),
    }
}
