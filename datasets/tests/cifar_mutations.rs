//! Damaged CIFAR files: never a panic, never more memory than the data that is really there.
//!
//! The counters of the allocator are global, so that all measurements stand in one test.

#![allow(clippy::unwrap_used)]

use std::fs;

use firebrick_datasets::cifar::{self, Cifar100Labels, CifarKind};
use firebrick_datasets::idx::Part;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{damages, measure};

mod support;

const RECORD: usize = 3074;

fn file(records: usize) -> Vec<u8> {
    let record = |number: usize| {
        let labels = [(number % 20) as u8, (number % 100) as u8];
        labels.into_iter().chain((2..RECORD).map(move |index| (index * number) as u8))
    };
    (0..records).flat_map(record).collect()
}

#[test]
fn damaged_files_cause_neither_panics_nor_large_allocations() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.bin");
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(0..40_usize, damages()), |(records, damages)| {
            let mut bytes = file(records);
            damages.iter().for_each(|damage| damage.apply(&mut bytes));
            fs::write(&path, &bytes).unwrap();
            let allowed = 2 * bytes.len() + 64 * 1024;
            for kind in [CifarKind::Cifar10, CifarKind::Cifar100] {
                let (result, peak) = measure(|| cifar::read_records(&path, kind).map(drop));
                prop_assert!(peak <= allowed, "{result:?}: {peak} bytes, allowed {allowed}");
            }
            let loaded = cifar::load_cifar100(&folder, Part::Test, Cifar100Labels::Fine);
            prop_assert_eq!(loaded.is_err() && damages.is_empty(), false);
            prop_assert!(bytes.len().is_multiple_of(RECORD) || loaded.is_err());
            Ok(())
        })
        .unwrap();
    // A file in which only the length is real.
    let sparse = fs::File::create(&path).unwrap();
    sparse.set_len(RECORD as u64 * 100_000 + 1).unwrap();
    let (result, peak) = measure(|| cifar::read_records(&path, CifarKind::Cifar100).map(drop));
    assert!(result.is_err() && peak < 64 * 1024, "{result:?}: {peak} bytes");
}
