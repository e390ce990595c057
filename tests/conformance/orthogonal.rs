//! Orthogonal layers and the layers that they are compared with.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;

use firebrick::models::orthogonal::alternatives::{
    AocConv2d, AocConv2dConfig, BcopConv2d, BcopConv2dConfig, BjorckLinear, BjorckLinearConfig,
    CayleyConv2d, CayleyConv2dConfig, CayleyLinear, CayleyLinearConfig, HouseholderLinear,
    HouseholderLinearConfig, RkoConv2d, RkoConv2dConfig, SocConv2d, SocConv2dConfig, SvcmConv2d,
    SvcmConv2dConfig,
};
use firebrick::models::orthogonal::{
    Composition, OrthogonalConv1d, OrthogonalConv1dConfig, OrthogonalConv2d,
    OrthogonalConv2dConfig, OrthogonalConvTranspose1d, OrthogonalConvTranspose1dConfig,
    OrthogonalConvTranspose2d, OrthogonalConvTranspose2dConfig, OrthogonalLayer, OrthogonalLinear,
    OrthogonalLinearConfig, Pointwise,
};
use firebrick::ops::skew::Retraction;

use crate::subjects::{Subject, device_of, host, wave};

/// A layer whose output is pulled towards a target; every layer starts where its seed says.
macro_rules! orthogonal_layer {
    ($layer:ty, $config:expr, $input:expr) => {
        impl Subject for $layer {
            fn init(device: &Device) -> Self {
                $config.init(device)
            }

            fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
                let output = self.forward(wave($input, step, &device_of(&self)));
                let target = wave(output.dims(), step + 1, &output.device());
                let loss = (output - target).powi_scalar(2).mean();
                let gradients = GradientsParams::from_grads(loss.backward(), &self);
                optimizer.step(0.5, self, gradients)
            }

            fn output(&self) -> Vec<f32> {
                host(self.forward(wave($input, 99, &device_of(self))))
            }
        }
    };
}

orthogonal_layer!(
    OrthogonalConv2d,
    OrthogonalConv2dConfig::new([4, 6], [3, 4]).with_stride([1, 2]).with_groups(2).with_bias(true),
    [2, 4, 3, 4]
);
orthogonal_layer!(
    OrthogonalConvTranspose2d,
    OrthogonalConvTranspose2dConfig::new([4, 2], [2, 3]).with_stride([2, 1]).with_bias(true),
    [2, 4, 2, 3]
);
orthogonal_layer!(OrthogonalConv1d, OrthogonalConv1dConfig::new([3, 3], 3), [2, 3, 5]);
orthogonal_layer!(
    OrthogonalConvTranspose1d,
    OrthogonalConvTranspose1dConfig::new([4, 2], 4).with_stride(2),
    [2, 4, 3]
);
orthogonal_layer!(OrthogonalLinear, OrthogonalLinearConfig::new(3, 9).with_bias(true), [4, 3]);

/// A folded kernel with the Cayley map.
#[derive(Module, Debug)]
pub struct FoldedSubject {
    layer: OrthogonalConv2d,
}

impl Subject for FoldedSubject {
    fn init(device: &Device) -> Self {
        let config = OrthogonalConv2dConfig::new([2, 8], [3, 3])
            .with_stride([2, 2])
            .with_composition(Composition::Adaptive)
            .with_retraction(Retraction::Cayley);
        Self { layer: config.init(device) }
    }

    fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
        let output = self.layer.forward(wave([1, 2, 4, 4], step, &device_of(&self)));
        let loss = (output.powi_scalar(3)).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        optimizer.step(0.5, self, gradients)
    }

    fn output(&self) -> Vec<f32> {
        host(self.layer.forward(wave([1, 2, 4, 4], 99, &device_of(self))))
    }
}

orthogonal_layer!(
    AocConv2d,
    AocConv2dConfig::new([4, 16], 3).with_stride(2).with_groups(2).with_bias(true),
    [2, 4, 4, 2]
);
orthogonal_layer!(BcopConv2d, BcopConv2dConfig::new([3, 2], 3).with_bias(true), [2, 3, 4, 3]);
orthogonal_layer!(
    CayleyConv2d,
    CayleyConv2dConfig::new([3, 2], 3, [4, 3]).with_bias(true),
    [2, 3, 4, 3]
);
orthogonal_layer!(RkoConv2d, RkoConv2dConfig::new([3, 2], 3).with_bias(true), [2, 3, 4, 3]);
// With fewer terms in training its output would differ between training and evaluation.
orthogonal_layer!(
    SocConv2d,
    SocConv2dConfig::new([3, 2], 3).with_bias(true).with_training_terms(12),
    [2, 3, 4, 3]
);
orthogonal_layer!(SvcmConv2d, SvcmConv2dConfig::new([3, 2], 3).with_bias(true), [2, 3, 4, 3]);

/// A linear layer at every pixel.
macro_rules! pointwise_layer {
    ($layer:ty, $config:expr) => {
        impl Subject for Pointwise<$layer> {
            fn init(device: &Device) -> Self {
                Self { linear: $config.with_bias(true).init(device) }
            }

            fn train_step(self, optimizer: &mut ModuleOptimizer, step: usize) -> Self {
                let output = self.forward(wave([2, 3, 2, 2], step, &device_of(&self)));
                let target = wave(output.dims(), step + 1, &output.device());
                let loss = (output - target).powi_scalar(2).mean();
                let gradients = GradientsParams::from_grads(loss.backward(), &self);
                optimizer.step(0.5, self, gradients)
            }

            fn output(&self) -> Vec<f32> {
                host(self.forward(wave([2, 3, 2, 2], 99, &device_of(self))))
            }
        }
    };
}

pointwise_layer!(BjorckLinear, BjorckLinearConfig::new(3, 4));
pointwise_layer!(CayleyLinear, CayleyLinearConfig::new(3, 5));
pointwise_layer!(HouseholderLinear, HouseholderLinearConfig::new(3, 2));
