//! Tables, pictures and claims of the three experiments.

use anyhow::Result;
use firebrick_harness::claims::{Claims, mean_std, table};
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::run::Run;

use crate::Settings;
use crate::classification::{OPTIMIZERS, Outcome, SGD_M, at, chosen};
use crate::particles::{Method, minima, saddle};

/// A: the ratios that tell the methods apart, and SGD against its closed form.
pub fn saddle(run: &Run, claims: &mut Claims, squares: &[(Method, [f64; 6])]) -> Result<()> {
    println!("\nA. Mean square distance from a saddle after {} steps", saddle::STEPS);
    let names = saddle::CURVATURES.map(|h| format!("h = {h}"));
    let header: Vec<&str> =
        ["method"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let line = |name: &str, values: &[f64; 6]| {
        [name.to_string()].into_iter().chain(values.map(|x| format!("{x:.2e}"))).collect()
    };
    let exact = saddle::CURVATURES.map(saddle::sgd);
    let mut lines: Vec<Vec<String>> =
        squares.iter().map(|(method, values)| line(method.name(), values)).collect();
    lines.push(line("SGD, closed form", &exact));
    println!("{}", table(&header, &lines));
    run.write_csv("saddle.csv", &header, lines)?;

    let of = |method| squares.iter().find(|(other, _)| *other == method).expect("all methods").1;
    let (sgd, adam, adai) = (of(Method::Sgd), of(Method::Adam), of(Method::Adai));
    let error = sgd.iter().zip(exact).map(|(x, exact)| (x / exact - 1.0).abs()).fold(0.0, f64::max);
    claims.check_quick(
        "A: SGD, distance to the closed form",
        "<= 5 %",
        percent(error),
        error <= 0.05,
    );
    let gain = adai[0] / sgd[0];
    claims.check_quick("A: flattest direction, Adai over SGD", ">= 3", two(gain), gain >= 3.0);
    let ratio = |values: [f64; 6]| values[2] / values[0];
    let (of_sgd, of_adai, of_adam) = (ratio(sgd), ratio(adai), ratio(adam));
    claims.check_quick("A: steepest over flattest, SGD", "> 60", two(of_sgd), of_sgd > 60.0);
    claims.check_quick("A: the same, Adai", "< 35", two(of_adai), of_adai < 35.0);
    claims.check_quick("A: the same, Adam", "< 3", two(of_adam), of_adam < 3.0);
    if let Some(path) = run.path("saddle.svg") {
        let points = |values: &[f64; 6]| {
            (0..3).map(|i| (saddle::CURVATURES[i].abs().log10(), values[i].log10())).collect()
        };
        let series: Vec<Series> = squares
            .iter()
            .map(|(method, values)| Series::new(method.name(), points(values)))
            .collect();
        let title = "Way from a saddle along directions of negative curvature";
        line_chart(&path, title, "log10 |curvature|", "log10 mean square distance", &series)?;
    }
    Ok(())
}

/// B: slopes against theory, and how much longer the flat minimum holds than the sharp one.
pub fn minima(run: &Run, claims: &mut Claims, times: &[(Method, [f64; 5])]) -> Result<()> {
    println!("\nB. Logarithm of the mean number of steps to leave a minimum");
    let names = minima::STRETCHES.map(|k| format!("k = {k}"));
    let header: Vec<&str> = ["method"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .chain(["slope", "flat - sharp"])
        .collect();
    let power = |method| if method == Method::Adam { 0.5 } else { 1.0 };
    let mut lines = Vec::new();
    for (method, values) in times {
        let slope = minima::slope(values, power(*method));
        let selectivity = values[0] - values[4];
        let numbers = values.iter().chain([&slope, &selectivity]).map(|x| format!("{x:.2}"));
        lines.push([method.name().to_string()].into_iter().chain(numbers).collect());
        let name = method.name();
        let off = (slope - minima::RATIO).abs();
        claims.check(format!("B: {name}, slope"), "5 ± 0.6", two(slope), off <= 0.6);
        let (expected, holds) = match method {
            Method::Adam => ("< 2.3", selectivity < 2.3),
            _ => ("> 2.8", selectivity > 2.8),
        };
        claims.check(format!("B: {name}, flat over sharp, log"), expected, two(selectivity), holds);
    }
    let theory = minima::STRETCHES.map(minima::kramers);
    let last = [minima::slope(&theory, 1.0), theory[0] - theory[4]];
    let numbers = theory.iter().chain(&last).map(|x| format!("{x:.2}"));
    lines.push(["SGD, Kramers".to_string()].into_iter().chain(numbers).collect());
    println!("{}", table(&header, &lines));
    run.write_csv("minima.csv", &header, lines)?;
    if let Some(path) = run.path("minima.svg") {
        let points = |values: &[f64; 5]| {
            minima::STRETCHES.iter().zip(values).map(|(k, y)| (1.0 / k, *y)).collect()
        };
        let mut series: Vec<Series> = times
            .iter()
            .map(|(method, values)| Series::new(method.name(), points(values)))
            .collect();
        series.push(Series::new("SGD, Kramers' formula", points(&theory)));
        let title = "Time in minima of equal depth: sharp on the left, flat on the right";
        line_chart(&path, title, "1 / k", "log mean steps to escape", &series)?;
    }
    Ok(())
}

/// C: training loss and test error of all optimizers.
pub fn classification(
    run: &Run,
    claims: &mut Claims,
    settings: &Settings,
    device: &str,
    outcomes: &[Outcome],
) -> Result<()> {
    let data = settings.data_dir.as_ref().map_or("digits".into(), |dir| dir.display().to_string());
    println!("\nC. Small CNN on {data} ({device}), {} epochs", settings.epochs);
    let header = ["optimizer", "lr", "training loss", "validation error %", "test error %"];
    let line = |&(name, _): &(&str, [f64; 3])| {
        let runs = chosen(outcomes, name);
        let show = |value: fn(&Outcome) -> f64, digits: usize| {
            let (mean, deviation) = statistics(&runs, value);
            format!("{mean:.digits$} ± {deviation:.digits$}")
        };
        vec![
            name.to_string(),
            runs.first().map_or("-".into(), |outcome| outcome.lr.to_string()),
            show(|o| o.train_loss, 4),
            show(|o| o.valid_error, 2),
            show(|o| o.test_error, 2),
        ]
    };
    let lines: Vec<Vec<String>> = OPTIMIZERS.iter().map(line).collect();
    println!("{}", table(&header, &lines));
    run.write_csv("classification.csv", &header, lines)?;
    let rows = outcomes.iter().flat_map(|o| {
        let row = |&(epoch, loss): &(f64, f64)| {
            vec![
                o.optimizer.clone(),
                o.lr.to_string(),
                o.seed.to_string(),
                epoch.to_string(),
                loss.to_string(),
            ]
        };
        o.curve.iter().map(row).collect::<Vec<_>>()
    });
    run.write_csv("metrics.csv", &["optimizer", "lr", "seed", "epoch", "training loss"], rows)?;
    run.write_json("classification.json", &outcomes)?;
    classification_claims(claims, settings, device, outcomes);
    classification_picture(run, &data, outcomes)
}

fn statistics(runs: &[&Outcome], value: fn(&Outcome) -> f64) -> (f64, f64) {
    mean_std(&runs.iter().map(|outcome| value(outcome)).collect::<Vec<_>>())
}

/// What was measured, and no more: that Adai learns, and that at the same way per gradient it
/// does as SGD with momentum does.
fn classification_claims(
    claims: &mut Claims,
    settings: &Settings,
    device: &str,
    outcomes: &[Outcome],
) {
    let (adai, sgd_m) = (at(outcomes, "Adai", 0.3), at(outcomes, SGD_M, 0.03));
    let fall = |o: &Outcome| o.train_loss / o.curve.first().map_or(f64::NAN, |first| first.1);
    let (fallen, _) = statistics(&adai, fall);
    let claim = format!("C: Adai, last over first training loss ({device})");
    claims.check_quick(claim, "< 0.7", two(fallen), fallen < 0.7);
    if settings.data_dir.is_some() {
        return;
    }
    let ratio = statistics(&adai, |o| o.train_loss).0 / statistics(&sgd_m, |o| o.train_loss).0;
    let claim = format!("C: training loss, Adai at 0.3 over SGD M at 0.03 ({device})");
    claims.check(claim, "<= 2", two(ratio), ratio <= 2.0);
    let (error, _) = statistics(&adai, |o| o.test_error);
    let (other, deviation) = statistics(&sgd_m, |o| o.test_error);
    let bound = other + deviation;
    let claim = format!("C: test error in %, the same two ({device})");
    let text = format!("{error:.2} of {bound:.2}");
    claims.check(claim, "<= SGD M's + std", text, error <= bound);
}

fn classification_picture(run: &Run, data: &str, outcomes: &[Outcome]) -> Result<()> {
    if let Some(path) = run.path("classification.svg") {
        let curve = |&(name, _): &(&str, [f64; 3])| {
            let runs = chosen(outcomes, name);
            let epochs = runs.iter().map(|o| o.curve.len()).min().unwrap_or(0);
            let point = |epoch: usize| {
                let losses: Vec<f64> = runs.iter().map(|o| o.curve[epoch].1).collect();
                (runs[0].curve[epoch].0, mean_std(&losses).0.log10())
            };
            Series::new(name, (0..epochs).map(point).collect())
        };
        let series: Vec<Series> = OPTIMIZERS.iter().map(curve).collect();
        let title = format!("Training loss on {data}, mean over seeds");
        line_chart(&path, &title, "epoch", "log10 training loss", &series)?;
    }
    Ok(())
}

fn two(value: f64) -> String {
    format!("{value:.2}")
}

fn percent(value: f64) -> String {
    format!("{:.1} %", 100.0 * value)
}
