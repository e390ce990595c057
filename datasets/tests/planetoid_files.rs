//! Citation networks from files: the toy data set of `planetoid/make_toy.py`, and hostile pickles.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use firebrick_datasets::DatasetError;
use firebrick_datasets::graph::planetoid::{self, Planetoid};
use firebrick_datasets::graph::{GraphData, NodeFeatures, UNLABELED};

const ENDINGS: [&str; 8] = ["x", "tx", "allx", "y", "ty", "ally", "graph", "test.index"];

fn toy_file(ending: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planetoid").join(format!("ind.toy.{ending}"))
}

fn toy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for ending in ENDINGS {
        fs::copy(toy_file(ending), folder.path().join(format!("ind.toy.{ending}"))).unwrap();
    }
    folder
}

/// The toy with one file replaced.
fn toy_with(ending: &str, bytes: &[u8]) -> Result<Planetoid, DatasetError> {
    let folder = toy();
    fs::write(folder.path().join(format!("ind.toy.{ending}")), bytes).unwrap();
    planetoid::load(folder.path(), "toy")
}

fn message(ending: &str, bytes: &[u8]) -> String {
    toy_with(ending, bytes).unwrap_err().to_string()
}

fn row(graph: &GraphData, node: usize) -> Vec<usize> {
    let NodeFeatures::Sparse(rows) = graph.features() else { panic!("words are sparse") };
    rows.row(node).0.to_vec()
}

#[test]
fn the_toy_data_set_is_read_as_it_was_written() {
    let graph = planetoid::load(toy().path(), "Toy").unwrap().complete().unwrap();
    assert_eq!((graph.num_nodes(), graph.num_classes(), graph.name()), (522, 3, "toy"));
    // A path of 521 nodes; the self loop and the repeated edge are gone.
    assert_eq!(graph.num_entries(), 2 * 520);
    assert!(graph.entries().all(|(a, b)| a.abs_diff(b) == 1 && a.max(b) < 521));
    for node in 0..522 {
        let missing = [515, 518].contains(&node);
        let mut words = if missing || node == 7 {
            vec![]
        } else {
            vec![(3 * node + 1) % 5, (3 * node + 3) % 5]
        };
        words.sort_unstable();
        assert_eq!(row(&graph, node), words, "node {node}");
        let label = if missing { UNLABELED } else { (node % 3) as i64 };
        assert_eq!(graph.labels()[node], label, "node {node}");
    }
    let split = graph.split();
    assert_eq!((split.train.clone(), split.validation.len()), ((0..6).collect(), 500));
    assert_eq!(split.test, [520, 512, 521, 514, 513, 519, 517, 516]);
}

#[test]
fn files_are_found_in_folders_of_their_name_and_missing_ones_are_named() {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("Toy").join("raw");
    fs::create_dir_all(&inner).unwrap();
    for ending in ENDINGS {
        fs::copy(toy_file(ending), inner.join(format!("ind.toy.{ending}"))).unwrap();
    }
    assert!(planetoid::load(outer.path(), "toy").is_ok());
    let error = planetoid::load(outer.path(), "cora").unwrap_err().to_string();
    assert!(error.contains("no data set cora: expected a file named ind.cora.graph"), "{error}");
    fs::remove_file(inner.join("ind.toy.ty")).unwrap();
    let error = planetoid::load(outer.path(), "toy").unwrap_err();
    assert!(matches!(&error, DatasetError::Io { file, .. } if file.ends_with("ind.toy.ty")));
}

#[test]
fn a_pickle_that_would_run_a_command_is_refused_by_name() {
    let text = message("graph", b"\x80\x02cos\nsystem\nq\x00U\x04trueq\x01\x85q\x02Rq\x03.");
    assert!(text.ends_with(
        "byte 2: expected one of the six names that citation networks use, \
         found the name \"os\" \"system\""
    ));
    for name in ["builtin\neval", "numpy\nload", "collections\nOrderedDict", "scipy.sparse\ncsr"] {
        let bytes = format!("\u{2}c{name}\n.").into_bytes();
        let text = message("y", &[&[0x80][..], &bytes].concat());
        assert!(text.contains("expected one of the six names"), "{text}");
    }
}

#[test]
fn names_are_only_used_as_the_files_use_them() {
    for (program, expected) in [
        // defaultdict(defaultdict), list(), ndarray(), a call of a tuple, csr_matrix of arguments
        (&b"ccollections\ndefaultdict\nccollections\ndefaultdict\n\x85R."[..], "a dictionary of"),
        (b"c__builtin__\nlist\n)R.", "expected a sparse matrix, an array"),
        (b"cnumpy\nndarray\n)\x81.", "expected a sparse matrix, an array"),
        (b"))R.", "expected a name to make an object of, found a tuple"),
        (b"cscipy.sparse.csr\ncsr_matrix\nK\x01\x85\x81.", "found SparseMatrix with 1 arguments"),
        (b"cnumpy\ndtype\nU\x02i4\x85R)b)b.", "expected an object without a state"),
        (b"cnumpy\ndtype\nK\x01R.", "expected a tuple of arguments, found an integer"),
    ] {
        let text = message("graph", &[&b"\x80\x02"[..], program].concat());
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn malformed_programs_name_the_byte() {
    for (program, expected) in [
        (&b""[..], "byte 2: expected 1 bytes at byte 2, found the end of the file after 0"),
        (b"M\x01", "byte 2: expected 2 bytes at byte 3, found the end of the file after 1"),
        (b".", "expected one value at the end and no mark, found 0 values, 0 marks"),
        (b"NN.", "found 2 values, 0 marks"),
        (b"N.N", "expected the end of the file after the last instruction, found 1 bytes more"),
        (b"h\x07.", "expected a value that was remembered, found the key 7"),
        (b"}N(Nu.", "expected a dictionary to add to, found None"),
        (b"}(Nu.", "expected a value for every key, found a key without one"),
        (b"]NNs.", "expected a dictionary to add to"),
        (b"(\x85.", "expected 1 values to work on, found 0"),
        (b"]e.", "expected an open mark, found none"),
        (b"(q\x01.", "expected a value to work on, found none above the last mark"),
        (b"\x80\x02.", "expected protocol 2, once, at the start"),
        (b"\x8a\x09123456789.", "expected an integer of at most 8 bytes, found 9 bytes"),
        (b"i", "expected an instruction that citation networks use, found the byte 0x69"),
        (b"cos", "expected a line with a name, found the end of the file"),
    ] {
        let text = message("graph", &[&b"\x80\x02"[..], program].concat());
        assert!(text.contains(expected), "{program:?}: {text}");
    }
    assert!(message("graph", b"\x80\x03N.").contains("expected protocol 2"));
}

#[test]
fn a_list_that_contains_itself_is_no_list_of_neighbors() {
    let cyclic =
        b"\x80\x02ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R(K\x00]q\x01h\x01au.";
    assert!(message("graph", cyclic).contains("expected a node, an integer, found a list"));
}

#[test]
fn one_list_under_many_keys_is_counted_every_time() {
    // 40,000 neighbors that a thousand keys share.
    let mut bytes =
        b"\x80\x02ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R(K\x00](".to_vec();
    bytes.extend(b"K\x01".repeat(40_000));
    bytes.extend(b"eq\x01");
    bytes.extend(b"K\x02h\x01".repeat(1000));
    bytes.extend(b"u.");
    assert!(message("graph", &bytes).contains("neighbors in all, found more"));
}

#[test]
fn parts_that_do_not_fit_together_are_named() {
    let file = |ending: &str| fs::read(toy_file(ending)).unwrap();
    assert!(message("tx", &file("x")).contains("labels for rows of features: expected 6, found 8"));
    assert!(
        message("ally", &file("graph")).contains("expected an array with a state, found a dic")
    );
    assert!(message("x", &file("y")).contains("expected a sparse matrix with a state"));
    let index = |text: &str| message("test.index", text.as_bytes());
    assert!(index("512\n513\n").contains("test nodes: expected 8, found 2"));
    assert!(index("512\n511\n").contains("line 2: expected a node from 512 to below 1042"));
    assert!(index("512\n512\n").contains("line 2: expected a node that has not come yet"));
    assert!(index("99999999999999999999\n").contains("line 1: expected a node from 512"));
    assert!(index("512 513\n").contains("found \"512 513\""));
}

#[test]
fn plain_files_say_which_line_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let meta = r#"{"name": "tiny", "num_nodes": 3, "num_undirected_edges": 2, "num_features": 4,
        "num_classes": 2, "feature_nnz": 3, "train": 1, "val": 0, "test": 1}"#;
    let good = [
        ("meta.json", meta),
        ("edges.txt", "0 1\n1 2\n"),
        ("nodes.txt", "0 r\n1 e\n-1 -\n"),
        ("features.txt", "0 3\n1:0.5\n\n"),
    ];
    let load = |name: &str, text: &str| {
        for (file, content) in good {
            let content = if file == name { text } else { content };
            fs::write(folder.path().join(file), content).unwrap();
        }
        planetoid::load(folder.path(), "tiny")
    };
    assert!(matches!(load("", ""), Ok(Planetoid::Complete(_))));
    for (name, text, expected) in [
        ("edges.txt", "0 1\n1 3\n", "line 2: expected two different nodes below 3"),
        ("edges.txt", "1 1\n", "line 1: expected two different nodes"),
        ("edges.txt", "1 2\n0 1\n", "line 2: expected an edge that comes after"),
        ("edges.txt", "0 1\n", "undirected edges: expected 2, found 1"),
        ("nodes.txt", "0 r\n1 e\n", "nodes: expected 3, found 2"),
        ("nodes.txt", "0 r\n1 q\n-1 -\n", "line 2: expected one of the splits r, v, e and -"),
        ("nodes.txt", "0 r\n1\n-1 -\n", "line 2: expected a label and a split, found \"1\""),
        ("nodes.txt", "0 r\n1 e\n-1 e\n", "test nodes: expected 1, found 2"),
        ("nodes.txt", "0 r\n2 e\n-1 -\n", "label 1: expected a class below 2"),
        ("features.txt", "0 4\n1:0.5\n\n", "line 1: expected columns below 4 that increase"),
        ("features.txt", "3 0\n1:0.5\n\n", "line 1: expected columns below 4 that increase"),
        ("features.txt", "0 3\n1:nan\n\n", "line 2: expected columns"),
        ("features.txt", "0 3\n1:0.5\n", "lines: expected 3, found 2"),
        ("features.txt", "0\n1:0.5\n\n", "stored features: expected 3, found 2"),
        (
            "meta.json",
            "{\"name\": \"tiny\"",
            "meta.json: line 1: expected the counts of a data set",
        ),
    ] {
        let error = load(name, text).unwrap_err().to_string();
        assert!(error.contains(expected), "{name} {text:?}: {error}");
    }
}

#[test]
fn missing_features_are_a_state_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("edges.txt", "0 1\n");
    write("nodes.txt", "0 r\n1 e\n1 -\n0 -\n");
    write("features_partial.txt", "0\n\n\n1\n");
    write(
        "meta.json",
        r#"{"name": "tiny", "num_nodes": 4, "num_undirected_edges": 1, "num_features": 2,
            "num_classes": 2, "feature_nnz": 2, "train": 1, "val": 0, "test": 1}"#,
    );
    let loaded = planetoid::load(folder.path(), "tiny").unwrap();
    assert!(matches!(loaded.missing(), [run] if *run == (1..3)));
    assert_eq!(loaded.graph().num_entries(), 2);
    assert_eq!(
        loaded.complete().unwrap_err().to_string(),
        "tiny: expected features of all 4 nodes, found none of the nodes 1..3"
    );
}

#[test]
fn known_names_have_known_counts() {
    let folder = toy();
    for ending in ENDINGS {
        let from = folder.path().join(format!("ind.toy.{ending}"));
        fs::rename(from, folder.path().join(format!("ind.cora.{ending}"))).unwrap();
    }
    let error = planetoid::load(folder.path(), "cora").unwrap_err().to_string();
    assert_eq!(error, "cora: nodes: expected 2708, found 522");
}
