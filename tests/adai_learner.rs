//! Adai and EFLD in Burn's `Learner`: checkpoints, resuming, and the step that forgets Adai's first
//! pass.
#![recursion_limit = "256"]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::step::StepLrSchedulerConfig;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::logger::FileMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::{Learner, LearningResult, SupervisedTraining};
use firebrick::data::LabeledDataset;
use firebrick::datasets::{digits, stratified_split};
use firebrick::models::vision::{SmallCnn, SmallCnnConfig};
use firebrick::optimizers::adai::{AdaiConfig, AdaiHandle};
use firebrick::optimizers::efld::{EfldConfig, NoiseScale, Schedule};
use firebrick::train::NoisyLabelLearner;
use firebrick_harness::progress::Progress;

const EPOCHS: usize = 6;
const BROKEN_AT: usize = 3;

type Model = NoisyLabelLearner<SmallCnn, 4>;

/// Weights of a wave, so that two models start equal.
struct Wave(usize);

impl ModuleMapper for Wave {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value, mapper) = param.consume();
        let len = value.shape().num_elements();
        let numbers: Vec<f32> =
            (0..len).map(|i| 0.2 * ((i + self.0) as f32 * 0.7311).sin()).collect();
        self.0 += len;
        let value = Tensor::from_data(TensorData::new(numbers, value.shape()), &value.device());
        Param::from_mapped_value(id, value.require_grad(), mapper)
    }
}

fn network(device: &Device) -> SmallCnn {
    SmallCnnConfig::new([1, 8, 8], 10).with_channels([4, 8]).with_hidden(16).init(device)
}

fn data() -> LabeledDataset {
    let all = LabeledDataset::new(digits());
    let parts = stratified_split(all.labels(), 10, &[256, 64], 0).expect("there are enough");
    all.select(&parts[0])
}

fn adai() -> (ModuleOptimizer, Option<AdaiHandle>) {
    let adai = AdaiConfig::adaiw().with_weight_decay(1e-3).with_max_global_norm(Some(1.0)).init();
    let (optimizer, handle) = adai.into_parts();
    (optimizer, Some(handle))
}

/// With noise whose scale depends on the step as well.
fn sgld() -> (ModuleOptimizer, Option<AdaiHandle>) {
    let alpha = Schedule::Power { initial: 0.1, exponent: 0.25 };
    (EfldConfig::sgld().with_scale(Some(NoiseScale::Alpha(alpha))).init(), None)
}

type Method = fn() -> (ModuleOptimizer, Option<AdaiHandle>);

/// Trains into `folder`, from the checkpoint after epoch `done` if it is not 0.
fn train(
    method: Method,
    folder: &Path,
    done: usize,
    epochs: usize,
    phase: usize,
) -> LearningResult<Model> {
    let device = Device::flex().autodiff();
    let (optimizer, handle) = method();
    let network = network(&device).map(&mut Wave(phase));
    let model = NoisyLabelLearner::new(network);
    let model = match &handle {
        Some(handle) => model.with_adai(handle.clone()),
        None => model,
    };
    let schedule = StepLrSchedulerConfig::new(0.3, 20).with_gamma(0.8).init().expect("a schedule");
    let data = data();
    let loader = || data.loader::<4>(64).device(device.clone());
    let shuffled = Arc::new(loader().shuffle(1).first_epoch(done));
    let training = SupervisedTraining::new(folder, shuffled, Arc::new(loader()))
        .metrics((LossMetric::new(),))
        .with_metric_logger(FileMetricLogger::new(folder))
        .with_application_logger(None)
        .with_default_checkpointers()
        .renderer(Box::new(Progress::new(EPOCHS)))
        .num_epochs(epochs);
    let training = if done > 0 { training.checkpoint(done) } else { training };
    let result = training.launch(Learner::new(model, optimizer, schedule));
    if let Some(handle) = handle {
        assert_report(&handle);
    }
    result
}

fn assert_report(handle: &AdaiHandle) {
    let mean = handle.report().expect("steps were made").mean;
    assert!(mean > 0.0 && mean < 1.0, "{mean}");
}

/// Losses of all batches of an epoch, as text.
fn losses(folder: &Path, split: &str, epoch: usize) -> String {
    let path = folder.join(format!("{split}/epoch-{epoch}/Loss.log"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn assert_resumes(method: Method) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    assert!(train(method, &whole, 0, EPOCHS, 0).error.is_none());
    assert!(train(method, &broken, 0, BROKEN_AT, 0).error.is_none());
    // Everything fresh, with other weights: all comes from the folder.
    assert!(train(method, &broken, BROKEN_AT, EPOCHS, 99).error.is_none());
    for epoch in 1..=EPOCHS {
        for split in ["train", "valid"] {
            let expected = losses(&whole, split, epoch);
            assert_eq!(losses(&broken, split, epoch), expected, "{split}, epoch {epoch}");
        }
    }
    assert_ne!(losses(&whole, "train", 1), losses(&whole, "train", EPOCHS));
}

#[test]
fn a_run_of_adai_resumed_from_its_checkpoint_folder_has_the_losses_of_a_whole_one() {
    assert_resumes(adai);
}

#[test]
fn a_run_of_sgld_resumed_from_its_checkpoint_folder_has_the_losses_of_a_whole_one() {
    assert_resumes(sgld);
}

#[test]
fn a_learner_without_the_handle_stops_with_the_call_to_make() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let device = Device::flex().autodiff();
    let (optimizer, _) = AdaiConfig::new().init().into_parts();
    let model = Model::new(network(&device));
    let data = data();
    let loader = || Arc::new(data.loader::<4>(64).device(device.clone()));
    let training = SupervisedTraining::new(folder.path(), loader(), loader())
        .metrics((LossMetric::new(),))
        .with_application_logger(None)
        .renderer(Box::new(Progress::new(1)))
        .num_epochs(1);
    let learner = Learner::new(model, optimizer, 0.1);
    let run = std::panic::AssertUnwindSafe(|| training.launch(learner));
    let message = match std::panic::catch_unwind(run) {
        Ok(result) => result.error.expect("no step was possible").to_string(),
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or_default().to_string(),
    };
    assert!(message.contains("AdaiHandle::step"), "{message}");
}
