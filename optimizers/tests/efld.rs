//! EFLD: families, steps, randomness, records, misuse.
#![recursion_limit = "256"]

use burn::module::{Module, Param, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer, Optimizer, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick_optimizers::efld::{
    EfldConfig, ExponentialFamily, FiniteLevels, NoiseScale, NoiseSource, Schedule,
    anisotropic_theta, noisy_quantized_step, noisy_sign_step, sgld_step,
};
use proptest::prelude::*;

fn tensor(values: &[f64]) -> Tensor<1> {
    typed(values, DType::F64)
}

fn typed(values: &[f64], dtype: DType) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&Device::flex(), dtype))
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn families() -> Vec<ExponentialFamily> {
    let levels = |levels| ExponentialFamily::Levels(levels);
    vec![
        ExponentialFamily::Gaussian,
        ExponentialFamily::Rademacher,
        levels(FiniteLevels::ternary(1.0)),
        levels(FiniteLevels::ternary(8.0)),
        levels(FiniteLevels::uniform(-1.0, 1.0, 5)),
        levels(FiniteLevels::new(vec![-0.5, 0.25, 2.0], vec![0.3, 2.0, 1.0])),
    ]
}

proptest! {
    #[test]
    fn mean_and_variance_are_derivatives_of_the_log_partition(theta in -9.0f64..9.0) {
        let h = 1e-4;
        let around = tensor(&[theta - h, theta, theta + h]);
        for family in families() {
            let psi = host(family.log_partition(around.clone()));
            let mean = host(family.mean(around.clone()));
            let variance = host(family.variance(around.clone()))[1];
            prop_assert!(((psi[2] - psi[0]) / (2.0 * h) - mean[1]).abs() < 1e-6, "{family:?}");
            prop_assert!(((mean[2] - mean[0]) / (2.0 * h) - variance).abs() < 1e-6, "{family:?}");
            prop_assert!(variance <= family.smoothness() + 1e-12, "{family:?}");
            prop_assert!((family.host_log_partition(theta) - psi[1]).abs() < 1e-12, "{family:?}");
        }
    }

    #[test]
    fn probabilities_are_those_of_the_formula_and_add_up_to_one(theta in -30.0f64..30.0) {
        let levels = FiniteLevels::new(vec![-1.0, -0.2, 0.7, 1.5], vec![0.5, 4.0, 1.0, 0.1]);
        let found: Vec<f64> =
            levels.probabilities(tensor(&[theta])).into_iter().flat_map(host).collect();
        let each = || levels.levels().iter().zip(levels.weights());
        let weight = |(q, pi): (&f64, &f64)| pi * (q * theta).exp();
        let total: f64 = each().map(weight).sum();
        for (found, expected) in found.iter().zip(each().map(weight)) {
            prop_assert!((found - expected / total).abs() < 1e-12);
        }
        prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn levels_minus_and_plus_one_are_the_rademacher_family(theta in -20.0f64..20.0, u in 0.0f64..1.0) {
        let two = FiniteLevels::new(vec![-1.0, 1.0], vec![1.0, 1.0]);
        let (levels, sign) = (ExponentialFamily::Levels(two.clone()), ExponentialFamily::Rademacher);
        let theta = tensor(&[theta]);
        for of in [ExponentialFamily::mean, ExponentialFamily::variance, ExponentialFamily::log_partition] {
            let (a, b) = (host(of(&levels, theta.clone())), host(of(&sign, theta.clone())));
            prop_assert!((a[0] - b[0]).abs() < 1e-12);
        }
        let plus = host(two.probabilities(theta.clone()).remove(1))[0];
        prop_assume!((u - plus).abs() > 1e-9);
        // Levels are passed upwards, the sign rule starts with +1: the same draw with 1 - u.
        let a = host(levels.draw(theta.clone(), tensor(&[1.0 - u])));
        prop_assert_eq!(a, host(sign.draw(theta, tensor(&[u]))));
        prop_assert_eq!(levels.smoothness(), sign.smoothness());
    }

    #[test]
    fn draws_follow_the_cumulative_probabilities(theta in -3.0f64..3.0, u in 0.0f64..1.0) {
        let levels = FiniteLevels::new(vec![-1.0, 0.5, 3.0], vec![1.0, 2.0, 0.5]);
        let p: Vec<f64> = levels.probabilities(tensor(&[theta])).into_iter().flat_map(host).collect();
        let cumulative = [p[0], p[0] + p[1]];
        prop_assume!(cumulative.iter().all(|c| (c - u).abs() > 1e-9));
        let index = cumulative.iter().filter(|&&c| c <= u).count();
        let found = host(ExponentialFamily::Levels(levels.clone()).draw(tensor(&[theta]), tensor(&[u])));
        prop_assert!((found[0] - levels.levels()[index]).abs() < 1e-12);
    }
}

#[test]
fn enormous_parameters_and_both_ends_of_the_uniform_are_right() {
    for dtype in [DType::F32, DType::F64] {
        let theta = || typed(&[-1e6, -1e6, 1e6, 1e6, 0.0, 0.0], dtype);
        let ends = || typed(&[0.0, 1.0, 0.0, 1.0, 0.0, 1.0], dtype);
        let draw = |family: &ExponentialFamily| host(family.draw(theta(), ends()));
        // P(+1) is 0, 0, 1, 1, 1/2, 1/2; the sign rule starts with +1.
        assert_eq!(draw(&ExponentialFamily::Rademacher), [-1.0, -1.0, 1.0, 1.0, 1.0, -1.0]);
        let ternary = FiniteLevels::ternary(1.0);
        let probabilities: Vec<Vec<f64>> =
            ternary.probabilities(theta()).into_iter().map(host).collect();
        assert_eq!(probabilities[0][..4], [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(probabilities[2][..4], [0.0, 0.0, 1.0, 1.0]);
        let family = ExponentialFamily::Levels(ternary);
        assert_eq!(draw(&family), [-1.0, -1.0, 1.0, 1.0, -1.0, 1.0]);
        for family in families() {
            for values in
                [family.log_partition(theta()), family.mean(theta()), family.variance(theta())]
            {
                assert!(host(values).iter().all(|value| value.is_finite()), "{family:?}");
            }
        }
    }
}

#[test]
fn a_tiny_alpha_gives_the_sign_of_the_gradient() {
    let gradient = typed(&[-1.0, 1.0, -0.01, 0.01], DType::F32);
    let zeros = || typed(&[0.0; 4], DType::F32);
    for u in [0.0, 0.5, 1.0] {
        let next =
            noisy_sign_step(zeros(), gradient.clone(), typed(&[u; 4], DType::F32), 1.0, 1e-4);
        assert_eq!(host(next), [1.0, -1.0, 1.0, -1.0]);
    }
}

#[test]
fn anisotropic_scales_divide_each_element() {
    let gradient = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 4.0]], &Device::flex());
    let theta = anisotropic_theta(gradient, &[1.0, 4.0, 2.0, 0.5]);
    assert_eq!(host(theta), [1.0, 0.5, 1.5, 8.0]);
}

/// Three parameters of one shape and one of another.
#[derive(Module, Debug)]
struct Several {
    first: Param<Tensor<1>>,
    second: Param<Tensor<1>>,
    third: Param<Tensor<2>>,
    last: Param<Tensor<1>>,
}

const LEN: usize = 6;

fn several() -> Several {
    // The same ids every time, so that a record fits a module made anew.
    let device = Device::flex().autodiff();
    let flat = |id| {
        let value = Tensor::<1>::from_data([0.5, -0.5, 1.0, 0.0, 0.25, 2.0], &device);
        Param::initialized(ParamId::from(id), value.require_grad())
    };
    let third = Tensor::<2>::ones([2, 3], &device).require_grad();
    Several {
        first: flat(1),
        second: flat(2),
        third: Param::initialized(ParamId::from(3), third),
        last: flat(4),
    }
}

/// Gradients that depend on the step; the second parameter has none before `late`.
fn gradients(module: &Several, step: usize, late: usize) -> GradientsParams {
    let mut gradients = GradientsParams::new();
    let device = Device::flex();
    let values: Vec<f64> = (0..LEN).map(|i| ((i + 3 * step) as f64 * 0.71).sin()).collect();
    let data = |shape: &[usize]| TensorData::new(values.clone(), shape.to_vec());
    gradients.register(module.first.id, Tensor::<1>::from_data(data(&[LEN]), &device));
    if step >= late {
        gradients.register(module.second.id, Tensor::<1>::from_data(data(&[LEN]), &device));
    }
    gradients.register(module.last.id, Tensor::<1>::from_data(data(&[LEN]), &device));
    gradients.register(module.third.id, Tensor::<2>::from_data(data(&[2, 3]), &device));
    gradients
}

fn run(
    optimizer: &mut ModuleOptimizer,
    mut module: Several,
    steps: std::ops::Range<usize>,
    late: usize,
) -> Several {
    for step in steps {
        let gradients = gradients(&module, step, late);
        module = optimizer.step(0.1, module, gradients);
    }
    module
}

fn values(module: &Several) -> [Vec<f64>; 4] {
    let Several { first, second, third, last } = module;
    [host(first.val()), host(second.val()), host(third.val()), host(last.val())]
}

fn configs() -> [EfldConfig; 3] {
    [
        EfldConfig::sgld(),
        EfldConfig::sign_sgd()
            .with_scale(Some(NoiseScale::Alpha(Schedule::Power { initial: 1.0, exponent: 0.5 }))),
        EfldConfig::quantized_sgd(FiniteLevels::ternary(2.0))
            .with_scale(Some(NoiseScale::Alpha(1.0.into()))),
    ]
}

#[test]
fn a_seed_repeats_itself_and_another_differs() {
    for config in configs() {
        let once = |config: &EfldConfig| values(&run(&mut config.init(), several(), 0..4, 0));
        assert_eq!(once(&config), once(&config));
        assert_ne!(once(&config), once(&config.clone().with_seed(1)));
    }
}

#[test]
fn parameters_and_steps_have_noise_of_their_own() {
    for config in configs() {
        let mut optimizer = config.init();
        let start = several();
        let one = run(&mut optimizer, start.clone(), 0..1, 0);
        let [first, second, third, last] = values(&one);
        assert_ne!(second, last);
        assert_ne!(first, second, "equal values and gradients, another stream");
        assert_ne!(third, first);
        // The same gradients again: the change differs.
        let two = run(&mut optimizer, one.clone(), 0..1, 0);
        let change = |a: &Several, b: &Several| -> Vec<f64> {
            host(a.first.val()).iter().zip(host(b.first.val())).map(|(a, b)| b - a).collect()
        };
        assert_ne!(change(&start, &one), change(&one, &two));
    }
}

#[test]
fn a_resumed_run_continues_bit_by_bit() {
    // The second parameter joins before the record is taken, after it, and long after it.
    for late in [0, 2, 4, 5] {
        for config in configs() {
            let whole = values(&run(&mut config.init(), several(), 0..8, late));
            let mut optimizer = config.init();
            let half = run(&mut optimizer, several(), 0..4, late);
            let bytes = optimizer.into_bytes().expect("a record can be written");
            let mut resumed = config.init().from_bytes(bytes).expect("a record can be read");
            assert_eq!(values(&run(&mut resumed, half, 4..8, late)), whole, "late {late}");
        }
    }
}

#[test]
fn without_noise_sgld_is_sgd() {
    let config = EfldConfig::sgld().with_scale(Some(NoiseScale::Sigma(0.0.into())));
    let expected = values(&run(&mut SgdConfig::new().init(), several(), 0..5, 0));
    assert_eq!(values(&run(&mut config.init(), several(), 0..5, 0)), expected);
}

#[test]
fn every_way_to_give_the_noise_of_sgld_gives_the_same_steps() {
    let (lr, sigma) = (0.1, 0.02);
    let beta = 2.0 * lr / (sigma * sigma);
    let scales = [
        NoiseScale::Sigma(sigma.into()),
        NoiseScale::Alpha((sigma / lr).into()),
        NoiseScale::Ratio(sigma / lr),
        NoiseScale::InverseTemperature(beta.into()),
    ];
    let steps: Vec<_> = scales
        .iter()
        .map(|&scale| {
            let config = EfldConfig::sgld().with_scale(Some(scale));
            assert!((config.alpha(1, lr) - 0.2).abs() < 1e-12, "{scale:?}");
            values(&run(&mut config.init(), several(), 0..3, 0)).concat()
        })
        .collect();
    for other in &steps[1..] {
        let apart = other.iter().zip(&steps[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-6, "{apart}");
    }
}

/// One step of the bare optimizer, with its state.
fn step(config: &EfldConfig, lr: f64, w: &[f64], g: &[f64]) -> Vec<f64> {
    host(config.build().step(lr, tensor(w), tensor(g), None).0)
}

#[test]
fn decay_and_penalty_enter_where_they_should() {
    let quiet = EfldConfig::sgld().with_scale(Some(NoiseScale::Sigma(0.0.into())));
    let (w, g) = ([2.0, -1.0], [0.5, 0.25]);
    let l2 = step(&quiet.clone().with_l2(0.1), 0.5, &w, &g);
    assert_eq!(l2, [2.0 - 0.5 * (0.5 + 0.2), -1.0 - 0.5 * (0.25 - 0.1)]);
    let decay = step(&quiet.with_decoupled_decay(0.1), 0.5, &w, &g);
    assert_eq!(decay, [2.0 * 0.95 - 0.25, -0.95 - 0.125]);
    // For signs, L2 changes the probabilities and decay the parameter.
    let sign = EfldConfig::sign_sgd();
    let certain = step(&sign.clone().with_l2(10.0), 0.5, &w, &[0.0, 0.0]);
    assert_eq!(certain, [1.5, -0.5]);
    let decayed = step(&sign.with_decoupled_decay(0.1), 0.5, &w, &[1.0, -1.0]);
    assert_eq!(decayed, [2.0 * 0.95 - 0.5, -0.95 + 0.5]);
}

#[test]
fn clipping_acts_on_the_gradient_of_the_whole_optimizer() {
    use burn::grad_clipping::GradientClippingConfig;
    let quiet = EfldConfig::sgld().with_scale(Some(NoiseScale::Sigma(0.0.into())));
    let clipped = quiet.clone().with_gradient_clipping(Some(GradientClippingConfig::Value(0.25)));
    assert!(clipped.init().has_gradient_clipping() && !quiet.init().has_gradient_clipping());
    let start = values(&several()).concat();
    let next = values(&run(&mut clipped.init(), several(), 1..2, 0)).concat();
    for (a, b) in start.iter().zip(next) {
        assert!((a - b).abs() <= 0.025 + 1e-7);
    }
}

#[test]
fn the_schedule_follows_the_counter_in_the_state() {
    let scale = NoiseScale::Alpha(Schedule::Exponential { initial: 1e9, rate: 1e-7 });
    let config = EfldConfig::sign_sgd().with_scale(Some(scale));
    let optimizer = config.build();
    let count = 4000;
    let (zeros, ones) = (vec![0.0; count], vec![1.0; count]);
    let mut state = None;
    let mut means = Vec::new();
    for _ in 0..3 {
        let (next, after) = optimizer.step(1.0, tensor(&zeros), tensor(&ones), state);
        means.push(-host(next).iter().sum::<f64>() / count as f64);
        state = after;
    }
    assert_eq!(state.expect("there is a state").steps, 3);
    // alpha is 1e9, 100, 1e-5: a coin, almost a coin, certain.
    let five = 5.0 / (count as f64).sqrt();
    assert!(means[0].abs() < five && (means[1] - 0.01f64.tanh()).abs() < five, "{means:?}");
    assert_eq!(means[2], 1.0);
}

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count)
}

#[test]
fn draws_have_the_mean_and_variance_of_their_family_and_no_correlation() {
    const COUNT: usize = 100_000;
    for source in [NoiseSource::Seeded, NoiseSource::Device] {
        for family in families() {
            let scale = NoiseScale::Alpha(0.5.into());
            let config = EfldConfig::new(family.clone()).with_scale(Some(scale)).with_noise(source);
            for theta in [-1.2, 0.0, 0.3] {
                let (w, g) = (vec![0.0; COUNT], vec![0.5 * theta; COUNT]);
                // SGLD's step is sigma * xi = alpha * lr * xi.
                let rho = if family == ExponentialFamily::Gaussian { 0.5 } else { 1.0 };
                let xi: Vec<f64> = step(&config, 1.0, &w, &g).iter().map(|w| -w / rho).collect();
                let (mean, variance) = moments(&xi);
                let expected_mean = host(family.mean(tensor(&[theta])))[0];
                let expected = host(family.variance(tensor(&[theta])))[0];
                let error = 5.0 * (expected / COUNT as f64).sqrt();
                assert!((mean - expected_mean).abs() < error, "{family:?} {theta}: mean {mean}");
                let fourth =
                    xi.iter().map(|x| (x - expected_mean).powi(4)).sum::<f64>() / COUNT as f64;
                let error = 5.0 * ((fourth - expected * expected) / COUNT as f64).sqrt() + 1e-3;
                assert!((variance - expected).abs() < error, "{family:?} {theta}: {variance}");
                let pairs = xi
                    .chunks_exact(2)
                    .map(|pair| (pair[0] - expected_mean) * (pair[1] - expected_mean) / expected);
                let correlation = pairs.sum::<f64>() / (COUNT / 2) as f64;
                let error = 5.0 / ((COUNT / 2) as f64).sqrt();
                assert!(correlation.abs() < error, "{family:?} {theta}: {correlation}");
            }
        }
    }
}

#[test]
fn half_precision_parameters_are_stepped_in_32_bits() {
    for dtype in [DType::F16, DType::BF16] {
        for config in configs() {
            let (w, g) = (typed(&[0.5; 8], dtype), typed(&[0.25; 8], dtype));
            let (next, _) = config.build().step(0.5, w, g, None);
            assert_eq!(next.dtype(), dtype);
            assert!(host(next).iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn empty_parameters_stay_empty() {
    for config in configs() {
        assert!(step(&config, 0.1, &[], &[]).is_empty());
    }
}

#[test]
fn given_noise_gives_the_step_of_the_formula() {
    let (w, g, z) = (tensor(&[1.0]), tensor(&[2.0]), tensor(&[-3.0]));
    let sgld = |lr, sigma| host(sgld_step(w.clone(), g.clone(), z.clone(), lr, sigma));
    assert_eq!([sgld(0.5, 0.25), sgld(0.0, 0.25)], [[1.0 - 1.0 - 0.75], [1.0 - 0.75]]);
    let levels = FiniteLevels::uniform(-2.0, 2.0, 5);
    // theta = 0: every level has probability 1/5, u = 0.5 is in the third.
    let next = noisy_quantized_step(w, tensor(&[0.0]), tensor(&[0.7]), 0.5, 1.0, &levels);
    assert_eq!(host(next), [1.0 - 0.5]);
}

#[test]
fn settings_survive_json() {
    use burn::config::Config;
    for config in configs() {
        let text = serde_json_of(&config);
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), text).expect("written");
        let loaded = EfldConfig::load(file.path()).expect("read");
        assert_eq!(loaded.family, config.family);
        assert_eq!(loaded.scale, config.scale);
    }
}

fn serde_json_of(config: &EfldConfig) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    burn::config::Config::save(config, file.path()).expect("saved");
    std::fs::read(file.path()).expect("read")
}

mod misuse {
    use super::*;

    #[test]
    #[should_panic(expected = "alpha: the value must be finite and positive, got 0")]
    fn alpha_must_be_positive() {
        EfldConfig::sign_sgd().with_scale(Some(NoiseScale::Alpha(0.0.into()))).build();
    }

    #[test]
    #[should_panic(expected = "alpha: the value must be finite and positive, got inf")]
    fn alpha_must_be_finite() {
        EfldConfig::sgld().with_scale(Some(NoiseScale::Alpha(f64::INFINITY.into()))).build();
    }

    #[test]
    #[should_panic(expected = "sigma: the value must be finite and at least 0, got -1")]
    fn sigma_must_not_be_negative() {
        EfldConfig::sgld().with_scale(Some(NoiseScale::Sigma((-1.0).into()))).build();
    }

    #[test]
    #[should_panic(expected = "scale must be NoiseScale::Alpha for a family without sigma")]
    fn sigma_needs_the_gaussian_family() {
        EfldConfig::sign_sgd().with_scale(Some(NoiseScale::Sigma(1.0.into()))).build();
    }

    #[test]
    #[should_panic(expected = "levels must be at least two, got 1")]
    fn one_level_is_too_few() {
        FiniteLevels::new(vec![0.0], vec![1.0]);
    }

    #[test]
    #[should_panic(expected = "levels must be finite and increase, got [1.0, -1.0]")]
    fn levels_must_increase() {
        FiniteLevels::new(vec![1.0, -1.0], vec![1.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "weights must be one per level, 2, got 3")]
    fn every_level_has_one_weight() {
        FiniteLevels::new(vec![-1.0, 1.0], vec![1.0; 3]);
    }

    #[test]
    #[should_panic(expected = "weights must be finite and positive")]
    fn weights_must_be_positive() {
        FiniteLevels::new(vec![-1.0, 1.0], vec![1.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "l2 must be finite and at least 0, got -0.1")]
    fn the_penalty_must_not_be_negative() {
        EfldConfig::sgld().with_l2(-0.1).build();
    }

    #[test]
    #[should_panic(expected = "alpha must be finite and positive, got 0 at 1")]
    fn every_element_of_an_anisotropic_scale_is_checked() {
        anisotropic_theta(tensor(&[1.0, 1.0]), &[1.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "alpha must have 2 values for the shape [2], got 1")]
    fn an_anisotropic_scale_has_one_value_per_element() {
        anisotropic_theta(tensor(&[1.0, 1.0]), &[1.0]);
    }

    #[test]
    #[should_panic(expected = "noisy_sign_step: alpha must be finite and positive, got NaN")]
    fn given_noise_does_not_excuse_alpha() {
        noisy_sign_step(tensor(&[0.0]), tensor(&[0.0]), tensor(&[0.0]), 0.1, f64::NAN);
    }
}
