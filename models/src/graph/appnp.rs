//! Personalized propagation of predictions.
//!
//! ```text
//! H_0 = X,   H <- (1 - alpha) A H + alpha X,   `steps` times
//! ```
//!
//! # References
//! J. Klicpera, A. Bojchevski, S. Guennemann, *Predict then Propagate: Graph Neural Networks meet
//! Personalized PageRank*, ICLR 2019, Eq. (4).

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use firebrick_ops::sparse::Operator;

/// Settings of [`Appnp`].
#[derive(Config, Debug)]
pub struct AppnpConfig {
    /// Number of steps.
    #[config(default = 10)]
    pub steps: usize,
    /// Probability of going back to the start.
    #[config(default = 0.1)]
    pub alpha: f64,
}

impl AppnpConfig {
    /// Creates the layer, which has no parameters.
    ///
    /// # Panics
    /// If `alpha` is not in `[0, 1]`.
    pub fn init(&self) -> Appnp {
        let alpha = self.alpha;
        assert!((0.0..=1.0).contains(&alpha), "AppnpConfig: alpha must be in [0, 1], got {alpha}");
        Appnp { steps: self.steps, alpha }
    }
}

/// Propagates predictions, as personalized PageRank does.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::AppnpConfig;
/// use firebrick_ops::sparse::{Graph, Normalization};
///
/// let device = Device::flex();
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let operator = Normalization::GCN.unweighted(&graph, &device);
/// let logits = Tensor::<2>::ones([2, 3], &device);
/// let found = AppnpConfig::new().init().forward(&operator, logits.clone());
/// assert!((found - logits).abs().max().into_scalar::<f32>() < 1e-5);
/// ```
///
/// # References
/// J. Klicpera, A. Bojchevski, S. Guennemann, *Predict then Propagate: Graph Neural Networks meet
/// Personalized PageRank*, ICLR 2019, Eq. (4).
#[derive(Module, Debug)]
pub struct Appnp {
    #[module(skip)]
    steps: usize,
    #[module(skip)]
    alpha: f64,
}

impl Appnp {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x, output: `[nodes, columns]`
    ///
    /// # Panics
    /// If the number of rows disagrees.
    pub fn forward(&self, operator: &Operator, x: Tensor<2>) -> Tensor<2> {
        let start = x.clone() * self.alpha;
        (0..self.steps).fold(x, |x, _| operator.apply(x) * (1.0 - self.alpha) + start.clone())
    }
}
