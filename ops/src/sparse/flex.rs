//! The kernels on Flex's tensors. Half precision is lifted to 32 bits and the result lowered again.

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{DType, TensorData};
use burn::tensor::{Element, FloatDType};
use burn_flex::{Flex, FlexTensor};

use super::composed::{Kernels, MessageTensors, ScoreTensors};
use super::graph::Graph;
use super::kernel::{self, MessageSlices, ScoreSlices, TermSlices};

/// A matrix in row-major order, of a type that has kernels.
struct Matrix {
    tensor: FlexTensor,
    /// The type it came in.
    dtype: DType,
}

impl Matrix {
    fn new(tensor: FlexTensor) -> Self {
        let dtype = tensor.dtype();
        let tensor = match dtype {
            DType::F32 | DType::F64 => tensor,
            _ => Flex::float_cast(tensor, FloatDType::F32),
        };
        // Consumed, so that a tensor which needs no copy is not counted as shared.
        Self { tensor: tensor.to_contiguous(), dtype }
    }

    fn rows(&self) -> usize {
        self.tensor.layout().shape()[0]
    }

    fn columns(&self) -> usize {
        self.tensor.layout().shape()[1]
    }
}

/// A result in the type that the matrix came in.
fn result<E: Element>(values: Vec<E>, shape: [usize; 2], like: DType) -> FlexTensor {
    let tensor = FlexTensor::from_data(TensorData::new(values, shape));
    match tensor.dtype() == like {
        true => tensor,
        false => Flex::float_cast(tensor, like.into()),
    }
}

/// The values of a matrix.
macro_rules! slice {
    ($matrix:expr, $float:ty) => {
        $matrix.tensor.as_slice::<$float>().expect("contiguous, of this type")
    };
}

/// Runs an expression with `$float` as the name of the type of `$matrix`.
macro_rules! typed {
    ($matrix:expr, $float:ident => $run:expr) => {
        match $matrix.tensor.dtype() {
            DType::F64 => {
                type $float = f64;
                $run
            }
            _ => {
                type $float = f32;
                $run
            }
        }
    };
}

/// The slices of [`Scores`].
macro_rules! scores_slices {
    ($scores:expr, $slope:expr, $float:ident) => {
        ScoreSlices {
            source: slice!($scores.source, $float),
            target: slice!($scores.target, $float),
            attention: slice!($scores.attention, $float),
            term: $scores.term.as_ref().map(|[features, weight]| TermSlices {
                features: slice!(features, $float),
                weight: slice!(weight, $float),
                count: features.columns(),
            }),
            heads: $scores.attention.rows(),
            slope: $slope as $float,
        }
    };
}

/// The slices of messages.
macro_rules! message_slices {
    ($source:expr, $features:expr, $weight:expr, $float:ident) => {
        MessageSlices {
            source: slice!($source, $float),
            term: TermSlices {
                features: slice!($features, $float),
                weight: slice!($weight, $float),
                count: $features.columns(),
            },
            width: $source.columns(),
        }
    };
}

impl Kernels for Flex {
    fn sum(x: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        let x = Matrix::new(x);
        let shape = [graph.target_nodes(), x.columns()];
        typed!(x, T => result(kernel::sum(slice!(x, T), shape[1], graph), shape, x.dtype))
    }

    fn product(
        values: FloatTensor<Self>,
        x: FloatTensor<Self>,
        graph: &Graph,
    ) -> FloatTensor<Self> {
        let (values, x) = (Matrix::new(values), Matrix::new(x));
        let (heads, shape) = (values.columns(), [graph.target_nodes(), x.columns()]);
        typed!(x, T => {
            let (values, slice) = (slice!(values, T), slice!(x, T));
            result(kernel::product(values, slice, shape[1], heads, graph), shape, x.dtype)
        })
    }

    fn dot(
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        heads: usize,
        graph: &Graph,
    ) -> FloatTensor<Self> {
        let (y, x) = (Matrix::new(y), Matrix::new(x));
        let shape = [graph.entries(), heads];
        typed!(x, T => {
            let found = kernel::dot(slice!(y, T), slice!(x, T), x.columns(), heads, graph);
            result(found, shape, x.dtype)
        })
    }

    fn max(x: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        let x = Matrix::new(x);
        let shape = [graph.target_nodes(), x.columns()];
        typed!(x, T => result(kernel::max(slice!(x, T), shape[1], graph), shape, x.dtype))
    }

    fn max_backward(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        graph: &Graph,
    ) -> FloatTensor<Self> {
        let [x, y, gradient] = [x, y, gradient].map(Matrix::new);
        let shape = [graph.source_nodes(), x.columns()];
        typed!(x, T => {
            let (y, gradient) = (slice!(y, T), slice!(gradient, T));
            let found = kernel::max_backward(slice!(x, T), y, gradient, shape[1], graph);
            result(found, shape, x.dtype)
        })
    }

    fn gather(x: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        let x = Matrix::new(x);
        let shape = [graph.entries(), x.columns()];
        typed!(x, T => result(kernel::gather(slice!(x, T), shape[1], graph), shape, x.dtype))
    }

    fn over_degree(x: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        let x = Matrix::new(x);
        let shape = [x.rows(), x.columns()];
        typed!(x, T => {
            result(kernel::over_degree(slice!(x, T).to_vec(), shape[1], graph), shape, x.dtype)
        })
    }

    fn segment_softmax(logits: FloatTensor<Self>, graph: &Graph) -> FloatTensor<Self> {
        let x = Matrix::new(logits);
        let shape = [graph.entries(), x.columns()];
        typed!(x, T => result(kernel::softmax(slice!(x, T), shape[1], graph), shape, x.dtype))
    }

    fn segment_softmax_backward(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        graph: &Graph,
    ) -> FloatTensor<Self> {
        let (y, gradient) = (Matrix::new(output), Matrix::new(gradient));
        let shape = [graph.entries(), y.columns()];
        typed!(y, T => {
            let (output, gradient) = (slice!(y, T), slice!(gradient, T));
            result(kernel::softmax_backward(output, gradient, shape[1], graph), shape, y.dtype)
        })
    }

    fn scores(tensors: ScoreTensors<Self>, slope: f64, graph: &Graph) -> FloatTensor<Self> {
        let scores = Scores::new(tensors);
        let shape = [graph.entries(), scores.attention.rows()];
        typed!(scores.source, T => {
            let slices = scores_slices!(scores, slope, T);
            result(kernel::scores(&slices, graph), shape, scores.source.dtype)
        })
    }

    fn scores_backward(
        tensors: ScoreTensors<Self>,
        gradient: FloatTensor<Self>,
        slope: f64,
        graph: &Graph,
    ) -> Vec<Option<FloatTensor<Self>>> {
        let (scores, gradient) = (Scores::new(tensors), Matrix::new(gradient));
        let shape = |matrix: &Matrix| [matrix.rows(), matrix.columns()];
        let mut shapes = vec![&scores.source, &scores.target, &scores.attention];
        shapes.extend(scores.term.iter().flatten());
        typed!(scores.source, T => {
            let slices = scores_slices!(scores, slope, T);
            let found = kernel::scores_backward(&slices, slice!(gradient, T), graph);
            let found = found.into_iter().zip(&shapes);
            found.map(|(found, like)| Some(result(found, shape(like), like.dtype))).collect()
        })
    }

    fn messages(tensors: MessageTensors<Self>, graph: &Graph) -> FloatTensor<Self> {
        let [x, features, weight] =
            [tensors.source, tensors.features, tensors.weight].map(Matrix::new);
        let shape = [graph.target_nodes(), x.columns()];
        typed!(x, T => {
            let slices = message_slices!(x, features, weight, T);
            result(kernel::messages(&slices, graph), shape, x.dtype)
        })
    }

    fn messages_backward(
        tensors: MessageTensors<Self>,
        gradient: FloatTensor<Self>,
        graph: &Graph,
    ) -> Vec<Option<FloatTensor<Self>>> {
        let [x, features, weight] =
            [tensors.source, tensors.features, tensors.weight].map(Matrix::new);
        let gradient = Matrix::new(gradient);
        typed!(x, T => {
            let slices = message_slices!(x, features, weight, T);
            let found = kernel::messages_backward(&slices, slice!(gradient, T), graph);
            let found = found.into_iter().zip([&x, &features, &weight]);
            let tensor = |(found, like): (Vec<T>, &Matrix)| {
                Some(result(found, [like.rows(), like.columns()], like.dtype))
            };
            found.map(tensor).collect()
        })
    }
}

/// [`ScoreTensors`] in row-major order.
struct Scores {
    source: Matrix,
    target: Matrix,
    attention: Matrix,
    term: Option<[Matrix; 2]>,
}

impl Scores {
    fn new(tensors: ScoreTensors<Flex>) -> Self {
        Self {
            source: Matrix::new(tensors.source),
            target: Matrix::new(tensors.target),
            attention: Matrix::new(tensors.attention),
            term: tensors.term.map(|term| term.map(Matrix::new)),
        }
    }
}
