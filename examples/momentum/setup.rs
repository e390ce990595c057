//! Data, network and settings of the experiment, and its pictures.

use anyhow::Result;
use burn::optim::{AdamConfig, ModuleOptimizer};
use burn::tensor::Device;
use clap::Parser;
use firebrick::datasets::SignalPatchesConfig;
use firebrick::models::patch_network::PatchNetworkConfig;
use firebrick::momentum::{DescentConfig, DescentReport, MomentumStudy, PatchFilters, TracePoint};
use firebrick::optimizers::averaged_momentum::AveragedMomentumConfig;
use firebrick_harness::args::CommonArgs;
use serde::{Deserialize, Serialize};

/// How momentum improves generalization: gradient descent with and without it
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,
    /// Step size of both algorithms
    #[arg(long, default_value_t = 0.5)]
    step_size: f64,
    /// Largest number of steps
    #[arg(long, default_value_t = 3000)]
    steps: usize,
    /// Loss below which a run stops; 0: never
    #[arg(long, default_value_t = 5e-3)]
    tolerance: f64,
    /// Weight of the penalty on the filters
    #[arg(long, default_value_t = 0.0)]
    penalty: f64,
    /// Examples in a step [default: all]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Standard deviation of the noise patches
    #[arg(long, default_value_t = 0.2)]
    noise_std: f64,
    /// Share of small-margin examples
    #[arg(long, default_value_t = 0.1)]
    small_fraction: f64,
    /// Patches of an example
    #[arg(long, default_value_t = 2)]
    patches: usize,
    /// Filters of the network
    #[arg(long, default_value_t = 5)]
    filters: usize,
    /// Power that is the activation, odd
    #[arg(long, default_value_t = 3)]
    power: usize,
    /// Standard deviation of the filters at the start
    #[arg(long, default_value_t = 0.1)]
    init_std: f64,
}

/// Everything that the numbers of a run depend on.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    pub seeds: Vec<u64>,
    pub devices: Vec<String>,
    data: SignalPatchesConfig,
    network: PatchNetworkConfig,
    descent: DescentConfig,
}

/// The end of a run.
#[derive(Clone, Serialize)]
pub struct Outcome {
    pub momentum: f64,
    pub end: TracePoint,
}

impl Settings {
    pub fn from_args(args: &Args) -> Self {
        let data = SignalPatchesConfig::default()
            .with_noise_std(args.noise_std)
            .with_small_fraction(args.small_fraction)
            .with_num_patches(args.patches);
        Self {
            seeds: args.common.seeds(10, 2),
            devices: args.common.device_names(),
            network: PatchNetworkConfig::new(data.dim, args.filters)
                .with_power(args.power)
                .with_init_std(args.init_std),
            data,
            descent: DescentConfig::new(args.step_size)
                .with_max_steps(args.steps)
                .with_tolerance(args.tolerance)
                .with_penalty(args.penalty)
                .with_batch_size(args.batch_size),
        }
    }

    /// Data and start of a seed.
    pub fn study(&self, seed: u64) -> Result<MomentumStudy> {
        Self::study_on(&self.data, &self.network, seed)
    }

    /// The same with as large a margin for every example.
    pub fn control(&self, seed: u64) -> Result<MomentumStudy> {
        let margin = self.data.large_margin;
        Self::study_on(&self.data.clone().with_margins(margin, margin), &self.network, seed)
    }

    fn study_on(
        data: &SignalPatchesConfig,
        network: &PatchNetworkConfig,
        seed: u64,
    ) -> Result<MomentumStudy> {
        let (train, test) = data.generate(seed)?;
        let start = PatchFilters::init(&network.clone().with_seed(seed));
        Ok(MomentumStudy::new(train, test, start)?)
    }

    /// One run for each momentum. Only the end counts, so the trace is sparse, unless batches need
    /// it for their stop.
    pub fn ends(&self, study: &MomentumStudy, momenta: &[f64]) -> Result<Vec<Outcome>> {
        let every = if self.descent.batch_size.is_some() { 10 } else { 1000 };
        let sweep = study.sweep(&self.descent.clone().with_every(every), momenta)?;
        let outcome = |momentum, report: DescentReport| Outcome { momentum, end: report.end };
        Ok(sweep.into_iter().map(|point| outcome(point.momentum, point.report)).collect())
    }

    /// Traces of 400 steps without and with momentum.
    pub fn traces(&self, study: &MomentumStudy) -> Result<[DescentReport; 2]> {
        let config = self.descent.clone().with_tolerance(0.0).with_max_steps(400).with_every(2);
        Ok([study.run(&config)?, study.run(&config.with_momentum(0.99))?])
    }

    /// The largest difference between the filters of the host and of tensors after 100 steps.
    pub fn device_distance(&self, study: &MomentumStudy, device: &Device) -> Result<f64> {
        let config = self.descent.clone().with_tolerance(0.0).with_max_steps(100);
        let optimizer = AveragedMomentumConfig::new().with_momentum(0.99).init();
        let tensors = study.run_with(&config, optimizer, device)?.filters;
        let host = study.run(&config.with_momentum(0.99))?.filters;
        let pairs = tensors.values().iter().zip(host.values());
        Ok(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max))
    }

    /// Adam from the same start.
    pub fn adam(&self, study: &MomentumStudy, device: &Device) -> Result<Outcome> {
        let adam: ModuleOptimizer = AdamConfig::new().init();
        let config = DescentConfig { step_size: 0.01, ..self.descent.clone() };
        let end = study.run_with(&config, adam, device)?.end;
        Ok(Outcome { momentum: 0.9, end })
    }
}
