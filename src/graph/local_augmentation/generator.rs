//! Trains the generator of neighbor features.

use burn::config::Config;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use firebrick_models::graph::local_augmentation::{
    AugmentationError, NeighborCvae, PairBatch, Reconstruction,
};
use firebrick_ops::noise::NoiseKey;
use firebrick_ops::sparse::Features;
use serde::Serialize;

use super::AugmentationData;
use super::nodes::{adam, number};
use super::scorer::{Scorer, ScoringConfig};

/// Settings of the training of a generator.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `epochs` | 10 | over all pairs of neighbors |
/// | `batch_size` | 64 | pairs |
/// | `learning_rate` | 0.01 | of Adam, epsilon 1e-8 |
/// | `scoring` | none | chooses among the states after each step; without, the last one is kept |
/// | `any_range` | false | lets the Bernoulli reconstruction have features outside `[0, 1]` |
/// | `seed` | 0 | order of the pairs, latent noise |
#[derive(Config, Debug)]
pub struct GeneratorTrainingConfig {
    /// Number of epochs.
    #[config(default = 10)]
    pub epochs: usize,
    /// Pairs in a step.
    #[config(default = 64)]
    pub batch_size: usize,
    /// Learning rate of Adam.
    #[config(default = 0.01)]
    pub learning_rate: f64,
    /// How the state to keep is chosen; `None` keeps the last one.
    pub scoring: Option<ScoringConfig>,
    /// Allows targets outside `[0, 1]` under the Bernoulli reconstruction, whose loss then has no
    /// lower bound; the authors' code trains so on TF-IDF features.
    #[config(default = false)]
    pub any_range: bool,
    /// Seed of the order of the pairs and of the latent noise.
    #[config(default = 0)]
    pub seed: u64,
}

impl GeneratorTrainingConfig {
    fn check(&self) -> Result<(), AugmentationError> {
        for (what, found) in [("epochs", self.epochs), ("batch size", self.batch_size)] {
            if found == 0 {
                return Err(AugmentationError::new(what, "at least 1", found));
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            let expected = "a finite number above 0";
            return Err(AugmentationError::new("learning rate", expected, self.learning_rate));
        }
        self.scoring.as_ref().map_or(Ok(()), ScoringConfig::check)
    }

    /// Trains a generator, which must be on an autodiff device, on the raw features of all pairs.
    ///
    /// `observe` is called after every epoch.
    ///
    /// # Errors
    /// [`AugmentationError`] if a setting is outside its range, the graph has no edge between two
    /// nodes, a feature is outside `[0, 1]` where the reconstruction is Bernoulli, or the loss is no
    /// number.
    ///
    /// # Panics
    /// If the generator has another number of features than the data.
    pub fn train(
        &self,
        mut cvae: NeighborCvae,
        data: &AugmentationData,
        mut observe: impl FnMut(&GeneratorEpoch),
    ) -> Result<TrainedGenerator, AugmentationError> {
        self.check()?;
        let pairs = data.pairs()?;
        if cvae.reconstruction() == Reconstruction::Bernoulli && !self.any_range {
            check_range(data.raw())?;
        }
        let mut optimizer = ModuleOptimizer::from(adam(0.0).build());
        let mut scorer = match &self.scoring {
            Some(config) => Some(Scorer::new(config, data, &cvae, self.seed)?),
            None => None,
        };
        let (mut history, mut step) = (Vec::new(), 0);
        for epoch in 0..self.epochs {
            let (mut reconstruction, mut divergence) = (None, None);
            for batch in pairs.batches(self.batch_size, self.seed, epoch as u64) {
                let output = self.forward(&cvae, data, &batch, step);
                add(&mut reconstruction, output.0);
                add(&mut divergence, output.1);
                let gradients = GradientsParams::from_grads(output.2.backward(), &cvae);
                cvae = optimizer.step(self.learning_rate, cvae, gradients);
                step += 1;
                if let Some(scorer) = &mut scorer {
                    scorer.observe(&cvae, data, step)?;
                }
            }
            let mean = |sum: Option<Tensor<1>>| {
                sum.map_or(f64::NAN, |sum| number(&sum)) / pairs.len() as f64
            };
            let point = GeneratorEpoch {
                epoch: epoch + 1,
                reconstruction: mean(reconstruction),
                divergence: mean(divergence),
            };
            if !(point.reconstruction + point.divergence).is_finite() {
                let found = format!("{} in epoch {}", point.reconstruction, epoch + 1);
                return Err(AugmentationError::new("generator loss", "a finite number", found));
            }
            observe(&point);
            history.push(point);
        }
        let (scores, kept) = scorer.map_or_else(Default::default, Scorer::finish);
        let (cvae, step) = kept.unwrap_or_else(|| (cvae.valid(), step));
        Ok(TrainedGenerator { cvae, step, history, scores })
    }

    /// Reconstruction and divergence without autodiff, and the loss.
    fn forward(
        &self,
        cvae: &NeighborCvae,
        data: &AugmentationData,
        batch: &PairBatch,
        step: usize,
    ) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
        let (neighbors, centers) = batch.gather(data.raw());
        let key = NoiseKey { seed: self.seed, purpose: *b"la-train", stream: 0, step: step as u64 };
        let shape = [batch.len(), cvae.latent()];
        let noise = key.normal(shape, &neighbors.device(), neighbors.dtype());
        let output = cvae.forward(neighbors, centers, noise);
        let plain = Tensor::<1>::without_autodiff;
        (plain(output.reconstruction), plain(output.divergence), output.loss)
    }
}

fn add(sum: &mut Option<Tensor<1>>, value: Tensor<1>) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + value,
        None => value,
    });
}

fn check_range(features: &Features) -> Result<(), AugmentationError> {
    let stored = match features {
        Features::Dense(dense) => dense.clone().flatten(0, 1),
        Features::Sparse(sparse) => sparse.values().clone(),
    };
    if stored.dims()[0] == 0 {
        return Ok(());
    }
    let (low, high) = (number(&stored.clone().min()), number(&stored.max()));
    if low >= 0.0 && high <= 1.0 {
        return Ok(());
    }
    let expected = "numbers from 0 to 1 for the Bernoulli reconstruction (scale them, choose \
                    another, or allow any range)";
    Err(AugmentationError::new("features", expected, format!("{low} to {high}")))
}

/// One epoch of a training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GeneratorEpoch {
    /// From 1.
    pub epoch: usize,
    /// Reconstruction per pair, in nats.
    pub reconstruction: f64,
    /// KL term per pair, in nats.
    pub divergence: f64,
}

/// A trained generator.
#[derive(Clone, Debug)]
pub struct TrainedGenerator {
    /// The state that was kept, without autodiff.
    pub cvae: NeighborCvae,
    /// The step after which it was kept, from 1.
    pub step: usize,
    /// All epochs.
    pub history: Vec<GeneratorEpoch>,
    /// Steps and their scores, where scoring is on.
    pub scores: Vec<(usize, f64)>,
}
