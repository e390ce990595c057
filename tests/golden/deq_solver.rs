//! Trajectories of the fixed-point solvers.

use std::cell::RefCell;

use burn::tensor::{DType, Tensor, TensorData};
use firebrick::models::deq::Activation;
use firebrick::ops::fixed_point::{
    AndersonConfig, AndersonRidge, BroydenConfig, FixedPointConfig, LineSearch, ResidualTrace,
    SolveReport, Solver, Stopping,
};
use serde_json::Value;

use crate::Target;
use crate::case::{Case, Failure, Tolerance};
use crate::deq::{activation, mode, plain, text};

/// One entry of `cases`.
struct Trajectory<'a> {
    value: &'a Value,
    name: &'a str,
}

impl Trajectory<'_> {
    fn number(&self, name: &str, default: Option<f64>) -> Result<f64, Failure> {
        match self.value.get(name).filter(|value| !value.is_null()) {
            Some(value) => value.as_f64(),
            None => default,
        }
        .ok_or_else(|| Failure::new(format!("case {}: {name}: expected a number", self.name)))
    }

    fn count(&self, name: &str, default: Option<usize>) -> Result<usize, Failure> {
        Ok(self.number(name, default.map(|default| default as f64))? as usize)
    }

    fn solver(&self) -> Result<Solver, Failure> {
        let max_steps = self.count("max_iter", None)?;
        let stopping = Stopping::new()
            .with_max_steps(max_steps)
            .with_tolerance(self.number("tol", None)?)
            .with_mode(mode(self.value.get("stop_mode").unwrap_or(&Value::Null))?)
            .with_freeze_converged(false)
            .with_trace(true);
        let solver = self.value.get("solver").unwrap_or(&Value::Null);
        Ok(match text(solver, "solver")? {
            "fixed_point_iter" => FixedPointConfig::new()
                .with_damping(self.number("tau", Some(1.0))?)
                .with_stopping(stopping)
                .into(),
            "anderson" => AndersonConfig::new()
                .with_memory(self.count("m", Some(6))?)
                .with_ridge(AndersonRidge::Absolute(self.number("lam", Some(1e-4))?))
                .with_mixing(self.number("tau", Some(1.0))?)
                .with_stopping(stopping)
                .into(),
            "broyden" => {
                let search = self.value.get("ls").and_then(Value::as_bool) == Some(true);
                let search = if search { LineSearch::BatchCompat } else { LineSearch::None };
                BroydenConfig::new()
                    .with_memory(Some(self.count("LBFGS_thres", Some(max_steps))?))
                    .with_line_search(search)
                    .with_stopping(stopping)
                    .into()
            }
            other => return Err(Failure::new(format!("unknown solver {other}"))),
        })
    }
}

/// `deq_solver`: every point at which the map is evaluated, results and residuals.
pub fn solver(case: &Case, target: &Target) -> Result<(), Failure> {
    let cases = case
        .optional("cases")
        .and_then(Value::as_array)
        .ok_or_else(|| Failure::new("parameter cases: expected a list"))?;
    for value in cases {
        let name = text(value.get("name").unwrap_or(&Value::Null), "name")?;
        trajectory(case, target, &Trajectory { value, name })
            .map_err(|failure| Failure::new(format!("{name}: {failure}")))?;
    }
    Ok(())
}

fn trajectory(case: &Case, target: &Target, wanted: &Trajectory<'_>) -> Result<(), Failure> {
    let name = wanted.name;
    let phi = activation(case)?;
    let w: Tensor<2> = plain(case, target, "W")?;
    let injection: Tensor<2> = plain(case, target, "inj")?;
    let points = RefCell::new(Vec::new());
    let map = |z: Tensor<2>| {
        points.borrow_mut().push(z.clone());
        phi.apply(z.matmul(w.clone().transpose()) + injection.clone())
    };
    let solution = wanted.solver()?.solve(map, plain(case, target, "x0")?);
    let points = points.into_inner();
    let in_64_bits = target.dtype == DType::F64;
    let (_, [expected, _, _]) = case.values::<3>(&format!("{name}/eval_points"))?;
    if expected != wanted.count("n_eval", None)? {
        return Err(Failure::new(format!("n_eval disagrees with {expected} points")));
    }
    // In 32 bits, rounding decides where a tolerance near it is reached.
    if in_64_bits && points.len() != expected {
        let found = points.len();
        return Err(Failure::new(format!("expected {expected} evaluations, found {found}")));
    }
    let tolerance = if in_64_bits { 1e-8 } else { 1e-3 };
    for (at, point) in points.iter().take(8.min(expected)).enumerate() {
        let tolerance = Tolerance::absolute(tolerance);
        case.compare_at(&format!("{name}/eval_points"), at, point.clone(), tolerance)?;
    }
    if !in_64_bits {
        return Ok(());
    }
    let residual = map_residual(phi, &w, &injection);
    residuals(case, wanted, &solution.report, &solution.state, &residual)
}

/// `||f(z) - z||` of each sample.
fn map_residual<'a>(
    phi: Activation,
    w: &'a Tensor<2>,
    injection: &'a Tensor<2>,
) -> impl Fn(&Tensor<2>) -> Vec<f64> + 'a {
    move |z| {
        let image = phi.apply(z.clone().matmul(w.clone().transpose()) + injection.clone());
        let norms = (image - z.clone()).square().sum_dim(1).sqrt();
        norms.into_data().iter::<f64>().collect()
    }
}

/// Residuals of every step, the steps of the best ones and the result.
fn residuals(
    case: &Case,
    wanted: &Trajectory<'_>,
    report: &SolveReport,
    solution: &Tensor<2>,
    residual: &impl Fn(&Tensor<2>) -> Vec<f64>,
) -> Result<(), Failure> {
    let name = wanted.name;
    let trace = report.trace.as_ref().ok_or_else(|| Failure::new("there is no trace"))?;
    traces(case, wanted, trace)?;
    best_steps(case, name, report)?;
    let (expected, shape) = case.values::<2>(&format!("{name}/result"))?;
    let expected =
        Tensor::from_data(TensorData::new(expected, shape), (&solution.device(), solution.dtype()));
    // Two points of small residual are near each other.
    let near: f64 = residual(&expected).into_iter().fold(1e-9, f64::max);
    case.compare(&format!("{name}/result"), solution.clone(), Tolerance::absolute(20.0 * near))
}

/// Decades between two residuals; below 1e-13 there is nothing but rounding.
fn decades(found: f64, expected: f64) -> f64 {
    (found.max(1e-13) / expected.max(1e-13)).log10().abs()
}

fn traces(case: &Case, wanted: &Trajectory<'_>, trace: &ResidualTrace) -> Result<(), Failure> {
    let name = wanted.name;
    // The reference has a placeholder first, and does not look at the first two points of Anderson.
    let shift = if wanted.value["solver"] == "anderson" { 2 } else { 0 };
    for (kind, found) in [("abs", &trace.absolute), ("rel", &trace.relative)] {
        let (expected, [batch, len]) = case.values::<2>(&format!("{name}/{kind}_trace"))?;
        for (&step, found) in trace.steps.iter().zip(found) {
            let at = step.saturating_sub(shift);
            if at == 0 || at >= len {
                continue;
            }
            // Rounding grows from point to point.
            let bound = if step <= 8 { 1e-4 } else { 1.0 };
            for sample in 0..batch {
                let (found, expected) = (found[sample], expected[sample * len + at]);
                if decades(found, expected) > bound {
                    return Err(Failure::new(format!(
                        "{kind}_trace[{sample}, {at}]: expected {expected:e}, found {found:e}"
                    )));
                }
            }
        }
    }
    Ok(())
}

fn best_steps(case: &Case, name: &str, report: &SolveReport) -> Result<(), Failure> {
    let fail = |what: String| Err(Failure::new(what));
    let (lowest, _) = case.values::<1>(&format!("{name}/abs_lowest"))?;
    let best = case.indices(&format!("{name}/nstep"))?;
    for sample in 0..lowest.len() {
        let (found, expected) = (report.absolute[sample], lowest[sample]);
        if decades(found, expected) > 1.0 {
            return fail(format!("abs_lowest[{sample}]: expected {expected:e}, found {found:e}"));
        }
        let found = report.best_steps[sample];
        if best[sample] <= 8 && found != best[sample] {
            return fail(format!("nstep[{sample}]: expected {}, found {found}", best[sample]));
        }
    }
    Ok(())
}
