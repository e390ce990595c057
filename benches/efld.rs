//! EFLD: a step of SGLD, noisy sign-SGD and noisy quantized SGD, noise included.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use firebrick::optimizers::efld::{EfldConfig, FiniteLevels};

use crate::runner::{Machine, Row};

const PARAMETERS: usize = 1_000_000;

#[derive(Module, Debug)]
struct Parameters {
    values: Param<Tensor<1>>,
}

pub fn all(machine: &Machine) -> Vec<Row> {
    let ternary = EfldConfig::quantized_sgd(FiniteLevels::ternary(1.0));
    vec![
        step(machine, "SGLD", "efld_sgld", EfldConfig::sgld()),
        step(machine, "noisy sign-SGD", "efld_sign", EfldConfig::sign_sgd()),
        step(machine, "noisy ternary SGD", "efld_ternary", ternary),
    ]
}

fn step(machine: &Machine, name: &str, case: &str, config: EfldConfig) -> Row {
    let device = Device::flex().autodiff();
    let wave = |phase: f32| {
        let values: Vec<f32> = (0..PARAMETERS).map(|i| (i as f32 * 0.7311 + phase).sin()).collect();
        TensorData::new(values, [PARAMETERS])
    };
    let values = Param::from_tensor(Tensor::from_data(wave(0.0), &device));
    let gradient = Tensor::<1>::from_data(wave(1.0), &Device::flex()) * 0.01;
    let mut module = Some(Parameters { values });
    let mut optimizer = config.init();
    Row {
        name: format!("{name} step, {PARAMETERS} parameters"),
        pytorch: format!("{case} {PARAMETERS}"),
        against: "in place, torch's generator".into(),
        // Parameter and gradient are read, the parameter is written; the noise is not counted.
        floor: machine.floor(12.0 * PARAMETERS as f64, 0.0),
        ours: Box::new(move || {
            let parameters = module.take().expect("put back below");
            let mut gradients = GradientsParams::new();
            gradients.register(parameters.values.id, gradient.clone());
            module = Some(optimizer.step(1e-3, parameters, gradients));
        }),
    }
}
