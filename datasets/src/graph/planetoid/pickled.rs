//! The original files `ind.NAME.{x,tx,allx,y,ty,ally,graph,test.index}`.
//!
//! With `m` rows in `ally` and test nodes `t_0, t_1, ..`: rows `0..m` are those of `allx`, row `t_i`
//! is row `i` of `tx`, and what lies between has no features and no label.

use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::graph::data::check_length;
use crate::graph::{GraphData, NodeFeatures, NodeSplit, SparseRows, UNLABELED};

use super::pickle::Pickle;
use super::{NUM_VALIDATION, undirected};
use crate::files::{line_error, quote, read, read_text};

/// Features and labels of one part.
struct Part {
    features: SparseRows,
    labels: Vec<i64>,
    classes: usize,
}

impl Part {
    fn read(prefix: &Prefix, features: &str, labels: &str) -> Result<Self, DatasetError> {
        let (features_file, labels_file) = (prefix.file(features), prefix.file(labels));
        let bytes = read(&features_file)?;
        let features = Pickle::parse(&bytes, &features_file)?.sparse_matrix()?;
        let bytes = read(&labels_file)?;
        let (labels, classes) = Pickle::parse(&bytes, &labels_file)?.one_hot()?;
        let place = labels_file.display().to_string();
        check_length(&place, "labels for rows of features", features.num_rows(), labels.len())?;
        Ok(Self { features, labels, classes })
    }
}

/// What all file names begin with.
struct Prefix<'a> {
    folder: &'a Path,
    name: &'a str,
}

impl Prefix<'_> {
    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("ind.{}.{ending}", self.name))
    }
}

/// Reads the files of one data set.
pub(super) fn load(folder: &Path, name: &str) -> Result<GraphData, DatasetError> {
    let prefix = Prefix { folder, name };
    let train = Part::read(&prefix, "x", "y")?;
    let test = Part::read(&prefix, "tx", "ty")?;
    let all = Part::read(&prefix, "allx", "ally")?;
    check_parts(&prefix, &train, &test, &all)?;
    let graph_file = prefix.file("graph");
    let bytes = read(&graph_file)?;
    let lists = Pickle::parse(&bytes, &graph_file)?.neighbor_lists()?;
    // A node beyond all of these is in no file; the bound keeps a wrong index from taking memory.
    let limit = all.labels.len() + test.labels.len() + lists.len();
    let indices = test_indices(&prefix, all.labels.len(), limit)?;
    let place = prefix.file("test.index").display().to_string();
    check_length(&place, "test nodes", test.labels.len(), indices.len())?;
    let known = all.labels.len();
    let num_nodes = indices.iter().map(|&t| t + 1).fold(known + indices.len(), usize::max);
    let edges = edges(&graph_file, &lists, num_nodes)?;
    let num_train = train.labels.len();
    let split = NodeSplit {
        train: (0..num_train).collect(),
        validation: (num_train..num_train + NUM_VALIDATION).collect(),
        test: indices.clone(),
    };
    let (features, labels) = assemble(all, &test, &indices, num_nodes);
    let classes = train.classes;
    undirected(name, num_nodes, edges)?
        .with_features(NodeFeatures::Sparse(features))?
        .with_labels(labels, classes)?
        .with_split(split)
}

/// Checks that the parts have equal widths and classes, and that all of `x` is in `allx`.
fn check_parts(prefix: &Prefix, train: &Part, test: &Part, all: &Part) -> Result<(), DatasetError> {
    for (part, features, labels) in [(test, "tx", "ty"), (all, "allx", "ally")] {
        let place = |ending: &str| prefix.file(ending).display().to_string();
        let (expected, found) = (train.features.width(), part.features.width());
        check_length(&place(features), "columns, as in x", expected, found)?;
        check_length(&place(labels), "classes, as in y", train.classes, part.classes)?;
    }
    let needed = train.labels.len() + NUM_VALIDATION;
    if all.labels.len() < needed {
        let place = prefix.file("ally").display().to_string();
        let (list, found) = ("rows at least", all.labels.len());
        return Err(DatasetError::GraphLength { place, list, expected: needed, found });
    }
    Ok(())
}

/// Test nodes in the order of the file, each from `first` to below `limit` and none twice.
fn test_indices(prefix: &Prefix, first: usize, limit: usize) -> Result<Vec<usize>, DatasetError> {
    let file = prefix.file("test.index");
    let text = read_text(&file)?;
    let mut seen = vec![false; limit - first];
    let mut indices = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let index = text.trim().parse::<usize>().ok();
        let Some(index) = index.filter(|index| (first..limit).contains(index)) else {
            let expected = format!("a node from {first} to below {limit}");
            return Err(line_error(&file, line + 1, expected, quote(text)));
        };
        if std::mem::replace(&mut seen[index - first], true) {
            let found = format!("node {index} again");
            return Err(line_error(&file, line + 1, "a node that has not come yet", found));
        }
        indices.push(index);
    }
    Ok(indices)
}

/// Pairs of a node and a neighbor, checked; in both directions and with repetitions, as they stand.
fn edges(
    file: &Path,
    lists: &[(i64, Vec<i64>)],
    num_nodes: usize,
) -> Result<Vec<(usize, usize)>, DatasetError> {
    let mut edges = Vec::new();
    let check = |list: &'static str, index: usize, node: i64| {
        let checked = usize::try_from(node).ok().filter(|&node| node < num_nodes);
        checked.ok_or_else(|| DatasetError::GraphValue {
            place: file.display().to_string(),
            list,
            index,
            expected: format!("a node below {num_nodes}"),
            found: node.to_string(),
        })
    };
    for (index, (node, neighbors)) in lists.iter().enumerate() {
        let node = check("node", index, *node)?;
        for &neighbor in neighbors {
            edges.push((node, check("neighbor in list", index, neighbor)?));
        }
    }
    Ok(edges)
}

/// Puts the rows of the test part where they belong.
fn assemble(all: Part, test: &Part, indices: &[usize], num_nodes: usize) -> (SparseRows, Vec<i64>) {
    let known = all.labels.len();
    let mut labels = all.labels;
    labels.resize(num_nodes, UNLABELED);
    let mut row_of = vec![None; num_nodes - known];
    for (row, &index) in indices.iter().enumerate() {
        labels[index] = test.labels[row];
        row_of[index - known] = Some(row);
    }
    let width = all.features.width();
    let (mut starts, mut columns, mut values) = (
        all.features.starts().to_vec(),
        all.features.columns().to_vec(),
        all.features.values().to_vec(),
    );
    for row in row_of {
        if let Some(row) = row {
            let (row_columns, row_values) = test.features.row(row);
            columns.extend_from_slice(row_columns);
            values.extend_from_slice(row_values);
        }
        starts.push(columns.len());
    }
    let features = SparseRows::new(width, starts, columns, values);
    (features.expect("the rows were checked, and their widths are equal"), labels)
}
