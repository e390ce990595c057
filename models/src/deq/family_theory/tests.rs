#![allow(clippy::unwrap_used)]

use super::*;

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
}

#[test]
fn table_holds_as_it_is_written() {
    let s: f64 = 0.3;
    let q = (1.0 + 8.0 / (s * s)).sqrt();
    let s_min = s * ((q - 3.0).powi(3) / (8.0 * (q - 1.0))).sqrt();
    close(gaussian(s).s_min.unwrap(), s_min, 1e-13);
    let m1 = ((1.0 - 4.0 * s * s).powf(-0.5) - 1.0) / (2.0 * s * s);
    close(goe(s).m1.unwrap(), m1, 1e-13);
    close(goe(s).m2.unwrap(), (1.0 - 4.0 * s * s).powf(-2.5), 1e-12);
    let m1 = ((1.0 + 4.0 * s * s).sqrt() - 1.0) / (2.0 * s * s);
    close(antisymmetric(s).m1.unwrap(), m1, 1e-14);
    let reflection = family_theory(&MatrixFamily::Reflection, s);
    close(reflection.m1.unwrap(), 0.5 * (0.7f64.powi(-2) + 1.3f64.powi(-2)), 1e-14);
    close(reflection.m2.unwrap(), 0.5 * (0.7f64.powi(-4) + 1.3f64.powi(-4)), 1e-14);
}

#[test]
fn at_scale_zero_nothing_happens() {
    for family in MatrixFamily::PLAIN {
        let theory = family_theory(&family, 0.0);
        for value in [theory.m1, theory.m2, theory.s_min] {
            close(value.unwrap(), 1.0, 1e-15);
        }
        assert_eq!((theory.radius, theory.norm), (0.0, 0.0));
    }
}

#[test]
fn beyond_the_limit_there_are_no_numbers_but_for_antisymmetric() {
    for family in MatrixFamily::PLAIN {
        let limit = family_theory(&family, 0.1).stable_limit;
        for scale in [limit, 1.5 * limit] {
            let theory = family_theory(&family, scale);
            let exists = family == MatrixFamily::Antisymmetric;
            for value in [theory.m1, theory.m2, theory.s_min] {
                assert_eq!(value.is_some(), exists, "{family} at {scale}");
            }
            assert_eq!(theory.expected_steps(1e-3, 1.0), None);
        }
    }
}

#[test]
fn radius_scales_have_the_limit_one() {
    for family in MatrixFamily::PLAIN {
        let start = DeqInit::new(family, 0.6).with_normalization(Normalization::Radius);
        let theory = start.theory();
        assert_eq!((theory.radius, theory.stable_limit), (0.6, 1.0));
        assert!(theory.m1.is_some());
    }
}

#[test]
fn given_singular_values_include_gaussian_and_orthogonal() {
    let s = 0.7;
    let equal = singular_values(s, &[1.0; 4]);
    close(equal.m2.unwrap(), orthogonal(s).m2.unwrap(), 1e-12);
    // A mean fourth power of 2, that of the quarter circle.
    let values = mean_square_one(&[0.0, 1.0]);
    close(singular_values(s, &values).m2.unwrap(), gaussian(s).m2.unwrap(), 1e-12);
}

#[test]
fn second_moment_agrees_with_its_series() {
    // tr(W^k (W^T)^l) / N is s^(2k) for k = l and 0 else; Catalan numbers for GOE.
    let s: f64 = 0.4;
    let sum: f64 = (0..200).map(|k| s.powi(2 * k)).sum();
    close(orthogonal(s).m1.unwrap(), sum, 1e-14);
    let (mut catalan, mut sum) = (1.0, 0.0);
    for half in 0..400 {
        let n = f64::from(half);
        sum += catalan * (2.0 * n + 1.0) * s.powi(2 * half);
        catalan *= 2.0 * (2.0 * n + 1.0) / (n + 2.0);
    }
    close(goe(s).m1.unwrap(), sum, 1e-12);
}

#[test]
fn steps_follow_the_radius() {
    let theory = family_theory(&MatrixFamily::Orthogonal, 0.5);
    close(theory.expected_steps(1e-3, 1.0).unwrap(), 1000f64.log2(), 1e-12);
    close(theory.edge(0.5), 2f64.sqrt(), 1e-15);
    assert_eq!(family_theory(&MatrixFamily::Goe, 0.2).edge(0.0), f64::INFINITY);
}

#[test]
fn gaussian_moments_of_activations() {
    close(error_function(0.5), 0.520_499_877_813_046_5, 1e-15);
    close(error_function(2.9), 0.999_958_902_121_900_5, 1e-15);
    close(error_function(3.1), 0.999_988_351_342_632_8, 1e-15);
    close(error_function(0.0), 0.0, 0.0);
    // Against sums over a fine grid.
    let grid = |phi: &dyn Fn(f64) -> f64| -> f64 {
        let step = 1e-4;
        let at = |i: i32| (f64::from(i) + 0.5) * step;
        let term = |x: f64| phi(x) * (-0.5 * x * x).exp();
        (-100_000..100_000).map(|i| term(at(i))).sum::<f64>() * step / std::f64::consts::TAU.sqrt()
    };
    for q in [0.3f64, 1.0, 2.5] {
        let root = q.sqrt();
        let (square, slope) = Activation::Tanh.gaussian_moments(q);
        close(square, grid(&|n| (root * n).tanh().powi(2)), 1e-9);
        close(slope, grid(&|n| (1.0 - (root * n).tanh().powi(2)).powi(2)), 1e-9);
        let (square, slope) = Activation::Sin.gaussian_moments(q);
        close(square, grid(&|n| (root * n).sin().powi(2)), 1e-9);
        close(slope, grid(&|n| (root * n).cos().powi(2)), 1e-9);
        let (square, slope) = Activation::Hardtanh.gaussian_moments(q);
        close(square, grid(&|n| (root * n).clamp(-1.0, 1.0).powi(2)), 1e-7);
        close(slope, grid(&|n| f64::from((root * n).abs() < 1.0)), 1e-4);
    }
    assert_eq!(Activation::Hardtanh.gaussian_moments(0.0), (0.0, 1.0));
}

#[test]
fn length_map_is_solved() {
    for activation in [
        Activation::Identity,
        Activation::Tanh,
        Activation::Relu,
        Activation::Hardtanh,
        Activation::Sin,
    ] {
        let field = MeanField::new(activation, 0.9, 1.0).unwrap();
        let expected = 0.81 * activation.gaussian_moments(field.length).0 + 1.0;
        close(field.length, expected, 1e-12 * expected);
    }
    assert_eq!(MeanField::new(Activation::Relu, 1.5, 1.0), None);
    assert_eq!(MeanField::new(Activation::Identity, 1.0, 1.0), None);
    assert!(MeanField::new(Activation::Hardtanh, 3.0, 1.0).unwrap().slope < 0.5);
}

#[test]
#[should_panic(expected = "gaussian: scale must be a finite number, at least 0, found -0.5")]
fn refuses_a_negative_scale() {
    family_theory(&MatrixFamily::Gaussian, -0.5);
}
