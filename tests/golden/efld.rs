//! EFLD: one step of each family from given noise, divergences and bounds.

use burn::tensor::{DType, Tensor};
use firebrick::generalization::{GeneralizationError, StabilityBounds, le_cam_divergence};
use firebrick::optimizers::efld::{
    ExponentialFamily, FiniteLevels, noisy_quantized_step, noisy_sign_step, sgld_step,
};

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

/// Probabilities and means.
const PROBABILITY: Tolerance = Tolerance::absolute(1e-6);
const LOG_PARTITION: Tolerance = Tolerance::relative(1e-5);
/// Draws are numbers such as -1 or 0.5, exactly.
const EXACT: Tolerance = Tolerance::absolute(0.0);

/// The result of a step: the file's numbers are rounded to 32 bits.
fn step_tolerance(target: &Target) -> Tolerance {
    let relative = if target.dtype == DType::F64 { 2e-7 } else { 1e-6 };
    Tolerance { absolute: 1e-7, relative, scaled: false }
}

/// A tensor of any rank from 1 to 4, flat: everything here is elementwise.
fn tensor(case: &Case, target: &Target, name: &str) -> Result<Tensor<1>, Failure> {
    let flat = case.values::<1>(name).map(|(values, _)| values);
    let values = flat
        .or_else(|_| case.values::<2>(name).map(|(values, _)| values))
        .or_else(|_| case.values::<3>(name).map(|(values, _)| values))
        .or_else(|_| case.values::<4>(name).map(|(values, _)| values))?;
    let len = values.len();
    Ok(target.float(values, [len]).inner())
}

fn compare<const D: usize>(
    case: &Case,
    name: &str,
    found: Tensor<D>,
    tolerance: Tolerance,
) -> Result<(), Failure> {
    case.compare_host(name, &found.into_data().iter::<f64>().collect::<Vec<_>>(), tolerance)
}

/// A list parameter.
fn list(case: &Case, name: &str) -> Result<Vec<f64>, Failure> {
    let value = case
        .optional(name)
        .and_then(|value| value.as_array())
        .ok_or_else(|| Failure::new(format!("parameter {name}: expected a list of numbers")))?;
    let number = |value: &serde_json::Value| {
        value.as_f64().ok_or_else(|| {
            Failure::new(format!("parameter {name}: expected numbers, found {value}"))
        })
    };
    value.iter().map(number).collect()
}

/// `efld_sgld`: `w - eta g + sigma z`.
pub fn sgld(case: &Case, target: &Target) -> Result<(), Failure> {
    let read = |name: &str| tensor(case, target, name);
    let (eta, sigma) = (case.f64("eta")?, case.f64("sigma")?);
    let next = sgld_step(read("w")?, read("grad")?, read("normal")?, eta, sigma);
    compare(case, "w_next", next, step_tolerance(target))?;
    let alpha = case.f64("alpha")?;
    if (sigma / eta - alpha).abs() > 1e-12 * alpha {
        return Err(Failure::new(format!("alpha: expected {alpha}, found {}", sigma / eta)));
    }
    if sigma == 0.0 {
        return Ok(());
    }
    // The same step as a draw from the family: rho xi = sigma (g / alpha - z).
    let xi = ExponentialFamily::Gaussian.draw(read("grad")? / alpha, -read("normal")?);
    compare(case, "w_next", read("w")? - xi * sigma, step_tolerance(target))
}

/// `efld_sign`: probabilities, moments, draw and step.
pub fn sign(case: &Case, target: &Target) -> Result<(), Failure> {
    let read = |name: &str| tensor(case, target, name);
    let (alpha, eta) = (case.f64("alpha")?, case.f64("eta")?);
    let theta = read("grad")? / alpha;
    let family = ExponentialFamily::Rademacher;
    let mean = family.mean(theta.clone());
    compare(case, "prob_plus", (mean.clone() + 1.0) / 2.0, PROBABILITY)?;
    compare(case, "mean", mean, PROBABILITY)?;
    compare(case, "variance", family.variance(theta.clone()), PROBABILITY)?;
    compare(case, "log_partition", family.log_partition(theta.clone()), LOG_PARTITION)?;
    compare(case, "xi", family.draw(theta, read("uniform")?), EXACT)?;
    let next = noisy_sign_step(read("w")?, read("grad")?, read("uniform")?, eta, alpha);
    compare(case, "w_next", next, step_tolerance(target))
}

/// `efld_quantised`: probabilities, moments, draw and step over a finite set of levels.
pub fn quantised(case: &Case, target: &Target) -> Result<(), Failure> {
    let read = |name: &str| tensor(case, target, name);
    let (alpha, eta) = (case.f64("alpha")?, case.f64("eta")?);
    let levels = FiniteLevels::new(list(case, "levels")?, list(case, "base_weights")?);
    let family = ExponentialFamily::Levels(levels.clone());
    let theta = read("grad")? / alpha;
    let columns = levels.probabilities(theta.clone()).into_iter();
    let columns: Vec<Tensor<2>> = columns.map(|column| column.unsqueeze_dim(1)).collect();
    compare(case, "probabilities", Tensor::cat(columns, 1), PROBABILITY)?;
    compare(case, "mean", family.mean(theta.clone()), PROBABILITY)?;
    compare(case, "variance", family.variance(theta.clone()), PROBABILITY)?;
    compare(case, "log_partition", family.log_partition(theta.clone()), LOG_PARTITION)?;
    // A level such as 0.1 is rounded in the file, and a sum of steps between levels here.
    let exact = Tolerance { absolute: 0.0, relative: 1e-6, scaled: false };
    let xi = family.draw(theta, read("uniform")?);
    compare(case, "xi", xi, exact)?;
    let next =
        noisy_quantized_step(read("w")?, read("grad")?, read("uniform")?, eta, alpha, &levels);
    compare(case, "w_next", next, step_tolerance(target))
}

fn check(what: &str, expected: f64, found: f64, relative: f64) -> Result<(), Failure> {
    if (found - expected).abs() <= relative * expected.abs() {
        return Ok(());
    }
    Err(Failure::new(format!("{what}: expected {expected:e}, found {found:e}")))
}

/// `efld_lsd`: closed forms of the divergence.
pub fn divergence(case: &Case) -> Result<(), Failure> {
    let theta = |name: &str| case.values::<1>(name).map(|(values, _)| values);
    let (a, b, c) = (theta("theta_a")?, theta("theta_b")?, theta("theta_c")?);
    let signs = FiniteLevels::new(vec![-1.0, 1.0], vec![1.0, 1.0]);
    for (name, family) in [
        ("lsd_gaussian", ExponentialFamily::Gaussian),
        ("lsd_rademacher", ExponentialFamily::Rademacher),
        ("lsd_rademacher", ExponentialFamily::Levels(signs)),
    ] {
        check(name, case.f64(name)?, le_cam_divergence(&family, &a, &b, &c), 1e-4)?;
    }
    let square: f64 = b.iter().zip(&c).map(|(b, c)| (b - c) * (b - c)).sum();
    check("two_and_half_sq", case.f64("two_and_half_sq")?, 2.5 * square, 1e-5)
}

/// `efld_bounds`: the bounds from quantities measured at every step.
pub fn bounds(case: &Case) -> Result<(), Failure> {
    let fail = |error: GeneralizationError| Failure::new(error.to_string());
    let (c0, c2) = (case.f64("c0")?, case.f64("c2")?);
    let bounds = StabilityBounds::new(case.usize("n")?, case.usize("b")?)
        .and_then(|bounds| bounds.with_c0(Some(c0))?.with_smoothness(c2))
        .map_err(fail)?;
    let (alpha, _) = case.values::<1>("alpha")?;
    let scaled = |name: &str| -> Result<f64, Failure> {
        let (values, _) = case.values::<1>(name)?;
        Ok(values.iter().zip(&alpha).map(|(value, alpha)| value / (alpha * alpha)).sum())
    };
    let (discrepancy, norm) = (scaled("discrepancy")?, scaled("grad_norm_sq")?);
    let expected = |name: &str| case.f64(name);
    check("paper", expected("paper_bound")?, bounds.paper(discrepancy).map_err(fail)?, 1e-5)?;
    let unconditional = bounds.unconditional(discrepancy);
    check("unconditional", expected("unconditional_bound_C1")?, unconditional, 1e-5)?;
    check("norm", expected("gradient_norm_bound_C1")?, bounds.gradient_norm(norm), 1e-5)
}
