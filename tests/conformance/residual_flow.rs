//! Residual flows of vectors and of images.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use firebrick::models::generative::residual_flow::{
    ImageFlow, ImageFlowConfig, LogDet, VectorFlow, VectorFlowConfig,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::subjects::{Subject, device_of, host, wave};

/// Trained by the exact log-likelihood.
impl Subject for VectorFlow {
    fn init(device: &Device) -> Self {
        VectorFlowConfig::new(3).with_blocks(2).with_hidden(vec![4, 6]).init(device)
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let input = wave([4, 3], step, &device_of(&self));
        let mut rng = ChaCha8Rng::seed_from_u64(step as u64);
        let loss = self.log_density(input, &LogDet::Exact, &mut rng).mean().neg();
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        optimizer.step(0.05, self, gradients)
    }

    fn output(&self) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let output = self.forward(wave([3, 3], 99, &device_of(self)), &LogDet::Exact, &mut rng);
        [host(output.latent), host(output.log_det)].concat()
    }
}

/// Trained by the unbiased estimator.
impl Subject for ImageFlow {
    fn init(device: &Device) -> Self {
        ImageFlowConfig::new([1, 4, 4])
            .with_blocks(vec![1, 1])
            .with_hidden(4)
            .with_dense_blocks(1)
            .with_dense_width(5)
            .init(device)
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let images = wave([3, 1, 4, 4], step, &device_of(&self)).mul_scalar(0.4).add_scalar(0.5);
        let mut rng = ChaCha8Rng::seed_from_u64(step as u64);
        let loss = self.log_density(images, &LogDet::training(), &mut rng).mean().neg();
        let loss = loss.mul_scalar(1.0 / 16.0);
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        optimizer.step(0.05, self, gradients)
    }

    fn output(&self) -> Vec<f32> {
        let images = wave([2, 1, 4, 4], 99, &device_of(self)).mul_scalar(0.4).add_scalar(0.5);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let output = self.forward(images, &LogDet::evaluation(), &mut rng);
        [host(output.latent), host(output.log_det)].concat()
    }
}
