//! The pictures of a run.

use anyhow::Result;
use firebrick_harness::plot::{Series, histogram, line_chart};
use firebrick_harness::run::Run;
use firebrick_harness::sheet::{Tile, contact_sheet};

use crate::training::{Outcome, Suspect};

/// Accuracy curves, score histogram, and the most suspicious images; the names of the files start
/// with `prefix`.
pub fn pictures(run: &Run, prefix: &str, outcomes: &[Outcome]) -> Result<()> {
    let path = |name: &str| run.path(&format!("{prefix}{name}"));
    if let Some(path) = path("accuracy.svg") {
        let title = "Accuracy on clean validation data (mean and range over seeds)";
        line_chart(&path, title, "epoch", "accuracy in %", &curves(outcomes))?;
    }
    let Some(sop) = outcomes.iter().find(|outcome| outcome.method.starts_with("sop")) else {
        return Ok(());
    };
    if let Some(path) = path("scores.svg") {
        let of = |flipped| {
            let pairs = sop.scores.iter().zip(&sop.flipped);
            pairs.filter(|(_, f)| **f == flipped).map(|(score, _)| *score).collect()
        };
        let groups = [("label is right", of(false)), ("label is wrong", of(true))];
        histogram(&path, "Scores of the training samples", "u²", &groups, (0.0, 1.0), 40)?;
    }
    if let (Some(path), false) = (path("suspects.png"), sop.tiles.is_empty()) {
        let tile = |suspect: &Suspect| Tile {
            // The first channel is enough to recognize the image.
            pixels: suspect.pixels[..suspect.shape[1] * suspect.shape[2]].to_vec(),
            height: suspect.shape[1],
            width: suspect.shape[2],
            given: suspect.given.to_string(),
            suggested: suspect.suggested.to_string(),
        };
        contact_sheet(&path, &sop.tiles.iter().map(tile).collect::<Vec<_>>(), 10)?;
    }
    Ok(())
}

/// Validation accuracy of every method on every device: mean and range over the seeds.
fn curves(outcomes: &[Outcome]) -> Vec<Series> {
    let mut curves = Vec::new();
    let mut kinds: Vec<(&str, &str)> =
        outcomes.iter().map(|o| (o.device.as_str(), o.method.as_str())).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for (device, method) in kinds {
        let runs: Vec<&Outcome> =
            outcomes.iter().filter(|o| o.device == device && o.method == method).collect();
        let epochs = runs.iter().map(|run| run.validation.len()).min().unwrap_or(0);
        let mut series = Series::new(format!("{method} on {device}"), Vec::new());
        let mut band = Vec::new();
        for epoch in 0..epochs {
            let values: Vec<f64> = runs.iter().map(|run| run.validation[epoch].1).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            series.points.push((runs[0].validation[epoch].0, mean));
            let bound = |f: fn(f64, f64) -> f64, start| values.iter().copied().fold(start, f);
            band.push((bound(f64::min, f64::INFINITY), bound(f64::max, f64::NEG_INFINITY)));
        }
        series.band = Some(band);
        curves.push(series);
    }
    curves
}
