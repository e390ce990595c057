//! Projected gradient descent in the l2 ball.
//!
//! ```text
//! d <- project( clip(x + d + a g / |g|) - x ),   g = gradient of cross entropy,   |d| <= eps
//! ```
//!
//! Only gradients with respect to the images are taken: parameters are detached, so that orthogonal layers
//! compose their kernels once for all steps.
//!
//! # References
//! - A. Madry et al., *Towards Deep Learning Models Resistant to Adversarial Attacks*, ICLR 2018.
//! - J. Su, W. Byeon, F. Huang, ICML 2022, section 6.2 (the settings).

use burn::config::Config;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Int, Tensor, TensorData};
use firebrick_models::classifier::Classifier;
use firebrick_ops::one_hot;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Keeps a direction of length zero from becoming NaN.
const TINY: f64 = 1e-12;

/// Settings of [`L2Attack`]; the defaults are those of the paper.
#[derive(Config, Debug)]
pub struct L2AttackConfig {
    /// Radius of the ball.
    #[config(default = "36.0 / 255.0")]
    pub radius: f64,
    /// Length of a step, in radii.
    #[config(default = 0.25)]
    pub step: f64,
    /// Steps.
    #[config(default = 10)]
    pub steps: usize,
    /// Independent starts, the best of which counts.
    #[config(default = 1)]
    pub restarts: usize,
    /// Whether starts are random, uniform within the radius per entry and projected to the ball; else
    /// all start at the image.
    #[config(default = true)]
    pub random_start: bool,
    /// Range of valid entries, `[low, high]`, which images are kept in.
    pub range: Option<[f64; 2]>,
    /// Seed of the starts.
    #[config(default = 0)]
    pub seed: u64,
}

impl L2AttackConfig {
    /// Creates the attack.
    ///
    /// # Panics
    /// If the radius or the step is not positive, there are no restarts, or the range is empty.
    pub fn init(&self) -> L2Attack {
        assert!(
            self.radius > 0.0 && self.step > 0.0 && self.restarts > 0,
            "L2AttackConfig: radius, step and restarts must be positive, got {}, {} and {}",
            self.radius,
            self.step,
            self.restarts
        );
        if let Some([low, high]) = self.range {
            assert!(
                low < high,
                "L2AttackConfig: range must go from low to high, got {low}, {high}"
            );
        }
        L2Attack { config: self.clone() }
    }
}

/// Projected gradient descent in the l2 ball around each image.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick::certificates::L2AttackConfig;
/// use firebrick::models::vision::orthogonal::OrthogonalCnnConfig;
///
/// let device = Device::flex();
/// let network = OrthogonalCnnConfig::new(10).init(&device);
/// let images = Tensor::<4>::ones([2, 1, 8, 8], &device);
/// let labels = Tensor::<1, Int>::from_data([3, 4], &device);
/// let attacked = L2AttackConfig::new().init().perturb(&network, images.clone(), labels);
/// let moved = (attacked - images).powi_scalar(2).sum_dim(3).sum_dim(2).sqrt().max();
/// assert!(moved.into_scalar::<f32>() <= 36.0 / 255.0 * 1.00001);
/// ```
///
/// # Notes
/// The published code divides by a gradient of length zero; here such a step does not move.
#[derive(Clone, Debug)]
pub struct L2Attack {
    config: L2AttackConfig,
}

impl L2Attack {
    /// For each image the point of the ball that the attack found worst: the first misclassified one, or
    /// else the one with the largest loss.
    ///
    /// The network may be on an autodiff device or not; images come back on their own device without
    /// gradient.
    ///
    /// # Shapes
    /// - images: `[batch, ..]`
    /// - labels: `[batch]`
    /// - output: as the images
    ///
    /// # Panics
    /// If there is not one label per image, or no image.
    pub fn perturb<N: Classifier<D>, const D: usize>(
        &self,
        network: &N,
        images: Tensor<D>,
        labels: Tensor<1, Int>,
    ) -> Tensor<D> {
        let radii = vec![self.config.radius; images.dims()[0]];
        self.perturb_within(network, images, labels, &radii)
    }

    /// As [`perturb`](Self::perturb) with a radius for each image, in place of the configured one.
    ///
    /// # Panics
    /// As [`perturb`](Self::perturb), or if there is not one radius per image.
    pub fn perturb_within<N: Classifier<D>, const D: usize>(
        &self,
        network: &N,
        images: Tensor<D>,
        labels: Tensor<1, Int>,
        radii: &[f64],
    ) -> Tensor<D> {
        let (batch, [found]) = (images.dims()[0], labels.dims());
        assert!(
            batch == found && batch == radii.len() && batch > 0,
            "L2Attack: there must be one label and one radius per image, {batch} and at least one, got \
             {found} and {}",
            radii.len()
        );
        let problem = Problem::new(network, images, labels, radii, &self.config);
        let mut best: Option<Best<D>> = None;
        for restart in 0..self.config.restarts {
            let mut moved = problem.start(restart);
            for step in 0..=self.config.steps {
                let last = step == self.config.steps;
                let (loss, wrong, gradient) = problem.look(&moved, !last);
                best = Some(match best {
                    None => Best { moved: moved.clone(), loss, wrong },
                    Some(best) => best.or(&moved, loss, wrong),
                });
                if let Some(gradient) = gradient {
                    moved = problem.step(moved, gradient);
                }
            }
        }
        problem.images.clone() + best.expect("there is at least one point").moved
    }
}

/// The worst points so far, one per image.
struct Best<const D: usize> {
    moved: Tensor<D>,
    loss: Tensor<1>,
    wrong: Tensor<1, Bool>,
}

impl<const D: usize> Best<D> {
    /// A point replaces a right one if it is wrong or has a larger loss.
    fn or(self, moved: &Tensor<D>, loss: Tensor<1>, wrong: Tensor<1, Bool>) -> Self {
        let worse = loss.clone().greater(self.loss.clone()).bool_or(wrong.clone());
        let better = worse.bool_and(self.wrong.clone().bool_not());
        let [batch] = loss.dims();
        let shape = moved.dims();
        let mut narrow = [1; D];
        narrow[0] = batch;
        let places = better.clone().reshape(narrow).expand(shape);
        Self {
            moved: self.moved.mask_where(places, moved.clone()),
            loss: self.loss.mask_where(better, loss),
            wrong: self.wrong.bool_or(wrong),
        }
    }
}

struct Problem<'a, N, const D: usize> {
    network: N,
    images: Tensor<D>,
    labels: Tensor<1, Int>,
    /// `[batch, 1, ..]`
    radii: Tensor<D>,
    config: &'a L2AttackConfig,
}

impl<'a, N: Classifier<D>, const D: usize> Problem<'a, N, D> {
    fn new(
        network: &N,
        images: Tensor<D>,
        labels: Tensor<1, Int>,
        radii: &[f64],
        config: &'a L2AttackConfig,
    ) -> Self {
        let images = images.inner();
        let mut shape = [1; D];
        shape[0] = radii.len();
        let radii = TensorData::new(radii.to_vec(), shape);
        let radii = Tensor::from_data(radii, (&images.device(), images.dtype()));
        // Parameters that no autodiff tracks: only the images get gradients, and kernels are kept.
        let network = network.valid();
        Self { network, labels: labels.without_autodiff(), radii, images, config }
    }

    fn start(&self, restart: usize) -> Tensor<D> {
        if !self.config.random_start {
            return self.images.zeros_like();
        }
        let shape = self.images.dims();
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        rng.set_stream(restart as u64);
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| rng.random_range(-1.0..=1.0)).collect();
        let options = (&self.images.device(), self.images.dtype());
        let noise = Tensor::from_data(TensorData::new(values, shape), options);
        self.valid(noise * self.radii.clone())
    }

    /// Loss, whether the prediction is wrong, and the gradient if it is wanted, at a point.
    fn look(
        &self,
        moved: &Tensor<D>,
        differentiate: bool,
    ) -> (Tensor<1>, Tensor<1, Bool>, Option<Tensor<D>>) {
        let point = self.images.clone() + moved.clone();
        let point = if differentiate { Tensor::from_inner(point).require_grad() } else { point };
        let logits = self.network.logits(point.clone());
        let [batch, classes] = logits.dims();
        let wrong = logits.clone().inner().argmax(1).reshape([batch]);
        let wrong = wrong.equal(self.labels.clone()).bool_not();
        let other = one_hot::mask(self.labels.clone(), classes).bool_not();
        let loss = log_softmax(logits, 1).mask_fill(other, 0.0).sum_dim(1).neg();
        let value = loss.clone().inner().squeeze_dim(1);
        // A network without dependence on its input gives no gradient.
        let gradient = differentiate.then(|| {
            let gradients = loss.sum().backward();
            point.grad(&gradients).unwrap_or_else(|| self.images.zeros_like())
        });
        (value, wrong, gradient)
    }

    fn step(&self, moved: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
        let length = norms(&gradient) + TINY;
        let step = self.radii.clone() * self.config.step;
        self.valid(moved + gradient / length * step)
    }

    /// Clipped to valid images, then into the ball.
    ///
    /// The ball is convex and holds the image, so that shortening keeps a clipped point valid.
    fn valid(&self, moved: Tensor<D>) -> Tensor<D> {
        let moved = match self.config.range {
            None => moved,
            Some([low, high]) => {
                (self.images.clone() + moved).clamp(low, high) - self.images.clone()
            }
        };
        let length = norms(&moved);
        let outside = length.clone().greater(self.radii.clone());
        let scale = self.radii.clone() / length.clone().clamp_min(TINY);
        moved * length.ones_like().mask_where(outside, scale)
    }
}

/// Norms over all axes but the first, which stay with length 1.
pub(super) fn norms<const D: usize>(values: &Tensor<D>) -> Tensor<D> {
    let shape = values.dims();
    let rest: usize = shape[1..].iter().product();
    let flat = values.clone().reshape([shape[0], rest]);
    let mut narrow = [1; D];
    narrow[0] = shape[0];
    flat.powi_scalar(2).sum_dim(1).sqrt().reshape(narrow)
}
