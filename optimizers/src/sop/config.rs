//! Settings of SOP, the published presets, and the fingerprint that ties a noise state to labels.

use std::fmt;

use burn::config::Config;
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Sop;

/// Which term of the loss drives which part of the noise state.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum SopRouting {
    /// `u` from cross entropy, squared error and balance, `v` from squared error (the authors'
    /// current code).
    Joint,
    /// `u` from cross entropy and balance, `v` from squared error, both projected to `[-1, 1]`
    /// after every step (Algorithm 1 of the paper). The value of the loss is the same.
    Paper,
}

/// Published settings; see the table in the [module](super).
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum SopPreset {
    /// CIFAR-10, symmetric or asymmetric noise: `lr_u = lr_v = 10`.
    Cifar10,
    /// CIFAR-100, symmetric noise: `lr_u = 1`, `lr_v = 10`.
    Cifar100Symmetric,
    /// CIFAR-100, asymmetric noise: `lr_u = 0.1`, `lr_v = 100` (routing `Joint`).
    Cifar100Asymmetric,
    /// CIFAR-100, asymmetric noise, with the paper's routing: `lr_u = 1`, `lr_v = 100`.
    Cifar100AsymmetricPaper,
    /// Clothing-1M and WebVision, pretrained networks: `lr_u = 0.1`, `lr_v = 1`.
    Pretrained,
    /// Small networks or data sets that are memorized within a few epochs: `lr_u = lr_v = 10` from
    /// a start of 1e-2.
    SmallData,
}

/// What a noise state belongs to: the number of samples and classes, and a hash of the given
/// labels in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelFingerprint {
    /// Number of training samples, `N`.
    pub num_samples: usize,
    /// Number of classes, `K`.
    pub num_classes: usize,
    /// First 62 bits of the SHA-256 of the labels.
    pub hash: u64,
}

impl LabelFingerprint {
    /// A fingerprint from its parts.
    pub fn new(num_samples: usize, num_classes: usize, hash: u64) -> Self {
        Self { num_samples, num_classes, hash }
    }

    /// Fingerprint of the given labels of a training set, in the order of its indices.
    ///
    /// # Panics
    /// If there are no labels, fewer than two classes, or a label is not below `num_classes`.
    pub fn of(labels: &[usize], num_classes: usize) -> Self {
        assert!(!labels.is_empty(), "LabelFingerprint: labels must not be empty");
        assert!(
            num_classes >= 2,
            "LabelFingerprint: num_classes must be at least 2, got {num_classes}"
        );
        let mut hasher = Sha256::new();
        for (index, &label) in labels.iter().enumerate() {
            assert!(
                label < num_classes,
                "LabelFingerprint: label {label} of sample {index} must be below {num_classes}"
            );
            hasher.update((label as u64).to_le_bytes());
        }
        let digest = hasher.finalize();
        let first = digest.iter().take(8).fold(0u64, |hash, &byte| (hash << 8) | u64::from(byte));
        Self { num_samples: labels.len(), num_classes, hash: first >> 2 }
    }

    /// As four numbers of at most 31 bits, which every backend's integers can hold.
    pub(super) fn to_words(self) -> [i32; 4] {
        let low = |word: u64| (word & 0x7fff_ffff) as i32;
        [
            low(self.num_samples as u64),
            low(self.num_classes as u64),
            low(self.hash >> 31),
            low(self.hash),
        ]
    }

    pub(super) fn from_words(words: &[i64]) -> Self {
        let word = |i: usize| words.get(i).copied().unwrap_or_default() as u64;
        Self {
            num_samples: word(0) as usize,
            num_classes: word(1) as usize,
            hash: (word(2) << 31) | word(3),
        }
    }
}

impl fmt::Display for LabelFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} samples of {} classes with hash {:016x}",
            self.num_samples, self.num_classes, self.hash
        )
    }
}

/// Settings of [`Sop`].
#[derive(Config, Debug)]
pub struct SopConfig {
    /// The labels that the state will belong to; gives `N` and `K`.
    pub labels: LabelFingerprint,
    /// Standard deviation of the start of `u` and `v`; positive, because zero is a stationary
    /// point.
    #[config(default = 1e-8)]
    pub init_std: f64,
    /// Step size of `u`; constant over training.
    #[config(default = 10.0)]
    pub lr_u: f64,
    /// Step size of `v`; constant over training.
    #[config(default = 10.0)]
    pub lr_v: f64,
    /// Whether the step sizes multiply the gradient of a sample's own loss instead of the batch
    /// mean, which makes them independent of the batch size. The published values divided by 128
    /// give the published behavior.
    #[config(default = false)]
    pub per_sample: bool,
    /// Which term drives which part of the state.
    #[config(default = "SopRouting::Joint")]
    pub routing: SopRouting,
    /// Whether the touched rows of `u` and `v` are projected to `[-1, 1]` after a step. `None`:
    /// yes for `Paper`, no for `Joint`. Either way an entry that reaches 1 stays there, because the
    /// clamp of its square has no gradient from 1 on.
    pub project: Option<bool>,
    /// Weight of the class-balance term; SOP+ uses 0.1.
    #[config(default = 0.0)]
    pub balance: f64,
    /// Weight of the consistency between two views; SOP+ uses 0.9. Needs logits of both views.
    #[config(default = 0.0)]
    pub consistency: f64,
    /// Floor of the corrected probabilities.
    #[config(default = 1e-4)]
    pub epsilon: f64,
    /// Whether every batch is read back to the host and checked: indices and labels in range,
    /// logits finite. Default: in builds with debug assertions. An index out of range goes
    /// unnoticed on a GPU otherwise.
    #[config(default = "cfg!(debug_assertions)")]
    pub validate: bool,
    /// Seed of the start of `u` and `v`.
    #[config(default = 0)]
    pub seed: u64,
}

impl SopConfig {
    /// The published settings for a kind of data; see the table in the [module](super).
    pub fn preset(labels: LabelFingerprint, preset: SopPreset) -> Self {
        let (init_std, lr_u, lr_v) = match preset {
            SopPreset::Cifar10 => (1e-8, 10.0, 10.0),
            SopPreset::Cifar100Symmetric => (1e-8, 1.0, 10.0),
            SopPreset::Cifar100Asymmetric => (1e-8, 0.1, 100.0),
            SopPreset::Cifar100AsymmetricPaper => (1e-8, 1.0, 100.0),
            SopPreset::Pretrained => (1e-8, 0.1, 1.0),
            SopPreset::SmallData => (1e-2, 10.0, 10.0),
        };
        let routing = match preset {
            SopPreset::Cifar100AsymmetricPaper => SopRouting::Paper,
            _ => SopRouting::Joint,
        };
        let config = Self::new(labels).with_init_std(init_std).with_lr_u(lr_u).with_lr_v(lr_v);
        config.with_routing(routing)
    }

    /// SOP+: balance 0.1 and consistency 0.9, with two views per sample.
    pub fn plus(self) -> Self {
        self.with_balance(0.1).with_consistency(0.9)
    }

    /// Creates the noise state on `device`, in 32-bit floats, or 64-bit if that is the device's
    /// default.
    ///
    /// The numbers come from a host stream of the seed, so they are the same on every backend.
    ///
    /// # Panics
    /// If `init_std` or `epsilon` is not positive, a step size or weight is negative or not finite,
    /// or there are fewer than two classes.
    pub fn init(&self, device: &Device) -> Sop {
        self.assertions();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // 1e-8 is below the range of half precision: such a device still gets 32 bits.
        let dtype = match Tensor::<1>::empty([1], device).dtype() {
            DType::F64 => DType::F64,
            _ => DType::F32,
        };
        let mut normal = |rows: usize, columns: usize| {
            let values: Vec<f64> = (0..rows * columns)
                .map(|_| self.init_std * Distribution::<f64>::sample(&StandardNormal, &mut rng))
                .collect();
            Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), (device, dtype))
        };
        let u = normal(self.labels.num_samples, 1);
        let v = normal(self.labels.num_samples, self.labels.num_classes);
        self.init_with(u, v)
    }

    /// Creates the noise state from given values, on their device and in their float type.
    ///
    /// # Shapes
    /// - u: `[num_samples, 1]`
    /// - v: `[num_samples, num_classes]`
    ///
    /// # Panics
    /// As [`init`](Self::init), and if a shape differs or the values are in half precision.
    pub fn init_with(&self, u: Tensor<2>, v: Tensor<2>) -> Sop {
        self.assertions();
        Sop::from_parts(self.clone(), u, v)
    }

    pub(super) fn assertions(&self) {
        let LabelFingerprint { num_samples, num_classes, .. } = self.labels;
        assert!(num_samples > 0, "SopConfig: num_samples must be positive, got 0");
        assert!(num_classes >= 2, "SopConfig: num_classes must be at least 2, got {num_classes}");
        let positive = [("init_std", self.init_std), ("epsilon", self.epsilon)];
        for (name, value) in positive {
            assert!(
                value > 0.0 && value.is_finite(),
                "SopConfig: {name} must be positive, got {value}"
            );
        }
        assert!(
            self.epsilon * (num_classes as f64) < 1.0,
            "SopConfig: epsilon must be below 1 / num_classes, got {} with {num_classes} classes",
            self.epsilon
        );
        let not_negative = [
            ("lr_u", self.lr_u),
            ("lr_v", self.lr_v),
            ("balance", self.balance),
            ("consistency", self.consistency),
        ];
        for (name, value) in not_negative {
            assert!(
                value >= 0.0 && value.is_finite(),
                "SopConfig: {name} must not be negative, got {value}"
            );
        }
    }

    pub(super) fn projects(&self) -> bool {
        self.project.unwrap_or(self.routing == SopRouting::Paper)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_depends_on_every_label_and_its_place() {
        let base = LabelFingerprint::of(&[0, 1, 2], 3);
        assert_eq!(base, LabelFingerprint::of(&[0, 1, 2], 3));
        assert_ne!(base.hash, LabelFingerprint::of(&[0, 2, 1], 3).hash);
        assert_ne!(base.hash, LabelFingerprint::of(&[0, 1, 1], 3).hash);
    }

    #[test]
    fn fingerprint_survives_the_way_through_four_integers() {
        let labels: Vec<usize> = (0..1000).map(|i| i % 7).collect();
        let print = LabelFingerprint::of(&labels, 7);
        let words: Vec<i64> = print.to_words().iter().map(|&w| i64::from(w)).collect();
        assert!(words.iter().all(|&w| w >= 0));
        assert_eq!(LabelFingerprint::from_words(&words), print);
    }

    #[test]
    fn start_depends_on_the_seed_and_has_the_standard_deviation_asked_for() {
        let labels = LabelFingerprint::of(&vec![0; 5000], 4);
        let start = |seed| {
            let sop = SopConfig::new(labels).with_seed(seed).init(&Device::flex());
            sop.v.val().into_data().try_to_vec::<f32>().unwrap()
        };
        let (a, b) = (start(1), start(2));
        assert_eq!(a, start(1));
        assert_ne!(a, b);
        let variance = a.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / a.len() as f64;
        assert!((variance.sqrt() / 1e-8 - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    #[should_panic(expected = "init_std must be positive, got 0")]
    fn refuses_a_start_at_zero() {
        SopConfig::new(LabelFingerprint::of(&[0], 2)).with_init_std(0.0).init(&Device::flex());
    }

    #[test]
    #[should_panic(expected = "balance must not be negative, got -1")]
    fn refuses_a_negative_weight() {
        SopConfig::new(LabelFingerprint::of(&[0], 2)).with_balance(-1.0).init(&Device::flex());
    }

    #[test]
    fn only_the_preset_of_the_paper_changes_the_routing() {
        let preset = |preset| SopConfig::preset(LabelFingerprint::of(&[0, 1], 2), preset);
        let (code, paper) =
            (preset(SopPreset::Cifar100Asymmetric), preset(SopPreset::Cifar100AsymmetricPaper));
        assert_eq!((code.routing, code.lr_u, code.projects()), (SopRouting::Joint, 0.1, false));
        assert_eq!((paper.routing, paper.lr_u, paper.projects()), (SopRouting::Paper, 1.0, true));
    }

    #[test]
    fn settings_survive_json() {
        let config =
            SopConfig::preset(LabelFingerprint::of(&[0, 1], 2), SopPreset::SmallData).plus();
        let path = tempfile::tempdir().unwrap();
        let path = path.path().join("sop.json");
        config.save(&path).unwrap();
        let loaded = SopConfig::load(&path).unwrap();
        assert_eq!(loaded.to_string(), config.to_string());
        assert_eq!((loaded.balance, loaded.consistency, loaded.init_std), (0.1, 0.9, 1e-2));
    }
}
