#![allow(clippy::unwrap_used)]

use super::*;

fn drawn(family: MatrixFamily, scale: f64, size: usize) -> HostMatrix {
    DeqInit::new(family, scale).matrix([size, size], 3).unwrap()
}

#[test]
fn names_are_read_back_and_unknown_ones_listed() {
    for family in MatrixFamily::PLAIN {
        assert_eq!(family.to_string().parse::<MatrixFamily>().unwrap(), family);
    }
    let error = "ginibre".parse::<MatrixFamily>().unwrap_err().to_string();
    assert!(error.starts_with("unknown matrix family 'ginibre'; known: gaussian"), "{error}");
}

#[test]
fn orthogonal_matrices_are_orthogonal_in_both_precisions() {
    for size in [1, 2, 3, 17, 200] {
        let q = drawn(MatrixFamily::Orthogonal, 1.0, size);
        assert!(q.orthonormality_error() < 1e-12);
        let device = Device::flex();
        let cast = DeqInit::new(MatrixFamily::Orthogonal, 1.0).init(size, 3, &device);
        let values = cast.into_data().iter::<f64>().collect();
        assert!(HostMatrix::new(size, size, values).orthonormality_error() < 1e-6);
    }
    assert_eq!(drawn(MatrixFamily::Orthogonal, 0.7, 1).get(0, 0).abs(), 0.7);
}

#[test]
fn rectangular_matrices_have_an_orthonormal_shorter_side() {
    let start = DeqInit::new(MatrixFamily::Orthogonal, 1.0);
    assert!(start.matrix([7, 3], 0).unwrap().orthonormality_error() < 1e-13);
    assert!(start.matrix([3, 7], 0).unwrap().transpose().orthonormality_error() < 1e-13);
}

#[test]
fn symmetry_is_exact() {
    for family in
        [MatrixFamily::Goe, MatrixFamily::Reflection, MatrixFamily::Spectrum(vec![0.3; 9])]
    {
        let matrix = drawn(family, 0.7, 9);
        assert_eq!(matrix, matrix.transpose());
    }
    let matrix = drawn(MatrixFamily::Antisymmetric, 0.7, 9);
    let negative = HostMatrix::from_fn(9, 9, |i, j| -matrix.get(j, i));
    assert!(matrix.values().iter().zip(negative.values()).all(|(a, b)| a == b));
}

#[test]
fn given_singular_values_come_out_with_mean_square_one() {
    let family = MatrixFamily::SingularValues(vec![3.0, 0.0, 1.0]);
    let start = DeqInit::new(family, 0.5);
    for shape in [[3, 3], [5, 3], [3, 4]] {
        let found = start.matrix(shape, 1).unwrap().singular_values();
        let unit = 0.5 / (10.0f64 / 3.0).sqrt();
        for (found, expected) in found.iter().zip([3.0 * unit, unit, 0.0]) {
            assert!((found - expected).abs() < 1e-13, "{found} and {expected}");
        }
    }
}

#[test]
fn given_eigenvalues_come_out_as_they_are_or_over_the_largest() {
    let family = MatrixFamily::Spectrum(vec![-2.0, 0.5, 1.0]);
    let of = |start: DeqInit| start.matrix([3, 3], 1).unwrap().singular_values();
    let frobenius = of(DeqInit::new(family.clone(), 0.5));
    let radius = of(DeqInit::new(family, 0.5).with_normalization(Normalization::Radius));
    for (at, expected) in [1.0, 0.5, 0.25].into_iter().enumerate() {
        assert!((frobenius[at] - expected).abs() < 1e-14);
        assert!((radius[at] - expected / 2.0).abs() < 1e-14);
    }
}

#[test]
fn radius_normalization_halves_the_wigner_families_and_leaves_the_others() {
    for family in MatrixFamily::PLAIN {
        let frobenius = DeqInit::new(family.clone(), 0.5);
        let radius = frobenius.clone().with_normalization(Normalization::Radius);
        let ratio = match family {
            MatrixFamily::Goe | MatrixFamily::Antisymmetric => 0.5,
            _ => 1.0,
        };
        let [a, b] = [frobenius, radius].map(|start| start.matrix([6, 6], 5).unwrap());
        for (a, b) in a.values().iter().zip(b.values()) {
            assert!((ratio * a - b).abs() < 1e-15);
        }
    }
}

#[test]
fn a_seed_decides_the_matrix() {
    for family in MatrixFamily::PLAIN {
        let start = DeqInit::new(family, 0.5);
        assert_eq!(start.matrix([4, 4], 9).unwrap(), start.matrix([4, 4], 9).unwrap());
        assert_ne!(start.matrix([4, 4], 9).unwrap(), start.matrix([4, 4], 10).unwrap());
    }
}

#[test]
fn kernels_hold_the_matrix_in_their_center() {
    let start = DeqInit::new(MatrixFamily::Gaussian, 0.5);
    let kernel = start.init_conv(3, [3, 1], 2, &Device::flex());
    let center = kernel.clone().slice([0..3, 0..3, 1..2, 0..1]).reshape([3, 3]);
    let matrix = start.init(3, 2, &Device::flex());
    assert_eq!(center.into_data(), matrix.clone().into_data());
    let total = |sum: f32| (sum * 1e4).round();
    assert_eq!(total(kernel.abs().sum().into_scalar()), total(matrix.abs().sum().into_scalar()));
}

#[test]
fn configurations_survive_a_file() {
    let start = DeqInit::new(MatrixFamily::Spectrum(vec![1.0, -0.5]), 0.3)
        .with_normalization(Normalization::Radius);
    let text = serde_json::to_string(&start).unwrap();
    assert_eq!(serde_json::from_str::<DeqInit>(&text).unwrap(), start);
}

#[test]
fn bad_requests_are_errors_that_name_what_was_found() {
    let message = |family, scale, shape| {
        DeqInit::new(family, scale).matrix(shape, 0).unwrap_err().to_string()
    };
    for family in [MatrixFamily::Goe, MatrixFamily::Antisymmetric, MatrixFamily::Reflection] {
        let expected = format!("{family}: matrix must be square, found 2 x 3");
        assert_eq!(message(family, 1.0, [2, 3]), expected);
    }
    let text = message(MatrixFamily::Gaussian, f64::NAN, [2, 2]);
    assert_eq!(text, "gaussian: scale must be a finite number, at least 0, found NaN");
    assert!(message(MatrixFamily::Gaussian, -1.0, [2, 2]).contains("found -1"));
    assert!(message(MatrixFamily::Gaussian, 1.0, [0, 2]).contains("0 x 2"));
    let values = |values: &[f64]| MatrixFamily::SingularValues(values.to_vec());
    assert!(message(values(&[1.0]), 1.0, [2, 2]).contains("must be 2 for this size, found 1"));
    assert!(message(values(&[1.0, -1.0]), 1.0, [2, 2]).contains("found -1"));
    assert!(message(values(&[0.0, 0.0]), 1.0, [2, 2]).contains("not all zero"));
    let start = DeqInit::new(MatrixFamily::Gaussian, 1.0);
    let normal = HostMatrix::from_fn(2, 3, |_, _| 1.0);
    let error = start.from_normal([2, 2], &normal).unwrap_err().to_string();
    assert!(error.contains("must be [2, 2], found [2, 3]"), "{error}");
}

#[test]
#[should_panic(expected = "DeqInit: goe: matrix must be square, found 2 x 3")]
fn init_panics_with_the_same_sentence() {
    DeqInit::new(MatrixFamily::Goe, 1.0).init_rectangular([2, 3], 0, &Device::flex());
}
