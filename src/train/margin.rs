//! Training with a margin, and certified accuracy as a metric.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorReadError};
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Adaptor, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes,
    NumericEntry, SerializedEntry,
};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
use firebrick_models::classifier::Classifier;
use firebrick_models::losses::{CertificateCrossEntropyLoss, MultiClassHingeLoss};

use crate::certificates::{Certifier, L2Attack};
use crate::data::LabeledBatch;

/// A classifier in Burn's `Learner`, trained for certified robustness.
///
/// # Example
/// ```
/// use burn::optim::AdamConfig;
/// use burn::tensor::Device;
/// use burn::train::Learner;
/// use firebrick::models::losses::MultiClassHingeLossConfig;
/// use firebrick::models::vision::orthogonal::OrthogonalCnnConfig;
/// use firebrick::optimizers::piecewise_linear::PiecewiseLinearConfig;
/// use firebrick::train::MarginLearner;
///
/// let device = Device::flex().autodiff();
/// let network = OrthogonalCnnConfig::new(10).init(&device);
/// let model = MarginLearner::new(network, MultiClassHingeLossConfig::new().init());
/// let schedule = PiecewiseLinearConfig::up_and_down(8 * 23, 0.01).init();
/// let learner = Learner::new(model, AdamConfig::new().init(), schedule);
/// ```
#[derive(Module, Debug)]
pub struct MarginLearner<N: Module> {
    /// The network.
    pub network: N,
    #[module(skip)]
    loss: MarginLoss,
    #[module(skip)]
    adversary: Option<L2Attack>,
}

/// A loss that asks for a margin between logits.
#[derive(Clone, Debug)]
pub enum MarginLoss {
    /// Multi-class hinge.
    Hinge(MultiClassHingeLoss),
    /// Cross entropy with a reward for the certified radius.
    CertificateCrossEntropy(CertificateCrossEntropyLoss),
}

impl From<MultiClassHingeLoss> for MarginLoss {
    fn from(loss: MultiClassHingeLoss) -> Self {
        Self::Hinge(loss)
    }
}

impl From<CertificateCrossEntropyLoss> for MarginLoss {
    fn from(loss: CertificateCrossEntropyLoss) -> Self {
        Self::CertificateCrossEntropy(loss)
    }
}

impl<N: Classifier<4>> MarginLearner<N> {
    /// A network trained with this loss.
    pub fn new(network: N, loss: impl Into<MarginLoss>) -> Self {
        Self { network, loss: loss.into(), adversary: None }
    }

    /// Trains on attacked images instead of clean ones; one step of the attack is usual.
    #[must_use]
    pub fn with_adversary(mut self, attack: L2Attack) -> Self {
        self.adversary = Some(attack);
        self
    }

    fn output(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> ClassificationOutput {
        let logits = self.network.logits(images);
        let loss = match &self.loss {
            MarginLoss::Hinge(loss) => loss.forward(logits.clone(), labels.clone()),
            MarginLoss::CertificateCrossEntropy(loss) => {
                loss.forward(logits.clone(), labels.clone())
            }
        };
        ClassificationOutput::new(loss, logits, labels)
    }
}

impl<N: Classifier<4>> TrainStep for MarginLearner<N> {
    type Input = LabeledBatch<4>;
    type Output = ClassificationOutput;

    fn step(&self, batch: LabeledBatch<4>) -> TrainOutput<ClassificationOutput> {
        let images = match &self.adversary {
            None => batch.inputs,
            Some(attack) => Tensor::from_inner(attack.perturb(
                &self.network,
                batch.inputs,
                batch.labels.clone(),
            )),
        };
        let output = self.output(images, batch.labels);
        let gradients = output.loss.backward();
        TrainOutput::new(self, gradients, output)
    }
}

impl<N: Classifier<4>> InferenceStep for MarginLearner<N> {
    type Input = LabeledBatch<4>;
    type Output = ClassificationOutput;

    fn step(&self, batch: LabeledBatch<4>) -> ClassificationOutput {
        self.output(batch.inputs, batch.labels)
    }
}

/// Logits and labels for [`CertifiedAccuracyMetric`].
pub struct CertifiedAccuracyInput {
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
}

impl CertifiedAccuracyInput {
    /// `[batch, num_classes]` and `[batch]`.
    pub fn new(logits: Tensor<2>, labels: Tensor<1, Int>) -> Self {
        Self { logits, labels }
    }
}

impl Adaptor<CertifiedAccuracyInput> for ClassificationOutput {
    fn adapt(&self) -> CertifiedAccuracyInput {
        CertifiedAccuracyInput::new(self.output.clone(), self.targets.clone())
    }
}

/// Share of samples, in percent, that are classified right and proven to stay so within a radius.
///
/// # Example
/// ```
/// use firebrick::certificates::Certifier;
/// use firebrick::train::CertifiedAccuracyMetric;
///
/// let metric = CertifiedAccuracyMetric::new(Certifier::new(1.0)?, 36.0 / 255.0);
/// # Ok::<(), firebrick::certificates::CertificateError>(())
/// ```
#[derive(Clone)]
pub struct CertifiedAccuracyMetric {
    name: MetricName,
    certifier: Certifier,
    radius: f64,
    state: NumericMetricState,
}

impl CertifiedAccuracyMetric {
    /// For networks that the certifier fits.
    ///
    /// # Panics
    /// If the radius is negative or NaN.
    pub fn new(certifier: Certifier, radius: f64) -> Self {
        assert!(
            radius >= 0.0,
            "CertifiedAccuracyMetric: radius must not be negative, got {radius}"
        );
        let name = MetricName::new(format!("Certified accuracy at {radius:.3}"));
        Self { name, certifier, radius, state: NumericMetricState::default() }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name()).unit("%").precision(2)
    }
}

impl Metric for CertifiedAccuracyMetric {
    type Input = CertifiedAccuracyInput;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: Some("%".into()), higher_is_better: true }.into()
    }

    fn update(
        &mut self,
        input: &CertifiedAccuracyInput,
        _: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        let logits = input.logits.clone().inner();
        let [batch, _] = logits.dims();
        let certified = self.certifier.radii(logits.clone()).greater_elem(self.radius);
        let found = logits.argmax(1).reshape([batch]);
        let right = found.equal(input.labels.clone().without_autodiff()).bool_and(certified);
        let count = right.int().sum().try_into_scalar::<f64>()?;
        self.state.update(100.0 * count / batch as f64, batch);
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        let format = self.format();
        Ok(self.state.compute_final(format))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for CertifiedAccuracyMetric {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataloader::Progress;
    use burn::tensor::Device;

    #[test]
    fn counts_right_samples_with_a_large_enough_radius() {
        let device = Device::flex();
        let certifier = Certifier::new(1.0).expect("positive");
        let mut metric = CertifiedAccuracyMetric::new(certifier, 0.5);
        // Radii 0.71 and right, 0.71 and wrong, 0.35 and right, 0.71 and right.
        let logits = [[1.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.0, 1.0]];
        let logits = Tensor::<2>::from_data(logits, &device);
        let labels = Tensor::from_data([0, 1, 0, 1], &device);
        let progress = Progress::new(4, 4, None);
        let metadata = MetricMetadata { progress, iteration: None, lr: None };
        let input = CertifiedAccuracyInput::new(logits, labels);
        metric.update(&input, &metadata).expect("flex can be read");
        assert_eq!(metric.value().map(|entry| entry.current()), Some(50.0));
    }
}
