//! Graph convolution of Kipf and Welling.
//!
//! ```text
//! Y = A X W + b,     A = D^-1/2 (W_e + I) D^-1/2
//! y[i] = b + sum over e with d[e] = i of r[s] w[e] r[i] x[s] W,     r = deg^(-1/2)
//! ```
//!
//! # References
//! T. Kipf, M. Welling, *Semi-Supervised Classification with Graph Convolutional Networks*, ICLR 2017,
//! Eqs. (2) and (9).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Features, Operator};

use super::common::{biased, check_features, check_positive, drop_features, glorot, zeros};

/// Settings of [`GcnConv`].
#[derive(Config, Debug)]
pub struct GcnConvConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Whether to add a bias, which starts at zero.
    #[config(default = true)]
    pub bias: bool,
}

impl GcnConvConfig {
    /// Creates the layer with Glorot's uniform start.
    ///
    /// # Panics
    /// If a number of features is zero.
    pub fn init(&self, device: &Device) -> GcnConv {
        let Self { d_input, d_output, bias } = *self;
        check_positive("GcnConvConfig", &[("d_input", d_input), ("d_output", d_output)]);
        GcnConv {
            weight: glorot(d_input, d_output, device),
            bias: bias.then(|| zeros(d_output, device)),
        }
    }
}

/// Graph convolution `A X W + b`.
///
/// The operator `A` decides what it is: with [`Normalization::GCN`] Kipf and Welling's layer, with
/// [`Normalization::IMPROVED`] self loops of weight 2, with [`Normalization::NONE`] the plain sum of the
/// neighbors, with [`Normalization::differentiable`] a layer that trains the weights of the edges.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::GcnConvConfig;
/// use firebrick_ops::sparse::{Graph, Normalization};
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let operator = Normalization::GCN.unweighted(&graph, &device);
/// let layer = GcnConvConfig::new(3, 5).init(&device);
/// assert_eq!(layer.forward(&operator, Tensor::<2>::ones([2, 3], &device)).dims(), [2, 5]);
/// ```
///
/// # References
/// T. Kipf, M. Welling, *Semi-Supervised Classification with Graph Convolutional Networks*, ICLR 2017,
/// Eq. (2).
///
/// [`Normalization::GCN`]: firebrick_ops::sparse::Normalization::GCN
/// [`Normalization::IMPROVED`]: firebrick_ops::sparse::Normalization::IMPROVED
/// [`Normalization::NONE`]: firebrick_ops::sparse::Normalization::NONE
/// [`Normalization::differentiable`]: firebrick_ops::sparse::Normalization::differentiable
#[derive(Module, Debug)]
pub struct GcnConv {
    /// `[d_input, d_output]`
    pub weight: Param<Tensor<2>>,
    /// `[d_output]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl GcnConv {
    /// Applies the layer; of the two products the one that leaves fewer columns comes first.
    ///
    /// # Shapes
    /// - x: `[source_nodes, d_input]`, dense or sparse
    /// - output: `[target_nodes, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, operator: &Operator, x: impl Into<Features>) -> Tensor<2> {
        let x = x.into();
        let weight = self.weight.val();
        let [d_input, d_output] = weight.dims();
        check_features("GcnConv", &x, d_input);
        let output = match x {
            Features::Dense(x) if d_input <= d_output => operator.apply(x).matmul(weight),
            x => operator.apply(x.matmul(weight)),
        };
        biased(output, &self.bias)
    }
}

/// Settings of [`Gcn`].
#[derive(Config, Debug)]
pub struct GcnConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Width of the hidden layers.
    pub d_hidden: usize,
    /// Number of outputs, one per class.
    pub d_output: usize,
    /// Number of layers, at least one.
    #[config(default = 2)]
    pub layers: usize,
    /// Probability of dropout before each layer.
    #[config(default = 0.5)]
    pub dropout: f64,
    /// Whether the layers have a bias.
    #[config(default = true)]
    pub bias: bool,
}

impl GcnConfig {
    /// Creates the network.
    ///
    /// # Panics
    /// If a size or the number of layers is zero, or the dropout is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> Gcn {
        check_positive("GcnConfig", &[("layers", self.layers), ("d_hidden", self.d_hidden)]);
        let layer = |index: usize| {
            let first = index == 0;
            let last = index + 1 == self.layers;
            let d_input = if first { self.d_input } else { self.d_hidden };
            let d_output = if last { self.d_output } else { self.d_hidden };
            GcnConvConfig::new(d_input, d_output).with_bias(self.bias).init(device)
        };
        Gcn {
            layers: (0..self.layers).map(layer).collect(),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

/// Graph convolutional network: dropout and [`GcnConv`], layer after layer, with ReLU between them.
///
/// With 16 hidden units, dropout 0.5, Adam with step size 0.01 and weight decay 5e-4 on the first layer
/// only, this is the network of the paper.
///
/// # References
/// T. Kipf, M. Welling, *Semi-Supervised Classification with Graph Convolutional Networks*, ICLR 2017,
/// Eq. (9).
#[derive(Module, Debug)]
pub struct Gcn {
    /// The layers.
    pub layers: Vec<GcnConv>,
    /// Dropout before each layer.
    pub dropout: Dropout,
}

impl Gcn {
    /// One row of logits per node. Dropout is on while the weights carry autodiff.
    ///
    /// # Shapes
    /// - x: `[nodes, d_input]`, dense or sparse
    /// - output: `[nodes, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, operator: &Operator, x: impl Into<Features>) -> Tensor<2> {
        self.layers
            .iter()
            .enumerate()
            .fold(x.into(), |x, (index, layer)| {
                let x = match x {
                    Features::Dense(x) if index > 0 => Features::Dense(relu(x)),
                    x => x,
                };
                let x = drop_features(&self.dropout, x, &layer.weight);
                layer.forward(operator, x).into()
            })
            .into_dense()
    }
}
