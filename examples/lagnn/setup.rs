//! Data, networks and settings of the experiment.

use std::path::PathBuf;

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::Parser;
use firebrick::datasets::graph::{CitationNetworkConfig, GraphData, planetoid};
use firebrick::graph::local_augmentation::{
    AugmentationData, GeneratorTrainingConfig, NodeReport, NodeTrainingConfig, ScoringConfig,
    Source,
};
use firebrick::models::graph::local_augmentation::{
    AugmentedGcnConfig, LocalAugmenter, LocalAugmenterConfig, NeighborCvaeConfig,
};
use firebrick_harness::args::CommonArgs;
use serde::{Deserialize, Serialize};

/// Local augmentation of graph networks: four arms side by side
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,
    /// Name of the data set in --data-dir; without a folder the graph is generated
    #[arg(long, default_value = "cora")]
    dataset: String,
    /// The published schedule: 2000 epochs, fresh matrices, generator chosen by score; hours
    #[arg(long)]
    full: bool,
    /// Matrices drawn once and then sampled; 0: fresh ones at every step [default: 12, full: 0]
    #[arg(long)]
    pool: Option<usize>,
    /// Generated matrices beside the real one
    #[arg(long, default_value_t = 1)]
    generated: usize,
    /// Predictions per step under the consistency loss
    #[arg(long, default_value_t = 4)]
    samples: usize,
    /// Weight of the consistency loss
    #[arg(long, default_value_t = 1.0)]
    consistency: f64,
    /// Its temperature
    #[arg(long, default_value_t = 0.5)]
    temperature: f64,
    /// Width of each branch of the augmented networks
    #[arg(long, default_value_t = 8)]
    hidden: usize,
    /// Epochs of the generator [default: 10, quick: 4]
    #[arg(long)]
    generator_epochs: Option<usize>,
    /// Number of seeds of the backbone [default: twice the others, at least 10]
    #[arg(long)]
    plain_seeds: Option<usize>,
}

/// Everything that the numbers of a run depend on.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    pub seeds: Vec<u64>,
    pub plain_seeds: Vec<u64>,
    pub devices: Vec<String>,
    pub classes: usize,
    dataset: String,
    generated_graph: bool,
    full: bool,
    pool: Option<usize>,
    generated: usize,
    samples: usize,
    consistency: f64,
    temperature: f64,
    hidden: usize,
    epochs: usize,
    generator_epochs: usize,
}

impl Settings {
    pub fn from_args(args: &Args) -> Result<Self> {
        let common = &args.common;
        let seeds = common.seeds(5, 1);
        let many = if common.quick { 1 } else { (2 * seeds.len()).max(10) };
        let many = args.plain_seeds.unwrap_or(many).max(seeds.len()) as u64;
        let pool = args.pool.unwrap_or(if args.full { 0 } else { 12 });
        let mut settings = Self {
            plain_seeds: (0..many).map(|index| common.seed.wrapping_add(index)).collect(),
            seeds,
            devices: common.device_names(),
            classes: 0,
            dataset: args.dataset.clone(),
            generated_graph: common.data_dir().is_none(),
            full: args.full,
            pool: (pool > 0).then_some(pool),
            generated: args.generated,
            samples: args.samples,
            consistency: args.consistency,
            temperature: args.temperature,
            hidden: args.hidden,
            epochs: common.epochs(if args.full { 2000 } else { 400 }, 60),
            generator_epochs: args.generator_epochs.unwrap_or(if common.quick { 4 } else { 10 }),
        };
        settings.classes = settings.load(common.data_dir())?.num_classes();
        Ok(settings)
    }

    pub fn load(&self, folder: Option<PathBuf>) -> Result<GraphData> {
        if self.generated_graph {
            return Ok(CitationNetworkConfig::small().generate(0));
        }
        let folder = folder.context("--data-dir: this run was started with a folder of data")?;
        Ok(planetoid::load(folder, &self.dataset)?.complete()?)
    }

    pub fn trainings(&self) -> usize {
        self.plain_seeds.len() + 3 * self.seeds.len()
    }

    pub fn plain(&self, data: &AugmentationData, device: &Device, seed: u64) -> Result<NodeReport> {
        let network = AugmentedGcnConfig::plain(data.num_features(), data.num_classes());
        let training =
            NodeTrainingConfig::plain().with_seed(seed).with_epochs(self.epochs.min(200));
        let network = network.with_seed(seed).init(device);
        Ok(training.train(network, data, Source::Real, |_| {})?.report)
    }

    /// Without other matrices the branch is as wide as the backbone.
    pub fn augmented(
        &self,
        data: &AugmentationData,
        device: &Device,
        source: Source<'_>,
        seed: u64,
    ) -> Result<NodeReport> {
        let plain = AugmentedGcnConfig::plain(data.num_features(), data.num_classes());
        let network = match source {
            Source::Real => plain,
            _ => plain.with_generated(self.generated).with_hidden(self.hidden),
        };
        let training = NodeTrainingConfig::augmented()
            .with_epochs(self.epochs)
            .with_samples(self.samples)
            .with_consistency(self.consistency)
            .with_temperature(self.temperature)
            .with_seed(seed);
        let network = network.with_seed(seed).init(device);
        Ok(training.train(network, data, source, |_| {})?.report)
    }

    pub fn copies(&self) -> Source<'static> {
        Source::Copies(self.generated)
    }

    pub fn generated<'a>(&self, augmenter: &'a LocalAugmenter) -> Source<'a> {
        Source::Generated { augmenter, count: self.generated }
    }

    pub fn cvae(&self, data: &AugmentationData, seed: u64) -> NeighborCvaeConfig {
        NeighborCvaeConfig::new(data.num_features()).with_seed(seed)
    }

    pub fn generator_training(&self, seed: u64) -> GeneratorTrainingConfig {
        GeneratorTrainingConfig::new()
            .with_epochs(self.generator_epochs)
            .with_scoring(self.full.then(ScoringConfig::new))
            .with_seed(seed)
    }

    pub fn augmenter(&self, seed: u64) -> LocalAugmenterConfig {
        LocalAugmenterConfig::new().with_pool(self.pool).with_seed(seed)
    }
}
