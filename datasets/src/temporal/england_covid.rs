//! Mobility and cases of England's regions in the spring of 2020, from plain text files.
//!
//! | file | a line |
//! |---|---|
//! | `cases.csv` or `cases.csv.gz` | a day: the new cases of each region |
//! | `edges.csv` or `edges.csv.gz` | `day,source,target,weight`: people who went from region to region |
//!
//! Days, regions and their numbers come from the files: 61 days, 129 regions and 82,529 entries in the
//! published ones, 129 of the 2,347 different pairs self loops.
//!
//! # Notes
//! Sources disagree on whether the first day is 3 or 13 March 2020.
//!
//! # References
//! G. Panagopoulos, G. Nikolentzos, M. Vazirgiannis, *Transfer Graph Neural Networks for Pandemic
//! Forecasting*, AAAI 2021 (data); J. Gao, B. Ribeiro, ICML 2022 (the task: 7 days to the next).

use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::files::{line_error, quote, read_text};
use crate::temporal::{Duplicates, Entry, TemporalGraphData};

/// Loads the data from `dir`, or from `dir/england_covid`. The one feature of a region is its number
/// of new cases, the weight of an entry the number of people.
///
/// # Errors
/// If a file is missing or damaged, a line is not what it should be, or an entry comes twice on a day.
///
/// # Example
/// ```
/// use firebrick_datasets::temporal::england_covid;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("cases.csv"), "4,0\n2,1\n")?;
/// std::fs::write(folder.path().join("edges.csv"), "0,0,0,120\n0,0,1,12\n1,1,0,7\n")?;
/// let data = england_covid::load(folder.path())?;
/// assert_eq!((data.num_steps(), data.num_nodes()), (2, 2));
/// assert_eq!((data.features_of(1), data.range(0)), (&[2.0, 1.0][..], 0..2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(dir: impl AsRef<Path>) -> Result<TemporalGraphData, DatasetError> {
    let dir = dir.as_ref();
    let folder = match dir.join("england_covid") {
        inner if inner.is_dir() => inner,
        _ => dir.to_path_buf(),
    };
    let (cases, days, regions) = cases(&find(&folder, "cases")?)?;
    let (entries, weights) = edges(&find(&folder, "edges")?, days, regions)?;
    let weights = Some((1, weights));
    let (name, refuse) = ("england_covid", Duplicates::Refuse);
    TemporalGraphData::from_entries(name, regions, days, &entries, weights, refuse)?
        .with_features(1, cases)
}

/// The file with or without compression.
fn find(folder: &Path, name: &str) -> Result<PathBuf, DatasetError> {
    let names = [format!("{name}.csv.gz"), format!("{name}.csv")];
    let paths = names.each_ref().map(|name| folder.join(name));
    paths.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .map(|list| list.flatten().map(|e| e.file_name().to_string_lossy().into()).collect())
            .unwrap_or_default();
        found.sort();
        found.truncate(20);
        let (folder, accepted) = (folder.to_path_buf(), names.join(" or "));
        DatasetError::MissingFile { folder, wanted: format!("file of {name}"), accepted, found }
    })
}

/// The cases, row by row, with the numbers of days and regions.
fn cases(file: &Path) -> Result<(Vec<f32>, usize, usize), DatasetError> {
    let text = read_text(file)?;
    let (mut cases, mut days, mut regions) = (Vec::new(), 0, 0);
    for (index, line) in text.lines().enumerate() {
        let start = cases.len();
        for field in line.split(',') {
            let Some(number) = number(field) else {
                let expected = "numbers of cases, none negative";
                return Err(line_error(file, index + 1, expected, quote(field)));
            };
            cases.push(number);
        }
        let found = cases.len() - start;
        if index == 0 {
            regions = found;
        } else if found != regions {
            let expected = format!("{regions} numbers, as in line 1");
            return Err(line_error(file, index + 1, expected, found.to_string()));
        }
        days += 1;
    }
    if days == 0 {
        return Err(line_error(file, 1, "the cases of a day", "the end of the file"));
    }
    Ok((cases, days, regions))
}

/// The entries and their weights.
fn edges(file: &Path, days: usize, regions: usize) -> Result<(Vec<Entry>, Vec<f32>), DatasetError> {
    let text = read_text(file)?;
    let (mut entries, mut weights) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let Some((entry, weight)) = edge(line, days, regions) else {
            let expected = format!(
                "a day below {days}, two regions below {regions} and a weight that is not negative"
            );
            return Err(line_error(file, index + 1, expected, quote(line)));
        };
        entries.push(entry);
        weights.push(weight);
    }
    Ok((entries, weights))
}

/// `day,source,target,weight`.
fn edge(line: &str, days: usize, regions: usize) -> Option<(Entry, f32)> {
    let mut fields = line.split(',');
    let mut below = |end: usize| {
        let number = fields.next()?.trim().parse::<usize>().ok()?;
        (number < end).then_some(number)
    };
    let (step, source, target) = (below(days)?, below(regions)?, below(regions)?);
    let weight = number(fields.next()?)?;
    fields.next().is_none().then_some((Entry { step, source, target }, weight))
}

/// A finite number that is not negative.
fn number(field: &str) -> Option<f32> {
    field.trim().parse::<f32>().ok().filter(|number| number.is_finite() && *number >= 0.0)
}
