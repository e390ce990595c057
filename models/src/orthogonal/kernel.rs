//! The kernel of an orthogonal convolution: settings, composition, cache.

use burn::module::Module;
use burn::tensor::module::conv_transpose2d;
use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Tensor, TensorCreationOptions};
use firebrick_ops::skew::Retraction;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::cache::KernelCache;
use super::filter::{FilterPlan, Order, ParaunitaryFilter};
use super::parameters::{self, ImportLayout, ParameterTable};
use super::{Composition, Initialization, Ranks, start};
use crate::ModelError;
use crate::seed::drawn_seed;

/// What stands before the names of the folded part's parameters.
const FOLD: &str = "fold.";

/// What the configurations of all convolutions have in common.
#[derive(Clone, Debug)]
pub(super) struct KernelSettings<'a> {
    /// The configuration's name, for messages.
    pub name: &'a str,
    /// Channels of the larger and of the smaller image (input and output of a convolution).
    pub channels: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
    /// Whether there is a height; else only the width has matrices.
    pub two_dimensional: bool,
    pub order: Order,
    pub retraction: Retraction,
    pub initialization: Initialization,
    pub composition: Composition,
    pub ranks: &'a Ranks,
    pub seed: Option<u64>,
}

impl KernelSettings<'_> {
    /// Builds the kernel.
    ///
    /// # Panics
    /// If the settings contradict each other.
    pub fn init(&self, options: &TensorCreationOptions) -> OrthogonalKernel {
        self.check();
        let folded = [0, 1].map(|axis| !self.kernel[axis].is_multiple_of(self.stride[axis]));
        let [inputs, outputs] = self.channels.map(|channels| channels / self.groups);
        let columns = inputs * self.stride[0] * self.stride[1];
        let cut = [outputs, columns];
        let taps = [0, 1].map(|axis| match folded[axis] {
            true => 1,
            false => self.kernel[axis] / self.stride[axis],
        });
        let main = self.plan(cut, taps, "ranks");
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed.unwrap_or_else(|| drawn_seed(options)));
        let main = self.filter(main, &mut rng, options);
        let fold = folded.contains(&true).then(|| {
            let taps = [0, 1].map(|axis| match folded[axis] {
                true => self.kernel[axis] - self.stride[axis] + 1,
                false => 1,
            });
            let plan = self.plan([inputs, inputs], taps, "ranks of the folded part");
            self.filter(plan, &mut rng, options)
        });
        let plan = KernelPlan { stride: self.stride, order: self.order };
        OrthogonalKernel { main, fold, cache: KernelCache::default(), plan }
    }

    fn check(&self) {
        let Self { name, channels, kernel, stride, dilation, groups, .. } = self;
        let numbers = [&channels[..], kernel, stride, dilation, &[*groups]].concat();
        assert!(
            !numbers.contains(&0),
            "{name}: channels {channels:?}, kernel_size {kernel:?}, stride {stride:?}, dilation \
             {dilation:?} and groups {groups} must be positive"
        );
        assert!(
            channels.iter().all(|count| count.is_multiple_of(*groups)),
            "{name}: channels must be divisible by groups, got {channels:?} and {groups}"
        );
        for axis in 0..2 {
            let (size, step) = (kernel[axis], stride[axis]);
            assert!(
                step == 1 || dilation[axis] == 1,
                "{name}: stride and dilation cannot both exceed 1 on an axis, got stride \
                 {stride:?} and dilation {dilation:?}"
            );
            assert!(
                size >= step,
                "{name}: kernel_size must be at least the stride, or pixels between the windows \
                 would be lost, got {kernel:?} and {stride:?}"
            );
            assert!(
                size.is_multiple_of(step) || self.composition == Composition::Adaptive,
                "{name}: kernel_size must be a multiple of the stride on every axis (or set \
                 composition to Adaptive), got {kernel:?} and {stride:?}"
            );
            assert!(
                size.is_multiple_of(step) || self.order == Order::Convolution,
                "{name}: the published order of transposed layers needs a kernel_size that is a \
                 multiple of the stride, got {kernel:?} and {stride:?}"
            );
        }
    }

    /// Sizes of a filter with these taps.
    fn plan(&self, cut: [usize; 2], taps: [usize; 2], what: &str) -> FilterPlan {
        let size = cut[0].max(cut[1]);
        let taps: &[usize] = match taps {
            [1, 1] => &[1],
            _ if self.two_dimensional => &taps,
            _ => &taps[1..],
        };
        let name = self.name;
        let ranks: Vec<Vec<usize>> = match self.ranks {
            Ranks::Half => taps.iter().map(|taps| vec![size / 2; taps - 1]).collect(),
            Ranks::Equal(rank) => taps.iter().map(|taps| vec![*rank; taps - 1]).collect(),
            Ranks::Each(ranks) => ranks.clone(),
        };
        let factors: Vec<usize> = ranks.iter().map(Vec::len).collect();
        let expected: Vec<usize> = taps.iter().map(|taps| taps - 1).collect();
        assert!(
            factors == expected,
            "{name}: {what} must have one entry per factor, {expected:?} per axis, got {factors:?}"
        );
        assert!(
            ranks.iter().flatten().all(|&rank| rank <= size),
            "{name}: {what} must be at most the filter's size {size}, got {ranks:?}"
        );
        FilterPlan {
            groups: self.groups,
            size,
            cut,
            ranks,
            order: self.order,
            retraction: self.retraction,
        }
    }

    fn filter(
        &self,
        plan: FilterPlan,
        rng: &mut ChaCha8Rng,
        options: &TensorCreationOptions,
    ) -> ParaunitaryFilter {
        let odd = plan.ranks.iter().all(|factors| factors.len().is_multiple_of(2));
        let initialization = match self.initialization {
            Initialization::Auto if odd => Initialization::Permutation,
            Initialization::Auto => Initialization::Uniform,
            chosen => chosen,
        };
        let name = self.name;
        assert!(
            odd || initialization == Initialization::Uniform,
            "{name}: {initialization:?} initialization needs an odd number of taps (kernel_size \
             over stride) on every axis, got kernel_size {:?} and stride {:?}; use Uniform",
            self.kernel,
            self.stride
        );
        let paired = plan.ranks.iter().flat_map(|ranks| ranks.chunks(2));
        assert!(
            initialization == Initialization::Uniform
                || paired.clone().all(|pair| pair.first() == pair.last()),
            "{name}: {initialization:?} initialization pairs the factors, which must have equal \
             ranks, got {:?}; use Uniform",
            plan.ranks
        );
        let (rotations, projections) = start::bases(&plan, initialization, rng);
        ParaunitaryFilter::new(plan, &rotations, &projections, options)
    }
}

#[derive(Clone, Copy, Debug)]
struct KernelPlan {
    stride: [usize; 2],
    order: Order,
}

/// The kernel of an orthogonal convolution: its filters, and the composed weights while nothing
/// changes them.
#[derive(Module, Debug)]
pub struct OrthogonalKernel {
    main: ParaunitaryFilter,
    /// The square layer of stride 1 below the main one, where the kernel size is not a multiple of
    /// the stride.
    fold: Option<ParaunitaryFilter>,
    cache: KernelCache,
    #[module(skip)]
    plan: KernelPlan,
}

impl OrthogonalKernel {
    /// The filter of the strided part; the whole kernel unless it is folded.
    pub fn main(&self) -> &ParaunitaryFilter {
        &self.main
    }

    /// The square filter of stride 1 that adaptive composition adds.
    pub fn fold(&self) -> Option<&ParaunitaryFilter> {
        self.fold.as_ref()
    }

    /// How many times the weights were composed; in evaluation they are composed once.
    pub fn compositions(&self) -> usize {
        self.cache.compositions()
    }

    /// The weights, `[out, in / groups, height, width]` of the convolution whose adjoint a transposed
    /// layer is.
    ///
    /// Composed anew while a parameter requires gradients; otherwise composed once and kept.
    pub(super) fn weights(&self) -> Tensor<4> {
        let trained =
            self.main.is_trained() || self.fold.as_ref().is_some_and(ParaunitaryFilter::is_trained);
        self.cache.get(!trained, || self.compose())
    }

    /// Free parameters and bases by name.
    pub(super) fn export(&self) -> ParameterTable {
        let mut table = ParameterTable::new();
        parameters::export(&self.main, "", &mut table);
        if let Some(fold) = &self.fold {
            parameters::export(fold, FOLD, &mut table);
        }
        table
    }

    /// With parameters from a table.
    pub(super) fn import(
        self,
        table: &ParameterTable,
        layout: &ImportLayout,
    ) -> Result<Self, ModelError> {
        let inner = ImportLayout { prefix: format!("{}{FOLD}", layout.prefix), ..layout.clone() };
        Ok(Self {
            main: parameters::import(self.main, table, layout)?,
            fold: self.fold.map(|fold| parameters::import(fold, table, &inner)).transpose()?,
            cache: self.cache.emptied(),
            plan: self.plan,
        })
    }

    fn compose(&self) -> Tensor<4> {
        let dtype = self.main.dtype();
        let mut weights = arranged(self.main.compose(), &self.plan);
        if let Some(fold) = &self.fold {
            let inner = KernelPlan { stride: [1, 1], ..self.plan };
            weights = composed(weights, arranged(fold.compose(), &inner), fold.plan().groups);
        }
        if weights.dtype() == dtype { weights } else { weights.cast(dtype) }
    }
}

/// From taps of polyphase components to a kernel.
fn arranged(taps: Tensor<5>, plan: &KernelPlan) -> Tensor<4> {
    let [groups, outer, rows, inner, columns] = taps.dims();
    let [height, width] = plan.stride;
    let channels = columns / (height * width);
    // Groups join the rows, because not every backend has seven dimensions.
    let taps = if groups > 1 { taps.swap_dims(0, 1) } else { taps };
    let rows = groups * rows;
    let (taps, order, sizes): (Tensor<6>, [isize; 6], [usize; 2]) = match plan.order {
        Order::Convolution => (
            taps.reshape([outer, rows, inner, channels, height, width]),
            [1, 3, 2, 4, 0, 5],
            [inner * height, outer * width],
        ),
        Order::PublishedTransposed2d => (
            taps.reshape([outer, rows, inner, height, width, channels]),
            [1, 5, 0, 3, 2, 4],
            [outer * height, inner * width],
        ),
        Order::PublishedTransposed1d => (
            taps.reshape([outer, rows, inner, height, width, channels]),
            [1, 5, 2, 3, 0, 4],
            [inner * height, outer * width],
        ),
    };
    taps.permute(order).reshape([rows, channels, sizes[0], sizes[1]])
}

/// The kernel of `outer` after `inner`, both correlations: `W[a + b] = sum outer[a] inner[b]`.
///
/// # Shapes
/// - outer: `[groups * out, middle, .., ..]`
/// - inner: `[groups * middle, in, .., ..]`
fn composed(outer: Tensor<4>, inner: Tensor<4>, groups: usize) -> Tensor<4> {
    let [rows, middle, height, width] = outer.dims();
    // A transposed convolution adds up exactly these products; the inputs are its batch.
    let outer = outer
        .reshape([groups, rows / groups, middle, height, width])
        .permute([0, 2, 1, 3, 4])
        .reshape([groups * middle, rows / groups, height, width]);
    let options = ConvTransposeOptions::new([1, 1], [0, 0], [0, 0], [1, 1], groups);
    conv_transpose2d(inner.permute([1, 0, 2, 3]), outer, None, options).permute([1, 0, 2, 3])
}
