//! Jumping knowledge: the outputs of all layers together.
//!
//! # References
//! K. Xu et al., *Representation Learning on Graphs with Jumping Knowledge Networks*, ICML 2018.

use burn::config::Config;
use burn::tensor::Tensor;

/// How the outputs of several layers become one.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum JumpingKnowledge {
    /// Side by side.
    Concatenate,
    /// The largest value, feature by feature.
    Max,
    /// The last one.
    Last,
}

impl JumpingKnowledge {
    /// Puts outputs together.
    ///
    /// # Shapes
    /// - outputs: at least one `[nodes, width]`
    /// - output: `[nodes, width]`, or `[nodes, sum of widths]` side by side
    ///
    /// # Panics
    /// If there is no output, or shapes disagree.
    pub fn join(self, outputs: Vec<Tensor<2>>) -> Tensor<2> {
        match self {
            Self::Concatenate => Tensor::cat(outputs, 1),
            Self::Max => outputs.into_iter().reduce(Tensor::max_pair).expect(NONE),
            Self::Last => outputs.into_iter().next_back().expect(NONE),
        }
    }
}

const NONE: &str = "JumpingKnowledge: there must be at least one output";
