//! A residual flow of images in several scales.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, TensorCreationOptions};
use rand::Rng;

use super::act_norm::ActNormConfig;
use super::block::InvertibleBlock;
use super::contraction::Contraction;
use super::conv::ContractiveConvConfig;
use super::estimator::LogDet;
use super::inverse::InverseConfig;
use super::logit::LogitTransform;
use super::squeeze::{squeeze, unsqueeze};
use super::step::{FlowOutput, FlowStep, Seeds, fitted_chain, normal};
use super::vector_flow::VectorFlowConfig;
use crate::ModelError;
use crate::orthogonal::{OrthogonalConv2d, OrthogonalLinear};

/// Settings of [`ImageFlow`].
#[derive(Config, Debug)]
pub struct ImageFlowConfig {
    /// Channels, height and width of an image.
    pub image: [usize; 3],
    /// Number of convolutional blocks in each scale, with a squeeze between scales.
    #[config(default = "vec![16, 16, 16]")]
    pub blocks: Vec<usize>,
    /// Channels inside of a convolutional block.
    #[config(default = 512)]
    pub hidden: usize,
    /// Number of fully connected blocks at the end.
    #[config(default = 4)]
    pub dense_blocks: usize,
    /// Width of the two hidden layers of a fully connected block.
    #[config(default = 128)]
    pub dense_width: usize,
    /// Factor behind every orthogonal layer, in (0, 1).
    #[config(default = 0.98)]
    pub coefficient: f64,
    /// How far pixels are drawn away from 0 and 1 before their logit is taken; 1e-6 for images with empty
    /// backgrounds.
    #[config(default = 0.05)]
    pub alpha: f64,
    /// Seed of the start; by default it is drawn from the device, as Burn's layers do.
    pub seed: Option<u64>,
}

impl ImageFlowConfig {
    /// Creates the flow on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a size is zero; there is no scale or no block; a side is odd where it is to be halved; `alpha` is not in
    /// (0, 0.5); or the coefficient is not positive and finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> ImageFlow {
        let [channels, height, width] = self.image;
        assert!(!self.blocks.is_empty(), "ImageFlowConfig: blocks must name at least one scale");
        assert!(
            self.blocks.iter().sum::<usize>() + self.dense_blocks > 0,
            "ImageFlowConfig: blocks and dense_blocks must not all be zero"
        );
        assert!(
            channels * height * width > 0,
            "ImageFlowConfig: image must not be empty, got {:?}",
            self.image
        );
        let halvings = self.blocks.len() - 1;
        let fits = [height, width].iter().all(|side| side.is_multiple_of(1 << halvings));
        assert!(
            fits,
            "ImageFlowConfig: height and width must be multiples of {} for {} scales, got {height} \
             and {width}",
            1 << halvings,
            self.blocks.len()
        );
        let options = options.into();
        let mut seeds = Seeds::new(self.seed);
        let scales = self.blocks.iter().enumerate().map(|(scale, &blocks)| {
            let channels = channels << (2 * scale);
            let step = |block| self.step(channels, scale + block > 0, seeds.next(), &options);
            Scale { steps: (0..blocks).map(step).collect() }
        });
        let scales = scales.collect();
        let dense = VectorFlowConfig::new(channels * height * width)
            .with_hidden(vec![self.dense_width; 2])
            .with_coefficient(self.coefficient);
        let dense = (0..self.dense_blocks).map(|_| dense.step(true, seeds.next(), &options));
        ImageFlow {
            scales,
            dense: dense.collect(),
            logit: LogitTransform::new(self.alpha),
            image: self.image,
        }
    }

    fn step(
        &self,
        channels: usize,
        leading_activation: bool,
        seed: Option<u64>,
        options: &TensorCreationOptions,
    ) -> FlowStep<Contraction<OrthogonalConv2d>> {
        let residual = ContractiveConvConfig::new(channels)
            .with_hidden(self.hidden)
            .with_coefficient(self.coefficient)
            .with_leading_activation(leading_activation)
            .with_seed(seed)
            .init(options.clone());
        let norm = Some(ActNormConfig::new(channels).init(options.clone()));
        FlowStep { block: InvertibleBlock { residual }, norm }
    }
}

/// The steps on images of one size.
#[derive(Module, Debug)]
pub struct Scale {
    /// The steps, in their order.
    pub steps: Vec<FlowStep<Contraction<OrthogonalConv2d>>>,
}

/// A residual flow of images: the logit of the pixels, scales of convolutional blocks with a squeeze between
/// them, fully connected blocks, and a standard normal prior.
///
/// No part of an image leaves the flow between scales, so that the latent vectors are as long as the images.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::{ImageFlowConfig, InverseConfig, LogDet};
/// use rand::SeedableRng;
///
/// let device = Device::flex();
/// let config = ImageFlowConfig::new([1, 4, 4]).with_blocks(vec![1, 1]).with_hidden(8);
/// let flow = config.with_dense_blocks(1).with_dense_width(16).init(&device);
/// let images = Tensor::<4>::full([2, 1, 4, 4], 0.25, &device);
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let densities = flow.log_density(images, &LogDet::evaluation(), &mut rng);
/// assert_eq!(densities.dims(), [2]);
/// assert_eq!(flow.sample(3, &mut rng, &InverseConfig::new())?.dims(), [3, 1, 4, 4]);
/// # Ok::<(), firebrick_models::ModelError>(())
/// ```
///
/// # Notes
/// Weight decay must be off for the free parameters of orthogonal layers.
#[derive(Module, Debug)]
pub struct ImageFlow {
    /// The scales, from the largest images to the smallest.
    pub scales: Vec<Scale>,
    /// The fully connected steps.
    pub dense: Vec<FlowStep<Contraction<OrthogonalLinear>>>,
    #[module(skip)]
    logit: LogitTransform,
    #[module(skip)]
    image: [usize; 3],
}

impl ImageFlow {
    /// The latent vectors and the log-determinants, the logit's among them.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`, pixels in `[0, 1]`, dequantized
    ///
    /// # Panics
    /// If the images have another shape.
    pub fn forward(&self, images: Tensor<4>, method: &LogDet, rng: &mut impl Rng) -> FlowOutput {
        self.check(&images);
        let batch = images.dims()[0];
        let (mut images, mut log_det) = self.logit.forward(images);
        for (index, scale) in self.scales.iter().enumerate() {
            images = if index > 0 { squeeze(images) } else { images };
            for step in &scale.steps {
                let (output, change) = step.forward(images, method, rng);
                images = output;
                log_det = log_det + change;
            }
        }
        let mut latent = images.reshape([batch, self.dim()]);
        for step in &self.dense {
            let (output, change) = step.forward(latent, method, rng);
            latent = output;
            log_det = log_det + change;
        }
        FlowOutput { latent, log_det }
    }

    /// Log-densities in nats of images in the unit cube, `[batch]`.
    ///
    /// # Shapes
    /// - images: as for [`forward`](Self::forward)
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn log_density(&self, images: Tensor<4>, method: &LogDet, rng: &mut impl Rng) -> Tensor<1> {
        self.forward(images, method, rng).log_density()
    }

    /// The images of latent vectors, without gradients.
    ///
    /// # Shapes
    /// - latent: `[batch, channels * height * width]`
    /// - result: `[batch, channels, height, width]`
    ///
    /// # Errors
    /// As [`invert`](super::invert).
    pub fn inverse(
        &self,
        latent: Tensor<2>,
        config: &InverseConfig,
    ) -> Result<Tensor<4>, ModelError> {
        let batch = latent.dims()[0];
        let vectors =
            self.dense.iter().rev().try_fold(latent, |x, step| step.inverse(x, config))?;
        let [channels, height, width] = self.image;
        let halvings = self.scales.len() - 1;
        let smallest = [batch, channels << (2 * halvings), height >> halvings, width >> halvings];
        let mut images = vectors.reshape(smallest);
        for (index, scale) in self.scales.iter().enumerate().rev() {
            let steps = scale.steps.iter().rev();
            images = steps.into_iter().try_fold(images, |x, step| step.inverse(x, config))?;
            images = if index > 0 { unsqueeze(images) } else { images };
        }
        Ok(self.logit.inverse(images))
    }

    /// Draws images from the density, `[count, channels, height, width]`, without gradients; pixels may lie
    /// outside of `[0, 1]` by up to `alpha / (1 - 2 alpha)`.
    ///
    /// # Errors
    /// As [`invert`](super::invert).
    pub fn sample(
        &self,
        count: usize,
        rng: &mut impl Rng,
        config: &InverseConfig,
    ) -> Result<Tensor<4>, ModelError> {
        self.inverse(normal([count, self.dim()], &self.any_parameter(), rng), config)
    }

    /// With every normalization fitted to what this batch becomes on its way; once, before training.
    ///
    /// # Shapes
    /// - batch: as for [`forward`](Self::forward)
    ///
    /// # Panics
    /// If the batch is empty, or the images have another shape.
    pub fn fitted(self, batch: Tensor<4>) -> Self {
        self.check(&batch);
        let count = batch.dims()[0];
        let dim = self.dim();
        let (mut images, _) = self.logit.forward(batch);
        let mut scales = Vec::with_capacity(self.scales.len());
        for (index, scale) in self.scales.into_iter().enumerate() {
            images = if index > 0 { squeeze(images) } else { images };
            let (steps, output) = fitted_chain(scale.steps, images);
            scales.push(Scale { steps });
            images = output;
        }
        let (dense, _) = fitted_chain(self.dense, images.reshape([count, dim]));
        Self { scales, dense, ..self }
    }

    /// Length of the latent vectors.
    pub fn dim(&self) -> usize {
        self.image.iter().product()
    }

    /// Some parameter, for its device and float type.
    fn any_parameter(&self) -> Tensor<1> {
        let images = self.scales.iter().flat_map(|scale| &scale.steps).map(|step| &step.norm);
        let norms = images.chain(self.dense.iter().map(|step| &step.norm)).flatten();
        let mut norms = norms.map(|norm| norm.shift.val());
        norms.next().expect("an image flow has at least one block")
    }

    fn check(&self, images: &Tensor<4>) {
        let [_, channels, height, width] = images.dims();
        assert!(
            [channels, height, width] == self.image,
            "ImageFlow: images must have the shape {:?}, got {:?}",
            self.image,
            [channels, height, width]
        );
    }
}
