//! Activation normalization: an affine map per channel that starts by whitening a batch.
//!
//! ```text
//! y = (x + b) e^w,   log det = pixels sum(w)
//! b = -mean(x),      w = -1/2 log max(var(x), 0.2)      from the first batch
//! ```
//!
//! # References
//! D. Kingma, P. Dhariwal, *Glow*, NeurIPS 2018, section 3.1.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorCreationOptions};

/// Variances count as at least this.
const LEAST_VARIANCE: f64 = 0.2;

/// Settings of [`ActNorm`].
#[derive(Config, Debug)]
pub struct ActNormConfig {
    /// Channels, the second axis.
    pub channels: usize,
}

impl ActNormConfig {
    /// Creates the identity on a device, or with a device and a float type, `(&device, DType::F64)`;
    /// [`ActNorm::fitted`] then starts it from data.
    ///
    /// # Panics
    /// If there is no channel.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> ActNorm {
        assert!(self.channels > 0, "ActNormConfig: channels must be positive, got 0");
        let options = options.into();
        let zeros = || Param::from_tensor(Tensor::zeros([self.channels], options.clone()));
        ActNorm { shift: zeros(), log_scale: zeros() }
    }
}

/// An affine map per channel; see the formulas at [`fitted`](Self::fitted).
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::generative::residual_flow::ActNormConfig;
///
/// let device = Device::flex();
/// let batch = Tensor::<2>::from_data([[4.0], [8.0]], &device);
/// let norm = ActNormConfig::new(1).init(&device).fitted(batch.clone());
/// let (output, log_det) = norm.forward(batch);
/// assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 1.0]);
/// assert!((log_det.into_scalar::<f32>() + 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct ActNorm {
    /// `b`, `[channels]`.
    pub shift: Param<Tensor<1>>,
    /// `w`, `[channels]`.
    pub log_scale: Param<Tensor<1>>,
}

impl ActNorm {
    /// `(x + b) e^w` and its log-determinant, `[1]`, the same for every sample.
    ///
    /// # Shapes
    /// - input, output: `[batch, channels, ..]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> (Tensor<D>, Tensor<1>) {
        let pixels: usize = input.dims()[2..].iter().product();
        let output = (input + along(self.shift.val())) * along(self.log_scale.val().exp());
        (output, self.log_scale.val().sum().mul_scalar(pixels as f64))
    }

    /// `y e^{-w} - b`.
    ///
    /// # Shapes
    /// - output, result: `[batch, channels, ..]`
    pub fn inverse<const D: usize>(&self, output: Tensor<D>) -> Tensor<D> {
        output * along(self.log_scale.val().neg().exp()) - along(self.shift.val())
    }

    /// The map that gives this batch mean 0 and variance 1 in every channel (less for variances below 0.2):
    /// `b = -mean`, `w = -1/2 log max(var, 0.2)`, with the variance's divisor `n`.
    ///
    /// # Shapes
    /// - batch: `[batch, channels, ..]`
    ///
    /// # Panics
    /// If the batch is empty.
    pub fn fitted<const D: usize>(self, batch: Tensor<D>) -> Self {
        let shape = batch.dims();
        assert!(!shape.contains(&0), "ActNorm: the batch must not be empty, got {shape:?}");
        let count: usize = shape.iter().product::<usize>() / shape[1];
        let rows = batch.swap_dims(0, 1).reshape([shape[1], count]);
        let mean = rows.clone().mean_dim(1);
        let variance = (rows - mean.clone()).powi_scalar(2).mean_dim(1);
        let log_scale = variance.clamp_min(LEAST_VARIANCE).log().mul_scalar(-0.5);
        let like = |old: Tensor<1>, new: Tensor<2>| {
            new.reshape([shape[1]]).detach().set_require_grad(old.is_require_grad())
        };
        Self {
            shift: self.shift.map(|old| like(old, mean.neg())),
            log_scale: self.log_scale.map(|old| like(old, log_scale)),
        }
    }
}

fn along<const D: usize>(values: Tensor<1>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[1] = values.dims()[0];
    values.reshape(shape)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Distribution};

    #[test]
    fn a_fitted_map_whitens_its_batch_and_inverts() {
        let device = Device::flex();
        let options = (&device, DType::F64);
        let batch = Tensor::<4>::random([5, 3, 4, 2], Distribution::Normal(7.0, 3.0), options);
        let norm = ActNormConfig::new(3).init(options).fitted(batch.clone());
        let (output, log_det) = norm.forward(batch.clone());
        let rows = output.clone().swap_dims(0, 1).reshape([3, 40]);
        let (mean, square) = (rows.clone().mean_dim(1), rows.powi_scalar(2).mean_dim(1));
        assert!(mean.abs().max().into_scalar::<f64>() < 1e-12);
        assert!(square.sub_scalar(1.0).abs().max().into_scalar::<f64>() < 1e-12);
        let expected = norm.log_scale.val().sum().into_scalar::<f64>() * 8.0;
        assert_eq!(log_det.into_scalar::<f64>(), expected);
        assert!((norm.inverse(output) - batch).abs().max().into_scalar::<f64>() < 1e-12);
    }

    #[test]
    fn small_variances_are_not_blown_up() {
        let device = Device::flex();
        let norm = ActNormConfig::new(1).init(&device).fitted(Tensor::<2>::ones([4, 1], &device));
        let (output, _) = norm.forward(Tensor::<2>::from_data([[2.0]], &device));
        assert!((output.into_scalar::<f32>() - 5f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn parameters_stay_trainable_after_the_fit() {
        let device = Device::flex().autodiff();
        let norm = ActNormConfig::new(2)
            .init(&device)
            .fitted(Tensor::<2>::ones([4, 2], &device).require_grad());
        let (output, log_det) = norm.forward(Tensor::<2>::ones([4, 2], &device));
        let gradients = (output.sum() + log_det).backward();
        assert!(norm.shift.val().grad(&gradients).is_some());
        assert!(norm.log_scale.val().grad(&gradients).is_some());
    }

    #[test]
    #[should_panic(expected = "the batch must not be empty, got [0, 2]")]
    fn refuses_an_empty_batch() {
        let device = Device::flex();
        ActNormConfig::new(2).init(&device).fitted(Tensor::<2>::zeros([0, 2], &device));
    }
}
