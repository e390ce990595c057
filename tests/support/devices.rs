//! The devices that tests run on: `$FIREBRICK_DEVICES`, a comma list, by default `flex`.

use burn::tensor::{DType, Device};

/// A device with its name.
#[derive(Clone)]
pub struct Named {
    pub name: String,
    pub device: Device,
}

impl Named {
    /// Whether the backend computes on the host, in the calling process.
    pub fn is_host(&self) -> bool {
        ["flex", "ndarray"].contains(&self.name.as_str())
    }

    /// The float types to test: both on the host; GPUs only in 32 bits, because software Vulkan
    /// claims 64 bits and computes wrong transcendental functions in them.
    #[allow(dead_code)] // Each test target includes this file and uses its own part of it.
    pub fn dtypes(&self) -> &'static [DType] {
        if self.is_host() { &[DType::F64, DType::F32] } else { &[DType::F32] }
    }
}

/// The chosen devices.
///
/// # Panics
/// If a name is unknown or not compiled in: a test that silently runs elsewhere is no test.
pub fn chosen() -> Vec<Named> {
    let names = std::env::var("FIREBRICK_DEVICES").unwrap_or_else(|_| "flex".into());
    firebrick::device::parse_list(&names)
        .unwrap_or_else(|error| panic!("FIREBRICK_DEVICES: {error}"))
        .into_iter()
        .map(|(name, device)| Named { name, device })
        .collect()
}
