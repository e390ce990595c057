//! Block with a concatenative skip.
//!
//! ```text
//! y = shuffle([h(x_1), f(x_2)])      halves x_1, x_2 of the channels
//! f = conv, act, conv, act;   h = identity, or conv, act where channels or the image change
//! ```
//!
//! # References
//! J. Su, W. Byeon, F. Huang, *Scaling-up Diverse Orthogonal Convolutional Networks by a Paraunitary
//! Framework*, ICML 2022, section 4.

use burn::config::Config;
use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use super::branch::{Branch, BranchBuilder};
use super::layers::Layers;
use super::residual::Downsampling;
use crate::lipschitz::{ActivationKind, concatenative_skip};
use crate::orthogonal::{OrthogonalLayer, OrthogonalMatrix};

/// Settings of [`ShuffleBlock`].
#[derive(Config, Debug)]
pub struct ShuffleBlockConfig {
    /// Channels `[input, output]`; both even.
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
}

const NAME: &str = "ShuffleBlockConfig";

impl ShuffleBlockConfig {
    /// Creates the block for images of this size, `[height, width]`.
    ///
    /// The shortcut takes its layer first, then the residual branch.
    ///
    /// # Panics
    /// If a number is zero, a number of channels is odd, the stride does not divide the image, or the
    /// activation does not fit half of the channels.
    pub fn init<C, M>(&self, layers: &mut Layers<C, M>, image: [usize; 2]) -> ShuffleBlock<C>
    where
        C: OrthogonalLayer + ModuleDisplay,
        M: OrthogonalMatrix,
    {
        let Self { channels, kernel_size: kernel, stride, activation, .. } = *self;
        assert!(
            !channels.contains(&0) && kernel > 0 && stride > 0,
            "{NAME}: channels, kernel_size and stride must be positive, got {channels:?}, {kernel} and \
             {stride}"
        );
        assert!(
            channels.iter().all(|count| count.is_multiple_of(2)),
            "{NAME}: channels must be even to be split in halves, got {channels:?}"
        );
        let [inputs, outputs] = channels.map(|count| count / 2);
        let shortcut = BranchBuilder::new(NAME, layers, inputs, image);
        let shortcut = match (stride, inputs == outputs) {
            (1, true) => shortcut,
            _ => self.downsampling.add(shortcut, outputs, kernel, stride).activation(activation),
        };
        let shortcut = shortcut.finish();
        let residual = BranchBuilder::new(NAME, layers, inputs, image);
        let residual = self.downsampling.add(residual, outputs, kernel, stride);
        let residual = residual.activation(activation).convolution(outputs, kernel, 1);
        ShuffleBlock { shortcut, residual: residual.activation(activation).finish() }
    }
}

/// Two branches on one half of the channels each; see [`ShuffleBlockConfig`].
///
/// Its Jacobian is orthogonal wherever those of the branches are.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use firebrick_models::vision::orthogonal::{Layers, ShuffleBlockConfig};
///
/// let device = Device::flex();
/// let block = ShuffleBlockConfig::new([8, 8]).init(&mut Layers::sc_fac(&device), [4, 4]);
/// let x = Tensor::<4>::random([2, 8, 4, 4], Distribution::Default, &device);
/// let norm = |x: Tensor<4>| x.powi_scalar(2).sum().sqrt().into_scalar::<f32>();
/// assert!((norm(block.forward(x.clone())) / norm(x) - 1.0).abs() < 1e-5);
/// ```
#[derive(Module, Debug)]
pub struct ShuffleBlock<C: Module> {
    /// The branch of the first half.
    pub shortcut: Branch<C>,
    /// The branch of the second half.
    pub residual: Branch<C>,
}

impl<C: OrthogonalLayer + ModuleDisplay> ShuffleBlock<C> {
    /// Applies the block.
    ///
    /// # Shapes
    /// - input: `[batch, in, height, width]`
    /// - output: `[batch, out, height / stride, width / stride]`
    ///
    /// # Panics
    /// If the input has other channels or a size that the stride does not divide.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        concatenative_skip(input, |x| self.shortcut.forward(x), |x| self.residual.forward(x))
    }
}
