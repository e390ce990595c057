//! The three networks and their training.

use std::time::Instant;

use anyhow::Result;
use burn::module::{Module, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick::data::LabeledDataset;
use firebrick::datasets::{LabeledSamples, digits, stratified_split};
use firebrick::models::deq::matrix_family::{DeqInit, MatrixFamily};
use firebrick::models::deq::{
    Deq, DeqConfig, DeqGradient, DeqLayer, DeqLayerConfig, without_autodiff,
};
use firebrick::ops::fixed_point::{AndersonConfig, FixedPointConfig, GmresConfig, Solver};
use firebrick::ops::orthogonal::shuffled;
use firebrick_harness::progress::Progress;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Everything that the numbers of a run depend on.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    pub device: String,
    pub quick: bool,
    pub seeds: Vec<u64>,
    pub epochs: usize,
    pub width: usize,
    pub lr: f64,
    pub batch: usize,
    /// Recorded steps of the unrolled network.
    pub unrolled_steps: usize,
    pub max_steps: usize,
    pub tolerance: f64,
    /// Family and scale of the recurrent weight.
    pub start: DeqInit,
    /// Allowed steps at which memory is measured.
    pub depths: Vec<usize>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Equilibrium,
    Unrolled,
    Explicit,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Equilibrium, Self::Unrolled, Self::Explicit];

    pub fn name(self) -> &'static str {
        match self {
            Self::Equilibrium => "equilibrium",
            Self::Unrolled => "unrolled",
            Self::Explicit => "explicit",
        }
    }

    /// The block: Anderson and GMRES, recorded steps, or two layers, which are two steps of the same
    /// weights, the first of which starts from zero.
    pub fn block(self, settings: &Settings) -> Deq {
        let limited = |solver: Solver| {
            solver.with_max_steps(settings.max_steps).with_tolerance(settings.tolerance)
        };
        let gradient = match self {
            Self::Equilibrium => DeqGradient::Implicit,
            Self::Unrolled => DeqGradient::Unrolled { steps: settings.unrolled_steps },
            Self::Explicit => DeqGradient::Unrolled { steps: 2 },
        };
        DeqConfig::new()
            .with_forward(limited(AndersonConfig::new().into()))
            .with_backward(limited(GmresConfig::new().into()))
            .with_gradient(gradient)
            .init()
    }
}

/// `z = tanh(z W^T + x U^T + b)` with a linear read-out; the explicit network applies it twice, which
/// is a network of two hidden layers with as many parameters.
#[derive(Module, Debug)]
pub struct Network {
    pub layer: DeqLayer,
    readout: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Network {
    pub fn new(settings: &Settings, seed: u64, device: &Device) -> Self {
        let seed = |part: u64| seed.wrapping_mul(3).wrapping_add(part);
        let layer = DeqLayerConfig::new(64, settings.width)
            .with_seed(Some(seed(1)))
            .init(device)
            .with_recurrent(&settings.start, seed(0));
        let readout = DeqInit::new(MatrixFamily::Gaussian, 1.0);
        let shape = [10, settings.width];
        Self {
            layer,
            readout: Param::from_tensor(readout.init_rectangular(shape, seed(2), device)),
            bias: Param::from_tensor(Tensor::zeros([10], device)),
        }
    }

    pub fn logits(&self, state: Tensor<2>) -> Tensor<2> {
        state.matmul(self.readout.val().transpose()) + self.bias.val().unsqueeze()
    }
}

/// Images in rows, with mean 0 and standard deviation 1 over all pixels, and labels.
pub struct Data {
    inputs: Vec<f32>,
    labels: Vec<i32>,
    parts: Vec<Vec<usize>>,
}

impl Data {
    /// The digits: 1197 for training, 240 for validation, 360 for the test, classes in proportion.
    pub fn new() -> Result<Self> {
        let set = digits();
        let pixels: Vec<f32> = (0..set.len()).flat_map(|at| set.sample(at)).collect();
        let count = pixels.len() as f32;
        let mean = pixels.iter().sum::<f32>() / count;
        let variance = pixels.iter().map(|pixel| (pixel - mean).powi(2)).sum::<f32>() / count;
        let inputs = pixels.iter().map(|pixel| (pixel - mean) / variance.sqrt()).collect();
        let labels = set.labels().iter().map(|&label| label as i32).collect();
        let parts = stratified_split(LabeledDataset::new(set).labels(), 10, &[1197, 240, 360], 0)?;
        Ok(Self { inputs, labels, parts })
    }

    fn tensors(&self, places: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let rows = places.iter().flat_map(|&at| &self.inputs[64 * at..][..64]).copied().collect();
        let labels: Vec<i32> = places.iter().map(|&at| self.labels[at]).collect();
        let count = places.len();
        (
            Tensor::from_data(TensorData::new::<f32, _>(rows, [count, 64]), device),
            Tensor::from_data(TensorData::new(labels, [count]), device),
        )
    }

    /// Inputs and labels for training.
    pub fn batch(&self, size: usize, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        self.tensors(&self.parts[0][..size], device)
    }
}

/// What a training gives.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub kind: Kind,
    pub seed: u64,
    pub validation: f64,
    pub test: f64,
    /// Means over the last epoch.
    pub forward_steps: f64,
    pub backward_steps: f64,
    pub seconds: f64,
    /// Fraction of test samples whose equilibrium is found.
    pub converged: f64,
}

/// Trains one network with Adam.
pub fn train(
    kind: Kind,
    seed: u64,
    settings: &Settings,
    data: &Data,
    device: &Device,
    progress: &Progress,
) -> Outcome {
    let deq = kind.block(settings);
    let mut network = Network::new(settings, seed, device);
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(device);
    let start = Instant::now();
    let (mut forward, mut backward, mut steps) = (0, 0, 0);
    for epoch in 0..settings.epochs {
        (forward, backward, steps) = (0, 0, 0);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(epoch as u64);
        for chosen in shuffled(data.parts[0].len(), &mut rng).chunks_exact(settings.batch) {
            let places: Vec<usize> = chosen.iter().map(|&at| data.parts[0][at]).collect();
            let (inputs, labels) = data.tensors(&places, device);
            let found = network.layer.forward(&deq, inputs);
            let loss = cross_entropy.forward(network.logits(found.state), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(settings.lr, network, gradients);
            steps += 1;
            forward += found.report.steps;
            backward += found.backward.last().map_or(0, |report| report.steps);
        }
        progress.skip(1);
    }
    let seconds = start.elapsed().as_secs_f64();
    let (validation, _) = accuracy(&network, &deq, data, 1, device);
    let (test, converged) = accuracy(&network, &deq, data, 2, device);
    let mean = |sum: usize| sum as f64 / steps as f64;
    Outcome {
        kind,
        seed,
        validation,
        test,
        forward_steps: mean(forward),
        backward_steps: mean(backward),
        seconds,
        converged,
    }
}

fn accuracy(network: &Network, deq: &Deq, data: &Data, part: usize, device: &Device) -> (f64, f64) {
    let (inputs, labels) = data.tensors(&data.parts[part], &device.clone().inner());
    let network = without_autodiff(network);
    let found = network.layer.forward(deq, inputs);
    let guesses = network.logits(found.state).argmax(1).flatten::<1>(0, 1);
    let hits = guesses.equal(labels).int().sum().into_scalar::<i64>() as f64;
    let converged = found.report.converged.iter().filter(|&&converged| converged).count() as f64;
    let count = data.parts[part].len() as f64;
    (hits / count, converged / count)
}

/// One forward and backward pass of the layer with exactly `steps` iterations each way.
pub fn pass(
    network: &Network,
    gradient: DeqGradient,
    steps: usize,
    inputs: Tensor<2>,
) -> Tensor<2> {
    let solver = Solver::from(FixedPointConfig::new()).with_max_steps(steps).with_tolerance(0.0);
    let deq = DeqConfig::new()
        .with_forward(solver.clone())
        .with_backward(solver)
        .with_gradient(gradient)
        .init();
    let found = network.layer.forward(&deq, inputs);
    let gradients = found.state.square().mean().backward();
    let weight = &network.layer.cell.weight.val();
    weight.grad(&gradients).expect("the loss depends on the recurrent weight")
}
