//! Runs from one start on one data set, with and without momentum.

use burn::config::Config;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use firebrick_datasets::{LabeledSamples, Margin, SignalPatches, permutation};
use firebrick_ops::iteration::Status;
use serde::Serialize;

use super::trainer::{HostTrainer, TensorTrainer, Trainer};
use super::{DescentReport, MomentumError, PatchFilters, TracePoint};

/// The norm of the filters above which a run counts as diverged: odd powers grow without bound once
/// a step overshoots.
const DIVERGED_NORM: f64 = 1e3;

/// Settings of one run.
///
/// ```text
/// g <- gamma g + (1 - gamma) G(W),   W <- W - eta g,   g = 0 at the start
/// ```
///
/// | field | default | symbol | meaning |
/// |---|---|---|---|
/// | `step_size` | | eta | positive |
/// | `momentum` | 0 | gamma | weight of the past, in [0, 1); 0 is gradient descent |
/// | `penalty` | 0 | lambda | weight of `1/2 \|W\|^2` in the loss |
/// | `tolerance` | 5e-3 | tol | the run stops when the loss is below it; 0: never |
/// | `max_steps` | 3000 | T | the run stops after so many steps |
/// | `every` | 10 | | steps from one point of the trace to the next |
/// | `batch_size` | all | | examples in a step |
/// | `seed` | 0 | | order of the examples, with batches |
#[derive(Config, Debug)]
pub struct DescentConfig {
    /// The step size `eta`.
    pub step_size: f64,
    /// The weight `gamma` of the past gradients in their average.
    #[config(default = 0.0)]
    pub momentum: f64,
    /// The weight `lambda` of the penalty.
    #[config(default = 0.0)]
    pub penalty: f64,
    /// The loss, with penalty, below which the run stops.
    #[config(default = 5e-3)]
    pub tolerance: f64,
    /// The largest number of steps.
    #[config(default = 3000)]
    pub max_steps: usize,
    /// The number of steps from one point of the trace to the next.
    #[config(default = 10)]
    pub every: usize,
    /// The number of examples in a step; `None` takes all. Each epoch goes through all examples in
    /// a new order, its last batch may be smaller, and the loss for the stop is the whole one,
    /// computed at the points of the trace.
    pub batch_size: Option<usize>,
    /// Seed of the order of the examples.
    #[config(default = 0)]
    pub seed: u64,
}

impl DescentConfig {
    fn check(&self, examples: usize) -> Result<(), MomentumError> {
        let rules = [
            ("step size", self.step_size, self.step_size > 0.0, "a finite number above 0"),
            (
                "momentum",
                self.momentum,
                (0.0..1.0).contains(&self.momentum),
                "a number of at least 0 and below 1",
            ),
            ("penalty", self.penalty, self.penalty >= 0.0, "a finite number of at least 0"),
            ("tolerance", self.tolerance, self.tolerance >= 0.0, "a finite number of at least 0"),
        ];
        for (what, found, holds, expected) in rules {
            if !holds || !found.is_finite() {
                return Err(MomentumError::new(what, expected, found));
            }
        }
        if self.every == 0 {
            return Err(MomentumError::new("every", "at least 1 step", 0));
        }
        match self.batch_size {
            Some(size) if size == 0 || size > examples => {
                Err(MomentumError::new("batch size", format!("from 1 to {examples}"), size))
            }
            _ => Ok(()),
        }
    }
}

/// One run of [`MomentumStudy::sweep`].
#[derive(Clone, Debug, Serialize)]
pub struct SweepPoint {
    /// The weight of the past.
    pub momentum: f64,
    /// What came out.
    pub report: DescentReport,
}

/// The data and the start that all runs share.
///
/// # Example
/// ```
/// use firebrick::datasets::SignalPatchesConfig;
/// use firebrick::models::patch_network::PatchNetworkConfig;
/// use firebrick::momentum::{DescentConfig, MomentumStudy, PatchFilters};
/// use firebrick::ops::iteration::Status;
///
/// let data = SignalPatchesConfig::default().with_num_train(20).with_num_test(100).with_dim(10);
/// let (train, test) = data.generate(0)?;
/// let start = PatchFilters::init(&PatchNetworkConfig::new(10, 4));
/// let study = MomentumStudy::new(train, test, start)?;
///
/// let wild = study.run(&DescentConfig::new(1e4))?;
/// assert_eq!(wild.status, Status::Diverged);
/// println!("diverged after {} steps", wild.end.step);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MomentumStudy {
    train: SignalPatches,
    test: SignalPatches,
    start: PatchFilters,
}

impl MomentumStudy {
    /// Takes data and the filters to start from.
    ///
    /// # Errors
    /// [`MomentumError`] if patches and filters differ in length.
    pub fn new(
        train: SignalPatches,
        test: SignalPatches,
        start: PatchFilters,
    ) -> Result<Self, MomentumError> {
        for (what, set) in [("training patches", &train), ("test patches", &test)] {
            if set.dim() != start.dim() {
                let expected = format!("the length of the filters, {}", start.dim());
                return Err(MomentumError::new(what, expected, set.dim()));
            }
        }
        Ok(Self { train, test, start })
    }

    /// The training set.
    pub fn train(&self) -> &SignalPatches {
        &self.train
    }

    /// The test set.
    pub fn test(&self) -> &SignalPatches {
        &self.test
    }

    /// The filters that every run starts from.
    pub fn start(&self) -> &PatchFilters {
        &self.start
    }

    /// Runs gradient descent, with momentum if the settings have it, in 64 bits on the host.
    ///
    /// Divergence is a result: the status and the step of the end tell.
    ///
    /// # Errors
    /// [`MomentumError`] for a setting outside its range, see the table of [`DescentConfig`].
    pub fn run(&self, config: &DescentConfig) -> Result<DescentReport, MomentumError> {
        config.check(self.train.len())?;
        let trainer = HostTrainer::new(&self.train, config, &self.start);
        Ok(self.drive(config, trainer))
    }

    /// Trains the same network from the same start with a Burn optimizer, on `device` in its
    /// default float type.
    ///
    /// The step size goes to the optimizer, and the penalty into the loss. The loss is read from
    /// the device at the points of the trace only, so the run stops or diverges at one of them.
    ///
    /// # Errors
    /// As [`run`](Self::run), or if the settings have momentum, because the optimizer brings its
    /// own.
    ///
    /// # Example
    /// ```
    /// use burn::optim::AdamConfig;
    /// use burn::tensor::Device;
    /// use firebrick::datasets::SignalPatchesConfig;
    /// use firebrick::models::patch_network::PatchNetworkConfig;
    /// use firebrick::momentum::{DescentConfig, MomentumStudy, PatchFilters};
    ///
    /// let (train, test) = SignalPatchesConfig::default().with_num_test(100).generate(0)?;
    /// let start = PatchFilters::init(&PatchNetworkConfig::new(100, 5));
    /// let study = MomentumStudy::new(train, test, start)?;
    /// let adam = AdamConfig::new().init();
    /// let report = study.run_with(&DescentConfig::new(1e-2), adam, &Device::flex())?;
    /// assert_eq!(report.end.train.total, 0.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_with(
        &self,
        config: &DescentConfig,
        optimizer: ModuleOptimizer,
        device: &Device,
    ) -> Result<DescentReport, MomentumError> {
        config.check(self.train.len())?;
        if config.momentum != 0.0 {
            let expected = "0, because the optimizer brings its own";
            return Err(MomentumError::new("momentum", expected, config.momentum));
        }
        let trainer = TensorTrainer::new(&self.train, config, &self.start, optimizer, device);
        Ok(self.drive(config, trainer))
    }

    /// Runs the same settings with each of several momenta, on the host.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn sweep(
        &self,
        config: &DescentConfig,
        momenta: &[f64],
    ) -> Result<Vec<SweepPoint>, MomentumError> {
        let point = |&momentum| {
            let report = self.run(&config.clone().with_momentum(momentum))?;
            Ok(SweepPoint { momentum, report })
        };
        momenta.iter().map(point).collect()
    }

    fn drive(&self, config: &DescentConfig, mut trainer: impl Trainer) -> DescentReport {
        let mut batches = Batches::new(config, self.train.len());
        let mut trace = Vec::new();
        for step in 0.. {
            let marked = step % config.every == 0 || step == config.max_steps;
            let batch = batches.at(step);
            let of_batch = trainer.evaluate(batch, marked);
            let filters = marked.then(|| trainer.filters());
            let loss = match (&filters, batch) {
                (Some(filters), Some(_)) => Some(filters.loss(&self.train, config.penalty)),
                (None, Some(_)) => None,
                (_, None) => of_batch,
            };
            let norm = filters.as_ref().map(PatchFilters::norm).or_else(|| trainer.norm());
            let status = match (loss, norm) {
                (Some(loss), _) if !loss.is_finite() => Some(Status::Diverged),
                (_, Some(norm)) if norm.is_nan() || norm > DIVERGED_NORM => Some(Status::Diverged),
                (Some(loss), _) if loss < config.tolerance => Some(Status::Converged),
                _ if step == config.max_steps => Some(Status::MaxSteps),
                _ => None,
            };
            if marked || status.is_some() {
                let filters = filters.unwrap_or_else(|| trainer.filters());
                let loss = loss.unwrap_or_else(|| filters.loss(&self.train, config.penalty));
                let point = self.point(step, loss, &filters);
                trace.push(point.clone());
                if let Some(status) = status {
                    return DescentReport { status, end: point, trace, filters };
                }
            }
            trainer.advance();
        }
        unreachable!("the loop returns after `max_steps` at the latest")
    }

    fn point(&self, step: usize, loss: f64, filters: &PatchFilters) -> TracePoint {
        TracePoint {
            step,
            loss,
            signals: filters.signals(self.train.feature()),
            noise_small: filters.largest_noise(&self.train, Margin::Small),
            noise_large: filters.largest_noise(&self.train, Margin::Large),
            train: filters.error_rates(&self.train),
            test: filters.error_rates(&self.test),
        }
    }
}

/// The examples of each step.
struct Batches {
    len: usize,
    size: Option<usize>,
    seed: u64,
    order: Vec<usize>,
}

impl Batches {
    fn new(config: &DescentConfig, len: usize) -> Self {
        Self { len, size: config.batch_size, seed: config.seed, order: Vec::new() }
    }

    /// `None` for all examples. Steps are asked for in rising order.
    fn at(&mut self, step: usize) -> Option<&[usize]> {
        let size = self.size?;
        let per_epoch = self.len.div_ceil(size);
        let (epoch, batch) = (step / per_epoch, step % per_epoch);
        if batch == 0 {
            self.order = permutation(self.len, self.seed, epoch as u64);
        }
        self.order.chunks(size).nth(batch)
    }
}
