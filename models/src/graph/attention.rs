//! What the two attention layers share: heads, self loops, softmax and the weighted sum.

use burn::module::{Module, Param};
use burn::nn::Dropout;
use burn::tensor::{Tensor, TensorData};
use firebrick_ops::sparse::{Graph, segment_mean, segment_softmax, spmm};

use super::common::biased;

/// The result of an attention layer with its weights.
#[derive(Clone, Debug)]
pub struct Attended {
    /// `[target_nodes, outputs]`
    pub output: Tensor<2>,
    /// The entries that were attended to, self loops included.
    pub graph: Graph,
    /// `[entries of graph, heads]`, before dropout; the weights of a target's entries add up to 1.
    pub weights: Tensor<2>,
}

/// Heads and how they are put together.
#[derive(Module, Debug)]
pub(super) struct Heads {
    pub dropout: Dropout,
    #[module(skip)]
    pub heads: usize,
    #[module(skip)]
    pub channels: usize,
    #[module(skip)]
    pub concatenate: bool,
    #[module(skip)]
    pub negative_slope: f64,
    #[module(skip)]
    pub self_loops: bool,
}

impl Heads {
    /// Columns of the output.
    pub fn outputs(heads: usize, channels: usize, concatenate: bool) -> usize {
        if concatenate { heads * channels } else { channels }
    }

    /// The graph in which each node has exactly one self loop, and the features of its entries: loops have
    /// the mean of those that enter the node from others, or 0.
    pub fn looped(
        &self,
        name: &str,
        graph: &Graph,
        features: Option<Tensor<2>>,
    ) -> (Graph, Option<Tensor<2>>) {
        if !self.self_loops {
            return (graph.clone(), features);
        }
        let looped = match graph.with_self_loops() {
            Ok(looped) => looped,
            Err(error) => panic!("{name}: {error}; use forward_pair for bipartite graphs"),
        };
        let features = features.map(|features| {
            assert!(
                features.dims()[0] == graph.entries(),
                "{name}: there must be features for each entry, {}, got {}",
                graph.entries(),
                features.dims()[0]
            );
            let mean = segment_mean(looped.without(), looped.leave_out(features.clone()));
            looped.replace(features, mean)
        });
        (looped.graph().clone(), features)
    }

    /// Softmax of the logits, dropout, weighted sum of the sources' values, and what becomes of the heads.
    pub fn attend(
        &self,
        graph: Graph,
        logits: Tensor<2>,
        values: Tensor<2>,
        bias: &Option<Param<Tensor<1>>>,
    ) -> Attended {
        let weights = segment_softmax(&graph, logits);
        let dropped = self.dropout.forward(weights.clone());
        let output = spmm(&graph, dropped, values);
        let output = match self.concatenate {
            true => output,
            false => {
                let [nodes, _] = output.dims();
                let output: Tensor<3> = output.reshape([nodes, self.heads, self.channels]);
                output.sum_dim(1).squeeze_dim::<2>(1) * (1.0 / self.heads as f64)
            }
        };
        Attended { output: biased(output, bias), graph, weights }
    }

    /// `[heads * channels, heads]`: multiplying by it gives `<x[k], a[k]>` for each head.
    pub fn inner_products(&self, attention: Tensor<2>) -> Tensor<2> {
        let Self { heads, channels, .. } = *self;
        let options = (&attention.device(), attention.dtype());
        let own = (0..heads * heads).map(|place| f32::from(u8::from(place % (heads + 1) == 0)));
        let own = TensorData::new(own.collect::<Vec<f32>>(), [heads, 1, heads]);
        let own = Tensor::<3>::from_data(own, options);
        let blocks = attention.reshape([heads, channels, 1]) * own;
        blocks.reshape([heads * channels, heads])
    }
}
