//! What is measured.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick::models::vision::SmallCnnConfig;
use firebrick::optimizers::sop::{LabelFingerprint, SopConfig};

use crate::runner::{Machine, Row};

pub const BATCH: usize = 128;
pub const SAMPLES: usize = 50_000;

pub fn all(machine: &Machine) -> Vec<Row> {
    let mut rows = Vec::new();
    for classes in [10, 100] {
        for (form, against) in [
            ("published", "dense N x K parameters and SGD, as published"),
            ("closed", "the same closed form on the batch's rows"),
        ] {
            rows.push(sop(machine, classes, form, against));
        }
    }
    rows.push(small_cnn(machine));
    rows
}

pub fn wave<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.7311).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub fn integers(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.map(|value| value as i64).collect();
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

/// Loss, backward to the logits, and update of `u` and `v`.
fn sop(machine: &Machine, classes: usize, form: &str, against: &str) -> Row {
    let device = Device::flex().autodiff();
    let labels: Vec<usize> = (0..SAMPLES).map(|i| i % classes).collect();
    let config = SopConfig::new(LabelFingerprint::of(&labels, classes)).with_validate(false);
    let mut state = Some(config.init(&device));
    let chosen = (0..BATCH).map(|i| (i * 389) % SAMPLES);
    let indices = integers(chosen.clone(), &device);
    let given = integers(chosen.map(|index| labels[index]), &device);
    let logits = wave([BATCH, classes], &device);
    // Logits and the rows of v are read, their gradient and the rows are written.
    let floor = machine.floor(4.0 * 4.0 * (BATCH * classes) as f64, 0.0);
    Row {
        name: format!("SOP step, B={BATCH} K={classes} N={SAMPLES}"),
        pytorch: format!("sop_{form} {BATCH} {classes} {SAMPLES}"),
        against: against.into(),
        floor,
        ours: Box::new(move || {
            let sop = state.take().expect("put back below");
            let input = logits.clone().detach().require_grad();
            let output = sop.forward(indices.clone(), input.clone(), given.clone());
            let gradients = output.loss.backward();
            std::hint::black_box(input.grad(&gradients));
            state = Some(sop.apply(output.update));
        }),
    }
}

/// A step of the digits' network with cross entropy and SGD with momentum.
fn small_cnn(machine: &Machine) -> Row {
    let device = Device::flex().autodiff();
    let batch = 64;
    let mut model = Some(SmallCnnConfig::new([1, 8, 8], 10).init(&device));
    let momentum = MomentumConfig::new().with_dampening(0.0);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let images = wave([batch, 1, 8, 8], &device);
    let labels = integers((0..batch).map(|i| i % 10), &device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    // Multiply-adds of both convolutions and both linear layers; backward costs twice forward.
    let forward =
        2.0 * batch as f64 * (64. * 32. * 9. + 16. * 64. * 32. * 9. + 256. * 128. + 1280.);
    Row {
        name: format!("training step of the digits' CNN, B={batch}"),
        pytorch: format!("small_cnn {batch}"),
        against: "the same network, loss and optimizer".into(),
        floor: machine.floor(0.0, 3.0 * forward),
        ours: Box::new(move || {
            let network = model.take().expect("put back below");
            let loss = loss.forward(network.forward(images.clone()), labels.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            model = Some(optimizer.step(0.01, network, gradients));
        }),
    }
}
