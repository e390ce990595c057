//! How momentum improves generalization: gradient descent with and without it, full batch.
//!
//! A feature decides all labels, but a tenth of the examples carry it with a small margin. Gradient
//! descent learns the feature from the others and memorizes these by their noise; with momentum the
//! same network, from the same start, classifies them by the feature (model of Jelassi, Li, ICML
//! 2022).
//!
//! ```text
//! cargo run --release --example momentum                          # ten seeds, some seconds
//! cargo run --release --example momentum -- --noise-std 0.25 --seeds 5
//! cargo run --release --example momentum -- --batch-size 20
//! ```
#![recursion_limit = "256"]

#[path = "momentum/setup.rs"]
mod setup;
#[path = "momentum/show.rs"]
mod show;

use anyhow::Result;
use clap::Parser;
use firebrick::{device, momentum::TracePoint};
use firebrick_harness::claims::{Claims, table};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use setup::{Args, Settings};
use show::{HEADER, METRICS, max, metrics, min, row, save};

const MOMENTA: [f64; 5] = [0.0, 0.5, 0.9, 0.95, 0.99];

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("momentum", &args.common, Settings::from_args(&args))?;
    let progress = Progress::of(settings.seeds.len(), "seeds");
    let (mut runs, mut controls) = (Vec::new(), Vec::new());
    for &seed in &settings.seeds {
        progress.begin(&format!("seed {seed}"), 0);
        runs.push(settings.ends(&settings.study(seed)?, &MOMENTA)?);
        controls.push(settings.ends(&settings.control(seed)?, &[0.0, 0.99])?);
        progress.skip(1);
    }
    progress.finish();
    // One column per momentum, one row per seed.
    let ends = |at: usize| -> Vec<&TracePoint> { runs.iter().map(|seed| &seed[at].end).collect() };
    let control = |at: usize| controls.iter().map(|seed| &seed[at].end).collect::<Vec<_>>();

    let rows = [
        ("GD", ends(0)),
        ("GD+M", ends(4)),
        ("GD, equal margins", control(0)),
        ("GD+M, equal margins", control(1)),
    ];
    println!("{}", table(&HEADER, &rows.map(|(name, ends)| row(name, &ends))));
    let rows: Vec<_> = (0..5).map(|at| row(&MOMENTA[at].to_string(), &ends(at))).collect();
    println!("{}", table(&[&["momentum"], &HEADER[1..]].concat(), &rows));

    let study = settings.study(settings.seeds[0])?;
    let mut claims = Claims::new(args.common.quick);
    judge(&mut claims, &ends, &control);
    let mut adam = Vec::new();
    for name in &settings.devices {
        let device = device::parse(name)?;
        let distance = settings.device_distance(&study, &device)?;
        let claim = format!("100 steps in tensors on {name} end where the closed form does");
        claims.check_quick(claim, "<= 1e-3", format!("{distance:.0e}"), distance <= 1e-3);
        let outcome = settings.adam(&study, &device)?;
        println!(
            "{}",
            table(&HEADER, &[row(&format!("Adam on {name}, one seed"), &[&outcome.end])])
        );
        adam.push(outcome);
    }
    let small =
        |ends: Vec<&TracePoint>| ends.into_iter().filter_map(|end| end.test.small).collect();
    let sweep: Vec<(f64, Vec<f64>)> = (0..5).map(|at| (MOMENTA[at], small(ends(at)))).collect();
    save(&run, &settings.traces(&study)?, &sweep)?;
    run.write_csv("metrics.csv", &METRICS, metrics(&settings.seeds, &runs))?;
    run.write_json("summary.json", &(&runs, &controls, &adam, &claims))?;
    claims.finish(args.common.check)
}

fn judge<'a>(
    claims: &mut Claims,
    ends: &dyn Fn(usize) -> Vec<&'a TracePoint>,
    control: &dyn Fn(usize) -> Vec<&'a TracePoint>,
) {
    let of = |ends: Vec<&TracePoint>, value: fn(&TracePoint) -> f64| -> Vec<f64> {
        ends.into_iter().map(value).collect()
    };
    // Without a small-margin example there is nothing to show.
    let small = |end: &TracePoint| end.test.small.unwrap_or(f64::NAN);
    let range = |values: &[f64]| format!("{:.3} to {:.3}", min(values), max(values));
    let (plain, momentum) = (of(ends(0), small), of(ends(4), small));
    let holds = plain.iter().all(|error| (0.30..=0.50).contains(error));
    let claim = "GD memorizes: small-margin test error of every seed";
    claims.check_quick(claim, "0.30 to 0.50", range(&plain), holds);
    let total = of(ends(0), |end| end.test.total);
    let holds = total.iter().all(|error| (0.03..=0.055).contains(error));
    claims.check_quick("GD: test error of every seed", "0.03 to 0.055", range(&total), holds);
    let holds = momentum.iter().all(|&error| error <= 0.01);
    let claim = "GD+M learns: small-margin test error of every seed";
    claims.check_quick(claim, "<= 0.01", format!("{:.3}", max(&momentum)), holds);
    let train = max(&of([ends(0), ends(4)].concat(), |end| end.train.total));
    claims.check_quick("training error of both", "0", train.to_string(), train == 0.0);
    let signal = |at: usize| of(ends(at), TracePoint::max_signal);
    let (plain, momentum) = (max(&signal(0)), min(&signal(4)));
    let here = format!("{plain:.2}, {momentum:.2}");
    let holds = plain < 2.0 && momentum > 5.0;
    claims.check_quick("largest signal of GD, of GD+M (1/beta = 5)", "< 2, > 5", here, holds);
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let errors = [0, 1, 2, 4].map(|at| mean(of(ends(at), small)));
    let holds = errors.windows(2).all(|pair| pair[1] < pair[0]);
    let here = errors.map(|error| format!("{error:.3}")).join(", ");
    claims.check("mean error at momentum 0, 0.5, 0.9, 0.99", "falls", here, holds);
    let control = max(&of([control(0), control(1)].concat(), |end| end.test.total));
    let claim = "equal margins: test error of both (control)";
    claims.check_quick(claim, "0", control.to_string(), control == 0.0);
}
