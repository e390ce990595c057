//! The table of results, the charts, and the metrics.

use anyhow::Result;
use firebrick::generalization::combine;
use firebrick_harness::claims::{mean_std, table};
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::run::Run;

use crate::setup::{Job, Outcome, Settings};

/// Runs of one method, scale, noise and size; only the seeds differ.
pub fn groups(outcomes: &[Outcome]) -> Vec<&[Outcome]> {
    outcomes.chunk_by(|a, b| a.job.without_seed() == b.job.without_seed()).collect()
}

/// The table of all runs.
pub fn report(name: &str, settings: &Settings, outcomes: &[Outcome]) {
    println!("\n{} on {name}, {} steps:", settings.dataset(), settings.steps());
    let header = [
        "method",
        "alpha",
        "random labels",
        "n",
        "seeds",
        "train error",
        "test error",
        "paper's bound",
        "its condition held in",
        "unconditional (ours)",
        "measured LSD (ours)",
        "last discrepancy",
    ];
    let line = |runs: &&[Outcome]| {
        let mean = |value: fn(&Outcome) -> f64| {
            format!("{:.3}", mean_std(&runs.iter().map(value).collect::<Vec<_>>()).0)
        };
        let Job { method, alpha, noise, num_train, .. } = &runs[0].job;
        // A seed is a data set with one run on it.
        let bounds = combine(&runs.iter().map(|o| vec![o.report.clone()]).collect::<Vec<_>>());
        let bound = |index: usize| match bounds[index].value {
            Some(value) if index != 2 || bounds[index].holds == Some(true) => format!("{value:.3}"),
            Some(_) => "not usable".into(),
            None => "-".into(),
        };
        let held = runs.iter().map(|o| o.report.conditions_held());
        let (held, all) = held.fold((0, 0), |(a, b), (held, all)| (a + held, b + all));
        vec![
            method.clone(),
            format!("{alpha:.4}"),
            noise.to_string(),
            num_train.to_string(),
            runs.len().to_string(),
            mean(|o| o.train_error),
            mean(|o| o.test_error),
            bound(0),
            format!("{held} of {all}"),
            bound(1),
            bound(2),
            mean(|o| o.last_discrepancy()),
        ]
    };
    println!("{}", table(&header, &groups(outcomes).iter().map(line).collect::<Vec<_>>()));
}

/// Charts and metrics of all runs.
pub fn pictures(run: &Run, device: &str, outcomes: &[Outcome]) -> Result<()> {
    let name = |file: &str| format!("{}-{file}", device.replace([':', '/'], "-"));
    let header = ["run", "train error", "test error", "paper bound", "unconditional bound"];
    let line = |o: &Outcome| {
        let numbers = [o.train_error, o.test_error, o.bound(), o.report.unconditional()];
        [o.job.name()].into_iter().chain(numbers.map(|number| number.to_string())).collect()
    };
    run.write_csv(&name("metrics.csv"), &header, outcomes.iter().map(line))?;

    let rows: Vec<&Outcome> =
        outcomes.iter().filter(|o| o.job.method == "sgld" && o.job.is_row()).collect();
    if let Some(path) = run.path(&name("errors.svg")) {
        let series = [
            over(&rows, "training error", |o| o.train_error),
            over(&rows, "test error", |o| o.test_error),
            over(&rows, "training + unconditional", |o| o.train_error + o.report.unconditional()),
            over(&rows, "training + paper's bound", |o| o.train_error + o.bound()),
        ];
        let title = "SGLD: errors and what the bounds promise";
        line_chart(&path, title, "share of random labels", "error", &series)?;
    }
    if let Some(path) = run.path(&name("discrepancy.svg")) {
        let first = rows.first().map(|o| o.job.seed);
        let curves = rows.iter().filter(|o| Some(o.job.seed) == first);
        let series: Vec<Series> = curves
            .map(|o| {
                let points = o.report.measurements().iter().map(|m| (m.step as f64, m.discrepancy));
                Series::new(format!("{:.0} % random", 100.0 * o.job.noise), points.collect())
            })
            .collect();
        line_chart(&path, "Gradient discrepancy", "step", "discrepancy", &series)?;
    }
    let signs: Vec<&Outcome> = outcomes.iter().filter(|o| o.job.method == "sign").collect();
    if let (Some(path), [_, _, ..]) = (run.path(&name("scale.svg")), &signs[..]) {
        let line = |name: &str, value: fn(&Outcome) -> f64| {
            let point = |o: &&Outcome| (o.job.alpha.log10(), value(o).log10());
            let chosen = signs.iter().filter(|o| o.job.alpha >= 0.01);
            Series::new(name, chosen.map(point).collect())
        };
        let series = [
            line("training error", |o| o.train_error),
            line("test error", |o| o.test_error),
            line("paper's bound", |o| o.bound()),
            line("unconditional bound", |o| o.report.unconditional()),
        ];
        let title = "Noisy sign-SGD: the price of a sharper bound";
        line_chart(&path, title, "alpha (log10)", "error (log10)", &series)?;
    }
    Ok(())
}

/// Mean over the seeds, with a band of one standard deviation, over the share of random labels.
fn over(rows: &[&Outcome], name: &str, value: fn(&Outcome) -> f64) -> Series {
    let noises = rows.chunk_by(|a, b| a.job.without_seed() == b.job.without_seed());
    let (mut points, mut band) = (Vec::new(), Vec::new());
    for runs in noises {
        let Job { noise, .. } = runs[0].job;
        let (mean, deviation) = mean_std(&runs.iter().map(|o| value(o)).collect::<Vec<_>>());
        points.push((noise, mean));
        band.push((mean - deviation, mean + deviation));
    }
    Series { band: Some(band), ..Series::new(name, points) }
}
