//! Tables, claims and pictures.

use anyhow::Result;
use firebrick_harness::claims::{Claims, mean_std, table};
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::run::Run;

use crate::models::Kind;
use crate::tasks::{Forecasting, Split};
use crate::training::{Outcome, Scores};

fn of(outcomes: &[Outcome], kind: Kind, value: impl Fn(&Outcome) -> f64) -> Vec<f64> {
    outcomes.iter().filter(|outcome| outcome.kind == kind).map(value).collect()
}

fn spread(values: &[f64], digits: usize) -> String {
    let (mean, deviation) = mean_std(values);
    format!("{mean:.digits$} ± {deviation:.digits$}")
}

fn kinds(outcomes: &[Outcome]) -> Vec<Kind> {
    Kind::ALL.into_iter().filter(|kind| outcomes.iter().any(|o| o.kind == *kind)).collect()
}

pub fn classification(outcomes: &[Outcome], claims: &mut Claims) {
    let header = ["model", "test %", "epochs to 99 % validation", "s per epoch", "peak MB"];
    let row = |&kind: &Kind| {
        let reached = |o: &Outcome| {
            let at = o.history.iter().position(|epoch| epoch[1] >= 0.99);
            at.map_or(f64::NAN, |at| at as f64 + 1.0)
        };
        let epochs = mean_std(&of(outcomes, kind, reached)).0;
        vec![
            kind.name().to_owned(),
            spread(&of(outcomes, kind, |o| o.test.accuracy), 1),
            if epochs.is_nan() { "-".to_owned() } else { format!("{epochs:.1}") },
            format!("{:.3}", mean_std(&of(outcomes, kind, |o| o.seconds_per_epoch)).0),
            format!("{:.1}", mean_std(&of(outcomes, kind, |o| o.megabytes)).0),
        ]
    };
    let kinds = kinds(outcomes);
    println!("\nNumber of different skips in a sequence, 4 classes");
    println!("{}", table(&header, &kinds.iter().map(row).collect::<Vec<_>>()));
    let accuracy = |kind| of(outcomes, kind, |o| o.test.accuracy);
    let lowest = accuracy(Kind::GruSum).into_iter().fold(f64::INFINITY, f64::min);
    let claim = "skips: sum variant within 10 epochs, lowest test accuracy";
    claims.check_quick(claim, ">= 99 %", format!("{lowest:.1} %"), lowest >= 99.0);
    let blind = |kind: &&Kind| !kind.sees_union();
    let all: Vec<f64> = kinds.iter().filter(blind).flat_map(|&kind| accuracy(kind)).collect();
    let (low, high) = all.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), &a| (l.min(a), h.max(a)));
    let holds = low >= 15.0 && high <= 35.0;
    let claim = "skips: time-and-graph and GCN, lowest and highest test accuracy";
    claims.check_quick(claim, "25 ± 10 %", format!("{low:.1} %, {high:.1} %"), holds);
    let seconds = |kind| mean_std(&of(outcomes, kind, |o| o.seconds_per_epoch)).0;
    let others = kinds.iter().filter(|kind| !kind.is_time_first());
    let fastest = others.map(|&kind| seconds(kind)).fold(f64::INFINITY, f64::min);
    let here = format!("{:.3} s, {fastest:.3} s", seconds(Kind::GruSum));
    let claim = "skips: an epoch of the sum variant against the fastest time-and-graph network";
    claims.check(claim, "less", here, seconds(Kind::GruSum) < fastest);
}

pub fn pair(pair: &[(Kind, f64, f64)], claims: &mut Claims) {
    println!(
        "\nTwo sequences whose snapshots look alike: largest |output A - output B| over 20 starts"
    );
    let row = |&(kind, low, high): &(Kind, f64, f64)| {
        vec![kind.name().to_owned(), format!("{low:.1e}"), format!("{high:.1e}")]
    };
    let rows: Vec<_> = pair.iter().map(row).collect();
    println!("{}", table(&["model", "smallest", "largest"], &rows));
    let blind = pair.iter().filter(|(kind, ..)| !kind.sees_union());
    let largest = blind.map(|&(_, _, high)| high).fold(0.0, f64::max);
    let claim = "pair: time-and-graph and GCN, largest difference";
    claims.check_quick(claim, "<= 1e-6", format!("{largest:.1e}"), largest <= 1e-6);
    let seeing = pair.iter().filter(|(kind, ..)| kind.sees_union());
    let smallest = seeing.map(|&(_, low, _)| low).fold(f64::INFINITY, f64::min);
    let claim = "pair: time-then-graph with sum and GINE, smallest difference";
    claims.check_quick(claim, "> 1e-4", format!("{smallest:.1e}"), smallest > 1e-4);
}

pub fn forecast(
    (name, split): (&str, Split),
    task: &Forecasting,
    outcomes: &[Outcome],
    claims: &mut Claims,
) {
    let kinds = kinds(outcomes);
    let header =
        ["model", "MAE", "RMSE", "scaled RMSE", "smoothed MAPE %", "s per epoch", "peak MB"];
    let mut rows: Vec<Vec<String>> = Vec::new();
    for &kind in &kinds {
        rows.push(vec![
            kind.name().to_owned(),
            spread(&of(outcomes, kind, |o| o.test.mae), 2),
            spread(&of(outcomes, kind, |o| o.test.rmse), 2),
            spread(&of(outcomes, kind, |o| o.test.scaled_rmse), 4),
            spread(&of(outcomes, kind, |o| o.test.smoothed_mape), 2),
            format!("{:.3}", mean_std(&of(outcomes, kind, |o| o.seconds_per_epoch)).0),
            format!("{:.1}", mean_std(&of(outcomes, kind, |o| o.megabytes)).0),
        ]);
    }
    let trivial = [("last value", &task.last), ("mean of the window", &task.mean)];
    let [last, _] = trivial.map(|(name, values)| {
        let scores = Scores::of(task, values);
        let numbers = [(scores.mae, 2), (scores.rmse, 2), (scores.scaled_rmse, 4)];
        let mut row = vec![name.to_owned()];
        row.extend(numbers.map(|(number, digits)| format!("{number:.digits$}")));
        row.push(format!("{:.2}", scores.smoothed_mape));
        row.extend(["-".to_owned(), "-".to_owned()]);
        rows.push(row);
        scores
    });
    println!("\n{name}, {split:?} split, {} seeds", of(outcomes, kinds[0], |_| 0.0).len());
    println!("{}", table(&header, &rows));
    let first = outcomes.iter().find(|o| o.kind == Kind::GruGcn).map(|o| &o.history);
    if let Some([first, .., end]) = first.map(Vec::as_slice) {
        let here = format!("{:.4}, {:.4}", first[0], end[0]);
        let claim = format!("{name}, {split:?}: training loss falls, first and last epoch");
        claims.check_quick(claim, "first > last", here, end[0] < first[0]);
    }
    let percent = mean_std(&of(outcomes, Kind::GruGcn, |o| o.test.smoothed_mape)).0;
    if name == "england_covid" && split == Split::Interleaved {
        let here = format!("{percent:.2} %");
        let claim = "england_covid: mean smoothed MAPE against the reference's 2.80 to 2.81 %";
        claims.check(claim, "2.65 to 2.96 %", here, (2.65..=2.96).contains(&percent));
        let here = format!("{percent:.2} %, {:.2} %", last.smoothed_mape);
        let claim = "england_covid: smoothed MAPE against the last value's";
        claims.check(claim, "less", here, percent < last.smoothed_mape);
    }
}

/// Every epoch as CSV, and pictures of the training curves and of the error by model.
pub fn save(run: &Run, name: &str, label: &str, outcomes: &[Outcome], sign: f64) -> Result<()> {
    let lines = outcomes.iter().flat_map(|outcome| {
        outcome.history.iter().enumerate().map(move |(epoch, [loss, score])| {
            let numbers = [loss.to_string(), (sign * score).to_string()];
            let mut line = vec![outcome.kind.name().to_owned(), outcome.seed.to_string()];
            line.push((epoch + 1).to_string());
            line.extend(numbers);
            line
        })
    });
    run.write_csv(&format!("{name}.csv"), &["model", "seed", "epoch", "loss", label], lines)?;
    let curve = |&kind: &Kind| {
        let runs: Vec<_> = outcomes.iter().filter(|outcome| outcome.kind == kind).collect();
        let epochs = runs.iter().map(|run| run.history.len()).min().unwrap_or(0);
        let point = |epoch: usize| {
            let values: Vec<f64> = runs.iter().map(|run| sign * run.history[epoch][1]).collect();
            (epoch as f64 + 1.0, mean_std(&values).0)
        };
        Series::new(kind.name(), (0..epochs).map(point).collect())
    };
    let series: Vec<Series> = kinds(outcomes).iter().map(curve).collect();
    if let Some(path) = run.path(&format!("{name}-curves.svg")) {
        line_chart(
            &path,
            &format!("Validation, mean over seeds: {name}"),
            "epoch",
            label,
            &series,
        )?;
    }
    Ok(())
}

/// Scores of each model, one point per seed.
pub fn by_model(
    run: &Run,
    name: &str,
    label: &str,
    outcomes: &[Outcome],
    value: impl Fn(&Outcome) -> f64 + Copy,
) -> Result<()> {
    let points = |(at, &kind): (usize, &Kind)| {
        let values = of(outcomes, kind, value);
        Series::new(kind.name(), values.iter().map(|&v| (at as f64 + 1.0, v)).collect())
    };
    let series: Vec<Series> = kinds(outcomes).iter().enumerate().map(points).collect();
    let Some(path) = run.path(&format!("{name}-models.svg")) else { return Ok(()) };
    line_chart(
        &path,
        &format!("Test, every seed: {name}"),
        "model, in the legend's order",
        label,
        &series,
    )
}
