//! A data loader whose order is a function of (seed, epoch).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use firebrick_datasets::permutation;

/// An item of a data set that knows where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed<I> {
    /// Position in the data set.
    pub index: usize,
    /// Number of the epoch, from 0; random augmentation should depend on the seed, this and
    /// `index` alone.
    pub epoch: usize,
    /// The item.
    pub item: I,
}

/// A Burn `DataLoader` over any `Dataset` that hands [`Indexed`] items to the batcher, in an order
/// that depends on the seed and the number of the epoch alone.
///
/// Every call of `iter` is the next epoch, counted from [`first_epoch`](Self::first_epoch). Clones,
/// also those for another device, share the count, so that Burn's `Learner`, which moves its
/// loaders at the start, keeps it. Batches are made on the calling thread.
pub struct EpochLoader<I, O> {
    dataset: Arc<dyn Dataset<I>>,
    batcher: Arc<dyn Batcher<Indexed<I>, O>>,
    range: Range<usize>,
    batch_size: usize,
    seed: Option<u64>,
    drop_last: bool,
    device: Device,
    epoch: Arc<AtomicUsize>,
}

impl<I, O> Clone for EpochLoader<I, O> {
    fn clone(&self) -> Self {
        Self {
            dataset: self.dataset.clone(),
            batcher: self.batcher.clone(),
            range: self.range.clone(),
            batch_size: self.batch_size,
            seed: self.seed,
            drop_last: self.drop_last,
            device: self.device.clone(),
            epoch: self.epoch.clone(),
        }
    }
}

impl<I, O> EpochLoader<I, O> {
    /// Batches in the data set's own order, on Burn's default device.
    ///
    /// # Panics
    /// If `batch_size` is zero.
    pub fn new(
        dataset: impl Dataset<I> + 'static,
        batcher: impl Batcher<Indexed<I>, O> + 'static,
        batch_size: usize,
    ) -> Self {
        assert!(batch_size > 0, "EpochLoader: batch_size must be positive, got 0");
        Self {
            range: 0..dataset.len(),
            dataset: Arc::new(dataset),
            batcher: Arc::new(batcher),
            batch_size,
            seed: None,
            drop_last: false,
            device: Device::default(),
            epoch: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Shuffles every epoch by (seed, epoch).
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Leaves out the last batch of an epoch if it is smaller than the others.
    pub fn drop_last(mut self) -> Self {
        self.drop_last = true;
        self
    }

    /// Where the tensors are made.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Number of the epoch that the next call of `iter` gives, from 0: the number of epochs that
    /// are done when a run goes on from a checkpoint.
    pub fn first_epoch(self, epoch: usize) -> Self {
        self.epoch.store(epoch, Ordering::SeqCst);
        self
    }

    /// The indices of an epoch in their order.
    pub fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order = match self.seed {
            Some(seed) => permutation(self.range.len(), seed, epoch as u64),
            None => (0..self.range.len()).collect(),
        };
        order.iter_mut().for_each(|index| *index += self.range.start);
        order.truncate(self.epoch_len());
        order
    }

    fn epoch_len(&self) -> usize {
        let len = self.range.len();
        if self.drop_last { len / self.batch_size * self.batch_size } else { len }
    }
}

impl<I, O> DataLoader<O> for EpochLoader<I, O>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
{
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst);
        Box::new(EpochIterator { loader: self, epoch, order: self.order(epoch), position: 0 })
    }

    fn num_items(&self) -> usize {
        self.epoch_len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        Arc::new(self.clone().device(device.clone()))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        Arc::new(Self {
            range: self.range.start + start..self.range.start + end,
            epoch: Arc::new(AtomicUsize::new(epoch)),
            ..self.clone()
        })
    }
}

struct EpochIterator<'a, I, O> {
    loader: &'a EpochLoader<I, O>,
    epoch: usize,
    order: Vec<usize>,
    position: usize,
}

impl<I, O> Iterator for EpochIterator<'_, I, O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = (self.position + self.loader.batch_size).min(self.order.len());
        if self.position == end {
            return None;
        }
        let indices = &self.order[self.position..end];
        self.position = end;
        let item = |&index: &usize| {
            let item = self.loader.dataset.get(index)?;
            Ok(Indexed { index, epoch: self.epoch, item })
        };
        let items: Result<Vec<_>, DatasetError> = indices.iter().map(item).collect();
        Some(items.map(|items| self.loader.batcher.batch(items, &self.loader.device)))
    }
}

impl<I, O> DataLoaderIterator<O> for EpochIterator<'_, I, O> {
    fn progress(&self) -> Progress {
        Progress::new(self.position, self.order.len(), Some("items".into()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::data::dataset::InMemDataset;
    use proptest::prelude::*;

    struct Keep;
    impl Batcher<Indexed<char>, Vec<Indexed<char>>> for Keep {
        fn batch(&self, items: Vec<Indexed<char>>, _: &Device) -> Vec<Indexed<char>> {
            items
        }
    }

    fn loader(batch_size: usize) -> EpochLoader<char, Vec<Indexed<char>>> {
        let dataset = InMemDataset::new("abcdefg".chars().collect());
        EpochLoader::new(dataset, Keep, batch_size).device(Device::flex())
    }

    fn epoch(loader: &EpochLoader<char, Vec<Indexed<char>>>) -> Vec<Indexed<char>> {
        loader.iter().flat_map(Result::unwrap).collect()
    }

    #[test]
    fn gives_every_item_once_with_its_index_and_epoch() {
        let loader = loader(3).shuffle(1);
        for number in 0..3 {
            let mut items = epoch(&loader);
            assert!(items.iter().all(|item| item.epoch == number));
            items.sort_by_key(|item| item.index);
            let letters: String = items.iter().map(|item| item.item).collect();
            assert_eq!(letters, "abcdefg");
        }
    }

    proptest! {
        #[test]
        fn every_epoch_is_a_permutation_cut_to_whole_batches_if_asked(
            batch_size in 1..9usize, seed: u64, epoch in 0..1000usize, drop: bool
        ) {
            let loader = loader(batch_size).shuffle(seed);
            let loader = if drop { loader.drop_last() } else { loader };
            let mut order = loader.order(epoch);
            prop_assert_eq!(order.len(), if drop { 7 / batch_size * batch_size } else { 7 });
            order.sort_unstable();
            order.dedup();
            prop_assert_eq!(order.len(), loader.num_items());
            prop_assert!(order.iter().all(|&index| index < 7));
        }
    }

    #[test]
    fn an_epoch_is_the_same_whether_or_not_others_ran_before() {
        let all = loader(2).shuffle(5);
        let epochs: Vec<_> = (0..4).map(|_| epoch(&all)).collect();
        let resumed = loader(2).shuffle(5).first_epoch(2);
        assert_eq!(epoch(&resumed), epochs[2]);
        assert_eq!(epoch(&resumed), epochs[3]);
        assert_ne!(loader(2).shuffle(5).order(0), loader(2).shuffle(5).order(1));
        assert_ne!(loader(2).shuffle(5).order(0), loader(2).shuffle(6).order(0));
    }

    #[test]
    fn a_loader_moved_to_another_device_goes_on_counting() {
        let first = loader(4).shuffle(9);
        let moved = first.to_device(&Device::flex());
        let items: Vec<_> = moved.iter().flat_map(Result::unwrap).collect();
        assert_eq!(items.iter().map(|item| item.index).collect::<Vec<_>>(), first.order(0));
        assert_eq!(epoch(&first)[0].epoch, 1);
    }

    #[test]
    fn drops_an_incomplete_batch_only_when_asked() {
        let sizes = |loader: EpochLoader<char, Vec<Indexed<char>>>| {
            (
                loader.num_items(),
                loader.iter().map(|batch| batch.unwrap().len()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(sizes(loader(3)), (7, vec![3, 3, 1]));
        assert_eq!(sizes(loader(3).drop_last()), (6, vec![3, 3]));
        assert_eq!(sizes(loader(8).drop_last()), (0, vec![]));
    }

    #[test]
    fn a_slice_keeps_to_its_part() {
        let part = loader(2).shuffle(1).slice(2, 5);
        let mut indices: Vec<_> =
            part.iter().flat_map(Result::unwrap).map(|item| item.index).collect();
        indices.sort_unstable();
        assert_eq!(indices, [2, 3, 4]);
        assert_eq!(part.num_items(), 3);
    }

    #[test]
    fn reports_progress_in_items() {
        let loader = loader(3);
        let mut iterator = loader.iter();
        iterator.next();
        let progress = iterator.progress();
        assert_eq!((progress.items_processed, progress.items_total), (3, 7));
    }
}
