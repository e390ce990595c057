//! Training loops.

use std::time::Instant;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor};
use firebrick::datasets::permutation;
use firebrick::forecasting::{mae, rmse, smoothed_mape};
use firebrick::models::temporal::Activation;
use firebrick_harness::progress::Progress;
use serde::Serialize;

use crate::memory;
use crate::models::{Kind, Network, Sizes};
use crate::tasks::{Batch, Classification, Forecasting};

/// What a training gives.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub kind: Kind,
    pub seed: u64,
    /// Mean over the epochs, without evaluation.
    pub seconds_per_epoch: f64,
    /// Peak of one forward and backward pass, in MB.
    pub megabytes: f64,
    /// Training loss and validation score of each epoch.
    pub history: Vec<[f64; 2]>,
    /// Of the epoch with the best validation score.
    pub test: Scores,
}

/// Scores on test data; of a classification only the accuracy.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Scores {
    pub accuracy: f64,
    /// In units of the first feature.
    pub mae: f64,
    /// In units of the first feature.
    pub rmse: f64,
    /// On scaled values.
    pub scaled_rmse: f64,
    /// On scaled values, in percent.
    pub smoothed_mape: f64,
}

impl Scores {
    pub fn of(task: &Forecasting, forecast: &[f64]) -> Self {
        let (own, truth) = (task.unscaled(forecast), task.unscaled(&task.truth));
        Self {
            accuracy: f64::NAN,
            mae: mae(&own, &truth),
            rmse: rmse(&own, &truth),
            scaled_rmse: rmse(forecast, &task.truth),
            smoothed_mape: 100.0 * smoothed_mape(forecast, &task.truth),
        }
    }
}

/// Settings of one training.
pub struct Plan {
    pub kind: Kind,
    pub seed: u64,
    pub epochs: usize,
    pub rate: f64,
    pub decay: f32,
}

/// Trains on batches in random order and keeps what is best on validation data; a higher score is
/// better.
fn train<T: Clone>(
    plan: &Plan,
    (batches, mut network): (&[Batch<T>], Network),
    loss: impl Fn(&Network, &Batch<T>) -> Tensor<1>,
    score: impl Fn(&Network) -> f64,
    progress: &Progress,
) -> (Network, Outcome) {
    progress.begin(&format!("{}, seed {}", plan.kind.name(), plan.seed), 0);
    let decay = (plan.decay > 0.0).then(|| WeightDecayConfig::new(plan.decay));
    let mut optimizer = AdamConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(decay)
        .with_grad_clipping(Some(GradientClippingConfig::Value(1.0)))
        .init();
    let pass = || drop(loss(&network, &batches[0]).backward());
    pass();
    let megabytes = memory::peak(pass) as f64 / 1e6;
    let (mut history, mut seconds, mut best) = (Vec::new(), 0.0, None);
    for epoch in 0..plan.epochs {
        let (start, mut total) = (Instant::now(), 0.0);
        for at in permutation(batches.len(), plan.seed, epoch as u64) {
            let value = loss(&network, &batches[at]);
            let gradients = GradientsParams::from_grads(value.backward(), &network);
            network = optimizer.step(plan.rate, network, gradients);
            total += value.into_scalar::<f64>();
        }
        seconds += start.elapsed().as_secs_f64();
        let found = score(&network.valid());
        history.push([total / batches.len() as f64, found]);
        if best.as_ref().is_none_or(|(known, _)| found > *known) {
            best = Some((found, network.clone()));
        }
        progress.skip(1);
    }
    let network = best.map_or(network, |(_, network)| network);
    let (kind, seed, test) = (plan.kind, plan.seed, Scores::default());
    let seconds_per_epoch = seconds / plan.epochs as f64;
    (network.valid(), Outcome { kind, seed, seconds_per_epoch, megabytes, history, test })
}

/// Learns the number of different skips.
pub fn classify(
    plan: &Plan,
    task: &Classification,
    device: &Device,
    progress: &Progress,
) -> Outcome {
    device.seed(plan.seed);
    let sizes = Sizes { inputs: 1, outputs: 4, fixed: false, activation: Activation::Tanh };
    let network = Network::new(plan.kind, sizes, device);
    let cross_entropy = CrossEntropyLossConfig::new().init(device);
    let loss = |network: &Network, batch: &Batch<Tensor<1, Int>>| {
        cross_entropy.forward(network.classify(&batch.graph), batch.targets.clone())
    };
    let score = |network: &Network| accuracy(network, &task.validation);
    let (network, mut outcome) = train(plan, (&task.train, network), loss, score, progress);
    outcome.test.accuracy = 100.0 * accuracy(&network, &task.test);
    outcome
}

fn accuracy(network: &Network, batch: &Batch<Tensor<1, Int>>) -> f64 {
    let guesses = network.classify(&batch.graph).argmax(1).flatten::<1>(0, 1);
    let hits = guesses.equal(batch.targets.clone()).int().sum().into_scalar::<i64>();
    hits as f64 / batch.targets.dims()[0] as f64
}

/// Learns the next step.
pub fn forecast(plan: &Plan, task: &Forecasting, device: &Device, progress: &Progress) -> Outcome {
    device.seed(plan.seed);
    let graph = &task.test.graph;
    let sizes = Sizes {
        inputs: graph.features().dims()[2],
        outputs: task.outputs,
        fixed: graph.is_static(),
        activation: Activation::Softplus,
    };
    let network = Network::new(plan.kind, sizes, device);
    let loss = |network: &Network, batch: &Batch<Tensor<2>>| {
        (network.forecast(&batch.graph) - batch.targets.clone()).square().mean()
    };
    let score = |network: &Network| -loss(network, &task.validation).into_scalar::<f64>().sqrt();
    let (network, mut outcome) = train(plan, (&task.train, network), loss, score, progress);
    let forecast: Vec<f64> = network.forecast(graph).into_data().iter::<f64>().collect();
    outcome.test = Scores::of(task, &forecast);
    outcome
}
