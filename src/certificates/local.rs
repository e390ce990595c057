//! A lower bound of a network's Lipschitz constant, found by search.
//!
//! ```text
//! max_d |f(x + d) - f(x)| / |d|,   |d| <= eps
//! ```

use burn::config::Config;
use burn::tensor::{Tensor, TensorData};
use firebrick_models::classifier::Classifier;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::attack::norms;

/// Settings of [`LocalLipschitz`].
#[derive(Config, Debug)]
pub struct LocalLipschitzConfig {
    /// Radius of the ball that is searched around each image.
    #[config(default = "36.0 / 255.0")]
    pub radius: f64,
    /// Length of a step, in radii.
    #[config(default = 0.25)]
    pub step: f64,
    /// Steps.
    #[config(default = 10)]
    pub steps: usize,
    /// Seed of the directions that the search starts with.
    #[config(default = 0)]
    pub seed: u64,
}

impl LocalLipschitzConfig {
    /// Creates the search.
    ///
    /// # Panics
    /// If the radius or the step is not positive.
    pub fn init(&self) -> LocalLipschitz {
        assert!(
            self.radius > 0.0 && self.step > 0.0,
            "LocalLipschitzConfig: radius and step must be positive, got {} and {}",
            self.radius,
            self.step
        );
        LocalLipschitz { config: self.clone() }
    }
}

/// Searches for the steepest direction around images.
///
/// What it finds is a lower bound of the Lipschitz constant; the rounding of the logits' type, divided by
/// the distance, is part of it, so small radii need 64 bits.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick::certificates::LocalLipschitzConfig;
/// use firebrick::models::vision::orthogonal::OrthogonalCnnConfig;
///
/// let device = Device::flex();
/// let network = OrthogonalCnnConfig::new(10).init(&device);
/// let images = Tensor::<4>::ones([2, 1, 8, 8], &device);
/// let ratios = LocalLipschitzConfig::new().init().ratios(&network, images);
/// assert!(ratios.into_data().iter::<f64>().all(|ratio| ratio <= 1.0 + 1e-5));
/// ```
#[derive(Clone, Debug)]
pub struct LocalLipschitz {
    config: LocalLipschitzConfig,
}

impl LocalLipschitz {
    /// The largest ratio found for each image, `[batch]`.
    ///
    /// # Shapes
    /// - images: `[batch, ..]`
    ///
    /// # Panics
    /// If there are no images.
    pub fn ratios<N: Classifier<D>, const D: usize>(
        &self,
        network: &N,
        images: Tensor<D>,
    ) -> Tensor<1> {
        let images = images.inner();
        let shape = images.dims();
        assert!(shape[0] > 0, "LocalLipschitz: there must be images, got none");
        let network = network.valid();
        let here = network.logits(images.clone());
        let mut moved = self.start(&images);
        let mut best = Tensor::zeros([shape[0]], (&images.device(), images.dtype()));
        for step in 0..=self.config.steps {
            let leaf = Tensor::from_inner(moved.clone()).require_grad();
            let there = network.logits(Tensor::from_inner(images.clone()) + leaf.clone());
            let change = norms(&(there - Tensor::from_inner(here.clone()))).reshape([shape[0]]);
            let length = norms(&moved);
            let ratio = change.clone().inner() / length.clone().reshape([shape[0]]);
            best = best.max_pair(ratio);
            if step == self.config.steps {
                break;
            }
            let gradient = leaf.grad(&change.sum().backward()).expect("logits depend on images");
            let size = norms(&gradient).clamp_min(1e-12);
            let next = moved + gradient / size * (self.config.step * self.config.radius);
            let length = norms(&next).clamp_min(1e-12);
            // The change grows with the distance, so the search stays on the sphere.
            moved = next / length * self.config.radius;
        }
        best
    }

    /// Random directions of the radius's length.
    fn start<const D: usize>(&self, images: &Tensor<D>) -> Tensor<D> {
        let shape = images.dims();
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| rng.sample(StandardNormal)).collect();
        let noise = Tensor::<D>::from_data(
            TensorData::new(values, shape),
            (&images.device(), images.dtype()),
        );
        let length = norms(&noise);
        noise / length * self.config.radius
    }
}
