//! The equilibrium classifier and its training.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use burn::module::{Module, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use firebrick::models::deq::matrix_family::{DeqInit, MatrixFamily};
use firebrick::models::deq::{Deq, DeqConfig, DeqLayer, DeqLayerConfig, without_autodiff};
use firebrick::ops::fixed_point::{FixedPointConfig, SolveReport, Solver, Status, Stopping};
use firebrick::ops::orthogonal::shuffled;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::setup::{Job, Part, Settings};

/// What a training gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub job: Job,
    /// Test accuracy; 0 if a state, gradient or loss became infinite or undefined.
    pub accuracy: f64,
    pub finite: bool,
    /// Fraction of test samples whose equilibrium is found, before and after training.
    pub converged_before: f64,
    pub converged: f64,
    /// Means over the training's solves.
    pub forward_steps: f64,
    pub backward_steps: f64,
}

impl Outcome {
    fn new(job: &Job, converged_before: f64) -> Self {
        Self {
            job: job.clone(),
            accuracy: 0.0,
            finite: false,
            converged_before,
            converged: 0.0,
            forward_steps: 0.0,
            backward_steps: 0.0,
        }
    }

    pub fn good(&self, accuracy: f64) -> bool {
        self.finite && self.accuracy > accuracy
    }
}

/// `z = phi(z W^T + x U^T + b)` with a linear read-out.
#[derive(Module, Debug)]
struct Network {
    layer: DeqLayer,
    readout: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Network {
    fn new(job: &Job, settings: &Settings, device: &Device) -> Self {
        let width = settings.width;
        let seed = |part: u64| job.seed.wrapping_mul(3).wrapping_add(part);
        let weight =
            DeqInit::new(job.family.clone(), job.scale).with_normalization(settings.normalization);
        let layer = DeqLayerConfig::new(64, width)
            .with_activation(job.activation)
            .with_seed(Some(seed(1)))
            .init(device)
            .with_recurrent(&weight, seed(0));
        let readout = DeqInit::new(MatrixFamily::Gaussian, 1.0);
        Self {
            layer,
            readout: Param::from_tensor(readout.init_rectangular([10, width], seed(2), device)),
            bias: Param::from_tensor(Tensor::zeros([10], device)),
        }
    }

    fn logits(&self, state: Tensor<2>) -> Tensor<2> {
        state.matmul(self.readout.val().transpose()) + self.bias.val().unsqueeze()
    }

    /// Test accuracy and the fraction of equilibria that are found; none if a logit is not finite.
    fn test(&self, deq: &Deq, part: &Part) -> Option<(f64, f64)> {
        let network = without_autodiff(self);
        let found = network.layer.forward(deq, part.inputs.clone());
        let logits = network.logits(found.state);
        if !logits.clone().abs().sum().into_scalar::<f64>().is_finite() {
            return None;
        }
        let guesses = logits.argmax(1).flatten::<1>(0, 1);
        let hits = guesses.equal(part.labels.clone()).int().sum().into_scalar::<i64>() as f64;
        let converged = found.report.converged;
        let count = converged.iter().filter(|&&converged| converged).count() as f64;
        Some((hits / part.count as f64, count / part.count as f64))
    }
}

/// Plain iteration both ways, judged by the largest residual of the batch. As it is plain, its last
/// state counts; the one of least residual would keep a diverging backward pass at its first, small
/// iterates.
fn block(settings: &Settings) -> Deq {
    let stopping = Stopping::new()
        .with_max_steps(settings.max_steps)
        .with_tolerance(settings.tolerance)
        .with_freeze_converged(false)
        .with_return_last(!settings.best_iterate);
    let solver = Solver::from(FixedPointConfig::new().with_stopping(stopping));
    DeqConfig::new().with_forward(solver.clone()).with_backward(solver).init()
}

/// The step at which all samples were below the tolerance, or all steps.
fn steps_of(report: &SolveReport, settings: &Settings) -> f64 {
    let found = report.history.iter().position(|&residual| residual < settings.tolerance);
    let steps = match report.status {
        Status::Diverged => None,
        _ => found.map(|at| at + 1),
    };
    steps.unwrap_or(settings.max_steps) as f64
}

/// Trains once with SGD and momentum.
fn train(job: &Job, settings: &Settings, train: &Part, test: &Part, device: &Device) -> Outcome {
    let deq = block(settings);
    let mut network = Network::new(job, settings, device);
    let mut outcome = Outcome::new(job, network.test(&deq, test).map_or(0.0, |found| found.1));
    let momentum = MomentumConfig::new().with_momentum(settings.momentum).with_dampening(0.0);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let cross_entropy = CrossEntropyLossConfig::new().init(device);
    let mut steps = 0;
    for epoch in 0..settings.epochs {
        let mut rng = ChaCha8Rng::seed_from_u64(job.seed);
        rng.set_stream(epoch as u64);
        for places in shuffled(train.count, &mut rng).chunks_exact(settings.batch) {
            let batch = train.select(places);
            let found = network.layer.forward(&deq, batch.inputs);
            let loss = cross_entropy.forward(network.logits(found.state), batch.labels);
            if !loss.clone().inner().into_scalar::<f64>().is_finite() {
                return outcome;
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            let backward = found.backward.last();
            // The solvers hold samples back whose states overflow; here such a training is lost.
            let overflows = |report: &SolveReport| report.status == Status::Diverged;
            if overflows(&found.report) || backward.as_ref().is_some_and(overflows) {
                return outcome;
            }
            network = optimizer.step(settings.lr, network, gradients);
            steps += 1;
            let share = 1.0 / steps as f64;
            let forward = steps_of(&found.report, settings);
            outcome.forward_steps += share * (forward - outcome.forward_steps);
            if let Some(backward) = backward {
                let backward = steps_of(&backward, settings);
                outcome.backward_steps += share * (backward - outcome.backward_steps);
            }
        }
    }
    if let Some((accuracy, converged)) = network.test(&deq, test) {
        (outcome.accuracy, outcome.converged, outcome.finite) = (accuracy, converged, true);
    }
    outcome
}

/// Trains all jobs on some threads, the outcomes in the order of the jobs. What is already there is not
/// run again; the device's file `outcomes-*.json` grows with every training, for `--resume`.
pub fn train_all(
    run: &Run,
    device: &str,
    settings: &Settings,
    jobs: &[Job],
    (first, test): &(Part, Part),
    threads: usize,
    progress: &Progress,
) -> Result<Vec<Outcome>> {
    let file = format!("outcomes-{device}.json");
    let file = file.as_str();
    let known: Vec<Outcome> = run.read_json(file)?.unwrap_or_default();
    progress.skip(known.len());
    let find = |outcomes: &[Outcome], job: &Job| outcomes.iter().find(|o| o.job == *job).cloned();
    let open: Vec<&Job> = jobs.iter().filter(|job| find(&known, job).is_none()).collect();
    let (next, all) = (AtomicUsize::new(0), Mutex::new((known, Ok(()))));
    let autodiff = first.inputs.device().autodiff();
    let work = || {
        while let Some(job) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = train(job, settings, first, test, &autodiff);
            let mut all = all.lock().expect("no thread panics while it holds the list");
            all.0.push(outcome);
            if all.1.is_ok() {
                all.1 = run.write_json(file, &all.0);
            }
            progress.skip(1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let (outcomes, written) = all.into_inner().expect("no thread panics while it holds the list");
    written?;
    let ordered = jobs.iter().filter_map(|job| find(&outcomes, job));
    Ok(ordered.collect())
}
