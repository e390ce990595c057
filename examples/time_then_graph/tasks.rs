//! Sequences to classify and windows to forecast.

use anyhow::{Context, Result};
use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick::data::temporal_graph;
use firebrick::datasets::temporal::{
    Absent, DynCslConfig, MinMaxScaler, Parts, TemporalGraphData, Window, Windows, chronological,
    interleaved,
};
use firebrick::forecasting::{last_value, window_mean};
use firebrick::models::temporal::TemporalGraph;

/// Windows with what is to be found out about them.
pub struct Batch<T> {
    pub graph: TemporalGraph,
    pub targets: T,
}

/// Sequences of circular skip links in three parts.
pub struct Classification {
    pub train: Vec<Batch<Tensor<1, Int>>>,
    pub validation: Batch<Tensor<1, Int>>,
    pub test: Batch<Tensor<1, Int>>,
}

impl Classification {
    pub fn new(count: usize, batch: usize, seed: u64, device: &Device) -> Result<Self> {
        let sequences = DynCslConfig::new().generate(count, seed)?;
        let make = |part: &[usize], device: &Device| -> Result<_> {
            let graphs: Vec<_> = part.iter().map(|&at| &sequences[at].graph).collect();
            let labels: Vec<i64> = part.iter().map(|&at| sequences[at].label as i64).collect();
            let graph = temporal_graph(&graphs, Absent::MinusOne, device)?;
            let targets = Tensor::from_data(TensorData::new(labels, [part.len()]), device);
            Ok(Batch { graph, targets })
        };
        let parts = chronological(count, [7, 1, 2], 0)?;
        let train: Result<Vec<_>> =
            parts.train.chunks(batch).map(|part| make(part, device)).collect();
        let inner = device.clone().inner();
        let (validation, test) = (make(&parts.validation, &inner)?, make(&parts.test, &inner)?);
        Ok(Self { train: train?, validation, test })
    }
}

/// How windows are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Chronological,
    Interleaved,
}

/// Windows of a sequence in three parts, scaled; targets are `[windows * nodes, features]`.
pub struct Forecasting {
    pub train: Vec<Batch<Tensor<2>>>,
    pub validation: Batch<Tensor<2>>,
    pub test: Batch<Tensor<2>>,
    pub truth: Vec<f64>,
    pub last: Vec<f64>,
    pub mean: Vec<f64>,
    pub scaler: MinMaxScaler,
    pub outputs: usize,
}

impl Forecasting {
    /// The first `outputs` features are to be forecast.
    pub fn new(
        data: &TemporalGraphData,
        (history, outputs, batch): (usize, usize, usize),
        split: Split,
        device: &Device,
    ) -> Result<Self> {
        let windows = Windows::new(history).over(data.num_steps())?;
        let parts = match split {
            Split::Chronological => chronological(windows.len(), [7, 1, 2], 0)?,
            Split::Interleaved => interleaved(windows.len()),
        };
        let scaler = MinMaxScaler::fit_steps(data, fitted(&windows, &parts, split))?;
        let weights = MinMaxScaler::fit_weights(data, 0..data.num_steps())?;
        let scaled = weights.weights(&scaler.features(data)?)?;
        let make = |part: &[usize], device: &Device| {
            let part: Vec<Window> = part.iter().map(|&at| windows[at]).collect();
            batch_of(&scaled, &part, outputs, device)
        };
        let train: Result<Vec<_>> =
            parts.train.chunks(batch).map(|part| make(part, device)).collect();
        let inner = device.clone().inner();
        let (validation, test) = (make(&parts.validation, &inner)?, make(&parts.test, &inner)?);
        let (mut truth, mut last, mut mean) = (Vec::new(), Vec::new(), Vec::new());
        for window in parts.test.iter().map(|&at| windows[at]) {
            let width = data.num_nodes() * outputs;
            let past: Vec<f64> =
                window.inputs().flat_map(|step| columns(&scaled, step, outputs)).collect();
            truth.extend(window.targets().flat_map(|step| columns(&scaled, step, outputs)));
            last.extend(last_value(&past, width));
            mean.extend(window_mean(&past, width));
        }
        Ok(Self { train: train?, validation, test, truth, last, mean, scaler, outputs })
    }

    /// Values of the first feature in its own units.
    pub fn unscaled(&self, scaled: &[f64]) -> Vec<f64> {
        let first = scaled.iter().step_by(self.outputs);
        first.map(|&value| f64::from(self.scaler.inverse(0, value as f32))).collect()
    }
}

/// The steps that scaling is fitted on: all of the training windows, or, as published with the
/// interleaved split, those whose numbers are the numbers of training windows.
fn fitted(windows: &[Window], parts: &Parts, split: Split) -> Vec<usize> {
    match split {
        Split::Interleaved => parts.train.clone(),
        Split::Chronological => {
            let end = parts.train.last().map_or(0, |&at| windows[at].targets().end);
            (0..end).collect()
        }
    }
}

fn columns(data: &TemporalGraphData, step: usize, outputs: usize) -> Vec<f64> {
    let rows = data.features_of(step).chunks(data.num_features());
    rows.flat_map(|row| row[..outputs].iter().map(|&value| f64::from(value))).collect()
}

fn batch_of(
    data: &TemporalGraphData,
    windows: &[Window],
    outputs: usize,
    device: &Device,
) -> Result<Batch<Tensor<2>>> {
    let parts: Result<Vec<_>, _> =
        windows.iter().map(|window| data.window(window.inputs())).collect();
    let parts = parts?;
    let views: Vec<&TemporalGraphData> = parts.iter().collect();
    let graph = temporal_graph(&views, Absent::MinusOne, device).context("a batch of windows")?;
    let targets: Vec<f64> =
        windows.iter().flat_map(|window| columns(data, window.targets().start, outputs)).collect();
    let shape = [targets.len() / outputs, outputs];
    Ok(Batch { graph, targets: Tensor::from_data(TensorData::new(targets, shape), device) })
}
