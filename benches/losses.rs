//! The losses that SOP is compared with: value, backward to the logits, and ELR's new targets.

use burn::tensor::{Device, Int, Tensor};
use firebrick::models::losses::{
    EarlyLearningConfig, GeneralizedCrossEntropyLossConfig, SymmetricCrossEntropyLossConfig,
};

use crate::rows::{BATCH, SAMPLES, integers, wave};
use crate::runner::{Machine, Row};

const CLASSES: usize = 100;

pub fn all(machine: &Machine) -> Vec<Row> {
    let generalized = GeneralizedCrossEntropyLossConfig::new().init();
    let symmetric = SymmetricCrossEntropyLossConfig::new().with_alpha(6.0).with_beta(0.1).init();
    let device = Device::flex().autodiff();
    let config = EarlyLearningConfig::new(SAMPLES, CLASSES).with_beta(0.9).with_lambda(7.0);
    let mut early = Some(config.init(&device));
    let chosen = || (0..BATCH).map(|i| (i * 389) % SAMPLES);
    let indices = integers(chosen(), &device);
    vec![
        row(machine, "GCE", "gce", 2.0, move |logits, labels| generalized.forward(logits, labels)),
        row(machine, "SCE", "sce", 2.0, move |logits, labels| symmetric.forward(logits, labels)),
        // The targets' rows are read and written as well.
        row(machine, "ELR", "elr", 4.0, move |logits, labels| {
            let loss = early.take().expect("put back below");
            let output = loss.forward(indices.clone(), logits, labels);
            early = Some(loss.apply(output.update));
            output.loss
        }),
    ]
}

fn row(
    machine: &Machine,
    name: &str,
    case: &str,
    passes: f64,
    mut loss: impl FnMut(Tensor<2>, Tensor<1, Int>) -> Tensor<1> + 'static,
) -> Row {
    let device = Device::flex().autodiff();
    let logits = wave([BATCH, CLASSES], &device);
    let labels = integers((0..BATCH).map(|i| (i * 389) % SAMPLES % CLASSES), &device);
    Row {
        name: format!("{name} loss, B={BATCH} K={CLASSES} N={SAMPLES}"),
        pytorch: format!("{case} {BATCH} {CLASSES} {SAMPLES}"),
        against: "the same formula".into(),
        floor: machine.floor(passes * 4.0 * (BATCH * CLASSES) as f64, 0.0),
        ours: Box::new(move || {
            let input = logits.clone().detach().require_grad();
            let gradients = loss(input.clone(), labels.clone()).backward();
            std::hint::black_box(input.grad(&gradients));
        }),
    }
}
