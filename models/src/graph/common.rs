//! What the layers share.

use burn::module::Param;
use burn::nn::{Dropout, Initializer};
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::Features;

/// Glorot's uniform start, `U(-a, a)` with `a = sqrt(6 / (in + out))`.
pub(super) fn glorot(d_input: usize, d_output: usize, device: &Device) -> Param<Tensor<2>> {
    let glorot = Initializer::XavierUniform { gain: 1.0 };
    glorot.init_with([d_input, d_output], Some(d_input), Some(d_output), device)
}

/// A bias of zeros.
pub(super) fn zeros(size: usize, device: &Device) -> Param<Tensor<1>> {
    Initializer::Zeros.init([size], device)
}

pub(super) fn biased(x: Tensor<2>, bias: &Option<Param<Tensor<1>>>) -> Tensor<2> {
    match bias {
        Some(bias) => x + bias.val().unsqueeze(),
        None => x,
    }
}

/// Dropout of features while the weight they meet is trained, whatever device they are on.
pub(super) fn drop_features(dropout: &Dropout, x: Features, weight: &Param<Tensor<2>>) -> Features {
    match dropout.training.is_enabled() && weight.val().device().is_autodiff() {
        true => x.dropout(dropout.prob),
        false => x,
    }
}

/// `x` above 0, `exp(x) - 1` below, without overflow in the branch that is not taken.
pub(super) fn elu(x: Tensor<2>) -> Tensor<2> {
    let negative = x.clone().clamp_max(0.0).exp().sub_scalar(1.0);
    burn::tensor::activation::relu(x) + negative
}

pub(super) fn check_features(name: &str, x: &Features, d_input: usize) {
    let [_, found] = x.dims();
    assert!(found == d_input, "{name}: x must have {d_input} features, got {found}");
}

pub(super) fn check_positive(name: &str, sizes: &[(&str, usize)]) {
    for (what, size) in sizes {
        assert!(*size > 0, "{name}: {what} must be positive, got {size}");
    }
}
