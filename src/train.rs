//! Adapters for Burn's `Learner`; Cargo feature `train`.
//!
//! [`MarginLearner`] trains for certified robustness, which [`CertifiedAccuracyMetric`] measures.
//!
//! [`NoisyLabelLearner`] trains any [`Classifier`] on [`LabeledBatch`]es: with plain cross entropy or
//! with a loss for noisy labels, and with any of Burn's optimizers or one of the Adai family.
//!
//! # Example
//! SOP on the digits:
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

mod margin;

pub use margin::{CertifiedAccuracyInput, CertifiedAccuracyMetric, MarginLearner, MarginLoss};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::{Int, Tensor};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
use firebrick_models::classifier::Classifier;
use firebrick_models::losses::{
    EarlyLearningLoss, EarlyLearningUpdate, GeneralizedCrossEntropyLoss, SymmetricCrossEntropyLoss,
};
use firebrick_optimizers::adai::AdaiHandle;
use firebrick_optimizers::sop::{PendingUpdates, Sop};

use crate::data::LabeledBatch;

/// A classifier in Burn's `Learner`: a plain one, trained with cross entropy, until a loss for noisy
/// labels is set.
///
/// The losses exclude each other: the last one set counts. The optimizer is a choice of its own;
/// those of the Adai family look at all gradients before they move anything and need
/// [`with_adai`](Self::with_adai), every other one goes to the learner alone. Adai does not touch
/// noise state and targets, which have an update of their own.
///
/// Noise state and targets are part of the module, so the learner's checkpoints hold them and a
/// resumed run goes on with them. Validation uses cross entropy on the labels of the validation
/// loader. With SOP+ the training batches hold two views, see
/// [`LabeledDataset::view_loader`](crate::data::LabeledDataset::view_loader).
///
/// # Example
/// A plain classifier with Adai; the [module](self) shows the loop around it:
/// ```
/// use burn::tensor::Device;
/// use burn::train::Learner;
/// use firebrick::models::vision::{SmallCnn, SmallCnnConfig};
/// use firebrick::optimizers::adai::AdaiConfig;
/// use firebrick::train::NoisyLabelLearner;
///
/// let device = Device::flex().autodiff();
/// let (optimizer, handle) = AdaiConfig::new().init().into_parts();
/// let network = SmallCnnConfig::new([1, 8, 8], 10).init(&device);
/// let model: NoisyLabelLearner<SmallCnn, 4> = NoisyLabelLearner::new(network).with_adai(handle);
/// let learner = Learner::new(model, optimizer, 0.3);
/// ```
#[derive(Module, Debug)]
pub struct NoisyLabelLearner<N, const D: usize> {
    /// The network.
    pub network: N,
    /// The noise state, for the training set of the training loader.
    pub sop: Option<Sop>,
    /// The targets of early-learning regularization, for the same training set.
    pub early_learning: Option<EarlyLearningLoss>,
    #[module(skip)]
    stateless: Stateless,
    #[module(skip)]
    pending: Pending,
    #[module(skip)]
    adai: Option<AdaiHandle>,
}

/// A loss without a state of its own.
#[derive(Clone, Debug)]
enum Stateless {
    CrossEntropy,
    Generalized(GeneralizedCrossEntropyLoss),
    Symmetric(SymmetricCrossEntropyLoss),
}

/// State updates on their way from `step` to `optimize`.
#[derive(Clone, Debug, Default)]
struct Pending {
    sop: PendingUpdates,
    early_learning: Arc<Mutex<Vec<EarlyLearningUpdate>>>,
}

impl<N: Classifier<D>, const D: usize> NoisyLabelLearner<N, D> {
    /// A network trained with cross entropy.
    pub fn new(network: N) -> Self {
        Self {
            network,
            sop: None,
            early_learning: None,
            stateless: Stateless::CrossEntropy,
            pending: Pending::default(),
            adai: None,
        }
    }

    /// Trains with SOP or SOP+ instead.
    pub fn with_sop(self, sop: Sop) -> Self {
        Self { sop: Some(sop), ..self.without_loss() }
    }

    /// Trains with early-learning regularization instead.
    pub fn with_early_learning(self, loss: EarlyLearningLoss) -> Self {
        Self { early_learning: Some(loss), ..self.without_loss() }
    }

    /// Trains with generalized cross entropy instead.
    pub fn with_generalized(self, loss: GeneralizedCrossEntropyLoss) -> Self {
        Self { stateless: Stateless::Generalized(loss), ..self.without_loss() }
    }

    /// Trains with symmetric cross entropy instead.
    pub fn with_symmetric(self, loss: SymmetricCrossEntropyLoss) -> Self {
        Self { stateless: Stateless::Symmetric(loss), ..self.without_loss() }
    }

    /// Lets an optimizer of the Adai family make the steps, whatever the loss is; the other part of
    /// [`Adai::into_parts`](firebrick_optimizers::adai::Adai::into_parts) goes to the learner. Without
    /// the handle the first step panics, unless Adai's mean is that of each tensor alone.
    pub fn with_adai(mut self, handle: AdaiHandle) -> Self {
        self.adai = Some(handle);
        self
    }

    /// The same network and optimizer with cross entropy.
    fn without_loss(self) -> Self {
        Self { adai: self.adai, ..Self::new(self.network) }
    }

    fn loss(
        &self,
        indices: Tensor<1, Int>,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        if let Some(sop) = &self.sop {
            let output = sop.forward(indices, logits, labels);
            self.pending.sop.push(output.update);
            return output.loss;
        }
        if let Some(loss) = &self.early_learning {
            let output = loss.forward(indices, logits, labels);
            self.waiting().push(output.update);
            return output.loss;
        }
        match &self.stateless {
            Stateless::CrossEntropy => cross_entropy(logits, labels),
            Stateless::Generalized(loss) => loss.forward(logits, labels),
            Stateless::Symmetric(loss) => loss.forward(logits, labels),
        }
    }

    fn apply_pending(&mut self) {
        self.sop = self.sop.take().map(|sop| sop.apply_pending(&self.pending.sop));
        let waiting = std::mem::take(&mut *self.waiting());
        let apply = |loss| waiting.into_iter().fold(loss, EarlyLearningLoss::apply);
        self.early_learning = self.early_learning.take().map(apply);
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<EarlyLearningUpdate>> {
        self.pending.early_learning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, labels)
}

impl<N: Classifier<D>, const D: usize> TrainStep for NoisyLabelLearner<N, D> {
    type Input = LabeledBatch<D>;
    type Output = ClassificationOutput;

    fn step(&self, batch: LabeledBatch<D>) -> TrainOutput<ClassificationOutput> {
        let logits = self.network.logits(batch.inputs);
        let loss = self.loss(batch.indices, logits.clone(), batch.labels.clone());
        let gradients = loss.backward();
        // Of two views the first is the one that is classified.
        let first = logits.narrow(0, 0, batch.labels.dims()[0]);
        TrainOutput::new(self, gradients, ClassificationOutput::new(loss, first, batch.labels))
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
        let loss = cross_entropy(logits.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, logits, batch.labels)
    }
}
