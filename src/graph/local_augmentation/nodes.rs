//! Trains a network that classifies nodes, on real and generated features.

use burn::config::Config;
use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use firebrick_models::graph::local_augmentation::{
    AugmentationError, AugmentedNetwork, ConsistencyLossConfig, DropoutMasks, LocalAugmenter,
};
use firebrick_ops::sparse::Features;
use serde::Serialize;

use super::AugmentationData;
use super::evaluation::{Evaluation, Predictions};

/// Where the matrices beside the real one come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// There are none.
    Real,
    /// The real one, so many times more: what the wider network does without a generator.
    Copies(usize),
    /// Drawn for every forward pass.
    Generated {
        /// What draws them.
        augmenter: &'a LocalAugmenter,
        /// How many at a time.
        count: usize,
    },
}

/// How a network takes the matrices.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Fusion {
    /// All at once, one branch each.
    Concatenate,
    /// One at a time: `S` predictions from each; evaluation takes the real one alone, as LA-GRAND.
    Separate,
    /// The mean of the real matrix and the generated ones, as one matrix.
    Average,
}

/// Settings of the training of a network.
///
/// | field | default | symbol | meaning |
/// |---|---|---|---|
/// | `epochs` | 200 | | |
/// | `learning_rate` | 0.01 | | of Adam, epsilon 1e-8 |
/// | `samples` | 1 | S | predictions per step |
/// | `temperature`, `consistency` | 0.5, 0 | T, lambda | of the consistency loss |
/// | `weight_decay` | 5e-4 | | of the first group, in the gradient |
/// | `other_weight_decay` | 0 | | of all other parameters |
/// | `patience` | none | | epochs without a better validation loss or accuracy |
/// | `fusion` | `Concatenate` | | |
/// | `fixed_draw` | false | | one draw for all steps |
/// | `keep_ties` | false | | a later epoch of equal validation loss replaces the kept one |
/// | `seed` | 0 | | of the dropout masks |
#[derive(Config, Debug)]
pub struct NodeTrainingConfig {
    /// Number of epochs.
    #[config(default = 200)]
    pub epochs: usize,
    /// Learning rate of Adam.
    #[config(default = 0.01)]
    pub learning_rate: f64,
    /// Predictions per step, each with draws and masks of its own.
    #[config(default = 1)]
    pub samples: usize,
    /// Temperature of the consistency loss.
    #[config(default = 0.5)]
    pub temperature: f64,
    /// Weight of the consistency loss.
    #[config(default = 0.0)]
    pub consistency: f64,
    /// Weight decay of the network's first group, added to the gradient.
    #[config(default = 5e-4)]
    pub weight_decay: f64,
    /// Weight decay of all other parameters.
    #[config(default = 0.0)]
    pub other_weight_decay: f64,
    /// Stops after so many epochs with neither the best loss nor the best accuracy on validation.
    pub patience: Option<usize>,
    /// How the network takes the matrices.
    #[config(default = "Fusion::Concatenate")]
    pub fusion: Fusion,
    /// Uses one draw in all steps.
    #[config(default = false)]
    pub fixed_draw: bool,
    /// Keeps the last of the epochs of the lowest validation loss, not the first.
    #[config(default = false)]
    pub keep_ties: bool,
    /// Seed of the dropout masks.
    #[config(default = 0)]
    pub seed: u64,
}

impl NodeTrainingConfig {
    /// Kipf and Welling's: one prediction, weight decay on the first layer.
    pub fn plain() -> Self {
        Self::new()
    }

    /// Four predictions with the consistency loss, weight decay on all parameters.
    pub fn augmented() -> Self {
        Self::new().with_samples(4).with_consistency(1.0).with_other_weight_decay(5e-4)
    }

    /// LA-GRAND's: as [`augmented`](Self::augmented) with one matrix at a time and one fixed draw, for
    /// up to 5000 epochs with a patience of 200, and of equal validation losses the last is kept.
    pub fn grand() -> Self {
        Self::augmented()
            .with_epochs(5000)
            .with_patience(Some(200))
            .with_fusion(Fusion::Separate)
            .with_fixed_draw(true)
            .with_keep_ties(true)
    }

    fn check(&self) -> Result<(), AugmentationError> {
        let rules = [
            ("learning rate", self.learning_rate, self.learning_rate > 0.0, "above 0"),
            ("temperature", self.temperature, self.temperature > 0.0, "above 0"),
            ("consistency", self.consistency, self.consistency >= 0.0, "at least 0"),
            ("weight decay", self.weight_decay, self.weight_decay >= 0.0, "at least 0"),
            (
                "other weight decay",
                self.other_weight_decay,
                self.other_weight_decay >= 0.0,
                "at least 0",
            ),
        ];
        for (what, found, holds, expected) in rules {
            if !holds || !found.is_finite() {
                let expected = format!("a finite number, {expected}");
                return Err(AugmentationError::new(what, expected, found));
            }
        }
        for (what, found) in [("epochs", self.epochs), ("samples", self.samples)] {
            if found == 0 {
                return Err(AugmentationError::new(what, "at least 1", found));
            }
        }
        Ok(())
    }

    fn optimizer(&self, network: &impl AugmentedNetwork) -> ModuleOptimizer {
        let optimizer = ModuleOptimizer::from(adam(self.other_weight_decay).build());
        if self.weight_decay == self.other_weight_decay {
            return optimizer;
        }
        let first = ParamGroup::from_ids(network.first_group());
        optimizer.with_group(first, adam(self.weight_decay).build(), None)
    }

    /// Trains a network and keeps its state of the lowest validation loss, with the draw that it
    /// was evaluated on: the first such state, or the last with `keep_ties`. The test nodes are looked at once, after the choice, and once for the last
    /// epoch.
    ///
    /// The network must be on an autodiff device. `observe` is called after every epoch.
    ///
    /// # Errors
    /// [`AugmentationError`] if a setting is outside its range, or a loss is no number.
    ///
    /// # Panics
    /// If the network takes another number of matrices than the source gives.
    pub fn train<N: AugmentedNetwork>(
        &self,
        mut network: N,
        data: &AugmentationData,
        source: Source<'_>,
        mut observe: impl FnMut(&NodeEpoch),
    ) -> Result<TrainedNetwork<N>, AugmentationError> {
        self.check()?;
        let mut optimizer = self.optimizer(&network);
        let (mut history, mut best, mut kept) = (Vec::new(), Best::default(), None);
        for epoch in 0..self.epochs as u64 {
            let terms;
            (network, terms) = self.step(network, &mut optimizer, data, source, epoch)?;
            let (valid, draw) = (network.valid(), self.evaluation_draw(epoch));
            let predictions = self.evaluate(&valid, data, source, draw);
            let validation = predictions.on(&data.split().validation, data.labels());
            let point = NodeEpoch {
                epoch: epoch as usize + 1,
                loss: terms.total,
                consistency: terms.consistency,
                validation_loss: validation.loss,
                validation_accuracy: validation.accuracy,
            };
            observe(&point);
            history.push(point);
            if best.update(&validation, self.keep_ties) {
                kept = Some(Kept { network: valid, draw, epoch: epoch as usize });
            }
            if self.patience.is_some_and(|patience| best.waited >= patience) {
                break;
            }
        }
        self.finish(kept, network.valid(), data, source, history)
    }

    /// One update of the network, and the loss before it.
    fn step<N: AugmentedNetwork>(
        &self,
        network: N,
        optimizer: &mut ModuleOptimizer,
        data: &AugmentationData,
        source: Source<'_>,
        epoch: u64,
    ) -> Result<(N, Terms), AugmentationError> {
        let loss = ConsistencyLossConfig::new()
            .with_temperature(self.temperature)
            .with_weight(self.consistency)
            .init();
        let (nodes, labels) = data.training_labels();
        let output = loss.forward(self.predictions(&network, data, source, epoch), nodes, labels);
        let consistency = number(&output.consistency);
        let loss = output.total();
        let total = number(&loss);
        if !total.is_finite() {
            let found = format!("{total} in epoch {}", epoch + 1);
            return Err(AugmentationError::new("loss", "a finite number", found));
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let network = optimizer.step(self.learning_rate, network, gradients);
        Ok((network, Terms { total, consistency }))
    }

    /// Looks at the test nodes.
    fn finish<N: AugmentedNetwork>(
        &self,
        kept: Option<Kept<N>>,
        last: N,
        data: &AugmentationData,
        source: Source<'_>,
        history: Vec<NodeEpoch>,
    ) -> Result<TrainedNetwork<N>, AugmentationError> {
        let Some(Kept { network, draw, epoch }) = kept else {
            return Err(AugmentationError::new("validation loss", "a number", "NaN"));
        };
        let test = |network: &N, draw| {
            let predictions = self.evaluate(network, data, source, draw);
            predictions.on(&data.split().test, data.labels()).accuracy
        };
        let report = NodeReport {
            best_epoch: epoch + 1,
            validation_accuracy: history[epoch].validation_accuracy,
            test_accuracy: test(&network, draw),
            last_test_accuracy: test(&last, self.evaluation_draw(history.len() as u64 - 1)),
            history,
        };
        Ok(TrainedNetwork { network, draw, report })
    }

    /// The number of draws that an epoch takes.
    fn draws(&self) -> u64 {
        self.samples as u64 + 1
    }

    fn evaluation_draw(&self, epoch: u64) -> u64 {
        if self.fixed_draw { 0 } else { epoch * self.draws() + self.samples as u64 }
    }

    /// Log-probabilities of all samples of a step, `[samples, nodes, classes]`.
    fn predictions<N: AugmentedNetwork>(
        &self,
        network: &N,
        data: &AugmentationData,
        source: Source<'_>,
        epoch: u64,
    ) -> Tensor<3> {
        let mut outputs = Vec::new();
        for sample in 0..self.samples as u64 {
            let pass = epoch * self.draws() + sample;
            let draw = if self.fixed_draw { 0 } else { pass };
            for (part, inputs) in self.inputs(data, source, draw).into_iter().enumerate() {
                // Each forward pass has masks of its own.
                let masks = DropoutMasks::new(self.seed, pass << 8 | part as u64);
                outputs.push(network.log_probabilities(data.graph(), &inputs, Some(&masks)));
            }
        }
        Tensor::stack(outputs, 0)
    }

    /// The lists of matrices, one list for each forward pass of a sample.
    fn inputs(&self, data: &AugmentationData, source: Source<'_>, draw: u64) -> Vec<Vec<Features>> {
        let real = data.features();
        let mut inputs: Vec<Features> = match source {
            Source::Real => Vec::new(),
            Source::Copies(count) => vec![real.clone(); count],
            Source::Generated { augmenter, count } => {
                augmenter.draw(draw, count).into_iter().map(Features::Dense).collect()
            }
        };
        inputs.push(real.clone());
        match self.fusion {
            Fusion::Concatenate => vec![inputs],
            Fusion::Separate => inputs.into_iter().map(|matrix| vec![matrix]).collect(),
            Fusion::Average if inputs.len() == 1 => vec![inputs],
            Fusion::Average => {
                let scale = 1.0 / inputs.len() as f64;
                let dense = inputs.into_iter().map(Features::into_dense);
                let sum = dense.reduce(|sum, matrix| sum + matrix);
                vec![sum.map(|sum| Features::Dense(sum * scale)).into_iter().collect()]
            }
        }
    }

    fn evaluate<N: AugmentedNetwork>(
        &self,
        network: &N,
        data: &AugmentationData,
        source: Source<'_>,
        draw: u64,
    ) -> Predictions {
        let source = if self.fusion == Fusion::Separate { Source::Real } else { source };
        let inputs = self.inputs(data, source, draw).remove(0);
        Predictions::read(network.log_probabilities(data.graph(), &inputs, None))
    }
}

/// Adam as other frameworks have it: epsilon 1e-8, weight decay added to the gradient.
pub fn adam(weight_decay: f64) -> AdamConfig {
    let adam = AdamConfig::new().with_epsilon(1e-8);
    match weight_decay {
        0.0 => adam,
        _ => adam.with_weight_decay(Some(WeightDecayConfig::new(weight_decay as f32))),
    }
}

pub(super) fn number(value: &Tensor<1>) -> f64 {
    value.clone().into_data().iter::<f64>().next().unwrap_or(f64::NAN)
}

/// The state of the lowest validation loss.
struct Kept<N> {
    network: N,
    draw: u64,
    epoch: usize,
}

/// The training loss of a step.
struct Terms {
    total: f64,
    consistency: f64,
}

/// What the choice of a state and patience look at.
#[derive(Default)]
struct Best {
    loss: Option<f64>,
    accuracy: f64,
    /// Epochs since one of the two was as good as the best.
    waited: usize,
}

impl Best {
    /// Takes the numbers of an epoch and says whether its state is to be kept. A loss that is no
    /// number is never the best.
    fn update(&mut self, found: &Evaluation, keep_ties: bool) -> bool {
        let Evaluation { loss, accuracy } = *found;
        let lower = !loss.is_nan() && self.loss.is_none_or(|best| loss < best);
        let equal = self.loss == Some(loss);
        let good = lower || equal || accuracy >= self.accuracy;
        if lower {
            self.loss = Some(loss);
        }
        self.accuracy = self.accuracy.max(accuracy);
        self.waited = if good { 0 } else { self.waited + 1 };
        lower || (equal && keep_ties)
    }
}

/// One epoch of a training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeEpoch {
    /// From 1.
    pub epoch: usize,
    /// Training loss, of the consistency too.
    pub loss: f64,
    /// The consistency term in it.
    pub consistency: f64,
    /// Loss on the validation nodes.
    pub validation_loss: f64,
    /// Share of the validation nodes that are right.
    pub validation_accuracy: f64,
}

/// What a training gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeReport {
    /// The epoch of the lowest validation loss, from 1; which of several, `keep_ties` says.
    pub best_epoch: usize,
    /// Validation accuracy in that epoch.
    pub validation_accuracy: f64,
    /// Test accuracy in that epoch.
    pub test_accuracy: f64,
    /// Test accuracy in the last epoch.
    pub last_test_accuracy: f64,
    /// All epochs.
    pub history: Vec<NodeEpoch>,
}

/// The network of the lowest validation loss.
#[derive(Clone, Debug)]
pub struct TrainedNetwork<N> {
    /// Without autodiff.
    pub network: N,
    /// The draw of the augmenter that it was evaluated on.
    pub draw: u64,
    /// The course of the training.
    pub report: NodeReport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_that_is_no_number_is_never_kept_and_ties_are_kept_on_request() {
        let losses = [f64::NAN, 0.5, 0.5, f64::NAN, 0.6, 0.4];
        let kept = |keep_ties| {
            let mut best = Best::default();
            losses.map(|loss| best.update(&Evaluation { loss, accuracy: 0.5 }, keep_ties))
        };
        assert_eq!(kept(false), [false, true, false, false, false, true]);
        assert_eq!(kept(true), [false, true, true, false, false, true]);
    }

    #[test]
    fn patience_counts_the_epochs_in_which_neither_loss_nor_accuracy_is_as_good_as_the_best() {
        let mut best = Best::default();
        let epochs = [(0.5, 0.5), (0.6, 0.4), (0.7, 0.4), (0.5, 0.4), (0.6, 0.4), (0.9, 0.5)];
        let waited = epochs.map(|(loss, accuracy)| {
            best.update(&Evaluation { loss, accuracy }, false);
            best.waited
        });
        assert_eq!(waited, [0, 1, 2, 0, 1, 0]);
    }
}
