//! SOP for a million samples of a thousand classes: what the noise state takes.
//!
//! Dense, `v` alone is 4 GB. The sparse state keeps the entries that have left their start: where the
//! network contradicts the given label. Here 40 % of the labels are wrong, and a network that slips
//! once in ten times is simulated. Run: `cargo run --release --example sop_sparse`
#![recursion_limit = "256"]

use std::time::Instant;

use anyhow::Result;
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use firebrick::datasets::permutation;
use firebrick::device;
use firebrick::optimizers::sop::{LabelFingerprint, SopConfig, SparseSop};
use firebrick_harness::args::CommonArgs;
use firebrick_harness::claims::{Claims, table};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use serde::{Deserialize, Serialize};

/// SOP for a million samples of a thousand classes: what the noise state takes
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Training samples
    #[arg(long, default_value_t = 1_000_000)]
    samples: usize,
    /// Classes
    #[arg(long, default_value_t = 1_000)]
    classes: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Settings {
    samples: usize,
    classes: usize,
    batches: usize,
    epochs: usize,
    seed: u64,
}

const BATCH: usize = 128;

/// A number from 0 to `end` that looks random.
fn scatter(value: usize, salt: u64, end: usize) -> usize {
    let mixed = (value as u64 ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as usize % end
}

impl Settings {
    fn truth(&self, sample: usize) -> usize {
        scatter(sample, self.seed, self.classes)
    }

    /// Wrong for four samples of ten.
    fn given(&self, sample: usize) -> usize {
        let wrong = scatter(sample, self.seed ^ 0x77, 10) < 4;
        (self.truth(sample) + usize::from(wrong)) % self.classes
    }

    /// What the network predicts in an epoch: the truth but for one slip in ten.
    fn predicted(&self, sample: usize, epoch: usize) -> usize {
        let visit = sample.wrapping_mul(31).wrapping_add(epoch);
        let slips = scatter(visit, self.seed ^ 0x99, 10) == 0;
        if slips { scatter(visit, self.seed ^ 0x55, self.classes) } else { self.truth(sample) }
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let most = if args.common.quick { 100 } else { usize::MAX };
    let batches = (args.samples / BATCH).clamp(1, most);
    let (samples, classes, seed) = (args.samples, args.classes, args.common.seed);
    let epochs = args.common.epochs(2, 1);
    let settings = Settings { samples, classes, batches, epochs, seed };
    let (run, settings) = Run::start("sop_sparse", &args.common, settings)?;
    let mut claims = Claims::new(args.common.quick);
    let mut lines = Vec::new();
    for (name, device) in device::parse_list(&args.common.device)? {
        let (sop, milliseconds) = train(&settings, &device);
        let reloaded = save_and_load(&sop)?;
        let dense = 4 * settings.samples * (settings.classes + 1);
        let megabytes = |bytes: usize| format!("{:.1}", bytes as f64 / 1e6);
        lines.push(vec![
            name.clone(),
            sop.rows().to_string(),
            sop.entries().to_string(),
            megabytes(sop.bytes()),
            megabytes(dense),
            peak_memory().map_or("-".into(), megabytes),
            format!("{milliseconds:.1}"),
        ]);
        let per_row = sop.bytes() as f64 / sop.rows().max(1) as f64;
        let text = format!("{per_row:.0}");
        let claim = format!("bytes per sample seen ({name})");
        claims.check_quick(claim, "<= 64", text, per_row <= 64.0);
        let claim = format!("a file brings it back ({name})");
        claims.check_quick(claim, "true", reloaded.to_string(), reloaded);
    }
    let header = ["device", "rows", "entries", "MB", "dense MB", "process MB", "ms per step"];
    println!("{}\n", table(&header, &lines));
    run.write_csv("memory.csv", &header, lines)?;
    run.write_json("summary.json", &claims)?;
    claims.finish(args.common.check)
}

/// The trained state and the milliseconds of a step.
fn train(settings: &Settings, device: &Device) -> (SparseSop, f64) {
    let device = device.clone().autodiff();
    let labels = LabelFingerprint::new(settings.samples, settings.classes, settings.seed);
    let mut sop = SopConfig::new(labels).with_seed(settings.seed).init_sparse();
    let progress = Progress::new(settings.epochs * settings.batches);
    let start = Instant::now();
    for epoch in 0..settings.epochs {
        let order = permutation(settings.samples, settings.seed, epoch as u64);
        for batch in order.chunks_exact(BATCH).take(settings.batches) {
            let integers = |value: &dyn Fn(usize) -> usize| {
                let values: Vec<i64> = batch.iter().map(|&sample| value(sample) as i64).collect();
                Tensor::<1, Int>::from_data(TensorData::new(values, [BATCH]), &device)
            };
            let (given, indices) = (integers(&|i| settings.given(i)), integers(&|i| i));
            let mut logits = vec![0.0f32; BATCH * settings.classes];
            for (row, &sample) in batch.iter().enumerate() {
                logits[row * settings.classes + settings.predicted(sample, epoch)] = 8.0;
            }
            let logits = TensorData::new(logits, [BATCH, settings.classes]);
            let output = sop.forward(indices, Tensor::from_data(logits, &device), given);
            sop.apply(output.update);
            progress.skip(1);
        }
    }
    progress.finish();
    (sop, 1e3 * start.elapsed().as_secs_f64() / (settings.epochs * settings.batches) as f64)
}

fn save_and_load(sop: &SparseSop) -> Result<bool> {
    let file = tempfile::NamedTempFile::new()?;
    sop.save(file.path())?;
    let loaded = sop.config().init_sparse().load(file.path())?;
    Ok(loaded.rows() == sop.rows() && loaded.scores() == sop.scores())
}

/// The most memory that this process has had, in bytes; known on Linux.
fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    kilobytes.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|size| 1024 * size)
}
