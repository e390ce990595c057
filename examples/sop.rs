//! Robust training on mislabeled data: SOP against cross entropy.
//!
//! A small CNN on 8x8 digits of which 40 % of the training labels are wrong. Cross entropy
//! memorizes the wrong labels; SOP (Liu, Zhu, Qu, You, ICML 2022) absorbs them in its noise state,
//! which afterwards tells which labels are wrong and what they should be.
//!
//! ```text
//! cargo run --release --example sop                        # digits, about a minute and a half
//! cargo run --release --example sop -- --dataset mixture   # Gaussian mixture, 32 dimensions
//! cargo run --release --example sop -- --data-dir DIR --epochs 15   # any IDX data set
//! ```
#![recursion_limit = "256"]

#[path = "sop/setup.rs"]
mod setup;

use anyhow::Result;
use burn::tensor::Device;
use clap::Parser;
use firebrick::device;
use firebrick_harness::claims::{Claims, mean_std, table};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use setup::{Args, Experiment, Outcome, Settings};

const METHODS: [&str; 2] = ["ce", "sop"];

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("sop", &args.common, Settings::from_args(&args)?)?;
    let mut claims = Claims::new(settings.quick);
    let mut all = Vec::new();
    for (name, device) in device::parse_list(&settings.device)? {
        let outcomes = train_all(&run, &settings, &name, &device)?;
        report(&name, &settings, &outcomes);
        check(&mut claims, &settings, &name, &outcomes);
        all.extend(outcomes);
    }
    run.write_json("summary.json", &(&all, &claims))?;
    setup::pictures(&run, &all)?;
    if let Some(folder) = run.dir() {
        println!("\npictures, metrics and checkpoints: {}", folder.display());
    }
    claims.finish(args.common.check)
}

/// Both methods on every seed: the same data, noise and network.
fn train_all(run: &Run, settings: &Settings, name: &str, device: &Device) -> Result<Vec<Outcome>> {
    let progress = Progress::new(settings.seeds.len() * METHODS.len() * settings.epochs);
    let mut outcomes = Vec::new();
    for &seed in &settings.seeds {
        let experiment = Experiment::new(settings, seed)?;
        for method in METHODS {
            let job = format!("{name}-{method}-{seed}").replace([':', '/'], "-");
            outcomes.push(match run.read_json(&format!("{job}/outcome.json"))? {
                Some(outcome) => {
                    progress.skip(settings.epochs);
                    outcome
                }
                None => {
                    let outcome = experiment.run(run, &job, name, device, method, &progress)?;
                    run.write_json(&format!("{job}/outcome.json"), &outcome)?;
                    outcome
                }
            });
        }
    }
    progress.finish();
    Ok(outcomes)
}

type Value = fn(&Outcome) -> f64;

/// Mean over the seeds of one method.
fn mean(outcomes: &[Outcome], method: &str, value: Value) -> f64 {
    let chosen = outcomes.iter().filter(|outcome| outcome.method == method);
    mean_std(&chosen.map(value).collect::<Vec<_>>()).0
}

fn report(name: &str, settings: &Settings, outcomes: &[Outcome]) {
    let flipped = outcomes.iter().map(|outcome| outcome.realized_rate).collect::<Vec<_>>();
    println!(
        "\n{} on {name}: {} noise, {:.1} % of the training labels wrong, {} seed(s), {} epochs",
        settings.dataset,
        settings.noise,
        100.0 * mean_std(&flipped).0,
        settings.seeds.len(),
        settings.epochs
    );
    let columns: [(&str, Value); 8] = [
        ("valid. accuracy", |o| o.valid_accuracy),
        ("test accuracy", |o| o.test_accuracy),
        ("wrong labels memorized", |o| o.memorized),
        ("detection AUC", |o| o.auc),
        ("precision", |o| o.precision),
        ("recall", |o| o.recall),
        ("estimated noise", |o| o.estimated_rate),
        ("seconds", |o| o.seconds),
    ];
    let header: Vec<&str> = ["method"].into_iter().chain(columns.map(|(title, _)| title)).collect();
    let line = |method: &str| {
        let show = |(_, value): (&str, Value)| {
            let of_seed: Vec<f64> =
                outcomes.iter().filter(|o| o.method == method).map(value).collect();
            let (mean, deviation) = mean_std(&of_seed);
            if mean.is_nan() { "-".into() } else { format!("{mean:.3} ± {deviation:.3}") }
        };
        [method.to_string()].into_iter().chain(columns.map(show)).collect()
    };
    println!("{}\n", table(&header, &METHODS.map(line)));
}

/// What the method promises.
fn check(claims: &mut Claims, settings: &Settings, device: &str, outcomes: &[Outcome]) {
    let of = |method, value: Value| mean(outcomes, method, value);
    let named = |claim: &str| format!("{claim} ({device})");
    let auc = of("sop", |o| o.auc);
    let text = format!("{auc:.3}");
    claims.check_quick(named("scores rank wrong labels first, AUC"), "> 0.8", &text, auc > 0.8);
    if !settings.has_claims() {
        return;
    }
    claims.check(named("detection AUC"), ">= 0.95", text, auc >= 0.95);
    let (ce, sop) = (of("ce", |o| o.test_accuracy), of("sop", |o| o.test_accuracy));
    let mixture = settings.dataset == "mixture";
    if mixture {
        let (text, holds) = (format!("{sop:.3}"), (sop - 0.908).abs() <= 0.012);
        claims.check(named("test accuracy of SOP"), "0.908 ± 0.012", text, holds);
    }
    let (least, gain) = (if mixture { 0.15 } else { 0.05 }, sop - ce);
    let (expected, text) = (format!(">= {least}"), format!("{gain:.3}"));
    claims.check(named("SOP above cross entropy"), expected, text, gain >= least);
    let (ce, sop) = (of("ce", |o| o.memorized), of("sop", |o| o.memorized));
    let text = format!("{sop:.3} of {ce:.3}");
    claims.check(named("SOP memorizes at most half"), "<= half", text, ce >= 2.0 * sop);
}
