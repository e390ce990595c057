//! Road sensors of California's Performance Measurement System: PeMS04, PeMS08 and others in their
//! form.
//!
//! | file | content |
//! |---|---|
//! | `NAME.npz` | array `data`, `[steps, sensors, 3]`: flow, occupancy and speed every 5 minutes |
//! | `NAME.csv` or `distance.csv` | header `from,to,cost`, then a pair of sensors and their distance by road a line |
//!
//! Nodes are sensors. Their five features are flow, occupancy and speed, the minute of the day and the
//! day of the week (0: Monday). The entries are the same at all steps: every pair in both directions,
//! with the distance as weight.
//!
//! # References
//! S. Guo et al., *Attention Based Spatial-Temporal Graph Convolutional Networks for Traffic Flow
//! Forecasting*, AAAI 2019 (files); J. Gao, B. Ribeiro, ICML 2022 (the task: 12 steps to the next).

mod npz;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::files::{line_error, quote, read, read_text};
use crate::graph::GraphData;
use crate::temporal::TemporalGraphData;

/// Number of measurements of a sensor.
pub const NUM_MEASUREMENTS: usize = 3;
/// Number of features: measurements, minute of the day, day of the week.
pub const NUM_FEATURES: usize = 5;
/// Minutes from one step to the next.
pub const STEP_MINUTES: usize = 5;

/// Loads the data set `name` ("PEMS04", "PEMS08" or another one; upper and lower case alike) from the
/// folder `dir` or the folder of that name in it.
///
/// The first step is midnight of the data set's first day: Monday, 1 January 2018, of PeMS04, Friday,
/// 1 July 2016, of PeMS08, and a Monday of others.
///
/// # Errors
/// If a file is missing, damaged, too large or of another form, a value is not finite, or a line of
/// the distances names a sensor that does not exist, a distance that is not positive, or a pair of
/// sensors with two different distances.
pub fn load(dir: impl AsRef<Path>, name: &str) -> Result<TemporalGraphData, DatasetError> {
    let dir = dir.as_ref();
    let mut folders = vec![dir.to_path_buf()];
    folders.extend(named(dir, name)?.into_iter().filter(|path| path.is_dir()));
    let find = |wanted: &[String]| -> Result<Option<PathBuf>, DatasetError> {
        for folder in &folders {
            for file in wanted {
                if let Some(path) = named(folder, file)?.into_iter().find(|path| path.is_file()) {
                    return Ok(Some(path));
                }
            }
        }
        Ok(None)
    };
    let missing = |wanted: &str, accepted: &[String]| DatasetError::MissingFile {
        folder: dir.to_path_buf(),
        wanted: format!("{wanted} of {name}"),
        accepted: accepted.join(" or "),
        found: names(folders.last().map_or(dir, PathBuf::as_path)).unwrap_or_default(),
    };
    let arrays = [format!("{name}.npz")];
    let array = find(&arrays)?.ok_or_else(|| missing("measurements", &arrays))?;
    let tables = [format!("{name}.csv"), "distance.csv".to_string()];
    let table = find(&tables)?.ok_or_else(|| missing("distances", &tables))?;
    let weekday = if name.eq_ignore_ascii_case("pems08") { 4 } else { 0 };
    read_files(name, &array, &table, weekday)
}

/// Reads the two files of a data set whose first step is midnight of the given day of the week (0:
/// Monday).
///
/// # Errors
/// As [`load`].
pub fn read_files(
    name: &str,
    array: impl AsRef<Path>,
    distances: impl AsRef<Path>,
    first_weekday: usize,
) -> Result<TemporalGraphData, DatasetError> {
    let (file, table) = (array.as_ref(), distances.as_ref());
    let data = npz::array(file, &read(file)?, "data")?;
    let [steps, sensors, NUM_MEASUREMENTS] = data.shape[..] else {
        let expected = format!("a shape [steps, sensors, {NUM_MEASUREMENTS}]");
        return Err(npz::error(file, "array data", expected, format!("{:?}", data.shape)));
    };
    if steps == 0 || sensors == 0 {
        let expected = "at least one step and one sensor";
        return Err(npz::error(file, "array data", expected, format!("{:?}", data.shape)));
    }
    if let Some(index) = data.values.iter().position(|value| !value.is_finite()) {
        let row = index / NUM_MEASUREMENTS;
        let (step, sensor) = (row / sensors, row % sensors);
        let part = format!("array data: step {step}, sensor {sensor}");
        return Err(npz::error(file, part, "a finite number", data.values[index].to_string()));
    }
    let roads = roads(table, sensors)?;
    let (edges, weights): (Vec<_>, Vec<f32>) =
        roads.iter().flat_map(|(&(a, b), &d)| [((a, b), d), ((b, a), d)]).unzip();
    let (sources, targets) = edges.into_iter().unzip();
    let graph = GraphData::new(name, sensors, sources, targets)?.with_weights(weights)?;
    TemporalGraphData::unchanging(&graph, steps)?
        .with_features(NUM_FEATURES, with_time(&data.values, sensors, first_weekday))
}

/// Appends the time to the measurements `[steps, sensors, 3]`.
pub(super) fn with_time(measurements: &[f32], sensors: usize, first_weekday: usize) -> Vec<f32> {
    let mut features = Vec::with_capacity(measurements.len() / NUM_MEASUREMENTS * NUM_FEATURES);
    for (row, values) in measurements.chunks_exact(NUM_MEASUREMENTS).enumerate() {
        let minute = row / sensors * STEP_MINUTES;
        features.extend_from_slice(values);
        features.push((minute % (24 * 60)) as f32);
        features.push(((first_weekday + minute / (24 * 60)) % 7) as f32);
    }
    features
}

/// The distance of each pair of sensors, the smaller one first.
fn roads(file: &Path, sensors: usize) -> Result<BTreeMap<(usize, usize), f32>, DatasetError> {
    let text = read_text(file)?;
    let mut lines = text.lines().enumerate();
    let header = lines.next().map_or("", |(_, line)| line.trim_start_matches('\u{feff}'));
    if !header.to_ascii_lowercase().starts_with("from,to,") {
        return Err(line_error(file, 1, "the header from,to,cost", quote(header)));
    }
    let mut roads: BTreeMap<(usize, usize), f32> = BTreeMap::new();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let Some((a, b, distance)) = road(line, sensors) else {
            let expected = format!("two different sensors below {sensors} and a positive distance");
            return Err(line_error(file, index + 1, expected, quote(line)));
        };
        let known = *roads.entry((a.min(b), a.max(b))).or_insert(distance);
        if known != distance {
            let expected = format!("the distance {known} of this pair in a line before");
            return Err(line_error(file, index + 1, expected, quote(line)));
        }
    }
    Ok(roads)
}

fn road(line: &str, sensors: usize) -> Option<(usize, usize, f32)> {
    let mut fields = line.trim().split(',');
    let mut sensor =
        || fields.next()?.trim().parse().ok().filter(|&sensor: &usize| sensor < sensors);
    let (a, b) = (sensor()?, sensor()?);
    let distance = fields.next()?.trim().parse::<f32>().ok()?;
    let fits = a != b && distance.is_finite() && distance > 0.0 && fields.next().is_none();
    fits.then_some((a, b, distance))
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>, DatasetError> {
    let io = |source| DatasetError::Io { file: folder.to_path_buf(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        names.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    names.truncate(1000);
    Ok(names)
}

/// What stands in a folder under a name, in any case.
fn named(folder: &Path, name: &str) -> Result<Vec<PathBuf>, DatasetError> {
    let alike = |found: &String| found.eq_ignore_ascii_case(name);
    Ok(names(folder)?.iter().filter(|found| alike(found)).map(|found| folder.join(found)).collect())
}
