//! Robustness with a proof, and a hundred layers without normalization: what orthogonal layers are for.
//!
//! A 1-Lipschitz network of SC-Fac layers is trained with a margin on handwritten digits; its clean,
//! attacked and certified accuracy follow, and ten thousand attacks within the certified radii. Then
//! chains of growing depth, orthogonal and plain (sections 6.2 and 6.3 of Su, Byeon, Huang, ICML 2022).
//!
//! ```text
//! cargo run --release --example lipschitz                          # digits, three seeds, some minutes
//! cargo run --release --example lipschitz -- --data-dir data/mnist --epochs 3
//! ```
#![recursion_limit = "256"]

#[path = "lipschitz/depth.rs"]
mod depth;
#[path = "lipschitz/setup.rs"]
mod setup;

use anyhow::Result;
use clap::Parser;
use firebrick::device;
use firebrick_harness::claims::{Claims, table};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use setup::{Args, Outcome, Settings};

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("lipschitz", &args.common, Settings::from_args(&args))?;
    let mut claims = Claims::new(settings.quick);
    let data = setup::data(&settings)?;
    let (mut all, mut chains) = (Vec::new(), Vec::new());
    for (name, device) in device::parse_list(&settings.device)? {
        let device = device.autodiff();
        let progress = Progress::new(settings.seeds.len() * settings.epochs);
        let mut outcomes = Vec::new();
        for &seed in &settings.seeds {
            outcomes.push(setup::train(&run, &settings, &data, seed, &name, &device, &progress)?);
        }
        progress.finish();
        report(&name, &outcomes);
        check(&mut claims, &settings, &name, &outcomes);
        let found = depth::chains(&run, &settings, &data, &name, &device)?;
        depth::report(&name, &found);
        depth::check(&mut claims, &settings, &name, &found);
        all.extend(outcomes);
        chains.extend(found);
    }
    run.write_json("summary.json", &(&all, &chains, &claims))?;
    setup::save(&run, &all)?;
    depth::save(&run, &chains)?;
    if let Some(folder) = run.dir() {
        println!("\npictures and metrics: {}", folder.display());
    }
    claims.finish(args.common.check)
}

fn report(name: &str, outcomes: &[Outcome]) {
    println!("\nAn orthogonal network on {name}");
    let header = [
        "seed",
        "clean",
        "certified 36/255",
        "attacked 36/255",
        "certified 0.25",
        "attacked 0.25",
        "certified 0.5",
        "attacked 0.5",
        "mean radius",
        "bound",
        "local",
        "seconds",
    ];
    let line = |outcome: &Outcome| {
        let certificates = &outcome.report.certificates;
        let mut cells =
            vec![outcome.seed.to_string(), format!("{:.3}", certificates.clean_accuracy)];
        for point in &outcome.report.points {
            cells.extend([point.certified, point.attacked].map(|share| format!("{share:.3}")));
        }
        cells.push(format!("{:.3}", certificates.mean_certified_radius));
        cells.extend([outcome.bound, outcome.local].map(|value| format!("{value:.6}")));
        cells.push(format!("{:.1}", outcome.seconds));
        cells
    };
    println!("{}", table(&header, &outcomes.iter().map(line).collect::<Vec<_>>()));
}

fn check(claims: &mut Claims, settings: &Settings, name: &str, outcomes: &[Outcome]) {
    let named = |claim: &str| format!("{claim} ({name})");
    let least = |value: fn(&Outcome) -> f64| outcomes.iter().map(value).fold(1.0, f64::min);
    let largest = |value: fn(&Outcome) -> f64| outcomes.iter().map(value).fold(0.0, f64::max);
    let consistent = outcomes.iter().all(|outcome| outcome.report.is_consistent());
    let here = if consistent { "yes" } else { "no" };
    let claim = named("certified <= attacked <= clean, at every radius");
    claims.check_quick(claim, "yes", here, consistent);
    let (broken, attempts) = outcomes
        .iter()
        .fold((0, 0), |sum, outcome| (sum.0 + outcome.broken, sum.1 + outcome.attempts));
    let claim = named("attacks at 0.999 x certified radius that succeed");
    claims.check_quick(claim, "0", format!("{broken} of {attempts}"), broken == 0);
    let (bound, local) = (largest(|o| o.bound), largest(|o| o.local));
    let here = format!("{bound:.6}, {local:.6}");
    let claim = named("Lipschitz constant: product of the layers, local search");
    claims.check_quick(claim, "<= 1.0001", here, bound.max(local) <= 1.0001);
    if settings.is_digits() {
        let clean = least(|o| o.report.certificates.clean_accuracy);
        let holds = clean >= 0.86;
        claims.check(
            named("clean accuracy of every seed"),
            ">= 0.86",
            format!("{clean:.3}"),
            holds,
        );
        let certified = least(|o| o.report.points[0].certified);
        let here = format!("{certified:.3}");
        let claim = named("certified accuracy of every seed at 36/255");
        claims.check(claim, ">= 0.72", here, certified >= 0.72);
        let seconds = largest(|o| o.seconds);
        let here = format!("{seconds:.1}");
        claims.check(named("seconds of training"), "< 60", here, seconds < 60.0);
    }
}
