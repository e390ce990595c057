//! One step of training: in closed form on the host, or in tensors by a Burn optimizer.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick_datasets::{LabeledSamples, SignalPatches};
use firebrick_models::patch_network::PatchNetwork;

use super::{DescentConfig, PatchFilters};

/// What the loop of a run needs.
pub(super) trait Trainer {
    /// Computes the gradient over a batch, or over all examples, and gives the loss. `read` says
    /// whether the loop wants it; giving it anyway must be free.
    fn evaluate(&mut self, batch: Option<&[usize]>, read: bool) -> Option<f64>;

    /// Updates the filters by the gradient of [`evaluate`](Self::evaluate).
    fn advance(&mut self);

    /// The filters as they are.
    fn filters(&self) -> PatchFilters;

    /// Their norm, if it costs nothing.
    fn norm(&self) -> Option<f64>;
}

/// `g <- gamma g + (1 - gamma) G`, `W <- W - eta g`, from `g = 0`.
pub(super) struct HostTrainer<'a> {
    data: &'a SignalPatches,
    config: &'a DescentConfig,
    filters: PatchFilters,
    gradient: Vec<f64>,
    average: Vec<f64>,
}

impl<'a> HostTrainer<'a> {
    pub fn new(data: &'a SignalPatches, config: &'a DescentConfig, start: &PatchFilters) -> Self {
        let average = vec![0.0; start.values().len()];
        Self { data, config, filters: start.clone(), gradient: Vec::new(), average }
    }
}

impl Trainer for HostTrainer<'_> {
    fn evaluate(&mut self, batch: Option<&[usize]>, _: bool) -> Option<f64> {
        let (loss, gradient) =
            self.filters.loss_and_gradient(self.data, batch, self.config.penalty);
        self.gradient = gradient;
        Some(loss)
    }

    fn advance(&mut self) {
        let past = self.config.momentum;
        for (average, fresh) in self.average.iter_mut().zip(&self.gradient) {
            *average = past * *average + (1.0 - past) * fresh;
        }
        self.filters.descend(self.config.step_size, &self.average);
    }

    fn filters(&self) -> PatchFilters {
        self.filters.clone()
    }

    fn norm(&self) -> Option<f64> {
        Some(self.filters.norm())
    }
}

/// A Burn optimizer on the gradient of autodiff.
pub(super) struct TensorTrainer<'a> {
    config: &'a DescentConfig,
    optimizer: ModuleOptimizer,
    inputs: Tensor<3>,
    signs: Tensor<1>,
    /// Always there between two calls.
    network: Option<PatchNetwork>,
    gradients: Option<GradientsParams>,
}

impl<'a> TensorTrainer<'a> {
    pub fn new(
        data: &SignalPatches,
        config: &'a DescentConfig,
        start: &PatchFilters,
        optimizer: ModuleOptimizer,
        device: &Device,
    ) -> Self {
        let device = device.clone().autodiff();
        let shape = [data.len(), data.num_patches(), data.dim()];
        Self {
            config,
            optimizer,
            inputs: Tensor::from_data(TensorData::new(data.inputs().to_vec(), shape), &device),
            signs: Tensor::from_data(TensorData::new(data.signs(), [data.len()]), &device),
            network: Some(start.to_network(&device)),
            gradients: None,
        }
    }

    fn network(&self) -> &PatchNetwork {
        self.network.as_ref().expect("`advance` puts the network back")
    }
}

impl Trainer for TensorTrainer<'_> {
    fn evaluate(&mut self, batch: Option<&[usize]>, read: bool) -> Option<f64> {
        let (mut inputs, mut signs) = (self.inputs.clone(), self.signs.clone());
        if let Some(batch) = batch {
            let indices: Vec<i64> = batch.iter().map(|&index| index as i64).collect();
            let data = TensorData::new(indices, [batch.len()]);
            let indices = Tensor::<1, Int>::from_data(data, &inputs.device());
            inputs = inputs.select(0, indices.clone());
            signs = signs.select(0, indices);
        }
        let loss = self.network().loss(inputs, signs, self.config.penalty);
        self.gradients = Some(GradientsParams::from_grads(loss.backward(), self.network()));
        read.then(|| loss.into_scalar::<f64>())
    }

    fn advance(&mut self) {
        if let (Some(network), Some(gradients)) = (self.network.take(), self.gradients.take()) {
            self.network = Some(self.optimizer.step(self.config.step_size, network, gradients));
        }
    }

    fn filters(&self) -> PatchFilters {
        PatchFilters::from_network(self.network())
    }

    fn norm(&self) -> Option<f64> {
        None
    }
}
