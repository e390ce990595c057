//! Tables, claims and the picture.

use anyhow::Result;
use firebrick_harness::claims::{Claims, mean_std, table};
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::run::Run;

use crate::network::{Kind, Outcome, Settings};

/// The tables of accuracy and memory.
pub fn print(name: &str, settings: &Settings, outcomes: &[Outcome], memory: &[[f64; 2]]) {
    let of = |kind: Kind, value: fn(&Outcome) -> f64, digits: usize| {
        let values: Vec<f64> =
            outcomes.iter().filter(|outcome| outcome.kind == kind).map(value).collect();
        let (mean, deviation) = mean_std(&values);
        format!("{mean:.digits$} ± {deviation:.digits$}")
    };
    println!("\n{name}: {} epochs, {} seeds", settings.epochs, settings.seeds.len());
    let header = ["network", "validation", "test", "found", "steps", "backward", "seconds"];
    let line = |kind: Kind| {
        vec![
            kind.name().to_owned(),
            of(kind, |o| o.validation, 3),
            of(kind, |o| o.test, 3),
            of(kind, |o| o.converged, 3),
            of(kind, |o| o.forward_steps, 1),
            of(kind, |o| o.backward_steps, 1),
            of(kind, |o| o.seconds, 1),
        ]
    };
    println!("{}", table(&header, &Kind::ALL.map(line)));
    println!("Peak memory of forward and backward, in states of the layer");
    let line = |(steps, memory): (&usize, &[f64; 2])| {
        vec![steps.to_string(), format!("{:.1}", memory[0]), format!("{:.1}", memory[1])]
    };
    let lines: Vec<_> = settings.depths.iter().zip(memory).map(line).collect();
    println!("{}", table(&["iterations", "implicit", "unrolled"], &lines));
}

/// What the three networks and the memory promise.
pub fn judge(claims: &mut Claims, settings: &Settings, outcomes: &[Outcome], memory: &[[f64; 2]]) {
    let of = |kind: Kind| {
        let tests: Vec<f64> =
            outcomes.iter().filter(|outcome| outcome.kind == kind).map(|o| o.test).collect();
        mean_std(&tests).0
    };
    let [equilibrium, unrolled] = [Kind::Equilibrium, Kind::Unrolled].map(of);
    let here = format!("{equilibrium:.3}, {unrolled:.3}");
    let holds = (equilibrium - unrolled).abs() <= 0.01;
    claims.check("test accuracy: equilibrium, unrolled", "equal to 0.01", here, holds);
    let found: Vec<f64> = outcomes
        .iter()
        .filter(|outcome| outcome.kind == Kind::Equilibrium)
        .map(|outcome| outcome.converged)
        .collect();
    let found = mean_std(&found).0;
    claims.check_quick("test equilibria found", ">= 0.99", format!("{found:.3}"), found >= 0.99);
    let depths = &settings.depths;
    let (first, last) = (depths.iter().position(|&d| d == 10).unwrap_or(0), depths.len() - 1);
    let steps = (depths[last] - depths[first]) as f64;
    let growth = [0, 1].map(|at| memory[last][at] - memory[first][at]);
    let claim = format!("implicit: states more at {} iterations than at 10", depths[last]);
    claims.check_quick(claim, "< 5", format!("{:.2}", growth[0]), growth[0] < 5.0);
    let here = format!("{:.2}", growth[1] / steps);
    claims.check_quick("unrolled: states per iteration", ">= 1", here, growth[1] >= steps);
}

/// The curve of memory, as CSV and picture.
pub fn save(run: &Run, settings: &Settings, memory: &[[f64; 2]]) -> Result<()> {
    let lines = settings.depths.iter().zip(memory);
    let rows = lines.clone().map(|(steps, [implicit, unrolled])| {
        vec![steps.to_string(), implicit.to_string(), unrolled.to_string()]
    });
    run.write_csv("metrics.csv", &["iterations", "implicit", "unrolled"], rows)?;
    let Some(path) = run.path("memory.svg") else { return Ok(()) };
    let curve = |name: &str, at: usize| {
        Series::new(name, lines.clone().map(|(&steps, m)| (steps as f64, m[at])).collect())
    };
    let series = [curve("implicit", 0), curve("unrolled", 1)];
    line_chart(&path, "Peak memory of forward and backward", "iterations", "states", &series)
}
