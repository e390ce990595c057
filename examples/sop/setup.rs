//! Flags, settings and data of the experiment.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use burn::data::dataset::Dataset;
use clap::Parser;
use firebrick::datasets::cifar::{self, Cifar100Labels};
use firebrick::datasets::idx::{self, IdxOptions, Part};
use firebrick::datasets::label_file::{self, LabelFileOptions};
use firebrick::datasets::{DatasetError, GaussianMixtureConfig};
use firebrick::prelude::*;
use firebrick_harness::args::CommonArgs;
use serde::{Deserialize, Serialize};

pub const METHODS: [&str; 6] = ["ce", "gce", "sce", "elr", "sop", "sop+"];

/// Robust training on mislabeled data: SOP and its rivals
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,
    /// digits, mixture, or in the folder given by --data-dir: idx, cifar10, cifar100
    #[arg(long, value_parser = ["digits", "mixture", "idx", "cifar10", "cifar100"])]
    pub dataset: Option<String>,
    /// Comma list of ce, gce, sce, elr, sop and sop+ (images only)
    #[arg(long, default_value = "ce,sop", value_delimiter = ',', value_parser = METHODS)]
    pub method: Vec<String>,
    /// Label noise: none, symmetric:0.4, symmetric-inclusive:0.4, pair:0.3, cifar10:0.4,
    /// cifar100:0.4, cifar100-pair:0.4, superclass:5:0.4 or superclass-pair:5:0.4
    #[arg(long, default_value = "symmetric:0.4")]
    pub noise: LabelNoise,
    /// Make exactly the share of labels wrong, instead of each with this probability
    #[arg(long)]
    pub exact_count: bool,
    /// File with the given labels of the whole training part, instead of --noise
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Column of that file, if it has several
    #[arg(long, value_name = "NAME")]
    pub labels_column: Option<String>,
    /// All rows of the mixture's table, with ce, gce and sop
    #[arg(long)]
    pub table: bool,
    /// Seed of one mixture whose samples all seeds share; noise and network still differ
    #[arg(long, value_name = "SEED", conflicts_with = "table")]
    pub one_mixture: Option<u64>,
    /// Number of training images taken from a data set of --data-dir
    #[arg(long, default_value_t = 4000)]
    pub train_size: usize,
    /// cnn (images only) or mlp
    #[arg(long, value_parser = ["cnn", "mlp"])]
    pub network: Option<String>,
    /// Channels of the cnn's two convolutions
    #[arg(long, value_delimiter = ',', default_values_t = [32, 64])]
    pub channels: Vec<usize>,
    /// Hidden widths of the mlp
    #[arg(long, value_delimiter = ',', default_values_t = [256, 256])]
    pub hidden: Vec<usize>,
    /// Train the methods with one view on randomly shifted images; SOP+ always does
    #[arg(long)]
    pub augment: bool,
    /// Mirror every second view; not for digits [default: only for CIFAR]
    #[arg(long)]
    pub flip: bool,
    /// Largest shift of a view in pixels [default: an eighth of the side]
    #[arg(long)]
    pub shift: Option<usize>,
    /// Step size of the network at the start
    #[arg(long)]
    pub lr: Option<f64>,
    /// Step size of u
    #[arg(long)]
    pub lr_u: Option<f64>,
    /// Step size of v
    #[arg(long)]
    pub lr_v: Option<f64>,
    /// Standard deviation of the start of u and v
    #[arg(long, default_value_t = 1e-2)]
    pub init_std: f64,
}

/// Everything that the numbers of a run depend on; stored with it, and read back by `--resume`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub dataset: String,
    pub methods: Vec<String>,
    pub noise: LabelNoise,
    pub table: bool,
    pub one_mixture: Option<u64>,
    pub device: String,
    pub seeds: Vec<u64>,
    pub epochs: usize,
    pub quick: bool,
    pub exact_count: bool,
    pub labels: Option<PathBuf>,
    pub labels_column: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub train_size: usize,
    pub network: Option<String>,
    pub channels: [usize; 2],
    pub hidden: Vec<usize>,
    pub augment: bool,
    pub flip: bool,
    pub shift: Option<usize>,
    pub batch_size: usize,
    pub lr: f64,
    pub lr_u: f64,
    pub lr_v: f64,
    pub init_std: f64,
}

/// Batch size and the step sizes of network, `u` and `v`. The mixture's are published; the others
/// were chosen on the digits' validation accuracy.
fn steps(dataset: &str) -> (usize, f64, f64, f64) {
    match dataset {
        "mixture" => (128, 0.02, 10.0, 10.0),
        _ => (64, 0.05, 1.0, 5.0),
    }
}

impl Settings {
    pub fn from_args(args: &Args) -> Result<Self> {
        // The variable FIREBRICK_DATA alone does not change the default data set.
        let named = args.common.data_dir.as_ref().map_or("digits", |_| "idx");
        let named = if args.table { "mixture" } else { named };
        let dataset = args.dataset.clone().unwrap_or_else(|| named.into());
        let outside = !matches!(dataset.as_str(), "digits" | "mixture");
        let data_dir = args.common.data_dir().filter(|_| outside);
        if outside && data_dir.is_none() {
            bail!("--dataset {dataset} needs --data-dir or the variable FIREBRICK_DATA");
        }
        ensure!(outside || args.labels.is_none(), "--labels needs a data set of --data-dir");
        let mixture = dataset == "mixture";
        ensure!(
            mixture || !args.table && args.one_mixture.is_none(),
            "--table and --one-mixture are about --dataset mixture, not {dataset}"
        );
        let views = args.augment || args.flip || args.method.iter().any(|name| name == "sop+");
        ensure!(!(mixture && views), "sop+, --augment and --flip need images");
        let methods =
            if args.table { &["ce", "gce", "sop"].map(String::from) } else { &args.method[..] };
        let (batch_size, lr, lr_u, lr_v) = steps(&dataset);
        Ok(Self {
            methods: methods.to_vec(),
            noise: args.noise,
            table: args.table,
            one_mixture: args.one_mixture,
            device: args.common.device.clone(),
            seeds: args.common.seeds(if args.table { 5 } else { 3 }, 1),
            epochs: args.common.epochs(60, 12),
            quick: args.common.quick,
            exact_count: args.exact_count,
            labels: args.labels.clone(),
            labels_column: args.labels_column.clone(),
            data_dir,
            train_size: args.train_size,
            network: args.network.clone(),
            channels: args.channels[..].try_into().context("--channels: expected two numbers")?,
            hidden: args.hidden.clone(),
            augment: args.augment,
            flip: args.flip || dataset.starts_with("cifar"),
            shift: args.shift,
            dataset,
            batch_size,
            lr: args.lr.unwrap_or(lr),
            lr_u: args.lr_u.unwrap_or(lr_u),
            lr_v: args.lr_v.unwrap_or(lr_v),
            init_std: args.init_std,
        })
    }

    /// The claims are about 40 % symmetric noise on the two data sets that come along, one sample per
    /// seed, and about cross entropy and SOP.
    pub fn has_claims(&self) -> bool {
        self.data_dir.is_none()
            && self.one_mixture.is_none()
            && self.noise == LabelNoise::Symmetric { rate: 0.4 }
            && self.trains("ce")
            && self.trains("sop")
    }

    pub fn trains(&self, method: &str) -> bool {
        self.methods.iter().any(|name| name == method)
    }

    /// What made the labels wrong, in words.
    pub fn noise_name(&self) -> String {
        match &self.labels {
            Some(file) => format!("labels of {}", file.display()),
            None if self.exact_count => format!("{}, exact count", self.noise),
            None => self.noise.to_string(),
        }
    }
}

/// The data of one seed.
pub struct Data {
    /// With the given labels.
    pub train: LabeledDataset,
    pub true_labels: Vec<usize>,
    pub noise: NoisyLabels,
    pub valid: LabeledDataset,
    pub test: LabeledDataset,
}

impl Data {
    pub fn new(settings: &Settings, seed: u64) -> Result<Self> {
        let sample_seed = settings.one_mixture.unwrap_or(seed);
        let split = |data: &LabeledDataset, sizes: &[usize]| {
            stratified_split(data.labels(), data.num_classes(), sizes, sample_seed)
        };
        let mut outside = None;
        let (clean, valid, test) = match (settings.dataset.as_str(), &settings.data_dir) {
            ("mixture", _) => {
                let (train, test) = GaussianMixtureConfig::default().generate(sample_seed);
                let test = LabeledDataset::new(test);
                // As published: all 2000 points train; validation reuses a part of the test set.
                let parts = split(&test, &[4000, 1000])?;
                (LabeledDataset::new(train), test.select(&parts[1]), test.select(&parts[0]))
            }
            (name, Some(folder)) => {
                let load = |part| -> Result<LabeledDataset, DatasetError> {
                    Ok(LabeledDataset::new(match name {
                        "cifar10" => cifar::load_cifar10(folder, part)?,
                        "cifar100" => cifar::load_cifar100(folder, part, Cifar100Labels::Fine)?,
                        _ => idx::load(folder, part, &IdxOptions::default())?,
                    }))
                };
                let all = load(Part::Train)?;
                let valid = (all.len() / 10).min(2000);
                let parts = split(&all, &[settings.train_size.min(all.len() - valid), valid])?;
                outside = settings.outside_labels(&all, &parts[0])?;
                (all.select(&parts[0]), all.select(&parts[1]), load(Part::Test)?)
            }
            _ => {
                let all = LabeledDataset::new(digits());
                let parts = split(&all, &[1197, 200, 400])?;
                (all.select(&parts[0]), all.select(&parts[1]), all.select(&parts[2]))
            }
        };
        let (labels, classes) = (clean.labels(), clean.num_classes());
        let noise = match outside {
            Some(given) => NoisyLabels::from_given(labels, given, classes)?,
            None if settings.exact_count => settings.noise.apply_exact(labels, classes, seed)?,
            None => settings.noise.apply(labels, classes, seed)?,
        };
        Ok(Self {
            true_labels: labels.to_vec(),
            train: clean.clone().with_labels(noise.given.clone()),
            noise,
            valid,
            test,
        })
    }
}

impl Settings {
    /// The labels of `--labels` for the chosen samples.
    fn outside_labels(&self, all: &LabeledDataset, chosen: &[usize]) -> Result<Option<Vec<usize>>> {
        let Some(file) = &self.labels else { return Ok(None) };
        let mut options = LabelFileOptions::new(all.num_classes()).with_samples(all.labels().len());
        options.column.clone_from(&self.labels_column);
        let labels = label_file::read(file, &options).context("--labels")?;
        Ok(Some(chosen.iter().map(|&index| labels[index]).collect()))
    }
}
