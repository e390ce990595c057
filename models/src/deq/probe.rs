//! How a cell behaves over families and scales of its recurrent weight, before any training.
//!
//! For every family, scale and seed: draw the weight, solve for the equilibrium, solve the adjoint
//! equation for a random cotangent, and estimate the spectral radius of the Jacobian at the
//! equilibrium. The table says which scales a solver with its tolerance and limit of steps can work
//! with, and how many steps a training will pay in both directions.
//!
//! # References
//! A. Agarwala, S. S. Schoenholz, *Deep equilibrium networks are sensitive to initialization
//! statistics*, ICML 2022: forward and backward solve both depend on the family.

use std::fmt;

use burn::config::Config;
use burn::tensor::{Device, Tensor};
use firebrick_ops::fixed_point::{FixedPointConfig, SolveReport, Solver, State, Stopping};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::family_theory::FamilyTheory;
use super::jacobian::normal_like;
use super::matrix_family::{DeqInit, MatrixFamily, Normalization};
use super::{DeqCell, DeqConfig, Plain, spectral_radius};

/// The grid of a probe and how it solves.
///
/// # Example
/// ```
/// use burn::module::Param;
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::deq::matrix_family::MatrixFamily;
/// use firebrick_models::deq::probe::ProbeConfig;
/// use firebrick_models::deq::{Activation, AffineCell};
///
/// let device = Device::flex();
/// let input = Tensor::ones([4, 16], &device);
/// let config = ProbeConfig::new(16)
///     .with_families(vec![MatrixFamily::Gaussian, MatrixFamily::Orthogonal])
///     .with_scales(vec![0.5, 0.9]);
/// let cell = |weight| AffineCell::new(Param::from_tensor(weight), Activation::Tanh);
/// let report = config.run(cell, &input, &device);
/// assert_eq!(report.rows.len(), 4);
/// assert_eq!(report.rows[2].converged, 1.0); // orthogonal at 0.5
/// println!("{report}");
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct ProbeConfig {
    /// Rows of the recurrent weight.
    pub size: usize,
    /// Families to draw from.
    #[config(
        default = "vec![MatrixFamily::Gaussian, MatrixFamily::Orthogonal, MatrixFamily::Goe]"
    )]
    pub families: Vec<MatrixFamily>,
    /// Scales to draw at.
    #[config(default = "vec![0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 2.0]")]
    pub scales: Vec<f64>,
    /// What the scales mean.
    #[config(default = "Normalization::Frobenius")]
    pub normalization: Normalization,
    /// Seeds of the weights; one row of the table each.
    #[config(default = "vec![0]")]
    pub seeds: Vec<u64>,
    /// Solver of the equilibrium; by default plain iteration with 40 steps to a relative residual of
    /// 1e-3.
    #[config(default = "plain_iteration()")]
    pub forward: Solver,
    /// Solver of the adjoint equation; the same by default.
    #[config(default = "plain_iteration()")]
    pub backward: Solver,
    /// Steps of the power iteration for the spectral radius.
    #[config(default = 100)]
    pub radius_steps: usize,
}

fn plain_iteration() -> Solver {
    let stopping = Stopping::new().with_max_steps(40).with_tolerance(1e-3);
    FixedPointConfig::new().with_stopping(stopping).into()
}

/// What a probe finds for one weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeRow {
    /// Family, scale and normalization of the weight.
    pub start: DeqInit,
    /// Seed of the weight.
    pub seed: u64,
    /// What the wide limit says of the weight.
    pub theory: FamilyTheory,
    /// Fraction of samples whose equilibrium was found.
    pub converged: f64,
    /// Steps of the forward solve.
    pub steps: usize,
    /// Largest relative residual of a sample.
    pub residual: f64,
    /// Fraction of samples whose adjoint was found.
    pub backward_converged: f64,
    /// Steps of the backward solve.
    pub backward_steps: usize,
    /// Spectral radius of the Jacobian at the state that was found, mean over the samples.
    pub radius: f64,
}

/// The table of a probe. Its text form is aligned for the terminal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// By family, then scale, then seed.
    pub rows: Vec<ProbeRow>,
}

impl ProbeConfig {
    /// Probes the cells that `cell` builds from weights `[size, size]` on a device.
    ///
    /// # Shapes
    /// - input: as the cell takes it
    ///
    /// # Panics
    /// If there is nothing to probe, a scale or family is refused by [`DeqInit::init`], a solver's
    /// setting is out of its range, or the cell panics.
    pub fn run<C: DeqCell>(
        &self,
        cell: impl Fn(Tensor<2>) -> C,
        input: &C::Input,
        device: &Device,
    ) -> ProbeReport {
        for (name, count) in [
            ("families", self.families.len()),
            ("scales", self.scales.len()),
            ("seeds", self.seeds.len()),
            ("radius_steps", self.radius_steps),
        ] {
            assert!(count > 0, "ProbeConfig: {name} must not be empty or zero");
        }
        let mut rows = Vec::new();
        for family in &self.families {
            for &scale in &self.scales {
                let start =
                    DeqInit::new(family.clone(), scale).with_normalization(self.normalization);
                for &seed in &self.seeds {
                    let cell = cell(start.init(self.size, seed, device)).plain();
                    rows.push(self.row(&start, seed, &cell, &input.plain()));
                }
            }
        }
        ProbeReport { rows }
    }

    fn row<C: DeqCell>(&self, start: &DeqInit, seed: u64, cell: &C, input: &C::Input) -> ProbeRow {
        let deq = DeqConfig::new()
            .with_forward(self.forward.clone())
            .with_backward(self.backward.clone())
            .init();
        let found = deq.forward(cell, input.clone());
        let layout = found.state.layout();
        let rows = found.state.clone().into_rows();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cotangent = C::State::from_rows(normal_like(&rows, &mut rng), &layout);
        let backward = deq.adjoint(cell, &found.state, input, cotangent).report;
        let radii = spectral_radius(cell, &found.state, input, self.radius_steps, seed);
        ProbeRow {
            start: start.clone(),
            seed,
            theory: start.theory(),
            converged: fraction(&found.report),
            steps: found.report.steps,
            residual: found.report.worst_relative(),
            backward_converged: fraction(&backward),
            backward_steps: backward.steps,
            radius: radii.iter().sum::<f64>() / radii.len() as f64,
        }
    }
}

fn fraction(report: &SolveReport) -> f64 {
    let found = report.converged.iter().filter(|&&converged| converged).count();
    found as f64 / report.converged.len() as f64
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<16} {:<13} {:>6} {:>6} {:>10} {:>6} {:>9} {:>10} {:>6} {:>9} {:>9}",
            "family",
            "normalization",
            "scale",
            "seed",
            "converged",
            "steps",
            "residual",
            "backward",
            "steps",
            "radius",
            "of W"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<16} {:<13} {:>6} {:>6} {:>10.3} {:>6} {:>9.1e} {:>10.3} {:>6} {:>9.3} {:>9.3}",
                row.start.family.to_string(),
                row.start.normalization.to_string(),
                row.start.scale,
                row.seed,
                row.converged,
                row.steps,
                row.residual,
                row.backward_converged,
                row.backward_steps,
                row.radius,
                row.theory.radius
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::module::Param;

    use super::*;
    use crate::deq::{Activation, AffineCell};

    fn probe(activation: Activation, config: &ProbeConfig) -> ProbeReport {
        let device = Device::flex();
        let like = Tensor::zeros([8, config.size], &device);
        let input = normal_like(&like, &mut ChaCha8Rng::seed_from_u64(5));
        config.run(|w| AffineCell::new(Param::from_tensor(w), activation), &input, &device)
    }

    #[test]
    fn linear_layers_converge_up_to_their_limit_in_the_steps_of_their_radius() {
        let config = ProbeConfig::new(60)
            .with_families(vec![MatrixFamily::Orthogonal, MatrixFamily::Goe])
            .with_scales(vec![0.4, 0.7, 1.3]);
        let rows = probe(Activation::Identity, &config).rows;
        assert_eq!(rows.len(), 6);
        for row in &rows[..2] {
            let expected = row.theory.expected_steps(1e-3, 1.0).unwrap();
            assert_eq!((row.converged, row.backward_converged), (1.0, 1.0));
            assert!((row.steps as f64 - expected).abs() <= 3.0, "{} {expected}", row.steps);
            assert!((row.backward_steps as f64 - expected).abs() <= 3.0);
            assert!((row.radius - row.start.scale).abs() < 1e-3);
        }
        // Symmetric weights pass their limit at 0.5.
        assert!((rows[3].radius - 0.8).abs() < 0.1 && rows[3].converged == 1.0);
        for row in [&rows[2], &rows[4], &rows[5]] {
            assert_eq!((row.converged, row.backward_converged), (0.0, 0.0), "{row:?}");
            assert!(row.residual > 1e-3);
        }
    }

    #[test]
    fn saturation_makes_the_layer_contract_where_its_weight_does_not() {
        let config = ProbeConfig::new(60)
            .with_families(vec![MatrixFamily::Orthogonal])
            .with_scales(vec![1.0])
            .with_seeds(vec![3, 4]);
        let rows = probe(Activation::Tanh, &config).rows;
        assert!(rows.iter().all(|row| row.converged == 1.0 && row.radius < 0.9));
        assert_ne!(rows[0].radius, rows[1].radius);
    }

    #[test]
    fn text_form_has_a_line_for_each_weight() {
        let config = ProbeConfig::new(4).with_scales(vec![0.2]).with_radius_steps(10);
        let text = probe(Activation::Relu, &config).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("family") && lines[3].starts_with("goe"));
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
    }

    #[test]
    #[should_panic(expected = "ProbeConfig: scales must not be empty or zero")]
    fn refuses_an_empty_grid() {
        probe(Activation::Tanh, &ProbeConfig::new(4).with_scales(vec![]));
    }
}
