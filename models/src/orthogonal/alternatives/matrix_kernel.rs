//! Convolution of kernels whose taps are matrices.

use burn::tensor::{Tensor, s};

/// `(X * Y)[i, j] = sum_{a, b} X[a, b] Y[i - a, j - b]`, a matrix product in every term.
///
/// The kernel of two convolutions in sequence, `Y` first.
///
/// # Shapes
/// - left: `[h, w, m, n]`
/// - right: `[h', w', n, p]`
/// - output: `[h + h' - 1, w + w' - 1, m, p]`
pub(super) fn convolve(left: Tensor<4>, right: Tensor<4>) -> Tensor<4> {
    let [h, w, m, n] = left.dims();
    let [rows, columns, _, p] = right.dims();
    let shape = [h + rows - 1, w + columns - 1, m, p];
    // One product: the taps of `left` below each other, those of `right` side by side.
    let stacked = left.reshape([h * w * m, n]);
    let beside = right.permute([2, 0, 1, 3]).reshape([n, rows * columns * p]);
    let products = stacked.matmul(beside).reshape([h, w, m, rows * columns, p]);
    let mut sum = Tensor::zeros(shape, (&products.device(), products.dtype()));
    for tap in 0..rows * columns {
        let (a, b) = (tap / columns, tap % columns);
        let product = products.clone().narrow(3, tap, 1).squeeze_dim::<4>(3);
        let place = s![a..a + h, b..b + w, .., ..];
        let known = sum.clone().slice(place);
        sum = sum.slice_assign(place, known + product);
    }
    sum
}

/// The kernel of a convolution `[out, in, height, width]` from taps `[height, width, out, in]`.
pub(super) fn to_convolution(taps: Tensor<4>) -> Tensor<4> {
    taps.permute([2, 3, 0, 1])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};

    #[test]
    fn of_single_channels_is_the_product_of_polynomials() {
        let device = Device::flex();
        let left = Tensor::<1>::from_data([1.0, 2.0], &device).reshape([1, 2, 1, 1]);
        let right = Tensor::<1>::from_data([3.0, 5.0, 7.0], &device).reshape([1, 3, 1, 1]);
        let found = convolve(left, right);
        assert_eq!(found.dims(), [1, 4, 1, 1]);
        assert_eq!(found.into_data().try_to_vec::<f32>().unwrap(), [3.0, 11.0, 17.0, 14.0]);
    }
}
