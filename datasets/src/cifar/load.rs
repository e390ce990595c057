//! Records of a file, and the parts of the two data sets.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::idx::Part;
use crate::samples::check_labels;
use crate::{DatasetError, ImageSet};

/// Channels, rows and columns of every image.
const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// Which records a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CifarKind {
    /// A label, then the pixels.
    Cifar10,
    /// The superclass, the class, then the pixels.
    Cifar100,
}

impl CifarKind {
    /// One more than the largest value of each label of a record.
    fn ends(self) -> &'static [usize] {
        match self {
            Self::Cifar10 => &[10],
            Self::Cifar100 => &[20, 100],
        }
    }
}

/// Which labels of CIFAR-100 to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cifar100Labels {
    /// The 100 classes.
    Fine,
    /// The 20 superclasses.
    Coarse,
}

/// The records of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CifarRecords {
    /// The label of each record: the class.
    pub labels: Vec<usize>,
    /// The superclass of each record; empty for CIFAR-10.
    pub superclasses: Vec<usize>,
    /// Row-major `[count, 3, 32, 32]`.
    pub pixels: Vec<u8>,
}

/// Reads the records of one file.
///
/// # Errors
/// If the file cannot be read, its length is no multiple of a record's, or a label is out of range.
///
/// # Example
/// ```
/// use firebrick_datasets::cifar::{CifarKind, read_records};
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("test.bin");
/// let mut record = vec![4, 51]; // fruit and vegetables: mushroom
/// record.resize(2 + 3072, 255);
/// std::fs::write(&file, record)?;
/// let records = read_records(&file, CifarKind::Cifar100)?;
/// assert_eq!((records.superclasses, records.labels), (vec![4], vec![51]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_records(path: impl AsRef<Path>, kind: CifarKind) -> Result<CifarRecords, DatasetError> {
    let mut records = CifarRecords { labels: vec![], superclasses: vec![], pixels: vec![] };
    read_into(path.as_ref(), kind, &mut records)?;
    Ok(records)
}

/// Loads one part of CIFAR-10 from the folder `dir`, or from `cifar-10-batches-bin` in it.
///
/// The train part is the five files `data_batch_1.bin` to `data_batch_5.bin`, one after the other,
/// the test part is `test_batch.bin`.
///
/// # Errors
/// If a file is missing or damaged in one of the ways that [`read_records`] lists.
pub fn load_cifar10(dir: impl AsRef<Path>, part: Part) -> Result<ImageSet, DatasetError> {
    let names: Vec<String> = match part {
        Part::Train => (1..=5).map(|number| format!("data_batch_{number}.bin")).collect(),
        Part::Test => vec!["test_batch.bin".to_string()],
    };
    let files = find(dir.as_ref(), "cifar-10-batches-bin", &names, part)?;
    let records = read_all(&files, CifarKind::Cifar10)?;
    set(format!("cifar-10/{part}"), records.pixels, records.labels, 10)
}

/// Loads one part of CIFAR-100 from the folder `dir`, or from `cifar-100-binary` in it: the file
/// `train.bin` or `test.bin`.
///
/// # Errors
/// If the file is missing or damaged in one of the ways that [`read_records`] lists.
pub fn load_cifar100(
    dir: impl AsRef<Path>,
    part: Part,
    labels: Cifar100Labels,
) -> Result<ImageSet, DatasetError> {
    let names = [format!("{part}.bin")];
    let files = find(dir.as_ref(), "cifar-100-binary", &names, part)?;
    let records = read_all(&files, CifarKind::Cifar100)?;
    match labels {
        Cifar100Labels::Fine => {
            set(format!("cifar-100/{part}"), records.pixels, records.labels, 100)
        }
        Cifar100Labels::Coarse => {
            set(format!("cifar-100-coarse/{part}"), records.pixels, records.superclasses, 20)
        }
    }
}

fn set(
    name: String,
    pixels: Vec<u8>,
    labels: Vec<usize>,
    num_classes: usize,
) -> Result<ImageSet, DatasetError> {
    ImageSet::new(name, pixels, u8::MAX, SHAPE, labels, num_classes)
}

/// The files of a part, in `folder` or in `usual` below it.
fn find(
    folder: &Path,
    usual: &str,
    names: &[String],
    part: Part,
) -> Result<Vec<PathBuf>, DatasetError> {
    let inner = folder.join(usual);
    let folder = if inner.is_dir() { inner } else { folder.to_path_buf() };
    let files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    let Some(missing) = files.iter().position(|file| !file.is_file()) else { return Ok(files) };
    let entries = std::fs::read_dir(&folder)
        .map_err(|source| DatasetError::Io { file: folder.clone(), source })?;
    let mut found: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    found.sort();
    found.truncate(8);
    let wanted = format!("images of the {part} part");
    Err(DatasetError::MissingFile { folder, wanted, accepted: names[missing].clone(), found })
}

fn read_all(files: &[PathBuf], kind: CifarKind) -> Result<CifarRecords, DatasetError> {
    let mut records = CifarRecords { labels: vec![], superclasses: vec![], pixels: vec![] };
    let mut total = 0;
    for file in files {
        total += count(file, kind)?.1;
    }
    // All at once, so that a vector that grows does not exist twice.
    reserve(&mut records.pixels, total.saturating_mul(PIXELS), &files[0])?;
    files.iter().try_for_each(|file| read_into(file, kind, &mut records))?;
    Ok(records)
}

/// The open file and its number of records.
fn count(path: &Path, kind: CifarKind) -> Result<(File, usize), DatasetError> {
    let open = || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    };
    let (file, found) = open().map_err(|source| io_error(path, source))?;
    let record = (kind.ends().len() + PIXELS) as u64;
    if found % record != 0 {
        return Err(DatasetError::PartialRecord { file: path.to_path_buf(), record, found });
    }
    let count = usize::try_from(found / record)
        .map_err(|_| io_error(path, io::ErrorKind::OutOfMemory.into()))?;
    Ok((file, count))
}

fn read_into(path: &Path, kind: CifarKind, records: &mut CifarRecords) -> Result<(), DatasetError> {
    let (file, count) = count(path, kind)?;
    let before = records.labels.len();
    reserve(&mut records.pixels, count.saturating_mul(PIXELS), path)?;
    reserve(&mut records.labels, count, path)?;
    let mut source = BufReader::new(file);
    let ends = kind.ends();
    let mut labels = [0; 2];
    let mut pixels = [0; PIXELS];
    for _ in 0..count {
        let labels = &mut labels[..ends.len()];
        let read = source.read_exact(labels).and_then(|()| source.read_exact(&mut pixels));
        // Also if the file has shrunk since its length was taken.
        read.map_err(|source| io_error(path, source))?;
        let [superclass @ .., class] = &labels[..] else { continue };
        records.labels.push(usize::from(*class));
        records.superclasses.extend(superclass.iter().map(|&label| usize::from(label)));
        records.pixels.extend_from_slice(&pixels);
    }
    let place = path.display().to_string();
    check_labels(&place, &records.labels[before..], ends[ends.len() - 1])?;
    if let [superclasses, _] = *ends {
        check_labels(&place, &records.superclasses[before..], superclasses)?;
    }
    Ok(())
}

fn reserve<T>(values: &mut Vec<T>, count: usize, path: &Path) -> Result<(), DatasetError> {
    let missing = count.saturating_sub(values.capacity() - values.len());
    if missing == 0 {
        return Ok(());
    }
    values.try_reserve_exact(count).map_err(|_| io_error(path, io::ErrorKind::OutOfMemory.into()))
}

fn io_error(file: &Path, source: io::Error) -> DatasetError {
    DatasetError::Io { file: file.to_path_buf(), source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::LabeledSamples;
    use std::fs;

    fn record(labels: &[u8], pixel: u8) -> Vec<u8> {
        let mut bytes = labels.to_vec();
        bytes.extend((0..PIXELS).map(|index| pixel.wrapping_add(index as u8)));
        bytes
    }

    #[test]
    fn joins_the_batches_of_cifar_10_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("cifar-10-batches-bin");
        fs::create_dir(&inner).unwrap();
        for number in 1..=5 {
            let file = inner.join(format!("data_batch_{number}.bin"));
            fs::write(file, record(&[number], number * 10)).unwrap();
        }
        fs::write(inner.join("test_batch.bin"), [record(&[9], 1), record(&[0], 2)].concat())
            .unwrap();
        let train = load_cifar10(&folder, Part::Train).unwrap();
        assert_eq!((train.labels(), train.shape()), (&[1, 2, 3, 4, 5][..], [3, 32, 32]));
        assert_eq!((train.image(2)[0], train.image(2)[5]), (30, 35));
        let test = load_cifar10(&inner, Part::Test).unwrap();
        assert_eq!((test.labels(), test.name()), (&[9, 0][..], "cifar-10/test"));
    }

    #[test]
    fn takes_fine_or_coarse_labels_of_cifar_100() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("train.bin"), record(&[19, 99], 0)).unwrap();
        let load = |labels| load_cifar100(&folder, Part::Train, labels).unwrap();
        let (fine, coarse) = (load(Cifar100Labels::Fine), load(Cifar100Labels::Coarse));
        assert_eq!((fine.labels(), fine.num_classes()), (&[99][..], 100));
        assert_eq!((coarse.labels(), coarse.num_classes()), (&[19][..], 20));
        assert_eq!(fine.pixels(), coarse.pixels());
    }

    #[test]
    fn names_the_file_the_record_and_what_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test_batch.bin");
        let message = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let error = load_cifar10(&folder, Part::Test).unwrap_err().to_string();
            error.rsplit('/').next().unwrap().to_string()
        };
        assert_eq!(
            message(&record(&[0], 0)[..3072]),
            "test_batch.bin: expected records of 3073 bytes each, found 3072 bytes in all, \
             which is no multiple"
        );
        let bytes = [record(&[0], 0), record(&[10], 0)].concat();
        assert_eq!(message(&bytes), "test_batch.bin: label 1: expected 0 <= label < 10, found 10");
        let error = load_cifar10(&folder, Part::Train).unwrap_err().to_string();
        assert!(
            error.contains("a file named data_batch_1.bin, found \"test_batch.bin\""),
            "{error}"
        );
        assert!(load_cifar10(folder.path().join("none"), Part::Train).is_err());
        let wrong = record(&[20, 0], 0);
        fs::write(folder.path().join("test.bin"), wrong).unwrap();
        let error = load_cifar100(&folder, Part::Test, Cifar100Labels::Fine).unwrap_err();
        assert!(matches!(error, DatasetError::LabelOutOfRange { label: 20, end: 20, .. }));
    }

    #[test]
    fn a_file_without_records_is_an_empty_set() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("test.bin"), []).unwrap();
        assert!(load_cifar100(&folder, Part::Test, Cifar100Labels::Fine).unwrap().is_empty());
    }
}
