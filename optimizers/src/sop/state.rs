//! The noise state: `u` and `v` of every training sample, its loss and its update.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::{DType, Int, Tensor, TensorData};
use firebrick_ops::rows::{add_rows, clamp_rows};

use super::loss::Forward;
use super::rows::{Rows, batch, check_finite, check_range, given, suggestion};
use super::{LabelFingerprint, SopConfig, SopOutput, SopTerms};
use crate::{OptimizerError, files};

/// The noise state of a training set, with SOP's loss and update rule.
///
/// See the [module](super) for the method and for complete training loops.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Sop {
    /// One entry per sample, `[num_samples, 1]`; its square says how wrong the given label is.
    pub u: Param<Tensor<2>>,
    /// One row per sample, `[num_samples, num_classes]`; squares say which class is right.
    pub v: Param<Tensor<2>>,
    /// The labels that `u` and `v` were trained on, so that a record knows them too.
    fingerprint: Param<Tensor<1, Int>>,
    #[module(skip)]
    config: SopConfig,
}

/// Gradients of a batch's rows of the state, from [`Sop::forward`] for [`Sop::apply`].
#[derive(Clone, Debug)]
pub struct SopUpdate {
    /// Position of each row in the training set, `[batch]`.
    pub indices: Tensor<1, Int>,
    /// Gradient of the loss with respect to the rows of `u`, `[batch, 1]`.
    pub u: Tensor<2>,
    /// Gradient of the loss with respect to the rows of `v`, `[batch, num_classes]`.
    pub v: Tensor<2>,
}

/// Row updates on their way from a training step to the optimizer step.
///
/// Burn's `TrainStep::step` sees the model by shared reference and `TrainStep::optimize` owns it;
/// this queue carries the updates across. Clones share the queue, so give each training thread
/// its own model.
#[derive(Clone, Debug, Default)]
pub struct PendingUpdates(Arc<Mutex<Vec<SopUpdate>>>);

impl PendingUpdates {
    /// Adds an update.
    pub fn push(&self, update: SopUpdate) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(update);
    }

    /// Takes all updates out, oldest first.
    pub fn take(&self) -> Vec<SopUpdate> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sop {
    pub(super) fn from_parts(config: SopConfig, u: Tensor<2>, v: Tensor<2>) -> Self {
        let LabelFingerprint { num_samples, num_classes, .. } = config.labels;
        for (name, tensor, columns) in [("u", &u, 1), ("v", &v, num_classes)] {
            let expected = [num_samples, columns];
            assert!(
                tensor.dims() == expected,
                "Sop: {name} must have the shape {expected:?}, got {:?}",
                tensor.dims()
            );
            assert!(
                matches!(tensor.dtype(), DType::F32 | DType::F64),
                "Sop: {name} must be in 32 or 64 bits, because its start underflows in {:?}",
                tensor.dtype()
            );
        }
        let words = TensorData::new(config.labels.to_words().to_vec(), [4]);
        let fingerprint = Tensor::<1, Int>::from_data(words, &u.device());
        Self {
            u: Param::from_tensor(u),
            v: Param::from_tensor(v),
            fingerprint: Param::initialized(burn::module::ParamId::new(), fingerprint),
            config,
        }
    }

    /// The settings.
    pub fn config(&self) -> &SopConfig {
        &self.config
    }

    /// The loss of a batch, and the update of its rows of `u` and `v` in closed form.
    ///
    /// The loss's `backward` reaches the logits only; `u` and `v` get no gradient there. Repeated
    /// indices in a batch are allowed: their gradients add up.
    ///
    /// # Shapes
    /// - indices: `[batch]`, positions in the training set
    /// - logits: `[batch, num_classes]`, or `[2 * batch, num_classes]` with the first (weak) views
    ///   above the second (strong) views of the same samples in the same order
    /// - labels: `[batch]`, the given labels
    ///
    /// # Panics
    /// If a shape disagrees, the batch is empty, or `consistency` is positive and there is only one
    /// view. With [`SopConfig::validate`] also for an index or label out of range and for logits that
    /// are not finite.
    pub fn forward(
        &self,
        indices: Tensor<1, Int>,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> SopOutput {
        let given = given(&self.config, labels, &logits, self.v.val().dtype());
        self.forward_soft(indices, logits, given)
    }

    /// As [`forward`](Self::forward) with given labels from the simplex: `U` is masked by `y`, and
    /// `V` by `1 - y`.
    ///
    /// # Shapes
    /// - given: `[batch, num_classes]`, rows that sum to 1
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_soft(
        &self,
        indices: Tensor<1, Int>,
        logits: Tensor<2>,
        given: Tensor<2>,
    ) -> SopOutput {
        let indices = indices.without_autodiff();
        self.check(&indices, &logits);
        let u = self.u.val().inner().select(0, indices.clone());
        let v = self.v.val().inner().select(0, indices.clone());
        Rows { config: &self.config, u, v }.forward(indices, logits, given)
    }

    /// The loss of a batch recorded by autodiff, with gradients of `u` and `v` as for any other
    /// parameter; for [`apply_gradients`](Self::apply_gradients) or an optimizer of one's own.
    ///
    /// Same values and gradients as [`forward`](Self::forward), at the cost of a dense gradient of
    /// all `num_samples x num_classes` entries. Returns the loss, `[1]`, and its parts.
    ///
    /// # Shapes and panics
    /// As [`forward`](Self::forward).
    pub fn forward_autodiff(
        &self,
        indices: Tensor<1, Int>,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> (Tensor<1>, SopTerms) {
        let given = given(&self.config, labels, &logits, self.v.val().dtype());
        self.check(&indices, &logits);
        let u = self.u.val().select(0, indices.clone());
        let v = self.v.val().select(0, indices.clone());
        let dtype = v.dtype();
        let logits = if logits.dtype() == dtype { logits } else { logits.cast(dtype) };
        let batch = batch(&self.config, logits, u, v, given);
        let terms = Forward::new(&self.config, &batch).terms(&self.config, &batch);
        (terms.total(&self.config), terms.map(Tensor::inner))
    }

    /// Takes a plain gradient step on the rows of an update: `u -= lr_u * g`, `v -= lr_v * g`, then
    /// the projection to `[-1, 1]` if it is on.
    ///
    /// In place on Flex where nothing else holds the state; rows outside the update do not change.
    pub fn apply(mut self, update: SopUpdate) -> Self {
        let SopUpdate { indices, u, v } = update;
        let project = self.config.projects();
        self.u = step_rows(self.u, indices.clone(), u * -self.config.lr_u, project);
        self.v = step_rows(self.v, indices, v * -self.config.lr_v, project);
        self
    }

    /// Applies everything that waits in the queue; see [`PendingUpdates`].
    pub fn apply_pending(self, pending: &PendingUpdates) -> Self {
        pending.take().into_iter().fold(self, Self::apply)
    }

    /// Takes the gradients of `u` and `v` out of `gradients` and makes a plain gradient step with
    /// them; the partner of [`forward_autodiff`](Self::forward_autodiff).
    ///
    /// The step is dense. `per_sample` has no effect here, because the batch size is not known.
    pub fn apply_gradients(mut self, gradients: &mut GradientsParams) -> Self {
        let project = self.config.projects();
        let step = |param: Param<Tensor<2>>, gradient: Option<Tensor<2>>, lr: f64| match gradient {
            None => param,
            Some(gradient) => update_value(param, |value| {
                let value = value - gradient * lr;
                if project { value.clamp(-1.0, 1.0) } else { value }
            }),
        };
        let (u, v) = (gradients.remove(self.u.id), gradients.remove(self.v.id));
        self.u = step(self.u, u, self.config.lr_u);
        self.v = step(self.v, v, self.config.lr_v);
        self
    }

    /// How wrong each given label looks, `clamp(u^2, 0, 1)`, read back to the host; above 0.5 a
    /// label counts as flagged.
    ///
    /// # Shapes
    /// - output: `num_samples` values
    pub fn scores(&self) -> Vec<f32> {
        host(self.u.val().inner().powi_scalar(2).clamp(0.0, 1.0))
    }

    /// The most likely label of each sample by the state alone, `argmax(y (1 - U) + V)`, read back
    /// to the host. Where `u` is large and all of `v` small this is still the given label.
    ///
    /// # Notes
    /// A class counts from `V = 0.01` on: below that `v` may be no more than its random start.
    ///
    /// # Panics
    /// If `given` does not have one label per sample.
    pub fn suggested_labels(&self, given: &[usize]) -> Vec<usize> {
        let LabelFingerprint { num_samples, num_classes, .. } = self.config.labels;
        assert!(
            given.len() == num_samples,
            "suggested_labels: given must have {num_samples} labels, got {}",
            given.len()
        );
        let wrong = self.scores();
        let right = host(self.v.val().inner().powi_scalar(2).clamp(0.0, 1.0));
        given
            .iter()
            .enumerate()
            .map(|(sample, &label)| {
                let row = &right[sample * num_classes..(sample + 1) * num_classes];
                suggestion(label, wrong[sample], row.iter().copied().enumerate())
            })
            .collect()
    }

    /// Checks that `u` and `v` belong to the labels of the settings, which a record loaded through
    /// Burn's own stores may have changed.
    ///
    /// # Errors
    /// [`OptimizerError::WrongLabels`], with both fingerprints.
    pub fn verify(&self) -> Result<(), OptimizerError> {
        self.verify_at("the loaded noise state")
    }

    /// Writes the state to a file, to a temporary one first that is then renamed.
    ///
    /// # Errors
    /// [`OptimizerError::Io`] or [`OptimizerError::Record`], with the file.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), OptimizerError> {
        let path = path.as_ref();
        let bytes = self
            .clone()
            .into_record()
            .into_bytes()
            .map_err(|source| OptimizerError::Record { path: path.to_path_buf(), source })?;
        files::replace(path, |file| file.write_all(&bytes))
    }

    /// Reads the state from a file that [`save`](Self::save) wrote, onto this state's device and in
    /// its float type; `self` stays as it is.
    ///
    /// # Errors
    /// [`OptimizerError::Io`] if there is no such file, [`OptimizerError::Record`] if it is no
    /// record or has other shapes, [`OptimizerError::WrongLabels`] if it was trained on other labels.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Self, OptimizerError> {
        let path = path.as_ref();
        fs::metadata(path)
            .map_err(|source| OptimizerError::Io { path: path.to_path_buf(), source })?;
        let record = |source| OptimizerError::Record { path: path.to_path_buf(), source };
        let loaded = ModuleRecord::load(path).map_err(record)?.cast_to_module_dtype();
        let state = self.clone().try_load_record(loaded).map_err(record)?;
        state.verify_at(&path.display().to_string())?;
        Ok(state)
    }

    fn verify_at(&self, place: &str) -> Result<(), OptimizerError> {
        let words: Vec<i64> = self.fingerprint.val().into_data().iter::<i64>().collect();
        let found = LabelFingerprint::from_words(&words);
        let expected = self.config.labels;
        if found == expected {
            return Ok(());
        }
        Err(OptimizerError::WrongLabels { place: place.into(), expected, found })
    }

    /// What must hold before rows are gathered.
    fn check(&self, indices: &Tensor<1, Int>, logits: &Tensor<2>) {
        assert!(indices.dims()[0] > 0, "Sop: the batch must not be empty");
        if self.config.validate {
            check_range("indices", indices.clone(), self.config.labels.num_samples);
            check_finite(logits);
        }
    }
}

impl ModuleDisplay for Sop {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let LabelFingerprint { num_samples, num_classes, .. } = self.config.labels;
        content
            .add("samples", &num_samples)
            .add("classes", &num_classes)
            .add_debug_attribute("routing", &self.config.routing)
            .optional()
    }
}

fn step_rows(
    param: Param<Tensor<2>>,
    indices: Tensor<1, Int>,
    values: Tensor<2>,
    project: bool,
) -> Param<Tensor<2>> {
    update_value(param, |table| {
        let table = add_rows(table, indices.clone(), values);
        if project { clamp_rows(table, indices, -1.0, 1.0) } else { table }
    })
}

/// Replaces a parameter's plain value and keeps its id and autodiff flags.
fn update_value(
    param: Param<Tensor<2>>,
    change: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Param<Tensor<2>> {
    let (id, value, mapper) = param.consume();
    let (tracked, autodiff) = (value.is_require_grad(), value.is_autodiff());
    let mut value = change(value.inner());
    if autodiff {
        value = Tensor::from_inner(value);
    }
    if tracked {
        value = value.require_grad();
    }
    Param::from_mapped_value(id, value, mapper)
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
