//! Node features of which most are zero.
//!
//! Dropout of a zero is a zero, so only the stored values need a mask; and `X W` is a sparse product.
//! Bags of words of a citation graph are 98 to 99 % zeros.

use burn::tensor::{
    DType, Device, Distribution, IndexingUpdateOp, Int, Tensor, TensorCreationOptions, TensorData,
};

use super::error::GraphError;
use super::graph::{EntryIndex, Graph, Side};
use super::index::Index;
use super::operator::Operator;
use super::product::spmm;
use crate::noise::NoiseKey;

/// A sparse matrix `[nodes, features]`, by rows.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::sparse::{GraphError, SparseFeatures};
///
/// // [[0, 2], [0, 0], [3, 4]]
/// let device = Device::flex();
/// let x = SparseFeatures::from_rows(2, &[0, 1, 1, 3], &[1, 0, 1], &[2.0, 3.0, 4.0], &device)?;
/// let y = x.matmul(Tensor::from_data([[1.0], [10.0]], &device)).into_data();
/// assert_eq!(y.try_to_vec::<f32>().unwrap(), [20.0, 0.0, 43.0]);
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SparseFeatures {
    /// Messages from features to nodes.
    graph: Graph,
    values: Tensor<1>,
}

impl SparseFeatures {
    /// From compressed rows: node `i` has the features `columns[offsets[i]..offsets[i + 1]]` with the values
    /// at the same places; on a device, or with a device and a float type.
    ///
    /// # Errors
    /// If the offsets do not rise from 0 to the number of columns, a column is not below `features`, the
    /// number of values differs, or a value is NaN or infinite.
    pub fn from_rows<I: EntryIndex>(
        features: usize,
        offsets: &[usize],
        columns: &[I],
        values: &[f64],
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, GraphError> {
        let graph = Graph::from_rows(features, offsets, columns)?;
        graph.check_values("feature values", values)?;
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Ok(Self { graph, values: Tensor::from_data(data, options) })
    }

    /// The entries of a dense matrix that are not zero; reads it on the host.
    ///
    /// # Shapes
    /// - dense: `[nodes, features]`
    ///
    /// # Errors
    /// If a value is NaN or infinite.
    pub fn from_dense(dense: Tensor<2>) -> Result<Self, GraphError> {
        let [_, features] = dense.dims();
        let options = (&dense.device(), dense.dtype());
        let host: Vec<f64> = dense.to_data().iter::<f64>().collect();
        let (mut offsets, mut columns, mut values) = (vec![0], Vec::<usize>::new(), Vec::new());
        for row in host.chunks(features.max(1)) {
            for (column, &value) in row.iter().enumerate().filter(|&(_, &value)| value != 0.0) {
                columns.push(column);
                values.push(value);
            }
            offsets.push(columns.len());
        }
        offsets.resize(dense.dims()[0] + 1, columns.len());
        Self::from_rows(features, &offsets, &columns, &values, options)
    }

    /// From a graph with messages from features to nodes, whose entries stand in any order.
    #[cfg(all(test, feature = "flex"))]
    pub(super) fn of_graph(graph: Graph, values: Tensor<1>) -> Self {
        Self { graph, values }
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.graph.target_nodes()
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.graph.source_nodes()
    }

    /// Number of stored values.
    pub fn stored(&self) -> usize {
        self.graph.entries()
    }

    /// The stored values, row by row.
    pub fn values(&self) -> &Tensor<1> {
        &self.values
    }

    /// The same places with other values.
    ///
    /// # Panics
    /// If their number differs.
    pub fn with_values(&self, values: Tensor<1>) -> Self {
        assert!(
            values.dims()[0] == self.stored(),
            "SparseFeatures: there must be one value per stored one, {}, got {}",
            self.stored(),
            values.dims()[0]
        );
        Self { graph: self.graph.clone(), values }
    }

    /// The rows of some nodes, in the order of the list.
    ///
    /// # Panics
    /// If a node is not below the number of nodes.
    pub fn select(&self, nodes: &[usize]) -> Self {
        let rows = self.graph.rows();
        let (mut entries, mut columns, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (row, &node) in nodes.iter().enumerate() {
            assert!(
                node < self.nodes(),
                "SparseFeatures: selected nodes must be below {}, got {node}",
                self.nodes()
            );
            let places = rows.row(node);
            columns.extend_from_slice(&rows.columns[places.clone()]);
            entries.extend(places.map(|place| rows.entry(place) as i32));
            targets.resize(columns.len(), row as u32);
        }
        let graph = from_lists(self.features(), columns, nodes.len(), targets);
        Self { graph, values: picked(self.values.clone(), entries) }
    }

    /// This matrix with another one to its right, for the same nodes.
    ///
    /// # Panics
    /// If the number of nodes differs.
    pub fn beside(&self, right: &Self) -> Self {
        assert!(
            right.nodes() == self.nodes(),
            "SparseFeatures: matrices side by side must have the same nodes, got {} and {}",
            self.nodes(),
            right.nodes()
        );
        let (mut entries, mut columns, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let parts = [(self, 0, 0), (right, self.features() as u32, self.stored())];
        for node in 0..self.nodes() {
            for (part, shift, first) in parts {
                let rows = part.graph.rows();
                let places = rows.row(node);
                columns.extend(rows.columns[places.clone()].iter().map(|column| shift + column));
                entries.extend(places.map(|place| (first + rows.entry(place)) as i32));
            }
            targets.resize(columns.len(), node as u32);
        }
        let features = self.features() + right.features();
        let values = match (self.stored(), right.stored()) {
            (_, 0) => self.values.clone(),
            (0, _) => right.values.clone(),
            _ => Tensor::cat(vec![self.values.clone(), right.values.clone()], 0),
        };
        let graph = from_lists(features, columns, self.nodes(), targets);
        Self { graph, values: picked(values, entries) }
    }

    /// The matrix as an operator from features to nodes.
    pub fn operator(&self) -> Operator {
        Operator::new(self.graph.clone(), Some(self.values.clone()))
    }

    /// `X W`; the gradient of `W` is `X^T` times that of the product.
    ///
    /// # Shapes
    /// - weight: `[features, columns]`
    /// - output: `[nodes, columns]`
    ///
    /// # Panics
    /// If the number of features differs.
    pub fn matmul(&self, weight: Tensor<2>) -> Tensor<2> {
        assert!(
            weight.dims()[0] == self.features(),
            "SparseFeatures: weight must have one row per feature, {}, got {:?}",
            self.features(),
            weight.dims()
        );
        spmm(&self.graph, self.values.clone(), weight)
    }

    /// Drops stored values with this probability and scales the others by `1 / (1 - probability)`, with a mask
    /// from the device's generator.
    ///
    /// # Panics
    /// If the probability is not in `[0, 1)`.
    pub fn dropout(&self, probability: f64) -> Self {
        check_probability(probability);
        if probability == 0.0 || self.stored() == 0 {
            return self.clone();
        }
        let keep = 1.0 - probability;
        let mask = self.values.random_like(Distribution::Bernoulli(keep));
        self.with_values(self.values.clone() * mask * (1.0 / keep))
    }

    /// As [`dropout`](Self::dropout) with a mask that is a function of the key, the same on every backend.
    ///
    /// # Panics
    /// If the probability is not in `[0, 1)`.
    pub fn dropout_keyed(&self, probability: f64, key: NoiseKey) -> Self {
        check_probability(probability);
        if probability == 0.0 || self.stored() == 0 {
            return self.clone();
        }
        let device = self.values.device();
        let uniform: Tensor<1> = key.uniform([self.stored()], &device, self.values.dtype());
        let dropped = uniform.lower_elem(probability);
        let values = self.values.clone().mask_fill(dropped, 0.0) * (1.0 / (1.0 - probability));
        self.with_values(values)
    }

    /// Divides each row by its sum; rows whose sum is 0 stay.
    pub fn row_normalized(&self) -> Self {
        let normalization = super::Normalization::MEAN;
        let operator = normalization.differentiable(&self.graph, self.values.clone());
        self.with_values(operator.values().cloned().unwrap_or_else(|| self.values.clone()))
    }

    /// The dense matrix, `[nodes, features]`.
    ///
    /// # Panics
    /// If it has 2^31 elements or more.
    pub fn to_dense(&self) -> Tensor<2> {
        let [nodes, features] = [self.nodes(), self.features()];
        assert!(
            nodes * features < 1 << 31,
            "SparseFeatures: a dense matrix must have fewer than 2^31 elements, got [{nodes}, {features}]"
        );
        let device = self.values.device();
        let zeros = Tensor::<1>::zeros([nodes * features], (&device, self.values.dtype()));
        if self.stored() == 0 {
            return zeros.reshape([nodes, features]);
        }
        let ends = self.graph.targets().iter().zip(self.graph.sources());
        let places = ends.map(|(&node, &feature)| node as i32 * features as i32 + feature as i32);
        let places: Vec<i32> = places.collect();
        let places = TensorData::new(places, [self.stored()]);
        let places = Tensor::<1, Int>::from_data(places, &device);
        let dense = zeros.select_assign(0, places, self.values.clone(), IndexingUpdateOp::Add);
        dense.reshape([nodes, features])
    }

    /// The features on another device.
    pub fn to_device(&self, device: &Device) -> Self {
        self.with_values(self.values.clone().to_device(device))
    }
}

/// A graph from features to nodes of valid lists.
fn from_lists(features: usize, columns: Vec<u32>, nodes: usize, targets: Vec<u32>) -> Graph {
    let side = |nodes, index| Side { nodes, index: Index::new(index) };
    Graph::from_sides(side(features, columns), side(nodes, targets))
}

/// The values of some entries.
fn picked(values: Tensor<1>, entries: Vec<i32>) -> Tensor<1> {
    if entries.is_empty() {
        return Tensor::empty([0], (&values.device(), values.dtype()));
    }
    let count = entries.len();
    let entries = Tensor::from_data(TensorData::new(entries, [count]), &values.device());
    values.select(0, entries)
}

fn check_probability(probability: f64) {
    assert!(
        (0.0..1.0).contains(&probability),
        "SparseFeatures: the probability of dropout must be in [0, 1), got {probability}"
    );
}

/// Node features as layers take them: a tensor, or sparse.
#[derive(Clone, Debug)]
pub enum Features {
    /// `[nodes, features]`
    Dense(Tensor<2>),
    /// Only the values that are not zero.
    Sparse(SparseFeatures),
}

impl From<Tensor<2>> for Features {
    fn from(dense: Tensor<2>) -> Self {
        Self::Dense(dense)
    }
}

impl From<SparseFeatures> for Features {
    fn from(sparse: SparseFeatures) -> Self {
        Self::Sparse(sparse)
    }
}

impl From<&SparseFeatures> for Features {
    fn from(sparse: &SparseFeatures) -> Self {
        Self::Sparse(sparse.clone())
    }
}

impl From<&Features> for Features {
    fn from(features: &Features) -> Self {
        features.clone()
    }
}

impl Features {
    /// Number of nodes and of features.
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Dense(dense) => dense.dims(),
            Self::Sparse(sparse) => [sparse.nodes(), sparse.features()],
        }
    }

    /// `X W`.
    ///
    /// # Shapes
    /// - weight: `[features, columns]`
    /// - output: `[nodes, columns]`
    ///
    /// # Panics
    /// If the number of features differs.
    pub fn matmul(&self, weight: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Dense(dense) => dense.clone().matmul(weight),
            Self::Sparse(sparse) => sparse.matmul(weight),
        }
    }

    /// The rows of some nodes, in the order of the list.
    ///
    /// # Panics
    /// If a node is not below the number of nodes.
    pub fn select(&self, nodes: &[usize]) -> Self {
        match self {
            Self::Dense(dense) => {
                let indices: Vec<i32> = nodes.iter().map(|&node| node as i32).collect();
                let indices = TensorData::new(indices, [nodes.len()]);
                let indices = Tensor::<1, Int>::from_data(indices, &dense.device());
                Self::Dense(dense.clone().select(0, indices))
            }
            Self::Sparse(sparse) => Self::Sparse(sparse.select(nodes)),
        }
    }

    /// This matrix with another one to its right; sparse if both are.
    ///
    /// # Panics
    /// If the number of nodes differs.
    pub fn beside(&self, right: &Self) -> Self {
        match (self, right) {
            (Self::Sparse(left), Self::Sparse(right)) => Self::Sparse(left.beside(right)),
            (left, right) => {
                let dense = [left, right].map(|part| part.clone().into_dense());
                Self::Dense(Tensor::cat(dense.into(), 1))
            }
        }
    }

    /// The device.
    pub fn device(&self) -> Device {
        match self {
            Self::Dense(dense) => dense.device(),
            Self::Sparse(sparse) => sparse.values.device(),
        }
    }

    /// The float type.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Dense(dense) => dense.dtype(),
            Self::Sparse(sparse) => sparse.values.dtype(),
        }
    }

    /// `A X`, dense.
    ///
    /// # Shapes
    /// - output: `[target_nodes, features]`
    ///
    /// # Panics
    /// If the number of nodes differs.
    pub fn propagated(&self, operator: &Operator) -> Tensor<2> {
        operator.apply(self.clone().into_dense())
    }

    /// Dropout with a mask from the device's generator; of stored values only where the features are sparse,
    /// which has the same distribution.
    ///
    /// # Panics
    /// If the probability is not in `[0, 1)`.
    pub fn dropout(self, probability: f64) -> Self {
        check_probability(probability);
        match self {
            dense if probability == 0.0 => dense,
            Self::Dense(dense) => {
                let keep = 1.0 - probability;
                let mask = dense.random_like(Distribution::Bernoulli(keep));
                Self::Dense(dense * mask * (1.0 / keep))
            }
            Self::Sparse(sparse) => Self::Sparse(sparse.dropout(probability)),
        }
    }

    /// A dense tensor, `[nodes, features]`.
    pub fn into_dense(self) -> Tensor<2> {
        match self {
            Self::Dense(dense) => dense,
            Self::Sparse(sparse) => sparse.to_dense(),
        }
    }
}
