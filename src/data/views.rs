//! Random views of images in the batches of the data loader.

use burn::data::dataloader::batcher::Batcher;
use burn::tensor::Device;
use firebrick_datasets::augment::{Augmentation, ViewKey};

use super::{EpochLoader, Indexed, LabeledBatch, LabeledBatcher, LabeledDataset, LabeledSample};

/// Which views of its images a batch holds; see
/// [`augment`](firebrick_datasets::augment) for what a view depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Views {
    weak: Augmentation,
    strong: Option<Augmentation>,
    seed: u64,
}

impl Views {
    /// One view of each image.
    pub fn one(weak: Augmentation, seed: u64) -> Self {
        Self { weak, strong: None, seed }
    }

    /// Two views of each image, as SOP+ needs them: the first is the one that is classified.
    pub fn two(weak: Augmentation, strong: Augmentation, seed: u64) -> Self {
        Self { weak, strong: Some(strong), seed }
    }
}

/// Puts views of images of one shape together.
#[derive(Clone, Copy, Debug)]
pub struct ViewBatcher {
    shape: [usize; 3],
    views: Views,
}

impl ViewBatcher {
    /// A batcher for images of the given shape.
    ///
    /// # Shapes
    /// - shape: `[channels, height, width]`
    pub fn new(shape: [usize; 3], views: Views) -> Self {
        Self { shape, views }
    }
}

impl Batcher<Indexed<LabeledSample>, LabeledBatch<4>> for ViewBatcher {
    /// Labels and indices stand once per image; of two views all first ones stand above all second
    /// ones, `[2 * batch, channels, height, width]`.
    fn batch(&self, items: Vec<Indexed<LabeledSample>>, device: &Device) -> LabeledBatch<4> {
        let view = |augmentation: &Augmentation, view: usize| {
            let seed = self.views.seed;
            let apply = |item: &Indexed<LabeledSample>| {
                let key = ViewKey { seed, epoch: item.epoch, index: item.index, view };
                let values = augmentation.apply(&item.item.values, self.shape, key);
                let sample = LabeledSample { values, label: item.item.label };
                Indexed { item: sample, index: item.index, epoch: item.epoch }
            };
            items.iter().map(apply).collect::<Vec<_>>()
        };
        let batcher = LabeledBatcher::<4>::new(&self.shape);
        let first = view(&self.views.weak, 0);
        let Some(strong) = &self.views.strong else { return batcher.batch(first, device) };
        let rows = first.len();
        let both = [first, view(strong, 1)].concat();
        let batch = batcher.batch(both, device);
        let once = 0..rows;
        LabeledBatch {
            inputs: batch.inputs,
            labels: batch.labels.slice([once.clone()]),
            indices: batch.indices.slice([once]),
        }
    }
}

impl LabeledDataset {
    /// A loader of batches of random views of the images.
    ///
    /// # Panics
    /// If `batch_size` is zero or the samples are no images.
    ///
    /// # Example
    /// ```
    /// use burn::data::dataloader::DataLoader;
    /// use burn::tensor::Device;
    /// use firebrick::data::{LabeledDataset, Views};
    /// use firebrick::datasets::augment::Augmentation;
    /// use firebrick::datasets::digits;
    ///
    /// let (weak, strong) = (Augmentation::weak([1, 8, 8]), Augmentation::strong([1, 8, 8]));
    /// let loader = LabeledDataset::new(digits())
    ///     .view_loader(32, Views::two(weak, strong, 0))
    ///     .shuffle(0)
    ///     .device(Device::flex());
    /// let batch = loader.iter().next().unwrap().unwrap();
    /// assert_eq!(batch.inputs.dims(), [64, 1, 8, 8]);
    /// assert_eq!(batch.labels.dims(), [32]);
    /// ```
    pub fn view_loader(
        &self,
        batch_size: usize,
        views: Views,
    ) -> EpochLoader<LabeledSample, LabeledBatch<4>> {
        let &[channels, height, width] = self.sample_shape() else {
            panic!("view_loader: samples must be images, got the shape {:?}", self.sample_shape())
        };
        let batcher = ViewBatcher::new([channels, height, width], views);
        EpochLoader::new(self.clone(), batcher, batch_size)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::data::dataloader::DataLoader;
    use firebrick_datasets::{FeatureSet, ImageSet};

    fn dataset() -> LabeledDataset {
        let pixels = (1..=36).collect();
        let set = ImageSet::new("steps", pixels, 36, [1, 3, 3], vec![0, 1, 2, 0], 3).unwrap();
        LabeledDataset::new(set)
    }

    fn values(batch: &LabeledBatch<4>) -> Vec<f32> {
        batch.inputs.clone().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn first_views_stand_above_second_views_of_the_same_images() {
        let weak = Augmentation::default();
        let views = Views::two(weak, weak.with_flip(true), 1);
        let loader = dataset().view_loader(2, views).shuffle(4).device(Device::flex());
        let order = loader.order(0);
        let batch = loader.iter().next().unwrap().unwrap();
        assert_eq!((batch.inputs.dims(), batch.labels.dims()), ([4, 1, 3, 3], [2]));
        let values = values(&batch);
        let indices: Vec<i64> = batch.indices.into_data().iter::<i64>().collect();
        assert_eq!(indices, [order[0] as i64, order[1] as i64]);
        for (position, index) in indices.into_iter().enumerate() {
            let image: Vec<f32> = (1..=9).map(|p| (9 * index + p) as f32 / 36.0).collect();
            assert_eq!(values[9 * position..][..9], image);
            let mut second = values[18 + 9 * position..][..9].to_vec();
            second.sort_by(f32::total_cmp);
            assert_eq!(second, image);
        }
    }

    #[test]
    fn a_resumed_run_sees_the_views_of_the_uninterrupted_one() {
        let loader = || {
            let weak = Augmentation::weak([1, 3, 3]).with_shift(1).with_flip(true);
            let views = Views::two(weak, weak.with_num_operations(2), 7);
            dataset().view_loader(4, views).shuffle(2).device(Device::flex())
        };
        let whole = loader();
        let epoch = |loader: &EpochLoader<_, LabeledBatch<4>>| {
            values(&loader.iter().next().unwrap().unwrap())
        };
        let epochs: Vec<Vec<f32>> = (0..3).map(|_| epoch(&whole)).collect();
        assert_eq!(epoch(&loader().first_epoch(2)), epochs[2]);
        assert_ne!(epochs[0], epochs[1]);
    }

    #[test]
    #[should_panic(expected = "samples must be images, got the shape [2]")]
    fn refuses_samples_that_are_no_images() {
        let set = FeatureSet::new("points", vec![0.0; 2], 2, vec![0], 1).unwrap();
        let views = Views::one(Augmentation::default(), 0);
        LabeledDataset::new(set).view_loader(1, views);
    }
}
