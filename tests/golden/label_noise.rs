//! Label noise: transition matrices and the losses that SOP is compared with.

use firebrick::datasets::LabelNoise;
use firebrick::models::losses::{
    EarlyLearningConfig, GeneralizedCrossEntropyLossConfig, SymmetricCrossEntropyLossConfig,
};

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

/// `noise_transition_matrices`: closed forms.
pub fn transition_matrices(case: &Case) -> Result<(), Failure> {
    let (classes, rate) = (case.usize("K")?, case.f64("eta")?);
    let exact = Tolerance { absolute: 1e-12, relative: 0.0 };
    for name in case.names() {
        let (noise, classes) = match name {
            "symmetric_inclusive" => (LabelNoise::SymmetricInclusive { rate }, classes),
            "symmetric_exclusive" => (LabelNoise::Symmetric { rate }, classes),
            "pairflip" => (LabelNoise::PairFlip { rate }, classes),
            "asym_cifar10" => (LabelNoise::AsymmetricCifar10 { rate }, 10),
            other => superclass(other, rate)?,
        };
        let found: Vec<f64> = noise.transition_matrix(classes).concat();
        case.compare_host(name, &found, exact)?;
    }
    Ok(())
}

/// `asym_superclass_cyclic_K10_sub5`: number of classes and size of a superclass.
fn superclass(name: &str, rate: f64) -> Result<(LabelNoise, usize), Failure> {
    let numbers = name.strip_prefix("asym_superclass_cyclic_K").and_then(|rest| {
        let (classes, size) = rest.split_once("_sub")?;
        Some((classes.parse().ok()?, size.parse().ok()?))
    });
    let (classes, size) = numbers.ok_or_else(|| Failure::new(format!("unknown matrix {name}")))?;
    Ok((LabelNoise::SuperclassCycle { size, rate }, classes))
}

/// `peer_losses`: values and gradients with respect to the logits, and ELR's new target.
pub fn peer_losses(case: &Case, target: &Target) -> Result<(), Failure> {
    let gradient = Tolerance { absolute: 1e-5, relative: 0.0 };
    let value = Tolerance { absolute: 0.0, relative: 1e-5 };
    let (logits, shape) = case.values::<2>("logits")?;
    let leaf = || target.float(logits.clone(), shape).require_grad();
    let labels = || Ok::<_, Failure>(target.integers(&case.indices("labels")?));
    let check = |name: &str, input: burn::tensor::Tensor<2>, loss: burn::tensor::Tensor<1>| {
        let found = input.grad(&loss.backward()).ok_or_else(|| Failure::new("no gradient"))?;
        case.compare_scalar(&format!("loss_{name}"), loss.inner(), value)?;
        case.compare(&format!("grad_{name}"), found, gradient)
    };

    let gce = GeneralizedCrossEntropyLossConfig::new().with_q(case.f64("gce_q")?).init();
    let input = leaf();
    check("gce", input.clone(), gce.forward(input, labels()?))?;

    let sce = SymmetricCrossEntropyLossConfig::new()
        .with_alpha(case.f64("sce_alpha")?)
        .with_beta(case.f64("sce_beta")?)
        .init();
    let input = leaf();
    check("sce", input.clone(), sce.forward(input, labels()?))?;

    let [rows, classes] = shape;
    let (before, before_shape) = case.values::<2>("elr_target_before")?;
    let elr = EarlyLearningConfig::new(rows, classes)
        .with_beta(case.f64("elr_beta")?)
        .with_lambda(case.f64("elr_lambda")?)
        .init_with(target.float(before, before_shape));
    let input = leaf();
    let indices = target.integers(&(0..rows).collect::<Vec<_>>());
    let output = elr.forward(indices, input.clone(), labels()?);
    check("elr", input, output.loss)?;
    let after = elr.apply(output.update).target.val().inner();
    case.compare("elr_target_after", after, gradient)
}
