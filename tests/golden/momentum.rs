//! Gradient descent with and without momentum on the patch network.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use firebrick::datasets::{Margin, SignalPatches};
use firebrick::models::patch_network::{PatchNetwork, PatchNetworkConfig};
use firebrick::momentum::{DescentConfig, MomentumStudy, PatchFilters};
use firebrick::optimizers::averaged_momentum::AveragedMomentumConfig;

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

/// Outputs, gradients and losses; the reference is stored in 32 bits.
const RELATIVE: Tolerance = Tolerance { absolute: 1e-6, relative: 1e-4, scaled: true };
const WEIGHTS: Tolerance = Tolerance::absolute(2e-5);

/// `gdm`: tensors with autodiff and a Burn optimizer, and the closed form on the host.
pub fn gdm(case: &Case, target: &Target) -> Result<(), Failure> {
    let fail = |error: &dyn std::error::Error| Failure::new(error.to_string());
    let data = data(case)?;
    let (start, shape) = case.values::<2>("w0")?;
    let filters = PatchFilters::new(shape, 3, start.clone()).map_err(|error| fail(&error))?;
    case.compare_host("f0", &filters.outputs(&data), RELATIVE)?;
    let penalty = case.f64("lambda")?;
    let (_, gradient) = filters.loss_and_gradient(&data, None, penalty);
    case.compare_host("grad0", &gradient, RELATIVE)?;
    let study = MomentumStudy::new(data.clone(), data, filters).map_err(|error| fail(&error))?;

    let config = PatchNetworkConfig::new(shape[1], shape[0]);
    let network = config.init_with(target.float(start, shape));
    let inputs = inputs(case, target)?;
    case.compare("f0", network.forward(inputs).inner(), RELATIVE)?;
    for (name, momentum) in [("gd", 0.0), ("gdm", case.f64("gamma")?)] {
        let run = Run { case, name, momentum, penalty, eta: case.f64("eta")? };
        run.host(&study)?;
        run.tensors(network.clone(), target)?;
    }
    Ok(())
}

struct Run<'a> {
    case: &'a Case,
    name: &'a str,
    momentum: f64,
    penalty: f64,
    eta: f64,
}

impl Run<'_> {
    fn host(&self, study: &MomentumStudy) -> Result<(), Failure> {
        let run = |steps| {
            let config = DescentConfig::new(self.eta)
                .with_momentum(self.momentum)
                .with_penalty(self.penalty)
                .with_tolerance(0.0)
                .with_max_steps(steps)
                .with_every(1);
            study.run(&config).map_err(|error| Failure::new(error.to_string()))
        };
        for (name, steps) in self.recorded()? {
            self.case.compare_host(&name, run(steps)?.filters.values(), WEIGHTS)?;
        }
        let report = run(self.case.usize("steps")?)?;
        let signals = format!("{}.signal_final", self.name);
        self.case.compare_host(&signals, &report.end.signals, WEIGHTS)?;
        // One loss per step, each before the update.
        let losses = self.losses()?;
        for (step, (point, expected)) in report.trace.iter().zip(&losses).enumerate() {
            self.compare_loss(step, *expected, point.loss)?;
        }
        Ok(())
    }

    fn tensors(&self, mut network: PatchNetwork, target: &Target) -> Result<(), Failure> {
        let mut optimizer = AveragedMomentumConfig::new().with_momentum(self.momentum).init();
        let (inputs, losses) = (inputs(self.case, target)?, self.losses()?);
        let (signs, shape) = self.case.values::<1>("y")?;
        let signs = target.float(signs, shape);
        let recorded = self.recorded()?;
        for (step, &expected) in losses.iter().enumerate() {
            let loss = network.loss(inputs.clone(), signs.clone(), self.penalty);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            self.compare_loss(step, expected, loss.into_scalar::<f64>())?;
            if step == 0 {
                let gradient = gradients.get::<2>(network.filters.id);
                let gradient = gradient.ok_or_else(|| Failure::new("no gradient"))?;
                self.case.compare("grad0", gradient, RELATIVE)?;
            }
            network = optimizer.step(self.eta, network, gradients);
            for (name, _) in recorded.iter().filter(|(_, steps)| *steps == step + 1) {
                self.case.compare(name, network.filters.val().inner(), WEIGHTS)?;
            }
        }
        Ok(())
    }

    /// The names of the recorded weights, with their numbers of steps.
    fn recorded(&self) -> Result<Vec<(String, usize)>, Failure> {
        let prefix = format!("{}.w", self.name);
        let steps = |name: &str| name.strip_prefix(&prefix)?.parse().ok();
        let found: Vec<_> = self
            .case
            .names()
            .filter_map(|name| steps(name).map(|steps| (name.to_string(), steps)))
            .collect();
        let last = self.case.usize("steps")?;
        if !found.iter().any(|(_, steps)| *steps == last) {
            return Err(Failure::new(format!("tensor {prefix}{last} is missing")));
        }
        Ok(found)
    }

    fn losses(&self) -> Result<Vec<f64>, Failure> {
        let values = self.case.field("losses", self.name)?.as_array();
        let losses: Option<Vec<f64>> =
            values.and_then(|values| values.iter().map(serde_json::Value::as_f64).collect());
        let steps = self.case.usize("steps")?;
        losses.filter(|losses| losses.len() == steps).ok_or_else(|| {
            Failure::new(format!("losses: expected {steps} numbers for {}", self.name))
        })
    }

    fn compare_loss(&self, step: usize, expected: f64, found: f64) -> Result<(), Failure> {
        if (found - expected).abs() <= 1e-4 * expected {
            return Ok(());
        }
        let name = self.name;
        Err(Failure::new(format!("losses.{name}[{step}]: expected {expected}, found {found}")))
    }
}

fn inputs(case: &Case, target: &Target) -> Result<Tensor<3>, Failure> {
    let (values, shape) = case.values::<3>("x")?;
    Ok(target.float(values, shape))
}

fn data(case: &Case) -> Result<SignalPatches, Failure> {
    let (inputs, [_, patches, dim]) = case.values::<3>("x")?;
    let (signs, _) = case.values::<1>("y")?;
    let signals = case.indices("signal_patch")?;
    let small = case.indices("small_margin")?;
    let margin = |&small: &usize| if small == 1 { Margin::Small } else { Margin::Large };
    let margins: Vec<Margin> = small.iter().map(margin).collect();
    // The file gives the feature by the signal patches, here by that of the last example.
    let last = signs.len().checked_sub(1).ok_or_else(|| Failure::new("no example"))?;
    let length = match margins[last] {
        Margin::Small => case.f64("beta")?,
        Margin::Large => case.f64("alpha")?,
    };
    let signal = &inputs[(last * patches + signals[last]) * dim..][..dim];
    let feature: Vec<f64> = signal.iter().map(|value| signs[last] * value / length).collect();
    SignalPatches::new([patches, dim], inputs, &signs, margins, signals, &feature)
        .map_err(|error| Failure::new(error.to_string()))
}
