//! Reading whole files within limits.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::DatasetError;

/// Largest file that is read, and largest content that is unpacked; the largest known file has
/// 16 MB, and unpacked 125 MB.
const MOST_BYTES: u64 = 1 << 28;

/// Content of a plain file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DatasetError> {
    let open = || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    };
    let (file, length) = open().map_err(|source| io_error(path, source))?;
    check_size(path, length)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|source| io_error(path, source))?;
    check_size(path, bytes.len() as u64)?;
    Ok(bytes)
}

/// Text of a file, unpacked if it is compressed.
pub(crate) fn read_text(path: &Path) -> Result<String, DatasetError> {
    let mut bytes = read(path)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        let decoder = MultiGzDecoder::new(bytes.as_slice());
        if let Err(source) = decoder.take(MOST_BYTES + 1).read_to_end(&mut unpacked) {
            let (file, position) = (path.to_path_buf(), unpacked.len() as u64);
            return Err(DatasetError::CorruptGzip { file, position, source });
        }
        check_size(path, unpacked.len() as u64)?;
        bytes = unpacked;
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count();
        line_error(
            path,
            line,
            "text in UTF-8",
            format!("the byte {:#04x}", error.as_bytes()[valid]),
        )
    })
}

/// An error in a line, counted from 1.
pub(crate) fn line_error(
    path: &Path,
    line: usize,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> DatasetError {
    let file = path.to_path_buf();
    DatasetError::TextLine { file, line, expected: expected.into(), found: found.into() }
}

/// A line in a message, cut where it is long.
pub(crate) fn quote(line: &str) -> String {
    let start: String = line.chars().take(40).collect();
    if start.len() < line.len() { format!("\"{start}...\"") } else { format!("\"{line}\"") }
}

fn check_size(path: &Path, found: u64) -> Result<(), DatasetError> {
    if found <= MOST_BYTES {
        return Ok(());
    }
    Err(DatasetError::FileTooLarge { file: path.to_path_buf(), limit: MOST_BYTES, found })
}

fn io_error(path: &Path, source: io::Error) -> DatasetError {
    DatasetError::Io { file: path.to_path_buf(), source }
}
