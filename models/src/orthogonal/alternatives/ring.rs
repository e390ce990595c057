//! Convolutions on a ring: circular padding by any amount, and its adjoint.

use burn::module::Param;
use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, s};

/// Stride, dilation and groups of a convolution on a ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) groups: usize,
}

impl Geometry {
    pub(super) const PLAIN: Self = Self { stride: 1, dilation: 1, groups: 1 };

    /// Pixels in front of and behind the image, for a kernel of this size.
    fn padding(self, kernel_size: usize) -> (usize, usize) {
        let extent = self.dilation * (kernel_size - 1) + 1;
        let front = extent / 2 - self.stride / 2;
        (front, extent - self.stride - front)
    }

    /// Cross-correlation with circular padding: `[b, in, h, w] -> [b, out, h / s, w / s]`.
    pub(super) fn correlate(self, name: &str, input: Tensor<4>, kernel: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = input.dims();
        let [_, inputs, rows, columns] = kernel.dims();
        assert_inputs(name, inputs * self.groups, channels);
        let divides = height.is_multiple_of(self.stride) && width.is_multiple_of(self.stride);
        assert!(
            divides && height > 0 && width > 0,
            "{name}: the stride {} must divide the image, which must not be empty, got \
             {height}x{width}",
            self.stride
        );
        let padded = wrap(wrap(input, 2, self.padding(rows)), 3, self.padding(columns));
        let (stride, dilation) = ([self.stride; 2], [self.dilation; 2]);
        conv2d(padded, kernel, None, ConvOptions::new(stride, [0, 0], dilation, self.groups))
    }

    /// The adjoint of [`correlate`](Self::correlate): `[b, out, h, w] -> [b, in, h s, w s]`.
    pub(super) fn adjoint(self, name: &str, input: Tensor<4>, kernel: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = input.dims();
        let [outputs, _, rows, columns] = kernel.dims();
        assert_inputs(name, outputs, channels);
        let (stride, dilation) = ([self.stride; 2], [self.dilation; 2]);
        let options = ConvTransposeOptions::new(stride, [0, 0], [0, 0], dilation, self.groups);
        let spread = conv_transpose2d(input, kernel, None, options);
        let size = [height * self.stride, width * self.stride];
        let folded = fold(spread, 2, size[0], self.padding(rows).0);
        fold(folded, 3, size[1], self.padding(columns).0)
    }
}

pub(super) fn assert_inputs(name: &str, expected: usize, found: usize) {
    assert!(expected == found, "{name}: input must have {expected} channels, got {found}");
}

/// Continues an axis periodically, `front` entries before and `back` behind.
fn wrap(input: Tensor<4>, axis: usize, (front, back): (usize, usize)) -> Tensor<4> {
    let size = input.dims()[axis];
    if front + back == 0 {
        return input;
    }
    let mut pieces = Vec::new();
    // Positions are counted from a multiple of the size before the first entry.
    let (mut at, end) = (front.div_ceil(size) * size - front, 0);
    let mut left = front + size + back;
    while left > end {
        let start = at % size;
        let length = (size - start).min(left);
        pieces.push(input.clone().narrow(axis, start, length));
        at += length;
        left -= length;
    }
    Tensor::cat(pieces, axis)
}

/// Adds up the entries of an axis that lie on the same place of a ring of the given size, where
/// entry `front` lies on the first place.
fn fold(input: Tensor<4>, axis: usize, size: usize, front: usize) -> Tensor<4> {
    let length = input.dims()[axis];
    let before = front.div_ceil(size) * size - front;
    let turns = (before + length).div_ceil(size);
    let mut shape = input.dims();
    shape[axis] = turns * size;
    let from = before..before + length;
    let zeros = Tensor::zeros(shape, (&input.device(), input.dtype()));
    let slices = if axis == 2 { s![.., .., from, ..] } else { s![.., .., .., from] };
    let unrolled = zeros.slice_assign(slices, input);
    let turn = |index: usize| unrolled.clone().narrow(axis, index * size, size);
    (1..turns).fold(turn(0), |sum, index| sum + turn(index))
}

/// Adds a value to every channel.
pub(super) fn add_bias(output: Tensor<4>, bias: &Option<Param<Tensor<1>>>) -> Tensor<4> {
    match bias {
        Some(bias) => {
            let bias = bias.val();
            let [channels] = bias.dims();
            output + bias.reshape([1, channels, 1, 1])
        }
        None => output,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Int};
    use proptest::prelude::*;

    #[test]
    fn wraps_around_more_than_once() {
        let row = Tensor::<1, Int>::arange(0..3, &Device::flex()).float().reshape([1, 1, 1, 3]);
        let found = wrap(row, 3, (4, 5)).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(found, [2., 0., 1., 2., 0., 1., 2., 0., 1., 2., 0., 1.]);
    }

    fn wave<const D: usize>(shape: [usize; D], seed: usize) -> Tensor<D> {
        let count: usize = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|i| ((i + 31 * seed) as f64 * 0.73).sin()).collect();
        Tensor::from_data(
            burn::tensor::TensorData::new(values, shape),
            (&Device::flex(), DType::F64),
        )
    }

    proptest! {
        #[test]
        fn adjoint_is_the_transposed_map(
            kernel in 1usize..6, stride in 1usize..4, dilation in 1usize..3, groups in 1usize..3,
            cells in (1usize..4, 1usize..4),
        ) {
            prop_assume!(kernel >= stride && (stride == 1 || dilation == 1));
            let geometry = Geometry { stride, dilation, groups };
            let weight = wave([3 * groups, 2, kernel, kernel], 1);
            let x = wave([2, 2 * groups, cells.0 * stride, cells.1 * stride], 2);
            let y = wave([2, 3 * groups, cells.0, cells.1], 3);
            let there = geometry.correlate("test", x.clone(), weight.clone());
            let back = geometry.adjoint("test", y.clone(), weight);
            let left = (there * y).sum().into_scalar::<f64>();
            let right = (back * x).sum().into_scalar::<f64>();
            prop_assert!((left - right).abs() < 1e-10 * (1.0 + left.abs()), "{left} and {right}");
        }
    }
}
