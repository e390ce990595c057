//! The optimizer that steps a module.

use std::fmt;

use burn::grad_clipping::GradientClipping;
use burn::module::{Module, ParamGroup};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{
    DynOptimizer, GradientsParams, ModuleOptimizer, MultiGradientsParams, OptimizerRecord,
};

use super::{AdaiHandle, AdaiReport};

/// Adai, AdaiW or AdaiV2 for a module; see the [module documentation](super).
///
/// Clones are independent and may step in different threads.
pub struct Adai {
    pub(super) optimizer: ModuleOptimizer,
    handle: AdaiHandle,
}

impl Clone for Adai {
    fn clone(&self) -> Self {
        Self { optimizer: self.optimizer.clone(), handle: self.handle.detached() }
    }
}

impl fmt::Debug for Adai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adai").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// A module optimizer of which some groups are Adai's.
///
/// # Example
/// ```
/// use burn::module::ParamGroup;
/// use burn::optim::AdamWConfig;
/// use firebrick_optimizers::adai::{Adai, AdaiConfig};
///
/// let convolutions = ParamGroup::from_predicate("conv");
/// let optimizer =
///     AdamWConfig::new().init().with_group(convolutions, AdaiConfig::new().build(), None);
/// let optimizer = Adai::from(optimizer);
/// ```
impl From<ModuleOptimizer> for Adai {
    fn from(optimizer: ModuleOptimizer) -> Self {
        Self { optimizer, handle: AdaiHandle::default() }
    }
}

impl Adai {
    /// Gives the parameters of `group` another optimizer: Adai with other settings, from
    /// [`AdaiConfig::build`](super::AdaiConfig::build), or any other. All Adai groups share one
    /// mean. If groups overlap, the last one counts; states of its parameters are reset.
    pub fn with_group<O: DynOptimizer + 'static>(
        mut self,
        group: ParamGroup,
        optimizer: O,
        grad_clipping: Option<GradientClipping>,
    ) -> Self {
        self.optimizer = self.optimizer.with_group(group, optimizer, grad_clipping);
        self
    }

    /// See [`AdaiHandle::with_max_global_norm`].
    ///
    /// # Panics
    /// If `max_norm` is not positive.
    pub fn with_max_global_norm(mut self, max_norm: f64) -> Self {
        self.handle = self.handle.with_max_global_norm(max_norm);
        self
    }

    /// Updates `module`. Parameters without a gradient are left alone: not moved, not decayed, not
    /// in the mean.
    ///
    /// # Panics
    /// For a learning rate that is negative or not finite, and for a loaded state whose shape is
    /// not the parameter's.
    pub fn step<M: Module>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        gradients: GradientsParams,
    ) -> M {
        self.handle.step(&mut self.optimizer, lr, module, gradients)
    }

    /// As [`step`](Self::step) with gradients from several devices.
    pub fn step_multi<M: Module>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        gradients: MultiGradientsParams,
    ) -> M {
        self.handle.step_multi(&mut self.optimizer, lr, module, gradients)
    }

    /// What the last step measured, read from the device; `None` before the first one.
    pub fn report(&self) -> Option<AdaiReport> {
        self.handle.report()
    }

    /// The optimizer for Burn's `Learner`, and the handle for its `TrainStep::optimize`.
    pub fn into_parts(self) -> (ModuleOptimizer, AdaiHandle) {
        (self.optimizer, self.handle)
    }

    /// The state of all parameters, as of any Burn optimizer.
    pub fn to_record(&self) -> OptimizerRecord {
        self.optimizer.to_record()
    }

    /// Takes the state from a record. It is matched to parameters by their ids, so load the model's
    /// record first. [`load`](Self::load) checks shapes as well.
    pub fn load_record(mut self, record: OptimizerRecord) -> Self {
        self.optimizer = self.optimizer.load_record(record);
        self
    }
}
