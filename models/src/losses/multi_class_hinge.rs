//! Multi-class hinge loss with a margin.
//!
//! ```text
//! L = mean_b (1/C) sum_{j != y} max(0, m - z_y + z_j)^q
//! ```
//!
//! The gradient is taken in closed form: `q h_j^(q-1) / C` for `j != y` with `h_j > 0`, and minus the sum
//! of these for `y`.
//!
//! # References
//! - Q. Li et al., *Preventing Gradient Attenuation in Lipschitz Constrained Convolutional Networks*,
//!   NeurIPS 2019.
//! - C. Anil, J. Lucas, R. Grosse, *Sorting out Lipschitz function approximation*, ICML 2019.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use firebrick_ops::one_hot;

use super::closed_form::Rows;

/// Settings of [`MultiClassHingeLoss`].
#[derive(Config, Debug)]
pub struct MultiClassHingeLossConfig {
    /// Margin `m`, in units of the logits; see [`margin_of_radius`].
    #[config(default = 0.5)]
    pub margin: f64,
    /// Power `q` of the hinge, at least 1.
    #[config(default = 1.0)]
    pub power: f64,
}

impl MultiClassHingeLossConfig {
    /// Creates the loss.
    ///
    /// # Panics
    /// If the margin is not positive or the power is below 1.
    pub fn init(&self) -> MultiClassHingeLoss {
        let Self { margin, power } = *self;
        assert!(
            margin > 0.0 && margin.is_finite(),
            "MultiClassHingeLossConfig: margin must be positive, got {margin}"
        );
        assert!(
            power >= 1.0 && power.is_finite(),
            "MultiClassHingeLossConfig: power must be at least 1, got {power}"
        );
        MultiClassHingeLoss { margin, power }
    }
}

/// The margin that a radius needs: `m = radius * 2^((p - 1) / p) * lipschitz`, for balls in the norm `p`.
///
/// A network of that Lipschitz constant whose logits differ by `m` cannot be fooled within the radius:
/// `sqrt(2)` for `p = 2`, 2 for `p = inf` (`f64::INFINITY`) and 1 for `p = 1`.
///
/// # Panics
/// If the radius or the constant is not positive, or `p` is below 1.
///
/// # Notes
/// The published training code uses `p = 1` with radius 0.5 for robustness in the norm 2, that is a margin
/// of 0.5, the default of [`MultiClassHingeLossConfig`].
pub fn margin_of_radius(radius: f64, p: f64, lipschitz: f64) -> f64 {
    assert!(
        radius > 0.0 && lipschitz > 0.0 && p >= 1.0,
        "margin_of_radius: radius and lipschitz must be positive and p at least 1, got {radius}, \
         {lipschitz} and {p}"
    );
    let power = if p.is_infinite() { 1.0 } else { (p - 1.0) / p };
    radius * power.exp2() * lipschitz
}

/// Multi-class hinge loss with a margin.
///
/// ```text
/// L = mean_b (1/C) sum_{j != y} max(0, m - z_y + z_j)^q
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick_models::losses::MultiClassHingeLossConfig;
///
/// let device = Device::flex();
/// let loss = MultiClassHingeLossConfig::new().with_margin(1.0).init();
/// let labels = Tensor::<1, Int>::from_data([0], &device);
/// let value = loss.forward(Tensor::from_data([[2.0, 1.5]], &device), labels);
/// assert!((value.into_scalar::<f32>() - 0.25).abs() < 1e-6);
/// ```
///
/// # References
/// Q. Li et al., *Preventing Gradient Attenuation in Lipschitz Constrained Convolutional Networks*, NeurIPS
/// 2019.
#[derive(Module, Debug)]
pub struct MultiClassHingeLoss {
    /// Margin.
    margin: f64,
    /// Power.
    power: f64,
}

impl MultiClassHingeLoss {
    /// Mean over the batch.
    ///
    /// # Shapes
    /// - logits: `[batch, num_classes]`
    /// - labels: `[batch]`, from 0 to below `num_classes`; a row with another label counts every class
    ///   as wrong
    /// - output: `[1]`
    ///
    /// # Panics
    /// If there is not one row of logits per label, or the batch is empty.
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.rows(logits, labels).mean()
    }

    /// One value per sample, `[batch]`.
    ///
    /// # Shapes and panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.rows(logits, labels).each()
    }

    fn rows(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Rows {
        super::check_rows("MultiClassHingeLoss", &logits, &labels);
        let classes = logits.dims()[1];
        let given = one_hot::mask(labels, classes);
        let z = logits.clone().inner();
        let of_given = z.clone().mask_fill(given.clone().bool_not(), 0.0).sum_dim(1);
        let violations = z - of_given + self.margin;
        let hinge = violations.clamp_min(0.0).mask_fill(given.clone(), 0.0);
        let share = 1.0 / classes as f64;
        let slope = if self.power == 1.0 {
            hinge.clone().greater_elem(0.0).float().cast(hinge.dtype()) * share
        } else {
            // The power of zero is zero, also where it is below 1.
            let inside = hinge.clone().greater_elem(0.0).bool_not();
            hinge.clone().powf_scalar(self.power - 1.0).mask_fill(inside, 0.0)
                * (self.power * share)
        };
        let powers = if self.power == 1.0 { hinge } else { hinge.powf_scalar(self.power) };
        let total = slope.clone().sum_dim(1).neg();
        let [batch, _] = slope.dims();
        let gradient = slope.mask_where(given, total.expand([batch, classes]));
        Rows { logits, values: powers.sum_dim(1).squeeze_dim::<1>(1) * share, gradient }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};
    use proptest::prelude::*;

    fn tensor(values: &[f64], rows: usize) -> Tensor<2> {
        let data = TensorData::new(values.to_vec(), [rows, values.len() / rows]);
        Tensor::from_data(data, (&Device::flex().autodiff(), DType::F64))
    }

    fn labels(values: &[i64]) -> Tensor<1, Int> {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Tensor::from_data(data, &Device::flex().autodiff())
    }

    /// From the definition.
    fn expected(values: &[f64], given: &[i64], margin: f64, power: f64) -> f64 {
        let classes = values.len() / given.len();
        let row = |(z, &y): (&[f64], &i64)| {
            let hinge = |j: usize| (margin - z[y as usize] + z[j]).max(0.0).powf(power);
            (0..classes).filter(|&j| j != y as usize).map(hinge).sum::<f64>() / classes as f64
        };
        values.chunks(classes).zip(given).map(row).sum::<f64>() / given.len() as f64
    }

    proptest! {
        #[test]
        fn value_and_gradient_are_those_of_the_definition(
            values in prop::collection::vec(-3.0..3.0f64, 12),
            given in prop::collection::vec(0..4i64, 3),
            margin in 0.1..2.0f64,
            power in prop::sample::select(vec![1.0, 1.5, 2.0, 3.0]),
        ) {
            let loss = MultiClassHingeLossConfig::new().with_margin(margin).with_power(power).init();
            let logits = tensor(&values, 3).require_grad();
            let found = loss.forward(logits.clone(), labels(&given));
            let value = found.clone().into_scalar::<f64>();
            prop_assert!((value - expected(&values, &given, margin, power)).abs() < 1e-12);
            let gradient = logits.grad(&found.backward()).expect("tracked");
            let gradient: Vec<f64> = gradient.into_data().iter::<f64>().collect();
            for entry in 0..values.len() {
                let moved = |by: f64| {
                    let mut values = values.clone();
                    values[entry] += by;
                    expected(&values, &given, margin, power)
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                // A kink within the step is worth less than a twelfth.
                let near_kink = gradient[entry] != 0.0 || slope != 0.0;
                let error = (gradient[entry] - slope).abs();
                prop_assert!(error < 1e-6 || (power == 1.0 && near_kink && error < 0.09));
            }
        }
    }

    #[test]
    fn margins_follow_the_norm_of_the_ball() {
        let of = |p| margin_of_radius(0.5, p, 2.0);
        assert_eq!((of(1.0), of(f64::INFINITY)), (1.0, 2.0));
        assert!((of(2.0) - 2.0f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    #[should_panic(expected = "margin must be positive, got 0")]
    fn refuses_a_margin_of_zero() {
        MultiClassHingeLossConfig::new().with_margin(0.0).init();
    }

    #[test]
    #[should_panic(
        expected = "radius and lipschitz must be positive and p at least 1, got 0.5, 0 and 2"
    )]
    fn refuses_a_lipschitz_constant_of_zero() {
        margin_of_radius(0.5, 2.0, 0.0);
    }

    #[test]
    #[should_panic(expected = "one row per label, 2 and at least one, got 1")]
    fn refuses_logits_and_labels_of_different_length() {
        MultiClassHingeLossConfig::new().init().forward(tensor(&[1.0, 2.0], 1), labels(&[0, 1]));
    }
}
