//! A branch of a block: convolutions, activations and pooling in sequence.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use super::layers::{ConvolutionPlace, Layers};
use crate::lipschitz::{Activation, ActivationKind, NormPool2d, NormPool2dConfig};
use crate::orthogonal::{OrthogonalLayer, OrthogonalMatrix};

/// One step of a [`Branch`].
#[derive(Module, Debug)]
pub enum Step<C: Module> {
    /// A convolution.
    Convolution(C),
    /// An activation.
    Activation(Activation),
    /// Pooling.
    Pool(NormPool2d),
}

/// Steps in sequence; none are the identity.
#[derive(Module, Debug)]
pub struct Branch<C: Module> {
    /// The steps.
    pub steps: Vec<Step<C>>,
}

impl<C: OrthogonalLayer + ModuleDisplay> Branch<C> {
    /// Applies all steps.
    ///
    /// # Shapes
    /// - input: `[batch, channels, height, width]`
    /// - output: `[batch, channels', height', width']`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.steps.iter().fold(input, |x, step| match step {
            Step::Convolution(layer) => layer.forward(x),
            Step::Activation(activation) => activation.forward(x),
            Step::Pool(pool) => pool.forward(x),
        })
    }

    /// The product of what `constant` gives for each convolution, and the size of the image behind them.
    pub(super) fn lipschitz(
        &self,
        mut image: [usize; 2],
        constant: &mut dyn FnMut(&C, [usize; 2]) -> f64,
    ) -> (f64, [usize; 2]) {
        let mut product = 1.0;
        for step in &self.steps {
            let stride = match step {
                Step::Activation(_) => [1, 1],
                Step::Pool(pool) => pool.kernel_size(),
                Step::Convolution(layer) => {
                    product *= constant(layer, image);
                    layer.stride()
                }
            };
            image = [0, 1].map(|axis| image[axis] / stride[axis]);
        }
        (product, image)
    }
}

/// Puts a branch together and knows what comes out of it.
pub(super) struct BranchBuilder<'a, C: Module, M> {
    name: &'static str,
    layers: &'a mut Layers<C, M>,
    channels: usize,
    image: [usize; 2],
    steps: Vec<Step<C>>,
}

impl<'a, C, M> BranchBuilder<'a, C, M>
where
    C: OrthogonalLayer + ModuleDisplay,
    M: OrthogonalMatrix,
{
    /// A branch for images of this many channels and this size, built in the name of a configuration.
    pub fn new(
        name: &'static str,
        layers: &'a mut Layers<C, M>,
        channels: usize,
        image: [usize; 2],
    ) -> Self {
        Self { name, layers, channels, image, steps: Vec::new() }
    }

    pub fn convolution(mut self, outputs: usize, kernel_size: usize, stride: usize) -> Self {
        self.check_image("the stride", stride);
        let channels = [self.channels, outputs];
        let place = ConvolutionPlace { channels, kernel_size, stride, image: self.image };
        self.steps.push(Step::Convolution(self.layers.convolution(place)));
        self.channels = outputs;
        self.shrink(stride)
    }

    pub fn activation(mut self, kind: ActivationKind) -> Self {
        let activation = kind.init(self.channels, self.layers.options().clone());
        self.steps.push(Step::Activation(activation));
        self
    }

    pub fn pool(mut self, size: usize) -> Self {
        self.check_image("the pooling window", size);
        self.steps.push(Step::Pool(NormPool2dConfig::new([size; 2]).init()));
        self.shrink(size)
    }

    pub fn finish(self) -> Branch<C> {
        Branch { steps: self.steps }
    }

    fn shrink(mut self, by: usize) -> Self {
        self.image = self.image.map(|size| size / by);
        self
    }

    fn check_image(&self, what: &str, size: usize) {
        assert!(
            size > 0 && self.image.iter().all(|&length| length > 0 && length.is_multiple_of(size)),
            "{}: {what} {size} must divide the image at its place, got {:?}",
            self.name,
            self.image
        );
    }
}
