//! A network of parts in sequence.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::branch::Branch;
use super::concatenative::ShuffleBlock;
use super::residual::ResidualBlock;
use crate::classifier::Classifier;
use crate::lipschitz::{Activation, InputNormalization, NormPool2d, UnitRowLinear};
use crate::orthogonal::{OrthogonalLayer, OrthogonalMatrix};

/// The last layer of a network, which decides on its certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastLayer {
    /// A linear layer as the others: two logits differ by at most `sqrt(2)` times the input's change.
    #[default]
    Matrix,
    /// Rows of norm one, [`UnitRowLinear`]: two logits differ by the distance of their rows.
    UnitRows,
}

/// One part of an [`OrthogonalNetwork`].
#[derive(Module, Debug)]
pub enum Part<C: Module, M: Module> {
    /// A convolution.
    Convolution(C),
    /// An activation.
    Activation(Activation),
    /// Pooling.
    Pool(NormPool2d),
    /// A residual block.
    Residual(ResidualBlock<C>),
    /// A block with a concatenative skip.
    Shuffle(ShuffleBlock<C>),
    /// A linear layer on flattened images.
    Matrix(M),
    /// A last layer with rows of norm one.
    UnitRows(UnitRowLinear),
}

/// A layer of a network with weights.
#[derive(Clone, Copy, Debug)]
pub enum LayerRef<'a, C, M> {
    /// A convolution and the size of the images that it sees, `[height, width]`.
    Convolution(&'a C, [usize; 2]),
    /// A linear layer.
    Matrix(&'a M),
    /// A last layer with rows of norm one.
    UnitRows(&'a UnitRowLinear),
}

/// Parts in sequence, from images to logits; made by the configurations of this
/// [module](super) or by a [`NetworkBuilder`](super::NetworkBuilder).
#[derive(Module, Debug)]
pub struct OrthogonalNetwork<C: Module, M: Module> {
    /// What images go through first, if anything.
    pub input: Option<InputNormalization>,
    /// The parts.
    pub parts: Vec<Part<C, M>>,
    #[module(skip)]
    image_shape: [usize; 3],
}

impl<C, M> OrthogonalNetwork<C, M>
where
    C: OrthogonalLayer + ModuleDisplay,
    M: OrthogonalMatrix,
{
    pub(super) fn new(parts: Vec<Part<C, M>>, image_shape: [usize; 3]) -> Self {
        Self { input: None, parts, image_shape }
    }

    /// With a normalization of the images.
    #[must_use]
    pub fn with_input(mut self, input: InputNormalization) -> Self {
        self.input = Some(input);
        self
    }

    /// Channels, height and width of the images it was made for.
    pub fn image_shape(&self) -> [usize; 3] {
        self.image_shape
    }

    /// Applies the network.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]` of the configured shape
    /// - output: `[batch, num_classes]`
    ///
    /// # Panics
    /// If the images have another shape.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let found = images.dims();
        assert!(
            found[1..] == self.image_shape,
            "OrthogonalNetwork: images must have the shape {:?}, got {:?}",
            self.image_shape,
            &found[1..]
        );
        let images = match &self.input {
            Some(input) => input.forward(images),
            None => images,
        };
        let output = self.parts.iter().fold(images, |x, part| match part {
            Part::Convolution(layer) => layer.forward(x),
            Part::Activation(activation) => activation.forward(x),
            Part::Pool(pool) => pool.forward(x),
            Part::Residual(block) => block.forward(x),
            Part::Shuffle(block) => block.forward(x),
            Part::Matrix(layer) => linear(layer, x),
            Part::UnitRows(layer) => linear(layer, x),
        });
        output.flatten(1, 3)
    }

    /// The matrix of the last layer, `[num_classes, features]`, if it has one.
    pub fn last_matrix(&self) -> Option<Tensor<2>> {
        match self.parts.last()? {
            Part::Matrix(layer) => Some(layer.matrix()),
            Part::UnitRows(layer) => Some(layer.matrix()),
            _ => None,
        }
    }

    /// A bound of the network's Lipschitz constant from those of its layers.
    ///
    /// `constant` gives the Lipschitz constant of a layer with weights, and gets its name too; layers in
    /// sequence multiply, an additive skip takes the weighted mean of its branches, a concatenative one
    /// the larger, and everything else has 1.
    pub fn lipschitz_bound(
        &self,
        mut constant: impl FnMut(String, LayerRef<'_, C, M>) -> f64,
    ) -> f64 {
        let [_, height, width] = self.image_shape;
        let mut image = [height, width];
        let mut bound = self.input.as_ref().map_or(1.0, InputNormalization::lipschitz);
        for (index, part) in self.parts.iter().enumerate() {
            let mut of_branch = |name: &str, branch: &Branch<C>| {
                let mut step = 0;
                branch.lipschitz(image, &mut |layer, image| {
                    step += 1;
                    constant(format!("{index}.{name}.{step}"), LayerRef::Convolution(layer, image))
                })
            };
            match part {
                Part::Activation(_) => {}
                Part::Pool(pool) => {
                    let [rows, columns] = pool.kernel_size();
                    image = [image[0] / rows, image[1] / columns];
                }
                Part::Convolution(layer) => {
                    let name = format!("{index}.convolution");
                    bound *= constant(name, LayerRef::Convolution(layer, image));
                    let [rows, columns] = layer.stride();
                    image = [image[0] / rows, image[1] / columns];
                }
                Part::Residual(block) => {
                    let (shortcut, behind) = of_branch("shortcut", &block.shortcut);
                    let (residual, _) = of_branch("residual", &block.residual);
                    let share = block.skip.share();
                    bound *= share * residual + (1.0 - share) * shortcut;
                    image = behind;
                }
                Part::Shuffle(block) => {
                    let (shortcut, behind) = of_branch("shortcut", &block.shortcut);
                    let (residual, _) = of_branch("residual", &block.residual);
                    bound *= shortcut.max(residual);
                    image = behind;
                }
                Part::Matrix(layer) => {
                    bound *= constant(format!("{index}.linear"), LayerRef::Matrix(layer));
                }
                Part::UnitRows(layer) => {
                    bound *= constant(format!("{index}.unit_rows"), LayerRef::UnitRows(layer));
                }
            }
        }
        bound
    }
}

/// A linear layer on flattened images, whose features become channels.
fn linear(layer: &impl OrthogonalMatrix, images: Tensor<4>) -> Tensor<4> {
    let flat: Tensor<2> = images.flatten(1, 3);
    let output = layer.apply(flat);
    let [batch, features] = output.dims();
    output.reshape([batch, features, 1, 1])
}

impl<C, M> Classifier<4> for OrthogonalNetwork<C, M>
where
    C: OrthogonalLayer + ModuleDisplay + 'static,
    M: OrthogonalMatrix + 'static,
{
    fn logits(&self, inputs: Tensor<4>) -> Tensor<2> {
        self.forward(inputs)
    }
}
