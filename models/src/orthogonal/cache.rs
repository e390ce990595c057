//! Keeping the composed kernel between evaluations.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use burn::module::{Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault};
use burn::module::{ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor};

/// The kernel of the last evaluation, and how often one was composed.
///
/// A module changes through [`Module::map`] and its relatives only: optimizer steps, loaded
/// records, device moves, casts and changes of mode all pass through here and empty the cache.
/// Clones keep their own copy.
#[derive(Debug, Default)]
pub struct KernelCache {
    kernel: Mutex<Option<Tensor<4>>>,
    compositions: AtomicUsize,
}

impl KernelCache {
    /// The kernel kept, or a new one; it is kept if `keep` holds.
    pub(super) fn get(&self, keep: bool, compose: impl FnOnce() -> Tensor<4>) -> Tensor<4> {
        let mut kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = kernel.as_ref().filter(|_| keep) {
            return kernel.clone();
        }
        self.compositions.fetch_add(1, Ordering::Relaxed);
        let composed = compose();
        *kernel = keep.then(|| composed.clone());
        composed
    }

    /// How many kernels were composed since the layer was made.
    pub(super) fn compositions(&self) -> usize {
        self.compositions.load(Ordering::Relaxed)
    }

    /// Without a kernel; the count goes on.
    pub(super) fn emptied(&self) -> Self {
        Self { kernel: Mutex::new(None), compositions: AtomicUsize::new(self.compositions()) }
    }
}

impl Clone for KernelCache {
    fn clone(&self) -> Self {
        let kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { kernel: Mutex::new(kernel), compositions: AtomicUsize::new(self.compositions()) }
    }
}

impl Module for KernelCache {
    fn collect_devices(&self, devices: Devices) -> Devices {
        devices
    }

    fn fork(self, _device: &Device) -> Self {
        self.emptied()
    }

    fn to_device(self, _device: &Device) -> Self {
        self.emptied()
    }

    fn train(self) -> Self {
        self.emptied()
    }

    fn valid(&self) -> Self {
        self.emptied()
    }

    fn materialize(self) -> Self {
        self.emptied()
    }

    fn visit<V: ModuleVisitor>(&self, _visitor: &mut V) {}

    fn map<M: ModuleMapper>(self, _mapper: &mut M) -> Self {
        self.emptied()
    }
}

impl ModuleDisplayDefault for KernelCache {
    fn content(&self, content: Content) -> Option<Content> {
        content.add("compositions", &self.compositions()).optional()
    }
}

impl ModuleDisplay for KernelCache {}
