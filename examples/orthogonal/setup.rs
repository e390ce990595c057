//! Settings, the network, its training, timing and pictures.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use burn::module::{Module, ModuleDisplay};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::Learner;
use firebrick::data::LabeledDataset;
use firebrick::datasets::{digits, stratified_split};
use firebrick::models::classifier::Classifier;
use firebrick::models::orthogonal::{
    NormRatio, OrthogonalLayer, OrthogonalityReport, orthogonality_report,
};
use firebrick::train::NoisyLabelLearner;
use firebrick_harness::args::CommonArgs;
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use firebrick_harness::training::fit;
use serde::{Deserialize, Serialize};

/// Below this, `|s - 1|` is drawn as this.
const FLOOR: f64 = 1e-9;
/// Points of a drawn spectrum.
const QUANTILES: usize = 200;

/// How orthogonal are orthogonal convolutions? Every kind of layer, measured
#[derive(clap::Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,

    /// Only kinds whose name contains one of these, in any case
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Channels in the exactness experiment and the timing [default: 64, quick: 8]
    #[arg(long, value_name = "N")]
    pub channels: Option<usize>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub device: String,
    pub seed: u64,
    pub quick: bool,
    pub epochs: usize,
    pub only: Vec<String>,
    /// Channels of the exactness experiment.
    pub channels: usize,
    /// Image of the exactness experiment.
    pub image: [usize; 2],
    /// Batch for timing.
    pub batch: usize,
    /// Channels in the network.
    pub network_channels: usize,
    pub lr: f64,
}

impl Settings {
    pub fn from_args(args: &Args) -> Result<Self> {
        let quick = args.common.quick;
        let channels = args.channels.unwrap_or(if quick { 8 } else { 64 });
        ensure!(
            channels > 0 && channels.is_multiple_of(4),
            "--channels: expected a multiple of 4, because kinds with groups and strides need it, \
             found {channels}"
        );
        Ok(Self {
            device: args.common.device.clone(),
            seed: args.common.seed,
            quick,
            epochs: args.common.epochs(5, 1),
            only: args.only.iter().map(|name| name.to_lowercase()).collect(),
            channels,
            image: if quick { [8, 8] } else { [16, 16] },
            batch: 16,
            network_channels: if quick { 8 } else { 16 },
            lr: 0.005,
        })
    }
}

/// What holds of the singular values of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Promise {
    /// All are 1, whatever the parameters.
    Exact,
    /// All are 1 as far as an iteration has converged.
    Iteration,
    /// All are 1 up to the rest of a series.
    Series,
    /// Near 1 after a projection.
    Projection,
    /// At most 1.
    Lipschitz,
    /// Nothing.
    Nothing,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Iteration => "by iteration",
            Self::Series => "up to a series' rest",
            Self::Projection => "after projection",
            Self::Lipschitz => "1-Lipschitz",
            Self::Nothing => "no",
        })
    }
}

/// Median seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// Building the kernel (or matrix, or transfer function) as in training, forward only.
    pub kernel: Option<f64>,
    /// A call in evaluation, with what the layer keeps between calls.
    pub forward: f64,
    /// Forward and backward to input and parameters, kernel included.
    pub training_step: f64,
}

/// What was measured of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub device: String,
    pub kind: String,
    pub promise: Promise,
    pub compact: bool,
    pub exactness: OrthogonalityReport,
    pub before: OrthogonalityReport,
    pub after: OrthogonalityReport,
    pub accuracy: f64,
    pub seconds: f64,
    pub cost: Cost,
}

impl Outcome {
    /// The side on which an orthogonal layer keeps norms, with its ratio.
    pub fn norm_ratio(&self) -> (&'static str, NormRatio) {
        let report = &self.exactness;
        let count =
            |side: usize, [height, width]: [usize; 2]| report.channels[side] * height * width;
        let shrinks = count(1, report.output_size) < count(0, report.input_size);
        if shrinks {
            ("gradients", report.gradient_ratio)
        } else {
            ("outputs", report.output_ratio)
        }
    }
}

/// A layer that can be part of a network.
pub trait Layer: OrthogonalLayer + ModuleDisplay + Send + Sync + 'static {}

impl<L: OrthogonalLayer + ModuleDisplay + Send + Sync + 'static> Layer for L {}

/// An ordinary convolution to the layer's channels, the layer, the absolute value, which keeps norms, and
/// a linear classifier.
#[derive(Module, Debug)]
pub struct Network<L: Module> {
    stem: Conv2d,
    layer: L,
    output: Linear,
}

impl<L: Layer> Network<L> {
    fn new(layer: L, image: [usize; 2], device: &Device) -> Self {
        let [inputs, outputs] = layer.channels();
        let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let stem = Conv2dConfig::new([1, inputs], [3, 3]).with_padding(padding).init(device);
        let [height, width] = image;
        let shape = Tensor::zeros([1, inputs, height, width], device);
        let [.., rows, columns] = layer.forward(shape).dims();
        let output = LinearConfig::new(outputs * rows * columns, 10).init(device);
        // Weights of Burn's layers are drawn at the first read; now, right after the seed was set.
        Self { stem, layer, output }.materialize()
    }
}

impl<L: Layer> Classifier<4> for Network<L> {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.layer.forward(self.stem.forward(images)).abs();
        self.output.forward(x.flatten::<2>(1, 3))
    }
}

/// Trains a network around the layer and measures the layer before and after, without autodiff.
pub fn train<L: Layer>(
    layer: L,
    run: &Run,
    job: &str,
    settings: &Settings,
    device: &Device,
    progress: &Progress,
) -> Result<(OrthogonalityReport, OrthogonalityReport, f64, f64)> {
    let image = [8, 8];
    let before = orthogonality_report(&layer.valid(), image);
    let data = LabeledDataset::new(digits());
    let parts = stratified_split(data.labels(), 10, &[1197, 200], settings.seed)?;
    let loader = |part: usize, batch| data.select(&parts[part]).loader::<4>(batch);
    let train = loader(0, 64).shuffle(settings.seed).device(device.clone());
    let valid = Arc::new(loader(1, 200).device(device.clone()));
    device.seed(settings.seed);
    let model = NoisyLabelLearner::new(Network::new(layer, image, device));
    let learner = Learner::new(model, AdamConfig::new().init(), settings.lr);
    let start = Instant::now();
    let first = |done| Arc::new(train.first_epoch(done)) as _;
    let (model, history) = fit(run, job, learner, settings.epochs, progress, first, valid)?;
    let seconds = start.elapsed().as_secs_f64();
    let accuracy =
        history.curve("valid", "Accuracy").last().map_or(f64::NAN, |last| last.1 / 100.0);
    Ok((before, orthogonality_report(&model.network.layer, image), accuracy, seconds))
}

/// Times a layer; `layer` is on an autodiff device.
pub fn time<L: Layer>(
    layer: &L,
    build: Option<fn(&L, [usize; 2])>,
    settings: &Settings,
    device: &Device,
) -> Cost {
    let repeats = if settings.quick { 3 } else { 15 };
    let [height, width] = settings.image;
    let shape = [settings.batch, layer.channels()[0], height, width];
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.7311).sin()).collect();
    let input = Tensor::<4>::from_data(TensorData::new(values, shape), device);
    let plain = layer.valid();
    let inner = input.clone().inner();
    Cost {
        kernel: build.map(|build| median(repeats, || build(layer, settings.image))),
        forward: median(repeats, || {
            black_box(plain.forward(inner.clone()).into_data());
        }),
        training_step: median(repeats, || {
            let leaf = input.clone().require_grad();
            let loss = layer.forward(leaf.clone()).powi_scalar(2).sum();
            let gradients = loss.backward();
            black_box(leaf.grad(&gradients).map(Tensor::into_data));
        }),
    }
}

fn median(repeats: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..repeats)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[repeats / 2]
}

/// One line per kind.
pub fn metrics(run: &Run, outcomes: &[Outcome]) -> Result<()> {
    let header = [
        "device",
        "layer",
        "channels",
        "exactness_mean",
        "exactness_deviation",
        "worst_at_start",
        "worst_before",
        "worst_after",
        "accuracy",
        "kernel_s",
        "forward_s",
        "training_step_s",
    ];
    let row = |outcome: &Outcome| {
        let (_, ratio) = outcome.norm_ratio();
        let [inputs, outputs] = outcome.exactness.channels;
        let numbers = [
            ratio.mean,
            ratio.deviation,
            outcome.exactness.deviation,
            outcome.before.deviation,
            outcome.after.deviation,
            outcome.accuracy,
            outcome.cost.kernel.unwrap_or(f64::NAN),
            outcome.cost.forward,
            outcome.cost.training_step,
        ];
        [outcome.device.clone(), outcome.kind.clone(), format!("{inputs}->{outputs}")]
            .into_iter()
            .chain(numbers.map(|number| number.to_string()))
            .collect()
    };
    run.write_csv("metrics.csv", &header, outcomes.iter().map(row))
}

/// Layers that are drawn together, not more than there are colors.
#[derive(Clone, Copy, PartialEq)]
enum Family {
    ScFac,
    Convolutions,
    Matrices,
}

impl Family {
    fn of(outcome: &Outcome) -> Self {
        let kind = &outcome.kind;
        match (kind.ends_with("1x1") || kind.ends_with("linear"), kind.starts_with("SC-Fac")) {
            (true, _) => Self::Matrices,
            (false, true) => Self::ScFac,
            (false, false) => Self::Convolutions,
        }
    }
}

/// Distances of the singular values from 1 before and after training, and the singular values after
/// training, for the families of layers on the first device.
pub fn pictures(run: &Run, outcomes: &[Outcome]) -> Result<()> {
    let first = outcomes.first().map(|outcome| outcome.device.as_str());
    let distance: fn(f64) -> f64 = |value| (value - 1.0).abs().max(FLOOR).log10();
    for (family, file, name) in [
        (Family::ScFac, "scfac", "SC-Fac"),
        (Family::Convolutions, "convolutions", "Other convolutions"),
        (Family::Matrices, "matrices", "Matrices at every pixel"),
    ] {
        let chosen = outcomes.iter().filter(|o| Some(o.device.as_str()) == first);
        let members: Vec<&Outcome> = chosen.filter(|o| Family::of(o) == family).collect();
        let draw =
            |file: String, title: String, label: &str, after: bool, value: fn(f64) -> f64| {
                let of = |o: &&Outcome| {
                    spectrum(&o.kind, if after { &o.after } else { &o.before }, value)
                };
                let series: Vec<Series> = members.iter().map(of).collect();
                match run.path(&file) {
                    Some(path) if !series.is_empty() => {
                        line_chart(&path, &title, "share of the singular values", label, &series)
                    }
                    _ => Ok(()),
                }
            };
        for (after, when) in [(false, "before"), (true, "after")] {
            let title = format!("{name}: distance of the singular values from 1 {when} training");
            draw(format!("{file}_{when}.svg"), title, "log10 |s - 1|", after, distance)?;
        }
        let title = format!("{name}: singular values after training");
        draw(format!("{file}_values.svg"), title, "singular value", true, |value| value)?;
    }
    Ok(())
}

/// Singular values, or what `value` makes of them, from small to large.
fn spectrum(kind: &str, report: &OrthogonalityReport, value: fn(f64) -> f64) -> Series {
    let all = &report.singular_values;
    let share = |i: usize| i as f64 / (QUANTILES - 1) as f64;
    let mut values: Vec<f64> = (0..QUANTILES)
        .map(|i| value(all[((all.len() - 1) as f64 * share(i)).round() as usize]))
        .collect();
    values.sort_by(f64::total_cmp);
    let points = values.into_iter().enumerate().map(|(i, value)| (share(i), value));
    Series::new(kind, points.collect())
}
