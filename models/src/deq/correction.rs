//! Losses on several states of one solve.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Weights of a loss on the states `0..n` of one solve, the last of which is the result.
///
/// A loss on early states as well teaches the map to converge fast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum CorrectionWeights {
    /// `1 - gamma (n - k - 1) / n + bias`; usually `gamma` 0.9 and `bias` 0.
    Linear {
        /// Fall from the last state to the first.
        gamma: f64,
        /// Added to all weights.
        bias: f64,
    },
    /// `gamma^(n - k - 1)`; usually 0.8.
    Exponential {
        /// Factor from one state to the one before.
        gamma: f64,
    },
    /// The same weight for all.
    Constant(f64),
}

impl Default for CorrectionWeights {
    fn default() -> Self {
        Self::Linear { gamma: 0.9, bias: 0.0 }
    }
}

impl CorrectionWeights {
    /// The weights of `states` states.
    ///
    /// # Example
    /// ```
    /// use firebrick_models::deq::CorrectionWeights;
    ///
    /// assert_eq!(CorrectionWeights::Exponential { gamma: 0.5 }.of(3), [0.25, 0.5, 1.0]);
    /// ```
    pub fn of(self, states: usize) -> Vec<f64> {
        let n = states as f64;
        (1..=states)
            .map(|k| {
                let before = (states - k) as f64;
                match self {
                    Self::Linear { gamma, bias } => 1.0 - gamma * before / n + bias,
                    Self::Exponential { gamma } => gamma.powf(before),
                    Self::Constant(weight) => weight,
                }
            })
            .collect()
    }
}

/// `sum_k w_k loss(states_k)`
///
/// # Shapes
/// - loss, output: `[1]`
///
/// # Panics
/// If there are no states.
pub fn correction_loss<S: Clone>(
    states: &[S],
    weights: CorrectionWeights,
    loss: impl Fn(S) -> Tensor<1>,
) -> Tensor<1> {
    assert!(!states.is_empty(), "correction_loss: there must be states; sample_steps is empty");
    let terms = states.iter().zip(weights.of(states.len()));
    terms
        .map(|(state, weight)| loss(state.clone()) * weight)
        .reduce(|sum, term| sum + term)
        .expect("there is a state")
}
