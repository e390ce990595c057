//! What a line of the table says, and the interface of an optimizer of modules.

use burn::module::{Module, ParamGroup};
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};
use firebrick::optimizers::adai::Adai;

/// An optimizer of modules. Burn's `ModuleOptimizer` is one, and with it every optimizer that is a
/// per-tensor [`Optimizer`](burn::optim::Optimizer).
pub trait Contract: Clone {
    /// Updates a module.
    fn step<M: Module>(&mut self, lr: f64, module: M, gradients: GradientsParams) -> M;

    /// The state.
    fn to_record(&self) -> OptimizerRecord;

    /// A fresh optimizer with the state of a record.
    fn load_record(self, record: OptimizerRecord) -> Self;
}

impl Contract for ModuleOptimizer {
    fn step<M: Module>(&mut self, lr: f64, module: M, gradients: GradientsParams) -> M {
        self.step(lr, module, gradients)
    }

    fn to_record(&self) -> OptimizerRecord {
        self.to_record()
    }

    fn load_record(self, record: OptimizerRecord) -> Self {
        self.load_record(record)
    }
}

/// Adai's own type makes the two passes that its mean needs.
impl Contract for Adai {
    fn step<M: Module>(&mut self, lr: f64, module: M, gradients: GradientsParams) -> M {
        self.step(lr, module, gradients)
    }

    fn to_record(&self) -> OptimizerRecord {
        self.to_record()
    }

    fn load_record(self, record: OptimizerRecord) -> Self {
        self.load_record(record)
    }
}

/// An optimizer under test.
pub struct Subject<C> {
    /// A fresh one.
    pub init: fn() -> C,
    /// A fresh one for a group of parameters, beside another for the rest.
    pub grouped: fn(ModuleOptimizer, ParamGroup) -> C,
    pub expect: Expect,
}

/// A learning rate, and how near the minimum it must lead.
#[derive(Clone, Copy)]
pub struct Goal {
    pub lr: f64,
    pub tolerance: f64,
}

/// What is expected of an optimizer.
#[derive(Clone, Copy)]
pub struct Expect {
    pub quadratic: Goal,
    pub rosenbrock: Goal,
    /// Whether parameters stay where they are at gradients of zero.
    pub rests_at_zero_gradient: bool,
    /// Whether clones are independent even if they are made before the first step.
    pub fresh_clones_are_independent: bool,
}

/// Learning rate and largest distance to the minimum for the quadratic and for Rosenbrock's valley.
pub const fn learns(quadratic: (f64, f64), rosenbrock: (f64, f64)) -> Expect {
    Expect {
        quadratic: Goal { lr: quadratic.0, tolerance: quadratic.1 },
        rosenbrock: Goal { lr: rosenbrock.0, tolerance: rosenbrock.1 },
        rests_at_zero_gradient: true,
        fresh_clones_are_independent: true,
    }
}

impl Expect {
    /// Decays parameters, also without any gradient.
    pub const fn decays(mut self) -> Self {
        self.rests_at_zero_gradient = false;
        self
    }

    /// Adds noise, also without any gradient.
    pub const fn adds_noise(mut self) -> Self {
        self.rests_at_zero_gradient = false;
        self
    }

    /// Numbers parameters as their first gradients come, across clones: those made before the first
    /// step are not independent.
    pub const fn numbers_parameters(mut self) -> Self {
        self.fresh_clones_are_independent = false;
        self
    }
}
