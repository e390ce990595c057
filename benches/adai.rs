//! Steps of Adai, and of Burn's AdamW on the same parameters.

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use firebrick::optimizers::adai::{Adai, AdaiConfig};

use crate::runner::{Machine, Row};

const SIDE: usize = 500;
/// The first pass reads the gradient; the second reads five tensors and writes four.
const BYTES: f64 = 4.0 * (1.0 + 5.0 + 4.0);
/// AdamW reads four tensors and writes three.
const BYTES_ADAMW: f64 = 4.0 * (4.0 + 3.0);

pub fn rows(machine: &Machine) -> Vec<Row> {
    let mut rows = Vec::new();
    for millions in [1, 10] {
        let floor = machine.floor(BYTES * 1e6 * millions as f64, 0.0);
        for (case, against) in
            [("adai", "Adai in plain PyTorch operations"), ("adamw", "AdamW, foreach")]
        {
            rows.push(Row {
                name: format!("Adai step, {millions}M parameters"),
                pytorch: format!("{case} {millions}"),
                against: against.into(),
                floor,
                ours: lazily(move || adai(AdaiConfig::new(), millions)),
            });
        }
    }
    let against = || "AdamW, foreach".to_string();
    rows.push(Row {
        name: "AdamW step of Burn, 10M parameters".into(),
        pytorch: "adamw 10".into(),
        against: against(),
        floor: machine.floor(BYTES_ADAMW * 1e7, 0.0),
        ours: lazily(|| adamw(10)),
    });
    rows.push(Row {
        name: "Adai step with weight decay, 10M parameters".into(),
        pytorch: "adamw 10".into(),
        against: against(),
        // As a penalty it makes the first pass read the parameter too.
        floor: machine.floor((BYTES + 4.0) * 1e7, 0.0),
        ours: lazily(|| adai(AdaiConfig::new().with_weight_decay(1e-4), 10)),
    });
    rows.push(Row {
        name: "AdaiV2 step, dampening 0.5, 10M parameters".into(),
        pytorch: "adamw 10".into(),
        against: against(),
        floor: machine.floor(BYTES * 1e7, 0.0),
        ours: lazily(|| adai(AdaiConfig::adai_v2(0.5).with_weight_decay(1e-4), 10)),
    });
    rows
}

/// Builds the case at its first repeat, so that rows which are not asked for cost nothing.
fn lazily(build: impl Fn() -> Box<dyn FnMut()> + 'static) -> Box<dyn FnMut()> {
    let mut built = None;
    Box::new(move || built.get_or_insert_with(&build)())
}

/// Four layers to the million.
#[derive(Module, Debug)]
struct Layers {
    weights: Vec<Param<Tensor<2>>>,
}

fn layers(millions: usize) -> (Layers, Vec<Tensor<2>>) {
    let device = Device::flex();
    let wave = |phase: usize| {
        let value = |i: usize| ((i + phase) as f32 * 0.7311).sin();
        let values: Vec<f32> = (0..SIDE * SIDE).map(value).collect();
        Tensor::<2>::from_data(TensorData::new(values, [SIDE, SIDE]), &device)
    };
    let count = 4 * millions;
    let parameter = |layer| Tensor::from_inner(wave(layer)).require_grad();
    let weights = (0..count).map(|layer| Param::from_tensor(parameter(layer))).collect();
    (Layers { weights }, (0..count).map(|layer| wave(7 * layer)).collect())
}

fn gradients(layers: &Layers, values: &[Tensor<2>]) -> GradientsParams {
    let mut gradients = GradientsParams::new();
    for (weight, value) in layers.weights.iter().zip(values) {
        gradients.register(weight.id, value.clone());
    }
    gradients
}

fn adai(config: AdaiConfig, millions: usize) -> Box<dyn FnMut()> {
    let (layers, values) = layers(millions);
    let (mut layers, mut optimizer): (_, Adai) = (Some(layers), config.init());
    Box::new(move || {
        let module = layers.take().expect("put back below");
        let gradients = gradients(&module, &values);
        layers = Some(optimizer.step(1e-3, module, gradients));
    })
}

fn adamw(millions: usize) -> Box<dyn FnMut()> {
    let (layers, values) = layers(millions);
    let mut layers = Some(layers);
    let mut optimizer: ModuleOptimizer = AdamWConfig::new().init();
    Box::new(move || {
        let module = layers.take().expect("put back below");
        let gradients = gradients(&module, &values);
        layers = Some(optimizer.step(1e-3, module, gradients));
    })
}
