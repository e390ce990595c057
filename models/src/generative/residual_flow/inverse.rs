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
use burn::tensor::{DType, Tensor, TensorData};
use firebrick_ops::fixed_point::{
    AndersonConfig, FixedPointConfig, ResidualMode, Solver, Status, Stopping,
};
use serde::{Deserialize, Serialize};

use super::series::per_sample;
use crate::ModelError;

/// How the fixed point is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InverseMethod {
    /// The plain iteration, which always converges for a contraction; each sample stops by itself.
    FixedPoint,
    /// Anderson acceleration: fewer evaluations where the contraction is weak, without a guarantee.
    Anderson,
    /// The plain iteration as in the published code: the whole batch stops when the *square* of every
    /// element's change is below `tolerance (1 + |y|)`. With their tolerance of 1e-5 that accepts changes
    /// of 3e-3.
    Published,
}

/// Settings of the inverse.
#[derive(Config, Debug)]
pub struct InverseConfig {
    /// A sample has converged when the root mean square of its last change is below
    /// `tolerance (1 + rms(y))`.
    #[config(default = 1e-6)]
    pub tolerance: f64,
    /// Number of steps after which the inverse fails.
    #[config(default = 1000)]
    pub max_steps: usize,
    /// How the fixed point is found.
    #[config(default = "InverseMethod::FixedPoint")]
    pub method: InverseMethod,
    /// Whether each sample goes on for as many steps of the plain iteration as it took to converge, which
    /// brings the error near that of rounding: through a deep flow the errors that `tolerance` allows in its
    /// blocks multiply. Not for [`InverseMethod::Published`].
    #[config(default = true)]
    pub refine: bool,
}

/// An input that was found.
#[derive(Clone, Debug)]
pub struct Inverse<const D: usize> {
    /// `x` with `x + g(x) = y`.
    pub input: Tensor<D>,
    /// Evaluations of `g` after `x_0`, those of the refinement among them.
    pub steps: usize,
    /// The largest change that a further step would make before the refinement, relative to its tolerance; at
    /// most 1. Where all
    /// steps were made, relative to what rounding allows, if that is more.
    pub change: f64,
}

/// Solves `x + g(x) = y` for `x`, without gradients.
///
/// Without refinement the distance to the solution is at most `kappa / (1 - kappa)` times the last change. A
/// sample that still
/// changes by rounding errors, `2 epsilon / (1 - kappa)` for `epsilon` of the float type, after all steps
/// counts as found.
///
/// # Shapes
/// - output: `[batch, ..]`
///
/// # Errors
/// - [`ModelError::NotContractive`] unless `lipschitz`, the bound of `residual`, is below 1
/// - [`ModelError::NotFiniteTensor`] if `output` holds NaN or infinities
/// - [`ModelError::NoInverse`] if a sample diverges, or does not converge in `max_steps`
///
/// # Panics
/// If the tolerance is not positive, or `max_steps` is zero.
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
    let InverseConfig { tolerance, max_steps, .. } = *config;
    assert!(tolerance > 0.0, "InverseConfig: tolerance must be positive, got {tolerance}");
    assert!(max_steps > 0, "InverseConfig: max_steps must be positive, got 0");
    if lipschitz.is_nan() || lipschitz >= 1.0 {
        return Err(ModelError::NotContractive { bound: lipschitz });
    }
    if output.dims().contains(&0) {
        return Ok(Inverse { input: output.detach(), steps: 0, change: 0.0 });
    }
    // Solvers work on plain tensors.
    let tracked = output.is_autodiff();
    let output = if tracked { output.inner() } else { output };
    if !is_finite(&output) {
        return Err(ModelError::NotFiniteTensor { what: "the output of an invertible block" });
    }
    let target = output.clone();
    let map = |x: Tensor<D>| {
        let change = if tracked { residual(Tensor::from_inner(x)).inner() } else { residual(x) };
        target.clone() - change
    };
    let start = map(output.clone());
    if !is_finite(&start) {
        return Err(ModelError::NoInverse { steps: 0, change: f64::NAN, bound: lipschitz });
    }
    let found = match config.method {
        InverseMethod::Published => published(map, output, start, config),
        _ => {
            // Where the slopes are near -kappa, rounding keeps the iteration in a cycle of this size.
            let rounding = 2.0 * epsilon(output.dtype()) / (1.0 - lipschitz);
            solved(map, output, start, config, rounding)
        }
    };
    let found = found.map_err(|(steps, change)| ModelError::NoInverse {
        steps,
        change,
        bound: lipschitz,
    })?;
    Ok(match tracked {
        true => Inverse { input: Tensor::from_inner(found.input), ..found },
        false => found,
    })
}

/// Distance of 1 to the next number.
fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => (-10f64).exp2(),
        DType::BF16 => (-7f64).exp2(),
        _ => f64::from(f32::EPSILON),
    }
}

fn is_finite<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.clone().is_finite().all().into_scalar::<bool>()
}

/// Steps and last change of an iteration that found nothing.
type Failed = (usize, f64);

/// By a solver, in units in which every sample has the same tolerance.
fn solved<const D: usize>(
    map: impl Fn(Tensor<D>) -> Tensor<D>,
    output: Tensor<D>,
    start: Tensor<D>,
    config: &InverseConfig,
    rounding: f64,
) -> Result<Inverse<D>, Failed> {
    let shape = output.dims();
    let dim = shape[1..].iter().product::<usize>() as f64;
    let mut column = [1; D];
    column[0] = shape[0];
    let size = per_sample(output.powi_scalar(2)).mul_scalar(1.0 / dim).sqrt().add_scalar(1.0);
    let size = size.reshape(column);
    let tolerance = config.tolerance * dim.sqrt();
    let stopping = Stopping::new()
        .with_max_steps(config.max_steps)
        .with_tolerance(tolerance)
        .with_mode(ResidualMode::Absolute);
    let solver: Solver = match config.method {
        InverseMethod::Anderson => AndersonConfig::new().with_stopping(stopping).into(),
        _ => FixedPointConfig::new().with_stopping(stopping).into(),
    };
    let scaled = |x: Tensor<D>| map(x * size.clone()) / size.clone();
    let solution = solver.solve(&scaled, start / size.clone());
    let report = solution.report;
    let largest = report.absolute.iter().fold(0.0, |max: f64, change| max.max(*change));
    let accepted = match report.status {
        Status::Converged => tolerance,
        Status::MaxSteps => tolerance.max(rounding * dim.sqrt()),
        Status::Diverged => return Err((report.steps, f64::NAN)),
    };
    if largest <= accepted {
        let change = largest / accepted;
        let (state, more) = match config.refine && report.status == Status::Converged {
            true => refined(scaled, solution.state, &report.best_steps),
            false => (solution.state, 0),
        };
        return Ok(Inverse { input: state * size, steps: report.steps + more, change });
    }
    Err((report.steps, largest / tolerance))
}

/// Each sample after as many steps more as it has made, and the largest number of them. No sample depends on
/// another one.
fn refined<const D: usize>(
    map: impl Fn(Tensor<D>) -> Tensor<D>,
    mut state: Tensor<D>,
    steps: &[usize],
) -> (Tensor<D>, usize) {
    let mut column = [1; D];
    column[0] = steps.len();
    let least = steps.iter().copied().min().unwrap_or(0);
    let most = steps.iter().copied().max().unwrap_or(0);
    let last: Vec<f32> = steps.iter().map(|&steps| steps as f32 - 0.5).collect();
    let last = Tensor::<1>::from_data(TensorData::from(last.as_slice()), &state.device());
    let last: Tensor<D> = last.cast(state.dtype()).reshape(column);
    for step in 0..most {
        let next = map(state.clone());
        state = match step < least {
            true => next,
            false => {
                let moving = last.clone().greater_scalar(step as f64).expand(state.dims());
                state.mask_where(moving, next)
            }
        };
    }
    (state, most)
}

fn published<const D: usize>(
    map: impl Fn(Tensor<D>) -> Tensor<D>,
    output: Tensor<D>,
    start: Tensor<D>,
    config: &InverseConfig,
) -> Result<Inverse<D>, Failed> {
    let tolerance = output.clone().abs().add_scalar(1.0).mul_scalar(config.tolerance);
    let (mut previous, mut input) = (output, start);
    let mut steps = 0;
    loop {
        let ratio = (input.clone() - previous.clone()).powi_scalar(2) / tolerance.clone();
        // The sum is there for NaN, which a maximum may pass over.
        let read = Tensor::cat(vec![ratio.clone().max(), ratio.sum()], 0);
        let read: Vec<f64> = read.into_data().iter::<f64>().collect();
        if read[0] < 1.0 && !read[1].is_nan() {
            return Ok(Inverse { input, steps, change: read[0] });
        }
        if steps == config.max_steps || !read[1].is_finite() {
            return Err((steps, if read[1].is_finite() { read[0] } else { f64::NAN }));
        }
        let next = map(input.clone());
        previous = std::mem::replace(&mut input, next);
        steps += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use proptest::prelude::*;

    fn row(values: &[f32]) -> Tensor<2> {
        let data = TensorData::new(values.to_vec(), [1, values.len()]);
        Tensor::from_data(data, &Device::flex())
    }

    fn failure(result: Result<Inverse<2>, ModelError>) -> String {
        result.unwrap_err().to_string()
    }

    const METHODS: [InverseMethod; 3] =
        [InverseMethod::FixedPoint, InverseMethod::Anderson, InverseMethod::Published];

    proptest! {
        #[test]
        fn an_inverted_output_maps_back(factor in -0.9f64..0.9, y in -50.0f32..50.0) {
            let residual = |x: Tensor<2>| x.sin().mul_scalar(factor);
            let config = InverseConfig::new();
            let found = invert(residual, factor.abs(), row(&[y, 1.0]), &config).unwrap();
            let again = found.input.clone() + residual(found.input);
            let error = (again - row(&[y, 1.0])).abs().max().into_scalar::<f32>();
            prop_assert!(error <= 5e-6 * (1.0 + y.abs()), "{error}");
            prop_assert!(found.change <= 1.0);
        }
    }

    #[test]
    fn the_error_bound_holds() {
        for method in METHODS {
            // Published compares squares.
            let tolerance = if method == InverseMethod::Published { 2.5e-7 } else { 5e-4 };
            let config = InverseConfig::new()
                .with_tolerance(tolerance)
                .with_method(method)
                .with_refine(false);
            let found = invert(|x| x.mul_scalar(-0.9), 0.9, row(&[1.0]), &config).unwrap();
            // x = 10; the bound is 0.9 / 0.1 times the last change of at most 1e-3.
            let error = (found.input.into_scalar::<f32>() - 10.0).abs();
            assert!(error <= 9e-3, "{method:?}: {error}");
            assert!(method == InverseMethod::Anderson || found.steps > 20 && error > 4e-3);
        }
    }

    #[test]
    fn refinement_brings_the_error_to_that_of_rounding() {
        for method in [InverseMethod::FixedPoint, InverseMethod::Anderson] {
            let config = InverseConfig::new().with_tolerance(1e-3).with_method(method);
            let error = |refine: bool| {
                let config = config.clone().with_refine(refine);
                let x = row(&[0.7, -1.3]);
                let y = x.clone() + x.clone().sin().mul_scalar(-0.8);
                let found = invert(|x| x.sin().mul_scalar(-0.8), 0.8, y, &config).unwrap();
                (found.input - x).abs().max().into_scalar::<f32>()
            };
            let (rough, fine) = (error(false), error(true));
            assert!(rough > 1e-5 && fine < 0.05 * rough, "{method:?}: {rough} and {fine}");
        }
    }

    #[test]
    fn samples_do_not_depend_on_their_neighbors() {
        let residual = |x: Tensor<2>| x.sin().mul_scalar(0.9);
        let both = Tensor::cat(vec![row(&[1e4, -2.0]), row(&[0.3, 0.1])], 0);
        let together = invert(residual, 0.9, both, &InverseConfig::new()).unwrap().input;
        let alone = invert(residual, 0.9, row(&[0.3, 0.1]), &InverseConfig::new()).unwrap().input;
        assert_eq!(together.narrow(0, 1, 1).into_data(), alone.into_data());
    }

    #[test]
    fn tracked_outputs_are_inverted_without_gradients() {
        let output = Tensor::<2>::ones([1, 2], &Device::flex().autodiff()).require_grad();
        let factor = Tensor::<2>::full([1, 2], 0.5, &output.device()).require_grad();
        let found = invert(|x| x * factor.clone(), 0.5, output, &InverseConfig::new()).unwrap();
        assert!(found.input.is_autodiff() && !found.input.is_require_grad());
        assert!((found.input.inner().sum().into_scalar::<f32>() - 4.0 / 3.0).abs() < 1e-5);
    }

    #[test]
    fn what_is_no_contraction_is_refused() {
        let message = failure(invert(|x| x, 1.0, row(&[1.0]), &InverseConfig::new()));
        assert!(message.contains("Lipschitz constant below 1, found the bound 1"), "{message}");
        assert!(invert(|x| x, f64::NAN, row(&[1.0]), &InverseConfig::new()).is_err());
    }

    #[test]
    fn too_few_steps_and_divergence_are_errors() {
        for method in METHODS {
            let config = InverseConfig::new().with_max_steps(2).with_method(method);
            let residual = |x: Tensor<2>| x.sin().mul_scalar(-0.99);
            let message = failure(invert(residual, 0.99, row(&[1.0, 2.0]), &config));
            assert!(message.contains("no inverse after 2 steps"), "{message}");
        }
        // The bound is a lie.
        for method in [InverseMethod::FixedPoint, InverseMethod::Published] {
            let config = InverseConfig::new().with_method(method);
            let run = invert(|x| x.mul_scalar(-9.0), 0.9, row(&[1.0]), &config);
            assert!(matches!(run, Err(ModelError::NoInverse { .. })), "{method:?}");
        }
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
    #[should_panic(expected = "tolerance must be positive, got 0")]
    fn refuses_a_tolerance_of_zero() {
        let _ = invert(|x| x, 0.5, row(&[1.0]), &InverseConfig::new().with_tolerance(0.0));
    }
}
