//! Simplified graph convolution.
//!
//! ```text
//! Y = A^K X W + b
//! ```
//!
//! # References
//! F. Wu et al., *Simplifying Graph Convolutional Networks*, ICML 2019, Eq. (8).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Features, Operator};

use super::common::{biased, check_features, check_positive, glorot, zeros};

/// Settings of [`SgcConv`].
#[derive(Config, Debug)]
pub struct SgcConvConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Number of steps of propagation.
    #[config(default = 2)]
    pub steps: usize,
    /// Whether to add a bias, which starts at zero.
    #[config(default = true)]
    pub bias: bool,
}

impl SgcConvConfig {
    /// Creates the layer with Glorot's uniform start.
    ///
    /// # Panics
    /// If a number of features is zero.
    pub fn init(&self, device: &Device) -> SgcConv {
        let Self { d_input, d_output, steps, bias } = *self;
        check_positive("SgcConvConfig", &[("d_input", d_input), ("d_output", d_output)]);
        SgcConv {
            weight: glorot(d_input, d_output, device),
            bias: bias.then(|| zeros(d_output, device)),
            steps,
        }
    }
}

/// Simplified graph convolution `A^K X W + b`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::SgcConvConfig;
/// use firebrick_ops::sparse::{Graph, Normalization};
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let operator = Normalization::GCN.unweighted(&graph, &device);
/// let layer = SgcConvConfig::new(3, 2).init(&device);
/// let x = Tensor::<2>::ones([2, 3], &device);
/// // `A^K X` can be made once for all steps of training.
/// let propagated = layer.propagate(&operator, x.clone());
/// let difference = layer.classify(propagated) - layer.forward(&operator, x);
/// assert!(difference.abs().max().into_scalar::<f32>() < 1e-6);
/// ```
///
/// # References
/// F. Wu et al., *Simplifying Graph Convolutional Networks*, ICML 2019, Eq. (8).
#[derive(Module, Debug)]
pub struct SgcConv {
    /// `[d_input, d_output]`
    pub weight: Param<Tensor<2>>,
    /// `[d_output]`
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    steps: usize,
}

impl SgcConv {
    /// Applies the layer, the matrix first where that leaves fewer columns.
    ///
    /// # Shapes
    /// - x: `[nodes, d_input]`, dense or sparse
    /// - output: `[nodes, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, operator: &Operator, x: impl Into<Features>) -> Tensor<2> {
        let x = x.into();
        let weight = self.weight.val();
        let [d_input, d_output] = weight.dims();
        check_features("SgcConv", &x, d_input);
        match x {
            Features::Dense(x) if d_input <= d_output => self.classify(self.propagate(operator, x)),
            x => biased(operator.power(x.matmul(weight), self.steps), &self.bias),
        }
    }

    /// `A^K X`.
    ///
    /// # Shapes
    /// - x, output: `[nodes, d_input]`
    ///
    /// # Panics
    /// If the number of rows disagrees.
    pub fn propagate(&self, operator: &Operator, x: Tensor<2>) -> Tensor<2> {
        operator.power(x, self.steps)
    }

    /// `X W + b` for propagated features.
    ///
    /// # Shapes
    /// - propagated: `[nodes, d_input]`
    /// - output: `[nodes, d_output]`
    pub fn classify(&self, propagated: Tensor<2>) -> Tensor<2> {
        biased(propagated.matmul(self.weight.val()), &self.bias)
    }
}
