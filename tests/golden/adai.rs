//! Adai, AdaiW and AdaiV2: trajectories of the authors' code.

use burn::module::{Module, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use firebrick::optimizers::adai::AdaiConfig;
use serde_json::Value;

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

/// Of a parameter: absolute, and relative to its way from the start.
const F32: (f64, f64) = (2e-5, 2e-4);
/// The references were computed in 32 bits, and lie within 2e-5 of the exact values.
const F64: (f64, f64) = (3e-5, 0.0);
const STATE: Tolerance = Tolerance { absolute: 2e-5, relative: 2e-4, scaled: true };

/// Parameters of any rank that a file may hold.
#[derive(Module, Debug, Default)]
struct Parameters {
    rank_1: Vec<Param<Tensor<1>>>,
    rank_2: Vec<Param<Tensor<2>>>,
    rank_3: Vec<Param<Tensor<3>>>,
    rank_4: Vec<Param<Tensor<4>>>,
    rank_5: Vec<Param<Tensor<5>>>,
}

/// A parameter of a file: where it is in [`Parameters`].
struct Place {
    rank: usize,
    position: usize,
    id: ParamId,
    init: Vec<f64>,
}

/// Runs the same lines for the list of a rank.
macro_rules! of_rank {
    ($rank:expr, $module:expr, $name:expr, |$list:ident| $body:expr) => {
        match $rank {
            1 => {
                let $list = &mut $module.rank_1;
                $body
            }
            2 => {
                let $list = &mut $module.rank_2;
                $body
            }
            3 => {
                let $list = &mut $module.rank_3;
                $body
            }
            4 => {
                let $list = &mut $module.rank_4;
                $body
            }
            5 => {
                let $list = &mut $module.rank_5;
                $body
            }
            rank => Err(Failure::new(format!("tensor {}: rank {rank} is not supported", $name))),
        }
    };
}

fn add<const D: usize>(
    list: &mut Vec<Param<Tensor<D>>>,
    case: &Case,
    target: &Target,
    name: &str,
) -> Result<Place, Failure> {
    let (init, shape) = case.values::<D>(name)?;
    let parameter = Param::from_tensor(target.float(init.clone(), shape).require_grad());
    let id = parameter.id;
    list.push(parameter);
    Ok(Place { rank: D, position: list.len() - 1, id, init })
}

fn register<const D: usize>(
    _: &mut Vec<Param<Tensor<D>>>,
    case: &Case,
    target: &Target,
    name: &str,
    id: ParamId,
    gradients: &mut GradientsParams,
) -> Result<(), Failure> {
    let (values, shape) = case.values::<D>(name)?;
    gradients.register(id, target.float(values, shape).inner());
    Ok(())
}

fn read<const D: usize>(list: &mut [Param<Tensor<D>>], position: usize) -> Vec<f64> {
    list[position].val().into_data().iter::<f64>().collect()
}

fn rank(case: &Case, name: &str) -> usize {
    let is = [
        case.values::<1>(name).is_ok(),
        case.values::<2>(name).is_ok(),
        case.values::<3>(name).is_ok(),
        case.values::<4>(name).is_ok(),
        case.values::<5>(name).is_ok(),
    ];
    is.iter().position(|&is| is).map_or(0, |index| index + 1)
}

fn config(case: &Case) -> Result<AdaiConfig, Failure> {
    let algorithm = case.optional("algorithm").and_then(Value::as_str);
    let default = match algorithm {
        Some("adai") => AdaiConfig::new(),
        Some("v2") => AdaiConfig::adai_v2(1.0),
        other => return Err(Failure::new(format!("unknown algorithm {other:?}"))),
    };
    let number = |name, default| match case.optional(name) {
        Some(_) => case.f64(name),
        None => Ok(default),
    };
    let decoupled = match case.optional("decoupled") {
        Some(_) => case.bool("decoupled")?,
        None => default.decoupled,
    };
    Ok(AdaiConfig::new()
        .with_beta_0(number("beta0", default.beta_0)?)
        .with_beta_2(number("beta2", default.beta_2)?)
        .with_epsilon(number("eps", default.epsilon)?)
        .with_weight_decay(number("weight_decay", default.weight_decay)?)
        .with_decoupled(decoupled)
        .with_dampening(number("dampening", default.dampening)?))
}

/// Whether a parameter is listed as one without gradient in a step.
fn has_gradient(case: &Case, step: usize, parameter: usize) -> bool {
    let is = |entry: &Value, name, value| entry.get(name).and_then(Value::as_u64) == Some(value);
    let listed = case.optional("parameters_without_gradient").and_then(Value::as_array);
    !listed
        .into_iter()
        .flatten()
        .any(|entry| is(entry, "step", step as u64) && is(entry, "param", parameter as u64))
}

fn compare(
    name: &str,
    expected: &[f64],
    found: &[f64],
    init: &[f64],
    (absolute, relative): (f64, f64),
) -> Result<(), Failure> {
    if expected.len() != found.len() {
        return Err(Failure::new(format!(
            "{name}: {} values, found {}",
            expected.len(),
            found.len()
        )));
    }
    for (index, ((&expected, &found), &init)) in expected.iter().zip(found).zip(init).enumerate() {
        let bound = absolute + relative * (expected - init).abs();
        let difference = (expected - found).abs();
        if difference.is_nan() || difference > bound {
            return Err(Failure::new(format!(
                "{name}[{index}]: expected {expected:e}, found {found:e}, tolerance {bound:e}"
            )));
        }
    }
    Ok(())
}

/// `adai`: parameters after every step and the state at the end.
pub fn trajectory(case: &Case, target: &Target) -> Result<(), Failure> {
    spread(case, std::slice::from_ref(target))
}

/// The same with the parameters dealt to several devices.
pub fn spread(case: &Case, targets: &[Target]) -> Result<(), Failure> {
    let target_of = |parameter: usize| &targets[parameter % targets.len()];
    let steps = case.usize("steps")?;
    let rates = case.optional("lr_per_step").and_then(Value::as_array);
    let rates: Option<Vec<f64>> = rates.and_then(|list| list.iter().map(Value::as_f64).collect());
    let rates = rates
        .filter(|rates| rates.len() == steps)
        .ok_or_else(|| Failure::new("lr_per_step must have one number per step"))?;
    let (mut module, mut places) = (Parameters::default(), Vec::new());
    while case.names().any(|name| name == format!("param{}.init", places.len())) {
        let name = format!("param{}.init", places.len());
        places.push(of_rank!(rank(case, &name), module, name, |list| {
            add(list, case, target_of(places.len()), &name)
        })?);
    }
    if places.is_empty() {
        return Err(Failure::new("tensor param0.init is missing"));
    }
    let mut optimizer = config(case)?.init();
    let tolerance = if targets[0].dtype == burn::tensor::DType::F64 { F64 } else { F32 };
    for (index, &lr) in rates.iter().enumerate() {
        let (step, mut gradients) = (index + 1, GradientsParams::new());
        for (parameter, place) in places.iter().enumerate() {
            let name = format!("step{step}.grad{parameter}");
            if has_gradient(case, step, parameter) {
                of_rank!(place.rank, module, name, |list| {
                    register(list, case, target_of(parameter), &name, place.id, &mut gradients)
                })?;
            } else if case.names().any(|other| other == name) {
                return Err(Failure::new(format!("{name}: listed as a gradient that is missing")));
            }
        }
        module = optimizer.step(lr, module, gradients);
        for (parameter, place) in places.iter().enumerate() {
            let name = format!("step{step}.param{parameter}");
            let found = of_rank!(place.rank, module, name, |list| Ok(read(list, place.position)))?;
            compare(&name, &flat(case, &name)?, &found, &place.init, tolerance)?;
        }
    }
    let states = optimizer.states();
    for (parameter, place) in places.iter().enumerate() {
        let Some(state) = states.get(&place.id) else {
            return Err(Failure::new(format!("parameter {parameter} has no state")));
        };
        let host = |data: &burn::tensor::TensorData| -> Vec<f64> { data.iter::<f64>().collect() };
        let product: Vec<f64> = host(&state.correction).iter().map(|q| 1.0 - q).collect();
        case.compare_host(&format!("final.exp_avg{parameter}"), &host(&state.moment_1), STATE)?;
        case.compare_host(&format!("final.exp_avg_sq{parameter}"), &host(&state.moment_2), STATE)?;
        case.compare_host(&format!("final.beta1_prod{parameter}"), &product, STATE)?;
    }
    Ok(())
}

fn flat(case: &Case, name: &str) -> Result<Vec<f64>, Failure> {
    match rank(case, name) {
        1 => Ok(case.values::<1>(name)?.0),
        2 => Ok(case.values::<2>(name)?.0),
        3 => Ok(case.values::<3>(name)?.0),
        4 => Ok(case.values::<4>(name)?.0),
        5 => Ok(case.values::<5>(name)?.0),
        rank => Err(Failure::new(format!("tensor {name}: rank {rank} is not supported"))),
    }
}
