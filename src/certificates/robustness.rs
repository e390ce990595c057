//! Clean, attacked and certified accuracy of a classifier on a data set.

use std::fmt;

use burn::config::Config;
use burn::data::dataset::Dataset;
use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick_models::classifier::Classifier;
use serde::{Deserialize, Serialize};

use super::{CertificateError, CertificateReport, Certifier, L2AttackConfig};
use crate::data::LabeledDataset;

/// Settings of [`Robustness`].
#[derive(Config, Debug)]
pub struct RobustnessConfig {
    /// Radii at which accuracies are reported.
    #[config(default = "vec![36.0 / 255.0, 72.0 / 255.0, 108.0 / 255.0]")]
    pub radii: Vec<f64>,
    /// The attack; its radius is replaced by each of the radii.
    #[config(default = "L2AttackConfig::new()")]
    pub attack: L2AttackConfig,
    /// Images that go through the network at once.
    #[config(default = 256)]
    pub batch_size: usize,
}

impl RobustnessConfig {
    /// Creates the evaluation for networks that the certifier fits.
    ///
    /// # Errors
    /// [`CertificateError::InvalidSetting`] if a radius is not positive or the batch is empty.
    pub fn init(&self, certifier: Certifier) -> Result<Robustness, CertificateError> {
        for &radius in &self.radii {
            super::error::check_positive("radii", radius)?;
        }
        super::error::check_positive("batch_size", self.batch_size as f64)?;
        Ok(Robustness { config: self.clone(), certifier })
    }
}

/// Accuracies at one radius.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobustnessPoint {
    /// The radius.
    pub radius: f64,
    /// Fraction that is right, and proven to stay so within the radius.
    pub certified: f64,
    /// Fraction that the attack leaves right.
    pub attacked: f64,
    /// Samples that the attack made wrong although they were certified; a valid certificate has none.
    pub violations: usize,
}

/// Clean, attacked and certified accuracy on the same samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobustnessReport {
    /// What the certificates say.
    pub certificates: CertificateReport,
    /// Accuracies at each radius.
    pub points: Vec<RobustnessPoint>,
}

impl RobustnessReport {
    /// Whether certified accuracy <= attacked accuracy <= clean accuracy at every radius and no certified
    /// sample was broken, as must be.
    pub fn is_consistent(&self) -> bool {
        let clean = self.certificates.clean_accuracy;
        let ordered = |point: &RobustnessPoint| {
            point.certified <= point.attacked && point.attacked <= clean && point.violations == 0
        };
        self.points.iter().all(ordered)
    }
}

impl fmt::Display for RobustnessReport {
    /// One line per radius.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "clean accuracy {:.4}", self.certificates.clean_accuracy)?;
        write!(f, "radius   certified  attacked")?;
        for RobustnessPoint { radius, certified, attacked, .. } in &self.points {
            write!(f, "\n{radius:.4}   {certified:.4}     {attacked:.4}")?;
        }
        Ok(())
    }
}

/// Measures clean, attacked and certified accuracy; see [`RobustnessConfig`].
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick::certificates::{Certifier, RobustnessConfig};
/// use firebrick::data::LabeledDataset;
/// use firebrick::datasets::digits;
/// use firebrick::models::vision::orthogonal::OrthogonalCnnConfig;
///
/// let device = Device::flex();
/// let network = OrthogonalCnnConfig::new(10).with_channels([4, 8]).init(&device);
/// let data = LabeledDataset::new(digits()).select(&[0, 1, 2, 3]);
/// let robustness = RobustnessConfig::new().init(Certifier::new(1.0)?)?;
/// let report = robustness.measure(&network, &data, &device)?;
/// assert!(report.is_consistent());
/// # Ok::<(), firebrick::certificates::CertificateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Robustness {
    config: RobustnessConfig,
    certifier: Certifier,
}

impl Robustness {
    /// Measures a classifier of images on a data set.
    ///
    /// Images whose prediction is wrong count as broken and are not attacked further than their start.
    ///
    /// # Errors
    /// As [`Certifier::report`].
    ///
    /// # Panics
    /// If the samples are not images of the network's shape.
    pub fn measure<N: Classifier<4>>(
        &self,
        network: &N,
        data: &LabeledDataset,
        device: &Device,
    ) -> Result<RobustnessReport, CertificateError> {
        let network = network.valid();
        let device = device.clone().inner();
        if data.len() == 0 {
            return Err(CertificateError::Empty { what: "samples" });
        }
        let positions: Vec<usize> = (0..data.len()).collect();
        let batches: Vec<(Tensor<4>, &[usize])> = positions
            .chunks(self.config.batch_size)
            .map(|chunk| (images(data, chunk, &device), &data.labels()[chunk[0]..][..chunk.len()]))
            .collect();
        let logits = batches.iter().map(|(images, _)| network.logits(images.clone())).collect();
        let certificates = self.certifier.report(Tensor::cat(logits, 0), data.labels())?;
        let point = |&radius: &f64| {
            let attack = self.config.attack.clone().with_radius(radius).init();
            let mut stays = Vec::with_capacity(data.len());
            for (images, labels) in &batches {
                let labels = integers(labels, &device);
                let moved = attack.perturb(&network, images.clone(), labels.clone());
                let found = network.logits(moved).argmax(1).reshape([labels.dims()[0]]);
                stays.extend(found.equal(labels).into_data().iter::<bool>());
            }
            // A point where the clean image is wrong is no success of the attack.
            let right =
                stays.iter().zip(&certificates.right).map(|(stays, right)| *stays && *right);
            let right: Vec<bool> = right.collect();
            let certified = |at: usize| certificates.right[at] && certificates.radii[at] > radius;
            let share = |count: usize| count as f64 / data.len() as f64;
            RobustnessPoint {
                radius,
                certified: share((0..data.len()).filter(|&at| certified(at)).count()),
                attacked: share(right.iter().filter(|&&right| right).count()),
                violations: (0..data.len()).filter(|&at| certified(at) && !right[at]).count(),
            }
        };
        let points = self.config.radii.iter().map(point).collect();
        Ok(RobustnessReport { certificates, points })
    }
}

fn images(data: &LabeledDataset, positions: &[usize], device: &Device) -> Tensor<4> {
    let &[channels, height, width] = data.sample_shape() else {
        panic!("Robustness: samples must be images, got the shape {:?}", data.sample_shape())
    };
    let mut values = Vec::new();
    for &position in positions {
        let sample = data.get(position).expect("samples in memory can be read");
        values.extend_from_slice(&sample.values);
    }
    let shape = [positions.len(), channels, height, width];
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn integers(labels: &[usize], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    Tensor::from_data(TensorData::new(values, [labels.len()]), device)
}
