//! The kernel on Flex's tensors.

use burn::backend::tensor::FloatTensor;
use burn::backend::{DType, TensorData};
use burn_flex::{Flex, FlexTensor};

use super::AdaiCoefficients;
use super::backend::{AdaiBackend, AdaiInput, AdaiOutput, composed_square_sum, composed_step};
use super::kernel::{self, Slices};

impl AdaiBackend for Flex {
    fn adai_step(input: AdaiInput<Self>, coefficients: AdaiCoefficients) -> AdaiOutput<Self> {
        match input.parameter.dtype() {
            DType::F32 => step_f32(input, &coefficients),
            DType::F64 => step_f64(input, &coefficients),
            _ => composed_step(input, &coefficients),
        }
    }

    fn adai_square_sum(
        gradient: FloatTensor<Self>,
        parameter: FloatTensor<Self>,
        penalty: f64,
    ) -> FloatTensor<Self> {
        match gradient.dtype() {
            DType::F32 => square_sum_f32(gradient, parameter, penalty),
            DType::F64 => square_sum_f64(gradient, parameter, penalty),
            _ => composed_square_sum::<Self>(gradient, parameter, penalty),
        }
    }
}

/// A tensor that is the whole of its storage in row-major order; a copy only if it was not. Its
/// `storage_mut` copies if another tensor holds the same storage.
fn whole(tensor: FlexTensor) -> FlexTensor {
    // Consumed, so that a tensor which needs no copy is not counted as shared.
    tensor.to_contiguous()
}

macro_rules! typed {
    ($float:ty, $step:ident, $square_sum:ident) => {
        fn $step(input: AdaiInput<Flex>, coefficients: &AdaiCoefficients) -> AdaiOutput<Flex> {
            let mut parameter = whole(input.parameter);
            let gradient = whole(input.gradient);
            let mut moment_1 = whole(input.moment_1);
            let mut moment_2 = whole(input.moment_2);
            let mut correction = whole(input.correction);
            let inverse_mean = whole(input.inverse_mean).storage::<$float>()[0];
            let slices = Slices {
                parameter: parameter.storage_mut::<$float>(),
                gradient: gradient.storage::<$float>(),
                moment_1: moment_1.storage_mut::<$float>(),
                moment_2: moment_2.storage_mut::<$float>(),
                correction: correction.storage_mut::<$float>(),
            };
            let sum = kernel::step(slices, inverse_mean, coefficients);
            let moment_2_sum = FlexTensor::from_data(TensorData::new(vec![sum as $float], [1]));
            AdaiOutput { parameter, moment_1, moment_2, correction, moment_2_sum }
        }

        fn $square_sum(gradient: FlexTensor, parameter: FlexTensor, penalty: f64) -> FlexTensor {
            let gradient = whole(gradient);
            let sum = if penalty == 0.0 {
                kernel::square_sum(gradient.storage::<$float>(), None)
            } else {
                let parameter = whole(parameter);
                let penalized = Some((parameter.storage::<$float>(), penalty));
                kernel::square_sum(gradient.storage::<$float>(), penalized)
            };
            FlexTensor::from_data(TensorData::new(vec![sum as $float], [1]))
        }
    };
}

typed!(f32, step_f32, square_sum_f32);
typed!(f64, step_f64, square_sum_f64);
