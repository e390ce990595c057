//! Labeled host data as a Burn data set.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick_datasets::LabeledSamples;

use super::{EpochLoader, Indexed};

/// One sample with the label it is used with.
#[derive(Clone, Debug, PartialEq)]
pub struct LabeledSample {
    /// Values, row-major; images in `[0, 1]`.
    pub values: Vec<f32>,
    /// The given label.
    pub label: usize,
}

/// A view of labeled samples for training: a choice of samples, and perhaps other labels than the
/// true ones.
///
/// Index `i` of the data set is its `i`-th chosen sample; per-sample states are keyed by it. Clones
/// share the data.
#[derive(Clone)]
pub struct LabeledDataset {
    samples: Arc<dyn LabeledSamples>,
    chosen: Arc<Vec<usize>>,
    labels: Arc<Vec<usize>>,
}

impl LabeledDataset {
    /// All samples with their own labels.
    pub fn new(samples: impl LabeledSamples + 'static) -> Self {
        let labels = samples.labels().to_vec();
        Self {
            chosen: Arc::new((0..labels.len()).collect()),
            labels: Arc::new(labels),
            samples: Arc::new(samples),
        }
    }

    /// The samples at the given positions of this data set, in that order.
    ///
    /// # Panics
    /// If a position is out of range.
    pub fn select(&self, positions: &[usize]) -> Self {
        let pick = |values: &[usize]| {
            let at = |&position: &usize| {
                *values.get(position).unwrap_or_else(|| {
                    panic!("select: positions must be below {}, got {position}", values.len())
                })
            };
            Arc::new(positions.iter().map(at).collect())
        };
        Self {
            samples: self.samples.clone(),
            chosen: pick(&self.chosen),
            labels: pick(&self.labels),
        }
    }

    /// The same samples with other labels, for example noisy ones.
    ///
    /// # Panics
    /// If there is not one label per sample or a label is not below the number of classes.
    pub fn with_labels(mut self, labels: Vec<usize>) -> Self {
        let (expected, classes) = (self.chosen.len(), self.num_classes());
        assert!(
            labels.len() == expected,
            "with_labels: labels must have {expected} entries, got {}",
            labels.len()
        );
        if let Some(label) = labels.iter().find(|&&label| label >= classes) {
            panic!("with_labels: labels must be below {classes}, got {label}");
        }
        self.labels = Arc::new(labels);
        self
    }

    /// Number of classes.
    pub fn num_classes(&self) -> usize {
        self.samples.num_classes()
    }

    /// Shape of one sample: `[channels, height, width]` or `[dim]`.
    pub fn sample_shape(&self) -> &[usize] {
        self.samples.sample_shape()
    }

    /// The labels, in the order of the indices.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// A loader of batches of `D` dimensions: 4 for images, 2 for feature vectors.
    ///
    /// # Panics
    /// If `batch_size` is zero or `D` is not one more than the rank of a sample.
    pub fn loader<const D: usize>(
        &self,
        batch_size: usize,
    ) -> EpochLoader<LabeledSample, LabeledBatch<D>> {
        EpochLoader::new(self.clone(), LabeledBatcher::<D>::new(self.sample_shape()), batch_size)
    }
}

impl Dataset<LabeledSample> for LabeledDataset {
    fn get(&self, index: usize) -> Result<LabeledSample, DatasetError> {
        let values = self.samples.sample(self.chosen[index]);
        Ok(LabeledSample { values, label: self.labels[index] })
    }

    fn len(&self) -> usize {
        self.chosen.len()
    }
}

/// A batch of labeled samples that know their place in the training set.
#[derive(Clone, Debug)]
pub struct LabeledBatch<const D: usize> {
    /// `[batch, ..sample shape]`: `[batch, channels, height, width]` for images.
    pub inputs: Tensor<D>,
    /// The given labels, `[batch]`.
    pub labels: Tensor<1, Int>,
    /// The position of each sample in the data set, `[batch]`.
    pub indices: Tensor<1, Int>,
}

/// Puts samples of one shape together.
#[derive(Clone, Copy, Debug)]
pub struct LabeledBatcher<const D: usize> {
    /// Shape of a batch of one.
    shape: [usize; D],
}

impl<const D: usize> LabeledBatcher<D> {
    /// A batcher for samples of the given shape.
    ///
    /// # Panics
    /// If `D` is not one more than the rank of a sample.
    pub fn new(sample_shape: &[usize]) -> Self {
        assert!(
            sample_shape.len() + 1 == D,
            "LabeledBatcher: samples of the shape {sample_shape:?} make batches of {} dimensions, got D = {D}",
            sample_shape.len() + 1
        );
        let mut shape = [1; D];
        shape[1..].copy_from_slice(sample_shape);
        Self { shape }
    }
}

impl<const D: usize> Batcher<Indexed<LabeledSample>, LabeledBatch<D>> for LabeledBatcher<D> {
    fn batch(&self, items: Vec<Indexed<LabeledSample>>, device: &Device) -> LabeledBatch<D> {
        let mut shape = self.shape;
        shape[0] = items.len();
        let integers = |value: fn(&Indexed<LabeledSample>) -> usize| {
            let values: Vec<i64> = items.iter().map(|item| value(item) as i64).collect();
            Tensor::<1, Int>::from_data(TensorData::new(values, [items.len()]), device)
        };
        let labels = integers(|item| item.item.label);
        let indices = integers(|item| item.index);
        let mut values = Vec::with_capacity(shape.iter().product());
        items.iter().for_each(|item| values.extend_from_slice(&item.item.values));
        LabeledBatch {
            inputs: Tensor::from_data(TensorData::new(values, shape), device),
            labels,
            indices,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::data::dataloader::DataLoader;
    use firebrick_datasets::FeatureSet;

    fn dataset() -> LabeledDataset {
        let features = (0..10).map(|value| value as f32).collect();
        LabeledDataset::new(FeatureSet::new("test", features, 2, vec![0, 1, 2, 0, 1], 3).unwrap())
    }

    #[test]
    fn batches_carry_values_labels_and_indices() {
        let dataset = dataset().select(&[4, 1, 0]).with_labels(vec![2, 2, 0]);
        let loader = dataset.loader::<2>(2).device(Device::flex());
        let batch = loader.iter().next().unwrap().unwrap();
        assert_eq!(batch.inputs.into_data().try_to_vec::<f32>().unwrap(), [8., 9., 2., 3.]);
        assert_eq!(batch.labels.into_data().iter::<i64>().collect::<Vec<_>>(), [2, 2]);
        assert_eq!(batch.indices.into_data().iter::<i64>().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_choice_of_a_choice_keeps_samples_and_labels_together() {
        let dataset = dataset().select(&[4, 3, 2]).select(&[2, 0]);
        assert_eq!(dataset.labels(), [2, 1]);
        assert_eq!(dataset.get(1).unwrap().values, [8.0, 9.0]);
    }

    #[test]
    #[should_panic(expected = "make batches of 2 dimensions, got D = 4")]
    fn refuses_a_rank_that_does_not_fit_the_samples() {
        dataset().loader::<4>(2);
    }

    #[test]
    #[should_panic(expected = "labels must be below 3, got 3")]
    fn refuses_labels_of_no_class() {
        dataset().with_labels(vec![0, 1, 2, 3, 0]);
    }
}
