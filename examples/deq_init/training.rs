//! The equilibrium classifier and its training.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use firebrick::burn::tensor::activation::{relu, softmax};
use firebrick::burn::tensor::{Device, Tensor};
use firebrick::models::deq::matrix_family::{DeqInit, MatrixFamily};
use firebrick::ops::fixed_point::{FixedPointConfig, SolveReport, Solver, Stopping};
use firebrick::ops::one_hot::one_hot;
use firebrick::ops::orthogonal::shuffled;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::setup::{Activation, Job, Part, Settings};

/// What a training gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub job: Job,
    /// Test accuracy; 0 if a number became infinite or undefined.
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
    pub fn good(&self, accuracy: f64) -> bool {
        self.finite && self.accuracy > accuracy
    }
}

/// `z = phi(z W^T + x U^T + b)` with a linear read-out.
#[derive(Clone)]
struct Network {
    activation: Activation,
    solver: Solver,
    parameters: [Tensor<2>; 5],
}

impl Network {
    fn new(job: &Job, settings: &Settings, device: &Device) -> Self {
        let width = settings.width;
        let weight =
            DeqInit::new(job.family.clone(), job.scale).with_normalization(settings.normalization);
        let gaussian = DeqInit::new(MatrixFamily::Gaussian, 1.0);
        let seed = |part: u64| job.seed.wrapping_mul(3).wrapping_add(part);
        let stopping = Stopping::new()
            .with_max_steps(settings.max_steps)
            .with_tolerance(settings.tolerance)
            .with_freeze_converged(false);
        Self {
            activation: job.activation,
            solver: Solver::from(FixedPointConfig::new()).with_stopping(stopping),
            parameters: [
                weight.init(width, seed(0), device),
                gaussian.init_rectangular([width, 64], seed(1), device),
                Tensor::zeros([1, width], device),
                gaussian.init_rectangular([10, width], seed(2), device),
                Tensor::zeros([1, 10], device),
            ],
        }
    }

    fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        match self.activation {
            Activation::Tanh => x.tanh(),
            Activation::HardTanh => x.clamp(-1.0, 1.0),
            Activation::Relu => relu(x),
        }
    }

    /// The slope of the activation, from what goes in and what comes out.
    fn slope(&self, before: &Tensor<2>, after: &Tensor<2>) -> Tensor<2> {
        match self.activation {
            Activation::Tanh => -after.clone().square() + 1.0,
            Activation::HardTanh => before.clone().abs().lower_elem(1.0).float(),
            Activation::Relu => before.clone().greater_elem(0.0).float(),
        }
    }

    /// The equilibrium, evaluated once more, with what went into the activation.
    fn solve(&self, inputs: &Tensor<2>) -> (Tensor<2>, Tensor<2>, Tensor<2>, SolveReport) {
        let [weight, injection, bias, ..] = &self.parameters;
        let constant = inputs.clone().matmul(injection.clone().transpose()) + bias.clone();
        let turned = weight.clone().transpose();
        let affine = |z: Tensor<2>| z.matmul(turned.clone()) + constant.clone();
        let start = constant.zeros_like();
        let solution = self.solver.solve(|z| self.apply(affine(z)), start);
        let before = affine(solution.state.clone());
        (solution.state, before.clone(), self.apply(before), solution.report)
    }

    fn logits(&self, state: &Tensor<2>) -> Tensor<2> {
        let [.., readout, bias] = &self.parameters;
        state.clone().matmul(readout.clone().transpose()) + bias.clone()
    }

    /// Gradients of the mean cross entropy by the implicit function theorem, with the reports of the
    /// forward and the backward solve.
    fn gradients(&self, batch: &Part) -> ([Tensor<2>; 5], SolveReport, SolveReport) {
        let (state, before, after, forward) = self.solve(&batch.inputs);
        let probabilities = softmax(self.logits(&after), 1);
        let targets = one_hot(batch.labels.clone(), 10, probabilities.dtype());
        let error = (probabilities - targets) * (1.0 / batch.count as f64);
        let [weight, _, _, readout, _] = &self.parameters;
        let slope = self.slope(&before, &after);
        let product = |g: Tensor<2>| (g * slope.clone()).matmul(weight.clone());
        let adjoint = self.solver.solve_linear(product, error.clone().matmul(readout.clone()));
        let inner = adjoint.state * slope;
        let turned = inner.clone().transpose();
        let gradients = [
            turned.clone().matmul(state),
            turned.matmul(batch.inputs.clone()),
            inner.sum_dim(0),
            error.clone().transpose().matmul(after),
            error.sum_dim(0),
        ];
        (gradients, forward, adjoint.report)
    }

    fn is_finite(&self) -> bool {
        let sum = |tensor: &Tensor<2>| tensor.clone().abs().sum().into_scalar::<f64>();
        self.parameters.iter().all(|parameter| sum(parameter).is_finite())
    }

    /// Test accuracy and the fraction of equilibria that are found.
    fn test(&self, part: &Part) -> (f64, f64) {
        let (_, _, after, report) = self.solve(&part.inputs);
        let guesses = self.logits(&after).argmax(1).flatten::<1>(0, 1);
        let hits = guesses.equal(part.labels.clone()).int().sum().into_scalar::<i64>() as f64;
        let found = report.converged.iter().filter(|&&converged| converged).count() as f64;
        (hits / part.count as f64, found / part.count as f64)
    }
}

/// Trains once with SGD and momentum.
fn train(job: &Job, settings: &Settings, train: &Part, test: &Part) -> Outcome {
    let mut network = Network::new(job, settings, &train.inputs.device());
    let (_, converged_before) = network.test(test);
    let mut velocity = network.parameters.clone().map(|parameter| parameter.zeros_like());
    let (mut forward_steps, mut backward_steps, mut steps) = (0, 0, 0);
    let mut finite = true;
    'training: for epoch in 0..settings.epochs {
        let mut rng = ChaCha8Rng::seed_from_u64(job.seed);
        rng.set_stream(epoch as u64);
        for places in shuffled(train.count, &mut rng).chunks_exact(settings.batch) {
            let (gradients, forward, backward) = network.gradients(&train.select(places));
            (forward_steps, backward_steps) =
                (forward_steps + forward.steps, backward_steps + backward.steps);
            steps += 1;
            for ((parameter, velocity), gradient) in
                network.parameters.iter_mut().zip(&mut velocity).zip(gradients)
            {
                *velocity = velocity.clone() * settings.momentum + gradient;
                *parameter = parameter.clone() - velocity.clone() * settings.lr;
            }
            finite = network.is_finite();
            if !finite {
                break 'training;
            }
        }
    }
    let (accuracy, converged) = if finite { network.test(test) } else { (0.0, 0.0) };
    Outcome {
        job: job.clone(),
        accuracy,
        finite,
        converged_before,
        converged,
        forward_steps: forward_steps as f64 / steps as f64,
        backward_steps: backward_steps as f64 / steps as f64,
    }
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
    let work = || {
        while let Some(job) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = train(job, settings, first, test);
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
