//! Co-teaching: two networks, each trained on the samples that the other finds easy.
//!
//! In epoch `e` each network keeps the share
//!
//! ```text
//! R(e) = 1 - tau min(e / ramp, 1)
//! ```
//!
//! of a batch, the samples with its smallest cross entropy, and the *other* network learns from
//! them. `tau` is the noise rate, which has to be known or guessed.
//!
//! # References
//! B. Han, Q. Yao, X. Yu, G. Niu, M. Xu, W. Hu, I. Tsang, M. Sugiyama, *Co-teaching: Robust Training
//! of Deep Neural Networks with Extremely Noisy Labels*, NeurIPS 2018, Algorithm 1.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// Settings of [`CoTeaching`].
#[derive(Config, Debug)]
pub struct CoTeachingConfig {
    /// Share of the samples left out in the end, `tau`: the noise rate, from 0 to below 1.
    pub forget_rate: f64,
    /// Epochs until the whole share is left out.
    #[config(default = 10)]
    pub ramp: usize,
}

impl CoTeachingConfig {
    /// Creates the rule.
    ///
    /// # Panics
    /// If `forget_rate` is not from 0 to below 1, or `ramp` is zero.
    pub fn init(&self) -> CoTeaching {
        let Self { forget_rate, ramp } = *self;
        assert!(
            (0.0..1.0).contains(&forget_rate),
            "CoTeachingConfig: forget_rate must be from 0 to below 1, got {forget_rate}"
        );
        assert!(ramp > 0, "CoTeachingConfig: ramp must be positive, got 0");
        CoTeaching { forget_rate, ramp }
    }
}

/// Co-teaching's selection rule and losses.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick_models::losses::CoTeachingConfig;
///
/// let device = Device::flex();
/// let rule = CoTeachingConfig::new(0.5).init();
/// let labels = Tensor::<1, Int>::from_data([0, 0], &device);
/// let first = Tensor::<2>::from_data([[3.0, 0.0], [0.0, 3.0]], &device);
/// let output = rule.forward(20, first.clone(), first, labels);
/// // Half of the batch is kept: the sample with the smaller loss.
/// assert_eq!(output.kept_by_first.into_data().iter::<i64>().collect::<Vec<_>>(), [0]);
/// ```
#[derive(Module, Debug)]
pub struct CoTeaching {
    forget_rate: f64,
    ramp: usize,
}

/// What [`CoTeaching::forward`] returns.
#[derive(Clone, Debug)]
pub struct CoTeachingOutput {
    /// Mean cross entropy of the first network over what the second keeps, `[1]`.
    pub first: Tensor<1>,
    /// Mean cross entropy of the second network over what the first keeps, `[1]`.
    pub second: Tensor<1>,
    /// Positions in the batch that the first network keeps, smallest loss first, `[kept]`.
    pub kept_by_first: Tensor<1, Int>,
    /// Positions in the batch that the second network keeps, smallest loss first, `[kept]`.
    pub kept_by_second: Tensor<1, Int>,
}

impl CoTeaching {
    /// Share of a batch that is kept in an epoch, counted from 0.
    pub fn keep_rate(&self, epoch: usize) -> f64 {
        1.0 - self.forget_rate * (epoch as f64 / self.ramp as f64).min(1.0)
    }

    /// Number of samples kept of a batch: the share rounded down, at least one.
    pub fn kept(&self, epoch: usize, batch: usize) -> usize {
        // The product may fall a hair below a whole number.
        ((self.keep_rate(epoch) * batch as f64 + 1e-9) as usize).max(1)
    }

    /// Positions of the kept samples: those with the smallest losses, in that order.
    ///
    /// # Shapes
    /// - losses: `[batch]`
    /// - output: `[kept]`, without autodiff
    ///
    /// # Panics
    /// If the batch is empty.
    pub fn select(&self, epoch: usize, losses: Tensor<1>) -> Tensor<1, Int> {
        let [batch] = losses.dims();
        assert!(batch > 0, "CoTeaching: the batch must not be empty");
        losses.inner().argsort(0).narrow(0, 0, self.kept(epoch, batch))
    }

    /// The losses of both networks on a batch; each has a `backward` of its own.
    ///
    /// # Shapes
    /// - first, second: `[batch, num_classes]`, logits of the two networks
    /// - labels: `[batch]`, the given labels
    ///
    /// # Panics
    /// If there is not one row of logits per label, or the batch is empty.
    pub fn forward(
        &self,
        epoch: usize,
        first: Tensor<2>,
        second: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> CoTeachingOutput {
        let [first, second] = [first, second].map(|logits| cross_entropies(logits, labels.clone()));
        let kept_by_first = self.select(epoch, first.clone());
        let kept_by_second = self.select(epoch, second.clone());
        CoTeachingOutput {
            first: first.select(0, kept_by_second.clone()).mean(),
            second: second.select(0, kept_by_first.clone()).mean(),
            kept_by_first,
            kept_by_second,
        }
    }
}

/// One cross entropy per sample, `[batch]`.
fn cross_entropies(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let given = super::given("CoTeaching", &logits, labels);
    (log_softmax(logits, 1) * given).sum_dim(1).squeeze_dim::<1>(1).neg()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn kept(values: Tensor<1, Int>) -> Vec<i64> {
        values.into_data().iter::<i64>().collect()
    }

    #[test]
    fn the_share_falls_to_its_end_within_the_ramp() {
        let rule = CoTeachingConfig::new(0.4).with_ramp(10).init();
        assert_eq!(rule.keep_rate(0), 1.0);
        assert!((rule.keep_rate(5) - 0.8).abs() < 1e-12);
        assert!((rule.keep_rate(10) - 0.6).abs() < 1e-12);
        assert_eq!(rule.keep_rate(10), rule.keep_rate(99));
        assert_eq!(
            [(0, 10), (5, 10), (99, 10), (99, 1), (99, 9)].map(|(e, b)| rule.kept(e, b)),
            [10, 8, 6, 1, 5]
        );
    }

    #[test]
    fn each_network_learns_from_what_the_other_keeps() {
        let device = Device::flex().autodiff();
        let logits = |right: [f32; 4]| {
            let rows = right.map(|z| [z, 0.0]);
            Tensor::<2>::from_data(rows, &device).require_grad()
        };
        let (a, b) = (logits([4.0, 1.0, -3.0, 0.0]), logits([-2.0, 0.0, 3.0, 1.0]));
        let labels = Tensor::<1, Int>::from_data([0, 0, 0, 0], &device);
        let output = CoTeachingConfig::new(0.5).init().forward(10, a.clone(), b.clone(), labels);
        assert_eq!(kept(output.kept_by_first), [0, 1]);
        assert_eq!(kept(output.kept_by_second), [2, 3]);
        let gradient = |input: &Tensor<2>, loss: Tensor<1>| {
            input.grad(&loss.backward()).unwrap().into_data().iter::<f32>().collect::<Vec<_>>()
        };
        let loss = |z: f32| (1.0 + (-z).exp()).ln();
        let value = output.first.clone().into_scalar::<f32>();
        assert!((value - (loss(-3.0) + loss(0.0)) / 2.0).abs() < 1e-5);
        let of_first = gradient(&a, output.first);
        assert!(of_first[..4].iter().all(|g| *g == 0.0) && of_first[4] < -0.4, "{of_first:?}");
        let of_second = gradient(&b, output.second);
        assert!(of_second[4..].iter().all(|g| *g == 0.0) && of_second[0] < -0.4, "{of_second:?}");
    }

    #[test]
    #[should_panic(expected = "forget_rate must be from 0 to below 1, got 1")]
    fn refuses_to_forget_everything() {
        CoTeachingConfig::new(1.0).init();
    }

    #[test]
    #[should_panic(expected = "one row per label, 2 and at least one, got 1")]
    fn refuses_logits_and_labels_of_different_length() {
        let device = Device::flex();
        let labels = Tensor::<1, Int>::from_data([0, 0], &device);
        let logits = || Tensor::<2>::ones([1, 2], &device);
        CoTeachingConfig::new(0.1).init().forward(0, logits(), logits(), labels);
    }
}
