//! Class maps inside superclasses.

use rand::RngExt;

use crate::cifar::CIFAR100_SUPERCLASS_OF;
use crate::random::{Use, generator};

/// Which classes belong together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grouping {
    /// Runs of this many consecutive classes.
    Runs(usize),
    /// The twenty superclasses of CIFAR-100.
    Cifar100,
}

impl Grouping {
    pub(super) fn group_of(self, class: usize) -> usize {
        match self {
            Self::Runs(size) => class / size,
            Self::Cifar100 => CIFAR100_SUPERCLASS_OF[class],
        }
    }

    /// The classes of each superclass, ascending.
    pub(super) fn groups(self, num_classes: usize) -> Vec<Vec<usize>> {
        let mut groups = Vec::new();
        for class in 0..num_classes {
            let group = self.group_of(class);
            groups.resize(groups.len().max(group + 1), Vec::new());
            groups[group].push(class);
        }
        groups
    }

    /// The next class of each class in its superclass, cyclically.
    pub(super) fn cycle(self, num_classes: usize) -> Vec<usize> {
        let mut map = vec![0; num_classes];
        for group in self.groups(num_classes) {
            for (position, &class) in group.iter().enumerate() {
                map[class] = group[(position + 1) % group.len()];
            }
        }
        map
    }
}

/// Swaps one random pair of classes in each group; a function of the seed.
pub(super) fn pair_swap(groups: &[Vec<usize>], num_classes: usize, seed: u64) -> Vec<usize> {
    let mut map: Vec<usize> = (0..num_classes).collect();
    for (number, group) in groups.iter().enumerate() {
        let mut draw = generator(Use::NoisePairs, seed, number as u64);
        let first = draw.random_range(0..group.len());
        let other = draw.random_range(0..group.len() - 1);
        let second = if other < first { other } else { other + 1 };
        map.swap(group[first], group[second]);
    }
    map
}
