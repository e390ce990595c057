//! Equilibrium blocks: fixed points, adjoints, gradients, penalties, normalized weights.

use burn::module::Param;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{DType, Gradients, Tensor};
use firebrick::models::deq::{
    Activation, AffineCell, CorrectionWeights, Deq, DeqCell, DeqConfig, DeqGradient,
    JacobianPenalty, PenaltyForm, PhantomConfig, SpectralNormConfig, WeightNormConfig,
    spectral_radius,
};
use firebrick::ops::fixed_point::{
    AndersonConfig, AndersonRidge, BroydenConfig, FixedPointConfig, ResidualMode, Solver,
};
use serde_json::Value;

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

fn tensor<const D: usize>(case: &Case, target: &Target, name: &str) -> Result<Tensor<D>, Failure> {
    let (values, shape) = case.values::<D>(name)?;
    Ok(target.float(values, shape))
}

pub fn plain<const D: usize>(
    case: &Case,
    target: &Target,
    name: &str,
) -> Result<Tensor<D>, Failure> {
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

pub fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Failure> {
    value.as_str().ok_or_else(|| Failure::new(format!("{name}: expected a text, found {value}")))
}

pub fn mode(value: &Value) -> Result<ResidualMode, Failure> {
    match text(value, "stop_mode")? {
        "abs" => Ok(ResidualMode::Absolute),
        "rel" => Ok(ResidualMode::Relative),
        other => Err(Failure::new(format!("stop_mode: expected abs or rel, found {other}"))),
    }
}

pub fn activation(case: &Case) -> Result<Activation, Failure> {
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
        let mut norm = norm(goal);
        (0..steps).for_each(|_| norm.advance());
        check(case, target, &name, Some(norm.weight()), tolerances)?;
    }
    first.factor = Param::from_tensor(g);
    check(case, target, "spectral_norm_learned", Some(first.weight()), tolerances)
}
