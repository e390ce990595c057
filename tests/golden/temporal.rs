//! Networks on temporal graphs: outputs and gradients of parameters.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Gradients, Tensor, TensorData};
use firebrick::models::temporal::{
    Activation, Connectivity, Convolution, Encoding, GraphLayers, GraphPerceptron, GruCell,
    SequenceEncoder, TemporalGraph, TemporalGraphConfig, TemporalWindow, TimeThenGraphConfig,
};

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

type Checked = Result<(), Failure>;

type GradientOf = Box<dyn Fn(&Gradients) -> Option<TensorData>>;

/// A parameter whose gradient the file holds.
struct Leaf {
    name: String,
    gradient: GradientOf,
}

/// A case with the parameters that have been read from it.
struct Setup<'a> {
    case: &'a Case,
    target: &'a Target,
    leaves: Vec<Leaf>,
}

impl<'a> Setup<'a> {
    fn new(case: &'a Case, target: &'a Target) -> Self {
        Self { case, target, leaves: Vec::new() }
    }

    fn has(&self, name: &str) -> bool {
        self.case.names().any(|found| found == format!("param.{name}"))
    }

    /// A parameter in another form than the file's, and the way back for its gradient.
    fn mapped<const D: usize, const E: usize>(
        &mut self,
        name: &str,
        there: impl Fn(Tensor<D>) -> Tensor<E>,
        back: impl Fn(Tensor<E>) -> Tensor<D> + 'static,
    ) -> Result<Param<Tensor<E>>, Failure> {
        let (values, shape) = self.case.values::<D>(&format!("param.{name}"))?;
        let tensor = there(self.target.float(values, shape)).detach().require_grad();
        let kept = tensor.clone();
        let gradient = move |gradients: &Gradients| Some(back(kept.grad(gradients)?).into_data());
        self.leaves.push(Leaf { name: name.into(), gradient: Box::new(gradient) });
        Ok(Param::from_tensor(tensor))
    }

    fn param<const D: usize>(&mut self, name: &str) -> Result<Param<Tensor<D>>, Failure> {
        self.mapped(name, |x: Tensor<D>| x, |x| x)
    }

    fn maybe<const D: usize>(&mut self, name: &str) -> Result<Option<Param<Tensor<D>>>, Failure> {
        if self.has(name) { self.param(name).map(Some) } else { Ok(None) }
    }

    /// `[1, heads, channels]` as `[heads, channels]`.
    fn heads(&mut self, name: &str) -> Result<Param<Tensor<2>>, Failure> {
        self.mapped(name, |x: Tensor<3>| x.squeeze_dim(0), |x: Tensor<2>| x.unsqueeze_dim(0))
    }

    fn linear(&mut self, layer: &mut Linear, name: &str) -> Checked {
        layer.weight = self.param(&format!("{name}.weight"))?;
        layer.bias = self.maybe(&format!("{name}.bias"))?;
        Ok(())
    }

    fn gru(&mut self, encoder: &mut SequenceEncoder, name: &str) -> Checked {
        let SequenceEncoder::Gru(cell) = encoder else {
            return Err(Failure::new(format!("{name}: the encoder is not a GRU")));
        };
        let turned = |x: Tensor<2>| x.transpose();
        *cell = GruCell {
            weight_input: self.mapped(&format!("{name}.weight_ih_l0"), turned, turned)?,
            weight_hidden: self.mapped(&format!("{name}.weight_hh_l0"), turned, turned)?,
            bias_input: self.param(&format!("{name}.bias_ih_l0"))?,
            bias_hidden: self.param(&format!("{name}.bias_hh_l0"))?,
        };
        Ok(())
    }

    fn perceptron(&mut self, layer: &mut GraphPerceptron, name: &str) -> Checked {
        self.linear(&mut layer.hidden, &format!("{name}.nn.0"))?;
        self.linear(&mut layer.output, &format!("{name}.nn.2"))?;
        match &mut layer.edge {
            Some(edge) => self.linear(edge, &format!("{name}.lin")),
            None => Ok(()),
        }
    }

    /// The layers `gnnx2.gnn1`, `gnnx2.gnn2`, ..
    fn layers(&mut self, layers: &mut GraphLayers) -> Checked {
        let name = |index: usize| format!("gnnx2.gnn{}", index + 1);
        match layers {
            GraphLayers::Sum(layers) => {
                for (index, layer) in layers.iter_mut().enumerate() {
                    layer.linear.weight = self.param(&format!("{}.lin.weight", name(index)))?;
                    layer.linear.bias = self.maybe(&format!("{}.bias", name(index)))?;
                }
            }
            GraphLayers::Gcn(layers) => {
                for (index, layer) in layers.iter_mut().enumerate() {
                    layer.weight = self.param(&format!("{}.lin.weight", name(index)))?;
                    layer.bias = self.maybe(&format!("{}.bias", name(index)))?;
                }
            }
            GraphLayers::Gat(layers) => {
                for (index, layer) in layers.iter_mut().enumerate() {
                    let name = name(index);
                    layer.weight = self.param(&format!("{name}.lin.weight"))?;
                    layer.source_attention = self.heads(&format!("{name}.att_src"))?;
                    layer.target_attention = self.heads(&format!("{name}.att_dst"))?;
                    layer.bias = self.maybe(&format!("{name}.bias"))?;
                    if let Some(edge) = &mut layer.edge {
                        edge.weight = self.param(&format!("{name}.lin_edge.weight"))?;
                        edge.attention = self.heads(&format!("{name}.att_edge"))?;
                    }
                }
            }
            GraphLayers::Perceptron(layers) => {
                for (index, layer) in layers.iter_mut().enumerate() {
                    self.perceptron(layer, &name(index))?;
                }
            }
            GraphLayers::Chebyshev(_) => {
                return Err(Failure::new("no file has Chebyshev convolutions"));
            }
        }
        Ok(())
    }

    /// Compares the output, the loss and every gradient of the file.
    fn check(self, output: Tensor<2>) -> Checked {
        let case = self.case;
        let tolerance = Tolerance { absolute: 1e-5, relative: 1e-5, scaled: false };
        case.compare("out", output.clone().inner(), tolerance)?;
        let (weights, shape) = case.values::<2>("loss_weights")?;
        let loss = (output * self.target.float(weights, shape)).sum();
        let tolerance = Tolerance { absolute: 1e-4, relative: 1e-5, scaled: false };
        case.compare_scalar("loss", loss.clone().inner(), tolerance)?;
        let gradients = loss.backward();
        for name in case.names().filter_map(|name| name.strip_prefix("grad.")) {
            let leaf = self.leaves.iter().find(|leaf| leaf.name == name);
            let leaf =
                leaf.ok_or_else(|| Failure::new(format!("nothing has the gradient {name}")))?;
            let found = (leaf.gradient)(&gradients)
                .ok_or_else(|| Failure::new(format!("grad.{name}: there is no gradient")))?;
            let name = format!("grad.{name}");
            let largest = case.flat(&name)?.iter().fold(0.0f64, |max, x| max.max(x.abs()));
            // Gradients that cancel to 0 keep the rounding of their terms, which are of the size of 1.
            let tolerance = Tolerance::absolute(1e-4 * largest.max(0.1));
            case.compare_host(&name, &found.iter::<f64>().collect::<Vec<_>>(), tolerance)?;
        }
        Ok(())
    }
}

fn word<'a>(case: &'a Case, name: &str) -> &'a str {
    case.optional(name).and_then(|value| value.as_str()).unwrap_or("")
}

fn unknown(name: &str, expected: &str, found: &str) -> Failure {
    Failure::new(format!("parameter {name}: expected {expected}, found '{found}'"))
}

/// Swaps two axes of a list of three.
fn swapped(values: &[f64], shape: [usize; 3], axes: [usize; 2]) -> Vec<f64> {
    let mut order = [0, 1, 2];
    order.swap(axes[0], axes[1]);
    let strides = [shape[1] * shape[2], shape[2], 1];
    let [a, b, c] = order;
    let mut output = Vec::with_capacity(values.len());
    for i in 0..shape[a] {
        for j in 0..shape[b] {
            let start = i * strides[a] + j * strides[b];
            output.extend((0..shape[c]).map(|k| values[start + k * strides[c]]));
        }
    }
    output
}

/// The temporal graph of a file, nodes `[n, F, T]`, entries `[T, E, 1]` or `[E, 1]`.
fn time_then_graph_data(
    case: &Case,
    target: &Target,
    dense: bool,
) -> Result<TemporalGraph, Failure> {
    let entries = case.indices("edge_index")?;
    let (sources, targets) = entries.split_at(entries.len() / 2);
    let (features, [nodes, columns, steps]) = case.values::<3>("node_feats")?;
    let features = swapped(&features, [nodes, columns, steps], [1, 2]);
    let (edges, channels) = match dense {
        true => {
            let (edges, shape) = case.values::<3>("edge_feats")?;
            (swapped(&edges, shape, [0, 1]), shape[2])
        }
        false => case.values::<2>("edge_feats").map(|(edges, shape)| (edges, shape[1]))?,
    };
    let connectivity = match dense {
        true => Connectivity::Aggregated { sources, targets, sequences: &edges },
        false => Connectivity::Static { sources, targets, features: &edges },
    };
    let shape = [nodes, steps, columns];
    let window = TemporalWindow { shape, features: &features, connectivity, present: None };
    let options = (&target.device, target.dtype);
    let graph = TemporalGraphConfig::new().with_edge_channels(channels).build(&[window], options);
    graph.map_err(|error| Failure::new(error.to_string()))
}

/// `temporal_time_then_graph`.
pub fn time_then_graph(case: &Case, target: &Target) -> Checked {
    let dense = match word(case, "mode") {
        "dense" => true,
        "static" => false,
        found => return Err(unknown("mode", "dense or static", found)),
    };
    let activation = match word(case, "activation") {
        "softplus" => Activation::Softplus,
        "tanh" => Activation::Tanh,
        found => return Err(unknown("activation", "softplus or tanh", found)),
    };
    let simplest = case.optional("simplest").is_some() && case.bool("simplest")?;
    let convolution = match (word(case, "conv"), simplest) {
        ("gcn", true) => Convolution::Sum,
        ("gcn", false) => Convolution::Gcn,
        ("gat", false) => Convolution::Gat,
        ("gin", false) => Convolution::Gine,
        (found, _) => return Err(unknown("conv", "gcn, or gat or gin with simplest false", found)),
    };
    let graph = time_then_graph_data(case, target, dense)?;
    for (name, found) in [("nodes", graph.nodes()), ("times", graph.steps())] {
        let expected = case.usize(name)?;
        if found != expected {
            return Err(Failure::new(format!("parameter {name}: {expected}, tensors say {found}")));
        }
    }
    let mut network = TimeThenGraphConfig::new(case.usize("features")?, case.usize("hidden")?)
        .with_d_edge(graph.edges().channels())
        .with_edge_encoding(if dense { Encoding::Gru } else { Encoding::Static })
        .with_convolution(convolution)
        .with_activation(activation)
        .init(&target.device);
    let mut setup = Setup::new(case, target);
    setup.gru(&mut network.nodes, "snn_node")?;
    if let Some(edges) = &mut network.edges {
        setup.gru(edges, "snn_edge")?;
    }
    if let Some(weight) = &mut network.edge_weight {
        setup.linear(weight, "gnnx2.edge_transform")?;
    }
    setup.layers(&mut network.graph)?;
    let output = network.forward(&graph);
    setup.check(output)
}
