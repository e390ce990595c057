//! Fixed orthogonal matrices that stay orthogonal to the precision they are stored in.

use burn::module::{Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault};
use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor};

/// Orthogonal matrices, `[matrices, n, n]`, that are saved and loaded but not optimized.
///
/// A cast to a wider float type leaves them as inexact as the narrower one was, 1e-3 from 16 bits and
/// 1e-6 from 32. [`Module::map`] sees such a cast and repairs it.
#[derive(Clone, Debug)]
pub struct FixedBase(Param<Tensor<3>>);

impl FixedBase {
    pub(super) fn new(matrices: Tensor<3>) -> Self {
        Self(Param::from_tensor(matrices).set_require_grad(false))
    }

    /// The matrices as they are stored.
    pub(super) fn stored(&self) -> Tensor<3> {
        self.0.val()
    }

    /// Replaces the matrices by others, in the same float type and on the same device.
    pub(super) fn replaced(self, new: impl FnOnce(&Tensor<3>) -> Tensor<3>) -> Self {
        Self(self.0.map(|old| new(&old)))
    }

    /// The matrices without gradient, orthogonal to the rounding of `dtype`.
    ///
    /// In 64 bits they are repaired whenever they are used, because a record of 32 bits may have been
    /// loaded into them, which nothing tells.
    pub(super) fn exact(&self, dtype: DType) -> Tensor<3> {
        let stored = self.0.val().without_autodiff();
        match (stored.dtype(), dtype) {
            (DType::F32, DType::F32) => stored,
            _ => repaired(stored.cast(dtype)),
        }
    }
}

/// Two Newton-Schulz steps `B <- B (3 I - B^T B) / 2`, each of which squares the error.
fn repaired(mut base: Tensor<3>) -> Tensor<3> {
    for _ in 0..2 {
        let gram = base.clone().transpose().matmul(base.clone());
        base = base.clone() * 1.5 - base.matmul(gram) * 0.5;
    }
    base
}

fn bits(dtype: DType) -> usize {
    dtype.size() * 8
}

impl Module for FixedBase {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.0.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        Self(self.0.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device(device))
    }

    fn train(self) -> Self {
        Self(self.0.train())
    }

    fn valid(&self) -> Self {
        Self(self.0.valid())
    }

    fn materialize(self) -> Self {
        Self(self.0.materialize())
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.0.visit(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let before = self.0.val().dtype();
        let mapped = Module::map(self.0, mapper);
        let after = mapped.val().dtype();
        if bits(after) <= bits(before) || !matches!(after, DType::F32 | DType::F64) {
            return Self(mapped);
        }
        Self(mapped.map(|base| {
            let tracked = base.is_require_grad();
            repaired(base.detach()).set_require_grad(tracked)
        }))
    }
}

impl ModuleDisplayDefault for FixedBase {
    fn content(&self, content: Content) -> Option<Content> {
        content.add("base", &self.0).optional()
    }
}

impl ModuleDisplay for FixedBase {}
