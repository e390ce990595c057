//! Float types of modules.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        parameter.map(|value| {
            if value.dtype() == self.0 {
                return value;
            }
            let tracked = value.is_require_grad();
            if !value.is_autodiff() {
                return value.cast(self.0);
            }
            Tensor::from_inner(value.inner().cast(self.0)).set_require_grad(tracked)
        })
    }
}

/// The module with its float parameters in another float type, for instance to evaluate in 64 bits what was
/// trained in 32. Parameters keep their ids, and stay trainable or not.
///
/// Fixed orthogonal matrices that were rounded to a narrower type are made orthogonal again when they are
/// widened. Constants that are not parameters stay as they are.
///
/// # Panics
/// If `dtype` is not a float type, or one that the device does not have: NdArray and Flex have
/// [`DType::F64`], WebGPU does not.
///
/// # Example
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{DType, Device};
/// use firebrick_models::precision::cast;
///
/// let layer = cast(LinearConfig::new(2, 3).init(&Device::flex()), DType::F64);
/// assert_eq!(layer.weight.val().dtype(), DType::F64);
/// ```
pub fn cast<M: Module>(module: M, dtype: DType) -> M {
    assert!(dtype.is_float(), "cast: dtype must be a float type, got {dtype:?}");
    module.map(&mut Cast(dtype))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::orthogonal::OrthogonalLinearConfig;

    #[test]
    fn widened_orthogonal_layers_are_orthogonal_in_64_bits() {
        let device = Device::flex();
        let layer = OrthogonalLinearConfig::new(12, 12).with_seed(Some(1)).init(&device);
        let input = Tensor::<2>::random([5, 12], Distribution::Default, &device);
        let narrow = layer.forward(input.clone());
        let input = input.cast(DType::F64);
        let layer = cast(layer, DType::F64);
        let output = layer.forward(input.clone());
        let length = |x: Tensor<2>| x.powi_scalar(2).sum_dim(1).sqrt();
        let bias = layer.forward(Tensor::zeros([5, 12], (&device, DType::F64)));
        let change = length(output.clone() - bias) - length(input);
        assert!(change.abs().max().into_scalar::<f64>() < 1e-13);
        let rounding = (output - narrow.cast(DType::F64)).abs().max().into_scalar::<f64>();
        assert!(rounding < 1e-5, "{rounding}");
    }

    #[test]
    fn trainable_parameters_stay_trainable_and_keep_their_ids() {
        let device = Device::flex().autodiff();
        let layer = burn::nn::LinearConfig::new(2, 3).init(&device);
        let (weight, bias) = (layer.weight.id, layer.bias.as_ref().map(|bias| bias.id));
        let layer = cast(layer, DType::F64);
        assert_eq!((layer.weight.id, layer.bias.as_ref().map(|bias| bias.id)), (weight, bias));
        assert!(layer.weight.is_require_grad());
        let loss = layer.forward(Tensor::<2>::ones([1, 2], (&device, DType::F64))).sum();
        let gradient = layer.weight.val().grad(&loss.backward()).expect("the weight is tracked");
        assert_eq!(gradient.dtype(), DType::F64);
    }

    #[test]
    #[should_panic(expected = "cast: dtype must be a float type, got I32")]
    fn refuses_integers() {
        cast(burn::nn::LinearConfig::new(2, 3).init(&Device::flex()), DType::I32);
    }
}
