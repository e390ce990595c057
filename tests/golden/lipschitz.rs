//! 1-Lipschitz networks: activations, pooling, blocks, losses, certificates, a short training.

use std::collections::{BTreeMap, VecDeque};
use std::f64::consts::SQRT_2;

use burn::module::Param;
use burn::tensor::{DType, Gradients, Int, Tensor};
use firebrick::certificates::{CertifiedFractions, Certifier};
use firebrick::models::lipschitz::{
    ActivationKind, GroupSize, GroupSortConfig, NormPool2dConfig, SReluConfig, SortOrder,
    channel_shuffle, pixel_unshuffle,
};
use firebrick::models::losses::{MultiClassHingeLossConfig, margin_of_radius};
use firebrick::models::orthogonal::alternatives::{
    PlainConv2d, PlainConv2dConfig, PlainLinear, PlainLinearConfig,
};
use firebrick::models::orthogonal::{
    ImportLayout, OrthogonalConv2d, OrthogonalConv2dConfig, OrthogonalLinear,
    OrthogonalLinearConfig, ParameterTable,
};
use firebrick::models::vision::orthogonal::{
    ConvolutionPlace, Downsampling, Layers, ResidualBlockConfig, ShuffleBlockConfig,
};
use firebrick::ops::orthogonal::HostMatrix;

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

/// Output and input gradient of one map, with inputs of either rank.
fn map<const D: usize>(
    case: &Case,
    target: &Target,
    name: &str,
    apply: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Result<(), Failure> {
    let input: Tensor<D> = tensor(case, target, &format!("{name}.input"))?.require_grad();
    let cotangent: Tensor<D> = tensor(case, target, &format!("{name}.cotangent"))?;
    let output = apply(input.clone());
    case.compare(&format!("{name}.output"), output.clone().inner(), values(target))?;
    let gradients = (output * cotangent).sum().backward();
    gradient(case, &format!("{name}.grad"), input.grad(&gradients), target)
}

/// A map of features or of images, whichever the file holds.
macro_rules! either {
    ($case:expr, $target:expr, $name:expr, |$x:ident| $body:expr) => {
        match $case.values::<2>(&format!("{}.input", $name)) {
            Ok(_) => map::<2>($case, $target, $name, |$x| $body),
            Err(_) => map::<4>($case, $target, $name, |$x| $body),
        }
    };
}

/// `ortho_activations_pooling`: what a tensor's name says is what is applied.
pub fn activations_pooling(case: &Case, target: &Target) -> Result<(), Failure> {
    let names: Vec<String> = case.names().map(String::from).collect();
    let names: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".input")).collect();
    if names.is_empty() {
        return Err(Failure::new("no tensor ends in .input"));
    }
    for name in names {
        one_map(case, target, name)?;
    }
    Ok(())
}

fn one_map(case: &Case, target: &Target, name: &str) -> Result<(), Failure> {
    let number =
        |text: &str| text.parse::<usize>().map_err(|_| Failure::new(format!("unknown map {name}")));
    if let Some(size) = name.strip_prefix("groupsort") {
        let (size, order) = match size.strip_suffix("_ascending") {
            Some(size) => (size, SortOrder::Ascending),
            None if size == "_full" => (size, SortOrder::Ascending),
            None => (size, SortOrder::Descending),
        };
        let size = if size == "_full" { GroupSize::Full } else { GroupSize::Of(number(size)?) };
        let sort = GroupSortConfig::new().with_size(size).with_order(order).init();
        return either!(case, target, name, |x| sort.forward(x));
    }
    if let Some(start) = name.strip_prefix("srelu_init_minus") {
        let start = -(number(start)? as f64);
        return either!(case, target, name, |x| {
            let config = SReluConfig::new(x.dims()[1]).with_start(start);
            config.init((&target.device, target.dtype)).forward(x)
        });
    }
    if let Some(size) = name.strip_prefix("pool") {
        let pool = NormPool2dConfig::new([number(size)?; 2]).init();
        return map::<4>(case, target, name, |x| pool.forward(x));
    }
    if let Some(groups) = name.strip_prefix("channel_shuffle") {
        let groups = number(groups)?;
        return either!(case, target, name, |x| channel_shuffle(x, groups));
    }
    if let Some(factor) = name.strip_prefix("pixel_unshuffle") {
        let factor = number(factor)?;
        return map::<4>(case, target, name, |x| pixel_unshuffle(x, factor));
    }
    Err(Failure::new(format!("unknown map {name}")))
}

/// Layers with the kernels of a file, in its order.
fn given_layers(case: &Case, target: &Target) -> Result<Layers<PlainConv2d, PlainLinear>, Failure> {
    let mut kernels = VecDeque::new();
    while case.names().any(|name| name == format!("conv{}.weights", kernels.len())) {
        let name = format!("conv{}.weights", kernels.len());
        kernels.push_back(tensor::<4>(case, target, &name)?);
    }
    let convolution = move |place: ConvolutionPlace, _, options: &_| {
        let config = PlainConv2dConfig::new(place.channels, place.kernel_size);
        let mut layer = config.with_stride(place.stride).init(Clone::clone(options));
        let kernel = kernels.pop_front().expect("the file has a kernel for every convolution");
        assert_eq!(kernel.dims(), layer.weight.dims(), "shape of a kernel");
        layer.weight = Param::from_tensor(kernel);
        layer
    };
    let matrix = |[inputs, outputs]: [usize; 2], _, options: &_| {
        PlainLinearConfig::new(inputs, outputs).init(Clone::clone(options))
    };
    Ok(Layers::new((&target.device, target.dtype), convolution, matrix))
}

fn downsampling(case: &Case) -> Result<Downsampling, Failure> {
    match case.optional("downsampling") {
        None => Ok(Downsampling::default()),
        Some(name) => name
            .as_str()
            .ok_or_else(|| Failure::new("downsampling must be a text"))?
            .parse()
            .map_err(|error| Failure::new(format!("downsampling: {error}"))),
    }
}

/// Output, gradients and singular values of a block.
fn block(
    case: &Case,
    target: &Target,
    alpha: Option<&Param<Tensor<1>>>,
    forward: impl Fn(Tensor<4>) -> Tensor<4>,
) -> Result<(), Failure> {
    let input: Tensor<4> = tensor(case, target, "input")?.require_grad();
    let cotangent: Tensor<4> = tensor(case, target, "cotangent")?;
    let output = forward(input.clone());
    case.compare("output", output.clone().inner(), values(target))?;
    let gradients = (output * cotangent).sum().backward();
    gradient(case, "grad.input", input.grad(&gradients), target)?;
    if let Some(alpha) = alpha {
        gradient(case, "grad.alpha", alpha.grad(&gradients), target)?;
    }
    // One copy of the first sample for each entry of the output: one row of the Jacobian each.
    let first = input.inner().narrow(0, 0, 1);
    let [_, channels, height, width] = forward(Tensor::from_inner(first.clone())).dims();
    let rows = channels * height * width;
    let unit = (0..rows * rows).map(|at| f64::from(u8::from(at / rows == at % rows))).collect();
    let copies = Tensor::from_inner(first.repeat_dim(0, rows)).require_grad();
    let unit = target.float(unit, [rows, channels, height, width]);
    let gradients = (forward(copies.clone()) * unit).sum().backward();
    let jacobian = copies.grad(&gradients).expect("the output depends on the input");
    let jacobian: Vec<f64> = jacobian.into_data().iter::<f64>().collect();
    let found = HostMatrix::new(rows, jacobian.len() / rows, jacobian).singular_values();
    // Singular values depend on the matrix with constant 1.
    let tolerance = Tolerance::absolute(if target.dtype == DType::F64 { 1e-11 } else { 2e-5 });
    case.compare_host("jacobian_singular_values_at_first_sample", &found, tolerance)?;
    let largest = found.iter().fold(0.0f64, |max, value| max.max(*value));
    let limit = if target.dtype == DType::F64 { 1.0 + 1e-6 } else { 1.0 + 1e-5 };
    if largest <= limit {
        Ok(())
    } else {
        Err(Failure::new(format!("Lipschitz constant {largest}")))
    }
}

fn image_of(case: &Case) -> Result<[usize; 2], Failure> {
    let (_, [_, _, height, width]) = case.values::<4>("input")?;
    Ok([height, width])
}

/// `ortho_resblock`.
pub fn residual_block(case: &Case, target: &Target) -> Result<(), Failure> {
    let channels = [case.usize("in_channels")?, case.usize("out_channels")?];
    let mut built = ResidualBlockConfig::new(channels)
        .with_kernel_size(case.usize("kernel")?)
        .with_stride(case.usize("stride")?)
        .with_downsampling(downsampling(case)?)
        .init(&mut given_layers(case, target)?, image_of(case)?);
    built.skip.alpha = Param::from_tensor(tensor(case, target, "alpha")?);
    block(case, target, Some(&built.skip.alpha), |x| built.forward(x))
}

/// `ortho_shuffleblock`.
pub fn shuffle_block(case: &Case, target: &Target) -> Result<(), Failure> {
    let channels = [case.usize("in_channels")?, case.usize("out_channels")?];
    let built = ShuffleBlockConfig::new(channels)
        .with_kernel_size(case.usize("kernel")?)
        .with_stride(case.usize("stride")?)
        .with_downsampling(downsampling(case)?)
        .init(&mut given_layers(case, target)?, image_of(case)?);
    block(case, target, None, |x| built.forward(x))
}

/// `ortho_margin_and_certificates`.
pub fn margin_and_certificates(case: &Case, target: &Target) -> Result<(), Failure> {
    let (eps, lipschitz) = (case.f64("eps0")?, case.f64("L")?);
    let labels = case.indices("labels")?;
    let names: Vec<String> = case.names().map(String::from).collect();
    let invalid = |name: &str| Failure::new(format!("unknown tensor {name}"));
    for name in &names {
        let Some(rest) = name.strip_prefix("margin_loss.p") else { continue };
        if rest.ends_with(".grad") {
            continue;
        }
        let (norm, power) = rest.split_once(".order").ok_or_else(|| invalid(name))?;
        let norm: f64 = norm.parse().map_err(|_| invalid(name))?;
        let power: f64 = power.parse().map_err(|_| invalid(name))?;
        let loss = MultiClassHingeLossConfig::new()
            .with_margin(margin_of_radius(eps, norm, lipschitz))
            .with_power(power)
            .init();
        let logits: Tensor<2> = tensor(case, target, "logits")?.require_grad();
        let value = loss.forward(logits.clone(), target.integers(&labels));
        case.compare_scalar(name, value.clone().inner(), values(target))?;
        let gradients = value.backward();
        gradient(case, &format!("{name}.grad"), logits.grad(&gradients), target)?;
    }
    let logits: Tensor<2> = tensor(case, target, "logits")?;
    let certifier = Certifier::new(lipschitz).map_err(|error| Failure::new(error.to_string()))?;
    let radii = certifier.radii(logits.clone());
    // `L` is part of the certificate; with 1 this is the plain difference over sqrt(2).
    case.compare("radius", radii.inner(), values(target))?;
    let report = certifier.report(logits, &labels);
    let report = report.map_err(|error| Failure::new(error.to_string()))?;
    for name in names.iter().filter(|name| name.starts_with("cert_stats_eps")) {
        let numerator = name.trim_start_matches("cert_stats_eps");
        let radius: f64 = numerator.parse::<f64>().map_err(|_| invalid(name))? / 255.0;
        let found = report.fractions(radius);
        let CertifiedFractions {
            certified_right,
            certified_wrong,
            uncertified_right,
            uncertified_wrong,
        } = found.map_err(|error| Failure::new(error.to_string()))?;
        let found = [certified_right, certified_wrong, uncertified_right, uncertified_wrong];
        case.compare_host(name, &found, Tolerance::absolute(1e-12))?;
    }
    let widest = case.flat("radius")?.iter().fold(0.0f64, |max, value| max.max(*value));
    if widest * SQRT_2 > 0.0 { Ok(()) } else { Err(Failure::new("radius: all are zero")) }
}

/// The small network of the trajectory.
#[derive(burn::module::Module, Debug)]
struct Small {
    first: OrthogonalConv2d,
    second: OrthogonalConv2d,
    output: OrthogonalLinear,
    #[module(skip)]
    sort: ActivationKind,
}

impl Small {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let sort = |x: Tensor<4>| self.sort.init(x.dims()[1], &x.device()).forward(x);
        let x = sort(self.second.forward(sort(self.first.forward(images))));
        self.output.forward(x.flatten::<2>(1, 3))
    }
}

/// Free parameters and bases of a layer, by the layer's own names.
fn table(case: &Case, prefix: &str) -> Result<ParameterTable, Failure> {
    let mut table = ParameterTable::new();
    for name in case.names() {
        let Some(own) = name.strip_prefix(prefix) else { continue };
        let own = match own.strip_suffix(".skew0") {
            Some(own) => format!("{own}.skew"),
            None if own.ends_with(".base") => own.into(),
            None => continue,
        };
        let (values, [rows, columns]) = case.values::<2>(name)?;
        table.insert(own, rows, columns, values);
    }
    Ok(table)
}

/// Taps per axis, `[height, width]`: one more than the projections.
fn taps(case: &Case, prefix: &str) -> [usize; 2] {
    [0, 1].map(|axis| {
        let of_axis = |name: &&str| {
            name.starts_with(&format!("{prefix}g0.d{axis}.")) && name.ends_with(".base")
        };
        case.names().filter(of_axis).count()
    })
}

/// The layers' sizes follow from their matrices.
fn small(case: &Case, target: &Target) -> Result<Small, Failure> {
    let (_, [_, channels, height, width]) = case.values::<4>("x")?;
    let (_, [hidden, _]) = case.values::<2>("c1.g0.d0.q.base")?;
    let (_, [cell, _]) = case.values::<2>("c2.g0.d0.q.base")?;
    let (_, [features, _]) = case.values::<2>("fc.q.base")?;
    let (_, [classes, _]) = case.values::<2>("fc.q.skew0")?;
    let stride = ((cell / hidden) as f64).sqrt().round() as usize;
    let outputs = features / (height / stride * (width / stride));
    let kernel = |prefix: &str, stride: usize| taps(case, prefix).map(|taps| taps * stride);
    let options = || (&target.device, target.dtype);
    let failed = |error: firebrick::models::ModelError| Failure::new(error.to_string());
    let layout = ImportLayout::default();
    let first = OrthogonalConv2dConfig::new([channels, hidden], kernel("c1.", 1));
    let second = OrthogonalConv2dConfig::new([hidden, outputs], kernel("c2.", stride));
    let second = second.with_stride([stride; 2]);
    let output = OrthogonalLinearConfig::new(features, classes);
    let first = first.with_seed(Some(1)).init(options());
    let second = second.with_seed(Some(1)).init(options());
    let output = output.with_seed(Some(1)).init(options());
    Ok(Small {
        first: first.import(&table(case, "c1.")?, &layout).map_err(failed)?,
        second: second.import(&table(case, "c2.")?, &layout).map_err(failed)?,
        output: output.import(&table(case, "fc.")?, &layout).map_err(failed)?,
        sort: ActivationKind::MaxMin,
    })
}

/// Adam on the host: Burn's computes its bias corrections in 32 bits, which moves these losses by 1e-6.
struct Adam {
    lr: f64,
    betas: [f64; 2],
    eps: f64,
    steps: i32,
    /// First and second moment of every matrix.
    moments: BTreeMap<String, Vec<[f64; 2]>>,
}

impl Adam {
    fn new(case: &Case) -> Result<Self, Failure> {
        match case.optional("optimizer").and_then(|name| name.as_str()) {
            Some("Adam") => {}
            found => {
                return Err(Failure::new(format!("optimizer: expected Adam, found {found:?}")));
            }
        }
        let betas = case.optional("betas").and_then(|betas| betas.as_array());
        let beta = |index: usize| betas.and_then(|betas| betas.get(index)?.as_f64());
        let (Some(first), Some(second)) = (beta(0), beta(1)) else {
            return Err(Failure::new("betas: expected two numbers"));
        };
        let (lr, eps) = (case.f64("lr")?, case.f64("eps")?);
        Ok(Self { lr, betas: [first, second], eps, steps: 0, moments: BTreeMap::new() })
    }

    /// What to add to the matrix of this name.
    fn change(&mut self, name: &str, gradient: &[f64]) -> Vec<f64> {
        let moments = self.moments.entry(name.into()).or_default();
        moments.resize(gradient.len(), [0.0; 2]);
        let ([first, second], steps) = (self.betas, self.steps);
        let change = |(moments, g): (&mut [f64; 2], &f64)| {
            moments[0] = first * moments[0] + (1.0 - first) * g;
            moments[1] = second * moments[1] + (1.0 - second) * g * g;
            let mean = moments[0] / (1.0 - first.powi(steps));
            let square = moments[1] / (1.0 - second.powi(steps));
            -self.lr * mean / (square.sqrt() + self.eps)
        };
        moments.iter_mut().zip(gradient).map(change).collect()
    }
}

impl Small {
    /// The gradient of every matrix by its name.
    fn gradients(&self, gradients: &Gradients) -> BTreeMap<String, Tensor<2>> {
        let mut found = BTreeMap::new();
        for (prefix, layer) in [("c1.", &self.first), ("c2.", &self.second)] {
            let filter = layer.parameters().main();
            for slot in layer.slots().into_iter().filter(|slot| slot.shape[1] > 0) {
                let parameter = match slot.projection {
                    false => Some(filter.rotations()),
                    true => filter.projections(),
                };
                let Some(all) = parameter.and_then(|param| param.grad(gradients)) else { continue };
                let own = all.narrow(0, slot.index, 1).narrow(2, 0, slot.shape[1]);
                found.insert(format!("{prefix}{}", slot.name), own.squeeze_dim::<2>(0));
            }
        }
        if let Some(free) = self.output.free().grad(gradients) {
            // A wide matrix's parameters stand transposed in the layer.
            found.insert("fc.q".into(), free.squeeze_dim::<2>(0).transpose());
        }
        found
    }

    /// After a step of Adam.
    fn stepped(
        self,
        adam: &mut Adam,
        gradients: &BTreeMap<String, Tensor<2>>,
    ) -> Result<Self, Failure> {
        adam.steps += 1;
        let mut moved = |prefix: &str, mut table: ParameterTable| {
            for (name, gradient) in gradients {
                let Some(own) = name.strip_prefix(prefix) else { continue };
                let gradient: Vec<f64> = gradient.clone().into_data().iter::<f64>().collect();
                let change = adam.change(name, &gradient);
                let own = format!("{own}.skew");
                let old = table.get(&own).expect("a layer exports all of its matrices");
                let new = old.values().iter().zip(&change).map(|(old, by)| old + by).collect();
                let [rows, columns] = old.shape();
                table.insert(own, rows, columns, new);
            }
            table
        };
        let failed = |error: firebrick::models::ModelError| Failure::new(error.to_string());
        let layout = ImportLayout::default();
        let [first, second] = [("c1.", &self.first), ("c2.", &self.second)]
            .map(|(prefix, layer)| moved(prefix, layer.export()));
        let output = moved("fc.", self.output.export());
        Ok(Self {
            first: self.first.import(&first, &layout).map_err(failed)?,
            second: self.second.import(&second, &layout).map_err(failed)?,
            output: self.output.import(&output, &layout).map_err(failed)?,
            sort: self.sort,
        })
    }
}

/// `ortho_train_trajectory`: losses before each step, the first gradients, the last parameters.
pub fn train_trajectory(case: &Case, target: &Target) -> Result<(), Failure> {
    let mut network = small(case, target)?;
    let mut adam = Adam::new(case)?;
    let images: Tensor<4> = tensor(case, target, "x")?;
    let labels: Tensor<1, Int> = target.integers(&case.indices("labels")?);
    let loss = MultiClassHingeLossConfig::new().with_margin(case.f64("margin")?).init();
    let exact = target.dtype == DType::F64;
    let tolerance = Tolerance::absolute(if exact { 1e-8 } else { 1e-3 });
    let (mut losses, mut logits) = (Vec::new(), Vec::new());
    for step in 0..case.usize("steps")? {
        let output = network.forward(images.clone());
        logits.push(output.clone().inner());
        let value = loss.forward(output, labels.clone());
        losses.extend(value.clone().into_data().iter::<f64>());
        let gradients = value.backward();
        let found = network.gradients(&gradients);
        if step == 0 {
            for name in case.names().filter(|name| name.ends_with(".grad0")) {
                let found = found.get(name.trim_end_matches(".grad0")).cloned();
                gradient(case, name, found, target)?;
            }
        }
        network = network.stepped(&mut adam, &found)?;
    }
    case.compare_host("loss_trajectory", &losses, tolerance)?;
    for name in case.names().filter(|name| name.starts_with("logits_of_sample")) {
        let sample = name.trim_start_matches("logits_of_sample").parse::<usize>();
        let sample = sample.map_err(|_| Failure::new(format!("unknown tensor {name}")))?;
        let rows = logits.iter().map(|logits| logits.clone().narrow(0, sample, 1)).collect();
        case.compare(name, Tensor::cat(rows, 0), tolerance)?;
    }
    let tables = [
        ("c1.", network.first.export()),
        ("c2.", network.second.export()),
        ("fc.", network.output.export()),
    ];
    for (prefix, table) in tables {
        for name in case.names().filter(|name| name.ends_with(".skew_final")) {
            let Some(own) = name.strip_prefix(prefix) else { continue };
            let own = format!("{}.skew", own.trim_end_matches(".skew_final"));
            let found = table.get(&own).ok_or_else(|| Failure::new(format!("{own} is missing")))?;
            let [rows, columns] = found.shape();
            let found = target.float(found.values().to_vec(), [rows, columns]);
            // Adam turns rounding in gradients near zero into steps of any sign.
            let tolerance = Tolerance::absolute(if exact { 1e-7 } else { 2e-2 });
            case.compare(name, found.inner(), tolerance)?;
        }
    }
    Ok(())
}
