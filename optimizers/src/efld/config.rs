//! Settings of the EFLD optimizers.

use std::sync::Arc;

use burn::config::Config;
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use super::{Efld, ExponentialFamily, FiniteLevels, Schedule};

/// How much noise a step has; see the table in the [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum NoiseScale {
    /// The scale `alpha` of the natural parameter `g / alpha`.
    Alpha(Schedule),
    /// The standard deviation of SGLD's noise.
    Sigma(Schedule),
    /// `sigma = k * lr`; the paper's runs with label noise have `k = 0.2`.
    Ratio(f64),
    /// `sigma = sqrt(2 lr / beta)`: the noise at which a small constant `lr` samples from
    /// `exp(-beta * loss)`.
    InverseTemperature(Schedule),
}

impl NoiseScale {
    /// The scale `alpha` at a step with a learning rate; 0 where there is no noise.
    ///
    /// # Panics
    /// If `step`, which is counted from 1, is zero.
    pub fn alpha(&self, step: u64, lr: f64) -> f64 {
        match self {
            Self::Alpha(alpha) => alpha.at(step),
            Self::Ratio(ratio) => *ratio,
            _ => self.sigma(step, lr) / lr,
        }
    }

    /// Standard deviation of SGLD's noise at a step with a learning rate.
    ///
    /// # Panics
    /// If `step`, which is counted from 1, is zero.
    pub fn sigma(&self, step: u64, lr: f64) -> f64 {
        match self {
            Self::Alpha(alpha) => alpha.at(step) * lr,
            Self::Sigma(sigma) => sigma.at(step),
            Self::Ratio(ratio) => ratio * lr,
            Self::InverseTemperature(beta) => (2.0 * lr / beta.at(step)).sqrt(),
        }
    }

    fn check(&self, family: &ExponentialFamily) {
        let gaussian = matches!(family, ExponentialFamily::Gaussian);
        assert!(
            gaussian || matches!(self, Self::Alpha(_)),
            "EfldConfig: scale must be NoiseScale::Alpha for a family without sigma, got {self:?}"
        );
        match self {
            Self::Alpha(alpha) => alpha.check("EfldConfig: alpha", false),
            Self::Sigma(sigma) => sigma.check("EfldConfig: sigma", true),
            Self::Ratio(ratio) => Schedule::Constant(*ratio).check("EfldConfig: ratio", true),
            Self::InverseTemperature(beta) => beta.check("EfldConfig: inverse temperature", false),
        }
    }
}

/// Where the noise of a step comes from.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum NoiseSource {
    /// Host streams, a function of (seed, parameter, step): portable and exactly resumable.
    Seeded,
    /// The device's own generator: fast on a GPU; seeded by `Device::seed` for the whole process.
    Device,
}

/// Settings of [`Efld`]; [`sgld`](Self::sgld), [`sign_sgd`](Self::sign_sgd) and
/// [`quantized_sgd`](Self::quantized_sgd) are the usual starts.
///
/// # Example
/// ```
/// use firebrick_optimizers::efld::{EfldConfig, NoiseScale, Schedule};
///
/// let decaying = Schedule::Power { initial: 0.1, exponent: 0.25 };
/// let optimizer = EfldConfig::sign_sgd()
///     .with_scale(Some(NoiseScale::Alpha(decaying)))
///     .with_decoupled_decay(0.01)
///     .init();
/// ```
#[derive(Config, Debug)]
pub struct EfldConfig {
    /// The family that steps are drawn from.
    pub family: ExponentialFamily,
    /// Scale of the noise. `None`: `alpha = sqrt(0.1)` for the Gaussian family, 0.01 for the others.
    pub scale: Option<NoiseScale>,
    /// L2 penalty: adds `l2 * w` to the gradient before it is scaled by `alpha`.
    #[config(default = 0.0)]
    pub l2: f64,
    /// Decoupled decay: multiplies the parameter by `1 - lr * decoupled_decay` before the step.
    #[config(default = 0.0)]
    pub decoupled_decay: f64,
    /// Clipping of each parameter's gradient, before everything else; only [`init`](Self::init)
    /// applies it.
    pub gradient_clipping: Option<GradientClippingConfig>,
    /// Where the noise comes from.
    #[config(default = "NoiseSource::Seeded")]
    pub noise: NoiseSource,
    /// Seed of [`NoiseSource::Seeded`].
    #[config(default = 0)]
    pub seed: u64,
}

impl EfldConfig {
    /// SGLD: Gaussian steps with `alpha = sqrt(0.1)`.
    pub fn sgld() -> Self {
        Self::new(ExponentialFamily::Gaussian)
    }

    /// Noisy sign-SGD: steps of +-`lr` with `alpha = 0.01`. Start with `lr` around 1e-3.
    pub fn sign_sgd() -> Self {
        Self::new(ExponentialFamily::Rademacher)
    }

    /// Noisy quantized SGD: steps of `lr` times one of the levels, with `alpha = 0.01`.
    pub fn quantized_sgd(levels: FiniteLevels) -> Self {
        Self::new(ExponentialFamily::Levels(levels))
    }

    /// The scale in use, with its default.
    pub fn noise_scale(&self) -> NoiseScale {
        self.scale.unwrap_or(match self.family {
            ExponentialFamily::Gaussian => NoiseScale::Alpha(Schedule::Constant(0.1f64.sqrt())),
            _ => NoiseScale::Alpha(Schedule::Constant(0.01)),
        })
    }

    /// The scale `alpha` at a step, counted from 1, with a learning rate: what the bounds of
    /// `firebrick::generalization` ask for. Zero where the noise is switched off.
    ///
    /// # Panics
    /// If `step` is zero.
    pub fn alpha(&self, step: u64, lr: f64) -> f64 {
        self.noise_scale().alpha(step, lr)
    }

    /// The bare optimizer, for a parameter group of a `ModuleOptimizer`; without clipping.
    ///
    /// # Panics
    /// If a setting is out of range: an `alpha` or inverse temperature that is not positive and
    /// finite, a negative `sigma`, ratio or decay, levels that do not increase, weights that are not
    /// positive, or a `sigma` for a family other than the Gaussian.
    pub fn build(&self) -> Efld {
        self.family.check();
        self.noise_scale().check(&self.family);
        for (name, value) in [("l2", self.l2), ("decoupled_decay", self.decoupled_decay)] {
            assert!(
                value.is_finite() && value >= 0.0,
                "EfldConfig: {name} must be finite and at least 0, got {value}"
            );
        }
        Efld::new(Arc::new(self.clone()))
    }

    /// The optimizer, ready to step a module.
    ///
    /// # Panics
    /// As [`build`](Self::build).
    pub fn init(&self) -> ModuleOptimizer {
        let optimizer = ModuleOptimizer::from(self.build());
        match &self.gradient_clipping {
            Some(clipping) => optimizer.with_grad_clipping(clipping.init()),
            None => optimizer,
        }
    }
}
