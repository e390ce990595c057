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
            judge_plane(&mut claims, &outcome, &name);
            if let Some(path) = run.path(&format!("{density}-{}.png", file(&name))) {
                heat_maps(&path, &outcome.fields)?;
            }
            planes.push((name.clone(), outcome));
        }
        if settings.wants("digits") {
            let outcome = images::learn(&settings, &device, &progress)?;
            judge_images(&mut claims, &outcome, &name);
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
            format!("{:.0}", o.milliseconds),
        ]
    };
    if !images.is_empty() {
        println!("Bits per dimension of test images, exact and by roulette (20 exact terms)");
        println!("{}", table(&header, &images.iter().map(row).collect::<Vec<_>>()));
    }
}

fn judge_plane(claims: &mut Claims, o: &plane::Outcome, device: &str) {
    let named = |what: &str| format!("{}: {what} ({device})", o.density);
    let (typical, worst) = (o.inverse_deviation, o.inverse_error);
    let text = format!("{typical:.1e}");
    claims.check_quick(named("inverse, root mean square error"), "<= 1e-5", text, typical <= 1e-5);
    let text = format!("{worst:.1e}");
    claims.check_quick(named("inverse, worst of all points"), "<= 1e-4", text, worst <= 1e-4);
    let holds = (o.mass - 1.0).abs() <= 0.01;
    claims.check_quick(named("density integrates to"), "1 ± 0.01", format!("{:.4}", o.mass), holds);
    let (text, holds) = (format!("{:.2}", o.bias_in_errors), o.bias_in_errors.abs() <= 3.0);
    claims.check_quick(named("roulette's bias in standard errors"), "<= 3", text, holds);
    let (text, holds) = (format!("{:.3}", o.flow.0 - o.gaussian), o.flow.0 > o.gaussian);
    claims.check_quick(named("nats above a fitted Gaussian"), "> 0", text, holds);
    let share = (o.flow.0 - o.gaussian) / (o.best - o.gaussian);
    let (text, holds) = (format!("{share:.2}"), share > 1.0 / 3.0);
    claims.check(named("share of the Gaussian's gap that is closed"), "> 1/3", text, holds);
}

fn judge_images(claims: &mut Claims, o: &images::Outcome, device: &str) {
    let named = |what: &str| format!("{}: {what} ({device})", o.images);
    let error = o.inverse_error;
    claims.check_quick(named("inverse"), "<= 1e-3", format!("{error:.1e}"), error <= 1e-3);
    let bits = o.exact.as_ref().unwrap_or(&o.estimated).mean;
    let text = format!("{bits:.3} < {:.3}", o.gaussian.mean);
    claims.check(named("bits below a Gaussian's"), "yes", text, bits < o.gaussian.mean);
}
