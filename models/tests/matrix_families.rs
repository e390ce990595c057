//! Matrix families in distribution: uniformity, moments, and the theory against wide matrices.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used)]

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick_models::deq::matrix_family::{DeqInit, MatrixFamily, Normalization};
use firebrick_models::deq::measure::{MatrixMeasure, linear_equilibrium, measure};
use firebrick_models::deq::{Activation, AffineCell, DeqConfig};
use firebrick_ops::fixed_point::{
    AndersonConfig, BroydenConfig, FixedPointConfig, SolveReport, Solver,
};
use firebrick_ops::iteration::Status;
use firebrick_ops::orthogonal::HostMatrix;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn drawn(family: MatrixFamily, scale: f64, size: usize, seed: u64) -> HostMatrix {
    DeqInit::new(family, scale).matrix([size, size], seed).unwrap()
}

/// Angles in turns of the rotations among 2x2 orthogonal matrices, and how many there are.
fn angles(matrices: &[HostMatrix]) -> Vec<f64> {
    let determinant = |q: &HostMatrix| q.get(0, 0) * q.get(1, 1) - q.get(0, 1) * q.get(1, 0);
    let turn =
        |q: &HostMatrix| (q.get(1, 0).atan2(q.get(0, 0)) / std::f64::consts::TAU).rem_euclid(1.0);
    let mut turns: Vec<f64> = matrices.iter().filter(|q| determinant(q) > 0.0).map(turn).collect();
    turns.sort_by(f64::total_cmp);
    turns
}

/// The Kolmogorov-Smirnov statistic against the uniform distribution times `sqrt(n)`; 1.95 has the
/// probability 0.001.
fn kolmogorov_smirnov(sorted: &[f64]) -> f64 {
    let count = sorted.len() as f64;
    let gap = |(at, &x): (usize, &f64)| (x - at as f64 / count).max((at + 1) as f64 / count - x);
    count.sqrt() * sorted.iter().enumerate().map(gap).fold(0.0, f64::max)
}

#[test]
fn orthogonal_matrices_are_uniform_and_would_not_be_without_signs() {
    let fixed: Vec<_> =
        (0..4000).map(|seed| drawn(MatrixFamily::Orthogonal, 1.0, 2, seed)).collect();
    let turns = angles(&fixed);
    // Half of 4000, standard deviation 32.
    assert!(turns.len().abs_diff(2000) < 130, "{} rotations of 4000", turns.len());
    assert!(kolmogorov_smirnov(&turns) < 1.95, "{}", kolmogorov_smirnov(&turns));

    // The same numbers, with the orthogonal factor as Householder's algorithm leaves it.
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let raw: Vec<_> = (0..4000)
        .map(|_| {
            let normal = faer::Mat::<f64>::from_fn(2, 2, |_, _| rng.sample(StandardNormal));
            let q = normal.qr().compute_thin_Q();
            HostMatrix::from_fn(2, 2, |i, j| q[(i, j)])
        })
        .collect();
    let turns = angles(&raw);
    let uniform = turns.len().abs_diff(2000) < 130 && kolmogorov_smirnov(&turns) < 1.95;
    assert!(!uniform, "QR without signs must not pass for uniform");
}

#[test]
fn orthogonal_entries_have_the_moments_of_the_sphere() {
    let size = 200;
    let n = size as f64;
    let (mut mean, mut square, mut fourth) = (0.0, 0.0, 0.0);
    let draws = 5;
    for seed in 0..draws {
        for &entry in drawn(MatrixFamily::Orthogonal, 1.0, size, seed).values() {
            mean += entry;
            square += entry * entry;
            fourth += entry.powi(4);
        }
    }
    let count = draws as f64 * n * n;
    // Squares sum to 1 in every row; the mean of the fourth powers has a relative spread near
    // sqrt(96 / 9 / count).
    assert!((mean / count).abs() < 4.0 / (n * count).sqrt());
    assert!((square / count - 1.0 / n).abs() < 1e-14);
    let expected = 3.0 / (n * (n + 2.0));
    assert!((fourth / count / expected - 1.0).abs() < 0.03, "{}", fourth / count / expected);
}

#[test]
fn goe_moments_are_those_of_the_semicircle() {
    let (size, scale, draws) = (200, 0.7, 10);
    let n = size as f64;
    let (mut second, mut fourth, mut diagonal, mut other) = (0.0, 0.0, 0.0, 0.0);
    for seed in 0..draws {
        let w = drawn(MatrixFamily::Goe, scale, size, seed);
        let square = w.matmul(&w);
        second += (0..size).map(|i| square.get(i, i)).sum::<f64>() / n;
        fourth += square.values().iter().map(|x| x * x).sum::<f64>() / n;
        diagonal += (0..size).map(|i| w.get(i, i).powi(2)).sum::<f64>() / n;
        other += (1..size).map(|i| w.get(i, i - 1).powi(2)).sum::<f64>() / (n - 1.0);
    }
    let draws = draws as f64;
    let close = |found: f64, expected: f64, relative: f64| {
        assert!((found / draws / expected - 1.0).abs() < relative, "{} {expected}", found / draws);
    };
    let s2 = scale * scale;
    close(second, s2 * (1.0 + 1.0 / n), 0.01);
    close(fourth, 2.0 * s2 * s2, 0.03);
    // 2000 squares of normal numbers: a spread of 3 %.
    close(diagonal, 2.0 * s2 / n, 0.13);
    close(other, s2 / n, 0.13);
}

#[test]
fn frobenius_scale_is_the_root_mean_square_norm_of_a_row() {
    let families = MatrixFamily::PLAIN.into_iter().chain([MatrixFamily::SingularValues(
        (0..200).map(|i| 1.0 + f64::from(i) / 50.0).collect(),
    )]);
    for family in families {
        let w = drawn(family.clone(), 0.6, 200, 1);
        let mean = w.values().iter().map(|x| x * x).sum::<f64>() / 200.0;
        assert!((mean / 0.36 - 1.0).abs() < 0.03, "{family}: {mean}");
    }
}

/// Mean over five matrices of 500 rows.
fn mean_measure(start: &DeqInit) -> MatrixMeasure {
    let all: Vec<MatrixMeasure> =
        (0..5).map(|seed| measure(&start.matrix([500, 500], seed).unwrap())).collect();
    let mean = |value: fn(&MatrixMeasure) -> f64| all.iter().map(value).sum::<f64>() / 5.0;
    MatrixMeasure {
        radius: mean(|m| m.radius),
        norm: mean(|m| m.norm),
        mean_square_row: mean(|m| m.mean_square_row),
        s_min: mean(|m| m.s_min),
        m1: mean(|m| m.m1),
        m2: mean(|m| m.m2),
        commutator: mean(|m| m.commutator),
    }
}

#[test]
fn theory_agrees_with_wide_matrices() {
    let two_values = (0..500).map(|i| if i % 2 == 0 { 0.5 } else { 1.5 }).collect();
    let line = (0..500).map(|i| f64::from(i) / 499.0).collect();
    let families = MatrixFamily::PLAIN
        .into_iter()
        .chain([MatrixFamily::SingularValues(two_values), MatrixFamily::Spectrum(line)]);
    for family in families {
        let limit = DeqInit::new(family.clone(), 0.1).theory().stable_limit;
        for (part, m2_tolerance) in [(0.6, 0.1), (0.8, 0.2)] {
            let start = DeqInit::new(family.clone(), part * limit);
            let (theory, found) = (start.theory(), mean_measure(&start));
            let close = |what: &str, found: f64, expected: f64, relative: f64| {
                let error = (found / expected - 1.0).abs();
                assert!(error < relative, "{family} at {part}: {what} {found} not {expected}");
            };
            close("m1", found.m1, theory.m1.unwrap(), 0.03);
            close("m2", found.m2, theory.m2.unwrap(), m2_tolerance);
            close("radius", found.radius, theory.radius, 0.05);
            close("norm", found.norm, theory.norm, 0.05);
            if let Some(s_min) = theory.s_min {
                close("s_min", found.s_min, s_min, 0.1);
            }
            let normal =
                !matches!(family, MatrixFamily::Gaussian | MatrixFamily::SingularValues(_));
            assert_eq!(found.commutator < 1e-12, normal, "{family}: {}", found.commutator);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// `|dL/dx| <= |v| / s_min` with `dL/dx = (I - W^T)^-1 v`.
    #[test]
    fn gradients_grow_by_the_worst_gain_at_most(
        which in 0usize..5, size in 1usize..12, part in 0.0f64..0.95, seed in any::<u64>(),
        radius in any::<bool>(),
    ) {
        let family = MatrixFamily::PLAIN[which].clone();
        let limit = DeqInit::new(family.clone(), 0.1).theory().stable_limit;
        let normalization =
            if radius { Normalization::Radius } else { Normalization::Frobenius };
        let scale = if radius { part } else { part * limit };
        let weight = DeqInit::new(family, scale)
            .with_normalization(normalization)
            .matrix([size, size], seed)
            .unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let v: Vec<f64> = (0..size).map(|_| rng.sample(StandardNormal)).collect();
        let norm = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
        let gradient = linear_equilibrium(&weight.transpose(), &v);
        let found = measure(&weight);
        prop_assert!(norm(&gradient) <= norm(&v) / found.s_min * (1.0 + 1e-9));
        // The gains are between the smallest and the largest, and their means ordered.
        prop_assert!(found.m1 * found.m1 <= found.m2 * (1.0 + 1e-9));
        prop_assert!(found.m1 <= found.s_min.powi(-2) * (1.0 + 1e-9));
        prop_assert!(found.radius <= found.norm * (1.0 + 1e-9));
    }
}

/// The linear layer with a weight and an input, in 64 bits.
fn solved(weight: &HostMatrix, input: &[f64], solver: Solver) -> (Vec<f64>, SolveReport) {
    let options = (&Device::flex(), DType::F64);
    let size = input.len();
    let tensor = |values: &[f64], shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), options)
    };
    let weight = Param::from_tensor(tensor(weight.values(), [size, size]));
    let cell = AffineCell::new(weight, Activation::Identity);
    let deq = DeqConfig::new().with_forward(solver).init();
    let found = deq.forward(&cell, tensor(input, [1, size]));
    (found.state.into_data().iter::<f64>().collect(), found.report)
}

fn normal(size: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    (0..size).map(|_| rng.sample(StandardNormal)).collect()
}

fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    let size = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    let error = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(error <= tolerance * size, "{what}: {error:e} away");
}

#[test]
fn block_finds_the_equilibrium_of_linear_layers_below_the_limit() {
    for family in MatrixFamily::PLAIN {
        let limit = DeqInit::new(family.clone(), 0.1).theory().stable_limit;
        for part in [0.0, 0.5, 0.8] {
            let weight = drawn(family.clone(), part * limit, 20, 4);
            let input = normal(20);
            let expected = linear_equilibrium(&weight, &input);
            for solver in [
                Solver::from(FixedPointConfig::new()),
                AndersonConfig::new().into(),
                BroydenConfig::new().with_memory(Some(60)).into(),
            ] {
                let solver = solver.with_tolerance(1e-12).with_max_steps(400);
                let (found, report) = solved(&weight, &input, solver);
                assert!(report.all_converged(), "{family} at {part}: {report:?}");
                close(&found, &expected, 1e-9, &format!("{family} at {part}"));
            }
        }
    }
}

#[test]
fn beyond_the_limit_iteration_says_so_and_other_solvers_go_on() {
    for family in MatrixFamily::PLAIN {
        let limit = DeqInit::new(family.clone(), 0.1).theory().stable_limit;
        // Far enough for a finite matrix to be beyond as well.
        let weight = drawn(family.clone(), 1.6 * limit, 20, 4);
        assert!(measure(&weight).radius > 1.05, "{family}");
        let input = normal(20);
        let expected = linear_equilibrium(&weight, &input);
        let plain = Solver::from(FixedPointConfig::new()).with_max_steps(200);
        let (_, report) = solved(&weight, &input, plain);
        assert!(!report.all_converged(), "{family}");
        assert_ne!(report.status, Status::Converged);
        for (name, solver) in [
            ("Anderson", Solver::from(AndersonConfig::new().with_memory(25))),
            ("Broyden", BroydenConfig::new().with_memory(Some(100)).into()),
        ] {
            let solver = solver.with_tolerance(1e-9).with_max_steps(100);
            let (found, report) = solved(&weight, &input, solver);
            assert!(report.all_converged(), "{name}, {family}: {report:?}");
            close(&found, &expected, 1e-6, &format!("{name}, {family}"));
        }
    }
}
