//! Label noise: confident learning, transition matrices, linear theory, and the losses that SOP is compared with.

use firebrick::datasets::LabelNoise;
use firebrick::label_noise::{
    Collision, ConfidentLearningConfig, ConvexProgram, GradientDescent, IssueRule, LinearSop,
};
use firebrick::models::losses::{
    EarlyLearningConfig, GeneralizedCrossEntropyLossConfig, SymmetricCrossEntropyLossConfig,
};

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

/// `confident_learning`: joints, matrices, qualities and issues from predicted probabilities.
pub fn confident_learning(case: &Case) -> Result<(), Failure> {
    let fail = |error: firebrick::label_noise::LabelNoiseError| Failure::new(error.to_string());
    let (samples, classes) = (case.usize("n")?, case.usize("K")?);
    let (given, (probabilities, shape)) = (case.indices("labels")?, case.values("pred_probs")?);
    if given.len() != samples || shape != [samples, classes] {
        return Err(Failure::new(format!("n, K: {samples}, {classes} with the shape {shape:?}")));
    }
    // The reference counts a sample that reaches several thresholds for its most likely class.
    let config = ConfidentLearningConfig::new().with_collision(Collision::MostLikely);
    let found = config.analyze(&given, &probabilities, classes).map_err(fail)?;
    let exact = Tolerance::absolute(0.0);
    let close = Tolerance::absolute(1e-9);
    let counts = |joint: &[Vec<usize>]| {
        joint.iter().flatten().map(|&count| count as f64).collect::<Vec<f64>>()
    };
    let truths = |issues: Vec<bool>| issues.into_iter().map(f64::from).collect::<Vec<f64>>();
    case.compare_host("confident_joint_uncalibrated", &counts(found.confident_joint()), exact)?;
    case.compare_host("confident_joint_calibrated", &counts(found.calibrated_joint()), exact)?;
    case.compare_host("prior_true", &found.prior(), close)?;
    case.compare_host("noise_matrix", &found.noise_matrix().concat(), close)?;
    case.compare_host("inverse_noise_matrix", &found.inverse_noise_matrix().concat(), close)?;
    case.compare_host("quality_self_confidence", &found.self_confidence(), close)?;
    case.compare_host("quality_normalized_margin", &found.normalized_margin(), close)?;
    let by_rate = found.issues(IssueRule::NoiseRate);
    case.compare_host("issues_prune_by_noise_rate", &truths(by_rate), exact)?;
    let confident = found.issues(IssueRule::ConfidentJoint);
    let number = confident.iter().filter(|&&issue| issue).count();
    case.compare_host("issues_confident_learning", &truths(confident), exact)?;
    let expected = case.usize("est_issues")?;
    if number != expected {
        return Err(Failure::new(format!("est_issues: expected {expected}, found {number}")));
    }
    Ok(())
}

/// `noise_transition_matrices`: closed forms.
pub fn transition_matrices(case: &Case) -> Result<(), Failure> {
    let (classes, rate) = (case.usize("K")?, case.f64("eta")?);
    let exact = Tolerance::absolute(1e-12);
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

/// `sop_linear`: gradient descent step by step, and its convex limit.
pub fn sop_linear(case: &Case) -> Result<(), Failure> {
    let fail = |error: firebrick::label_noise::LabelNoiseError| Failure::new(error.to_string());
    let (jacobian, [samples, parameters]) = case.values::<2>("J")?;
    let (labels, _) = case.values::<1>("y")?;
    let problem = LinearSop::new(samples, parameters, jacobian, labels).map_err(fail)?;
    let (gamma, alpha, tau) = (case.f64("gamma")?, case.f64("alpha")?, case.f64("tau")?);
    let descent = GradientDescent::new(gamma, alpha, tau, case.usize("steps")?).map_err(fail)?;
    let lambda = case.f64("lam")?;
    if (descent.lambda() - lambda).abs() > 1e-12 * lambda {
        return Err(Failure::new(format!("lam: expected {lambda}, found {}", descent.lambda())));
    }

    let steps = case.indices("record_steps")?;
    let found = descent.run(&problem, &steps);
    let close = Tolerance { absolute: 1e-6, relative: 1e-6, scaled: true };
    let compare = |name: &str, found: &[f64]| case.compare_host(name, found, close);
    compare("gd_s", &found.s)?;
    compare("gd_Jtheta", &found.j_theta)?;
    compare("gd_u", &found.u)?;
    compare("gd_v", &found.v)?;
    let records = found.recorded.iter();
    compare("record_s", &records.clone().flat_map(|record| record.s.clone()).collect::<Vec<_>>())?;
    compare("record_loss", &records.map(|record| record.loss).collect::<Vec<_>>())?;

    let limit = ConvexProgram::new(lambda).map_err(fail)?.solve(&problem);
    compare("convex_s", &limit.s)?;
    compare("convex_Jtheta", &limit.j_theta)?;
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let apart = norm(&mut found.s.iter().zip(&limit.s).map(|(a, b)| a - b));
    let relative = apart / norm(&mut limit.s.iter().copied());
    // The distance shrinks with gamma; the reference's own is in the file, with rounding below.
    let expected = case.f64("rel_s_convex")?;
    if (relative - expected).abs() > 1e-6 + 0.01 * expected {
        let message = format!("convex program: expected {expected:e} apart, found {relative:e}");
        return Err(Failure::new(message));
    }
    Ok(())
}

/// `peer_losses`: values and gradients with respect to the logits, and ELR's new target.
pub fn peer_losses(case: &Case, target: &Target) -> Result<(), Failure> {
    let gradient = Tolerance::absolute(1e-5);
    let value = Tolerance::relative(1e-5);
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
