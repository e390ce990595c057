//! One value for any of the solvers.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::anderson::AndersonConfig;
use super::broyden::BroydenConfig;
use super::damped::FixedPointConfig;
use super::gmres::GmresConfig;
use super::report::Solution;
use super::rows::{choose, column, read};
use super::state::State;
use super::stopping::{ResidualMode, Stopping};
use super::tracker::{Outcome, Problem};
use crate::iteration::Status;

/// A solver with its settings.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::fixed_point::{BroydenConfig, Solver};
///
/// let solver = Solver::from(BroydenConfig::new()).with_tolerance(1e-6).with_max_steps(30);
/// let start = Tensor::<2>::zeros([2, 3], &Device::flex());
/// let solution = solver.solve(|z: Tensor<2>| (z * 0.5).cos(), start);
/// assert!(solution.report.worst_relative() < 1e-6);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Solver {
    /// Fixed-point iteration.
    FixedPoint(FixedPointConfig),
    /// Anderson acceleration.
    Anderson(AndersonConfig),
    /// Broyden's method.
    Broyden(BroydenConfig),
    /// GMRES, for affine maps.
    Gmres(GmresConfig),
}

impl Default for Solver {
    /// Anderson acceleration with its defaults.
    fn default() -> Self {
        Self::Anderson(AndersonConfig::new())
    }
}

impl From<FixedPointConfig> for Solver {
    fn from(config: FixedPointConfig) -> Self {
        Self::FixedPoint(config)
    }
}

impl From<AndersonConfig> for Solver {
    fn from(config: AndersonConfig) -> Self {
        Self::Anderson(config)
    }
}

impl From<BroydenConfig> for Solver {
    fn from(config: BroydenConfig) -> Self {
        Self::Broyden(config)
    }
}

impl From<GmresConfig> for Solver {
    fn from(config: GmresConfig) -> Self {
        Self::Gmres(config)
    }
}

impl Solver {
    /// When the solver stops.
    pub fn stopping(&self) -> &Stopping {
        match self {
            Self::FixedPoint(config) => &config.stopping,
            Self::Anderson(config) => &config.stopping,
            Self::Broyden(config) => &config.stopping,
            Self::Gmres(config) => &config.stopping,
        }
    }

    /// When the solver stops, to be changed.
    pub fn stopping_mut(&mut self) -> &mut Stopping {
        match self {
            Self::FixedPoint(config) => &mut config.stopping,
            Self::Anderson(config) => &mut config.stopping,
            Self::Broyden(config) => &mut config.stopping,
            Self::Gmres(config) => &mut config.stopping,
        }
    }

    /// The same solver with other rules for stopping.
    pub fn with_stopping(mut self, stopping: Stopping) -> Self {
        *self.stopping_mut() = stopping;
        self
    }

    /// The same solver with another tolerance.
    pub fn with_tolerance(mut self, tolerance: f64) -> Self {
        self.stopping_mut().tolerance = tolerance;
        self
    }

    /// The same solver with another limit of steps.
    pub fn with_max_steps(mut self, max_steps: usize) -> Self {
        self.stopping_mut().max_steps = max_steps;
        self
    }

    /// The same solver with another measure of the residual.
    pub fn with_mode(mut self, mode: ResidualMode) -> Self {
        self.stopping_mut().mode = mode;
        self
    }

    /// Checks the settings.
    ///
    /// # Panics
    /// With a sentence that names the setting that is out of its range.
    pub fn check(&self) {
        match self {
            Self::FixedPoint(config) => config.check(),
            Self::Anderson(config) => config.check(),
            Self::Broyden(config) => config.check(),
            Self::Gmres(config) => config.check(),
        }
    }

    /// Finds `z = map(z)` for every sample, from `start`.
    ///
    /// # Panics
    /// If a setting is out of its range; if the start is empty, not finite or carries autodiff; if the map
    /// changes the shape or the float type, or returns a tensor with autodiff.
    pub fn solve<S: State>(&self, mut map: impl FnMut(S) -> S, start: S) -> Solution<S> {
        self.check();
        let layout = start.layout();
        let start = start.into_rows();
        check_start(&start);
        let mut map = checked(&layout, &start, &mut map);
        let outcome = match self {
            Self::FixedPoint(config) => config.run(&mut map, start, Problem::General),
            Self::Anderson(config) => config.run(&mut map, start, Problem::General),
            Self::Broyden(config) => config.run(&mut map, start, Problem::General),
            Self::Gmres(config) => {
                let v = map(start.zeros_like());
                let mut apply = |z: Tensor<2>| map(z) - v.clone();
                config.run(&mut apply, v.clone())
            }
        };
        solution(outcome, &layout)
    }

    /// Finds `z = right + apply(z)` for a linear `apply`, starting from `right`.
    ///
    /// The right-hand side is brought to the size 1 for each sample before, so that the steps, and up to
    /// rounding the digits, do not depend on its scale. A sample with a zero right-hand side has converged
    /// to zero; one that is not finite comes back as it is and counts as diverged.
    ///
    /// # Panics
    /// If a setting is out of its range, or `apply` changes the shape, the float type or adds autodiff.
    pub fn solve_linear<S: State>(&self, mut apply: impl FnMut(S) -> S, right: S) -> Solution<S> {
        self.check();
        let layout = right.layout();
        let right = right.into_rows();
        check_shape(&right);
        let sizes: Vec<f64> =
            read(vec![right.clone().abs().max_dim(1)]).into_iter().map(|row| row[0]).collect();
        let sums: Vec<f64> =
            read(vec![right.clone().sum_dim(1)]).into_iter().map(|row| row[0]).collect();
        let broken: Vec<bool> =
            sizes.iter().zip(&sums).map(|(size, sum)| !(size + sum).is_finite()).collect();
        let sized = |&size: &f64| if size > 0.0 && size.is_finite() { size } else { 1.0 };
        let scale = column(sizes.iter().map(sized).collect(), &right);
        let unit = choose(&broken, &right.zeros_like(), right.clone() / scale.clone());
        let mut apply = checked(&layout, &right, &mut apply);
        let mut affine = |z: Tensor<2>| apply(z) + unit.clone();
        let start = unit.clone();
        let mut outcome = match self {
            Self::FixedPoint(config) => config.run(&mut affine, start, Problem::Linear),
            Self::Anderson(config) => config.run(&mut affine, start, Problem::Linear),
            Self::Broyden(config) => config.run(&mut affine, start, Problem::Linear),
            Self::Gmres(config) => config.run(&mut apply, start),
        };
        for rows in std::iter::once(&mut outcome.state).chain(&mut outcome.samples) {
            *rows = choose(&broken, &right, rows.clone() * scale.clone());
        }
        for (sample, size) in sizes.iter().enumerate() {
            outcome.report.absolute[sample] *= sized(size);
            if broken[sample] {
                outcome.report.converged[sample] = false;
                outcome.report.status = Status::Diverged;
            }
        }
        solution(outcome, &layout)
    }
}

fn solution<S: State>(outcome: Outcome, layout: &S::Layout) -> Solution<S> {
    Solution {
        state: S::from_rows(outcome.state, layout),
        samples: outcome.samples.into_iter().map(|rows| S::from_rows(rows, layout)).collect(),
        report: outcome.report,
    }
}

fn check_shape(rows: &Tensor<2>) {
    let [batch, width] = rows.dims();
    assert!(
        batch > 0 && width > 0,
        "solver: the state must have samples with numbers, got {batch} samples of {width}"
    );
    assert!(!rows.is_autodiff(), "solver: the state must carry no autodiff; call `inner()` on it");
}

fn check_start(rows: &Tensor<2>) {
    check_shape(rows);
    let sum: f64 = rows.clone().abs().sum().into_scalar();
    assert!(sum.is_finite(), "solver: every entry of the start must be finite");
}

/// The user's map on rows, with its output checked.
fn checked<'a, S: State>(
    layout: &'a S::Layout,
    like: &Tensor<2>,
    map: &'a mut dyn FnMut(S) -> S,
) -> impl FnMut(Tensor<2>) -> Tensor<2> + 'a {
    let dtype = like.dtype();
    move |rows| {
        let image = map(S::from_rows(rows, layout));
        let found = image.layout();
        assert!(found == *layout, "solver: the map must keep the shape {layout:?}, got {found:?}");
        let image = image.into_rows();
        assert!(
            image.dtype() == dtype,
            "solver: the map must keep the float type {dtype:?}, got {:?}",
            image.dtype()
        );
        assert!(
            !image.is_autodiff(),
            "solver: the map must not use tensors with autodiff; capture `module.valid()` and \
             `tensor.inner()`"
        );
        image
    }
}
