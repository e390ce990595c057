//! One IDX file: header, size checks, data.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::DatasetError;

/// The images of one IDX file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxImages {
    /// Number of images.
    pub count: usize,
    /// Rows of one image.
    pub height: usize,
    /// Columns of one image.
    pub width: usize,
    /// Row-major `[count, height, width]`.
    pub pixels: Vec<u8>,
}

/// Reads a file of images, plain or compressed with gzip.
///
/// # Errors
/// If the file cannot be read or decompressed, is not an IDX file of three-dimensional unsigned
/// bytes, is shorter or longer than its header says, or announces images without pixels.
///
/// # Example
/// ```
/// use firebrick_datasets::idx::read_images;
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("two-dots");
/// std::fs::write(&file, [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7, 9])?;
/// let images = read_images(&file)?;
/// assert_eq!((images.count, images.height, images.width), (2, 1, 1));
/// assert_eq!(images.pixels, [7, 9]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_images(path: impl AsRef<Path>) -> Result<IdxImages, DatasetError> {
    let path = path.as_ref();
    let (file, length) = open(path)?;
    parse_images(file, length, path)
}

/// Reads a file of labels, plain or compressed with gzip.
///
/// # Errors
/// If the file cannot be read or decompressed, is not an IDX file of one-dimensional unsigned
/// bytes, or is shorter or longer than its header says.
///
/// # Example
/// ```
/// use firebrick_datasets::idx::read_labels;
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("labels");
/// std::fs::write(&file, [0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4])?;
/// assert_eq!(read_labels(&file)?, [5, 0, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<u8>, DatasetError> {
    let path = path.as_ref();
    let (file, length) = open(path)?;
    parse_labels(file, length, path)
}

/// Reads images from `source`, which holds `length` bytes; `place` is its name in messages.
pub(crate) fn parse_images(
    source: impl Read,
    length: u64,
    place: &Path,
) -> Result<IdxImages, DatasetError> {
    let ([count, height, width], pixels) = parse::<3>(source, length, place)?;
    let [count, height, width] = [count, height, width].map(|size| size as usize);
    if count > 0 && (height == 0 || width == 0) {
        let (place, shape) = (place.display().to_string(), vec![height, width]);
        return Err(DatasetError::EmptySamples { place, count, shape });
    }
    Ok(IdxImages { count, height, width, pixels })
}

/// Reads labels from `source`, which holds `length` bytes; `place` is its name in messages.
pub(crate) fn parse_labels(
    source: impl Read,
    length: u64,
    place: &Path,
) -> Result<Vec<u8>, DatasetError> {
    parse::<1>(source, length, place).map(|(_, labels)| labels)
}

/// First two bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A byte of deflate data stands for at most this many bytes.
const LARGEST_RATIO: u64 = 1032;

/// Compressed data is unpacked in pieces of this size.
const PIECE: usize = 32 * 1024;

/// The code for unsigned bytes in the third byte of a file.
const UNSIGNED_BYTES: u8 = 0x08;

fn open(path: &Path) -> Result<(File, u64), DatasetError> {
    let open = || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    };
    open().map_err(|source| io_error(path, source))
}

/// Sizes and data of a file with `D` dimensions, plain or compressed.
fn parse<const D: usize>(
    mut source: impl Read,
    length: u64,
    place: &Path,
) -> Result<([u32; D], Vec<u8>), DatasetError> {
    let mut start = [0; 2];
    let filled = fill(&mut source, &mut start).map_err(|error| io_error(place, error))?;
    let whole = start[..filled].chain(source);
    if start == GZIP_MAGIC {
        parse_compressed(MultiGzDecoder::new(whole), length, place)
    } else {
        parse_plain(whole, length, place)
    }
}

/// Reads a plain file, whose length must be what its header announces.
fn parse_plain<const D: usize>(
    mut source: impl Read,
    length: u64,
    place: &Path,
) -> Result<([u32; D], Vec<u8>), DatasetError> {
    let dimensions = read_header(&mut source, place, io_error)?;
    let (header, data) = (header_length(D), length.saturating_sub(header_length(D)));
    let expected = product(&dimensions).ok_or_else(|| impossible(place, data, &dimensions))?;
    if expected > data {
        let (expected, found) = (header.saturating_add(expected), length);
        return Err(DatasetError::Truncated { file: place.to_path_buf(), expected, found });
    }
    if expected < data {
        let (expected, found) = (header + expected, length);
        return Err(DatasetError::TrailingBytes { file: place.to_path_buf(), expected, found });
    }
    let mut values = reserve(expected, place)?;
    // The file may have shrunk since its length was taken, so that this too has to be checked.
    source.take(expected).read_to_end(&mut values).map_err(|error| io_error(place, error))?;
    check_complete(header, expected, values.len() as u64, place)?;
    Ok((dimensions, values))
}

/// Reads the unpacked content of a file of `length` bytes. Nothing is taken for the values until
/// all of them have been seen, except for the pieces in which they come.
fn parse_compressed<const D: usize>(
    mut source: impl Read,
    length: u64,
    place: &Path,
) -> Result<([u32; D], Vec<u8>), DatasetError> {
    let dimensions =
        read_header(&mut source, place, |place, error| unpacking_error(place, 0, error))?;
    let limit = length.saturating_mul(LARGEST_RATIO);
    let expected = product(&dimensions)
        .filter(|&expected| expected <= limit)
        .ok_or_else(|| impossible(place, limit, &dimensions))?;
    let header = header_length(D);
    let (pieces, found) = unpack(source, expected, header, place)?;
    check_complete(header, expected, found, place)?;
    let mut values = reserve(expected, place)?;
    for piece in pieces {
        values.extend_from_slice(&piece);
    }
    Ok((dimensions, values))
}

/// Unpacks up to `expected` bytes and makes sure that the file ends there. Returns the data and its
/// length, which is smaller than `expected` if the file ends early.
fn unpack(
    mut source: impl Read,
    expected: u64,
    header: u64,
    place: &Path,
) -> Result<(Vec<Vec<u8>>, u64), DatasetError> {
    let mut pieces = Vec::new();
    let mut found = 0;
    while found < expected {
        let size = usize::try_from(expected - found).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = vec![0; size];
        let filled = fill(&mut source, &mut piece)
            .map_err(|error| unpacking_error(place, header + found, error))?;
        found += filled as u64;
        piece.truncate(filled);
        pieces.push(piece);
        if filled < size {
            return Ok((pieces, found));
        }
    }
    // Reading on to the end also lets the decoder compare the check sum.
    let extra = fill(&mut source, &mut [0])
        .map_err(|error| unpacking_error(place, header + found, error))?;
    if extra > 0 {
        let (file, expected) = (place.to_path_buf(), header + expected);
        return Err(DatasetError::TrailingBytes { file, expected, found: expected + 1 });
    }
    Ok((pieces, found))
}

/// Reads magic number and sizes. `on_error` says what a failing read means.
fn read_header<const D: usize>(
    source: &mut impl Read,
    place: &Path,
    on_error: impl Fn(&Path, io::Error) -> DatasetError,
) -> Result<[u32; D], DatasetError> {
    let header = header_length(D);
    let mut magic = [0; 4];
    let mut found = fill(source, &mut magic).map_err(|error| on_error(place, error))?;
    if found == magic.len() {
        check_magic::<D>(magic, place)?;
    }
    let mut dimensions = [0; D];
    for dimension in &mut dimensions {
        let mut bytes = [0; 4];
        found += fill(source, &mut bytes).map_err(|error| on_error(place, error))?;
        *dimension = u32::from_be_bytes(bytes);
    }
    if (found as u64) < header {
        let (file, found) = (place.to_path_buf(), found as u64);
        return Err(DatasetError::Truncated { file, expected: header, found });
    }
    Ok(dimensions)
}

/// Checks the first four bytes: two zeros, the type of the values, the number of dimensions.
fn check_magic<const D: usize>(magic: [u8; 4], place: &Path) -> Result<(), DatasetError> {
    let [first, second, kind, dimensions] = magic;
    let (file, expected) = (place.to_path_buf(), D as u8);
    if (first, second) != (0, 0) {
        let expected = u32::from_be_bytes([0, 0, UNSIGNED_BYTES, expected]);
        return Err(DatasetError::WrongMagic { file, expected, found: u32::from_be_bytes(magic) });
    }
    if kind != UNSIGNED_BYTES {
        return Err(DatasetError::UnsupportedType { file, found: kind });
    }
    if dimensions != expected {
        return Err(DatasetError::UnsupportedDimensions { file, expected, found: dimensions });
    }
    Ok(())
}

/// Reads until `buffer` is full or the source ends; returns the number of bytes read.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Takes memory for exactly `size` bytes, or says that there is not so much.
fn reserve(size: u64, place: &Path) -> Result<Vec<u8>, DatasetError> {
    let out_of_memory = || io_error(place, io::ErrorKind::OutOfMemory.into());
    let size = usize::try_from(size).map_err(|_| out_of_memory())?;
    let mut values = Vec::new();
    values.try_reserve_exact(size).map_err(|_| out_of_memory())?;
    Ok(values)
}

fn check_complete(header: u64, expected: u64, found: u64, file: &Path) -> Result<(), DatasetError> {
    if found == expected {
        return Ok(());
    }
    let file = file.to_path_buf();
    Err(DatasetError::Truncated { file, expected: header + expected, found: header + found })
}

/// Bytes of magic number and sizes.
fn header_length(dimensions: usize) -> u64 {
    4 + 4 * dimensions as u64
}

/// Number of values, or nothing if there are more than can be counted.
fn product(dimensions: &[u32]) -> Option<u64> {
    dimensions.iter().try_fold(1_u64, |product, &size| product.checked_mul(u64::from(size)))
}

fn impossible(file: &Path, limit: u64, dimensions: &[u32]) -> DatasetError {
    let (file, dimensions) = (file.to_path_buf(), dimensions.to_vec());
    DatasetError::ImpossibleSize { file, limit, dimensions }
}

fn io_error(file: &Path, source: io::Error) -> DatasetError {
    DatasetError::Io { file: file.to_path_buf(), source }
}

/// Tells faults of the compressed data from those of the disk.
fn unpacking_error(file: &Path, position: u64, source: io::Error) -> DatasetError {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let file = file.to_path_buf();
    match source.kind() {
        UnexpectedEof | InvalidData | InvalidInput => {
            DatasetError::CorruptGzip { file, position, source }
        }
        _ => DatasetError::Io { file, source },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn images(bytes: &[u8]) -> Result<IdxImages, DatasetError> {
        parse_images(bytes, bytes.len() as u64, Path::new("file"))
    }

    fn labels(bytes: &[u8]) -> Result<Vec<u8>, DatasetError> {
        parse_labels(bytes, bytes.len() as u64, Path::new("file"))
    }

    fn image_file(sizes: [u32; 3], pixels: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 3];
        bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(pixels);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn reads_the_same_from_plain_and_compressed_files() {
        let pixels: Vec<u8> = (0..100_000_u64).map(|value| (value * value % 251) as u8).collect();
        let plain = image_file([1000, 20, 5], &pixels);
        let expected = IdxImages { count: 1000, height: 20, width: 5, pixels };
        assert_eq!(images(&plain).unwrap(), expected);
        assert_eq!(images(&gzip(&plain)).unwrap(), expected);
        let members = [gzip(&plain[..40_000]), gzip(&[]), gzip(&plain[40_000..])].concat();
        assert_eq!(images(&members).unwrap(), expected);
    }

    #[test]
    fn reads_files_without_samples() {
        assert_eq!(images(&image_file([0, 28, 28], &[])).unwrap().count, 0);
        assert_eq!(images(&gzip(&image_file([0, 0, 0], &[]))).unwrap().count, 0);
        assert!(labels(&[0, 0, 8, 1, 0, 0, 0, 0]).unwrap().is_empty());
    }

    #[test]
    fn tells_what_is_wrong_with_the_magic_number() {
        assert!(matches!(
            images(b"\x89PNG\r\n\x1a\n0000000000000000"),
            Err(DatasetError::WrongMagic { expected: 0x803, found: 0x8950_4e47, .. })
        ));
        assert!(matches!(
            images(&[0, 0, 0x0d, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Err(DatasetError::UnsupportedType { found: 0x0d, .. })
        ));
        assert!(matches!(
            images(&[0, 0, 8, 1, 0, 0, 0, 0]),
            Err(DatasetError::UnsupportedDimensions { expected: 3, found: 1, .. })
        ));
        assert!(matches!(
            labels(&image_file([0, 1, 1], &[])),
            Err(DatasetError::UnsupportedDimensions { expected: 1, found: 3, .. })
        ));
    }

    #[test]
    fn tells_expected_and_found_length() {
        let whole = image_file([2, 1, 2], &[1, 2, 3, 4]);
        for compress in [<[u8]>::to_vec as fn(&[u8]) -> Vec<u8>, gzip] {
            assert!(matches!(
                images(&compress(&whole[..18])),
                Err(DatasetError::Truncated { expected: 20, found: 18, .. })
            ));
            assert!(matches!(
                images(&compress(&whole[..7])),
                Err(DatasetError::Truncated { expected: 16, found: 7, .. })
            ));
            let long = [&whole[..], &[5]].concat();
            assert!(matches!(
                images(&compress(&long)),
                Err(DatasetError::TrailingBytes { expected: 20, found: 21, .. })
            ));
        }
        assert!(matches!(labels(&[]), Err(DatasetError::Truncated { expected: 8, found: 0, .. })));
    }

    #[test]
    fn refuses_sizes_that_cannot_be_true() {
        let huge = image_file([u32::MAX; 3], &[0; 8]);
        assert!(matches!(images(&huge), Err(DatasetError::ImpossibleSize { limit: 8, .. })));
        assert!(matches!(images(&gzip(&huge)), Err(DatasetError::ImpossibleSize { .. })));
        let large = image_file([60_000, 28, 28], &[0; 8]);
        assert!(matches!(
            images(&large),
            Err(DatasetError::Truncated { expected: 47_040_016, found: 24, .. })
        ));
        let message = images(&gzip(&large)).unwrap_err().to_string();
        assert!(message.ends_with("found a header that announces 60000 x 28 x 28"), "{message}");
    }

    #[test]
    fn refuses_images_without_pixels() {
        assert!(matches!(
            images(&image_file([u32::MAX, 0, 28], &[])),
            Err(DatasetError::EmptySamples { .. })
        ));
    }

    #[test]
    fn refuses_damaged_compressed_data() {
        let whole = gzip(&image_file([1, 2, 2], &[1, 2, 3, 4]));
        for length in 2..whole.len() {
            let cut = images(&whole[..length]);
            assert!(matches!(cut, Err(DatasetError::CorruptGzip { .. })), "{length}: {cut:?}");
        }
        let mut damaged = whole.clone();
        let check_sum = whole.len() - 8;
        damaged[check_sum] ^= 1;
        let damaged = images(&damaged);
        assert!(matches!(damaged, Err(DatasetError::CorruptGzip { position: 20, .. })));
    }

    #[test]
    fn a_missing_file_is_an_error_with_its_name() {
        let message = read_labels("no/such/file").unwrap_err().to_string();
        assert!(message.starts_with("no/such/file: cannot be read: "), "{message}");
    }
}
