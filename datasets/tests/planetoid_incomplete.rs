//! Pubmed as some copies have it: everything but the features of most nodes.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use firebrick_datasets::DatasetError;
use firebrick_datasets::graph::planetoid::{self, Planetoid};

/// The folder with `pubmed`: `$FIREBRICK_DATA/planetoid`, or `$FIREBRICK_DATA` itself.
fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("FIREBRICK_DATA").filter(|v| !v.is_empty())?);
    let inner = folder.join("planetoid");
    let folder = if inner.is_dir() { inner } else { folder };
    folder.join("pubmed").join("features_partial.txt.gz").is_file().then_some(folder)
}

/// Needs the data set itself, which is not in the repository.
#[test]
fn pubmed_without_most_features_says_which_nodes_have_none() {
    let Some(folder) = folder() else {
        println!("skipped: FIREBRICK_DATA names no folder with an incomplete pubmed");
        return;
    };
    let loaded = planetoid::load(&folder, "pubmed").unwrap();
    let Planetoid::MissingFeatures { graph, missing } = &loaded else {
        panic!("the file of features is partial, found a complete data set");
    };
    assert_eq!((graph.num_nodes(), graph.num_entries()), (19_717, 2 * 44_324));
    assert_eq!((graph.features().width(), graph.num_classes()), (500, 3));
    let split = graph.split();
    let sizes = (split.train.len(), split.validation.len(), split.test.len());
    assert_eq!(sizes, (60, 500, 1000));
    let runs: Vec<(usize, usize)> = missing.iter().map(|run| (run.start, run.end)).collect();
    assert_eq!(runs, [(60, 18_717)]);
    let stored = graph.features().nonzeros();
    assert!(split.train.iter().chain(&split.test).all(|&node| stored[node] > 0));
    assert!(split.validation.iter().all(|&node| stored[node] == 0));
    assert!((0..graph.num_nodes()).all(|node| graph.label(node).is_some()));
    let error = loaded.complete().unwrap_err();
    assert!(matches!(&error, DatasetError::MissingFeatures { nodes: 19_717, .. }));
    let message = error.to_string();
    assert!(message.contains("pubmed") && message.contains("60..18717"), "{message}");
}
