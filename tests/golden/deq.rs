//! Equilibrium blocks: fixed points, adjoints, gradients, solver trajectories, penalties, normalized weights.

use std::cell::RefCell;

use burn::module::Param;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{DType, Gradients, Tensor, TensorData};
use firebrick::models::deq::{
    Activation, AffineCell, CorrectionWeights, Deq, DeqCell, DeqConfig, DeqGradient,
    JacobianPenalty, PenaltyForm, PhantomConfig, SpectralNormConfig, WeightNormConfig,
    spectral_radius,
};
use firebrick::ops::fixed_point::{
    AndersonConfig, AndersonRidge, BroydenConfig, FixedPointConfig, LineSearch, ResidualMode,
    SolveReport, Solver, Stopping,
};
use serde_json::Value;

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

fn tensor<const D: usize>(case: &Case, target: &Target, name: &str) -> Result<Tensor<D>, Failure> {
    let (values, shape) = case.values::<D>(name)?;
    Ok(target.float(values, shape))
}

fn plain<const D: usize>(case: &Case, target: &Target, name: &str) -> Result<Tensor<D>, Failure> {
    Ok(tensor::<D>(case, target, name)?.inner())
}

/// Relative to the largest entry of the expected tensor; `loose` in 32 bits.
fn near(
    case: &Case,
    target: &Target,
    name: &str,
    f64: f64,
    f32: f64,
) -> Result<Tolerance, Failure> {
    let largest = case.flat(name)?.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    let relative = if target.dtype == DType::F64 { f64 } else { f32 };
    Ok(Tolerance::absolute(relative * largest.max(f64::MIN_POSITIVE)))
}

fn check<const D: usize>(
    case: &Case,
    target: &Target,
    name: &str,
    found: Option<Tensor<D>>,
    [f64, f32]: [f64; 2],
) -> Result<(), Failure> {
    let found = found.ok_or_else(|| Failure::new(format!("{name}: there is no gradient")))?;
    case.compare(name, found.inner(), near(case, target, name, f64, f32)?)
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Failure> {
    value.as_str().ok_or_else(|| Failure::new(format!("{name}: expected a text, found {value}")))
}

fn mode(value: &Value) -> Result<ResidualMode, Failure> {
    match text(value, "stop_mode")? {
        "abs" => Ok(ResidualMode::Absolute),
        "rel" => Ok(ResidualMode::Relative),
        other => Err(Failure::new(format!("stop_mode: expected abs or rel, found {other}"))),
    }
}

fn activation(case: &Case) -> Result<Activation, Failure> {
    let Some(name) = case.optional("activation") else { return Ok(Activation::Identity) };
    text(name, "activation")?.parse().map_err(|error| Failure::new(format!("{error}")))
}

/// Solvers that go as far as the float type allows.
fn exact(target: &Target, gradient: DeqGradient) -> Deq {
    let tolerance = if target.dtype == DType::F64 { 1e-14 } else { 1e-7 };
    let tight = |solver: Solver| solver.with_tolerance(tolerance).with_max_steps(200);
    let config = DeqConfig::new().with_gradient(gradient);
    let (forward, backward) = (tight(config.forward.clone()), tight(config.backward.clone()));
    config.with_forward(forward).with_backward(backward).init()
}

/// A map `phi(z W^T + x U^T + b)` with leaves for everything.
struct Model {
    cell: AffineCell,
    u: Tensor<2>,
    b: Option<Tensor<1>>,
    x: Tensor<2>,
}

impl Model {
    fn new(case: &Case, target: &Target) -> Result<Self, Failure> {
        let has_bias = case.names().any(|name| name == "b");
        Ok(Self {
            cell: AffineCell::new(
                Param::from_tensor(tensor(case, target, "W")?),
                activation(case)?,
            ),
            u: tensor::<2>(case, target, "U")?.require_grad(),
            b: match has_bias {
                true => Some(tensor::<1>(case, target, "b")?.require_grad()),
                false => None,
            },
            x: tensor::<2>(case, target, "x")?.require_grad(),
        })
    }

    fn injection(&self) -> Tensor<2> {
        let injected = self.x.clone().matmul(self.u.clone().transpose());
        match &self.b {
            Some(b) => injected + b.clone().unsqueeze(),
            None => injected,
        }
    }

    fn check_gradients(
        &self,
        case: &Case,
        target: &Target,
        gradients: &Gradients,
        tolerances: [f64; 2],
    ) -> Result<(), Failure> {
        check(case, target, "grad_W", self.cell.weight.grad(gradients), tolerances)?;
        check(case, target, "grad_U", self.u.grad(gradients), tolerances)?;
        if let Some(b) = &self.b {
            check(case, target, "grad_b", b.grad(gradients), tolerances)?;
        }
        check(case, target, "grad_x", self.x.grad(gradients), tolerances)
    }
}

/// `deq_linear` and `deq_activation`: fixed point, adjoint and all gradients.
pub fn equilibrium(case: &Case, target: &Target) -> Result<(), Failure> {
    let linear = case.optional("activation").is_none();
    let tolerances = if linear { [1e-10, 1e-4] } else { [1e-9, 1e-4] };
    let model = Model::new(case, target)?;
    let deq = exact(target, DeqGradient::Implicit);
    let v: Tensor<2> = tensor(case, target, "v")?;
    let output = deq.forward(&model.cell, model.injection());
    case.compare(
        "z_star",
        output.state.clone().inner(),
        near(case, target, "z_star", 1e-10, 1e-5)?,
    )?;
    let z = output.state.clone().inner();
    let injected = model.injection().inner();
    let adjoint = deq.adjoint(&model.cell, &z, &injected, v.clone().inner());
    check(case, target, "adjoint_g", Some(adjoint.state), tolerances)?;
    let gradients = (output.state * v).sum().backward();
    model.check_gradients(case, target, &gradients, tolerances)?;
    if case.names().any(|name| name == "jacobian") {
        jacobian(case, target, &model.cell, &z, &injected)?;
    }
    phantoms(case, target)
}

/// The dense Jacobian by products with unit vectors, from both sides.
fn jacobian(
    case: &Case,
    target: &Target,
    cell: &AffineCell,
    z: &Tensor<2>,
    input: &Tensor<2>,
) -> Result<(), Failure> {
    let plain = cell.plain();
    let derivative = plain
        .linearize(z, input)
        .ok_or_else(|| Failure::new("the cell has no closed-form derivative"))?;
    let [batch, width] = z.dims();
    let unit = |at: usize| {
        let row: Vec<f64> = (0..width).map(|i| f64::from(u8::from(i == at))).collect();
        target.float::<2>(row, [1, width]).inner().repeat_dim(0, batch)
    };
    let columns = (0..width).map(|at| derivative.jvp(unit(at)).unsqueeze_dim::<3>(2)).collect();
    let rows = (0..width).map(|at| derivative.vjp(unit(at)).unsqueeze_dim::<3>(1)).collect();
    let tolerance = near(case, target, "jacobian", 1e-9, 1e-4)?;
    case.compare("jacobian", Tensor::cat(columns, 2), tolerance)?;
    case.compare("jacobian", Tensor::cat(rows, 1), tolerance)
}

/// Tensors named `phantom_k<steps>_tau<damping>_grad_<what>`.
fn phantoms(case: &Case, target: &Target) -> Result<(), Failure> {
    let names: Vec<String> = case.names().map(String::from).collect();
    for name in names.iter().filter_map(|name| name.strip_suffix("_grad_W")) {
        let Some(settings) = name.strip_prefix("phantom_k") else { continue };
        let read = || {
            let (steps, damping) = settings.split_once("_tau")?;
            Some((steps.parse().ok()?, damping.parse().ok()?))
        };
        let (steps, damping) =
            read().ok_or_else(|| Failure::new(format!("{name}: expected phantom_k#_tau#")))?;
        let phantom = PhantomConfig::new(steps).with_damping(damping);
        let model = Model::new(case, target)?;
        let deq = exact(target, DeqGradient::Phantom(phantom));
        let output = deq.forward(&model.cell, model.injection());
        let v: Tensor<2> = tensor(case, target, "v")?;
        let gradients = (output.state * v).sum().backward();
        let [w, x] = ["W", "x"].map(|what| format!("{name}_grad_{what}"));
        check(case, target, &w, model.cell.weight.grad(&gradients), [1e-9, 1e-4])?;
        check(case, target, &x, model.x.grad(&gradients), [1e-9, 1e-4])?;
    }
    Ok(())
}

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
    let fail = |what: String| Err(Failure::new(what));
    let trace = report.trace.as_ref().ok_or_else(|| Failure::new("there is no trace"))?;
    // The reference has a placeholder first, and does not look at the first two points of Anderson.
    let shift = if wanted.value["solver"] == "anderson" { 2 } else { 0 };
    for (kind, found) in [("abs", &trace.absolute), ("rel", &trace.relative)] {
        let (expected, [batch, len]) = case.values::<2>(&format!("{name}/{kind}_trace"))?;
        for (&step, found) in trace.steps.iter().zip(found) {
            let at = step.saturating_sub(shift);
            if at == 0 || at >= len {
                continue;
            }
            for sample in 0..batch {
                let (found, expected) = (found[sample], expected[sample * len + at]);
                // Rounding grows from point to point; below 1e-13 there is nothing but rounding.
                let decades = if step <= 8 { 1e-4 } else { 1.0 };
                if (found.max(1e-13) / expected.max(1e-13)).log10().abs() > decades {
                    return fail(format!(
                        "{kind}_trace[{sample}, {at}]: expected {expected:e}, found {found:e}"
                    ));
                }
            }
        }
    }
    let (lowest, _) = case.values::<1>(&format!("{name}/abs_lowest"))?;
    let best = case.indices(&format!("{name}/nstep"))?;
    for sample in 0..lowest.len() {
        let (found, expected) = (report.absolute[sample], lowest[sample]);
        if (found.max(1e-13) / expected.max(1e-13)).log10().abs() > 1.0 {
            return fail(format!("abs_lowest[{sample}]: expected {expected:e}, found {found:e}"));
        }
        let found = report.best_steps[sample];
        if best[sample] <= 8 && found != best[sample] {
            return fail(format!("nstep[{sample}]: expected {}, found {found}", best[sample]));
        }
    }
    let (expected, shape) = case.values::<2>(&format!("{name}/result"))?;
    let expected =
        Tensor::from_data(TensorData::new(expected, shape), (&solution.device(), solution.dtype()));
    // Two points of small residual are near each other.
    let near: f64 = residual(&expected).into_iter().fold(1e-9, f64::max);
    case.compare(&format!("{name}/result"), solution.clone(), Tolerance::absolute(20.0 * near))
}

/// `deq_end_to_end`: cross entropy of a classifier on the fixed point.
pub fn end_to_end(case: &Case, target: &Target) -> Result<(), Failure> {
    let Model { cell, u, x, .. } = Model::new(case, target)?;
    let cell = AffineCell::new(cell.weight, Activation::Tanh);
    let head: Tensor<2> = tensor::<2>(case, target, "V")?.require_grad();
    let labels = target.integers(&case.indices("labels")?);
    let in_64_bits = target.dtype == DType::F64;
    // 32 bits do not reach the tightest tolerances.
    let tol = if in_64_bits { case.f64("tol")? } else { case.f64("tol")?.max(1e-6) };
    let stop_mode = mode(case.optional("stop_mode").unwrap_or(&Value::Null))?;
    let solver = |steps: &str| -> Result<Solver, Failure> {
        let steps = case.usize(steps)?;
        let solver: Solver = match text(case.optional("solver").unwrap_or(&Value::Null), "solver")?
        {
            "anderson" => AndersonConfig::new().with_ridge(AndersonRidge::Absolute(1e-4)).into(),
            "broyden" => BroydenConfig::new().with_memory(Some(steps)).into(),
            "fixed_point_iter" => FixedPointConfig::new().into(),
            other => return Err(Failure::new(format!("unknown solver {other}"))),
        };
        Ok(solver.with_tolerance(tol).with_max_steps(steps).with_mode(stop_mode))
    };
    let (forward, backward) = (solver("f_max_iter")?, solver("b_max_iter")?);
    let deq = DeqConfig::new().with_forward(forward).with_backward(backward).init();
    let output = deq.forward(&cell, x.clone().matmul(u.clone().transpose()));
    let logits = output.state.clone().matmul(head.clone().transpose());
    let loss = CrossEntropyLossConfig::new().init(&target.device).forward(logits, labels);
    // Two solves to a relative tolerance agree to a few of it.
    let tolerance = [1e-9f64.max(4.0 * tol), 1e-4f64.max(4.0 * tol)];
    for form in ["fn", "hook"] {
        check(case, target, &format!("{form}/z"), Some(output.state.clone()), tolerance)?;
        let bound = if in_64_bits { tolerance[0] } else { tolerance[1] };
        let found = loss.clone().inner();
        case.compare_scalar(&format!("{form}/loss"), found, Tolerance::relative(bound))?;
    }
    let gradients = loss.backward();
    for form in ["fn", "hook"] {
        for (what, leaf) in [("U", &u), ("V", &head), ("W", &cell.weight.val())] {
            let name = format!("{form}/grad_{what}");
            check(case, target, &name, leaf.grad(&gradients), tolerance)?;
        }
    }
    Ok(())
}

/// `deq_jacobian_reg`: products with the Jacobian, penalties with their gradients, spectral radii.
pub fn jacobian_penalty(case: &Case, target: &Target) -> Result<(), Failure> {
    let cell = AffineCell::new(Param::from_tensor(tensor(case, target, "W")?), Activation::Tanh);
    let [input, z, v] = ["inj", "z", "v"].map(|name| plain::<2>(case, target, name));
    let (input, z, v) = (input?, z?, v?);
    let tolerances = [1e-12, 1e-5];
    let copy = cell.plain();
    let derivative = copy
        .linearize(&z, &input)
        .ok_or_else(|| Failure::new("the cell has no closed-form derivative"))?;
    check(case, target, "vjp", Some(derivative.vjp(v.clone())), tolerances)?;
    check(case, target, "jvp", Some(derivative.jvp(v.clone())), tolerances)?;
    jacobian(case, target, &cell, &z, &input)?;
    let step = case.f64("eps")?;
    // Rounding over the step is what differences in 32 bits are worth.
    for (form, prefix, suffix, tolerances) in [
        (PenaltyForm::Cotangent, "", "_vjp", tolerances),
        (PenaltyForm::Tangent, "", "_jvp", tolerances),
        (PenaltyForm::Difference, "fd_", "", [1e-9, 2e-2]),
    ] {
        let penalty = JacobianPenalty::new().with_form(form).with_step(Some(step));
        let loss = penalty.along(&cell, &z, &input, &v);
        let bound = if target.dtype == DType::F64 { tolerances[0] } else { tolerances[1] };
        let name = format!("{prefix}loss{suffix}");
        case.compare_scalar(&name, loss.clone().inner(), Tolerance::relative(bound))?;
        let gradient = cell.weight.grad(&loss.backward());
        check(case, target, &format!("{prefix}grad_W{suffix}"), gradient, tolerances)?;
    }
    // The mean over directions is the squared norm over the number of entries.
    let (jacobian, _) = case.values::<3>("jacobian")?;
    let [batch, width] = z.dims();
    let fro = jacobian.iter().map(|entry| entry * entry).sum::<f64>() / (batch * width) as f64;
    case.compare_host("fro", &[fro], Tolerance::relative(1e-12))?;
    let penalty = JacobianPenalty::new().with_directions(2000).of(&copy, &z, &input, 1);
    case.compare_scalar("fro", penalty, Tolerance::relative(0.05))?;
    let radii = spectral_radius(&cell, &z, &input, 1000, 1);
    case.compare_host("rho", &radii, Tolerance::relative(5e-3))
}

/// The number after a prefix in the name of a tensor.
fn numbered(case: &Case, prefix: &str) -> Result<Vec<(String, f64)>, Failure> {
    case.names()
        .filter_map(|name| Some((name.to_string(), name.strip_prefix(prefix)?)))
        .map(|(name, number)| match number.parse() {
            Ok(number) => Ok((name, number)),
            Err(_) => Err(Failure::new(format!("tensor {name}: expected a number after {prefix}"))),
        })
        .collect()
}

/// `deq_norms`: weight and spectral normalization, weights of correction losses.
pub fn norms(case: &Case, target: &Target) -> Result<(), Failure> {
    let tolerances = [1e-12, 1e-5];
    let w: Tensor<2> = tensor(case, target, "W")?;
    let g: Tensor<2> = tensor(case, target, "g")?;
    let mut learned = WeightNormConfig::new().init(w.clone());
    check(case, target, "row_norm", Some(learned.length.val()), tolerances)?;
    // The start is the weight itself.
    check(case, target, "W", Some(learned.weight()), tolerances)?;
    learned.length = Param::from_tensor(g.clone());
    check(case, target, "weight_norm_learned", Some(learned.weight()), tolerances)?;
    let fixed = WeightNormConfig::new().with_learnable(false);
    for (name, goal) in numbered(case, "weight_norm_target")? {
        let norm = fixed.clone().with_target(goal).init(w.clone());
        check(case, target, &name, Some(norm.weight()), tolerances)?;
    }
    for (name, clip) in numbered(case, "weight_norm_clip")? {
        let norm = fixed.clone().with_clip(Some(clip)).init(w.clone());
        check(case, target, &name, Some(norm.weight()), tolerances)?;
    }
    spectral(case, target, w, g, tolerances)?;
    let states = case.usize("n")?;
    // The reference has them in 32 bits.
    let tolerance = Tolerance::relative(1e-6);
    let linear = CorrectionWeights::Linear { gamma: case.f64("gamma_linear")?, bias: 0.0 };
    case.compare_host("fp_corr_linear", &linear.of(states), tolerance)?;
    let exponential = CorrectionWeights::Exponential { gamma: case.f64("gamma_exp")? };
    case.compare_host("fp_corr_exp", &exponential.of(states), tolerance)
}

fn spectral(
    case: &Case,
    target: &Target,
    w: Tensor<2>,
    g: Tensor<2>,
    tolerances: [f64; 2],
) -> Result<(), Failure> {
    let steps = case.usize("power_iters")?;
    let start: Tensor<1> = tensor(case, target, "u0")?;
    let norm = |target: f64| {
        SpectralNormConfig::new().with_target(target).init_from(w.clone(), start.clone())
    };
    let mut first = norm(1.0);
    let bound = if target.dtype == DType::F64 { tolerances[0] } else { tolerances[1] };
    for step in 0..steps {
        first.advance();
        let [u, v] = first.vectors();
        case.compare_at("u_iter", step, u, Tolerance::absolute(bound))?;
        case.compare_at("v_iter", step, v, Tolerance::absolute(bound))?;
    }
    let sigma = first.sigma().inner();
    case.compare_scalar(&format!("sigma{steps}"), sigma.clone(), Tolerance::relative(bound))?;
    let (largest, sigma) = (case.flat("svd")?[0], sigma.into_scalar::<f64>());
    if sigma > largest * (1.0 + bound) {
        return Err(Failure::new(format!("sigma {sigma} is above the largest singular value")));
    }
    for (name, goal) in numbered(case, "spectral_norm_target")? {
        let norm = norm(goal);
        (0..steps).for_each(|_| norm.advance());
        check(case, target, &name, Some(norm.weight()), tolerances)?;
    }
    first.factor = Param::from_tensor(g);
    check(case, target, "spectral_norm_learned", Some(first.weight()), tolerances)
}
