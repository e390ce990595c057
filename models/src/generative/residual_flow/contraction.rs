//! Residual functions from orthogonal layers.
//!
//! ```text
//! g = c L_m a_{m-1} ... c L_2 a_1 c L_1 (a_0),   c L(x) = c (W x + b),   |a'| <= 1
//! Lip(g) <= c^m
//! ```
//!
//! All singular values of `W` are 1 (or some are 0 where the width changes), for every value of the
//! parameters: the bound needs no power iteration and never fails.

use burn::module::Module;
use burn::tensor::Tensor;

use super::lip_swish::{LipSwish, LipSwishConfig};
use super::pullback::{Pullback, ResidualFunction};
use crate::orthogonal::{OrthogonalConv2d, OrthogonalLinear};

/// A 1-Lipschitz layer whose matrix or kernel can be composed once for many uses.
pub trait ContractiveLayer<const D: usize>: Module {
    /// What the layer multiplies with.
    fn composed(&self) -> Tensor<D>;

    /// The layer with its bias.
    fn forward_with(&self, composed: Tensor<D>, input: Tensor<D>) -> Tensor<D>;

    /// The adjoint of its linear part.
    fn pullback_with(&self, composed: Tensor<D>, cotangent: Tensor<D>) -> Tensor<D>;
}

impl ContractiveLayer<2> for OrthogonalLinear {
    fn composed(&self) -> Tensor<2> {
        self.weight()
    }

    fn forward_with(&self, composed: Tensor<2>, input: Tensor<2>) -> Tensor<2> {
        self.forward_with(composed, input)
    }

    fn pullback_with(&self, composed: Tensor<2>, cotangent: Tensor<2>) -> Tensor<2> {
        self.pullback_with(composed, cotangent)
    }
}

impl ContractiveLayer<4> for OrthogonalConv2d {
    fn composed(&self) -> Tensor<4> {
        self.kernel()
    }

    fn forward_with(&self, composed: Tensor<4>, input: Tensor<4>) -> Tensor<4> {
        self.forward_with(composed, input)
    }

    fn pullback_with(&self, composed: Tensor<4>, cotangent: Tensor<4>) -> Tensor<4> {
        self.pullback_with(composed, cotangent)
    }
}

/// A chain of orthogonal layers, each followed by the factor `c`, with activations between them; see
/// [`ContractiveMlpConfig`](super::ContractiveMlpConfig) and
/// [`ContractiveConvConfig`](super::ContractiveConvConfig), which make it.
#[derive(Module, Debug)]
pub struct Contraction<L: Module> {
    /// The layers, in their order.
    pub layers: Vec<L>,
    /// The activations before each layer, or before each but the first.
    pub activations: Vec<LipSwish>,
    #[module(skip)]
    coefficient: f64,
}

impl<L: Module> Contraction<L> {
    /// Puts layers together; there are as many activations as layers with a leading one.
    ///
    /// # Panics
    /// If there is no layer, the coefficient is not positive and finite, or there are neither as many
    /// activations as layers nor one fewer.
    pub(super) fn new(layers: Vec<L>, activations: Vec<LipSwish>, coefficient: f64) -> Self {
        check_coefficient(coefficient);
        let (count, found) = (layers.len(), activations.len());
        assert!(
            count > 0 && (found == count || found + 1 == count),
            "Contraction: expected {count} activations or one fewer for {count} layers, got {found}"
        );
        Self { layers, activations, coefficient }
    }

    /// The factor behind every layer.
    pub fn coefficient(&self) -> f64 {
        self.coefficient
    }

    /// The activation before a layer.
    fn activation(&self, layer: usize) -> Option<&LipSwish> {
        let without = self.layers.len() - self.activations.len();
        layer.checked_sub(without).map(|index| &self.activations[index])
    }

    fn run<const D: usize>(&self, composed: &[Tensor<D>], input: Tensor<D>) -> Tensor<D>
    where
        L: ContractiveLayer<D>,
    {
        let layers = self.layers.iter().zip(composed).enumerate();
        layers.fold(input, |x, (index, (layer, matrix))| {
            let x = self.activation(index).map_or(x.clone(), |activation| activation.forward(x));
            layer.forward_with(matrix.clone(), x).mul_scalar(self.coefficient)
        })
    }

    fn compose<const D: usize>(&self) -> Vec<Tensor<D>>
    where
        L: ContractiveLayer<D>,
    {
        self.layers.iter().map(L::composed).collect()
    }
}

/// Panics unless the factor behind the layers is positive and finite.
pub(super) fn check_coefficient(coefficient: f64) {
    assert!(
        coefficient > 0.0 && coefficient.is_finite(),
        "Contraction: coefficient must be positive and finite, got {coefficient}"
    );
}

/// The activations for a number of layers.
pub(super) fn activations(
    layers: usize,
    leading: bool,
    options: &burn::tensor::TensorCreationOptions,
) -> Vec<LipSwish> {
    let count = if leading { layers } else { layers.saturating_sub(1) };
    (0..count).map(|_| LipSwishConfig::new().init(options.clone())).collect()
}

impl<const D: usize, L: ContractiveLayer<D>> ResidualFunction<D> for Contraction<L> {
    type Pullback<'a>
        = Linearization<'a, L, D>
    where
        Self: 'a;

    fn forward(&self, input: Tensor<D>) -> Tensor<D> {
        self.run(&self.compose(), input)
    }

    fn linearize(&self, input: Tensor<D>) -> (Tensor<D>, Linearization<'_, L, D>) {
        let composed = self.compose();
        let mut slopes = Vec::with_capacity(self.layers.len());
        let mut x = input;
        for (index, (layer, matrix)) in self.layers.iter().zip(&composed).enumerate() {
            let (active, slope) = match self.activation(index) {
                Some(activation) => {
                    let (active, slope) = activation.with_slopes(x);
                    (active, Some(slope))
                }
                None => (x, None),
            };
            slopes.push(slope);
            x = layer.forward_with(matrix.clone(), active).mul_scalar(self.coefficient);
        }
        let factor = self.coefficient.powi(self.layers.len() as i32);
        (x, Linearization { layers: &self.layers, composed, slopes, factor })
    }

    fn lipschitz(&self) -> f64 {
        self.coefficient.powi(self.layers.len() as i32)
    }

    fn fixed(&self) -> impl Fn(Tensor<D>) -> Tensor<D> + '_ {
        let composed: Vec<Tensor<D>> = self.compose().into_iter().map(Tensor::detach).collect();
        move |input| self.run(&composed, input).detach()
    }
}

/// A [`Contraction`] at a point: `J^T = (A_0) W_1^T c A_1 W_2^T c ... W_m^T c`, with the slopes of the
/// activations on the diagonals of the `A`.
#[derive(Clone, Debug)]
pub struct Linearization<'a, L, const D: usize> {
    layers: &'a [L],
    composed: Vec<Tensor<D>>,
    slopes: Vec<Option<Tensor<D>>>,
    factor: f64,
}

impl<const D: usize, L: ContractiveLayer<D>> Pullback<D> for Linearization<'_, L, D> {
    fn apply(&self, cotangent: Tensor<D>) -> Tensor<D> {
        let layers = self.layers.iter().zip(&self.composed).zip(&self.slopes).rev();
        layers.fold(cotangent.mul_scalar(self.factor), |v, ((layer, matrix), slopes)| {
            let v = layer.pullback_with(matrix.clone(), v);
            match slopes {
                Some(slopes) => v * slopes.clone(),
                None => v,
            }
        })
    }

    fn detached(&self) -> Self {
        Self {
            layers: self.layers,
            composed: self.composed.iter().map(|matrix| matrix.clone().detach()).collect(),
            slopes: self.slopes.iter().map(|slope| slope.clone().map(Tensor::detach)).collect(),
            factor: self.factor,
        }
    }
}
