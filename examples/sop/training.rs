//! One training of one method, and its measurements.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::data::dataloader::DataLoader;
use burn::data::dataset::Dataset;
use burn::optim::SgdConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::Device;
use burn::tensor::activation::softmax;
use burn::train::Learner;
use firebrick::data::{LabeledSample, Views};
use firebrick::datasets::augment::Augmentation;
use firebrick::label_noise::{ConfidentLearningConfig, NoiseReport, SampleReport};
use firebrick::models::losses::{
    EarlyLearningConfig, GeneralizedCrossEntropyLossConfig, SymmetricCrossEntropyLossConfig,
};
use firebrick::models::mlp::MlpConfig;
use firebrick::models::vision::SmallCnnConfig;
use firebrick::prelude::*;
use firebrick::train::NoisyLabelLearner;
use firebrick_harness::claims::auc;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::{Run, write_atomically};
use firebrick_harness::training::{History, fit};
use serde::{Deserialize, Serialize};

use crate::setup::{Data, Settings};

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
    /// The largest accuracy on clean validation data, and the epoch that had it.
    #[serde(deserialize_with = "null_is_nan")]
    pub best_accuracy: f64,
    #[serde(deserialize_with = "null_is_nan")]
    pub best_epoch: f64,
    /// Share of the mislabeled training samples for which the network predicts the wrong label;
    /// NaN without noise.
    #[serde(deserialize_with = "null_is_nan")]
    pub memorized: f64,
    /// The rest is about the scores `u^2`, and NaN for methods without a noise state.
    #[serde(deserialize_with = "null_is_nan")]
    pub auc: f64,
    #[serde(deserialize_with = "null_is_nan")]
    pub precision: f64,
    #[serde(deserialize_with = "null_is_nan")]
    pub recall: f64,
    #[serde(deserialize_with = "null_is_nan")]
    pub estimated_rate: f64,
    /// Share of the training samples whose suggested label is the true one.
    #[serde(deserialize_with = "null_is_nan")]
    pub corrected: f64,
    pub seconds: f64,
    /// Accuracy on clean validation data in percent, by epoch.
    pub validation: Vec<(f64, f64)>,
    pub scores: Vec<f64>,
    pub flipped: Vec<bool>,
    pub tiles: Vec<Suspect>,
}

/// A training image whose label looks wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suspect {
    pub pixels: Vec<f32>,
    pub shape: Vec<usize>,
    pub given: usize,
    pub suggested: usize,
}

/// JSON has no NaN.
fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// One training.
pub struct Job<'a> {
    pub run: &'a Run,
    pub settings: &'a Settings,
    pub data: &'a Data,
    pub seed: u64,
    pub method: &'a str,
    /// Folder in the run folder.
    pub name: &'a str,
    pub progress: &'a Progress,
}

type ImageLoader = EpochLoader<LabeledSample, LabeledBatch<4>>;

impl Job<'_> {
    /// Trains and measures once.
    pub fn run(&self, device_name: &str, device: &Device) -> Result<Outcome> {
        let device = device.clone().autodiff();
        let (settings, train) = (self.settings, &self.data.train);
        let classes = train.num_classes();
        let mlp = |inputs: usize| {
            let widths = [vec![inputs], settings.hidden.clone(), vec![classes]].concat();
            MlpConfig::new(widths).init(&device)
        };
        let on_mlp = settings.network.as_deref() == Some("mlp");
        device.seed(self.seed);
        let mut outcome = match *train.sample_shape() {
            [channels, height, width] => {
                let shape = [channels, height, width];
                let loader = self.image_loader(shape);
                if on_mlp {
                    self.train_and_measure(mlp(shape.iter().product()), loader, &device)
                } else {
                    let network = SmallCnnConfig::new(shape, classes)
                        .with_channels(settings.channels)
                        .init(&device);
                    self.train_and_measure(network, loader, &device)
                }
            }
            [dim] if settings.network.as_deref() != Some("cnn") => {
                let loader = train.loader::<2>(settings.batch_size);
                self.train_and_measure(mlp(dim), loader.drop_last(), &device)
            }
            ref shape => bail!("samples of the shape {shape:?} have no network here"),
        }?;
        outcome.device = device_name.into();
        Ok(outcome)
    }

    fn image_loader(&self, shape: [usize; 3]) -> ImageLoader {
        let (settings, seed) = (self.settings, self.seed);
        let [weak, strong] = [Augmentation::weak(shape), Augmentation::strong(shape)].map(|view| {
            let shift = settings.shift.unwrap_or(view.shift);
            view.with_flip(settings.flip).with_shift(shift)
        });
        let batch = settings.batch_size;
        match self.method {
            "sop+" => self.data.train.view_loader(batch, Views::two(weak, strong, seed)),
            _ if settings.augment => self.data.train.view_loader(batch, Views::one(weak, seed)),
            _ => self.data.train.loader::<4>(batch),
        }
    }

    fn train_and_measure<N: Classifier<D> + Send + Sync, const D: usize>(
        &self,
        network: N,
        loader: EpochLoader<LabeledSample, LabeledBatch<D>>,
        device: &Device,
    ) -> Result<Outcome> {
        // Weights are drawn lazily; read them now, right after the seed was set.
        let model = self.with_loss(NoisyLabelLearner::new(network.materialize()), device);
        let settings = self.settings;
        let loader = loader.shuffle(self.seed).device(device.clone());
        let valid = Arc::new(self.data.valid.loader::<D>(500).device(device.clone()));
        let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
        let optimizer = SgdConfig::new()
            .with_momentum(Some(momentum))
            .with_weight_decay(Some(WeightDecayConfig::new(5e-4)))
            .init();
        let steps = settings.epochs * loader.order(0).len().div_ceil(settings.batch_size);
        let schedule = CosineAnnealingLrSchedulerConfig::new(settings.lr, steps).init();
        let schedule = schedule.map_err(|error| anyhow::anyhow!("learning rate: {error}"))?;

        let start = Instant::now();
        let learner = Learner::new(model, optimizer, schedule);
        let train = |done| Arc::new(loader.first_epoch(done)) as _;
        let (run, epochs) = (self.run, settings.epochs);
        let (model, history) = fit(run, self.name, learner, epochs, self.progress, train, valid)?;
        self.measure(&model, &history, start.elapsed().as_secs_f64())
    }

    /// The loss of the method.
    fn with_loss<N: Classifier<D>, const D: usize>(
        &self,
        model: NoisyLabelLearner<N, D>,
        device: &Device,
    ) -> NoisyLabelLearner<N, D> {
        let (settings, train) = (self.settings, &self.data.train);
        let (samples, classes) = (train.labels().len(), train.num_classes());
        let many = classes > 10;
        let sop = || {
            SopConfig::preset(LabelFingerprint::of(train.labels(), classes), SopPreset::SmallData)
                .with_lr_u(settings.lr_u)
                .with_lr_v(settings.lr_v)
                .with_init_std(settings.init_std)
                .with_seed(self.seed)
        };
        match self.method {
            "gce" => model.with_generalized(GeneralizedCrossEntropyLossConfig::new().init()),
            "sce" => {
                let (alpha, beta) = if many { (6.0, 0.1) } else { (0.1, 1.0) };
                let config = SymmetricCrossEntropyLossConfig::new();
                model.with_symmetric(config.with_alpha(alpha).with_beta(beta).init())
            }
            "elr" => {
                let (beta, lambda) = if many { (0.9, 7.0) } else { (0.7, 3.0) };
                let config = EarlyLearningConfig::new(samples, classes);
                let loss = config.with_beta(beta).with_lambda(lambda).init(device);
                model.with_early_learning(loss)
            }
            "sop" => model.with_sop(sop().init(device)),
            "sop+" => model.with_sop(sop().plus().init(device)),
            _ => model,
        }
    }

    fn measure<N: Classifier<D>, const D: usize>(
        &self,
        model: &NoisyLabelLearner<N, D>,
        history: &History,
        seconds: f64,
    ) -> Result<Outcome> {
        let share = |hits: usize, all: usize| hits as f64 / all as f64;
        let Data { train, test, noise, .. } = self.data;
        let classes = train.num_classes();
        let found = predictions(&probabilities(&model.network, test)?, classes);
        let correct = found.iter().zip(test.labels()).filter(|(a, b)| a == b).count();
        let probabilities = probabilities(&model.network, train)?;
        let predicted = predictions(&probabilities, classes);
        let (given, flipped) = (train.labels(), &noise.flipped);
        let wrong = flipped.iter().filter(|&&flipped| flipped).count();
        let memorized =
            (0..given.len()).filter(|&i| flipped[i] && predicted[i] == given[i]).count();
        let validation = history.curve("valid", "Accuracy");
        let better = |a: (f64, f64), b: &(f64, f64)| if b.1 > a.1 { *b } else { a };
        let best = validation.iter().fold((f64::NAN, f64::NEG_INFINITY), better);
        let mut outcome = Outcome {
            device: String::new(),
            method: self.method.into(),
            seed: self.seed,
            realized_rate: noise.realized_rate,
            test_accuracy: share(correct, test.len()),
            valid_accuracy: validation.last().map_or(f64::NAN, |last| last.1 / 100.0),
            best_accuracy: best.1 / 100.0,
            best_epoch: best.0,
            memorized: share(memorized, wrong),
            auc: f64::NAN,
            precision: f64::NAN,
            recall: f64::NAN,
            estimated_rate: f64::NAN,
            corrected: f64::NAN,
            seconds,
            validation,
            scores: Vec::new(),
            flipped: flipped.clone(),
            tiles: Vec::new(),
        };
        let analysis = ConfidentLearningConfig::new().analyze(given, &probabilities, classes)?;
        self.run.write_json(&format!("{}/confident_learning.json", self.name), &analysis)?;
        if let Some(sop) = &model.sop {
            sop.verify()?;
            self.read_report(NoiseReport::from_sop(sop, given, Some(&predicted))?, &mut outcome)?;
        }
        Ok(outcome)
    }

    fn read_report(&self, report: NoiseReport, outcome: &mut Outcome) -> Result<()> {
        let flipped = &self.data.noise.flipped;
        let count = |which: &dyn Fn(&&SampleReport) -> bool| {
            report.samples().iter().filter(which).count() as f64
        };
        let right = count(&|sample| sample.flagged && flipped[sample.index]);
        let wrong = flipped.iter().filter(|&&flipped| flipped).count() as f64;
        let true_labels = &self.data.true_labels;
        let corrected = count(&|sample| sample.suggested == true_labels[sample.index]);
        outcome.scores = vec![0.0; flipped.len()];
        for sample in report.samples() {
            outcome.scores[sample.index] = sample.score;
        }
        outcome.auc = auc(&outcome.scores, flipped).unwrap_or(f64::NAN);
        outcome.precision = right / count(&|sample| sample.flagged);
        outcome.recall = right / wrong;
        outcome.estimated_rate = report.noise_rate();
        outcome.corrected = corrected / flipped.len() as f64;
        outcome.tiles = self.suspects(&report)?;
        self.write_report(&report)
    }

    /// The report as CSV, JSON and text.
    fn write_report(&self, report: &NoiseReport) -> Result<()> {
        let name = |form: &str| format!("{}/noise_report.{form}", self.name);
        if let Some(path) = self.run.path(&name("csv")) {
            write_atomically(&path, |path| Ok(report.write_csv(std::fs::File::create(path)?)?))?;
        }
        if let Some(path) = self.run.path(&name("txt")) {
            write_atomically(&path, |path| Ok(std::fs::write(path, report.to_string())?))?;
        }
        self.run.write_json(&name("json"), report)
    }

    /// The images of the most suspicious samples.
    fn suspects(&self, report: &NoiseReport) -> Result<Vec<Suspect>> {
        let shape = self.data.train.sample_shape().to_vec();
        let suspect = |sample: &SampleReport| {
            Ok(Suspect {
                pixels: self.data.train.get(sample.index)?.values,
                shape: shape.clone(),
                given: sample.given,
                suggested: sample.suggested,
            })
        };
        let count = if shape.len() == 3 { 40 } else { 0 };
        report.samples().iter().take(count).map(suspect).collect()
    }
}

/// Row-major `[samples, classes]`.
fn probabilities<const D: usize>(
    network: &impl Classifier<D>,
    data: &LabeledDataset,
) -> Result<Vec<f64>> {
    let device = network.devices().into_iter().next().context("a network has parameters")?;
    let loader = data.loader::<D>(500).device(device);
    let mut values = Vec::with_capacity(data.len() * data.num_classes());
    for batch in loader.iter() {
        let batch = softmax(network.logits(batch?.inputs), 1).into_data();
        values.extend(batch.iter::<f64>());
    }
    Ok(values)
}

/// The most likely class of every sample; of equal ones the first.
fn predictions(probabilities: &[f64], classes: usize) -> Vec<usize> {
    let best = |row: &[f64]| (0..row.len()).fold(0, |a, b| if row[b] > row[a] { b } else { a });
    probabilities.chunks(classes).map(best).collect()
}
