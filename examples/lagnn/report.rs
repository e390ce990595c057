//! Tables, files and pictures.

use std::time::Instant;

use anyhow::Result;
use firebrick::graph::local_augmentation::{GeneratorEpoch, NodeEpoch, NodeReport};
use firebrick_harness::claims::{mean_std, table};
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::run::Run;
use serde::Serialize;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Arm {
    Backbone,
    Consistency,
    RealTwice,
    Augmented,
}

impl Arm {
    const ALL: [Self; 4] = [Self::Backbone, Self::Consistency, Self::RealTwice, Self::Augmented];

    pub fn name(self) -> &'static str {
        match self {
            Self::Backbone => "backbone (GCN)",
            Self::Consistency => "+ consistency loss",
            Self::RealTwice => "+ real features twice",
            Self::Augmented => "+ local augmentation",
        }
    }
}

/// One training.
#[derive(Clone, Debug, Serialize)]
struct Training {
    arm: Arm,
    seed: u64,
    seconds: f64,
    report: NodeReport,
}

/// All trainings.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    trainings: Vec<Training>,
    /// Of the last seed's generator.
    pub generator: Vec<GeneratorEpoch>,
    /// Of each generator.
    pub generator_seconds: Vec<f64>,
}

impl Outcome {
    /// Runs and times a training.
    pub fn add(
        &mut self,
        arm: Arm,
        seed: u64,
        train: impl FnOnce() -> Result<NodeReport>,
    ) -> Result<()> {
        let start = Instant::now();
        let report = train()?;
        let seconds = start.elapsed().as_secs_f64();
        self.trainings.push(Training { arm, seed, seconds, report });
        Ok(())
    }

    fn of(&self, arm: Arm, value: impl Fn(&Training) -> f64) -> Vec<f64> {
        self.trainings.iter().filter(|training| training.arm == arm).map(value).collect()
    }

    /// Test accuracy in percent.
    fn test(&self, arm: Arm) -> Vec<f64> {
        self.of(arm, |training| 100.0 * training.report.test_accuracy)
    }

    pub fn seconds(&self, arm: Arm) -> Vec<f64> {
        self.of(arm, |training| training.seconds)
    }

    pub fn count(&self, arm: Arm) -> usize {
        self.test(arm).len()
    }

    /// Mean test accuracy of each arm.
    pub fn means(&self) -> [f64; 4] {
        Arm::ALL.map(|arm| mean_std(&self.test(arm)).0)
    }

    /// Lowest test accuracy of all.
    pub fn lowest(&self) -> f64 {
        Arm::ALL.iter().flat_map(|&arm| self.test(arm)).fold(f64::INFINITY, f64::min)
    }
}

pub fn print(outcome: &Outcome) {
    let spread = |values: &[f64]| {
        let (mean, deviation) = mean_std(values);
        format!("{mean:.1} ± {deviation:.1}")
    };
    let row = |arm: Arm| {
        let percent = |value: fn(&NodeReport) -> f64| {
            spread(&outcome.of(arm, |training| 100.0 * value(&training.report)))
        };
        vec![
            arm.name().to_string(),
            outcome.count(arm).to_string(),
            percent(|report| report.test_accuracy),
            percent(|report| report.last_test_accuracy),
            percent(|report| report.validation_accuracy),
            spread(&outcome.of(arm, |training| training.report.best_epoch as f64)),
            format!("{:.1}", mean_std(&outcome.seconds(arm)).0),
        ]
    };
    let header =
        ["arm", "seeds", "test %", "last epoch %", "validation %", "best epoch", "seconds"];
    println!("\n{}", table(&header, &Arm::ALL.map(row)));
    let seconds = mean_std(&outcome.generator_seconds).0;
    println!("generator, {seconds:.1} s a seed; the last one:");
    let row = |epoch: &GeneratorEpoch| {
        let (reconstruction, divergence) = (epoch.reconstruction, epoch.divergence);
        vec![epoch.epoch.to_string(), format!("{reconstruction:.2}"), format!("{divergence:.2}")]
    };
    let rows: Vec<_> = outcome.generator.iter().map(row).collect();
    println!("{}", table(&["epoch", "reconstruction per pair", "KL per pair"], &rows));
}

/// Every epoch as CSV, and the pictures.
pub fn save(run: &Run, device: &str, outcome: &Outcome) -> Result<()> {
    let device = device.replace([':', '/'], "-");
    let header =
        ["arm", "seed", "epoch", "loss", "consistency", "validation_loss", "validation_accuracy"];
    let lines = outcome.trainings.iter().flat_map(|training| {
        training.report.history.iter().map(move |epoch| {
            let numbers =
                [epoch.loss, epoch.consistency, epoch.validation_loss, epoch.validation_accuracy];
            let mut line = vec![training.arm.name().to_string(), training.seed.to_string()];
            line.push(epoch.epoch.to_string());
            line.extend(numbers.map(|number| number.to_string()));
            line
        })
    });
    run.write_csv(&format!("metrics-{device}.csv"), &header, lines)?;
    let picture = |name: &str, label: &str, value: fn(&NodeEpoch) -> f64| {
        let Some(path) = run.path(&format!("{name}-{device}.svg")) else { return Ok(()) };
        let series = Arm::ALL.map(|arm| curve(outcome, arm, value));
        line_chart(&path, &format!("Mean over seeds: {label}"), "epoch", label, &series)
    };
    let accuracy = "accuracy on validation nodes";
    picture("validation-accuracy", accuracy, |epoch| epoch.validation_accuracy)?;
    picture("validation-loss", "loss on validation nodes", |epoch| epoch.validation_loss)?;
    if let Some(path) = run.path(&format!("generator-{device}.svg")) {
        let points = |value: fn(&GeneratorEpoch) -> f64| {
            outcome.generator.iter().map(|epoch| (epoch.epoch as f64, value(epoch))).collect()
        };
        let series = [
            Series::new("reconstruction", points(|epoch| epoch.reconstruction)),
            Series::new("KL", points(|epoch| epoch.divergence)),
        ];
        line_chart(&path, "Generator", "epoch", "nats per pair of neighbors", &series)?;
    }
    Ok(())
}

/// Mean over the seeds, with a band of one standard deviation.
fn curve(outcome: &Outcome, arm: Arm, value: fn(&NodeEpoch) -> f64) -> Series {
    let runs: Vec<_> = outcome.trainings.iter().filter(|training| training.arm == arm).collect();
    let epochs = runs.iter().map(|run| run.report.history.len()).min().unwrap_or(0);
    let (mut points, mut band) = (Vec::new(), Vec::new());
    for index in 0..epochs {
        let values: Vec<f64> = runs.iter().map(|run| value(&run.report.history[index])).collect();
        let (mean, deviation) = mean_std(&values);
        points.push(((index + 1) as f64, mean));
        band.push((mean - deviation, mean + deviation));
    }
    Series { name: arm.name().into(), points, band: Some(band) }
}
