//! Chebyshev polynomials of the scaled Laplacian.
//!
//! ```text
//! L x = -A x,   A = Q W Q without self loops,   q = deg^(-1/2)
//! T_0 = X,   T_1 = L X,   T_k = 2 L T_{k-1} - T_{k-2}
//! Y = sum over k of T_k W_k + b
//! ```
//!
//! # References
//! M. Defferrard, X. Bresson, P. Vandergheynst, *Convolutional Neural Networks on Graphs with Fast
//! Localized Spectral Filtering*, NeurIPS 2016, Eq. (4).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Features, Operator};

use super::common::{biased, check_features, check_positive, glorot, zeros};

/// Settings of [`ChebConv`].
#[derive(Config, Debug)]
pub struct ChebConvConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Number of polynomials, of orders `0..order`.
    pub order: usize,
    /// Whether to add a bias, which starts at zero.
    #[config(default = true)]
    pub bias: bool,
}

impl ChebConvConfig {
    /// Creates the layer with Glorot's uniform start.
    ///
    /// # Panics
    /// If a size or the number of polynomials is zero.
    pub fn init(&self, device: &Device) -> ChebConv {
        let Self { d_input, d_output, order, bias } = *self;
        let sizes = [("d_input", d_input), ("d_output", d_output), ("order", order)];
        check_positive("ChebConvConfig", &sizes);
        ChebConv {
            weights: (0..order).map(|_| glorot(d_input, d_output, device)).collect(),
            bias: bias.then(|| zeros(d_output, device)),
        }
    }
}

/// Chebyshev convolution for a largest eigenvalue of 2, so that the scaled Laplacian is `-A`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::ChebConvConfig;
/// use firebrick_ops::sparse::{Graph, Normalization};
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let operator = Normalization::CHEBYSHEV.unweighted(&graph, &device);
/// let layer = ChebConvConfig::new(3, 5, 3).init(&device);
/// assert_eq!(layer.forward(&operator, Tensor::<2>::ones([2, 3], &device)).dims(), [2, 5]);
/// ```
///
/// # References
/// M. Defferrard, X. Bresson, P. Vandergheynst, *Convolutional Neural Networks on Graphs with Fast
/// Localized Spectral Filtering*, NeurIPS 2016, Eq. (4).
#[derive(Module, Debug)]
pub struct ChebConv {
    /// One matrix `[d_input, d_output]` per polynomial.
    pub weights: Vec<Param<Tensor<2>>>,
    /// `[d_output]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl ChebConv {
    /// Applies the layer with the operator of [`Normalization::CHEBYSHEV`].
    ///
    /// Polynomials are applied after the matrices, from the last to the first (Clenshaw's recurrence), where
    /// that leaves fewer columns or the features are sparse.
    ///
    /// # Shapes
    /// - x: `[nodes, d_input]`, dense or sparse
    /// - output: `[nodes, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    ///
    /// [`Normalization::CHEBYSHEV`]: firebrick_ops::sparse::Normalization::CHEBYSHEV
    pub fn forward(&self, operator: &Operator, x: impl Into<Features>) -> Tensor<2> {
        let x = x.into();
        let [d_input, d_output] = self.weights[0].val().dims();
        check_features("ChebConv", &x, d_input);
        let output = match x {
            Features::Dense(x) if d_input <= d_output => self.polynomials_first(operator, x),
            x => self.matrices_first(operator, &x),
        };
        biased(output, &self.bias)
    }

    fn polynomials_first(&self, operator: &Operator, x: Tensor<2>) -> Tensor<2> {
        let terms = polynomials(operator, x, self.weights.len());
        let products = terms.into_iter().zip(&self.weights).map(|(x, w)| x.matmul(w.val()));
        products.reduce(|sum, term| sum + term).expect("there is at least one matrix")
    }

    /// `b_k = X W_k + 2 L b_{k+1} - b_{k+2}`, and `Y = X W_0 + L b_1 - b_2`.
    fn matrices_first(&self, operator: &Operator, x: &Features) -> Tensor<2> {
        let laplacian = |x: Tensor<2>| operator.apply(x).neg();
        let (mut next, mut behind) = (None::<Tensor<2>>, None::<Tensor<2>>);
        for (order, weight) in self.weights.iter().enumerate().rev() {
            let factor = if order == 0 { 1.0 } else { 2.0 };
            let mut term = x.matmul(weight.val());
            if let Some(next) = &next {
                term = term + laplacian(next.clone()) * factor;
            }
            if let Some(behind) = behind.take() {
                term = term - behind;
            }
            behind = next.replace(term);
        }
        next.expect("there is at least one matrix")
    }
}

/// `T_0 x, .., T_{order - 1} x` for the operator of the Chebyshev normalization.
pub(crate) fn polynomials(operator: &Operator, x: Tensor<2>, order: usize) -> Vec<Tensor<2>> {
    let mut terms = vec![x];
    while terms.len() < order {
        let last = operator.apply(terms[terms.len() - 1].clone()).neg();
        let next = match terms.len() {
            1 => last,
            known => last * 2.0 - terms[known - 2].clone(),
        };
        terms.push(next);
    }
    terms
}
