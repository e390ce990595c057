//! Local augmentation: generator, score, consistency loss, propagation and whole training losses.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Gradients, Int, Tensor, TensorData};
use firebrick::models::graph::local_augmentation::{
    BatchStatistics, ConsistencyLossConfig, NeighborCvae, NeighborCvaeConfig, agreement_score,
    mutual_information, normalize_rows, sharpen,
};

use serde_json::Value;

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

const VALUES: Tolerance = Tolerance { absolute: 1e-6, relative: 1e-5, scaled: false };
/// The reference ran in 32 bits: the gradient of a bias before a normalization is 0, and there 2e-6.
const GRADIENTS: Tolerance = Tolerance { absolute: 1e-5, relative: 1e-4, scaled: false };

fn tensor<const D: usize>(case: &Case, target: &Target, name: &str) -> Result<Tensor<D>, Failure> {
    let (values, shape) = case.values::<D>(name)?;
    Ok(target.float(values, shape))
}

fn param<const D: usize>(
    case: &Case,
    target: &Target,
    name: &str,
) -> Result<Param<Tensor<D>>, Failure> {
    Ok(Param::from_tensor(tensor(case, target, &format!("param.{name}"))?))
}

fn has(case: &Case, name: &str) -> bool {
    case.names().any(|found| found == name)
}

/// Weights and biases of a layer, stored as `[in, out]`.
fn linear(case: &Case, target: &Target, layer: &mut Linear, name: &str) -> Result<(), Failure> {
    layer.weight = param(case, target, &format!("{name}.weight"))?;
    layer.bias = Some(param(case, target, &format!("{name}.bias"))?);
    Ok(())
}

fn norm(
    case: &Case,
    target: &Target,
    layer: &mut Option<BatchStatistics>,
    name: &str,
) -> Result<(), Failure> {
    let Some(layer) = layer else { return Ok(()) };
    layer.gamma = param(case, target, &format!("{name}.weight"))?;
    layer.beta = param(case, target, &format!("{name}.bias"))?;
    Ok(())
}

fn cvae_of(case: &Case, target: &Target) -> Result<NeighborCvae, Failure> {
    let features = case.usize("features")?;
    let config = match case.optional("recon").and_then(Value::as_str) {
        Some("bce") => NeighborCvaeConfig::new(features),
        Some("mse") => NeighborCvaeConfig::large_graph(features)
            .with_normalize_hidden(has(case, "param.encoder.MLP.B0.weight")),
        other => return Err(Failure::new(format!("parameter recon: unknown value {other:?}"))),
    };
    let config = config.with_hidden(case.usize("hidden")?).with_latent(case.usize("latent")?);
    let mut cvae = config.init(&target.device);
    linear(case, target, &mut cvae.encoder.hidden, "encoder.MLP.L0")?;
    linear(case, target, &mut cvae.encoder.mean, "encoder.linear_means")?;
    linear(case, target, &mut cvae.encoder.log_variance, "encoder.linear_log_var")?;
    linear(case, target, &mut cvae.decoder.hidden, "decoder.MLP.L0")?;
    linear(case, target, &mut cvae.decoder.output, "decoder.MLP.L1")?;
    norm(case, target, &mut cvae.encoder.norm, "encoder.MLP.B0")?;
    norm(case, target, &mut cvae.decoder.norm, "decoder.MLP.B0")?;
    norm(case, target, &mut cvae.decoder.output_norm, "decoder.MLP.B1")?;
    Ok(cvae)
}

/// Forward pass, losses, all gradients, and generation.
pub fn cvae(case: &Case, target: &Target) -> Result<(), Failure> {
    let cvae = cvae_of(case, target)?;
    let x = tensor::<2>(case, target, "x")?;
    let c = tensor::<2>(case, target, "c")?;
    let output = cvae.forward(x, c.clone(), tensor(case, target, "eps")?);
    case.compare("mean", output.mean.clone(), VALUES)?;
    case.compare("log_var", output.log_variance.clone(), VALUES)?;
    case.compare("z", output.latent.clone(), VALUES)?;
    case.compare("recon", cvae.activate_output(output.logits.clone()), VALUES)?;
    case.compare_scalar("loss_recon_sum", output.reconstruction.clone(), VALUES)?;
    case.compare_scalar("loss_kl_sum", output.divergence.clone(), VALUES)?;
    case.compare_scalar("loss", output.loss.clone(), VALUES)?;

    let gradients = output.loss.backward();
    let of_linear = |layer: &Linear, name: &str| {
        gradient(case, &gradients, &layer.weight, &format!("{name}.weight"))?;
        let bias = layer.bias.as_ref().ok_or_else(|| Failure::new(format!("{name}: no bias")))?;
        gradient(case, &gradients, bias, &format!("{name}.bias"))
    };
    of_linear(&cvae.encoder.hidden, "encoder.MLP.L0")?;
    of_linear(&cvae.encoder.mean, "encoder.linear_means")?;
    of_linear(&cvae.encoder.log_variance, "encoder.linear_log_var")?;
    of_linear(&cvae.decoder.hidden, "decoder.MLP.L0")?;
    of_linear(&cvae.decoder.output, "decoder.MLP.L1")?;
    let norms = [
        (&cvae.encoder.norm, "encoder.MLP.B0"),
        (&cvae.decoder.norm, "decoder.MLP.B0"),
        (&cvae.decoder.output_norm, "decoder.MLP.B1"),
    ];
    for (norm, name) in norms {
        if let Some(norm) = norm {
            gradient(case, &gradients, &norm.gamma, &format!("{name}.weight"))?;
            gradient(case, &gradients, &norm.beta, &format!("{name}.bias"))?;
        }
    }
    if has(case, "gen_z") {
        let generated = cvae.generate(tensor(case, target, "gen_z")?, c);
        case.compare("gen_out", generated.clone(), VALUES)?;
        case.compare("gen_row_normalised", normalize_rows(generated), VALUES)?;
    }
    Ok(())
}

fn gradient<const D: usize>(
    case: &Case,
    gradients: &Gradients,
    param: &Param<Tensor<D>>,
    name: &str,
) -> Result<(), Failure> {
    let found = param.val().grad(gradients);
    let found = found.ok_or_else(|| Failure::new(format!("{name}: no gradient")))?;
    case.compare(&format!("grad.{name}"), found, GRADIENTS)
}

/// Score `U` and mutual information.
pub fn uscore(case: &Case, target: &Target) -> Result<(), Failure> {
    let logs = log_softmax(tensor::<3>(case, target, "logits")?, 2);
    let labels: Vec<i64> = case.flat("y")?.into_iter().map(|label| label as i64).collect();
    let len = labels.len();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [len]), &target.device);
    case.compare_scalar("u_score", agreement_score(logs.clone(), labels), VALUES)?;
    case.compare_scalar("mutual_information", mutual_information(logs), VALUES)
}

/// Consistency loss with its gradient, and mixed-order propagation.
pub fn grand(case: &Case, target: &Target) -> Result<(), Failure> {
    let config = ConsistencyLossConfig::new()
        .with_temperature(case.f64("temperature")?)
        .with_weight(case.f64("lam")?);
    let loss = config.init();
    let logits = tensor::<3>(case, target, "logits")?.require_grad();
    let logs = log_softmax(logits.clone(), 2);
    let mean = logs.clone().exp().mean_dim(0).squeeze_dim::<2>(0);
    case.compare("avg_p", mean.clone(), VALUES)?;
    case.compare("sharpened", sharpen(mean, config.temperature), VALUES)?;
    case.compare("sharpened", loss.target(logs.clone().exp()), VALUES)?;
    let value = loss.consistency(logs);
    case.compare_scalar("loss", value.clone(), VALUES)?;
    let gradient = logits.grad(&value.backward());
    let gradient = gradient.ok_or_else(|| Failure::new("logits: no gradient"))?;
    case.compare("grad.logits", gradient, GRADIENTS)
}
