//! Gradients of single examples, for any module: one backward pass each.

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::GeneralizationError;

/// Computes the gradient of the loss of one example at a time, all float parameters as one vector in
/// the order in which the module visits them. What has no gradient, as running statistics or a
/// parameter that the loss does not reach, counts as zeros.
///
/// One forward and one backward pass per example; a network of linear layers can do better with
/// outer products of activations and deltas, and push those rows into the pools.
///
/// # Example
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use firebrick::generalization::PerExampleGradients;
///
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(2, 1).init(&device);
/// let inputs = [[1.0, 2.0], [3.0, 4.0]];
/// let gradients = PerExampleGradients::new(&model, |model, index| {
///     model.forward(Tensor::<2>::from_data([inputs[index]], &device)).sum()
/// })?;
/// assert_eq!(gradients.gradient(1), [3.0, 4.0, 1.0]); // weights, bias
/// # Ok::<(), firebrick::generalization::GeneralizationError>(())
/// ```
pub struct PerExampleGradients<'a, M, F> {
    model: &'a M,
    loss: F,
}

impl<'a, M, F> PerExampleGradients<'a, M, F>
where
    M: Module,
    F: Fn(&M, usize) -> Tensor<1>,
{
    /// For a model on an autodiff device and the loss `[1]` of the example at an index.
    ///
    /// # Errors
    /// If a module with a training mode is in it, as batch normalization or dropout: the gradient of
    /// one example then depends on the batch or on chance. See [`without_training_flags`].
    pub fn new(model: &'a M, loss: F) -> Result<Self, GeneralizationError> {
        let mut flags = Flags::default();
        model.visit(&mut flags);
        match flags.enabled {
            Some((path, module)) => Err(GeneralizationError::TrainingFlag { path, module }),
            None => Ok(Self { model, loss }),
        }
    }

    /// The gradient at one example, read back to the host.
    pub fn gradient(&self, index: usize) -> Vec<f64> {
        let gradients = (self.loss)(self.model, index).backward();
        let mut collect = Collect {
            gradients: GradientsParams::from_grads(gradients, self.model),
            parts: Vec::new(),
        };
        self.model.visit(&mut collect);
        if collect.parts.is_empty() {
            return Vec::new();
        }
        // One transfer for the whole vector.
        Tensor::cat(collect.parts, 0).into_data().iter::<f64>().collect()
    }
}

struct Collect {
    gradients: GradientsParams,
    parts: Vec<Tensor<1>>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.gradients.remove::<D>(param.id);
        let gradient = gradient.unwrap_or_else(|| param.val().inner().zeros_like());
        let len = gradient.shape().num_elements();
        self.parts.push(gradient.reshape([len]));
    }
}

/// The first training flag that is on.
#[derive(Default)]
struct Flags {
    path: Vec<(String, String)>,
    enabled: Option<(String, String)>,
}

impl ModuleVisitor for Flags {
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        if flag.is_enabled() && self.enabled.is_none() {
            let names: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
            let container = self.path.last().map_or("", |(_, container)| container.as_str());
            let module = container.rsplit(':').next().unwrap_or_default();
            self.enabled = Some((names.join("."), module.to_string()));
        }
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push((name.to_string(), container_type.to_string()));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}

/// The model with all training flags off but its parameters still tracked: batch normalization uses
/// its running statistics and dropout does nothing. The gradients are then those of a slightly
/// different loss than the one trained on, and so is the measured discrepancy.
///
/// # Example
/// ```
/// use burn::nn::DropoutConfig;
/// use firebrick::generalization::without_training_flags;
///
/// let model = without_training_flags(DropoutConfig::new(0.5).init());
/// ```
pub fn without_training_flags<M: Module>(model: M) -> M {
    struct Off;
    impl ModuleMapper for Off {
        fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
            flag.with_value(false)
        }
    }
    model.map(&mut Off)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
    use burn::tensor::{Device, Distribution};

    #[derive(Module, Debug)]
    struct Network {
        first: Linear,
        unused: Linear,
        norm: BatchNorm,
    }

    fn network(device: &Device) -> Network {
        Network {
            first: LinearConfig::new(3, 2).init(device),
            unused: LinearConfig::new(2, 2).init(device),
            norm: BatchNormConfig::new(2).init(device),
        }
    }

    #[test]
    fn a_module_in_training_mode_is_refused_by_name() {
        let network = network(&Device::flex().autodiff());
        let error =
            PerExampleGradients::new(&network, |_, _| unreachable!("not called")).err().unwrap();
        let text = error.to_string();
        assert!(text.starts_with("norm.training: BatchNorm is in training mode"), "{text}");
    }

    #[test]
    fn the_mean_of_the_gradients_is_the_gradient_of_the_mean() {
        let device = Device::flex().autodiff();
        let network = without_training_flags(network(&device));
        let inputs = Tensor::<2>::random([5, 3], Distribution::Default, &device);
        let forward = |network: &Network, inputs| {
            network.norm.forward(network.first.forward(inputs)).square().sum_dim(1).mean()
        };
        let row = |index: usize| inputs.clone().slice([index..index + 1, 0..3]);
        let single =
            PerExampleGradients::new(&network, |network, index| forward(network, row(index)))
                .unwrap();
        let rows: Vec<Vec<f64>> = (0..5).map(|index| single.gradient(index)).collect();
        let whole =
            PerExampleGradients::new(&network, |network, _| forward(network, inputs.clone()))
                .unwrap()
                .gradient(0);
        // 3 x 2 + 2, then 2 x 2 + 2 that the loss does not reach, then scale and shift, then the
        // running mean and variance, which have no gradient.
        assert_eq!(whole.len(), 8 + 6 + 4 + 4);
        for (index, expected) in whole.iter().enumerate() {
            let mean = rows.iter().map(|row| row[index]).sum::<f64>() / 5.0;
            assert!((mean - expected).abs() < 1e-5, "{index}: {mean} {expected}");
        }
        assert!(whole[8..14].iter().chain(&whole[18..]).all(|&value| value == 0.0));
    }
}
