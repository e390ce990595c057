//! What follows exactly from the update.

use burn::tensor::DType;
use firebrick_optimizers::adai::{AdaiConfig, MeanScope};
use proptest::prelude::*;

use crate::reference::problem;
use crate::{Gradients, all, assert_close, run, run_64};

const LR: f64 = 0.2;

fn map(steps: &[Gradients], f: impl Fn(f64) -> f64) -> Vec<Gradients> {
    let row = |row: &Option<Vec<f64>>| row.as_ref().map(|row| row.iter().map(|&x| f(x)).collect());
    steps.iter().map(|step| step.iter().map(row).collect()).collect()
}

fn moved(init: &[Vec<f64>], by: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
    let row =
        |(p, row): (usize, &Vec<f64>)| row.iter().enumerate().map(|(i, x)| x + by(p, i)).collect();
    init.iter().enumerate().map(row).collect()
}

/// Values of some parameters with two sets of numbers of their shape.
fn rows() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<Vec<f64>>)> {
    prop::collection::vec(1usize..6, 1..4).prop_flat_map(|sizes| {
        let row = |size: &usize| prop::collection::vec(-2.0..2.0f64, *size);
        let rows: Vec<_> = sizes.iter().map(row).collect();
        (rows.clone(), rows)
    })
}

proptest! {
    /// P1
    #[test]
    fn first_step_is_plain_gradient_descent((init, gradients) in rows()) {
        let found = run_64(&AdaiConfig::new(), &init, &[all(&gradients)], LR);
        assert_close(&found, &moved(&init, |p, i| -LR * gradients[p][i]), 1e-12);
    }

    /// P2
    #[test]
    fn constant_gradients_give_a_straight_path((init, gradients) in rows(), steps in 1usize..30) {
        let found = run_64(&AdaiConfig::new(), &init, &vec![all(&gradients); steps], LR);
        let way = LR * steps as f64;
        assert_close(&found, &moved(&init, |p, i| -way * gradients[p][i]), 1e-9);
    }

    /// P3, in 32 bits, at scales where a bound of the mean at epsilon would show.
    #[test]
    fn updates_scale_with_the_gradients(
        (init, steps) in problem(10),
        scale in prop_oneof![Just(1e-3), Just(1e-6), Just(1e3)],
    ) {
        let zeros: Vec<Vec<f64>> = init.iter().map(|row| vec![0.0; row.len()]).collect();
        let of = |steps: &[Gradients]| {
            run(AdaiConfig::new().init(), &zeros, steps, LR, DType::F32)
        };
        let found = moved(&of(&map(&steps, |g| scale * g)), |_, _| 0.0);
        let found: Vec<Vec<f64>> =
            found.iter().map(|row| row.iter().map(|x| x / scale).collect()).collect();
        assert_close(&found, &of(&steps), 2e-5);
    }

    /// P4
    #[test]
    fn one_element_gets_momentum_with_bias_correction(
        gradients in prop::collection::vec(0.1..3.0f64, 1..20),
    ) {
        // A single element has the ratio 1 whatever its size.
        let steps: Vec<Gradients> = gradients.iter().map(|&g| vec![Some(vec![g])]).collect();
        let (mut x, mut m) = (0.5, 0.0);
        for (t, g) in gradients.iter().enumerate() {
            m = 0.9 * m + 0.1 * g;
            x -= LR * m / (1.0 - 0.9f64.powi(t as i32 + 1));
        }
        assert_close(&run_64(&AdaiConfig::new(), &[vec![0.5]], &steps, LR), &[vec![x]], 1e-10);
    }

    /// P5
    #[test]
    fn splitting_merging_and_reordering_parameters_changes_nothing(
        values in prop::collection::vec((-2.0..2.0f64, prop::collection::vec(-30.0..30.0f64, 6)), 2..9),
        cut in 1usize..8,
        d in prop_oneof![Just(1.0), Just(0.5)],
    ) {
        let cut = cut.min(values.len() - 1);
        let config = AdaiConfig::adai_v2(d).with_weight_decay(0.1);
        let (init, all_gradients): (Vec<f64>, Vec<Vec<f64>>) = values.into_iter().unzip();
        let step = |t: usize| -> Vec<f64> { all_gradients.iter().map(|g| g[t]).collect() };
        let whole: Vec<Gradients> = (0..6).map(|t| vec![Some(step(t))]).collect();
        let split = |row: &[f64]| vec![row[cut..].to_vec(), row[..cut].to_vec()];
        let parts: Vec<Gradients> = (0..6).map(|t| all(&split(&step(t)))).collect();
        for dtype in [DType::F32, DType::F64] {
            let expected = run(config.init(), std::slice::from_ref(&init), &whole, LR, dtype);
            let found = run(config.init(), &split(&init), &parts, LR, dtype);
            let tolerance = if dtype == DType::F64 { 1e-10 } else { 1e-4 };
            assert_close(&found, &split(&expected[0]), tolerance);
        }
    }

    /// P6, the lower end
    #[test]
    fn without_base_inertia_is_the_largest_everywhere((init, steps) in problem(10)) {
        let epsilon = 0.1;
        let config = AdaiConfig::new().with_beta_0(0.0).with_epsilon(epsilon);
        let mut expected = init.clone();
        for (p, row) in expected.iter_mut().enumerate() {
            for (i, x) in row.iter_mut().enumerate() {
                let (mut m, mut t) = (0.0, 0);
                for g in steps.iter().filter_map(|step| step[p].as_ref()) {
                    t += 1;
                    m = (1.0 - epsilon) * m + epsilon * g[i];
                    *x -= LR * m / (1.0 - (1.0 - epsilon).powi(t));
                }
            }
        }
        assert_close(&run_64(&config, &init, &steps, LR), &expected, 1e-9);
    }

    /// P6, the upper end
    #[test]
    fn a_large_base_gives_plain_gradient_descent((init, gradients) in rows(), steps in 1usize..6) {
        // Every coordinate must have some gradient, or its ratio is 0.
        let gradients: Vec<Vec<f64>> =
            gradients.iter().map(|row| row.iter().map(|g| g.abs() + 0.1).collect()).collect();
        let sign = |t: usize| if t.is_multiple_of(3) { -1.0 } else { 1.0 };
        let list: Vec<Gradients> =
            (0..steps).map(|t| map(&[all(&gradients)], |g| sign(t) * g).remove(0)).collect();
        let total: f64 = (0..steps).map(sign).sum();
        let found = run_64(&AdaiConfig::new().with_beta_0(1e6), &init, &list, LR);
        assert_close(&found, &moved(&init, |p, i| -LR * total * gradients[p][i]), 1e-9);
    }

    /// P7
    #[test]
    fn alternating_gradients_follow_the_closed_form(
        (init, size) in rows(),
        steps in 1usize..25,
        beta_2 in 0.0..0.999f64,
    ) {
        let (beta_0, epsilon) = (0.3, 1e-3);
        let config =
            AdaiConfig::new().with_beta_0(beta_0).with_beta_2(beta_2).with_epsilon(epsilon);
        let sign = |t: usize| if t.is_multiple_of(2) { 1.0 } else { -1.0 };
        let list: Vec<Gradients> =
            (0..steps).map(|t| map(&[all(&size)], |g| sign(t) * g).remove(0)).collect();
        let flat: Vec<f64> = size.concat();
        let mean = flat.iter().map(|g| g * g).sum::<f64>() / flat.len() as f64;
        let expected = moved(&init, |p, i| {
            let g = size[p][i];
            let b = (1.0 - beta_0 * g * g / mean).clamp(0.0, 1.0 - epsilon);
            let change = |t: usize| {
                let power = t as i32 + 1;
                let average = (1.0 - b) / (1.0 + b) * (1.0 - (-b).powi(power));
                sign(t) * average / (1.0 - b.powi(power)) * g
            };
            -LR * (0..steps).map(change).sum::<f64>()
        });
        assert_close(&run_64(&config, &init, &list, LR), &expected, 1e-9);
    }

    /// P8
    #[test]
    fn first_step_with_dampening_is_a_power_of_the_ratio(
        (init, size) in rows(),
        d in 0.0..1.0f64,
    ) {
        // Within these bounds no coordinate is clamped.
        let size: Vec<Vec<f64>> =
            size.iter().map(|row| row.iter().map(|g| g.abs() + 1.0).collect()).collect();
        let flat: Vec<f64> = size.concat();
        let mean = flat.iter().map(|g| g * g).sum::<f64>() / flat.len() as f64;
        let found = run_64(&AdaiConfig::adai_v2(d), &init, &[all(&size)], LR);
        let expected = moved(&init, |p, i| {
            let g = size[p][i];
            -LR * g * (g * g / mean).powf((d - 1.0) / (3.0 - 2.0 * d))
        });
        assert_close(&found, &expected, 1e-9);
    }
}

/// P10
#[test]
fn zero_gradients_move_nothing_and_stay_finite() {
    for dampening in [0.0, 0.5, 1.0] {
        for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
            let init = [vec![1.0, -2.0], vec![0.5]];
            let zeros = all(&[vec![0.0; 2], vec![0.0]]);
            let config = AdaiConfig::adai_v2(dampening);
            let found = run(config.init(), &init, &vec![zeros.clone(); 3], LR, dtype);
            assert_eq!(found, init);
            // The first gradient after that is an ordinary one.
            let steps = [zeros, all(&[vec![1.0, 1.0], vec![-1.0]])];
            let found = run(config.init(), &init, &steps, LR, dtype);
            assert!(found[0][0] < 1.0 && found[1][0] > 0.5 && found[0][0].is_finite());
        }
    }
}

/// P5 fails with a mean by tensor, which therefore must be asked for.
#[test]
fn a_mean_by_tensor_depends_on_the_split() {
    let global = AdaiConfig::new().with_beta_0(0.9);
    let config = global.clone().with_mean_scope(MeanScope::PerTensor);
    let steps =
        |sign: f64| (0..4).map(move |t| if t % 2 == 0 { sign } else { 1.0 }).collect::<Vec<f64>>();
    let whole: Vec<Gradients> =
        steps(-1.0).iter().map(|s| vec![Some(vec![30.0 * s, 1.0 * s])]).collect();
    let parts: Vec<Gradients> =
        steps(-1.0).iter().map(|s| all(&[vec![30.0 * s], vec![1.0 * s]])).collect();
    let of = |config: &AdaiConfig, init: &[Vec<f64>], steps: &[Gradients]| {
        run_64(config, init, steps, LR).concat()
    };
    let split = of(&config, &[vec![0.0], vec![0.0]], &parts);
    let merged = of(&config, &[vec![0.0, 0.0]], &whole);
    // Alone, both elements have the ratio 1 and move alike up to their size.
    assert!((split[0] - 30.0 * split[1]).abs() < 1e-9);
    assert!((split[1] - merged[1]).abs() > 0.1 * split[1].abs());
    let of_both = |init: &[Vec<f64>], steps: &[Gradients]| of(&global, init, steps);
    let found = of_both(&[vec![0.0], vec![0.0]], &parts);
    assert_close(&[found], &[of_both(&[vec![0.0, 0.0]], &whole)], 1e-12);
    assert_eq!(merged, of_both(&[vec![0.0, 0.0]], &whole));
}

#[test]
fn parameters_in_16_bits_have_moments_in_32() {
    // The squares of 1e-4 and 3e-4 vanish in 16 bits.
    let steps: Vec<Gradients> = (0..5).map(|_| vec![Some(vec![1e-4, 3e-4])]).collect();
    for dtype in [DType::F16, DType::BF16] {
        let found = run(AdaiConfig::new().init(), &[vec![0.0, 0.0]], &steps, 1.0, dtype);
        let relative = [found[0][0] / -5e-4, found[0][1] / -1.5e-3];
        assert!(relative.iter().all(|r| (r - 1.0).abs() < 0.02), "{dtype:?}: {found:?}");
    }
}
