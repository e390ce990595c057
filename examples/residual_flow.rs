//! Residual flows from orthogonal layers: densities in the plane and of handwritten digits.
//!
//! Two densities with a closed form are learned from samples, by the exact log-likelihood, and digits by the
//! unbiased estimator. Every promise of the method is measured: the inverse, the mass of the density, the
//! estimator's bias, and the likelihood against that of a fitted Gaussian.
//!
//! ```text
//! cargo run --release --example residual_flow                 # some minutes
//! cargo run --release --example residual_flow -- --only 8gaussians --steps 5000
//! cargo run --release --example residual_flow -- --only digits --data-dir MNIST
//! ```
#![recursion_limit = "256"]

#[path = "residual_flow/images.rs"]
mod images;
#[path = "residual_flow/plane.rs"]
mod plane;
#[path = "residual_flow/setup.rs"]
mod setup;

use anyhow::Result;
use clap::Parser;
use firebrick::datasets::PlanarDensity;
use firebrick::device;
use firebrick_harness::claims::{Claims, table};
use firebrick_harness::fields::heat_maps;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use setup::{Args, Settings, file};

const DENSITIES: [(&str, PlanarDensity); 2] =
    [("checkerboard", PlanarDensity::Checkerboard), ("8gaussians", PlanarDensity::EightGaussians)];

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("residual_flow", &args.common, Settings::from_args(&args)?)?;
    let mut claims = Claims::new(settings.quick);
    let (mut planes, mut images) = (Vec::new(), Vec::new());
    for (name, device) in device::parse_list(&settings.device)? {
        let progress = Progress::of(settings.all_steps(), "steps");
        for (density, kind) in DENSITIES.into_iter().filter(|(name, _)| settings.wants(name)) {
            let outcome = plane::learn(&settings, density, kind, &device, &progress)?;
            plane::judge(&mut claims, &outcome, &name);
            if let Some(path) = run.path(&format!("{density}-{}.png", file(&name))) {
                heat_maps(&path, &outcome.fields)?;
            }
            planes.push((name.clone(), outcome));
        }
        if settings.wants("digits") {
            let outcome = images::learn(&settings, &device, &progress)?;
            images::judge(&mut claims, &outcome, &name);
            if let Some(path) = run.path(&format!("digits-{}.png", file(&name))) {
                heat_maps(&path, &outcome.fields)?;
            }
            images.push((name.clone(), outcome));
        }
        progress.finish();
    }
    report(&planes, &images);
    run.write_json("summary.json", &(&planes, &images, &claims))?;
    setup::curves(&run, &planes, &images)?;
    claims.finish(args.common.check)
}

fn report(planes: &[(String, plane::Outcome)], images: &[(String, images::Outcome)]) {
    let header = [
        "density",
        "device",
        "flow, nats",
        "fitted Gaussian",
        "best possible",
        "mass",
        "worst inverse error",
        "in 64 bits",
        "latent points rounded",
        "ms per step",
    ];
    let row = |(device, o): &(String, plane::Outcome)| {
        vec![
            o.density.clone(),
            device.clone(),
            format!("{:.3} ± {:.3}", o.flow.0, o.flow.1),
            format!("{:.3}", o.gaussian),
            format!("{:.3}", o.best),
            format!("{:.4}", o.mass),
            format!("{:.1e}", o.inverse_error),
            format!("{:.1e}", o.inverse_in_double[0]),
            format!("{:.1e}", o.inverse_in_double[1]),
            format!("{:.1}", o.milliseconds),
        ]
    };
    if !planes.is_empty() {
        println!("Mean log-likelihood of fresh points, exact log-determinants");
        println!("{}", table(&header, &planes.iter().map(row).collect::<Vec<_>>()));
    }
    let header = [
        "images",
        "device",
        "flow",
        "estimated",
        "Gaussian",
        "uniform",
        "inverse error",
        "in 64 bits",
        "ms per step",
    ];
    let row = |(device, o): &(String, images::Outcome)| {
        let bits = |bits: &firebrick::models::generative::residual_flow::BitsPerDimension| {
            format!("{:.3} ± {:.3}", bits.mean, bits.standard_error)
        };
        vec![
            o.images.clone(),
            device.clone(),
            o.exact.as_ref().map_or("-".into(), bits),
            bits(&o.estimated),
            format!("{:.3}", o.gaussian.mean),
            format!("{:.3}", o.uniform),
            format!("{:.1e}", o.inverse_error),
            format!("{:.1e}", o.inverse_in_double),
            format!("{:.0}", o.milliseconds),
        ]
    };
    if !images.is_empty() {
        println!("Bits per dimension of test images, exact and by roulette (20 exact terms)");
        println!("{}", table(&header, &images.iter().map(row).collect::<Vec<_>>()));
    }
}
