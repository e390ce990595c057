//! Densities in the plane.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick::datasets::PlanarDensity;
use firebrick::models::generative::residual_flow::{
    InverseConfig, LogDet, VectorFlow, VectorFlowConfig,
};
use firebrick::models::precision::cast;
use firebrick_harness::claims::Claims;
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
    /// The largest difference where everything is computed in 64 bits, and where the latent points alone are
    /// rounded to 32.
    pub inverse_in_double: [f64; 2],
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
    let inverse_in_double = in_double(&flow, &test)?;
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
        inverse_in_double,
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

/// What the method promises of the outcome.
pub fn judge(claims: &mut Claims, o: &Outcome, device: &str) {
    let named = |what: &str| format!("{}: {what} ({device})", o.density);
    let exact = o.inverse_in_double[0];
    let text = format!("{exact:.1e}");
    claims.check_quick(
        named("inverse in 64 bits, worst of all points"),
        "<= 1e-5",
        text,
        exact <= 1e-5,
    );
    let (typical, worst) = (o.inverse_deviation, o.inverse_error);
    let text = format!("{typical:.1e}");
    claims.check_quick(named("inverse, root mean square error"), "<= 1e-5", text, typical <= 1e-5);
    let text = format!("{worst:.1e}");
    claims.check_quick(named("inverse, worst of all points"), "<= 2e-5", text, worst <= 2e-5);
    let holds = (o.mass - 1.0).abs() <= 0.01;
    claims.check_quick(named("density integrates to"), "1 ± 0.01", format!("{:.4}", o.mass), holds);
    let (text, holds) = (format!("{:.2}", o.bias_in_errors), o.bias_in_errors.abs() <= 3.0);
    claims.check_quick(named("roulette's bias in standard errors"), "<= 3", text, holds);
    let (text, holds) = (format!("{:.3}", o.flow.0 - o.gaussian), o.flow.0 > o.gaussian);
    claims.check_quick(named("nats above a fitted Gaussian"), "> 0", text, holds);
    let share = (o.flow.0 - o.gaussian) / (o.best - o.gaussian);
    let (text, holds) = (format!("{share:.2}"), share > 1.0 / 3.0);
    claims.check(named("share of the Gaussian's gap that is closed"), "> 1/3", text, holds);
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

/// The largest error of the trained flow's inverse in 64 bits, and how much of the error in 32 bits is due to
/// the rounding of the latent points alone, which every block's inverse amplifies.
fn in_double(flow: &VectorFlow, points: &[[f32; 2]]) -> Result<[f64; 2]> {
    let device = firebrick::device::parse("flex")?;
    let flow = cast(flow.clone().to_device(&device), DType::F64);
    let points = tensor(points, &device).cast(DType::F64);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let latent = flow.forward(points.clone(), &LogDet::truncated(0), &mut rng).latent;
    let error = |latent: Tensor<2>| -> Result<f64> {
        let back = flow.inverse(latent, &InverseConfig::new())?;
        Ok((back - points.clone()).abs().max().into_scalar::<f64>())
    };
    let rounded = latent.clone().cast(DType::F32).cast(DType::F64);
    Ok([error(latent)?, error(rounded)?])
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
