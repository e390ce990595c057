//! Squares of pixels to channels and back; log-determinant 0.

use burn::tensor::Tensor;

/// `[batch, channels, height, width]` to `[batch, 4 channels, height / 2, width / 2]`; channel `4 c + 2 a + b`
/// holds the pixels of row parity `a` and column parity `b`.
///
/// # Panics
/// If a side is odd.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::{squeeze, unsqueeze};
///
/// let image = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 4.0]]]], &Device::flex());
/// let squeezed = squeeze(image.clone());
/// assert_eq!(squeezed.dims(), [1, 4, 1, 1]);
/// assert_eq!(unsqueeze(squeezed).into_data(), image.into_data());
/// ```
pub fn squeeze(images: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    assert!(
        height.is_multiple_of(2) && width.is_multiple_of(2),
        "squeeze: height and width must be even, got {height} and {width}"
    );
    images
        .reshape([batch, channels, height / 2, 2, width / 2, 2])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, 4 * channels, height / 2, width / 2])
}

/// The inverse of [`squeeze`].
///
/// # Panics
/// If the channels are not a multiple of 4.
pub fn unsqueeze(images: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    assert!(
        channels.is_multiple_of(4),
        "unsqueeze: channels must be a multiple of 4, got {channels}"
    );
    images
        .reshape([batch, channels / 4, 2, 2, height, width])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([batch, channels / 4, 2 * height, 2 * width])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    #[test]
    fn channels_hold_the_parities_of_pixels() {
        let device = Device::flex();
        let image = Tensor::<1, Int>::arange(0..48, &device).float().reshape([1, 2, 4, 6]);
        let squeezed = squeeze(image.clone());
        // Channel 1, odd row, even column: the pixels (1, 0), (1, 2), .. of the second image.
        let part = squeezed.clone().narrow(1, 6, 1).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(part, [30.0, 32.0, 34.0, 42.0, 44.0, 46.0]);
        assert_eq!(unsqueeze(squeezed).into_data(), image.into_data());
    }

    #[test]
    #[should_panic(expected = "height and width must be even, got 3 and 2")]
    fn refuses_odd_sides() {
        squeeze(Tensor::zeros([1, 1, 3, 2], &Device::flex()));
    }
}
