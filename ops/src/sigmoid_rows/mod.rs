//! Probabilities of features as shares of their row, in one pass.
//!
//! ```text
//! s = 1 / (1 + exp(-a)),   y[i][j] = s[i][j] / sum over j of s[i][j]
//! ```
//!
//! Composed of tensor operations this goes through memory some ten times and takes most of its time
//! in `exp`. On Flex it is one pass in place with a vectorized exponential, exact to a few units in
//! the last place.

// The extension names every backend, and Burn deprecates NdArray.
#![allow(deprecated)]

#[cfg(feature = "flex")]
mod kernel;

use burn::backend::get_or_init_device_settings;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

/// Sigmoid of every element, and rows over their sums; a row whose sum is 0 stays.
///
/// # Shapes
/// - logits: `[rows, columns]`
/// - output: `[rows, columns]`
///
/// # Panics
/// If `logits` carries autodiff: there is no gradient.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::sigmoid_rows::sigmoid_rows;
///
/// // Probabilities of 1/2 and 3/4.
/// let logits = Tensor::<2>::from_data([[0.0, 3f32.ln()]], &Device::flex());
/// let found = sigmoid_rows(logits).into_data();
/// for (found, expected) in found.iter::<f32>().zip([0.4, 0.6]) {
///     assert!((found - expected).abs() < 1e-6);
/// }
/// ```
pub fn sigmoid_rows(logits: Tensor<2>) -> Tensor<2> {
    assert!(
        !logits.is_autodiff(),
        "sigmoid_rows: logits must carry no autodiff, got a tensor on {:?}",
        logits.device()
    );
    Tensor::from_dispatch(<Dispatch as SigmoidBackend>::sigmoid_rows(logits.into_dispatch()))
}

/// The function on a backend's own tensors.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm")),
    Remote: cfg(feature = "remote")
)]
pub(crate) trait SigmoidBackend: Backend {
    fn sigmoid_rows(logits: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::<Self>(logits)
    }
}

#[cfg(feature = "ndarray")]
impl SigmoidBackend for burn::backend::NdArray {}

#[cfg(any(feature = "wgpu", feature = "cpu", feature = "cuda", feature = "rocm"))]
impl SigmoidBackend for burn::backend::Cube {}

#[cfg(feature = "remote")]
impl SigmoidBackend for burn::backend::Remote {}

fn composed<B: Backend>(logits: FloatTensor<B>) -> FloatTensor<B> {
    let settings = get_or_init_device_settings::<B>(&logits.device());
    let values = B::sigmoid(logits);
    let sums = B::float_sum_dim(values.clone(), 1);
    let empty = B::float_equal_elem(sums.clone(), 0.0.into(), settings.bool_dtype);
    B::float_div(values, B::float_mask_fill(sums, empty, 1.0.into()))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::activation::sigmoid;
    use burn::tensor::{DType, Device, TensorData};
    use proptest::prelude::*;

    fn tensor(values: Vec<f64>, shape: [usize; 2], dtype: DType) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
    }

    fn expected(logits: Tensor<2>) -> Vec<f64> {
        let values = sigmoid(logits);
        let sums = values.clone().sum_dim(1);
        (values / sums).into_data().iter::<f64>().collect()
    }

    proptest! {
        #[test]
        fn the_kernel_agrees_with_64_bits(
            rows in 0..5usize,
            columns in 0..70usize,
            start in -40.0..40.0f64,
        ) {
            let values = (0..rows * columns).map(|i| start + 60.0 * (i as f64 * 0.73).sin()).collect();
            let values: Vec<f64> = values;
            let shape = [rows, columns];
            let exact = match rows * columns {
                0 => Vec::new(),
                _ => expected(tensor(values.clone(), shape, DType::F64)),
            };
            let sums: Vec<f64> = values
                .chunks(columns.max(1))
                .map(|row| row.iter().map(|x| 1.0 / (1.0 + (-x).exp())).sum())
                .collect();
            // Logits rounded to 32 bits move a value by up to 4e-6 of itself, and its sigmoid ends at 1e-38.
            for (dtype, tolerance, least) in [(DType::F32, 1e-5, 1e-38), (DType::F64, 1e-14, 0.0)] {
                let found = sigmoid_rows(tensor(values.clone(), shape, dtype));
                prop_assert_eq!(found.dims(), shape);
                for (at, found) in found.into_data().iter::<f64>().enumerate() {
                    let (exact, sum) = (exact[at], sums[at / columns]);
                    prop_assert!((found - exact).abs() <= tolerance * exact + least / sum);
                }
            }
        }
    }

    #[test]
    fn extreme_logits_are_zero_and_one_and_nan_stays() {
        let logits = vec![f64::NEG_INFINITY, -200.0, 0.0, 200.0, f64::INFINITY];
        let found = sigmoid_rows(tensor(logits, [1, 5], DType::F32)).into_data();
        let found: Vec<f64> = found.iter::<f64>().collect();
        for (found, expected) in found.iter().zip([0.0, 0.0, 0.2, 0.4, 0.4]) {
            assert!((found - expected).abs() < 1e-7, "{found} for {expected}");
        }
        let found = sigmoid_rows(tensor(vec![f64::NAN, 1.0], [2, 1], DType::F32)).into_data();
        let found: Vec<f64> = found.iter::<f64>().collect();
        assert!(found[0].is_nan() && found[1] == 1.0);
    }

    #[test]
    fn another_holder_of_the_logits_keeps_them() {
        let logits = tensor(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3], DType::F32);
        let before = logits.to_data();
        let turned = sigmoid_rows(logits.clone().transpose()).into_data();
        let plain = expected(logits.clone().transpose());
        for (found, expected) in turned.iter::<f64>().zip(plain) {
            assert!((found - expected).abs() < 1e-6);
        }
        sigmoid_rows(logits.clone());
        assert_eq!(logits.into_data(), before);
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let values: Vec<f64> = (0..300 * 2000).map(|i| (i as f64 * 0.37).sin() * 9.0).collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let logits = || tensor(values.clone(), [300, 2000], DType::F32);
            pool.expect("a thread pool").install(|| sigmoid_rows(logits()).into_data())
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    #[should_panic(expected = "logits must carry no autodiff")]
    fn refuses_tracked_logits() {
        sigmoid_rows(Tensor::ones([1, 1], &Device::flex().autodiff()));
    }
}
