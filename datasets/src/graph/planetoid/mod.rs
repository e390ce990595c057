//! Cora, Citeseer and Pubmed with their public split, from either of two kinds of files.
//!
//! | form | files |
//! |---|---|
//! | original | `ind.NAME.{x,tx,allx,y,ty,ally,graph,test.index}`: pickles of Python 2 |
//! | plain | `edges.txt.gz`, `features.txt.gz`, `nodes.txt.gz`, `meta.json` |
//!
//! A pickle can run any code in Python. Here it cannot: the reader knows the few instructions and
//! names that these files need, calls nothing, checks every size against the bytes that are there,
//! and answers everything else with an error that names file and byte.
//!
//! The plain form has one edge `a b` with `a < b` a line, sorted; one node `label split` a line, with
//! `-1` for no label and `r`, `v`, `e`, `-` for training, validation, test and none; and the features
//! of one node a line, as columns that hold a one or as `column:value`.
//!
//! # Notes
//! - Self loops are dropped, repeated edges kept once, and both directions stored.
//! - Fifteen nodes of Citeseer are in no file but that of the graph: they have no features and no
//!   label. Others give them class 0.
//!
//! # References
//! Z. Yang, W. Cohen, R. Salakhutdinov, *Revisiting Semi-Supervised Learning with Graph Embeddings*,
//! ICML 2016; P. Sen et al., *Collective Classification in Network Data*, AI Magazine 29, 2008.

mod arrays;
mod pickle;
mod pickled;
mod plain;

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::graph::GraphData;
use crate::graph::data::check_length;

/// Nodes after the training nodes that are for validation.
const NUM_VALIDATION: usize = 500;

/// A citation network, and whether its files are complete.
#[derive(Clone, Debug, PartialEq)]
pub enum Planetoid {
    /// All there is.
    Complete(GraphData),
    /// Graph, labels and split are complete, but the features of some nodes are missing from the
    /// file; their rows are zero. Good for structure and speed, not for accuracy.
    MissingFeatures {
        /// The data set with zeros for missing features.
        graph: GraphData,
        /// The nodes without features.
        missing: Vec<Range<usize>>,
    },
}

impl Planetoid {
    /// The data set, whether or not features are missing.
    pub fn graph(&self) -> &GraphData {
        match self {
            Self::Complete(graph) | Self::MissingFeatures { graph, .. } => graph,
        }
    }

    /// The nodes whose features are missing.
    pub fn missing(&self) -> &[Range<usize>] {
        match self {
            Self::Complete(_) => &[],
            Self::MissingFeatures { missing, .. } => missing,
        }
    }

    /// The data set, if no features are missing.
    ///
    /// # Errors
    /// If some are.
    pub fn complete(self) -> Result<GraphData, DatasetError> {
        match self {
            Self::Complete(graph) => Ok(graph),
            Self::MissingFeatures { graph, missing } => {
                let run = |run: &Range<usize>| format!("{}..{}", run.start, run.end);
                let missing = missing.iter().map(run).collect::<Vec<_>>().join(", ");
                let (place, nodes) = (graph.name().to_string(), graph.num_nodes());
                Err(DatasetError::MissingFeatures { place, nodes, missing })
            }
        }
    }
}

/// Loads the data set `name` ("cora", "citeseer", "pubmed", or another one in this form) from the
/// folder `dir`, from a folder of that name in it, or from `raw` in either.
///
/// The counts of the three known data sets are checked, and those in a `meta.json`.
///
/// # Errors
/// If no files are found, one is missing, damaged or holds what does not belong there, or a count is
/// wrong.
///
/// # Example
/// ```
/// use firebrick_datasets::graph::planetoid;
///
/// let folder = tempfile::tempdir()?;
/// let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
/// write("edges.txt", "0 1\n1 2\n")?;
/// write("nodes.txt", "0 r\n1 e\n-1 -\n")?;
/// write("features.txt", "0 3\n1:0.5\n\n")?;
/// write(
///     "meta.json",
///     r#"{"name": "tiny", "num_nodes": 3, "num_undirected_edges": 2, "num_features": 4,
///         "num_classes": 2, "feature_nnz": 3, "train": 1, "val": 0, "test": 1}"#,
/// )?;
/// let graph = planetoid::load(folder.path(), "tiny")?.complete()?;
/// assert_eq!((graph.num_nodes(), graph.num_entries()), (3, 4));
/// assert_eq!(graph.labels(), [0, 1, -1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(dir: impl AsRef<Path>, name: &str) -> Result<Planetoid, DatasetError> {
    let dir = dir.as_ref();
    let name = name.to_lowercase();
    let mut folders = vec![dir.to_path_buf(), dir.join("raw")];
    for folder in folders_named(dir, &name)? {
        folders.extend([folder.clone(), folder.join("raw")]);
    }
    for folder in &folders {
        if folder.join(format!("ind.{name}.graph")).is_file() {
            let loaded = Planetoid::Complete(pickled::load(folder, &name)?);
            check_known(&name, &loaded)?;
            return Ok(loaded);
        }
        let is_name = || plain::name(folder).is_none_or(|found| found.to_lowercase() == name);
        if plain::is_here(folder) && is_name() {
            let loaded = plain::load(folder)?;
            check_known(&name, &loaded)?;
            return Ok(loaded);
        }
    }
    let accepted = format!("ind.{name}.graph and the others of its kind, or edges.txt[.gz]");
    Err(missing(dir, &format!("data set {name}"), accepted))
}

/// The folders in `dir` with the given name in any case, sorted.
fn folders_named(dir: &Path, name: &str) -> Result<Vec<PathBuf>, DatasetError> {
    let io = |source| DatasetError::Io { file: dir.to_path_buf(), source };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        if entry.file_name().to_string_lossy().to_lowercase() == name && entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// Counts of a known data set, as published and recomputed from the files.
struct Counts {
    name: &'static str,
    nodes: usize,
    edges: usize,
    features: usize,
    classes: usize,
    /// `None`: not checked.
    nonzeros: Option<usize>,
    train: usize,
    test: usize,
}

const KNOWN: [Counts; 3] = [
    Counts {
        name: "cora",
        nodes: 2708,
        edges: 5278,
        features: 1433,
        classes: 7,
        nonzeros: Some(49_216),
        train: 140,
        test: 1000,
    },
    Counts {
        name: "citeseer",
        nodes: 3327,
        edges: 4552,
        features: 3703,
        classes: 6,
        nonzeros: Some(105_165),
        train: 120,
        test: 1000,
    },
    Counts {
        name: "pubmed",
        nodes: 19_717,
        edges: 44_324,
        features: 500,
        classes: 3,
        nonzeros: None,
        train: 60,
        test: 1000,
    },
];

/// Compares a data set of a known name with its counts.
fn check_known(name: &str, loaded: &Planetoid) -> Result<(), DatasetError> {
    let Some(counts) = KNOWN.iter().find(|counts| counts.name == name) else { return Ok(()) };
    let (graph, split) = (loaded.graph(), loaded.graph().split());
    let nonzeros = graph.features().nonzeros().iter().sum();
    for (list, expected, found) in [
        ("nodes", counts.nodes, graph.num_nodes()),
        ("undirected edges", counts.edges, graph.num_entries() / 2),
        ("features", counts.features, graph.features().width()),
        ("classes", counts.classes, graph.num_classes()),
        ("features that are not zero", counts.nonzeros.unwrap_or(nonzeros), nonzeros),
        ("training nodes", counts.train, split.train.len()),
        ("validation nodes", NUM_VALIDATION, split.validation.len()),
        ("test nodes", counts.test, split.test.len()),
    ] {
        check_length(name, list, expected, found)?;
    }
    Ok(())
}

/// Both directions of every different pair of different nodes, sorted by source, then target.
fn undirected(
    name: &str,
    num_nodes: usize,
    edges: Vec<(usize, usize)>,
) -> Result<GraphData, DatasetError> {
    let mut entries: Vec<(usize, usize)> =
        edges.into_iter().filter(|&(a, b)| a != b).flat_map(|(a, b)| [(a, b), (b, a)]).collect();
    entries.sort_unstable();
    entries.dedup();
    let (sources, targets) = entries.into_iter().unzip();
    GraphData::new(name, num_nodes, sources, targets)
}

/// An error with the first few names of what is in the folder.
fn missing(folder: &Path, wanted: &str, accepted: String) -> DatasetError {
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|e| e.file_name().to_string_lossy().into()).collect())
        .unwrap_or_default();
    found.sort();
    if found.len() > 20 {
        found.truncate(20);
        found.push("...".to_string());
    }
    let (folder, wanted) = (folder.to_path_buf(), wanted.to_string());
    DatasetError::MissingFile { folder, wanted, accepted, found }
}
