//! What the sweep claims.

use firebrick::models::deq::Activation;
use firebrick::models::deq::matrix_family::MatrixFamily;
use firebrick_harness::claims::Claims;

use crate::setup::{ACTIVATIONS, EDGES, FAMILIES, Settings};
use crate::show::{Cell, name_of};
use crate::training::Outcome;

/// The claims about one device's trainings.
pub struct Judge<'a> {
    pub settings: &'a Settings,
    pub outcomes: &'a [Outcome],
    pub device: &'a str,
}

impl Judge<'_> {
    /// Checks them all.
    pub fn all(&self, claims: &mut Claims) {
        if self.settings.quick {
            let cells: Vec<_> =
                FAMILIES.iter().map(|family| self.cell(Activation::Tanh, family, 0.2)).collect();
            let worst = lowest(cells.iter().map(Cell::accuracy));
            let found = lowest(cells.iter().map(Cell::converged));
            let here = format!("{worst:.3}, {found:.2}");
            let holds = worst >= 0.8 && found >= 0.99;
            let claim = self.named("tanh at 0.2 trains in two epochs: accuracy, equilibria found");
            claims.check_quick(claim, ">= 0.8, >= 0.99", here, holds);
        }
        for activation in ACTIVATIONS {
            self.stable(claims, activation);
        }
        for (activation, scale) in EDGES {
            self.edge(claims, activation, scale);
        }
        for scale in [0.6, 0.8, 1.0] {
            let [gaussian, orthogonal] =
                self.pair(Activation::Tanh, scale).map(|cell| cell.steps());
            let here = format!("{orthogonal:.1}, {gaussian:.1}");
            let claim = self.named(&format!("tanh at {scale}: forward steps orthogonal, gaussian"));
            claims.check(claim, "not more", here, orthogonal <= gaussian);
        }
        for activation in ACTIVATIONS {
            let last = [0, 1].map(|at| self.last_trainable(activation, &FAMILIES[at]));
            let here = format!("{}, {}", last[1], last[0]);
            let name = name_of(activation);
            let claim = self.named(&format!("{name}: last trainable scale orthogonal, gaussian"));
            claims.check(claim, "not less", here, last[1] >= last[0]);
        }
    }

    fn named(&self, claim: &str) -> String {
        format!("{claim} ({})", self.device)
    }

    fn cell(&self, activation: Activation, family: &MatrixFamily, scale: f64) -> Cell<'_> {
        Cell::of(self.outcomes, (activation, family, scale), &self.settings.seeds)
    }

    /// Gaussian and orthogonal.
    fn pair(&self, activation: Activation, scale: f64) -> [Cell<'_>; 2] {
        [0, 1].map(|at| self.cell(activation, &FAMILIES[at], scale))
    }

    /// Spectral radius 0.8 at most.
    fn stable(&self, claims: &mut Claims, activation: Activation) {
        let mut cells = Vec::new();
        for family in &FAMILIES {
            let limit = if *family == MatrixFamily::Goe { 0.4 } else { 0.8 };
            let scales = self.settings.scales.iter().filter(|&&scale| scale <= limit);
            cells.extend(scales.map(|&scale| self.cell(activation, family, scale)));
        }
        let accuracy = lowest(cells.iter().map(Cell::accuracy));
        let found = lowest(cells.iter().map(Cell::converged));
        let claim = format!("{} at radius <= 0.8, all families", name_of(activation));
        let here = format!("{accuracy:.3}, {found:.3}");
        if activation == Activation::Relu {
            let claim = self.named(&format!("{claim}: accuracy"));
            claims.check(claim, ">= 0.92", format!("{accuracy:.3}"), accuracy >= 0.92);
        } else {
            let claim = self.named(&format!("{claim}: accuracy, equilibria found"));
            let holds = accuracy >= 0.92 && found >= 0.99;
            claims.check(claim, ">= 0.92, >= 0.99", here, holds);
        }
    }

    /// Fresh seeds where the families part.
    fn edge(&self, claims: &mut Claims, activation: Activation, scale: f64) {
        let seeds = &self.settings.edge_seeds;
        let [gaussian, orthogonal] = [0, 1].map(|at| {
            Cell::of(self.outcomes, (activation, &FAMILIES[at], scale), seeds).accuracy()
        });
        let here = format!("{orthogonal:.3}, {gaussian:.3}");
        let (gap, expected) = match activation {
            Activation::Tanh => (0.4, "0.4 apart"),
            _ => (0.0, "not below"),
        };
        let name = name_of(activation);
        let claim = self.named(&format!(
            "{name} at {scale}, {} seeds: accuracy orthogonal, gaussian",
            seeds.len()
        ));
        claims.check(claim, expected, here, orthogonal - gaussian >= gap);
    }

    /// The last scale at which most seeds are above 0.8.
    fn last_trainable(&self, activation: Activation, family: &MatrixFamily) -> f64 {
        let trains = |&&scale: &&f64| {
            let cell = self.cell(activation, family, scale);
            2 * cell.good(0.8) > cell.outcomes.len()
        };
        self.settings.scales.iter().filter(trains).copied().fold(0.0, f64::max)
    }
}

fn lowest(values: impl Iterator<Item = f64>) -> f64 {
    // A NaN stays.
    values.reduce(|low, value| if value >= low { low } else { value }).unwrap_or(f64::NAN)
}
