//! Why SOP finds wrong labels: the linear theory, in four cases and a fifth of the same lambda.
//!
//! Labels `y = J theta* + s*` are a signal of low rank plus sparse errors. Gradient descent on
//! `1/2 |J theta + u*u - v*v - y|^2` from `u = v = gamma` tends to the convex program
//! `min 1/2 |theta|^2 + lambda |s|_1` with `lambda = -ln gamma / (2 alpha)`: for a large enough
//! `lambda` both find the errors exactly, for a small one both fail in the same way.
//! (Liu, Zhu, Qu, You, ICML 2022, section 3.) Run: `cargo run --release --example sop_theory`

use anyhow::Result;
use clap::Parser;
use firebrick::label_noise::{ConvexProgram, GradientDescent, LinearSop};
use firebrick_harness::args::CommonArgs;
use firebrick_harness::claims::{Claims, table};
use firebrick_harness::plot::{Series, line_chart};
use firebrick_harness::run::Run;
use serde::{Deserialize, Serialize};

/// Why SOP finds wrong labels: gradient descent and its convex limit on a linear model
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
}

/// A random problem and how it is solved.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Case {
    seed: u64,
    /// Samples, parameters, rank of the signal, wrong labels.
    sizes: [usize; 4],
    gamma: f64,
    alpha: f64,
    tau: f64,
    steps: usize,
    recovers: bool,
}

/// What a case gave.
#[derive(Serialize)]
struct Outcome {
    lambda: f64,
    /// Distances are relative to the norm of the second.
    descent_to_truth: f64,
    convex_to_truth: f64,
    descent_to_convex: f64,
    curve: Vec<(f64, f64)>,
    #[serde(skip)]
    errors: Vec<f64>,
}

fn cases(seed: u64) -> Vec<Case> {
    type Numbers = ([usize; 4], f64, f64, f64, usize, bool);
    let case = |(sizes, gamma, alpha, tau, steps, recovers): Numbers| Case {
        seed,
        sizes,
        gamma,
        alpha,
        tau,
        steps,
        recovers,
    };
    let cases = [
        ([60, 80, 3, 3], 1e-8, 1.0, 0.1, 60_000, true),
        ([20, 30, 3, 3], 1e-6, 2.0, 0.02, 300_000, true),
        ([24, 40, 4, 2], 1e-5, 3.0, 0.01, 600_000, true),
        ([60, 80, 3, 3], 1e-8, 400.0, 5e-4, 400_000, false),
        // The same lambda as the one before: only it matters.
        ([60, 80, 3, 3], 1e-16, 800.0, 2.5e-4, 800_000, false),
    ];
    cases.into_iter().map(case).collect()
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (run, cases) = Run::start("sop_theory", &args.common, cases(args.common.seed))?;
    let outcomes = cases.iter().map(solve).collect::<Result<Vec<_>>>()?;

    let distances = ["descent to truth", "convex to truth", "descent to convex"];
    let header = [&["samples", "gamma", "alpha", "lambda"][..], &distances].concat();
    let line = |(case, outcome): (&Case, &Outcome)| {
        let distance = |value: f64| format!("{value:.1e}");
        vec![
            case.sizes[0].to_string(),
            format!("{:.0e}", case.gamma),
            case.alpha.to_string(),
            format!("{:.3}", outcome.lambda),
            distance(outcome.descent_to_truth),
            distance(outcome.convex_to_truth),
            distance(outcome.descent_to_convex),
        ]
    };
    println!("{}\n", table(&header, &cases.iter().zip(&outcomes).map(line).collect::<Vec<_>>()));

    let mut claims = Claims::new(args.common.quick);
    let worst = outcomes.iter().map(|outcome| outcome.descent_to_convex).fold(0.0, f64::max);
    let text = format!("{worst:.1e}");
    let claim = "descent and convex program agree in every case";
    claims.check_quick(claim, "<= 5e-3", text, worst <= 5e-3);
    let errors = |recovers| {
        let chosen = cases.iter().zip(&outcomes).filter(move |(case, _)| case.recovers == recovers);
        chosen.map(|(_, outcome)| outcome.descent_to_truth)
    };
    let recovered = errors(true).fold(0.0, f64::max);
    let text = format!("{recovered:.1e}");
    claims.check_quick("a large lambda finds the errors", "<= 1e-4", text, recovered <= 1e-4);
    let same = distance(&outcomes[4].errors, &outcomes[3].errors);
    let text = format!("{same:.1e}");
    claims.check_quick("gamma and alpha act through lambda alone", "<= 5e-3", text, same <= 5e-3);
    let failed = errors(false).fold(f64::INFINITY, f64::min);
    claims.check_quick("a small lambda does not", ">= 0.1", format!("{failed:.2}"), failed >= 0.1);
    run.write_json("summary.json", &(&outcomes, &claims))?;
    if let Some(path) = run.path("recovery.svg") {
        let curve = |(case, outcome): (&Case, &Outcome)| {
            let name = format!("N {}, γ {:.0e}, α {}", case.sizes[0], case.gamma, case.alpha);
            Series::new(name, outcome.curve.clone())
        };
        let series: Vec<Series> = cases.iter().zip(&outcomes).map(curve).collect();
        line_chart(&path, "From found to true errors", "steps (log10)", "distance", &series)?;
    }
    claims.finish(args.common.check)
}

fn solve(case: &Case) -> Result<Outcome> {
    let [samples, parameters, rank, errors] = case.sizes;
    let (problem, truth) = LinearSop::random(samples, parameters, rank, errors, case.seed)?;
    let descent = GradientDescent::new(case.gamma, case.alpha, case.tau, case.steps)?;
    let marks = (0..).map(|i| 10f64.powf(f64::from(i) * 0.1).round() as usize);
    let mut record: Vec<usize> = marks.take_while(|&step| step <= case.steps).collect();
    record.dedup();
    let found = descent.run(&problem, &record);
    let limit = ConvexProgram::new(descent.lambda())?.solve(&problem);
    let to_truth = |s: &[f64]| distance(s, &truth.corruption);
    let point = |state: &firebrick::label_noise::DescentRecord| {
        ((state.step as f64).log10(), to_truth(&state.s))
    };
    Ok(Outcome {
        lambda: descent.lambda(),
        descent_to_truth: to_truth(&found.s),
        convex_to_truth: to_truth(&limit.s),
        descent_to_convex: distance(&found.s, &limit.s),
        curve: found.recorded.iter().map(point).collect(),
        errors: found.s,
    })
}

/// `|a - b| / |b|`
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}
