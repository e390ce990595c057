//! A conditional variational autoencoder of a neighbor's features given the center's.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::{relu, sigmoid, softplus_with_threshold};
use burn::tensor::{Device, Tensor, assert_shape};
use firebrick_ops::sparse::Features;
use firebrick_ops::surrogate::with_gradient;

use super::batch_statistics::BatchStatistics;
use super::init::Start;

/// Above this `softplus(x)` is `x` in 64 bits as well, and `exp` is finite in 32.
const SOFTPLUS_IS_LINEAR: f64 = 40.0;

/// What the generator makes of its last layer `a`, and the loss of a target `x` that goes with it.
///
/// | variant | output | loss |
/// |---|---|---|
/// | `Bernoulli` | `sigmoid(a)` | `sum max(a, 0) - a x + ln(1 + exp(-abs(a)))`, the cross entropy from logits |
/// | `Gaussian` | `a` | `sum (a - x)^2` |
/// | `BoundedGaussian` | `tanh(a)` | `sum (tanh(a) - x)^2` |
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Reconstruction {
    /// Probabilities of features that are 0 or 1.
    Bernoulli,
    /// Any numbers, by squared error.
    Gaussian,
    /// Numbers between -1 and 1, by squared error.
    BoundedGaussian,
}

/// Settings of [`NeighborCvae`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `num_features` | | features of a node |
/// | `hidden` | 256 | width of the hidden layer on both sides |
/// | `latent` | 10 | length of `z` |
/// | `reconstruction` | `Bernoulli` | output and loss of the decoder, see [`Reconstruction`] |
/// | `normalize_hidden` | false | normalization by batch statistics before every activation |
/// | `beta` | 1 | weight of the KL term |
/// | `seed` | 0 | of the starting weights |
#[derive(Config, Debug)]
pub struct NeighborCvaeConfig {
    /// Number of features of a node.
    pub num_features: usize,
    /// Width of the hidden layers of encoder and decoder.
    #[config(default = 256)]
    pub hidden: usize,
    /// Length of the latent vector.
    #[config(default = 10)]
    pub latent: usize,
    /// Output and loss of the decoder.
    #[config(default = "Reconstruction::Bernoulli")]
    pub reconstruction: Reconstruction,
    /// Normalization by the statistics of the batch before every activation, also the last one.
    #[config(default = false)]
    pub normalize_hidden: bool,
    /// Weight of the KL term.
    #[config(default = 1.0)]
    pub beta: f64,
    /// Seed of the starting weights: uniform in `+-1 / sqrt(inputs)`, drawn on the host.
    #[config(default = 0)]
    pub seed: u64,
}

impl NeighborCvaeConfig {
    /// The variant for large graphs with continuous features: squared error, `tanh` at the end and
    /// normalized hidden layers.
    pub fn large_graph(num_features: usize) -> Self {
        Self::new(num_features)
            .with_reconstruction(Reconstruction::BoundedGaussian)
            .with_normalize_hidden(true)
    }

    /// Creates the generator on `device`.
    ///
    /// # Panics
    /// If a size is zero, or `beta` is negative or not finite.
    pub fn init(&self, device: &Device) -> NeighborCvae {
        let Self { num_features, hidden, latent, beta, .. } = *self;
        assert!(
            num_features > 0 && hidden > 0 && latent > 0,
            "NeighborCvaeConfig: num_features, hidden and latent must be at least 1, \
             got {num_features}, {hidden} and {latent}"
        );
        assert!(
            beta >= 0.0 && beta.is_finite(),
            "NeighborCvaeConfig: beta must be a finite number of at least 0, got {beta}"
        );
        let mut start = Start::new(self.seed, *b"nbr-cvae", device);
        let norm = |columns| self.normalize_hidden.then(|| BatchStatistics::new(columns, device));
        NeighborCvae {
            encoder: NeighborEncoder {
                hidden: start.linear(2 * num_features, hidden),
                norm: norm(hidden),
                mean: start.linear(hidden, latent),
                log_variance: start.linear(hidden, latent),
            },
            decoder: NeighborDecoder {
                hidden: start.linear(latent + num_features, hidden),
                norm: norm(hidden),
                output: start.linear(hidden, num_features),
                output_norm: norm(num_features),
            },
            reconstruction: self.reconstruction,
            beta,
        }
    }
}

/// From a target and its condition to the distribution of the latent vector.
#[derive(Module, Debug)]
pub struct NeighborEncoder {
    /// `[x | c]` to the hidden layer.
    pub hidden: Linear,
    /// Normalization of the hidden layer.
    pub norm: Option<BatchStatistics>,
    /// To the mean of `z`.
    pub mean: Linear,
    /// To the log variance of `z`.
    pub log_variance: Linear,
}

/// From a latent vector and a condition to features.
#[derive(Module, Debug)]
pub struct NeighborDecoder {
    /// `[z | c]` to the hidden layer.
    pub hidden: Linear,
    /// Normalization of the hidden layer.
    pub norm: Option<BatchStatistics>,
    /// To one number per feature.
    pub output: Linear,
    /// Normalization before the last activation.
    pub output_norm: Option<BatchStatistics>,
}

/// Generator of neighbor features: a conditional variational autoencoder.
///
/// For an edge `(i, j)` with condition `c = x_i` and target `x = x_j`:
///
/// ```text
/// h  = relu([x | c] W_e + b_e),   mu = h W_m + b_m,   v = h W_v + b_v        (log variance)
/// z  = mu + exp(v / 2) eps,       eps ~ N(0, I)
/// h' = relu([z | c] W_d + b_d),   a = h' W_o + b_o
/// loss = (reconstruction(a, x) + beta KL) / batch
/// KL   = -1/2 sum (1 + v - mu^2 - exp(v))
/// ```
///
/// with the loss of [`Reconstruction`]. With `normalize_hidden`, [`BatchStatistics`] stands before
/// both `relu` and on `a`. After training, a latent `z ~ N(0, I)` and a node's own features give the
/// features of a neighbor that the node could have.
///
/// # Shapes
/// - neighbors `x`, centers `c`: `[batch, features]`
/// - latent `z`: `[batch, latent]`
/// - generated: `[batch, features]`
///
/// Targets and conditions may be [`SparseFeatures`](firebrick_ops::sparse::SparseFeatures): the first
/// layers are then sparse products, with the same results.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::NeighborCvaeConfig;
///
/// let device = Device::flex();
/// let cvae = NeighborCvaeConfig::new(5).with_hidden(8).with_latent(2).init(&device);
/// let (neighbors, centers) = (Tensor::ones([4, 5], &device), Tensor::zeros([4, 5], &device));
/// let output = cvae.forward(neighbors, centers.clone(), Tensor::zeros([4, 2], &device));
/// assert!(output.divergence.into_scalar::<f32>() >= 0.0);
/// let generated = cvae.generate(Tensor::ones([4, 2], &device), centers);
/// assert_eq!(generated.dims(), [4, 5]);
/// ```
///
/// # References
/// S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022; K. Sohn et al.,
/// *Learning Structured Output Representation using Deep Conditional Generative Models*, NeurIPS
/// 2015.
#[derive(Module, Debug)]
pub struct NeighborCvae {
    /// The encoder.
    pub encoder: NeighborEncoder,
    /// The decoder.
    pub decoder: NeighborDecoder,
    #[module(skip)]
    reconstruction: Reconstruction,
    beta: f64,
}

/// What [`NeighborCvae::forward`] gives.
#[derive(Clone, Debug)]
pub struct CvaeOutput {
    /// Mean of the latent vector, `[batch, latent]`.
    pub mean: Tensor<2>,
    /// Its log variance, `[batch, latent]`.
    pub log_variance: Tensor<2>,
    /// The latent vector, `[batch, latent]`.
    pub latent: Tensor<2>,
    /// The last layer before its activation, `[batch, features]`.
    pub logits: Tensor<2>,
    /// Reconstruction term, summed over batch and features, `[1]`.
    pub reconstruction: Tensor<1>,
    /// KL term without its weight, summed over batch and latent, `[1]`.
    pub divergence: Tensor<1>,
    /// `(reconstruction + beta divergence) / batch`, `[1]`.
    pub loss: Tensor<1>,
}

impl NeighborCvae {
    /// The length of the latent vector.
    pub fn latent(&self) -> usize {
        self.encoder.mean.weight.dims()[1]
    }

    /// The number of features.
    pub fn num_features(&self) -> usize {
        self.decoder.output.weight.dims()[1]
    }

    /// Output and loss of the decoder.
    pub fn reconstruction(&self) -> Reconstruction {
        self.reconstruction
    }

    /// Encodes, samples with the given noise, decodes, and computes the loss.
    ///
    /// # Shapes
    /// - neighbors: `[batch, features]`, the targets `x`
    /// - centers: `[batch, features]`, the conditions `c`
    /// - noise: `[batch, latent]`, standard normal
    ///
    /// # Panics
    /// If a shape disagrees or the batch is empty.
    pub fn forward(
        &self,
        neighbors: impl Into<Features>,
        centers: impl Into<Features>,
        noise: Tensor<2>,
    ) -> CvaeOutput {
        let (neighbors, centers) = (neighbors.into(), centers.into());
        let [batch, _] = neighbors.dims();
        let (features, latent) = (self.num_features(), self.latent());
        assert!(batch > 0, "NeighborCvae: the batch must have at least one pair, got 0");
        check_input("neighbors", &neighbors, [batch, features]);
        check_input("centers", &centers, [batch, features]);
        assert_shape!(noise, [batch, latent]);
        let input = neighbors.beside(&centers);
        let hidden = activate(affine(&self.encoder.hidden, &input), &self.encoder.norm);
        let mean = self.encoder.mean.forward(hidden.clone());
        let log_variance = self.encoder.log_variance.forward(hidden);
        let latent = mean.clone() + (log_variance.clone() * 0.5).exp() * noise;
        let logits = self.decode(latent.clone(), self.condition(centers));
        let reconstruction = self.reconstruction_loss(logits.clone(), neighbors.into_dense());
        let divergence = divergence(mean.clone(), log_variance.clone());
        let loss = (reconstruction.clone() + divergence.clone() * self.beta) * (1.0 / batch as f64);
        CvaeOutput { mean, log_variance, latent, logits, reconstruction, divergence, loss }
    }

    /// The part of the decoder's hidden layer that comes from the condition, `c W_c + b_d`. It is
    /// the same for every latent vector, so it is computed once for many draws.
    ///
    /// # Shapes
    /// - centers: `[batch, features]`
    /// - output: `[batch, hidden]`
    ///
    /// # Panics
    /// If the number of features is another.
    pub fn condition(&self, centers: impl Into<Features>) -> Tensor<2> {
        let (centers, features) = (centers.into(), self.num_features());
        check_input("centers", &centers, [centers.dims()[0], features]);
        let weight = self.decoder.hidden.weight.val().narrow(0, self.latent(), features);
        let product = centers.matmul(weight);
        match &self.decoder.hidden.bias {
            Some(bias) => product + bias.val().unsqueeze(),
            None => product,
        }
    }

    /// The last layer before its activation, from [`condition`](Self::condition).
    ///
    /// # Shapes
    /// - latent: `[batch, latent]`
    /// - condition: `[batch, hidden]`
    /// - output: `[batch, features]`
    pub fn decode(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let weight = self.decoder.hidden.weight.val().narrow(0, 0, self.latent());
        let hidden = activate(latent.matmul(weight) + condition, &self.decoder.norm);
        normalize(self.decoder.output.forward(hidden), &self.decoder.output_norm)
    }

    /// Applies the activation of the last layer.
    ///
    /// # Shapes
    /// - logits: `[batch, features]`
    /// - output: `[batch, features]`
    pub fn activate_output(&self, logits: Tensor<2>) -> Tensor<2> {
        match self.reconstruction {
            Reconstruction::Bernoulli => sigmoid(logits),
            Reconstruction::Gaussian => logits,
            Reconstruction::BoundedGaussian => logits.tanh(),
        }
    }

    /// Features of one neighbor for each center.
    ///
    /// # Shapes
    /// - latent: `[batch, latent]`, standard normal
    /// - centers: `[batch, features]`
    /// - output: `[batch, features]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn generate(&self, latent: Tensor<2>, centers: impl Into<Features>) -> Tensor<2> {
        let centers = centers.into();
        let ([batch, _], width) = (centers.dims(), self.latent());
        assert_shape!(latent, [batch, width]);
        self.activate_output(self.decode(latent, self.condition(centers)))
    }

    fn reconstruction_loss(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        if self.reconstruction == Reconstruction::Bernoulli {
            return binary_cross_entropy(logits, targets);
        }
        (self.activate_output(logits) - targets).square().sum()
    }
}

fn check_input(name: &str, input: &Features, expected: [usize; 2]) {
    let found = input.dims();
    assert!(
        found == expected,
        "NeighborCvae: {name} must have the shape {expected:?}, got {found:?}"
    );
}

/// `x W + b`
fn affine(layer: &Linear, input: &Features) -> Tensor<2> {
    let product = input.matmul(layer.weight.val());
    match &layer.bias {
        Some(bias) => product + bias.val().unsqueeze(),
        None => product,
    }
}

/// Sum of the cross entropies of independent bits, with the gradient `sigmoid(a) - x`.
fn binary_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let plain = logits.clone().without_autodiff();
    let targets = targets.without_autodiff();
    let softplus = softplus_with_threshold(plain.clone(), 1.0, SOFTPLUS_IS_LINEAR);
    let value = (softplus - plain.clone() * targets.clone()).sum();
    with_gradient(logits, value, sigmoid(plain) - targets)
}

fn divergence(mean: Tensor<2>, log_variance: Tensor<2>) -> Tensor<1> {
    let variance = log_variance.clone().exp();
    (log_variance + 1.0 - mean.square() - variance).sum() * -0.5
}

fn activate(input: Tensor<2>, norm: &Option<BatchStatistics>) -> Tensor<2> {
    relu(normalize(input, norm))
}

fn normalize(input: Tensor<2>, norm: &Option<BatchStatistics>) -> Tensor<2> {
    match norm {
        Some(norm) => norm.forward(input),
        None => input,
    }
}

/// Divides every row by its sum; rows of sum 0 stay as they are.
///
/// # Shapes
/// - rows: `[rows, columns]`
/// - output: `[rows, columns]`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::local_augmentation::normalize_rows;
///
/// let rows = Tensor::<2>::from_data([[1.0, 3.0], [0.0, 0.0]], &Device::flex());
/// let found = normalize_rows(rows).into_data();
/// assert_eq!(found.iter::<f32>().collect::<Vec<_>>(), [0.25, 0.75, 0.0, 0.0]);
/// ```
pub fn normalize_rows(rows: Tensor<2>) -> Tensor<2> {
    let sums = rows.clone().sum_dim(1);
    let scale = sums.clone().mask_fill(sums.equal_elem(0.0), 1.0).recip();
    rows * scale
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
