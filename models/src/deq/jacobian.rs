//! The Jacobian of the map: a penalty on its size, and its spectral radius.

use burn::config::Config;
use burn::tensor::{DType, Tensor, TensorData};
use firebrick_ops::fixed_point::State;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::cell::DeqCell;
use super::implicit::Derivative;
use super::plain::Plain;

/// How a product with the Jacobian is formed, so that it can be differentiated once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PenaltyForm {
    /// `J v` in closed form where the cell knows it, else by differences.
    #[default]
    Tangent,
    /// `J^T v` in closed form.
    Cotangent,
    /// `J v` by central differences.
    Difference,
}

/// An estimate of `||J||_F^2` per entry of the state.
///
/// ```text
/// mean over directions v ~ N(0, I) of  sum_b ||J_b v_b||^2 / (B D)
/// ```
///
/// The state is a constant: the gradient reaches the parameters and the input only. Add it to the loss with
/// a factor of 0.5 to 2, possibly on a random share of the steps.
///
/// ```text
/// J v ~ (f(z + e v) - f(z - e v)) / (2 e),   e = c max(1, ||z|| / sqrt(D)) / rms(v)
/// ```
///
/// where the cell has no closed form, with `c` 1e-2 in 32 bits and 1e-4 in 64.
///
/// # Example
/// ```
/// use burn::module::Param;
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::deq::{Activation, AffineCell, JacobianPenalty};
///
/// let device = Device::flex().autodiff();
/// let w = Tensor::<2>::from_data([[0.0, 0.5], [0.5, 0.0]], &device);
/// let cell = AffineCell::new(Param::from_tensor(w), Activation::Identity);
/// let zeros = Tensor::<2>::zeros([1000, 2], &Device::flex());
/// let penalty = JacobianPenalty::new().of(&cell, &zeros, &zeros, 7);
/// // ||W||_F^2 / 2
/// assert!((penalty.clone().into_scalar::<f32>() - 0.25).abs() < 0.03);
/// assert!(cell.weight.grad(&penalty.backward()).is_some());
/// ```
///
/// # References
/// S. Bai, V. Koltun, J. Z. Kolter, *Stabilizing Equilibrium Models by Jacobian Regularization*, ICML 2021;
/// there with `v^T J` and second derivatives, which has the same expectation.
#[derive(Config, Debug, PartialEq)]
pub struct JacobianPenalty {
    /// Number of random directions.
    #[config(default = 1)]
    pub directions: usize,
    /// How products with the Jacobian are formed.
    #[config(default = "PenaltyForm::Tangent")]
    pub form: PenaltyForm,
    /// The step `e` of differences, if it is not to be chosen as above.
    pub step: Option<f64>,
}

impl JacobianPenalty {
    pub(super) fn check(&self) {
        assert!(self.directions > 0, "JacobianPenalty: directions must be at least 1, got 0");
        assert!(
            self.step.is_none_or(|step| step > 0.0 && step.is_finite()),
            "JacobianPenalty: step must be positive, got {:?}",
            self.step
        );
    }

    /// The penalty at a state, along directions drawn from a seed.
    ///
    /// # Shapes
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`along`](Self::along).
    pub fn of<C: DeqCell>(
        &self,
        cell: &C,
        state: &C::State,
        input: &C::Input,
        seed: u64,
    ) -> Tensor<1> {
        self.check();
        let layout = state.layout();
        let rows = state.clone().into_rows().inner();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut along = || {
            let v = C::State::from_rows(normal_like(&rows, &mut rng), &layout);
            self.along(cell, state, input, &v)
        };
        let first = along();
        let sum = (1..self.directions).fold(first, |sum, _| sum + along());
        sum * (1.0 / self.directions as f64)
    }

    /// The penalty along one given direction.
    ///
    /// # Shapes
    /// - state, direction: as the cell's state
    /// - output: `[1]`
    ///
    /// # Panics
    /// If the direction has another shape than the state, or the form is `Cotangent` and the cell has no
    /// closed form.
    pub fn along<C: DeqCell>(
        &self,
        cell: &C,
        state: &C::State,
        input: &C::Input,
        direction: &C::State,
    ) -> Tensor<1> {
        let layout = state.layout();
        assert!(
            direction.layout() == layout,
            "JacobianPenalty: direction must have the state's shape {layout:?}, got {:?}",
            direction.layout()
        );
        let state = C::State::from_rows(state.clone().into_rows().inner(), &layout);
        let direction = C::State::from_rows(direction.clone().into_rows().inner(), &layout);
        let closed = match self.form {
            PenaltyForm::Difference => None,
            _ => cell.linearize(&state, input),
        };
        let product = match (closed, self.form) {
            (Some(closed), PenaltyForm::Cotangent) => closed.vjp(direction).into_rows(),
            (Some(closed), _) => closed.jvp(direction).into_rows(),
            (None, PenaltyForm::Cotangent) => panic!(
                "JacobianPenalty: the form Cotangent needs a cell with a closed-form derivative, because \
                 Burn differentiates once only; use Tangent"
            ),
            (None, _) => {
                self.difference(cell, state.into_rows(), input, direction.into_rows(), &layout)
            }
        };
        product.square().mean()
    }

    fn difference<C: DeqCell>(
        &self,
        cell: &C,
        z: Tensor<2>,
        input: &C::Input,
        v: Tensor<2>,
        layout: &<C::State as State>::Layout,
    ) -> Tensor<2> {
        let step = match self.step {
            Some(step) => z.clone().narrow(1, 0, 1).full_like(step),
            None => {
                let scale = if z.dtype() == DType::F64 { 1e-4 } else { 1e-2 };
                let rms = |rows: &Tensor<2>| rows.clone().square().mean_dim(1).sqrt();
                let length = rms(&v);
                let zero = length.clone().equal_elem(0.0);
                rms(&z).clamp_min(1.0) * scale / length.mask_fill(zero, 1.0)
            }
        };
        let change = v * step.clone();
        let at =
            |rows: Tensor<2>| cell.evaluate(C::State::from_rows(rows, layout), input).into_rows();
        (at(z.clone() + change.clone()) - at(z - change)) * (step * 2.0).recip()
    }
}

/// Normal noise of the shape, float type and device of `rows`.
pub(super) fn normal_like(rows: &Tensor<2>, rng: &mut impl Rng) -> Tensor<2> {
    let shape = rows.dims();
    let values: Vec<f64> =
        (0..shape[0] * shape[1]).map(|_| rng.sample::<f64, _>(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(values, shape), (&rows.device().inner(), rows.dtype()))
}

/// Spectral radius of the Jacobian of every sample, by the growth rate of a power iteration with `J^T`.
///
/// ```text
/// rho = exp(mean of log(||J^T v|| / ||v||) over the last half of the steps)
/// ```
///
/// Unlike the Rayleigh quotient it is right for pairs of complex eigenvalues. A hundred steps give two or
/// three digits.
///
/// # Panics
/// If there are no steps.
///
/// # Example
/// ```
/// use burn::module::Param;
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::deq::{Activation, AffineCell, spectral_radius};
///
/// // A rotation times 0.9: both eigenvalues are complex.
/// let device = Device::flex();
/// let w = Tensor::<2>::from_data([[0.54, -0.72], [0.72, 0.54]], &device);
/// let cell = AffineCell::new(Param::from_tensor(w), Activation::Identity);
/// let zeros = Tensor::<2>::zeros([1, 2], &device);
/// assert!((spectral_radius(&cell, &zeros, &zeros, 100, 1)[0] - 0.9).abs() < 1e-3);
/// ```
pub fn spectral_radius<C: DeqCell>(
    cell: &C,
    state: &C::State,
    input: &C::Input,
    steps: usize,
    seed: u64,
) -> Vec<f64> {
    assert!(steps > 0, "spectral_radius: steps must be at least 1, got 0");
    let layout = state.layout();
    let rows = state.clone().into_rows().inner();
    let (cell, input) = (cell.plain(), input.plain());
    let derivative = Derivative::new(&cell, &C::State::from_rows(rows.clone(), &layout), &input);
    let norms = |rows: &Tensor<2>| rows.clone().square().sum_dim(1).sqrt();
    let unit = |rows: Tensor<2>, length: &Tensor<2>| {
        let zero = length.clone().equal_elem(0.0);
        rows / length.clone().mask_fill(zero, 1.0)
    };
    let v = normal_like(&rows, &mut ChaCha8Rng::seed_from_u64(seed));
    let mut v = unit(v.clone(), &norms(&v));
    let mut growths = Vec::with_capacity(steps);
    for _ in 0..steps {
        let w = derivative.vjp(C::State::from_rows(v, &layout)).into_rows();
        let length = norms(&w);
        v = unit(w, &length);
        growths.push(length);
    }
    let kept: Vec<Tensor<2>> = growths.split_off(steps / 2);
    let count = kept.len() as f64;
    let logarithms: Vec<f64> =
        Tensor::cat(kept, 1).into_data().iter::<f64>().map(f64::ln).collect();
    logarithms
        .chunks(count as usize)
        .map(|sample| (sample.iter().sum::<f64>() / count).exp())
        .collect()
}
