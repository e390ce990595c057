//! One layer of filters over patches with an odd power as activation.
//!
//! ```text
//! f(X) = sum_r sum_j <w_r, X_j>^q        q odd, at least 3
//! ```
//!
//! with filters `w_r`, applied once to each patch `X_j`, and a second layer that is fixed to ones.
//! The sign of `f` is the class. It is the network on which theory compares gradient descent with
//! and without momentum: a patch that is `c` times as long weighs `c^q` times as much, so a network
//! learns long patches first.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firebrick_models::patch_network::PatchNetworkConfig;
//!
//! let device = Device::flex();
//! let filters = Tensor::from_data([[1.0, 0.0], [0.5, 2.0]], &device);
//! let network = PatchNetworkConfig::new(2, 2).init_with(filters);
//! let input = Tensor::from_data([[[1.0, 0.0], [0.0, -1.0]]], &device);
//! // 1^3 + 0.5^3 from the first patch, (-2)^3 from the second.
//! assert_eq!(network.forward(input).into_scalar::<f32>(), -6.875);
//! ```
//!
//! # References
//! S. Jelassi, Y. Li, *Towards understanding how momentum improves generalization in deep
//! learning*, ICML 2022, where `q = 3`.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::softplus_with_threshold;
use burn::tensor::{Device, Tensor, TensorData, assert_shape};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Above this `softplus(x)` is `x` in 64 bits as well, and `exp` is finite in 32.
const SOFTPLUS_IS_LINEAR: f64 = 40.0;

/// Settings of [`PatchNetwork`].
#[derive(Config, Debug)]
pub struct PatchNetworkConfig {
    /// Length of a patch, `d`.
    pub dim: usize,
    /// Number of filters, `m`.
    pub num_filters: usize,
    /// The power `q` that is the activation: odd, at least 3.
    #[config(default = 3)]
    pub power: usize,
    /// Standard deviation of the entries of the filters at the start.
    #[config(default = 0.1)]
    pub init_std: f64,
    /// Seed of the start; it is drawn on the host, so that every device gets the same.
    #[config(default = 0)]
    pub seed: u64,
}

impl PatchNetworkConfig {
    /// Creates the network on `device`, with normally distributed filters.
    ///
    /// # Panics
    /// If `dim` or `num_filters` is zero, `power` is even or below 3, or `init_std` is negative or
    /// not finite.
    pub fn init(&self, device: &Device) -> PatchNetwork {
        let values = TensorData::new(self.initial_filters(), [self.num_filters, self.dim]);
        self.init_with(Tensor::from_data(values, device))
    }

    /// Creates the network with given filters, on their device and in their float type.
    ///
    /// # Shapes
    /// - filters: `[num_filters, dim]`
    ///
    /// # Panics
    /// As [`init`](Self::init), or if the filters have another shape.
    pub fn init_with(&self, filters: Tensor<2>) -> PatchNetwork {
        self.check();
        let (expected, found) = ([self.num_filters, self.dim], filters.dims());
        assert!(
            found == expected,
            "PatchNetworkConfig: filters must have the shape {expected:?}, got {found:?}"
        );
        PatchNetwork { filters: Param::from_tensor(filters), power: self.power }
    }

    /// The entries that [`init`](Self::init) starts from, `[num_filters, dim]`, row-major, in 64
    /// bits: from a ChaCha8 stream keyed by the seed.
    ///
    /// # Panics
    /// As [`init`](Self::init).
    pub fn initial_filters(&self) -> Vec<f64> {
        self.check();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        (0..self.num_filters * self.dim).map(|_| self.init_std * normal()).collect()
    }

    fn check(&self) {
        let Self { dim, num_filters, power, init_std, .. } = *self;
        assert!(
            dim > 0 && num_filters > 0,
            "PatchNetworkConfig: dim and num_filters must be at least 1, got {dim} and {num_filters}"
        );
        assert!(
            power >= 3 && power % 2 == 1,
            "PatchNetworkConfig: power must be odd and at least 3, got {power}"
        );
        assert!(
            init_std >= 0.0 && init_std.is_finite(),
            "PatchNetworkConfig: init_std must be a finite number of at least 0, got {init_std}"
        );
    }
}

/// Filters over patches with an odd power as activation; see the [module](self).
#[derive(Module, Debug)]
pub struct PatchNetwork {
    /// The filters `w_r`, `[num_filters, dim]`.
    pub filters: Param<Tensor<2>>,
    /// The power `q`.
    power: usize,
}

impl PatchNetwork {
    /// The power `q` that is the activation.
    pub fn power(&self) -> usize {
        self.power
    }

    /// The output `f`; its sign is the class, and zero is neither.
    ///
    /// # Shapes
    /// - input: `[batch, patches, dim]`
    /// - output: `[batch]`
    ///
    /// # Panics
    /// If the patches have another length.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<1> {
        let filters = self.filters.val();
        let [num_filters, dim] = filters.dims();
        assert_shape!(input, [_, _, dim]);
        let [batch, patches, _] = input.dims();
        let responses = input.reshape([batch * patches, dim]).matmul(filters.transpose());
        let powers = odd_power(responses, self.power);
        powers.reshape([batch, patches * num_filters]).sum_dim(1).reshape([batch])
    }

    /// The logistic loss with an optional penalty on the filters.
    ///
    /// ```text
    /// L = 1/N sum_i log(1 + exp(-y_i f(X_i))) + penalty/2 |W|^2
    /// ```
    ///
    /// # Shapes
    /// - input: `[batch, patches, dim]`
    /// - signs: `[batch]`, the labels -1 or +1
    /// - output: `[1]`
    ///
    /// # Panics
    /// If the numbers of examples and labels differ, there are none, or the patches have another
    /// length.
    pub fn loss(&self, input: Tensor<3>, signs: Tensor<1>, penalty: f64) -> Tensor<1> {
        let ([examples, ..], [labels]) = (input.dims(), signs.dims());
        assert!(
            examples == labels && examples > 0,
            "PatchNetwork: signs must be one per example, {examples} and at least one, got {labels}"
        );
        let wrong = (self.forward(input) * signs).neg();
        let loss = softplus_with_threshold(wrong, 1.0, SOFTPLUS_IS_LINEAR).mean();
        if penalty == 0.0 {
            return loss;
        }
        let filters = self.filters.val();
        loss + (filters.clone() * filters).sum().mul_scalar(penalty / 2.0)
    }
}

/// `x^q` by multiplication: a floating power would fail for negative numbers.
fn odd_power(x: Tensor<2>, power: usize) -> Tensor<2> {
    let square = x.clone() * x.clone();
    (0..power / 2).fold(x, |product, _| product * square.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::optim::GradientsParams;
    use burn::tensor::DType;
    use proptest::prelude::*;

    fn tensor<const D: usize>(shape: [usize; D], seed: usize) -> Tensor<D> {
        let len = shape.iter().product();
        let values: Vec<f64> = (0..len).map(|i: usize| ((i + 31 * seed) as f64).sin()).collect();
        let device = (&Device::flex().autodiff(), DType::F64);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    fn network(filters: usize, dim: usize, power: usize) -> PatchNetwork {
        let config = PatchNetworkConfig::new(dim, filters).with_power(power);
        config.init_with(tensor([filters, dim], 7).mul_scalar(0.7))
    }

    fn signs(len: usize) -> Tensor<1> {
        let values: Vec<f64> = (0..len).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
        let device = (&Device::flex().autodiff(), DType::F64);
        Tensor::from_data(TensorData::new(values, [len]), device)
    }

    proptest! {
        #[test]
        fn output_is_the_sum_of_powers_over_filters_and_patches(
            batch in 1usize..5, patches in 1usize..4, dim in 1usize..6, filters in 1usize..4,
            half in 1usize..4,
        ) {
            let power = 2 * half + 1;
            let network = network(filters, dim, power);
            let input = tensor([batch, patches, dim], 1);
            let (x, w) = (host(input.clone()), host(network.filters.val()));
            for (index, found) in host(network.forward(input)).into_iter().enumerate() {
                let example = &x[index * patches * dim..][..patches * dim];
                let expected: f64 = example
                    .chunks(dim)
                    .flat_map(|patch| {
                        w.chunks(dim).map(move |w| w.iter().zip(patch).map(|(w, x)| w * x).sum())
                    })
                    .map(|response: f64| response.powi(power as i32))
                    .sum();
                prop_assert!((found - expected).abs() < 1e-10 * (1.0 + expected.abs()));
            }
        }

        #[test]
        fn autodiff_gives_the_central_difference_of_the_loss(
            power in prop::sample::select(vec![3usize, 5]), penalty in 0.0..0.2f64,
        ) {
            let network = network(3, 4, power);
            let loss = |network: &PatchNetwork| {
                network.loss(tensor([5, 2, 4], 2), signs(5), penalty)
            };
            let gradients = GradientsParams::from_grads(loss(&network).backward(), &network);
            let gradient = host(gradients.get::<2>(network.filters.id).unwrap());
            for (at, gradient) in gradient.iter().enumerate() {
                let shifted = |by: f64| {
                    let mut values = host(network.filters.val());
                    values[at] += by;
                    let device = (&Device::flex().autodiff(), DType::F64);
                    let filters = Tensor::from_data(TensorData::new(values, [3, 4]), device);
                    let config = PatchNetworkConfig::new(4, 3).with_power(power);
                    host(loss(&config.init_with(filters)))[0]
                };
                let difference = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                prop_assert!((gradient - difference).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn loss_of_very_wrong_and_very_right_outputs_is_finite_and_so_is_its_gradient() {
        let device = Device::flex().autodiff();
        for (length, expected) in [(100.0, 1e6), (-100.0, 0.0)] {
            let filters = Tensor::from_data([[length, 0.0]], &device);
            let network = PatchNetworkConfig::new(2, 1).init_with(filters);
            let input = Tensor::from_data([[[1.0, 0.0]]], &device);
            let loss = network.loss(input, Tensor::from_data([-1.0], &device), 0.0);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            assert_eq!(loss.into_scalar::<f32>(), expected);
            let gradient = gradients.get::<2>(network.filters.id).unwrap();
            let slope = if expected > 0.0 { 3e4 } else { 0.0 };
            assert_eq!(gradient.into_data().try_to_vec::<f32>().unwrap(), [slope, 0.0]);
        }
    }

    #[test]
    fn the_start_depends_on_the_seed_and_has_the_standard_deviation_asked_for() {
        let config = PatchNetworkConfig::new(100, 50).with_init_std(0.2);
        let values = config.initial_filters();
        let variance = values.iter().map(|value| value * value).sum::<f64>() / 5000.0;
        assert!((variance - 0.04).abs() < 4.0 * 0.04 * (2.0f64 / 5000.0).sqrt());
        assert_ne!(values, config.clone().with_seed(1).initial_filters());
        let on_device = config.init(&Device::flex()).filters.val().into_data();
        let rounded: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        assert_eq!(on_device.try_to_vec::<f32>().unwrap(), rounded);
    }

    #[test]
    #[should_panic(expected = "power must be odd and at least 3, got 4")]
    fn refuses_even_powers() {
        PatchNetworkConfig::new(2, 1).with_power(4).init(&Device::flex());
    }

    #[test]
    #[should_panic(expected = "power must be odd and at least 3, got 1")]
    fn refuses_a_linear_network() {
        PatchNetworkConfig::new(2, 1).with_power(1).init(&Device::flex());
    }

    #[test]
    #[should_panic(expected = "dim and num_filters must be at least 1, got 2 and 0")]
    fn refuses_no_filters() {
        PatchNetworkConfig::new(2, 0).init(&Device::flex());
    }

    #[test]
    #[should_panic(expected = "filters must have the shape [1, 2], got [2, 1]")]
    fn refuses_filters_of_another_shape() {
        PatchNetworkConfig::new(2, 1).init_with(Tensor::zeros([2, 1], &Device::flex()));
    }

    #[test]
    #[should_panic(expected = "signs must be one per example, 5 and at least one, got 4")]
    fn refuses_too_few_labels() {
        network(1, 4, 3).loss(tensor([5, 2, 4], 0), signs(4), 0.0);
    }
}
