//! A value with a gradient that is known in closed form.
//!
//! Where a formula gives the gradient `g` of a scalar `L(x)`, recording the operations of `L` for
//! automatic differentiation is wasted work. The surrogate
//!
//! ```text
//! S(x) = sum(x * g) + constant,   constant = L - sum(x * g)
//! ```
//!
//! has the value `L` and the gradient `g`, and scales and adds up like `L` itself.

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
    assert!(
        input.dims() == gradient.dims(),
        "with_gradient: gradient must have the input's shape {:?}, got {:?}",
        input.dims(),
        gradient.dims()
    );
    assert!(
        !value.is_autodiff() && !gradient.is_autodiff(),
        "with_gradient: value and gradient must carry no autodiff; call `inner()` on them"
    );
    if !input.is_autodiff() {
        return value;
    }
    // Rounding of the value stays at one unit in the last place of the larger term.
    let constant = value - (input.clone().inner() * gradient.clone()).sum();
    (input * Tensor::from_inner(gradient)).sum() + Tensor::from_inner(constant)
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
}
