//! What all solvers keep of each sample: its best state, its residuals, whether it still moves.

use burn::tensor::Tensor;

use super::report::{ResidualTrace, SolveReport};
use super::rows::{choose, dots, read, smallest};
use super::stopping::{ResidualMode, Stopping};
use crate::iteration::Status;

#[derive(Clone, Copy, PartialEq)]
enum Motion {
    Moving,
    /// Converged, and not to be touched any more.
    Frozen,
    /// Its residual was not finite.
    Dead,
}

/// What the relative residual is relative to.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Problem {
    /// `||f|| + 1e-9`
    General,
    /// `max(||f||, tiny)`, with an exact zero converged: adjoint equations scale with the loss.
    Linear,
}

/// The host's side of a run.
pub(super) struct Tracker<'a> {
    stopping: &'a Stopping,
    problem: Problem,
    motion: Vec<Motion>,
    best: Tensor<2>,
    last: Option<Tensor<2>>,
    samples: Vec<Tensor<2>>,
    report: SolveReport,
}

/// What [`Tracker::note`] found.
pub(super) struct Noted {
    /// Samples with a smaller residual than ever.
    pub improved: Vec<bool>,
    pub stop: bool,
}

pub(super) struct Outcome {
    pub state: Tensor<2>,
    pub samples: Vec<Tensor<2>>,
    pub report: SolveReport,
}

impl<'a> Tracker<'a> {
    pub fn new(stopping: &'a Stopping, problem: Problem, start: &Tensor<2>) -> Self {
        let [batch, _] = start.dims();
        let report = SolveReport {
            absolute: vec![f64::INFINITY; batch],
            relative: vec![f64::INFINITY; batch],
            best_steps: vec![0; batch],
            trace: stopping.trace.then(ResidualTrace::default),
            ..SolveReport::default()
        };
        Self {
            stopping,
            problem,
            motion: vec![Motion::Moving; batch],
            best: start.clone(),
            last: None,
            samples: Vec::new(),
            report,
        }
    }

    /// Notes that the map was evaluated.
    pub fn evaluated(&mut self) {
        self.report.evaluations += 1;
    }

    /// Whether the solver looks at the residual in this step.
    pub fn looks(&self, step: usize) -> bool {
        step.is_multiple_of(self.stopping.check_every)
            || step >= self.stopping.max_steps
            || self.stopping.sample_steps.contains(&step)
    }

    /// Looks at a step's residual `image - state`; see [`observe`](Self::observe).
    pub fn look(
        &mut self,
        step: usize,
        candidate: &Tensor<2>,
        residual: &Tensor<2>,
        image: &Tensor<2>,
    ) -> bool {
        if !self.looks(step) {
            self.report.steps = step;
            return false;
        }
        let squares = read(vec![dots(residual, residual), dots(image, image)]);
        let norms: Vec<[f64; 2]> = squares.iter().map(|s| [s[0].sqrt(), s[1].sqrt()]).collect();
        self.observe(step, candidate, &norms)
    }

    /// Takes note of a step, keeps its candidate where it is the best one, and says whether to stop.
    pub fn observe(&mut self, step: usize, candidate: &Tensor<2>, norms: &[[f64; 2]]) -> bool {
        let noted = self.note(step, norms);
        self.keep(step, candidate, &noted.improved);
        noted.stop
    }

    /// Takes note of a step's norms of residual and image.
    pub fn note(&mut self, step: usize, norms: &[[f64; 2]]) -> Noted {
        let dtype = self.best.dtype();
        let relative = |norms: &[f64; 2]| match self.problem {
            Problem::General => norms[0] / (norms[1] + 1e-9),
            Problem::Linear => norms[0] / norms[1].max(smallest(dtype)),
        };
        let relative: Vec<f64> = norms.iter().map(relative).collect();
        let stopping = self.stopping;
        let mut improved = vec![false; norms.len()];
        let (mut pending, mut largest) = (false, 0.0f64);
        for (sample, [absolute, size]) in norms.iter().copied().enumerate() {
            if self.motion[sample] != Motion::Moving {
                continue;
            }
            let (now, best) = match stopping.mode {
                ResidualMode::Absolute => (absolute, self.report.absolute[sample]),
                ResidualMode::Relative => (relative[sample], self.report.relative[sample]),
            };
            if !absolute.is_finite() || !size.is_finite() {
                self.motion[sample] = Motion::Dead;
                continue;
            }
            largest = largest.max(now);
            if now < best {
                improved[sample] = true;
                self.report.absolute[sample] = absolute;
                self.report.relative[sample] = relative[sample];
                self.report.best_steps[sample] = step;
            }
            match self.below(now) {
                true if stopping.freeze_converged => self.motion[sample] = Motion::Frozen,
                true => {}
                false => pending = true,
            }
        }
        self.report.steps = step;
        self.report.history.push(largest);
        if let Some(trace) = &mut self.report.trace {
            trace.steps.push(step);
            trace.absolute.push(norms.iter().map(|norms| norms[0]).collect());
            trace.relative.push(relative);
        }
        Noted { improved, stop: !pending && !stopping.return_last }
    }

    fn below(&self, residual: f64) -> bool {
        residual < self.stopping.tolerance || (self.problem == Problem::Linear && residual == 0.0)
    }

    fn keep(&mut self, step: usize, candidate: &Tensor<2>, improved: &[bool]) {
        if self.stopping.return_last {
            let dead: Vec<bool> = self.motion.iter().map(|m| *m == Motion::Dead).collect();
            self.last = Some(choose(&dead, &self.best, candidate.clone()));
        }
        // A handle is let go before the next one is taken, so that buffers can be used again.
        let best = std::mem::replace(&mut self.best, candidate.clone());
        self.best = choose(improved, candidate, best);
        if self.stopping.sample_steps.contains(&step) {
            self.samples.push(self.best.clone());
        }
    }

    /// Adds the state of a step that was asked for.
    pub fn push_sample(&mut self, state: Tensor<2>) {
        self.samples.push(state);
    }

    /// The outcome with a state that the solver kept itself.
    pub fn finish_with(mut self, state: Tensor<2>) -> Outcome {
        self.best = state.clone();
        self.last = Some(state);
        self.finish()
    }

    /// The state, with the rows of frozen and dead samples replaced by their best states.
    pub fn hold(&self, state: Tensor<2>) -> Tensor<2> {
        choose(&self.resting(), &self.best, state)
    }

    /// Which samples are frozen or dead.
    pub fn resting(&self) -> Vec<bool> {
        self.motion.iter().map(|motion| *motion != Motion::Moving).collect()
    }

    pub fn history(&self) -> &[f64] {
        &self.report.history
    }

    pub fn finish(self) -> Outcome {
        let Self { stopping, motion, best, last, mut samples, mut report, problem } = self;
        let residuals = match stopping.mode {
            ResidualMode::Absolute => &report.absolute,
            ResidualMode::Relative => &report.relative,
        };
        let below = |residual: f64| {
            residual < stopping.tolerance || (problem == Problem::Linear && residual == 0.0)
        };
        report.converged = residuals
            .iter()
            .zip(&motion)
            .map(|(&residual, motion)| *motion != Motion::Dead && below(residual))
            .collect();
        report.status = if motion.contains(&Motion::Dead) {
            Status::Diverged
        } else if report.all_converged() {
            Status::Converged
        } else {
            Status::MaxSteps
        };
        // After an early stop the later steps would have seen the same best states.
        samples.resize(stopping.sample_steps.len().max(samples.len()), best.clone());
        Outcome { state: last.unwrap_or(best), samples, report }
    }
}
