//! Adaptive inertia: leaves saddles as fast as Adam and prefers flat minima as SGD does.
//!
//! Three experiments on Adai (Xie, Wang, Zhang, Sato, Sugiyama, ICML 2022): (A) particles leave a
//! saddle, (B) particles leave minima of growing curvature, (C) a small CNN learns digits.
//!
//! ```text
//! cargo run --release --example adai
//! cargo run --release --example adai -- --parts minima --particles 5000
//! cargo run --release --example adai -- --parts classification --data-dir DIR   # any IDX data set
//! ```
#![recursion_limit = "256"]

#[path = "adai/classification.rs"]
mod classification;
#[path = "adai/particles.rs"]
mod particles;
#[path = "adai/report.rs"]
mod report;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use firebrick::device;
use firebrick_harness::args::CommonArgs;
use firebrick_harness::claims::Claims;
use firebrick_harness::run::Run;
use particles::{METHODS, difference_to_optimizer, minima, saddle};
use serde::{Deserialize, Serialize};

/// Adaptive inertia: saddles, minima and digits
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Which experiments to run
    #[arg(long, value_delimiter = ',', default_value = "saddle,minima,classification",
        value_parser = ["saddle", "minima", "classification"])]
    parts: Vec<String>,
    /// Particles in each minimum [default: 1000, quick: 20]
    #[arg(long)]
    particles: Option<usize>,
    /// Number of training images taken from an IDX data set
    #[arg(long, default_value_t = 4000)]
    train_size: usize,
}

/// Everything that the numbers of a run depend on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    parts: Vec<String>,
    device: String,
    seeds: Vec<u64>,
    epochs: usize,
    particles: usize,
    quick: bool,
    data_dir: Option<PathBuf>,
    train_size: usize,
}

impl Settings {
    fn new(args: &Args) -> Self {
        let common = &args.common;
        Self {
            parts: args.parts.clone(),
            device: common.device.clone(),
            seeds: common.seeds(3, 1),
            epochs: common.epochs(30, 8),
            particles: args.particles.unwrap_or(if common.quick { 20 } else { 1000 }),
            quick: common.quick,
            // The variable FIREBRICK_DATA alone does not change the data set.
            data_dir: common.data_dir.clone(),
            train_size: args.train_size,
        }
    }

    fn has(&self, part: &str) -> bool {
        self.parts.iter().any(|name| name == part)
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("adai", &args.common, Settings::new(&args))?;
    let mut claims = Claims::new(settings.quick);
    let seed = settings.seeds[0];
    for (name, device) in device::parse_list(&settings.device)? {
        let difference = difference_to_optimizer(&device, seed, 60);
        let (claim, text) =
            (format!("particle = optimizer object ({name})"), format!("{difference:.1e}"));
        claims.check_quick(claim, "<= 1e-5", text, difference <= 1e-5);
    }
    if settings.has("saddle") {
        let squares = METHODS.map(|method| (method, saddle::mean_squares(method, 20_000, seed)));
        report::saddle(&run, &mut claims, &squares)?;
    }
    if settings.has("minima") {
        let times = METHODS.map(|method| {
            let time = |k| minima::log_time(method, k, settings.particles, seed);
            (method, minima::STRETCHES.map(time))
        });
        report::minima(&run, &mut claims, &times)?;
    }
    if settings.has("classification") {
        for (name, device) in device::parse_list(&settings.device)? {
            let outcomes = classification::run(&run, &settings, &name, &device)?;
            report::classification(&run, &mut claims, &settings, &name, &outcomes)?;
        }
    }
    run.write_json("summary.json", &claims)?;
    if let Some(folder) = run.dir() {
        println!("\npictures and metrics: {}\n", folder.display());
    }
    claims.finish(args.common.check)
}
