//! Checks of what windows hold.

use std::ops::Range;

use firebrick_ops::sparse::{EntryIndex, Graph};

use super::error::TemporalGraphError as Error;
use super::window::TemporalWindow;

/// Valid entries of a window.
pub(super) struct Entries {
    /// Target and source in one number, so that numbers have the order of entries.
    pub keys: Vec<u64>,
    /// The step of each entry.
    pub step: Vec<usize>,
}

/// Source and target of a key.
pub(super) fn ends(key: u64) -> (u32, u32) {
    (key as u32, (key >> 32) as u32)
}

pub(super) fn length(
    window: usize,
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), Error> {
    match expected == found {
        true => Ok(()),
        false => Err(Error::Length { window, what, expected, found }),
    }
}

pub(super) fn finite(
    window: usize,
    what: &'static str,
    place: usize,
    found: f64,
) -> Result<(), Error> {
    match found.is_finite() {
        true => Ok(()),
        false => Err(Error::NotFinite { window, what, place, found }),
    }
}

pub(super) fn check_ranges(
    window: usize,
    steps: usize,
    ranges: &[Range<usize>],
    entries: usize,
) -> Result<(), Error> {
    length(window, "ranges", steps, ranges.len())?;
    let mut start = 0;
    for (step, range) in ranges.iter().enumerate() {
        let last = step + 1 == ranges.len();
        if range.start != start || range.end < start || range.end > entries {
            let expected = format!("{start}..end with end in {start}..={entries}");
            return Err(Error::Range { window, step, expected, found: format!("{range:?}") });
        }
        if last && range.end != entries {
            let expected = format!("{start}..{entries}");
            return Err(Error::Range { window, step, expected, found: format!("{range:?}") });
        }
        start = range.end;
    }
    Ok(())
}

/// Checks the nodes of all entries.
pub(super) fn entries<V, I: EntryIndex>(
    number: usize,
    window: &TemporalWindow<'_, V, I>,
    sources: &[I],
    targets: &[I],
    ranges: &[Range<usize>],
) -> Result<Entries, Error> {
    let [nodes, steps, _] = window.shape;
    let graph = Graph::from_entries(nodes, sources, targets)
        .map_err(|error| Error::Graph { window: number, error })?;
    let (sources, targets) = (graph.sources(), graph.targets());
    let key = |entry: usize| u64::from(targets[entry]) << 32 | u64::from(sources[entry]);
    let mut step_of = Vec::with_capacity(sources.len());
    for (step, range) in ranges.iter().enumerate() {
        step_of.resize(range.end, step);
        // Static entries are there whenever their nodes are.
        let Some(present) = window.present.filter(|_| ranges.len() == steps) else { continue };
        for entry in range.clone() {
            for node in [sources[entry], targets[entry]] {
                if !present[node as usize * steps + step] {
                    return Err(Error::AbsentNode { window: number, step, entry, node });
                }
            }
        }
    }
    Ok(Entries { keys: (0..sources.len()).map(key).collect(), step: step_of })
}
