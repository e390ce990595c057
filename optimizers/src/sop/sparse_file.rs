//! Files of sparse noise states.
//!
//! Little-endian numbers: the magic, number of samples, number of classes, hash of the labels, seed
//! and `init_std` of the start, number of rows; then per row, ascending, the sample, `u`, the number
//! of entries, and per entry its class and value.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use super::sparse::{SparseRow, SparseSop};
use super::{LabelFingerprint, SopConfig};
use crate::{OptimizerError, files};

const MAGIC: [u8; 8] = *b"FBSPSOP1";
/// Bytes of a row without its entries, and of an entry.
const ROW: usize = 16;
const ENTRY: usize = 8;

impl SparseSop {
    /// Writes the state to a file, to a temporary one first that is then renamed.
    ///
    /// # Errors
    /// [`OptimizerError::Io`], with the file.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), OptimizerError> {
        files::replace(path.as_ref(), |file| self.write(file))
    }

    fn write(&self, file: &mut impl Write) -> std::io::Result<()> {
        let SopConfig { labels, seed, init_std, .. } = self.config;
        let LabelFingerprint { num_samples, num_classes, hash } = labels;
        file.write_all(&MAGIC)?;
        let words = [num_samples as u64, num_classes as u64, hash, seed, init_std.to_bits()];
        for word in words.into_iter().chain([self.rows.len() as u64]) {
            file.write_all(&word.to_le_bytes())?;
        }
        let mut samples: Vec<usize> = self.rows.keys().copied().collect();
        samples.sort_unstable();
        for sample in samples {
            let SparseRow { u, v } = &self.rows[&sample];
            file.write_all(&(sample as u64).to_le_bytes())?;
            file.write_all(&u.to_le_bytes())?;
            file.write_all(&(v.len() as u32).to_le_bytes())?;
            for (class, value) in v {
                file.write_all(&class.to_le_bytes())?;
                file.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// Reads the state from a file that [`save`](Self::save) wrote; the settings are those of
    /// `self`, which stays as it is, except for seed and `init_std` of the start.
    ///
    /// # Errors
    /// [`OptimizerError::Io`] if there is no such file, [`OptimizerError::Damaged`] if it is not a
    /// file of this kind or cut off, [`OptimizerError::WrongLabels`] if it belongs to other labels.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Self, OptimizerError> {
        let path = path.as_ref();
        let bytes = fs::read(path)
            .map_err(|source| OptimizerError::Io { path: path.to_path_buf(), source })?;
        let mut reader = Reader { path, bytes: &bytes, position: 0 };
        if reader.take("the magic number")? != MAGIC {
            reader.position = 0;
            return Err(reader.damaged("the magic number FBSPSOP1", "something else"));
        }
        let mut word = || Ok(u64::from_le_bytes(reader.take("the header")?));
        let [samples, classes, hash, seed, init_std, count] =
            [word()?, word()?, word()?, word()?, word()?, word()?];
        let found = LabelFingerprint::new(samples as usize, classes as usize, hash);
        let expected = self.config.labels;
        if found != expected {
            let place = path.display().to_string();
            return Err(OptimizerError::WrongLabels { place, expected, found });
        }
        let init_std = f64::from_bits(init_std);
        if !(init_std > 0.0 && init_std.is_finite()) {
            return Err(reader.damaged("a positive init_std", &init_std.to_string()));
        }
        let rows = reader.rows(count, expected)?;
        let config = self.config.clone().with_seed(seed).with_init_std(init_std);
        Ok(Self { config, rows })
    }
}

struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    position: usize,
}

impl Reader<'_> {
    fn rows(
        &mut self,
        count: u64,
        labels: LabelFingerprint,
    ) -> Result<HashMap<usize, SparseRow>, OptimizerError> {
        let room = (self.bytes.len() - self.position) / ROW;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > room {
            let found = format!("a header that announces {count}");
            return Err(
                self.damaged(&format!("at most {room} rows in a file of this length"), &found)
            );
        }
        let mut rows = HashMap::with_capacity(count);
        for _ in 0..count {
            let sample = u64::from_le_bytes(self.take("a row")?);
            let u = self.number("a row")?;
            let entries = u32::from_le_bytes(self.take("a row")?) as usize;
            if sample >= labels.num_samples as u64 || rows.contains_key(&(sample as usize)) {
                let expected = format!("a new sample below {}", labels.num_samples);
                return Err(self.damaged(&expected, &sample.to_string()));
            }
            let room = (self.bytes.len() - self.position) / ENTRY;
            if entries > room.min(labels.num_classes) {
                let expected = format!("at most {} entries", room.min(labels.num_classes));
                return Err(self.damaged(&expected, &entries.to_string()));
            }
            let v =
                (0..entries).map(|_| self.entry(labels.num_classes)).collect::<Result<_, _>>()?;
            rows.insert(sample as usize, SparseRow { u, v });
        }
        match self.bytes.len() - self.position {
            0 => Ok(rows),
            more => Err(self.damaged("the end of the file", &format!("{more} more bytes"))),
        }
    }

    fn entry(&mut self, num_classes: usize) -> Result<(u32, f32), OptimizerError> {
        let class = u32::from_le_bytes(self.take("an entry")?);
        if class as usize >= num_classes {
            return Err(self.damaged(&format!("a class below {num_classes}"), &class.to_string()));
        }
        Ok((class, self.number("an entry")?))
    }

    fn number(&mut self, what: &str) -> Result<f32, OptimizerError> {
        let number = f32::from_le_bytes(self.take(what)?);
        if number.is_finite() {
            return Ok(number);
        }
        Err(self.damaged("a finite number", &number.to_string()))
    }

    fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N], OptimizerError> {
        match self.bytes[self.position..].first_chunk() {
            Some(chunk) => {
                self.position += N;
                Ok(*chunk)
            }
            None => Err(self.damaged(what, "the end of the file")),
        }
    }

    fn damaged(&self, expected: &str, found: &str) -> OptimizerError {
        OptimizerError::Damaged {
            path: self.path.to_path_buf(),
            position: self.position,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}
