//! How far Broyden's method goes: backtracking on `phi(s) = ||g(z + s p)||^2`.
//!
//! The slope at 0 is taken as `-phi(0)`, that of a half Newton step on the squared norm. A step is
//! accepted when `phi(s) <= (1 - 1e-4 s) phi(0)`. The first shorter one is `phi(0) / (2 phi(1))`, the
//! minimum of the parabola; the next ones minimize the cubic through the last two.

use burn::tensor::Tensor;

use super::broyden::LineSearch;
use super::rows::{Map, column, dots, read};
use super::tracker::Tracker;

/// Least decrease that is accepted, as a share of the slope.
const DECREASE: f64 = 1e-4;
/// Steps below this are not tried.
const SHORTEST: f64 = 1e-2;

/// A point with its value and the direction to go.
pub(super) struct Trial<'a> {
    pub point: &'a Tensor<2>,
    pub direction: &'a Tensor<2>,
    pub value: &'a Tensor<2>,
}

/// Step lengths, with the value there if it is known.
pub(super) struct Length {
    /// None stands for the full step of all samples.
    lengths: Option<Vec<f64>>,
    pub value: Option<Tensor<2>>,
}

impl Length {
    pub fn step(&self, trial: &Trial<'_>) -> Tensor<2> {
        let direction = trial.direction.clone();
        let direction = match &self.lengths {
            None => direction,
            Some(lengths) => direction * column(lengths.clone(), trial.point),
        };
        trial.point.clone() + direction
    }
}

/// Where one search stands.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Full,
    Parabola,
    Cubic,
    Found(f64),
    GivenUp,
}

/// One search, told the values at the steps that it asks for.
struct Search {
    start: f64,
    compat: bool,
    phase: Phase,
    /// The last two steps with their values; the second is the latest.
    tried: [[f64; 2]; 2],
}

impl Search {
    /// A sample that is solved, resting or not finite has nothing to search for.
    fn new(start: f64, compat: bool) -> Self {
        let phase = if start > 0.0 && start.is_finite() { Phase::Full } else { Phase::Found(1.0) };
        Self { start, compat, phase, tried: [[1.0, f64::NAN]; 2] }
    }

    fn finished(&self) -> bool {
        matches!(self.phase, Phase::Found(_) | Phase::GivenUp)
    }

    fn step(&self) -> f64 {
        let [_, [latest, value]] = self.tried;
        match self.phase {
            Phase::Full | Phase::GivenUp => 1.0,
            Phase::Found(step) => step,
            Phase::Parabola => {
                let step = self.start / (2.0 * value);
                // An overflow says only that the full step is far too long.
                if step > 0.0 && step.is_finite() { step } else { 0.5 }
            }
            Phase::Cubic if self.compat => self.cubic(),
            Phase::Cubic => match self.cubic() {
                step if step.is_finite() => step.clamp(0.1 * latest, 0.5 * latest),
                _ => 0.5 * latest,
            },
        }
    }

    fn tell(&mut self, step: f64, value: f64) {
        let accepted = value <= self.start - DECREASE * step * self.start;
        let untested = self.compat && self.phase == Phase::Parabola;
        if self.finished() || (accepted && !untested) {
            if !self.finished() {
                self.phase = Phase::Found(step);
            }
            return;
        }
        let latest = self.tried[1][0];
        let kept = match (self.phase, self.compat) {
            (Phase::Cubic, true) if latest - step > latest / 2.0 => latest / 2.0,
            (Phase::Cubic, true) if 1.0 - step / latest < 0.96 => latest / 2.0,
            (Phase::Cubic, true) if !step.is_finite() => latest / 2.0,
            _ => step,
        };
        self.tried = [self.tried[1], [kept, value]];
        self.phase = match self.phase {
            Phase::Full => Phase::Parabola,
            _ if kept > SHORTEST => Phase::Cubic,
            _ => Phase::GivenUp,
        };
    }

    /// Minimum of the cubic through the last two values with the known start.
    fn cubic(&self) -> f64 {
        let ([[s0, v0], [s1, v1]], start) = (self.tried, self.start);
        let (e0, e1) = (v0 - start + start * s0, v1 - start + start * s1);
        let c = s0 * s0 * s1 * s1 * (s1 - s0);
        let a = (s0 * s0 * e1 - s1 * s1 * e0) / c;
        let b = (-s0.powi(3) * e1 + s1.powi(3) * e0) / c;
        (-b + (b * b + 3.0 * a * start).abs().sqrt()) / (3.0 * a)
    }
}

/// Finds the step lengths.
pub(super) fn length(
    kind: LineSearch,
    map: &mut Map<'_>,
    tracker: &mut Tracker<'_>,
    trial: &Trial<'_>,
) -> Length {
    if kind == LineSearch::None {
        return Length { lengths: None, value: None };
    }
    let batch = trial.point.dims()[0];
    let whole = kind != LineSearch::PerSample;
    let resting = tracker.resting();
    let squares = |value: &Tensor<2>| -> Vec<f64> {
        let rows = read(vec![dots(value, value)]);
        let moving =
            rows.iter().zip(&resting).map(|(row, rests)| if *rests { 0.0 } else { row[0] });
        if whole { vec![moving.sum()] } else { moving.collect() }
    };
    let spread = |steps: &[f64]| if whole { vec![steps[0]; batch] } else { steps.to_vec() };
    let starts = squares(trial.value).into_iter();
    let mut searches: Vec<Search> =
        starts.map(|start| Search::new(start, kind == LineSearch::BatchCompat)).collect();
    let (mut at, mut value) = (Vec::new(), None);
    while !searches.iter().all(Search::finished) {
        at = searches.iter().map(Search::step).collect();
        let point = Length { lengths: Some(spread(&at)), value: None }.step(trial);
        let point = tracker.hold(point);
        let found = map(point.clone()) - point;
        tracker.evaluated();
        for ((search, step), square) in searches.iter_mut().zip(&at).zip(squares(&found)) {
            search.tell(*step, square);
        }
        value = Some(found);
    }
    let end: Vec<f64> = searches.iter().map(Search::step).collect();
    // A given-up search ends with the full step, whose value is not at hand any more.
    let value = if end == at { value } else { None };
    Length { lengths: Some(spread(&end)), value }
}
