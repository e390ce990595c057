//! Time-and-graph networks: outputs and gradients of parameters.

use std::ops::Range;

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Gradients, Tensor, TensorData};
use firebrick::models::graph::ChebConv;
use firebrick::models::temporal::{
    Activation, ChebyshevGate, Connectivity, EvolveGcnHConfig, EvolveGcnOConfig, GcrnConfig,
    GraphGruConfig, TemporalGraph, TemporalGraphConfig, TemporalWindow,
};

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

type Checked = Result<(), Failure>;

type GradientOf = Box<dyn Fn(&Gradients) -> Option<TensorData>>;

/// A parameter and how its gradient is read in the layout of the file.
struct Leaf {
    name: String,
    gradient: GradientOf,
}

/// A case with what all of them hold.
struct Setup<'a> {
    case: &'a Case,
    target: &'a Target,
    graph: TemporalGraph,
    leaves: Vec<Leaf>,
}

impl<'a> Setup<'a> {
    fn new(case: &'a Case, target: &'a Target) -> Result<Self, Failure> {
        let graph = window(case, target)?;
        Ok(Self { case, target, graph, leaves: Vec::new() })
    }

    fn has(&self, name: &str) -> bool {
        let name = format!("param.{name}");
        self.case.names().any(|found| found == name)
    }

    /// Whether any tensor has the prefix and the part.
    fn any(&self, prefix: &str, part: &str) -> bool {
        self.case.names().any(|name| name.starts_with(prefix) && name.contains(part))
    }

    fn param<const D: usize>(&mut self, name: &str) -> Result<Param<Tensor<D>>, Failure> {
        let (values, shape) = self.case.values::<D>(&format!("param.{name}"))?;
        let tensor = self.target.float(values, shape).require_grad();
        let leaf = tensor.clone();
        self.leaves.push(Leaf {
            name: name.into(),
            gradient: Box::new(move |gradients| leaf.grad(gradients).map(Tensor::into_data)),
        });
        Ok(Param::from_tensor(tensor))
    }

    /// A matrix that stands transposed in the file.
    fn transposed(&mut self, name: &str) -> Result<Param<Tensor<2>>, Failure> {
        let (values, shape) = self.case.values::<2>(&format!("param.{name}"))?;
        let values = self.target.float(values, shape).transpose().into_data();
        let options = (&self.target.device, self.target.dtype);
        let tensor = Tensor::<2>::from_data(values, options).require_grad();
        let leaf = tensor.clone();
        let gradient = move |gradients: &Gradients| {
            leaf.grad(gradients).map(|gradient| gradient.transpose().into_data())
        };
        self.leaves.push(Leaf { name: name.into(), gradient: Box::new(gradient) });
        Ok(Param::from_tensor(tensor))
    }

    /// Weights and biases of a recurrent cell.
    fn cell(&mut self, name: &str) -> Result<Cell, Failure> {
        Ok((
            self.transposed(&format!("{name}.weight_ih"))?,
            self.transposed(&format!("{name}.weight_hh"))?,
            self.param(&format!("{name}.bias_ih"))?,
            self.param(&format!("{name}.bias_hh"))?,
        ))
    }

    fn cheb(&mut self, layer: &mut ChebConv, name: &str) -> Checked {
        for (index, weight) in layer.weights.iter_mut().enumerate() {
            *weight = self.param(&format!("{name}.lins.{index}.weight"))?;
        }
        layer.bias = Some(self.param(&format!("{name}.bias"))?);
        Ok(())
    }

    fn gate(&mut self, gate: &mut ChebyshevGate, name: &str) -> Checked {
        self.cheb(&mut gate.first, &format!("{name}.gnn1"))?;
        if let Some(second) = &mut gate.second {
            self.cheb(second, &format!("{name}.gnn2"))?;
        }
        if let Some(Linear { weight, bias, .. }) = &mut gate.skip {
            *weight = self.param(&format!("{name}.skip.weight"))?;
            *bias = Some(self.param(&format!("{name}.skip.bias"))?);
        }
        Ok(())
    }

    /// Number of polynomials and of layers of the gates below a name, and whether their skip connections are
    /// used: the reference makes them in any case.
    fn gates(&self, name: &str) -> Result<(usize, usize, bool), Failure> {
        let order = (0..)
            .take_while(|index| self.has(&format!("{name}.0.gnn1.lins.{index}.weight")))
            .count();
        let layers = if self.has(&format!("{name}.0.gnn2.bias")) { 2 } else { 1 };
        let mut skip = false;
        for found in self.case.names().filter(|name| name.starts_with("grad.")) {
            if found.contains(".skip.") {
                skip |= self.case.flat(found)?.iter().any(|value| *value != 0.0);
            }
        }
        Ok((order, layers, skip))
    }

    /// Compares the output, the loss and every gradient of the file.
    fn check(self, output: Tensor<2>) -> Checked {
        let case = self.case;
        let tolerance = Tolerance { absolute: 1e-5, relative: 1e-5, scaled: false };
        case.compare("out", output.clone().inner(), tolerance)?;
        let (weights, shape) = case.values::<2>("loss_weights")?;
        let loss = (output * self.target.float(weights, shape)).sum();
        case.compare_scalar("loss", loss.clone().inner(), tolerance)?;
        let gradients = loss.backward();
        for name in case.names().filter(|name| name.starts_with("grad.")) {
            let expected = case.flat(name)?;
            let bare = &name["grad.".len()..];
            let leaf = self.leaves.iter().find(|leaf| leaf.name == bare);
            let Some(leaf) = leaf else {
                // A parameter of the reference that its forward never reads.
                if expected.iter().all(|value| *value == 0.0) {
                    continue;
                }
                return Err(Failure::new(format!("nothing has the gradient {name}")));
            };
            let found = (leaf.gradient)(&gradients)
                .ok_or_else(|| Failure::new(format!("{name}: there is no gradient")))?;
            let found: Vec<f64> = found.iter::<f64>().collect();
            let largest = expected.iter().fold(0.0f64, |max, x| max.max(x.abs()));
            // Relative to the gradient's largest value; terms of the size of 1 leave their rounding.
            let absolute = 1e-4 * largest.max(1e-2);
            case.compare_host(name, &found, Tolerance::absolute(absolute))?;
        }
        Ok(())
    }
}

type Cell = (Param<Tensor<2>>, Param<Tensor<2>>, Param<Tensor<1>>, Param<Tensor<1>>);

/// The window of a file.
fn window(case: &Case, target: &Target) -> Result<TemporalGraph, Failure> {
    let ranges = case.indices("edge_ranges")?;
    let (begins, ends) = ranges.split_at(ranges.len() / 2);
    let ranges: Vec<Range<usize>> = begins.iter().zip(ends).map(|(&from, &to)| from..to).collect();
    let entries = case.indices("edge_index")?;
    let (sources, targets) = entries.split_at(entries.len() / 2);
    let (values, [nodes, columns, steps]) = case.values::<3>("node_feats")?;
    let mut features = vec![0.0; values.len()];
    for (place, value) in values.into_iter().enumerate() {
        let (node, column, step) =
            (place / (columns * steps), place / steps % columns, place % steps);
        features[(node * steps + step) * columns + column] = value;
    }
    let window = TemporalWindow {
        shape: [nodes, steps, columns],
        features: &features,
        connectivity: Connectivity::Dynamic {
            sources,
            targets,
            ranges: &ranges,
            weights: &case.flat("edge_weight")?,
        },
        present: None,
    };
    let config = TemporalGraphConfig::new().with_sum_duplicates(true);
    let graph = config.build(&[window], (&target.device, target.dtype));
    graph.map_err(|error| Failure::new(error.to_string()))
}

fn activation(case: &Case) -> Result<Activation, Failure> {
    match case.optional("activation").and_then(|value| value.as_str()) {
        Some("softplus") => Ok(Activation::Softplus),
        Some("tanh") => Ok(Activation::Tanh),
        Some("relu") => Ok(Activation::Relu),
        found => Err(Failure::new(format!(
            "parameter activation: expected softplus, tanh or relu, found {found:?}"
        ))),
    }
}

/// `temporal_evolvegcn`.
pub fn evolve_gcn(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target)?;
    let activation = activation(case)?;
    let layers = (1..).take_while(|layer| setup.has(&format!("weight{layer}"))).count();
    let (inputs, hidden) = (case.usize("features")?, case.usize("hidden")?);
    if setup.any("param.summary", ".weight") {
        let config = EvolveGcnHConfig::new(inputs).with_d_hidden(hidden).with_layers(layers);
        let mut network = config.with_activation(activation).init(&target.device);
        for layer in 0..layers {
            network.weights[layer] = setup.param(&format!("weight{}", layer + 1))?;
            network.summaries[layer] = setup.param(&format!("summary{}.weight", layer + 1))?;
            let cell = &mut network.cells[layer];
            (cell.weight_input, cell.weight_hidden, cell.bias_input, cell.bias_hidden) =
                setup.cell(&format!("rnn{}", layer + 1))?;
        }
        let output = network.forward(&setup.graph);
        return setup.check(output);
    }
    let config = EvolveGcnOConfig::new(inputs).with_d_hidden(hidden).with_layers(layers);
    let mut network = config.with_activation(activation).init(&target.device);
    for layer in 0..layers {
        network.weights[layer] = setup.param(&format!("weight{}", layer + 1))?;
        let cell = &mut network.cells[layer];
        (cell.weight_input, cell.weight_hidden, cell.bias_input, cell.bias_hidden) =
            setup.cell(&format!("rnn{}", layer + 1))?;
    }
    let output = network.forward(&setup.graph);
    setup.check(output)
}

/// `temporal_recurrent`.
pub fn recurrent(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target)?;
    let activation = activation(case)?;
    let (inputs, hidden) = (case.usize("features")?, case.usize("hidden")?);
    if setup.any("param.gnnx2_i.", "") {
        let (order, layers, skip) = setup.gates("gnnx2_i")?;
        let config = GcrnConfig::new(inputs).with_d_hidden(hidden).with_order(order);
        let config = config.with_layers(layers).with_skip(skip).with_activation(activation);
        let mut network = config.init(&target.device);
        for gate in 0..4 {
            setup.gate(&mut network.input[gate], &format!("gnnx2_i.{gate}"))?;
            setup.gate(&mut network.hidden[gate], &format!("gnnx2_h.{gate}"))?;
        }
        network.bias = setup.param("bias")?;
        let output = network.forward(&setup.graph);
        return setup.check(output);
    }
    let (order, layers, skip) = setup.gates("gnnx2")?;
    let config = GraphGruConfig::new(inputs).with_d_hidden(hidden).with_order(order);
    let config = config.with_layers(layers).with_skip(skip).with_activation(activation);
    let mut network = config.init(&target.device);
    for gate in 0..3 {
        setup.gate(&mut network.gates[gate], &format!("gnnx2.{gate}"))?;
    }
    network.bias = setup.param("bias")?;
    let output = network.forward(&setup.graph);
    setup.check(output)
}
