//! Adapters for Burn's `Learner`; Cargo feature `train`.
//!
//! # Example
//! ```no_run
//! use burn::optim::SgdConfig;
//! use burn::tensor::Device;
//! use burn::train::{Learner, SupervisedTraining};
//! use burn::train::metric::AccuracyMetric;
//! use firebrick::data::LabeledDataset;
//! use firebrick::datasets::digits;
//! use firebrick::models::vision::SmallCnnConfig;
//! use firebrick::optimizers::sop::{LabelFingerprint, SopConfig, SopPreset};
//! use firebrick::train::NoisyLabelLearner;
//! use std::sync::Arc;
//!
//! let device = Device::flex().autodiff();
//! let data = LabeledDataset::new(digits());
//! let loader = || Arc::new(data.loader::<4>(64).shuffle(0).device(device.clone()));
//! let labels = LabelFingerprint::of(data.labels(), 10);
//! let model = NoisyLabelLearner::new(SmallCnnConfig::new([1, 8, 8], 10).init(&device))
//!     .with_sop(SopConfig::preset(labels, SopPreset::SmallData).init(&device));
//! let result = SupervisedTraining::new("runs/digits", loader(), loader())
//!     .metrics((AccuracyMetric::new(),))
//!     .num_epochs(10)
//!     .launch(Learner::new(model, SgdConfig::new().init(), 0.05));
//! let scores = result.model.sop.expect("was set above").scores();
//! ```

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
use firebrick_models::classifier::Classifier;
use firebrick_optimizers::adai::AdaiHandle;
use firebrick_optimizers::sop::{PendingUpdates, Sop};

use crate::data::LabeledBatch;

/// A classifier in Burn's `Learner`, trained with SOP, or with cross entropy if no noise state is
/// set.
///
/// The noise state is part of the module, so the learner's checkpoints hold it and a resumed run
/// goes on with it. Validation uses cross entropy on the labels of the validation loader.
#[derive(Module, Debug)]
pub struct NoisyLabelLearner<N, const D: usize> {
    /// The network.
    pub network: N,
    /// The noise state, for the training set of the training loader.
    pub sop: Option<Sop>,
    #[module(skip)]
    pending: PendingUpdates,
    #[module(skip)]
    adai: Option<AdaiHandle>,
}

impl<N: Classifier<D>, const D: usize> NoisyLabelLearner<N, D> {
    /// A network trained with cross entropy.
    pub fn new(network: N) -> Self {
        Self { network, sop: None, pending: PendingUpdates::default(), adai: None }
    }

    /// Trains with SOP instead.
    pub fn with_sop(mut self, sop: Sop) -> Self {
        self.sop = Some(sop);
        self
    }

    /// Makes the steps of an optimizer of the Adai family; the other part of
    /// [`Adai::into_parts`](firebrick_optimizers::adai::Adai::into_parts) goes to the learner.
    pub fn with_adai(mut self, handle: AdaiHandle) -> Self {
        self.adai = Some(handle);
        self
    }

    fn apply_pending(&mut self) {
        self.sop = self.sop.take().map(|sop| sop.apply_pending(&self.pending));
    }
}

impl<N: Classifier<D>, const D: usize> TrainStep for NoisyLabelLearner<N, D> {
    type Input = LabeledBatch<D>;
    type Output = ClassificationOutput;

    fn step(&self, batch: LabeledBatch<D>) -> TrainOutput<ClassificationOutput> {
        let logits = self.network.logits(batch.inputs);
        let loss = match &self.sop {
            Some(sop) => {
                let output = sop.forward(batch.indices, logits.clone(), batch.labels.clone());
                self.pending.push(output.update);
                output.loss
            }
            None => CrossEntropyLossConfig::new()
                .init(&logits.device())
                .forward(logits.clone(), batch.labels.clone()),
        };
        let gradients = loss.backward();
        TrainOutput::new(self, gradients, ClassificationOutput::new(loss, logits, batch.labels))
    }

    fn optimize(
        mut self,
        optimizer: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        gradients: GradientsParams,
    ) -> Self {
        self.apply_pending();
        match self.adai.clone() {
            Some(handle) => handle.step(optimizer, lr, self, gradients),
            None => optimizer.step(lr, self, gradients),
        }
    }

    fn optimize_multi(
        mut self,
        optimizer: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        gradients: MultiGradientsParams,
    ) -> Self {
        self.apply_pending();
        match self.adai.clone() {
            Some(handle) => handle.step_multi(optimizer, lr, self, gradients),
            None => optimizer.step_multi(lr, self, gradients),
        }
    }
}

impl<N: Classifier<D>, const D: usize> InferenceStep for NoisyLabelLearner<N, D> {
    type Input = LabeledBatch<D>;
    type Output = ClassificationOutput;

    fn step(&self, batch: LabeledBatch<D>) -> ClassificationOutput {
        let logits = self.network.logits(batch.inputs);
        let loss = CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, logits, batch.labels)
    }
}
