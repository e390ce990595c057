//! Labels from a text or CSV file: human labels, noise that depends on the sample, corrections.
//!
//! Two forms are read, and the first line tells which:
//!
//! ```text
//! 3                index,given,suggested
//! 7                0,3,3
//! 0                1,7,1
//! ```
//!
//! On the left one label per line. On the right CSV with a header: the column is chosen by name, and
//! a column `index`, if there is one, says to which sample a line belongs, in any order. The
//! `noise_report.csv` of firebrick's noise report is such a file.
//!
//! # Example
//! ```
//! use firebrick_datasets::label_file::{self, LabelFileOptions};
//!
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("human.csv");
//! std::fs::write(&file, "index,worst\n1,4\n0,2\n")?;
//! let options = LabelFileOptions::new(10).with_column("worst").with_samples(2);
//! assert_eq!(label_file::read(&file, &options)?, [2, 4]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::DatasetError;
use crate::samples::check_labels;

/// How [`read`] reads a file.
#[derive(Clone, Debug)]
pub struct LabelFileOptions {
    /// Number of classes; every label is smaller.
    pub num_classes: usize,
    /// Number of samples, if it is known; another number of labels is an error.
    pub samples: Option<usize>,
    /// Name of the column in a file with a header. `None`: the only one besides `index`.
    pub column: Option<String>,
}

impl LabelFileOptions {
    /// Labels below `num_classes`, of any number of samples, from the only column.
    pub fn new(num_classes: usize) -> Self {
        Self { num_classes, samples: None, column: None }
    }

    /// Sets the number of samples.
    pub fn with_samples(mut self, samples: usize) -> Self {
        self.samples = Some(samples);
        self
    }

    /// Chooses a column by its name.
    pub fn with_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }
}

/// Reads one label per sample.
///
/// # Errors
/// If the file cannot be read, a line is no whole number or has another number of cells, the column
/// is missing or not clear, an index is missing, repeated or out of range, the number of labels is
/// not that of the samples, or a label is not below the number of classes.
pub fn read(
    path: impl AsRef<Path>,
    options: &LabelFileOptions,
) -> Result<Vec<usize>, DatasetError> {
    let path = path.as_ref();
    let file =
        File::open(path).map_err(|source| DatasetError::Io { file: path.to_path_buf(), source })?;
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(file);
    let mut columns = None;
    let mut entries = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(path, error))?;
        let columns = match &columns {
            Some(columns) => columns,
            None => {
                let (header, found) = Columns::of(path, &record, options)?;
                columns = Some(found);
                if header {
                    continue;
                }
                columns.as_ref().expect("was set above")
            }
        };
        entries.push(columns.entry(path, &record)?);
    }
    let labels = place(path, entries)?;
    let found = labels.len();
    if let Some(expected) = options.samples.filter(|&expected| expected != found) {
        let place = path.display().to_string();
        return Err(DatasetError::LabelCount { place, expected, found });
    }
    check_labels(&path.display().to_string(), &labels, options.num_classes)?;
    Ok(labels)
}

/// Where label and index stand in a line.
struct Columns {
    count: usize,
    label: usize,
    index: Option<usize>,
}

/// One line: where it belongs, if it says so, the label, and the number of the line.
struct Entry {
    index: Option<usize>,
    label: usize,
    line: u64,
}

impl Columns {
    /// Reads the first line; the first result says whether it is a header.
    fn of(
        path: &Path,
        first: &StringRecord,
        options: &LabelFileOptions,
    ) -> Result<(bool, Self), DatasetError> {
        if first.len() == 1 && first[0].parse::<usize>().is_ok() && options.column.is_none() {
            return Ok((false, Self { count: 1, label: 0, index: None }));
        }
        let named = |name: &str| first.iter().position(|cell| cell == name);
        let index = named("index");
        let others: Vec<usize> = (0..first.len()).filter(|&column| Some(column) != index).collect();
        let label = match (&options.column, &others[..]) {
            (Some(name), _) => named(name),
            (None, [only]) => Some(*only),
            (None, _) => None,
        };
        let expected = || match &options.column {
            Some(name) => format!("a column \"{name}\""),
            None => "one column besides \"index\", or a choice by name".to_string(),
        };
        let label = label.ok_or_else(|| DatasetError::LabelColumn {
            file: path.to_path_buf(),
            expected: expected(),
            found: first.iter().take(8).map(str::to_string).collect(),
        })?;
        Ok((true, Self { count: first.len(), label, index: index.filter(|&at| at != label) }))
    }

    fn entry(&self, path: &Path, record: &StringRecord) -> Result<Entry, DatasetError> {
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |expected: String, found: String| DatasetError::LabelLine {
            file: path.to_path_buf(),
            line,
            expected,
            found,
        };
        if record.len() != self.count {
            return Err(wrong(format!("{} cell(s)", self.count), record.len().to_string()));
        }
        let number = |column: usize| {
            let cell = &record[column];
            let shown: String = cell.chars().take(40).collect();
            cell.parse().map_err(|_| wrong("a whole number".into(), format!("\"{shown}\"")))
        };
        Ok(Entry { index: self.index.map(number).transpose()?, label: number(self.label)?, line })
    }
}

/// The labels in the order of their samples.
fn place(path: &Path, entries: Vec<Entry>) -> Result<Vec<usize>, DatasetError> {
    let mut labels = vec![None; entries.len()];
    let end = entries.len();
    for (position, Entry { index, label, line }) in entries.into_iter().enumerate() {
        let index = index.unwrap_or(position);
        let wrong = |expected: String| DatasetError::LabelLine {
            file: path.to_path_buf(),
            line,
            expected,
            found: index.to_string(),
        };
        match labels.get_mut(index) {
            None => return Err(wrong(format!("an index below {end}, the number of labels"))),
            Some(Some(_)) => return Err(wrong("an index that no line above has".into())),
            Some(free) => *free = Some(label),
        }
    }
    // As many lines as places, none of them twice: every place is taken.
    Ok(labels.into_iter().flatten().collect())
}

fn unreadable(path: &Path, error: csv::Error) -> DatasetError {
    let (file, line) = (path.to_path_buf(), error.position().map_or(0, csv::Position::line));
    match error.into_kind() {
        csv::ErrorKind::Io(source) => DatasetError::Io { file, source },
        kind => DatasetError::LabelLine {
            file,
            line,
            expected: "text in UTF-8".into(),
            found: format!("{kind:?}"),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_text(text: &[u8], options: &LabelFileOptions) -> Result<Vec<usize>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("labels.txt");
        std::fs::write(&file, text).unwrap();
        let message = |error: DatasetError| {
            error.to_string().replace(&file.display().to_string(), "labels.txt")
        };
        read(&file, options).map_err(message)
    }

    fn ten() -> LabelFileOptions {
        LabelFileOptions::new(10)
    }

    #[test]
    fn reads_a_label_per_line_with_any_line_ends_and_blank_lines() {
        assert_eq!(read_text(b"3\n7\n0", &ten()).unwrap(), [3, 7, 0]);
        assert_eq!(read_text(b" 3 \r\n\r\n7\r\n", &ten().with_samples(2)).unwrap(), [3, 7]);
        assert_eq!(read_text(b"", &ten()).unwrap(), [0; 0]);
    }

    #[test]
    fn reads_a_named_column_in_the_order_of_the_indices() {
        let text = b"index,given,suggested\n2,1,5\n0,1,6\n1,1,7\n";
        let options = ten().with_column("suggested");
        assert_eq!(read_text(text, &options).unwrap(), [6, 7, 5]);
        assert_eq!(read_text(b"label\n4\n", &ten()).unwrap(), [4]);
        assert_eq!(read_text(b"a,b\n4,5\n", &ten().with_column("b")).unwrap(), [5]);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let error = |text: &[u8], options: LabelFileOptions| read_text(text, &options).unwrap_err();
        let two = || ten().with_samples(2);
        assert_eq!(error(b"1\n", two()), "labels.txt: expected 2 labels, found 1");
        assert_eq!(
            error(b"1\n10\n", two()),
            "labels.txt: label 1: expected 0 <= label < 10, found 10"
        );
        assert_eq!(
            error(b"1\n-2\n", two()),
            "labels.txt: line 2: expected a whole number, found \"-2\""
        );
        assert_eq!(error(b"1\n2,3\n", two()), "labels.txt: line 2: expected 1 cell(s), found 2");
        assert_eq!(
            error(b"index,a\n1,0\n1,0\n", two()),
            "labels.txt: line 3: expected an index that no line above has, found 1"
        );
        assert_eq!(
            error(b"index,a\n18446744073709551615,0\n", ten()),
            "labels.txt: line 2: expected an index below 1, the number of labels, found \
             18446744073709551615"
        );
        assert_eq!(
            error(b"a,b\n1,2\n", ten()),
            "labels.txt: expected one column besides \"index\", or a choice by name, found the \
             columns \"a\", \"b\""
        );
        assert!(error(b"a\n1\n", ten().with_column("b")).contains("a column \"b\", found"));
        assert!(error(b"1\n\xff\n", ten()).starts_with("labels.txt: line "));
        let missing = read("no/such/file", &ten()).unwrap_err();
        assert!(matches!(missing, DatasetError::Io { .. }));
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(labels) = read_text(&bytes, &ten()) {
                prop_assert!(labels.iter().all(|&label| label < 10));
            }
        }

        #[test]
        fn what_was_written_is_read(labels in prop::collection::vec(0..10_usize, 0..50)) {
            let text: String = labels.iter().map(|label| format!("{label}\n")).collect();
            prop_assert_eq!(read_text(text.as_bytes(), &ten()).unwrap(), labels);
        }
    }
}
