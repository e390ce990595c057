//! Time-then-graph networks for temporal graphs (Gao and Ribeiro, ICML 2022) against time-and-graph
//! ones.
//!
//! Sequences of circular skip links are classified by how many different skips they have; two sequences
//! that no time-and-graph network tells apart are given to untrained networks; and the next step of a
//! sequence is forecast, beside the forecasts that need no network.
//!
//! ```text
//! cargo run --release --example time_then_graph                          # synthetic traffic
//! cargo run --release --example time_then_graph -- --data-dir DIR        # England's cases
//! cargo run --release --example time_then_graph -- --data-dir DIR --dataset PEMS08 --all-models
//! ```
#![recursion_limit = "256"]

#[path = "../benches/memory.rs"]
mod memory;
#[path = "time_then_graph/models.rs"]
mod models;
#[path = "time_then_graph/report.rs"]
mod report;
#[path = "time_then_graph/setup.rs"]
mod setup;
#[path = "time_then_graph/tasks.rs"]
mod tasks;
#[path = "time_then_graph/training.rs"]
mod training;

use anyhow::Result;
use burn::tensor::Device;
use clap::Parser;
use firebrick::device;
use firebrick_harness::claims::Claims;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use setup::{Args, Settings};
use tasks::{Classification, Forecasting, Split};
use training::{Outcome, Plan};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("time_then_graph", &args.common, Settings::new(&args))?;
    let mut claims = Claims::new(settings.quick);
    let mut all = Vec::new();
    for (name, device) in device::parse_list(&settings.device)? {
        let file = name.replace([':', '/'], "-");
        let pair = if settings.wants("pair") { setup::pair(20, &device)? } else { Vec::new() };
        if settings.wants("pair") {
            report::pair(&pair, &mut claims);
        }
        let device = device.autodiff();
        let mut outcomes = Vec::new();
        if settings.wants("dyncsl") {
            outcomes = classify(&settings, &device)?;
            report::classification(&outcomes, &mut claims);
            let (name, label) = (format!("dyncsl-{file}"), "validation accuracy");
            report::save(&run, &name, label, &outcomes, 1.0)?;
            report::by_model(&run, &name, "test accuracy, %", &outcomes, |o| o.test.accuracy)?;
        }
        let mut forecasts = Vec::new();
        if settings.wants("forecast") {
            forecasts = forecast(&args, &settings, &device, &run, &file, &mut claims)?;
        }
        all.push((name, pair, outcomes, forecasts));
    }
    run.write_json("summary.json", &(&all, &claims))?;
    if let Some(folder) = run.dir() {
        println!("\npictures and metrics: {}", folder.display());
    }
    claims.finish(args.common.check)
}

fn classify(settings: &Settings, device: &Device) -> Result<Vec<Outcome>> {
    let (kinds, epochs) = (settings.classifiers(), settings.classification_epochs);
    let progress = Progress::new(kinds.len() * settings.seeds.len() * epochs);
    let mut outcomes = Vec::new();
    for &seed in &settings.seeds {
        let task = Classification::new(400, 10, seed, device)?;
        for &kind in &kinds {
            let plan = Plan { kind, seed, epochs, rate: 1e-2, decay: 0.0 };
            outcomes.push(training::classify(&plan, &task, device, &progress));
        }
    }
    progress.finish();
    Ok(outcomes)
}

fn forecast(
    args: &Args,
    settings: &Settings,
    device: &Device,
    run: &Run,
    file: &str,
    claims: &mut Claims,
) -> Result<Vec<Outcome>> {
    let (data, sizes) = settings.load(args)?;
    let name = data.name().to_owned();
    let splits = match settings.is_england() {
        true => vec![Split::Chronological, Split::Interleaved],
        false => vec![Split::Chronological],
    };
    let mut all = Vec::new();
    for split in splits {
        let task = Forecasting::new(&data, sizes, split, device)?;
        let epochs = settings.forecast_epochs;
        let trainings = settings.forecasters.len() * settings.seeds.len();
        let progress = Progress::new(trainings * epochs);
        let mut outcomes = Vec::new();
        for &seed in &settings.seeds {
            for &kind in &settings.forecasters {
                let rate = settings.forecast_rate;
                let plan = Plan { kind, seed, epochs, rate, decay: 1e-5 };
                outcomes.push(training::forecast(&plan, &task, device, &progress));
            }
        }
        progress.finish();
        report::forecast((&name, split), &task, &outcomes, claims);
        let name = format!("{}-{split:?}-{file}", name.replace(' ', "-")).to_lowercase();
        report::save(run, &name, "scaled RMSE", &outcomes, -1.0)?;
        report::by_model(run, &name, "scaled RMSE", &outcomes, |o| o.test.scaled_rmse)?;
        all.extend(outcomes);
    }
    Ok(all)
}
