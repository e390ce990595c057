//! Multilayer perceptron with ReLU between its linear layers.
//!
//! `logits = W_L relu(... relu(W_1 x + b_1) ...) + b_L`

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::classifier::Classifier;

/// Settings of [`Mlp`].
#[derive(Config, Debug)]
pub struct MlpConfig {
    /// Widths from the input to the output, at least two: `[32, 256, 256, 10]` has two hidden
    /// layers.
    pub widths: Vec<usize>,
}

impl MlpConfig {
    /// Creates the network on `device`, with Burn's initialization of linear layers.
    ///
    /// # Panics
    /// If there are fewer than two widths or one is zero.
    pub fn init(&self, device: &Device) -> Mlp {
        assert!(
            self.widths.len() >= 2 && !self.widths.contains(&0),
            "MlpConfig: widths must be at least two positive numbers, got {:?}",
            self.widths
        );
        let layer = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        Mlp { layers: self.widths.windows(2).map(layer).collect() }
    }
}

/// Multilayer perceptron; see the [module](self).
#[derive(Module, Debug)]
pub struct Mlp {
    /// The linear layers, from the input to the output.
    pub layers: Vec<Linear>,
}

impl Mlp {
    /// Applies the network.
    ///
    /// # Shapes
    /// - input: `[batch, first width]`
    /// - output: `[batch, last width]`
    ///
    /// # Panics
    /// If the input has another width.
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let width = self.layers.first().map_or(0, |layer| layer.weight.dims()[0]);
        assert_shape!(input, [_, width]);
        self.layers.iter().enumerate().fold(input, |x, (index, layer)| {
            let x = if index == 0 { x } else { relu(x) };
            layer.forward(x)
        })
    }
}

impl Classifier<2> for Mlp {
    fn logits(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.forward(inputs)
    }
}

/// Images are flattened, channels first.
impl Classifier<4> for Mlp {
    fn logits(&self, inputs: Tensor<4>) -> Tensor<2> {
        self.forward(inputs.flatten(1, 3))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::module::Param;

    #[test]
    fn applies_relu_between_the_layers_but_not_after_the_last() {
        let device = Device::flex();
        let mut network = MlpConfig::new(vec![1, 2, 1]).init(&device);
        let set = |values: Tensor<2>| Param::from_tensor(values);
        network.layers[0].weight = set(Tensor::from_data([[1.0, -1.0]], &device));
        network.layers[1].weight = set(Tensor::from_data([[-2.0], [3.0]], &device));
        for layer in &mut network.layers {
            layer.bias = None;
        }
        let output = network.forward(Tensor::from_data([[2.0], [-1.0]], &device));
        assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [-4.0, 3.0]);
    }

    #[test]
    fn flattens_images() {
        let device = Device::flex();
        let network = MlpConfig::new(vec![12, 5, 2]).init(&device);
        let images = Tensor::<4>::ones([3, 2, 2, 3], &device);
        let flat = network.forward(Tensor::ones([3, 12], &device)).into_data();
        assert_eq!(network.logits(images).into_data(), flat);
    }

    #[test]
    #[should_panic(expected = "widths must be at least two positive numbers, got [3]")]
    fn refuses_a_single_width() {
        MlpConfig::new(vec![3]).init(&Device::flex());
    }
}
