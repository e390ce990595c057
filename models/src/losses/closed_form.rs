//! What the losses share whose gradient with respect to the logits is known in closed form.

use burn::tensor::{Bool, Int, Tensor};
use firebrick_ops::one_hot;
use firebrick_ops::surrogate::{rows_with_gradient, with_gradient};

/// Softmax of a batch of logits, without autodiff.
pub(super) struct Softmax {
    /// True at the given classes, `[batch, num_classes]`.
    pub given: Tensor<2, Bool>,
    /// `[batch, num_classes]`
    pub p: Tensor<2>,
    /// `log p_y`, also where `p_y` underflows, `[batch, 1]`.
    pub log_given: Tensor<2>,
}

impl Softmax {
    /// Checks the shapes, in the name of a loss.
    pub fn new(name: &str, logits: &Tensor<2>, labels: Tensor<1, Int>) -> Self {
        super::check_rows(name, logits, &labels);
        let given = one_hot::mask(labels, logits.dims()[1]);
        let logits = logits.clone().inner();
        let shifted = logits.clone() - logits.max_dim(1);
        // One exponential serves `p` and the logarithm.
        let powers = shifted.clone().exp();
        let sum = powers.clone().sum_dim(1);
        let of_given = shifted.mask_fill(given.clone().bool_not(), 0.0).sum_dim(1);
        let log_given = of_given - sum.clone().log();
        Self { given, p: powers / sum, log_given }
    }
}

/// One value and one row of the gradient per sample.
pub(super) struct Rows {
    /// The loss's input, perhaps with autodiff.
    pub logits: Tensor<2>,
    /// `[batch]`
    pub values: Tensor<1>,
    /// `[batch, num_classes]`
    pub gradient: Tensor<2>,
}

impl Rows {
    /// Mean over the batch, `[1]`.
    pub fn mean(self) -> Tensor<1> {
        let per_row = 1.0 / self.values.dims()[0] as f64;
        with_gradient(self.logits, self.values.mean(), self.gradient * per_row)
    }

    /// One value per sample, `[batch]`.
    pub fn each(self) -> Tensor<1> {
        rows_with_gradient(self.logits, self.values, self.gradient)
    }
}

#[cfg(test)]
mod tests {
    use crate::losses::{GeneralizedCrossEntropyLossConfig, SymmetricCrossEntropyLossConfig};
    use burn::tensor::{DType, Device, Int, Tensor, TensorData};
    use proptest::prelude::*;

    type Loss = fn(f64, Tensor<2>, Tensor<1, Int>) -> Tensor<1>;

    fn generalized(q: f64, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let loss = GeneralizedCrossEntropyLossConfig::new().with_q(q).init();
        loss.forward_no_reduction(logits, labels)
    }

    fn symmetric(alpha: f64, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let loss = SymmetricCrossEntropyLossConfig::new().with_alpha(alpha).with_beta(0.7).init();
        loss.forward_no_reduction(logits, labels)
    }

    /// Sum of the rows' values, weighted by 1, 2, ..; and its gradient.
    fn weighted(loss: Loss, option: f64, values: &[f64], labels: &[i64]) -> (f64, Vec<f64>) {
        let device = Device::flex().autodiff();
        let shape = [labels.len(), values.len() / labels.len()];
        let tensor = |values: Vec<f64>, shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values, shape), (&device, DType::F64))
        };
        let logits = tensor(values.to_vec(), shape).require_grad();
        let weights = (1..=labels.len()).map(|row| row as f64).collect();
        let weights = tensor(weights, [labels.len(), 1]).squeeze_dim::<1>(1);
        let labels = Tensor::from_data(TensorData::new(labels.to_vec(), [shape[0]]), &device);
        let total = (loss(option, logits.clone(), labels) * weights).sum();
        let gradient = logits.grad(&total.clone().backward()).expect("the logits are tracked");
        (total.into_scalar::<f64>(), gradient.into_data().iter::<f64>().collect())
    }

    proptest! {
        #[test]
        fn gradients_are_those_of_finite_differences(
            values in prop::collection::vec(-12.0..12.0f64, 12),
            labels in prop::collection::vec(0..4i64, 3),
            option in 0.05..1.0f64,
        ) {
            for loss in [generalized as Loss, symmetric] {
                let (_, gradient) = weighted(loss, option, &values, &labels);
                for entry in 0..values.len() {
                    let moved = |by: f64| {
                        let mut values = values.clone();
                        values[entry] += by;
                        weighted(loss, option, &values, &labels).0
                    };
                    let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    // The kink of the symmetric loss, where p is at its floor, is worth 2e-6.
                    prop_assert!(
                        (gradient[entry] - expected).abs() < 1e-5,
                        "entry {entry}: {} instead of {expected}", gradient[entry]
                    );
                }
            }
        }
    }

    #[test]
    fn below_the_floor_the_reverse_term_has_no_gradient() {
        let values = [0.0, 0.0, -20.0];
        let (_, gradient) = weighted(symmetric, 0.0, &values, &[0]);
        // p of the last class is 1e-9: only the softmax's own factor p_k sum(w) is left.
        let p = (-20.0f64).exp() / (2.0 + (-20.0f64).exp());
        let expected = -(-1e-4f64.ln() * 0.7) * p * (1.0 - p) / 2.0;
        assert!((gradient[2] / expected - 1.0).abs() < 1e-6, "{} {expected}", gradient[2]);
    }

    #[test]
    fn the_mean_is_the_mean_of_the_rows_with_its_gradient() {
        let device = Device::flex().autodiff();
        let labels = || Tensor::<1, Int>::from_data([1, 0], &device);
        let logits = || Tensor::<2>::from_data([[1.0, 2.0, -1.0], [0.0, 3.0, 0.5]], &device);
        let gradient = |f: &dyn Fn(Tensor<2>) -> Tensor<1>| {
            let logits = logits().require_grad();
            let loss = f(logits.clone());
            let gradient = logits.grad(&loss.clone().backward()).expect("the logits are tracked");
            let mut all: Vec<f32> = gradient.into_data().iter::<f32>().collect();
            all.push(loss.into_scalar::<f32>());
            all
        };
        let generalized = GeneralizedCrossEntropyLossConfig::new().init();
        let symmetric = SymmetricCrossEntropyLossConfig::new().init();
        let pairs = [
            (
                gradient(&|z| generalized.forward(z, labels())),
                gradient(&|z| generalized.forward_no_reduction(z, labels()).mean()),
            ),
            (
                gradient(&|z| symmetric.forward(z, labels())),
                gradient(&|z| symmetric.forward_no_reduction(z, labels()).mean()),
            ),
        ];
        for (mean, rows) in pairs {
            assert!(mean.iter().any(|value| value.abs() > 0.01));
            for (a, b) in mean.iter().zip(&rows) {
                assert!((a - b).abs() < 1e-6, "{mean:?} {rows:?}");
            }
        }
    }
}
