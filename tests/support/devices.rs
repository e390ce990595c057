//! The devices that tests run on: `$FIREBRICK_DEVICES`, a comma list, by default `flex`.

use burn::tensor::Device;

/// A device with its name.
pub struct Named {
    pub name: String,
    pub device: Device,
}

impl Named {
    /// Whether the backend computes on the host, in the calling process.
    pub fn is_host(&self) -> bool {
        ["flex", "ndarray"].contains(&self.name.as_str())
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
