//! Densities in the plane.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use firebrick::datasets::PlanarDensity;
use firebrick::models::generative::residual_flow::{
    InverseConfig, LogDet, VectorFlow, VectorFlowConfig,
};
use firebrick_harness::fields::Field;
use firebrick_harness::progress::Progress;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::setup::{Gaussian, Settings, Trained, host, mean, train};

const TEST: usize = 4000;
/// Points and samples of the pictures.
const SHOWN: usize = 20_000;
/// Cells along a side of the pictures, which show `[-VIEW, VIEW]^2`.
const CELLS: usize = 120;
const VIEW: f64 = 5.0;
/// The mass is summed over `[-WIDE, WIDE]^2`.
const WIDE: f64 = 12.0;
const WIDE_CELLS: usize = 480;

#[derive(Serialize)]
pub struct Outcome {
    pub density: String,
    /// Mean log-likelihood in nats and its standard error.
    pub flow: (f64, f64),
    pub gaussian: f64,
    pub best: f64,
    pub mass: f64,
    /// Largest difference of a coordinate, and the root mean square of all.
    pub inverse_error: f64,
    pub inverse_deviation: f64,
    /// Mean of the estimates minus the exact value, in standard errors.
    pub bias_in_errors: f64,
    pub milliseconds: f64,
    #[serde(skip)]
    pub losses: Vec<f64>,
    #[serde(skip)]
    pub fields: Vec<Field>,
}

pub fn learn(
    settings: &Settings,
    name: &str,
    density: PlanarDensity,
    device: &Device,
    progress: &Progress,
) -> Result<Outcome> {
    progress.begin(name, 0);
    let Trained { model, losses, milliseconds } = trained(settings, density, device, progress);
    let flow = model.valid();
    let test = density.sample(TEST, settings.seed + 1);
    let points = tensor(&test, device);
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);

    let output = flow.forward(points.clone(), &LogDet::Exact, &mut rng);
    let back = flow.inverse(output.latent.clone(), &InverseConfig::new())?;
    let errors = (back - points).abs();
    let inverse_deviation = errors.clone().powi_scalar(2).mean().sqrt().into_scalar::<f64>();
    let likelihoods = host(output.log_density());
    let log_likelihood = mean(&likelihoods);
    let squares: Vec<f64> = likelihoods.iter().map(|v| (v - log_likelihood).powi(2)).collect();
    let train_points = density.sample(TEST, settings.seed + 2).concat();
    let gaussian = Gaussian::fit(&train_points, 2, 0.0)?;
    let truth: Vec<f64> =
        test.iter().map(|&[x, y]| density.log_density(x.into(), y.into())).collect();

    let wide = on_grid(&flow, WIDE, WIDE_CELLS, device);
    let cell = (2.0 * WIDE / WIDE_CELLS as f64).powi(2);
    let samples = flow.sample(SHOWN, &mut rng, &InverseConfig::new())?;
    let samples: Vec<f32> = samples.into_data().iter::<f32>().collect();
    let learned = on_grid(&flow, VIEW, CELLS, device).into_iter().map(|p| p as f32).collect();
    Ok(Outcome {
        density: name.into(),
        flow: (log_likelihood, (mean(&squares) / TEST as f64).sqrt()),
        gaussian: mean(&gaussian.log_densities(&test.concat())),
        best: mean(&truth),
        mass: wide.iter().sum::<f64>() * cell,
        inverse_error: errors.max().into_scalar::<f64>(),
        inverse_deviation,
        bias_in_errors: bias(settings, &flow, &test[..100], device),
        milliseconds,
        losses,
        fields: vec![
            Field::density("data", counts(&density.sample(SHOWN, 3).concat()), CELLS, CELLS),
            Field::density("learned density", learned, CELLS, CELLS),
            Field::density("samples of the flow", counts(&samples), CELLS, CELLS),
        ],
    })
}

fn trained(
    settings: &Settings,
    density: PlanarDensity,
    device: &Device,
    progress: &Progress,
) -> Trained<VectorFlow> {
    let device = device.clone().autodiff();
    let flow = VectorFlowConfig::new(2)
        .with_blocks(settings.blocks)
        .with_hidden(vec![settings.width; 2])
        .with_seed(Some(settings.seed))
        .init(&device);
    let data = density.sample(settings.batch[0] * (settings.steps + 1), settings.seed);
    let mut batches = data.chunks_exact(settings.batch[0]).map(|points| tensor(points, &device));
    let flow = flow.fitted(batches.next().expect("one batch more than steps"));
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    train(settings, flow, settings.steps, progress, |flow, _| {
        let batch = batches.next().expect("a batch for every step");
        flow.log_density(batch, &LogDet::Exact, &mut rng).mean().neg()
    })
}

/// Estimates minus exact log-determinants: mean over points and passes, each of which draws its own numbers
/// of terms and probes, in standard errors of the passes.
fn bias(settings: &Settings, flow: &VectorFlow, points: &[[f32; 2]], device: &Device) -> f64 {
    let passes = if settings.quick { 100 } else { 400 };
    let points = tensor(points, device);
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed + 7);
    let exact = mean(&host(flow.forward(points.clone(), &LogDet::Exact, &mut rng).log_det));
    let pass = |_| {
        let output = flow.forward(points.clone(), &LogDet::training(), &mut rng);
        mean(&host(output.log_det)) - exact
    };
    let errors: Vec<f64> = (0..passes).map(pass).collect();
    let (mean, deviation) = firebrick_harness::claims::mean_std(&errors);
    mean / (deviation / (passes as f64).sqrt())
}

fn tensor(points: &[[f32; 2]], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(points.concat(), [points.len(), 2]), device)
}

/// The density in the middle of every cell, the top row first.
fn on_grid(flow: &VectorFlow, half: f64, cells: usize, device: &Device) -> Vec<f64> {
    let at = |index: usize| (-half + (index as f64 + 0.5) * 2.0 * half / cells as f64) as f32;
    let row =
        |y: usize| (0..cells).map(move |x| [at(x), at(cells - 1 - y)]).collect::<Vec<[f32; 2]>>();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let points: Vec<[f32; 2]> = (0..cells).flat_map(row).collect();
    let density = |points: &[[f32; 2]]| {
        host(flow.log_density(tensor(points, device), &LogDet::Exact, &mut rng).exp())
    };
    points.chunks(20_000).flat_map(density).collect()
}

/// How many points lie in every cell of the picture.
fn counts(points: &[f32]) -> Vec<f32> {
    let mut counts = vec![0.0; CELLS * CELLS];
    for point in points.chunks_exact(2) {
        let cell = |value: f32| ((f64::from(value) / VIEW + 1.0) * 0.5 * CELLS as f64).floor();
        let [x, y] = [cell(point[0]), cell(point[1])];
        let inside = |value: f64| value >= 0.0 && value < CELLS as f64;
        if inside(x) && inside(y) {
            counts[(CELLS - 1 - y as usize) * CELLS + x as usize] += 1.0;
        }
    }
    counts
}
