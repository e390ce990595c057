//! Damaged IDX files: never a panic, never more memory than the data that is really there.
//!
//! The counters of the allocator are global, so that all measurements stand in one test.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use firebrick_datasets::idx::{self, IdxOptions, Part};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{Damage, damages, measure};

mod support;

/// When a file is damaged, before or after compression.
#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    CompressedThenDamaged,
    DamagedThenCompressed,
}

fn image_file(count: u32, pixel: impl Fn(u32) -> u8) -> Vec<u8> {
    let sizes = [count, 5, 4].into_iter().flat_map(u32::to_be_bytes);
    [0, 0, 8, 3].into_iter().chain(sizes).chain((0..count * 20).map(pixel)).collect()
}

fn label_file(count: u32) -> Vec<u8> {
    let labels = (0..count).map(|index| (index % 10) as u8);
    [0, 0, 8, 1].into_iter().chain(count.to_be_bytes()).chain(labels).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn damaged(valid: &[u8], form: Form, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = match form {
        Form::CompressedThenDamaged => gzip(valid),
        Form::Plain | Form::DamagedThenCompressed => valid.to_vec(),
    };
    damages.iter().for_each(|damage| damage.apply(&mut bytes));
    match form {
        Form::DamagedThenCompressed => gzip(&bytes),
        Form::Plain | Form::CompressedThenDamaged => bytes,
    }
}

/// The most bytes that reading may have in use at a time.
fn allowance(bytes: &[u8]) -> usize {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return 2 * bytes.len() + 128 * 1024;
    }
    // As much as comes out before the first fault.
    let mut unpacked = 0;
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = decoder.read(&mut piece) {
        unpacked += count;
    }
    assert!(unpacked <= 1032 * bytes.len());
    2 * unpacked + 192 * 1024
}

fn check(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let file = folder.join(name);
    fs::write(&file, bytes).unwrap();
    let allowed = allowance(bytes);
    let (images, peak) = measure(|| idx::read_images(&file).map(drop));
    prop_assert!(peak <= allowed, "images {images:?}: {peak} bytes, allowed {allowed}");
    let (labels, peak) = measure(|| idx::read_labels(&file).map(drop));
    prop_assert!(peak <= allowed, "labels {labels:?}: {peak} bytes, allowed {allowed}");
    prop_assert!(images.is_err() || labels.is_err());
    Ok(())
}

fn hostile_headers_take_no_memory(folder: &Path) {
    for sizes in [[u32::MAX; 3], [60_000, 28, 28], [u32::MAX, 1, 1], [1, 65_536, 65_535]] {
        let mut bytes = image_file(1, |_| 7);
        let sizes = sizes.into_iter().flat_map(u32::to_be_bytes).collect::<Vec<u8>>();
        bytes[4..16].copy_from_slice(&sizes);
        for bytes in [bytes.clone(), gzip(&bytes)] {
            check(folder, "train-images-idx3-ubyte", &bytes).unwrap();
            assert!(idx::load(folder, Part::Train, &IdxOptions::default()).is_err());
        }
    }
}

fn large_files_stay_within_the_allowance(folder: &Path) {
    for pixel in [|_| 0, |index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8] {
        let plain = image_file(100_003, pixel);
        for bytes in [gzip(&plain), plain] {
            check(folder, "train-images-idx3-ubyte", &bytes).unwrap();
            fs::write(folder.join("train-labels-idx1-ubyte"), label_file(100_003)).unwrap();
            idx::load(folder, Part::Train, &IdxOptions::default()).unwrap();
        }
    }
}

#[test]
fn damaged_files_cause_neither_panics_nor_large_allocations() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    hostile_headers_take_no_memory(folder);
    large_files_stay_within_the_allowance(folder);

    let form = prop_oneof![
        Just(Form::Plain),
        Just(Form::CompressedThenDamaged),
        Just(Form::DamagedThenCompressed),
    ];
    let cases = (form, 0..60_u32, damages(), damages());
    let config = Config { cases: 1500, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&cases, |(form, count, image_damages, label_damages)| {
            let images = damaged(&image_file(count, |index| index as u8), form, &image_damages);
            let labels = damaged(&label_file(count), form, &label_damages);
            check(folder, "train-images-idx3-ubyte", &images)?;
            check(folder, "train-labels-idx1-ubyte", &labels)?;
            let loaded = idx::load(folder, Part::Train, &IdxOptions::default());
            if image_damages.is_empty() && label_damages.is_empty() {
                prop_assert!(loaded.is_ok(), "{:?}", loaded);
            }
            Ok(())
        })
        .unwrap();
}
