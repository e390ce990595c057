//! The cell `phi(z W^T + u)`.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::activation::Activation;
use super::cell::{DeqCell, Linearization};
use super::plain::without_autodiff;

/// The map `f(z, u) = phi(z W^T + u)` with its derivatives in closed form.
///
/// ```text
/// J v = phi'(a) * (v W^T),   J^T g = (phi'(a) * g) W,   a = z W^T + u
/// ```
///
/// `u` is the injection, such as `x U^T + b`, computed once for all evaluations; gradients run through it to
/// what made it. [`DeqLayer`](super::DeqLayer) has both.
///
/// # Example
/// ```
/// use burn::module::Param;
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::deq::{Activation, AffineCell, DeqConfig};
///
/// let device = Device::flex().autodiff();
/// let w = Tensor::<2>::from_data([[0.0, 0.5], [0.5, 0.0]], &device);
/// let cell = AffineCell::new(Param::from_tensor(w), Activation::Identity);
/// let output = DeqConfig::new().init().forward(&cell, Tensor::ones([1, 2], &device));
/// // z = 0.5 z + 1
/// assert!((output.state.mean().into_scalar::<f32>() - 2.0).abs() < 1e-4);
/// ```
#[derive(Module, Debug)]
pub struct AffineCell {
    /// `W`, `[width, width]`: row `i` makes entry `i` of the image.
    pub weight: Param<Tensor<2>>,
    #[module(skip)]
    activation: Activation,
}

impl AffineCell {
    /// The cell of a matrix.
    ///
    /// # Panics
    /// If the matrix is not square.
    pub fn new(weight: Param<Tensor<2>>, activation: Activation) -> Self {
        let [rows, columns] = weight.val().dims();
        assert!(
            rows == columns && rows > 0,
            "AffineCell: weight must be square and not empty, got {rows}x{columns}"
        );
        Self { weight, activation }
    }

    /// The activation.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// `z W^T + u`, as `(W z^T)^T + u`: of the two operands the product walks across, the small one is
    /// the state.
    fn before(&self, state: Tensor<2>, input: &Tensor<2>) -> Tensor<2> {
        self.weight.val().matmul(state.transpose()).transpose() + input.clone()
    }
}

impl DeqCell for AffineCell {
    type State = Tensor<2>;
    type Input = Tensor<2>;

    fn evaluate(&self, state: Tensor<2>, input: &Tensor<2>) -> Tensor<2> {
        self.activation.apply(self.before(state, input))
    }

    fn start(&self, input: &Tensor<2>) -> Tensor<2> {
        input.clone().without_autodiff().zeros_like()
    }

    fn plain(&self) -> Self {
        without_autodiff(self)
    }

    fn linearize(
        &self,
        state: &Tensor<2>,
        input: &Tensor<2>,
    ) -> Option<Box<dyn Linearization<Tensor<2>>>> {
        let slope = match self.activation {
            Activation::Identity => None,
            activation => activation.slope(self.before(state.clone(), input)),
        };
        Some(Box::new(AffineLinearization { weight: self.weight.val(), slope }))
    }
}

struct AffineLinearization {
    weight: Tensor<2>,
    slope: Option<Tensor<2>>,
}

impl Linearization<Tensor<2>> for AffineLinearization {
    fn vjp(&self, cotangent: Tensor<2>) -> Tensor<2> {
        let scaled = match &self.slope {
            Some(slope) => cotangent * slope.clone(),
            None => cotangent,
        };
        scaled.matmul(self.weight.clone())
    }

    fn jvp(&self, tangent: Tensor<2>) -> Tensor<2> {
        let image = tangent.matmul(self.weight.clone().transpose());
        match &self.slope {
            Some(slope) => image * slope.clone(),
            None => image,
        }
    }
}
