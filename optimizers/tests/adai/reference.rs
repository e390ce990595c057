//! Adai once more, in plain loops and 64 bits, written from the published algorithm: with the
//! product of inertias, the sum over `v` itself, and the counters by parameter.

use burn::module::ParamGroup;
use burn::tensor::DType;
use firebrick_optimizers::adai::AdaiConfig;
use proptest::prelude::*;

use crate::{Gradients, Model, all, assert_close, run_64};

#[derive(Clone)]
struct State {
    time: i32,
    m: Vec<f64>,
    v: Vec<f64>,
    product: Vec<f64>,
}

/// Each parameter has its own settings; the mean is one.
pub fn reference(
    configs: &[AdaiConfig],
    init: &[Vec<f64>],
    steps: &[Gradients],
    lr: f64,
) -> (Vec<Vec<f64>>, f64) {
    let mut x = init.to_vec();
    let zero = |row: &Vec<f64>| State {
        time: 0,
        m: vec![0.0; row.len()],
        v: vec![0.0; row.len()],
        product: vec![1.0; row.len()],
    };
    let mut states: Vec<State> = init.iter().map(zero).collect();
    let mut mean = 0.0;
    for step in steps {
        let mut step = step.clone();
        let (mut sum, mut count) = (0.0, 0);
        for (p, g) in step.iter_mut().enumerate() {
            let (Some(g), c, s) = (g, &configs[p], &mut states[p]) else { continue };
            s.time += 1;
            for i in 0..g.len() {
                if c.decoupled {
                    x[p][i] *= 1.0 - lr * c.weight_decay;
                } else {
                    g[i] += c.weight_decay * x[p][i];
                }
                s.v[i] = c.beta_2 * s.v[i] + (1.0 - c.beta_2) * g[i] * g[i];
                sum += s.v[i] / (1.0 - c.beta_2.powi(s.time));
                count += 1;
            }
        }
        mean = sum / f64::from(count.max(1));
        for (p, g) in step.iter().enumerate() {
            let (Some(g), c, s) = (g, &configs[p], &mut states[p]) else { continue };
            for i in 0..g.len() {
                let corrected = s.v[i] / (1.0 - c.beta_2.powi(s.time));
                let ratio = if mean > 0.0 { corrected / mean } else { 0.0 };
                let ratio = ratio.powf(1.0 / (3.0 - 2.0 * c.dampening));
                let beta_1 = (1.0 - c.beta_0 * ratio).clamp(0.0, 1.0 - c.epsilon);
                s.product[i] *= beta_1;
                s.m[i] = beta_1 * s.m[i] + (1.0 - beta_1).powf(c.dampening) * g[i];
                let corrected = s.m[i] / (1.0 - s.product[i]) * c.beta_0.powf(1.0 - c.dampening);
                x[p][i] -= lr * corrected;
            }
        }
    }
    (x, mean)
}

fn config() -> impl Strategy<Value = AdaiConfig> {
    let numbers = (0.0..1.5f64, 0.0..0.999f64, 1e-3..0.5f64, 0.0..0.3f64);
    let dampening = prop_oneof![Just(1.0), Just(0.5), Just(0.0), 0.0..1.0f64];
    (numbers, any::<bool>(), dampening).prop_map(|(numbers, decoupled, dampening)| {
        let (beta_0, beta_2, epsilon, weight_decay) = numbers;
        AdaiConfig::new()
            .with_beta_0(beta_0)
            .with_beta_2(beta_2)
            .with_epsilon(epsilon)
            .with_weight_decay(weight_decay)
            .with_decoupled(decoupled)
            .with_dampening(dampening)
    })
}

/// Start values of some parameters, and gradients that are missing now and then.
pub fn problem(max_steps: usize) -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<Gradients>)> {
    let sizes = prop::collection::vec(1usize..6, 1..4);
    (sizes, 1..=max_steps).prop_flat_map(|(sizes, steps)| {
        let row = |size: &usize| prop::collection::vec(-2.0..2.0f64, *size);
        let rows: Vec<_> = sizes.iter().map(row).collect();
        let gradients: Vec<_> =
            sizes.iter().map(|size| prop::option::weighted(0.8, row(size))).collect();
        (rows, prop::collection::vec(gradients, steps))
    })
}

proptest! {
    #[test]
    fn every_setting_and_missing_gradients_follow_the_algorithm(
        config in config(),
        (init, steps) in problem(8),
        lr in 0.0..0.5f64,
    ) {
        let configs = vec![config.clone(); init.len()];
        let (expected, _) = reference(&configs, &init, &steps, lr);
        assert_close(&run_64(&config, &init, &steps, lr), &expected, 1e-7);
    }

    #[test]
    fn groups_with_their_own_settings_share_one_mean(
        first in config(),
        second in config(),
        (init, steps) in problem(6),
        lr in 0.0..0.5f64,
    ) {
        let mut model = Model::new(&init, DType::F64);
        let last = model.rows.last().expect("a parameter").id;
        let group = ParamGroup::from_ids(vec![last]);
        let mut optimizer = first.init().with_group(group, second.build(), None);
        for step in &steps {
            let gradients = model.gradients(step);
            model = optimizer.step(lr, model, gradients);
        }
        let mut configs = vec![first; init.len()];
        configs[init.len() - 1] = second;
        let (expected, _) = reference(&configs, &init, &steps, lr);
        assert_close(&model.values(), &expected, 1e-7);
    }
}

#[test]
fn mean_is_reported_and_clamped_coordinates_are_counted() {
    let init = vec![vec![0.0; 3], vec![0.0; 2]];
    // Squares 0, 1, 100 and 1, 398: the mean is 100.
    let gradients = vec![vec![0.0, 1.0, 10.0], vec![1.0, 398.0f64.sqrt()]];
    let config = AdaiConfig::new().with_beta_0(0.3).with_epsilon(0.01).with_count_clamped(true);
    let mut optimizer = config.init();
    assert!(optimizer.report().is_none());
    let mut model = Model::new(&init, DType::F32);
    for _ in 0..2 {
        let step = model.gradients(&all(&gradients));
        model = optimizer.step(0.1, model, step);
    }
    let report = optimizer.report().expect("two steps were made");
    assert!((report.mean - 100.0).abs() < 1e-3, "{report:?}");
    let clamped = report.clamped.expect("counted");
    // 0.3 * (0, 0.01, 1, 0.01, 3.98): three at most 0.01, one at least 1.
    assert_eq!((clamped.at_zero, clamped.at_most), (0.2, 0.6));
}
