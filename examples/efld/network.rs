//! The network and its per-example gradients in closed form.

use anyhow::Result;
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{DType, Device, Int, Tensor};
use firebrick::generalization::PerExampleGradients;
use firebrick::models::mlp::{Mlp, MlpConfig};
use firebrick::ops::noise::NoiseKey;
use firebrick::ops::one_hot::one_hot;

use crate::setup::Points;

/// One hidden layer with ReLU.
pub struct Network {
    pub model: Mlp,
}

impl Network {
    /// First layer as He et al. (variance `2 / inputs`), second with variance `1 / inputs`, biases
    /// zero.
    pub fn new(widths: [usize; 3], seed: u64, device: &Device) -> Self {
        let mut model = MlpConfig::new(widths.to_vec()).init(device);
        for (index, layer) in model.layers.iter_mut().enumerate() {
            let (inputs, outputs) = (widths[index], widths[index + 1]);
            let key = NoiseKey { seed, purpose: *b"weights ", stream: index as u64, step: 0 };
            let scale = ([2.0, 1.0][index] / inputs as f64).sqrt();
            let weight = key.normal([inputs, outputs], device, DType::F32) * scale;
            layer.weight = Param::from_tensor(weight);
            layer.bias = Some(Param::from_tensor(Tensor::zeros([outputs], device)));
        }
        Self { model }
    }

    /// Gradient of the mean cross entropy of a mini-batch.
    pub fn gradients(&self, inputs: Tensor<2>, labels: Tensor<1, Int>) -> GradientsParams {
        let loss = loss(&self.model, inputs, labels);
        GradientsParams::from_grads(loss.backward(), &self.model)
    }

    /// A gradient and the parameters, each as one vector.
    pub fn flat(&self, gradients: &GradientsParams) -> (Vec<f32>, Vec<f32>) {
        let mut flat = Flat { gradients: Some(gradients), values: Vec::new() };
        self.model.visit(&mut flat);
        (flat.values, self.parameters())
    }

    /// All parameters as one vector.
    pub fn parameters(&self) -> Vec<f32> {
        let mut flat = Flat { gradients: None, values: Vec::new() };
        self.model.visit(&mut flat);
        flat.values
    }

    /// Share of the points whose label is not the most likely class.
    pub fn error(&self, points: &Points) -> f64 {
        let classes = self.model.valid().forward(points.inputs.clone()).argmax(1);
        let found = classes.into_data();
        let wrong = found.iter::<i64>().zip(&points.labels).filter(|(a, b)| *a != **b as i64);
        wrong.count() as f64 / points.len() as f64
    }
}

fn loss(model: &Mlp, inputs: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let inputs = Tensor::from_inner(inputs);
    let device = inputs.device();
    CrossEntropyLossConfig::new()
        .init(&device)
        .forward(model.forward(inputs), Tensor::from_inner(labels))
}

/// Collects gradients, or the parameters themselves.
struct Flat<'a> {
    gradients: Option<&'a GradientsParams>,
    values: Vec<f32>,
}

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id),
            None => Some(param.val().inner()),
        };
        self.values.extend(
            tensor.into_iter().flat_map(|t| t.into_data().iter::<f32>().collect::<Vec<_>>()),
        );
    }
}

/// The gradient of the cross entropy of each example, in one forward pass: weights are outer
/// products of a layer's input and its delta.
pub fn rows(model: &Mlp, (inputs, labels): (Tensor<2>, Tensor<1, Int>)) -> Vec<Vec<f32>> {
    let model = model.valid();
    let count = inputs.dims()[0];
    let mut activations = vec![inputs];
    for (index, layer) in model.layers.iter().enumerate() {
        let input = activations[index].clone();
        let input = if index == 0 { input } else { relu(input) };
        activations.push(layer.forward(input));
    }
    let logits = activations.pop().expect("a network has layers");
    let [_, classes] = logits.dims();
    let given = one_hot(labels, classes, logits.dtype());
    let mut delta = softmax(logits, 1) - given;
    let mut parts = Vec::new();
    for (index, layer) in model.layers.iter().enumerate().rev() {
        let before = activations[index].clone();
        let input = if index == 0 { before.clone() } else { relu(before.clone()) };
        let [_, width] = input.dims();
        let [_, outputs] = delta.dims();
        let outer: Tensor<3> = input.unsqueeze_dim::<3>(2) * delta.clone().unsqueeze_dim(1);
        // In the order of the module from the end: bias, weight.
        parts.push(delta.clone());
        parts.push(outer.reshape([count, width * outputs]));
        let back = delta.matmul(layer.weight.val().transpose());
        delta = back.mask_fill(before.lower_equal_scalar(0.0), 0.0);
    }
    parts.reverse();
    let gradients = Tensor::cat(parts, 1);
    let [_, parameters] = gradients.dims();
    let values: Vec<f32> = gradients.into_data().iter::<f32>().collect();
    values.chunks(parameters).map(<[f32]>::to_vec).collect()
}

/// Largest difference of the closed form to one backward pass per example, on a few points.
pub fn closed_form_error(device: &Device) -> Result<f64> {
    let network = Network::new([20, 32, 4], 5, &device.clone().autodiff());
    let key = NoiseKey { seed: 5, purpose: *b"inputs  ", stream: 0, step: 0 };
    let inputs = key.normal([6, 20], device, DType::F32);
    let labels = Tensor::<1, Int>::from_data([0, 1, 2, 3, 0, 1], device);
    let single = PerExampleGradients::new(&network.model, |model: &Mlp, index| {
        let row = |index: usize| index..index + 1;
        let (inputs, labels) = (inputs.clone(), labels.clone());
        loss(model, inputs.slice([row(index), 0..20]), labels.slice([row(index)]))
    })?;
    let closed = rows(&network.model, (inputs.clone(), labels.clone()));
    let mut worst = 0.0f64;
    for (index, row) in closed.iter().enumerate() {
        let expected = single.gradient(index);
        anyhow::ensure!(expected.len() == row.len(), "gradients of different lengths");
        let apart = row.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs());
        worst = apart.fold(worst, |worst, x| if x > worst || x.is_nan() { x } else { worst });
    }
    Ok(worst)
}
