//! How much several predictions of the same nodes agree: the score that chooses a generator.

use burn::tensor::{Int, Tensor};
use firebrick_ops::one_hot::one_hot;

/// The score `U` that chooses a generator, for the nodes of the predictions that have a label.
///
/// A scoring network with its dropout on predicts `M` times from generated features:
///
/// ```text
/// U = mean over labeled nodes of ( -ln(1/M sum_m p_m[i, y_i]) + 1/M sum_m ln p_m[i, y_i] )
/// ```
///
/// By Jensen's inequality `U <= 0`, with 0 where all passes agree. The generator with the highest
/// `U` is kept.
///
/// # Shapes
/// - log_probabilities: `[passes, nodes, classes]`
/// - labels: `[nodes]`; a node with a label outside `0..classes`, such as -1, is left out
/// - output: `[1]`, without autodiff; NaN if no node has a label
///
/// # Panics
/// If there are no passes, nodes or classes, or the number of labels is not that of the nodes.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick_models::graph::local_augmentation::agreement_score;
///
/// let device = Device::flex();
/// let p = Tensor::<3>::from_data([[[0.9, 0.1]], [[0.1, 0.9]]], &device);
/// let label = Tensor::<1, Int>::from_data([0], &device);
/// // -ln 0.5 + (ln 0.9 + ln 0.1) / 2
/// let score = agreement_score(p.log(), label).into_scalar::<f32>();
/// assert!((score + 0.5108).abs() < 1e-4);
/// ```
///
/// # References
/// S. Liu et al., *Local Augmentation for Graph Neural Networks*, ICML 2022, Eq. (10).
pub fn agreement_score(log_probabilities: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [_, nodes, classes] = check("agreement_score", &log_probabilities);
    let [found] = labels.dims();
    assert!(
        found == nodes,
        "agreement_score: expected a label for each of {nodes} nodes, got {found}"
    );
    let logs = log_probabilities.without_autodiff();
    let given = one_hot(labels, classes, logs.dtype());
    let difference = logs.clone().mean_dim(0).squeeze_dim::<2>(0) - log_mean(logs);
    let count = given.clone().sum();
    // A probability of zero for another class than the label must not enter as 0 * inf.
    let of_label = difference.mask_fill(given.equal_elem(0.0), 0.0);
    of_label.sum() / count
}

/// The counterpart of [`agreement_score`] that needs no labels.
///
/// ```text
/// MI = mean over nodes of ( H(1/M sum_m p_m[i]) - 1/M sum_m H(p_m[i]) ),   H(p) = -sum p ln p
/// ```
///
/// over `M` passes with dropout. `MI >= 0`, with 0 where all passes agree.
///
/// # Shapes
/// - log_probabilities: `[passes, nodes, classes]`
/// - output: `[1]`, without autodiff
///
/// # Panics
/// If there are no passes, nodes or classes.
pub fn mutual_information(log_probabilities: Tensor<3>) -> Tensor<1> {
    let [passes, nodes, _] = check("mutual_information", &log_probabilities);
    let logs = log_probabilities.without_autodiff();
    let of_mean = negative_entropy(log_mean(logs.clone())).sum();
    let of_passes = negative_entropy(logs).sum() * (1.0 / passes as f64);
    (of_passes - of_mean) * (1.0 / nodes as f64)
}

fn check(name: &str, log_probabilities: &Tensor<3>) -> [usize; 3] {
    let dims = log_probabilities.dims();
    assert!(
        !dims.contains(&0),
        "{name}: expected at least one pass, node and class, got the shape {dims:?}"
    );
    dims
}

/// `ln(1/M sum_m p_m)`, by the largest logarithm, so that nothing underflows.
fn log_mean(logs: Tensor<3>) -> Tensor<2> {
    let [passes, ..] = logs.dims();
    let largest = logs.clone().max_dim(0).clamp_min(f64::from(f32::MIN));
    let sum = (logs - largest.clone()).exp().sum_dim(0) * (1.0 / passes as f64);
    (sum.log() + largest).squeeze_dim::<2>(0)
}

/// `p ln p`, 0 where `p` is.
fn negative_entropy<const D: usize>(logs: Tensor<D>) -> Tensor<D> {
    logs.clone().exp() * logs.clamp_min(f64::from(f32::MIN))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{DType, Device, TensorData};
    use proptest::prelude::*;

    fn logs(values: Vec<f64>, shape: [usize; 3]) -> Tensor<3> {
        let data = TensorData::new(values, shape);
        log_softmax(Tensor::from_data(data, (&Device::flex(), DType::F64)), 2)
    }

    fn labels<const N: usize>(labels: [i64; N]) -> Tensor<1, Int> {
        Tensor::from_data(labels, &Device::flex())
    }

    fn number(tensor: Tensor<1>) -> f64 {
        tensor.into_data().iter::<f64>().next().unwrap()
    }

    proptest! {
        #[test]
        fn the_score_is_never_positive_and_information_never_negative(
            values in prop::collection::vec(-6.0..6.0f64, 3 * 4 * 2),
        ) {
            let logs = logs(values, [3, 4, 2]);
            prop_assert!(number(agreement_score(logs.clone(), labels([0, 1, -1, 0]))) <= 1e-12);
            prop_assert!(number(mutual_information(logs)) >= -1e-12);
        }
    }

    #[test]
    fn identical_passes_score_zero() {
        let logs = logs([0.3, -1.0, 0.2, 5.0].repeat(3), [3, 2, 2]);
        assert!(number(agreement_score(logs.clone(), labels([0, 1]))).abs() < 1e-15);
        assert!(number(mutual_information(logs)).abs() < 1e-15);
    }

    #[test]
    fn probabilities_that_underflow_are_no_nan() {
        let logs = logs(vec![2000.0, 0.0, 0.0, 2000.0], [2, 1, 2]);
        let score = number(agreement_score(logs.clone(), labels([0])));
        assert!((score - (2f64.ln() - 1000.0)).abs() < 1e-9, "{score}");
        assert!((number(mutual_information(logs)) - 2f64.ln()).abs() < 1e-12);
        let certain = Tensor::<3>::from_data([[[1.0, 0.0]], [[1.0, 0.0]]], &Device::flex()).log();
        assert_eq!(number(agreement_score(certain.clone(), labels([0]))), 0.0);
        assert_eq!(number(mutual_information(certain)), 0.0);
    }

    #[test]
    #[should_panic(expected = "expected a label for each of 2 nodes, got 1")]
    fn names_the_number_of_labels() {
        agreement_score(logs(vec![0.0; 4], [1, 2, 2]), labels([0]));
    }
}
