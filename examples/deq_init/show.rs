//! Cells of the grid, tables and pictures.

use anyhow::Result;
use firebrick::models::deq::Activation;
use firebrick::models::deq::matrix_family::{DeqInit, MatrixFamily};
use firebrick_harness::claims::table;
use firebrick_harness::heat_map::{Field, HeatMap};
use firebrick_harness::run::Run;

use crate::setup::{EDGES, FAMILIES, Settings};
use crate::training::Outcome;

/// The trainings of one activation, family and scale.
pub struct Cell<'a> {
    pub outcomes: Vec<&'a Outcome>,
}

impl<'a> Cell<'a> {
    pub fn of(
        outcomes: &'a [Outcome],
        (activation, family, scale): (Activation, &MatrixFamily, f64),
        seeds: &[u64],
    ) -> Self {
        let wanted = |outcome: &&Outcome| {
            let job = &outcome.job;
            job.activation == activation
                && job.family == *family
                && job.scale == scale
                && seeds.contains(&job.seed)
        };
        Self { outcomes: outcomes.iter().filter(wanted).collect() }
    }

    pub fn mean(&self, value: fn(&Outcome) -> f64) -> f64 {
        self.outcomes.iter().map(|outcome| value(outcome)).sum::<f64>() / self.outcomes.len() as f64
    }

    pub fn accuracy(&self) -> f64 {
        self.mean(|outcome| outcome.accuracy)
    }

    pub fn converged(&self) -> f64 {
        self.mean(|outcome| outcome.converged)
    }

    pub fn steps(&self) -> f64 {
        self.mean(|outcome| outcome.forward_steps)
    }

    /// Trainings above this accuracy.
    pub fn good(&self, accuracy: f64) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.good(accuracy)).count()
    }
}

/// The activation as it is written in texts.
pub fn name_of(activation: Activation) -> &'static str {
    match activation {
        Activation::Identity => "identity",
        Activation::Tanh => "tanh",
        Activation::Relu => "ReLU",
        Activation::Hardtanh => "hard tanh",
        Activation::Sin => "sine",
    }
}

/// A row of the grid: an activation with a family.
pub fn row_name(settings: &Settings, activation: Activation, family: &MatrixFamily) -> String {
    let scaled = match family {
        MatrixFamily::Goe => format!(" ({})", settings.normalization),
        _ => String::new(),
    };
    format!("{}, {family}{scaled}", name_of(activation))
}

/// Prints the grid and the cells near the edge.
pub fn print(name: &str, settings: &Settings, outcomes: &[Outcome]) {
    println!(
        "\nOn {name}: mean test accuracy, fraction of equilibria found after training, forward steps \
         (mean over {} seeds)",
        settings.seeds.len()
    );
    let scales: Vec<String> = settings.scales.iter().map(f64::to_string).collect();
    let scales: Vec<&str> = scales.iter().map(String::as_str).collect();
    let header = [&["activation, family"], &scales[..]].concat();
    let text = |cell: &Cell<'_>| {
        format!("{:.3} {:.2} {:.1}", cell.accuracy(), cell.converged(), cell.steps())
    };
    let line = |(activation, family): &(Activation, MatrixFamily)| {
        let cell =
            |&scale: &f64| text(&Cell::of(outcomes, (*activation, family, scale), &settings.seeds));
        std::iter::once(row_name(settings, *activation, family))
            .chain(settings.scales.iter().map(cell))
            .collect()
    };
    let lines: Vec<Vec<String>> = rows(outcomes).iter().map(line).collect();
    println!("{}", table(&header, &lines));
    if settings.quick {
        return;
    }
    println!("Near the edge, after training");
    let header = ["layer", "seeds", "accuracy", "above 0.8", "equilibria found"];
    let mut lines = Vec::new();
    for (activation, scale) in EDGES {
        for family in &FAMILIES[..2] {
            for seeds in [&settings.edge_seeds[..6], &settings.edge_seeds[..]] {
                let cell = Cell::of(outcomes, (activation, family, scale), seeds);
                lines.push(vec![
                    format!("{} at {scale}", row_name(settings, activation, family)),
                    format!("{} to {}", seeds[0], seeds[seeds.len() - 1]),
                    format!("{:.3}", cell.accuracy()),
                    format!("{} of {}", cell.good(0.8), seeds.len()),
                    format!("{:.2}", cell.converged()),
                ]);
            }
        }
    }
    println!("{}", table(&header, &lines));
}

/// The rows of the grid that were run.
pub fn rows(outcomes: &[Outcome]) -> Vec<(Activation, MatrixFamily)> {
    let mut rows = Vec::new();
    for outcome in outcomes {
        let row = (outcome.job.activation, outcome.job.family.clone());
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

/// Writes `metrics.csv` and the heat maps.
pub fn save(run: &Run, name: &str, settings: &Settings, outcomes: &[Outcome]) -> Result<()> {
    let header = [
        "activation",
        "family",
        "normalization",
        "scale",
        "radius",
        "seed",
        "accuracy",
        "finite",
        "converged_before",
        "converged",
        "forward_steps",
        "backward_steps",
    ];
    let line = |outcome: &Outcome| {
        let job = &outcome.job;
        let start =
            DeqInit::new(job.family.clone(), job.scale).with_normalization(settings.normalization);
        vec![
            name_of(job.activation).to_owned(),
            job.family.to_string(),
            settings.normalization.to_string(),
            job.scale.to_string(),
            start.theory().radius.to_string(),
            job.seed.to_string(),
            outcome.accuracy.to_string(),
            outcome.finite.to_string(),
            outcome.converged_before.to_string(),
            outcome.converged.to_string(),
            outcome.forward_steps.to_string(),
            outcome.backward_steps.to_string(),
        ]
    };
    run.write_csv(&format!("metrics-{name}.csv"), &header, outcomes.iter().map(line))?;
    let accuracy = |cell: &Cell<'_>| cell.accuracy();
    let converged = |cell: &Cell<'_>| cell.converged();
    let start = |cell: &Cell<'_>| cell.mean(|outcome| outcome.converged_before);
    type Value<'a> = &'a dyn Fn(&Cell<'_>) -> f64;
    let maps: [(&str, &str, Value<'_>); 3] = [
        ("accuracy", "Test accuracy, and fraction of equilibria found after training", &accuracy),
        ("converged", "Fraction of equilibria found in 40 steps after training", &converged),
        ("start", "Fraction of equilibria found in 40 steps at the start", &start),
    ];
    for (file, title, value) in maps {
        let Some(path) = run.path(&format!("{file}-{name}.svg")) else { continue };
        let field = |cell: &Cell<'_>| {
            let second = match file {
                "accuracy" => format!("\n{:.2}", cell.converged()),
                _ => String::new(),
            };
            Field { value: Some(value(cell)), text: format!("{:.2}{second}", value(cell)) }
        };
        let row = |(activation, family): &(Activation, MatrixFamily)| {
            let place = |&scale: &f64| {
                field(&Cell::of(outcomes, (*activation, family, scale), &settings.seeds))
            };
            let fields = settings.scales.iter().map(place).collect();
            (row_name(settings, *activation, family), fields)
        };
        HeatMap {
            title: title.into(),
            x_label: "scale of the recurrent weight at the start".into(),
            columns: settings.scales.iter().map(|scale| scale.to_string()).collect(),
            rows: rows(outcomes).iter().map(row).collect(),
            range: (0.0, 1.0),
        }
        .write(&path)?;
    }
    Ok(())
}
