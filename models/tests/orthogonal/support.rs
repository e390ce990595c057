//! Random parameters, dense Jacobians, random configurations.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick_models::orthogonal::{
    Composition, OrthogonalConv2d, OrthogonalConv2dConfig, OrthogonalConvTranspose2dConfig,
};
use firebrick_ops::orthogonal::HostMatrix;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub fn normal<const D: usize>(
    shape: [usize; D],
    rng: &mut impl Rng,
    dtype: DType,
    device: &Device,
) -> Tensor<D> {
    let values: Vec<f64> =
        (0..shape.iter().product()).map(|_| rng.sample(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(values, shape), (device, dtype))
}

struct Perturb<'a, R> {
    scale: f64,
    rng: &'a mut R,
}

impl<R: Rng> ModuleMapper for Perturb<'_, R> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            // Only free parameters (and biases) are zero; bases are not.
            if value.clone().abs().max().into_scalar::<f64>() > 0.0 {
                return value;
            }
            let noise = normal(value.dims(), self.rng, value.dtype(), &value.device());
            let tracked = value.is_require_grad();
            (noise * self.scale).set_require_grad(tracked)
        })
    }
}

/// With free parameters (those that are zero) drawn from a normal distribution.
pub fn perturbed<M: Module>(module: M, scale: f64, rng: &mut impl Rng) -> M {
    module.map(&mut Perturb { scale, rng })
}

/// The dense Jacobian of a linear map of images, transposed: one row per input entry.
pub fn jacobian(
    map: impl Fn(Tensor<4>) -> Tensor<4>,
    shape: [usize; 3],
    dtype: DType,
) -> HostMatrix {
    let size: usize = shape.iter().product();
    let unit: Vec<f64> =
        (0..size * size).map(|i| f64::from(u8::from(i / size == i % size))).collect();
    let unit = TensorData::new(unit, [size, shape[0], shape[1], shape[2]]);
    let images: Vec<f64> =
        map(Tensor::from_data(unit, (&Device::flex(), dtype))).into_data().iter().collect();
    HostMatrix::new(size, images.len() / size, images)
}

/// How far the singular values are from 1.
pub fn distance_from_one(jacobian: &HostMatrix) -> f64 {
    jacobian.singular_values().iter().fold(0.0, |max, value| max.max((value - 1.0).abs()))
}

pub fn largest<const D: usize>(tensor: Tensor<D>) -> f64 {
    tensor.into_data().iter::<f64>().fold(0.0, |max, x| max.max(x.abs()))
}

pub fn norm<const D: usize>(tensor: Tensor<D>) -> f64 {
    tensor.into_data().iter::<f64>().map(|x| x * x).sum::<f64>().sqrt()
}

/// A random legal configuration and an image for it, of at most 300 numbers.
pub fn random_configuration(rng: &mut impl Rng) -> (OrthogonalConv2dConfig, [usize; 3]) {
    loop {
        let groups = rng.random_range(1..4);
        let channels = [groups * rng.random_range(1..4), groups * rng.random_range(1..7)];
        let kernel = [rng.random_range(1..8), rng.random_range(1..8)];
        let stride = [rng.random_range(1..4), rng.random_range(1..4)];
        let dilation = [0, 1].map(|a| if stride[a] == 1 { rng.random_range(1..4) } else { 1 });
        let image = stride.map(|stride| stride * rng.random_range(1..6));
        let legal = (0..2).all(|a: usize| kernel[a] >= stride[a]);
        if !legal || channels[0] * image[0] * image[1] > 300 {
            continue;
        }
        let config = OrthogonalConv2dConfig::new(channels, kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_groups(groups)
            .with_composition(Composition::Adaptive)
            .with_seed(Some(rng.random()));
        return (config, [channels[0], image[0], image[1]]);
    }
}

/// The layer of a configuration with random parameters.
pub fn random_layer(
    config: &OrthogonalConv2dConfig,
    dtype: DType,
    rng: &mut impl Rng,
) -> OrthogonalConv2d {
    perturbed(config.init((&Device::flex(), dtype)), 0.7, rng)
}

/// The transposed layer that has the configuration's kernel.
pub fn transposed(config: &OrthogonalConv2dConfig) -> OrthogonalConvTranspose2dConfig {
    let [inputs, outputs] = config.channels;
    OrthogonalConvTranspose2dConfig::new([outputs, inputs], config.kernel_size)
        .with_stride(config.stride)
        .with_dilation(config.dilation)
        .with_groups(config.groups)
        .with_composition(config.composition)
        .with_padding(config.padding)
        .with_seed(config.seed)
}
