//! The Lipschitz constant of a network, layer by layer.

use std::fmt;

use burn::module::ModuleDisplay;
use burn::tensor::Tensor;
use firebrick_models::orthogonal::{OrthogonalLayer, OrthogonalMatrix, orthogonality_report};
use firebrick_models::vision::orthogonal::{LayerRef, OrthogonalNetwork};
use firebrick_ops::orthogonal::HostMatrix;
use serde::{Deserialize, Serialize};

/// The singular values of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerLipschitz {
    /// Position in the network and what it is.
    pub name: String,
    /// Smallest singular value.
    pub min: f64,
    /// Largest singular value: the layer's Lipschitz constant.
    pub max: f64,
}

/// The Lipschitz constants of a network's layers, and what follows for the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LipschitzReport {
    /// Layers with weights, from the images to the logits.
    pub layers: Vec<LayerLipschitz>,
    /// A bound of the network's Lipschitz constant: layers in sequence multiply, additive skips take the
    /// weighted mean of their branches, concatenative ones the larger.
    pub bound: f64,
    /// The bound of everything below the last layer, for certificates pair by pair.
    pub features_bound: f64,
}

impl fmt::Display for LipschitzReport {
    /// One line per layer and the bound.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0).max(7);
        writeln!(f, "{:<widest$}  smallest      largest", "layer")?;
        for LayerLipschitz { name, min, max } in &self.layers {
            writeln!(f, "{name:<widest$}  {min:.8}  {max:.8}")?;
        }
        write!(f, "{:<widest$}              {:.8}", "network", self.bound)
    }
}

/// Measures every layer of a network on the images it was made for.
///
/// Singular values are those of [`orthogonality_report`]: of the layers as they stand, with linear algebra
/// in 64 bits on the host. Activations, pooling and permutations have the constant 1.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use firebrick::certificates::lipschitz_report;
/// use firebrick::models::vision::orthogonal::OrthogonalCnnConfig;
///
/// let network = OrthogonalCnnConfig::new(10).with_channels([2, 4]).with_hidden(4);
/// let report = lipschitz_report(&network.init(&Device::flex()));
/// println!("{report}");
/// assert!(report.layers.len() == 5 && (report.bound - 1.0).abs() < 1e-4);
/// ```
///
/// # Panics
/// As [`orthogonality_report`].
pub fn lipschitz_report<C, M>(network: &OrthogonalNetwork<C, M>) -> LipschitzReport
where
    C: OrthogonalLayer + ModuleDisplay,
    M: OrthogonalMatrix,
{
    let mut layers = Vec::new();
    let bound = network.lipschitz_bound(|name, layer| {
        let [min, max] = match layer {
            LayerRef::Convolution(layer, image) => {
                let report = orthogonality_report(layer, image);
                [report.min, report.max]
            }
            LayerRef::Matrix(layer) => of_matrix(layer.matrix()),
            LayerRef::UnitRows(layer) => of_matrix(layer.matrix()),
        };
        layers.push(LayerLipschitz { name, min, max });
        max
    });
    let last = layers.last().map_or(1.0, |layer| layer.max);
    let features_bound = if last > 0.0 { bound / last } else { 0.0 };
    LipschitzReport { layers, bound, features_bound }
}

/// The smallest and the largest singular value.
fn of_matrix(matrix: Tensor<2>) -> [f64; 2] {
    let [rows, columns] = matrix.dims();
    let values = matrix.into_data().iter::<f64>().collect();
    let values = HostMatrix::new(rows, columns, values).singular_values();
    [values[values.len() - 1], values[0]]
}
