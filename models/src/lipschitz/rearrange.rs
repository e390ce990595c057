//! Permutations of entries: between groups of channels, between pixels and channels.

use burn::tensor::Tensor;

use super::channels_of;

/// Mixes groups of channels: `out[i g + q] = in[q C/g + i]`.
///
/// # Shapes
/// - input: `[batch, channels, ..]`
/// - output: the same
///
/// # Panics
/// If the channels are not a positive multiple of `groups`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::lipschitz::channel_shuffle;
///
/// let x = Tensor::<2>::from_data([[0.0, 1.0, 2.0, 3.0]], &Device::flex());
/// let y = channel_shuffle(x, 2).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(y, [0.0, 2.0, 1.0, 3.0]);
/// ```
pub fn channel_shuffle<const D: usize>(input: Tensor<D>, groups: usize) -> Tensor<D> {
    let channels = channels_of("channel_shuffle", &input);
    assert!(
        groups > 0 && channels > 0 && channels.is_multiple_of(groups),
        "channel_shuffle: channels must be a positive multiple of groups {groups}, got {channels}"
    );
    let shape = input.dims();
    let rest: usize = shape[2..].iter().product();
    let grouped = input.reshape([shape[0], groups, channels / groups, rest]);
    grouped.swap_dims(1, 2).reshape(shape)
}

/// Turns `factor x factor` pixels into channels, in the order channel, row, column.
///
/// # Shapes
/// - input: `[batch, channels, height, width]`
/// - output: `[batch, channels factor^2, height / factor, width / factor]`
///
/// # Panics
/// If the factor does not divide height and width.
pub fn pixel_unshuffle(input: Tensor<4>, factor: usize) -> Tensor<4> {
    let [batch, channels, height, width] = input.dims();
    assert!(
        factor > 0 && height.is_multiple_of(factor) && width.is_multiple_of(factor),
        "pixel_unshuffle: factor must divide height and width, got {factor} for {height}x{width}"
    );
    let (rows, columns) = (height / factor, width / factor);
    let cells = input.reshape([batch, channels, rows, factor, columns, factor]);
    let cells = cells.permute([0, 1, 3, 5, 2, 4]);
    cells.reshape([batch, channels * factor * factor, rows, columns])
}

/// The inverse of [`pixel_unshuffle`].
///
/// # Shapes
/// - input: `[batch, channels factor^2, height, width]`
/// - output: `[batch, channels, height factor, width factor]`
///
/// # Panics
/// If `factor^2` does not divide the channels.
pub fn pixel_shuffle(input: Tensor<4>, factor: usize) -> Tensor<4> {
    let [batch, channels, rows, columns] = input.dims();
    let square = factor * factor;
    assert!(
        factor > 0 && channels.is_multiple_of(square),
        "pixel_shuffle: channels must be a multiple of factor^2 = {square}, got {channels}"
    );
    let cells = input.reshape([batch, channels / square, factor, factor, rows, columns]);
    let cells = cells.permute([0, 1, 4, 2, 5, 3]);
    cells.reshape([batch, channels / square, rows * factor, columns * factor])
}
