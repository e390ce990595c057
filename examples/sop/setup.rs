//! Data, network and hyperparameters of the experiment, and its pictures.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::data::dataset::Dataset;
use burn::optim::SgdConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::Device;
use burn::train::Learner;
use clap::Parser;
use firebrick::datasets::GaussianMixtureConfig;
use firebrick::datasets::idx::{self, IdxOptions, Part};
use firebrick::label_noise::{NoiseReport, SampleReport};
use firebrick::models::mlp::MlpConfig;
use firebrick::models::vision::SmallCnnConfig;
use firebrick::prelude::*;
use firebrick::train::NoisyLabelLearner;
use firebrick_harness::args::CommonArgs;
use firebrick_harness::claims::auc;
use firebrick_harness::plot::{Series, histogram, line_chart};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::{Run, write_atomically};
use firebrick_harness::sheet::{Tile, contact_sheet};
use firebrick_harness::training::{History, fit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Robust training on mislabeled data: SOP against cross entropy
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,
    /// digits, mixture, or idx (the folder given by --data-dir)
    #[arg(long, value_parser = ["digits", "mixture", "idx"])]
    pub dataset: Option<String>,
    /// Label noise: none, symmetric:0.4, symmetric-inclusive:0.4 or pair:0.3
    #[arg(long, default_value = "symmetric:0.4")]
    pub noise: LabelNoise,
    /// Number of training images taken from an IDX data set
    #[arg(long, default_value_t = 4000)]
    pub train_size: usize,
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
    pub noise: LabelNoise,
    pub device: String,
    pub seeds: Vec<u64>,
    pub epochs: usize,
    pub quick: bool,
    data_dir: Option<std::path::PathBuf>,
    train_size: usize,
    batch_size: usize,
    lr: f64,
    lr_u: f64,
    lr_v: f64,
    init_std: f64,
}

impl Settings {
    pub fn from_args(args: &Args) -> Result<Self> {
        // The variable FIREBRICK_DATA alone does not change the default data set.
        let named = args.common.data_dir.as_ref().map_or("digits", |_| "idx");
        let dataset = args.dataset.clone().unwrap_or_else(|| named.into());
        let data_dir = args.common.data_dir().filter(|_| dataset == "idx");
        if dataset == "idx" && data_dir.is_none() {
            bail!("--dataset idx needs --data-dir or the variable FIREBRICK_DATA");
        }
        // The mixture's are published; the others were chosen on the digits' validation accuracy.
        let (batch_size, lr, lr_u, lr_v) = match dataset.as_str() {
            "mixture" => (128, 0.02, 10.0, 10.0),
            _ => (64, 0.05, 1.0, 5.0),
        };
        Ok(Self {
            dataset,
            noise: args.noise,
            device: args.common.device.clone(),
            seeds: args.common.seeds(3, 1),
            epochs: args.common.epochs(60, 12),
            quick: args.common.quick,
            data_dir,
            train_size: args.train_size,
            batch_size,
            lr: args.lr.unwrap_or(lr),
            lr_u: args.lr_u.unwrap_or(lr_u),
            lr_v: args.lr_v.unwrap_or(lr_v),
            init_std: args.init_std,
        })
    }

    /// The claims are about 40 % symmetric noise on the two data sets that come along.
    pub fn has_claims(&self) -> bool {
        self.dataset != "idx" && self.noise == LabelNoise::Symmetric { rate: 0.4 }
    }
}

/// What one training gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub device: String,
    pub method: String,
    pub seed: u64,
    pub realized_rate: f64,
    /// Accuracy on clean test data after the last epoch.
    pub test_accuracy: f64,
    /// Accuracy on clean validation data after the last epoch, by which settings are chosen.
    #[serde(deserialize_with = "null_is_nan")]
    pub valid_accuracy: f64,
    /// Share of the mislabeled training samples for which the network predicts the wrong label;
    /// NaN without noise.
    #[serde(deserialize_with = "null_is_nan")]
    pub memorized: f64,
    /// The rest is about the scores `u^2`, and NaN for cross entropy.
    #[serde(deserialize_with = "null_is_nan")]
    pub auc: f64,
    #[serde(deserialize_with = "null_is_nan")]
    pub precision: f64,
    #[serde(deserialize_with = "null_is_nan")]
    pub recall: f64,
    #[serde(deserialize_with = "null_is_nan")]
    pub estimated_rate: f64,
    pub seconds: f64,
    /// Accuracy on clean validation data in percent, by epoch.
    validation: Vec<(f64, f64)>,
    scores: Vec<f64>,
    flipped: Vec<bool>,
    tiles: Vec<Suspect>,
}

/// A training image whose label looks wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Suspect {
    pixels: Vec<f32>,
    shape: Vec<usize>,
    given: usize,
    suggested: usize,
}

/// JSON has no NaN.
fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The data of one seed.
pub struct Experiment<'a> {
    settings: &'a Settings,
    seed: u64,
    train: LabeledDataset,
    flipped: Vec<bool>,
    realized_rate: f64,
    valid: LabeledDataset,
    test: LabeledDataset,
}

impl<'a> Experiment<'a> {
    pub fn new(settings: &'a Settings, seed: u64) -> Result<Self> {
        let split = |data: LabeledDataset, sizes: &[usize]| -> Result<Vec<LabeledDataset>> {
            let parts = stratified_split(data.labels(), data.num_classes(), sizes, seed)?;
            Ok(parts.iter().map(|part| data.select(part)).collect())
        };
        let (clean, valid, test) = match (settings.dataset.as_str(), &settings.data_dir) {
            ("mixture", _) => {
                let (train, test) = GaussianMixtureConfig::default().generate(seed);
                // As published: all 2000 points train; validation reuses a part of the test set.
                let test = split(LabeledDataset::new(test), &[4000, 1000])?;
                (LabeledDataset::new(train), test[1].clone(), test[0].clone())
            }
            ("idx", Some(folder)) => {
                let all =
                    LabeledDataset::new(idx::load(folder, Part::Train, &IdxOptions::default())?);
                let test = idx::load(folder, Part::Test, &IdxOptions::default())?;
                let valid = (all.len() / 10).min(2000);
                let parts =
                    split(all.clone(), &[settings.train_size.min(all.len() - valid), valid])?;
                (parts[0].clone(), parts[1].clone(), LabeledDataset::new(test))
            }
            _ => {
                let parts = split(LabeledDataset::new(digits()), &[1197, 200, 400])?;
                (parts[0].clone(), parts[1].clone(), parts[2].clone())
            }
        };
        let noisy = settings.noise.apply(clean.labels(), clean.num_classes(), seed)?;
        Ok(Self {
            settings,
            seed,
            train: clean.with_labels(noisy.given),
            flipped: noisy.flipped,
            realized_rate: noisy.realized_rate,
            valid,
            test,
        })
    }

    /// Trains one method and measures it once.
    pub fn run(
        &self,
        run: &Run,
        job: &str,
        device_name: &str,
        device: &Device,
        method: &str,
        progress: &Progress,
    ) -> Result<Outcome> {
        let device = device.clone().autodiff();
        let classes = self.train.num_classes();
        device.seed(self.seed);
        let mut outcome = match *self.train.sample_shape() {
            [channels, height, width] => {
                let network = SmallCnnConfig::new([channels, height, width], classes).init(&device);
                self.train_and_measure::<_, 4>(network, run, job, method, progress)
            }
            [dim] => {
                let network = MlpConfig::new(vec![dim, 256, 256, classes]).init(&device);
                self.train_and_measure::<_, 2>(network, run, job, method, progress)
            }
            ref shape => bail!("samples of the shape {shape:?} have no network here"),
        }?;
        outcome.device = device_name.into();
        Ok(outcome)
    }

    fn train_and_measure<N: Classifier<D> + Send + Sync, const D: usize>(
        &self,
        network: N,
        run: &Run,
        job: &str,
        method: &str,
        progress: &Progress,
    ) -> Result<Outcome> {
        // Weights are drawn lazily; read them now, right after the seed was set.
        let network = network.materialize();
        let device = network.devices().into_iter().next().context("a network has parameters")?;
        let settings = self.settings;
        let (batch, lr) = (settings.batch_size, settings.lr);
        let loader = self.train.loader::<D>(batch).shuffle(self.seed).device(device.clone());
        let loader = if settings.dataset == "mixture" { loader.drop_last() } else { loader };
        let valid = Arc::new(self.valid.loader::<D>(500).device(device.clone()));

        let mut model = NoisyLabelLearner::new(network);
        if method == "sop" {
            let labels = LabelFingerprint::of(self.train.labels(), self.train.num_classes());
            let config = SopConfig::preset(labels, SopPreset::SmallData)
                .with_lr_u(settings.lr_u)
                .with_lr_v(settings.lr_v)
                .with_init_std(settings.init_std)
                .with_seed(self.seed);
            model = model.with_sop(config.init(&device));
        }
        let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
        let optimizer = SgdConfig::new()
            .with_momentum(Some(momentum))
            .with_weight_decay(Some(WeightDecayConfig::new(5e-4)))
            .init();
        let steps = settings.epochs * loader.order(0).len().div_ceil(batch);
        let schedule = CosineAnnealingLrSchedulerConfig::new(lr, steps).init();
        let schedule = schedule.map_err(|error| anyhow::anyhow!("learning rate: {error}"))?;

        let start = Instant::now();
        let learner = Learner::new(model, optimizer, schedule);
        let train = |done| Arc::new(loader.first_epoch(done)) as _;
        let (model, history) = fit(run, job, learner, settings.epochs, progress, train, valid)?;
        self.measure(run, job, &model, method, &history, start.elapsed().as_secs_f64())
    }

    fn measure<N: Classifier<D>, const D: usize>(
        &self,
        run: &Run,
        job: &str,
        model: &NoisyLabelLearner<N, D>,
        method: &str,
        history: &History,
        seconds: f64,
    ) -> Result<Outcome> {
        let share = |hits: usize, all: usize| hits as f64 / all as f64;
        let test = predictions(&model.network, &self.test)?;
        let correct = test.iter().zip(self.test.labels()).filter(|(a, b)| a == b).count();
        let train = predictions(&model.network, &self.train)?;
        let given = self.train.labels();
        let wrong = self.flipped.iter().filter(|&&flipped| flipped).count();
        let memorized =
            (0..given.len()).filter(|&i| self.flipped[i] && train[i] == given[i]).count();
        let validation = history.curve("valid", "Accuracy");
        let mut outcome = Outcome {
            device: String::new(),
            method: method.into(),
            seed: self.seed,
            realized_rate: self.realized_rate,
            test_accuracy: share(correct, test.len()),
            valid_accuracy: validation.last().map_or(f64::NAN, |last| last.1 / 100.0),
            memorized: share(memorized, wrong),
            auc: f64::NAN,
            precision: f64::NAN,
            recall: f64::NAN,
            estimated_rate: f64::NAN,
            seconds,
            validation,
            scores: Vec::new(),
            flipped: self.flipped.clone(),
            tiles: Vec::new(),
        };
        if let Some(sop) = &model.sop {
            sop.verify()?;
            let report = NoiseReport::from_sop(sop, given, Some(&train))?;
            let mut scores = vec![0.0; given.len()];
            report.samples().iter().for_each(|sample| scores[sample.index] = sample.score);
            let flagged = report.flagged().count();
            let right = report.flagged().filter(|sample| self.flipped[sample.index]).count();
            outcome.auc = auc(&scores, &self.flipped).unwrap_or(f64::NAN);
            outcome.precision = share(right, flagged);
            outcome.recall = share(right, wrong);
            outcome.estimated_rate = report.noise_rate();
            outcome.tiles = self.suspects(&report)?;
            if let Some(path) = run.path(&format!("{job}/noise_report.csv")) {
                write_atomically(
                    &path,
                    |path| Ok(report.write_csv(std::fs::File::create(path)?)?),
                )?;
            }
            outcome.scores = scores;
        }
        Ok(outcome)
    }

    /// The images of the most suspicious samples.
    fn suspects(&self, report: &NoiseReport) -> Result<Vec<Suspect>> {
        let shape = self.train.sample_shape().to_vec();
        let suspect = |sample: &SampleReport| {
            Ok(Suspect {
                pixels: self.train.get(sample.index)?.values,
                shape: shape.clone(),
                given: sample.given,
                suggested: sample.suggested,
            })
        };
        let count = if shape.len() == 3 { 40 } else { 0 };
        report.samples().iter().take(count).map(suspect).collect()
    }
}

/// The predicted class of every sample.
fn predictions<const D: usize>(
    network: &impl Classifier<D>,
    data: &LabeledDataset,
) -> Result<Vec<usize>> {
    use burn::data::dataloader::DataLoader;
    let device = network.devices().into_iter().next().context("a network has parameters")?;
    let loader = data.loader::<D>(500).device(device);
    let mut classes = Vec::with_capacity(data.len());
    for batch in loader.iter() {
        let best = network.logits(batch?.inputs).argmax(1).into_data();
        classes.extend(best.iter::<i64>().map(|class| class as usize));
    }
    Ok(classes)
}

/// Accuracy curves, score histogram, and the most suspicious images.
pub fn pictures(run: &Run, outcomes: &[Outcome]) -> Result<()> {
    let mut curves = Vec::new();
    let mut kinds: Vec<(&str, &str)> =
        outcomes.iter().map(|o| (o.device.as_str(), o.method.as_str())).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for (device, method) in kinds {
        let runs: Vec<&Outcome> =
            outcomes.iter().filter(|o| o.device == device && o.method == method).collect();
        let epochs = runs.iter().map(|run| run.validation.len()).min().unwrap_or(0);
        let mut series = Series::new(format!("{method} on {device}"), Vec::new());
        let mut band = Vec::new();
        for epoch in 0..epochs {
            let values: Vec<f64> = runs.iter().map(|run| run.validation[epoch].1).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            series.points.push((runs[0].validation[epoch].0, mean));
            let bound = |f: fn(f64, f64) -> f64, start| values.iter().copied().fold(start, f);
            band.push((bound(f64::min, f64::INFINITY), bound(f64::max, f64::NEG_INFINITY)));
        }
        series.band = Some(band);
        curves.push(series);
    }
    if let Some(path) = run.path("accuracy.svg") {
        let title = "Accuracy on clean validation data (mean and range over seeds)";
        line_chart(&path, title, "epoch", "accuracy in %", &curves)?;
    }
    let Some(sop) = outcomes.iter().find(|outcome| outcome.method == "sop") else { return Ok(()) };
    if let Some(path) = run.path("scores.svg") {
        let of = |flipped| {
            let pairs = sop.scores.iter().zip(&sop.flipped);
            pairs.filter(|(_, f)| **f == flipped).map(|(score, _)| *score).collect()
        };
        let groups = [("label is right", of(false)), ("label is wrong", of(true))];
        histogram(&path, "Scores of the training samples", "u²", &groups, (0.0, 1.0), 40)?;
    }
    if let (Some(path), false) = (run.path("suspects.png"), sop.tiles.is_empty()) {
        let tile = |suspect: &Suspect| Tile {
            // The first channel is enough to recognize the image.
            pixels: suspect.pixels[..suspect.shape[1] * suspect.shape[2]].to_vec(),
            height: suspect.shape[1],
            width: suspect.shape[2],
            given: suspect.given.to_string(),
            suggested: suspect.suggested.to_string(),
        };
        contact_sheet(&path, &sop.tiles.iter().map(tile).collect::<Vec<_>>(), 10)?;
    }
    Ok(())
}
