//! Flags, settings, the grid of runs, and the data.

use anyhow::Result;
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use firebrick::datasets::{LabeledSamples, digits};
use firebrick::models::deq::Activation;
use firebrick::models::deq::matrix_family::{MatrixFamily, Normalization};
use firebrick::ops::orthogonal::shuffled;
use firebrick_harness::args::CommonArgs;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How wide is the range of initial scales at which an equilibrium layer trains?
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,
    /// Runs at a time [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Take the iterates of least residual, both ways, and stop when converged, instead of the last ones
    #[arg(long)]
    best_iterate: bool,
    /// Width of the layer
    #[arg(long, default_value_t = 128)]
    width: usize,
    /// Learning rate of SGD with momentum 0.9
    #[arg(long, default_value_t = 0.01)]
    lr: f64,
}

/// Everything that the numbers of a run depend on.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    pub device: String,
    pub quick: bool,
    pub seeds: Vec<u64>,
    /// Seeds of the cells in which families are compared near the edge, where a training is a matter of
    /// luck: enough of them for the difference to be larger than its spread.
    pub edge_seeds: Vec<u64>,
    pub epochs: usize,
    pub width: usize,
    pub lr: f64,
    pub momentum: f64,
    pub batch: usize,
    pub max_steps: usize,
    pub tolerance: f64,
    pub best_iterate: bool,
    pub scales: Vec<f64>,
    pub normalization: Normalization,
}

/// The activations that are compared.
pub const ACTIVATIONS: [Activation; 3] = [Activation::Tanh, Activation::Hardtanh, Activation::Relu];

/// The families that are compared.
pub const FAMILIES: [MatrixFamily; 3] =
    [MatrixFamily::Gaussian, MatrixFamily::Orthogonal, MatrixFamily::Goe];

/// One training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub activation: Activation,
    pub family: MatrixFamily,
    pub scale: f64,
    pub seed: u64,
}

impl Settings {
    pub fn from_args(args: &Args) -> Self {
        let common = &args.common;
        let scales: &[f64] =
            if common.quick { &[0.2, 0.4] } else { &[0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 2.0] };
        Self {
            device: common.device.clone(),
            quick: common.quick,
            seeds: common.seeds(3, 1),
            edge_seeds: (2..26).map(|seed| common.seed.wrapping_add(seed)).collect(),
            epochs: common.epochs(5, 2),
            width: args.width,
            lr: args.lr,
            momentum: 0.9,
            batch: 128,
            max_steps: 40,
            tolerance: 1e-3,
            best_iterate: args.best_iterate,
            scales: scales.to_vec(),
            normalization: Normalization::Frobenius,
        }
    }

    /// All runs, those near the edge last.
    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let activations = if self.quick { &ACTIVATIONS[..1] } else { &ACTIVATIONS[..] };
        for &activation in activations {
            for family in &FAMILIES {
                for &scale in &self.scales {
                    jobs.extend(self.cell(activation, family, scale, &self.seeds));
                }
            }
        }
        if !self.quick {
            for (activation, scale) in EDGES {
                for family in &FAMILIES[..2] {
                    let cell = self.cell(activation, family, scale, &self.edge_seeds);
                    let new: Vec<_> = cell.into_iter().filter(|job| !jobs.contains(job)).collect();
                    jobs.extend(new);
                }
            }
        }
        jobs
    }

    pub fn cell(
        &self,
        activation: Activation,
        family: &MatrixFamily,
        scale: f64,
        seeds: &[u64],
    ) -> Vec<Job> {
        let job = |&seed: &u64| Job { activation, family: family.clone(), scale, seed };
        seeds.iter().map(job).collect()
    }
}

/// Where orthogonal and Gaussian weights part.
pub const EDGES: [(Activation, f64); 2] = [(Activation::Tanh, 1.6), (Activation::Relu, 1.4)];

/// Inputs and labels of one part of the data.
#[derive(Clone)]
pub struct Part {
    pub inputs: Tensor<2>,
    pub labels: Tensor<1, Int>,
    pub count: usize,
}

impl Part {
    /// The samples at some places.
    pub fn select(&self, places: &[usize]) -> Self {
        let indices: Vec<i32> = places.iter().map(|&place| place as i32).collect();
        let count = places.len();
        let indices = Tensor::from_data(TensorData::new(indices, [count]), &self.inputs.device());
        Self {
            inputs: self.inputs.clone().select(0, indices.clone()),
            labels: self.labels.clone().select(0, indices),
            count,
        }
    }
}

/// The digits, each pixel with mean 0 and standard deviation 1: 1437 for training, 360 for the test.
pub fn data(device: &Device) -> Result<(Part, Part)> {
    let set = digits();
    let (count, pixels) = (set.len(), 64);
    let order = shuffled(count, &mut ChaCha8Rng::seed_from_u64(0));
    let mut values: Vec<f64> =
        order.iter().flat_map(|&at| set.image(at).iter().map(|&pixel| f64::from(pixel))).collect();
    for pixel in 0..pixels {
        let column = || values.iter().skip(pixel).step_by(pixels);
        let mean = column().sum::<f64>() / count as f64;
        let variance = column().map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64;
        for value in values.iter_mut().skip(pixel).step_by(pixels) {
            *value = (*value - mean) / (variance.sqrt() + 1e-6);
        }
    }
    let labels: Vec<i32> = order.iter().map(|&at| set.labels()[at] as i32).collect();
    let whole = Part {
        inputs: Tensor::from_data(TensorData::new(values, [count, pixels]), device),
        labels: Tensor::from_data(TensorData::new(labels, [count]), device),
        count,
    };
    let places: Vec<usize> = (0..count).collect();
    Ok((whole.select(&places[..1437]), whole.select(&places[1437..])))
}
