//! Kinds of gradients of a fixed point, and the ones that are recorded steps.

use burn::config::Config;
use burn::tensor::Tensor;
use firebrick_ops::fixed_point::State;
use serde::{Deserialize, Serialize};

use super::cell::DeqCell;

/// How the gradient of the fixed point is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum DeqGradient {
    /// The exact gradient by the implicit function theorem: a linear solve in the backward pass.
    #[default]
    Implicit,
    /// The gradient of a few damped steps recorded from the fixed point: cheaper, biased. One step without
    /// damping is Jacobian-free backpropagation.
    Phantom(PhantomConfig),
    /// The gradient of all iterations, recorded from the start: memory grows with their number. The forward
    /// solver is not used.
    Unrolled {
        /// Number of iterations.
        steps: usize,
    },
}

impl DeqGradient {
    /// Jacobian-free backpropagation: one recorded step.
    pub fn jacobian_free() -> Self {
        Self::Phantom(PhantomConfig::new(1))
    }
}

/// Settings of phantom gradients.
#[derive(Config, Debug, PartialEq)]
pub struct PhantomConfig {
    /// Recorded steps `z <- tau f(z) + (1 - tau) z` from the fixed point.
    pub steps: usize,
    /// `tau`, in `(0, 1]`.
    #[config(default = 1.0)]
    pub damping: f64,
    /// Also return the state after every so many steps in
    /// [`DeqOutput::samples`](super::DeqOutput::samples), for correction losses.
    pub sample_every: Option<usize>,
}

/// How several states of a solve get their gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CorrectionGraph {
    /// One solve; each sampled state gets a gradient of its own.
    #[default]
    Indexing,
    /// One solve from sample to sample, each of which starts from the output of the one before.
    Sliced,
}

impl DeqGradient {
    pub(super) fn check(&self) {
        match self {
            Self::Implicit => {}
            Self::Phantom(PhantomConfig { steps, damping, sample_every }) => {
                assert!(*steps > 0, "PhantomConfig: steps must be at least 1, got 0");
                assert!(
                    *damping > 0.0 && *damping <= 1.0,
                    "PhantomConfig: damping must lie in (0, 1], got {damping}"
                );
                assert!(
                    sample_every.is_none_or(|every| (1..=*steps).contains(&every)),
                    "PhantomConfig: sample_every must lie in 1..={steps}, got {sample_every:?}"
                );
            }
            Self::Unrolled { steps } => {
                assert!(*steps > 0, "DeqGradient: Unrolled needs at least 1 step, got 0");
            }
        }
    }
}

/// Recorded steps from a constant state: the last one, and those at every `sample_every` steps.
pub(super) fn recorded<C: DeqCell>(
    cell: &C,
    input: &C::Input,
    start: Tensor<2>,
    layout: &<C::State as State>::Layout,
    phantom: &PhantomConfig,
) -> (Tensor<2>, Vec<Tensor<2>>) {
    let mut rows = start;
    let mut samples = Vec::new();
    for step in 1..=phantom.steps {
        let image = cell.evaluate(C::State::from_rows(rows.clone(), layout), input).into_rows();
        rows = match phantom.damping {
            1.0 => image,
            damping => image * damping + rows * (1.0 - damping),
        };
        if phantom.sample_every.is_some_and(|every| step.is_multiple_of(every)) {
            samples.push(rows.clone());
        }
    }
    (rows, samples)
}
