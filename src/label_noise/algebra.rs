//! The little linear algebra that the linear theory needs.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Columns shorter than this, relative to the longest of the matrix, do not count for the rank.
const RANK_TOLERANCE: f64 = 1e-10;

pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// `|left - right| / |right|`
#[cfg(test)]
pub(super) fn relative_distance(left: &[f64], right: &[f64]) -> f64 {
    let difference: Vec<f64> = left.iter().zip(right).map(|(a, b)| a - b).collect();
    (dot(&difference, &difference) / dot(right, right)).sqrt()
}

pub(super) fn add_scaled(sum: &mut [f64], factor: f64, values: &[f64]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

/// `product = matrix x` for a symmetric matrix, by rows added up: this vectorizes, dot products
/// do not.
pub(super) fn symmetric_product(matrix: &[f64], x: &[f64], product: &mut [f64]) {
    product.fill(0.0);
    for (row, &factor) in matrix.chunks(x.len()).zip(x) {
        add_scaled(product, factor, row);
    }
}

/// Random orthonormal vectors, uniform over all such sets.
pub(super) fn random_frame(length: usize, count: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut draw = || (0..length).map(|_| rng.sample(StandardNormal)).collect();
    orthonormal_basis((0..count).map(|_| draw()).collect())
}

/// Gram-Schmidt with the longest remaining vector first, every projection done twice.
pub(super) fn orthonormal_basis(mut vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let length = |vector: &[f64]| dot(vector, vector).sqrt();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut least = 0.0;
    while let Some(at) =
        (0..vectors.len()).max_by(|&a, &b| length(&vectors[a]).total_cmp(&length(&vectors[b])))
    {
        let mut axis = vectors.swap_remove(at);
        for known in &basis {
            let share = dot(known, &axis);
            add_scaled(&mut axis, -share, known);
        }
        let size = length(&axis);
        if basis.is_empty() {
            least = size * RANK_TOLERANCE;
        }
        if size <= least {
            break;
        }
        axis.iter_mut().for_each(|entry| *entry /= size);
        for vector in &mut vectors {
            let share = dot(&axis, vector);
            add_scaled(vector, -share, &axis);
        }
        basis.push(axis);
    }
    basis
}
