//! GroupSort: sorting within groups of channels.
//!
//! ```text
//! group i = (x_i, x_{i + C/g}, x_{i + 2C/g}, ..)      g members, C/g channels apart
//! y = the members of every group in order, in their places
//! ```
//!
//! A permutation that depends on the input: it keeps all norms, and so does its gradient. For `g = 2`,
//! `y = [max(a, b), min(a, b)]` with the halves `a` and `b` of the channels (MaxMin).
//!
//! # References
//! C. Anil, J. Lucas, R. Grosse, *Sorting out Lipschitz function approximation*, ICML 2019.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{channels_of, halves};

/// The larger or the smaller values first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortOrder {
    /// The largest first: MaxMin.
    #[default]
    Descending,
    /// The smallest first: MinMax.
    Ascending,
}

/// Members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupSize {
    /// This many; the number of channels must be a multiple.
    Of(usize),
    /// All channels.
    Full,
}

/// Settings of [`GroupSort`].
#[derive(Config, Debug)]
pub struct GroupSortConfig {
    /// Members of a group.
    #[config(default = "GroupSize::Of(2)")]
    pub size: GroupSize,
    /// Order within a group.
    #[config(default = "SortOrder::Descending")]
    pub order: SortOrder,
}

impl GroupSortConfig {
    /// Creates the activation.
    ///
    /// # Panics
    /// If groups have no members.
    pub fn init(&self) -> GroupSort {
        assert!(
            self.size != GroupSize::Of(0),
            "GroupSortConfig: size must be positive, got {:?}",
            self.size
        );
        GroupSort { size: self.size, order: self.order }
    }
}

/// Sorts channels within groups; see the [module](crate::lipschitz).
///
/// ```text
/// group i = (x_i, x_{i + C/g}, x_{i + 2C/g}, ..)      g members, C/g channels apart
/// ```
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::lipschitz::GroupSortConfig;
///
/// let max_min = GroupSortConfig::new().init();
/// let x = Tensor::<2>::from_data([[1.0, 5.0, 3.0, 4.0]], &Device::flex());
/// // Channels 0 and 2 are a pair, and so are 1 and 3.
/// let y = max_min.forward(x).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(y, [3.0, 5.0, 1.0, 4.0]);
/// ```
///
/// # Notes
/// Equal values go through in a fixed order, so that the Jacobian is a permutation there too.
#[derive(Module, Debug)]
pub struct GroupSort {
    #[module(skip)]
    size: GroupSize,
    #[module(skip)]
    order: SortOrder,
}

impl GroupSort {
    /// Applies the activation.
    ///
    /// # Shapes
    /// - input: `[batch, channels, ..]`
    /// - output: the same
    ///
    /// # Panics
    /// If the channels are not a multiple of the groups' size.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let channels = channels_of("GroupSort", &input);
        let size = match self.size {
            GroupSize::Full => channels,
            GroupSize::Of(size) => size,
        };
        match size {
            _ if !channels.is_multiple_of(size) || channels == 0 => panic!(
                "GroupSort: channels must be a positive multiple of the groups' size {size}, got \
                 {channels}"
            ),
            1 => input,
            2 => self.pairs(input),
            _ => self.groups(input, size),
        }
    }

    /// One comparison decides both, so that equal values keep a gradient each.
    fn pairs<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let (a, b) = halves("GroupSort", input);
        let swap = match self.order {
            SortOrder::Descending => a.clone().lower(b.clone()),
            SortOrder::Ascending => a.clone().greater(b.clone()),
        };
        let first = a.clone().mask_where(swap.clone(), b.clone());
        Tensor::cat(vec![first, b.mask_where(swap, a)], 1)
    }

    fn groups<const D: usize>(&self, input: Tensor<D>, size: usize) -> Tensor<D> {
        let shape = input.dims();
        let rest = shape[1..].iter().product::<usize>() / size;
        let members = input.reshape([shape[0], size, rest]);
        let sorted = match self.order {
            SortOrder::Descending => members.sort_descending(1),
            SortOrder::Ascending => members.sort(1),
        };
        sorted.reshape(shape)
    }
}
