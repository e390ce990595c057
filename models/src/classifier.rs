//! What a training loop needs to know of a classifier.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

/// A network that gives one logit per class, for inputs of `D` dimensions (batch included).
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::classifier::Classifier;
/// use firebrick_models::mlp::MlpConfig;
///
/// fn accuracy_inputs<const D: usize>(network: &impl Classifier<D>, inputs: Tensor<D>) -> usize {
///     network.logits(inputs).argmax(1).dims()[0]
/// }
/// let device = Device::flex();
/// let network = MlpConfig::new(vec![4, 8, 3]).init(&device);
/// assert_eq!(accuracy_inputs(&network, Tensor::<2>::ones([5, 4], &device)), 5);
/// ```
pub trait Classifier<const D: usize>: Module + ModuleDisplay + 'static {
    /// One logit per class.
    ///
    /// # Shapes
    /// - inputs: `[batch, ..]`
    /// - output: `[batch, num_classes]`
    fn logits(&self, inputs: Tensor<D>) -> Tensor<2>;
}
