//! Linear layers as layers of images.

use burn::module::{Module, ModuleDisplay, Param};
use burn::tensor::Tensor;

use super::geometry::check_channels;
use super::{OrthogonalLayer, OrthogonalLinear, bias};

/// A linear layer whose matrix is orthogonal, or becomes so by an iteration.
pub trait OrthogonalMatrix: Module + ModuleDisplay {
    /// The matrix, `[output, input]`.
    fn matrix(&self) -> Tensor<2>;

    /// Numbers of inputs and outputs, without computing the matrix.
    fn features(&self) -> [usize; 2];

    /// The bias, `[output]`.
    fn bias(&self) -> Option<&Param<Tensor<1>>>;

    /// Applies the layer to the last axis.
    ///
    /// # Shapes
    /// - input: `[.., input]`
    /// - output: `[.., output]`
    ///
    /// # Panics
    /// If the last axis has another length.
    fn apply<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let matrix = self.matrix();
        let [outputs, inputs] = matrix.dims();
        let mut shape = input.dims();
        check_channels("OrthogonalMatrix", shape[D - 1], inputs);
        let rows: usize = shape[..D - 1].iter().product();
        let mut output = input.reshape([rows, inputs]).matmul(matrix.transpose());
        if let Some(bias) = self.bias() {
            output = output + bias.val().unsqueeze::<2>();
        }
        shape[D - 1] = outputs;
        output.reshape(shape)
    }
}

/// A linear layer applied at every pixel: a convolution with a 1x1 kernel.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::orthogonal::alternatives::CayleyLinearConfig;
/// use firebrick_models::orthogonal::{OrthogonalLayer, Pointwise};
///
/// let device = Device::flex();
/// let layer = Pointwise { linear: CayleyLinearConfig::new(3, 5).init(&device) };
/// assert_eq!(layer.forward(Tensor::ones([2, 3, 4, 6], &device)).dims(), [2, 5, 4, 6]);
/// ```
#[derive(Module, Debug)]
pub struct Pointwise<M: Module> {
    /// The linear layer.
    pub linear: M,
}

impl<M: OrthogonalMatrix> OrthogonalLayer for Pointwise<M> {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        bias::added(self.forward_linear(input), self.linear.bias())
    }

    fn forward_linear(&self, input: Tensor<4>) -> Tensor<4> {
        let matrix = self.linear.matrix();
        let [batch, channels, height, width] = input.dims();
        let [outputs, inputs] = matrix.dims();
        check_channels("Pointwise", channels, inputs);
        let pixels = input.reshape([batch, channels, height * width]);
        matrix.unsqueeze::<3>().matmul(pixels).reshape([batch, outputs, height, width])
    }

    fn channels(&self) -> [usize; 2] {
        self.linear.features()
    }

    fn stride(&self) -> [usize; 2] {
        [1, 1]
    }
}

impl OrthogonalMatrix for OrthogonalLinear {
    fn matrix(&self) -> Tensor<2> {
        self.weight()
    }

    fn features(&self) -> [usize; 2] {
        self.features
    }

    fn bias(&self) -> Option<&Param<Tensor<1>>> {
        self.bias.as_ref()
    }
}
