//! Graph layers: outputs and gradients of inputs and parameters.

use burn::module::Param;
use burn::tensor::{Gradients, Tensor, TensorData};
use firebrick::models::graph::{
    Aggregation, AppnpConfig, ChebConvConfig, GatConvConfig, Gatv2ConvConfig, GcnConvConfig,
    GcniiConvConfig, GinConvConfig, GineConvConfig, SageConvConfig, SgcConvConfig,
};
use firebrick::models::mlp::Mlp;
use firebrick::ops::sparse::{Graph, Normalization, Operator};

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

type Checked = Result<(), Failure>;

type GradientOf = Box<dyn Fn(&Gradients) -> Option<TensorData>>;

/// A tensor whose gradient the file may hold.
struct Leaf {
    name: String,
    gradient: GradientOf,
}

fn leaf<const D: usize>(name: &str, tensor: &Tensor<D>) -> Leaf {
    let tensor = tensor.clone();
    let gradient = move |gradients: &Gradients| tensor.grad(gradients).map(Tensor::into_data);
    Leaf { name: name.into(), gradient: Box::new(gradient) }
}

/// A case with what all of them hold.
struct Setup<'a> {
    case: &'a Case,
    target: &'a Target,
    graph: Graph,
    x: Tensor<2>,
    leaves: Vec<Leaf>,
}

impl<'a> Setup<'a> {
    fn new(case: &'a Case, target: &'a Target, layer: &str) -> Result<Self, Failure> {
        match case.optional("layer").and_then(|value| value.as_str()) {
            Some(found) if found == layer => {}
            found => {
                return Err(Failure::new(format!(
                    "parameter layer: expected {layer}, found {found:?}"
                )));
            }
        }
        let entries = case.indices("edge_index")?;
        let (sources, targets) = entries.split_at(entries.len() / 2);
        let (values, shape) = case.values::<2>("x")?;
        let graph = Graph::from_entries(shape[0], sources, targets)
            .map_err(|error| Failure::new(error.to_string()))?;
        let x = target.float(values, shape).require_grad();
        let leaves = vec![leaf("x", &x)];
        Ok(Self { case, target, graph, x, leaves })
    }

    fn has(&self, name: &str) -> bool {
        self.case.names().any(|found| found == name)
    }

    /// A tensor of the file, with as many axes as the caller wants: those of size 1 in front are dropped.
    fn tensor<const D: usize>(&mut self, name: &str) -> Result<Tensor<D>, Failure> {
        let values = self.case.flat(name)?;
        let shape = match self.case.values::<3>(name) {
            Ok((_, shape)) => shape.to_vec(),
            Err(_) => match self.case.values::<2>(name) {
                Ok((_, shape)) => shape.to_vec(),
                Err(_) => self.case.values::<1>(name)?.1.to_vec(),
            },
        };
        let shape: [usize; D] = shape[shape.len() - D..].try_into().expect("D axes");
        let tensor = self.target.float(values, shape).require_grad();
        self.leaves.push(leaf(name, &tensor));
        Ok(tensor)
    }

    fn param<const D: usize>(&mut self, name: &str) -> Result<Param<Tensor<D>>, Failure> {
        let tensor = self.tensor(&format!("param.{name}"))?;
        Ok(Param::from_tensor(tensor))
    }

    fn maybe<const D: usize>(&mut self, name: &str) -> Result<Option<Param<Tensor<D>>>, Failure> {
        match self.has(&format!("param.{name}")) {
            true => self.param(name).map(Some),
            false => Ok(None),
        }
    }

    /// The linear layers `nn.0`, `nn.2`, ..
    fn network(&mut self, network: &mut Mlp) -> Checked {
        for (index, layer) in network.layers.iter_mut().enumerate() {
            layer.weight = self.param(&format!("nn.{}.weight", 2 * index))?;
            layer.bias = self.maybe(&format!("nn.{}.bias", 2 * index))?;
        }
        Ok(())
    }

    /// Widths of the linear layers `nn.0`, `nn.2`, ..
    fn widths(&self) -> Result<Vec<usize>, Failure> {
        let mut widths = vec![self.x.dims()[1]];
        while self.has(&format!("param.nn.{}.weight", 2 * (widths.len() - 1))) {
            let name = format!("param.nn.{}.weight", 2 * (widths.len() - 1));
            widths.push(self.case.values::<2>(&name)?.1[1]);
        }
        Ok(widths)
    }

    /// The operator, trained weights included where the file has them.
    fn operator(&mut self, normalization: Normalization) -> Result<Operator, Failure> {
        if self.has("edge_weight") {
            let weights = self.tensor::<1>("edge_weight")?;
            return Ok(normalization.differentiable(&self.graph, weights));
        }
        let options = (&self.target.device, self.target.dtype);
        Ok(normalization.unweighted(&self.graph, options))
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, Failure> {
        match self.case.optional(name) {
            None => Ok(default),
            Some(_) => self.case.bool(name),
        }
    }

    fn number(&self, name: &str, default: f64) -> Result<f64, Failure> {
        match self.case.optional(name) {
            None => Ok(default),
            Some(_) => self.case.f64(name),
        }
    }

    fn sizes(&self) -> Result<(usize, usize), Failure> {
        Ok((self.case.usize("in_features")?, self.case.usize("out_features")?))
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
            if case.flat(name)?.is_empty() {
                continue;
            }
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

/// `graph_gcn`, the plain sum included.
pub fn gcn(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "GCNConv")?;
    let loops = setup.flag("add_self_loops", true)?;
    let normalization =
        match (setup.flag("normalize", true)?, loops, setup.flag("improved", false)?) {
            (true, true, false) => Normalization::GCN,
            (true, true, true) => Normalization::IMPROVED,
            (true, false, _) => {
                Normalization { self_loops: Normalization::NONE.self_loops, ..Normalization::GCN }
            }
            // Without normalization the reference leaves self loops alone.
            (false, ..) => Normalization::NONE,
        };
    let (inputs, outputs) = setup.sizes()?;
    let bias = setup.flag("bias", true)?;
    let mut layer = GcnConvConfig::new(inputs, outputs).with_bias(bias).init(&target.device);
    layer.weight = setup.param("lin.weight")?;
    layer.bias = setup.maybe("bias")?;
    let operator = setup.operator(normalization)?;
    let output = layer.forward(&operator, setup.x.clone());
    setup.check(output)
}

/// `graph_gat`.
pub fn gat(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "GATConv")?;
    if let Some(fill) = case.optional("fill_value")
        && fill.as_str() != Some("mean")
    {
        return Err(Failure::new(format!("parameter fill_value: expected mean, found {fill}")));
    }
    let (inputs, outputs) = setup.sizes()?;
    let mut config = GatConvConfig::new(inputs, outputs)
        .with_heads(case.usize("heads")?)
        .with_concatenate(setup.flag("concat", true)?)
        .with_negative_slope(setup.number("negative_slope", 0.2)?)
        .with_self_loops(setup.flag("add_self_loops", true)?);
    if case.optional("edge_dim").is_some() {
        config = config.with_d_edge(Some(case.usize("edge_dim")?));
    }
    let mut layer = config.init(&target.device);
    layer.weight = setup.param("lin.weight")?;
    layer.source_attention = setup.param("att_src")?;
    layer.target_attention = setup.param("att_dst")?;
    layer.bias = setup.maybe("bias")?;
    let mut features = None;
    if let Some(edge) = &mut layer.edge {
        edge.weight = setup.param("lin_edge.weight")?;
        edge.attention = setup.param("att_edge")?;
        features = Some(setup.tensor("edge_attr")?);
    }
    let output = layer.attend(&setup.graph, setup.x.clone(), features).output;
    setup.check(output)
}

/// `graph_gatv2`.
pub fn gatv2(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "GATv2Conv")?;
    let (inputs, outputs) = setup.sizes()?;
    let mut config = Gatv2ConvConfig::new(inputs, outputs)
        .with_heads(case.usize("heads")?)
        .with_concatenate(setup.flag("concat", true)?)
        .with_negative_slope(setup.number("negative_slope", 0.2)?)
        .with_self_loops(setup.flag("add_self_loops", true)?)
        .with_share_weights(setup.flag("share_weights", false)?);
    if case.optional("edge_dim").is_some() {
        config = config.with_d_edge(Some(case.usize("edge_dim")?));
    }
    let mut layer = config.init(&target.device);
    layer.source.weight = setup.param("lin_l.weight")?;
    layer.source.bias = setup.maybe("lin_l.bias")?;
    if let Some(map) = &mut layer.target {
        map.weight = setup.param("lin_r.weight")?;
        map.bias = setup.maybe("lin_r.bias")?;
    }
    layer.attention = setup.param("att")?;
    layer.bias = setup.maybe("bias")?;
    let mut features = None;
    if let Some(weight) = &mut layer.edge_weight {
        *weight = setup.param("lin_edge.weight")?;
        features = Some(setup.tensor("edge_attr")?);
    }
    let output = layer.attend(&setup.graph, setup.x.clone(), features).output;
    setup.check(output)
}

/// `graph_sage`.
pub fn sage(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "SAGEConv")?;
    let aggregation = match case.optional("aggr").and_then(|value| value.as_str()) {
        Some("mean") | None => Aggregation::Mean,
        Some("max") => Aggregation::Max,
        Some("sum" | "add") => Aggregation::Sum,
        Some(found) => {
            return Err(Failure::new(format!(
                "parameter aggr: expected mean, max, sum or add, found {found}"
            )));
        }
    };
    let (inputs, outputs) = setup.sizes()?;
    let mut layer = SageConvConfig::new(inputs, outputs)
        .with_aggregation(aggregation)
        .with_normalize(setup.flag("normalize", false)?)
        .init(&target.device);
    layer.neighbor_weight = setup.param("lin_l.weight")?;
    layer.bias = setup.maybe("lin_l.bias")?;
    layer.root_weight = setup.maybe("lin_r.weight")?;
    let output = layer.forward(&setup.graph, setup.x.clone());
    setup.check(output)
}

/// `graph_gin`.
pub fn gin(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "GINConv")?;
    let mut layer = GinConvConfig::new(setup.widths()?)
        .with_epsilon(setup.number("eps", 0.0)?)
        .with_train_epsilon(setup.flag("train_eps", false)?)
        .init(&target.device);
    setup.network(&mut layer.network)?;
    layer.epsilon.trained = setup.maybe("eps")?;
    let output = layer.forward(&setup.graph, setup.x.clone());
    setup.check(output)
}

/// `graph_gine`.
pub fn gine(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "GINEConv")?;
    let mut layer = GineConvConfig::new(setup.widths()?, case.usize("edge_dim")?)
        .with_epsilon(setup.number("eps", 0.0)?)
        .with_train_epsilon(setup.flag("train_eps", false)?)
        .init(&target.device);
    setup.network(&mut layer.network)?;
    layer.edge.weight = setup.param("lin.weight")?;
    layer.edge.bias = setup.maybe("lin.bias")?;
    layer.epsilon.trained = setup.maybe("eps")?;
    let features = setup.tensor("edge_attr")?;
    let output = layer.forward(&setup.graph, setup.x.clone(), features);
    setup.check(output)
}

/// `graph_gcnii`.
pub fn gcnii(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "GCN2Conv")?;
    let mut layer = GcniiConvConfig::new(setup.x.dims()[1], case.usize("layer_index")?)
        .with_alpha(case.f64("alpha")?)
        .with_lambda(case.f64("theta")?)
        .with_separate(!setup.flag("shared_weights", true)?)
        .init(&target.device);
    layer.weight = setup.param("weight1")?;
    layer.initial_weight = setup.maybe("weight2")?;
    let initial = setup.tensor("x_0")?;
    let operator = setup.operator(Normalization::GCN)?;
    let output = layer.forward(&operator, setup.x.clone(), initial);
    setup.check(output)
}

/// `graph_cheb`.
pub fn cheb(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "ChebConv")?;
    match case.optional("normalization").and_then(|value| value.as_str()) {
        Some("sym") | None => {}
        found => {
            return Err(Failure::new(format!(
                "parameter normalization: expected sym, found {found:?}"
            )));
        }
    }
    let (inputs, outputs) = setup.sizes()?;
    let order = case.usize("K")?;
    let mut layer = ChebConvConfig::new(inputs, outputs, order).init(&target.device);
    for (index, weight) in layer.weights.iter_mut().enumerate() {
        *weight = setup.param(&format!("lins.{index}.weight"))?;
    }
    layer.bias = setup.maybe("bias")?;
    let operator = setup.operator(Normalization::CHEBYSHEV)?;
    let output = layer.forward(&operator, setup.x.clone());
    setup.check(output)
}

/// `graph_appnp`.
pub fn appnp(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "APPNP")?;
    let config = AppnpConfig::new().with_steps(case.usize("K")?).with_alpha(case.f64("alpha")?);
    let operator = setup.operator(Normalization::GCN)?;
    let output = config.init().forward(&operator, setup.x.clone());
    setup.check(output)
}

/// `graph_sgc`.
pub fn sgc(case: &Case, target: &Target) -> Checked {
    let mut setup = Setup::new(case, target, "SGConv")?;
    let (inputs, outputs) = setup.sizes()?;
    let mut layer =
        SgcConvConfig::new(inputs, outputs).with_steps(case.usize("K")?).init(&target.device);
    layer.weight = setup.param("lin.weight")?;
    layer.bias = setup.maybe("lin.bias")?;
    let operator = setup.operator(Normalization::GCN)?;
    let output = layer.forward(&operator, setup.x.clone());
    setup.check(output)
}
