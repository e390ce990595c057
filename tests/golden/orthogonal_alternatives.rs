//! Comparison layers of the orthogonal convolutions against reference implementations.

use burn::module::Param;
use burn::tensor::{DType, Tensor};
use firebrick::models::orthogonal::alternatives::{
    BjorckConfig, CayleyConv2dConfig, CayleyLinearConfig, bcop_kernel, exponential_series,
    skew_kernel,
};
use firebrick::models::orthogonal::{OrthogonalLayer, OrthogonalMatrix, OrthogonalPadding};

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

fn tolerance(target: &Target) -> Tolerance {
    Tolerance::absolute(if target.dtype == DType::F64 { 1e-12 } else { 2e-5 })
}

fn tensor<const D: usize>(case: &Case, target: &Target, name: &str) -> Result<Tensor<D>, Failure> {
    let (values, shape) = case.values::<D>(name)?;
    Ok(target.float(values, shape))
}

fn parameter<const D: usize>(
    case: &Case,
    target: &Target,
    name: &str,
) -> Result<Param<Tensor<D>>, Failure> {
    Ok(Param::from_tensor(tensor(case, target, name)?))
}

/// A scalar as a tensor of one entry.
fn scale(case: &Case, target: &Target, name: &str) -> Result<Param<Tensor<1>>, Failure> {
    let (values, _) = case.values::<0>(name)?;
    Ok(Param::from_tensor(target.float(values, [1])))
}

/// The numbers behind a prefix, in order: `bjorck.iters5` gives 5.
fn numbered(case: &Case, prefix: &str) -> Result<Vec<usize>, Failure> {
    let number = |rest: &str| {
        let found = rest.parse::<usize>();
        found.map_err(|_| Failure::new(format!("tensor {prefix}{rest}: expected a number")))
    };
    let numbers = case.names().filter_map(|name| name.strip_prefix(prefix)).map(number);
    let mut numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// The same, of which there must be some.
fn some_numbered(case: &Case, prefix: &str) -> Result<Vec<usize>, Failure> {
    let numbers = numbered(case, prefix)?;
    if numbers.is_empty() {
        return Err(Failure::new(format!("tensors {prefix}# are missing")));
    }
    Ok(numbers)
}

pub fn alternatives(case: &Case, target: &Target) -> Result<(), Failure> {
    cayley_linear(case, target)?;
    cayley_conv(case, target)?;
    bjorck(case, target)?;
    bcop(case, target)?;
    soc(case, target)
}

fn cayley_linear(case: &Case, target: &Target) -> Result<(), Failure> {
    let (_, [outputs, inputs]) = case.values::<2>("cayley_linear.weight")?;
    let mut layer = CayleyLinearConfig::new(inputs, outputs).init(&target.device);
    layer.weight = parameter(case, target, "cayley_linear.weight")?;
    layer.alpha = scale(case, target, "cayley_linear.alpha")?;
    case.compare("cayley_linear.Q", layer.matrix(), tolerance(target))
}

fn cayley_conv(case: &Case, target: &Target) -> Result<(), Failure> {
    let (kernel, image) = (case.usize("kernel")?, case.usize("image")?);
    let channels = [case.usize("c_in")?, case.usize("c_out")?];
    let config = CayleyConv2dConfig::new(channels, kernel, [image; 2]);
    let mut layer = config.init(&target.device);
    let name = "cayley_conv.weight";
    let (_, shape) = case.values::<4>(name)?;
    if layer.weight.dims() != shape {
        let expected = layer.weight.dims();
        return Err(Failure::new(format!("{name}: expected {expected:?}, found {shape:?}")));
    }
    layer.weight = parameter(case, target, name)?;
    layer.alpha = scale(case, target, "cayley_conv.alpha")?;
    let output = layer.forward(tensor(case, target, "cayley_conv.input")?);
    case.compare("cayley_conv.output", output, tolerance(target))
}

fn bjorck(case: &Case, target: &Target) -> Result<(), Failure> {
    for iterations in some_numbered(case, "bjorck.iters")? {
        let config = BjorckConfig::new().with_iterations(iterations).with_power_iterations(0);
        let input = tensor::<2>(case, target, "bjorck.input")?.unsqueeze();
        let found = config.orthonormalize(input).squeeze_dim::<2>(0);
        case.compare(&format!("bjorck.iters{iterations}"), found, tolerance(target))?;
    }
    Ok(())
}

fn bcop(case: &Case, target: &Target) -> Result<(), Failure> {
    let (_, [outputs, inputs, ..]) = case.values::<4>("bcop.kernel")?;
    let projection = |index| tensor::<2>(case, target, &format!("bcop.P{index}"));
    let projections = numbered(case, "bcop.P")?.into_iter().map(projection);
    // A 1x1 kernel has none.
    let projections = projections.collect::<Result<Vec<_>, _>>()?;
    let projections = (!projections.is_empty()).then(|| Tensor::stack(projections, 0));
    let orthogonal = tensor(case, target, "bcop.ortho")?;
    let kernel = bcop_kernel(projections, orthogonal, [inputs, outputs]);
    case.compare("bcop.kernel", kernel, tolerance(target))
}

fn soc(case: &Case, target: &Target) -> Result<(), Failure> {
    let kernel = skew_kernel(tensor(case, target, "soc.raw")?);
    case.compare("soc.skew_kernel", kernel.clone(), tolerance(target))?;
    for (name, padding) in
        [("circ", OrthogonalPadding::Circular), ("zero", OrthogonalPadding::Same)]
    {
        let prefix = format!("soc.{name}.T");
        for terms in some_numbered(case, &prefix)? {
            let input = tensor(case, target, "soc.input")?;
            let found = exponential_series(input, kernel.clone(), terms, padding);
            case.compare(&format!("{prefix}{terms}"), found, tolerance(target))?;
        }
    }
    Ok(())
}
