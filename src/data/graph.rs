//! Graphs of the host on a device, sampled neighborhoods, and inference layer by layer.

use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick_datasets::DatasetError;
use firebrick_datasets::graph::{GraphData, NeighborSampler, NodeFeatures, SampledGraph};
use firebrick_ops::sparse::{Features, Graph, GraphError, Operator, SparseFeatures};

/// A data set of nodes on a device.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick::data::GraphTensors;
/// use firebrick::datasets::graph::karate_club;
/// use firebrick::models::graph::GcnConfig;
/// use firebrick::ops::sparse::Normalization;
///
/// let device = Device::flex();
/// let club = GraphTensors::new(&karate_club(), &device)?;
/// let operator = Normalization::GCN.unweighted(&club.graph, &device);
/// let logits = GcnConfig::new(34, 8, 2).init(&device).forward(&operator, club.features);
/// assert_eq!(logits.select(0, club.train).dims(), [2, 2]);
/// # Ok::<(), firebrick::ops::sparse::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphTensors {
    /// The entries.
    pub graph: Graph,
    /// The weight of each entry, `[entries]`, if the graph has weights.
    pub weights: Option<Tensor<1>>,
    /// The features, `[nodes, features]`; sparse if they are sparse on the host.
    pub features: Features,
    /// The label of each node, `[nodes]`; -1 where there is none.
    pub labels: Tensor<1, Int>,
    /// Nodes to train on.
    pub train: Tensor<1, Int>,
    /// Nodes to choose models on.
    pub validation: Tensor<1, Int>,
    /// Nodes to report.
    pub test: Tensor<1, Int>,
}

impl GraphTensors {
    /// Copies everything to a device.
    ///
    /// # Errors
    /// If there are more nodes, entries or stored features than 32-bit indices can name.
    pub fn new(data: &GraphData, device: &Device) -> Result<Self, GraphError> {
        let nodes = |part: &[usize]| integers(part.iter().map(|&node| node as i64), device);
        Ok(Self {
            graph: graph(data)?,
            weights: data.weights().map(|weights| floats(weights, device)),
            features: features(data.features(), device)?,
            labels: integers(data.labels().iter().copied(), device),
            train: nodes(&data.split().train),
            validation: nodes(&data.split().validation),
            test: nodes(&data.split().test),
        })
    }
}

/// The entries of a graph, in their order.
///
/// # Errors
/// If there are more nodes or entries than 32-bit indices can name.
pub fn graph(data: &GraphData) -> Result<Graph, GraphError> {
    Graph::from_entries(data.num_nodes(), data.sources(), data.targets())
}

/// Features of nodes on a device; sparse rows stay sparse.
///
/// # Errors
/// If there are more rows, columns or stored values than 32-bit indices can name.
pub fn features(rows: &NodeFeatures, device: &Device) -> Result<Features, GraphError> {
    match rows {
        NodeFeatures::Dense(rows) => {
            let shape = [rows.num_rows(), rows.width()];
            let data = TensorData::new(rows.values().to_vec(), shape);
            Ok(Features::Dense(Tensor::from_data(data, device)))
        }
        NodeFeatures::Sparse(rows) => {
            let values: Vec<f64> = rows.values().iter().map(|&value| f64::from(value)).collect();
            let (width, starts) = (rows.width(), rows.starts());
            SparseFeatures::from_rows(width, starts, rows.columns(), &values, device)
                .map(Features::Sparse)
        }
    }
}

/// The entries of an operator as a graph of the host with its values as weights, so that they can be
/// sampled. Reads the values back.
///
/// Graph convolutions need the degrees of the whole graph, which a sample does not know: sample the
/// entries of the operator, and give the block of a layer their values with [`block_operator`].
///
/// # Errors
/// If the operator is bipartite or a value is not finite.
pub fn operator_entries(operator: &Operator) -> Result<GraphData, DatasetError> {
    let graph = operator.graph();
    let nodes = |list: &[u32]| list.iter().map(|&node| node as usize).collect();
    let num_nodes = graph.source_nodes().max(graph.target_nodes());
    if !graph.is_square() {
        return Err(DatasetError::Unsuitable {
            place: "operator",
            what: "nodes".to_string(),
            expected: "one set of nodes".to_string(),
            found: format!("{} sources, {} targets", graph.source_nodes(), graph.target_nodes()),
        });
    }
    let entries =
        GraphData::new("operator", num_nodes, nodes(graph.sources()), nodes(graph.targets()))?;
    match operator.values() {
        None => Ok(entries),
        Some(values) => entries.with_weights(values.to_data().iter::<f32>().collect()),
    }
}

/// What layer `layer` of a network with one layer per hop needs of a sample: messages from the rows
/// that the layer reads to those that it computes, which are the first of them.
///
/// # Panics
/// If there are not more hops than `layer`, or more entries than 32-bit indices can name.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick::data::block;
/// use firebrick::datasets::graph::{NeighborSampler, karate_club};
/// use firebrick::models::graph::SageConvConfig;
///
/// let sample = NeighborSampler::new(&karate_club(), &[5, 5])?.sample(&[0, 33], 0)?;
/// let mut rows = Tensor::<2>::ones([sample.nodes().len(), 4], &Device::flex());
/// for layer in 0..2 {
///     let block = block(&sample, layer);
///     let targets = rows.clone().slice([0..block.target_nodes(), 0..4]);
///     let convolution = SageConvConfig::new(4, 4).init(&Device::flex());
///     rows = convolution.forward_pair(&block, rows, targets);
/// }
/// assert_eq!(rows.dims(), [2, 4]); // the seeds
/// # Ok::<(), firebrick::datasets::DatasetError>(())
/// ```
pub fn block(sample: &SampledGraph, layer: usize) -> Graph {
    let extent = sample.layer(layer);
    let (sources, targets) =
        (&sample.sources()[..extent.num_entries], &sample.targets()[..extent.num_entries]);
    Graph::bipartite(extent.num_sources, extent.num_targets, sources, targets)
        .unwrap_or_else(|error| panic!("block: {error}"))
}

/// The block of a layer with the weights that its entries have in the whole graph; all 1 without.
///
/// # Panics
/// As [`block`], and if `whole` is not the graph that was sampled from.
pub fn block_operator(
    whole: &GraphData,
    sample: &SampledGraph,
    layer: usize,
    device: &Device,
) -> Operator {
    let block = block(sample, layer);
    let values = whole.weights().map(|weights| {
        let weights = sample.of_entries(weights);
        floats(&weights[..block.entries()], device)
    });
    Operator::new(block, values)
}

/// One chunk of nodes in [`layerwise`] inference.
#[derive(Debug)]
pub struct Chunk<'a> {
    /// Messages from all in-neighbors of the chunk's nodes to these nodes.
    pub block: Graph,
    /// Where the block's nodes and entries stand in the whole graph.
    pub sample: &'a SampledGraph,
    /// The rows of the block's sources; the first are those of the targets.
    pub sources: Tensor<2>,
    /// The rows of the chunk's nodes.
    pub targets: Tensor<2>,
}

/// The outputs of all nodes, layer by layer and in chunks of nodes, each with all of its neighbors:
/// exact, in memory for one layer's rows and one chunk.
///
/// `layers` says what each layer makes of a chunk. Run it on a device without autodiff.
///
/// # Shapes
/// - x: `[nodes, features]`
/// - output: `[nodes, outputs of the last layer]`
///
/// # Panics
/// If `chunk` is zero or `x` has too few rows.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick::data::{Chunk, layerwise};
/// use firebrick::datasets::graph::{NeighborSampler, karate_club};
/// use firebrick::models::graph::SageConvConfig;
///
/// let layers = [4, 2].map(|d_output| SageConvConfig::new(4, d_output).init(&Device::flex()));
/// let apply = |chunk: Chunk, layer: usize| {
///     layers[layer].forward_pair(&chunk.block, chunk.sources, chunk.targets)
/// };
/// let sampler = NeighborSampler::new(&karate_club(), &[-1])?;
/// let x = Tensor::ones([34, 4], &Device::flex());
/// assert_eq!(layerwise(&sampler, 10, layers.len(), x, apply).dims(), [34, 2]);
/// # Ok::<(), firebrick::datasets::DatasetError>(())
/// ```
pub fn layerwise(
    sampler: &NeighborSampler,
    chunk: usize,
    num_layers: usize,
    x: Tensor<2>,
    mut apply: impl FnMut(Chunk, usize) -> Tensor<2>,
) -> Tensor<2> {
    let mut rows = x;
    for layer in 0..num_layers {
        let mut outputs = Vec::new();
        for sample in sampler.chunks(chunk) {
            let nodes = sample.nodes().iter().map(|&node| node as i64);
            let sources = rows.clone().select(0, integers(nodes, &rows.device()));
            let width = sources.dims()[1];
            let targets = sources.clone().slice([0..sample.batch_size(), 0..width]);
            let block = block(&sample, 0);
            outputs.push(apply(Chunk { block, sample: &sample, sources, targets }, layer));
        }
        if !outputs.is_empty() {
            rows = Tensor::cat(outputs, 0);
        }
    }
    rows
}

fn integers(values: impl Iterator<Item = i64>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.collect();
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

fn floats(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;
    use burn::tensor::activation::relu;
    use firebrick_datasets::graph::{CitationNetworkConfig, StochasticBlockModelConfig};
    use firebrick_models::graph::{GcnConv, GcnConvConfig, SageConv, SageConvConfig};
    use firebrick_ops::sparse::Normalization;

    /// A directed graph with self loops, repeated entries and isolated nodes.
    fn entries() -> GraphData {
        let base = StochasticBlockModelConfig::planted(3, 40, 0.06, 0.01)
            .with_directed(true)
            .with_self_loops(true)
            .generate(1);
        let twice = |list: &[usize]| [list, &list[..20]].concat();
        let (sources, targets) = (twice(base.sources()), twice(base.targets()));
        GraphData::new("graph", 125, sources, targets).unwrap()
    }

    fn input(device: &Device) -> Tensor<2> {
        let values: Vec<f32> = (0..125 * 6).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
        Tensor::from_data(TensorData::new(values, [125, 6]), device)
    }

    fn rows(x: &Tensor<2>, nodes: &[usize]) -> Tensor<2> {
        x.clone().select(0, integers(nodes.iter().map(|&node| node as i64), &x.device()))
    }

    fn close(found: Tensor<2>, expected: Tensor<2>) {
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    const SEEDS: [usize; 4] = [121, 3, 77, 40];

    #[test]
    fn all_neighbors_give_the_seeds_the_output_of_the_whole_graph() {
        let (device, data) = (Device::flex(), entries());
        let layers: Vec<SageConv> = [5, 4, 3]
            .iter()
            .zip([6, 5, 4])
            .map(|(&o, i)| SageConvConfig::new(i, o).init(&device))
            .collect();
        let whole = graph(&data).unwrap();
        let full = layers.iter().fold(input(&device), |x, layer| relu(layer.forward(&whole, x)));
        let sampler = NeighborSampler::new(&data, &[-1, -1, -1]).unwrap();
        let sample = sampler.sample(&SEEDS, 0).unwrap();
        let mut x = rows(&input(&device), sample.nodes());
        for (index, layer) in layers.iter().enumerate() {
            let block = block(&sample, index);
            let width = x.dims()[1];
            let targets = x.clone().slice([0..block.target_nodes(), 0..width]);
            x = relu(layer.forward_pair(&block, x, targets));
        }
        close(x, rows(&full, &SEEDS));
        // Also without trimming, where the first rows are those of the seeds.
        let local = Graph::from_entries(sample.nodes().len(), sample.sources(), sample.targets());
        let untrimmed = layers.iter().fold(rows(&input(&device), sample.nodes()), |x, layer| {
            relu(layer.forward(&local.clone().unwrap(), x))
        });
        close(rows(&untrimmed, &[0, 1, 2, 3]), rows(&full, &SEEDS));
        let fewer = NeighborSampler::new(&data, &[1, 1, 1]).unwrap().sample(&SEEDS, 0).unwrap();
        assert!(fewer.entries().len() < sample.entries().len());
        let in_chunks = layerwise(&sampler, 17, 3, input(&device), |chunk, layer| {
            relu(layers[layer].forward_pair(&chunk.block, chunk.sources, chunk.targets))
        });
        close(in_chunks, full);
    }

    #[test]
    fn graph_convolutions_keep_the_degrees_of_the_whole_graph() {
        let (device, data) = (Device::flex(), entries());
        let operator = Normalization::GCN.unweighted(&graph(&data).unwrap(), &device);
        let layers: Vec<GcnConv> =
            [(6, 5), (5, 3)].map(|(i, o)| GcnConvConfig::new(i, o).init(&device)).into();
        let full = layers.iter().fold(input(&device), |x, layer| relu(layer.forward(&operator, x)));
        let whole = operator_entries(&operator).unwrap();
        let sampler = NeighborSampler::new(&whole, &[-1, -1]).unwrap();
        let sample = sampler.sample(&SEEDS, 0).unwrap();
        let mut x = rows(&input(&device), sample.nodes());
        for (index, layer) in layers.iter().enumerate() {
            x = relu(layer.forward(&block_operator(&whole, &sample, index, &device), x));
        }
        close(x, rows(&full, &SEEDS));
        let in_chunks = layerwise(&sampler, 50, 2, input(&device), |chunk, layer| {
            let operator = block_operator(&whole, chunk.sample, 0, &device);
            relu(layers[layer].forward(&operator, chunk.sources))
        });
        close(in_chunks, full);
    }

    #[test]
    fn everything_of_a_data_set_reaches_the_device() {
        let device = Device::flex();
        let data = CitationNetworkConfig::small().generate(0);
        let weights: Vec<f32> = (0..data.num_entries()).map(|entry| entry as f32).collect();
        let data = data.with_weights(weights.clone()).unwrap();
        let tensors = GraphTensors::new(&data, &device).unwrap();
        assert_eq!((tensors.graph.nodes(), tensors.graph.entries()), (600, 2400));
        assert!(tensors.graph.sources().iter().zip(data.sources()).all(|(&a, &b)| a as usize == b));
        assert_eq!(tensors.weights.unwrap().into_data().try_to_vec::<f32>().unwrap(), weights);
        assert!(matches!(tensors.features, Features::Sparse(_)));
        let dense = tensors.features.into_dense().into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(dense, data.features().to_dense().values());
        let labels: Vec<i64> = tensors.labels.into_data().iter::<i64>().collect();
        assert_eq!(labels, data.labels());
        let train: Vec<i64> = tensors.train.into_data().iter::<i64>().collect();
        assert!(train.iter().zip(&data.split().train).all(|(&a, &b)| a as usize == b));
        assert_eq!((tensors.validation.dims(), tensors.test.dims()), ([100], [300]));
        let dense = NodeFeatures::Dense(data.features().to_dense());
        assert!(matches!(features(&dense, &device).unwrap(), Features::Dense(_)));
    }
}
