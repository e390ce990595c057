//! Hostile and damaged citation networks: never a panic, never more memory than the files justify.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use firebrick_datasets::DatasetError;
use firebrick_datasets::graph::planetoid::{self, Planetoid};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{damages, measure};

mod support;

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

fn damaged_files_are_errors_or_data() {
    let config = Config { cases: 600, failure_persistence: None, ..Config::default() };
    let folder = toy();
    let cases = (0..ENDINGS.len(), damages());
    TestRunner::new(config)
        .run(&cases, |(file, damages)| {
            let original = fs::read(toy_file(ENDINGS[file])).unwrap();
            let mut bytes = original.clone();
            damages.iter().for_each(|damage| damage.apply(&mut bytes));
            let path = folder.path().join(format!("ind.toy.{}", ENDINGS[file]));
            fs::write(&path, &bytes).unwrap();
            let (loaded, peak) = measure(|| planetoid::load(folder.path(), "toy"));
            fs::write(&path, &original).unwrap();
            prop_assert!(peak < 8 << 20, "{peak} bytes");
            match loaded {
                Ok(loaded) => prop_assert!(loaded.graph().num_nodes() >= 520),
                Err(error) => prop_assert!(error.to_string().contains("expected"), "{error}"),
            }
            Ok(())
        })
        .unwrap();
}

fn hostile_pickles_take_no_memory() {
    // A string, an array and a matrix that claim far more than there is.
    let string = b"\x80\x02T\xff\xff\xff\x7fabc.".to_vec();
    let nested = [b"\x80\x02".to_vec(), b"]".repeat(200_000), b".".to_vec()].concat();
    let marks = [b"\x80\x02".to_vec(), b"(".repeat(200_000), b".".to_vec()].concat();
    let tuples = [b"\x80\x02)".to_vec(), b"\x85".repeat(200_000), b".".to_vec()].concat();
    for bytes in [string, nested, marks, tuples] {
        let (loaded, peak) = measure(|| toy_with("graph", &bytes));
        assert!(matches!(loaded, Err(DatasetError::Pickle { .. })), "{loaded:?}");
        assert!(peak < 64 << 20, "{peak} bytes");
    }
}

/// The counters of the allocator are global, so that all measurements stand in one test.
#[test]
fn hostile_and_damaged_files_cause_neither_panics_nor_large_allocations() {
    hostile_pickles_take_no_memory();
    damaged_files_are_errors_or_data();
}
