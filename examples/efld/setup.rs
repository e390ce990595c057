//! The runs, their data, and one run from start to end.

use anyhow::{Context, Result};
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use firebrick::datasets::GaussianMixtureConfig;
use firebrick::datasets::idx::{self, IdxOptions, Part};
use firebrick::datasets::permutation;
use firebrick::generalization::{
    GeneralizationMonitor, GeneralizationMonitorConfig, GeneralizationReport,
};
use firebrick::optimizers::efld::{
    EfldConfig, ExponentialFamily, FiniteLevels, NoiseScale, Schedule,
};
use firebrick::prelude::*;
use firebrick_harness::args::CommonArgs;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::{Run, write_atomically};
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::network::{self, Network};

/// Size of a mini-batch.
const BATCH: usize = 100;
/// Steps that the progress bar calls an epoch: one pass over 4,000 examples.
const EPOCH: usize = 40;
/// Examples of the fresh pool, and of the test set.
const HELD_OUT: usize = 4000;

/// Generalization bounds of SGLD, noisy sign-SGD and noisy quantized SGD
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Everything that the numbers depend on; stored with the run, and read back by `--resume`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub device: String,
    pub seeds: Vec<u64>,
    /// Of 40 steps each.
    pub epochs: usize,
    pub quick: bool,
    data_dir: Option<std::path::PathBuf>,
}

impl Settings {
    pub fn from_args(args: &Args) -> Result<Self> {
        Ok(Self {
            device: args.common.device.clone(),
            seeds: args.common.seeds(3, 1),
            epochs: args.common.epochs(25, 5),
            quick: args.common.quick,
            // The variable FIREBRICK_DATA alone does not change the data set.
            data_dir: args.common.data_dir.clone(),
        })
    }

    /// The claims are about the mixture.
    pub fn has_claims(&self) -> bool {
        self.data_dir.is_none()
    }

    pub fn steps(&self) -> usize {
        self.epochs * EPOCH
    }

    pub fn dataset(&self) -> String {
        match &self.data_dir {
            Some(folder) => folder.display().to_string(),
            None => "Gaussian mixture, 4 classes in 20 dimensions".into(),
        }
    }

    /// All runs; those that differ in the seed alone stand together.
    pub fn jobs(&self) -> Vec<Job> {
        let first = self.seeds[0];
        let job = |method: &str, alpha: f64, noise: f64, num_train: usize, seed: u64| Job {
            method: method.into(),
            alpha,
            noise,
            num_train,
            seed,
        };
        let usual = 0.1f64.sqrt();
        let row = |noise| self.seeds.iter().map(move |&seed| job("sgld", usual, noise, 4000, seed));
        let noises: &[f64] = if self.quick { &[0.0, 0.4] } else { &[0.0, 0.2, 0.4, 0.6] };
        let mut jobs: Vec<Job> = noises.iter().flat_map(|&noise| row(noise)).collect();
        if self.data_dir.is_some() {
            return jobs;
        }
        if !self.quick {
            jobs.extend([1000, 16_000].map(|size| job("sgld", usual, 0.2, size, first)));
            jobs.extend([1.0, 0.1].map(|alpha| job("sgld", alpha, 0.2, 4000, first)));
            jobs.extend([1.0, usual, 0.1, 0.01].map(|a| job("sign", a, 0.2, 4000, first)));
            jobs.push(job("ternary", 0.1, 0.2, 4000, first));
        }
        jobs.push(job("sign", 1e-4, 0.2, 4000, first));
        jobs
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub method: String,
    pub alpha: f64,
    pub noise: f64,
    pub num_train: usize,
    pub seed: u64,
}

impl Job {
    pub fn name(&self) -> String {
        let Self { method, alpha, noise, num_train, seed } = self;
        format!("{method}-alpha{alpha:.4}-noise{noise}-n{num_train}-seed{seed}")
    }

    pub fn without_seed(&self) -> Self {
        Self { seed: 0, ..self.clone() }
    }

    /// A row of the table over the noise.
    pub fn is_row(&self) -> bool {
        self.alpha == 0.1f64.sqrt() && self.num_train == 4000
    }

    /// One of the runs that differ in `n`.
    pub fn is_size(&self) -> bool {
        self.method == "sgld" && self.alpha == 0.1f64.sqrt() && self.noise == 0.2
    }

    fn optimizer(&self) -> EfldConfig {
        let config = match self.method.as_str() {
            "sgld" => EfldConfig::sgld(),
            "sign" => EfldConfig::sign_sgd(),
            _ => EfldConfig::quantized_sgd(FiniteLevels::ternary(1.0)),
        };
        config
            .with_scale(Some(NoiseScale::Alpha(Schedule::Constant(self.alpha))))
            .with_seed(self.seed)
    }

    fn learning_rate(&self, step: u64) -> f64 {
        match self.method.as_str() {
            "sgld" => Schedule::StepDecay { initial: 0.1, factor: 0.96, every: 20 }.at(step),
            _ => 0.01,
        }
    }
}

/// What a run gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub job: Job,
    pub train_error: f64,
    pub test_error: f64,
    /// Share of the coordinates with a gradient above 1e-3 that stepped along its sign.
    pub follows_sign: Option<f64>,
    pub report: GeneralizationReport,
}

impl Outcome {
    /// The paper's bound, whether or not its condition held.
    pub fn bound(&self) -> f64 {
        self.report.paper().unwrap_or(f64::NAN)
    }

    pub fn last_discrepancy(&self) -> f64 {
        self.report.measurements().last().map_or(f64::NAN, |last| last.discrepancy)
    }
}

/// Labeled points of one distribution.
pub struct Points {
    pub inputs: Tensor<2>,
    pub labels: Vec<usize>,
}

impl Points {
    fn new(set: &dyn LabeledSamples, rows: &[usize], scale: f32, device: &Device) -> Self {
        let values: Vec<f32> = rows.iter().flat_map(|&row| set.sample(row)).collect();
        let dim = set.sample_shape().iter().product::<usize>();
        let values: Vec<f32> = values.into_iter().map(|value| value * scale).collect();
        Self {
            inputs: Tensor::from_data(TensorData::new(values, [rows.len(), dim]), device),
            labels: rows.iter().map(|&row| set.labels()[row]).collect(),
        }
    }

    /// Replaces each label by a random one with probability `noise`.
    fn noisy(mut self, noise: f64, classes: usize, seed: u64) -> Result<Self> {
        // The random one may be the right one.
        let rate = noise * (classes - 1) as f64 / classes as f64;
        self.labels = LabelNoise::Symmetric { rate }.apply(&self.labels, classes, seed)?.given;
        Ok(self)
    }

    pub fn rows(&self, rows: &[usize]) -> (Tensor<2>, Tensor<1, Int>) {
        let device = self.inputs.device();
        let integers = |values: Vec<i64>| {
            let len = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [len]), &device)
        };
        let inputs =
            self.inputs.clone().select(0, integers(rows.iter().map(|&i| i as i64).collect()));
        (inputs, integers(rows.iter().map(|&i| self.labels[i] as i64).collect()))
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }
}

/// Training examples, fresh ones and test examples, with one process of label noise.
struct Data {
    train: Points,
    fresh: Points,
    test: Points,
    classes: usize,
}

fn data(settings: &Settings, job: &Job, device: &Device) -> Result<Data> {
    let Job { num_train, noise, seed, .. } = *job;
    let (train, fresh, test, classes) = match &settings.data_dir {
        None => {
            let (train, rest) = GaussianMixtureConfig::default()
                .with_dim(20)
                .with_num_classes(4)
                .with_center_norm(4.0)
                .with_center_seed(Some(0))
                .with_num_train(num_train)
                .with_num_test(2 * HELD_OUT)
                .generate(seed);
            let range = |rows: std::ops::Range<usize>| rows.collect::<Vec<_>>();
            let scale = 1.0 / 20f32.sqrt();
            let points = |set, rows| Points::new(set, &range(rows), scale, device);
            let (fresh, test) = (0..HELD_OUT, HELD_OUT..2 * HELD_OUT);
            (points(&train, 0..num_train), points(&rest, fresh), points(&rest, test), 4)
        }
        Some(folder) => {
            let all = idx::load(folder, Part::Train, &IdxOptions::default())?;
            let test = idx::load(folder, Part::Test, &IdxOptions::default())?;
            let order = permutation(all.len(), seed, 0);
            let fresh = order.get(num_train..).context("--data-dir: 4,000 training examples")?;
            let fresh = &fresh[..fresh.len().min(HELD_OUT)];
            let tested: Vec<usize> = (0..test.len().min(HELD_OUT)).collect();
            let points = |set, rows| Points::new(set, rows, 1.0, device);
            let train = points(&all, &order[..num_train]);
            (train, points(&all, fresh), points(&test, &tested), all.num_classes())
        }
    };
    let seeds = [seed, seed ^ (1 << 32), seed ^ (2 << 32)];
    Ok(Data {
        train: train.noisy(noise, classes, seeds[0])?,
        fresh: fresh.noisy(noise, classes, seeds[1])?,
        test: test.noisy(noise, classes, seeds[2])?,
        classes,
    })
}

/// Trains, measures, and writes what was measured.
pub fn run(
    run: &Run,
    settings: &Settings,
    job: &Job,
    folder: &str,
    device: &Device,
    progress: &Progress,
) -> Result<Outcome> {
    progress.begin(&job.name(), 0);
    let data = data(settings, job, device)?;
    let dim = data.train.inputs.dims()[1];
    let mut network = Network::new([dim, 32, data.classes], job.seed, &device.clone().autodiff());
    let config = job.optimizer();
    let mut optimizer = config.init();
    let mut monitor = monitor(settings, job, &config.family)?;
    let mut follows = (0usize, 0usize);
    for step in 1..=settings.steps() as u64 {
        let lr = job.learning_rate(step);
        if monitor.advance(config.alpha(step, lr))? {
            measure(&mut monitor, &network, &data)?;
        }
        let mut batches = ChaCha8Rng::seed_from_u64(job.seed);
        batches.set_stream(step);
        let (inputs, labels) =
            data.train.rows(&sample(&mut batches, job.num_train, BATCH).into_vec());
        let gradients = network.gradients(inputs, labels);
        let before = (job.alpha <= 1e-4).then(|| network.flat(&gradients));
        network.model = optimizer.step(lr, network.model, gradients);
        if let Some((gradient, parameters)) = before {
            let steps = parameters.iter().zip(network.parameters());
            for (g, (before, after)) in gradient.iter().zip(steps).filter(|(g, _)| g.abs() > 1e-3) {
                follows.0 += usize::from((before - after > 0.0) == (*g > 0.0));
                follows.1 += 1;
            }
        }
        if (step as usize).is_multiple_of(EPOCH) {
            progress.skip(1);
        }
    }
    let outcome = Outcome {
        job: job.clone(),
        train_error: network.error(&data.train),
        test_error: network.error(&data.test),
        follows_sign: (follows.1 > 0).then(|| follows.0 as f64 / follows.1 as f64),
        report: monitor.report()?,
    };
    if let Some(path) = run.path(&format!("{folder}/measurements.csv")) {
        write_atomically(&path, |path| {
            Ok(outcome.report.write_csv(std::fs::File::create(path)?)?)
        })?;
    }
    run.write_json(&format!("{folder}/outcome.json"), &outcome)?;
    Ok(outcome)
}

fn monitor(
    settings: &Settings,
    job: &Job,
    family: &ExponentialFamily,
) -> Result<GeneralizationMonitor> {
    // Largest distances and the divergence need the gradients, which are small for the mixture.
    let small = settings.data_dir.is_none();
    let config = GeneralizationMonitorConfig::new(job.num_train, BATCH)
        .with_family(family.clone())
        .with_seed(job.seed)
        .with_keep_vectors(small)
        .with_divergence_draws(if small { 10 } else { 0 });
    Ok(config.init()?)
}

/// Gradients of 200 training and 200 fresh examples before the step.
fn measure(monitor: &mut GeneralizationMonitor, network: &Network, data: &Data) -> Result<()> {
    let mut pools = monitor.pools();
    for row in network::rows(&network.model, data.train.rows(&monitor.train_indices())) {
        pools.push_train(&row)?;
    }
    let fresh = monitor.fresh_indices(data.fresh.len())?;
    for row in network::rows(&network.model, data.fresh.rows(&fresh)) {
        pools.push_fresh(&row)?;
    }
    Ok(monitor.measure(pools)?)
}
