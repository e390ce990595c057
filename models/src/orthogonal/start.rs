//! The matrices an orthogonal layer starts with.

use firebrick_ops::orthogonal::{HostMatrix, haar, identity, permutation, reversal, torus};
use rand::Rng;

use super::Initialization;
use super::filter::FilterPlan;

/// Bases of the rotations and of the projections, in the order of the plan.
///
/// All but the uniform start pair every factor `R` on the right with `L = Q R` on the left, so that
/// `L L^T Q = Q R R^T`: the two cancel up to a delay, and the filter is the single tap `Q`.
pub(super) fn bases(
    plan: &FilterPlan,
    initialization: Initialization,
    rng: &mut impl Rng,
) -> (Vec<HostMatrix>, Vec<HostMatrix>) {
    let size = plan.size;
    let mut rotations = Vec::new();
    for axis in 0..plan.ranks.len() {
        for _ in 0..plan.groups {
            rotations.push(match initialization {
                Initialization::Auto | Initialization::Uniform => haar(size, rng),
                Initialization::Torus => torus(size, rng),
                Initialization::Identity => identity(size),
                Initialization::Reverse if axis == 0 => reversal(size),
                Initialization::Reverse => identity(size),
                Initialization::Permutation => permutation(size, rng),
            });
        }
    }
    let mut projections = Vec::new();
    for axis in 0..plan.ranks.len() {
        let mut pairs: Vec<HostMatrix> = Vec::new();
        for position in 0..plan.ranks[axis].len() {
            if initialization == Initialization::Uniform || position.is_multiple_of(2) {
                pairs = (0..plan.groups).map(|_| haar(size, rng)).collect();
                // The partner follows in the next position.
                if plan.order.is_left(position) && initialization != Initialization::Uniform {
                    pairs = (0..plan.groups)
                        .map(|group| rotations[plan.rotation(axis, group)].matmul(&pairs[group]))
                        .collect();
                }
            } else {
                let left = plan.order.is_left(position);
                for (group, matrix) in pairs.iter_mut().enumerate() {
                    let q = &rotations[plan.rotation(axis, group)];
                    *matrix = if left { q.matmul(matrix) } else { q.transpose().matmul(matrix) };
                }
            }
            projections.extend(pairs.iter().cloned());
        }
    }
    (rotations, projections)
}
