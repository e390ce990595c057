//! Division into parts with the same class proportions, and orders of samples.
//!
//! From `N` remaining samples, `n_k` of them in class `k`, a part of size `s` takes
//!
//! ```text
//! floor(s n_k / N)   and one more in the classes with the largest remainders of s n_k / N,
//! ```
//!
//! so that it has exactly `s` samples. The next part is taken from what is left.
//!
//! ```
//! use firebrick_datasets::{permutation, stratified_split};
//!
//! let labels = [0, 0, 0, 0, 1, 1];
//! let parts = stratified_split(&labels, 2, &[3, 3], 0)?;
//! for part in &parts {
//!     assert_eq!(part.iter().filter(|&&index| labels[index] == 0).count(), 2);
//! }
//!
//! let epoch = 7;
//! assert_eq!(permutation(6, 0, epoch), permutation(6, 0, epoch));
//! # Ok::<(), firebrick_datasets::DatasetError>(())
//! ```

use rand::{Rng, RngExt};

use crate::DatasetError;
use crate::random::{Use, generator};
use crate::samples::check_labels;

/// Chooses disjoint parts of exactly the given sizes, each with the class proportions of the whole.
///
/// Returns one list of indices into `labels` per size, sorted ascending. What is beyond the sum of
/// the sizes belongs to no part. The number of samples that a class gives to a part differs by less
/// than one from the class's share of what the parts before it have left; ties go to the class with
/// the smaller number. The result is a function of the arguments alone.
///
/// # Errors
/// If a label is not below `num_classes`, or the sizes add up to more than there are labels.
///
/// # Example
/// ```
/// use firebrick_datasets::{LabeledSamples, digits, stratified_split};
///
/// let set = digits();
/// let parts = stratified_split(set.labels(), set.num_classes(), &[1200, 297, 300], 0)?;
/// let [train, validation, test] = [0, 1, 2].map(|part| set.subset(&parts[part]));
/// assert_eq!((train.len(), validation.len(), test.len()), (1200, 297, 300));
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
pub fn stratified_split(
    labels: &[usize],
    num_classes: usize,
    sizes: &[usize],
    seed: u64,
) -> Result<Vec<Vec<usize>>, DatasetError> {
    check_labels("split", labels, num_classes)?;
    let requested = sizes.iter().fold(0_usize, |sum, &size| sum.saturating_add(size));
    if requested > labels.len() {
        return Err(DatasetError::SplitTooLarge { available: labels.len(), requested });
    }
    let mut left = shuffled_classes(labels, num_classes, seed);
    let take_part = |&size: &usize| {
        let counts: Vec<usize> = left.iter().map(Vec::len).collect();
        let mut part = Vec::with_capacity(size);
        for (members, share) in left.iter_mut().zip(largest_remainder(&counts, size)) {
            part.extend(members.drain(members.len() - share..));
        }
        part.sort_unstable();
        part
    };
    Ok(sizes.iter().map(take_part).collect())
}

/// A uniformly random order of `0..len`.
///
/// A function of the arguments alone: with the epoch as `stream`, a resumed run sees the order that
/// the uninterrupted one saw.
///
/// # Example
/// ```
/// use firebrick_datasets::permutation;
///
/// let mut order = permutation(5, 42, 0);
/// assert_ne!(order, permutation(5, 42, 1));
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// ```
pub fn permutation(len: usize, seed: u64, stream: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    shuffle(&mut order, &mut generator(Use::Permutation, seed, stream));
    order
}

/// Fisher-Yates: every order is equally likely.
pub(crate) fn shuffle(items: &mut [usize], generator: &mut impl Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, generator.random_range(0..=last));
    }
}

/// The samples of every class in random order.
fn shuffled_classes(labels: &[usize], num_classes: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut classes = vec![Vec::new(); num_classes];
    for (index, &label) in labels.iter().enumerate() {
        classes[label].push(index);
    }
    for (class, members) in classes.iter_mut().enumerate() {
        shuffle(members, &mut generator(Use::Split, seed, class as u64));
    }
    classes
}

/// Divides `size` among classes in proportion to `counts`, which add up to at least `size`. No
/// share exceeds its count.
fn largest_remainder(counts: &[usize], size: usize) -> Vec<usize> {
    let total = counts.iter().sum::<usize>().max(1) as u128;
    let scaled: Vec<u128> = counts.iter().map(|&count| size as u128 * count as u128).collect();
    let mut shares: Vec<usize> = scaled.iter().map(|scaled| (scaled / total) as usize).collect();
    let missing = size - shares.iter().sum::<usize>();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(scaled[class] % total));
    for &class in &order[..missing] {
        shares[class] += 1;
    }
    shares
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn largest_remainder_rounds_the_way_seats_are_given() {
        assert_eq!(largest_remainder(&[47, 16, 15, 12, 6, 4], 10), [5, 2, 1, 1, 1, 0]);
        assert_eq!(largest_remainder(&[1, 1, 1], 2), [1, 1, 0]);
        assert_eq!(largest_remainder(&[0, 5], 5), [0, 5]);
        assert_eq!(largest_remainder(&[], 0), [0; 0]);
    }

    #[test]
    fn refuses_more_than_there_is() {
        let error = stratified_split(&[0, 1], 2, &[2, 1], 0).unwrap_err();
        assert!(matches!(error, DatasetError::SplitTooLarge { available: 2, requested: 3 }));
        let error = stratified_split(&[0, 1], 2, &[usize::MAX, 2], 0).unwrap_err();
        assert!(matches!(error, DatasetError::SplitTooLarge { requested: usize::MAX, .. }));
        let error = stratified_split(&[0, 2], 2, &[1], 0).unwrap_err();
        assert!(matches!(error, DatasetError::LabelOutOfRange { index: 1, label: 2, .. }));
    }

    #[test]
    fn empty_parts_and_sets_are_fine() {
        assert_eq!(
            stratified_split(&[], 0, &[0, 0], 0).unwrap(),
            [Vec::<usize>::new(), Vec::new()]
        );
        assert_eq!(stratified_split(&[0], 1, &[0, 1], 0).unwrap(), [vec![], vec![0]]);
        assert!(stratified_split(&[0], 1, &[], 0).unwrap().is_empty());
        assert!(permutation(0, 0, 0).is_empty());
        assert_eq!(permutation(1, 0, 0), [0]);
    }

    #[test]
    fn the_seed_chooses_the_members() {
        let labels: Vec<usize> = (0..100).map(|index| index % 4).collect();
        let split = |seed| stratified_split(&labels, 4, &[40, 30], seed).unwrap();
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }

    #[test]
    fn every_order_is_equally_likely() {
        let mut counts = [0.0; 6];
        for stream in 0..6000 {
            let order = permutation(3, 5, stream);
            counts[order[0] * 2 + usize::from(order[1] > order[2])] += 1.0;
        }
        let four_errors = 4.0 * (6000.0_f64 * 1.0 / 6.0 * 5.0 / 6.0).sqrt();
        assert!(
            counts.iter().all(|count: &f64| (count - 1000.0).abs() < four_errors),
            "{counts:?}"
        );
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_sorted_exact_and_in_proportion(
            labels in prop::collection::vec(0..7_usize, 0..200),
            cuts in (0.0..1.0_f64, 0.0..1.0_f64),
            seed: u64,
        ) {
            let first = (labels.len() as f64 * cuts.0) as usize;
            let second = ((labels.len() - first) as f64 * cuts.1) as usize;
            let sizes = [first, second, labels.len() - first - second];
            let parts = stratified_split(&labels, 7, &sizes, seed).unwrap();

            let mut seen: Vec<usize> = parts.concat();
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..labels.len()));
            for (part, size) in parts.iter().zip(sizes) {
                prop_assert_eq!(part.len(), size);
                prop_assert!(part.is_sorted());
            }
            for class in 0..7 {
                let count = |part: &[usize]| part.iter().filter(|&&i| labels[i] == class).count();
                let whole = labels.iter().filter(|&&label| label == class).count();
                let exact = (first * whole) as f64 / labels.len().max(1) as f64;
                prop_assert!((count(&parts[0]) as f64 - exact).abs() < 1.0);
            }
        }
    }
}
