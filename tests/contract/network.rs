//! A network of two layers, its losses and gradients, and what can be compared of it.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, OptimizerRecord};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor, TensorData};
use burn_pack::Reader;

/// Two linear layers with `tanh` between them.
#[derive(Module, Debug)]
pub struct Network {
    pub first: Linear,
    pub second: Linear,
}

/// Numbers in [-1, 1] that depend on the seed alone.
fn wave<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let len = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|i| ((i + 17 * seed) as f32 * 0.7311).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn linear(inputs: usize, outputs: usize, seed: usize, device: &Device) -> Linear {
    let mut linear = LinearConfig::new(inputs, outputs).init(device);
    linear.weight = Param::from_tensor(wave([inputs, outputs], seed, device).mul_scalar(0.6));
    linear.bias = Some(Param::from_tensor(wave([outputs], seed + 1, device).mul_scalar(0.1)));
    linear
}

impl Network {
    pub fn new(device: &Device) -> Self {
        Self { first: linear(3, 4, 1, device), second: linear(4, 2, 5, device) }
    }

    fn device(&self) -> Device {
        self.first.weight.val().device()
    }

    /// Squared error summed over some of the eight examples of a step.
    fn loss(&self, step: usize, examples: std::ops::Range<usize>) -> Tensor<1> {
        let device = self.device();
        let rows = |tensor: Tensor<2>| tensor.slice([examples.clone()]);
        let inputs = rows(wave([8, 3], 100 + step, &device));
        let targets = rows(wave([8, 2], 200 + step, &device));
        let error = self.second.forward(tanh(self.first.forward(inputs))) - targets;
        (error.clone() * error).sum()
    }

    /// The gradients of a part of a step's examples.
    pub fn gradients_of(&self, step: usize, examples: std::ops::Range<usize>) -> GradientsParams {
        GradientsParams::from_grads(self.loss(step, examples).backward(), self)
    }

    /// The gradients of a step.
    pub fn gradients(&self, step: usize) -> GradientsParams {
        self.gradients_of(step, 0..8)
    }

    /// The same without those of the second layer.
    pub fn gradients_of_first(&self, step: usize) -> GradientsParams {
        GradientsParams::from_module(&mut self.loss(step, 0..8).backward(), &self.first)
    }
}

/// Gradients that depend on the step and the parameter's position alone, for any module.
pub fn given_gradients(module: &impl Module, step: usize, scale: f64) -> GradientsParams {
    struct Fill {
        gradients: GradientsParams,
        seed: usize,
        scale: f64,
    }
    impl ModuleVisitor for Fill {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val().inner();
            let gradient = wave(tensor.dims(), self.seed, &tensor.device());
            self.gradients.register(param.id, gradient.mul_scalar(self.scale));
            self.seed += 3;
        }
    }
    let mut fill = Fill { gradients: GradientsParams::new(), seed: 50 * step, scale };
    module.visit(&mut fill);
    fill.gradients
}

/// All parameters, in the order of the module.
pub fn values(module: &impl Module) -> Vec<f32> {
    struct Collect(Vec<f32>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }
    let mut collect = Collect(Vec::new());
    module.visit(&mut collect);
    collect.0
}

/// The ids of all parameters.
pub fn ids(module: &impl Module) -> Vec<ParamId> {
    struct Collect(Vec<ParamId>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.id);
        }
    }
    let mut collect = Collect(Vec::new());
    module.visit(&mut collect);
    collect.0
}

/// What a record holds for some parameters: each tensor as bytes, each scalar as text.
pub fn state_of(record: OptimizerRecord, ids: &[ParamId]) -> BTreeMap<String, Vec<u8>> {
    let bytes = record.into_bytes().expect("a record can be written");
    let reader = Reader::from_bytes(bytes).expect("a record can be read");
    let mine = |name: &str| ids.iter().any(|id| name.starts_with(&format!("{}.", id.val())));
    let scalars = reader.scalars().iter();
    let scalars = scalars.map(|(name, value)| (name.clone(), format!("{value:?}").into_bytes()));
    let tensors = reader.tensor_names().into_iter().map(|name| {
        (name.to_string(), reader.tensor_data(name).expect("the tensor of a name in the record"))
    });
    scalars.chain(tensors).filter(|(name, _)| mine(name)).collect()
}
