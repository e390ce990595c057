//! Local augmentation: generator, score, consistency loss, propagation and whole training losses.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Gradients, Int, Tensor, TensorData};
use firebrick::models::graph::local_augmentation::{
    AugmentedGcn, AugmentedGcnConfig, AugmentedGcnii, AugmentedGcniiConfig, AugmentedNetwork,
    BatchStatistics, ConsistencyLossConfig, GrandConfig, NeighborCvae, NeighborCvaeConfig,
    PreparedGraph, agreement_score, drop_nodes, mixed_order_propagation, mutual_information,
    normalize_rows, sharpen,
};
use firebrick::ops::sparse::{Features, Graph};

use serde_json::Value;

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

const VALUES: Tolerance = Tolerance { absolute: 1e-6, relative: 1e-5, scaled: false };
const GRADIENTS: Tolerance = Tolerance { absolute: 1e-6, relative: 1e-4, scaled: false };
/// For a bias in front of a normalization, which takes every shift away again: its gradient is exactly
/// 0, and in the reference, which ran in 32 bits, a rounding error of up to 2e-6.
const SHIFTS: Tolerance = Tolerance { absolute: 1e-5, relative: 1e-4, scaled: false };

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
    let (encoder, decoder) = (&cvae.encoder, &cvae.decoder);
    let linears = [
        (&encoder.hidden, "encoder.MLP.L0", encoder.norm.is_some()),
        (&encoder.mean, "encoder.linear_means", false),
        (&encoder.log_variance, "encoder.linear_log_var", false),
        (&decoder.hidden, "decoder.MLP.L0", decoder.norm.is_some()),
        (&decoder.output, "decoder.MLP.L1", decoder.output_norm.is_some()),
    ];
    for (layer, name, normalized) in linears {
        gradient(case, &gradients, &layer.weight, &format!("{name}.weight"), GRADIENTS)?;
        let tolerance = if normalized { SHIFTS } else { GRADIENTS };
        gradient(case, &gradients, bias_of(layer, name)?, &format!("{name}.bias"), tolerance)?;
    }
    let norms = [
        (&encoder.norm, "encoder.MLP.B0"),
        (&decoder.norm, "decoder.MLP.B0"),
        (&decoder.output_norm, "decoder.MLP.B1"),
    ];
    for (norm, name) in norms {
        if let Some(norm) = norm {
            gradient(case, &gradients, &norm.gamma, &format!("{name}.weight"), GRADIENTS)?;
            gradient(case, &gradients, &norm.beta, &format!("{name}.bias"), GRADIENTS)?;
        }
    }
    if has(case, "gen_z") {
        let generated = cvae.generate(tensor(case, target, "gen_z")?, c);
        case.compare("gen_out", generated.clone(), VALUES)?;
        case.compare("gen_row_normalised", normalize_rows(generated), VALUES)?;
    }
    Ok(())
}

fn bias_of<'a>(layer: &'a Linear, name: &str) -> Result<&'a Param<Tensor<1>>, Failure> {
    layer.bias.as_ref().ok_or_else(|| Failure::new(format!("{name}: no bias")))
}

fn gradient<const D: usize>(
    case: &Case,
    gradients: &Gradients,
    param: &Param<Tensor<D>>,
    name: &str,
    tolerance: Tolerance,
) -> Result<(), Failure> {
    let found = param.val().grad(gradients);
    let found = found.ok_or_else(|| Failure::new(format!("{name}: no gradient")))?;
    case.compare(&format!("grad.{name}"), found, tolerance)
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
    case.compare("grad.logits", gradient, GRADIENTS)?;

    let features = tensor::<2>(case, target, "X")?;
    let [nodes, width] = features.dims();
    let operator = graph(case, target, nodes)?.operator;
    let identity = Tensor::<2>::eye(nodes, &target.device).cast(target.dtype);
    case.compare("A_hat", operator.apply(identity), VALUES)?;
    let order = case.usize("order")?;
    let dropped = drop_nodes(features.clone(), tensor(case, target, "drop_mask")?);
    let trained = mixed_order_propagation(&operator, dropped, order);
    case.compare("prop_train", trained, VALUES)?;
    let network = GrandConfig::new(width, case.usize("classes")?)
        .with_order(order)
        .with_node_dropout(case.f64("dropnode")?)
        .init(&target.device);
    case.compare("prop_eval", network.propagate(&operator, features, None), VALUES)
}

fn graph(case: &Case, target: &Target, nodes: usize) -> Result<PreparedGraph, Failure> {
    let entries = case.indices("edge_index")?;
    let (sources, targets) = entries.split_at(entries.len() / 2);
    let graph = Graph::from_entries(nodes, sources, targets);
    let graph = graph.map_err(|error| Failure::new(error.to_string()))?;
    Ok(PreparedGraph::new(graph, (&target.device, target.dtype)))
}

/// The whole training loss of LA-GCN or LA-GCNII, and all gradients.
pub fn lagcn(case: &Case, target: &Target) -> Result<(), Failure> {
    let sizes = Sizes {
        features: case.usize("features")?,
        hidden: case.usize("hidden")?,
        classes: case.usize("classes")?,
        generated: case.usize("concat")?,
    };
    match case.optional("gcnii") {
        None => {
            let network = gcn_of(case, target, &sizes)?;
            training_loss(case, target, &network, &gcn_layers(&network), &[])
        }
        Some(_) => {
            let network = gcnii_of(case, target, &sizes)?;
            let mut layers: Vec<_> = network.branches.iter().collect();
            layers.push(&network.output);
            let name = |(index, layer)| (format!("fcs.{index}"), layer);
            let layers: Vec<_> = layers.into_iter().enumerate().map(name).collect();
            let convolutions = network.convolutions.iter().enumerate();
            let convolutions: Vec<_> = convolutions
                .map(|(index, weight)| (format!("convs.{index}.weight"), weight))
                .collect();
            training_loss(case, target, &network, &layers, &convolutions)
        }
    }
}

struct Sizes {
    features: usize,
    hidden: usize,
    classes: usize,
    generated: usize,
}

fn gcn_layers(network: &AugmentedGcn) -> Vec<(String, &Linear)> {
    let branches = network.branches.iter().enumerate();
    let branches = branches.map(|(index, layer)| (format!("gcn1_list.{index}"), layer));
    branches.chain([("gc2".to_string(), &network.output)]).collect()
}

fn gcn_of(case: &Case, target: &Target, sizes: &Sizes) -> Result<AugmentedGcn, Failure> {
    let mut network = AugmentedGcnConfig::new(sizes.features, sizes.classes)
        .with_hidden(sizes.hidden)
        .with_generated(sizes.generated)
        .init(&target.device);
    for (index, layer) in network.branches.iter_mut().enumerate() {
        linear(case, target, layer, &format!("gcn1_list.{index}"))?;
    }
    linear(case, target, &mut network.output, "gc2")?;
    Ok(network)
}

fn gcnii_of(case: &Case, target: &Target, sizes: &Sizes) -> Result<AugmentedGcnii, Failure> {
    let number = |field: &str| {
        let value = case.field("gcnii", field)?;
        value.as_f64().ok_or_else(|| Failure::new(format!("gcnii.{field}: no number: {value}")))
    };
    let layers = number("layers")? as usize;
    let mut network = AugmentedGcniiConfig::new(sizes.features, sizes.classes)
        .with_hidden(sizes.hidden)
        .with_generated(sizes.generated)
        .with_layers(layers)
        .with_alpha(number("alpha")?)
        .with_lambda(number("lamda")?)
        .init(&target.device);
    for (index, layer) in network.branches.iter_mut().enumerate() {
        linear(case, target, layer, &format!("fcs.{index}"))?;
    }
    for (index, weight) in network.convolutions.iter_mut().enumerate() {
        *weight = param(case, target, &format!("convs.{index}.weight"))?;
    }
    linear(case, target, &mut network.output, &format!("fcs.{}", sizes.generated + 1))?;
    Ok(network)
}

fn training_loss(
    case: &Case,
    target: &Target,
    network: &impl AugmentedNetwork,
    layers: &[(String, &Linear)],
    weights: &[(String, &Param<Tensor<2>>)],
) -> Result<(), Failure> {
    let features = tensor::<2>(case, target, "X")?;
    let [nodes, width] = features.dims();
    let graph = graph(case, target, nodes)?;
    let drawn = tensor::<4>(case, target, "aug")?;
    let [samples, generated, ..] = drawn.dims();
    let matrix = |sample: usize, index: usize| {
        let part = drawn.clone().narrow(0, sample, 1).narrow(1, index, 1);
        Features::Dense(part.reshape([nodes, width]))
    };
    let outputs = (0..samples).map(|sample| {
        let mut inputs: Vec<_> = (0..generated).map(|index| matrix(sample, index)).collect();
        inputs.push(features.clone().into());
        network.log_probabilities(&graph, &inputs, None)
    });
    let logs: Tensor<3> = Tensor::stack(outputs.collect(), 0);
    case.compare("log_probs", logs.clone(), VALUES)?;

    let loss = ConsistencyLossConfig::new()
        .with_temperature(case.f64("temperature")?)
        .with_weight(case.f64("lam")?)
        .init();
    let (train, labels) = (case.indices("train_idx")?, case.indices("y")?);
    let labels: Vec<usize> = train.iter().map(|&node| labels[node]).collect();
    let output = loss.forward(logs, target.integers(&train), target.integers(&labels));
    case.compare_scalar("loss_sup", output.supervised.clone(), VALUES)?;
    case.compare_scalar("loss_consistency", output.consistency.clone(), VALUES)?;
    let total = output.total();
    case.compare_scalar("loss", total.clone(), VALUES)?;

    let gradients = total.backward();
    for (name, layer) in layers {
        gradient(case, &gradients, &layer.weight, &format!("{name}.weight"), GRADIENTS)?;
        gradient(case, &gradients, bias_of(layer, name)?, &format!("{name}.bias"), GRADIENTS)?;
    }
    for (name, weight) in weights {
        gradient(case, &gradients, weight, name, GRADIENTS)?;
    }
    Ok(())
}
