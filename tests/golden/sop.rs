//! SOP: loss, gradients and training trajectories of the authors' code.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Tensor;
use firebrick::ops::rows::add_rows;
use firebrick::optimizers::sop::{LabelFingerprint, Sop, SopConfig, SopRouting};
use serde_json::Value;

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

/// The references were computed in 32 bits, so 64 bits agree no better.
const TOLERANCE: Tolerance = Tolerance::absolute(1e-5);
/// Losses are compared relatively, down to the rounding of a logarithm near 1.
const LOSS: Tolerance = Tolerance { absolute: 1e-6, ..Tolerance::relative(1e-5) };

/// `sop_loss`: value, parts and gradients, by the closed form and by autodiff, in both routings.
pub fn loss(case: &Case, target: &Target) -> Result<(), Failure> {
    let (samples, classes) = (case.usize("num_examples")?, case.usize("num_classes")?);
    let batch = case.usize("batch")?;
    let labels = case.indices("labels")?;
    let (logits, [rows, _]) = case.values::<2>("logits")?;
    let views = if case.bool("two_views")? { 2 } else { 1 };
    if rows != views * batch || labels.len() != batch {
        return Err(Failure::new("logits, labels and batch disagree"));
    }
    for (routing, suffix) in [(SopRouting::Joint, ""), (SopRouting::Paper, "_paper")] {
        let config = SopConfig::new(LabelFingerprint::new(samples, classes, 0))
            .with_routing(routing)
            .with_epsilon(case.f64("eps")?)
            .with_balance(case.f64("ratio_balance")?)
            .with_consistency(case.f64("ratio_consistency")?);
        let sop = state(case, target, &config, "u", "v")?;
        let index = target.integers(&case.indices("index")?);
        let given = target.integers(&labels);
        let leaf = || target.float(logits.clone(), [rows, classes]).require_grad();
        let no_gradient = || Failure::new("the loss gave no gradient");

        let input = leaf();
        let output = sop.forward(index.clone(), input.clone(), given.clone());
        let gradient = input.grad(&output.loss.clone().backward()).ok_or_else(no_gradient)?;
        case.compare_scalar("loss", output.loss.inner(), LOSS)?;
        case.compare_scalar("loss_ce", output.terms.cross_entropy, LOSS)?;
        case.compare_scalar("loss_mse", output.terms.squared_error, LOSS)?;
        case.compare_scalar("loss_balance", output.terms.balance, LOSS)?;
        case.compare_scalar("loss_consistency", output.terms.consistency, LOSS)?;
        let estimate = Tolerance { scaled: true, ..TOLERANCE };
        case.compare("noise_estimate", output.noise_estimate, estimate)?;
        case.compare(&format!("grad_logits{suffix}"), gradient, TOLERANCE)?;
        // These gradients are proportional to the entry itself, and so is their rounding.
        let of_state = |name| -> Result<Tolerance, Failure> {
            let (values, _) = case.values::<2>(name)?;
            let largest = values.iter().fold(0.0f64, |max, x| max.max(x.abs()));
            Ok(Tolerance::absolute(1e-5 * largest.min(1.0)))
        };
        let (of_u, of_v) = (of_state("u")?, of_state("v")?);
        let rows_of = |columns: usize, rows| {
            let zeros = target.float(vec![0.0; samples * columns], [samples, columns]);
            add_rows(zeros.inner(), output.update.indices.clone(), rows)
        };
        case.compare(&format!("grad_u{suffix}"), rows_of(1, output.update.u), of_u)?;
        case.compare(&format!("grad_v{suffix}"), rows_of(classes, output.update.v), of_v)?;

        let input = leaf();
        let (loss, _) = sop.forward_autodiff(index, input.clone(), given);
        let gradients = loss.backward();
        case.compare_scalar("loss", loss.inner(), LOSS)?;
        let names = ["grad_logits", "grad_u", "grad_v"].map(|name| format!("{name}{suffix}"));
        let tensors = [(input, TOLERANCE), (sop.u.val(), of_u), (sop.v.val(), of_v)];
        for (name, (tensor, tolerance)) in names.iter().zip(tensors) {
            case.compare(name, tensor.grad(&gradients).ok_or_else(no_gradient)?, tolerance)?;
        }
    }
    Ok(())
}

/// `sop_trajectory`: a linear model and the state after every step, by both ways to update.
pub fn trajectory(case: &Case, target: &Target) -> Result<(), Failure> {
    let labels = case.indices("labels")?;
    let classes = case.usize("K")?;
    let routing = if case.bool("projection")? { SopRouting::Paper } else { SopRouting::Joint };
    let config = SopConfig::new(LabelFingerprint::of(&labels, classes))
        .with_routing(routing)
        .with_epsilon(case.f64("eps")?)
        .with_balance(case.f64("ratio_balance")?)
        .with_consistency(case.f64("ratio_consistency")?)
        .with_lr_u(case.f64("lr_u")?)
        .with_lr_v(case.f64("lr_v")?);
    for autodiff in [false, true] {
        let run = Run {
            model: model(case, target)?,
            optimizer: optimizer(case)?,
            sop: state(case, target, &config, "u0", "v0")?,
        };
        run.follow(case, target, &labels, autodiff)?;
    }
    Ok(())
}

struct Run {
    model: Linear,
    optimizer: ModuleOptimizer,
    sop: Sop,
}

impl Run {
    fn follow(
        mut self,
        case: &Case,
        target: &Target,
        labels: &[usize],
        autodiff: bool,
    ) -> Result<(), Failure> {
        let size = case.usize("B")?;
        let order = case.indices("batch_index")?;
        let lr = number(case, "lr")?;
        // Growth is multiplicative and carries rounding along: 1e-4 of the value at the end.
        let tolerance = Tolerance { absolute: 1e-5, relative: 1e-4, scaled: true };
        for step in 0..case.usize("steps")? {
            let batch = &order[step * size..(step + 1) * size];
            let given: Vec<usize> = batch.iter().map(|&index| labels[index]).collect();
            let (indices, given) = (target.integers(batch), target.integers(&given));
            let mut inputs = vec![inputs(case, target, "X", batch)?];
            if self.sop.config().consistency > 0.0 {
                inputs.push(self::inputs(case, target, "X_view2", batch)?);
            }
            let logits = self.model.forward(Tensor::cat(inputs, 0));
            let loss;
            if autodiff {
                loss = self.sop.forward_autodiff(indices, logits, given).0;
                let mut gradients = loss.backward();
                let mut of_state = GradientsParams::from_module(&mut gradients, &self.sop);
                self.sop = self.sop.apply_gradients(&mut of_state);
                let gradients = GradientsParams::from_module(&mut gradients, &self.model);
                self.model = self.optimizer.step(lr, self.model, gradients);
            } else {
                let output = self.sop.forward(indices, logits, given);
                loss = output.loss;
                let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
                self.model = self.optimizer.step(lr, self.model, gradients);
                self.sop = self.sop.apply(output.update);
            }
            let bias = self.model.bias.as_ref().map(Param::val);
            let bias = bias.ok_or_else(|| Failure::new("the model has no bias"))?;
            case.compare_at("W", step, self.model.weight.val().inner().transpose(), tolerance)?;
            case.compare_at("b", step, bias.inner(), tolerance)?;
            case.compare_at("u", step, self.sop.u.val().inner(), tolerance)?;
            case.compare_at("v", step, self.sop.v.val().inner(), tolerance)?;
            let (losses, _) = case.values::<1>("loss")?;
            let found = loss.inner().into_scalar::<f64>();
            if (found - losses[step]).abs() > 1e-4 * losses[step].abs() {
                return Err(Failure::new(format!(
                    "loss[{step}]: expected {}, found {found}",
                    losses[step]
                )));
            }
        }
        Ok(())
    }
}

fn state(
    case: &Case,
    target: &Target,
    config: &SopConfig,
    u: &str,
    v: &str,
) -> Result<Sop, Failure> {
    let ((u, u_shape), (v, v_shape)) = (case.values(u)?, case.values(v)?);
    Ok(config.init_with(target.float(u, u_shape), target.float(v, v_shape)))
}

fn inputs(case: &Case, target: &Target, name: &str, batch: &[usize]) -> Result<Tensor<2>, Failure> {
    let (values, shape) = case.values::<2>(name)?;
    Ok(target.float(values, shape).select(0, target.integers(batch)))
}

/// `logits = x @ W^T + b` with `b` starting at zero.
fn model(case: &Case, target: &Target) -> Result<Linear, Failure> {
    let (weight, [outputs, features]) = case.values::<2>("W0")?;
    let mut model = LinearConfig::new(features, outputs).init(&target.device);
    model.weight =
        Param::from_tensor(target.float(weight, [outputs, features]).transpose().detach());
    model.bias = Some(Param::from_tensor(target.float(vec![0.0; outputs], [outputs])));
    Ok(model)
}

fn number(case: &Case, name: &str) -> Result<f64, Failure> {
    case.field("model_optimizer", name)?
        .as_f64()
        .ok_or_else(|| Failure::new(format!("model_optimizer: {name} must be a number")))
}

fn optimizer(case: &Case) -> Result<ModuleOptimizer, Failure> {
    let kind = case.field("model_optimizer", "kind")?;
    if kind != &Value::from("SGD") {
        return Err(Failure::new(format!("model_optimizer: unknown kind {kind}")));
    }
    let nesterov = case.field("model_optimizer", "nesterov")?.as_bool();
    let nesterov =
        nesterov.ok_or_else(|| Failure::new("model_optimizer: nesterov must be a bool"))?;
    let (momentum, decay) = (number(case, "momentum")?, number(case, "weight_decay")?);
    let mut config = SgdConfig::new();
    if momentum != 0.0 {
        let momentum = MomentumConfig::new().with_momentum(momentum);
        config = config.with_momentum(Some(momentum.with_dampening(0.0).with_nesterov(nesterov)));
    }
    if decay != 0.0 {
        config = config.with_weight_decay(Some(WeightDecayConfig::new(decay as f32)));
    }
    Ok(config.init())
}
