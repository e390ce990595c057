//! The run folder: `OUT/<method>/<date>_<time>/` with everything that one run writes.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::args::CommonArgs;

const CONFIG: &str = "config.json";

/// One run of an example: its folder, or nothing under `--out none`.
#[derive(Clone, Debug)]
pub struct Run {
    dir: Option<PathBuf>,
    resumed: bool,
}

/// What `config.json` holds.
#[derive(Serialize, Deserialize)]
struct Stored<C> {
    method: String,
    firebrick: String,
    config: C,
}

impl Run {
    /// Creates the run folder with its `config.json`, or opens the one to `--resume`.
    ///
    /// Returns the configuration to use: `config` for a new run, the stored one for a resumed run,
    /// so that a resumed run is the run that was started.
    ///
    /// # Errors
    /// If the folder cannot be created, or if there is no run of `method` to resume.
    pub fn start<C: Serialize + DeserializeOwned>(
        method: &str,
        args: &CommonArgs,
        config: C,
    ) -> Result<(Self, C)> {
        match &args.resume {
            Some(Some(dir)) => Self::open(method, dir.clone()),
            Some(None) => match args.out_dir() {
                Some(out) => Self::open(method, newest_run(&out.join(method))?),
                None => bail!("--resume with --out none expects the folder: --resume DIR"),
            },
            None => Self::create(method, args.out_dir(), config),
        }
    }

    fn create<C: Serialize>(method: &str, out: Option<PathBuf>, config: C) -> Result<(Self, C)> {
        let dir = match out {
            Some(out) => Some(create_run_dir(&out.join(method), &timestamp(SystemTime::now()))?),
            None => None,
        };
        let run = Self { dir, resumed: false };
        let stored = Stored {
            method: method.to_owned(),
            firebrick: env!("CARGO_PKG_VERSION").to_owned(),
            config,
        };
        run.write_json(CONFIG, &stored)?;
        Ok((run, stored.config))
    }

    fn open<C: DeserializeOwned>(method: &str, dir: PathBuf) -> Result<(Self, C)> {
        let run = Self { dir: Some(dir.clone()), resumed: true };
        let place = || format!("cannot resume {}", dir.display());
        // The method first: the configuration of another method need not have our fields.
        let Some(stored) =
            run.read_json::<Stored<serde_json::Value>>(CONFIG).with_context(place)?
        else {
            bail!("{}: expected a run folder of {method} with a {CONFIG} in it", place());
        };
        let found = stored.method;
        ensure!(found == method, "{}: expected a run of {method}, found one of {found}", place());
        let config = C::deserialize(stored.config)
            .with_context(|| format!("{CONFIG} does not fit this version of {method}"))
            .with_context(place)?;
        Ok((run, config))
    }

    /// The run folder; `None` under `--out none`.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Where to write the file `name` (`"checkpoints/last.bin"`); `None` under `--out none`.
    ///
    /// Creates the folders above it; if that fails, so does writing the file, and says why.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let path = self.dir()?.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).ok();
        }
        Some(path)
    }

    /// Whether this continues an earlier run.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Writes `value` as JSON to the file `name`; does nothing under `--out none`.
    ///
    /// # Errors
    /// If the value has no JSON form or the file cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let Some(path) = self.path(name) else {
            return Ok(());
        };
        write_atomically(&path, |temporary| {
            let mut text = serde_json::to_string_pretty(value)?;
            text.push('\n');
            Ok(fs::write(temporary, text)?)
        })
    }

    /// Reads the JSON file `name`; `None` if there is no such file, as under `--out none`.
    ///
    /// # Errors
    /// If the file cannot be read or does not hold a `T`.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(dir) = self.dir() else {
            return Ok(None);
        };
        let path = dir.join(name);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let value = serde_json::from_str(&text)
            .with_context(|| format!("{} does not hold what was expected", path.display()))?;
        Ok(Some(value))
    }

    /// Writes a table to the CSV file `name`; does nothing under `--out none`.
    ///
    /// # Errors
    /// If a row has not as many cells as `header`, or the file cannot be written.
    pub fn write_csv(
        &self,
        name: &str,
        header: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Result<()> {
        let Some(path) = self.path(name) else {
            return Ok(());
        };
        write_atomically(&path, |temporary| {
            let mut writer = csv::Writer::from_path(temporary)?;
            writer.write_record(header)?;
            for row in rows {
                writer.write_record(row)?;
            }
            Ok(writer.flush()?)
        })
    }
}

/// Lets `write` fill a temporary file next to `path`, then renames it to `path`.
///
/// A reader sees the old file or the whole new one, never a part. The temporary name ends as `path`
/// does, for writers that go by the extension.
///
/// # Errors
/// If `write` fails, or the rename; `path` is then as it was.
pub fn write_atomically(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let place = || format!("cannot write {}", path.display());
    let name = path.file_name().with_context(place)?.to_string_lossy();
    let temporary = path.with_file_name(format!(".tmp-{}-{name}", std::process::id()));
    let written = write(&temporary).and_then(|()| Ok(fs::rename(&temporary, path)?));
    if written.is_err() {
        fs::remove_file(&temporary).ok();
    }
    written.with_context(place)
}

/// Creates `parent/<stamp>`, or `parent/<stamp>-2`, ... if another run started in the same second.
fn create_run_dir(parent: &Path, stamp: &str) -> Result<PathBuf> {
    let place = || format!("cannot create a run folder in {}", parent.display());
    fs::create_dir_all(parent).with_context(place)?;
    let mut dir = parent.join(stamp);
    for attempt in 2.. {
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                dir = parent.join(format!("{stamp}-{attempt}"));
            }
            created => {
                created.with_context(place)?;
                break;
            }
        }
    }
    Ok(dir)
}

fn newest_run(parent: &Path) -> Result<PathBuf> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(parent).into_iter().flatten() {
        let entry = entry.with_context(|| format!("cannot list {}", parent.display()))?;
        let order = run_order(&entry.file_name().to_string_lossy());
        runs.extend(order.map(|order| (order, entry.path())));
    }
    let newest = runs.into_iter().max().map(|(_, path)| path);
    newest.with_context(|| {
        let parent = parent.display();
        format!("no run to resume: expected a folder like {parent}/2022-07-17_09-30-00")
    })
}

/// Sort key of a run folder's name: the time, then the number behind it. `None` for other names.
fn run_order(name: &str) -> Option<(String, u32)> {
    let (stamp, rest) = name.split_at_checked("YYYY-MM-DD_HH-MM-SS".len())?;
    let is_stamp = stamp.chars().all(|c| c.is_ascii_digit() || c == '-' || c == '_');
    let number = match rest.strip_prefix('-') {
        Some(number) => number.parse().ok()?,
        None if rest.is_empty() => 1,
        None => return None,
    };
    is_stamp.then(|| (stamp.to_owned(), number))
}

/// `YYYY-MM-DD_HH-MM-SS` in UTC.
fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}_{hour:02}-{minute:02}-{second:02}")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Counts in years that begin on March 1, so that the leap day is a year's last day.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_PER_400_YEARS: u64 = 146_097;
    let days = days_since_1970 + 719_468; // since 0000-03-01
    let day_of_era = days % DAYS_PER_400_YEARS;
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = 400 * (days / DAYS_PER_400_YEARS) + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::args::tests::parse;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Config {
        epochs: usize,
        rate: f64,
    }

    const FIRST: Config = Config { epochs: 3, rate: 0.1 };
    const SECOND: Config = Config { epochs: 99, rate: 0.9 };

    fn args(out: &Path, more: &[&str]) -> CommonArgs {
        parse(&[&["--out", out.to_str().unwrap()], more].concat()).unwrap()
    }

    fn error_of<T>(result: Result<T>) -> String {
        format!("{:#}", result.err().expect("an error"))
    }

    #[test]
    fn new_run_stores_method_version_and_config() {
        let out = tempfile::tempdir().unwrap();
        let (run, config) = Run::start("sop", &args(out.path(), &[]), FIRST).unwrap();
        assert_eq!(config, FIRST);
        assert!(!run.is_resumed());
        assert_eq!(run.dir().unwrap().parent().unwrap(), out.path().join("sop"));
        let stored: serde_json::Value = run.read_json(CONFIG).unwrap().unwrap();
        assert_eq!(stored["method"], "sop");
        assert_eq!(stored["firebrick"], env!("CARGO_PKG_VERSION"));
        assert_eq!(stored["config"]["epochs"], 3);
    }

    #[test]
    fn runs_of_the_same_second_get_their_own_folders() {
        let out = tempfile::tempdir().unwrap();
        let dirs = [(); 3].map(|()| create_run_dir(out.path(), "2024-02-29_12-34-56").unwrap());
        let names = dirs.map(|dir| dir.file_name().unwrap().to_str().unwrap().to_owned());
        let expected = ["2024-02-29_12-34-56", "2024-02-29_12-34-56-2", "2024-02-29_12-34-56-3"];
        assert_eq!(names, expected);
    }

    #[test]
    fn resume_opens_the_newest_run_with_its_stored_config() {
        let out = tempfile::tempdir().unwrap();
        let (old, _) = Run::start("sop", &args(out.path(), &[]), SECOND).unwrap();
        fs::rename(old.dir().unwrap(), out.path().join("sop/2001-01-01_00-00-00")).unwrap();
        fs::create_dir(out.path().join("sop/zzz-notes-of-somebody")).unwrap();
        let (first, _) = Run::start("sop", &args(out.path(), &[]), FIRST).unwrap();
        let (run, config) = Run::start("sop", &args(out.path(), &["--resume"]), SECOND).unwrap();
        assert!(run.is_resumed());
        assert_eq!((run.dir(), config), (first.dir(), FIRST));
    }

    #[test]
    fn resume_takes_a_folder_even_without_out() {
        let out = tempfile::tempdir().unwrap();
        let (first, _) = Run::start("sop", &args(out.path(), &[]), FIRST).unwrap();
        let flags = ["--resume", first.dir().unwrap().to_str().unwrap(), "--out", "none"];
        let (run, config) = Run::start("sop", &parse(&flags).unwrap(), SECOND).unwrap();
        assert_eq!((run.dir(), config), (first.dir(), FIRST));
    }

    #[test]
    fn tenth_run_of_a_second_is_newer_than_the_ninth() {
        let order = |name| run_order(name).unwrap();
        assert!(order("2024-02-29_12-34-56-10") > order("2024-02-29_12-34-56-9"));
        assert!(order("2024-02-29_12-34-56-2") > order("2024-02-29_12-34-56"));
        assert!(order("2024-02-29_12-34-57") > order("2024-02-29_12-34-56-10"));
        for other in ["notes", "2024-02-29_12-34-56.zip", "2024-02-29_12-34-56-old"] {
            assert_eq!(run_order(other), None, "{other}");
        }
    }

    #[test]
    fn resume_errors_name_the_folder_and_what_was_expected() {
        let out = tempfile::tempdir().unwrap();
        let resume = args(out.path(), &["--resume"]);
        let error = error_of(Run::start("sop", &resume, FIRST));
        assert!(error.contains("no run to resume: expected a folder like"), "{error}");

        let dir = out.path().join("sop/2024-02-29_12-34-56");
        fs::create_dir_all(&dir).unwrap();
        for (text, expected) in [
            (None, "expected a run folder of sop with a config.json"),
            (Some("{"), "does not hold what was expected"),
            (
                Some(r#"{"method":"adai","firebrick":"0","config":1}"#),
                "expected a run of sop, found one of adai",
            ),
            (
                Some(r#"{"method":"sop","firebrick":"0","config":{"epochs":1}}"#),
                "does not fit this version of sop: missing field `rate`",
            ),
        ] {
            if let Some(text) = text {
                fs::write(dir.join(CONFIG), text).unwrap();
            }
            let error = error_of(Run::start("sop", &resume, FIRST));
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("2024-02-29_12-34-56"), "{error}");
        }

        let nowhere = parse(&["--resume", "--out", "none"]).unwrap();
        assert!(error_of(Run::start("sop", &nowhere, FIRST)).contains("--resume DIR"));
    }

    #[test]
    fn run_without_folder_writes_nothing() {
        let (run, config) = Run::start("sop", &parse(&["--out", "none"]).unwrap(), FIRST).unwrap();
        assert_eq!((run.dir(), run.path("a"), config), (None, None, FIRST));
        run.write_json("a.json", &1).unwrap();
        run.write_csv("a.csv", &["x"], [vec!["1".to_owned()]]).unwrap();
        assert_eq!(run.read_json::<i32>("a.json").unwrap(), None);
    }

    #[test]
    fn csv_quotes_cells_and_refuses_ragged_rows() {
        let out = tempfile::tempdir().unwrap();
        let (run, _) = Run::start("sop", &args(out.path(), &[]), FIRST).unwrap();
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        run.write_csv("curves/a.csv", &["x", "y"], [row(&["1", "2, 3"])]).unwrap();
        let path = run.path("curves/a.csv").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "x,y\n1,\"2, 3\"\n");
        assert!(run.write_csv("curves/a.csv", &["x", "y"], [row(&["1"])]).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "x,y\n1,\"2, 3\"\n");
    }

    #[test]
    fn failed_write_leaves_the_old_file_and_no_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let result = write_atomically(&path, |temporary| {
            assert_eq!(temporary.extension(), path.extension());
            fs::write(temporary, "half")?;
            bail!("the disk is full")
        });
        assert!(error_of(result).ends_with("a.txt: the disk is full"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn unreadable_json_is_an_error_and_absent_json_is_none() {
        let out = tempfile::tempdir().unwrap();
        let (run, _) = Run::start("sop", &args(out.path(), &[]), FIRST).unwrap();
        assert_eq!(run.read_json::<i32>("state.json").unwrap(), None);
        run.write_json("state.json", &"text").unwrap();
        assert!(error_of(run.read_json::<i32>("state.json")).contains("state.json"));
    }

    #[test]
    fn timestamps_follow_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01_00-00-00"),
            (951_782_399, "2000-02-28_23-59-59"),
            (951_782_400, "2000-02-29_00-00-00"),
            (951_868_800, "2000-03-01_00-00-00"),
            (1_709_210_096, "2024-02-29_12-34-56"),
            (1_735_689_599, "2024-12-31_23-59-59"),
            (4_107_542_400, "2100-03-01_00-00-00"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }
}
