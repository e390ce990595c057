//! Devices by name: `flex`, `wgpu:discrete:1`, `cuda:0`, `remote:ws://gpu:3000`.
//!
//! | name | device | Cargo feature |
//! |---|---|---|
//! | `flex` | CPU, pure Rust (default) | `flex` |
//! | `ndarray` | CPU, the older backend | `ndarray` |
//! | `wgpu`, `vulkan`, `metal`, `webgpu` | any GPU; the graphics API is chosen, or pinned | the same |
//! | `cpu` | CPU, compiled kernels | `cpu` |
//! | `cuda`, `rocm` | NVIDIA, AMD | the same |
//! | `remote:ws://HOST:PORT` | a Burn server elsewhere | `remote` |
//!
//! `cuda:1` and `rocm:1` take an index (default 0). The GPU names take an adapter: `wgpu:discrete`,
//! `wgpu:integrated:1`, `wgpu:virtual`, `wgpu:cpu`; a bare index, `wgpu:1`, means the discrete
//! adapter of that index, and no suffix lets the driver choose.
//!
//! # Example
//! ```
//! use burn::tensor::Tensor;
//! use firebrick::device;
//!
//! let device = device::parse("flex")?;
//! assert_eq!(Tensor::<1>::ones([2], &device).sum().into_scalar::<f32>(), 2.0);
//!
//! let error = device::parse("gpu").unwrap_err();
//! assert!(error.to_string().starts_with("unknown device 'gpu'"));
//! # Ok::<(), firebrick::device::DeviceError>(())
//! ```

use burn::tensor::Device;

/// The names that [`parse`] knows, each with whether this build has the backend. The Cargo feature
/// has the same name.
pub const BACKENDS: [(&str, bool); 10] = [
    ("flex", cfg!(feature = "flex")),
    ("ndarray", cfg!(feature = "ndarray")),
    ("wgpu", cfg!(feature = "wgpu")),
    ("vulkan", cfg!(feature = "vulkan")),
    ("metal", cfg!(feature = "metal")),
    ("webgpu", cfg!(feature = "webgpu")),
    ("cpu", cfg!(feature = "cpu")),
    ("cuda", cfg!(feature = "cuda")),
    ("rocm", cfg!(feature = "rocm")),
    ("remote", cfg!(feature = "remote")),
];

/// Why a name gives no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No backend has this name.
    #[error("unknown device '{name}': expected one of {known}", known = known())]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The backend exists but was not compiled in.
    #[error(
        "device '{name}' needs the Cargo feature `{feature}` of firebrick, which this build lacks \
         (cargo ... --features {feature}); it has: {available}", available = available().join(", ")
    )]
    NotCompiled {
        /// The name that was asked for.
        name: String,
        /// The feature to enable.
        feature: &'static str,
    },
    /// The part after the backend's name cannot be read.
    #[error("device '{name}': expected {expected} after the colon, found '{found}'")]
    Suffix {
        /// The name that was asked for.
        name: String,
        /// What the backend accepts.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// The server of a remote device could not be reached.
    #[error("device '{name}': {message}")]
    Connect {
        /// The name that was asked for.
        name: String,
        /// What the connection said.
        message: String,
    },
    /// A list without any name.
    #[error("the list of devices is empty: expected names such as 'flex' or 'flex,wgpu'")]
    Empty,
}

/// The names of the backends that this build has.
pub fn available() -> Vec<&'static str> {
    BACKENDS.iter().filter(|(_, compiled)| *compiled).map(|(name, _)| *name).collect()
}

/// The device of a name; see the table of the [module](self).
///
/// Devices start up lazily: a GPU without a driver shows at its first tensor. A remote device
/// connects at once.
///
/// # Errors
/// [`DeviceError`]: for an unknown name, one whose Cargo feature is off (the message names it), or
/// a suffix that cannot be read.
pub fn parse(name: &str) -> Result<Device, DeviceError> {
    let name = name.trim();
    let (backend, suffix) = match name.split_once(':') {
        Some((backend, suffix)) => (backend, Some(suffix)),
        None => (name, None),
    };
    let unknown = || DeviceError::Unknown { name: name.into() };
    let (feature, compiled) =
        BACKENDS.into_iter().find(|(known, _)| *known == backend).ok_or_else(unknown)?;
    let suffix = Suffix::parse(name, feature, suffix)?;
    if !compiled {
        return Err(DeviceError::NotCompiled { name: name.into(), feature });
    }
    create(name, feature, suffix)
}

/// The devices of a comma-separated list, with their names, in order.
///
/// # Errors
/// As [`parse`], and [`DeviceError::Empty`].
pub fn parse_list(names: &str) -> Result<Vec<(String, Device)>, DeviceError> {
    let names: Vec<&str> =
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err(DeviceError::Empty);
    }
    names.into_iter().map(|name| Ok((name.to_string(), parse(name)?))).collect()
}

fn known() -> String {
    BACKENDS.map(|(name, _)| name).join(", ")
}

/// What may stand after a backend's name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Suffix {
    None,
    Index(usize),
    Adapter { kind: &'static str, index: usize },
    Address(String),
}

const ADAPTERS: [&str; 4] = ["discrete", "integrated", "virtual", "cpu"];

impl Suffix {
    fn parse(name: &str, backend: &str, suffix: Option<&str>) -> Result<Self, DeviceError> {
        let error = |expected| DeviceError::Suffix {
            name: name.into(),
            expected,
            found: suffix.unwrap_or_default().into(),
        };
        let index = |text: &str| text.parse::<usize>().ok();
        match (backend, suffix) {
            ("remote", Some(address)) if address.starts_with("ws://") && address.len() > 5 => {
                Ok(Self::Address(address.into()))
            }
            ("remote", _) => Err(error("an address such as ws://host:3000")),
            (_, None) => Ok(Self::None),
            ("flex" | "ndarray" | "cpu", Some(_)) => Err(error("nothing")),
            ("cuda" | "rocm", Some(text)) => {
                index(text).map(Self::Index).ok_or_else(|| error("the index of a device"))
            }
            (_, Some(text)) => {
                let (kind, number) = text.split_once(':').unwrap_or((text, "0"));
                let kind = ADAPTERS.into_iter().find(|known| *known == kind);
                match (kind, index(number), index(text)) {
                    (Some("cpu"), _, _) if text != "cpu" => None,
                    (Some(kind), Some(index), _) => Some(Self::Adapter { kind, index }),
                    (_, _, Some(index)) => Some(Self::Adapter { kind: "discrete", index }),
                    _ => None,
                }
                .ok_or_else(|| {
                    error("an index, or discrete, integrated, virtual (each with :INDEX) or cpu")
                })
            }
        }
    }
}

#[allow(unused_variables, unreachable_patterns)]
fn create(name: &str, backend: &'static str, suffix: Suffix) -> Result<Device, DeviceError> {
    let index = if let Suffix::Index(index) = suffix { index } else { 0 };
    match backend {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        "ndarray" => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(adapter(&suffix))),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(adapter(&suffix))),
        #[cfg(feature = "metal")]
        "metal" => Ok(Device::metal(adapter(&suffix))),
        #[cfg(feature = "webgpu")]
        "webgpu" => Ok(Device::webgpu(adapter(&suffix))),
        #[cfg(feature = "cpu")]
        "cpu" => Ok(Device::cpu()),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(index)),
        #[cfg(feature = "rocm")]
        "rocm" => Ok(Device::rocm(index)),
        #[cfg(feature = "remote")]
        "remote" => {
            let Suffix::Address(address) = suffix else {
                return Err(DeviceError::Unknown { name: name.into() });
            };
            let host = burn::tensor::remote::RemoteHost::websocket(&address);
            Device::remote_options(&host).init().map_err(|error| DeviceError::Connect {
                name: name.into(),
                message: error.to_string(),
            })
        }
        _ => Err(DeviceError::NotCompiled { name: name.into(), feature: backend }),
    }
}

#[cfg(feature = "wgpu")]
fn adapter(suffix: &Suffix) -> burn::tensor::DeviceKind {
    use burn::tensor::DeviceKind;
    match suffix {
        Suffix::Adapter { kind: "discrete", index } => DeviceKind::DiscreteGpu(*index),
        Suffix::Adapter { kind: "integrated", index } => DeviceKind::IntegratedGpu(*index),
        Suffix::Adapter { kind: "virtual", index } => DeviceKind::VirtualGpu(*index),
        Suffix::Adapter { .. } => DeviceKind::Cpu,
        _ => DeviceKind::DefaultDevice,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lists_the_compiled_backends_and_makes_each_local_one() {
        let names = available();
        #[cfg(feature = "flex")]
        assert!(names.contains(&"flex"));
        for name in names.into_iter().filter(|name| ["flex", "ndarray"].contains(name)) {
            parse(name).unwrap();
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = parse("tpu").unwrap_err().to_string();
        assert_eq!(
            message,
            "unknown device 'tpu': expected one of flex, ndarray, wgpu, vulkan, metal, webgpu, \
             cpu, cuda, rocm, remote"
        );
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_name_that_is_not_compiled_in_says_which_feature_to_enable() {
        let message = parse("cuda:1").unwrap_err().to_string();
        assert!(message.contains("'cuda:1' needs the Cargo feature `cuda`"), "{message}");
        assert!(message.contains("--features cuda"), "{message}");
    }

    #[test]
    fn reads_indices_adapters_and_addresses() {
        let read = |name: &str| {
            let (backend, suffix) = name.split_once(':').unwrap();
            Suffix::parse(name, backend, Some(suffix))
        };
        let adapter = |kind, index| Ok(Suffix::Adapter { kind, index });
        assert_eq!(read("cuda:3"), Ok(Suffix::Index(3)));
        assert_eq!(read("wgpu:2"), adapter("discrete", 2));
        assert_eq!(read("vulkan:cpu"), adapter("cpu", 0));
        assert_eq!(read("wgpu:integrated"), adapter("integrated", 0));
        assert_eq!(read("metal:virtual:1"), adapter("virtual", 1));
        assert_eq!(read("remote:ws://host:3000"), Ok(Suffix::Address("ws://host:3000".into())));
        assert_eq!(Suffix::parse("cuda", "cuda", None), Ok(Suffix::None));
    }

    #[test]
    fn a_suffix_that_cannot_be_read_is_an_error_that_quotes_it() {
        let bad = [
            "cuda:one",
            "flex:1",
            "wgpu:tiny",
            "wgpu:discrete:x",
            "wgpu:cpu:1",
            "remote:host",
            "remote",
            "cuda:-1",
        ];
        for name in bad {
            let error = parse(name).unwrap_err();
            assert!(matches!(error, DeviceError::Suffix { .. }), "{name}: {error}");
        }
        let message = parse("wgpu:tiny").unwrap_err().to_string();
        assert!(message.ends_with("found 'tiny'"), "{message}");
    }

    #[cfg(feature = "flex")]
    #[test]
    fn reads_lists_with_blanks_and_refuses_empty_ones() {
        let names: Vec<String> =
            parse_list(" flex, flex ").unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["flex", "flex"]);
        assert_eq!(parse_list(" ,").unwrap_err(), DeviceError::Empty);
        assert!(parse_list("flex,nope").is_err());
    }
}
