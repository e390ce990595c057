//! Seeds for starts that are drawn on the host.

use burn::tensor::{Distribution, Tensor, TensorCreationOptions};

/// A seed from the device's own generator, as other layers of Burn take their weights from it.
pub(crate) fn drawn_seed(options: &TensorCreationOptions) -> u64 {
    let device = options.device.clone().inner();
    let drawn = Tensor::<1>::random([2], Distribution::Uniform(0.0, 16_777_216.0), &device);
    drawn.into_data().iter::<f64>().fold(0, |seed, part| (seed << 24) | part as u64)
}
