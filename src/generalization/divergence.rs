//! The divergence `LSD(A; B, C) = sum or integral of (p_B - p_C)^2 / p_A` of three members of an
//! exponential family, in closed form.
//!
//! ```text
//! R(P, Q) = exp( sum_j [psi(P+Q-A) - psi(P) - psi(Q) + psi(A)] )       sum of p_P p_Q / p_A
//! LSD     = R(B, B) + R(C, C) - 2 R(B, C)
//! ```
//!
//! For the Gaussian family, with `u = B - A` and `v = C - A`:
//! `LSD = e^{u.v} ( expm1(u.u - u.v) + expm1(v.v - u.v) )`.

use firebrick_optimizers::efld::ExponentialFamily;

/// LSD of three natural parameters, in 64 bits on the host.
///
/// Infinite where it overflows, which it does quickly when the parameters are far apart.
///
/// # Shapes
/// - a, b, c: `[parameters]`
///
/// # Panics
/// If the three differ in length.
///
/// # Example
/// ```
/// use firebrick::generalization::le_cam_divergence;
/// use firebrick::optimizers::efld::ExponentialFamily;
///
/// // One sign: sum over -1 and +1 of (p_B - p_C)^2 / p_A.
/// let p = |theta: f64| (1.0 + theta.tanh()) / 2.0;
/// let expected = (p(0.2) - p(0.5)).powi(2) * (1.0 / p(0.1) + 1.0 / (1.0 - p(0.1)));
/// let found = le_cam_divergence(&ExponentialFamily::Rademacher, &[0.1], &[0.2], &[0.5]);
/// assert!((found - expected).abs() < 1e-12);
/// ```
pub fn le_cam_divergence(family: &ExponentialFamily, a: &[f64], b: &[f64], c: &[f64]) -> f64 {
    assert!(
        a.len() == b.len() && b.len() == c.len(),
        "le_cam_divergence: a, b and c must have the same length, got {}, {} and {}",
        a.len(),
        b.len(),
        c.len()
    );
    let each = || a.iter().zip(b).zip(c).map(|((&a, &b), &c)| (a, b, c));
    // The logarithms of R(B, B), R(C, C) and R(B, C); the first two relative to the third, because
    // the three nearly cancel.
    let (bb, cc, bc) = if let ExponentialFamily::Gaussian = family {
        each().fold((0.0, 0.0, 0.0), |(bb, cc, bc), (a, b, c)| {
            let (u, v) = (b - a, c - a);
            (bb + u * (u - v), cc + v * (v - u), bc + u * v)
        })
    } else {
        let psi = |theta| family.host_log_partition(theta);
        each().fold((0.0, 0.0, 0.0), |(bb, cc, bc), (a, b, c)| {
            let (psi_b, psi_c, mixed) = (psi(b), psi(c), psi(b + c - a));
            (
                bb + (psi(2.0 * b - a) - mixed) + (psi_c - psi_b),
                cc + (psi(2.0 * c - a) - mixed) + (psi_b - psi_c),
                bc + (mixed - psi_b) + (psi(a) - psi_c),
            )
        })
    };
    (bc + log_of_sum(bb, cc)).exp()
}

/// `ln(expm1(a) + expm1(b))` without overflow; rounding may leave nothing of a tiny sum.
fn log_of_sum(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    if large > 30.0 {
        return large + ((small - large).exp() - 2.0 * (-large).exp()).ln_1p();
    }
    (a.exp_m1() + b.exp_m1()).max(0.0).ln()
}

/// The natural parameter of a mini-batch: the mean of its gradients over `alpha`.
///
/// # Shapes
/// - gradients: `[batch][parameters]`
/// - output: `[parameters]`
///
/// # Panics
/// If there are no gradients.
pub fn natural_parameter<'a>(
    gradients: impl IntoIterator<Item = &'a Vec<f64>>,
    alpha: f64,
) -> Vec<f64> {
    let mut gradients = gradients.into_iter();
    let first = gradients.next();
    let mut sum =
        first.expect("natural_parameter: gradients must hold at least one, got none").clone();
    let mut count = 1.0;
    for gradient in gradients {
        count += 1.0;
        sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
    }
    sum.iter_mut().for_each(|sum| *sum /= count * alpha);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use firebrick_optimizers::efld::FiniteLevels;
    use proptest::prelude::*;

    /// The definition, by enumeration of all level combinations.
    fn enumerated(levels: &FiniteLevels, thetas: [&[f64]; 3]) -> f64 {
        let probability = |theta: f64| -> Vec<f64> {
            let weight = |(q, pi): (&f64, &f64)| pi * (q * theta).exp();
            let weights: Vec<f64> =
                levels.levels().iter().zip(levels.weights()).map(weight).collect();
            let total: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight / total).collect()
        };
        let tables = thetas.map(|theta| theta.iter().map(|&t| probability(t)).collect::<Vec<_>>());
        let (dimensions, count) = (thetas[0].len(), levels.levels().len());
        (0..count.pow(dimensions as u32))
            .map(|code| {
                let of = |table: &Vec<Vec<f64>>| -> f64 {
                    (0..dimensions).map(|j| table[j][code / count.pow(j as u32) % count]).product()
                };
                let [a, b, c] = [of(&tables[0]), of(&tables[1]), of(&tables[2])];
                (b - c) * (b - c) / a
            })
            .sum()
    }

    fn thetas() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(-0.8f64..0.8, 6)
    }

    proptest! {
        #[test]
        fn closed_form_equals_enumeration_of_all_signs(a in thetas(), b in thetas(), c in thetas()) {
            let two = FiniteLevels::new(vec![-1.0, 1.0], vec![1.0, 1.0]);
            let expected = enumerated(&two, [&a, &b, &c]);
            for family in [ExponentialFamily::Rademacher, ExponentialFamily::Levels(two)] {
                let found = le_cam_divergence(&family, &a, &b, &c);
                prop_assert!((found - expected).abs() <= 1e-9 * expected, "{found} {expected}");
            }
        }

        #[test]
        fn closed_form_equals_enumeration_of_weighted_levels(
            a in thetas(), b in thetas(), c in thetas()
        ) {
            let levels = FiniteLevels::new(vec![-1.0, 0.0, 0.5], vec![0.5, 3.0, 1.0]);
            let (a, b, c) = (&a[..4], &b[..4], &c[..4]);
            let expected = enumerated(&levels, [a, b, c]);
            let found = le_cam_divergence(&ExponentialFamily::Levels(levels), a, b, c);
            prop_assert!((found - expected).abs() <= 1e-9 * expected, "{found} {expected}");
        }

        #[test]
        fn gaussian_form_is_the_general_one(a in thetas(), b in thetas(), c in thetas()) {
            let psi = |x: &dyn Fn(usize) -> f64| -> f64 { (0..6).map(|j| x(j) * x(j) / 2.0).sum() };
            let r = |p: &[f64], q: &[f64]| {
                (psi(&|j| p[j] + q[j] - a[j]) - psi(&|j| p[j]) - psi(&|j| q[j]) + psi(&|j| a[j])).exp()
            };
            let expected = r(&b, &b) + r(&c, &c) - 2.0 * r(&b, &c);
            let found = le_cam_divergence(&ExponentialFamily::Gaussian, &a, &b, &c);
            prop_assert!((found - expected).abs() <= 1e-9 * (1.0 + expected), "{found} {expected}");
        }

        #[test]
        fn stays_below_five_halves_of_the_squared_distance_under_the_condition(
            a in thetas(), direction in thetas(), other in thetas()
        ) {
            // Within 1 / (2 sqrt 2) of one another, which alpha^2 >= 8 Delta^2 implies.
            let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
            let near = |x: &[f64]| -> Vec<f64> {
                let scale = 0.17 / norm(x).max(1e-9);
                a.iter().zip(x).map(|(a, x)| a + scale * x).collect()
            };
            let (b, c) = (near(&direction), near(&other));
            let apart: Vec<f64> = b.iter().zip(&c).map(|(b, c)| b - c).collect();
            for family in [ExponentialFamily::Gaussian, ExponentialFamily::Rademacher] {
                let found = le_cam_divergence(&family, &a, &b, &c);
                prop_assert!(found <= 2.5 * norm(&apart).powi(2) + 1e-15);
            }
        }
    }

    #[test]
    fn equal_members_do_not_diverge_and_tiny_differences_keep_their_digits() {
        let a = [0.3, -0.2];
        for family in [ExponentialFamily::Gaussian, ExponentialFamily::Rademacher] {
            assert_eq!(le_cam_divergence(&family, &a, &a, &a), 0.0);
            let shifted = [0.3 + 1e-4, -0.2];
            let variance = if family == ExponentialFamily::Gaussian {
                1.0
            } else {
                1.0 - 0.3f64.tanh().powi(2)
            };
            let found = le_cam_divergence(&family, &a, &a, &shifted);
            assert!((found / (1e-8 * variance) - 1.0).abs() < 1e-3, "{family:?} {found}");
        }
    }

    #[test]
    fn distant_members_diverge_without_an_invalid_number() {
        let far = le_cam_divergence(&ExponentialFamily::Gaussian, &[0.0], &[100.0], &[-100.0]);
        assert_eq!(far, f64::INFINITY);
        let signs = le_cam_divergence(&ExponentialFamily::Rademacher, &[-1e6], &[1e6], &[0.0]);
        assert_eq!(signs, f64::INFINITY);
    }

    #[test]
    fn a_divergence_that_fits_does_not_overflow_on_the_way() {
        // One coordinate makes R(B, C) tiny and R(B, B) over R(B, C) huge.
        let found = le_cam_divergence(&ExponentialFamily::Gaussian, &[0.0], &[26.0], &[-26.0]);
        let expected = 2.0 * 676f64.exp();
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
    }
}
