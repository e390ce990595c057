//! Deep graph convolution with initial residual and identity mapping.
//!
//! ```text
//! beta_l = ln(lambda / l + 1),   P = A X,   R = (1 - alpha) P + alpha X_0
//! Y = (1 - beta_l) R + beta_l R W
//! Y = (1 - beta_l) R + beta_l ((1 - alpha) P W + alpha X_0 W_0)      with two matrices (GCNII*)
//! ```
//!
//! # References
//! M. Chen et al., *Simple and Deep Graph Convolutional Networks*, ICML 2020, Eqs. (5) and (6).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Features, Operator};

use super::common::{biased, check_features, check_positive, drop_features};

/// Settings of [`GcniiConv`].
#[derive(Config, Debug)]
pub struct GcniiConvConfig {
    /// Number of features, in and out.
    pub d_model: usize,
    /// Number of the layer in its network, from 1.
    pub layer: usize,
    /// Share of the initial features.
    #[config(default = 0.1)]
    pub alpha: f64,
    /// Strength of the matrix: `beta = ln(lambda / layer + 1)`.
    #[config(default = 0.5)]
    pub lambda: f64,
    /// Whether initial features have a matrix of their own (GCNII*).
    #[config(default = false)]
    pub separate: bool,
}

impl GcniiConvConfig {
    /// Creates the layer; matrices start uniform in `+-1 / sqrt(d_model)`.
    ///
    /// # Panics
    /// If `d_model` or `layer` is zero, `alpha` is not in `[0, 1]`, or `lambda` is negative.
    pub fn init(&self, device: &Device) -> GcniiConv {
        let Self { d_model, layer, alpha, lambda, separate } = *self;
        check_positive("GcniiConvConfig", &[("d_model", d_model), ("layer", layer)]);
        assert!(
            (0.0..=1.0).contains(&alpha) && lambda >= 0.0,
            "GcniiConvConfig: alpha must be in [0, 1] and lambda at least 0, got {alpha} and {lambda}"
        );
        let matrix = || square(d_model, device);
        GcniiConv {
            weight: matrix(),
            initial_weight: separate.then(matrix),
            alpha,
            beta: (lambda / layer as f64).ln_1p(),
        }
    }
}

fn square(size: usize, device: &Device) -> Param<Tensor<2>> {
    let bound = 1.0 / (size as f64).sqrt();
    Initializer::Uniform { min: -bound, max: bound }.init([size, size], device)
}

/// One layer of GCNII.
///
/// ```text
/// R = (1 - alpha) A X + alpha X_0,   Y = (1 - beta) R + beta R W
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::GcniiConvConfig;
/// use firebrick_ops::sparse::{Graph, Normalization};
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let operator = Normalization::GCN.unweighted(&graph, &device);
/// let x = Tensor::<2>::ones([2, 4], &device);
/// let layer = GcniiConvConfig::new(4, 1).init(&device);
/// assert_eq!(layer.forward(&operator, x.clone(), x).dims(), [2, 4]);
/// ```
///
/// # References
/// M. Chen et al., *Simple and Deep Graph Convolutional Networks*, ICML 2020, Eq. (5).
#[derive(Module, Debug)]
pub struct GcniiConv {
    /// `[d_model, d_model]`
    pub weight: Param<Tensor<2>>,
    /// `[d_model, d_model]`, of the initial features in GCNII*.
    pub initial_weight: Option<Param<Tensor<2>>>,
    #[module(skip)]
    alpha: f64,
    #[module(skip)]
    beta: f64,
}

impl GcniiConv {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x, initial, output: `[nodes, d_model]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, operator: &Operator, x: Tensor<2>, initial: Tensor<2>) -> Tensor<2> {
        assert!(
            x.dims() == initial.dims(),
            "GcniiConv: initial must have the shape of x, {:?}, got {:?}",
            x.dims(),
            initial.dims()
        );
        let (alpha, beta, weight) = (self.alpha, self.beta, self.weight.val());
        let propagated = operator.apply(x) * (1.0 - alpha);
        let initial = initial * alpha;
        let residual = propagated.clone() + initial.clone();
        let mapped = match &self.initial_weight {
            None => residual.clone().matmul(weight),
            Some(own) => propagated.matmul(weight) + initial.matmul(own.val()),
        };
        residual * (1.0 - beta) + mapped * beta
    }
}

/// Settings of [`Gcnii`].
#[derive(Config, Debug)]
pub struct GcniiConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of outputs, one per class.
    pub d_output: usize,
    /// Width.
    #[config(default = 64)]
    pub d_hidden: usize,
    /// Number of convolutions.
    #[config(default = 64)]
    pub layers: usize,
    /// Share of the initial features.
    #[config(default = 0.1)]
    pub alpha: f64,
    /// Strength of the matrices.
    #[config(default = 0.5)]
    pub lambda: f64,
    /// Probability of dropout before each layer.
    #[config(default = 0.6)]
    pub dropout: f64,
    /// Whether initial features have matrices of their own (GCNII*).
    #[config(default = false)]
    pub separate: bool,
}

impl GcniiConfig {
    /// Creates the network.
    ///
    /// # Panics
    /// If a size is zero, or a number is out of its range.
    pub fn init(&self, device: &Device) -> Gcnii {
        check_positive("GcniiConfig", &[("d_input", self.d_input), ("d_output", self.d_output)]);
        let layer = |index: usize| {
            GcniiConvConfig::new(self.d_hidden, index + 1)
                .with_alpha(self.alpha)
                .with_lambda(self.lambda)
                .with_separate(self.separate)
                .init(device)
        };
        Gcnii {
            input: Dense::new(self.d_input, self.d_hidden, device),
            layers: (0..self.layers).map(layer).collect(),
            output: Dense::new(self.d_hidden, self.d_output, device),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

/// A linear layer that also takes sparse features.
#[derive(Module, Debug)]
pub struct Dense {
    /// `[d_input, d_output]`
    pub weight: Param<Tensor<2>>,
    /// `[d_output]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Dense {
    fn new(d_input: usize, d_output: usize, device: &Device) -> Self {
        let bound = 1.0 / (d_input as f64).sqrt();
        let start = Initializer::Uniform { min: -bound, max: bound };
        Self {
            weight: start.init([d_input, d_output], device),
            bias: Some(start.init([d_output], device)),
        }
    }

    /// `X W + b`.
    fn forward(&self, x: Features) -> Tensor<2> {
        check_features("Gcnii", &x, self.weight.val().dims()[0]);
        biased(x.matmul(self.weight.val()), &self.bias)
    }
}

/// Deep graph convolutional network: a linear layer, many [`GcniiConv`], a linear layer, with ReLU between
/// them and dropout before each.
///
/// In the paper weight decay is 0.01 for the convolutions and 5e-4 for the two linear layers: give
/// `layers` and the others to two groups of the optimizer.
///
/// # References
/// M. Chen et al., *Simple and Deep Graph Convolutional Networks*, ICML 2020.
#[derive(Module, Debug)]
pub struct Gcnii {
    /// From features to the width.
    pub input: Dense,
    /// The convolutions.
    pub layers: Vec<GcniiConv>,
    /// From the width to the outputs.
    pub output: Dense,
    /// Dropout before each layer.
    pub dropout: Dropout,
}

impl Gcnii {
    /// One row of logits per node. Dropout is on while the weights carry autodiff.
    ///
    /// # Shapes
    /// - x: `[nodes, d_input]`, dense or sparse
    /// - output: `[nodes, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, operator: &Operator, x: impl Into<Features>) -> Tensor<2> {
        let x = drop_features(&self.dropout, x.into(), &self.input.weight);
        let initial = relu(self.input.forward(x));
        let drop =
            |x: Tensor<2>| drop_features(&self.dropout, x.into(), &self.input.weight).into_dense();
        let x = self.layers.iter().fold(initial.clone(), |x, layer| {
            relu(layer.forward(operator, drop(x), initial.clone()))
        });
        self.output.forward(drop(x).into())
    }
}
