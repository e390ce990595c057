//! Gradients against central differences, in 64 bits.

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick_models::orthogonal::alternatives::*;
use firebrick_models::orthogonal::{OrthogonalLayer, Pointwise};

use crate::{f64_on, host, wave};

/// Gradients of all parameters, with their values.
struct Collect<'a> {
    gradients: &'a burn::tensor::Gradients,
    found: Vec<(ParamId, Vec<f64>)>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).expect("a gradient for every parameter");
        self.found.push((param.id, host(gradient)));
    }
}

/// Adds `step` to one entry of one parameter.
struct Nudge {
    id: ParamId,
    entry: usize,
    step: f64,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.id {
            return param;
        }
        let (id, value, mapper) = param.consume();
        let (shape, device) = (value.dims(), value.device());
        let mut values = host(value);
        values[self.entry] += self.step;
        let value = Tensor::from_data(TensorData::new(values, shape), (&device, DType::F64));
        Param::from_mapped_value(id, value.require_grad(), mapper)
    }
}

fn check_gradients<L: OrthogonalLayer>(name: &str, layer: L, image: [usize; 2]) {
    let device = Device::flex().autodiff();
    let input = wave([2, layer.channels()[0], image[0], image[1]], 1, &device);
    let loss = |layer: &L, input: Tensor<4>| {
        let output = layer.forward(input);
        let weights = wave(output.dims(), 2, &device);
        (output.powi_scalar(2) * weights.clone() + weights.cos()).sum()
    };
    let tracked = input.clone().require_grad();
    let gradients = loss(&layer, tracked.clone()).backward();
    let mut collect = Collect { gradients: &gradients, found: Vec::new() };
    layer.visit(&mut collect);
    assert!(!collect.found.is_empty(), "{name}");
    let step = 1e-6;
    let close = |what: String, found: f64, of: &dyn Fn(f64) -> f64| {
        let expected = (of(step) - of(-step)) / (2.0 * step);
        let scale = 1.0 + expected.abs();
        assert!((found - expected).abs() < 2e-7 * scale, "{name} {what}: {found} not {expected}");
    };
    for (id, gradient) in collect.found {
        let count = gradient.len();
        for entry in (0..count).step_by(count.div_ceil(5)) {
            let of = |step: f64| {
                let nudged = layer.clone().map(&mut Nudge { id, entry, step });
                loss(&nudged, input.clone()).into_scalar::<f64>()
            };
            close(format!("parameter entry {entry} of {count}"), gradient[entry], &of);
        }
    }
    let gradient = host(tracked.grad(&gradients).unwrap());
    for entry in (0..gradient.len()).step_by(gradient.len().div_ceil(4)) {
        let of = |step: f64| {
            let mut values = host(input.clone());
            values[entry] += step;
            let data = TensorData::new(values, input.dims());
            let input = Tensor::<4>::from_data(data, (&device, DType::F64));
            loss(&layer, input).into_scalar::<f64>()
        };
        close(format!("input entry {entry}"), gradient[entry], &of);
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    let device = Device::flex().autodiff();
    let device = f64_on(&device);
    let seed = Some(3);
    // The scale counts as a constant, and drops out once the iteration has converged.
    let bjorck = BjorckConfig::new().with_iterations(40);
    let linear = BjorckLinearConfig::new(3, 4).with_bjorck(bjorck).with_bias(true);
    let linear = Pointwise { linear: linear.with_seed(seed).init(device) };
    check_gradients("bjorck", linear, [2, 2]);
    for (inputs, outputs) in [(3, 5), (4, 2)] {
        let linear = CayleyLinearConfig::new(inputs, outputs).with_bias(true).with_seed(seed);
        check_gradients("cayley", Pointwise { linear: linear.init(device) }, [2, 2]);
        let conv = CayleyConv2dConfig::new([inputs, outputs], 3, [5, 4]).with_bias(true);
        check_gradients("cayley conv", conv.with_seed(seed).init(device), [5, 4]);
        let bcop = BcopConv2dConfig::new([inputs, outputs], 3).with_bjorck(bjorck);
        check_gradients("bcop", bcop.with_bias(true).with_seed(seed).init(device), [4, 3]);
        let soc = SocConv2dConfig::new([inputs, outputs], 3).with_power_iterations(400);
        check_gradients("soc", soc.with_bias(true).with_seed(seed).init(device), [4, 3]);
        let svcm = SvcmConv2dConfig::new([inputs, outputs], 3).with_bias(true).with_seed(seed);
        check_gradients("svcm", svcm.init(device), [4, 3]);
    }
    let linear = HouseholderLinearConfig::new(4, 3).with_bias(true).with_seed(seed);
    check_gradients("householder", Pointwise { linear: linear.init(device) }, [2, 2]);
    let rko = RkoConv2dConfig::new([2, 3], 3).with_bjorck(bjorck).with_bias(true);
    check_gradients("rko", rko.with_seed(seed).init(device), [4, 3]);
    let aoc = AocConv2dConfig::new([2, 6], 3).with_stride(2).with_groups(2).with_bjorck(bjorck);
    check_gradients("aoc", aoc.with_bias(true).with_seed(seed).init(device), [4, 2]);
}
