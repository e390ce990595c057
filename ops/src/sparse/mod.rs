//! Sparse message passing: graphs, products of a sparse matrix with a dense one, and operations on the
//! entries that enter a node.
//!
//! A graph is a list of entries `e = (s -> d)`; a message goes from its source `s` to its target `d`.
//! With edge values `a[e]` it is a sparse matrix with one row per target,
//!
//! ```text
//! (A x)[i] = sum over e with d[e] = i of a[e] x[s[e]]
//! ```
//!
//! and every operation here is some reduction over the entries of a row:
//!
//! | | what | gradients |
//! |---|---|---|
//! | [`spmm`] | `A x`, with one value per entry or one per entry and head | `x`, values |
//! | [`sum_neighbors`], [`mean_neighbors`], [`max_neighbors`] | sum, mean, maximum of the sources' rows | `x` |
//! | [`edge_dot`] | `<y[d], x[s]>` per entry and head, the gradient of `A x` in its values | `y`, `x` |
//! | [`segment_sum`], [`segment_mean`], [`segment_max`], [`segment_softmax`] | the same over rows that belong to entries | rows |
//! | [`gather_sources`], [`gather_targets`] | a row per entry from a row per node | `x` |
//! | [`edge_scores`] | `<a, LeakyReLU(x[s] + y[d] + W f[e])>` per entry and head | all |
//! | [`edge_messages`] | sum of `ReLU(x[s] + W f[e])` over the entries of a target | all |
//!
//! [`Graph`] keeps the entries by target and by source (the matrix and its transpose) behind shared
//! pointers, so it is free to clone; [`Normalization`] makes the [`Operator`] of graph convolutions, and
//! [`SparseFeatures`] are node features of which only the values that are not zero are stored.
//!
//! # Backends
//! On Flex the operations are kernels of their own for `f32` and `f64`: rows over Rayon's threads,
//! vectorized over columns, rows with many entries split, and no buffer of the size `[entries, columns]`.
//! Blocks and splits depend on the graph alone, so a result is the same with any number of threads.
//! Elsewhere, and in other float types, they are composed of Burn's row selection and row addition with
//! index tensors that stay on the device, and have such buffers.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firebrick_ops::sparse::{Graph, Normalization, spmm};
//!
//! // 0 <-> 1 <-> 2
//! let graph = Graph::from_entries(3, &[0, 1, 1, 2], &[1, 0, 2, 1])?;
//! let x = Tensor::<2>::from_data([[1.0], [10.0], [100.0]], &Device::flex());
//! let half = Tensor::<1>::full([4], 0.5, &Device::flex());
//! let y = spmm(&graph, half, x.clone()).into_data();
//! assert_eq!(y.try_to_vec::<f32>().unwrap(), [5.0, 50.5, 5.0]);
//! // Kipf and Welling's operator: self loops, then D^-1/2 A D^-1/2.
//! let operator = Normalization::GCN.unweighted(&graph, &Device::flex());
//! assert_eq!(operator.apply(x).dims(), [3, 1]);
//! # Ok::<(), firebrick_ops::sparse::GraphError>(())
//! ```

mod backend;
mod composed;
mod edge;
mod error;
mod features;
#[cfg(feature = "flex")]
mod flex;
mod graph;
mod index;
#[cfg(feature = "flex")]
mod kernel;
mod loops;
mod normalization;
mod operation;
mod operator;
mod product;
mod rows;
mod segment;

pub use edge::{EdgeTerm, edge_messages, edge_scores};
pub use error::GraphError;
pub use features::{Features, SparseFeatures};
pub use graph::{EntryIndex, Graph};
pub use loops::{SelfLooped, SelfLoops};
pub use normalization::{Degree, Normalization, Scaling};
pub use operator::Operator;
pub use product::{edge_dot, max_neighbors, mean_neighbors, spmm, sum_neighbors};
pub use segment::{
    gather_sources, gather_targets, segment_max, segment_mean, segment_softmax, segment_sum,
};

#[cfg(all(test, feature = "flex"))]
mod tests;
