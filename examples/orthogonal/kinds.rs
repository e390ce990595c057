//! The kinds of layers, each made for any number of channels and image.

use anyhow::{Result, ensure};
use burn::tensor::Device;
use firebrick::models::orthogonal::alternatives::{
    AocConv2d, AocConv2dConfig, BcopConv2d, BcopConv2dConfig, BjorckLinear, BjorckLinearConfig,
    CayleyConv2d, CayleyConv2dConfig, CayleyLinear, CayleyLinearConfig, HouseholderLinear,
    HouseholderLinearConfig, RkoConv2d, RkoConv2dConfig, SocConv2d, SocConv2dConfig, SvcmConv2d,
    SvcmConv2dConfig,
};
use firebrick::models::orthogonal::{
    Initialization, OrthogonalConv2d, OrthogonalConv2dConfig, OrthogonalConvTranspose2d,
    OrthogonalConvTranspose2dConfig, OrthogonalLinear, OrthogonalLinearConfig, OrthogonalMatrix,
    OrthogonalPadding, Pointwise, orthogonality_report,
};
use firebrick_harness::progress::Progress;
use firebrick_harness::run::Run;

use crate::setup::{self, Layer, Outcome, Promise, Settings};

/// What a layer is made for.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    channels: usize,
    image: [usize; 2],
    seed: u64,
    device: &'a Device,
}

impl Place<'_> {
    /// A convolution whose channels are these multiples of the usual number, with a random start.
    fn scfac(self, multiples: [usize; 2], kernel: usize) -> OrthogonalConv2dConfig {
        let channels = multiples.map(|multiple| multiple * self.channels);
        OrthogonalConv2dConfig::new(channels, [kernel; 2])
            .with_initialization(Initialization::Uniform)
            .with_seed(Some(self.seed))
    }
}

type Measure = Box<dyn Fn(&Run, &Settings, &str, &Device, &Progress) -> Result<Outcome>>;

/// One kind of layer.
pub struct Kind {
    name: &'static str,
    measure: Measure,
}

impl Kind {
    /// A kind from its constructor and, if its kernel can be built alone, the function for that.
    fn new<L: Layer>(
        name: &'static str,
        promise: Promise,
        compact: bool,
        make: fn(Place<'_>) -> L,
        build: Option<fn(&L, [usize; 2])>,
    ) -> Self {
        let measure = move |run: &Run,
                            settings: &Settings,
                            job: &str,
                            device: &Device,
                            progress: &Progress| {
            let device = device.clone().autodiff();
            let seed = settings.seed;
            let place = |channels, image| Place { channels, image, seed, device: &device };
            let large = make(place(settings.channels, settings.image));
            let exactness = orthogonality_report(&large.valid(), settings.image);
            let cost = setup::time(&large, build, settings, &device);
            let small = make(place(settings.network_channels, [8, 8]));
            let (before, after, accuracy, seconds) =
                setup::train(small, run, job, settings, &device, progress)?;
            Ok(Outcome {
                device: String::new(),
                kind: name.into(),
                promise,
                compact,
                exactness,
                before,
                after,
                accuracy,
                seconds,
                cost,
            })
        };
        Self { name, measure: Box::new(measure) }
    }

    /// Measures the kind, or reads what an earlier run has measured.
    pub fn outcome(
        &self,
        run: &Run,
        settings: &Settings,
        device_name: &str,
        device: &Device,
        progress: &Progress,
    ) -> Result<Outcome> {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let job: String = format!("{device_name}-{}", self.name).chars().map(plain).collect();
        let file = format!("{job}/outcome.json");
        if let Some(outcome) = run.read_json(&file)? {
            progress.skip(settings.epochs);
            return Ok(outcome);
        }
        let mut outcome = (self.measure)(run, settings, &job, device, progress)?;
        outcome.device = device_name.into();
        run.write_json(&file, &outcome)?;
        Ok(outcome)
    }
}

/// The kinds that `--only` leaves.
pub fn chosen(settings: &Settings) -> Result<Vec<Kind>> {
    let wanted = |kind: &Kind| {
        let name = kind.name.to_lowercase();
        settings.only.is_empty() || settings.only.iter().any(|part| name.contains(part))
    };
    let known: Vec<&str> = all().iter().map(|kind| kind.name).collect();
    let chosen: Vec<Kind> = all().into_iter().filter(wanted).collect();
    ensure!(
        !chosen.is_empty(),
        "--only: expected parts of the names {known:?}, found {:?}",
        settings.only
    );
    Ok(chosen)
}

fn all() -> Vec<Kind> {
    scfac().into_iter().chain(others()).collect()
}

/// The paper's layers.
fn scfac() -> Vec<Kind> {
    let convolution = |name, make: fn(Place<'_>) -> OrthogonalConv2d| {
        Kind::new(name, Promise::Exact, true, make, Some(|layer, _| drop(layer.kernel())))
    };
    vec![
        convolution("SC-Fac 3x3", |p| p.scfac([1, 1], 3).init(p.device)),
        convolution("SC-Fac 1x1", |p| p.scfac([1, 1], 1).init(p.device)),
        convolution("SC-Fac 6x6, stride 2", |p| {
            p.scfac([1, 4], 6).with_stride([2, 2]).init(p.device)
        }),
        convolution("SC-Fac 3x3, dilation 2", |p| {
            p.scfac([1, 1], 3).with_dilation([2, 2]).init(p.device)
        }),
        convolution("SC-Fac 3x3, 4 groups", |p| p.scfac([1, 1], 3).with_groups(4).init(p.device)),
        convolution("SC-Fac 3x3, wider", |p| p.scfac([1, 2], 3).init(p.device)),
        convolution("SC-Fac 3x3, narrower", |p| p.scfac([2, 1], 3).init(p.device)),
        Kind::new(
            "SC-Fac up 6x6, stride 2",
            Promise::Exact,
            true,
            |p| {
                let channels = [4 * p.channels, p.channels];
                let config = OrthogonalConvTranspose2dConfig::new(channels, [6, 6]);
                config.with_stride([2, 2]).with_seed(Some(p.seed)).init(p.device)
            },
            Some(|layer: &OrthogonalConvTranspose2d, _| drop(layer.kernel())),
        ),
        Kind::new(
            "SC-Fac linear",
            Promise::Exact,
            true,
            |p| {
                let config = OrthogonalLinearConfig::new(p.channels, p.channels);
                Pointwise { linear: config.with_seed(Some(p.seed)).init(p.device) }
            },
            Some(|layer: &Pointwise<OrthogonalLinear>, _| drop(layer.linear.matrix())),
        ),
    ]
}

/// Layers to compare with.
fn others() -> Vec<Kind> {
    use Promise::{Exact, Iteration, Lipschitz, Nothing, Projection, Series};
    vec![
        Kind::new(
            "Cayley convolution",
            Exact,
            false,
            |p| {
                let config = CayleyConv2dConfig::new([p.channels; 2], 3, p.image);
                config.with_seed(Some(p.seed)).init(p.device)
            },
            Some(|layer: &CayleyConv2d, image| drop(layer.transfer(image))),
        ),
        Kind::new(
            "BCOP",
            Iteration,
            true,
            |p| BcopConv2dConfig::new([p.channels; 2], 3).with_seed(Some(p.seed)).init(p.device),
            Some(|layer: &BcopConv2d, _| drop(layer.kernel())),
        ),
        Kind::new(
            "AOC 4x4, stride 2",
            Iteration,
            true,
            |p| {
                let config = AocConv2dConfig::new([p.channels, 4 * p.channels], 4).with_stride(2);
                config.with_seed(Some(p.seed)).init(p.device)
            },
            Some(|layer: &AocConv2d, _| drop(layer.kernel())),
        ),
        Kind::new(
            "SOC",
            Series,
            false,
            |p| {
                let config = SocConv2dConfig::new([p.channels; 2], 3).with_seed(Some(p.seed));
                config.with_padding(OrthogonalPadding::Circular).init(p.device)
            },
            Some(|layer: &SocConv2d, _| drop(layer.kernel())),
        ),
        Kind::new(
            "RKO",
            Lipschitz,
            true,
            |p| RkoConv2dConfig::new([p.channels; 2], 3).with_seed(Some(p.seed)).init(p.device),
            Some(|layer: &RkoConv2d, _| drop(layer.kernel())),
        ),
        Kind::new("SVCM", Projection, true, |p| plain(p).project(p.image, 5), None),
        Kind::new("plain convolution", Nothing, true, plain, None),
        Kind::new(
            "Björck 1x1",
            Iteration,
            true,
            |p| {
                let config = BjorckLinearConfig::new(p.channels, p.channels);
                Pointwise { linear: config.with_seed(Some(p.seed)).init(p.device) }
            },
            Some(|layer: &Pointwise<BjorckLinear>, _| drop(layer.linear.matrix())),
        ),
        Kind::new(
            "Cayley 1x1",
            Exact,
            true,
            |p| {
                let config = CayleyLinearConfig::new(p.channels, p.channels);
                Pointwise { linear: config.with_seed(Some(p.seed)).init(p.device) }
            },
            Some(|layer: &Pointwise<CayleyLinear>, _| drop(layer.linear.matrix())),
        ),
        Kind::new(
            "Householder 1x1",
            Exact,
            true,
            |p| {
                let config = HouseholderLinearConfig::new(p.channels, p.channels);
                Pointwise { linear: config.with_seed(Some(p.seed)).init(p.device) }
            },
            Some(|layer: &Pointwise<HouseholderLinear>, _| drop(layer.linear.matrix())),
        ),
    ]
}

/// A circular convolution that nothing keeps orthogonal.
fn plain(place: Place<'_>) -> SvcmConv2d {
    let config = SvcmConv2dConfig::new([place.channels; 2], 3);
    config.with_seed(Some(place.seed)).init(place.device)
}
