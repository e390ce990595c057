//! Loss and gradients from the batch's rows of a noise state, wherever the state is kept.

use burn::tensor::{DType, Int, Tensor};
use firebrick_ops::one_hot::one_hot;
use firebrick_ops::surrogate::with_gradient;

use super::gradients::Gradients;
use super::loss::{Batch, Forward};
use super::{SopConfig, SopOutput, SopUpdate};

/// The batch's rows of a noise state, plain.
pub(super) struct Rows<'a> {
    pub config: &'a SopConfig,
    /// `[batch, 1]`
    pub u: Tensor<2>,
    /// `[batch, num_classes]`
    pub v: Tensor<2>,
}

impl Rows<'_> {
    /// Loss and gradients in closed form, in the float type of the rows.
    pub fn forward(
        self,
        indices: Tensor<1, Int>,
        logits: Tensor<2>,
        given: Tensor<2>,
    ) -> SopOutput {
        let Self { config, u, v } = self;
        let dtype = v.dtype();
        let plain = logits.clone().inner().cast(dtype);
        let batch = batch(config, plain, u, v, given);
        let forward = Forward::new(config, &batch);
        let terms = forward.terms(config, &batch);
        let gradients = Gradients::new(config, &batch, &forward);

        let gradient = match gradients.second_view {
            Some(second) => Tensor::cat(vec![gradients.logits, second], 0),
            // Without consistency a second view has no influence.
            None if logits.dims() != gradients.logits.dims() => {
                let zeros = gradients.logits.zeros_like();
                Tensor::cat(vec![gradients.logits, zeros], 0)
            }
            None => gradients.logits,
        };
        let logits = if logits.dtype() == dtype { logits } else { logits.cast(dtype) };
        let scale = if config.per_sample { batch.given.dims()[0] as f64 } else { 1.0 };
        SopOutput {
            loss: with_gradient(logits, terms.total(config), gradient),
            noise_estimate: forward.wrong - forward.other,
            update: SopUpdate { indices, u: gradients.u * scale, v: gradients.v * scale },
            terms,
        }
    }

    /// Labels as one-hot rows, after the checks that need no rows.
    pub fn given(&self, labels: Tensor<1, Int>, logits: &Tensor<2>) -> Tensor<2> {
        if self.config.validate {
            check_finite(logits);
        }
        given(self.config, labels, logits, self.v.dtype())
    }
}

/// Labels as one-hot rows.
pub(super) fn given(
    config: &SopConfig,
    labels: Tensor<1, Int>,
    logits: &Tensor<2>,
    dtype: DType,
) -> Tensor<2> {
    let (rows, num_classes) = (labels.dims()[0], config.labels.num_classes);
    let [logit_rows, _] = logits.dims();
    assert!(
        logit_rows == rows || logit_rows == 2 * rows,
        "Sop: logits must have one or two rows per label, {rows} or {}, got {logit_rows}",
        2 * rows
    );
    if config.validate {
        check_range("labels", labels.clone(), num_classes);
    }
    one_hot(labels, num_classes, dtype)
}

/// Splits the views and checks shapes.
pub(super) fn batch(
    config: &SopConfig,
    logits: Tensor<2>,
    u: Tensor<2>,
    v: Tensor<2>,
    given: Tensor<2>,
) -> Batch {
    let num_classes = config.labels.num_classes;
    let ([rows, _], [logit_rows, columns]) = (u.dims(), logits.dims());
    assert!(rows > 0, "Sop: the batch must not be empty");
    assert!(
        given.dims() == [rows, num_classes],
        "Sop: labels must give the shape {:?}, got {:?}",
        [rows, num_classes],
        given.dims()
    );
    assert!(
        columns == num_classes && (logit_rows == rows || logit_rows == 2 * rows),
        "Sop: logits must have the shape {:?} or {:?}, got {:?}",
        [rows, num_classes],
        [2 * rows, num_classes],
        [logit_rows, columns]
    );
    assert!(
        config.consistency == 0.0 || logit_rows == 2 * rows,
        "Sop: consistency needs logits of two views, {} rows, got {logit_rows}",
        2 * rows
    );
    let two = logit_rows == 2 * rows;
    let second_view = (two && config.consistency > 0.0)
        .then(|| logits.clone().slice([rows..2 * rows, 0..columns]));
    let logits = if two { logits.slice([0..rows, 0..columns]) } else { logits };
    Batch { logits, second_view, u, v, given: given.inner() }
}

pub(super) fn check_finite(logits: &Tensor<2>) {
    let bad = logits.clone().inner().is_finite().bool_not().any().into_scalar::<bool>();
    assert!(!bad, "Sop: logits must be finite");
}

pub(super) fn check_range(name: &str, values: Tensor<1, Int>, end: usize) {
    for (position, value) in values.into_data().iter::<i64>().enumerate() {
        assert!(
            (0..end as i64).contains(&value),
            "Sop: {name} must be in 0..{end}, got {value} at position {position}"
        );
    }
}

/// A class with a smaller `V` is not suggested: it may be no more than the random start.
const SILENT: f32 = 1e-2;

/// `argmax(y (1 - U) + V)` of a sample over the given label and the classes with their `V`; ties
/// keep the given label, then the first.
pub(super) fn suggestion(
    given: usize,
    wrong: f32,
    right: impl Iterator<Item = (usize, f32)>,
) -> usize {
    let others = right.filter(|&(class, value)| class != given && value >= SILENT);
    let keep_larger = |best: (usize, f32), other: (usize, f32)| {
        if other.1 > best.1 { other } else { best }
    };
    others.fold((given, 1.0 - wrong), keep_larger).0
}
