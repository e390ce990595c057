//! Networks stepped by the optimizers of the workspace.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;

use firebrick::models::mlp::Mlp;
use firebrick::optimizers::adai::{AdaiConfig, AdaiHandle};
use firebrick::optimizers::efld::{EfldConfig, FiniteLevels, NoiseScale, Schedule};

use crate::subjects::{LABELS, Subject, device_of, integers, wave};

/// A network stepped at random: resuming and threads must see the same noise.
macro_rules! mlp_with_optimizer {
    ($subject:ident, $optimizer:expr) => {
        #[derive(Module, Debug)]
        pub struct $subject {
            network: Mlp,
        }

        impl Subject for $subject {
            fn init(device: &Device) -> Self {
                Self { network: Mlp::init(device) }
            }

            fn optimizer() -> ModuleOptimizer {
                $optimizer.init()
            }

            fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
                Self { network: self.network.train_step(optimizer, step) }
            }

            fn output(&self) -> Vec<f32> {
                self.network.output()
            }
        }
    };
}

/// A scale that depends on the counter in the state.
fn falling_alpha() -> Option<NoiseScale> {
    Some(NoiseScale::Alpha(Schedule::Power { initial: 0.5, exponent: 0.5 }))
}

mlp_with_optimizer!(EfldSgldSubject, EfldConfig::sgld().with_scale(falling_alpha()));
mlp_with_optimizer!(EfldSignSubject, EfldConfig::sign_sgd().with_scale(falling_alpha()));
mlp_with_optimizer!(
    EfldQuantizedSubject,
    EfldConfig::quantized_sgd(FiniteLevels::ternary(2.0)).with_scale(falling_alpha())
);

/// A network trained by AdaiW through its handle, as in the learner.
#[derive(Module, Debug)]
pub struct AdaiSubject {
    network: Mlp,
    #[module(skip)]
    handle: AdaiHandle,
}

impl Subject for AdaiSubject {
    fn init(device: &Device) -> Self {
        Self { network: Mlp::init(device), handle: AdaiHandle::default() }
    }

    fn optimizer() -> ModuleOptimizer {
        AdaiConfig::adaiw().with_weight_decay(1e-2).init().into_parts().0
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let device = device_of(&self);
        let logits = self.network.forward(wave([6, 5], step, &device));
        let loss = CrossEntropyLossConfig::new().init(&device);
        let loss = loss.forward(logits, integers(&LABELS, &device));
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        self.handle.clone().step(optimizer, 0.5, self, gradients)
    }

    fn output(&self) -> Vec<f32> {
        self.network.output()
    }
}
