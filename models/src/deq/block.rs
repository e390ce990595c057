//! The block.

use burn::config::Config;
use burn::tensor::Tensor;
use firebrick_ops::fixed_point::{
    AndersonConfig, GmresConfig, Solution, SolveReport, Solver, State, Stopping,
};

use super::cell::DeqCell;
use super::gradient::{CorrectionGraph, DeqGradient, PhantomConfig, recorded};
use super::implicit::{Backward, BackwardPolicy, BackwardReports, Failure, adjoint_rows, implicit};
use super::jacobian::JacobianPenalty;
use super::plain::Plain;

/// Settings of [`Deq`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `forward` | Anderson, 50 steps, relative 1e-4 | solver of `z = f(z, x)` |
/// | `backward` | GMRES, 50 steps, relative 1e-4 | solver of `g = v + J^T g` |
/// | `gradient` | implicit | kind of gradient |
/// | `policy` | accept | what to do when the backward solve does not converge |
/// | `correction` | indexing | how sampled states get their gradients |
/// | `penalty` | none | Jacobian penalty that [`Deq::forward_with`] returns on request |
#[derive(Config, Debug, PartialEq)]
pub struct DeqConfig {
    /// Solver of the fixed point. States at its
    /// [`sample_steps`](firebrick_ops::fixed_point::Stopping::sample_steps) are returned with gradients.
    #[config(default = "AndersonConfig::new().into()")]
    pub forward: Solver,
    /// Solver of the adjoint equation. Its tolerance is relative to the size of the gradient, so that
    /// gradients scale with the loss.
    #[config(default = "GmresConfig::new().into()")]
    pub backward: Solver,
    /// Kind of gradient.
    #[config(default = "DeqGradient::Implicit")]
    pub gradient: DeqGradient,
    /// What to do when the backward solve does not converge.
    #[config(default = "BackwardPolicy::Accept")]
    pub policy: BackwardPolicy,
    /// How sampled states get their gradients.
    #[config(default = "CorrectionGraph::Indexing")]
    pub correction: CorrectionGraph,
    /// The penalty that is returned where [`DeqOptions::penalty_seed`] is given.
    #[config(default = "JacobianPenalty::new()")]
    pub penalty: JacobianPenalty,
}

impl DeqConfig {
    /// Creates the block.
    ///
    /// # Panics
    /// If a setting is out of its range.
    pub fn init(&self) -> Deq {
        self.forward.check();
        self.backward.check();
        self.gradient.check();
        self.penalty.check();
        Deq { config: self.clone(), failure: Failure::default() }
    }
}

/// An equilibrium block without its map: solvers and kind of gradient.
///
/// It has no parameters; put it into a module under `#[module(skip)]`. A clone has nothing in common with
/// its original.
///
/// # Example
/// See the [module](super).
#[derive(Debug)]
pub struct Deq {
    config: DeqConfig,
    failure: Failure,
}

impl Clone for Deq {
    fn clone(&self) -> Self {
        Self { config: self.config.clone(), failure: Failure::default() }
    }
}

/// What a call may ask for.
#[derive(Clone, Debug)]
pub struct DeqOptions<S> {
    /// Where the solver starts, such as the fixed point of the step before: a constant without gradient. By
    /// default [`DeqCell::start`].
    pub start: Option<S>,
    /// Seed of the directions of the Jacobian penalty; with it the penalty is returned.
    pub penalty_seed: Option<u64>,
}

impl<S> Default for DeqOptions<S> {
    fn default() -> Self {
        Self { start: None, penalty_seed: None }
    }
}

/// A fixed point as a differentiable state.
#[derive(Clone, Debug)]
pub struct DeqOutput<S> {
    /// `f(z, x)` at the solver's result `z`, with the gradient that was chosen.
    pub state: S,
    /// Sampled states with gradients, in the order of their steps.
    pub samples: Vec<S>,
    /// How the forward solver did.
    pub report: SolveReport,
    /// How the backward solver does, once it has run.
    pub backward: BackwardReports,
    /// The Jacobian penalty, `[1]`, if it was asked for.
    pub penalty: Option<Tensor<1>>,
}

impl Deq {
    /// The settings.
    pub fn config(&self) -> &DeqConfig {
        &self.config
    }

    /// Finds the fixed point from the cell's usual start.
    ///
    /// Without autodiff on the cell and the input, the same value comes back without a graph.
    ///
    /// # Panics
    /// If the map changes the shape or the float type of the state, or uses tensors with autodiff that
    /// belong neither to the cell nor to the input; if the start is empty or not finite; if the last backward
    /// pass failed under [`BackwardPolicy::PanicOnNextForward`].
    pub fn forward<C: DeqCell>(&self, cell: &C, input: C::Input) -> DeqOutput<C::State> {
        self.forward_with(cell, input, DeqOptions::default())
    }

    /// As [`forward`](Self::forward), with a start of one's own or the Jacobian penalty.
    ///
    /// # Panics
    /// As [`forward`](Self::forward), or if the start has another shape than the cell's.
    pub fn forward_with<C: DeqCell>(
        &self,
        cell: &C,
        input: C::Input,
        options: DeqOptions<C::State>,
    ) -> DeqOutput<C::State> {
        if let Some(failure) = self.failure.take() {
            panic!("Deq: the last backward pass failed: {failure}");
        }
        let start = options.start.unwrap_or_else(|| cell.start(&input));
        let layout = start.layout();
        let start = start.into_rows().inner();
        let plain = (cell.plain(), input.plain());
        let run =
            Run { deq: self, cell, input: &input, plain, layout, reports: Default::default() };
        let (rows, samples, report) = match &self.config.gradient {
            DeqGradient::Unrolled { steps } => run.unrolled(start, *steps),
            _ if self.config.correction == CorrectionGraph::Sliced => run.sliced(start),
            _ => run.indexed(start),
        };
        let penalty = options.penalty_seed.map(|seed| {
            let state = C::State::from_rows(rows.clone().inner(), &run.layout);
            self.config.penalty.of(cell, &state, &input, seed)
        });
        DeqOutput {
            state: C::State::from_rows(rows, &run.layout),
            samples: samples.into_iter().map(|s| C::State::from_rows(s, &run.layout)).collect(),
            report,
            backward: run.reports,
            penalty,
        }
    }

    /// Solves the adjoint equation `g = v + J^T g` with the Jacobian at `state`, outside any backward pass.
    ///
    /// # Shapes
    /// - state, cotangent, solution: as the cell's state
    ///
    /// # Panics
    /// If the cotangent has another shape than the state.
    pub fn adjoint<C: DeqCell>(
        &self,
        cell: &C,
        state: &C::State,
        input: &C::Input,
        cotangent: C::State,
    ) -> Solution<C::State> {
        let layout = state.layout();
        assert!(
            cotangent.layout() == layout,
            "Deq::adjoint: cotangent must have the state's shape {layout:?}, got {:?}",
            cotangent.layout()
        );
        let state = C::State::from_rows(state.clone().into_rows().inner(), &layout);
        let (cell, input) = (cell.plain(), input.plain());
        let v = cotangent.into_rows().inner();
        let found = adjoint_rows(&self.config.backward, &cell, &state, &input, v, &layout);
        Solution {
            state: C::State::from_rows(found.state, &layout),
            samples: found.samples.into_iter().map(|s| C::State::from_rows(s, &layout)).collect(),
            report: found.report,
        }
    }
}

/// One call.
struct Run<'a, C: DeqCell> {
    deq: &'a Deq,
    cell: &'a C,
    input: &'a C::Input,
    plain: (C, C::Input),
    layout: <C::State as State>::Layout,
    reports: BackwardReports,
}

type Found = (Tensor<2>, Vec<Tensor<2>>, SolveReport);

impl<C: DeqCell> Run<'_, C> {
    /// The map on plain rows, as the solvers want it.
    fn evaluate(&self, rows: Tensor<2>) -> Tensor<2> {
        let (cell, input) = &self.plain;
        let image = cell.evaluate(C::State::from_rows(rows, &self.layout), input);
        let found = image.layout();
        assert!(
            found == self.layout,
            "Deq: the map must keep the state's shape {:?}, got {found:?}",
            self.layout
        );
        let image = image.into_rows();
        assert!(
            !image.is_autodiff(),
            "Deq: the map uses a tensor with autodiff that belongs neither to its parameters nor to its \
             input; the backward pass would block on it"
        );
        image
    }

    fn solve(&self, solver: &Solver, start: Tensor<2>) -> Solution<Tensor<2>> {
        solver.solve(|rows: Tensor<2>| self.evaluate(rows), start)
    }

    /// The state with its gradient, and states sampled on the way of a phantom gradient.
    fn attach(&self, state: Tensor<2>) -> (Tensor<2>, Vec<Tensor<2>>) {
        let config = &self.deq.config;
        if let DeqGradient::Phantom(phantom) = &config.gradient {
            return recorded(self.cell, self.input, state, &self.layout, phantom);
        }
        let state = C::State::from_rows(state, &self.layout);
        let image = self.cell.evaluate(state, self.input).into_rows();
        let backward = Backward {
            solver: config.backward.clone(),
            policy: config.policy,
            reports: self.reports.clone(),
            failure: self.deq.failure.clone(),
        };
        let (cell, input) = &self.plain;
        (implicit(cell, input, image, &self.layout, backward), Vec::new())
    }

    fn indexed(&self, start: Tensor<2>) -> Found {
        let solver = &self.deq.config.forward;
        let Solution { state, samples, report } = self.solve(solver, start);
        let (rows, mut sampled) = self.attach(state);
        let mut all = Vec::new();
        let Stopping { sample_steps, max_steps, .. } = solver.stopping();
        for (step, sample) in sample_steps.iter().zip(samples) {
            // The state at the last step is the final one.
            all.push(if step == max_steps { rows.clone() } else { self.attach(sample).0 });
        }
        all.append(&mut sampled);
        (rows, all, report)
    }

    fn sliced(&self, start: Tensor<2>) -> Found {
        let solver = &self.deq.config.forward;
        let Stopping { sample_steps, max_steps, .. } = solver.stopping().clone();
        let mut ends = sample_steps.clone();
        ends.sort_unstable();
        ends.dedup();
        if ends.last() != Some(&max_steps) {
            ends.push(max_steps);
        }
        let (mut rows, mut samples) = (start, Vec::new());
        let mut report = SolveReport::default();
        let (mut done, mut evaluations, mut steps) = (0, 0, 0);
        for end in ends {
            let mut stopping = solver.stopping().clone();
            stopping.sample_steps = Vec::new();
            stopping.max_steps = end - done;
            let solution = self.solve(&solver.clone().with_stopping(stopping), rows.inner());
            (rows, _) = self.attach(solution.state);
            if sample_steps.contains(&end) {
                samples.push(rows.clone());
            }
            done = end;
            report = solution.report;
            evaluations += report.evaluations;
            steps += report.steps;
        }
        (report.evaluations, report.steps) = (evaluations, steps);
        (rows, samples, report)
    }

    fn unrolled(&self, start: Tensor<2>, steps: usize) -> Found {
        let phantom = PhantomConfig::new(steps);
        let (rows, _) = recorded(self.cell, self.input, start, &self.layout, &phantom);
        // The report looks at the last residual: one evaluation that is not recorded.
        let one = Stopping { max_steps: 1, ..self.deq.config.forward.stopping().clone() };
        let one = Stopping { sample_steps: Vec::new(), ..one };
        let look = firebrick_ops::fixed_point::FixedPointConfig::new().with_stopping(one);
        let mut report = match self.finite(&rows) {
            true => self.solve(&look.into(), rows.clone().inner()).report,
            false => SolveReport {
                status: firebrick_ops::iteration::Status::Diverged,
                converged: vec![false; rows.dims()[0]],
                ..SolveReport::default()
            },
        };
        report.steps = steps;
        report.evaluations += steps;
        (rows, Vec::new(), report)
    }

    fn finite(&self, rows: &Tensor<2>) -> bool {
        rows.clone().inner().abs().sum().into_scalar::<f64>().is_finite()
    }
}
