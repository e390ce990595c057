//! Tensor operations that Burn lacks under the methods of firebrick.
//!
//! | module | what |
//! |---|---|
//! | [`fused`] | optimizer steps that go through memory once, a vectorized `tanh` |
//! | [`circular`] | periodic padding of images and its adjoint |
//! | [`elimination`] | inverses of small matrices, batched and differentiable |
//! | [`fixed_point`] | fixed points of maps: damped iteration, Anderson, Broyden, GMRES |
//! | [`gradient_hook`] | any map on the gradient at a point of the graph; taps, scaling, reversal, clipping |
//! | [`iteration`] | why an iteration stopped |
//! | [`noise`] | random tensors that are a function of a key, equal on every backend |
//! | [`one_hot`] | labels as rows of zeros and ones, without a host read |
//! | [`orthogonal`] | drawing, completing and repairing orthogonal matrices on the host |
//! | [`recurrent`] | gated recurrent units over many short sequences, with little memory |
//! | [`rows`] | sparse updates of a few rows of a large table |
//! | [`sigmoid_rows`] | probabilities as shares of their row, in one pass |
//! | [`skew`] | matrix exponential and Cayley map: from free numbers to orthogonal matrices |
//! | [`sparse`] | graphs, sparse products, reductions over the neighbors of a node, sparse features |
//! | [`spectrum`] | singular values of convolutions, on the host |
//! | [`surrogate`] | a value with a gradient that is known in closed form |
//!
//! Everything runs on any Burn device; only kernels inside [`fused`], [`recurrent`], [`sigmoid_rows`] and
//! [`sparse`] name a backend.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use firebrick_ops::one_hot::one_hot;
//!
//! let device = Device::flex();
//! let labels = Tensor::<1, Int>::from_data([2, 0], &device);
//! let rows = one_hot(labels, 3, burn::tensor::DType::F32);
//! assert_eq!(rows.into_data().try_to_vec::<f32>().unwrap(), [0., 0., 1., 1., 0., 0.]);
//! ```
#![recursion_limit = "256"]

pub mod circular;
pub mod elimination;
pub mod fixed_point;
pub mod fused;
pub mod gradient_hook;
pub mod iteration;
pub mod noise;
pub mod one_hot;
pub mod orthogonal;
pub mod recurrent;
pub mod rows;
pub mod sigmoid_rows;
pub mod skew;
pub mod sparse;
pub mod spectrum;
pub mod surrogate;
#[cfg(feature = "flex")]
mod vectorized;
