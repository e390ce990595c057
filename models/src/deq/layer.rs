//! An equilibrium layer with an affine cell.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::activation::Activation;
use super::affine::AffineCell;
use super::block::{Deq, DeqOptions, DeqOutput};
use crate::seed::drawn_seed;

/// Settings of [`DeqLayer`].
#[derive(Config, Debug)]
pub struct DeqLayerConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of features of the state.
    pub d_state: usize,
    /// The activation.
    #[config(default = "Activation::Tanh")]
    pub activation: Activation,
    /// Whether there is a bias, which starts at zero.
    #[config(default = true)]
    pub bias: bool,
    /// Entries of `W` have the standard deviation `gain / sqrt(d_state)`: its spectral radius is about
    /// `gain`, its norm about twice that. Below 0.5 the layer starts as a contraction for activations of
    /// slope 1.
    #[config(default = 0.4)]
    pub gain: f64,
    /// Seed of the start; by default it is drawn from the device, as Burn's layers do.
    pub seed: Option<u64>,
}

impl DeqLayerConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a number of features is zero, or the gain is negative or not finite.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> DeqLayer {
        let options = options.into();
        let Self { d_input, d_state, gain, .. } = *self;
        assert!(
            d_input > 0 && d_state > 0,
            "DeqLayerConfig: d_input and d_state must be positive, got {d_input} and {d_state}"
        );
        assert!(
            gain >= 0.0 && gain.is_finite(),
            "DeqLayerConfig: gain must be finite and not negative, got {gain}"
        );
        let seed = self.seed.unwrap_or_else(|| drawn_seed(&options));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = |rows: usize, columns: usize, deviation: f64| {
            let values: Vec<f64> = (0..rows * columns)
                .map(|_| deviation * rng.sample::<f64, _>(StandardNormal))
                .collect();
            let data = TensorData::new(values, [rows, columns]);
            Param::from_tensor(Tensor::<2>::from_data(data, options.clone()))
        };
        let weight = normal(d_state, d_state, gain / (d_state as f64).sqrt());
        let input = normal(d_state, d_input, 1.0 / (d_input as f64).sqrt());
        let zeros = || Param::from_tensor(Tensor::zeros([d_state], options.clone()));
        DeqLayer {
            cell: AffineCell::new(weight, self.activation),
            input,
            bias: self.bias.then(zeros),
        }
    }
}

/// The equilibrium `z = phi(z W^T + x U^T + b)`.
///
/// # Example
/// See the [module](super).
#[derive(Module, Debug)]
pub struct DeqLayer {
    /// `W` with the activation.
    pub cell: AffineCell,
    /// `U`, `[d_state, d_input]`
    pub input: Param<Tensor<2>>,
    /// `b`, `[d_state]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl DeqLayer {
    /// What an input adds in every evaluation, `x U^T + b`.
    ///
    /// # Shapes
    /// - input: `[batch, d_input]`
    /// - output: `[batch, d_state]`
    ///
    /// # Panics
    /// If the input has another number of features.
    pub fn inject(&self, input: Tensor<2>) -> Tensor<2> {
        let weight = self.input.val();
        let [_, expected] = weight.dims();
        let [_, found] = input.dims();
        assert!(found == expected, "DeqLayer: input must have {expected} features, got {found}");
        let injected = input.matmul(weight.transpose());
        match &self.bias {
            Some(bias) => injected + bias.val().unsqueeze(),
            None => injected,
        }
    }

    /// The fixed point for every sample.
    ///
    /// # Shapes
    /// - input: `[batch, d_input]`
    /// - state: `[batch, d_state]`
    ///
    /// # Panics
    /// If the input has another number of features; and as [`Deq::forward`].
    pub fn forward(&self, deq: &Deq, input: Tensor<2>) -> DeqOutput<Tensor<2>> {
        deq.forward(&self.cell, self.inject(input))
    }

    /// As [`forward`](Self::forward), with a start of one's own or the Jacobian penalty.
    ///
    /// # Panics
    /// As [`Deq::forward_with`].
    pub fn forward_with(
        &self,
        deq: &Deq,
        input: Tensor<2>,
        options: DeqOptions<Tensor<2>>,
    ) -> DeqOutput<Tensor<2>> {
        deq.forward_with(&self.cell, self.inject(input), options)
    }
}
