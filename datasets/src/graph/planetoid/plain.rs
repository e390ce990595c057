//! The plain form: one folder with `edges.txt.gz`, `features.txt.gz`, `nodes.txt.gz`, `meta.json`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::DatasetError;
use crate::graph::data::check_length;
use crate::graph::{NodeFeatures, NodeSplit, SparseRows};

use super::{Planetoid, undirected};
use crate::files::{line_error, quote, read_text};

/// The counts in `meta.json`; other fields are left alone.
#[derive(Debug, Deserialize)]
struct Meta {
    name: String,
    num_nodes: usize,
    num_undirected_edges: usize,
    num_features: usize,
    num_classes: usize,
    feature_nnz: usize,
    train: usize,
    val: usize,
    test: usize,
}

/// Whether a folder holds the plain form.
pub(super) fn is_here(folder: &Path) -> bool {
    find(folder, "edges.txt").is_some() && find(folder, "nodes.txt").is_some()
}

/// The name in the folder's `meta.json`.
pub(super) fn name(folder: &Path) -> Option<String> {
    meta(folder).ok().map(|meta| meta.name)
}

/// Reads one folder.
pub(super) fn load(folder: &Path) -> Result<Planetoid, DatasetError> {
    let meta = meta(folder)?;
    let (labels, split) = nodes(&require(folder, "nodes.txt")?)?;
    let num_nodes = labels.len();
    let place = folder.display().to_string();
    check_length(&place, "nodes", meta.num_nodes, num_nodes)?;
    let edges = edges(&require(folder, "edges.txt")?, num_nodes)?;
    check_length(&place, "undirected edges", meta.num_undirected_edges, edges.len())?;
    let (file, partial) = match find(folder, "features.txt") {
        Some(file) => (file, false),
        None => (
            find(folder, "features_partial.txt")
                .map_or_else(|| require(folder, "features.txt"), Ok)?,
            true,
        ),
    };
    let features = features(&file, num_nodes, meta.num_features)?;
    check_length(&place, "stored features", meta.feature_nnz, features.num_stored())?;
    for (list, expected, found) in [
        ("training nodes", meta.train, split.train.len()),
        ("validation nodes", meta.val, split.validation.len()),
        ("test nodes", meta.test, split.test.len()),
    ] {
        check_length(&place, list, expected, found)?;
    }
    let missing = if partial { empty_rows(&features) } else { Vec::new() };
    let graph = undirected(&meta.name, num_nodes, edges)?
        .with_features(NodeFeatures::Sparse(features))?
        .with_labels(labels, meta.num_classes)?
        .with_split(split)?;
    Ok(if missing.is_empty() {
        Planetoid::Complete(graph)
    } else {
        Planetoid::MissingFeatures { graph, missing }
    })
}

fn meta(folder: &Path) -> Result<Meta, DatasetError> {
    let file = folder.join("meta.json");
    let text = read_text(&file)?;
    serde_json::from_str(&text).map_err(|error| {
        line_error(&file, error.line(), "the counts of a data set", error.to_string())
    })
}

/// A file, compressed or not.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [format!("{name}.gz"), name.to_string()]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|file| file.is_file())
}

fn require(folder: &Path, name: &str) -> Result<PathBuf, DatasetError> {
    find(folder, name).ok_or_else(|| super::missing(folder, name, format!("{name}[.gz]")))
}

/// `label split`, a node a line.
fn nodes(file: &Path) -> Result<(Vec<i64>, NodeSplit), DatasetError> {
    let text = read_text(file)?;
    let (mut labels, mut split) = (Vec::new(), NodeSplit::default());
    for (node, line) in text.lines().enumerate() {
        let fields = line.split_once(' ');
        let Some((label, part)) =
            fields.and_then(|(label, part)| Some((label.parse::<i64>().ok()?, part)))
        else {
            return Err(line_error(file, node + 1, "a label and a split", quote(line)));
        };
        labels.push(label);
        match part {
            "r" => split.train.push(node),
            "v" => split.validation.push(node),
            "e" => split.test.push(node),
            "-" => {}
            _ => {
                let expected = "one of the splits r, v, e and -";
                return Err(line_error(file, node + 1, expected, quote(part)));
            }
        }
    }
    Ok((labels, split))
}

/// `a b` with `a < b`, an edge a line, sorted.
fn edges(file: &Path, num_nodes: usize) -> Result<Vec<(usize, usize)>, DatasetError> {
    let text = read_text(file)?;
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let node = |text: &str| text.parse::<usize>().ok();
        let pair = line.split_once(' ').and_then(|(a, b)| Some((node(a)?, node(b)?)));
        let Some(pair) = pair.filter(|&(a, b)| a < b && b < num_nodes) else {
            let expected = format!("two different nodes below {num_nodes}, the smaller one first");
            return Err(line_error(file, index + 1, expected, quote(line)));
        };
        if edges.last().is_some_and(|&last| last >= pair) {
            let expected = "an edge that comes after that of the line before";
            return Err(line_error(file, index + 1, expected, quote(line)));
        }
        edges.push(pair);
    }
    Ok(edges)
}

/// Column numbers, or `column:value`, a node a line.
fn features(file: &Path, num_nodes: usize, width: usize) -> Result<SparseRows, DatasetError> {
    let text = read_text(file)?;
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for (row, line) in text.lines().enumerate() {
        let mut least = 0;
        for field in line.split_ascii_whitespace() {
            let (column, value) = field.split_once(':').unwrap_or((field, "1"));
            let column = column.parse::<usize>().ok().filter(|c| (least..width).contains(c));
            let value = value.parse::<f32>().ok().filter(|value| value.is_finite());
            let (Some(column), Some(value)) = (column, value) else {
                let expected =
                    format!("columns below {width} that increase, each perhaps with :value");
                return Err(line_error(file, row + 1, expected, quote(field)));
            };
            columns.push(column);
            values.push(value);
            least = column + 1;
        }
        starts.push(columns.len());
    }
    check_length(&file.display().to_string(), "lines", num_nodes, starts.len() - 1)?;
    SparseRows::new(width, starts, columns, values)
}

/// Runs of rows without a value.
fn empty_rows(features: &SparseRows) -> Vec<Range<usize>> {
    let mut missing: Vec<Range<usize>> = Vec::new();
    for (row, pair) in features.starts().windows(2).enumerate() {
        if pair[0] < pair[1] {
            continue;
        }
        match missing.last_mut() {
            Some(last) if last.end == row => last.end = row + 1,
            _ => missing.push(row..row + 1),
        }
    }
    missing
}
