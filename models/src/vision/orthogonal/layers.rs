//! Where a network's layers come from.

use burn::config::Config;
use burn::tensor::TensorCreationOptions;
use firebrick_ops::skew::Retraction;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::orthogonal::alternatives::{
    AocConv2d, AocConv2dConfig, BcopConv2d, BcopConv2dConfig, BjorckLinear, BjorckLinearConfig,
    CayleyConv2d, CayleyConv2dConfig, CayleyLinear, CayleyLinearConfig, PlainConv2d,
    PlainConv2dConfig, PlainLinear, PlainLinearConfig, PlainStart, RkoConv2d, RkoConv2dConfig,
    SocConv2d, SocConv2dConfig, Unshuffled,
};
use crate::orthogonal::{
    Initialization, OrthogonalConv2d, OrthogonalConv2dConfig, OrthogonalLayer, OrthogonalLinear,
    OrthogonalLinearConfig, OrthogonalMatrix,
};

/// What a convolution is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionPlace {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernel; a multiple of the stride.
    pub kernel_size: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Height and width of the images that come.
    pub image: [usize; 2],
}

impl ConvolutionPlace {
    /// Channels and kernel of a layer without a stride behind [`Unshuffled`].
    fn emulated(&self) -> ([usize; 2], usize) {
        let [inputs, outputs] = self.channels;
        ([inputs * self.stride * self.stride, outputs], self.kernel_size / self.stride)
    }
}

/// Settings of the SC-Fac layers of a network.
#[derive(Config, Debug)]
pub struct ScFacOptions {
    /// Start of the convolutions; linear layers start uniformly.
    #[config(default = "Initialization::Auto")]
    pub initialization: Initialization,
    /// From free parameters to orthogonal matrices.
    #[config(default = "Retraction::Exponential")]
    pub retraction: Retraction,
    /// Whether layers have a bias.
    #[config(default = false)]
    pub bias: bool,
}

type MakeConvolution<C> =
    Box<dyn FnMut(ConvolutionPlace, Option<u64>, &TensorCreationOptions) -> C>;
type MakeMatrix<M> = Box<dyn FnMut([usize; 2], Option<u64>, &TensorCreationOptions) -> M>;

/// Supplies the convolutions `C` and linear layers `M` of a network, one after the other.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_models::vision::orthogonal::{Layers, OrthogonalCnnConfig};
///
/// let device = Device::flex();
/// let config = OrthogonalCnnConfig::new(10).with_image_shape([1, 8, 8]);
/// let sc_fac = config.init_with(&mut Layers::sc_fac(&device).with_seed(0));
/// let bcop = config.init_with(&mut Layers::bcop(&device).with_seed(0));
/// ```
pub struct Layers<C, M> {
    options: TensorCreationOptions,
    seeds: Option<ChaCha8Rng>,
    convolution: MakeConvolution<C>,
    matrix: MakeMatrix<M>,
}

impl<C: OrthogonalLayer, M: OrthogonalMatrix> Layers<C, M> {
    /// Layers from functions of their place (features `[input, output]` for linear layers), a seed if one
    /// was set, and the device with a float type.
    pub fn new(
        options: impl Into<TensorCreationOptions>,
        convolution: impl FnMut(ConvolutionPlace, Option<u64>, &TensorCreationOptions) -> C + 'static,
        matrix: impl FnMut([usize; 2], Option<u64>, &TensorCreationOptions) -> M + 'static,
    ) -> Self {
        Self {
            options: options.into(),
            seeds: None,
            convolution: Box::new(convolution),
            matrix: Box::new(matrix),
        }
    }

    /// Makes the start of every layer a function of this seed and its place in the network.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seeds = Some(ChaCha8Rng::seed_from_u64(seed));
        self
    }

    /// The next convolution.
    pub fn convolution(&mut self, place: ConvolutionPlace) -> C {
        let seed = self.next_seed();
        (self.convolution)(place, seed, &self.options)
    }

    /// The next linear layer.
    pub fn matrix(&mut self, features: [usize; 2]) -> M {
        let seed = self.next_seed();
        (self.matrix)(features, seed, &self.options)
    }

    /// A seed for a layer, if one was set.
    pub fn next_seed(&mut self) -> Option<u64> {
        self.seeds.as_mut().map(|rng| rng.random())
    }

    /// The device with a float type.
    pub fn options(&self) -> &TensorCreationOptions {
        &self.options
    }
}

impl Layers<OrthogonalConv2d, OrthogonalLinear> {
    /// SC-Fac layers with the defaults of their configurations.
    pub fn sc_fac(options: impl Into<TensorCreationOptions>) -> Self {
        Self::sc_fac_with(options, &ScFacOptions::new())
    }

    /// SC-Fac layers.
    pub fn sc_fac_with(options: impl Into<TensorCreationOptions>, settings: &ScFacOptions) -> Self {
        let ScFacOptions { initialization, retraction, bias } = *settings;
        let convolution = move |place: ConvolutionPlace, seed, options: &TensorCreationOptions| {
            // The starts as a single tap need an odd number of taps.
            let single = !(place.kernel_size / place.stride).is_multiple_of(2);
            let start = if single { initialization } else { Initialization::Uniform };
            OrthogonalConv2dConfig::new(place.channels, [place.kernel_size; 2])
                .with_stride([place.stride; 2])
                .with_initialization(start)
                .with_retraction(retraction)
                .with_bias(bias)
                .with_seed(seed)
                .init(options.clone())
        };
        let matrix = move |[inputs, outputs]: [usize; 2], seed, options: &TensorCreationOptions| {
            OrthogonalLinearConfig::new(inputs, outputs)
                .with_retraction(retraction)
                .with_bias(bias)
                .with_seed(seed)
                .init(options.clone())
        };
        Self::new(options, convolution, matrix)
    }
}

impl Layers<PlainConv2d, PlainLinear> {
    /// Layers that nothing keeps orthogonal, with the start of Burn's own.
    pub fn plain(options: impl Into<TensorCreationOptions>) -> Self {
        Self::plain_with(options, PlainStart::Uniform, false)
    }

    /// Layers that nothing keeps orthogonal.
    pub fn plain_with(
        options: impl Into<TensorCreationOptions>,
        start: PlainStart,
        bias: bool,
    ) -> Self {
        let convolution = move |place: ConvolutionPlace, seed, options: &TensorCreationOptions| {
            PlainConv2dConfig::new(place.channels, place.kernel_size)
                .with_stride(place.stride)
                .with_start(start)
                .with_bias(bias)
                .with_seed(seed)
                .init(options.clone())
        };
        let matrix = move |[inputs, outputs]: [usize; 2], seed, options: &TensorCreationOptions| {
            PlainLinearConfig::new(inputs, outputs)
                .with_start(start)
                .with_bias(bias)
                .with_seed(seed)
                .init(options.clone())
        };
        Self::new(options, convolution, matrix)
    }
}

impl Layers<Unshuffled<CayleyConv2d>, CayleyLinear> {
    /// Cayley layers; strides turn pixels into channels first.
    pub fn cayley(options: impl Into<TensorCreationOptions>) -> Self {
        let convolution = |place: ConvolutionPlace, seed, options: &TensorCreationOptions| {
            let (channels, kernel) = place.emulated();
            let image = place.image.map(|size| size / place.stride);
            let layer = CayleyConv2dConfig::new(channels, kernel, image).with_seed(seed);
            Unshuffled::new(layer.init(options.clone()), place.stride)
        };
        Self::new(options, convolution, |[inputs, outputs], seed, options| {
            CayleyLinearConfig::new(inputs, outputs).with_seed(seed).init(options.clone())
        })
    }
}

impl Layers<Unshuffled<BcopConv2d>, BjorckLinear> {
    /// BCOP convolutions and Björck linear layers; strides turn pixels into channels first.
    pub fn bcop(options: impl Into<TensorCreationOptions>) -> Self {
        let convolution = |place: ConvolutionPlace, seed, options: &TensorCreationOptions| {
            let (channels, kernel) = place.emulated();
            let layer = BcopConv2dConfig::new(channels, kernel).with_seed(seed);
            Unshuffled::new(layer.init(options.clone()), place.stride)
        };
        Self::new(options, convolution, bjorck)
    }
}

impl Layers<Unshuffled<SocConv2d>, BjorckLinear> {
    /// SOC convolutions with circular padding and Björck linear layers; strides turn pixels into channels
    /// first, and even kernels lose one tap.
    pub fn soc(options: impl Into<TensorCreationOptions>) -> Self {
        let convolution = |place: ConvolutionPlace, seed, options: &TensorCreationOptions| {
            let (channels, kernel) = place.emulated();
            let kernel = kernel - usize::from(kernel.is_multiple_of(2));
            let layer = SocConv2dConfig::new(channels, kernel)
                .with_padding(crate::orthogonal::OrthogonalPadding::Circular)
                .with_seed(seed);
            Unshuffled::new(layer.init(options.clone()), place.stride)
        };
        Self::new(options, convolution, bjorck)
    }
}

impl Layers<AocConv2d, BjorckLinear> {
    /// AOC convolutions and Björck linear layers.
    pub fn aoc(options: impl Into<TensorCreationOptions>) -> Self {
        let convolution = |place: ConvolutionPlace, seed, options: &TensorCreationOptions| {
            AocConv2dConfig::new(place.channels, place.kernel_size)
                .with_stride(place.stride)
                .with_seed(seed)
                .init(options.clone())
        };
        Self::new(options, convolution, bjorck)
    }
}

impl Layers<RkoConv2d, BjorckLinear> {
    /// RKO convolutions, 1-Lipschitz but not orthogonal, and Björck linear layers.
    pub fn rko(options: impl Into<TensorCreationOptions>) -> Self {
        let convolution = |place: ConvolutionPlace, seed, options: &TensorCreationOptions| {
            RkoConv2dConfig::new(place.channels, place.kernel_size)
                .with_stride(place.stride)
                .with_seed(seed)
                .init(options.clone())
        };
        Self::new(options, convolution, bjorck)
    }
}

fn bjorck(
    [inputs, outputs]: [usize; 2],
    seed: Option<u64>,
    options: &TensorCreationOptions,
) -> BjorckLinear {
    BjorckLinearConfig::new(inputs, outputs).with_seed(seed).init(options.clone())
}
