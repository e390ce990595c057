//! The consistency loss: several predictions of one node must agree.

use burn::config::Config;
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};
use firebrick_ops::one_hot::one_hot;

/// Below this a logarithm of a 32-bit probability is that of zero.
const LOWEST_LOG: f64 = -87.0;

/// Settings of [`ConsistencyLoss`].
///
/// | field | default | symbol | meaning |
/// |---|---|---|---|
/// | `temperature` | 0.5 | T | above 0; 1 leaves the consensus as it is |
/// | `weight` | 1 | lambda | of the consistency term, at least 0; 0 turns it off |
#[derive(Config, Debug)]
pub struct ConsistencyLossConfig {
    /// The temperature `T`.
    #[config(default = 0.5)]
    pub temperature: f64,
    /// The weight of the consistency term.
    #[config(default = 1.0)]
    pub weight: f64,
}

impl ConsistencyLossConfig {
    /// Creates the loss.
    ///
    /// # Panics
    /// If the temperature is not a finite number above 0, or the weight not one of at least 0.
    pub fn init(&self) -> ConsistencyLoss {
        let Self { temperature, weight } = *self;
        assert!(
            temperature > 0.0 && temperature.is_finite(),
            "ConsistencyLossConfig: temperature must be a finite number above 0, got {temperature}"
        );
        assert!(
            weight >= 0.0 && weight.is_finite(),
            "ConsistencyLossConfig: weight must be a finite number of at least 0, got {weight}"
        );
        ConsistencyLoss { temperature, weight }
    }
}

/// Several predictions of one node must agree: supervised loss, and distance to the sharpened
/// consensus.
///
/// With `S` predictions `L_s = ln p_s` of `n` nodes and `C` classes:
///
/// ```text
/// supervised  = -1/S sum_s mean over labeled nodes of L_s[i, y_i]
/// mean        = 1/S sum_s p_s
/// target[i]   = mean[i]^(1/T) / sum_c mean[i, c]^(1/T)                       (no gradient)
/// consistency = weight / (S n) sum_s sum_i |p_s[i] - target[i]|^2            over all nodes
/// ```
///
/// A temperature `T` below 1 sharpens the consensus, so unlabeled nodes are pulled towards one class.
///
///
/// # Example
/// ```
/// use burn::tensor::activation::log_softmax;
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick_models::graph::local_augmentation::ConsistencyLossConfig;
///
/// let device = Device::flex().autodiff();
/// // Two predictions of two nodes; the first node has the label 0.
/// let logits = Tensor::<3>::from_data([[[2., 0.], [1., 0.]], [[1., 0.], [0., 1.]]], &device);
/// let first = Tensor::<1, Int>::from_data([0], &device);
/// let loss = ConsistencyLossConfig::new().init();
/// let output = loss.forward(log_softmax(logits, 2), first.clone(), first);
/// assert!(output.consistency.into_scalar::<f32>() > 0.0);
/// ```
///
/// # References
/// W. Feng et al., *Graph Random Neural Networks for Semi-Supervised Learning on Graphs*, NeurIPS
/// 2020; S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022.
#[derive(Clone, Copy, Debug)]
pub struct ConsistencyLoss {
    temperature: f64,
    weight: f64,
}

/// What [`ConsistencyLoss::forward`] gives.
#[derive(Clone, Debug)]
pub struct ConsistencyOutput {
    /// Negative log-likelihood of the labels, averaged over predictions and labeled nodes, `[1]`.
    pub supervised: Tensor<1>,
    /// The consistency term with its weight, `[1]`.
    pub consistency: Tensor<1>,
}

impl ConsistencyOutput {
    /// The sum of both.
    pub fn total(self) -> Tensor<1> {
        self.supervised + self.consistency
    }
}

impl ConsistencyLoss {
    /// Both terms.
    ///
    /// # Shapes
    /// - log_probabilities: `[samples, nodes, classes]`
    /// - labeled: `[labeled]`, indices of nodes
    /// - labels: `[labeled]`, in `0..classes`
    ///
    /// # Panics
    /// If there are no samples or no labeled nodes, or `labeled` and `labels` differ in length.
    pub fn forward(
        &self,
        log_probabilities: Tensor<3>,
        labeled: Tensor<1, Int>,
        labels: Tensor<1, Int>,
    ) -> ConsistencyOutput {
        let supervised = supervised_loss(log_probabilities.clone(), labeled, labels);
        ConsistencyOutput { supervised, consistency: self.consistency(log_probabilities) }
    }

    /// The consistency term alone, with its weight.
    ///
    /// # Shapes
    /// - log_probabilities: `[samples, nodes, classes]`
    /// - output: `[1]`
    pub fn consistency(&self, log_probabilities: Tensor<3>) -> Tensor<1> {
        let [samples, nodes, _] = log_probabilities.dims();
        if self.weight == 0.0 || samples == 0 || nodes == 0 {
            return Tensor::zeros([1], (&log_probabilities.device(), log_probabilities.dtype()));
        }
        let probabilities = log_probabilities.exp();
        let target = self.target(probabilities.clone());
        let distance = probabilities - target.unsqueeze::<3>();
        distance.square().sum() * (self.weight / (samples * nodes) as f64)
    }

    /// The sharpened consensus, without autodiff.
    ///
    /// # Shapes
    /// - probabilities: `[samples, nodes, classes]`
    /// - output: `[nodes, classes]`
    pub fn target(&self, probabilities: Tensor<3>) -> Tensor<2> {
        let mean = probabilities.without_autodiff().mean_dim(0).squeeze_dim::<2>(0);
        sharpen(mean, self.temperature)
    }
}

/// Raises probabilities to the power `1 / temperature` and normalizes the rows.
///
/// Computed as `softmax(ln(p) / temperature)` with the logarithm at least -87, because the power
/// itself underflows at low temperatures.
///
/// # Shapes
/// - probabilities: `[rows, classes]`
/// - output: `[rows, classes]`
///
/// # Panics
/// If the temperature is not above 0.
pub fn sharpen(probabilities: Tensor<2>, temperature: f64) -> Tensor<2> {
    assert!(temperature > 0.0, "sharpen: temperature must be above 0, got {temperature}");
    softmax(probabilities.log().clamp_min(LOWEST_LOG) * (1.0 / temperature), 1)
}

/// Negative log-likelihood of the labels, averaged over samples and labeled nodes.
///
/// # Shapes
/// - log_probabilities: `[samples, nodes, classes]`
/// - labeled: `[labeled]`, indices of nodes
/// - labels: `[labeled]`
/// - output: `[1]`
///
/// # Panics
/// As [`ConsistencyLoss::forward`].
pub fn supervised_loss(
    log_probabilities: Tensor<3>,
    labeled: Tensor<1, Int>,
    labels: Tensor<1, Int>,
) -> Tensor<1> {
    let [samples, _, classes] = log_probabilities.dims();
    let ([count], [found]) = (labeled.dims(), labels.dims());
    assert!(
        count == found,
        "supervised_loss: labeled and labels must be equally long, got {count} and {found}"
    );
    assert!(
        samples > 0 && count > 0,
        "supervised_loss: expected at least one sample and one labeled node, got {samples} and {count}"
    );
    let dtype = log_probabilities.dtype();
    let rows = log_probabilities.select(1, labeled);
    let given = one_hot(labels, classes, dtype).unsqueeze::<3>();
    (rows * given).sum() * (-1.0 / (samples * count) as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{DType, Device, TensorData};
    use proptest::prelude::*;

    fn logits(values: Vec<f64>, shape: [usize; 3], device: &Device) -> Tensor<3> {
        let data = TensorData::new(values, shape);
        log_softmax(Tensor::from_data(data, (device, DType::F64)), 2)
    }

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    proptest! {
        #[test]
        fn the_target_has_rows_of_sum_one_and_temperature_one_leaves_the_mean(
            values in prop::collection::vec(-4.0..4.0f64, 24),
            temperature in 0.05..3.0f64,
        ) {
            let p = logits(values, [2, 4, 3], &Device::flex()).exp();
            let config = ConsistencyLossConfig::new().with_temperature(temperature);
            for sum in numbers(config.init().target(p.clone()).sum_dim(1)) {
                prop_assert!((sum - 1.0).abs() < 1e-12);
            }
            let plain = ConsistencyLossConfig::new().with_temperature(1.0).init();
            let mean = numbers(p.clone().mean_dim(0));
            for (target, mean) in numbers(plain.target(p)).into_iter().zip(mean) {
                prop_assert!((target - mean).abs() < 1e-12);
            }
        }

        #[test]
        fn the_order_of_the_samples_does_not_matter(
            values in prop::collection::vec(-4.0..4.0f64, 24),
        ) {
            let loss = ConsistencyLossConfig::new().init();
            let p = logits(values, [2, 4, 3], &Device::flex());
            let found = numbers(loss.consistency(p.clone().flip([0])))[0];
            prop_assert!((found - numbers(loss.consistency(p))[0]).abs() < 1e-12);
        }
    }

    #[test]
    fn equal_predictions_are_consistent_at_temperature_one_or_when_certain() {
        let device = Device::flex();
        let p = logits([0.3, -1.0, 0.2].repeat(4), [4, 1, 3], &device);
        let plain = ConsistencyLossConfig::new().with_temperature(1.0).init();
        assert!(numbers(plain.consistency(p.clone()))[0] < 1e-30);
        let sharp = ConsistencyLossConfig::new().init();
        assert!(numbers(sharp.consistency(p))[0] > 1e-2);
        let certain = logits([800.0, 0.0, 0.0].repeat(4), [4, 1, 3], &device);
        assert!(numbers(sharp.consistency(certain))[0] < 1e-30);
    }

    #[test]
    fn tiny_probabilities_survive_a_low_temperature() {
        let device = Device::flex();
        let p = Tensor::<2>::from_data([[1e-12, 2e-12, 0.0], [0.0, 0.0, 1.0]], &device);
        let found: Vec<f32> = sharpen(p, 0.2).into_data().iter().collect();
        assert!((found[1] - 32.0 / 33.0).abs() < 1e-5, "{found:?}");
        assert_eq!(found[5], 1.0);
    }

    #[test]
    fn a_weight_of_zero_turns_the_term_off() {
        let loss = ConsistencyLossConfig::new().with_weight(0.0).init();
        let p = logits(vec![1.0, 0.0, 0.0, 1.0], [2, 1, 2], &Device::flex());
        assert_eq!(numbers(loss.consistency(p)), [0.0]);
    }

    #[test]
    #[should_panic(expected = "temperature must be a finite number above 0, got 0")]
    fn refuses_a_temperature_of_zero() {
        ConsistencyLossConfig::new().with_temperature(0.0).init();
    }

    #[test]
    #[should_panic(expected = "weight must be a finite number of at least 0, got -1")]
    fn refuses_a_negative_weight() {
        ConsistencyLossConfig::new().with_weight(-1.0).init();
    }

    #[test]
    #[should_panic(expected = "at least one sample and one labeled node, got 1 and 0")]
    fn refuses_an_empty_training_set() {
        let none = Tensor::<1, Int>::from_data([0i32; 0], &Device::flex());
        let p = logits(vec![0.0, 1.0], [1, 1, 2], &Device::flex());
        supervised_loss(p, none.clone(), none);
    }
}
