//! A residual flow of vectors.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, TensorCreationOptions};
use rand::Rng;

use super::act_norm::ActNormConfig;
use super::block::InvertibleBlock;
use super::contraction::Contraction;
use super::estimator::LogDet;
use super::inverse::InverseConfig;
use super::mlp::ContractiveMlpConfig;
use super::step::{FlowOutput, FlowStep, Seeds, fitted_chain, normal};
use crate::ModelError;
use crate::orthogonal::OrthogonalLinear;

/// Settings of [`VectorFlow`].
#[derive(Config, Debug)]
pub struct VectorFlowConfig {
    /// Length of the vectors.
    pub dim: usize,
    /// Number of blocks.
    #[config(default = 10)]
    pub blocks: usize,
    /// Widths of the hidden layers of a block.
    #[config(default = "vec![128, 128]")]
    pub hidden: Vec<usize>,
    /// Factor behind every orthogonal layer, in (0, 1).
    #[config(default = 0.98)]
    pub coefficient: f64,
    /// Whether a normalization follows each block.
    #[config(default = true)]
    pub act_norm: bool,
    /// Seed of the start; by default it is drawn from the device, as Burn's layers do.
    pub seed: Option<u64>,
}

impl VectorFlowConfig {
    /// Creates the flow on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If `dim` or a width is zero, there is no block, or the coefficient is not positive and finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> VectorFlow {
        assert!(self.blocks > 0, "VectorFlowConfig: blocks must be positive, got 0");
        let options = options.into();
        let mut seeds = Seeds::new(self.seed);
        let steps = (0..self.blocks).map(|index| self.step(index > 0, seeds.next(), &options));
        VectorFlow { steps: steps.collect(), dim: self.dim }
    }

    pub(super) fn step(
        &self,
        leading_activation: bool,
        seed: Option<u64>,
        options: &TensorCreationOptions,
    ) -> FlowStep<Contraction<OrthogonalLinear>> {
        let residual = ContractiveMlpConfig::new(self.dim, self.hidden.clone())
            .with_coefficient(self.coefficient)
            .with_leading_activation(leading_activation)
            .with_seed(seed)
            .init(options.clone());
        let norm = self.act_norm.then(|| ActNormConfig::new(self.dim).init(options.clone()));
        FlowStep { block: InvertibleBlock { residual }, norm }
    }
}

/// A residual flow of vectors: blocks of orthogonal linear layers, each followed by a normalization, and a
/// standard normal prior.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::{InverseConfig, LogDet, VectorFlowConfig};
/// use rand::SeedableRng;
///
/// let device = Device::flex().autodiff();
/// let flow = VectorFlowConfig::new(2).with_blocks(2).with_hidden(vec![8]).init(&device);
/// let batch = Tensor::<2>::from_data([[3.0, 1.0], [-1.0, 2.0], [0.0, 0.0]], &device);
/// let flow = flow.fitted(batch.clone()); // starts the normalizations, once, before training
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let loss = flow.log_density(batch, &LogDet::Exact, &mut rng).mean().neg();
/// let gradients = loss.backward(); // as of any loss
/// let samples = flow.sample(5, &mut rng, &InverseConfig::new())?;
/// assert_eq!(samples.dims(), [5, 2]);
/// # Ok::<(), firebrick_models::ModelError>(())
/// ```
///
/// # Notes
/// Weight decay must be off for the free parameters of orthogonal layers.
#[derive(Module, Debug)]
pub struct VectorFlow {
    /// The steps, from the data to the latent vectors.
    pub steps: Vec<FlowStep<Contraction<OrthogonalLinear>>>,
    #[module(skip)]
    dim: usize,
}

impl VectorFlow {
    /// The latent vectors and the log-determinants.
    ///
    /// # Shapes
    /// - input: `[batch, dim]`
    ///
    /// # Panics
    /// If the vectors have another length.
    pub fn forward(&self, input: Tensor<2>, method: &LogDet, rng: &mut impl Rng) -> FlowOutput {
        let [batch, dim] = input.dims();
        assert!(dim == self.dim, "VectorFlow: vectors must have length {}, got {dim}", self.dim);
        let mut log_det = Tensor::zeros([batch], (&input.device(), input.dtype()));
        let mut latent = input;
        for step in &self.steps {
            let (output, change) = step.forward(latent, method, rng);
            latent = output;
            log_det = log_det + change;
        }
        FlowOutput { latent, log_det }
    }

    /// Log-densities in nats, `[batch]`.
    ///
    /// # Shapes
    /// - input: `[batch, dim]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn log_density(&self, input: Tensor<2>, method: &LogDet, rng: &mut impl Rng) -> Tensor<1> {
        self.forward(input, method, rng).log_density()
    }

    /// The vectors of latent ones, without gradients.
    ///
    /// # Shapes
    /// - latent, result: `[batch, dim]`
    ///
    /// # Errors
    /// As [`invert`](super::invert).
    pub fn inverse(
        &self,
        latent: Tensor<2>,
        config: &InverseConfig,
    ) -> Result<Tensor<2>, ModelError> {
        self.steps.iter().rev().try_fold(latent, |x, step| step.inverse(x, config))
    }

    /// Draws vectors from the density, `[count, dim]`, without gradients.
    ///
    /// # Errors
    /// As [`invert`](super::invert).
    pub fn sample(
        &self,
        count: usize,
        rng: &mut impl Rng,
        config: &InverseConfig,
    ) -> Result<Tensor<2>, ModelError> {
        let bias = self.steps[0].block.residual.layers[0].bias.as_ref();
        let like = bias.expect("every layer of a flow has a bias").val();
        self.inverse(normal([count, self.dim], &like, rng), config)
    }

    /// With every normalization fitted to what this batch becomes on its way; once, before training.
    ///
    /// # Shapes
    /// - batch: `[batch, dim]`
    ///
    /// # Panics
    /// If the batch is empty.
    pub fn fitted(self, batch: Tensor<2>) -> Self {
        let (steps, _) = fitted_chain(self.steps, batch);
        Self { steps, ..self }
    }
}
