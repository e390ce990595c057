//! A value with a gradient that is known in closed form.
//!
//! Where a formula gives the gradient `g` of a scalar `L(x)`, recording the operations of `L` for
//! automatic differentiation is wasted work. The surrogate
//!
//! ```text
//! S(x) = sum(x * g) + constant,   constant = L - sum(x * g)
//! ```
//!
//! has the value `L` and the gradient `g`, and scales and adds up like `L` itself. Where row `i` of
//! `x` has a value `L_i` of its own, the same holds row by row.

use burn::tensor::Tensor;

/// A scalar with the given value whose gradient with respect to `input` is `gradient`.
///
/// If `input` is not tracked by autodiff, the value comes back unchanged.
///
/// # Shapes
/// - input: any
/// - value: `[1]`, without autodiff
/// - gradient: as the input, without autodiff
/// - output: `[1]`
///
/// # Panics
/// If `gradient` and `input` differ in shape, or if `value` or `gradient` carries autodiff: they
/// are constants, and a tracked one would add its own gradient.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::surrogate::with_gradient;
///
/// let x = Tensor::<1>::from_data([3.0], &Device::flex().autodiff()).require_grad();
/// let plain = x.clone().inner();
/// let square = with_gradient(x.clone(), plain.clone().powi_scalar(2), plain * 2.0);
/// let gradients = (square * 10.0).backward();
/// assert_eq!(x.grad(&gradients).unwrap().into_scalar::<f32>(), 60.0);
/// ```
pub fn with_gradient<const D: usize>(
    input: Tensor<D>,
    value: Tensor<1>,
    gradient: Tensor<D>,
) -> Tensor<1> {
    check("with_gradient", &input, &value, &gradient);
    if !input.is_autodiff() {
        return value;
    }
    // Rounding of the value stays at one unit in the last place of the larger term.
    let constant = value - (input.clone().inner() * gradient.clone()).sum();
    (input * Tensor::from_inner(gradient)).sum() + Tensor::from_inner(constant)
}

/// One value per row whose gradient with respect to that row of `input` is the row of `gradient`.
///
/// If `input` is not tracked by autodiff, the values come back unchanged.
///
/// # Shapes
/// - input: `[rows, columns]`
/// - values: `[rows]`, without autodiff
/// - gradient: `[rows, columns]`, without autodiff
/// - output: `[rows]`
///
/// # Panics
/// If a shape disagrees, or if `values` or `gradient` carries autodiff, as in [`with_gradient`].
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::surrogate::rows_with_gradient;
///
/// let x = Tensor::<2>::from_data([[3.0], [5.0]], &Device::flex().autodiff()).require_grad();
/// let plain = x.clone().inner();
/// let squares = plain.clone().powi_scalar(2).squeeze_dim::<1>(1);
/// let squares = rows_with_gradient(x.clone(), squares, plain * 2.0);
/// // The second row alone.
/// let gradients = squares.narrow(0, 1, 1).backward();
/// let found = x.grad(&gradients).unwrap().into_data();
/// assert_eq!(found.iter::<f32>().collect::<Vec<_>>(), [0.0, 10.0]);
/// ```
pub fn rows_with_gradient(input: Tensor<2>, values: Tensor<1>, gradient: Tensor<2>) -> Tensor<1> {
    check("rows_with_gradient", &input, &values, &gradient);
    let ([rows, _], [found]) = (input.dims(), values.dims());
    assert!(
        found == rows,
        "rows_with_gradient: values must have one entry per row, {rows}, got {found}"
    );
    if !input.is_autodiff() {
        return values;
    }
    let sums = |product: Tensor<2>| product.sum_dim(1).squeeze_dim::<1>(1);
    let constant = values - sums(input.clone().inner() * gradient.clone());
    sums(input * Tensor::from_inner(gradient)) + Tensor::from_inner(constant)
}

fn check<const D: usize>(name: &str, input: &Tensor<D>, value: &Tensor<1>, gradient: &Tensor<D>) {
    assert!(
        input.dims() == gradient.dims(),
        "{name}: gradient must have the input's shape {:?}, got {:?}",
        input.dims(),
        gradient.dims()
    );
    assert!(
        !value.is_autodiff() && !gradient.is_autodiff(),
        "{name}: value and gradient must carry no autodiff; call `inner()` on them"
    );
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    #[test]
    fn has_the_value_and_the_gradient_it_was_given() {
        let x = Tensor::<2>::from_data([[1.0, -2.0]], &Device::flex().autodiff()).require_grad();
        let plain = x.clone().inner();
        let value = plain.clone().powi_scalar(3).sum();
        let gradient = plain.powi_scalar(2) * 3.0;
        let output = with_gradient(x.clone(), value.clone(), gradient.clone());
        let tolerance = Tolerance::<f32>::absolute(1e-6);
        output.to_data().assert_approx_eq(&value.into_data(), tolerance);
        let found = x.grad(&output.backward()).unwrap();
        found.into_data().assert_approx_eq(&gradient.into_data(), tolerance);
    }

    #[test]
    fn returns_the_plain_value_for_a_plain_input() {
        let x = Tensor::<1>::from_data([2.0], &Device::flex());
        let output = with_gradient(x.clone(), x.clone() * 7.0, x);
        assert!(!output.is_autodiff());
        assert_eq!(output.into_scalar::<f32>(), 14.0);
    }

    #[test]
    #[should_panic(expected = "must carry no autodiff")]
    fn refuses_a_tracked_gradient() {
        let x = Tensor::<1>::from_data([2.0], &Device::flex().autodiff()).require_grad();
        with_gradient(x.clone(), x.clone().inner(), x);
    }

    #[test]
    fn every_row_has_its_own_value_and_gradient() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([[1.0, -2.0], [0.5, 3.0]], &device).require_grad();
        let plain = x.clone().inner();
        let values = plain.clone().powi_scalar(3).sum_dim(1).squeeze_dim::<1>(1);
        let gradient = plain.powi_scalar(2) * 3.0;
        let output = rows_with_gradient(x.clone(), values.clone(), gradient);
        let tolerance = Tolerance::<f32>::absolute(1e-5);
        output.to_data().assert_approx_eq(&values.into_data(), tolerance);
        let weights = Tensor::<1>::from_data([1.0, 10.0], &device);
        let found = x.grad(&(output * weights).sum().backward()).unwrap().into_data();
        let expected = Tensor::<2>::from_data([[3.0, 12.0], [7.5, 270.0]], &Device::flex());
        found.assert_approx_eq(&expected.into_data(), tolerance);
    }

    #[test]
    #[should_panic(expected = "one entry per row, 2, got 1")]
    fn refuses_values_that_are_not_one_per_row() {
        let x = Tensor::<2>::ones([2, 3], &Device::flex());
        rows_with_gradient(x.clone(), Tensor::ones([1], &Device::flex()), x);
    }

    #[test]
    #[should_panic(expected = "the input's shape [2, 3], got [2, 2]")]
    fn refuses_a_gradient_of_another_shape() {
        let device = Device::flex();
        let x = Tensor::<2>::ones([2, 3], &device);
        with_gradient(x, Tensor::ones([1], &device), Tensor::ones([2, 2], &device));
    }
}
