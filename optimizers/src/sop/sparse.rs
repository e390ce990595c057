//! The noise state as sparse rows on the host, for very many samples and classes.
//!
//! From the published start, 1e-8, an entry of `v` only leaves its start when the network predicts
//! its class against the given label: everywhere else its gradient is about `4 v^3`, and a step of
//! `1e-23` does not change a number of `1e-8` in 32 bits. So it suffices to keep the entries that
//! differ from their start, and to draw the start anew from the seed and the sample whenever a row
//! is needed. The result is that of the dense state, bit for bit; how much memory it takes depends
//! on how many entries have moved.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use firebrick_optimizers::sop::{LabelFingerprint, SopConfig};
//!
//! let device = Device::flex().autodiff();
//! // A million samples of a thousand classes: dense, v alone would take 4 GB.
//! let labels = LabelFingerprint::new(1_000_000, 1_000, 0);
//! let mut sop = SopConfig::new(labels).init_sparse();
//! let indices = Tensor::<1, Int>::from_data([999_999, 3], &device);
//! let given = Tensor::<1, Int>::from_data([7, 0], &device);
//! let output = sop.forward(indices, Tensor::zeros([2, 1_000], &device), given);
//! sop.apply(output.update);
//! assert_eq!(sop.rows(), 2);
//! ```

use std::collections::HashMap;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::rows::{Rows, check_range, suggestion};
use super::{LabelFingerprint, SopConfig, SopOutput, SopUpdate};

/// The noise state of a training set, of which only what has changed is kept, on the host.
///
/// Same calls, loss and update as [`Sop`](super::Sop); a step moves the batch's rows to the device
/// and their gradients back, `2 x batch x num_classes` numbers. The numbers of the start are others
/// than those of a dense state of the same seed; [`dense`](Self::dense) gives the equal one.
#[derive(Clone, Debug)]
pub struct SparseSop {
    pub(super) config: SopConfig,
    pub(super) rows: HashMap<usize, SparseRow>,
}

/// A sample that was in a batch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SparseRow {
    pub u: f32,
    /// The entries of `v` that differ from their start, by class.
    pub v: Vec<(u32, f32)>,
}

impl SopConfig {
    /// Creates a noise state that keeps what changes, on the host, in 32-bit floats.
    ///
    /// # Panics
    /// As [`init`](Self::init).
    pub fn init_sparse(&self) -> SparseSop {
        self.assertions();
        SparseSop { config: self.clone(), rows: HashMap::new() }
    }
}

impl SparseSop {
    /// The settings.
    pub fn config(&self) -> &SopConfig {
        &self.config
    }

    /// Number of samples that have been in a batch.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Number of entries of `v` that are kept.
    pub fn entries(&self) -> usize {
        self.rows.values().map(|row| row.v.len()).sum()
    }

    /// Bytes that rows and entries take, without the reserve of the containers.
    pub fn bytes(&self) -> usize {
        self.rows.len() * size_of::<(usize, SparseRow)>() + self.entries() * size_of::<(u32, f32)>()
    }

    /// The loss of a batch, and the gradients of its rows; see [`Sop::forward`](super::Sop::forward).
    ///
    /// Reads the indices back to the host.
    ///
    /// # Shapes
    /// - indices: `[batch]`, positions in the training set
    /// - logits: `[batch, num_classes]`, or `[2 * batch, num_classes]` with the first (weak) views
    ///   above the second (strong) views of the same samples in the same order
    /// - labels: `[batch]`, the given labels
    ///
    /// # Panics
    /// As [`Sop::forward`](super::Sop::forward), and always for an index out of range.
    pub fn forward(
        &self,
        indices: Tensor<1, Int>,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> SopOutput {
        check_range("indices", indices.clone(), self.config.labels.num_samples);
        let (u, v) = self.gather(&indices, &logits.device());
        let rows = Rows { config: &self.config, u, v };
        let given = rows.given(labels, &logits);
        rows.forward(indices, logits, given)
    }

    /// Takes a plain gradient step on the rows of an update, and projects them to `[-1, 1]` if that
    /// is on; reads the gradients back to the host.
    ///
    /// # Panics
    /// If an index is out of range or the shapes disagree.
    pub fn apply(&mut self, update: SopUpdate) {
        let SopUpdate { indices, u, v } = update;
        let num_classes = self.config.labels.num_classes;
        check_range("indices", indices.clone(), self.config.labels.num_samples);
        let indices = samples(&indices);
        let [u, v] =
            [u, v].map(|gradients| gradients.into_data().iter::<f32>().collect::<Vec<_>>());
        assert!(
            u.len() == indices.len() && v.len() == indices.len() * num_classes,
            "SparseSop: the update must have {} rows of {num_classes} classes, got {} and {} numbers",
            indices.len(),
            u.len(),
            v.len()
        );
        let (lr_u, lr_v) = (-self.config.lr_u as f32, -self.config.lr_v as f32);
        for ((&sample, u), gradients) in indices.iter().zip(u).zip(v.chunks(num_classes)) {
            self.change(sample, |own, row| {
                *own += u * lr_u;
                row.iter_mut()
                    .zip(gradients)
                    .for_each(|(value, gradient)| *value += gradient * lr_v);
            });
        }
        if self.config.projects() {
            for &sample in &indices {
                self.change(sample, |own, row| {
                    *own = own.clamp(-1.0, 1.0);
                    row.iter_mut().for_each(|value| *value = value.clamp(-1.0, 1.0));
                });
            }
        }
    }

    /// How wrong each given label looks, `clamp(u^2, 0, 1)`; that of its start for a sample that was
    /// in no batch.
    ///
    /// # Shapes
    /// - output: `num_samples` values
    pub fn scores(&self) -> Vec<f32> {
        let score = |sample: usize| {
            let u = self.rows.get(&sample).map_or_else(|| self.start(sample, 0).0, |row| row.u);
            (u * u).clamp(0.0, 1.0)
        };
        (0..self.config.labels.num_samples).map(score).collect()
    }

    /// The most likely label of each sample by the state alone; see
    /// [`Sop::suggested_labels`](super::Sop::suggested_labels).
    ///
    /// # Panics
    /// If `given` does not have one label per sample.
    pub fn suggested_labels(&self, given: &[usize]) -> Vec<usize> {
        let expected = self.config.labels.num_samples;
        assert!(
            given.len() == expected,
            "suggested_labels: given must have {expected} labels, got {}",
            given.len()
        );
        let right = |value: f32| (value * value).clamp(0.0, 1.0);
        // An entry at its start has a square of up to 40 times its variance at the very most: from a
        // small start on only what has moved can be a suggestion.
        let from_start = self.config.init_std > 1e-3;
        let suggested = |(sample, &label): (usize, &usize)| match self.rows.get(&sample) {
            Some(row) if !from_start => {
                let others = row.v.iter().map(|&(class, value)| (class as usize, right(value)));
                suggestion(label, right(row.u), others)
            }
            None if !from_start => label,
            _ => {
                let (u, v) = self.row(sample);
                suggestion(label, right(u), v.into_iter().map(right).enumerate())
            }
        };
        given.iter().enumerate().map(suggested).collect()
    }

    /// The same state with all rows, on `device`.
    ///
    /// # Example
    /// ```
    /// use burn::tensor::Device;
    /// use firebrick_optimizers::sop::{LabelFingerprint, SopConfig};
    ///
    /// let sparse = SopConfig::new(LabelFingerprint::new(5, 3, 0)).init_sparse();
    /// assert_eq!(sparse.dense(&Device::flex()).v.dims(), [5, 3]);
    /// ```
    pub fn dense(&self, device: &Device) -> super::Sop {
        let LabelFingerprint { num_samples, num_classes, .. } = self.config.labels;
        let (mut u, mut v) = (Vec::new(), Vec::new());
        for sample in 0..num_samples {
            let (own, row) = self.row(sample);
            u.push(own);
            v.extend(row);
        }
        let tensor = |values, columns| {
            let data = TensorData::new(values, [num_samples, columns]);
            Tensor::from_data(data, (device, DType::F32))
        };
        self.config.init_with(tensor(u, 1), tensor(v, num_classes))
    }

    /// The batch's rows of `u` and `v`, as plain tensors.
    fn gather(&self, indices: &Tensor<1, Int>, device: &Device) -> (Tensor<2>, Tensor<2>) {
        let (samples, classes) = (samples(indices), self.config.labels.num_classes);
        let mut u = Vec::with_capacity(samples.len());
        let mut v = Vec::with_capacity(samples.len() * classes);
        for &sample in &samples {
            let (own, row) = self.row(sample);
            u.push(own);
            v.extend(row);
        }
        let device = device.clone().inner();
        let tensor = |values, columns| {
            let data = TensorData::new(values, [samples.len(), columns]);
            Tensor::from_data(data, (&device, DType::F32))
        };
        (tensor(u, 1), tensor(v, classes))
    }

    /// The start of a sample: `u`, and `v` of the first `classes` classes.
    fn start(&self, sample: usize, classes: usize) -> (f32, Vec<f32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        rng.set_stream(sample as u64);
        let mut draw = || (self.config.init_std * rng.sample::<f64, _>(StandardNormal)) as f32;
        (draw(), (0..classes).map(|_| draw()).collect())
    }

    /// `u` and `v` of a sample as they are now.
    fn row(&self, sample: usize) -> (f32, Vec<f32>) {
        let (mut u, mut v) = self.start(sample, self.config.labels.num_classes);
        if let Some(row) = self.rows.get(&sample) {
            u = row.u;
            row.v.iter().for_each(|&(class, value)| v[class as usize] = value);
        }
        (u, v)
    }

    /// Changes a row and keeps what then differs from the start.
    fn change(&mut self, sample: usize, change: impl FnOnce(&mut f32, &mut [f32])) {
        let (start_u, start) = self.start(sample, self.config.labels.num_classes);
        let (mut u, mut v) = (start_u, start.clone());
        if let Some(row) = self.rows.get(&sample) {
            u = row.u;
            row.v.iter().for_each(|&(class, value)| v[class as usize] = value);
        }
        change(&mut u, &mut v);
        let moved = v.iter().zip(&start).enumerate().filter(|(_, (now, start))| now != start);
        let v = moved.map(|(class, (now, _))| (class as u32, *now)).collect();
        self.rows.insert(sample, SparseRow { u, v });
    }
}

fn samples(indices: &Tensor<1, Int>) -> Vec<usize> {
    indices.clone().into_data().iter::<i64>().map(|index| index as usize).collect()
}
