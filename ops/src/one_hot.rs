//! One-hot rows from integer labels, without a host read.
//!
//! `rows[i, k] = 1` where `labels[i] = k`, else `0`. Burn's own `one_hot` reads the labels back to
//! the host; this one compares with a range on the device, so it may stand inside a training loop.

use burn::tensor::{Bool, DType, Int, Tensor};

/// Labels as rows of zeros and ones.
///
/// A label outside `0..num_classes` gives a row of zeros.
///
/// # Shapes
/// - labels: `[batch]`
/// - output: `[batch, num_classes]`, of the float type `dtype`, without autodiff
///
/// # Panics
/// If `num_classes` is zero or `dtype` is no float type.
///
/// # Example
/// ```
/// use burn::tensor::{DType, Device, Int, Tensor};
/// use firebrick_ops::one_hot::one_hot;
///
/// let labels = Tensor::<1, Int>::from_data([1, 0], &Device::flex());
/// let rows = one_hot(labels, 2, DType::F32);
/// assert_eq!(rows.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 1.0, 0.0]);
/// ```
pub fn one_hot(labels: Tensor<1, Int>, num_classes: usize, dtype: DType) -> Tensor<2> {
    assert!(num_classes > 0, "one_hot: num_classes must be positive, got 0");
    assert!(dtype.is_float(), "one_hot: dtype must be a float type, got {dtype:?}");
    if labels.dims()[0] == 0 {
        // Burn's `expand` refuses a length of zero.
        return Tensor::empty([0, num_classes], (&labels.device().inner(), dtype));
    }
    mask(labels, num_classes).float().cast(dtype)
}

/// Where the class of a column is the label of the row.
///
/// A label outside `0..num_classes` gives a row of `false`.
///
/// # Shapes
/// - labels: `[batch]`
/// - output: `[batch, num_classes]`, without autodiff
///
/// # Panics
/// If `num_classes` is zero or there are no labels.
pub fn mask(labels: Tensor<1, Int>, num_classes: usize) -> Tensor<2, Bool> {
    let labels = labels.without_autodiff();
    let [batch] = labels.dims();
    assert!(
        batch > 0 && num_classes > 0,
        "one_hot::mask: expected labels and classes, got {batch} and {num_classes}"
    );
    let classes =
        Tensor::<1, Int>::arange(0..num_classes as i64, (&labels.device(), labels.dtype()));
    let given = labels.reshape([batch, 1]).expand([batch, num_classes]);
    given.equal(classes.reshape([1, num_classes]).expand([batch, num_classes]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn marks_the_class_of_each_label() {
        let labels = Tensor::<1, Int>::from_data([2, 0, 1], &Device::flex());
        let rows = one_hot(labels, 3, DType::F64);
        let expected = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        assert_eq!(rows.into_data().try_to_vec::<f64>().unwrap(), expected);
    }

    #[test]
    fn gives_zeros_for_labels_outside_the_range() {
        let labels = Tensor::<1, Int>::from_data([-1, 2], &Device::flex());
        let rows = one_hot(labels, 2, DType::F32);
        assert_eq!(rows.into_data().try_to_vec::<f32>().unwrap(), [0.0; 4]);
    }

    #[test]
    fn accepts_an_empty_batch_and_labels_of_an_autodiff_device() {
        let device = Device::flex().autodiff();
        let labels = Tensor::<1, Int>::from_data([0; 0], &device);
        assert_eq!(one_hot(labels, 4, DType::F32).dims(), [0, 4]);
        let labels = Tensor::<1, Int>::from_data([1], &device);
        assert!(!one_hot(labels, 4, DType::F32).is_autodiff());
    }
}
