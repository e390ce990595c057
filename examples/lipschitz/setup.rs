//! Data, settings, training and evaluation of one network.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use burn::data::dataset::Dataset;
use burn::module::Module;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::Learner;
use firebrick::certificates::{
    Certifier, L2AttackConfig, LocalLipschitzConfig, RobustnessConfig, RobustnessReport,
    lipschitz_report,
};
use firebrick::data::LabeledDataset;
use firebrick::datasets::digits;
use firebrick::datasets::idx::{self, IdxOptions, Part};
use firebrick::models::lipschitz::{InputNormalization, InputNormalizationConfig};
use firebrick::models::losses::MultiClassHingeLossConfig;
use firebrick::models::orthogonal::Initialization;
use firebrick::models::vision::orthogonal::{Layers, OrthogonalCnnConfig, ScFacOptions};
use firebrick::optimizers::piecewise_linear::PiecewiseLinearConfig;
use firebrick::train::MarginLearner;
use firebrick_harness::args::CommonArgs;
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use firebrick_harness::training::fit;
use serde::{Deserialize, Serialize};

/// Robustness with a proof, and a hundred layers without normalization
#[derive(clap::Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,

    /// Margin of the hinge loss
    #[arg(long, value_name = "M", default_value_t = 0.5)]
    margin: f64,

    /// Depths of the chains, multiples of 5; 0 for none [default: 5,20,50,100]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    depths: Option<Vec<usize>>,

    /// Epochs of the chains
    #[arg(long, value_name = "N", default_value_t = 8)]
    depth_epochs: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub device: String,
    pub seeds: Vec<u64>,
    pub quick: bool,
    pub epochs: usize,
    pub batch: usize,
    pub lr: f64,
    pub margin: f64,
    pub radii: Vec<f64>,
    /// Attacks at 0.999 of the certified radius.
    pub attempts: usize,
    pub depths: Vec<usize>,
    pub depth_epochs: usize,
    data_dir: Option<PathBuf>,
}

impl Settings {
    pub fn from_args(args: &Args) -> Self {
        let quick = args.common.quick;
        let depths = args.depths.clone().unwrap_or(vec![5, 20, 50, 100]);
        Self {
            device: args.common.device.clone(),
            seeds: args.common.seeds(3, 1),
            quick,
            epochs: args.common.epochs(8, 2),
            batch: 64,
            lr: 0.01,
            margin: args.margin,
            radii: vec![36.0 / 255.0, 0.25, 0.5],
            attempts: if quick { 500 } else { 10_000 },
            depths: depths.into_iter().filter(|&depth| depth > 0).collect(),
            // A quick run only sends gradients through the chains.
            depth_epochs: if quick { 0 } else { args.depth_epochs },
            data_dir: args.common.data_dir(),
        }
    }

    pub fn is_digits(&self) -> bool {
        self.data_dir.is_none()
    }
}

/// Images to train on and to test on, and the mean pixel of the former.
pub struct Data {
    pub train: LabeledDataset,
    pub test: LabeledDataset,
    mean: f64,
}

impl Data {
    pub fn shape(&self) -> [usize; 3] {
        let shape = self.train.sample_shape();
        [shape[0], shape[1], shape[2]]
    }

    /// Subtracts the mean, which leaves the Lipschitz constant alone.
    pub fn input(&self, device: &Device) -> InputNormalization {
        InputNormalizationConfig::new(vec![self.mean; self.shape()[0]]).init(device)
    }
}

/// The embedded digits, of which the last fifth is for testing, or a folder in MNIST's layout.
pub fn data(settings: &Settings) -> Result<Data> {
    let (train, test) = match &settings.data_dir {
        None => {
            let all = LabeledDataset::new(digits());
            let positions: Vec<usize> = (0..all.len()).collect();
            let (first, last) = positions.split_at(all.len() * 4 / 5);
            (all.select(first), all.select(last))
        }
        Some(folder) => {
            let part = |part| idx::load(folder, part, &IdxOptions::default());
            (LabeledDataset::new(part(Part::Train)?), LabeledDataset::new(part(Part::Test)?))
        }
    };
    let (mut sum, mut count) = (0.0, 0);
    for index in 0..train.len() {
        let values = train.get(index)?.values;
        sum += values.iter().map(|&value| f64::from(value)).sum::<f64>();
        count += values.len();
    }
    Ok(Data { train, test, mean: sum / count as f64 })
}

/// What was measured of one network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub device: String,
    pub seed: u64,
    pub report: RobustnessReport,
    /// Product of the layers' largest singular values.
    pub bound: f64,
    /// The largest ratio that a search around test images found.
    pub local: f64,
    pub attempts: usize,
    pub broken: usize,
    pub seconds: f64,
}

/// Trains and evaluates the small network, or reads what an earlier run has measured.
pub fn train(
    run: &Run,
    settings: &Settings,
    data: &Data,
    seed: u64,
    name: &str,
    device: &Device,
    progress: &Progress,
) -> Result<Outcome> {
    let job = format!("{}-{seed}", name.replace(':', "-"));
    let file = format!("{job}/outcome.json");
    if let Some(outcome) = run.read_json(&file)? {
        progress.skip(settings.epochs);
        return Ok(outcome);
    }
    let start = ScFacOptions::new().with_initialization(Initialization::Uniform);
    let mut layers = Layers::sc_fac_with(device, &start).with_seed(seed);
    let network = OrthogonalCnnConfig::new(data.train.num_classes())
        .with_image_shape(data.shape())
        .init_with(&mut layers)
        .with_input(data.input(device));
    let loss = MultiClassHingeLossConfig::new().with_margin(settings.margin).init();
    let train = data.train.loader::<4>(settings.batch).shuffle(seed).device(device.clone());
    let test = Arc::new(data.test.loader::<4>(360).device(device.clone()));
    let steps = settings.epochs * data.train.len().div_ceil(settings.batch);
    let schedule = PiecewiseLinearConfig::up_and_down(steps, settings.lr).init();
    let learner =
        Learner::new(MarginLearner::new(network, loss), AdamConfig::new().init(), schedule);
    let start = Instant::now();
    let first = |done| Arc::new(train.first_epoch(done)) as _;
    let (model, _) = fit(run, &job, learner, settings.epochs, progress, first, test)?;
    let seconds = start.elapsed().as_secs_f64();

    let network = model.network.valid();
    let attack = L2AttackConfig::new().with_random_start(false);
    let robustness = RobustnessConfig::new().with_radii(settings.radii.clone()).with_attack(attack);
    let report = robustness.init(Certifier::new(1.0)?)?.measure(&network, &data.test, device)?;
    let plain = device.clone().inner();
    let count = data.test.len().min(360);
    let images = images(&data.test, count, &plain);
    let local = LocalLipschitzConfig::new().init().ratios(&network, images.clone()).max();
    let rounds = settings.attempts.div_ceil(count);
    let radii: Vec<f64> =
        report.certificates.radii[..count].iter().map(|radius| 0.999 * radius).collect();
    let predicted: Vec<i64> =
        report.certificates.predictions[..count].iter().map(|&class| class as i64).collect();
    let predicted = Tensor::<1, Int>::from_data(TensorData::new(predicted, [count]), &plain);
    let mut broken = 0;
    for round in 0..rounds {
        let attack = L2AttackConfig::new().with_seed(round as u64).init();
        let moved = attack.perturb_within(&network, images.clone(), predicted.clone(), &radii);
        let found = network.forward(moved).argmax(1).reshape([count]);
        let stays = found.equal(predicted.clone()).into_data();
        broken += stays.iter::<bool>().filter(|stays| !stays).count();
    }
    let outcome = Outcome {
        device: name.into(),
        seed,
        report,
        bound: lipschitz_report(&network).bound,
        local: local.into_scalar::<f64>(),
        attempts: rounds * count,
        broken,
        seconds,
    };
    run.write_json(&file, &outcome)?;
    Ok(outcome)
}

/// The first images of a data set.
pub fn images(data: &LabeledDataset, count: usize, device: &Device) -> Tensor<4> {
    let shape = data.sample_shape();
    let mut values = Vec::new();
    for index in 0..count {
        values.extend(data.get(index).expect("samples in memory can be read").values);
    }
    let shape = [count, shape[0], shape[1], shape[2]];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Accuracies by radius: a table and a picture of the first network.
pub fn save(run: &Run, outcomes: &[Outcome]) -> Result<()> {
    let header = ["device", "seed", "radius", "certified", "attacked", "clean"];
    let rows = outcomes.iter().flat_map(|outcome| {
        outcome.report.points.iter().map(|point| {
            let numbers = [
                point.radius,
                point.certified,
                point.attacked,
                outcome.report.certificates.clean_accuracy,
            ];
            [outcome.device.clone(), outcome.seed.to_string()]
                .into_iter()
                .chain(numbers.map(|number| number.to_string()))
                .collect()
        })
    });
    run.write_csv("metrics.csv", &header, rows.collect::<Vec<_>>())?;
    let (Some(path), Some(first)) = (run.path("certified.svg"), outcomes.first()) else {
        return Ok(());
    };
    let certificates = &first.report.certificates;
    let curve: Result<Vec<(f64, f64)>, _> = (0..=120)
        .map(|step| {
            let radius = f64::from(step) / 160.0;
            Ok::<_, anyhow::Error>((radius, certificates.certified_accuracy(radius)?))
        })
        .collect();
    let attacked = first.report.points.iter().map(|point| (point.radius, point.attacked));
    let attacked = [(0.0, certificates.clean_accuracy)].into_iter().chain(attacked).collect();
    let series = [Series::new("certified", curve?), Series::new("attacked", attacked)];
    let title = "Accuracy within a ball of the norm 2";
    line_chart(&path, title, "radius", "share of the test images", &series)
}
