//! Normalization of edge weights by degrees.
//!
//! ```text
//! deg[i] = sum over e with d[e] = i of w[e],     r = deg^(-1/2), 0 where deg is 0
//! symmetric: w'[e] = r[s] w[e] r[d]              row: w'[e] = w[e] / deg[d]
//! with the degrees of entries that leave a node: row: w'[e] = w[e] / deg[s]
//! ```
//!
//! # References
//! T. Kipf, M. Welling, *Semi-Supervised Classification with Graph Convolutional Networks*, ICLR 2017,
//! Eq. (2).

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use super::error::GraphError;
use super::graph::Graph;
use super::loops::SelfLoops;
use super::operator::Operator;
use super::segment::{gather_sources, gather_targets, segment_sum};

/// By what weights are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// Nothing.
    None,
    /// The degree of the target, or of the source where degrees count the entries that leave a node.
    Row,
    /// The square roots of both ends' degrees.
    Symmetric,
}

/// Which entries make a degree; it matters for directed graphs only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degree {
    /// Those that enter the node.
    In,
    /// Those that leave it.
    Out,
}

/// How the operator of a graph is made from its weights.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick_ops::sparse::{Graph, Normalization};
///
/// let graph = Graph::from_entries(2, &[0, 1], &[1, 0]).unwrap();
/// let operator = Normalization::GCN.unweighted(&graph, &Device::flex());
/// // Both nodes have degree 2 with their self loop.
/// let values = operator.values().unwrap().to_data().try_to_vec::<f32>().unwrap();
/// assert!(values.iter().all(|value| (value - 0.5).abs() < 1e-6) && values.len() == 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// By what weights are divided.
    pub scaling: Scaling,
    /// What becomes of self loops before.
    pub self_loops: SelfLoops,
    /// Which entries make a degree.
    pub degree: Degree,
}

impl Normalization {
    /// Kipf and Welling's: missing self loops of weight 1, symmetric.
    pub const GCN: Self =
        Self { scaling: Scaling::Symmetric, self_loops: SelfLoops::Add(1.0), degree: Degree::In };
    /// The same with self loops of weight 2.
    pub const IMPROVED: Self = Self { self_loops: SelfLoops::Add(2.0), ..Self::GCN };
    /// Without self loops, by the degrees over entries that leave a node.
    pub const CHEBYSHEV: Self =
        Self { scaling: Scaling::Symmetric, self_loops: SelfLoops::Remove, degree: Degree::Out };
    /// Weights as they are.
    pub const NONE: Self =
        Self { scaling: Scaling::None, self_loops: SelfLoops::Keep, degree: Degree::In };
    /// The mean over entries that enter a node.
    pub const MEAN: Self = Self { scaling: Scaling::Row, ..Self::NONE };
    /// Weights divided by those that leave the source; the transposed operator is the mean over entries that
    /// leave a node, one step of a random walk.
    pub const RANDOM_WALK: Self = Self { degree: Degree::Out, ..Self::MEAN };

    /// The operator of a graph whose entries all have weight 1, on a device or with a device and a float
    /// type; computed on the host in 64 bits.
    ///
    /// # Panics
    /// If self loops are to be added or removed and the graph is bipartite, or they have a negative
    /// weight that makes a degree negative.
    pub fn unweighted(&self, graph: &Graph, options: impl Into<TensorCreationOptions>) -> Operator {
        match self.host(graph, None, options.into()) {
            Ok(operator) => operator,
            Err(error) => panic!("Normalization: {error}"),
        }
    }

    /// The operator of a graph with given weights, which are constants; computed on the host in 64 bits.
    ///
    /// # Errors
    /// If the number of weights is not that of the entries, a weight is NaN or infinite, a degree is
    /// negative under symmetric scaling, or self loops are to be added or removed in a bipartite graph.
    pub fn weighted(
        &self,
        graph: &Graph,
        weights: &[f64],
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Operator, GraphError> {
        graph.check_values("weights", weights)?;
        self.host(graph, Some(weights), options.into())
    }

    /// The operator of a graph with weights that may be trained: gradients reach them through the degrees
    /// as well. Symmetric scaling reads the smallest degree on the host.
    ///
    /// # Shapes
    /// - weights: `[entries]`
    ///
    /// # Panics
    /// If the number of weights is not that of the entries, a degree is negative or NaN under symmetric
    /// scaling, or self loops are to be added or removed in a bipartite graph.
    pub fn differentiable(&self, graph: &Graph, weights: Tensor<1>) -> Operator {
        assert!(
            weights.dims()[0] == graph.entries(),
            "Normalization: there must be one weight per entry, {}, got {}",
            graph.entries(),
            weights.dims()[0]
        );
        let (graph, weights) = self.looped_tensor(graph, weights.unsqueeze_dim(1));
        let scaled = match self.scaling {
            Scaling::None => weights,
            _ if graph.entries() == 0 => weights,
            Scaling::Row => {
                let inverse = inverse(self.degrees(&graph, &weights), |x| x.recip());
                weights
                    * match self.degree {
                        Degree::In => gather_targets(&graph, inverse),
                        Degree::Out => gather_sources(&graph, inverse),
                    }
            }
            Scaling::Symmetric => {
                let degree = self.degrees(&graph, &weights);
                let least = degree.clone().detach().min().into_scalar::<f64>();
                assert!(
                    least >= 0.0,
                    "Normalization: symmetric scaling needs degrees of at least 0, got {least}"
                );
                let root = inverse(degree, |x| x.sqrt().recip());
                gather_sources(&graph, root.clone()) * weights * gather_targets(&graph, root)
            }
        };
        Operator::new(graph, Some(scaled.squeeze_dim(1)))
    }

    fn degrees(&self, graph: &Graph, weights: &Tensor<2>) -> Tensor<2> {
        match self.degree {
            Degree::In => segment_sum(graph, weights.clone()),
            Degree::Out => segment_sum(&graph.transposed(), weights.clone()),
        }
    }

    fn looped_tensor(&self, graph: &Graph, weights: Tensor<2>) -> (Graph, Tensor<2>) {
        let looped = || match graph.with_self_loops() {
            Ok(looped) => looped,
            Err(error) => panic!("Normalization: {error}"),
        };
        match self.self_loops {
            SelfLoops::Keep => (graph.clone(), weights),
            SelfLoops::Remove => (looped().without().clone(), looped().leave_out(weights)),
            SelfLoops::Add(fill) => {
                let options = (&weights.device(), weights.dtype());
                let fill = Tensor::full([graph.nodes(), 1], fill, options);
                (looped().graph().clone(), looped().carry(weights, fill))
            }
        }
    }

    fn host(
        &self,
        graph: &Graph,
        weights: Option<&[f64]>,
        options: TensorCreationOptions,
    ) -> Result<Operator, GraphError> {
        let (graph, mut values) = self.looped_host(graph, weights)?;
        self.scale(&graph, &mut values)?;
        let len = values.len();
        let values = Tensor::from_data(TensorData::new(values, [len]), options);
        Ok(Operator::new(graph, Some(values)))
    }

    fn looped_host(
        &self,
        graph: &Graph,
        weights: Option<&[f64]>,
    ) -> Result<(Graph, Vec<f64>), GraphError> {
        let ones = || vec![1.0; graph.entries()];
        let given = || weights.map_or_else(ones, <[f64]>::to_vec);
        Ok(match self.self_loops {
            SelfLoops::Keep => (graph.clone(), given()),
            SelfLoops::Remove => {
                let looped = graph.with_self_loops()?;
                (looped.without().clone(), looped.host_leave_out(&given()))
            }
            SelfLoops::Add(fill) => {
                let looped = graph.with_self_loops()?;
                let values = looped.host_carry(weights, fill, graph.entries());
                (looped.graph().clone(), values)
            }
        })
    }

    fn scale(&self, graph: &Graph, values: &mut [f64]) -> Result<(), GraphError> {
        if self.scaling == Scaling::None {
            return Ok(());
        }
        let (nodes, ends) = match self.degree {
            Degree::Out => (graph.source_nodes(), graph.sources()),
            Degree::In => (graph.target_nodes(), graph.targets()),
        };
        let mut degree = vec![0.0; nodes];
        for (&node, value) in ends.iter().zip(&*values) {
            degree[node as usize] += value;
        }
        let inverse = |degree: f64| if degree == 0.0 { 0.0 } else { 1.0 / degree };
        if self.scaling == Scaling::Row {
            for (value, &node) in values.iter_mut().zip(ends) {
                *value *= inverse(degree[node as usize]);
            }
            return Ok(());
        }
        if let Some(node) = degree.iter().position(|&degree| degree < 0.0) {
            return Err(GraphError::NegativeDegree { node, found: degree[node] });
        }
        let root: Vec<f64> = degree.into_iter().map(|degree| inverse(degree.sqrt())).collect();
        for ((value, &s), &d) in values.iter_mut().zip(graph.sources()).zip(graph.targets()) {
            *value *= root[s as usize] * root[d as usize];
        }
        Ok(())
    }
}

/// A reciprocal that is 0, with gradient 0, where the degree is 0.
fn inverse(degree: Tensor<2>, reciprocal: impl Fn(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
    let none = degree.clone().equal_elem(0.0);
    reciprocal(degree.mask_fill(none.clone(), 1.0)).mask_fill(none, 0.0)
}
