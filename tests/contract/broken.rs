//! The table itself: optimizers with one fault each, and the check that sees it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord, SgdConfig};
use burn::tensor::Tensor;

use crate::checks::{self, Place};
use crate::subject::{Contract, Subject, learns};

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Climbs.
    WrongSign,
    /// Learns a tenth of what it is told.
    Slow,
    /// Decays everything at every step, with or without a gradient.
    DecaysWithoutGradient,
    /// Adds something to every parameter with a gradient, as one that divides 0 by 0 would.
    NotFiniteAtZero,
    /// Loads nothing.
    Forgets,
    /// Clones share their state.
    SharedState,
    /// Takes at least a small learning rate.
    LeastLearningRate,
    /// Steps differently from run to run.
    Restless,
    /// Handles parameters of the other group as well.
    LeavesItsGroup,
}

/// SGD with momentum, and a fault.
struct Broken {
    fault: Fault,
    inner: Arc<Mutex<ModuleOptimizer>>,
}

impl Clone for Broken {
    fn clone(&self) -> Self {
        let inner = match self.fault {
            Fault::SharedState => self.inner.clone(),
            _ => Arc::new(Mutex::new(self.lock().clone())),
        };
        Self { fault: self.fault, inner }
    }
}

fn sgd() -> SgdConfig {
    SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_dampening(0.0)))
}

impl Broken {
    fn new(fault: Fault, inner: ModuleOptimizer) -> Self {
        Self { fault, inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ModuleOptimizer> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Applies a function to every parameter.
struct Change(fn(f64) -> f64);

impl ModuleMapper for Change {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let change = self.0;
        param.map(|tensor| {
            let data = tensor.to_data();
            let values: Vec<f64> = data.iter::<f64>().map(change).collect();
            let data = burn::tensor::TensorData::new(values, tensor.dims());
            Tensor::from_inner(Tensor::from_data(data, &tensor.inner().device())).require_grad()
        })
    }
}

static STEPS: AtomicUsize = AtomicUsize::new(0);

impl Contract for Broken {
    fn step<M: Module>(&mut self, lr: f64, module: M, gradients: GradientsParams) -> M {
        let empty = gradients.is_empty();
        let lr = match self.fault {
            Fault::WrongSign => -lr,
            Fault::Slow => 0.1 * lr,
            Fault::LeastLearningRate => lr.max(1e-3),
            Fault::Restless => lr * (1.0 + 1e-2 * STEPS.fetch_add(1, Ordering::Relaxed) as f64),
            _ => lr,
        };
        let module = self.lock().step(lr, module, gradients);
        match self.fault {
            Fault::DecaysWithoutGradient => module.map(&mut Change(|value| 0.99 * value)),
            Fault::NotFiniteAtZero if !empty => module.map(&mut Change(|value| value + f64::NAN)),
            _ => module,
        }
    }

    fn to_record(&self) -> OptimizerRecord {
        self.lock().to_record()
    }

    fn load_record(self, record: OptimizerRecord) -> Self {
        match self.fault {
            Fault::Forgets => self,
            fault => Self::new(fault, self.lock().clone().load_record(record)),
        }
    }
}

type Check = fn(&Subject<Broken>, &Place);

/// Whether a check fails for a fault.
fn fails(fault: Fault, check: Check) -> bool {
    macro_rules! subject {
        ($($fault:ident)*) => {
            match fault {
                $(Fault::$fault => Subject {
                    init: || Broken::new(Fault::$fault, sgd().init()),
                    grouped: |base, group| Broken::new(Fault::$fault, {
                        let everything = ParamGroup::all();
                        let leaves = Fault::$fault == Fault::LeavesItsGroup;
                        base.with_group(if leaves { everything } else { group }, sgd().build(), None)
                    }),
                    expect: learns((0.02, 1e-3), (2e-4, 0.02)),
                },)*
            }
        };
    }
    let subject = subject!(
        None WrongSign Slow DecaysWithoutGradient NotFiniteAtZero Forgets SharedState
        LeastLearningRate Restless LeavesItsGroup
    );
    catch_unwind(AssertUnwindSafe(|| checks::everywhere(&subject, check))).is_err()
}

#[test]
fn each_check_sees_the_fault_that_it_is_for_and_none_where_there_is_none() {
    let cases: [(Fault, &str, Check); 12] = [
        (Fault::WrongSign, "quadratic", checks::minimizes_a_quadratic),
        (Fault::Slow, "Rosenbrock", checks::minimizes_rosenbrock),
        (
            Fault::DecaysWithoutGradient,
            "missing gradients",
            checks::leaves_parameters_without_gradient_and_their_state_alone,
        ),
        (Fault::DecaysWithoutGradient, "rest", checks::survives_gradients_of_zero),
        (Fault::NotFiniteAtZero, "finite", checks::survives_gradients_of_zero),
        (Fault::Forgets, "resume", checks::resumes_exactly_from_the_bytes_of_its_record),
        (Fault::Forgets, "move from a record", checks::moves_between_devices),
        (Fault::SharedState, "clones", checks::has_independent_clones),
        (Fault::LeastLearningRate, "zero", checks::stands_still_at_a_learning_rate_of_zero),
        (Fault::Restless, "accumulation", checks::takes_accumulated_gradients),
        (Fault::Restless, "repetition", checks::repeats_itself),
        (Fault::LeavesItsGroup, "groups", checks::works_the_same_in_a_group_as_alone),
    ];
    for (fault, name, check) in cases {
        assert!(fails(fault, check), "{name}: the fault was not seen");
        assert!(!fails(Fault::None, check), "{name}: fails without a fault");
    }
}
