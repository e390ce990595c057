//! How far apart can training and test error be? Noisy training with a measured answer.
//!
//! A small network learns labels of which a share is random, by SGLD, noisy sign-SGD and noisy
//! quantized SGD (Banerjee, Chen, Li, Zhou, ICML 2022). Every twentieth step compares the gradients
//! of training and of fresh examples; at the end that gives an upper bound of the gap between
//! training and test error, together with whether its conditions held.
//!
//! ```text
//! cargo run --release --example efld                       # Gaussian mixture, about a minute
//! cargo run --release --example efld -- --data-dir DIR     # any IDX data set, flattened
//! ```
#![recursion_limit = "256"]

#[path = "efld/network.rs"]
mod network;
#[path = "efld/output.rs"]
mod output;
#[path = "efld/setup.rs"]
mod setup;

use anyhow::Result;
use clap::Parser;
use firebrick::device;
use firebrick_harness::claims::{Claims, mean_std};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use setup::{Args, Job, Outcome, Settings};

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("efld", &args.common, Settings::from_args(&args)?)?;
    let mut claims = Claims::new(settings.quick);
    let mut all = Vec::new();
    for (name, device) in device::parse_list(&settings.device)? {
        let progress = Progress::new(settings.jobs().len() * settings.epochs);
        let mut outcomes = Vec::new();
        for job in settings.jobs() {
            let folder = format!("{name}-{}", job.name()).replace([':', '/'], "-");
            outcomes.push(match run.read_json(&format!("{folder}/outcome.json"))? {
                Some(outcome) => {
                    progress.skip(settings.epochs);
                    outcome
                }
                None => setup::run(&run, &settings, &job, &folder, &device, &progress)?,
            });
        }
        progress.finish();
        output::report(&name, &settings, &outcomes);
        if settings.has_claims() {
            let worst = network::closed_form_error(&device)?;
            let named = |claim: &str| format!("{claim} ({name})");
            let claim = named("gradients in closed form equal one backward pass each");
            claims.check_quick(claim, "<= 1e-5", format!("{worst:.1e}"), worst <= 1e-5);
            check(&mut claims, &named, &outcomes);
        }
        output::pictures(&run, &name, &outcomes)?;
        all.extend(outcomes);
    }
    run.write_json("summary.json", &(&all, &claims))?;
    if let Some(folder) = run.dir() {
        println!("\npictures, metrics and measurements: {}", folder.display());
    }
    if settings.has_claims() { claims.finish(args.common.check) } else { Ok(()) }
}

/// What the method promises, as the six acceptance conditions of the reproduction.
fn check(claims: &mut Claims, named: &impl Fn(&str) -> String, outcomes: &[Outcome]) {
    let of = |chosen: &dyn Fn(&Job) -> bool, value: fn(&Outcome) -> f64| -> Vec<f64> {
        let groups = output::groups(outcomes).into_iter().filter(|runs| chosen(&runs[0].job));
        groups.map(|runs| mean_std(&runs.iter().map(value).collect::<Vec<_>>()).0).collect()
    };
    let list = |values: &[f64]| {
        values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(", ")
    };
    let rising = |values: &[f64]| values.windows(2).all(|pair| pair[0] < pair[1]);

    let rows = |job: &Job| job.method == "sgld" && job.is_row();
    let by_noise = of(&rows, Outcome::bound);
    let holds = rising(&by_noise) && by_noise[0] < 0.6 * by_noise[1];
    let claim = named("(a) bound grows with the noise, without noise < 0.6 of the next");
    claims.check(claim, "rising", list(&by_noise), holds);

    let signs = |job: &Job| job.method == "sign" && job.alpha >= 0.01;
    let (bounds, errors) = (of(&signs, Outcome::bound), of(&signs, |o| o.train_error));
    claims.check(named("(b) sign: bound as alpha falls"), "rising", list(&bounds), rising(&bounds));
    let falls = errors.windows(2).all(|pair| pair[1] <= pair[0] + 0.01);
    claims.check(named("(b) training error as alpha falls"), "falling", list(&errors), falls);

    let margin = |o: &Outcome| o.train_error + o.report.unconditional() - o.test_error;
    let least = outcomes.iter().map(margin).fold(f64::INFINITY, f64::min);
    let holds = outcomes.iter().all(|outcome| margin(outcome) >= 0.0);
    let claim = named("(c) training error + unconditional bound - test error, in every run");
    claims.check_quick(claim, ">= 0", format!("{least:.3}"), holds);

    let first = outcomes[0].job.seed;
    let sizes = outcomes.iter().filter(|o| o.job.is_size() && o.job.seed == first);
    let mut sizes: Vec<_> = sizes.map(|o| (o.job.num_train, o.bound())).collect();
    sizes.sort_by_key(|size| size.0);
    let ratios: Vec<f64> = sizes.windows(2).map(|pair| pair[0].1 / pair[1].1).collect();
    let holds = ratios.iter().all(|ratio| (3.0..=5.5).contains(ratio));
    claims.check(named("(d) n to 4 n divides the bound by"), "3 to 5.5", list(&ratios), holds);

    let follows = outcomes.iter().filter_map(|o| o.follows_sign).reduce(f64::min);
    let follows = follows.unwrap_or(f64::NAN);
    let claim = named("(e) alpha = 1e-4 takes the sign of gradients above 1e-3");
    claims.check_quick(claim, "> 99.9 %", format!("{:.3} %", 100.0 * follows), follows > 0.999);

    let largest = by_noise.iter().copied().fold(0.0, f64::max);
    claims.check(named("(f) bounds say something"), "< 1", format!("{largest:.3}"), largest < 1.0);
}
