//! Which file of a folder holds what, by its name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Part;
use crate::DatasetError;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Images,
    Labels,
}

impl Content {
    /// Endings of a name, the usual one first.
    fn endings(self) -> [&'static str; 2] {
        match self {
            Self::Images => ["images-idx3-ubyte", "images.idx3-ubyte"],
            Self::Labels => ["labels-idx1-ubyte", "labels.idx1-ubyte"],
        }
    }

    fn pattern(self) -> &'static str {
        match self {
            Self::Images => "images[-.]idx3-ubyte[.gz]",
            Self::Labels => "labels[-.]idx1-ubyte[.gz]",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Labels => "labels",
        }
    }
}

/// Names of a part inside a file name, the usual one first.
fn part_names(part: Part) -> &'static [&'static str] {
    match part {
        Part::Train => &["train-"],
        Part::Test => &["t10k-", "test-"],
    }
}

/// Characters between a prefix and the rest of the name.
const SEPARATORS: [char; 3] = ['-', '_', '.'];

/// How many names an error message lists.
const MOST_NAMES: usize = 20;

/// A file whose name follows the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Without the separator at its end.
    prefix: String,
    part: Part,
    content: Content,
    /// Among files for the same thing the smallest is taken: plain before compressed, then the
    /// usual spelling before others.
    rank: (bool, usize, usize),
}

impl Entry {
    /// Takes a file name apart, if it follows the pattern.
    fn parse(name: &str) -> Option<Self> {
        let (stem, compressed) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (name, false),
        };
        for content in [Content::Images, Content::Labels] {
            for (spelling, ending) in content.endings().into_iter().enumerate() {
                let Some(rest) = stem.strip_suffix(ending) else { continue };
                let (prefix, part, alias) = Self::parse_part(rest)?;
                return Some(Self { prefix, part, content, rank: (compressed, alias, spelling) });
            }
        }
        None
    }

    /// Takes prefix and part from the beginning of a name.
    fn parse_part(rest: &str) -> Option<(String, Part, usize)> {
        for part in [Part::Train, Part::Test] {
            for (alias, name) in part_names(part).iter().enumerate() {
                let Some(prefix) = rest.strip_suffix(name) else { continue };
                if prefix.is_empty() || prefix.ends_with(SEPARATORS) {
                    return Some((trim(prefix).to_string(), part, alias));
                }
            }
        }
        None
    }
}

/// The files of one data set in a folder.
#[derive(Debug)]
pub(super) struct Layout {
    folder: PathBuf,
    /// `None` if the folder holds no file that follows the pattern and none was asked for.
    prefix: Option<String>,
    entries: Vec<(Entry, String)>,
    names: Vec<String>,
}

impl Layout {
    /// Lists a folder and decides for a prefix: the given one, or else the only one there.
    pub(super) fn scan(folder: &Path, prefix: Option<&str>) -> Result<Self, DatasetError> {
        let (files, names) = list_folder(folder)
            .map_err(|source| DatasetError::Io { file: folder.to_path_buf(), source })?;
        let mut entries: Vec<(Entry, String)> =
            files.into_iter().filter_map(|name| Some((Entry::parse(&name)?, name))).collect();
        let prefix = match prefix {
            Some(prefix) => Some(trim(prefix).to_string()),
            None => only_prefix(folder, &entries)?,
        };
        entries.retain(|(entry, _)| Some(&entry.prefix) == prefix.as_ref());
        Ok(Self { folder: folder.to_path_buf(), prefix, entries, names })
    }

    /// The prefix that was decided for; empty for names without.
    pub(super) fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default()
    }

    /// The file for a part, if there is one.
    pub(super) fn find(&self, part: Part, content: Content) -> Option<PathBuf> {
        let fitting =
            self.entries.iter().filter(|(entry, _)| entry.part == part && entry.content == content);
        fitting.min_by_key(|(entry, _)| entry.rank).map(|(_, name)| self.folder.join(name))
    }

    /// The file for a part, or an error with the names that would have been taken.
    pub(super) fn require(&self, part: Part, content: Content) -> Result<PathBuf, DatasetError> {
        self.find(part, content).ok_or_else(|| {
            let prefix = match self.prefix.as_deref() {
                None => "[PREFIX-]".to_string(),
                Some("") => String::new(),
                Some(prefix) => format!("{prefix}-"),
            };
            let part_name = match part {
                Part::Train => "train",
                Part::Test => "{t10k|test}",
            };
            let mut found = self.names.clone();
            if found.len() > MOST_NAMES {
                found.truncate(MOST_NAMES);
                found.push("...".to_string());
            }
            DatasetError::MissingFile {
                folder: self.folder.clone(),
                wanted: format!("{} of the {part} part", content.noun()),
                accepted: format!("{prefix}{part_name}-{}", content.pattern()),
                found,
            }
        })
    }
}

/// Names of the files in a folder, and of everything in it with a slash after folders; both sorted.
fn list_folder(folder: &Path) -> std::io::Result<(Vec<String>, Vec<String>)> {
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            names.push(format!("{name}/"));
        } else {
            names.push(name.clone());
            files.push(name);
        }
    }
    files.sort();
    names.sort();
    Ok((files, names))
}

/// The prefix that all entries share; nothing if there are no entries.
fn only_prefix(folder: &Path, entries: &[(Entry, String)]) -> Result<Option<String>, DatasetError> {
    let prefixes: BTreeSet<&String> = entries.iter().map(|(entry, _)| &entry.prefix).collect();
    if prefixes.len() > 1 {
        let (folder, prefixes) = (folder.to_path_buf(), prefixes.into_iter().cloned().collect());
        return Err(DatasetError::SeveralPrefixes { folder, prefixes });
    }
    Ok(prefixes.first().map(|&prefix| prefix.clone()))
}

fn trim(prefix: &str) -> &str {
    prefix.trim_end_matches(SEPARATORS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), []).unwrap();
        }
        folder
    }

    fn found(layout: &Layout, part: Part, content: Content) -> Option<String> {
        let path = layout.find(part, content)?;
        Some(path.file_name().unwrap().to_string_lossy().into_owned())
    }

    #[test]
    fn understands_the_names_of_all_known_layouts() {
        let parse =
            |name: &str| Entry::parse(name).map(|entry| (entry.prefix, entry.part, entry.content));
        let plain = |part, content| Some((String::new(), part, content));
        assert_eq!(parse("train-images-idx3-ubyte.gz"), plain(Part::Train, Content::Images));
        assert_eq!(parse("train-images.idx3-ubyte"), plain(Part::Train, Content::Images));
        assert_eq!(parse("t10k-labels-idx1-ubyte"), plain(Part::Test, Content::Labels));
        assert_eq!(parse("test-labels.idx1-ubyte.gz"), plain(Part::Test, Content::Labels));
        assert_eq!(
            parse("emnist-letters-test-labels-idx1-ubyte.gz"),
            Some(("emnist-letters".to_string(), Part::Test, Content::Labels))
        );
        for other in ["retrain-images-idx3-ubyte", "train-images-idx1-ubyte", "train", "", ".gz"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn prefers_plain_files_and_usual_names() {
        let folder = folder_with(&[
            "train-images-idx3-ubyte.gz",
            "train-images.idx3-ubyte",
            "test-labels-idx1-ubyte",
            "t10k-labels-idx1-ubyte",
        ]);
        let layout = Layout::scan(folder.path(), None).unwrap();
        let name = found(&layout, Part::Train, Content::Images).unwrap();
        assert_eq!(name, "train-images.idx3-ubyte");
        let name = found(&layout, Part::Test, Content::Labels).unwrap();
        assert_eq!(name, "t10k-labels-idx1-ubyte");
        assert_eq!(found(&layout, Part::Test, Content::Images), None);
    }

    #[test]
    fn takes_the_only_prefix_and_asks_between_several() {
        let one = folder_with(&["kmnist-train-images-idx3-ubyte"]);
        assert_eq!(Layout::scan(one.path(), None).unwrap().prefix(), "kmnist");

        let two = folder_with(&["kmnist-train-images-idx3-ubyte", "train-images-idx3-ubyte"]);
        let message = Layout::scan(two.path(), None).unwrap_err().to_string();
        assert!(message.ends_with("found the prefixes \"\", \"kmnist\""), "{message}");
        for (prefix, name) in [
            ("", "train-images-idx3-ubyte"),
            ("kmnist", "kmnist-train-images-idx3-ubyte"),
            ("kmnist-", "kmnist-train-images-idx3-ubyte"),
        ] {
            let layout = Layout::scan(two.path(), Some(prefix)).unwrap();
            assert_eq!(found(&layout, Part::Train, Content::Images).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_missing_file_is_described_by_folder_pattern_and_content() {
        let folder = folder_with(&["notes.txt"]);
        fs::create_dir(folder.path().join("raw")).unwrap();
        let layout = Layout::scan(folder.path(), None).unwrap();
        assert_eq!(
            layout.require(Part::Test, Content::Labels).unwrap_err().to_string(),
            format!(
                "{}: no labels of the test part: expected a file named \
                 [PREFIX-]{{t10k|test}}-labels[-.]idx1-ubyte[.gz], found \"notes.txt\", \"raw/\"",
                folder.path().display()
            )
        );
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let error = Layout::scan(Path::new("no/such/folder"), None).unwrap_err();
        assert!(matches!(error, DatasetError::Io { .. }));
    }
}
