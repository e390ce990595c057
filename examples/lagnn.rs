//! Local augmentation of graph networks (Liu et al., ICML 2022), against what else could explain it.
//!
//! Four arms on one graph: a graph convolutional network; the same with the consistency loss over
//! several dropout masks; the wider network of local augmentation with the real features twice; and
//! with generated features. Whatever they show is reported.
//!
//! ```text
//! cargo run --release --example lagnn                                # a generated citation network
//! cargo run --release --example lagnn -- --data-dir DIR              # Cora in DIR/cora
//! cargo run --release --example lagnn -- --data-dir DIR --dataset citeseer --seeds 10
//! cargo run --release --example lagnn -- --data-dir DIR --full       # the published schedule: hours
//! ```
#![recursion_limit = "256"]

#[path = "lagnn/report.rs"]
mod report;
#[path = "lagnn/setup.rs"]
mod setup;

use std::time::Instant;

use anyhow::Result;
use burn::tensor::Device;
use clap::Parser;
use firebrick::device;
use firebrick::graph::local_augmentation::{AugmentationData, GeneratorEpoch, Source};
use firebrick::models::graph::local_augmentation::LocalAugmenter;
use firebrick_harness::claims::Claims;
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use report::{Arm, Outcome, print, save};
use setup::{Args, Settings};

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, settings) = Run::start("lagnn", &args.common, Settings::from_args(&args)?)?;
    let graph = settings.load(args.common.data_dir())?;
    let mut claims = Claims::new(args.common.quick);
    let mut all = Vec::new();
    for name in &settings.devices {
        let device = device::parse(name)?;
        let data = AugmentationData::new(&graph, &device)?;
        println!(
            "{} on {name}: {} nodes, {} features, {} classes",
            graph.name(),
            data.num_nodes(),
            data.num_features(),
            data.num_classes()
        );
        let outcome = arms(&settings, &data, &device.autodiff())?;
        print(&outcome);
        judge(&mut claims, &settings, &outcome, graph.name());
        save(&run, name, &outcome)?;
        all.push(outcome);
    }
    run.write_json("summary.json", &(&all, &claims))?;
    if let Some(folder) = run.dir() {
        println!("\npictures and metrics: {}", folder.display());
    }
    claims.finish(args.common.check)
}

/// Trains everything.
fn arms(settings: &Settings, data: &AugmentationData, device: &Device) -> Result<Outcome> {
    let progress = Progress::of(settings.trainings(), "trainings");
    let mut outcome = Outcome::default();
    for &seed in &settings.plain_seeds {
        progress.begin(&format!("backbone, seed {seed}"), 0);
        outcome.add(Arm::Backbone, seed, || settings.plain(data, device, seed))?;
        progress.skip(1);
    }
    for &seed in &settings.seeds {
        for (arm, source) in [(Arm::Consistency, Source::Real), (Arm::RealTwice, settings.copies())]
        {
            progress.begin(&format!("{}, seed {seed}", arm.name()), 0);
            outcome.add(arm, seed, || settings.augmented(data, device, source, seed))?;
            progress.skip(1);
        }
        progress.begin(&format!("local augmentation, seed {seed}"), 0);
        let start = Instant::now();
        let (augmenter, generator) = generator(settings, data, device, seed)?;
        outcome.generator_seconds.push(start.elapsed().as_secs_f64());
        outcome.generator = generator;
        let source = settings.generated(&augmenter);
        outcome.add(Arm::Augmented, seed, || settings.augmented(data, device, source, seed))?;
        progress.skip(1);
    }
    progress.finish();
    Ok(outcome)
}

fn generator(
    settings: &Settings,
    data: &AugmentationData,
    device: &Device,
    seed: u64,
) -> Result<(LocalAugmenter, Vec<GeneratorEpoch>)> {
    let cvae = settings.cvae(data, seed).init(device);
    let trained = settings.generator_training(seed).train(cvae, data, |_| {})?;
    Ok((settings.augmenter(seed).init(&trained.cvae, data.raw()), trained.history))
}

fn judge(claims: &mut Claims, settings: &Settings, outcome: &Outcome, graph: &str) {
    let epochs = &outcome.generator;
    if let [first, .., last] = epochs.as_slice() {
        let here = format!("{:.1}, {:.1}", first.reconstruction, last.reconstruction);
        let holds = last.reconstruction < first.reconstruction && last.divergence > 0.1;
        let claim = "reconstruction per pair falls and the latent vector is used";
        claims.check_quick(claim, "first > last", here, holds);
    }
    let (chance, lowest) = (100.0 / settings.classes as f64, outcome.lowest());
    let expected = format!(">= {:.0} %", 2.0 * chance);
    let claim = "every training classifies the test nodes";
    claims.check_quick(claim, expected, format!("{lowest:.1} %"), lowest >= 2.0 * chance);
    let [plain, _, _, augmented] = outcome.means();
    let gain = augmented - plain;
    let here = format!("{gain:+.1} points");
    claims.check("local augmentation against the backbone", ">= +0.3 points", here, gain >= 0.3);
    if graph == "cora" && outcome.count(Arm::Backbone) >= 10 {
        let holds = (81.0..=82.6).contains(&plain);
        let claim = "Cora: mean test accuracy of the backbone";
        claims.check(claim, "81.0 to 82.6 %", format!("{plain:.1} %"), holds);
        let seconds = outcome.seconds(Arm::Backbone).iter().sum::<f64>();
        let here = format!("{seconds:.0} s");
        claims.check("Cora: all backbones together", "<= 60 s", here, seconds <= 60.0);
    }
    if graph == "cora" {
        let of_network = outcome.seconds(Arm::Augmented);
        let together = outcome.generator_seconds.iter().zip(&of_network).map(|(a, b)| a + b);
        let longest = together.fold(0.0, f64::max);
        let here = format!("{longest:.0} s");
        claims.check("Cora: generator and network of a seed", "<= 600 s", here, longest <= 600.0);
    }
}
