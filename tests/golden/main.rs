//! Golden vectors: results of reference implementations, one JSON file per case.
//!
//! Every kind is one test of exactly its name, which reads every file of its kind below
//! `tests/golden` (or `$FIREBRICK_GOLDEN`), on the devices of `$FIREBRICK_DEVICES`. To add a kind,
//! write a function that checks one [`Case`] and a test of three lines below.
#![recursion_limit = "256"]

mod case;
#[path = "../support/devices.rs"]
mod devices;
mod label_noise;
mod sop;

use case::{Case, Failure, cases_of};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Where a device kind is checked.
pub struct Target {
    /// An autodiff device.
    pub device: Device,
    /// The float type of all tensors.
    pub dtype: DType,
}

impl Target {
    /// A float tensor in the target's float type.
    pub fn float<const D: usize>(&self, values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), (&self.device, self.dtype))
    }

    /// A list of integers.
    pub fn integers(&self, values: &[usize]) -> Tensor<1, Int> {
        let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
        let len = values.len();
        Tensor::from_data(TensorData::new(values, [len]), &self.device)
    }
}

/// Checks every file of a device kind on every device and float type.
fn device_kind(kind: &str, check: fn(&Case, &Target) -> Result<(), Failure>) {
    let devices = devices::chosen();
    let cases = cases_of(kind);
    if cases.is_empty() {
        println!("{kind}: skipped");
        return;
    }
    let mut failures = Vec::new();
    for named in &devices {
        for &dtype in named.dtypes() {
            let target = Target { device: named.device.clone().autodiff(), dtype };
            for case in &cases {
                if let Err(failure) = check(case, &target) {
                    let (file, name) = (case.file(), &named.name);
                    failures.push(format!("{file} on {name} in {dtype:?}: {failure}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{kind}: {} failures\n{}", failures.len(), failures.join("\n"));
    let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
    println!("{kind}: {} files on {}", cases.len(), names.join(", "));
}

/// Checks every file of a kind that is computed on the host in 64 bits.
fn host_kind(kind: &str, check: fn(&Case) -> Result<(), Failure>) {
    let cases = cases_of(kind);
    if cases.is_empty() {
        println!("{kind}: skipped");
        return;
    }
    let failure = |case: &Case| Some(format!("{}: {}", case.file(), check(case).err()?));
    let failures: Vec<String> = cases.iter().filter_map(failure).collect();
    assert!(failures.is_empty(), "{kind}: {} failures\n{}", failures.len(), failures.join("\n"));
    println!("{kind}: {} files on the host", cases.len());
}

#[test]
fn noise_transition_matrices() {
    host_kind("noise_transition_matrices", label_noise::transition_matrices);
}

#[test]
fn peer_losses() {
    device_kind("peer_losses", label_noise::peer_losses);
}

#[test]
fn sop_linear() {
    host_kind("sop_linear", label_noise::sop_linear);
}

#[test]
fn sop_loss() {
    device_kind("sop_loss", sop::loss);
}

#[test]
fn sop_trajectory() {
    device_kind("sop_trajectory", sop::trajectory);
}
