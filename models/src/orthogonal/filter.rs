//! Separable paraunitary filters, and the matrices they are made of.
//!
//! A filter of `p` taps along an axis is a product of an orthogonal matrix and `p - 1` factors of two
//! taps, each made from a projection `P = U U^T`:
//!
//! ```text
//! H(z) = V(z; L_m) .. V(z; L_1) . Q . V'(z; R_1) .. V'(z; R_m)
//! V(z; L) = (I - L L^T) + z L L^T,   V'(z; R) = R R^T + z (I - R R^T)
//! ```
//!
//! Every factor is orthogonal on every frequency, so the product is. In two dimensions the filter is
//! the product of one filter per axis, `K[h, w] = F_w[w] F_h[h]`.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor, TensorCreationOptions, TensorData};
use firebrick_ops::orthogonal::HostMatrix;
use firebrick_ops::skew::Retraction;

use super::base::FixedBase;

/// On which side of the taps a factor stands, and which of its taps holds the projection.
#[derive(Clone, Copy, Debug)]
struct Factor {
    left: bool,
    /// `P + z (I - P)` instead of `(I - P) + z P`.
    projection_first: bool,
}

/// Order of factors, axes and polyphase components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Convolutions, and transposed ones as their adjoints.
    Convolution,
    /// The authors' transposed layers in two dimensions.
    PublishedTransposed2d,
    /// The authors' transposed layers in one dimension.
    PublishedTransposed1d,
}

impl Order {
    /// Factor number `position`, counted from 0.
    fn factor(self, position: usize) -> Factor {
        let even = position.is_multiple_of(2);
        match self {
            Self::Convolution => Factor { left: !even, projection_first: even },
            Self::PublishedTransposed2d => Factor { left: even, projection_first: !even },
            Self::PublishedTransposed1d => Factor { left: even, projection_first: even },
        }
    }

    /// Whether factor number `position` multiplies from the left.
    pub(super) fn is_left(self, position: usize) -> bool {
        self.factor(position).left
    }
}

/// Sizes of a filter.
#[derive(Clone, Debug)]
pub(super) struct FilterPlan {
    /// Number of independent filters.
    pub groups: usize,
    /// Size of the square matrices.
    pub size: usize,
    /// Rows and columns that are kept in the end.
    pub cut: [usize; 2],
    /// Rank of every factor of every axis that has matrices, height first; an axis has one tap more
    /// than factors.
    pub ranks: Vec<Vec<usize>>,
    pub order: Order,
    pub retraction: Retraction,
}

impl FilterPlan {
    /// Columns of the projections' parameters.
    pub fn largest_rank(&self) -> usize {
        self.ranks.iter().flatten().copied().max().unwrap_or(0)
    }

    /// Position of the first factor of an axis among all factors.
    fn first_factor(&self, axis: usize) -> usize {
        self.ranks[..axis].iter().map(Vec::len).sum()
    }

    /// Index of a rotation in [`ParaunitaryFilter::rotations`].
    pub fn rotation(&self, axis: usize, group: usize) -> usize {
        axis * self.groups + group
    }

    /// Index of a projection in [`ParaunitaryFilter::projections`].
    pub fn projection(&self, axis: usize, position: usize, group: usize) -> usize {
        (self.first_factor(axis) + position) * self.groups + group
    }

    fn factors(&self) -> usize {
        self.ranks.iter().map(Vec::len).sum()
    }
}

/// A separable paraunitary filter: free parameters, fixed bases, and the taps made of them.
///
/// Along an axis a filter of `p` taps is the product of an orthogonal matrix and `p - 1` factors of two
/// taps, each made from a projection `P = U U^T`:
///
/// ```text
/// H(z) = V(z; L_m) .. V(z; L_1) . Q . V'(z; R_1) .. V'(z; R_m)
/// V(z; L) = (I - L L^T) + z L L^T,   V'(z; R) = R R^T + z (I - R R^T)
/// ```
///
/// and in two dimensions `K[h, w] = F_w[w] F_h[h]`.
///
/// `M = (B exp(L - L^T))[:, ..k]`, with `L` the strictly lower triangle of the free parameter and `B`
/// the base, for every matrix. Free parameters start at zero, so that a matrix starts as the first
/// columns of its base. Bases are saved and loaded, but get no gradient.
#[derive(Module, Debug)]
pub struct ParaunitaryFilter {
    /// Free parameters of the square matrices, `[axes * groups, n, n]`, axis by axis.
    rotations: Param<Tensor<3>>,
    /// Their bases, `[axes * groups, n, n]`.
    rotation_bases: FixedBase,
    /// Free parameters of the projections' matrices, `[factors * groups, n, rank]`.
    projections: Option<Param<Tensor<3>>>,
    /// Their bases, `[factors * groups, n, n]`.
    projection_bases: Option<FixedBase>,
    #[module(skip)]
    plan: FilterPlan,
}

impl ParaunitaryFilter {
    /// A filter whose matrices are the given bases (all rotations, then all projections, in the
    /// order of the plan) cut to their columns.
    pub(super) fn new(
        plan: FilterPlan,
        rotations: &[HostMatrix],
        projections: &[HostMatrix],
        options: &TensorCreationOptions,
    ) -> Self {
        let (size, rank) = (plan.size, plan.largest_rank());
        let with_projections = rank > 0 && plan.factors() > 0;
        let zeros = |count: usize, columns: usize| {
            Param::from_tensor(Tensor::zeros([count, size, columns], options.clone()))
        };
        Self {
            rotations: zeros(rotations.len(), size),
            rotation_bases: FixedBase::new(stacked(rotations, size, options)),
            projections: with_projections.then(|| zeros(projections.len(), rank)),
            projection_bases: with_projections
                .then(|| FixedBase::new(stacked(projections, size, options))),
            plan,
        }
    }

    pub(super) fn plan(&self) -> &FilterPlan {
        &self.plan
    }

    /// Free parameters of the square matrices, `[axes * groups, n, n]`, axis by axis.
    pub fn rotations(&self) -> &Param<Tensor<3>> {
        &self.rotations
    }

    /// Free parameters of the projections, `[factors * groups, n, rank]`, axis by axis and from the
    /// inner factor to the outer one; none if there are no factors or all ranks are zero.
    pub fn projections(&self) -> Option<&Param<Tensor<3>>> {
        self.projections.as_ref()
    }

    /// The bases of [`rotations`](Self::rotations) and [`projections`](Self::projections).
    pub fn bases(&self) -> (Tensor<3>, Option<Tensor<3>>) {
        (self.rotation_bases.stored(), self.projection_bases.as_ref().map(FixedBase::stored))
    }

    /// Replaces free parameters and bases, in the order of the plan.
    pub(super) fn assign(
        self,
        rotations: [&[HostMatrix]; 2],
        projections: [&[HostMatrix]; 2],
    ) -> Self {
        let size = self.plan.size;
        let like = |old: &Tensor<3>, matrices: &[HostMatrix], columns: usize| {
            let options = TensorCreationOptions::from((&old.device(), old.dtype()));
            stacked(matrices, columns, &options).set_require_grad(old.is_require_grad())
        };
        let free = |param: Param<Tensor<3>>, matrices: &[HostMatrix], columns: usize| {
            param.map(|old| like(&old, matrices, columns))
        };
        let fixed = |base: FixedBase, matrices: &[HostMatrix]| {
            base.replaced(|old| like(old, matrices, size))
        };
        let rank = self.plan.largest_rank();
        Self {
            rotations: free(self.rotations, rotations[0], size),
            rotation_bases: fixed(self.rotation_bases, rotations[1]),
            projections: self.projections.map(|param| free(param, projections[0], rank)),
            projection_bases: self.projection_bases.map(|base| fixed(base, projections[1])),
            plan: self.plan,
        }
    }

    /// Whether a kernel composed now will be differentiated.
    pub(super) fn is_trained(&self) -> bool {
        let tracked = |param: &Param<Tensor<3>>| param.val().is_require_grad();
        tracked(&self.rotations) || self.projections.as_ref().is_some_and(tracked)
    }

    /// The float type of the parameters.
    pub(super) fn dtype(&self) -> DType {
        self.rotations.val().dtype()
    }

    /// The kernel's taps, `[groups, taps of the outer axis, rows, taps of the inner axis, columns]`,
    /// rows and columns cut; in 32 bits at least. The inner axis is the height, for published
    /// transposed layers the width; with a single axis, that is the outer one.
    pub(super) fn compose(&self) -> Tensor<5> {
        let plan = &self.plan;
        let retract = |free: &Param<Tensor<3>>, base: &FixedBase| {
            let free = working(free.val());
            base.exact(free.dtype()).matmul(plan.retraction.columns(free))
        };
        let rotations = retract(&self.rotations, &self.rotation_bases);
        let projections = self.projections.as_ref().zip(self.projection_bases.as_ref());
        let projections = projections.map(|(free, base)| retract(free, base));
        let taps: Vec<Vec<Tensor<3>>> = (0..plan.ranks.len())
            .map(|axis| self.taps(axis, &rotations, projections.as_ref()))
            .collect();
        let [rows, columns] = plan.cut;
        let cut_rows = |tap: &Tensor<3>| tap.clone().narrow(1, 0, rows);
        let cut_columns = |tap: &Tensor<3>| tap.clone().narrow(2, 0, columns);
        let groups = plan.groups;
        let [first, rest @ ..] = &taps[..] else { unreachable!("a filter has an axis") };
        let Some(second) = rest.first() else {
            let stack = Tensor::cat(first.iter().map(cut_rows).collect(), 1);
            let kernel = stack.narrow(2, 0, columns);
            return kernel.reshape([groups, first.len(), rows, 1, columns]);
        };
        let (outer, inner) = match plan.order {
            Order::Convolution => (second, first),
            _ => (first, second),
        };
        let left = Tensor::cat(outer.iter().map(cut_rows).collect(), 1);
        let right = Tensor::cat(inner.iter().map(cut_columns).collect(), 2);
        left.matmul(right).reshape([groups, outer.len(), rows, inner.len(), columns])
    }

    /// The taps of one axis, each `[groups, n, n]`.
    fn taps(
        &self,
        axis: usize,
        rotations: &Tensor<3>,
        projections: Option<&Tensor<3>>,
    ) -> Vec<Tensor<3>> {
        let plan = &self.plan;
        let groups = plan.groups;
        let mut taps = vec![rotations.clone().narrow(0, plan.rotation(axis, 0), groups)];
        for (position, &rank) in plan.ranks[axis].iter().enumerate() {
            let index = plan.projection(axis, position, 0);
            let matrix = projections
                .filter(|_| rank > 0)
                .map(|projections| projections.clone().narrow(0, index, groups).narrow(2, 0, rank));
            taps = apply(plan.order.factor(position), taps, matrix);
        }
        taps
    }
}

/// Multiplies the taps by a factor: `F'[j] = first F[j] + second F[j - 1]`.
fn apply(factor: Factor, taps: Vec<Tensor<3>>, matrix: Option<Tensor<3>>) -> Vec<Tensor<3>> {
    let projected: Vec<Option<Tensor<3>>> = taps
        .iter()
        .map(|tap| {
            let matrix = matrix.clone()?;
            let transposed = matrix.clone().transpose();
            Some(match factor.left {
                true => matrix.matmul(transposed.matmul(tap.clone())),
                false => tap.clone().matmul(matrix).matmul(transposed),
            })
        })
        .collect();
    let zeros = |like: &Tensor<3>| like.zeros_like();
    let (inside, outside): (Vec<_>, Vec<_>) = taps
        .into_iter()
        .zip(projected)
        .map(|(tap, projected)| match projected {
            Some(projected) => (projected.clone(), tap - projected),
            None => (zeros(&tap), tap),
        })
        .unzip();
    let (first, second) =
        if factor.projection_first { (inside, outside) } else { (outside, inside) };
    let last = second.last().cloned();
    let mut result = Vec::with_capacity(first.len() + 1);
    let mut before: Option<Tensor<3>> = None;
    for (tap, shifted) in first.into_iter().zip(second) {
        result.push(match before {
            Some(before) => tap + before,
            None => tap,
        });
        before = Some(shifted);
    }
    result.extend(last);
    result
}

/// Kernels are composed in 32 bits at least: 16 bits would lose orthogonality.
pub(super) fn working(free: Tensor<3>) -> Tensor<3> {
    match free.dtype() {
        DType::F32 | DType::F64 => free,
        _ => free.cast(DType::F32),
    }
}

/// Matrices of `columns` columns as one tensor.
fn stacked(matrices: &[HostMatrix], columns: usize, options: &TensorCreationOptions) -> Tensor<3> {
    let rows = matrices.first().map_or(0, |matrix| matrix.shape()[0]);
    let values: Vec<f64> = matrices.iter().flat_map(HostMatrix::values).copied().collect();
    let data = TensorData::new(values, [matrices.len(), rows, columns]);
    Tensor::from_data(data, options.clone())
}
