//! Chains of growing depth without skips or normalization, orthogonal and plain.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use burn::module::ModuleDisplay;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::Learner;
use firebrick::models::lipschitz::ActivationKind;
use firebrick::models::losses::MultiClassHingeLossConfig;
use firebrick::models::orthogonal::alternatives::PlainStart;
use firebrick::models::orthogonal::{OrthogonalLayer, OrthogonalMatrix};
use firebrick::models::vision::orthogonal::{Layers, LipConvNetConfig, OrthogonalNetwork};
use firebrick::optimizers::piecewise_linear::PiecewiseLinearConfig;
use firebrick::train::MarginLearner;
use firebrick_harness::claims::{Claims, table};
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;
use firebrick_harness::training::fit;
use serde::{Deserialize, Serialize};

use crate::setup::{Data, Settings, images};

/// Channels of the first stage.
const BASE: usize = 4;
/// Learning rates that every chain may choose from.
const RATES: [f64; 3] = [0.01, 0.003, 0.001];

/// One chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chain {
    pub device: String,
    pub kind: String,
    pub depth: usize,
    /// `|J^T g| / |g|` for random `g`, from the logits to the images, before training.
    pub gradient: f64,
    /// Loss and accuracy on the training set after the last epoch, and accuracy on the test set.
    pub loss: f64,
    pub train: f64,
    pub test: f64,
    pub lr: f64,
    pub seconds: f64,
}

/// What all chains share.
struct Context<'a> {
    run: &'a Run,
    settings: &'a Settings,
    data: &'a Data,
    name: &'a str,
    device: &'a Device,
    progress: Progress,
}

pub fn chains(
    run: &Run,
    settings: &Settings,
    data: &Data,
    name: &str,
    device: &Device,
) -> Result<Vec<Chain>> {
    let total = settings.depths.len() * 3 * RATES.len() * settings.depth_epochs;
    let progress = Progress::new(total);
    let context = Context { run, settings, data, name, device, progress };
    let mut found = Vec::new();
    for &depth in &settings.depths {
        let config = LipConvNetConfig::new(data.train.num_classes())
            .with_depth(depth)
            .with_image_shape(data.shape())
            .with_base_channels(BASE);
        let sorted = config.clone().with_activation(ActivationKind::MaxMin);
        let rectified = config.with_activation(ActivationKind::Relu);
        found.push(context.best("orthogonal", depth, &RATES, || {
            sorted.init_with(&mut Layers::sc_fac(device).with_seed(settings.seeds[0]))
        })?);
        for (kind, start) in [("plain", PlainStart::Uniform), ("plain, He start", PlainStart::He)] {
            found.push(context.best(kind, depth, &RATES, || {
                let layers = Layers::plain_with(device, start, true);
                rectified.init_with(&mut layers.with_seed(settings.seeds[0]))
            })?);
        }
    }
    context.progress.finish();
    Ok(found)
}

impl Context<'_> {
    /// The run with the smallest training loss among the learning rates.
    fn best<C, M>(
        &self,
        kind: &str,
        depth: usize,
        rates: &[f64],
        make: impl Fn() -> OrthogonalNetwork<C, M>,
    ) -> Result<Chain>
    where
        C: OrthogonalLayer + ModuleDisplay + Sync + 'static,
        M: OrthogonalMatrix + Sync + 'static,
    {
        let mut best: Option<Chain> = None;
        for &lr in rates {
            let found =
                self.train(kind, depth, lr, make().with_input(self.data.input(self.device)))?;
            let better =
                best.as_ref().is_none_or(|best| found.loss < best.loss || best.loss.is_nan());
            best = if better { Some(found) } else { best };
        }
        Ok(best.expect("there is a rate"))
    }

    fn train<C, M>(
        &self,
        kind: &str,
        depth: usize,
        lr: f64,
        network: OrthogonalNetwork<C, M>,
    ) -> Result<Chain>
    where
        C: OrthogonalLayer + ModuleDisplay + Sync + 'static,
        M: OrthogonalMatrix + Sync + 'static,
    {
        let Self { run, settings, data, device, .. } = *self;
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let job: String = format!("{}-{kind}-{depth}-{lr}", self.name).chars().map(plain).collect();
        let file = format!("{job}/chain.json");
        if let Some(chain) = run.read_json(&file)? {
            self.progress.skip(settings.depth_epochs);
            return Ok(chain);
        }
        let mut chain = Chain {
            device: self.name.into(),
            kind: kind.into(),
            depth,
            gradient: gradient_ratio(&network, data, device),
            loss: f64::NAN,
            train: f64::NAN,
            test: f64::NAN,
            lr,
            seconds: 0.0,
        };
        if settings.depth_epochs == 0 {
            return Ok(chain);
        }
        let seed = settings.seeds[0];
        let loss = MultiClassHingeLossConfig::new().with_margin(settings.margin).init();
        let train = data.train.loader::<4>(settings.batch).shuffle(seed).device(device.clone());
        let test = Arc::new(data.test.loader::<4>(360).device(device.clone()));
        let steps = settings.depth_epochs * data.train.labels().len().div_ceil(settings.batch);
        let schedule = PiecewiseLinearConfig::up_and_down(steps, lr).init();
        let learner =
            Learner::new(MarginLearner::new(network, loss), AdamConfig::new().init(), schedule);
        let start = Instant::now();
        let first = |done| Arc::new(train.first_epoch(done)) as _;
        let epochs = settings.depth_epochs;
        let (_, history) = fit(run, &job, learner, epochs, &self.progress, first, test)?;
        chain.seconds = start.elapsed().as_secs_f64();
        let last = |split, metric| {
            history.curve(split, metric).last().map_or(f64::NAN, |&(_, value)| value)
        };
        chain.loss = last("train", "Loss");
        chain.train = last("train", "Accuracy") / 100.0;
        chain.test = last("valid", "Accuracy") / 100.0;
        run.write_json(&file, &chain)?;
        Ok(chain)
    }
}

/// How much of a gradient arrives at the images.
fn gradient_ratio<C, M>(network: &OrthogonalNetwork<C, M>, data: &Data, device: &Device) -> f64
where
    C: OrthogonalLayer + ModuleDisplay,
    M: OrthogonalMatrix,
{
    let count = 32;
    let leaf = images(&data.train, count, device).require_grad();
    let logits = network.forward(leaf.clone());
    let shape = logits.dims();
    let wave: Vec<f32> =
        (0..shape[0] * shape[1]).map(|index| (index as f32 * 0.7311).sin()).collect();
    let cotangent = Tensor::<2>::from_data(TensorData::new(wave, shape), device);
    let gradients = (logits * cotangent.clone()).sum().backward();
    let norm = |values: Vec<f64>| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let Some(gradient) = leaf.grad(&gradients) else { return 0.0 };
    norm(gradient.into_data().iter().collect()) / norm(cotangent.into_data().iter().collect())
}

pub fn report(name: &str, chains: &[Chain]) {
    if chains.is_empty() {
        return;
    }
    println!("\nChains without skips and normalization on {name}");
    let header = [
        "layers",
        "depth",
        "gradient at the start",
        "training loss",
        "training accuracy",
        "test accuracy",
        "rate",
        "seconds",
    ];
    let line = |chain: &Chain| {
        let share = |value: f64| if value.is_nan() { "-".into() } else { format!("{value:.3}") };
        vec![
            chain.kind.clone(),
            chain.depth.to_string(),
            format!("{:.1e}", chain.gradient),
            share(chain.loss),
            share(chain.train),
            share(chain.test),
            chain.lr.to_string(),
            format!("{:.1}", chain.seconds),
        ]
    };
    println!("{}\n", table(&header, &chains.iter().map(line).collect::<Vec<_>>()));
}

pub fn check(claims: &mut Claims, settings: &Settings, name: &str, chains: &[Chain]) {
    let Some(&deepest) = settings.depths.iter().max() else { return };
    let of = |kind: &str| chains.iter().find(|chain| chain.kind == kind && chain.depth == deepest);
    let (Some(orthogonal), Some(plain), Some(he)) =
        (of("orthogonal"), of("plain"), of("plain, He start"))
    else {
        return;
    };
    let claim = format!("{deepest} orthogonal layers: gradient that arrives ({name})");
    // Layers that add channels pass on the part of the gradient that their inputs can follow.
    let text = format!("{:.3}", orthogonal.gradient);
    claims.check_quick(claim, "0.05 to 1", text, (0.05..=1.0001).contains(&orthogonal.gradient));
    if deepest < 100 || !settings.is_digits() {
        return;
    }
    let claim = format!("{deepest} plain layers: gradient that arrives ({name})");
    let text = format!("{:.1e}", plain.gradient);
    claims.check_quick(claim, "< 1e-10", text, plain.gradient < 1e-10);
    let claim = format!("{deepest} orthogonal layers: test accuracy ({name})");
    claims.check(claim, ">= 0.8", format!("{:.3}", orthogonal.test), orthogonal.test >= 0.8);
    let best = plain.test.max(he.test);
    let claim = format!("{deepest} plain layers, either start: test accuracy ({name})");
    claims.check(claim, "<= 0.3", format!("{best:.3}"), best <= 0.3);
}

/// A table of all chains and a picture of the test accuracy by depth.
pub fn save(run: &Run, chains: &[Chain]) -> Result<()> {
    let header =
        ["device", "layers", "depth", "gradient", "loss", "train", "test", "lr", "seconds"];
    let row = |chain: &Chain| {
        let Chain { gradient, loss, train, test, lr, seconds, .. } = *chain;
        let numbers = [gradient, loss, train, test, lr, seconds].map(|value| value.to_string());
        [chain.device.clone(), chain.kind.clone(), chain.depth.to_string()]
            .into_iter()
            .chain(numbers)
            .collect()
    };
    run.write_csv("depth.csv", &header, chains.iter().map(row))?;
    let first = chains.first().map(|chain| chain.device.clone());
    let kinds = ["orthogonal", "plain", "plain, He start"];
    let series = kinds.map(|kind| {
        let chosen = chains.iter().filter(|c| c.kind == kind && Some(&c.device) == first.as_ref());
        Series::new(kind, chosen.map(|chain| (chain.depth as f64, chain.test)).collect())
    });
    match run.path("depth.svg") {
        Some(path) if chains.iter().any(|chain| !chain.test.is_nan()) => {
            let title = "Chains without skips and normalization";
            line_chart(&path, title, "layers", "test accuracy", &series)
        }
        _ => Ok(()),
    }
}
