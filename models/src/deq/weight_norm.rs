//! Weights of given row norms.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// Rows of `direction` brought to the norms `length`.
///
/// ```text
/// W = V min(clip, g / ||V_row||)
/// ```
///
/// A row is everything at one index of axis `axis`. The clip bounds the factor, not the norm.
///
/// # Shapes
/// - direction, output: any
/// - length: 1 on every axis but `axis`
///
/// # Panics
/// If there is no such axis.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::deq::weight_norm;
///
/// let device = Device::flex();
/// let v = Tensor::<2>::from_data([[3.0, 4.0]], &device);
/// let w = weight_norm(v, Tensor::from_data([[10.0]], &device), 0, None);
/// assert_eq!(w.into_data().iter::<f32>().collect::<Vec<_>>(), [6.0, 8.0]);
/// ```
pub fn weight_norm<const D: usize>(
    direction: Tensor<D>,
    length: Tensor<D>,
    axis: usize,
    clip: Option<f64>,
) -> Tensor<D> {
    let norms = row_norms(direction.clone(), axis);
    let factor = length / norms;
    let factor = match clip {
        Some(clip) => factor.clamp_max(clip),
        None => factor,
    };
    direction * factor
}

/// Norms of rows; the derivative at a zero row is undefined.
fn row_norms<const D: usize>(direction: Tensor<D>, axis: usize) -> Tensor<D> {
    assert!(axis < D, "weight_norm: axis must be below the rank {D}, got {axis}");
    let squares = direction.square();
    (0..D).filter(|&other| other != axis).fold(squares, |sum, other| sum.sum_dim(other)).sqrt()
}

/// Settings of [`WeightNorm`].
#[derive(Config, Debug)]
pub struct WeightNormConfig {
    /// Whether the norms are learned, from those of the given weight. Otherwise they are `target`.
    #[config(default = true)]
    pub learnable: bool,
    /// The norm of each row where norms are not learned.
    #[config(default = 1.0)]
    pub target: f64,
    /// Axis of the rows: 0, or 1 for transposed convolutions.
    #[config(default = 0)]
    pub axis: usize,
    /// Largest factor.
    pub clip: Option<f64>,
}

impl WeightNormConfig {
    /// Normalizes a weight.
    ///
    /// # Panics
    /// If `target` or `clip` is not positive, there is no such axis, or a row vanishes.
    pub fn init<const D: usize>(&self, weight: Tensor<D>) -> WeightNorm<D> {
        assert!(
            self.target > 0.0,
            "WeightNormConfig: target must be positive, got {}",
            self.target
        );
        assert!(
            self.clip.is_none_or(|clip| clip > 0.0),
            "WeightNormConfig: clip must be positive, got {:?}",
            self.clip
        );
        let norms = row_norms(weight.clone(), self.axis);
        let least: f64 = norms.clone().min().into_scalar();
        assert!(least > 0.0, "WeightNormConfig: every row of the weight must differ from zero");
        let length = if self.learnable { norms } else { norms.full_like(self.target) };
        let length = Param::from_tensor(length.detach());
        WeightNorm {
            direction: Param::from_tensor(weight.detach()),
            length: if self.learnable { length } else { length.set_require_grad(false) },
            axis: self.axis,
            clip: self.clip,
        }
    }
}

/// A weight as direction and norms of its rows.
///
/// Compose it once per training step, outside the solver: all evaluations then share one tracked weight.
#[derive(Module, Debug)]
pub struct WeightNorm<const D: usize> {
    /// `V`
    pub direction: Param<Tensor<D>>,
    /// `g`, with 1 on every axis but that of the rows.
    pub length: Param<Tensor<D>>,
    #[module(skip)]
    axis: usize,
    #[module(skip)]
    clip: Option<f64>,
}

impl<const D: usize> WeightNorm<D> {
    /// The weight.
    pub fn weight(&self) -> Tensor<D> {
        weight_norm(self.direction.val(), self.length.val(), self.axis, self.clip)
    }
}
