//! Robust training on mislabeled data: SOP against cross entropy and other robust losses.
//!
//! A small CNN on 8x8 digits of which 40 % of the training labels are wrong. Cross entropy
//! memorizes the wrong labels; SOP (Liu, Zhu, Qu, You, ICML 2022) absorbs them in its noise state,
//! which afterwards tells which labels are wrong and what they should be.
//!
//! ```text
//! cargo run --release --example sop                          # digits, about a minute and a half
//! cargo run --release --example sop -- --method ce,gce,sce,elr,sop,sop+
//! cargo run --release --example sop -- --dataset mixture --table    # five kinds of noise
//! cargo run --release --example sop -- --data-dir DIR --epochs 15   # any IDX data set
//! ```
#![recursion_limit = "256"]

#[path = "sop/mixture_table.rs"]
mod mixture_table;
#[path = "sop/pictures.rs"]
mod pictures;
#[path = "sop/results.rs"]
mod results;
#[path = "sop/setup.rs"]
mod setup;
#[path = "sop/training.rs"]
mod training;

use anyhow::Result;
use burn::tensor::Device;
use clap::Parser;
use firebrick::device;
use firebrick_harness::claims::Claims;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use setup::{Args, Data, Settings};
use training::{Job, Outcome};

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("sop", &args.common, Settings::from_args(&args)?)?;
    let mut claims = Claims::new(settings.quick);
    let mut all = Vec::new();
    for (name, device) in device::parse_list(&settings.device)? {
        if !settings.table {
            let outcomes = train_all(&run, &settings, &name, &name, &device)?;
            results::report(&name, &settings, &outcomes);
            results::check(&mut claims, &settings, &name, &outcomes);
            all.extend(outcomes);
            continue;
        }
        for row in &mixture_table::ROWS {
            let settings = Settings { noise: row.noise.parse()?, ..settings.clone() };
            let folder = format!("{name}-{}", row.noise);
            let outcomes = train_all(&run, &settings, &folder, &name, &device)?;
            results::report(&name, &settings, &outcomes);
            results::check(&mut claims, &settings, &name, &outcomes);
            row.check(&mut claims, &name, &outcomes);
            let prefix = format!("{folder}-").replace([':', '/'], "-");
            pictures::pictures(&run, &prefix, &outcomes)?;
            all.extend(outcomes);
        }
    }
    run.write_json("summary.json", &(&all, &claims))?;
    if !settings.table {
        pictures::pictures(&run, "", &all)?;
    }
    if let Some(folder) = run.dir() {
        println!("\npictures, metrics and checkpoints: {}", folder.display());
    }
    claims.finish(args.common.check)
}

/// All methods on every seed: the same data, noise and network.
fn train_all(
    run: &Run,
    settings: &Settings,
    folder: &str,
    name: &str,
    device: &Device,
) -> Result<Vec<Outcome>> {
    let trainings = settings.seeds.len() * settings.methods.len();
    let progress = Progress::new(trainings * settings.epochs);
    let mut outcomes = Vec::new();
    for &seed in &settings.seeds {
        let data = Data::new(settings, seed)?;
        for method in &settings.methods {
            let job = format!("{folder}-{method}-{seed}").replace([':', '/'], "-");
            outcomes.push(match run.read_json(&format!("{job}/outcome.json"))? {
                Some(outcome) => {
                    progress.skip(settings.epochs);
                    outcome
                }
                None => {
                    let (data, progress, name_) = (&data, &progress, job.as_str());
                    let job = Job { run, settings, data, seed, method, name: name_, progress };
                    let outcome = job.run(name, device)?;
                    run.write_json(&format!("{name_}/outcome.json"), &outcome)?;
                    outcome
                }
            });
        }
    }
    progress.finish();
    Ok(outcomes)
}
