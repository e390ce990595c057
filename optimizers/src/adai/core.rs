//! The per-tensor optimizer behind the Adai family.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{DType, Device, Tensor};
use firebrick_ops::fused::adai::{self, AdaiCoefficients, AdaiTensors};

use super::pass::{self, Task};
use super::{AdaiConfig, AdaiState, MeanScope};

/// Adai for one tensor, from [`AdaiConfig::build`].
///
/// It takes part in the two passes of [`Adai::step`](super::Adai::step) or
/// [`AdaiHandle::step`](super::AdaiHandle::step). Its own step panics outside of them, unless the
/// mean is [`MeanScope::PerTensor`].
#[derive(Clone, Debug)]
pub struct AdaiCore {
    config: AdaiConfig,
}

impl Optimizer for AdaiCore {
    type State<const D: usize> = AdaiState<D>;

    /// # Panics
    /// Outside of the two passes, for a learning rate that is negative or not finite, and for a
    /// state of another shape.
    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        assert!(lr >= 0.0 && lr.is_finite(), "Adai: lr must be at least 0 and finite, got {lr}");
        let dtype = tensor.dtype();
        // Squares of gradients underflow in 16 bits.
        let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        let (parameter, gradient) = (cast(tensor.clone(), wide), cast(grad, wide));
        if let Some(state) = &state {
            state.check(&gradient);
        }
        let mean = match (self.config.mean_scope, pass::task()) {
            (MeanScope::Global, Task::None) => panic!(
                "Adai: its mean over all parameters is missing; call `Adai::step`, or in \
                 `TrainStep::optimize` `AdaiHandle::step`, instead of `ModuleOptimizer::step`"
            ),
            (MeanScope::Global, Task::Collect) => {
                let elements = gradient.shape().num_elements();
                pass::add(self.corrected_sum(parameter, gradient, state.as_ref()), elements);
                return (tensor, None);
            }
            (MeanScope::Global, Task::Apply) => pass::mean(),
            (MeanScope::PerTensor, Task::Collect) => return (tensor, None),
            (MeanScope::PerTensor, _) => {
                let elements = gradient.shape().num_elements().max(1) as f64;
                self.corrected_sum(parameter.clone(), gradient.clone(), state.as_ref())
                    * (1.0 / elements)
            }
        };
        // The step works in place on what nothing else holds.
        drop(tensor);
        let (parameter, state) = self.update(lr, parameter, gradient, state, mean);
        (cast(parameter, dtype), Some(state))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.moved_to(device)
    }
}

impl AdaiCore {
    pub(super) fn new(config: AdaiConfig) -> Self {
        Self { config }
    }

    /// The settings.
    pub fn config(&self) -> &AdaiConfig {
        &self.config
    }

    /// `1 - beta_2^t`
    fn bias(&self, time: usize) -> f64 {
        1.0 - self.config.beta_2.powf(time as f64)
    }

    fn penalty(&self) -> f64 {
        if self.config.decoupled { 0.0 } else { self.config.weight_decay }
    }

    /// `sum(v^)` after this step, from the gradient and the sum before.
    fn corrected_sum<const D: usize>(
        &self,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<&AdaiState<D>>,
    ) -> Tensor<1> {
        let beta_2 = self.config.beta_2;
        let penalty = self.penalty();
        let penalized = (penalty > 0.0).then_some((parameter, penalty));
        let sum = adai::square_sum(gradient, penalized) * (1.0 - beta_2);
        match state {
            Some(state) => {
                (sum + state.moment_2_sum.clone() * beta_2) * (1.0 / self.bias(state.time + 1))
            }
            None => sum * (1.0 / self.bias(1)),
        }
    }

    fn update<const D: usize>(
        &self,
        lr: f64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdaiState<D>>,
        mean: Tensor<1>,
    ) -> (Tensor<D>, AdaiState<D>) {
        let c = &self.config;
        let state = state.unwrap_or_else(|| AdaiState::zeros_like(&gradient));
        let time = state.time + 1;
        let inverse_mean = self.inverse(mean, &gradient, self.bias(time));
        let coefficients = AdaiCoefficients {
            step_size: lr * c.beta_0_power(),
            keep: if c.decoupled { 1.0 - lr * c.weight_decay } else { 1.0 },
            penalty: self.penalty(),
            beta_0: c.beta_0,
            beta_2: c.beta_2,
            epsilon: c.epsilon,
            dampening: c.dampening,
        };
        let AdaiState { moment_1, moment_2, correction, .. } = state;
        let tensors = AdaiTensors { parameter, moment_1, moment_2, correction };
        let (tensors, moment_2_sum) =
            adai::step(tensors, gradient, inverse_mean.clone(), coefficients);
        if c.count_clamped {
            count_clamped(&tensors.moment_2, inverse_mean, &coefficients);
        }
        let AdaiTensors { parameter, moment_1, moment_2, correction } = tensors;
        (parameter, AdaiState { time, moment_1, moment_2, correction, moment_2_sum })
    }

    /// `1 / (bias * mean)` beside the gradient, finite for a mean of 0.
    fn inverse<const D: usize>(
        &self,
        mean: Tensor<1>,
        gradient: &Tensor<D>,
        bias: f64,
    ) -> Tensor<1> {
        let mean = cast(mean.to_device(&gradient.device()), gradient.dtype());
        // The smallest normal number, and a bound that times a positive second moment is above 1.
        let (least, most) = match gradient.dtype() {
            DType::F64 => (f64::MIN_POSITIVE, 1e307),
            _ => (f64::from(f32::MIN_POSITIVE), 1e38),
        };
        (mean.clamp_min(least) * bias).recip().clamp_max(most)
    }
}

impl AdaiConfig {
    /// `beta_0^(1-d)`, 1 for Adai.
    fn beta_0_power(&self) -> f64 {
        self.beta_0.powf(1.0 - self.dampening)
    }
}

fn cast<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    if tensor.dtype() == dtype { tensor } else { tensor.cast(dtype) }
}

/// Counts `1 - beta_1 >= 1` and `1 - beta_1 <= epsilon` before the clamp.
fn count_clamped<const D: usize>(
    moment_2: &Tensor<D>,
    inverse_mean: Tensor<1>,
    coefficients: &AdaiCoefficients,
) {
    let ratio = moment_2.clone() * inverse_mean.reshape([1; D]);
    let ratio = match coefficients.exponent() {
        1.0 => ratio,
        exponent => ratio.powf_scalar(exponent),
    };
    let gain = ratio * coefficients.beta_0;
    let low = gain.clone().greater_equal_scalar(1.0).int().sum();
    let high = gain.lower_equal_scalar(coefficients.epsilon).int().sum();
    pass::count(low, high, moment_2.shape().num_elements());
}
