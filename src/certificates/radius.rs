//! Certified radii.
//!
//! ```text
//! radius(x) = (z_1 - z_2) / (sqrt(2) L)                       global: rows of the last layer orthonormal
//! radius(x) = min_{j != 1} (z_1 - z_j) / (|w_1 - w_j| L)      pair by pair: L of the layers below
//! ```
//!
//! # References
//! - Y. Tsuzuku, I. Sato, M. Sugiyama, *Lipschitz-Margin Training*, NeurIPS 2018, Proposition 1.
//! - S. Singla, S. Singla, S. Feizi, *Improved deterministic l2 robustness on CIFAR-10 and CIFAR-100*, ICLR
//!   2022 (pair by pair).

use std::f64::consts::SQRT_2;

use burn::tensor::{DType, Tensor};
use firebrick_ops::one_hot;

use super::error::{CertificateError, check_positive};

/// Turns logits into radii within which the prediction cannot change.
///
/// # Example
/// With the distances of the rows of a network's last layer:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick::certificates::Certifier;
/// use firebrick::models::vision::orthogonal::{LastLayer, OrthogonalCnnConfig};
///
/// let device = Device::flex();
/// let network = OrthogonalCnnConfig::new(10).with_last_layer(LastLayer::UnitRows).init(&device);
/// let rows = network.last_matrix().expect("it ends with a matrix");
/// let certifier = Certifier::new(1.0)?.with_last_layer(rows);
/// let radii = certifier.radii(network.forward(Tensor::ones([4, 1, 8, 8], &device)));
/// assert_eq!(radii.dims(), [4]);
/// # Ok::<(), firebrick::certificates::CertificateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Certifier {
    lipschitz: f64,
    /// `|w_i - w_j|`, `[num_classes, num_classes]`.
    distances: Option<Tensor<2>>,
}

impl Certifier {
    /// For a network of this Lipschitz constant in the norm 2, logits included.
    ///
    /// # Errors
    /// [`CertificateError::InvalidSetting`] if the constant is not positive and finite.
    pub fn new(lipschitz: f64) -> Result<Self, CertificateError> {
        check_positive("lipschitz", lipschitz)?;
        Ok(Self { lipschitz, distances: None })
    }

    /// With the rows of the last layer, `[num_classes, features]`; the Lipschitz constant is then that of
    /// the layers below it.
    ///
    /// Distances are taken as they are stored, so the rows should be those that the network uses.
    #[must_use]
    pub fn with_last_layer(mut self, rows: Tensor<2>) -> Self {
        let rows = rows.inner();
        let rows = if rows.dtype() == DType::F64 { rows } else { rows.cast(DType::F32) };
        let [classes, features] = rows.dims();
        let left = rows.clone().reshape([classes, 1, features]);
        let right = rows.reshape([1, classes, features]);
        // The difference itself: the expansion into norms and products would cancel.
        let squares = (left - right).powi_scalar(2).sum_dim(2);
        self.distances = Some(squares.reshape([classes, classes]).sqrt());
        self
    }

    /// The Lipschitz constant.
    pub fn lipschitz(&self) -> f64 {
        self.lipschitz
    }

    /// Rows of the last layer, if the radii go by them.
    pub(super) fn rows(&self) -> Option<usize> {
        self.distances.as_ref().map(|distances| distances.dims()[0])
    }

    /// The difference between the largest logit and the others, in units of the input: the radius within
    /// which the prediction cannot change, whether it is right or not.
    ///
    /// Stays on the device and can be differentiated; ties give 0.
    ///
    /// # Shapes
    /// - logits: `[batch, num_classes]`
    /// - output: `[batch]`
    ///
    /// # Panics
    /// If there are fewer than two classes, no samples, or not as many classes as rows of the last layer.
    pub fn radii(&self, logits: Tensor<2>) -> Tensor<1> {
        let [batch, classes] = logits.dims();
        assert!(
            classes >= 2 && batch > 0,
            "Certifier: logits must have rows and at least two classes, got {batch} and {classes}"
        );
        let best = logits.clone().inner().argmax(1).reshape([batch]);
        let chosen = one_hot::mask(best, classes);
        let top = logits.clone().mask_fill(chosen.clone().bool_not(), 0.0).sum_dim(1);
        let gaps = top.expand([batch, classes]) - logits;
        let scaled = match &self.distances {
            None => gaps * (1.0 / (SQRT_2 * self.lipschitz)),
            Some(distances) => {
                let found = distances.dims()[0];
                assert!(
                    found == classes,
                    "Certifier: the last layer must have one row per class, {classes}, got {found}"
                );
                let rows = chosen.clone().float().cast(distances.dtype());
                let between = rows.matmul(distances.clone());
                // Equal rows give equal logits: the radius is zero over anything.
                let between = between.cast(gaps.dtype()).clamp_min(1e-30);
                gaps / (between * self.lipschitz)
            }
        };
        scaled.mask_fill(chosen, f32::MAX).min_dim(1).squeeze_dim(1)
    }
}
