//! An equilibrium classifier against the same layer unrolled and an explicit network.
//!
//! All three have the same parameters and start. The equilibrium network solves
//! `z = tanh(z W^T + x U^T + b)` with Anderson acceleration and takes implicit gradients with GMRES; the
//! unrolled one records its iterations; the explicit one stops after two. Then the memory of a training
//! step is measured against the number of iterations.
//!
//! ```text
//! cargo run --release --example deq
//! ```
#![recursion_limit = "256"]

#[path = "../benches/memory.rs"]
mod memory;
#[path = "deq/network.rs"]
mod network;
#[path = "deq/report.rs"]
mod report;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use clap::Parser;
use firebrick::device;
use firebrick::models::deq::DeqGradient;
use firebrick::models::deq::matrix_family::{DeqInit, MatrixFamily};
use firebrick_harness::args::CommonArgs;
use firebrick_harness::claims::Claims;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use network::{Data, Kind, Network, Settings, pass, train};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// An equilibrium classifier against the same layer unrolled and an explicit network
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
}

fn settings(common: &CommonArgs) -> Settings {
    let depths: &[usize] = if common.quick { &[10, 40] } else { &[5, 10, 20, 40, 80, 160] };
    Settings {
        device: common.device.clone(),
        quick: common.quick,
        seeds: common.seeds(10, 1),
        epochs: common.epochs(15, 3),
        width: 128,
        lr: 0.001,
        batch: 63,
        unrolled_steps: 30,
        max_steps: 40,
        tolerance: 1e-3,
        start: DeqInit::new(MatrixFamily::Orthogonal, 0.5),
        depths: depths.to_vec(),
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("deq", &args.common, settings(&args.common))?;
    let mut claims = Claims::new(settings.quick);
    let mut all = Vec::new();
    for (name, device) in device::parse_list(&settings.device)? {
        let (data, device) = (Data::new()?, device.autodiff());
        let progress = Progress::new(Kind::ALL.len() * settings.seeds.len() * settings.epochs);
        let mut outcomes = Vec::new();
        for kind in Kind::ALL {
            for &seed in &settings.seeds {
                progress.begin(&format!("{} {seed}", kind.name()), 0);
                outcomes.push(train(kind, seed, &settings, &data, &device, &progress));
            }
        }
        progress.finish();
        let network = Network::new(&settings, 0, &device);
        let memory = measure(&network, &settings, &data, &device);
        report::print(&name, &settings, &outcomes, &memory);
        report::judge(&mut claims, &settings, &outcomes, &memory);
        gradients(&mut claims, &network, &settings, &data, &device);
        report::save(&run, &settings, &memory)?;
        all.push((name, outcomes, memory));
    }
    run.write_json("summary.json", &(&all, &claims))?;
    claims.finish(args.common.check)
}

/// Peak memory of forward and backward in states `[batch, width]`: implicit, unrolled.
fn measure(network: &Network, settings: &Settings, data: &Data, device: &Device) -> Vec<[f64; 2]> {
    let state = (settings.batch * settings.width * 4) as f64;
    let (inputs, _) = data.batch(settings.batch, device);
    let at = |gradient: DeqGradient, steps: usize| {
        let run = || drop(pass(network, gradient.clone(), steps, inputs.clone()));
        run();
        memory::peak(run) as f64 / state
    };
    let both = |&steps: &usize| {
        [at(DeqGradient::Implicit, steps), at(DeqGradient::Unrolled { steps }, steps)]
    };
    settings.depths.iter().map(both).collect()
}

/// The implicit gradient against that of the recorded iterations.
fn gradients(
    claims: &mut Claims,
    network: &Network,
    settings: &Settings,
    data: &Data,
    device: &Device,
) {
    let (inputs, _) = data.batch(settings.batch, device);
    let implicit = pass(network, DeqGradient::Implicit, 100, inputs.clone());
    let unrolled = pass(network, DeqGradient::Unrolled { steps: 100 }, 100, inputs);
    let norm = |x: Tensor<2>| x.square().sum().sqrt().into_scalar::<f64>();
    let error = norm(implicit - unrolled.clone()) / norm(unrolled);
    let claim = "implicit against unrolled gradient, 100 iterations: relative error";
    claims.check_quick(claim, "<= 1e-4", format!("{error:.1e}"), error <= 1e-4);
}
