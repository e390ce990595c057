//! The kernel on Flex's tensors.

use burn::backend::DType;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn_flex::Flex;

use super::backend::TanhBackend;
use super::kernel;

impl TanhBackend for Flex {
    fn fast_tanh(input: FloatTensor<Self>) -> FloatTensor<Self> {
        match input.dtype() {
            DType::F32 => {
                let mut values = input.to_contiguous();
                // Freed first, so that a tensor held by nobody else is written in place.
                drop(input);
                kernel::in_place(values.storage_mut::<f32>(), kernel::tanh_f32);
                values
            }
            DType::F64 => {
                let mut values = input.to_contiguous();
                drop(input);
                kernel::in_place(values.storage_mut::<f64>(), kernel::tanh_f64);
                values
            }
            _ => Self::float_tanh(input),
        }
    }
}
