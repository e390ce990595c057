//! Densities of images.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick::datasets::idx::{self, IdxOptions, Part};
use firebrick::datasets::{ImageSet, LabeledSamples, digits, permutation, stratified_split};
use firebrick::models::generative::residual_flow::{
    BitsPerDimension, ImageFlow, ImageFlowConfig, InverseConfig, LogDet, dequantize,
};
use firebrick::models::precision::cast;
use firebrick_harness::claims::Claims;
use firebrick_harness::fields::{Colors, Field};
use firebrick_harness::progress::Progress;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::setup::{Gaussian, Settings, Trained, host, train};

/// Images along a side of the pictures.
const SIDE: usize = 8;
/// Up to so many pixels the exact log-determinant is taken as well.
const EXACT: usize = 100;
/// Test images at most.
const TEST: usize = 500;
/// Images that are evaluated at a time.
const CHUNK: usize = 125;

#[derive(Serialize)]
pub struct Outcome {
    pub images: String,
    pub exact: Option<BitsPerDimension>,
    pub estimated: BitsPerDimension,
    pub gaussian: BitsPerDimension,
    /// Bits of the uniform distribution.
    pub uniform: f64,
    pub inverse_error: f64,
    /// The same with everything computed in 64 bits.
    pub inverse_in_double: f64,
    pub milliseconds: f64,
    #[serde(skip)]
    pub losses: Vec<f64>,
    #[serde(skip)]
    pub fields: Vec<Field>,
}

/// Training and test images.
fn load(settings: &Settings) -> Result<(ImageSet, ImageSet)> {
    if let Some(folder) = &settings.data_dir {
        let part = |part| idx::load(folder, part, &IdxOptions::default());
        let test = part(Part::Test)?;
        let first: Vec<usize> = (0..test.len().min(TEST)).collect();
        return Ok((part(Part::Train)?, test.subset(&first)));
    }
    let all = digits();
    let parts = stratified_split(all.labels(), all.num_classes(), &[1297, 500], settings.seed)?;
    Ok((all.subset(&parts[0]), all.subset(&parts[1])))
}

pub fn learn(settings: &Settings, device: &Device, progress: &Progress) -> Result<Outcome> {
    progress.begin("digits", 0);
    let (training, test) = load(settings)?;
    let shape = training.shape();
    let (dim, levels) = (shape.iter().product(), usize::from(training.max_value()) + 1);
    let Trained { model, losses, milliseconds } = trained(settings, &training, device, progress);
    let flow = model.valid();

    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed + 1);
    let pixels = dequantize(test.pixels(), levels, &mut rng);
    let bits = |method: LogDet, rng: &mut ChaCha8Rng| {
        let density =
            |part: &[f32]| host(flow.log_density(tensor(part, shape, device), &method, rng));
        let densities: Vec<f64> = pixels.chunks(CHUNK * dim).flat_map(density).collect();
        BitsPerDimension::of(&densities, dim, levels)
    };
    let exact = (dim <= EXACT).then(|| bits(LogDet::Exact, &mut rng));
    let estimated = bits(LogDet::evaluation(), &mut rng);
    let gaussian = {
        let spread = dequantize(training.pixels(), levels, &mut rng);
        Gaussian::fit(&spread, dim, 1e-6)?.log_densities(&pixels)
    };

    let some = tensor(&pixels[..CHUNK.min(test.len()) * dim], shape, device);
    let latent = flow.forward(some.clone(), &LogDet::truncated(0), &mut rng).latent;
    let back = flow.inverse(latent, &InverseConfig::new())?;
    let inverse_error = (back - some.clone()).abs().max().into_scalar::<f64>();
    let inverse_in_double = in_double(&flow, some)?;
    let samples = flow.sample(SIDE * SIDE, &mut rng, &InverseConfig::new())?;
    let samples: Vec<f32> = samples.into_data().iter::<f32>().collect();
    Ok(Outcome {
        images: if settings.data_dir.is_some() { "images" } else { "digits" }.into(),
        exact,
        estimated,
        gaussian: BitsPerDimension::of(&gaussian, dim, levels),
        uniform: (levels as f64).log2(),
        inverse_error,
        inverse_in_double,
        milliseconds,
        losses,
        fields: vec![sheet("data", &pixels, shape), sheet("samples of the flow", &samples, shape)],
    })
}

/// The largest error of the trained flow's inverse in 64 bits.
fn in_double(flow: &ImageFlow, images: Tensor<4>) -> Result<f64> {
    let device = firebrick::device::parse("flex")?;
    let flow = cast(flow.clone().to_device(&device), DType::F64);
    let images = images.to_device(&device).cast(DType::F64);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let latent = flow.forward(images.clone(), &LogDet::truncated(0), &mut rng).latent;
    let back = flow.inverse(latent, &InverseConfig::new())?;
    Ok((back - images).abs().max().into_scalar::<f64>())
}

/// What the method promises of the outcome.
pub fn judge(claims: &mut Claims, o: &Outcome, device: &str) {
    let named = |what: &str| format!("{}: {what} ({device})", o.images);
    let error = o.inverse_error;
    claims.check_quick(named("inverse"), "<= 1e-5", format!("{error:.1e}"), error <= 1e-5);
    let exact = o.inverse_in_double;
    claims.check_quick(
        named("inverse in 64 bits"),
        "<= 1e-5",
        format!("{exact:.1e}"),
        exact <= 1e-5,
    );
    let bits = o.exact.as_ref().unwrap_or(&o.estimated).mean;
    let text = format!("{bits:.3} < {:.3}", o.gaussian.mean);
    claims.check(named("bits below a Gaussian's"), "yes", text, bits < o.gaussian.mean);
}

/// Losses are in bits per dimension.
fn trained(
    settings: &Settings,
    training: &ImageSet,
    device: &Device,
    progress: &Progress,
) -> Trained<ImageFlow> {
    let device = device.clone().autodiff();
    let shape = training.shape();
    let (dim, levels) = (shape.iter().product::<usize>(), usize::from(training.max_value()) + 1);
    let config = ImageFlowConfig::new(shape)
        .with_blocks(settings.image_blocks.clone())
        .with_hidden(settings.image_width)
        .with_dense_blocks(settings.dense_blocks)
        .with_alpha(0.05)
        .with_seed(Some(settings.seed));
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let per_epoch = training.len() / settings.batch[1];
    let batch = |step: usize, rng: &mut ChaCha8Rng| {
        let order = permutation(training.len(), settings.seed, (step / per_epoch) as u64);
        let chosen = &order[step % per_epoch * settings.batch[1]..][..settings.batch[1]];
        let values: Vec<u8> =
            chosen.iter().flat_map(|&index| training.image(index).iter().copied()).collect();
        tensor(&dequantize(&values, levels, rng), shape, &device)
    };
    let flow = config.init(&device).fitted(batch(0, &mut rng));
    train(settings, flow, settings.image_steps, progress, |flow, step| {
        let images = batch(step, &mut rng);
        let density = flow.log_density(images, &LogDet::training(), &mut rng).mean();
        let scale = -1.0 / (dim as f64 * std::f64::consts::LN_2);
        density.mul_scalar(scale).add_scalar((levels as f64).log2())
    })
}

fn tensor(pixels: &[f32], [channels, height, width]: [usize; 3], device: &Device) -> Tensor<4> {
    let count = pixels.len() / (channels * height * width);
    let data = TensorData::new(pixels.to_vec(), [count, channels, height, width]);
    Tensor::from_data(data, device)
}

/// The first channel of the first images, in a square with lines between them.
fn sheet(caption: &str, pixels: &[f32], [channels, height, width]: [usize; 3]) -> Field {
    let (rows, columns) = (SIDE * (height + 1), SIDE * (width + 1));
    let mut values = vec![f32::NAN; rows * columns];
    let images = pixels.chunks_exact(channels * height * width).take(SIDE * SIDE);
    for (index, image) in images.enumerate() {
        let corner = index / SIDE * (height + 1) * columns + index % SIDE * (width + 1);
        for (y, row) in image[..height * width].chunks_exact(width).enumerate() {
            values[corner + y * columns..][..width].copy_from_slice(row);
        }
    }
    let (caption, range, colors) = (caption.into(), (0.0, 1.0), Colors::Gray);
    Field { caption, values, rows, columns, range, colors }
}
