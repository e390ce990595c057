//! Chooses among the states of a generator while it trains.

use burn::config::Config;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use firebrick_models::graph::local_augmentation::{
    AugmentationError, AugmentedGcn, AugmentedGcnConfig, AugmentedNetwork, DropoutMasks,
    LocalAugmenterConfig, NeighborCvae, agreement_score, supervised_loss,
};
use firebrick_ops::sparse::Features;

use super::AugmentationData;
use super::evaluation::Predictions;
use super::nodes::{adam, number};

/// What is highest for the state that is kept.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum ScoreRule {
    /// The agreement `U` of many passes with dropout on the training nodes, Eq. (10) of the paper.
    Agreement,
    /// The accuracy on the validation nodes.
    ValidationAccuracy,
}

/// Settings of the choice among the states of a generator.
///
/// A scoring network learns from the real features first. After each step of the generator a matrix
/// is drawn and scored; where the score is the best so far, the state is kept and the scoring network
/// goes on learning from that matrix.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `rule` | `Agreement` | |
/// | `passes` | 100 | with dropout, for `Agreement` |
/// | `warm_up` | 200 | steps before a state is kept |
/// | `every` | 1 | steps from one score to the next |
/// | `pretrain_epochs` | 100 | of the scoring network on the real features |
/// | `update_epochs` | 20 | on the matrix of a kept state |
/// | `hidden` | 32 | width of the scoring network |
///
/// # Notes
/// The authors compare with scores from the warm-up too, and can then keep nothing; here the best
/// score starts anew when the warm-up ends, and without any the last state is returned.
#[derive(Config, Debug)]
pub struct ScoringConfig {
    /// What is compared.
    #[config(default = "ScoreRule::Agreement")]
    pub rule: ScoreRule,
    /// Passes with dropout.
    #[config(default = 100)]
    pub passes: usize,
    /// Steps before a state is kept.
    #[config(default = 200)]
    pub warm_up: usize,
    /// Steps from one score to the next.
    #[config(default = 1)]
    pub every: usize,
    /// Epochs of the scoring network on the real features.
    #[config(default = 100)]
    pub pretrain_epochs: usize,
    /// Epochs of the scoring network on the matrix of a kept state.
    #[config(default = 20)]
    pub update_epochs: usize,
    /// Width of the scoring network.
    #[config(default = 32)]
    pub hidden: usize,
}

impl ScoringConfig {
    pub(super) fn check(&self) -> Result<(), AugmentationError> {
        for (what, found) in
            [("passes", self.passes), ("every", self.every), ("hidden", self.hidden)]
        {
            if found == 0 {
                return Err(AugmentationError::new(what, "at least 1", found));
            }
        }
        Ok(())
    }
}

/// A state and the step after which it was.
type Kept = (NeighborCvae, usize);

/// The scoring network and the best state so far.
pub(super) struct Scorer {
    config: ScoringConfig,
    network: Option<AugmentedGcn>,
    optimizer: ModuleOptimizer,
    /// Forward passes so far: each has masks of its own.
    passes: u64,
    seed: u64,
    best: f64,
    kept: Option<Kept>,
    scores: Vec<(usize, f64)>,
}

impl Scorer {
    pub fn new(
        config: &ScoringConfig,
        data: &AugmentationData,
        cvae: &NeighborCvae,
        seed: u64,
    ) -> Result<Self, AugmentationError> {
        let device = cvae.devices().into_iter().next();
        let device = device.ok_or_else(|| {
            AugmentationError::new("generator", "parameters on a device", "no parameters")
        })?;
        let network = AugmentedGcnConfig::plain(data.num_features(), data.num_classes())
            .with_hidden(config.hidden)
            .with_seed(seed)
            .init(&device);
        let mut scorer = Self {
            config: config.clone(),
            network: Some(network),
            optimizer: ModuleOptimizer::from(adam(5e-4).build()),
            passes: 0,
            seed,
            best: f64::NEG_INFINITY,
            kept: None,
            scores: Vec::new(),
        };
        scorer.learn(data, data.features(), config.pretrain_epochs);
        Ok(scorer)
    }

    /// Scores the state after step `step`, from 1.
    pub fn observe(
        &mut self,
        cvae: &NeighborCvae,
        data: &AugmentationData,
        step: usize,
    ) -> Result<(), AugmentationError> {
        if step <= self.config.warm_up || !step.is_multiple_of(self.config.every) {
            return Ok(());
        }
        let cvae = cvae.valid();
        let draws = LocalAugmenterConfig::new().with_seed(self.seed);
        let matrix = Features::Dense(draws.init(&cvae, data.raw()).draw(step as u64, 1).remove(0));
        let score = self.score(data, &matrix);
        if !score.is_finite() {
            return Err(AugmentationError::new("score", "a finite number", score));
        }
        self.scores.push((step, score));
        if score > self.best {
            self.best = score;
            self.kept = Some((cvae, step));
            self.learn(data, &matrix, self.config.update_epochs);
        }
        Ok(())
    }

    /// All scores, and the state that was kept.
    pub fn finish(self) -> (Vec<(usize, f64)>, Option<Kept>) {
        (self.scores, self.kept)
    }

    fn score(&mut self, data: &AugmentationData, matrix: &Features) -> f64 {
        let Some(network) = self.network.as_ref().map(Module::valid) else { return f64::NAN };
        let inputs = std::slice::from_ref(matrix);
        if self.config.rule == ScoreRule::ValidationAccuracy {
            let logs = network.log_probabilities(data.graph(), inputs, None);
            return Predictions::read(logs).on(&data.split().validation, data.labels()).accuracy;
        }
        let (nodes, labels) = data.training_labels();
        let passes = (0..self.config.passes as u64).map(|pass| {
            let masks = DropoutMasks::new(self.seed, self.passes + pass);
            let logs = network.log_probabilities(data.graph(), inputs, Some(&masks));
            logs.select(0, nodes.clone())
        });
        let logs: Tensor<3> = Tensor::stack(passes.collect(), 0);
        self.passes += self.config.passes as u64;
        number(&agreement_score(logs, labels))
    }

    fn learn(&mut self, data: &AugmentationData, matrix: &Features, epochs: usize) {
        let Some(mut network) = self.network.take() else { return };
        let (indices, labels) = data.training_labels();
        for _ in 0..epochs {
            let masks = DropoutMasks::new(self.seed, self.passes);
            self.passes += 1;
            let inputs = std::slice::from_ref(matrix);
            let logs = network.log_probabilities(data.graph(), inputs, Some(&masks));
            let loss = supervised_loss(logs.unsqueeze(), indices.clone(), labels.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = self.optimizer.step(0.01, network, gradients);
        }
        self.network = Some(network);
    }
}
