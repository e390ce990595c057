//! Settings of the Adai family.

use burn::config::Config;
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::ModuleOptimizer;

use super::{Adai, AdaiCore};

/// Over what the second moment is averaged.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum MeanScope {
    /// All elements of all parameters that have a gradient in the step, as published.
    Global,
    /// Each parameter by itself. Not Adai: a tensor with small gradients then has no more inertia
    /// than one with large gradients, and splitting a tensor changes the result. It needs one pass
    /// only, so that Burn's own `ModuleOptimizer::step` will do.
    PerTensor,
}

/// Settings of [`Adai`].
///
/// | setting | default | range |
/// |---|---|---|
/// | `beta_0` | 0.1 | at least 0; above 1 an average coordinate has no inertia |
/// | `beta_2` | 0.99 | `[0, 1)` |
/// | `epsilon` | 1e-3 | `(0, 1]` |
/// | `weight_decay` | 0 | at least 0 |
/// | `dampening` | 1 | `[0, 1]` |
#[derive(Config, Debug)]
pub struct AdaiConfig {
    /// Base of the inertia: a coordinate whose second moment is the mean has `beta_1 = 1 - beta_0`.
    #[config(default = 0.1)]
    pub beta_0: f64,
    /// Decay of the second moment.
    #[config(default = 0.99)]
    pub beta_2: f64,
    /// Inertia is at most `1 - epsilon`. Not a guard of a division: it shapes flat directions.
    #[config(default = 1e-3)]
    pub epsilon: f64,
    /// Weight decay `lambda`.
    #[config(default = 0.0)]
    pub weight_decay: f64,
    /// Whether weight decay shrinks the parameter by `1 - lr * lambda` instead of entering the
    /// gradient (and with it both moments).
    #[config(default = false)]
    pub decoupled: bool,
    /// Dampening `d`; 1 is Adai.
    #[config(default = 1.0)]
    pub dampening: f64,
    /// Over what the second moment is averaged.
    #[config(default = "MeanScope::Global")]
    pub mean_scope: MeanScope,
    /// Clipping of each gradient tensor by value or by its own norm, before anything else. In
    /// [`build`](Self::build) it has no effect, as in Burn: give it to `with_group`.
    pub grad_clipping: Option<GradientClippingConfig>,
    /// Largest norm of all gradients together: they are scaled down by one factor.
    pub max_global_norm: Option<f64>,
    /// Whether [`AdaiReport`](super::AdaiReport) also counts the clamped coordinates, which reads
    /// the second moment once more per step.
    #[config(default = false)]
    pub count_clamped: bool,
}

impl AdaiConfig {
    /// AdaiW: decoupled weight decay. It is also known as AdaiS, because stable and decoupled decay
    /// are the same where the learning rate is not adapted.
    pub fn adaiw() -> Self {
        Self::new().with_decoupled(true)
    }

    /// AdaiV2: decoupled weight decay, and along flat directions a momentum that grows like
    /// `(1 - beta_1)^(dampening - 1)`. The authors call it in testing.
    pub fn adai_v2(dampening: f64) -> Self {
        Self::adaiw().with_dampening(dampening)
    }

    /// The bare optimizer, for a group of a `ModuleOptimizer`; only [`Adai`] and
    /// [`AdaiHandle`](super::AdaiHandle) can step it, because it needs the mean.
    ///
    /// # Panics
    /// If a setting is outside its range; see the table above.
    pub fn build(&self) -> AdaiCore {
        self.assertions();
        AdaiCore::new(self.clone())
    }

    /// The optimizer, ready to step a module.
    ///
    /// # Panics
    /// If a setting is outside its range, or gradients are to be clipped in both ways.
    pub fn init(&self) -> Adai {
        assert!(
            self.grad_clipping.is_none() || self.max_global_norm.is_none(),
            "AdaiConfig: choose one of grad_clipping and max_global_norm"
        );
        let mut optimizer = ModuleOptimizer::from(self.build());
        if let Some(clipping) = &self.grad_clipping {
            optimizer = optimizer.with_grad_clipping(clipping.init());
        }
        let adai = Adai::from(optimizer);
        match self.max_global_norm {
            Some(norm) => adai.with_max_global_norm(norm),
            None => adai,
        }
    }

    fn assertions(&self) {
        let Self { beta_0, beta_2, epsilon, weight_decay, dampening, .. } = *self;
        assert!(
            beta_0 >= 0.0 && beta_0.is_finite(),
            "AdaiConfig: beta_0 must be at least 0 and finite, got {beta_0}"
        );
        assert!((0.0..1.0).contains(&beta_2), "AdaiConfig: beta_2 must be in [0, 1), got {beta_2}");
        assert!(
            epsilon > 0.0 && epsilon <= 1.0,
            "AdaiConfig: epsilon must be in (0, 1], got {epsilon}; with 0 a coordinate without \
             gradient would divide 0 by 0"
        );
        assert!(
            weight_decay >= 0.0 && weight_decay.is_finite(),
            "AdaiConfig: weight_decay must be at least 0 and finite, got {weight_decay}"
        );
        assert!(
            (0.0..=1.0).contains(&dampening),
            "AdaiConfig: dampening must be in [0, 1], got {dampening}"
        );
    }
}
