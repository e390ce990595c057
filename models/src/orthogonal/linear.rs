//! Orthogonal linear layer.
//!
//! ```text
//! y = W x + b,   W^T W = I (out >= in) or W W^T = I (out <= in)
//! ```
//!
//! The higher of `W` and `W^T` is the first columns of `B exp(L - L^T)`, with free parameters `L` and a
//! fixed orthogonal `B`. A thin matrix costs a small exponential only.
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022; M. Lezcano-Casado, *Trivializations for Gradient-Based Optimization on
//! Manifolds*, NeurIPS 2019.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Tensor, TensorCreationOptions, TensorData};
use firebrick_ops::orthogonal::{HostMatrix, haar, shuffled, torus};
use firebrick_ops::skew::Retraction;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::base::FixedBase;
use super::cache::KernelCache;
use super::filter::working;
use super::parameters::{self, ImportLayout, ParameterTable};
use super::{Initialization, bias};
use crate::ModelError;
use crate::seed::drawn_seed;

/// Settings of [`OrthogonalLinear`].
#[derive(Config, Debug)]
pub struct OrthogonalLinearConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Whether to add a bias, which starts at zero.
    #[config(default = false)]
    pub bias: bool,
    /// From free parameters to orthogonal matrices.
    #[config(default = "Retraction::Exponential")]
    pub retraction: Retraction,
    /// The start; `Auto` is `Uniform`. `Identity`, `Reverse` and `Permutation` connect each feature of
    /// the smaller side to a random one of the larger: in order, in reverse order, in any order. `Torus`
    /// is for square matrices.
    #[config(default = "Initialization::Auto")]
    pub initialization: Initialization,
    /// Seed of the start; by default it is drawn from the device, as Burn's layers do.
    pub seed: Option<u64>,
}

const NAME: &str = "OrthogonalLinear";

impl OrthogonalLinearConfig {
    /// Creates the layer on a device, or with a device and a float type, `(&device, DType::F64)`.
    ///
    /// # Panics
    /// If a number of features is zero, or the start is `Torus` and the matrix is not square.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> OrthogonalLinear {
        let options = options.into();
        let Self { d_input, d_output, .. } = *self;
        assert!(
            d_input > 0 && d_output > 0,
            "OrthogonalLinearConfig: d_input and d_output must be positive, got {d_input} and {d_output}"
        );
        assert!(
            self.initialization != Initialization::Torus || d_input == d_output,
            "OrthogonalLinearConfig: Torus initialization needs a square matrix, got d_input {d_input} \
             and d_output {d_output}"
        );
        let (long, short) = (d_input.max(d_output), d_input.min(d_output));
        let seed = self.seed.unwrap_or_else(|| drawn_seed(&options));
        let base = self.start(long, short, &mut ChaCha8Rng::seed_from_u64(seed));
        OrthogonalLinear {
            free: Param::from_tensor(Tensor::zeros([1, long, short], options.clone())),
            base: FixedBase::new(one(&base, &options)),
            bias: self.bias.then(|| bias::zeros(d_output, &options)),
            cache: KernelCache::default(),
            retraction: self.retraction,
            features: [d_input, d_output],
        }
    }

    fn start(&self, long: usize, short: usize, rng: &mut impl Rng) -> HostMatrix {
        let mut order = match self.initialization {
            Initialization::Auto | Initialization::Uniform => return haar(long, rng),
            Initialization::Torus => return torus(long, rng),
            _ => shuffled(long, rng),
        };
        let chosen = &mut order[..short];
        match self.initialization {
            Initialization::Identity => chosen.sort_unstable(),
            Initialization::Reverse => chosen.sort_unstable_by(|a, b| b.cmp(a)),
            _ => {}
        }
        HostMatrix::from_fn(long, long, |i, j| f64::from(u8::from(order[j] == i)))
    }
}

/// Orthogonal linear layer.
///
/// ```text
/// y = W x + b,   W^T W = I (out >= in) or W W^T = I (out <= in)
/// ```
///
/// The higher of `W` and `W^T` is the first columns of `B exp(L - L^T)`, with free parameters `L` and a
/// fixed orthogonal `B`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use firebrick_models::orthogonal::OrthogonalLinearConfig;
///
/// let device = Device::flex();
/// let layer = OrthogonalLinearConfig::new(3, 5).init(&device);
/// let input = Tensor::<2>::random([4, 3], Distribution::Default, &device);
/// let back = layer.inverse(layer.forward(input.clone()));
/// assert!((back - input).abs().max().into_scalar::<f32>() < 1e-5);
/// ```
///
/// # Notes
/// Weight decay must be off for the free parameters: it would pull them to their base.
///
/// # References
/// J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
/// Framework*, ICML 2022, section 3.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct OrthogonalLinear {
    /// Free parameters, `[1, long, short]`: the longer and the shorter side of the matrix.
    free: Param<Tensor<3>>,
    /// Fixed base, `[1, long, long]`.
    base: FixedBase,
    /// Bias, `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
    cache: KernelCache,
    #[module(skip)]
    retraction: Retraction,
    #[module(skip)]
    pub(super) features: [usize; 2],
}

impl OrthogonalLinear {
    /// Applies the layer to the last axis.
    ///
    /// # Shapes
    /// - input: `[.., d_input]`, at least two axes
    /// - output: `[.., d_output]`
    ///
    /// # Panics
    /// If the last axis is not `d_input`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.forward_with(self.weight(), input)
    }

    /// As [`forward`](Self::forward) with a matrix from [`weight`](Self::weight).
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with<const D: usize>(&self, weight: Tensor<2>, input: Tensor<D>) -> Tensor<D> {
        check_last("input", &input, self.features[0]);
        let output = input.matmul(weight.transpose().unsqueeze());
        match &self.bias {
            Some(bias) => output + bias.val().unsqueeze(),
            None => output,
        }
    }

    /// The matrix, `[d_output, d_input]`; composed and kept as a convolution's kernel is.
    pub fn weight(&self) -> Tensor<2> {
        let trained = self.free.val().is_require_grad();
        let kernel = self.cache.get(!trained, || self.compose());
        kernel.squeeze_dim::<3>(0).squeeze_dim(0)
    }

    fn compose(&self) -> Tensor<4> {
        let dtype = self.free.val().dtype();
        let free = working(self.free.val());
        let base = self.base.exact(free.dtype());
        let columns = base.matmul(self.retraction.columns(free));
        let [inputs, outputs] = self.features;
        let weight = if outputs < inputs { columns.transpose() } else { columns };
        let weight = if weight.dtype() == dtype { weight } else { weight.cast(dtype) };
        weight.unsqueeze()
    }

    /// The adjoint `W^T (y - b)`.
    ///
    /// # Shapes
    /// - output: `[.., d_output]`
    /// - result: `[.., d_input]`
    ///
    /// # Panics
    /// If the last axis is not `d_output`.
    pub fn adjoint<const D: usize>(&self, output: Tensor<D>) -> Tensor<D> {
        check_last("output", &output, self.features[1]);
        let output = match &self.bias {
            Some(bias) => output - bias.val().unsqueeze(),
            None => output,
        };
        output.matmul(self.weight().unsqueeze())
    }

    /// The input that gives this output: the adjoint, where the layer keeps norms.
    ///
    /// # Panics
    /// If there is no inverse because `d_output` is below `d_input`, or the last axis is not `d_output`.
    pub fn inverse<const D: usize>(&self, output: Tensor<D>) -> Tensor<D> {
        let [inputs, outputs] = self.features;
        assert!(
            outputs >= inputs,
            "{NAME}: there is no inverse with {outputs} output features below {inputs} input \
             features; use adjoint, the right inverse"
        );
        self.adjoint(output)
    }

    /// A plain linear layer of Burn with the composed matrix.
    pub fn to_linear(&self) -> Linear {
        let weight = self.weight().detach();
        let [inputs, outputs] = self.features;
        let mut plain = LinearConfig::new(inputs, outputs).with_bias(false).init(&weight.device());
        plain.weight = Param::from_tensor(weight.transpose());
        plain.bias = self.bias.as_ref().map(|bias| Param::from_tensor(bias.val().detach()));
        plain
    }

    /// How many times the matrix was composed; in evaluation it is composed once.
    pub fn compositions(&self) -> usize {
        self.cache.compositions()
    }

    /// Free parameters, `[1, long, short]` with the longer and the shorter side of the matrix.
    pub fn free(&self) -> &Param<Tensor<3>> {
        &self.free
    }

    /// `q.skew` and `q.base` by the authors' names; a wide matrix's free parameters stand transposed,
    /// as in their layer.
    pub fn export(&self) -> ParameterTable {
        let host = |tensor: Tensor<3>| {
            let [_, rows, columns] = tensor.dims();
            HostMatrix::new(rows, columns, tensor.into_data().iter::<f64>().collect())
        };
        let (mut free, base) = (host(self.free.val()), host(self.base.stored()));
        if self.features[1] < self.features[0] {
            free = free.transpose();
        }
        let mut table = ParameterTable::new();
        for (name, matrix) in [("q.skew", free), ("q.base", base)] {
            let [rows, columns] = matrix.shape();
            table.insert(name, rows, columns, matrix.values().to_vec());
        }
        table
    }

    /// With `q.skew` and `q.base`, or with `q.matrix`, from a table; those of a wide matrix have the shape
    /// `[d_output, d_input]` too.
    ///
    /// # Errors
    /// As [`OrthogonalConv2d::import`](super::OrthogonalConv2d::import).
    pub fn import(self, table: &ParameterTable, layout: &ImportLayout) -> Result<Self, ModelError> {
        let [inputs, outputs] = self.features;
        let shape = [inputs.max(outputs), inputs.min(outputs)];
        let name = format!("{}q", layout.prefix);
        let table = match outputs < inputs {
            true => table.turned(&[format!("{name}.skew"), format!("{name}.matrix")]),
            false => table.clone(),
        };
        let (free, base) = parameters::read(&table, layout, &name, shape)?;
        let like = |old: &Tensor<3>, matrix: &HostMatrix| {
            let options = TensorCreationOptions::from((&old.device(), old.dtype()));
            one(matrix, &options).set_require_grad(old.is_require_grad())
        };
        Ok(Self {
            free: self.free.map(|old| like(&old, &free)),
            base: self.base.replaced(|old| like(old, &base)),
            cache: self.cache.emptied(),
            ..self
        })
    }
}

fn one(matrix: &HostMatrix, options: &TensorCreationOptions) -> Tensor<3> {
    let [rows, columns] = matrix.shape();
    let data = TensorData::new(matrix.values().to_vec(), [1, rows, columns]);
    Tensor::from_data(data, options.clone())
}

fn check_last<const D: usize>(what: &str, tensor: &Tensor<D>, expected: usize) {
    let found = tensor.dims()[D - 1];
    assert!(
        found == expected,
        "{NAME}: {what} must have {expected} features on its last axis, got {found}"
    );
}

impl ModuleDisplay for OrthogonalLinear {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add("d_input", &self.features[0])
            .add("d_output", &self.features[1])
            .add("bias", &self.bias.is_some())
            .optional()
    }
}
