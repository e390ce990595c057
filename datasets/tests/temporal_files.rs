//! Files of temporal graphs: written here, read back, refused where they are wrong, damaged.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::Path;

use firebrick_datasets::DatasetError;
use firebrick_datasets::temporal::{TemporalGraphData, TrafficConfig, england_covid, pems};
use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{Array2, Array3};
use ndarray_npy::NpzWriter;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{damages, measure};

mod support;

const CASES: &str = "4,0,1\n2,1,0\n";
const EDGES: &str = "0,0,0,120\n0,0,1,12\n1,2,0,7.5\n";
const ROADS: &str = "from,to,cost\n0,1,2.5\n2,1,0.5\n";

fn text<T: std::fmt::Debug>(result: Result<T, DatasetError>) -> String {
    result.unwrap_err().to_string()
}

fn england(cases: &str, edges: &str) -> Result<TemporalGraphData, DatasetError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cases.csv"), cases).unwrap();
    fs::write(folder.path().join("edges.csv"), edges).unwrap();
    england_covid::load(folder.path())
}

/// Measurements of the given shape: 0, 1, 2, ...
fn counting(shape: [usize; 3]) -> Array3<f64> {
    let count = shape.iter().product::<usize>();
    Array3::from_shape_vec(shape, (0..count).map(|value| value as f64).collect()).unwrap()
}

fn npz(path: &Path, compressed: bool, data: &Array3<f64>) {
    let file = fs::File::create(path).unwrap();
    let mut writer =
        if compressed { NpzWriter::new_compressed(file) } else { NpzWriter::new(file) };
    writer.add_array("other", &Array2::<f32>::zeros((2, 2))).unwrap();
    writer.add_array("data", data).unwrap();
    writer.finish().unwrap();
}

/// A folder with a data set named PEMS08.
fn road_folder(data: &Array3<f64>, roads: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    npz(&folder.path().join("pems08.npz"), true, data);
    fs::write(folder.path().join("PEMS08.csv"), roads).unwrap();
    folder
}

fn england_is_read_with_and_without_compression() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("england_covid");
    fs::create_dir(&inner).unwrap();
    for (name, content) in [("cases", CASES), ("edges", EDGES)] {
        let file = fs::File::create(inner.join(format!("{name}.csv.gz"))).unwrap();
        let mut encoder = GzEncoder::new(file, Compression::default());
        encoder.write_all(content.as_bytes()).unwrap();
        encoder.finish().unwrap();
    }
    let data = england_covid::load(folder.path()).unwrap();
    assert_eq!(data, england(CASES, EDGES).unwrap());
    assert_eq!((data.num_steps(), data.num_nodes(), data.num_features()), (2, 3, 1));
    assert_eq!(data.features(), [4.0, 0.0, 1.0, 2.0, 1.0, 0.0]);
    assert_eq!(data.entries(1).collect::<Vec<_>>(), [(2, 0)]);
    assert_eq!(data.weights().unwrap(), [120.0, 12.0, 7.5]);
}

fn england_names_file_line_expected_and_found() {
    for (cases, edges, expected) in [
        ("", EDGES, "cases.csv: line 1: expected the cases of a day"),
        ("4,0,1\n2,1\n", EDGES, "cases.csv: line 2: expected 3 numbers, as in line 1, found 2"),
        (
            "4,x,1\n",
            EDGES,
            "cases.csv: line 1: expected numbers of cases, none negative, found \"x\"",
        ),
        ("4,-1,1\n", EDGES, "found \"-1\""),
        ("4,NaN,1\n", EDGES, "found \"NaN\""),
        ("4,0,1\n\n2,1,0\n", EDGES, "cases.csv: line 2"),
        (CASES, "0,0,0,1\n2,0,0,1\n", "edges.csv: line 2: expected a day below 2"),
        (CASES, "0,0,3,1\n", "two regions below 3"),
        (CASES, "0,0,1,-1\n", "a weight that is not negative, found \"0,0,1,-1\""),
        (CASES, "0,0,1\n", "edges.csv: line 1"),
        (CASES, "0,0,1,1,1\n", "edges.csv: line 1"),
        (CASES, "0,0,1,1\n0,0,1,1\n", "snapshot 0: expected every entry once, found 0 -> 1 twice"),
    ] {
        let message = text(england(cases, edges));
        assert!(message.contains(expected), "{message}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cases.csv"), CASES).unwrap();
    let message = text(england_covid::load(folder.path()));
    assert!(message.contains("edges.csv.gz or edges.csv, found \"cases.csv\""), "{message}");
}

fn traffic_survives_the_files() {
    let synthetic = TrafficConfig::new(7, 1).generate(3).unwrap();
    let measured: Vec<f64> = synthetic
        .features()
        .chunks(pems::NUM_FEATURES)
        .flat_map(|row| row[..pems::NUM_MEASUREMENTS].iter().map(|&value| f64::from(value)))
        .collect();
    let data = Array3::from_shape_vec((288, 7, 3), measured).unwrap();
    let mut roads = "from,to,cost\n".to_string();
    let weights = synthetic.weights().unwrap();
    for (index, (source, target)) in synthetic.entries(0).enumerate() {
        if source < target {
            roads += &format!("{source},{target},{}\n", weights[index]);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for compressed in [false, true] {
        let (array, table) = (folder.path().join("x.npz"), folder.path().join("distance.csv"));
        npz(&array, compressed, &data);
        fs::write(&table, &roads).unwrap();
        let read = pems::load(folder.path(), "X").unwrap();
        assert_eq!(read, pems::read_files("X", &array, &table, 0).unwrap());
        assert_eq!(read.features(), synthetic.features());
        assert_eq!((read.sources(), read.targets()), (synthetic.sources(), synthetic.targets()));
        assert_eq!(read.weights(), synthetic.weights());
    }
}

fn pems_adds_the_time_and_both_directions() {
    let folder = road_folder(&counting([289, 3, 3]), ROADS);
    let data = pems::load(folder.path(), "pems08").unwrap();
    assert!(data.is_unchanging());
    assert_eq!(data.entries(9).collect::<Vec<_>>(), [(0, 1), (1, 0), (1, 2), (2, 1)]);
    assert_eq!(data.weights().unwrap(), [2.5, 2.5, 0.5, 0.5]);
    assert_eq!(data.features_of(1)[..6], [9.0, 10.0, 11.0, 5.0, 4.0, 12.0]);
    // A Friday, then a Saturday.
    assert_eq!(data.features_of(288)[3..5], [0.0, 5.0]);
}

fn pems_names_file_place_expected_and_found() {
    let with = |data: &Array3<f64>, roads: &str| {
        text(pems::load(road_folder(data, roads).path(), "pems08"))
    };
    let good = counting([4, 3, 3]);
    for (roads, expected) in [
        ("0,1,2\n", "PEMS08.csv: line 1: expected the header from,to,cost"),
        ("from,to,cost\n0,3,1\n", "line 2: expected two different sensors below 3"),
        ("from,to,cost\n0,0,1\n", "line 2"),
        ("from,to,cost\n0,1,0\n", "a positive distance"),
        ("from,to,cost\n0,1,inf\n", "line 2"),
        ("from,to,cost\n0,1\n", "line 2"),
        ("from,to,cost\n0,1,2\n1,0,3\n", "line 3: expected the distance 2 of this pair"),
    ] {
        let message = with(&good, roads);
        assert!(message.contains(expected), "{message}");
    }
    for shape in [[4, 3, 2], [0, 3, 3], [4, 0, 3]] {
        let message = with(&counting(shape), ROADS);
        assert!(message.contains("pems08.npz: array data: expected"), "{message}");
    }
    let mut bad = good.clone();
    bad[[2, 1, 0]] = f64::NAN;
    let message = with(&bad, ROADS);
    assert!(message.contains("step 2, sensor 1: expected a finite number, found NaN"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    assert!(text(pems::load(folder.path(), "PEMS04")).contains("PEMS04.npz, found nothing"));
    npz(&folder.path().join("PEMS04.npz"), true, &good);
    assert!(text(pems::load(folder.path(), "PEMS04")).contains("PEMS04.csv or distance.csv"));
    let array = folder.path().join("b.npz");
    let mut writer = NpzWriter::new(fs::File::create(&array).unwrap());
    writer.add_array("flow", &good).unwrap();
    writer.finish().unwrap();
    let table = folder.path().join("b.csv");
    fs::write(&table, ROADS).unwrap();
    let message = text(pems::read_files("b", &array, &table, 0));
    assert!(message.contains("archive: expected data.npy, found [\"flow.npy\"]"), "{message}");
    fs::write(&array, "no archive").unwrap();
    assert!(text(pems::read_files("b", &array, &table, 0)).contains("end record of a ZIP archive"));
}

/// A header that claims far more than there is, in an archive that is right otherwise.
fn huge_claims_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (array, table) = (folder.path().join("h.npz"), folder.path().join("h.csv"));
    npz(&array, false, &counting([4, 3, 3]));
    fs::write(&table, ROADS).unwrap();
    let original = fs::read(&array).unwrap();
    let at = original.windows(9).position(|bytes| bytes == b"(4, 3, 3)").unwrap();
    for claim in [b"(9999999,", b"(4, 0, 3)", b"(-4, 3, )"] {
        let mut bytes = original.clone();
        bytes[at..at + 9].copy_from_slice(claim);
        fs::write(&array, &bytes).unwrap();
        let (read, peak) = measure(|| pems::read_files("h", &array, &table, 0));
        assert!(text(read).contains("expected"));
        assert!(peak < 1 << 20, "{peak} bytes");
    }
}

fn damaged_files_are_errors_or_data() {
    let folder = road_folder(&counting([5, 3, 3]), ROADS);
    for (name, content) in [("cases.csv", CASES), ("edges.csv", EDGES)] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    npz(&folder.path().join("plain.npz"), false, &counting([5, 3, 3]));
    fs::write(folder.path().join("plain.csv"), ROADS).unwrap();
    let files = ["pems08.npz", "PEMS08.csv", "plain.npz", "plain.csv", "cases.csv", "edges.csv"];
    let config = Config { cases: 1200, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(0..files.len(), damages()), |(file, damages)| {
            let path = folder.path().join(files[file]);
            let original = fs::read(&path).unwrap();
            let mut bytes = original.clone();
            damages.iter().for_each(|damage| damage.apply(&mut bytes));
            fs::write(&path, &bytes).unwrap();
            let (loaded, peak) = measure(|| match file {
                0 | 1 => pems::load(folder.path(), "pems08"),
                2 | 3 => pems::load(folder.path(), "plain"),
                _ => england_covid::load(folder.path()),
            });
            fs::write(&path, &original).unwrap();
            prop_assert!(peak < 1 << 20, "{} bytes", peak);
            match loaded {
                Ok(data) => prop_assert!(data.num_steps() >= 1),
                Err(error) => prop_assert!(error.to_string().contains("expected"), "{}", error),
            }
            Ok(())
        })
        .unwrap();
}

/// The counters of the allocator are global, so that everything stands in one test.
#[test]
fn files_are_data_or_errors_that_name_the_place_without_large_allocations() {
    england_is_read_with_and_without_compression();
    england_names_file_line_expected_and_found();
    traffic_survives_the_files();
    pems_adds_the_time_and_both_directions();
    pems_names_file_place_expected_and_found();
    huge_claims_take_no_memory();
    damaged_files_are_errors_or_data();
}
