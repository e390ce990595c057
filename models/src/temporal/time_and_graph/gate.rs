//! Gates made of Chebyshev convolutions, several of them computed as one.
//!
//! A gate is a network of one or two Chebyshev convolutions. Gates that read the same rows share the
//! polynomials of these rows, and their matrices stand side by side in one product; in the second layer the
//! hidden rows of all gates go through one sparse product and one batched product.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use firebrick_ops::sparse::Operator;

use crate::graph::{ChebConv, ChebConvConfig, polynomials};
use crate::temporal::Activation;
use crate::temporal::start::{linear, uniform};

/// Settings of [`ChebyshevGate`].
#[derive(Config, Debug)]
pub struct ChebyshevGateConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of outputs, also the width between the layers.
    pub d_output: usize,
    /// Number of Chebyshev polynomials.
    #[config(default = 2)]
    pub order: usize,
    /// Number of convolutions, 1 or 2.
    #[config(default = 2)]
    pub layers: usize,
    /// Whether the gate's input is added to its output, through a linear layer where the sizes differ.
    #[config(default = false)]
    pub skip: bool,
}

impl ChebyshevGateConfig {
    /// Creates the gate; everything starts in Glorot's uniform range.
    ///
    /// # Panics
    /// If a size or the order is zero, or there are not 1 or 2 layers.
    pub fn init(&self, device: &Device) -> ChebyshevGate {
        let Self { d_input, d_output, order, layers, skip } = *self;
        assert!(
            layers == 1 || layers == 2,
            "ChebyshevGateConfig: layers must be 1 or 2, got {layers}"
        );
        let layer = |d_input| {
            let mut layer = ChebConvConfig::new(d_input, d_output, order).init(device);
            layer.bias = Some(uniform([d_output], d_input, d_output, device));
            layer
        };
        ChebyshevGate {
            first: layer(d_input),
            second: (layers == 2).then(|| layer(d_output)),
            skip: (skip && d_input != d_output).then(|| linear(d_input, d_output, true, device)),
            adds_input: skip && d_input == d_output,
        }
    }
}

/// A network of one or two Chebyshev convolutions, an activation between them:
/// `Cheb_2(act(Cheb_1(x)))`, with a skip connection `+ S(x)` on request.
#[derive(Module, Debug)]
pub struct ChebyshevGate {
    /// From the input.
    pub first: ChebConv,
    /// From the hidden rows, where there are two layers.
    pub second: Option<ChebConv>,
    /// The skip connection where input and output differ in size.
    pub skip: Option<Linear>,
    #[module(skip)]
    adds_input: bool,
}

/// Several gates as one. Every gate is a sum of networks, one per *branch*; the networks of a branch read the
/// same rows, which may be given in *parts* side by side.
pub(super) struct GateStack {
    gates: usize,
    order: usize,
    /// Per branch `[order * inputs, gates * width]`; rows by part and then by polynomial.
    first: Vec<Tensor<2>>,
    /// `[1, branches * gates * width]`
    first_bias: Tensor<2>,
    /// `[gates, branches * order * width, width]` and `[gates, 1, width]`
    second: Option<(Tensor<3>, Tensor<3>)>,
    /// Per branch.
    skips: Vec<Skip>,
}

enum Skip {
    None,
    Identity,
    /// `[inputs, gates * width]` and `[1, gates * width]`
    Linear(Box<[Tensor<2>; 2]>),
}

/// Rows of one branch with their polynomials.
pub(super) struct Rows {
    /// `[nodes, order * inputs]`: by part and then by polynomial.
    pub polynomials: Tensor<2>,
    /// `[nodes, inputs]`
    pub plain: Tensor<2>,
}

impl GateStack {
    /// The stack of `branches`, each with one network per gate, whose inputs come in parts of these sizes.
    pub fn new(branches: &[(&[ChebyshevGate], &[usize])]) -> Self {
        let gates = branches[0].0.len();
        let order = branches[0].0[0].first.weights.len();
        let first = branches.iter().map(|(nets, parts)| {
            let columns = nets.iter().map(|net| by_part(&net.first, parts));
            Tensor::cat(columns.collect(), 1)
        });
        let nets = || branches.iter().flat_map(|(nets, _)| nets.iter());
        let first_bias = Tensor::cat(nets().map(|net| bias(&net.first)).collect(), 1);
        let two_layers = branches[0].0[0].second.is_some();
        Self {
            gates,
            order,
            first: first.collect(),
            first_bias,
            second: two_layers.then(|| second_layers(branches, gates)),
            skips: branches.iter().map(|(nets, _)| Skip::new(nets)).collect(),
        }
    }

    /// `[gates, nodes, width]`, before what makes them gates.
    pub fn forward(
        &self,
        operator: &Operator,
        rows: Vec<Rows>,
        activation: Activation,
    ) -> Tensor<3> {
        let skipped = self.skipped(&rows);
        let polynomials = rows.into_iter().map(|rows| rows.polynomials);
        let output = match &self.second {
            None => self.one_layer(polynomials.collect()),
            Some(second) => {
                let first = polynomials.zip(&self.first).map(|(x, w)| x.matmul(w.clone()));
                let hidden = Tensor::cat(first.collect(), 1) + self.first_bias.clone();
                self.second_layer(operator, activation.forward(hidden), second)
            }
        };
        match skipped {
            Some(skipped) => output + skipped,
            None => output,
        }
    }

    fn one_layer(&self, polynomials: Vec<Tensor<2>>) -> Tensor<3> {
        let nodes = polynomials[0].dims()[0];
        let branches = self.first.len();
        let bias = self.first_bias.clone().reshape([branches as i32, -1]).sum_dim(0);
        let output = Tensor::cat(polynomials, 1).matmul(Tensor::cat(self.first.clone(), 0)) + bias;
        let width = output.dims()[1] / self.gates;
        output.reshape([nodes, self.gates, width]).swap_dims(0, 1)
    }

    fn second_layer(
        &self,
        operator: &Operator,
        hidden: Tensor<2>,
        (weight, bias): &(Tensor<3>, Tensor<3>),
    ) -> Tensor<3> {
        let [nodes, columns] = hidden.dims();
        let (branches, gates) = (self.first.len(), self.gates);
        let width = columns / (branches * gates);
        let by_gate = |x: Tensor<2>| x.reshape([nodes, branches, gates, width]);
        let terms = polynomials(operator, hidden, self.order).into_iter().map(by_gate);
        let terms: Tensor<4> = Tensor::cat(terms.collect(), 3);
        let terms = terms.permute([2, 0, 1, 3]);
        let inputs = branches * self.order * width;
        terms.reshape([gates, nodes, inputs]).matmul(weight.clone()) + bias.clone()
    }

    fn skipped(&self, rows: &[Rows]) -> Option<Tensor<3>> {
        let terms = self.skips.iter().zip(rows).filter_map(|(skip, rows)| match skip {
            Skip::None => None,
            Skip::Identity => {
                let [nodes, columns] = rows.plain.dims();
                let rows = rows.plain.clone().unsqueeze_dim::<3>(0);
                Some(rows.expand([self.gates, nodes, columns]))
            }
            Skip::Linear(layer) => {
                let [weight, bias] = &**layer;
                let rows = rows.plain.clone().matmul(weight.clone()) + bias.clone();
                let [nodes, columns] = rows.dims();
                let rows = rows.reshape([nodes, self.gates, columns / self.gates]);
                Some(rows.swap_dims(0, 1))
            }
        });
        terms.reduce(|sum, term| sum + term)
    }
}

impl Skip {
    fn new(nets: &[ChebyshevGate]) -> Self {
        let linear: Vec<&Linear> = nets.iter().filter_map(|net| net.skip.as_ref()).collect();
        if linear.is_empty() {
            return if nets[0].adds_input { Self::Identity } else { Self::None };
        }
        let weight = Tensor::cat(linear.iter().map(|layer| layer.weight.val()).collect(), 1);
        let bias = |layer: &&Linear| {
            let bias = layer.bias.as_ref().map(|bias| bias.val().unsqueeze());
            bias.unwrap_or_else(|| Tensor::zeros_like(&layer.weight.val().narrow(0, 0, 1)))
        };
        Self::Linear(Box::new([weight, Tensor::cat(linear.iter().map(bias).collect(), 1)]))
    }
}

/// `T_0 x | T_1 x | ..`, `[nodes, order * inputs]`.
pub(super) fn stacked_polynomials(operator: &Operator, x: Tensor<2>, order: usize) -> Tensor<2> {
    Tensor::cat(polynomials(operator, x, order), 1)
}

/// The matrices of a layer below each other, `[order * inputs, width]`, by part and then by polynomial.
fn by_part(layer: &ChebConv, parts: &[usize]) -> Tensor<2> {
    let weights: Vec<Tensor<2>> = layer.weights.iter().map(|weight| weight.val()).collect();
    if parts.len() == 1 {
        return Tensor::cat(weights, 0);
    }
    let starts = parts.iter().scan(0, |next, size| Some(std::mem::replace(next, *next + size)));
    let rows = starts.zip(parts).flat_map(|(start, &size)| {
        weights.iter().map(move |weight| weight.clone().narrow(0, start, size))
    });
    Tensor::cat(rows.collect(), 0)
}

fn bias(layer: &ChebConv) -> Tensor<2> {
    let bias = layer.bias.as_ref().map(|bias| bias.val().unsqueeze());
    bias.unwrap_or_else(|| Tensor::zeros_like(&layer.weights[0].val().narrow(0, 0, 1)))
}

/// Second layers of all networks: matrices of a gate below each other, by branch and then by polynomial.
fn second_layers(
    branches: &[(&[ChebyshevGate], &[usize])],
    gates: usize,
) -> (Tensor<3>, Tensor<3>) {
    let layers = |gate: usize| {
        branches.iter().map(move |(nets, _)| {
            nets[gate].second.as_ref().expect("all networks have as many layers as the first")
        })
    };
    let weight = |gate| {
        let rows = layers(gate).flat_map(|layer| layer.weights.iter().map(|weight| weight.val()));
        Tensor::cat(rows.collect(), 0)
    };
    let bias = |gate| {
        let sum = layers(gate).map(bias).reduce(|sum, bias| sum + bias);
        sum.expect("there is at least one branch")
    };
    let weights: Vec<Tensor<2>> = (0..gates).map(weight).collect();
    let biases: Vec<Tensor<2>> = (0..gates).map(bias).collect();
    (Tensor::stack(weights, 0), Tensor::stack(biases, 0))
}
