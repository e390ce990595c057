//! What holds of blocks, estimators and whole flows.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Distribution, Tensor, TensorCreationOptions, TensorData};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;
use crate::ModelError;
use crate::orthogonal::OrthogonalLinear;
use crate::precision::cast;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Draws every parameter anew, so that nothing rests at its start.
struct Shaken(ChaCha8Rng);

impl ModuleMapper for Shaken {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            // Bases of orthogonal layers take no gradients and stay as they are.
            if !old.is_require_grad() {
                return old;
            }
            let shape = old.dims();
            let mut draw = || 0.5 * self.0.sample::<f64, _>(StandardNormal);
            let values: Vec<f64> = (0..shape.iter().product()).map(|_| draw()).collect();
            let values = TensorData::new(values, shape);
            Tensor::from_data(values, (&old.device(), old.dtype())).require_grad()
        })
    }
}

fn shaken<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Shaken(rng(seed)))
}

fn double() -> TensorCreationOptions {
    (&Device::flex().autodiff(), DType::F64).into()
}

fn points<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut rng = rng(seed);
    let values: Vec<f64> =
        (0..shape.iter().product()).map(|_| 1.5 * rng.sample::<f64, _>(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
}

fn mlp(dim: usize, seed: u64) -> Contraction<OrthogonalLinear> {
    let config = ContractiveMlpConfig::new(dim, vec![6, 5]).with_seed(Some(seed));
    shaken(config.init(double()), seed)
}

fn largest<const D: usize>(tensor: Tensor<D>) -> f64 {
    tensor.abs().max().into_scalar::<f64>()
}

/// The Jacobian by autodiff, one backward pass per output.
fn by_autodiff<const D: usize>(f: &impl ResidualFunction<D>, input: &Tensor<D>) -> Tensor<3> {
    let shape = input.dims();
    let dim: usize = shape[1..].iter().product();
    let row = |index: usize| {
        let input = input.clone().detach().require_grad();
        let output = f.forward(input.clone()).reshape([shape[0], dim]);
        let gradients = output.narrow(1, index, 1).sum().backward();
        input.grad(&gradients).unwrap().reshape([shape[0], 1, dim])
    };
    Tensor::cat((0..dim).map(row).collect(), 1)
}

#[test]
fn pullback_of_vectors_is_the_transposed_jacobian() {
    for (dim, leading) in [(1, true), (2, false), (3, true), (7, false)] {
        let config = ContractiveMlpConfig::new(dim, vec![4, 6]).with_leading_activation(leading);
        let function = shaken(config.with_seed(Some(1)).init(double()), 2);
        let input = points([3, dim], 4, &Device::flex().autodiff());
        let (output, pullback) = function.linearize(input.clone());
        assert!(largest(output - function.forward(input.clone())) < 1e-14);
        let error = jacobian(&pullback, &input).inner() - by_autodiff(&function, &input);
        assert!(largest(error) < 1e-13, "{dim}");
    }
}

#[test]
fn pullback_of_images_is_the_transposed_jacobian() {
    for leading in [false, true] {
        let config = ContractiveConvConfig::new(2).with_hidden(5).with_seed(Some(1));
        let function = shaken(config.with_leading_activation(leading).init(double()), 2);
        let input = points([2, 2, 3, 4], 4, &Device::flex().autodiff());
        let (_, pullback) = function.linearize(input.clone());
        let error = jacobian(&pullback, &input).inner() - by_autodiff(&function, &input);
        assert!(largest(error) < 1e-13);
    }
}

#[test]
fn lipschitz_bound_is_the_product_of_the_factors() {
    let config = ContractiveMlpConfig::new(2, vec![4]).with_coefficient(0.9);
    let function = config.init(double());
    let lipschitz = <Contraction<_> as ResidualFunction<2>>::lipschitz(&function);
    assert!((lipschitz - 0.81).abs() < 1e-15 && function.coefficient() == 0.9);
    let input = points([50, 2], 7, &Device::flex().autodiff());
    let function = shaken(function, 3);
    let (_, pullback) = function.linearize(input.clone());
    let j = jacobian(&pullback, &input).inner();
    // The largest eigenvalue of a 2 x 2 matrix is at most its trace.
    let gram = j.clone().swap_dims(1, 2).matmul(j);
    let half = gram.clone().narrow(1, 0, 1).narrow(2, 0, 1);
    let other = gram.clone().narrow(1, 1, 1).narrow(2, 1, 1);
    let off = gram.narrow(1, 0, 1).narrow(2, 1, 1);
    let mean = (half.clone() + other.clone()).mul_scalar(0.5);
    let root = ((half - other).mul_scalar(0.5).powi_scalar(2) + off.powi_scalar(2)).sqrt();
    assert!((mean + root).max().into_scalar::<f64>() <= 0.81 * 0.81 + 1e-12);
}

#[test]
fn exact_log_determinant_agrees_with_the_series_and_between_its_forms() {
    let device = Device::flex().autodiff();
    for dim in [1, 2, 3, 6] {
        let function = mlp(dim, 5);
        let input = points([4, dim], 6, &device);
        let (_, pullback) = function.linearize(input.clone());
        let exact = exact_log_det(&pullback, &input);
        let j = jacobian(&pullback, &input);
        let mut last = f64::INFINITY;
        for terms in [5, 20, 80, 400] {
            let error = largest(truncated_log_det(j.clone(), terms) - exact.clone());
            assert!(error <= truncation_bias(0.98f64.powi(3), dim, terms) + 1e-13);
            assert!(error <= last, "{dim} {terms}: {error}");
            last = error;
        }
        assert!(last < 1e-11, "{dim}: {last}");
    }
}

#[test]
fn gradients_of_the_exact_log_determinant_are_those_of_differences() {
    for dim in [2, 3] {
        let flow = VectorFlowConfig::new(dim).with_blocks(2).with_hidden(vec![4]);
        let flow = shaken(flow.with_seed(Some(1)).init(double()), 8);
        let value = |flow: &VectorFlow, x: Tensor<2>| {
            flow.log_density(x, &LogDet::Exact, &mut rng(0)).sum()
        };
        let input = points([3, dim], 9, &Device::flex().autodiff()).require_grad();
        let gradients = value(&flow, input.clone()).backward();
        let found = input.grad(&gradients).unwrap();
        let direction = points([3, dim], 10, &Device::flex());
        let along = |step: f64| {
            let x = Tensor::from_inner(input.clone().inner() + direction.clone().mul_scalar(step));
            value(&flow, x).into_scalar::<f64>()
        };
        let expected = (along(1e-6) - along(-1e-6)) / 2e-6;
        let found = (found * direction.clone()).sum().into_scalar::<f64>();
        assert!((found - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{found} {expected}");

        // And with respect to a sharpness, which acts through second derivatives.
        let sharpness = flow.steps[1].block.residual.activations[0].sharpness.val();
        let found = sharpness.grad(&gradients).unwrap().into_scalar::<f64>();
        let at = |step: f64| {
            let mut flow = flow.clone();
            let old = &mut flow.steps[1].block.residual.activations[0];
            old.sharpness = Param::from_tensor(sharpness.clone().add_scalar(step).detach());
            value(&flow, input.clone()).into_scalar::<f64>()
        };
        let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
        assert!((found - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{found} {expected}");
    }
}

/// Mean and standard error of 20,000 estimates at one point, and what they estimate.
fn estimates(stopping: Stopping, probe: Probe) -> [f64; 3] {
    const DRAWS: usize = 20_000;
    let device = Device::flex();
    let function = mlp(3, 11).valid();
    let point = points([1, 3], 12, &device);
    let (_, pullback) = function.linearize(point.clone());
    let exact = exact_log_det(&pullback, &point).into_scalar::<f64>();
    let roulette = Roulette { stopping, exact_terms: 2, draws: 1 };
    let mut generator = rng(13);
    let mut by_draw = BTreeMap::<usize, usize>::new();
    for _ in 0..DRAWS {
        *by_draw.entry(roulette.draw(&mut generator)[0]).or_default() += 1;
    }
    let mut values = Vec::with_capacity(DRAWS);
    for (draw, count) in by_draw {
        // Every row is a draw of its own.
        let (_, pullback) = function.linearize(point.clone().repeat_dim(0, count));
        let noise =
            probe.draw(&Tensor::<2>::zeros([count, 3], (&device, DType::F64)), &mut generator);
        let estimate = power_series(&pullback, noise, &roulette.coefficients(&[draw]));
        values.extend(estimate.into_data().iter::<f64>());
    }
    let mean = values.iter().sum::<f64>() / DRAWS as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    [mean, (squares / (DRAWS as f64 - 1.0) / DRAWS as f64).sqrt(), exact]
}

#[test]
fn roulette_is_unbiased_within_three_standard_errors() {
    for stopping in [Stopping::Geometric { probability: 0.5 }, Stopping::Poisson { mean: 2.0 }] {
        for probe in [Probe::Gaussian, Probe::Rademacher] {
            let [mean, error, exact] = estimates(stopping, probe);
            assert!((mean - exact).abs() <= 3.0 * error, "{stopping:?}: {mean} {error} {exact}");
            assert!(error < 0.02 * exact.abs(), "a weak test: {error} {exact}");
        }
    }
}

#[test]
fn neumann_gradient_is_unbiased_within_four_standard_errors() {
    let device = Device::flex().autodiff();
    let function = mlp(3, 11);
    let point = points([1, 3], 12, &device).require_grad();
    let (_, pullback) = function.linearize(point.clone());
    let exact = point.grad(&exact_log_det(&pullback, &point).backward()).unwrap();
    let exact: Vec<f64> = exact.into_data().iter::<f64>().collect();
    let (method, mut generator) = (LogDet::training(), rng(14));
    const GROUPS: usize = 200;
    let mut sums = [[0.0; 3]; 2];
    for _ in 0..GROUPS {
        // A group shares its number of terms, so that a group is one draw.
        let rows = point.clone().repeat_dim(0, 100).detach().require_grad();
        let (_, pullback) = function.linearize(rows.clone());
        let estimate = method.evaluate(&pullback, &rows, &mut generator);
        let gradient = rows.grad(&estimate.sum().backward()).unwrap().mean_dim(0);
        for (axis, value) in gradient.into_data().iter::<f64>().enumerate() {
            sums[0][axis] += value / GROUPS as f64;
            sums[1][axis] += value * value / GROUPS as f64;
        }
    }
    for axis in 0..3 {
        let (mean, second) = (sums[0][axis], sums[1][axis]);
        let error = ((second - mean * mean) / (GROUPS as f64 - 1.0)).sqrt();
        assert!((mean - exact[axis]).abs() <= 4.0 * error, "{mean} {error} {}", exact[axis]);
    }
}

#[test]
fn neumann_and_series_give_one_value() {
    let function = mlp(4, 15);
    let input = points([5, 4], 16, &Device::flex().autodiff());
    let (_, pullback) = function.linearize(input.clone());
    let probe = points([5, 4], 17, &Device::flex().autodiff());
    let coefficients = [1.0, 1.0, 2.0, 0.5, 4.0];
    let series = power_series(&pullback, probe.clone(), &coefficients);
    let estimate = neumann(&pullback, probe.clone(), &coefficients);
    assert!(largest(estimate.log_det() - series) < 1e-13);
    let none = neumann(&pullback, probe, &[]);
    assert_eq!(largest(none.value.clone()), 0.0);
    assert!(largest(none.surrogate) > 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn flows_of_vectors_invert(dim in 1usize..6, blocks in 1usize..4, batch in 1usize..5, seed in 0u64..99) {
        let config = VectorFlowConfig::new(dim).with_blocks(blocks).with_hidden(vec![5, 4]);
        let device = Device::flex();
        let flow = config.with_seed(Some(seed)).init(&device.clone().autodiff());
        let flow = shaken(flow, seed).valid();
        let input = points([batch, dim], seed, &device).cast(DType::F32);
        let output = flow.forward(input.clone(), &LogDet::Exact, &mut rng(0));
        let back = flow.inverse(output.latent, &InverseConfig::new()).unwrap();
        let error = (back - input.clone()).abs().max().into_scalar::<f32>();
        prop_assert!(error < 1e-5, "{error}");
        let flow = cast(flow, DType::F64);
        let input = input.cast(DType::F64);
        let output = flow.forward(input.clone(), &LogDet::Exact, &mut rng(0));
        let back = flow.inverse(output.latent, &InverseConfig::new()).unwrap();
        prop_assert!(largest(back - input) < 1e-5);
    }
}

#[test]
fn inverse_of_a_block_is_within_1e_5_for_both_kinds_of_blocks() {
    let device = Device::flex();
    let vectors = ContractiveMlpConfig::new(3, vec![16, 16]).with_seed(Some(3)).init(&device);
    let block = InvertibleBlock { residual: vectors };
    let input = points([20, 3], 18, &device).cast(DType::F32);
    for method in [InverseMethod::FixedPoint, InverseMethod::Anderson] {
        let config = InverseConfig::new().with_method(method);
        let found = block.inverse(block.forward(input.clone()), &config).unwrap();
        assert!((found.input - input.clone()).abs().max().into_scalar::<f32>() < 1e-5);
    }
    let images = ContractiveConvConfig::new(2).with_hidden(8).with_seed(Some(3)).init(&device);
    let block = InvertibleBlock { residual: images };
    let input = points([4, 2, 4, 6], 19, &device).cast(DType::F32);
    let found = block.inverse(block.forward(input.clone()), &InverseConfig::new()).unwrap();
    assert!((found.input - input).abs().max().into_scalar::<f32>() < 1e-5);
}

#[test]
fn inverse_of_a_deep_flow_is_within_1e_5_where_rounding_is_not_in_the_way() {
    // In 32 bits every block multiplies the rounding of the ones after it by up to 1 / (1 - kappa).
    let flow = VectorFlowConfig::new(2).with_blocks(8).with_hidden(vec![16, 16]);
    let flow = shaken(flow.with_seed(Some(4)).init(double()), 5).valid();
    let input = points([64, 2], 20, &Device::flex());
    let output = flow.forward(input.clone(), &LogDet::Exact, &mut rng(0));
    let back = flow.inverse(output.latent, &InverseConfig::new()).unwrap();
    let error = (back - input).abs().max().into_scalar::<f64>();
    assert!(error < 1e-5, "{error}");
}

#[test]
fn a_coefficient_of_one_maps_forward_but_has_no_inverse() {
    let config = ContractiveMlpConfig::new(2, vec![4]).with_coefficient(1.0);
    let block = InvertibleBlock { residual: config.init(&Device::flex()) };
    let output = block.forward(Tensor::<2>::ones([1, 2], &Device::flex()));
    let error = block.inverse(output, &InverseConfig::new()).unwrap_err();
    assert!(matches!(error, ModelError::NotContractive { bound } if bound == 1.0), "{error}");
}

#[test]
fn density_of_a_flow_integrates_to_one() {
    let flow = VectorFlowConfig::new(1).with_blocks(3).with_hidden(vec![8, 8]).with_seed(Some(1));
    let flow = shaken(flow.init(double()), 20).valid();
    // The normalizations are drawn too: the mass may lie anywhere within some hundred units.
    let (count, width) = (400_000, 400.0);
    let step = 2.0 * width / count as f64;
    let line: Vec<f64> = (0..count).map(|i| -width + (i as f64 + 0.5) * step).collect();
    let line =
        Tensor::<2>::from_data(TensorData::new(line, [count, 1]), (&Device::flex(), DType::F64));
    let density = flow.log_density(line, &LogDet::Exact, &mut rng(0)).exp();
    let mass = density.sum().into_scalar::<f64>() * step;
    assert!((mass - 1.0).abs() < 1e-6, "{mass}");
}

fn image_flow(options: impl Into<TensorCreationOptions>) -> ImageFlow {
    let config = ImageFlowConfig::new([1, 4, 4]).with_blocks(vec![1, 2]).with_hidden(6);
    config.with_dense_blocks(1).with_dense_width(8).with_seed(Some(2)).init(options)
}

#[test]
fn image_flow_inverts_and_its_log_determinant_is_that_of_its_jacobian() {
    let flow = shaken(image_flow(double()), 21);
    let device = Device::flex().autodiff();
    let images = Tensor::<4>::random([2, 1, 4, 4], Distribution::Default, (&device, DType::F64));
    let images = images.clamp(0.01, 0.99).require_grad();
    let rows: Vec<Tensor<3>> = (0..16)
        .map(|index| {
            let latent = flow.forward(images.clone(), &LogDet::Exact, &mut rng(0)).latent;
            let gradients = latent.narrow(1, index, 1).sum().backward();
            images.grad(&gradients).unwrap().reshape([2, 1, 16])
        })
        .collect();
    let full = Tensor::cat(rows, 1);
    let output = flow.forward(images.clone(), &LogDet::Exact, &mut rng(0));
    for sample in 0..2 {
        let matrix: Vec<f64> =
            full.clone().narrow(0, sample, 1).into_data().iter::<f64>().collect();
        let expected = log_abs_det(matrix, 16);
        let found = output.log_det.clone().narrow(0, sample, 1).into_scalar::<f64>();
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }
    let back = flow.inverse(output.latent, &InverseConfig::new().with_tolerance(1e-12)).unwrap();
    assert!(largest(back - images) < 1e-8);
}

/// By elimination with pivots.
fn log_abs_det(mut a: Vec<f64>, n: usize) -> f64 {
    let mut total = 0.0;
    for k in 0..n {
        let best = (k..n).max_by(|&i, &j| a[i * n + k].abs().total_cmp(&a[j * n + k].abs()));
        let best = best.unwrap();
        for column in 0..n {
            a.swap(k * n + column, best * n + column);
        }
        total += a[k * n + k].abs().ln();
        for row in k + 1..n {
            let factor = a[row * n + k] / a[k * n + k];
            for column in k..n {
                a[row * n + column] -= factor * a[k * n + column];
            }
        }
    }
    total
}

#[test]
fn fitted_flows_have_white_outputs_and_train_every_parameter() {
    let device = Device::flex().autodiff();
    let flow = image_flow(&device);
    let images = points([64, 1, 4, 4], 22, &device).cast(DType::F32).sin().abs().mul_scalar(0.9);
    let flow = flow.fitted(images.clone());
    let output = flow.forward(images.clone(), &LogDet::training(), &mut rng(1));
    let mean = output.latent.clone().mean_dim(0).abs().max().into_scalar::<f32>();
    assert!(mean < 1e-4, "{mean}");
    let gradients = output.log_density().mean().backward();
    let gradients = GradientsParams::from_grads(gradients, &flow);
    // Per block: free parameters of its filters, biases, sharpnesses, shift and scale.
    struct Count(usize);
    impl burn::module::ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 += usize::from(param.val().is_require_grad());
        }
    }
    let mut count = Count(0);
    flow.visit(&mut count);
    assert_eq!(gradients.len(), count.0);
}

#[test]
fn a_seed_fixes_estimates_and_samples() {
    let flow = image_flow(&Device::flex());
    let images = Tensor::<4>::full([3, 1, 4, 4], 0.3, &Device::flex());
    let run = |seed| {
        let density = flow.log_density(images.clone(), &LogDet::training(), &mut rng(seed));
        let samples = flow.sample(2, &mut rng(seed), &InverseConfig::new()).unwrap();
        (density.into_data(), samples.into_data())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn an_empty_batch_passes() {
    let flow = VectorFlowConfig::new(2).with_blocks(2).with_hidden(vec![4]).init(&Device::flex());
    let empty = Tensor::<2>::zeros([0, 2], &Device::flex());
    let output = flow.forward(empty, &LogDet::Exact, &mut rng(0));
    assert_eq!(output.log_det.dims(), [0]);
    assert_eq!(flow.inverse(output.latent, &InverseConfig::new()).unwrap().dims(), [0, 2]);
}

#[test]
#[should_panic(expected = "height and width must be multiples of 4 for 3 scales, got 6 and 4")]
fn refuses_images_that_cannot_be_halved() {
    ImageFlowConfig::new([1, 6, 4]).with_blocks(vec![1, 1, 1]).init(&Device::flex());
}

#[test]
#[should_panic(expected = "coefficient must be positive and finite, got -1")]
fn refuses_a_negative_coefficient() {
    ContractiveMlpConfig::new(2, vec![]).with_coefficient(-1.0).init(&Device::flex());
}

#[test]
#[should_panic(expected = "vectors must have length 2, got 3")]
fn refuses_vectors_of_another_length() {
    let flow = VectorFlowConfig::new(2).with_blocks(1).with_hidden(vec![4]).init(&Device::flex());
    flow.forward(Tensor::zeros([1, 3], &Device::flex()), &LogDet::Exact, &mut rng(0));
}
