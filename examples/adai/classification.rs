//! A small CNN on digits, or on any IDX data set, under six optimizers at rates chosen on
//! validation data.

use std::sync::Arc;

use anyhow::{Context, Result};
use burn::data::dataloader::DataLoader;
use burn::data::dataset::Dataset;
use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::lr_scheduler::step::StepLrSchedulerConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use burn::train::Learner;
use firebrick::datasets::idx::{self, IdxOptions, Part};
use firebrick::models::vision::{SmallCnn, SmallCnnConfig};
use firebrick::optimizers::adai::AdaiConfig;
use firebrick::prelude::*;
use firebrick::train::NoisyLabelLearner;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use firebrick_harness::training::{History, fit};
use serde::{Deserialize, Serialize};

use crate::Settings;

const BATCH: usize = 64;
const DECAY: f64 = 5e-4;
pub const SGD_M: &str = "SGD M";

/// Optimizers with the rates to choose from; under `--quick` the second one. Those of SGD with
/// momentum are a tenth of the others', which is the same way per gradient.
pub const OPTIMIZERS: [(&str, [f64; 3]); 6] = [
    ("SGD", [0.1, 0.3, 1.0]),
    (SGD_M, [0.01, 0.03, 0.1]),
    ("Adai", [0.1, 0.3, 1.0]),
    ("AdaiW", [0.1, 0.3, 1.0]),
    ("Adam", [3e-4, 1e-3, 3e-3]),
    ("AdamW", [3e-4, 1e-3, 3e-3]),
];

/// What one training gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub optimizer: String,
    pub lr: f64,
    pub seed: u64,
    /// In percent.
    pub test_error: f64,
    pub valid_error: f64,
    pub valid_loss: f64,
    pub train_loss: f64,
    /// Training loss by epoch.
    pub curve: Vec<(f64, f64)>,
}

/// Burn's optimizer, with the handle if it is one of ours.
fn optimizer(
    name: &str,
    model: NoisyLabelLearner<SmallCnn, 4>,
) -> (NoisyLabelLearner<SmallCnn, 4>, ModuleOptimizer) {
    let decay = Some(WeightDecayConfig::new(DECAY as f32));
    let sgd = SgdConfig::new().with_weight_decay(decay.clone());
    let adai = AdaiConfig::new().with_weight_decay(DECAY);
    let adai = match name {
        "Adai" => adai,
        "AdaiW" => adai.with_decoupled(true),
        "SGD" => return (model, sgd.init()),
        SGD_M => {
            let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
            return (model, sgd.with_momentum(Some(momentum)).init());
        }
        "Adam" => return (model, AdamConfig::new().with_weight_decay(decay).init()),
        _ => return (model, AdamWConfig::new().with_weight_decay(0.1).init()),
    };
    let (optimizer, handle) = adai.init().into_parts();
    (model.with_adai(handle), optimizer)
}

/// The data of one seed.
struct Data {
    train: LabeledDataset,
    valid: LabeledDataset,
    test: LabeledDataset,
}

impl Data {
    fn new(settings: &Settings, seed: u64) -> Result<Self> {
        let split = |data: LabeledDataset, sizes: &[usize]| -> Result<Vec<LabeledDataset>> {
            let parts = stratified_split(data.labels(), data.num_classes(), sizes, seed)?;
            Ok(parts.iter().map(|part| data.select(part)).collect())
        };
        let mut parts = match &settings.data_dir {
            None => split(LabeledDataset::new(digits()), &[1197, 200, 400])?,
            Some(folder) => {
                let load = |part| idx::load(folder, part, &IdxOptions::default());
                let all = LabeledDataset::new(load(Part::Train)?);
                let valid = (all.len() / 10).min(2000);
                let train = settings.train_size.min(all.len() - valid);
                let mut parts = split(all, &[train, valid])?;
                parts.push(LabeledDataset::new(load(Part::Test)?));
                parts
            }
        };
        let mut next = || parts.remove(0);
        Ok(Self { train: next(), valid: next(), test: next() })
    }
}

/// Trains every optimizer at every rate on every seed.
pub fn run(
    run: &Run,
    settings: &Settings,
    device_name: &str,
    device: &Device,
) -> Result<Vec<Outcome>> {
    let rates = if settings.quick { 1..2 } else { 0..3 };
    let trainings = OPTIMIZERS.len() * rates.len() * settings.seeds.len();
    let progress = Progress::new(trainings * settings.epochs);
    let mut outcomes = Vec::new();
    for (name, choice) in OPTIMIZERS {
        for &lr in &choice[rates.clone()] {
            for &seed in &settings.seeds {
                let job = format!("{device_name}-{name}-{lr}-{seed}").replace([':', '/', ' '], "-");
                let file = format!("{job}/outcome.json");
                let outcome = match run.read_json(&file)? {
                    Some(outcome) => {
                        progress.skip(settings.epochs);
                        outcome
                    }
                    None => train(run, settings, &job, device, name, lr, seed, &progress)?,
                };
                run.write_json(&file, &outcome)?;
                outcomes.push(outcome);
            }
        }
    }
    progress.finish();
    Ok(outcomes)
}

/// The outcomes of an optimizer at one rate.
pub fn at<'a>(outcomes: &'a [Outcome], name: &str, lr: f64) -> Vec<&'a Outcome> {
    outcomes.iter().filter(|outcome| outcome.optimizer == name && outcome.lr == lr).collect()
}

/// The outcomes of an optimizer at the rate with the least validation loss, mean over the seeds.
pub fn chosen<'a>(outcomes: &'a [Outcome], name: &str) -> Vec<&'a Outcome> {
    let loss = |runs: &[&Outcome]| {
        let sum: f64 = runs.iter().map(|outcome| outcome.valid_loss).sum();
        if sum.is_nan() { f64::INFINITY } else { sum }
    };
    let choice = OPTIMIZERS.iter().filter(|(other, _)| *other == name).flat_map(|(_, lrs)| lrs);
    choice
        .map(|&lr| at(outcomes, name, lr))
        .filter(|runs| !runs.is_empty())
        .min_by(|a, b| loss(a).total_cmp(&loss(b)))
        .unwrap_or_default()
}

// One training has this many inputs.
#[allow(clippy::too_many_arguments)]
fn train(
    run: &Run,
    settings: &Settings,
    job: &str,
    device: &Device,
    name: &str,
    lr: f64,
    seed: u64,
    progress: &Progress,
) -> Result<Outcome> {
    let data = Data::new(settings, seed)?;
    let device = device.clone().autodiff();
    let shape = data.train.sample_shape().to_vec();
    let [channels, height, width] = shape[..] else {
        anyhow::bail!("images must have channels, height and width, found the shape {shape:?}");
    };
    device.seed(seed);
    let network = SmallCnnConfig::new([channels, height, width], data.train.num_classes());
    let network = network.init(&device);
    // Weights are drawn at the first read: now, right after the seed was set.
    network.logits(Tensor::zeros([1, channels, height, width], &device));
    let (model, optimizer) = optimizer(name, NoisyLabelLearner::new(network));
    let loader = data.train.loader::<4>(BATCH).shuffle(seed).device(device.clone());
    let valid = Arc::new(data.valid.loader::<4>(500).device(device.clone()));
    // A tenth of the rate after 40 % and 80 % of the steps, as published.
    let steps = settings.epochs * data.train.len().div_ceil(BATCH);
    let schedule = StepLrSchedulerConfig::new(lr, (steps * 2).div_ceil(5)).init();
    let schedule = schedule.map_err(|error| anyhow::anyhow!("learning rate: {error}"))?;
    let learner = Learner::new(model, optimizer, schedule);
    let first = |done| Arc::new(loader.first_epoch(done)) as _;
    let (model, history) = fit(run, job, learner, settings.epochs, progress, first, valid)?;
    let last = |history: &History, split, metric| {
        history.curve(split, metric).last().map_or(f64::NAN, |last| last.1)
    };
    Ok(Outcome {
        optimizer: name.into(),
        lr,
        seed,
        test_error: error(&model.network, &data.test)?,
        valid_error: 100.0 - last(&history, "valid", "Accuracy"),
        valid_loss: last(&history, "valid", "Loss"),
        train_loss: last(&history, "train", "Loss"),
        curve: history.curve("train", "Loss"),
    })
}

/// Wrong predictions in percent.
fn error(network: &SmallCnn, data: &LabeledDataset) -> Result<f64> {
    let device = network.devices().into_iter().next().context("a network has parameters")?;
    let mut wrong = 0;
    for batch in data.loader::<4>(500).device(device).iter() {
        let batch = batch?;
        let best = network.logits(batch.inputs).argmax(1).into_data();
        let given = batch.labels.into_data();
        wrong += best.iter::<i64>().zip(given.iter::<i64>()).filter(|(a, b)| a != b).count();
    }
    Ok(100.0 * wrong as f64 / data.len() as f64)
}
