//! Orthogonal layers: maps of skew-symmetric matrices, kernels, outputs, gradients, singular values.

use burn::module::Param;
use burn::tensor::{DType, Tensor};
use firebrick::models::orthogonal::{
    ImportLayout, OrthogonalConv1dConfig, OrthogonalConv2dConfig, OrthogonalConvTranspose1dConfig,
    OrthogonalConvTranspose2dConfig, OrthogonalLinearConfig, OrthogonalPadding, ParameterSlot,
    ParameterTable, ParaunitaryFilter, TransposedOrder,
};
use firebrick::ops::orthogonal::HostMatrix;
use firebrick::ops::skew::{Retraction, cayley_columns, expm_skew, skew};

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

fn values(target: &Target) -> Tolerance {
    Tolerance::absolute(if target.dtype == DType::F64 { 1e-12 } else { 2e-5 })
}

/// Gradients are compared relative to the largest entry of their tensor.
fn gradients(case: &Case, name: &str, target: &Target) -> Result<Tolerance, Failure> {
    let largest = case.flat(name)?.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    let relative = if target.dtype == DType::F64 { 1e-10 } else { 1e-4 };
    Ok(Tolerance::absolute(relative * largest.max(f64::MIN_POSITIVE)))
}

fn gradient<const D: usize>(
    case: &Case,
    name: &str,
    found: Option<Tensor<D>>,
    target: &Target,
) -> Result<(), Failure> {
    let found = found.ok_or_else(|| Failure::new(format!("{name}: there is no gradient")))?;
    case.compare(name, found, gradients(case, name, target)?)
}

fn tensor<const D: usize>(case: &Case, target: &Target, name: &str) -> Result<Tensor<D>, Failure> {
    let (values, shape) = case.values::<D>(name)?;
    Ok(target.float(values, shape))
}

/// `ortho_skew_maps`: exponential and Cayley map with their gradients.
pub fn skew_maps(case: &Case, target: &Target) -> Result<(), Failure> {
    let names: Vec<String> = case.names().map(String::from).collect();
    let mut checked = 0;
    for name in names.iter().filter_map(|name| name.strip_suffix(".param")) {
        let (parameter, [rows, columns]) = case.values::<2>(&format!("{name}.param"))?;
        let cotangent: Tensor<2> = tensor(case, target, &format!("{name}.cotangent"))?;
        type Map = fn(Tensor<3>) -> Tensor<3>;
        let maps: [(&str, Map); 2] =
            [("exp", |free| expm_skew(skew(free))), ("cayley", cayley_columns)];
        for (map, apply) in maps {
            let free = target.float(parameter.clone(), [rows, columns]).require_grad();
            let found = apply(free.clone().unsqueeze()).squeeze_dim::<2>(0);
            case.compare(&format!("{name}.{map}"), found.clone().inner(), values(target))?;
            let gradients = (found * cotangent.clone()).sum().backward();
            gradient(case, &format!("{name}.grad_{map}"), free.grad(&gradients), target)?;
        }
        checked += 1;
    }
    if checked == 0 { Err(Failure::new("no tensor ends in .param")) } else { Ok(()) }
}

fn retraction(case: &Case) -> Result<Retraction, Failure> {
    match case.optional("triv") {
        None => Ok(Retraction::Exponential),
        Some(name) => name
            .as_str()
            .ok_or_else(|| Failure::new("triv must be a text"))?
            .parse()
            .map_err(|error| Failure::new(format!("triv: {error}"))),
    }
}

fn padding(case: &Case) -> Result<OrthogonalPadding, Failure> {
    match case.optional("padding_mode") {
        None => Ok(OrthogonalPadding::Circular),
        Some(name) => name
            .as_str()
            .ok_or_else(|| Failure::new("padding_mode must be a text"))?
            .parse()
            .map_err(|error| Failure::new(format!("padding_mode: {error}"))),
    }
}

/// A number or a list of two.
fn pair(case: &Case, name: &str, default: Option<usize>) -> Result<[usize; 2], Failure> {
    let Some(value) = case.optional(name) else {
        return default
            .map(|default| [default; 2])
            .ok_or_else(|| Failure::new(format!("parameter {name} is missing")));
    };
    let count = |value: &serde_json::Value| value.as_u64().map(|value| value as usize);
    let read = match value.as_array() {
        Some(list) => match &list[..] {
            [first, second] => count(first).zip(count(second)).map(|(a, b)| [a, b]),
            _ => None,
        },
        None => count(value).map(|value| [value; 2]),
    };
    read.ok_or_else(|| {
        Failure::new(format!("parameter {name}: expected a count or two, found {value}"))
    })
}

fn number(case: &Case, name: &str, default: usize) -> Result<usize, Failure> {
    match case.optional(name) {
        None => Ok(default),
        Some(_) => case.usize(name),
    }
}

/// A parameter that must have one of the known spellings.
fn spelled(case: &Case, name: &str, known: &str) -> Result<(), Failure> {
    match case.optional(name).and_then(|value| value.as_str()) {
        Some(found) if found == known => Ok(()),
        found => Err(Failure::new(format!("parameter {name}: expected {known}, found {found:?}"))),
    }
}

fn table(case: &Case) -> Result<ParameterTable, Failure> {
    let mut table = ParameterTable::new();
    for name in case.names() {
        if !name.starts_with("grad.") && (name.ends_with(".skew") || name.ends_with(".base")) {
            let (values, [rows, columns]) = case.values::<2>(name)?;
            table.insert(name, rows, columns, values);
        }
    }
    Ok(table)
}

fn bias(case: &Case, target: &Target) -> Result<Option<Param<Tensor<1>>>, Failure> {
    if case.optional("bias").is_none_or(|bias| bias == &serde_json::Value::Bool(false)) {
        return Ok(None);
    }
    Ok(Some(Param::from_tensor(tensor::<1>(case, target, "bias")?.detach())))
}

/// What the checks need of a layer.
struct Layer<'a, const D: usize> {
    kernel: &'a dyn Fn() -> Tensor<D>,
    forward_with: &'a dyn Fn(Tensor<D>, Tensor<D>) -> Tensor<D>,
    adjoint: &'a dyn Fn(Tensor<D>) -> Tensor<D>,
    bias: Option<&'a Param<Tensor<1>>>,
    filter: &'a ParaunitaryFilter,
    slots: Vec<ParameterSlot>,
}

impl<const D: usize> Layer<'_, D> {
    fn check(&self, case: &Case, target: &Target) -> Result<(), Failure> {
        spelled(case, "loss", "sum(output*cotangent)")?;
        let tolerance = values(target);
        let input: Tensor<D> = tensor(case, target, "input")?.require_grad();
        let cotangent: Tensor<D> = tensor(case, target, "cotangent")?;
        let kernel = (self.kernel)();
        case.compare("weights", kernel.clone().inner(), tolerance)?;
        let output = (self.forward_with)(kernel.clone(), input.clone());
        case.compare("output", output.clone().inner(), tolerance)?;
        if case.names().any(|name| name == "reverse_of_output") {
            let back = (self.adjoint)(output.clone());
            case.compare("reverse_of_output", back.inner(), tolerance)?;
        }
        let gradients = (output * cotangent.clone()).sum().backward();
        gradient(case, "grad.input", input.grad(&gradients), target)?;
        if let Some(bias) = self.bias {
            gradient(case, "grad.bias", bias.grad(&gradients), target)?;
        }
        // Projections of rank zero have nothing to differentiate.
        for slot in self.slots.iter().filter(|slot| slot.shape[1] > 0) {
            let parameter = match slot.projection {
                false => Some(self.filter.rotations()),
                true => self.filter.projections(),
            };
            let name = format!("grad.{}.skew", slot.name);
            let found = parameter.and_then(|parameter| parameter.grad(&gradients));
            let found = found.map(|found| {
                found.narrow(0, slot.index, 1).narrow(2, 0, slot.shape[1]).squeeze_dim::<2>(0)
            });
            gradient(case, &name, found, target)?;
        }
        let leaf = kernel.detach().require_grad();
        let output = (self.forward_with)(leaf.clone(), input.clone().detach());
        let gradients = (output * cotangent).sum().backward();
        gradient(case, "grad.weights", leaf.grad(&gradients), target)?;
        self.singular_values(case, target, input.inner())
    }

    /// The dense Jacobian, column by column, and its singular values.
    fn singular_values(
        &self,
        case: &Case,
        target: &Target,
        input: Tensor<D>,
    ) -> Result<(), Failure> {
        let mut shape = input.dims();
        shape[0] = shape[1..].iter().product();
        let size = shape[0];
        let unit: Vec<f64> =
            (0..size * size).map(|i| f64::from(u8::from(i / size == i % size))).collect();
        let kernel = (self.kernel)().detach();
        let columns = (self.forward_with)(kernel.clone(), target.float(unit, shape));
        shape[0] = 1;
        let zero = (self.forward_with)(kernel, target.float(vec![0.0; size], shape));
        let columns: Vec<f64> = (columns - zero).inner().into_data().iter().collect();
        let transposed = HostMatrix::new(size, columns.len() / size, columns);
        let found = transposed.singular_values();
        case.compare_host("jacobian_singular_values", &found, values(target))
    }
}

/// `ortho_conv1d`.
pub fn conv1d(case: &Case, target: &Target) -> Result<(), Failure> {
    spelled(case, "layer", "OrthoConv1d")?;
    let channels = [case.usize("in_channels")?, case.usize("out_channels")?];
    let layer = OrthogonalConv1dConfig::new(channels, case.usize("kernel_size")?)
        .with_stride(number(case, "stride", 1)?)
        .with_dilation(number(case, "dilation", 1)?)
        .with_groups(number(case, "groups", 1)?)
        .with_padding(padding(case)?)
        .with_retraction(retraction(case)?)
        .with_seed(Some(1))
        .init((&target.device, target.dtype));
    let mut layer = layer.import(&table(case)?, &ImportLayout::default()).map_err(imported)?;
    layer.bias = bias(case, target)?;
    Layer {
        kernel: &|| layer.kernel(),
        forward_with: &|kernel, input| layer.forward_with(kernel, input),
        adjoint: &|output| layer.adjoint(output),
        bias: layer.bias.as_ref(),
        filter: layer.parameters().main(),
        slots: layer.slots(),
    }
    .check(case, target)
}

/// `ortho_conv2d` and `ortho_conv2d_cayley`.
pub fn conv2d(case: &Case, target: &Target) -> Result<(), Failure> {
    spelled(case, "layer", "OrthoConv2d")?;
    let channels = [case.usize("in_channels")?, case.usize("out_channels")?];
    let layer = OrthogonalConv2dConfig::new(channels, pair(case, "kernel_size", None)?)
        .with_stride(pair(case, "stride", Some(1))?)
        .with_dilation(pair(case, "dilation", Some(1))?)
        .with_groups(number(case, "groups", 1)?)
        .with_padding(padding(case)?)
        .with_retraction(retraction(case)?)
        .with_seed(Some(1))
        .init((&target.device, target.dtype));
    let mut layer = layer.import(&table(case)?, &ImportLayout::default()).map_err(imported)?;
    layer.bias = bias(case, target)?;
    Layer {
        kernel: &|| layer.kernel(),
        forward_with: &|kernel, input| layer.forward_with(kernel, input),
        adjoint: &|output| layer.adjoint(output),
        bias: layer.bias.as_ref(),
        filter: layer.parameters().main(),
        slots: layer.slots(),
    }
    .check(case, target)
}

/// `ortho_conv_transpose1d`, in the order of the authors' code.
pub fn conv_transpose1d(case: &Case, target: &Target) -> Result<(), Failure> {
    spelled(case, "layer", "OrthoConvTranspose1d")?;
    let channels = [case.usize("in_channels")?, case.usize("out_channels")?];
    let layer = OrthogonalConvTranspose1dConfig::new(channels, case.usize("kernel_size")?)
        .with_stride(number(case, "stride", 1)?)
        .with_dilation(number(case, "dilation", 1)?)
        .with_groups(number(case, "groups", 1)?)
        .with_padding(padding(case)?)
        .with_retraction(retraction(case)?)
        .with_order(TransposedOrder::Published)
        .with_seed(Some(1))
        .init((&target.device, target.dtype));
    let mut layer = layer.import(&table(case)?, &ImportLayout::default()).map_err(imported)?;
    layer.bias = bias(case, target)?;
    Layer {
        kernel: &|| layer.kernel(),
        forward_with: &|kernel, input| layer.forward_with(kernel, input),
        adjoint: &|output| layer.adjoint(output),
        bias: layer.bias.as_ref(),
        filter: layer.parameters().main(),
        slots: layer.slots(),
    }
    .check(case, target)
}

/// `ortho_conv_transpose2d`, in the order of the authors' code.
pub fn conv_transpose2d(case: &Case, target: &Target) -> Result<(), Failure> {
    spelled(case, "layer", "OrthoConvTranspose2d")?;
    let channels = [case.usize("in_channels")?, case.usize("out_channels")?];
    let layer = OrthogonalConvTranspose2dConfig::new(channels, pair(case, "kernel_size", None)?)
        .with_stride(pair(case, "stride", Some(1))?)
        .with_dilation(pair(case, "dilation", Some(1))?)
        .with_groups(number(case, "groups", 1)?)
        .with_padding(padding(case)?)
        .with_retraction(retraction(case)?)
        .with_order(TransposedOrder::Published)
        .with_seed(Some(1))
        .init((&target.device, target.dtype));
    let mut layer = layer.import(&table(case)?, &ImportLayout::default()).map_err(imported)?;
    layer.bias = bias(case, target)?;
    Layer {
        kernel: &|| layer.kernel(),
        forward_with: &|kernel, input| layer.forward_with(kernel, input),
        adjoint: &|output| layer.adjoint(output),
        bias: layer.bias.as_ref(),
        filter: layer.parameters().main(),
        slots: layer.slots(),
    }
    .check(case, target)
}

fn imported(error: firebrick::models::ModelError) -> Failure {
    Failure::new(error.to_string())
}

/// `ortho_linear`.
pub fn linear(case: &Case, target: &Target) -> Result<(), Failure> {
    spelled(case, "layer", "OrthoLinear")?;
    spelled(case, "loss", "sum(output*cotangent)")?;
    let [inputs, outputs] = [case.usize("in_features")?, case.usize("out_features")?];
    let mut layer = OrthogonalLinearConfig::new(inputs, outputs)
        .with_retraction(retraction(case)?)
        .with_seed(Some(1))
        .init((&target.device, target.dtype))
        .import(&table(case)?, &ImportLayout::default())
        .map_err(imported)?;
    layer.bias = bias(case, target)?;
    let tolerance = values(target);
    let input: Tensor<2> = tensor(case, target, "input")?.require_grad();
    let cotangent: Tensor<2> = tensor(case, target, "cotangent")?;
    let weight = layer.weight();
    case.compare("weights", weight.clone().inner(), tolerance)?;
    case.compare("q.matrix", weight.clone().inner(), tolerance)?;
    let output = layer.forward_with(weight.clone(), input.clone());
    case.compare("output", output.clone().inner(), tolerance)?;
    case.compare("reverse_of_output", layer.adjoint(output.clone()).inner(), tolerance)?;
    let gradients = (output * cotangent.clone()).sum().backward();
    gradient(case, "grad.input", input.grad(&gradients), target)?;
    if let Some(bias) = &layer.bias {
        gradient(case, "grad.bias", bias.grad(&gradients), target)?;
    }
    let free = layer.free().grad(&gradients).map(|free| free.squeeze_dim::<2>(0));
    let free = free.map(|free| if outputs < inputs { free.transpose() } else { free });
    gradient(case, "grad.q.skew", free, target)?;
    let leaf = weight.detach().require_grad();
    let output = layer.forward_with(leaf.clone(), input.detach());
    let gradients = (output * cotangent).sum().backward();
    gradient(case, "grad.weights", leaf.grad(&gradients), target)?;
    let matrix = leaf.inner().into_data().iter().collect();
    let found = HostMatrix::new(outputs, inputs, matrix).singular_values();
    case.compare_host("jacobian_singular_values", &found, tolerance)
}
