//! Noise models as text, for people and for settings.

use std::fmt;
use std::str::FromStr;

use super::LabelNoise;
use crate::DatasetError;

impl fmt::Display for LabelNoise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::None => return formatter.write_str("none"),
            Self::Symmetric { .. } => "symmetric",
            Self::SymmetricInclusive { .. } => "symmetric inclusive",
            Self::PairFlip { .. } => "pair flip",
            Self::AsymmetricCifar10 { .. } => "asymmetric CIFAR-10",
            Self::SuperclassCycle { .. } => "superclass cycle",
            Self::SuperclassPair { .. } => "superclass pair",
            Self::Cifar100Cycle { .. } => "CIFAR-100 cycle",
            Self::Cifar100Pair { .. } => "CIFAR-100 pair",
        };
        // Rounded, because 100 times 0.29 is 28.999999999999996.
        let percent = (self.rate() * 1e8).round() / 1e6;
        write!(formatter, "{name} {percent} %")
    }
}

impl FromStr for LabelNoise {
    type Err = DatasetError;

    fn from_str(text: &str) -> Result<Self, DatasetError> {
        let unknown = || DatasetError::UnknownNoise { found: text.to_string() };
        let text = text.trim();
        if text == "none" {
            return Ok(Self::None);
        }
        let (name, rate) = text.rsplit_once(':').ok_or_else(unknown)?;
        let rate: f64 = rate.trim().parse().map_err(|_| unknown())?;
        let noise = match name.trim() {
            "symmetric" => Self::Symmetric { rate },
            "symmetric-inclusive" => Self::SymmetricInclusive { rate },
            "pair" => Self::PairFlip { rate },
            "cifar10" => Self::AsymmetricCifar10 { rate },
            "cifar100" => Self::Cifar100Cycle { rate },
            "cifar100-pair" => Self::Cifar100Pair { rate },
            name => {
                let (name, size) = name.split_once(':').ok_or_else(unknown)?;
                let size = size.trim().parse().map_err(|_| unknown())?;
                match name.trim() {
                    "superclass" => Self::SuperclassCycle { size, rate },
                    "superclass-pair" => Self::SuperclassPair { size, rate },
                    _ => return Err(unknown()),
                }
            }
        };
        if !(0.0..=1.0).contains(&rate) {
            return Err(DatasetError::RateOutOfRange { found: rate });
        }
        Ok(noise)
    }
}
