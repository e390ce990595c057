//! The two passes over a `ModuleOptimizer`.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Module;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};

use super::AdaiReport;
use super::pass;
use super::report::Measured;
use crate::gradients::{clip_global_norm, copy_gradients, merge_gradients};

/// Makes the steps of a `ModuleOptimizer` in which some or all groups are Adai's.
///
/// Comes from [`Adai::into_parts`](super::Adai::into_parts), or from `default()` for a module
/// optimizer of one's own. Clones share the [`report`](Self::report), so that a copy kept outside
/// of a model in a `#[module(skip)]` field can read it.
#[derive(Clone, Debug, Default)]
pub struct AdaiHandle {
    max_global_norm: Option<f64>,
    measured: Arc<Mutex<Option<Measured>>>,
}

impl AdaiHandle {
    /// Scales all gradients of a step down by one factor if their joint norm is above `max_norm`;
    /// also those of groups with another optimizer.
    ///
    /// # Panics
    /// If `max_norm` is not positive.
    pub fn with_max_global_norm(mut self, max_norm: f64) -> Self {
        assert!(max_norm > 0.0, "AdaiHandle: max_global_norm must be positive, got {max_norm}");
        self.max_global_norm = Some(max_norm);
        self
    }

    /// Steps `module` with the mean over all parameters that are Adai's and have a gradient; other
    /// groups of `optimizer` make their own step once. Parameters without a gradient stay as they
    /// are.
    ///
    /// # Panics
    /// For a learning rate that is negative or not finite, and for a state whose shape is not the
    /// parameter's.
    pub fn step<M: Module>(
        &self,
        optimizer: &mut ModuleOptimizer,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        gradients: GradientsParams,
    ) -> M {
        let lr = lr.into();
        let gradients = match self.max_global_norm {
            Some(max_norm) => clip_global_norm(&module, gradients, max_norm),
            None => gradients,
        };
        let sum = pass::collect(|| {
            // A copy whose results nobody sees; its tensors are shared, not copied.
            let copy = copy_gradients(&module, &gradients);
            drop(optimizer.clone().step(lr.clone(), module.clone(), copy));
        });
        let (module, measured) = pass::apply(sum, || optimizer.step(lr, module, gradients));
        if measured.is_some() {
            *self.lock() = measured;
        }
        module
    }

    /// As [`step`](Self::step) with gradients from several devices; those of one parameter add up
    /// on the device that Burn's `ModuleOptimizer::step_multi` would choose.
    pub fn step_multi<M: Module>(
        &self,
        optimizer: &mut ModuleOptimizer,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        gradients: MultiGradientsParams,
    ) -> M {
        let gradients = merge_gradients(&module, gradients);
        self.step(optimizer, lr, module, gradients)
    }

    /// What the last step measured, read from the device; `None` before the first one.
    pub fn report(&self) -> Option<AdaiReport> {
        let measured = self.lock().clone();
        measured.map(Measured::report)
    }

    /// The same settings with a report of its own.
    pub(super) fn detached(&self) -> Self {
        let measured = self.lock().clone();
        Self { max_global_norm: self.max_global_norm, measured: Arc::new(Mutex::new(measured)) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Measured>> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
