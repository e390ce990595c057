//! What the flows of vectors and of images share.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::act_norm::ActNorm;
use super::block::InvertibleBlock;
use super::estimator::LogDet;
use super::inverse::InverseConfig;
use super::pullback::ResidualFunction;
use super::series::per_sample;
use crate::ModelError;

/// Where a flow sends a batch.
#[derive(Clone, Debug)]
pub struct FlowOutput {
    /// The latent vectors, `[batch, dim]`.
    pub latent: Tensor<2>,
    /// Log-determinants of the whole flow, `[batch]`.
    pub log_det: Tensor<1>,
}

impl FlowOutput {
    /// Log-densities in nats, `[batch]`: the standard normal density of the latent vectors and the
    /// log-determinants.
    pub fn log_density(self) -> Tensor<1> {
        let dim = self.latent.dims()[1] as f64;
        let norms = per_sample(self.latent.powi_scalar(2));
        norms.mul_scalar(-0.5).sub_scalar(0.5 * dim * std::f64::consts::TAU.ln()) + self.log_det
    }
}

/// An invertible block and the normalization behind it.
#[derive(Module, Debug)]
pub struct FlowStep<F: Module> {
    /// The block.
    pub block: InvertibleBlock<F>,
    /// The normalization, if there is one.
    pub norm: Option<ActNorm>,
}

impl<F: Module> FlowStep<F> {
    /// The output and the log-determinants, `[batch]`.
    ///
    /// # Shapes
    /// - input, output: `[batch, channels, ..]`
    pub fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        method: &LogDet,
        rng: &mut impl Rng,
    ) -> (Tensor<D>, Tensor<1>)
    where
        F: ResidualFunction<D>,
    {
        let (output, log_det) = self.block.forward_log_det(input, method, rng);
        match &self.norm {
            Some(norm) => {
                let (output, constant) = norm.forward(output);
                (output, log_det + constant)
            }
            None => (output, log_det),
        }
    }

    /// The input of an output, without gradients.
    ///
    /// # Errors
    /// As [`invert`](super::invert).
    pub fn inverse<const D: usize>(
        &self,
        output: Tensor<D>,
        config: &InverseConfig,
    ) -> Result<Tensor<D>, ModelError>
    where
        F: ResidualFunction<D>,
    {
        let output = output.detach();
        let output = match &self.norm {
            Some(norm) => norm.inverse(output).detach(),
            None => output,
        };
        Ok(self.block.inverse(output, config)?.input)
    }

    /// With the normalization fitted to a batch, and where the batch goes.
    pub(super) fn fitted<const D: usize>(self, batch: Tensor<D>) -> (Self, Tensor<D>)
    where
        F: ResidualFunction<D>,
    {
        let output = self.block.forward(batch).detach();
        match self.norm {
            None => (self, output),
            Some(norm) => {
                let norm = norm.fitted(output.clone());
                let output = norm.forward(output).0.detach();
                (Self { norm: Some(norm), ..self }, output)
            }
        }
    }
}

/// Fits a chain of steps, one after the other, to what reaches them.
pub(super) fn fitted_chain<const D: usize, F: Module + ResidualFunction<D>>(
    steps: Vec<FlowStep<F>>,
    batch: Tensor<D>,
) -> (Vec<FlowStep<F>>, Tensor<D>) {
    let mut fitted = Vec::with_capacity(steps.len());
    let mut batch = batch;
    for step in steps {
        let (step, output) = step.fitted(batch);
        fitted.push(step);
        batch = output;
    }
    (fitted, batch)
}

/// Seeds for the parts of a model: none, or a stream from the model's own.
pub(super) struct Seeds(Option<ChaCha8Rng>);

impl Seeds {
    pub(super) fn new(seed: Option<u64>) -> Self {
        Self(seed.map(ChaCha8Rng::seed_from_u64))
    }

    pub(super) fn next(&mut self) -> Option<u64> {
        self.0.as_mut().map(|rng| rng.random())
    }
}

/// Standard normal vectors drawn on the host, in the float type of a tensor.
pub(super) fn normal(shape: [usize; 2], like: &Tensor<1>, rng: &mut impl Rng) -> Tensor<2> {
    let values: Vec<f64> = (0..shape[0] * shape[1]).map(|_| rng.sample(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(values, shape), (&like.device(), like.dtype()))
}
