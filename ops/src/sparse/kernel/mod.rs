//! The operations on slices, for Flex.
//!
//! A result has one row per node, and blocks of rows are the tasks; a row with many entries is cut into
//! pieces, which are added up in their order. Blocks and pieces depend on the graph alone.

mod edge;
mod maximum;
mod number;
mod product;
mod softmax;
mod tasks;

pub(super) use edge::{
    MessageSlices, ScoreSlices, TermSlices, messages, messages_backward, scores, scores_backward,
};
pub(super) use maximum::{max, max_backward};
pub(super) use number::Number;
pub(super) use product::{dot, gather, over_degree, product, sum};
pub(super) use softmax::{softmax, softmax_backward};
