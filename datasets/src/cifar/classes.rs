//! The names of the classes, and which of them belong together.

/// The classes of CIFAR-10, in the order of their labels.
pub const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The classes of CIFAR-100, in the order of their (fine) labels, which is alphabetical.
#[rustfmt::skip]
pub const CIFAR100_CLASSES: [&str; 100] = [
    "apple", "aquarium fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
    "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
    "kangaroo", "keyboard", "lamp", "lawn mower", "leopard", "lion", "lizard", "lobster", "man",
    "maple tree", "motorcycle", "mountain", "mouse", "mushroom", "oak tree", "orange", "orchid",
    "otter", "palm tree", "pear", "pickup truck", "pine tree", "plain", "plate", "poppy",
    "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal",
    "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar",
    "sunflower", "sweet pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow tree", "wolf", "woman",
    "worm",
];

/// The superclasses of CIFAR-100, in the order of their (coarse) labels.
pub const CIFAR100_SUPERCLASSES: [&str; 20] = [
    "aquatic mammals",
    "fish",
    "flowers",
    "food containers",
    "fruit and vegetables",
    "household electrical devices",
    "household furniture",
    "insects",
    "large carnivores",
    "large man-made outdoor things",
    "large natural outdoor scenes",
    "large omnivores and herbivores",
    "medium-sized mammals",
    "non-insect invertebrates",
    "people",
    "reptiles",
    "small mammals",
    "trees",
    "vehicles 1",
    "vehicles 2",
];

/// The superclass of each class of CIFAR-100.
///
/// # Example
/// ```
/// use firebrick_datasets::cifar::*;
///
/// let class = CIFAR100_CLASSES.iter().position(|&name| name == "otter").unwrap();
/// assert_eq!(CIFAR100_SUPERCLASSES[CIFAR100_SUPERCLASS_OF[class]], "aquatic mammals");
/// ```
#[rustfmt::skip]
pub const CIFAR100_SUPERCLASS_OF: [usize; 100] = [
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11,
    6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5,
    5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17,
    10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13,
    16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_superclass_has_its_five_published_classes() {
        let members = |group: usize| {
            let classes = (0..100).filter(|&class| CIFAR100_SUPERCLASS_OF[class] == group);
            classes.map(|class| CIFAR100_CLASSES[class]).collect::<Vec<_>>()
        };
        assert!((0..20).all(|group| members(group).len() == 5));
        assert_eq!(members(2), ["orchid", "poppy", "rose", "sunflower", "tulip"]);
        assert_eq!(members(14), ["baby", "boy", "girl", "man", "woman"]);
        assert_eq!(members(18), ["bicycle", "bus", "motorcycle", "pickup truck", "train"]);
        assert_eq!(members(19), ["lawn mower", "rocket", "streetcar", "tank", "tractor"]);
        assert!(CIFAR100_CLASSES.is_sorted());
    }
}
