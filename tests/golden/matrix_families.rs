//! Matrix families of equilibrium layers: construction, spectra, equilibria and theory.

use firebrick::models::deq::matrix_family::{DeqInit, MatrixFamily, Normalization};
use firebrick::models::deq::measure::{eigenvalues, linear_equilibrium};
use firebrick::ops::orthogonal::HostMatrix;

use crate::case::{Case, Failure, Tolerance};

/// `matrix_families`: everything that follows from one normal matrix.
pub fn families(case: &Case) -> Result<(), Failure> {
    let (size, scale) = (case.usize("n")?, case.f64("sigma")?);
    let (values, shape) = case.values::<2>("A")?;
    if shape != [size, size] {
        return Err(Failure::new(format!("A: expected {size} x {size}, found {shape:?}")));
    }
    let normal = HostMatrix::new(size, size, values);
    let (input, _) = case.values::<1>("x")?;
    let mut compared = 0;
    for name in case.names().filter_map(|name| name.strip_suffix("/W")) {
        family(case, name, scale, &normal, &input)?;
        compared += 1;
    }
    for name in case.names().filter_map(|name| name.strip_prefix("theory/")) {
        theory(case, name)?;
        compared += 1;
    }
    if compared == 0 {
        return Err(Failure::new("no family and no theory in the file"));
    }
    Ok(())
}

fn named(name: &str, scale: f64) -> Result<DeqInit, Failure> {
    let (family, normalization) = match name {
        "gaussian" => (MatrixFamily::Gaussian, Normalization::Frobenius),
        "orthogonal" => (MatrixFamily::Orthogonal, Normalization::Frobenius),
        "goe_frobenius" => (MatrixFamily::Goe, Normalization::Frobenius),
        "goe_radius" => (MatrixFamily::Goe, Normalization::Radius),
        "antisymmetric" => (MatrixFamily::Antisymmetric, Normalization::Frobenius),
        "reflection" => (MatrixFamily::Reflection, Normalization::Frobenius),
        other => return Err(Failure::new(format!("unknown family '{other}'"))),
    };
    Ok(DeqInit::new(family, scale).with_normalization(normalization))
}

fn family(
    case: &Case,
    name: &str,
    scale: f64,
    normal: &HostMatrix,
    input: &[f64],
) -> Result<(), Failure> {
    let weight = named(name, scale)?
        .from_normal(normal.shape(), normal)
        .map_err(|error| Failure::new(error.to_string()))?;
    let of = |what: &str| format!("{name}/{what}");
    case.compare_host(&of("W"), weight.values(), Tolerance::absolute(1e-12))?;
    let close = Tolerance::absolute(1e-10);
    case.compare_host(&of("singular_values"), &weight.singular_values(), close)?;
    spectrum(case, name, &weight)?;
    let found = linear_equilibrium(&weight, input);
    case.compare_host(
        &of("z_star"),
        &found,
        Tolerance { absolute: 1e-9, relative: 1e-9, scaled: false },
    )
}

/// Rounding decides the order of eigenvalues with equal real parts, so that each expected one is
/// compared with the nearest that is left.
fn spectrum(case: &Case, name: &str, weight: &HostMatrix) -> Result<(), Failure> {
    let real = case.flat(&format!("{name}/eig_real"))?;
    let imaginary = case.flat(&format!("{name}/eig_imag"))?;
    let mut found = eigenvalues(weight);
    if real.len() != found.len() || imaginary.len() != found.len() {
        return Err(Failure::new(format!("{name}: expected {} eigenvalues", found.len())));
    }
    for (re, im) in real.into_iter().zip(imaginary) {
        let distance = |value: &[f64; 2]| (value[0] - re).hypot(value[1] - im);
        let nearest = (0..found.len())
            .min_by(|&a, &b| distance(&found[a]).total_cmp(&distance(&found[b])))
            .ok_or_else(|| Failure::new(format!("{name}: too few eigenvalues")))?;
        let error = distance(&found.swap_remove(nearest));
        if error.is_nan() || error > 1e-9 {
            return Err(Failure::new(format!(
                "{name}: eigenvalue {re} + {im} i is {error:e} away"
            )));
        }
    }
    Ok(())
}

/// A row `m1, m2, s_min` for every scale, -1 where they do not exist.
fn theory(case: &Case, name: &str) -> Result<(), Failure> {
    let mut found = Vec::new();
    for scale in case.flat("sigmas")? {
        let theory = named(name, scale)?.theory();
        found.extend([theory.m1, theory.m2, theory.s_min].map(|value| value.unwrap_or(-1.0)));
    }
    let exact = Tolerance { absolute: 1e-12, relative: 1e-12, scaled: false };
    case.compare_host(&format!("theory/{name}"), &found, exact)
}
