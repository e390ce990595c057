//! Golden vectors: results of reference implementations, one JSON file per case.
//!
//! Every kind is one test of exactly its name, which reads every file of its kind below
//! `tests/golden` (or `$FIREBRICK_GOLDEN`), on the devices of `$FIREBRICK_DEVICES`. To add a kind,
//! write a function that checks one [`Case`] and a test of three lines below.
#![recursion_limit = "256"]

mod adai;
mod case;
mod deq;
mod deq_solver;
#[path = "../support/devices.rs"]
mod devices;
mod efld;
mod graphs;
mod label_noise;
mod lipschitz;
mod local_augmentation;
mod matrix_families;
mod momentum;
mod orthogonal;
mod orthogonal_alternatives;
mod planetoid;
mod residual_flow;
mod sop;
mod temporal;
mod temporal_baselines;
mod temporal_data;

use case::{Case, Failure, cases_of};
use devices::Named;

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

/// The float types to test: both on the host; GPUs only in 32 bits, because software Vulkan claims
/// 64 bits and computes wrong transcendental functions in them.
fn dtypes(named: &Named) -> &'static [DType] {
    if named.is_host() { &[DType::F64, DType::F32] } else { &[DType::F32] }
}

/// Checks every file of a kind; `check` returns the failures of one file.
fn kind(kind: &str, places: &str, check: impl Fn(&Case) -> Vec<String>) {
    let cases = cases_of(kind);
    if cases.is_empty() {
        println!("{kind}: skipped");
        return;
    }
    let of_case = |case: &Case| {
        let file = case.file();
        check(case).into_iter().map(move |failure| format!("{file}{failure}"))
    };
    let failures: Vec<String> = cases.iter().flat_map(of_case).collect();
    assert!(failures.is_empty(), "{kind}: {} failures\n{}", failures.len(), failures.join("\n"));
    println!("{kind}: {} files on {places}", cases.len());
}

/// A kind that is checked on every device, in every float type.
fn device_kind(name: &str, check: fn(&Case, &Target) -> Result<(), Failure>) {
    let devices = devices::chosen();
    let names: Vec<&str> = devices.iter().map(|named| named.name.as_str()).collect();
    let mut targets = Vec::new();
    for named in &devices {
        for &dtype in dtypes(named) {
            targets.push((&named.name, Target { device: named.device.clone().autodiff(), dtype }));
        }
    }
    kind(name, &names.join(", "), |case| {
        let failure = |(device, target): &(&String, Target)| {
            let failure = check(case, target).err()?;
            Some(format!(" on {device} in {:?}: {failure}", target.dtype))
        };
        targets.iter().filter_map(failure).collect()
    });
}

/// A kind that is computed on the host in 64 bits.
fn host_kind(name: &str, check: fn(&Case) -> Result<(), Failure>) {
    kind(name, "the host", |case| {
        check(case).err().map(|failure| format!(": {failure}")).into_iter().collect()
    });
}

#[test]
fn confident_learning() {
    host_kind("confident_learning", label_noise::confident_learning);
}

#[test]
fn deq_activation() {
    device_kind("deq_activation", deq::equilibrium);
}

#[test]
fn deq_end_to_end() {
    device_kind("deq_end_to_end", deq::end_to_end);
}

#[test]
fn deq_jacobian_reg() {
    device_kind("deq_jacobian_reg", deq::jacobian_penalty);
}

#[test]
fn deq_linear() {
    device_kind("deq_linear", deq::equilibrium);
}

#[test]
fn deq_norms() {
    device_kind("deq_norms", deq::norms);
}

#[test]
fn deq_solver() {
    device_kind("deq_solver", deq_solver::solver);
}

#[test]
fn gdm() {
    device_kind("gdm", momentum::gdm);
}

#[test]
fn efld_bounds() {
    host_kind("efld_bounds", efld::bounds);
}

#[test]
fn efld_lsd() {
    host_kind("efld_lsd", efld::divergence);
}

#[test]
fn efld_quantised() {
    device_kind("efld_quantised", efld::quantised);
}

#[test]
fn efld_sgld() {
    device_kind("efld_sgld", efld::sgld);
}

#[test]
fn efld_sign() {
    device_kind("efld_sign", efld::sign);
}

#[test]
fn adai() {
    device_kind("adai", adai::trajectory);
}

/// One model on all chosen devices: the mean crosses them.
#[test]
fn adai_across_devices() {
    let devices = devices::chosen();
    let target =
        |named: &Named| Target { device: named.device.clone().autodiff(), dtype: DType::F32 };
    let targets: Vec<Target> = devices.iter().map(target).collect();
    kind("adai", &format!("{} devices at once", devices.len()), |case| {
        adai::spread(case, &targets)
            .err()
            .map(|failure| format!(": {failure}"))
            .into_iter()
            .collect()
    });
}

#[test]
fn graph_cvae() {
    device_kind("graph_cvae", local_augmentation::cvae);
}

#[test]
fn graph_grand() {
    device_kind("graph_grand", local_augmentation::grand);
}

#[test]
fn graph_lagcn() {
    device_kind("graph_lagcn", local_augmentation::lagcn);
}

#[test]
fn graph_uscore() {
    device_kind("graph_uscore", local_augmentation::uscore);
}

#[test]
fn graph_appnp() {
    device_kind("graph_appnp", graphs::appnp);
}

#[test]
fn graph_cheb() {
    device_kind("graph_cheb", graphs::cheb);
}

#[test]
fn graph_gat() {
    device_kind("graph_gat", graphs::gat);
}

#[test]
fn graph_gatv2() {
    device_kind("graph_gatv2", graphs::gatv2);
}

#[test]
fn graph_gcn() {
    device_kind("graph_gcn", graphs::gcn);
}

#[test]
fn graph_gcnii() {
    device_kind("graph_gcnii", graphs::gcnii);
}

#[test]
fn graph_gin() {
    device_kind("graph_gin", graphs::gin);
}

#[test]
fn graph_gine() {
    device_kind("graph_gine", graphs::gine);
}

#[test]
fn graph_sage() {
    device_kind("graph_sage", graphs::sage);
}

#[test]
fn graph_sgc() {
    device_kind("graph_sgc", graphs::sgc);
}

#[test]
fn matrix_families() {
    host_kind("matrix_families", matrix_families::families);
}

#[test]
fn noise_transition_matrices() {
    host_kind("noise_transition_matrices", label_noise::transition_matrices);
}

#[test]
fn ortho_activations_pooling() {
    device_kind("ortho_activations_pooling", lipschitz::activations_pooling);
}

#[test]
fn ortho_alternatives() {
    device_kind("ortho_alternatives", orthogonal_alternatives::alternatives);
}

#[test]
fn ortho_conv1d() {
    device_kind("ortho_conv1d", orthogonal::conv1d);
}

#[test]
fn ortho_conv2d() {
    device_kind("ortho_conv2d", orthogonal::conv2d);
}

#[test]
fn ortho_conv2d_cayley() {
    device_kind("ortho_conv2d_cayley", orthogonal::conv2d);
}

#[test]
fn ortho_conv_transpose1d() {
    device_kind("ortho_conv_transpose1d", orthogonal::conv_transpose1d);
}

#[test]
fn ortho_conv_transpose2d() {
    device_kind("ortho_conv_transpose2d", orthogonal::conv_transpose2d);
}

#[test]
fn ortho_linear() {
    device_kind("ortho_linear", orthogonal::linear);
}

#[test]
fn ortho_residual_flow() {
    device_kind("ortho_residual_flow", residual_flow::estimators);
}

#[test]
fn ortho_margin_and_certificates() {
    device_kind("ortho_margin_and_certificates", lipschitz::margin_and_certificates);
}

#[test]
fn ortho_resblock() {
    device_kind("ortho_resblock", lipschitz::residual_block);
}

#[test]
fn ortho_shuffleblock() {
    device_kind("ortho_shuffleblock", lipschitz::shuffle_block);
}

#[test]
fn ortho_skew_maps() {
    device_kind("ortho_skew_maps", orthogonal::skew_maps);
}

/// Needs the data sets themselves, which are not in the repository.
#[test]
fn planetoid_checks() {
    match planetoid::folder() {
        Some(_) => host_kind("planetoid_checks", planetoid::checks),
        None => {
            println!("planetoid_checks: skipped: FIREBRICK_DATA names no folder with data sets")
        }
    }
}

#[test]
fn ortho_train_trajectory() {
    device_kind("ortho_train_trajectory", lipschitz::train_trajectory);
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

#[test]
fn temporal_dyncsl() {
    host_kind("temporal_dyncsl", temporal_data::dyncsl);
}

#[test]
fn temporal_evolvegcn() {
    device_kind("temporal_evolvegcn", temporal_baselines::evolve_gcn);
}

#[test]
fn temporal_recurrent() {
    device_kind("temporal_recurrent", temporal_baselines::recurrent);
}

#[test]
fn temporal_time_then_graph() {
    device_kind("temporal_time_then_graph", temporal::time_then_graph);
}
