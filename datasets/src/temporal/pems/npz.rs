//! Arrays of numbers from an `.npz` file: a ZIP archive of `.npy` files.
//!
//! Sizes in the archive and in an array's header are checked against the bytes that are there before
//! memory is taken for them, which general readers of this format do not do.

use std::io::Read;
use std::path::Path;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::DatasetError;

/// Largest array that is unpacked; the largest known one has 125 MB.
const MOST_BYTES: usize = 1 << 28;

/// An array in row-major order.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

pub(super) fn error(
    file: &Path,
    part: impl Into<String>,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> DatasetError {
    let (part, expected, found) = (part.into(), expected.into(), found.into());
    DatasetError::Archive { file: file.to_path_buf(), part, expected, found }
}

/// The array of the given name.
pub(super) fn array(file: &Path, bytes: &[u8], name: &str) -> Result<Array, DatasetError> {
    let member = member(file, bytes, &format!("{name}.npy"))?;
    let part = format!("array {name}");
    parse(&member).map_err(|(expected, found)| error(file, part, expected, found))
}

/// The bytes from `start` on as a little-endian number of `size` bytes.
fn number(bytes: &[u8], start: usize, size: usize) -> Option<usize> {
    let bytes = bytes.get(start..start.checked_add(size)?)?;
    let number = bytes.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    usize::try_from(number).ok()
}

/// A file of the archive, from the archive's directory.
struct Entry<'a> {
    name: &'a [u8],
    method: usize,
    crc: usize,
    packed: usize,
    unpacked: usize,
    header: usize,
}

/// Reads the entry of the directory at `start`; also where the next one starts.
fn entry(bytes: &[u8], start: usize) -> Option<(Entry<'_>, usize)> {
    let at = |offset: usize, size: usize| number(bytes, start.checked_add(offset)?, size);
    if at(0, 4)? != 0x0201_4b50 {
        return None;
    }
    let (name, extra, comment) = (at(28, 2)?, at(30, 2)?, at(32, 2)?);
    let entry = Entry {
        name: bytes.get(start + 46..start + 46 + name)?,
        method: at(10, 2)?,
        crc: at(16, 4)?,
        packed: at(20, 4)?,
        unpacked: at(24, 4)?,
        header: at(42, 4)?,
    };
    Some((entry, start + 46 + name + extra + comment))
}

/// Finds and unpacks a file of the archive.
fn member(file: &Path, bytes: &[u8], name: &str) -> Result<Vec<u8>, DatasetError> {
    let fail = |part: &str, expected: &str, found: &str| Err(error(file, part, expected, found));
    // The end record has 22 bytes and perhaps a comment of up to 65,535.
    let first = bytes.len().saturating_sub(22 + 65_535);
    let last = bytes.len().saturating_sub(22);
    let end = (first..=last).rev().find(|&at| number(bytes, at, 4) == Some(0x0605_4b50));
    let Some((count, mut next)) =
        end.and_then(|end| Some((number(bytes, end + 10, 2)?, number(bytes, end + 16, 4)?)))
    else {
        return fail("archive", "the end record of a ZIP archive", "none");
    };
    let mut names = Vec::new();
    for index in 0..count {
        let Some((entry, after)) = entry(bytes, next) else {
            let part = format!("entry {index} of the directory");
            return fail(&part, "a name with sizes", "other bytes or the end");
        };
        if entry.name == name.as_bytes() {
            return unpack(bytes, &entry)
                .or_else(|(expected, found)| fail(name, &expected, &found));
        }
        names.push(String::from_utf8_lossy(&entry.name[..entry.name.len().min(40)]).into_owned());
        names.truncate(10);
        next = after;
    }
    fail("archive", name, &format!("{names:?}"))
}

type Wrong = (String, String);

fn wrong(expected: impl Into<String>, found: impl Into<String>) -> Wrong {
    (expected.into(), found.into())
}

fn unpack(bytes: &[u8], entry: &Entry<'_>) -> Result<Vec<u8>, Wrong> {
    let packed = (|| {
        let at = entry.header;
        if number(bytes, at, 4)? != 0x0403_4b50 {
            return None;
        }
        let start = at + 30 + number(bytes, at + 26, 2)? + number(bytes, at + 28, 2)?;
        bytes.get(start..start.checked_add(entry.packed)?)
    })()
    .ok_or_else(|| wrong(format!("{} bytes", entry.packed), "other bytes or the end"))?;
    if entry.unpacked > MOST_BYTES {
        return Err(wrong(format!("at most {MOST_BYTES} bytes"), entry.unpacked.to_string()));
    }
    let mut unpacked = Vec::new();
    match entry.method {
        0 => unpacked.extend_from_slice(packed),
        8 => {
            let most = entry.unpacked as u64 + 1;
            let read = DeflateDecoder::new(packed).take(most).read_to_end(&mut unpacked);
            read.map_err(|error| wrong("deflated bytes", error.to_string()))?;
        }
        method => return Err(wrong("compression 0 or 8", method.to_string())),
    }
    if unpacked.len() != entry.unpacked {
        return Err(wrong(format!("{} bytes", entry.unpacked), unpacked.len().to_string()));
    }
    let mut crc = Crc::new();
    crc.update(&unpacked);
    if crc.sum() as usize != entry.crc {
        return Err(wrong(
            format!("the checksum {:#010x}", entry.crc),
            format!("{:#010x}", crc.sum()),
        ));
    }
    Ok(unpacked)
}

/// Reads an `.npy` file.
fn parse(bytes: &[u8]) -> Result<Array, Wrong> {
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err(wrong("the start of an .npy file", "other bytes"));
    }
    let size = if bytes.get(6) == Some(&1) { 2 } else { 4 };
    let header = number(bytes, 8, size).and_then(|length| {
        let start = 8 + size;
        let text = bytes.get(start..start.checked_add(length)?)?;
        Some((std::str::from_utf8(text).ok()?, &bytes[start + length..]))
    });
    let Some((header, data)) = header else {
        return Err(wrong("a header in text", "other bytes or the end"));
    };
    let found = || header.trim().chars().take(80).collect::<String>();
    let (Some(kind), Some(order), Some(shape)) =
        (field(header, "descr"), field(header, "fortran_order"), shape(header))
    else {
        return Err(wrong("a header with descr, fortran_order and shape", found()));
    };
    if !order.starts_with("False") {
        return Err(wrong("an array in row-major order", found()));
    }
    let decode: fn(&[u8]) -> f64 = match kind.get(..5) {
        Some("'<f8'") => |b| f64::from_le_bytes(b.try_into().unwrap_or_default()),
        Some("'<f4'") => |b| f32::from_le_bytes(b.try_into().unwrap_or_default()).into(),
        Some("'<i8'") => |b| i64::from_le_bytes(b.try_into().unwrap_or_default()) as f64,
        Some("'<i4'") => |b| i32::from_le_bytes(b.try_into().unwrap_or_default()).into(),
        _ => return Err(wrong("values of type <f8, <f4, <i8 or <i4", found())),
    };
    let width = if kind.starts_with("'<f8'") || kind.starts_with("'<i8'") { 8 } else { 4 };
    let expected = shape.iter().try_fold(width, |size: usize, &axis| size.checked_mul(axis));
    if expected != Some(data.len()) {
        let expected = format!("{shape:?} values of {width} bytes each");
        return Err(wrong(expected, format!("{} bytes", data.len())));
    }
    let values = data.chunks_exact(width).map(|bytes| decode(bytes) as f32).collect();
    Ok(Array { shape, values })
}

/// What follows a key of the header.
fn field<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}':"))?;
    Some(rest.trim_start())
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let (inside, _) = field(header, "shape")?.strip_prefix('(')?.split_once(')')?;
    let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.parse().ok()).collect()
}
