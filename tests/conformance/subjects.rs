//! The types under test, each with a deterministic training step.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::TrainStep;

use firebrick::data::LabeledBatch;
use firebrick::models::losses::{
    CoTeaching, CoTeachingConfig, EarlyLearningConfig, EarlyLearningLoss,
    GeneralizedCrossEntropyLoss, GeneralizedCrossEntropyLossConfig, SymmetricCrossEntropyLoss,
    SymmetricCrossEntropyLossConfig,
};
use firebrick::models::mlp::{Mlp, MlpConfig};
use firebrick::models::patch_network::{PatchNetwork, PatchNetworkConfig};
use firebrick::models::vision::{SmallCnn, SmallCnnConfig};
use firebrick::optimizers::sop::{LabelFingerprint, Sop, SopConfig, SopRouting};
use firebrick::train::NoisyLabelLearner;

/// A module with one deterministic training step and one deterministic output.
pub trait Subject: Module + Clone + Send + 'static {
    /// A fresh one with arbitrary weights; the checks make them equal through records.
    fn init(device: &Device) -> Self;

    /// A fresh optimizer.
    fn optimizer() -> ModuleOptimizer {
        SgdConfig::new().with_momentum(Some(MomentumConfig::new())).init()
    }

    /// Training step number `step`.
    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self;

    /// Output for a fixed input.
    fn output(&self) -> Vec<f32>;
}

pub const LABELS: [usize; 6] = [0, 1, 2, 2, 1, 0];

/// Numbers in [-1, 1] that depend on the seed alone.
pub fn wave<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let len = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|i| ((i + 17 * seed) as f32 * 0.7311).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub fn integers(values: &[usize], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

pub fn device_of(module: &impl Module) -> Device {
    module.devices().into_iter().next().expect("a module with parameters")
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn supervised<M: Module>(model: M, logits: Tensor<2>, optimizer: &mut ModuleOptimizer) -> M {
    let device = logits.device();
    let loss = CrossEntropyLossConfig::new().init(&device);
    let loss = loss.forward(logits, integers(&LABELS, &device));
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    optimizer.step(0.05, model, gradients)
}

pub type MlpSubject = Mlp;

impl Subject for Mlp {
    fn init(device: &Device) -> Self {
        MlpConfig::new(vec![5, 7, 3]).init(device)
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let logits = self.forward(wave([6, 5], step, &device_of(&self)));
        supervised(self, logits, optimizer)
    }

    fn output(&self) -> Vec<f32> {
        host(self.forward(wave([4, 5], 99, &device_of(self))))
    }
}

pub type SmallCnnSubject = SmallCnn;

impl Subject for SmallCnn {
    fn init(device: &Device) -> Self {
        SmallCnnConfig::new([1, 6, 5], 3).with_channels([2, 3]).with_hidden(4).init(device)
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let logits = self.forward(wave([6, 1, 6, 5], step, &device_of(&self)));
        supervised(self, logits, optimizer)
    }

    fn output(&self) -> Vec<f32> {
        host(self.forward(wave([2, 1, 6, 5], 99, &device_of(self))))
    }
}

pub type PatchNetworkSubject = PatchNetwork;

impl Subject for PatchNetwork {
    fn init(device: &Device) -> Self {
        PatchNetworkConfig::new(5, 3).with_init_std(0.5).init(device)
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let device = device_of(&self);
        let signs = Tensor::from_data([1.0, -1.0, 1.0, 1.0, -1.0, -1.0], &device);
        let loss = self.loss(wave([6, 2, 5], step, &device), signs, 1e-2);
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        optimizer.step(0.02, self, gradients)
    }

    fn output(&self) -> Vec<f32> {
        host(self.forward(wave([4, 2, 5], 99, &device_of(self))))
    }
}

/// A linear network with a noise state, stepped together.
#[derive(Module, Debug)]
pub struct SopSubject {
    network: Linear,
    sop: Sop,
}

fn sop_config() -> SopConfig {
    SopConfig::new(LabelFingerprint::of(&LABELS, 3))
        .with_init_std(0.3)
        .with_lr_u(0.5)
        .with_lr_v(0.5)
}

/// Trains on four of the six samples, so that some rows stay as they are.
fn sop_step(
    network: Linear,
    sop: Sop,
    views: usize,
    optimizer: &mut ModuleOptimizer,
    step: usize,
) -> (Linear, Sop) {
    let device = device_of(&network);
    let batch: Vec<usize> = (0..4).map(|i| (i + step) % LABELS.len()).collect();
    let labels: Vec<usize> = batch.iter().map(|&index| LABELS[index]).collect();
    let logits = network.forward(wave([4 * views, 5], step, &device));
    let output = sop.forward(integers(&batch, &device), logits, integers(&labels, &device));
    let gradients = GradientsParams::from_grads(output.loss.backward(), &network);
    (optimizer.step(0.05, network, gradients), sop.apply(output.update))
}

fn sop_output(network: &Linear, sop: &Sop) -> Vec<f32> {
    let mut output = host(network.forward(wave([4, 5], 99, &device_of(network))));
    output.extend(sop.scores());
    output.extend(host(sop.v.val()));
    output
}

impl Subject for SopSubject {
    fn init(device: &Device) -> Self {
        Self { network: LinearConfig::new(5, 3).init(device), sop: sop_config().init(device) }
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let (network, sop) = sop_step(self.network, self.sop, 1, optimizer, step);
        Self { network, sop }
    }

    fn output(&self) -> Vec<f32> {
        sop_output(&self.network, &self.sop)
    }
}

/// The same with two views, the extra terms, and the projection of the paper's routing.
#[derive(Module, Debug)]
pub struct SopPlusSubject {
    network: Linear,
    sop: Sop,
}

impl Subject for SopPlusSubject {
    fn init(device: &Device) -> Self {
        let config = sop_config().plus().with_routing(SopRouting::Paper);
        Self { network: LinearConfig::new(5, 3).init(device), sop: config.init(device) }
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let (network, sop) = sop_step(self.network, self.sop, 2, optimizer, step);
        Self { network, sop }
    }

    fn output(&self) -> Vec<f32> {
        sop_output(&self.network, &self.sop)
    }
}

fn learner_step(
    learner: LearnerSubject,
    optimizer: &mut ModuleOptimizer,
    step: usize,
) -> LearnerSubject {
    let device = device_of(&learner);
    let indices: Vec<usize> = (0..LABELS.len()).collect();
    let batch = LabeledBatch {
        inputs: wave([6, 5], step, &device),
        labels: integers(&LABELS, &device),
        indices: integers(&indices, &device),
    };
    let output = TrainStep::step(&learner, batch);
    learner.optimize(optimizer, 0.05.into(), output.grads)
}

/// The adapter for Burn's `Learner` with early-learning regularization.
#[derive(Module, Debug)]
pub struct EarlyLearningLearnerSubject {
    learner: LearnerSubject,
}

impl Subject for EarlyLearningLearnerSubject {
    fn init(device: &Device) -> Self {
        let loss = EarlyLearningConfig::new(LABELS.len(), 3).init(device);
        let learner = NoisyLabelLearner::new(Mlp::init(device));
        Self { learner: learner.with_early_learning(loss) }
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        Self { learner: learner_step(self.learner, optimizer, step) }
    }

    fn output(&self) -> Vec<f32> {
        let mut output = self.learner.network.output();
        let loss = self.learner.early_learning.as_ref().expect("set by init");
        output.extend(host(loss.target.val()));
        output
    }
}

/// The adapter for Burn's `Learner`, stepped as the learner does.
pub type LearnerSubject = NoisyLabelLearner<Mlp, 2>;

impl Subject for LearnerSubject {
    fn init(device: &Device) -> Self {
        Self::new(Mlp::init(device)).with_sop(sop_config().init(device))
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        learner_step(self, optimizer, step)
    }

    fn output(&self) -> Vec<f32> {
        let mut output = self.network.output();
        output.extend(self.sop.as_ref().expect("set by init").scores());
        output
    }
}

/// A linear network trained with a loss that has no state.
macro_rules! linear_with_loss {
    ($subject:ident, $loss:ty, $config:expr) => {
        #[derive(Module, Debug)]
        pub struct $subject {
            network: Linear,
            loss: $loss,
        }

        impl Subject for $subject {
            fn init(device: &Device) -> Self {
                Self { network: LinearConfig::new(5, 3).init(device), loss: $config.init() }
            }

            fn train_step(mut self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
                let device = device_of(&self.network);
                let logits = self.network.forward(wave([6, 5], step, &device));
                let loss = self.loss.forward(logits, integers(&LABELS, &device));
                let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
                self.network = optimizer.step(0.05, self.network, gradients);
                self
            }

            fn output(&self) -> Vec<f32> {
                let device = device_of(&self.network);
                let logits = self.network.forward(wave([6, 5], 99, &device));
                host(logits.clone())
                    .into_iter()
                    .chain(host(self.loss.forward(logits, integers(&LABELS, &device))))
                    .collect()
            }
        }
    };
}

linear_with_loss!(
    GeneralizedCrossEntropySubject,
    GeneralizedCrossEntropyLoss,
    GeneralizedCrossEntropyLossConfig::new()
);
linear_with_loss!(
    SymmetricCrossEntropySubject,
    SymmetricCrossEntropyLoss,
    SymmetricCrossEntropyLossConfig::new()
);

/// A linear network with early-learning regularization and its targets.
#[derive(Module, Debug)]
pub struct EarlyLearningSubject {
    network: Linear,
    loss: EarlyLearningLoss,
}

impl Subject for EarlyLearningSubject {
    fn init(device: &Device) -> Self {
        let loss = EarlyLearningConfig::new(LABELS.len(), 3).init(device);
        Self { network: LinearConfig::new(5, 3).init(device), loss }
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let device = device_of(&self.network);
        let batch: Vec<usize> = (0..4).map(|i| (i + step) % LABELS.len()).collect();
        let labels: Vec<usize> = batch.iter().map(|&index| LABELS[index]).collect();
        let logits = self.network.forward(wave([4, 5], step, &device));
        let labels = integers(&labels, &device);
        let output = self.loss.forward(integers(&batch, &device), logits, labels);
        let gradients = GradientsParams::from_grads(output.loss.backward(), &self.network);
        let network = optimizer.step(0.05, self.network, gradients);
        Self { network, loss: self.loss.apply(output.update) }
    }

    fn output(&self) -> Vec<f32> {
        let mut output = host(self.network.forward(wave([4, 5], 99, &device_of(&self.network))));
        output.extend(host(self.loss.target.val()));
        output
    }
}

/// Two linear networks that choose samples for each other.
#[derive(Module, Debug)]
pub struct CoTeachingSubject {
    first: Linear,
    second: Linear,
    rule: CoTeaching,
}

impl Subject for CoTeachingSubject {
    fn init(device: &Device) -> Self {
        let network = || LinearConfig::new(5, 3).init(device);
        let rule = CoTeachingConfig::new(0.5).with_ramp(3).init();
        Self { first: network(), second: network(), rule }
    }

    fn train_step(mut self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let device = device_of(&self.first);
        let inputs = wave([6, 5], step, &device);
        let [first, second] = [&self.first, &self.second].map(|net| net.forward(inputs.clone()));
        let output = self.rule.forward(step, first, second, integers(&LABELS, &device));
        let gradients = GradientsParams::from_grads(output.first.backward(), &self.first);
        self.first = optimizer.step(0.05, self.first, gradients);
        let gradients = GradientsParams::from_grads(output.second.backward(), &self.second);
        self.second = optimizer.step(0.05, self.second, gradients);
        self
    }

    fn output(&self) -> Vec<f32> {
        let inputs = wave([4, 5], 99, &device_of(&self.first));
        let logits = [&self.first, &self.second].map(|net| host(net.forward(inputs.clone())));
        logits.concat()
    }
}
