//! Tables, files and pictures.

use std::fs::File;

use anyhow::Result;
use firebrick::momentum::{DescentReport, TracePoint};
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::run::{Run, write_atomically};

use crate::setup::Outcome;

pub const HEADER: [&str; 8] = [
    "algorithm",
    "steps",
    "train error",
    "test error",
    "small margins",
    "large margins",
    "max signal",
    "max noise",
];

/// Mean, and smallest and largest where they differ.
fn spread(values: &[f64], digits: usize) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let (low, high) = (min(values), max(values));
    let range = format!(" ({low:.digits$} to {high:.digits$})");
    format!("{mean:.digits$}{}", if low < high { &range } else { "" })
}

pub fn min(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

pub fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The cells below [`HEADER`].
pub fn row(name: &str, ends: &[&TracePoint]) -> Vec<String> {
    let cell = |value: fn(&TracePoint) -> Option<f64>, digits| {
        let values: Option<Vec<f64>> = ends.iter().map(|end| value(end)).collect();
        values.map_or_else(|| "-".to_string(), |values| spread(&values, digits))
    };
    vec![
        name.to_string(),
        cell(|end| Some(end.step as f64), 0),
        cell(|end| Some(end.train.total), 3),
        cell(|end| Some(end.test.total), 4),
        cell(|end| end.test.small, 3),
        cell(|end| end.test.large, 3),
        cell(|end| Some(end.max_signal()), 2),
        cell(|end| end.noise_small, 2),
    ]
}

pub const METRICS: [&str; 7] =
    ["seed", "momentum", "steps", "loss", "test_error", "test_error_small", "max_signal"];

/// A line per run, below [`METRICS`].
pub fn metrics(seeds: &[u64], runs: &[Vec<Outcome>]) -> Vec<Vec<String>> {
    let line = |seed: u64, Outcome { momentum, end }: &Outcome| {
        let small = end.test.small.map(|error| error.to_string()).unwrap_or_default();
        let numbers = [*momentum, end.step as f64, end.loss, end.test.total];
        let mut line = vec![seed.to_string()];
        line.extend(numbers.map(|number| number.to_string()));
        line.extend([small, end.max_signal().to_string()]);
        line
    };
    let lines = seeds.iter().zip(runs);
    lines.flat_map(|(&seed, run)| run.iter().map(move |outcome| line(seed, outcome))).collect()
}

/// Traces as CSV, and the pictures.
pub fn save(run: &Run, traces: &[DescentReport; 2], sweep: &[(f64, Vec<f64>)]) -> Result<()> {
    let names = ["GD", "GD+M"];
    for (report, name) in traces.iter().zip(["trace-gd.csv", "trace-gdm.csv"]) {
        if let Some(path) = run.path(name) {
            write_atomically(&path, |path| Ok(report.write_csv(File::create(path)?)?))?;
        }
    }
    let curve = |name: &str, report: &DescentReport, value: fn(&TracePoint) -> Option<f64>| {
        let points = report.trace.iter();
        let point = |point: &TracePoint| (point.step as f64, value(point).unwrap_or(f64::NAN));
        Series::new(name, points.map(point).collect())
    };
    if let Some(path) = run.path("signal.svg") {
        let mut series = Vec::new();
        for (report, name) in traces.iter().zip(names) {
            let signal = |point: &TracePoint| Some(point.max_signal());
            series.push(curve(&format!("{name}: signal"), report, signal));
            series.push(curve(&format!("{name}: noise"), report, |point| point.noise_small));
        }
        let title = "Signal and small-margin noise in the filters";
        line_chart(&path, title, "step", "largest over filters", &series)?;
    }
    if let Some(path) = run.path("error.svg") {
        let error = |point: &TracePoint| point.test.small;
        let series = [0, 1].map(|at| curve(names[at], &traces[at], error));
        line_chart(&path, "Test error on small margins", "step", "error", &series)?;
    }
    if let Some(path) = run.path("loss.svg") {
        let loss = |point: &TracePoint| Some(point.loss.log10());
        let series = [0, 1].map(|at| curve(names[at], &traces[at], loss));
        line_chart(&path, "Training loss", "step", "log10 loss", &series)?;
    }
    if let Some(path) = run.path("momentum.svg") {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let range = |values: &[f64]| {
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
                (low.min(value), high.max(value))
            })
        };
        let mut series =
            Series::new("mean and range", sweep.iter().map(|(x, ys)| (*x, mean(ys))).collect());
        series.band = Some(sweep.iter().map(|(_, ys)| range(ys)).collect());
        let title = "Test error on small margins";
        line_chart(&path, title, "momentum", "error", &[series])?;
    }
    Ok(())
}
