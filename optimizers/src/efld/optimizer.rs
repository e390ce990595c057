//! The optimizer: Burn's per-tensor step around a family, with a counter and a stream per parameter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::optim::{LearningRate, Optimizer, RecordState};
use burn::tensor::{DType, Device, Distribution, Tensor};
use firebrick_ops::noise::NoiseKey;

use super::family::below_one;
use super::steps::{check_alpha, sgld_step};
use super::{EfldConfig, ExponentialFamily, NoiseSource};
use crate::adai::is_collecting;

/// An EFLD optimizer; see the [module](super). Made by [`EfldConfig::build`].
#[derive(Clone, Debug)]
pub struct Efld {
    config: Arc<EfldConfig>,
    /// How many parameters of each shape have been numbered, by all clones: a `ModuleOptimizer` is
    /// cloned without being told to the optimizer in it.
    numbered: Arc<Mutex<HashMap<Vec<usize>, u64>>>,
}

/// State of one parameter: no tensors, only what the noise of the next step depends on.
#[derive(RecordState, Clone, Debug, PartialEq, Eq)]
pub struct EfldState<const D: usize> {
    /// Number of steps taken.
    pub steps: u64,
    /// Position among the parameters of this shape, in the order of their first gradients.
    pub stream: u64,
    /// How many parameters of this shape were numbered when this one was last stepped; a resumed
    /// run goes on counting from there.
    pub siblings: u64,
}

impl Efld {
    pub(super) fn new(config: Arc<EfldConfig>) -> Self {
        Self { config, numbered: Arc::default() }
    }

    /// The settings.
    pub fn config(&self) -> &EfldConfig {
        &self.config
    }

    /// The state of the step that begins.
    fn advance<const D: usize>(
        &self,
        shape: [usize; D],
        state: Option<EfldState<D>>,
    ) -> EfldState<D> {
        let mut numbered = self.numbered.lock().unwrap_or_else(PoisonError::into_inner);
        let count = numbered.entry(shape.to_vec()).or_default();
        let (steps, stream) = match state {
            Some(state) => {
                *count = (*count).max(state.siblings).max(state.stream + 1);
                (state.steps, state.stream)
            }
            None => {
                *count += 1;
                (0, *count - 1)
            }
        };
        EfldState { steps: steps + 1, stream, siblings: *count }
    }

    /// Normal or uniform values, as the family needs them.
    fn noise<const D: usize>(&self, like: &Tensor<D>, state: &EfldState<D>) -> Tensor<D> {
        let normal = self.config.family.needs_normal();
        if self.config.noise == NoiseSource::Device {
            return if normal {
                like.random_like(Distribution::Normal(0.0, 1.0))
            } else {
                below_one(like.random_like(Distribution::Uniform(0.0, 1.0)))
            };
        }
        let shape = like.dims();
        let key = NoiseKey {
            seed: self.config.seed,
            purpose: *b"efld\0\0\0\0",
            stream: shape_hash(&shape).wrapping_add(state.stream),
            step: state.steps,
        };
        let draw = if normal { NoiseKey::normal } else { NoiseKey::uniform };
        draw(&key, shape, &like.device(), like.dtype())
    }

    fn update<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: &EfldState<D>,
    ) -> Tensor<D> {
        let EfldConfig { family, l2, decoupled_decay, .. } = &*self.config;
        let scale = self.config.noise_scale();
        let gradient = if *l2 == 0.0 { gradient } else { gradient + tensor.clone() * *l2 };
        let tensor = match decoupled_decay {
            0.0 => tensor,
            decay => tensor * (1.0 - lr * decay),
        };
        if let ExponentialFamily::Gaussian = family {
            let sigma = scale.sigma(state.steps, lr);
            return if sigma == 0.0 {
                tensor - gradient * lr
            } else {
                let noise = self.noise(&tensor, state);
                sgld_step(tensor, gradient, noise, lr, sigma)
            };
        }
        let alpha = scale.alpha(state.steps, lr);
        check_alpha("Efld: the schedule", alpha);
        let noise = self.noise(&tensor, state);
        tensor - family.draw_below_one(gradient / alpha, noise) * lr
    }
}

impl Optimizer for Efld {
    type State<const D: usize> = EfldState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        // Adai beside it looks at the gradients first, on a copy that it throws away.
        if is_collecting() {
            return (tensor, state);
        }
        let state = self.advance(tensor.dims(), state);
        let dtype = tensor.dtype();
        let next = match dtype {
            // Probabilities and noise need more than the 8 or 11 bits of a half.
            DType::F16 | DType::BF16 => {
                let (tensor, grad) = (tensor.cast(DType::F32), grad.cast(DType::F32));
                self.update(lr, tensor, grad, &state).cast(dtype)
            }
            _ => self.update(lr, tensor, grad, &state),
        };
        (next, Some(state))
    }

    fn to_device<const D: usize>(state: Self::State<D>, _: &Device) -> Self::State<D> {
        state
    }
}

/// FNV-1a of the sizes: parameters of different shapes have different streams.
fn shape_hash(shape: &[usize]) -> u64 {
    let bytes = shape.iter().flat_map(|&size| (size as u64).to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
