//! Flags and settings, training, the Gaussian to compare with, and curves.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use firebrick_harness::args::CommonArgs;
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use serde::{Deserialize, Serialize};

use crate::{images, plane};

/// Densities by residual flows from orthogonal layers
#[derive(clap::Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,

    /// Only these of checkerboard, 8gaussians, digits
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Training steps in the plane [default: 2000, quick: 150]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,

    /// Training steps on images [default: 600, quick: 5]
    #[arg(long, value_name = "N")]
    pub image_steps: Option<usize>,
}

/// Everything that the numbers of a run depend on.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    pub device: String,
    pub seed: u64,
    pub quick: bool,
    pub only: Vec<String>,
    pub data_dir: Option<std::path::PathBuf>,
    pub steps: usize,
    pub image_steps: usize,
    /// Points or images in a step.
    pub batch: [usize; 2],
    /// Blocks and width in the plane.
    pub blocks: usize,
    pub width: usize,
    /// Blocks of each scale, channels within, dense blocks on images.
    pub image_blocks: Vec<usize>,
    pub image_width: usize,
    pub dense_blocks: usize,
    pub lr: f64,
}

impl Settings {
    pub fn from_args(args: &Args) -> Result<Self> {
        let quick = args.common.quick;
        let or =
            |flag: Option<usize>, full, short| flag.unwrap_or(if quick { short } else { full });
        for name in &args.only {
            let known = ["checkerboard", "8gaussians", "digits"];
            ensure!(known.contains(&name.as_str()), "--only: expected {known:?}, found '{name}'");
        }
        Ok(Self {
            device: args.common.device.clone(),
            seed: args.common.seed,
            quick,
            only: args.only.clone(),
            data_dir: args.common.data_dir(),
            steps: or(args.steps, 2000, 150),
            image_steps: or(args.image_steps, 600, 5),
            batch: [256, 64],
            blocks: if quick { 4 } else { 8 },
            width: if quick { 32 } else { 64 },
            image_blocks: if quick { vec![1, 1] } else { vec![2, 2] },
            image_width: if quick { 8 } else { 32 },
            dense_blocks: if quick { 1 } else { 4 },
            lr: 1e-3,
        })
    }

    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    pub fn all_steps(&self) -> usize {
        let planes = ["checkerboard", "8gaussians"].iter().filter(|name| self.wants(name)).count();
        planes * self.steps + if self.wants("digits") { self.image_steps } else { 0 }
    }
}

/// A trained model with its losses and the milliseconds of a step.
pub struct Trained<M> {
    pub model: M,
    pub losses: Vec<f64>,
    pub milliseconds: f64,
}

/// Adam with a warm-up over the first tenth and a linear descent over the last half of the steps.
pub fn train<M: Module>(
    settings: &Settings,
    model: M,
    steps: usize,
    progress: &Progress,
    mut loss: impl FnMut(&M, usize) -> Tensor<1>,
) -> Trained<M> {
    let adam = AdamConfig::new().with_beta_1(0.9).with_beta_2(0.99).with_epsilon(1e-8);
    let mut optimizer: ModuleOptimizer = adam.init();
    let (mut model, mut losses, start) = (model, Vec::new(), Instant::now());
    for step in 0..steps {
        let done = step as f64 / steps as f64;
        let rate = settings.lr * (10.0 * done + 0.01).min(1.0).min(2.0 * (1.0 - done));
        let value = loss(&model, step);
        losses.push(value.clone().into_scalar::<f64>());
        let gradients = GradientsParams::from_grads(value.backward(), &model);
        model = optimizer.step(rate, model, gradients);
        progress.skip(1);
    }
    let milliseconds = 1e3 * start.elapsed().as_secs_f64() / steps.max(1) as f64;
    Trained { model, losses, milliseconds }
}

/// A Gaussian with the mean and the covariance of its rows.
pub struct Gaussian {
    mean: Vec<f64>,
    /// Lower triangle with `L L^T` the covariance.
    factor: Vec<f64>,
}

impl Gaussian {
    /// Fits rows of `dim` values; `ridge` is added to the variances.
    pub fn fit(rows: &[f32], dim: usize, ridge: f64) -> Result<Self> {
        let count = (rows.len() / dim) as f64;
        let mut mean = vec![0.0; dim];
        for row in rows.chunks_exact(dim) {
            row.iter().zip(&mut mean).for_each(|(&value, mean)| *mean += f64::from(value) / count);
        }
        let mut factor = vec![0.0; dim * dim];
        for row in rows.chunks_exact(dim) {
            let centered: Vec<f64> =
                row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean).collect();
            for i in 0..dim {
                for j in 0..=i {
                    factor[i * dim + j] += centered[i] * centered[j] / count;
                }
            }
        }
        for j in 0..dim {
            let dot = |factor: &[f64], i: usize| -> f64 {
                (0..j).map(|k| factor[i * dim + k] * factor[j * dim + k]).sum()
            };
            let square = factor[j * dim + j] + ridge - dot(&factor, j);
            ensure!(square > 0.0, "Gaussian: the covariance is singular at {j}");
            factor[j * dim + j] = square.sqrt();
            for i in j + 1..dim {
                factor[i * dim + j] = (factor[i * dim + j] - dot(&factor, i)) / square.sqrt();
            }
        }
        Ok(Self { mean, factor })
    }

    /// Log-densities of rows.
    pub fn log_densities(&self, rows: &[f32]) -> Vec<f64> {
        let dim = self.mean.len();
        let constant: f64 = (0..dim).map(|i| self.factor[i * dim + i].ln()).sum();
        let constant = constant + 0.5 * dim as f64 * std::f64::consts::TAU.ln();
        let density = |row: &[f32]| {
            let mut white: Vec<f64> = Vec::with_capacity(dim);
            for (i, &value) in row.iter().enumerate() {
                let dot: f64 = (0..i).map(|k| self.factor[i * dim + k] * white[k]).sum();
                let rest = f64::from(value) - self.mean[i] - dot;
                white.push(rest / self.factor[i * dim + i]);
            }
            -0.5 * white.iter().map(|value| value * value).sum::<f64>() - constant
        };
        rows.chunks_exact(dim).map(density).collect()
    }
}

/// A device's name as part of a file's.
pub fn file(device: &str) -> String {
    device.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

pub fn host(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Losses by step, as a table and as pictures.
pub fn curves(
    run: &Run,
    planes: &[(String, plane::Outcome)],
    images: &[(String, images::Outcome)],
) -> Result<()> {
    let planes = planes.iter().map(|(device, o)| (device, &o.density, &o.losses, false));
    let images = images.iter().map(|(device, o)| (device, &o.images, &o.losses, true));
    let all: Vec<_> = planes.chain(images).collect();
    let rows = all.iter().flat_map(|(device, name, losses, _)| {
        let row = move |(step, loss): (usize, &f64)| {
            vec![device.to_string(), name.to_string(), step.to_string(), format!("{loss:.6}")]
        };
        losses.iter().enumerate().map(row)
    });
    run.write_csv("metrics.csv", &["device", "data", "step", "loss"], rows.collect::<Vec<_>>())?;
    for (of_images, file, unit) in
        [(false, "plane-loss.svg", "nats"), (true, "images-loss.svg", "bits per dimension")]
    {
        // Means over a hundredth of the steps.
        let smooth = |losses: &[f64]| {
            let part = (losses.len() / 100).max(1);
            let point = |(index, part_of): (usize, &[f64])| ((index * part) as f64, mean(part_of));
            losses.chunks(part).enumerate().map(point).collect()
        };
        let chosen = all.iter().filter(|entry| entry.3 == of_images);
        let series = chosen.map(|(device, name, losses, _)| {
            Series::new(format!("{name}, {device}"), smooth(losses))
        });
        let series: Vec<_> = series.collect();
        if let (Some(path), false) = (run.path(file), series.is_empty()) {
            line_chart(&path, "Negative log-likelihood of training batches", "step", unit, &series)
                .context(file)?;
        }
    }
    Ok(())
}
