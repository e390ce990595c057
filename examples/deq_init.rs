//! At which scales of its initial weights does an equilibrium layer train?
//!
//! The layer `z = phi(z W^T + x U^T + b)` classifies handwritten digits, with `W` from three matrix
//! families at scales up to and beyond the edge of stability; plain iteration both ways, implicit
//! gradients. After Agarwala and Schoenholz (ICML 2022), in a small form of our own.
//!
//! ```text
//! cargo run --release --example deq_init              # 335 trainings, some minutes
//! cargo run --release --example deq_init -- --seeds 1
//! ```
#![recursion_limit = "256"]

#[path = "deq_init/judge.rs"]
mod judge;
#[path = "deq_init/setup.rs"]
mod setup;
#[path = "deq_init/show.rs"]
mod show;
#[path = "deq_init/training.rs"]
mod training;

use anyhow::Result;
use clap::Parser;
use firebrick::device;
use firebrick_harness::claims::Claims;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use judge::Judge;
use setup::{Args, Settings};
use training::train_all;

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("deq_init", &args.common, Settings::from_args(&args))?;
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let mut claims = Claims::new(settings.quick);
    let mut all = Vec::new();
    for (name, device) in device::parse_list(&settings.device)? {
        let (jobs, data) = (settings.jobs(), setup::data(&device)?);
        let progress = Progress::of(jobs.len(), "trainings");
        // A device's name may hold what a file's may not.
        let file = name.replace(|c: char| !c.is_alphanumeric(), "-");
        let outcomes = train_all(&run, &file, &settings, &jobs, &data, threads, &progress)?;
        progress.finish();
        show::print(&name, &settings, &outcomes);
        show::save(&run, &file, &settings, &outcomes)?;
        Judge { settings: &settings, outcomes: &outcomes, device: &name }.all(&mut claims);
        all.push((name, outcomes));
    }
    run.write_json("summary.json", &(&all, &claims))?;
    claims.finish(args.common.check)
}
