//! Draws generated feature matrices for any network.

use burn::config::Config;
use burn::tensor::{Device, Tensor};
use firebrick_ops::noise::NoiseKey;
use firebrick_ops::sigmoid_rows::sigmoid_rows;
use firebrick_ops::sparse::Features;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use burn::module::Module;

use super::{NeighborCvae, Reconstruction};

/// Settings of [`LocalAugmenter`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `normalize` | true | rows of generated matrices are divided by their sum |
/// | `pool` | none | number of matrices that are drawn once and then sampled |
/// | `seed` | 0 | of all draws |
#[derive(Config, Debug)]
pub struct LocalAugmenterConfig {
    /// Whether rows are divided by their sums; the large-graph variant does not.
    #[config(default = true)]
    pub normalize: bool,
    /// Draws so many matrices once and takes each later one from them. A draw then costs nothing,
    /// and memory is that of the pool.
    pub pool: Option<usize>,
    /// Seed of the latent vectors.
    #[config(default = 0)]
    pub seed: u64,
}

impl LocalAugmenterConfig {
    /// Creates the augmenter for the nodes of `features`, on the device of the features.
    ///
    /// # Shapes
    /// - features: `[nodes, features]`, raw, as the generator was trained on
    ///
    /// # Panics
    /// If the number of features is not the generator's, the pool is empty, or rows of a generator
    /// whose outputs may be negative are to be normalized.
    pub fn init(&self, cvae: &NeighborCvae, features: impl Into<Features>) -> LocalAugmenter {
        assert!(self.pool != Some(0), "LocalAugmenterConfig: pool must hold at least 1, got 0");
        assert!(
            !self.normalize || cvae.reconstruction() == Reconstruction::Bernoulli,
            "LocalAugmenterConfig: normalize needs outputs that cannot be negative, got {:?}",
            cvae.reconstruction()
        );
        let features = match features.into() {
            Features::Dense(dense) => Features::Dense(dense.without_autodiff()),
            Features::Sparse(sparse) => {
                sparse.with_values(sparse.values().clone().without_autodiff()).into()
            }
        };
        let device = features.device();
        let cvae = plain(cvae, &device);
        let [nodes, _] = features.dims();
        let condition = cvae.condition(features).without_autodiff();
        let Self { normalize, seed, .. } = *self;
        let mut augmenter =
            LocalAugmenter { cvae, condition, nodes, normalize, seed, pool: Vec::new() };
        if let Some(pool) = self.pool {
            augmenter.pool = (0..pool as u64).map(|index| augmenter.generate(index, 0)).collect();
        }
        augmenter
    }
}

/// The generator on a device without autodiff.
fn plain(cvae: &NeighborCvae, device: &Device) -> NeighborCvae {
    // Moving a module alone does not end the tracking of its parameters.
    let tracked = cvae.encoder.hidden.weight.val().is_autodiff();
    let cvae = if tracked { cvae.valid() } else { cvae.clone() };
    cvae.to_device(device)
}

/// Draws generated feature matrices: row `i` holds the features of a neighbor that node `i` could
/// have.
///
/// Draws carry no autodiff, and a draw is a function of (seed, draw, position).
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::{LocalAugmenterConfig, NeighborCvaeConfig};
///
/// let device = Device::flex();
/// let features = Tensor::<2>::ones([3, 4], &device);
/// let cvae = NeighborCvaeConfig::new(4).with_hidden(8).init(&device);
/// let augmenter = LocalAugmenterConfig::new().init(&cvae, features);
/// let matrices = augmenter.draw(0, 2);
/// assert_eq!(matrices.len(), 2);
/// let sums = matrices[0].clone().sum_dim(1).into_data();
/// assert!(sums.iter::<f32>().all(|sum| (sum - 1.0).abs() < 1e-5));
/// ```
#[derive(Clone, Debug)]
pub struct LocalAugmenter {
    cvae: NeighborCvae,
    condition: Tensor<2>,
    nodes: usize,
    normalize: bool,
    seed: u64,
    pool: Vec<Tensor<2>>,
}

impl LocalAugmenter {
    /// The matrices of a draw, usually one draw per forward pass.
    ///
    /// # Shapes
    /// - output: `count` times `[nodes, features]`
    pub fn draw(&self, draw: u64, count: usize) -> Vec<Tensor<2>> {
        (0..count as u64).map(|position| self.matrix(draw, position)).collect()
    }

    /// The number of nodes.
    pub fn num_nodes(&self) -> usize {
        self.nodes
    }

    fn matrix(&self, draw: u64, position: u64) -> Tensor<2> {
        if self.pool.is_empty() {
            return self.generate(draw, position);
        }
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(b"la-pool ");
        key[16..24].copy_from_slice(&draw.to_le_bytes());
        key[24..].copy_from_slice(&position.to_le_bytes());
        let word = ChaCha8Rng::from_seed(key).next_u64();
        // The pool is far too small for the bias of the remainder to be seen.
        self.pool[(word % self.pool.len() as u64) as usize].clone()
    }

    fn generate(&self, draw: u64, position: u64) -> Tensor<2> {
        let key = NoiseKey { seed: self.seed, purpose: *b"la-draws", stream: position, step: draw };
        let shape = [self.nodes, self.cvae.latent()];
        let latent = key.normal(shape, &self.condition.device(), self.condition.dtype());
        let logits = self.cvae.decode(latent, self.condition.clone());
        let logits = logits.without_autodiff();
        // Normalized outputs are probabilities, as `init` saw to.
        match self.normalize {
            true => sigmoid_rows(logits),
            false => self.cvae.activate_output(logits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::local_augmentation::{NeighborCvaeConfig, normalize_rows};
    use burn::tensor::TensorData;

    fn augmenter(config: LocalAugmenterConfig) -> LocalAugmenter {
        let device = Device::flex().autodiff();
        let cvae = NeighborCvaeConfig::new(4).with_hidden(8).init(&device);
        config.init(&cvae, Tensor::ones([3, 4], &device))
    }

    fn data(matrices: Vec<Tensor<2>>) -> Vec<TensorData> {
        matrices.into_iter().map(Tensor::into_data).collect()
    }

    #[test]
    fn draws_depend_on_seed_draw_and_position() {
        let config = LocalAugmenterConfig::new();
        let (a, b) = (augmenter(config.clone()), augmenter(config.clone().with_seed(1)));
        let found = data(a.draw(0, 2));
        assert_eq!(found, data(a.draw(0, 2)));
        assert_ne!(found[0], found[1]);
        assert_ne!(found, data(a.draw(1, 2)));
        assert_ne!(found, data(b.draw(0, 2)));
        assert!(a.draw(0, 0).is_empty());
    }

    #[test]
    fn draws_carry_no_autodiff() {
        assert!(!augmenter(LocalAugmenterConfig::new()).draw(0, 1)[0].is_autodiff());
    }

    #[test]
    fn normalized_draws_are_the_generator_s_output_over_its_row_sums() {
        let device = Device::flex();
        let cvae = NeighborCvaeConfig::new(4).with_hidden(8).init(&device);
        let features = || Tensor::<2>::ones([3, 4], &device);
        let config = LocalAugmenterConfig::new();
        let plain = config.clone().with_normalize(false).init(&cvae, features()).draw(2, 1);
        let found = config.init(&cvae, features()).draw(2, 1);
        let expected = normalize_rows(plain[0].clone());
        let difference = (found[0].clone() - expected).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-6, "{difference}");
    }

    #[test]
    fn a_pool_draws_from_its_matrices() {
        let config = LocalAugmenterConfig::new();
        let fresh = augmenter(config.clone());
        let pooled = augmenter(config.with_pool(Some(3)));
        let members: Vec<_> = (0..3).flat_map(|draw| data(fresh.draw(draw, 1))).collect();
        let drawn: Vec<_> = (0..30).flat_map(|draw| data(pooled.draw(draw, 1))).collect();
        assert!(drawn.iter().all(|matrix| members.contains(matrix)));
        assert!(members.iter().all(|matrix| drawn.contains(matrix)));
    }

    #[test]
    #[should_panic(expected = "normalize needs outputs that cannot be negative, got Gaussian")]
    fn refuses_to_normalize_rows_of_any_sign() {
        let cvae = NeighborCvaeConfig::new(2)
            .with_reconstruction(Reconstruction::Gaussian)
            .init(&Device::flex());
        LocalAugmenterConfig::new().init(&cvae, Tensor::ones([1, 2], &Device::flex()));
    }
}
