//! Biases of layers whose channels are the second axis.

use burn::module::Param;
use burn::tensor::{Tensor, TensorCreationOptions};

/// A bias of zeros.
pub(super) fn zeros(size: usize, options: &TensorCreationOptions) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::zeros([size], options.clone()))
}

/// The output with its bias.
pub(super) fn added<const D: usize>(
    output: Tensor<D>,
    bias: Option<&Param<Tensor<1>>>,
) -> Tensor<D> {
    match bias {
        Some(bias) => output + along_channels(bias),
        None => output,
    }
}

/// The output without its bias.
pub(super) fn removed<const D: usize>(
    output: Tensor<D>,
    bias: Option<&Param<Tensor<1>>>,
) -> Tensor<D> {
    match bias {
        Some(bias) => output - along_channels(bias),
        None => output,
    }
}

fn along_channels<const D: usize>(bias: &Param<Tensor<1>>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[1] = bias.dims()[0];
    bias.val().reshape(shape)
}
