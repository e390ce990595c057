//! How orthogonal are orthogonal convolutions? Every kind of layer, measured.
//!
//! First the experiment of section 6.1 of Su, Byeon and Huang (ICML 2022) in a small form: what layers
//! with 64 channels do to norms of Gaussian images. Then each kind sits between two ordinary layers in a
//! network for 8x8 digits, and its singular values are taken before and after training. Last, the cost.
//!
//! ```text
//! cargo run --release --example orthogonal                # all kinds, about a minute
//! cargo run --release --example orthogonal -- --only cayley,bcop
//! ```
#![recursion_limit = "256"]

#[path = "orthogonal/grid.rs"]
mod grid;
#[path = "orthogonal/kinds.rs"]
mod kinds;
#[path = "orthogonal/setup.rs"]
mod setup;

use anyhow::Result;
use clap::Parser;
use firebrick::device;
use firebrick_harness::claims::{Claims, table};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use setup::{Args, Outcome, Promise, Settings};

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("orthogonal", &args.common, Settings::from_args(&args)?)?;
    let mut claims = Claims::new(settings.quick);
    let mut all = Vec::new();
    for (name, device) in device::parse_list(&settings.device)? {
        let kinds = kinds::chosen(&settings)?;
        let progress = Progress::new(kinds.len() * settings.epochs);
        let mut outcomes = Vec::new();
        for kind in &kinds {
            outcomes.push(kind.outcome(&run, &settings, &name, &device, &progress)?);
        }
        progress.finish();
        report(&name, &settings, &outcomes);
        check(&mut claims, &settings, &name, &outcomes);
        grid::measure(&run, &settings, &name, &device, &mut claims)?;
        all.extend(outcomes);
    }
    run.write_json("summary.json", &(&all, &claims))?;
    setup::metrics(&run, &all)?;
    setup::pictures(&run, &all)?;
    if let Some(folder) = run.dir() {
        println!("\npictures and metrics: {}", folder.display());
    }
    claims.finish(args.common.check)
}

fn report(name: &str, settings: &Settings, outcomes: &[Outcome]) {
    let [height, width] = settings.image;
    let channels = settings.channels;
    println!(
        "\nExactness on {name}: {channels} channels, Gaussian {height}x{width} images, 32 bits"
    );
    let header = ["layer", "norms of", "mean - 1", "deviation", "worst", "worst |s - 1|"];
    let line = |outcome: &Outcome| {
        let (what, ratio) = outcome.norm_ratio();
        let worst = (ratio.max - 1.0).abs().max((ratio.min - 1.0).abs());
        let numbers = [ratio.mean - 1.0, ratio.deviation, worst, outcome.exactness.deviation];
        let cells = numbers.map(|value| format!("{value:.1e}"));
        [outcome.kind.clone(), what.into()].into_iter().chain(cells).collect()
    };
    println!("{}", table(&header, &outcomes.iter().map(line).collect::<Vec<_>>()));

    println!("\nIn the network for digits, {} epochs", settings.epochs);
    let header =
        ["layer", "worst |s - 1| before", "after", "s from", "to", "valid. accuracy", "seconds"];
    let line = |outcome: &Outcome| {
        vec![
            outcome.kind.clone(),
            format!("{:.1e}", outcome.before.deviation),
            format!("{:.1e}", outcome.after.deviation),
            format!("{:.5}", outcome.after.min),
            format!("{:.5}", outcome.after.max),
            format!("{:.3}", outcome.accuracy),
            format!("{:.1}", outcome.seconds),
        ]
    };
    println!("{}", table(&header, &outcomes.iter().map(line).collect::<Vec<_>>()));

    println!("\nCost in ms (median), batch of {}, same channels and images", settings.batch);
    let header = ["layer", "exactly orthogonal", "compact", "kernel", "forward", "training step"];
    let line = |outcome: &Outcome| {
        let time = |seconds: f64| format!("{:.2}", 1e3 * seconds);
        let cost = &outcome.cost;
        vec![
            outcome.kind.clone(),
            outcome.promise.to_string(),
            if outcome.compact { "yes" } else { "no" }.into(),
            cost.kernel.map_or("-".into(), time),
            time(cost.forward),
            time(cost.training_step),
        ]
    };
    println!("{}\n", table(&header, &outcomes.iter().map(line).collect::<Vec<_>>()));
}

type Value = fn(&Outcome) -> f64;

/// What each kind promises of its singular values.
fn check(claims: &mut Claims, settings: &Settings, device: &str, outcomes: &[Outcome]) {
    let worst = |promise: Promise, value: Value| {
        let chosen = outcomes.iter().filter(|outcome| outcome.promise == promise);
        // A NaN stays.
        chosen.map(value).reduce(|max, value| if value <= max { max } else { value })
    };
    let named = |claim: &str| format!("{claim} ({device})");
    let values: [(&str, Value); 3] = [
        ("at the start", |o| o.exactness.deviation.max(o.before.deviation)),
        ("after training", |o| o.after.deviation),
        ("norms at the start", |o| (o.norm_ratio().1.mean - 1.0).abs()),
    ];
    for (promise, bounds) in [
        (Promise::Exact, [2e-5, 2e-5, 2e-6]),
        (Promise::Iteration, [2e-5, 2e-5, 2e-6]),
        (Promise::Series, [1e-5, 1e-5, 2e-6]),
    ] {
        for ((what, value), bound) in values.into_iter().zip(bounds) {
            if let Some(found) = worst(promise, value) {
                let (claim, text) = (named(&format!("{promise}: {what}")), format!("{found:.1e}"));
                claims.check_quick(claim, format!("<= {bound:.0e}"), text, found <= bound);
            }
        }
    }
    let of = |kind: &str| outcomes.iter().find(|outcome| outcome.kind == kind);
    if let Some(rko) = of("RKO") {
        let (ratio, largest) = (rko.exactness.output_ratio.mean, rko.after.max);
        let (text, holds) = (format!("{ratio:.4}"), (ratio - 1.0 / 3.0).abs() < 0.01);
        claims.check_quick(named("RKO: noise shrinks to"), "1/3 ± 0.01", text, holds);
        let text = format!("{largest:.5}");
        claims.check_quick(named("RKO: 1-Lipschitz"), "<= 1.00001", text, largest <= 1.00001);
    }
    if let (Some(plain), true) = (of("plain convolution"), settings.epochs > 0) {
        let (text, holds) = (format!("{:.2}", plain.after.deviation), plain.after.deviation > 0.3);
        claims.check_quick(named("plain: worst |s - 1|"), "> 0.3", text, holds);
    }
    if let Some(svcm) = of("SVCM") {
        let (before, after) = (svcm.before.deviation, svcm.after.deviation);
        let (text, holds) = (format!("{before:.3} to {after:.3}"), after > before);
        claims.check(named("SVCM: drifts in training"), "grows", text, holds);
    }
}
