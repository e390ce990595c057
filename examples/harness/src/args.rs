//! The flags that all examples share.
//!
//! An example adds its own by flattening [`CommonArgs`] into its `clap` parser.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, builder::RangedU64ValueParser};
use serde::Serialize;

/// Flags of every example.
#[derive(Args, Clone, Debug, Serialize)]
pub struct CommonArgs {
    /// Device to run on, or a comma list to compare: flex, wgpu, cuda:1, ...
    #[arg(long, value_name = "NAMES", default_value = "flex", value_parser = device_list)]
    pub device: String,

    /// First seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Number of seeds
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub seeds: Option<usize>,

    /// Number of epochs
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub epochs: Option<usize>,

    /// Folder with the real datasets [default: $FIREBRICK_DATA]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Where to put the run folder, or "none" to write nothing
    #[arg(long, value_name = "DIR|none", default_value = "runs")]
    pub out: String,

    /// Run for seconds only; claims that need a full run are not checked
    #[arg(long)]
    pub quick: bool,

    /// Exit with status 1 if a claim does not hold
    #[arg(long)]
    pub check: bool,

    /// Continue the run in this folder; without DIR the newest run below --out
    #[arg(long, value_name = "DIR")]
    pub resume: Option<Option<PathBuf>>,
}

impl CommonArgs {
    /// The names in `--device`, in the order given.
    pub fn device_names(&self) -> Vec<String> {
        names(&self.device).map(str::to_owned).collect()
    }

    /// The seeds to run: `--seeds` of them from `--seed` on, or else `default`, or `quick` of them
    /// under `--quick`.
    pub fn seeds(&self, default: usize, quick: usize) -> Vec<u64> {
        let count = self.seeds.unwrap_or(self.default_or_quick(default, quick));
        (0..count as u64).map(|index| self.seed.wrapping_add(index)).collect()
    }

    /// `--epochs`, or else `default`, or `quick` under `--quick`.
    pub fn epochs(&self, default: usize, quick: usize) -> usize {
        self.epochs.unwrap_or(self.default_or_quick(default, quick))
    }

    /// The folder of the real datasets: `--data-dir`, or else the variable `FIREBRICK_DATA`.
    pub fn data_dir(&self) -> Option<PathBuf> {
        self.data_dir_or(std::env::var_os("FIREBRICK_DATA"))
    }

    /// The folder that holds all runs; `None` for `--out none`.
    pub fn out_dir(&self) -> Option<PathBuf> {
        (self.out != "none").then(|| PathBuf::from(&self.out))
    }

    fn default_or_quick(&self, default: usize, quick: usize) -> usize {
        if self.quick { quick } else { default }
    }

    fn data_dir_or(&self, variable: Option<OsString>) -> Option<PathBuf> {
        let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
        self.data_dir.clone().or(variable)
    }
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn device_list(list: &str) -> Result<String, String> {
    match names(list).next() {
        Some(_) => Ok(list.to_owned()),
        None => Err("expected at least one device name".to_owned()),
    }
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        common: CommonArgs,
    }

    pub(crate) fn parse(flags: &[&str]) -> Result<CommonArgs, clap::Error> {
        let words = ["example"].iter().chain(flags);
        Command::try_parse_from(words).map(|command| command.common)
    }

    #[test]
    fn defaults_come_from_the_example() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.device_names(), ["flex"]);
        assert_eq!(args.seeds(3, 1), [0, 1, 2]);
        assert_eq!(args.epochs(30, 2), 30);
        assert_eq!(args.out_dir(), Some(PathBuf::from("runs")));
        assert!(!args.quick && !args.check && args.resume.is_none());
    }

    #[test]
    fn quick_changes_defaults_but_not_what_was_asked_for() {
        let args = parse(&["--quick"]).unwrap();
        assert_eq!((args.seeds(3, 1), args.epochs(30, 2)), (vec![0], 2));
        let args = parse(&["--quick", "--seed", "7", "--seeds", "2", "--epochs", "5"]).unwrap();
        assert_eq!((args.seeds(3, 1), args.epochs(30, 2)), (vec![7, 8], 5));
    }

    #[test]
    fn device_list_is_split_at_commas() {
        let args = parse(&["--device", "flex, remote:ws://host:3000,"]).unwrap();
        assert_eq!(args.device_names(), ["flex", "remote:ws://host:3000"]);
    }

    #[test]
    fn useless_values_are_refused() {
        for flags in [["--device", ","], ["--seeds", "0"], ["--epochs", "0"], ["--seed", "-1"]] {
            assert!(parse(&flags).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn resume_works_with_and_without_a_folder() {
        assert_eq!(parse(&["--resume"]).unwrap().resume, Some(None));
        let args = parse(&["--resume", "a/b", "--quick"]).unwrap();
        assert_eq!(args.resume, Some(Some(PathBuf::from("a/b"))));
    }

    #[test]
    fn data_dir_flag_wins_over_the_variable() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.data_dir_or(None), None);
        assert_eq!(args.data_dir_or(Some("".into())), None);
        assert_eq!(args.data_dir_or(Some("env".into())).as_deref(), Some(Path::new("env")));
        let args = parse(&["--data-dir", "flag"]).unwrap();
        assert_eq!(args.data_dir_or(Some("env".into())).as_deref(), Some(Path::new("flag")));
    }

    #[test]
    fn out_none_means_no_folder() {
        assert_eq!(parse(&["--out", "none"]).unwrap().out_dir(), None);
    }
}
