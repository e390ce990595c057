//! GraphSAGE: a node's own row and an aggregate of its neighbors, each with its own matrix.
//!
//! ```text
//! Y = agg(X) W_l + b + X W_r,     rows divided by max(||row||, 1e-12) on request
//! ```
//!
//! # References
//! W. Hamilton, R. Ying, J. Leskovec, *Inductive Representation Learning on Large Graphs*, NeurIPS 2017,
//! Algorithm 1.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::{Features, Graph, max_neighbors, mean_neighbors, sum_neighbors};

use super::common::{biased, check_features, check_positive, drop_features, glorot, zeros};

/// What becomes of the rows of the neighbors.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Their mean, 0 for none.
    Mean,
    /// Their largest values, 0 for none.
    Max,
    /// Their sum.
    Sum,
}

impl Aggregation {
    fn apply(self, graph: &Graph, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Mean => mean_neighbors(graph, x),
            Self::Max => max_neighbors(graph, x),
            Self::Sum => sum_neighbors(graph, x),
        }
    }
}

/// Settings of [`SageConv`].
#[derive(Config, Debug)]
pub struct SageConvConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// What becomes of the rows of the neighbors.
    #[config(default = "Aggregation::Mean")]
    pub aggregation: Aggregation,
    /// Whether rows of the output are divided by their length.
    #[config(default = false)]
    pub normalize: bool,
    /// Whether the node's own row takes part.
    #[config(default = true)]
    pub root: bool,
    /// Whether to add a bias, which starts at zero.
    #[config(default = true)]
    pub bias: bool,
}

const NAME: &str = "SageConv";

impl SageConvConfig {
    /// Creates the layer with Glorot's uniform start.
    ///
    /// # Panics
    /// If a number of features is zero.
    pub fn init(&self, device: &Device) -> SageConv {
        let Self { d_input, d_output, .. } = *self;
        check_positive("SageConvConfig", &[("d_input", d_input), ("d_output", d_output)]);
        SageConv {
            neighbor_weight: glorot(d_input, d_output, device),
            root_weight: self.root.then(|| glorot(d_input, d_output, device)),
            bias: self.bias.then(|| zeros(d_output, device)),
            aggregation: self.aggregation,
            normalize: self.normalize,
        }
    }
}

/// GraphSAGE's layer, also for bipartite graphs.
///
/// ```text
/// Y = agg(X_src) W_l + b + X_dst W_r
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::graph::SageConvConfig;
/// use firebrick_ops::sparse::Graph;
///
/// let device = Device::flex();
/// // Two nodes get messages from three.
/// let block = Graph::bipartite(3, 2, &[0, 1, 2], &[0, 0, 1]).unwrap();
/// let layer = SageConvConfig::new(4, 6).init(&device);
/// let x = Tensor::<2>::ones([3, 4], &device);
/// let y = layer.forward_pair(&block, x.clone(), x.slice([0..2, 0..4]));
/// assert_eq!(y.dims(), [2, 6]);
/// ```
///
/// # References
/// W. Hamilton, R. Ying, J. Leskovec, *Inductive Representation Learning on Large Graphs*, NeurIPS 2017,
/// Algorithm 1.
#[derive(Module, Debug)]
pub struct SageConv {
    /// `[d_input, d_output]`
    pub neighbor_weight: Param<Tensor<2>>,
    /// `[d_input, d_output]`
    pub root_weight: Option<Param<Tensor<2>>>,
    /// `[d_output]`
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    aggregation: Aggregation,
    #[module(skip)]
    normalize: bool,
}

impl SageConv {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[nodes, d_input]`, dense or sparse
    /// - output: `[nodes, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, graph: &Graph, x: impl Into<Features>) -> Tensor<2> {
        let x = x.into();
        self.forward_pair(graph, x.clone(), x)
    }

    /// Applies the layer to a bipartite graph, such as the block of a sampled neighborhood.
    ///
    /// # Shapes
    /// - source: `[source_nodes, d_input]`
    /// - target: `[target_nodes, d_input]`
    /// - output: `[target_nodes, d_output]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward_pair(
        &self,
        graph: &Graph,
        source: impl Into<Features>,
        target: impl Into<Features>,
    ) -> Tensor<2> {
        let (source, target) = (source.into(), target.into());
        let weight = self.neighbor_weight.val();
        let [d_input, d_output] = weight.dims();
        check_features(NAME, &source, d_input);
        check_features(NAME, &target, d_input);
        let linear = self.aggregation != Aggregation::Max;
        let neighbors = match source {
            Features::Sparse(source) if linear => {
                self.aggregation.apply(graph, source.matmul(weight))
            }
            Features::Dense(source) if linear && d_output < d_input => {
                self.aggregation.apply(graph, source.matmul(weight))
            }
            source => self.aggregation.apply(graph, source.into_dense()).matmul(weight),
        };
        let output = match &self.root_weight {
            Some(root) => neighbors + target.matmul(root.val()),
            None => neighbors,
        };
        let output = biased(output, &self.bias);
        if !self.normalize {
            return output;
        }
        // The square is clamped, so that the root of 0 has no infinite gradient.
        let square = output.clone().square().sum_dim(1).clamp_min(1e-24);
        output / square.sqrt()
    }
}

/// Settings of [`GraphSage`].
#[derive(Config, Debug)]
pub struct GraphSageConfig {
    /// Widths from the input to the output, at least two.
    pub widths: Vec<usize>,
    /// What becomes of the rows of the neighbors.
    #[config(default = "Aggregation::Mean")]
    pub aggregation: Aggregation,
    /// Probability of dropout before each layer.
    #[config(default = 0.5)]
    pub dropout: f64,
}

impl GraphSageConfig {
    /// Creates the network.
    ///
    /// # Panics
    /// If there are fewer than two widths, one is zero, or the dropout is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> GraphSage {
        assert!(
            self.widths.len() >= 2,
            "GraphSageConfig: widths must be at least two numbers, got {:?}",
            self.widths
        );
        let layer = |pair: &[usize]| {
            SageConvConfig::new(pair[0], pair[1]).with_aggregation(self.aggregation).init(device)
        };
        GraphSage {
            layers: self.widths.windows(2).map(layer).collect(),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

/// GraphSAGE network: dropout and [`SageConv`], layer after layer, with ReLU between them.
///
/// # References
/// W. Hamilton, R. Ying, J. Leskovec, *Inductive Representation Learning on Large Graphs*, NeurIPS 2017.
#[derive(Module, Debug)]
pub struct GraphSage {
    /// The layers.
    pub layers: Vec<SageConv>,
    /// Dropout before each layer.
    pub dropout: Dropout,
}

impl GraphSage {
    /// One row of logits per node. Dropout is on while the weights carry autodiff.
    ///
    /// # Shapes
    /// - x: `[nodes, first width]`, dense or sparse
    /// - output: `[nodes, last width]`
    ///
    /// # Panics
    /// If a shape disagrees.
    pub fn forward(&self, graph: &Graph, x: impl Into<Features>) -> Tensor<2> {
        let layers = 0..self.layers.len();
        layers.fold(x.into(), |x, index| self.layer(index, graph, x).into()).into_dense()
    }

    /// Layer number `index` with the ReLU and the dropout before it, for inference layer by layer.
    ///
    /// # Panics
    /// If there is no such layer or a shape disagrees.
    pub fn layer(&self, index: usize, graph: &Graph, x: impl Into<Features>) -> Tensor<2> {
        let layer = &self.layers[index];
        let x = self.before(index, x.into());
        layer.forward(graph, x)
    }

    /// One row of logits per target of the last of the blocks of a sampled neighborhood, outermost first. The
    /// targets of a block are the first of its sources.
    ///
    /// # Shapes
    /// - x: `[sources of the first block, first width]`
    /// - output: `[targets of the last block, last width]`
    ///
    /// # Panics
    /// If the number of blocks is not that of the layers, or a shape disagrees.
    pub fn forward_blocks(&self, blocks: &[Graph], x: Tensor<2>) -> Tensor<2> {
        assert!(
            blocks.len() == self.layers.len(),
            "GraphSage: there must be one block per layer, {}, got {}",
            self.layers.len(),
            blocks.len()
        );
        let layers = self.layers.iter().zip(blocks).enumerate();
        layers.fold(x, |x, (index, (layer, block))| {
            let x = self.before(index, x.into()).into_dense();
            let columns = x.dims()[1];
            let target = x.clone().slice([0..block.target_nodes(), 0..columns]);
            layer.forward_pair(block, x, target)
        })
    }

    fn before(&self, index: usize, x: Features) -> Features {
        let x = match x {
            Features::Dense(x) if index > 0 => Features::Dense(relu(x)),
            x => x,
        };
        drop_features(&self.dropout, x, &self.layers[index].neighbor_weight)
    }
}
