//! Circular padding of images and its adjoint.
//!
//! ```text
//! pad:   y[i] = x[(i - front) mod n],   i = 0 .. front + n + back
//! fold:  x[j] = sum of y[i] over all i with (i - front) mod n = j
//! ```
//!
//! Padding may exceed the image: it then wraps several times. `fold` is the transpose of `pad`, so
//! that each is the gradient of the other.

use burn::tensor::{Tensor, TensorData};

/// Pads the last two axes periodically.
///
/// # Shapes
/// - images: `[batch, channels, height, width]`
/// - output: `[batch, channels, front[0] + height + back[0], front[1] + width + back[1]]`
///
/// # Panics
/// If the image is empty where it is to be padded.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::circular::circular_pad;
///
/// let image = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0]]]], &Device::flex());
/// let padded = circular_pad(image, [0, 1], [0, 2]);
/// assert_eq!(padded.into_data().try_to_vec::<f32>().unwrap(), [3., 1., 2., 3., 1., 2.]);
/// ```
pub fn circular_pad(images: Tensor<4>, front: [usize; 2], back: [usize; 2]) -> Tensor<4> {
    // The inner axis first: it moves the smaller tensor through the slower copies.
    let images = pad_axis(images, 3, front[1], back[1]);
    pad_axis(images, 2, front[0], back[0])
}

/// The adjoint of [`circular_pad`]: adds the padding back to the pixels that it repeats.
///
/// # Shapes
/// - padded: `[batch, channels, front[0] + height + back[0], front[1] + width + back[1]]`
/// - output: `[batch, channels, height, width]`
///
/// # Panics
/// If the padding leaves no image.
pub fn circular_fold(padded: Tensor<4>, front: [usize; 2], back: [usize; 2]) -> Tensor<4> {
    let padded = fold_axis(padded, 2, front[0], back[0]);
    fold_axis(padded, 3, front[1], back[1])
}

fn pad_axis(images: Tensor<4>, axis: usize, front: usize, back: usize) -> Tensor<4> {
    let size = images.dims()[axis];
    if front + back == 0 {
        return images;
    }
    assert!(size > 0, "circular_pad: images must not be empty, got {:?}", images.dims());
    if front <= size && back <= size {
        let mut parts = Vec::with_capacity(3);
        if front > 0 {
            parts.push(images.clone().narrow(axis, size - front, front));
        }
        parts.push(images.clone());
        if back > 0 {
            parts.push(images.narrow(axis, 0, back));
        }
        return Tensor::cat(parts, axis);
    }
    let indices: Vec<i64> = (0..front + size + back)
        .map(|i| ((i + size * front.div_ceil(size) - front) % size) as i64)
        .collect();
    let indices = TensorData::new(indices, [front + size + back]);
    let indices = Tensor::from_data(indices, &images.device());
    images.select(axis, indices)
}

fn fold_axis(padded: Tensor<4>, axis: usize, front: usize, back: usize) -> Tensor<4> {
    let shape = padded.dims();
    if front + back == 0 {
        return padded;
    }
    let length = shape[axis];
    assert!(
        length > front + back,
        "circular_fold: padded must be longer than its padding {front} + {back}, got {length}"
    );
    let size = length - front - back;
    // With zeros in front the pixels line up with the multiples of the period.
    let zeros = |count: usize| {
        let mut shape = shape;
        shape[axis] = count;
        Tensor::<4>::zeros(shape, (&padded.device(), padded.dtype()))
    };
    let lead = (size - front % size) % size;
    let periods = (lead + length).div_ceil(size);
    let trail = periods * size - lead - length;
    let mut parts = Vec::with_capacity(3);
    if lead > 0 {
        parts.push(zeros(lead));
    }
    let tail = (trail > 0).then(|| zeros(trail));
    parts.push(padded);
    parts.extend(tail);
    let aligned = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, axis) };
    (0..periods)
        .map(|period| aligned.clone().narrow(axis, period * size, size))
        .reduce(|sum, part| sum + part)
        .expect("there is at least one period")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device};
    use proptest::prelude::*;

    fn wave(shape: [usize; 4], speed: f64) -> Tensor<4> {
        let values: Vec<f64> =
            (0..shape.iter().product()).map(|i: usize| (i as f64 * speed).sin()).collect();
        Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), DType::F64))
    }

    fn numbers(tensor: Tensor<4>) -> Vec<f64> {
        tensor.into_data().iter().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn padding_reads_modulo_the_size_and_folding_is_its_transpose(
            size in [1usize..5, 1usize..5], front in [0usize..8, 0usize..8], back in [0usize..8, 0usize..8],
        ) {
            let x = wave([2, 3, size[0], size[1]], 0.73);
            let padded = circular_pad(x.clone(), front, back);
            let length = [0, 1].map(|a| front[a] + size[a] + back[a]);
            prop_assert_eq!(padded.dims(), [2, 3, length[0], length[1]]);
            let (source, found) = (numbers(x.clone()), numbers(padded.clone()));
            for (index, value) in found.iter().enumerate() {
                let (i, j) = (index / length[1] % length[0], index % length[1]);
                let image = index / (length[0] * length[1]);
                let wrap = |i: usize, a: usize| (i + 8 * size[a] - front[a]) % size[a];
                prop_assert_eq!(*value, source[(image * size[0] + wrap(i, 0)) * size[1] + wrap(j, 1)]);
            }
            let y = wave([2, 3, length[0], length[1]], 0.31);
            let left = (padded * y.clone()).sum().into_scalar::<f64>();
            let right = (x * circular_fold(y, front, back)).sum().into_scalar::<f64>();
            prop_assert!((left - right).abs() < 1e-12 * (1.0 + left.abs()));
        }
    }

    #[test]
    fn gradients_are_the_adjoints() {
        for (front, back) in [([1, 2], [2, 0]), ([5, 0], [0, 7])] {
            let x = Tensor::from_inner(wave([1, 2, 3, 4], 0.7)).require_grad();
            let padded = circular_pad(x.clone(), front, back);
            let cotangent = wave(padded.dims(), 0.2);
            let loss = (padded * Tensor::from_inner(cotangent.clone())).sum();
            let found = numbers(x.grad(&loss.backward()).unwrap());
            let expected = numbers(circular_fold(cotangent.clone(), front, back));
            for (a, b) in expected.iter().zip(&found) {
                assert!((a - b).abs() < 1e-14);
            }
            let y = Tensor::from_inner(cotangent).require_grad();
            let folded = circular_fold(y.clone(), front, back);
            let loss = (folded * Tensor::from_inner(wave([1, 2, 3, 4], 0.7))).sum();
            let found = numbers(y.grad(&loss.backward()).unwrap());
            assert_eq!(found, numbers(circular_pad(wave([1, 2, 3, 4], 0.7), front, back)));
        }
    }

    #[test]
    #[should_panic(expected = "longer than its padding 2 + 1, got 3")]
    fn folding_refuses_padding_without_an_image() {
        circular_fold(wave([1, 1, 3, 1], 1.0), [2, 0], [1, 0]);
    }
}
