//! Which of the two passes the current thread is in.
//!
//! The per-tensor optimizer cannot be given the mean by argument, because Burn's `ModuleOptimizer`
//! stands between. A pass lasts for one call on one thread, so clones of an optimizer may step in
//! parallel, and all Adai groups of one `ModuleOptimizer` share the mean.

use std::cell::RefCell;

use burn::tensor::{Int, Tensor};

use super::report::{Counts, Measured};

/// What the first pass gathers.
#[derive(Debug, Default)]
pub(super) struct Sum {
    /// Sum of the bias-corrected second moments, `[1]`.
    total: Option<Tensor<1>>,
    elements: usize,
}

#[derive(Debug)]
enum Pass {
    None,
    Collect(Box<Sum>),
    Apply(Box<Measured>),
}

thread_local! {
    static PASS: RefCell<Pass> = const { RefCell::new(Pass::None) };
}

/// Leaves the pass, also when the step panics.
struct Guard;

impl Guard {
    fn enter(pass: Pass) -> Self {
        let before = PASS.replace(pass);
        assert!(
            matches!(before, Pass::None),
            "Adai: a step was started inside another step on the same thread"
        );
        Self
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        PASS.set(Pass::None);
    }
}

/// Runs a pass that only gathers the mean.
pub(super) fn collect(body: impl FnOnce()) -> Sum {
    let _guard = Guard::enter(Pass::Collect(Box::default()));
    body();
    match PASS.replace(Pass::None) {
        Pass::Collect(sum) => *sum,
        _ => unreachable!("only this function leaves the pass it entered"),
    }
}

/// Runs the pass that updates, and returns what it measured; without parameters of Adai there is
/// no mean and nothing is measured.
pub(super) fn apply<R>(sum: Sum, body: impl FnOnce() -> R) -> (R, Option<Measured>) {
    let Some(total) = sum.total else { return (body(), None) };
    let mean = total * (1.0 / sum.elements as f64);
    let _guard = Guard::enter(Pass::Apply(Box::new(Measured::new(mean))));
    let result = body();
    match PASS.replace(Pass::None) {
        Pass::Apply(measured) => (result, Some(*measured)),
        _ => unreachable!("only this function leaves the pass it entered"),
    }
}

/// What the per-tensor optimizer has to do now.
pub(super) enum Task {
    /// No pass is running on this thread.
    None,
    /// Add to the mean and change nothing.
    Collect,
    /// Update with [`mean`].
    Apply,
}

pub(super) fn task() -> Task {
    PASS.with_borrow(|pass| match pass {
        Pass::None => Task::None,
        Pass::Collect(_) => Task::Collect,
        Pass::Apply(_) => Task::Apply,
    })
}

/// Whether this thread is in a first pass, whose results are thrown away: an optimizer beside Adai
/// that draws numbers must not draw any for it.
pub(crate) fn is_collecting() -> bool {
    matches!(task(), Task::Collect)
}

/// The mean of the second pass, `[1]`.
pub(super) fn mean() -> Tensor<1> {
    PASS.with_borrow(|pass| match pass {
        Pass::Apply(measured) => measured.mean(),
        _ => unreachable!("called in the second pass only"),
    })
}

/// Adds the sum of a parameter's bias-corrected second moment.
pub(super) fn add(sum: Tensor<1>, elements: usize) {
    PASS.with_borrow_mut(|pass| {
        let Pass::Collect(gathered) = pass else {
            unreachable!("called in the first pass only");
        };
        gathered.elements += elements;
        gathered.total = Some(match gathered.total.take() {
            Some(total) => {
                let sum = sum.to_device(&total.device()).cast(total.dtype());
                total + sum
            }
            None => sum,
        });
    });
}

/// Adds the numbers of coordinates without inertia and with the largest one.
pub(super) fn count(low: Tensor<1, Int>, high: Tensor<1, Int>, elements: usize) {
    PASS.with_borrow_mut(|pass| {
        if let Pass::Apply(measured) = pass {
            measured.count(Counts { low, high, elements });
        }
    });
}
