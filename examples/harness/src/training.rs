//! Burn's `Learner` with a progress bar, a metrics table, and checkpoints that survive a kill.

use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::store::ModuleRecord;
use burn::train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError, KeepLastNCheckpoints};
use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{AccuracyMetric, LossMetric, MetricDefinition, NumericEntry};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, LearnerModel, SupervisedTraining, TrainStep,
};

use crate::progress::Progress;
use crate::run::{Run, write_atomically};

/// One value of one metric at the end of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochValue {
    /// Epoch, from 1.
    pub epoch: usize,
    /// `train` or `valid`.
    pub split: String,
    /// `Loss` or `Accuracy` (in percent).
    pub metric: String,
    /// Mean over the epoch.
    pub value: f64,
}

/// The metrics of a training, epoch by epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History(pub Vec<EpochValue>);

impl History {
    /// (epoch, value) of one metric of one split.
    pub fn curve(&self, split: &str, metric: &str) -> Vec<(f64, f64)> {
        let chosen = self.0.iter().filter(|row| row.split == split && row.metric == metric);
        chosen.map(|row| (row.epoch as f64, row.value)).collect()
    }

    fn read(path: &Path, last_epoch: usize) -> anyhow::Result<Self> {
        let place = || format!("{}: expected epoch,split,metric,value", path.display());
        let mut rows = Vec::new();
        for record in csv::Reader::from_path(path).with_context(place)?.records() {
            let record = record.with_context(place)?;
            let field = |index: usize| record.get(index).with_context(place);
            rows.push(EpochValue {
                epoch: field(0)?.parse().with_context(place)?,
                split: field(1)?.to_string(),
                metric: field(2)?.to_string(),
                value: field(3)?.parse().with_context(place)?,
            });
        }
        rows.retain(|row| row.epoch <= last_epoch);
        Ok(Self(rows))
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        write_atomically(path, |path| {
            let mut writer = csv::Writer::from_path(path)?;
            writer.write_record(["epoch", "split", "metric", "value"])?;
            for row in &self.0 {
                let (epoch, value) = (row.epoch.to_string(), row.value.to_string());
                writer.write_record([&epoch, &row.split, &row.metric, &value])?;
            }
            Ok(writer.flush()?)
        })
    }
}

/// Trains for `epochs` epochs, going on from the newest complete checkpoint if the run is resumed.
///
/// Metrics go to `NAME/metrics.csv` and checkpoints to `NAME/checkpoint/` in the run folder. The
/// training loader is made for the number of epochs that are already done.
pub fn fit<M>(
    run: &Run,
    name: &str,
    learner: Learner<M>,
    epochs: usize,
    progress: &Progress,
    train: impl FnOnce(usize) -> Arc<dyn DataLoader<<M as TrainStep>::Input>>,
    valid: Arc<dyn DataLoader<<M as InferenceStep>::Input>>,
) -> anyhow::Result<(M, History)>
where
    M: LearnerModel
        + TrainStep<Output = ClassificationOutput>
        + InferenceStep<Output = ClassificationOutput>,
{
    let checkpoints = run.path(&format!("{name}/checkpoint"));
    let metrics = run.path(&format!("{name}/metrics.csv"));
    let done = match &checkpoints {
        Some(folder) if run.is_resumed() => newest_complete(folder),
        _ => 0,
    };
    let history = match (&metrics, done) {
        (Some(path), 1..) => History::read(path, done)?,
        _ => History::default(),
    };
    let log = EpochLog { history: Arc::new(Mutex::new(history)), path: metrics, names: vec![] };
    let history = log.history.clone();
    progress.begin(name, done);

    let folder = checkpoints.clone().unwrap_or_default();
    let mut training = SupervisedTraining::new(&folder, train(done), valid)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .with_metric_logger(log)
        .with_application_logger(None)
        .renderer(Box::new(progress.clone()))
        .num_epochs(epochs);
    if checkpoints.is_some() {
        training = training
            .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
            .with_custom_checkpointers(
                Atomic::new(&folder, PARTS[0]),
                Atomic::new(&folder, PARTS[1]),
                Atomic::new(&folder, PARTS[2]),
            );
        if done > 0 {
            check_readable(&folder, done, &learner.model())?;
            training = training.checkpoint(done);
        }
    }
    let result = training.launch(learner);
    if let Some(error) = result.error {
        bail!("training {name} stopped: {error}");
    }
    let history = history.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((result.model, history))
}

/// Burn panics on a damaged checkpoint; this names the file instead.
fn check_readable<M: Module>(folder: &Path, epoch: usize, model: &M) -> anyhow::Result<()> {
    let [model_file, optimizer, scheduler] = PARTS.map(|part| file(folder, part, epoch));
    let place = |path: &Path| format!("{}: not a checkpoint of this run", path.display());
    let record = ModuleRecord::load(&model_file).with_context(|| place(&model_file))?;
    model.clone().try_load_record(record).with_context(|| place(&model_file))?;
    OptimizerRecord::load(&optimizer).with_context(|| place(&optimizer))?;
    LrSchedulerRecord::load(&scheduler).with_context(|| place(&scheduler))?;
    Ok(())
}

const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

fn file(folder: &Path, part: &str, epoch: usize) -> PathBuf {
    folder.join(format!("{part}-{epoch}.bpk"))
}

/// The last epoch of which every part is there; 0 if there is none.
fn newest_complete(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let epoch =
        |name: &str| name.strip_prefix("model-")?.strip_suffix(".bpk")?.parse::<usize>().ok();
    entries
        .filter_map(|entry| epoch(entry.ok()?.file_name().to_str()?))
        .filter(|&epoch| PARTS.iter().all(|part| file(folder, part, epoch).is_file()))
        .max()
        .unwrap_or(0)
}

/// Writes each record to a temporary file and renames it, so that a killed run leaves either the
/// whole file or none.
struct Atomic<R> {
    folder: PathBuf,
    part: &'static str,
    record: PhantomData<fn() -> R>,
}

impl<R> Atomic<R> {
    fn new(folder: &Path, part: &'static str) -> Self {
        Self { folder: folder.to_path_buf(), part, record: PhantomData }
    }
}

impl<R: Checkpoint> Checkpointer<R> for Atomic<R> {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        fs::create_dir_all(&self.folder).map_err(CheckpointerError::IOError)?;
        write_atomically(&file(&self.folder, self.part, epoch), |path| {
            Ok(record.save(path.to_path_buf())?)
        })
        .map_err(|error| CheckpointerError::Unknown(format!("{error:#}")))
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        R::load(file(&self.folder, self.part, epoch))
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        let path = file(&self.folder, self.part, epoch);
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CheckpointerError::IOError(error))
            }
            _ => Ok(()),
        }
    }
}

/// Collects the epoch means and writes them at the end of every split of an epoch.
struct EpochLog {
    history: Arc<Mutex<History>>,
    path: Option<PathBuf>,
    names: Vec<MetricDefinition>,
}

impl EpochLog {
    fn set(&self, epoch: usize, split: &Split, metric: &str, value: f64) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let split = split.to_string();
        let same = |row: &&mut EpochValue| {
            row.epoch == epoch && row.split == split && row.metric == metric
        };
        match history.0.iter_mut().find(same) {
            Some(row) => row.value = value,
            None => history.0.push(EpochValue { epoch, split, metric: metric.into(), value }),
        }
    }
}

impl MetricLogger for EpochLog {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        for update in update.entries_numeric {
            let is =
                |definition: &&MetricDefinition| definition.metric_id == update.entry.metric_id;
            let value = match (&update.numeric_entry, &update.running_entry) {
                (Some(last @ NumericEntry::Final(_)), _) | (_, Some(last)) => last.current(),
                _ => continue,
            };
            if let Some(definition) = self.names.iter().find(is) {
                self.set(epoch, split, &definition.name, value);
            }
        }
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let split = split.to_string();
        let rows = history.0.iter();
        let rows =
            rows.filter(|row| row.epoch == epoch && row.metric == name && row.split == split);
        Ok(rows.map(|row| NumericEntry::Final(row.value)).collect())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.push(definition);
    }

    fn log_epoch_summary(&mut self, _: EpochSummary) {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path
            && let Err(error) = history.write(path)
        {
            eprintln!("{}: metrics could not be written: {error:#}", path.display());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn resumes_from_the_newest_checkpoint_that_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest_complete(&folder.path().join("none")), 0);
        for (part, epoch) in
            [("model", 3), ("optim", 3), ("scheduler", 3), ("model", 4), ("optim", 4)]
        {
            fs::write(file(folder.path(), part, epoch), "").unwrap();
        }
        fs::write(folder.path().join("model-x.bpk"), "").unwrap();
        assert_eq!(newest_complete(folder.path()), 3);
    }

    #[test]
    fn metrics_after_the_checkpoint_are_dropped_on_resume() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let row = |epoch, value| EpochValue {
            epoch,
            split: "valid".into(),
            metric: "Loss".into(),
            value,
        };
        History(vec![row(1, 0.1 + 0.2), row(2, 0.25), row(3, 1.0)]).write(&path).unwrap();
        let history = History::read(&path, 2).unwrap();
        assert_eq!(history.curve("valid", "Loss"), [(1.0, 0.1 + 0.2), (2.0, 0.25)]);
        assert!(History::read(&folder.path().join("none.csv"), 2).is_err());
    }
}
