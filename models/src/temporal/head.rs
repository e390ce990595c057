//! From codes of nodes or windows to forecasts or logits.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::activation::Activation;
use super::graph::TemporalGraph;
use super::start::{check_positive, linear};
use crate::graph::Pooling;

/// Settings of [`Head`].
#[derive(Config, Debug)]
pub struct HeadConfig {
    /// Width of the codes.
    pub d_input: usize,
    /// Width of the hidden layer.
    pub d_hidden: usize,
    /// Number of outputs: features to forecast, times steps ahead, or classes.
    pub d_output: usize,
    /// The function before and between the layers.
    #[config(default = "Activation::Softplus")]
    pub activation: Activation,
}

impl HeadConfig {
    /// Creates the head; weights and biases are uniform over `+-sqrt(6 / (in + out))`.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn init(&self, device: &Device) -> Head {
        let Self { d_input, d_hidden, d_output, activation } = *self;
        let sizes = [("d_input", d_input), ("d_hidden", d_hidden), ("d_output", d_output)];
        check_positive("HeadConfig", &sizes);
        Head {
            hidden: linear(d_input, d_hidden, true, device),
            output: linear(d_hidden, d_output, true, device),
            activation,
        }
    }
}

/// `act(act(x) W_1 + b_1) W_2 + b_2`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::temporal::HeadConfig;
///
/// let device = Device::flex();
/// let head = HeadConfig::new(32, 16, 3).init(&device);
/// assert_eq!(head.forward(Tensor::ones([7, 32], &device)).dims(), [7, 3]);
/// ```
#[derive(Module, Debug)]
pub struct Head {
    /// The first layer.
    pub hidden: Linear,
    /// The last layer.
    pub output: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Head {
    /// One row of outputs per row.
    ///
    /// # Shapes
    /// - x: `[rows, d_input]`
    /// - output: `[rows, d_output]`
    ///
    /// # Panics
    /// If the width disagrees.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (found, [expected, _]) = (x.dims()[1], self.hidden.weight.val().dims());
        assert!(found == expected, "Head: x must have {expected} columns, got {found}");
        let hidden = self.hidden.forward(self.activation.forward(x));
        self.output.forward(self.activation.forward(hidden))
    }

    /// One row of outputs per window, from the mean over its nodes.
    ///
    /// # Shapes
    /// - x: `[nodes, d_input]`
    /// - output: `[windows, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward_windows(&self, graph: &TemporalGraph, x: Tensor<2>) -> Tensor<2> {
        self.forward(graph.pool(x, Pooling::Mean))
    }
}
