//! Puts a network together, part by part.

use burn::module::{Module, ModuleDisplay};

use super::concatenative::ShuffleBlockConfig;
use super::layers::{ConvolutionPlace, Layers};
use super::network::{LastLayer, OrthogonalNetwork, Part};
use super::residual::ResidualBlockConfig;
use crate::lipschitz::{ActivationKind, NormPool2dConfig, UnitRowLinearConfig};
use crate::orthogonal::{OrthogonalLayer, OrthogonalMatrix};

/// Puts an [`OrthogonalNetwork`] together and keeps count of channels and image size.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::lipschitz::ActivationKind;
/// use firebrick_models::vision::orthogonal::{LastLayer, Layers, NetworkBuilder};
///
/// let device = Device::flex();
/// let mut layers = Layers::sc_fac(&device);
/// let network = NetworkBuilder::new("two convolutions", &mut layers, [1, 8, 8], ActivationKind::MaxMin)
///     .convolution(8, 3, 1)
///     .activation()
///     .convolution(16, 4, 2)
///     .activation()
///     .pool(2)
///     .classes(10, LastLayer::Matrix);
/// assert_eq!(network.forward(Tensor::ones([3, 1, 8, 8], &device)).dims(), [3, 10]);
/// ```
pub struct NetworkBuilder<'a, C: Module, M: Module> {
    name: &'static str,
    layers: &'a mut Layers<C, M>,
    activation: ActivationKind,
    image_shape: [usize; 3],
    channels: usize,
    image: [usize; 2],
    parts: Vec<Part<C, M>>,
}

impl<'a, C, M> NetworkBuilder<'a, C, M>
where
    C: OrthogonalLayer + ModuleDisplay,
    M: OrthogonalMatrix,
{
    /// A network for images of this shape, `[channels, height, width]`; panics speak in the given name.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn new(
        name: &'static str,
        layers: &'a mut Layers<C, M>,
        image_shape: [usize; 3],
        activation: ActivationKind,
    ) -> Self {
        let [channels, height, width] = image_shape;
        assert!(
            !image_shape.contains(&0),
            "{name}: image_shape must be positive, got {image_shape:?}"
        );
        let (image, parts) = ([height, width], Vec::new());
        Self { name, layers, activation, image_shape, channels, image, parts }
    }

    /// Channels at this place.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width at this place.
    pub fn image(&self) -> [usize; 2] {
        self.image
    }

    /// Adds a convolution.
    ///
    /// # Panics
    /// If a number is zero or the stride does not divide the image.
    #[must_use]
    pub fn convolution(mut self, outputs: usize, kernel_size: usize, stride: usize) -> Self {
        self.check_image("the stride", stride);
        let channels = [self.channels, outputs];
        let place = ConvolutionPlace { channels, kernel_size, stride, image: self.image };
        self.parts.push(Part::Convolution(self.layers.convolution(place)));
        self.channels = outputs;
        self.shrink(stride)
    }

    /// Adds the network's activation.
    ///
    /// # Panics
    /// If it does not fit the channels: odd for pairs, or not a multiple of the groups' size.
    #[must_use]
    pub fn activation(mut self) -> Self {
        let activation = self.activation.init(self.channels, self.layers.options().clone());
        self.parts.push(Part::Activation(activation));
        self
    }

    /// Adds pooling of disjoint windows.
    ///
    /// # Panics
    /// If the window does not divide the image.
    #[must_use]
    pub fn pool(mut self, size: usize) -> Self {
        self.check_image("the pooling window", size);
        self.parts.push(Part::Pool(NormPool2dConfig::new([size; 2]).init()));
        self.shrink(size)
    }

    /// Adds a residual block from the channels at this place.
    ///
    /// # Panics
    /// As [`ResidualBlockConfig::init`], or if the block has other input channels.
    #[must_use]
    pub fn residual(mut self, config: &ResidualBlockConfig) -> Self {
        self.check_channels(config.channels[0]);
        self.parts.push(Part::Residual(config.init(self.layers, self.image)));
        self.channels = config.channels[1];
        self.shrink(config.stride)
    }

    /// Adds a block with a concatenative skip from the channels at this place.
    ///
    /// # Panics
    /// As [`ShuffleBlockConfig::init`], or if the block has other input channels.
    #[must_use]
    pub fn shuffle(mut self, config: &ShuffleBlockConfig) -> Self {
        self.check_channels(config.channels[0]);
        self.parts.push(Part::Shuffle(config.init(self.layers, self.image)));
        self.channels = config.channels[1];
        self.shrink(config.stride)
    }

    /// Adds any other part, made from the layers, with the shape of the images behind it, `[channels,
    /// height, width]`.
    #[must_use]
    pub fn with_layers(
        mut self,
        make: impl FnOnce(&mut Layers<C, M>) -> (Part<C, M>, [usize; 3]),
    ) -> Self {
        let (part, [channels, height, width]) = make(self.layers);
        self.parts.push(part);
        (self.channels, self.image) = (channels, [height, width]);
        self
    }

    /// Flattens the image and adds a linear layer.
    ///
    /// # Panics
    /// If the layer has no outputs.
    #[must_use]
    pub fn linear(mut self, outputs: usize) -> Self {
        let matrix = self.layers.matrix([self.features(), outputs]);
        self.parts.push(Part::Matrix(matrix));
        (self.channels, self.image) = (outputs, [1, 1]);
        self
    }

    /// Features of the flattened image at this place.
    pub fn features(&self) -> usize {
        self.channels * self.image[0] * self.image[1]
    }

    /// Ends the network with a linear layer of one row per class.
    ///
    /// # Panics
    /// If there are no classes.
    pub fn classes(mut self, num_classes: usize, last: LastLayer) -> OrthogonalNetwork<C, M> {
        assert!(num_classes > 0, "{}: num_classes must be positive, got 0", self.name);
        match last {
            LastLayer::Matrix => self = self.linear(num_classes),
            LastLayer::UnitRows => {
                let layer = UnitRowLinearConfig::new(self.features(), num_classes)
                    .with_seed(self.layers.next_seed())
                    .init(self.layers.options().clone());
                self.parts.push(Part::UnitRows(layer));
            }
        }
        OrthogonalNetwork::new(self.parts, self.image_shape)
    }

    fn shrink(mut self, by: usize) -> Self {
        self.image = self.image.map(|size| size / by);
        self
    }

    fn check_channels(&self, found: usize) {
        assert!(
            found == self.channels,
            "{}: the block must have {} input channels, got {found}",
            self.name,
            self.channels
        );
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

/// Blocks per stage of a network of `depth = 6 m + rest` layers.
///
/// # Panics
/// If there is no such `m >= 1`.
pub(super) fn blocks_of(name: &str, depth: usize, rest: usize) -> usize {
    let inner = depth.saturating_sub(rest);
    assert!(
        inner > 0 && inner.is_multiple_of(6),
        "{name}: depth must be 6 m + {rest} with m from 1, got {depth}"
    );
    inner / 6
}
