//! The inverse of `y = x + g(x)` by fixed-point iteration.
//!
//! ```text
//! x_0 = y - g(y),   x_{t+1} = y - g(x_t)
//! |x - x_t| <= kappa^t / (1 - kappa) |x_1 - x_0|
//! ```
//!
//! # References
//! J. Behrmann et al., *Invertible Residual Networks*, ICML 2019, algorithm 1.

use burn::config::Config;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// When the iteration ends; `tolerance = absolute + relative |y|`, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoppingRule {
    /// Every element changed by less than its tolerance.
    Change,
    /// The square of every element's change is below its tolerance, as in the published code: with its
    /// tolerances of 1e-5 that accepts changes of 3e-3.
    SquaredChange,
}

/// Settings of the inverse.
#[derive(Config, Debug)]
pub struct InverseConfig {
    /// Absolute tolerance.
    #[config(default = 1e-6)]
    pub absolute: f64,
    /// Tolerance relative to the output's element.
    #[config(default = 1e-6)]
    pub relative: f64,
    /// What is compared with the tolerance.
    #[config(default = "StoppingRule::Change")]
    pub rule: StoppingRule,
    /// Number of iterations after which the inverse fails.
    #[config(default = 1000)]
    pub max_steps: usize,
}

/// An input that was found.
#[derive(Clone, Debug)]
pub struct Inverse<const D: usize> {
    /// `x` with `x + g(x) = y`.
    pub input: Tensor<D>,
    /// Iterations after `x_0`.
    pub steps: usize,
    /// Largest change in the last iteration relative to its tolerance, as the rule compares them; below 1.
    pub change: f64,
}

/// Solves `x + g(x) = y` for `x`, without gradients.
///
/// The distance to the solution is at most `kappa / (1 - kappa)` times the last change.
///
/// # Shapes
/// - output: `[batch, ..]`; the whole batch iterates until every sample has converged
///
/// # Errors
/// - [`ModelError::NotContractive`] unless `lipschitz`, the bound of `residual`, is below 1
/// - [`ModelError::NotFiniteTensor`] if `output` holds NaN or infinities
/// - [`ModelError::NoInverse`] if the iteration diverges, or does not converge in `max_steps`
///
/// # Panics
/// If a tolerance is negative or NaN, or both are zero.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::{InverseConfig, invert};
///
/// let output = Tensor::<2>::from_data([[1.5, -3.0]], &Device::flex());
/// let inverse = invert(|x| x.mul_scalar(0.5), 0.5, output, &InverseConfig::new())?;
/// let expected = Tensor::<2>::from_data([[1.0, -2.0]], &Device::flex());
/// assert!((inverse.input - expected).abs().max().into_scalar::<f32>() < 1e-5);
/// # Ok::<(), firebrick_models::ModelError>(())
/// ```
pub fn invert<const D: usize>(
    residual: impl Fn(Tensor<D>) -> Tensor<D>,
    lipschitz: f64,
    output: Tensor<D>,
    config: &InverseConfig,
) -> Result<Inverse<D>, ModelError> {
    let InverseConfig { absolute, relative, rule, max_steps } = *config;
    assert!(
        absolute >= 0.0 && relative >= 0.0 && absolute + relative > 0.0,
        "InverseConfig: tolerances must not be negative, and one positive, got absolute {absolute} \
         and relative {relative}"
    );
    if lipschitz.is_nan() || lipschitz >= 1.0 {
        return Err(ModelError::NotContractive { bound: lipschitz });
    }
    let output = output.detach();
    if output.dims().contains(&0) {
        return Ok(Inverse { input: output, steps: 0, change: 0.0 });
    }
    let tolerance = output.clone().abs().mul_scalar(relative).add_scalar(absolute);
    let mut previous = output.clone();
    let mut input = output.clone() - residual(output.clone());
    for steps in 0.. {
        let change = (input.clone() - previous.clone()).abs();
        let change =
            if rule == StoppingRule::SquaredChange { change.powi_scalar(2) } else { change };
        let ratio = change / tolerance.clone();
        // The sum is there for NaN, which a maximum may pass over.
        let read = Tensor::cat(vec![ratio.clone().max(), ratio.sum()], 0);
        let read: Vec<f64> = read.into_data().iter::<f64>().collect();
        let largest = if read[1].is_nan() { f64::NAN } else { read[0] };
        if largest < 1.0 {
            return Ok(Inverse { input, steps, change: largest });
        }
        if !largest.is_finite() && !output.clone().is_finite().all().into_scalar::<bool>() {
            return Err(ModelError::NotFiniteTensor { what: "the output of an invertible block" });
        }
        if steps == max_steps || !largest.is_finite() {
            return Err(ModelError::NoInverse { steps, change: largest, bound: lipschitz });
        }
        let next = output.clone() - residual(input.clone());
        previous = std::mem::replace(&mut input, next);
    }
    unreachable!("the loop has no end of its own")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use proptest::prelude::*;

    fn row(values: &[f32]) -> Tensor<2> {
        let data = burn::tensor::TensorData::new(values.to_vec(), [1, values.len()]);
        Tensor::from_data(data, &Device::flex())
    }

    fn failure(result: Result<Inverse<2>, ModelError>) -> String {
        result.unwrap_err().to_string()
    }

    proptest! {
        #[test]
        fn an_inverted_output_maps_back(factor in -0.9f64..0.9, y in -50.0f32..50.0) {
            let residual = |x: Tensor<2>| x.sin().mul_scalar(factor);
            let found = invert(residual, factor.abs(), row(&[y, 1.0]), &InverseConfig::new()).unwrap();
            let again = found.input.clone() + residual(found.input);
            let error = (again - row(&[y, 1.0])).abs().max().into_scalar::<f32>();
            prop_assert!(error <= 2.0 * 1e-6 * (1.0 + y.abs()), "{error}");
            prop_assert!(found.change < 1.0);
        }
    }

    #[test]
    fn the_error_bound_holds() {
        let config = InverseConfig::new().with_absolute(1e-3).with_relative(0.0);
        let found = invert(|x| x.mul_scalar(-0.9), 0.9, row(&[1.0]), &config).unwrap();
        // x = 10; the bound is 0.9 / 0.1 times the last change of at most 1e-3.
        let error = (found.input.into_scalar::<f32>() - 10.0).abs();
        assert!(error <= 9e-3 && error > 5e-3, "{error}");
        assert!(found.steps > 20);
    }

    #[test]
    fn what_is_no_contraction_is_refused() {
        let message = failure(invert(|x| x, 1.0, row(&[1.0]), &InverseConfig::new()));
        assert!(message.contains("Lipschitz constant below 1, found the bound 1"), "{message}");
        assert!(invert(|x| x, f64::NAN, row(&[1.0]), &InverseConfig::new()).is_err());
    }

    #[test]
    fn too_few_steps_and_divergence_are_errors() {
        let config = InverseConfig::new().with_max_steps(3);
        let message = failure(invert(|x| x.mul_scalar(-0.9), 0.9, row(&[1.0]), &config));
        assert!(message.contains("after 3 steps"), "{message}");
        // The bound is a lie.
        let run = invert(|x| x.mul_scalar(-9.0), 0.9, row(&[1.0]), &InverseConfig::new());
        assert!(matches!(run, Err(ModelError::NoInverse { .. })));
    }

    #[test]
    fn outputs_that_are_no_numbers_are_refused() {
        for bad in [f32::NAN, f32::INFINITY] {
            let result =
                invert(|x| x.mul_scalar(0.5), 0.5, row(&[bad, 1.0]), &InverseConfig::new());
            assert!(failure(result).contains("must be finite"));
        }
    }

    #[test]
    fn an_empty_batch_has_an_inverse() {
        let empty = Tensor::<2>::zeros([0, 3], &Device::flex());
        let found = invert(|x| x, 0.5, empty, &InverseConfig::new()).unwrap();
        assert_eq!(found.input.dims(), [0, 3]);
    }

    #[test]
    #[should_panic(expected = "one positive, got absolute 0 and relative 0")]
    fn refuses_tolerances_of_zero() {
        let config = InverseConfig::new().with_absolute(0.0).with_relative(0.0);
        let _ = invert(|x| x, 0.5, row(&[1.0]), &config);
    }
}
