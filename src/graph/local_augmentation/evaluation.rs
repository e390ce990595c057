//! Loss and accuracy of predictions on some nodes, on the host.

use burn::tensor::Tensor;

/// Mean negative log-likelihood, and share of right predictions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evaluation {
    pub loss: f64,
    pub accuracy: f64,
}

/// Predictions read from the device once, for several sets of nodes.
pub(super) struct Predictions {
    values: Vec<f32>,
    classes: usize,
}

impl Predictions {
    /// # Shapes
    /// - log_probabilities: `[nodes, classes]`
    pub fn read(log_probabilities: Tensor<2>) -> Self {
        let [_, classes] = log_probabilities.dims();
        Self { values: log_probabilities.into_data().iter::<f32>().collect(), classes }
    }

    /// Both numbers for nodes that all have a label; NaN for none.
    pub fn on(&self, nodes: &[usize], labels: &[i64]) -> Evaluation {
        let (mut loss, mut right) = (0.0, 0.0);
        for &node in nodes {
            let row = &self.values[node * self.classes..(node + 1) * self.classes];
            let label = labels[node] as usize;
            loss -= f64::from(row[label]);
            let largest =
                (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
            right += f64::from(u8::from(largest == label));
        }
        let count = nodes.len() as f64;
        Evaluation { loss: loss / count, accuracy: right / count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn loss_and_accuracy_are_means_over_the_nodes() {
        let p = Tensor::<2>::from_data([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]], &Device::flex());
        let found = Predictions::read(p.log()).on(&[1, 2], &[-1, 1, 1]);
        assert!((found.loss + (0.8f64.ln() + 0.1f64.ln()) / 2.0).abs() < 1e-6);
        assert_eq!(found.accuracy, 0.5);
    }
}
