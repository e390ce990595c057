//! Any of the activations behind one type.

use std::str::FromStr;

use burn::module::Module;
use burn::nn::Relu;
use burn::tensor::{Tensor, TensorCreationOptions};
use serde::{Deserialize, Serialize};

use super::{
    GroupSize, GroupSort, GroupSortConfig, HouseholderActivation, HouseholderActivationConfig,
    ModRelu, ModReluConfig, SRelu, SReluConfig, SortOrder,
};
use crate::ModelError;

/// Which activation a network has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivationKind {
    /// The larger of each pair of channels, then the smaller.
    #[default]
    MaxMin,
    /// The smaller of each pair of channels, then the larger.
    MinMax,
    /// Groups of this many channels in ascending order.
    GroupSort(usize),
    /// All channels in ascending order.
    FullSort,
    /// ReLU with a learned threshold.
    SRelu,
    /// ReLU of the magnitude with a learned threshold.
    ModRelu,
    /// Reflections of pairs of channels.
    Householder,
    /// ReLU: 1-Lipschitz, but it loses norm; to compare with.
    Relu,
}

impl ActivationKind {
    /// Creates the activation for this many channels.
    ///
    /// # Panics
    /// If the channels do not fit: odd for pairs, or not a multiple of the groups' size.
    pub fn init(self, channels: usize, options: impl Into<TensorCreationOptions>) -> Activation {
        let size = match self {
            Self::MaxMin | Self::MinMax | Self::Householder => 2,
            Self::GroupSort(size) => size,
            _ => 1,
        };
        assert!(
            size > 0 && channels > 0 && channels.is_multiple_of(size),
            "ActivationKind: {self:?} needs a positive multiple of {size} channels, got {channels}"
        );
        let sort = |size, order| {
            Activation::GroupSort(GroupSortConfig::new().with_size(size).with_order(order).init())
        };
        match self {
            Self::MaxMin => sort(GroupSize::Of(2), SortOrder::Descending),
            Self::MinMax => sort(GroupSize::Of(2), SortOrder::Ascending),
            Self::GroupSort(size) => sort(GroupSize::Of(size), SortOrder::Ascending),
            Self::FullSort => sort(GroupSize::Full, SortOrder::Ascending),
            Self::SRelu => Activation::SRelu(SReluConfig::new(channels).init(options)),
            Self::ModRelu => Activation::ModRelu(ModReluConfig::new(channels).init(options)),
            Self::Householder => {
                Activation::Householder(HouseholderActivationConfig::new(channels).init(options))
            }
            Self::Relu => Activation::Relu(Relu),
        }
    }
}

impl FromStr for ActivationKind {
    type Err = ModelError;

    /// Reads `maxmin`, `minmax`, `groupsort3` (any size), `fullsort`, `srelu`, `modrelu`, `householder`
    /// and `relu`.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        let size = name.strip_prefix("groupsort").and_then(|size| size.parse().ok());
        match (name, size) {
            (_, Some(size)) if size > 0 => Ok(Self::GroupSort(size)),
            ("maxmin", _) => Ok(Self::MaxMin),
            ("minmax", _) => Ok(Self::MinMax),
            ("fullsort", _) => Ok(Self::FullSort),
            ("srelu", _) => Ok(Self::SRelu),
            ("modrelu", _) => Ok(Self::ModRelu),
            ("householder", _) => Ok(Self::Householder),
            ("relu", _) => Ok(Self::Relu),
            _ => Err(ModelError::UnknownName {
                what: "activation",
                found: name.into(),
                known: "maxmin, minmax, groupsort3 (any size), fullsort, srelu, modrelu, \
                        householder, relu",
            }),
        }
    }
}

/// One of the activations.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::lipschitz::ActivationKind;
///
/// let device = Device::flex();
/// let activation = "maxmin".parse::<ActivationKind>()?.init(4, &device);
/// assert_eq!(activation.forward(Tensor::<4>::ones([2, 4, 3, 3], &device)).dims(), [2, 4, 3, 3]);
/// # Ok::<(), firebrick_models::ModelError>(())
/// ```
#[derive(Module, Debug)]
pub enum Activation {
    /// Sorts within groups of channels.
    GroupSort(GroupSort),
    /// ReLU with a learned threshold.
    SRelu(SRelu),
    /// ReLU of the magnitude with a learned threshold.
    ModRelu(ModRelu),
    /// Reflections of pairs of channels.
    Householder(HouseholderActivation),
    /// ReLU.
    Relu(Relu),
}

impl Activation {
    /// Applies the activation.
    ///
    /// # Shapes
    /// - input: `[batch, channels, ..]`
    /// - output: the same
    ///
    /// # Panics
    /// If the channels do not fit.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        match self {
            Self::GroupSort(activation) => activation.forward(input),
            Self::SRelu(activation) => activation.forward(input),
            Self::ModRelu(activation) => activation.forward(input),
            Self::Householder(activation) => activation.forward(input),
            Self::Relu(activation) => activation.forward(input),
        }
    }
}
