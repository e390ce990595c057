//! What the two networks with evolving weights share: which window a node belongs to, when its window begins,
//! and the product with one matrix per window.

use burn::tensor::{Int, Tensor, TensorData};

use crate::temporal::TemporalGraph;

/// The windows of a batch.
pub(super) struct Windows {
    /// First node of each window, and the number of nodes.
    pub offsets: Vec<usize>,
    /// First step of each window.
    pub starts: Vec<usize>,
    /// `[nodes, steps]`: whether a node is there.
    present: Option<Vec<bool>>,
    steps: usize,
}

impl Windows {
    pub fn of(graph: &TemporalGraph) -> Self {
        let steps = graph.steps();
        let mut offsets = vec![0; graph.windows() + 1];
        for &window in graph.window_of_node() {
            offsets[window as usize + 1] += 1;
        }
        for window in 0..graph.windows() {
            offsets[window + 1] += offsets[window];
        }
        let present = graph.mask().map(|mask| {
            let values = mask.into_data();
            values.iter::<f64>().map(|value| value != 0.0).collect::<Vec<bool>>()
        });
        let starts = match &present {
            None => vec![0; graph.windows()],
            Some(present) => {
                let start = |pair: &[usize]| {
                    let first =
                        |step: &usize| (pair[0]..pair[1]).any(|node| present[node * steps + step]);
                    (0..steps).find(first).unwrap_or(0)
                };
                offsets.windows(2).map(start).collect()
            }
        };
        Self { offsets, starts, present, steps }
    }

    pub fn count(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn nodes(&self) -> usize {
        self.offsets[self.count()]
    }

    /// The nodes of a window that are there at a step.
    pub fn present(&self, window: usize, step: usize) -> impl Iterator<Item = usize> {
        let nodes = self.offsets[window]..self.offsets[window + 1];
        nodes.filter(move |node| {
            self.present.as_ref().is_none_or(|present| present[node * self.steps + step])
        })
    }

    /// `x W^T` with the matrix of each node's window.
    ///
    /// # Shapes
    /// - x: `[nodes, inputs]`
    /// - weights: `[windows, outputs, inputs]`, or `[1, outputs, inputs]` for all windows
    /// - output: `[nodes, outputs]`
    pub fn product(&self, x: Tensor<2>, weights: &Tensor<3>) -> Tensor<2> {
        let [matrices, outputs, inputs] = weights.dims();
        let weights = weights.clone().swap_dims(1, 2);
        if matrices == 1 {
            return x.matmul(weights.reshape([inputs, outputs]));
        }
        let nodes = self.nodes();
        if nodes == 0 {
            return Tensor::zeros([0, outputs], (&x.device(), x.dtype()));
        }
        let sizes = || self.offsets.windows(2).map(|pair| pair[1] - pair[0]);
        let size = sizes().max().unwrap_or(0);
        if nodes == matrices * size {
            let x: Tensor<3> = x.reshape([matrices, size, inputs]);
            return x.matmul(weights).reshape([nodes, outputs]);
        }
        // Windows of different sizes are filled up with rows that are not read.
        let filled = self
            .offsets
            .windows(2)
            .flat_map(|pair| (0..size).map(move |place| (pair[0] + place).min(nodes - 1) as i64));
        let kept = sizes().enumerate().flat_map(|(window, nodes)| {
            (0..nodes).map(move |place| (window * size + place) as i64)
        });
        let filled = integers(filled.collect(), &x);
        let kept = integers(kept.collect(), &x);
        let x: Tensor<3> = x.select(0, filled).reshape([matrices, size, inputs]);
        let product: Tensor<2> = x.matmul(weights).reshape([matrices * size, outputs]);
        product.select(0, kept)
    }
}

/// Integers on the device of a tensor.
pub(super) fn integers(values: Vec<i64>, like: &Tensor<2>) -> Tensor<1, Int> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), &like.device())
}

/// # Panics
/// If the matrices that were left are not as they must be.
pub(super) fn check_matrices(
    name: &str,
    found: &[Tensor<3>],
    expected: &[[usize; 2]],
    windows: usize,
) {
    let fits = |(found, expected): (&Tensor<3>, &[usize; 2])| {
        let [matrices, rows, columns] = found.dims();
        (matrices == 1 || matrices == windows) && [rows, columns] == *expected
    };
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(fits),
        "{name}: the state must hold matrices {expected:?} for 1 or {windows} windows, got {:?}",
        found.iter().map(Tensor::dims).collect::<Vec<_>>()
    );
}
