//! Residual block with an additive skip.
//!
//! ```text
//! y = act( s f(x) + (1 - s) h(x) ),   s = sigmoid(alpha)
//! f = conv, act, conv;   h = identity, or one convolution where channels or the image change
//! ```
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022, section 4.

use std::str::FromStr;

use burn::config::Config;
use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::branch::{Branch, BranchBuilder};
use super::layers::Layers;
use crate::ModelError;
use crate::lipschitz::{Activation, ActivationKind, AdditiveSkip, AdditiveSkipConfig};
use crate::orthogonal::{OrthogonalLayer, OrthogonalMatrix};

/// How a block makes the image smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Downsampling {
    /// A convolution, then pooling.
    #[default]
    Pool,
    /// A convolution with a stride and a kernel larger by it.
    StrideWide,
    /// A convolution with a stride and a kernel of its size.
    StrideSlim,
}

impl FromStr for Downsampling {
    type Err = ModelError;

    /// Reads `pool`, `stride_wide` and `stride_slim`.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        match name {
            "pool" => Ok(Self::Pool),
            "stride_wide" => Ok(Self::StrideWide),
            "stride_slim" => Ok(Self::StrideSlim),
            _ => Err(ModelError::UnknownName {
                what: "downsampling",
                found: name.into(),
                known: "pool, stride_wide, stride_slim",
            }),
        }
    }
}

impl Downsampling {
    /// Adds the convolution that makes the image smaller by `stride`; 1 leaves a plain convolution.
    pub(super) fn add<'a, C, M>(
        self,
        branch: BranchBuilder<'a, C, M>,
        outputs: usize,
        kernel: usize,
        stride: usize,
    ) -> BranchBuilder<'a, C, M>
    where
        C: OrthogonalLayer + ModuleDisplay,
        M: OrthogonalMatrix,
    {
        match self {
            _ if stride == 1 => branch.convolution(outputs, kernel, 1),
            Self::Pool => branch.convolution(outputs, kernel, 1).pool(stride),
            Self::StrideWide => branch.convolution(outputs, kernel * stride, stride),
            Self::StrideSlim => branch.convolution(outputs, stride, stride),
        }
    }
}

/// Settings of [`ResidualBlock`].
#[derive(Config, Debug)]
pub struct ResidualBlockConfig {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the kernels.
    #[config(default = 3)]
    pub kernel_size: usize,
    /// How much smaller the image gets.
    #[config(default = 1)]
    pub stride: usize,
    /// How it gets smaller.
    #[config(default = "Downsampling::Pool")]
    pub downsampling: Downsampling,
    /// The activation.
    #[config(default = "ActivationKind::MaxMin")]
    pub activation: ActivationKind,
    /// Whether activations stand before the convolutions of the residual branch, and none at the end.
    #[config(default = false)]
    pub activation_first: bool,
}

const NAME: &str = "ResidualBlockConfig";

impl ResidualBlockConfig {
    /// Creates the block for images of this size, `[height, width]`.
    ///
    /// The shortcut takes its layer first, then the residual branch.
    ///
    /// # Panics
    /// If a number is zero, the stride does not divide the image, or the activation does not fit the
    /// channels.
    pub fn init<C, M>(&self, layers: &mut Layers<C, M>, image: [usize; 2]) -> ResidualBlock<C>
    where
        C: OrthogonalLayer + ModuleDisplay,
        M: OrthogonalMatrix,
    {
        let Self { channels: [inputs, outputs], kernel_size: kernel, stride, .. } = *self;
        let numbers = [inputs, outputs, kernel, stride];
        assert!(
            !numbers.contains(&0),
            "{NAME}: channels, kernel_size and stride must be positive, got {numbers:?}"
        );
        let shortcut = BranchBuilder::new(NAME, layers, inputs, image);
        let shortcut = match (stride, inputs == outputs) {
            (1, true) => shortcut,
            _ => self.downsampling.add(shortcut, outputs, kernel, stride),
        };
        let shortcut = shortcut.finish();
        let mut residual = BranchBuilder::new(NAME, layers, inputs, image);
        if self.activation_first {
            residual = residual.activation(self.activation);
        }
        let residual = self.downsampling.add(residual, outputs, kernel, stride);
        let residual =
            residual.activation(self.activation).convolution(outputs, kernel, 1).finish();
        let options = layers.options();
        let output =
            (!self.activation_first).then(|| self.activation.init(outputs, options.clone()));
        let skip = AdditiveSkipConfig::new().init(options.clone());
        ResidualBlock { shortcut, residual, skip, output }
    }
}

/// Two branches joined by an additive skip; see [`ResidualBlockConfig`].
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::vision::orthogonal::{Layers, ResidualBlockConfig};
///
/// let device = Device::flex();
/// let config = ResidualBlockConfig::new([4, 8]).with_stride(2);
/// let block = config.init(&mut Layers::sc_fac(&device), [6, 6]);
/// assert_eq!(block.forward(Tensor::ones([1, 4, 6, 6], &device)).dims(), [1, 8, 3, 3]);
/// ```
#[derive(Module, Debug)]
pub struct ResidualBlock<C: Module> {
    /// The shortcut `h`.
    pub shortcut: Branch<C>,
    /// The residual branch `f`.
    pub residual: Branch<C>,
    /// Their weights.
    pub skip: AdditiveSkip,
    /// The activation at the end, if there is one.
    pub output: Option<Activation>,
}

impl<C: OrthogonalLayer + ModuleDisplay> ResidualBlock<C> {
    /// Applies the block.
    ///
    /// # Shapes
    /// - input: `[batch, in, height, width]`
    /// - output: `[batch, out, height / stride, width / stride]`
    ///
    /// # Panics
    /// If the input has other channels or a size that the stride does not divide.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let shortcut = self.shortcut.forward(input.clone());
        let joined = self.skip.merge(self.residual.forward(input), shortcut);
        match &self.output {
            Some(activation) => activation.forward(joined),
            None => joined,
        }
    }
}
