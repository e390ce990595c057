//! Particles in small landscapes, each one its own model, under four optimizers.
//!
//! A particle is a model of `D` parameters with a batch of its own, so Adai's mean runs over its
//! `D` coordinates. This is a simulator of the update in 64 bits, not the optimizer object; that
//! both agree is checked by [`difference_to_optimizer`].

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use firebrick::optimizers::adai::AdaiConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    Sgd,
    /// Averaged form with bias correction, 0.9.
    Momentum,
    Adam,
    Adai,
}

pub const METHODS: [Method; 4] = [Method::Sgd, Method::Momentum, Method::Adam, Method::Adai];

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "SGD",
            Self::Momentum => "momentum",
            Self::Adam => "Adam",
            Self::Adai => "Adai",
        }
    }
}

/// A particle with its optimizer state.
#[derive(Clone, Debug)]
pub struct Particle<const D: usize> {
    method: Method,
    pub x: [f64; D],
    m: [f64; D],
    v: [f64; D],
    /// Product of the inertias, or of Adam's `beta_1`.
    product: [f64; D],
    /// Powers of the decay of `v`.
    decay: f64,
}

impl<const D: usize> Particle<D> {
    pub fn new(method: Method, x: [f64; D]) -> Self {
        Self { method, x, m: [0.0; D], v: [0.0; D], product: [1.0; D], decay: 1.0 }
    }

    pub fn step(&mut self, lr: f64, g: [f64; D]) {
        let beta_2 = match self.method {
            Method::Sgd => {
                return (0..D).for_each(|i| self.x[i] -= lr * g[i]);
            }
            Method::Adai => 0.99,
            _ => 0.999,
        };
        self.decay *= beta_2;
        for (v, g) in self.v.iter_mut().zip(g) {
            *v = beta_2 * *v + (1.0 - beta_2) * g * g;
        }
        let corrected = self.v.map(|v| v / (1.0 - self.decay));
        let mean = corrected.iter().sum::<f64>() / D as f64;
        for i in 0..D {
            let beta_1 = match self.method {
                Method::Adai => (1.0 - 0.1 * corrected[i] / mean).clamp(0.0, 1.0 - 1e-3),
                _ => 0.9,
            };
            self.product[i] *= beta_1;
            self.m[i] = beta_1 * self.m[i] + (1.0 - beta_1) * g[i];
            let average = self.m[i] / (1.0 - self.product[i]);
            let scale = if self.method == Method::Adam { corrected[i].sqrt() + 1e-8 } else { 1.0 };
            self.x[i] -= lr * average / scale;
        }
    }
}

fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Largest difference, relative to the way, between a particle under Adai and the same parameters
/// under the optimizer object in 32 bits, over `steps` steps of the noisy saddle.
pub fn difference_to_optimizer(device: &Device, seed: u64, steps: usize) -> f64 {
    #[derive(Module, Debug)]
    struct Model {
        x: Param<Tensor<1>>,
    }
    let device = device.clone().autodiff();
    let mut rng = generator(seed, u64::MAX);
    let mut particle = Particle::new(Method::Adai, [0.0; 6]);
    let mut model = Model { x: Param::from_tensor(Tensor::zeros([6], &device).require_grad()) };
    let mut optimizer = AdaiConfig::new().init();
    let (mut difference, mut way) = (0.0f64, 0.0f64);
    for _ in 0..steps {
        let gradient = saddle::gradient(&particle.x, &mut rng);
        let mut gradients = GradientsParams::new();
        gradients.register(model.x.id, Tensor::<1>::from_data(gradient, &device).inner());
        particle.step(saddle::LR, gradient);
        model = optimizer.step(saddle::LR, model, gradients);
        let found: Vec<f64> = model.x.val().into_data().iter::<f64>().collect();
        for (found, expected) in found.iter().zip(particle.x) {
            difference = difference.max((found - expected).abs());
            way = way.max(expected.abs());
        }
    }
    difference / way
}

/// Escape from a saddle: `L(x) = sum_i h_i x_i^2 / 2` with gradient noise of covariance `|h|`.
pub mod saddle {
    use super::*;

    pub const CURVATURES: [f64; 6] = [-0.1, -0.5, -2.0, 0.1, 0.5, 2.0];
    pub const LR: f64 = 0.01;
    pub const STEPS: usize = 60;

    pub fn gradient(x: &[f64; 6], rng: &mut ChaCha8Rng) -> [f64; 6] {
        std::array::from_fn(|i| CURVATURES[i] * x[i] + CURVATURES[i].abs().sqrt() * normal(rng))
    }

    /// Mean of `x_i^2` after all steps from 0, over the particles.
    pub fn mean_squares(method: Method, particles: usize, seed: u64) -> [f64; 6] {
        let one = |stream: usize| {
            let mut rng = generator(seed, stream as u64);
            let mut particle = Particle::new(method, [0.0; 6]);
            for _ in 0..STEPS {
                let gradient = gradient(&particle.x, &mut rng);
                particle.step(LR, gradient);
            }
            particle.x.map(|x| x * x)
        };
        let all: Vec<[f64; 6]> = (0..particles).into_par_iter().map(one).collect();
        std::array::from_fn(|i| all.iter().map(|x| x[i]).sum::<f64>() / particles as f64)
    }

    /// The same for SGD in closed form.
    pub fn sgd(curvature: f64) -> f64 {
        let factor = (1.0 - LR * curvature).powi(2);
        let variance = curvature.abs();
        LR * LR * variance * (factor.powi(STEPS as i32) - 1.0) / (factor - 1.0)
    }
}

/// Escape from minima of growing curvature `k` and equal depth: one axis of the Styblinski-Tang
/// function, with a quadratic beside it.
pub mod minima {
    use super::*;

    pub const STRETCHES: [f64; 5] = [1.0, 1.2, 1.45, 1.75, 2.1];
    const LR: f64 = 0.002;
    /// Start, barrier and depth of the shallow well; curvature at its bottom.
    const START: f64 = 2.74680;
    const BARRIER: f64 = 0.156731;
    const DEPTH: f64 = 25.2251;
    const CURVATURE: f64 = 29.2696;
    const BARRIER_CURVATURE: f64 = 15.8526;
    /// Depth over temperature at `k = 1`.
    pub const RATIO: f64 = 5.0;
    const MOST_STEPS: usize = 400_000;

    /// Gradient noise for which depth over temperature is 5.
    fn variance() -> f64 {
        2.0 * DEPTH / (LR * RATIO)
    }

    fn lr(method: Method) -> f64 {
        match method {
            // Adam's temperature goes with the noise's deviation.
            Method::Adam => 2.0 * DEPTH / (RATIO * variance().sqrt()),
            _ => LR,
        }
    }

    /// Steps until escape, or `None` after the most steps.
    fn escape(method: Method, k: f64, rng: &mut ChaCha8Rng) -> Option<usize> {
        let (root, lr, deviation) = (k.sqrt(), lr(method), variance().sqrt());
        let mut particle = Particle::new(method, [START / root, 0.0]);
        (1..=MOST_STEPS).find(|_| {
            let y = root * particle.x[0];
            let slope = root * (4.0 * y.powi(3) - 32.0 * y + 5.0) / 2.0;
            let gradient = [
                slope + root * deviation * normal(rng),
                CURVATURE * particle.x[1] + deviation * normal(rng),
            ];
            particle.step(lr, gradient);
            root * particle.x[0] < BARRIER - 0.3
        })
    }

    /// Logarithm of the mean number of steps to escape: all steps over all escapes.
    pub fn log_time(method: Method, k: f64, particles: usize, seed: u64) -> f64 {
        let one = |stream: usize| escape(method, k, &mut generator(seed, stream as u64));
        let all: Vec<Option<usize>> = (0..particles).into_par_iter().map(one).collect();
        let steps: usize = all.iter().map(|time| time.unwrap_or(MOST_STEPS)).sum();
        let escapes = all.iter().flatten().count();
        (steps as f64 / escapes as f64).ln()
    }

    /// Kramers' formula for SGD, the same logarithm.
    pub fn kramers(k: f64) -> f64 {
        let rate = (CURVATURE * BARRIER_CURVATURE).sqrt();
        (2.0 * std::f64::consts::PI / (LR * k * rate)).ln() + RATIO / k
    }

    /// Slope of `log(time * k^power)` against `k^-power`: theory says [`RATIO`], with power 1 for
    /// all methods but Adam, and 1/2 for Adam.
    pub fn slope(log_times: &[f64], power: f64) -> f64 {
        let points: Vec<(f64, f64)> = STRETCHES
            .iter()
            .zip(log_times)
            .map(|(k, time)| (k.powf(-power), time + power * k.ln()))
            .collect();
        let count = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        let (x, y) = (x / count, y / count);
        let covariance: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
        covariance / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
    }
}
