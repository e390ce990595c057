//! The operations on a backend's own tensors, composed of Burn's unless a backend has kernels.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{IndexingUpdateOp, Shape};

use super::graph::Graph;
use super::index::Index;

/// What [`Operation::Scores`](super::operation::Operation::Scores) reads.
#[derive(Clone)]
pub(crate) struct ScoreTensors<B: Backend> {
    /// `[source_nodes, heads * channels]`
    pub source: FloatTensor<B>,
    /// `[target_nodes, heads * channels]`
    pub target: FloatTensor<B>,
    /// `[heads, channels]`
    pub attention: FloatTensor<B>,
    /// `[entries, features]` and `[features, heads * channels]`
    pub term: Option<[FloatTensor<B>; 2]>,
}

impl<B: Backend> ScoreTensors<B> {
    pub fn new(tensors: &[FloatTensor<B>]) -> Self {
        let tensor = |index: usize| tensors[index].clone();
        Self {
            source: tensor(0),
            target: tensor(1),
            attention: tensor(2),
            term: (tensors.len() == 5).then(|| [tensor(3), tensor(4)]),
        }
    }
}

/// What [`Operation::Messages`](super::operation::Operation::Messages) reads.
#[derive(Clone)]
pub(crate) struct MessageTensors<B: Backend> {
    /// `[source_nodes, columns]`
    pub source: FloatTensor<B>,
    /// `[entries, features]`
    pub features: FloatTensor<B>,
    /// `[features, columns]`
    pub weight: FloatTensor<B>,
}

impl<B: Backend> MessageTensors<B> {
    pub fn new(tensors: &[FloatTensor<B>]) -> Self {
        let tensor = |index: usize| tensors[index].clone();
        Self { source: tensor(0), features: tensor(1), weight: tensor(2) }
    }
}

/// The operations without gradients; see [`Operation`](super::operation::Operation).
pub(crate) trait Kernels: Backend {
    fn sum(x: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        let messages = select::<Self>(x, graph.source_index());
        add_rows::<Self>(messages, graph.target_index(), graph.target_nodes())
    }

    fn product(
        values: FloatTensor<Self>,
        x: FloatTensor<Self>,
        graph: &Graph,
    ) -> FloatTensor<Self> {
        let [heads, columns] = [values.shape()[1], x.shape()[1]];
        let messages = select::<Self>(x, graph.source_index());
        let messages = scaled::<Self>(messages, values, heads, columns);
        add_rows::<Self>(messages, graph.target_index(), graph.target_nodes())
    }

    fn dot(
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        heads: usize,
        graph: &Graph,
    ) -> FloatTensor<Self> {
        let channels = x.shape()[1] / heads;
        let y = select::<Self>(y, graph.target_index());
        let x = select::<Self>(x, graph.source_index());
        head_sums::<Self>(Self::float_mul(y, x), heads, channels)
    }

    fn max(x: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        maximum::<Self>(select::<Self>(x, graph.source_index()), graph)
    }

    /// Entries that share a maximum share its gradient.
    fn max_backward(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        graph: &Graph,
    ) -> FloatTensor<Self> {
        let (device, dtype) = (x.device(), x.dtype());
        let settings = get_or_init_device_settings::<Self>(&device);
        let x = select::<Self>(x, graph.source_index());
        let y = select::<Self>(y, graph.target_index());
        let best = Self::float_equal(x, y, settings.bool_dtype);
        let best = Self::bool_into_float(best, dtype.into());
        let targets = graph.target_index();
        let number = add_rows::<Self>(best.clone(), targets, graph.target_nodes());
        let number = Self::float_clamp_min(number, 1.0.into());
        let share = select::<Self>(Self::float_div(gradient, number), targets);
        let messages = Self::float_mul(best, share);
        add_rows::<Self>(messages, graph.source_index(), graph.source_nodes())
    }

    fn gather(x: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        select::<Self>(x, graph.target_index())
    }

    fn over_degree(x: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        let (device, dtype) = (x.device(), x.dtype());
        let ones = Self::float_ones(Shape::new([graph.entries(), 1]), &device, dtype.into());
        let degree = add_rows::<Self>(ones, graph.target_index(), graph.target_nodes());
        Self::float_div(x, Self::float_clamp_min(degree, 1.0.into()))
    }

    fn segment_softmax(logits: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        let targets = graph.target_index();
        let largest = maximum::<Self>(logits.clone(), graph);
        let shifted = Self::float_sub(logits, select::<Self>(largest, targets));
        let exponentials = Self::float_exp(shifted);
        let sum = add_rows::<Self>(exponentials.clone(), targets, graph.target_nodes());
        Self::float_div(exponentials, select::<Self>(sum, targets))
    }

    fn segment_softmax_backward(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        graph: &Graph,
    ) -> FloatTensor<Self> {
        let targets = graph.target_index();
        let product = Self::float_mul(output.clone(), gradient.clone());
        let mean = add_rows::<Self>(product, targets, graph.target_nodes());
        let mean = select::<Self>(mean, targets);
        Self::float_mul(output, Self::float_sub(gradient, mean))
    }

    fn scores(tensors: ScoreTensors<Self>, slope: f64, graph: &Graph) -> FloatTensor<Self> {
        let [heads, channels] = [tensors.attention.shape()[0], tensors.attention.shape()[1]];
        let attention = one_row::<Self>(tensors.attention.clone());
        let hidden = Self::leaky_relu(pair_sums::<Self>(&tensors, graph), slope.into());
        head_sums::<Self>(Self::float_mul(hidden, attention), heads, channels)
    }

    fn scores_backward(
        tensors: ScoreTensors<Self>,
        gradient: FloatTensor<Self>,
        slope: f64,
        graph: &Graph,
    ) -> Vec<Option<FloatTensor<Self>>> {
        let [heads, channels] = [tensors.attention.shape()[0], tensors.attention.shape()[1]];
        let columns = heads * channels;
        let sums = pair_sums::<Self>(&tensors, graph);
        let dtype = sums.dtype();
        let settings = get_or_init_device_settings::<Self>(&sums.device());
        let positive = Self::float_greater_elem(sums.clone(), 0.0.into(), settings.bool_dtype);
        let positive = Self::bool_into_float(positive, dtype.into());
        // slope + (1 - slope) [z > 0]
        let derivative = Self::float_mul_scalar(positive, (1.0 - slope).into());
        let derivative = Self::float_add_scalar(derivative, slope.into());
        let hidden = Self::float_mul(sums, derivative.clone());
        let attention = one_row::<Self>(tensors.attention.clone());
        let to_attention = scaled::<Self>(hidden, gradient.clone(), heads, columns);
        let to_attention = Self::float_sum_dim(to_attention, 0);
        let to_attention = Self::float_reshape(to_attention, Shape::new([heads, channels]));
        let to_sums = Self::float_mul(derivative, attention);
        let to_sums = scaled::<Self>(to_sums, gradient, heads, columns);
        let to_source =
            add_rows::<Self>(to_sums.clone(), graph.source_index(), graph.source_nodes());
        let to_target =
            add_rows::<Self>(to_sums.clone(), graph.target_index(), graph.target_nodes());
        let mut gradients = vec![Some(to_source), Some(to_target), Some(to_attention)];
        if let Some(term) = tensors.term {
            gradients.extend(term_gradients::<Self>(term, to_sums).map(Some));
        }
        gradients
    }

    fn messages(tensors: MessageTensors<Self>, graph: &Graph) -> FloatTensor<Self> {
        let messages = Self::float_clamp_min(message_sums::<Self>(&tensors, graph), 0.0.into());
        add_rows::<Self>(messages, graph.target_index(), graph.target_nodes())
    }

    fn messages_backward(
        tensors: MessageTensors<Self>,
        gradient: FloatTensor<Self>,
        graph: &Graph,
    ) -> Vec<Option<FloatTensor<Self>>> {
        let sums = message_sums::<Self>(&tensors, graph);
        let dtype = sums.dtype();
        let settings = get_or_init_device_settings::<Self>(&sums.device());
        let positive = Self::float_greater_elem(sums, 0.0.into(), settings.bool_dtype);
        let positive = Self::bool_into_float(positive, dtype.into());
        let to_sums = Self::float_mul(positive, select::<Self>(gradient, graph.target_index()));
        let to_source =
            add_rows::<Self>(to_sums.clone(), graph.source_index(), graph.source_nodes());
        let term = [tensors.features, tensors.weight];
        let [features, weight] = term_gradients::<Self>(term, to_sums);
        vec![Some(to_source), Some(features), Some(weight)]
    }
}

/// Rows by their indices.
fn select<B: Backend>(x: FloatTensor<B>, index: &Index) -> FloatTensor<B> {
    let index = index.tensor::<B>(&x.device());
    B::float_select(x, 0, index)
}

/// Rows added up by their indices.
fn add_rows<B: Backend>(rows: FloatTensor<B>, index: &Index, nodes: usize) -> FloatTensor<B> {
    let (device, dtype) = (rows.device(), rows.dtype());
    let zeros = B::float_zeros(Shape::new([nodes, rows.shape()[1]]), &device, dtype.into());
    if index.len() == 0 {
        return zeros;
    }
    let index = index.tensor::<B>(&device);
    B::float_select_assign(zeros, 0, index, rows, IndexingUpdateOp::Add)
}

/// The largest row of the entries of each target, 0 where there is none.
fn maximum<B: Backend>(entries: FloatTensor<B>, graph: &Graph) -> FloatTensor<B> {
    let columns = entries.shape()[1];
    let (device, dtype) = (entries.device(), entries.dtype());
    let rounds = graph.rounds();
    let settings = get_or_init_device_settings::<B>(&device);
    let mut values = entries;
    for [first, second] in &rounds.rounds {
        let other = select::<B>(values.clone(), second);
        values = select::<B>(values, first);
        let larger = B::float_greater(other.clone(), values.clone(), settings.bool_dtype);
        values = B::float_mask_where(values, larger, other);
    }
    let none = B::float_zeros(Shape::new([1, columns]), &device, dtype.into());
    let values = match graph.entries() {
        0 => none,
        _ => B::float_cat(vec![values, none], 0),
    };
    select::<B>(values, &rounds.result)
}

/// Rows `[entries, columns]` times one value per head.
fn scaled<B: Backend>(
    rows: FloatTensor<B>,
    values: FloatTensor<B>,
    heads: usize,
    columns: usize,
) -> FloatTensor<B> {
    if heads == 1 {
        return B::float_mul(rows, values);
    }
    let entries = rows.shape()[0];
    let rows = B::float_reshape(rows, Shape::new([entries, heads, columns / heads]));
    let values = B::float_reshape(values, Shape::new([entries, heads, 1]));
    B::float_reshape(B::float_mul(rows, values), Shape::new([entries, columns]))
}

/// `[entries, heads * channels]` summed over channels.
fn head_sums<B: Backend>(rows: FloatTensor<B>, heads: usize, channels: usize) -> FloatTensor<B> {
    let entries = rows.shape()[0];
    let rows = B::float_reshape(rows, Shape::new([entries, heads, channels]));
    B::float_reshape(B::float_sum_dim(rows, 2), Shape::new([entries, heads]))
}

fn one_row<B: Backend>(matrix: FloatTensor<B>) -> FloatTensor<B> {
    let size = matrix.shape().num_elements();
    B::float_reshape(matrix, Shape::new([1, size]))
}

/// `x[s] + y[d] + f W`
fn pair_sums<B: Backend>(tensors: &ScoreTensors<B>, graph: &Graph) -> FloatTensor<B> {
    let source = select::<B>(tensors.source.clone(), graph.source_index());
    let target = select::<B>(tensors.target.clone(), graph.target_index());
    let sums = B::float_add(source, target);
    match tensors.term.clone() {
        Some([features, weight]) => B::float_add(sums, B::float_matmul(features, weight)),
        None => sums,
    }
}

/// `x[s] + f W`
fn message_sums<B: Backend>(tensors: &MessageTensors<B>, graph: &Graph) -> FloatTensor<B> {
    let source = select::<B>(tensors.source.clone(), graph.source_index());
    B::float_add(source, B::float_matmul(tensors.features.clone(), tensors.weight.clone()))
}

/// The gradients of `f` and `W` where that of `f W` is known.
fn term_gradients<B: Backend>(
    [features, weight]: [FloatTensor<B>; 2],
    gradient: FloatTensor<B>,
) -> [FloatTensor<B>; 2] {
    let to_features = B::float_matmul(gradient.clone(), B::float_transpose(weight));
    [to_features, B::float_matmul(B::float_transpose(features), gradient)]
}
