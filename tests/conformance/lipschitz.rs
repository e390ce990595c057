//! 1-Lipschitz networks: blocks, activations with parameters, losses with a margin, the learner.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use burn::train::TrainStep;

use firebrick::data::LabeledBatch;
use firebrick::models::lipschitz::{ActivationKind, InputNormalizationConfig};
use firebrick::models::losses::{CertificateCrossEntropyLossConfig, MultiClassHingeLossConfig};
use firebrick::models::orthogonal::{OrthogonalConv2d, OrthogonalLinear};
use firebrick::models::vision::orthogonal::{
    LastLayer, Layers, LipConvNetConfig, OrthogonalCnnConfig, OrthogonalNetwork,
    OrthogonalResNetConfig, OrthogonalShuffleNetConfig,
};
use firebrick::train::MarginLearner;

use crate::subjects::{LABELS, Subject, device_of, host, integers, wave};

type Network = OrthogonalNetwork<OrthogonalConv2d, OrthogonalLinear>;

fn layers(device: &Device) -> Layers<OrthogonalConv2d, OrthogonalLinear> {
    Layers::sc_fac(device).with_seed(5)
}

fn batch(network: &Network, step: usize) -> Tensor<4> {
    let [channels, height, width] = network.image_shape();
    wave([LABELS.len(), channels, height, width], step, &device_of(network))
}

fn step(network: Network, optimizer: &mut ModuleOptimizer, step: usize) -> Network {
    let logits = network.forward(batch(&network, step));
    let labels = integers(&LABELS, &logits.device());
    let loss = MultiClassHingeLossConfig::new().init().forward(logits, labels);
    let gradients = GradientsParams::from_grads(loss.backward(), &network);
    optimizer.step(0.1, network, gradients)
}

/// A network trained with the hinge loss.
macro_rules! network {
    ($subject:ident, $config:expr) => {
        #[derive(Module, Debug)]
        pub struct $subject {
            network: Network,
        }

        impl Subject for $subject {
            fn init(device: &Device) -> Self {
                Self { network: $config.init_with(&mut layers(device)) }
            }

            fn train_step(self, optimizer: &mut ModuleOptimizer, number: usize) -> Self {
                Self { network: step(self.network, optimizer, number) }
            }

            fn output(&self) -> Vec<f32> {
                host(self.network.forward(batch(&self.network, 99)))
            }
        }
    };
}

network!(
    ChainSubject,
    LipConvNetConfig::new(3)
        .with_image_shape([1, 4, 4])
        .with_base_channels(2)
        .with_activation(ActivationKind::GroupSort(4))
        .with_last_layer(LastLayer::UnitRows)
);
network!(
    HouseholderSubject,
    OrthogonalCnnConfig::new(3)
        .with_image_shape([1, 4, 4])
        .with_channels([2, 4])
        .with_hidden(4)
        .with_activation(ActivationKind::Householder)
);
network!(
    ResNetSubject,
    OrthogonalResNetConfig::new(3)
        .with_depth(8)
        .with_image_shape([1, 16, 16])
        .with_base_channels(2)
        .with_activation(ActivationKind::SRelu)
);
network!(
    ShuffleNetSubject,
    OrthogonalShuffleNetConfig::new(3)
        .with_depth(8)
        .with_image_shape([1, 16, 16])
        .with_base_channels(4)
        .with_widen(1)
        .with_kernel_size(1)
        .with_activation(ActivationKind::SRelu)
);

/// A network behind a normalization, in the learner with a reward for certificates.
#[derive(Module, Debug)]
pub struct CnnSubject {
    learner: MarginLearner<Network>,
}

impl Subject for CnnSubject {
    fn init(device: &Device) -> Self {
        let config = OrthogonalCnnConfig::new(3).with_image_shape([1, 4, 4]);
        let input = InputNormalizationConfig::new(vec![0.2]).with_deviation(Some(vec![0.5]));
        let network = config.with_channels([2, 4]).with_hidden(4).init_with(&mut layers(device));
        let loss = CertificateCrossEntropyLossConfig::new().with_lipschitz(2.0).init();
        Self { learner: MarginLearner::new(network.with_input(input.init(device)), loss) }
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let inputs = batch(&self.learner.network, step);
        let labels = integers(&LABELS, &inputs.device());
        let indices = labels.clone();
        let output = TrainStep::step(&self.learner, LabeledBatch { inputs, labels, indices });
        Self { learner: self.learner.optimize(optimizer, 0.1.into(), output.grads) }
    }

    fn output(&self) -> Vec<f32> {
        host(self.learner.network.forward(batch(&self.learner.network, 99)))
    }
}

/// The hinge loss's own output, next to a network's.
#[derive(Module, Debug)]
pub struct HingeSubject {
    network: Network,
}

impl Subject for HingeSubject {
    fn init(device: &Device) -> Self {
        let config = OrthogonalCnnConfig::new(3).with_image_shape([1, 4, 4]);
        Self { network: config.with_channels([2, 4]).with_hidden(4).init_with(&mut layers(device)) }
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, number: usize) -> Self {
        Self { network: step(self.network, optimizer, number) }
    }

    fn output(&self) -> Vec<f32> {
        let logits = self.network.forward(batch(&self.network, 99));
        let loss = MultiClassHingeLossConfig::new().with_power(2.0).init();
        let labels = integers(&LABELS, &logits.device());
        host(loss.forward_no_reduction(logits, labels))
    }
}
