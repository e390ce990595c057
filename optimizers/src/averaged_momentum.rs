//! Gradient descent along a moving average of the gradients.
//!
//! ```text
//! v_0 = 0,   v_t = gamma v_(t-1) + (1 - gamma) g_t,   w_t = w_(t-1) - lr v_t
//! ```
//!
//! for gradients `g_t` of the parameter `w`. This is the damped form of momentum that theory
//! writes: `gamma = 0` is gradient descent, and the steady-state step is `lr` times the gradient,
//! whatever `gamma`. It is the same sequence as heavy-ball momentum with the step size
//! `lr (1 - gamma)`.
//!
//! # Notes
//! Burn's [`SgdConfig`](burn::optim::SgdConfig) with momentum and dampening `gamma` is **not** the
//! same: its first velocity is the whole first gradient, as in PyTorch, which is `1 / (1 - gamma)`
//! times as long as here and is felt for about as many steps.
//!
//! # Example
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::GradientsParams;
//! use burn::tensor::{Device, Tensor};
//! use firebrick_optimizers::averaged_momentum::AveragedMomentumConfig;
//!
//! let device = Device::flex().autodiff();
//! let mut model = LinearConfig::new(3, 1).init(&device);
//! let mut optimizer = AveragedMomentumConfig::new().with_momentum(0.99).init();
//! let loss = model.forward(Tensor::<2>::ones([8, 3], &device)).sum();
//! let gradients = GradientsParams::from_grads(loss.backward(), &model);
//! model = optimizer.step(0.1, model, gradients);
//! ```
//!
//! # References
//! S. Jelassi, Y. Li, *Towards understanding how momentum improves generalization in deep
//! learning*, ICML 2022.

use burn::config::Config;
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, RecordState};
use burn::tensor::{Device, Tensor};

/// Settings of [`AveragedMomentum`].
#[derive(Config, Debug)]
pub struct AveragedMomentumConfig {
    /// The weight `gamma` of the past, in `[0, 1)`.
    #[config(default = 0.9)]
    pub momentum: f64,
    /// Clipping of each parameter's gradient.
    pub grad_clipping: Option<GradientClippingConfig>,
}

impl AveragedMomentumConfig {
    /// The bare optimizer, for a parameter group of a [`ModuleOptimizer`].
    ///
    /// # Panics
    /// If `momentum` is outside `[0, 1)`.
    pub fn build(&self) -> AveragedMomentum {
        assert!(
            (0.0..1.0).contains(&self.momentum),
            "AveragedMomentumConfig: momentum must be at least 0 and below 1, got {}",
            self.momentum
        );
        AveragedMomentum { momentum: self.momentum }
    }

    /// The optimizer of a whole module.
    ///
    /// # Panics
    /// As [`build`](Self::build).
    pub fn init(&self) -> ModuleOptimizer {
        let optimizer = ModuleOptimizer::from(self.build());
        match &self.grad_clipping {
            Some(clipping) => optimizer.with_grad_clipping(clipping.init()),
            None => optimizer,
        }
    }
}

/// Gradient descent along a moving average of the gradients; see the [module](self).
#[derive(Clone, Debug)]
pub struct AveragedMomentum {
    momentum: f64,
}

/// State of [`AveragedMomentum`] for one parameter.
#[derive(RecordState, Clone, Debug)]
pub struct AveragedMomentumState<const D: usize> {
    /// The average `v` of the gradients so far.
    pub velocity: Tensor<D>,
}

impl Optimizer for AveragedMomentum {
    type State<const D: usize> = AveragedMomentumState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let fresh = grad.mul_scalar(1.0 - self.momentum);
        let velocity = match state {
            Some(state) => state.velocity.mul_scalar(self.momentum) + fresh,
            None => fresh,
        };
        let tensor = tensor - velocity.clone().mul_scalar(lr);
        (tensor, Some(AveragedMomentumState { velocity }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AveragedMomentumState { velocity: state.velocity.to_device(device) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{DType, TensorData};

    fn vector(values: &[f64]) -> Tensor<1> {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    }

    fn run(momentum: f64, lr: f64, gradients: &[[f64; 2]]) -> Vec<f64> {
        let optimizer = AveragedMomentumConfig::new().with_momentum(momentum).build();
        let start = (vector(&[1.0, -2.0]), None);
        let (weights, _) = gradients.iter().fold(start, |(weights, state), gradient| {
            optimizer.step(lr, weights, vector(gradient), state)
        });
        weights.into_data().try_to_vec::<f64>().unwrap()
    }

    const GRADIENTS: [[f64; 2]; 3] = [[1.0, 4.0], [-2.0, 0.5], [3.0, 0.0]];

    #[test]
    fn first_velocity_is_one_minus_gamma_times_the_gradient() {
        assert_eq!(run(0.75, 0.5, &GRADIENTS[..1]), [1.0 - 0.125, -2.0 - 0.5]);
    }

    #[test]
    fn follows_the_formula_over_several_steps() {
        let (mut weights, mut velocity) = ([1.0, -2.0], [0.0; 2]);
        for gradient in GRADIENTS {
            for at in 0..2 {
                velocity[at] = 0.9 * velocity[at] + (1.0 - 0.9) * gradient[at];
                weights[at] -= 0.3 * velocity[at];
            }
        }
        for (found, expected) in run(0.9, 0.3, &GRADIENTS).iter().zip(weights) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
    }

    #[test]
    fn is_heavy_ball_momentum_with_a_smaller_step_size() {
        let (mut weights, mut velocity) = ([1.0, -2.0], [0.0; 2]);
        for gradient in GRADIENTS {
            for at in 0..2 {
                velocity[at] = 0.9 * velocity[at] + gradient[at];
                weights[at] -= 0.3 * (1.0 - 0.9) * velocity[at];
            }
        }
        for (found, expected) in run(0.9, 0.3, &GRADIENTS).iter().zip(weights) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
    }

    #[test]
    fn without_momentum_it_is_gradient_descent() {
        let (mut weights, lr) = ([1.0, -2.0], 0.3);
        for gradient in GRADIENTS {
            weights = [weights[0] - lr * gradient[0], weights[1] - lr * gradient[1]];
        }
        assert_eq!(run(0.0, lr, &GRADIENTS), weights);
    }

    #[test]
    fn refuses_a_momentum_of_one() {
        for momentum in [1.0, -0.1, f64::NAN] {
            let config = AveragedMomentumConfig::new().with_momentum(momentum);
            let message = std::panic::catch_unwind(|| config.build()).unwrap_err();
            let message = message.downcast::<String>().unwrap();
            assert!(message.contains("at least 0 and below 1, got"), "{message}");
        }
    }
}
