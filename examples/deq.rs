//! An equilibrium classifier against the same layer unrolled and an explicit network.
//!
//! All three have the same parameters and start. The equilibrium network solves `z = tanh(z W^T + x U^T
//! + b)` with Anderson acceleration and takes implicit gradients with GMRES; the unrolled one records its
//! iterations; the explicit one stops after two. Then the memory of a training step is measured against
//! the number of iterations.
//!
//! ```text
//! cargo run --release --example deq
//! ```
#![recursion_limit = "256"]

#[path = "../benches/memory.rs"]
mod memory;
#[path = "deq/network.rs"]
mod network;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use clap::Parser;
use firebrick::device;
use firebrick::models::deq::DeqGradient;
use firebrick::models::deq::matrix_family::{DeqInit, MatrixFamily};
use firebrick_harness::args::CommonArgs;
use firebrick_harness::claims::{Claims, mean_std, table};
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use network::{Data, Kind, Network, Outcome, Settings, pass, train};

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
        seeds: common.seeds(3, 1),
        epochs: common.epochs(20, 2),
        width: 128,
        lr: 0.002,
        batch: 63,
        unrolled_steps: 30,
        max_steps: 40,
        tolerance: 1e-4,
        start: DeqInit::new(MatrixFamily::Orthogonal, 0.8),
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
        let progress =
            Progress::new(Kind::ALL.len() * settings.seeds.len() * settings.epochs);
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
        report(&name, &settings, &outcomes, &memory);
        judge(&mut claims, &settings, &outcomes, &memory);
        gradients(&mut claims, &network, &settings, &data, &device);
        save(&run, &settings, &memory)?;
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

fn report(name: &str, settings: &Settings, outcomes: &[Outcome], memory: &[[f64; 2]]) {
    let of = |kind: Kind, value: fn(&Outcome) -> f64, digits: usize| {
        let values: Vec<f64> =
            outcomes.iter().filter(|outcome| outcome.kind == kind).map(value).collect();
        let (mean, deviation) = mean_std(&values);
        format!("{mean:.digits$} ± {deviation:.digits$}")
    };
    println!("\n{name}: {} epochs, {} seeds", settings.epochs, settings.seeds.len());
    let header = ["network", "validation", "test", "found", "steps", "backward", "seconds"];
    let line = |kind: Kind| {
        vec![
            kind.name().to_owned(),
            of(kind, |o| o.validation, 3),
            of(kind, |o| o.test, 3),
            of(kind, |o| o.converged, 3),
            of(kind, |o| o.forward_steps, 1),
            of(kind, |o| o.backward_steps, 1),
            of(kind, |o| o.seconds, 1),
        ]
    };
    println!("{}", table(&header, &Kind::ALL.map(line)));
    println!("Peak memory of forward and backward, in states of the layer");
    let line = |(steps, memory): (&usize, &[f64; 2])| {
        vec![steps.to_string(), format!("{:.1}", memory[0]), format!("{:.1}", memory[1])]
    };
    let lines: Vec<_> = settings.depths.iter().zip(memory).map(line).collect();
    println!("{}", table(&["iterations", "implicit", "unrolled"], &lines));
}

fn judge(claims: &mut Claims, settings: &Settings, outcomes: &[Outcome], memory: &[[f64; 2]]) {
    let of = |kind: Kind| {
        let tests: Vec<f64> =
            outcomes.iter().filter(|outcome| outcome.kind == kind).map(|o| o.test).collect();
        mean_std(&tests).0
    };
    let [equilibrium, unrolled, explicit] = Kind::ALL.map(of);
    let here = format!("{equilibrium:.3}, {unrolled:.3}");
    let holds = (equilibrium - unrolled).abs() <= 0.01;
    claims.check("test accuracy: equilibrium, unrolled", "equal to 0.01", here, holds);
    let here = format!("{equilibrium:.3}, {explicit:.3}");
    let holds = equilibrium >= explicit - 0.01;
    claims.check("test accuracy: equilibrium, explicit", "not below by 0.01", here, holds);
    let found: Vec<f64> = outcomes
        .iter()
        .filter(|outcome| outcome.kind == Kind::Equilibrium)
        .map(|outcome| outcome.converged)
        .collect();
    let found = mean_std(&found).0;
    claims.check_quick("test equilibria found", ">= 0.99", format!("{found:.3}"), found >= 0.99);
    let depths = &settings.depths;
    let (first, last) = (depths.iter().position(|&d| d == 10).unwrap_or(0), depths.len() - 1);
    let steps = (depths[last] - depths[first]) as f64;
    let growth = [0, 1].map(|at| memory[last][at] - memory[first][at]);
    let claim = format!("implicit: states more at {} iterations than at 10", depths[last]);
    claims.check_quick(claim, "< 5", format!("{:.2}", growth[0]), growth[0] < 5.0);
    let here = format!("{:.2}", growth[1] / steps);
    claims.check_quick("unrolled: states per iteration", ">= 1", here, growth[1] >= steps);
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

fn save(run: &Run, settings: &Settings, memory: &[[f64; 2]]) -> Result<()> {
    let lines = settings.depths.iter().zip(memory);
    let rows = lines.clone().map(|(steps, [implicit, unrolled])| {
        vec![steps.to_string(), implicit.to_string(), unrolled.to_string()]
    });
    run.write_csv("metrics.csv", &["iterations", "implicit", "unrolled"], rows)?;
    let Some(path) = run.path("memory.svg") else { return Ok(()) };
    let curve = |name: &str, at: usize| {
        Series::new(name, lines.clone().map(|(&steps, m)| (steps as f64, m[at])).collect())
    };
    let series = [curve("implicit", 0), curve("unrolled", 1)];
    line_chart(&path, "Peak memory of forward and backward", "iterations", "states", &series)
}
