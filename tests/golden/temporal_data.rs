//! Sequences of circular skip links and their unions.

use std::collections::BTreeSet;

use firebrick::datasets::temporal::{Absent, TemporalGraphData, circular_skip_links};

use crate::case::{Case, Failure, Tolerance};

const EXACT: Tolerance = Tolerance::absolute(0.0);

/// Snapshots, ranges, union, presence and degrees of one sequence.
pub fn dyncsl(case: &Case) -> Result<(), Failure> {
    let fail = |what: &str| Failure::new(format!("parameter skips: {what}"));
    let skips: Vec<usize> = case
        .optional("skips")
        .and_then(|value| value.as_array())
        .ok_or_else(|| fail("expected a list"))?
        .iter()
        .map(|skip| skip.as_u64().map(|skip| skip as usize))
        .collect::<Option<_>>()
        .ok_or_else(|| fail("expected numbers"))?;
    let data = circular_skip_links(case.usize("nodes")?, &skips, case.bool("self_loops")?)
        .map_err(|error| Failure::new(error.to_string()))?;
    equal("distinct", case, skips.iter().collect::<BTreeSet<_>>().len())?;
    for step in 0..data.num_steps() {
        equal("entries_per_snapshot", case, data.range(step).len())?;
    }
    compare(case, "snapshot_edges", data.sources(), data.targets())?;
    let (starts, ends): (Vec<usize>, Vec<usize>) =
        (0..data.num_steps()).map(|step| (data.range(step).start, data.range(step).end)).unzip();
    ranges(case, &starts, &ends)?;
    union(case, &data)
}

/// The union with its presence, as -1 and as a channel, and the same from given ranges.
fn union(case: &Case, data: &TemporalGraphData) -> Result<(), Failure> {
    let error = |error: firebrick::datasets::DatasetError| Failure::new(error.to_string());
    let steps = 0..data.num_steps();
    let union = data.aggregate(steps.clone(), Absent::MinusOne).map_err(error)?;
    compare(case, "union_edges", union.sources(), union.targets())?;
    let present: Vec<f64> =
        union.sequences().iter().map(|&value| if value < 0.0 { 0.0 } else { 1.0 }).collect();
    case.compare_host("presence", &present, EXACT)?;
    let with_channel = data.aggregate(steps, Absent::Channel).map_err(error)?;
    let channel: Vec<f64> =
        with_channel.sequences().chunks(2).map(|pair| f64::from(pair[1])).collect();
    case.compare_host("presence", &channel, EXACT)?;
    let edges = case.indices("snapshot_edges")?;
    let (sources, targets) = edges.split_at(edges.len() / 2);
    let ranges: Vec<_> = (0..data.num_steps()).map(|step| data.range(step)).collect();
    let given = TemporalGraphData::from_ranges(
        "given",
        data.num_nodes(),
        sources.to_vec(),
        targets.to_vec(),
        &ranges,
    );
    let given = given.and_then(|given| given.aggregate(0..ranges.len(), Absent::MinusOne));
    if given.map_err(error)? != union {
        return Err(Failure::new("the union of the given snapshots is another one"));
    }
    if case.names().any(|name| name == "union_in_degree") {
        let degrees: Vec<f64> = union.in_degrees().iter().map(|&degree| degree as f64).collect();
        case.compare_host("union_in_degree", &degrees, EXACT)?;
    }
    Ok(())
}

/// Ranges stand as two rows, or as one pair per step: what the shape says, and with two steps what
/// fits the values.
fn ranges(case: &Case, starts: &[usize], ends: &[usize]) -> Result<(), Failure> {
    compare(case, "edge_ranges", starts, ends).or_else(|rows| {
        let pairs: Vec<f64> =
            starts.iter().zip(ends).flat_map(|(&start, &end)| [start as f64, end as f64]).collect();
        case.compare_host("edge_ranges", &pairs, EXACT).map_err(|_| rows)
    })
}

fn compare(case: &Case, name: &str, first: &[usize], second: &[usize]) -> Result<(), Failure> {
    let found: Vec<f64> = first.iter().chain(second).map(|&node| node as f64).collect();
    case.compare_host(name, &found, EXACT)
}

fn equal(name: &str, case: &Case, found: usize) -> Result<(), Failure> {
    let expected = case.usize(name)?;
    if expected == found {
        return Ok(());
    }
    Err(Failure::new(format!("parameter {name}: expected {expected}, found {found}")))
}
